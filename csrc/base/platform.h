/* What depends on the compiler and its flags: macros, and the flags without which results would be wrong.
 * The architecture is decided here once: FS_X86, FS_ARM64, or neither. */
#ifndef FS_PLATFORM_H
#define FS_PLATFORM_H

#include <float.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error "fastsoftmax needs NaN, infinities and exact rounding: compile without -ffast-math (MSVC: with /fp:precise)"
#endif
#if !defined(FLT_EVAL_METHOD) || FLT_EVAL_METHOD != 0
#error "fastsoftmax needs float and double evaluated in their own precision (on 32-bit x86: -msse2 -mfpmath=sse)"
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define FS_X86
#elif defined(__aarch64__) || defined(_M_ARM64)
#define FS_ARM64
#endif

#if defined(_MSC_VER) && !defined(__clang__) && !defined(FS_MSVC)
#define FS_MSVC
#endif

/* Threads: those of Windows, or by pthread.h.  WebAssembly has one thread unless it is compiled with -pthread. */
#if defined(_WIN32)
#define FS_THREADS
#elif !defined(__wasm__) || defined(_REENTRANT)
#define FS_THREADS
#define FS_PTHREADS
#endif

#ifdef FS_MSVC
#define FS_UNLIKELY(c) (c)
#define FS_PREFETCH(p) ((void)(p))
#define FS_FORCED static __forceinline
#define FS_NOINLINE static __declspec(noinline)
#else
#define FS_UNLIKELY(c) __builtin_expect(!!(c), 0)
#define FS_PREFETCH(p) __builtin_prefetch(p)
#define FS_FORCED static inline __attribute__((always_inline))
#define FS_NOINLINE static __attribute__((noinline))
#endif

/* The kernels must be inlined to specialise; isa_scalar.c leaves it to the compiler, so that it builds in seconds. */
#ifndef FS_INLINE
#define FS_INLINE FS_FORCED
#endif

#endif

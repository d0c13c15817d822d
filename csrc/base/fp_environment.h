/* The floating-point environment: rounding to nearest, subnormals kept, no traps.
 * Kernels run in it; another library in the process may have asked for flush-to-zero. */
#ifndef FS_ENVIRONMENT_H
#define FS_ENVIRONMENT_H

#include <stdint.h>

#include "base/platform.h"

#ifdef FS_X86
#include <xmmintrin.h>

typedef unsigned fs_environment;
static inline fs_environment fs_enter(void)
{
    fs_environment saved = _mm_getcsr();
    if ((saved & 0xffc0) != 0x1f80) /* rounding, flush-to-zero, denormals-are-zero, exception masks */
        _mm_setcsr(0x1f80);
    return saved;
}
static inline void fs_leave(fs_environment saved)
{
    if ((saved & 0xffc0) != 0x1f80)
        _mm_setcsr(saved);
}
#elif defined(FS_ARM64) && !defined(FS_MSVC)
typedef uint64_t fs_environment; /* a register; a long of Windows has 32 bits */
static inline fs_environment fs_enter(void)
{
    fs_environment saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    if (saved & 0x7c80000)
        __asm__ volatile("msr fpcr, %0" : : "r"(saved & ~UINT64_C(0x7c80000)));
    return saved;
}
static inline void fs_leave(fs_environment saved)
{
    if (saved & 0x7c80000)
        __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}
#else
typedef int fs_environment;
static inline fs_environment fs_enter(void) { return 0; }
static inline void fs_leave(fs_environment saved) { (void)saved; }
#endif

#endif

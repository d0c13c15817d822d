/* The kernels for x86-64 with AVX2, FMA and F16C. */
#include "base/platform.h"

#ifdef FS_X86
#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2,popcnt"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi2,popcnt")
#endif

#define FS_KERNELS fs_kernels_avx2
#define FS_KERNELS_NAME "avx2"
#include "simd/avx2.h"

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#else
typedef int fs_no_avx2; /* ISO C wants a declaration */
#endif

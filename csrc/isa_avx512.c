/* The kernels for x86-64 with AVX-512 F, BW, DQ, VL. */
#include "base/platform.h"

#ifdef FS_X86
#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi2,popcnt"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi2,popcnt,prefer-vector-width=512")
#endif

#define FS_KERNELS fs_kernels_avx512
#define FS_KERNELS_NAME "avx512"
#include "simd/avx512.h"

#include "kernels.h"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif
#else
typedef int fs_no_avx512;
#endif

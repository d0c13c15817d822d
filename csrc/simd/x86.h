/* What AVX2 and AVX-512 share, in registers of 256 bits: parts of a register, and blocks of a matrix transposed. */
#ifndef FS_VEC_X86_H
#define FS_VEC_X86_H

#include "base/bits.h"

/* Masks of the first n of 8 (or 4) lanes are windows into a run of ones followed by zeros. */
static const int32_t fs_mask32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
static const int64_t fs_mask64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};
FS_INLINE __m256i fs_first8(size_t n)
{
    return _mm256_loadu_si256((const __m256i *)(fs_mask32 + 8 - (n < 8 ? n : 8)));
}
FS_INLINE __m256i fs_first4(size_t n)
{
    return _mm256_loadu_si256((const __m256i *)(fs_mask64 + 4 - (n < 4 ? n : 4)));
}

/* The first n <= 8 (or 4) lanes, in parts of exactly their width. */
FS_INLINE void fs_store_first8(float *p, __m256 h, size_t n)
{
    if (n == 8) {
        _mm256_storeu_ps(p, h);
        return;
    }
    __m128 q = _mm256_castps256_ps128(h);
    if (n & 4) {
        _mm_storeu_ps(p, q);
        q = _mm256_extractf128_ps(h, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, q);
        q = _mm_movehl_ps(q, q);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, q);
}
FS_INLINE void fs_store_first4(double *p, __m256d h, size_t n)
{
    if (n == 4) {
        _mm256_storeu_pd(p, h);
        return;
    }
    __m128d q = _mm256_castpd256_pd128(h);
    if (n & 2) {
        _mm_storeu_pd(p, q);
        q = _mm256_extractf128_pd(h, 1);
        p += 2;
    }
    if (n & 1)
        _mm_store_sd(p, q);
}

#define FS_AT(type, p, step, i) ((type *)(void *)((char *)(p) + (ptrdiff_t)(i) * (step)))
#define FS_CONST_AT(type, p, step, i) ((const type *)(const void *)((const char *)(p) + (ptrdiff_t)(i) * (step)))

FS_INLINE void f32x16_transpose(const float *from, ptrdiff_t from_step, float *to, ptrdiff_t to_step, size_t rows,
                                size_t columns)
{
    __m256 r[8], t[8];
    if (rows == 8 && columns == 8) {
        for (int i = 0; i < 8; i++)
            r[i] = _mm256_loadu_ps(FS_CONST_AT(float, from, from_step, i));
    } else {
        const __m256i first = fs_first8(columns);
        for (size_t i = 0; i < 8; i++)
            r[i] = i < rows ? _mm256_maskload_ps(FS_CONST_AT(float, from, from_step, i), first) : _mm256_setzero_ps();
    }
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            r[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
            r[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    if (rows == 8)
        for (size_t j = 0; j < columns; j++)
            _mm256_storeu_ps(FS_AT(float, to, to_step, j), t[j]);
    else
        for (size_t j = 0; j < columns; j++)
            fs_store_first8(FS_AT(float, to, to_step, j), t[j], rows);
}

FS_INLINE void f64x8_transpose(const double *from, ptrdiff_t from_step, double *to, ptrdiff_t to_step, size_t rows,
                               size_t columns)
{
    __m256d r[4], t[4];
    if (rows == 4 && columns == 4) {
        for (int i = 0; i < 4; i++)
            r[i] = _mm256_loadu_pd(FS_CONST_AT(double, from, from_step, i));
    } else {
        const __m256i first = fs_first4(columns);
        for (size_t i = 0; i < 4; i++)
            r[i] =
                i < rows ? _mm256_maskload_pd(FS_CONST_AT(double, from, from_step, i), first) : _mm256_setzero_pd();
    }
    for (int i = 0; i < 4; i += 2) {
        t[i] = _mm256_unpacklo_pd(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_pd(r[i], r[i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        r[i] = _mm256_permute2f128_pd(t[i], t[i + 2], 0x20);
        r[i + 2] = _mm256_permute2f128_pd(t[i], t[i + 2], 0x31);
    }
    if (rows == 4)
        for (size_t j = 0; j < columns; j++)
            _mm256_storeu_pd(FS_AT(double, to, to_step, j), r[j]);
    else
        for (size_t j = 0; j < columns; j++)
            fs_store_first4(FS_AT(double, to, to_step, j), r[j], rows);
}
#undef FS_AT
#undef FS_CONST_AT

#endif

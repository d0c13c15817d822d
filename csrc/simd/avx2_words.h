/* The end of simd/avx2.h: integers of 32 bits, for the words of Philox and the cells of a guide table. */
#ifndef FS_AVX2_WORDS_H
#define FS_AVX2_WORDS_H

FS_INLINE u64x8 u64x8_count_from(uint64_t a)
{
    const __m256i all = _mm256_set1_epi64x((long long)a);
    u64x8 r = {_mm256_add_epi64(all, _mm256_set_epi64x(3, 2, 1, 0)),
               _mm256_add_epi64(all, _mm256_set_epi64x(7, 6, 5, 4))};
    return r;
}
FS_INLINE u64x8 u64x8_set1(uint64_t a)
{
    u64x8 r = {_mm256_set1_epi64x((long long)a), _mm256_set1_epi64x((long long)a)};
    return r;
}
FS_INLINE u64x8 u64x8_multiply_low(u64x8 x, u64x8 y)
{
    u64x8 r = {_mm256_mul_epu32(x.a, y.a), _mm256_mul_epu32(x.b, y.b)};
    return r;
}
FS_INLINE u64x8 u64x8_xor_high(u64x8 x, u64x8 y, u64x8 z)
{
    u64x8 r = {_mm256_xor_si256(_mm256_srli_epi64(x.a, 32), _mm256_xor_si256(y.a, z.a)),
               _mm256_xor_si256(_mm256_srli_epi64(x.b, 32), _mm256_xor_si256(y.b, z.b))};
    return r;
}
FS_INLINE void fs_store_low4(uint32_t *to, __m256i a, __m256i b, __m256i c, __m256i d)
{
    const __m256i ab = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xaa);
    const __m256i cd = _mm256_blend_epi32(c, _mm256_slli_epi64(d, 32), 0xaa);
    const __m256i even = _mm256_unpacklo_epi64(ab, cd), odd = _mm256_unpackhi_epi64(ab, cd);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(to + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}
FS_INLINE void u64x8_store_low4(uint32_t *to, u64x8 x, u64x8 y, u64x8 z, u64x8 w)
{
    fs_store_low4(to, x.a, y.a, z.a, w.a);
    fs_store_low4(to + 16, x.b, y.b, z.b, w.b);
}

/* Places are below 2^31, so signed comparisons are unsigned ones. */
FS_INLINE unsigned fs_cells8(const uint32_t *x, const uint32_t *cell, int shift, int64_t *index)
{
    const __m128i down = _mm_cvtsi32_si128(shift);
    const __m256i mask = _mm256_set1_epi32((int)((UINT32_C(1) << shift) - 1)), none = _mm256_setzero_si256();
    const __m256i cells = _mm256_loadu_si256((const __m256i *)(const void *)cell);
    const __m256i place = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)x), mask);
    const __m256i bound = _mm256_and_si256(cells, mask);
    const __m256i above = _mm256_sub_epi32(_mm256_srl_epi32(cells, down), _mm256_cmpgt_epi32(place, bound));
    const __m256i apart = _mm256_srli_epi32(_mm256_sub_epi32(place, bound), 1);
    const __m256i open = _mm256_or_si256(_mm256_cmpeq_epi32(apart, none), _mm256_cmpeq_epi32(bound, none));
    _mm256_storeu_si256((__m256i *)(void *)index, _mm256_cvtepu32_epi64(_mm256_castsi256_si128(above)));
    _mm256_storeu_si256((__m256i *)(void *)(index + 4), _mm256_cvtepu32_epi64(_mm256_extracti128_si256(above, 1)));
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(open));
}
FS_INLINE unsigned fs_cells16(const uint32_t *x, const uint32_t *cell, int shift, int64_t *index)
{
    return fs_cells8(x, cell, shift, index) | fs_cells8(x + 8, cell + 8, shift, index + 8) << 8;
}

#endif

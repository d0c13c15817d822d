/* The virtual vector on AVX-512 (F, BW, DQ, VL): one register each.
 * Intel Skylake-SP and later servers, Ice Lake clients, AMD Zen 4 and later.
 * Meanings and their order of operations are those of simd/scalar.h. */
#ifndef FS_VEC_AVX512_H
#define FS_VEC_AVX512_H

#include "base/bits.h"
#include "simd/x86.h"

/* How many vectors go through the exponential together. */
#define FS_IN_FLIGHT 8
/* How many chains of maxima and minima run side by side. */
#define FS_STREAMS 4

typedef __m512 f32x16;
typedef __m512d f64x8;

FS_INLINE __mmask16 f32x16_first(size_t n) { return (__mmask16)((1u << n) - 1); }
FS_INLINE __mmask8 f64x8_first(size_t n) { return (__mmask8)((1u << n) - 1); }

FS_INLINE f32x16 f32x16_set1(float a) { return _mm512_set1_ps(a); }
FS_INLINE f32x16 f32x16_load(const float *p) { return _mm512_loadu_ps(p); }
FS_INLINE f32x16 f32x16_load_first(const float *p, size_t n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), f32x16_first(n), p);
}
FS_INLINE void f32x16_store(float *p, f32x16 a) { _mm512_storeu_ps(p, a); }
/* In parts of exactly their width, n <= 16: a masked store holds up a load of the next row as if it were whole. */
FS_INLINE void f32x16_store_first(float *p, f32x16 a, size_t n)
{
    if (n == 16) {
        _mm512_storeu_ps(p, a);
        return;
    }
    __m256 h = _mm512_castps512_ps256(a);
    if (n & 8) {
        _mm256_storeu_ps(p, h);
        h = _mm512_extractf32x8_ps(a, 1);
        p += 8;
    }
    fs_store_first8(p, h, n & 7);
}
FS_INLINE f32x16 f32x16_add(f32x16 a, f32x16 b) { return _mm512_add_ps(a, b); }
FS_INLINE f32x16 f32x16_sub(f32x16 a, f32x16 b) { return _mm512_sub_ps(a, b); }
FS_INLINE f32x16 f32x16_mul(f32x16 a, f32x16 b) { return _mm512_mul_ps(a, b); }
FS_INLINE f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c) { return _mm512_fmadd_ps(a, b, c); }
FS_INLINE f32x16 f32x16_max(f32x16 a, f32x16 b) { return _mm512_max_ps(a, b); }
FS_INLINE f32x16 f32x16_min(f32x16 a, f32x16 b) { return _mm512_min_ps(a, b); }
FS_INLINE f32x16 f32x16_where_above(f32x16 x, f32x16 limit, f32x16 a)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ), a);
}
FS_INLINE f32x16 f32x16_exp2_eighths(f32x16 t, f32x16 *residual)
{
    __m512i bits =
        _mm512_castps_si512(t); /* the permutations look at the low four bits alone, the tables repeat after three */
    __m512i root = _mm512_permutexvar_epi32(bits, _mm512_loadu_si512(fs_eighths));
    *residual = _mm512_permutexvar_ps(bits, _mm512_loadu_ps(fs_eighths_residual));
    return _mm512_castsi512_ps(_mm512_add_epi32(root, _mm512_slli_epi32(bits, 20)));
}
FS_INLINE float f32x16_reduce_max(f32x16 a)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
FS_INLINE float f32x16_reduce_min(f32x16 a)
{
    __m256 h = _mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 q = _mm_min_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_min_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_min_ss(q, _mm_movehdup_ps(q)));
}
FS_INLINE double f64x8_sum(f64x8 a)
{
    __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE f64x8 f64x8_fold(f64x8 a) { return a; }
FS_INLINE f64x8 f32x16_fold(f32x16 a)
{
    return _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)));
}
FS_INLINE f64x8 f32x16_half(f32x16 a, int h)
{
    return _mm512_cvtps_pd(h ? _mm512_extractf32x8_ps(a, 1) : _mm512_castps512_ps256(a));
}
FS_INLINE f64x8 f64x8_half(f64x8 a, int h)
{
    (void)h;
    return a;
}
FS_INLINE int f32x16_any_nan(f32x16 a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0; }

/* The integer weights of eight lanes (fs_integer_weight). */
FS_INLINE __m512i f64x8_integers(f64x8 w)
{
    __m512d biased = _mm512_fmadd_pd(w, _mm512_set1_pd(0x1p51), _mm512_set1_pd(0x1p52));
    return _mm512_sub_epi64(_mm512_castpd_si512(biased), _mm512_set1_epi64(0x4330000000000000));
}
FS_INLINE __m512i f32x16_integers_low(f32x16 w) { return f64x8_integers(_mm512_cvtps_pd(_mm512_castps512_ps256(w))); }
FS_INLINE __m512i f32x16_integers_high(f32x16 w)
{
    return f64x8_integers(_mm512_cvtps_pd(_mm512_extractf32x8_ps(w, 1)));
}
/* Sums of integer weights, with 2^52's bits still on top of each: they go at the end. */
typedef __m512i fs_integers;
FS_INLINE fs_integers fs_no_integers(void) { return _mm512_setzero_si512(); }
FS_INLINE __m512i fs_biased_integers(__m512d w)
{
    return _mm512_castpd_si512(_mm512_fmadd_pd(w, _mm512_set1_pd(0x1p51), _mm512_set1_pd(0x1p52)));
}
FS_INLINE fs_integers f64x8_add_integers(fs_integers s, f64x8 w)
{
    return _mm512_add_epi64(s, fs_biased_integers(w));
}
FS_INLINE fs_integers f32x16_add_integers(fs_integers s, f32x16 w)
{
    __m512i low = fs_biased_integers(_mm512_cvtps_pd(_mm512_castps512_ps256(w)));
    return _mm512_add_epi64(_mm512_add_epi64(s, low),
                            fs_biased_integers(_mm512_cvtps_pd(_mm512_extractf32x8_ps(w, 1))));
}
FS_INLINE uint64_t fs_integers_total(fs_integers s, uint64_t count)
{
    __m256i h = _mm256_add_epi64(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    __m128i q = _mm_add_epi64(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(q, _mm_unpackhi_epi64(q, q))) -
           count * UINT64_C(0x4330000000000000);
}

typedef __m512i u64x8;
FS_INLINE u64x8 u64x8_load(const uint64_t *p) { return _mm512_loadu_si512(p); }
FS_INLINE void u64x8_store(uint64_t *p, u64x8 a) { _mm512_storeu_si512(p, a); }
FS_INLINE u64x8 u64x8_count_from(uint64_t a)
{
    return _mm512_add_epi64(_mm512_set1_epi64((long long)a), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
}
FS_INLINE u64x8 u64x8_set1(uint64_t a) { return _mm512_set1_epi64((long long)a); }
FS_INLINE u64x8 u64x8_multiply_low(u64x8 a, u64x8 b) { return _mm512_mul_epu32(a, b); }
FS_INLINE u64x8 u64x8_xor_high(u64x8 a, u64x8 b, u64x8 c)
{
    return _mm512_ternarylogic_epi64(_mm512_srli_epi64(a, 32), b, c, 0x96);
}
FS_INLINE void u64x8_store_low4(uint32_t *to, u64x8 a, u64x8 b, u64x8 c, u64x8 d)
{
    const __m512i ab = _mm512_mask_blend_epi32(0xaaaa, a, _mm512_slli_epi64(b, 32));
    const __m512i cd = _mm512_mask_blend_epi32(0xaaaa, c, _mm512_slli_epi64(d, 32));
    _mm512_storeu_si512(to, _mm512_permutex2var_epi64(ab, _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), cd));
    _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi64(ab, _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4), cd));
}
FS_INLINE u64x8 u64x8_add_weights(u64x8 s, f64x8 w) { return _mm512_add_epi64(s, f64x8_integers(w)); }
FS_INLINE u64x8 u64x8_count_at_most(u64x8 count, u64x8 s, u64x8 limit)
{
    return _mm512_mask_add_epi64(count, _mm512_cmple_epu64_mask(s, limit), count, _mm512_set1_epi64(1));
}

FS_INLINE unsigned fs_cells16(const uint32_t *x, const uint32_t *cell, int shift, int64_t *index)
{
    const __m128i down = _mm_cvtsi32_si128(shift);
    const __m512i mask = _mm512_set1_epi32((int)((UINT32_C(1) << shift) - 1)), cells = _mm512_loadu_si512(cell);
    const __m512i place = _mm512_and_si512(_mm512_loadu_si512(x), mask), bound = _mm512_and_si512(cells, mask);
    const __m512i entry = _mm512_srl_epi32(cells, down);
    const __m512i above =
        _mm512_mask_add_epi32(entry, _mm512_cmpgt_epu32_mask(place, bound), entry, _mm512_set1_epi32(1));
    _mm512_storeu_si512(index, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(above)));
    _mm512_storeu_si512(index + 8, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(above, 1)));
    return (unsigned)_mm512_cmplt_epu32_mask(_mm512_sub_epi32(place, bound), _mm512_set1_epi32(2)) |
           (unsigned)_mm512_testn_epi32_mask(bound, bound);
}

/* Running sums of eight lanes, `before` (the same in every lane) added to each; the last one is left in *before. */
FS_INLINE __m512i fs_running_sum(__m512i v, __m512i *before)
{
    const __m512i zero = _mm512_setzero_si512();
    v = _mm512_add_epi64(v, _mm512_alignr_epi64(v, zero, 7));
    v = _mm512_add_epi64(v, _mm512_alignr_epi64(v, zero, 6));
    v = _mm512_add_epi64(v, _mm512_alignr_epi64(v, zero, 4));
    v = _mm512_add_epi64(v, *before);
    *before = _mm512_permutexvar_epi64(_mm512_set1_epi64(7), v);
    return v;
}
FS_INLINE size_t fs_count_at_most(__m512i v, __m512i limit)
{
    return (size_t)_mm_popcnt_u32(_mm512_cmple_epu64_mask(v, limit));
}
FS_INLINE size_t f32x16_integer_rank4(const float *w, uint64_t t)
{
    __m512i before = _mm512_setzero_si512(), limit = _mm512_set1_epi64((long long)t);
    size_t rank = 0;
    for (int i = 0; i < 4; i++) {
        f32x16 v = f32x16_load(w + 16 * i);
        rank += fs_count_at_most(fs_running_sum(f32x16_integers_low(v), &before), limit);
        rank += fs_count_at_most(fs_running_sum(f32x16_integers_high(v), &before), limit);
    }
    return rank;
}
FS_INLINE size_t f64x8_integer_rank4(const double *w, uint64_t t)
{
    __m512i before = _mm512_setzero_si512(), limit = _mm512_set1_epi64((long long)t);
    size_t rank = 0;
    for (int i = 0; i < 4; i++)
        rank += fs_count_at_most(fs_running_sum(f64x8_integers(_mm512_loadu_pd(w + 8 * i)), &before), limit);
    return rank;
}

FS_INLINE size_t f32x16_draw(const f32x16 *w, int count, double u)
{
    __m512i cumulative[8], before = _mm512_setzero_si512();
    size_t rank = 0;
    for (int i = 0; i < count; i++) {
        cumulative[2 * i] = fs_running_sum(f32x16_integers_low(w[i]), &before);
        cumulative[2 * i + 1] = fs_running_sum(f32x16_integers_high(w[i]), &before);
    }
    uint64_t total = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(before));
    __m512i limit = _mm512_set1_epi64((long long)fs_scale_uniform(u, total).high);
    for (int i = 0; i < 2 * count; i++)
        rank += fs_count_at_most(cumulative[i], limit);
    return rank;
}
FS_INLINE size_t f64x8_draw(const f64x8 *w, int count, double u)
{
    __m512i cumulative[4], before = _mm512_setzero_si512();
    size_t rank = 0;
    for (int i = 0; i < count; i++)
        cumulative[i] = fs_running_sum(f64x8_integers(w[i]), &before);
    uint64_t total = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(before));
    __m512i limit = _mm512_set1_epi64((long long)fs_scale_uniform(u, total).high);
    for (int i = 0; i < count; i++)
        rank += fs_count_at_most(cumulative[i], limit);
    return rank;
}

/* Reductions of as many rows as there are lanes, together: at each fold two rows share a register. */
FS_INLINE void f32x16_max_rows(const f32x16 *w, float *max)
{
    __m512 v[4];
    for (int j = 0; j < 4; j++) { /* v[j]: four lanes left of each of the rows j, j + 4, j + 8, j + 12 */
        __m512 low =
            _mm512_max_ps(_mm512_shuffle_f32x4(w[j], w[j + 4], 0x44), _mm512_shuffle_f32x4(w[j], w[j + 4], 0xee));
        __m512 high = _mm512_max_ps(_mm512_shuffle_f32x4(w[j + 8], w[j + 12], 0x44),
                                    _mm512_shuffle_f32x4(w[j + 8], w[j + 12], 0xee));
        v[j] = _mm512_max_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
    }
    for (int j = 0; j < 4; j += 2) {
        __m512d a = _mm512_castps_pd(v[j]), b = _mm512_castps_pd(v[j + 1]);
        v[j] = _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    _mm512_storeu_ps(max, _mm512_max_ps(_mm512_shuffle_ps(v[0], v[2], 0x88), _mm512_shuffle_ps(v[0], v[2], 0xdd)));
}
#define FS_FOLD_ROWS(add)                                                                                            \
    __m512d v[2];                                                                                                    \
    for (int j = 0; j < 2; j++) { /* v[j]: two lanes left of each of the rows j, j + 2, j + 4, j + 6 */              \
        __m512d low = add(_mm512_shuffle_f64x2(w[j], w[j + 2], 0x44), _mm512_shuffle_f64x2(w[j], w[j + 2], 0xee));   \
        __m512d high =                                                                                               \
            add(_mm512_shuffle_f64x2(w[j + 4], w[j + 6], 0x44), _mm512_shuffle_f64x2(w[j + 4], w[j + 6], 0xee));     \
        v[j] = add(_mm512_shuffle_f64x2(low, high, 0x88), _mm512_shuffle_f64x2(low, high, 0xdd));                    \
    }                                                                                                                \
    _mm512_storeu_pd(result, add(_mm512_unpacklo_pd(v[0], v[1]), _mm512_unpackhi_pd(v[0], v[1])))
FS_INLINE void f64x8_max_rows(const f64x8 *w, double *result) { FS_FOLD_ROWS(_mm512_max_pd); }
FS_INLINE void f64x8_sum_rows(const f64x8 *w, double *result) { FS_FOLD_ROWS(_mm512_add_pd); }
#undef FS_FOLD_ROWS
FS_INLINE f64x8 f64x8_set1(double a) { return _mm512_set1_pd(a); }
FS_INLINE f64x8 f64x8_load(const double *p) { return _mm512_loadu_pd(p); }
FS_INLINE f64x8 f64x8_load_first(const double *p, size_t n, double fill)
{
    return _mm512_mask_loadu_pd(_mm512_set1_pd(fill), f64x8_first(n), p);
}
FS_INLINE void f64x8_store(double *p, f64x8 a) { _mm512_storeu_pd(p, a); }
FS_INLINE void f64x8_store_first(double *p, f64x8 a, size_t n)
{
    if (n == 8) {
        _mm512_storeu_pd(p, a);
        return;
    }
    __m256d h = _mm512_castpd512_pd256(a);
    if (n & 4) {
        _mm256_storeu_pd(p, h);
        h = _mm512_extractf64x4_pd(a, 1);
        p += 4;
    }
    fs_store_first4(p, h, n & 3);
}
FS_INLINE f64x8 f64x8_add(f64x8 a, f64x8 b) { return _mm512_add_pd(a, b); }
FS_INLINE f64x8 f64x8_sub(f64x8 a, f64x8 b) { return _mm512_sub_pd(a, b); }
FS_INLINE f64x8 f64x8_mul(f64x8 a, f64x8 b) { return _mm512_mul_pd(a, b); }
FS_INLINE f64x8 f64x8_fma(f64x8 a, f64x8 b, f64x8 c) { return _mm512_fmadd_pd(a, b, c); }
FS_INLINE f64x8 f64x8_max(f64x8 a, f64x8 b) { return _mm512_max_pd(a, b); }
FS_INLINE f64x8 f64x8_min(f64x8 a, f64x8 b) { return _mm512_min_pd(a, b); }
FS_INLINE f64x8 f64x8_where_above(f64x8 x, f64x8 limit, f64x8 a)
{
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, limit, _CMP_GT_OQ), a);
}
FS_INLINE f64x8 f64x8_exponent_add(f64x8 a, f64x8 t)
{
    return _mm512_castsi512_pd(
        _mm512_add_epi64(_mm512_castpd_si512(a), _mm512_slli_epi64(_mm512_castpd_si512(t), 52)));
}
FS_INLINE double f64x8_reduce_max(f64x8 a)
{
    __m256d h = _mm256_max_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d q = _mm_max_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_max_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE double f64x8_reduce_min(f64x8 a)
{
    __m256d h = _mm256_min_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    __m128d q = _mm_min_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_min_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE int f64x8_any_nan(f64x8 a) { return _mm512_cmp_pd_mask(a, a, _CMP_UNORD_Q) != 0; }

FS_INLINE f32x16 f32x16_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
FS_INLINE void f32x16_store_f16(uint16_t *p, f32x16 a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

FS_INLINE unsigned f32x16_at_least(f32x16 a, f32x16 low) { return _mm512_cmp_ps_mask(a, low, _CMP_GE_OQ); }
FS_INLINE unsigned f64x8_at_least(f64x8 a, f64x8 low) { return _mm512_cmp_pd_mask(a, low, _CMP_GE_OQ); }
/* Packed in a register and stored whole: packing into memory takes some CPUs a hundred cycles. */
FS_INLINE void f32x16_pack(float *to, f32x16 a, unsigned chosen)
{
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps((__mmask16)chosen, a));
}
FS_INLINE void f64x8_pack(double *to, f64x8 a, unsigned chosen)
{
    _mm512_storeu_pd(to, _mm512_maskz_compress_pd((__mmask8)chosen, a));
}
FS_INLINE void f32x16_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen)
{
    __m512i numbers = _mm512_add_epi32(_mm512_loadu_si512(from), _mm512_set1_epi32((int)first));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32((__mmask16)chosen, numbers));
}
FS_INLINE void f64x8_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen)
{
    __m256i numbers = _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)from), _mm256_set1_epi32((int)first));
    _mm256_storeu_si256((__m256i *)to, _mm256_maskz_compress_epi32((__mmask8)chosen, numbers));
}

#endif

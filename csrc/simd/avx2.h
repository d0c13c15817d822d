/* The virtual vector on AVX2 with FMA and F16C: two registers each.
 * Intel Haswell and later, AMD Zen and later: nearly every x86-64 since 2013 to 2017.
 * Meanings and their order of operations are those of simd/scalar.h. */
#ifndef FS_VEC_AVX2_H
#define FS_VEC_AVX2_H

#include "base/bits.h"
#include "simd/x86.h"

/* How many vectors go through the exponential together. */
#define FS_IN_FLIGHT 2
/* How many chains of maxima and minima run side by side. */
#define FS_STREAMS 2

typedef struct {
    __m256 a, b;
} f32x16;
typedef struct {
    __m256d a, b;
} f64x8;

#define FS_PAIR(vec, operation)                                                                                      \
    vec r = {operation(x.a, y.a), operation(x.b, y.b)};                                                              \
    return r

FS_INLINE f32x16 f32x16_set1(float s)
{
    f32x16 r = {_mm256_set1_ps(s), _mm256_set1_ps(s)};
    return r;
}
FS_INLINE f32x16 f32x16_load(const float *p)
{
    f32x16 r = {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    return r;
}
FS_INLINE f32x16 f32x16_load_first(const float *p, size_t n, float fill)
{
    __m256 f = _mm256_set1_ps(fill);
    __m256i low = fs_first8(n), high = fs_first8(n > 8 ? n - 8 : 0);
    f32x16 r = {_mm256_blendv_ps(f, _mm256_maskload_ps(p, low), _mm256_castsi256_ps(low)),
                _mm256_blendv_ps(f, _mm256_maskload_ps(n > 8 ? p + 8 : p, high), _mm256_castsi256_ps(high))};
    return r;
}
FS_INLINE void f32x16_store(float *p, f32x16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
/* In parts of exactly their width, n <= 16: masked stores are slow, and hold up loads of the next row. */
FS_INLINE void f32x16_store_first(float *p, f32x16 x, size_t n)
{
    if (n < 8) {
        fs_store_first8(p, x.a, n);
        return;
    }
    _mm256_storeu_ps(p, x.a);
    fs_store_first8(p + 8, x.b, n - 8);
}
FS_INLINE f32x16 f32x16_add(f32x16 x, f32x16 y) { FS_PAIR(f32x16, _mm256_add_ps); }
FS_INLINE f32x16 f32x16_sub(f32x16 x, f32x16 y) { FS_PAIR(f32x16, _mm256_sub_ps); }
FS_INLINE f32x16 f32x16_mul(f32x16 x, f32x16 y) { FS_PAIR(f32x16, _mm256_mul_ps); }
FS_INLINE f32x16 f32x16_max(f32x16 x, f32x16 y) { FS_PAIR(f32x16, _mm256_max_ps); }
FS_INLINE f32x16 f32x16_min(f32x16 x, f32x16 y) { FS_PAIR(f32x16, _mm256_min_ps); }
FS_INLINE f32x16 f32x16_fma(f32x16 x, f32x16 y, f32x16 z)
{
    f32x16 r = {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
    return r;
}
FS_INLINE f32x16 f32x16_where_above(f32x16 x, f32x16 limit, f32x16 y)
{
    f32x16 r = {_mm256_and_ps(_mm256_cmp_ps(x.a, limit.a, _CMP_GT_OQ), y.a),
                _mm256_and_ps(_mm256_cmp_ps(x.b, limit.b, _CMP_GT_OQ), y.b)};
    return r;
}
FS_INLINE __m256 fs_exp2_eighths_ps(__m256 t, __m256 *residual)
{
    __m256i bits = _mm256_castps_si256(t); /* the permutations look at the low three bits alone */
    __m256i root = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)fs_eighths), bits);
    *residual = _mm256_permutevar8x32_ps(_mm256_loadu_ps(fs_eighths_residual), bits);
    return _mm256_castsi256_ps(_mm256_add_epi32(root, _mm256_slli_epi32(bits, 20)));
}
FS_INLINE f32x16 f32x16_exp2_eighths(f32x16 t, f32x16 *residual)
{
    f32x16 r;
    r.a = fs_exp2_eighths_ps(t.a, &residual->a);
    r.b = fs_exp2_eighths_ps(t.b, &residual->b);
    return r;
}
FS_INLINE float f32x16_reduce_max(f32x16 x)
{
    __m256 h = _mm256_max_ps(x.a, x.b);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
FS_INLINE float f32x16_reduce_min(f32x16 x)
{
    __m256 h = _mm256_min_ps(x.a, x.b);
    __m128 q = _mm_min_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_min_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_min_ss(q, _mm_movehdup_ps(q)));
}
FS_INLINE double f64x8_sum(f64x8 x)
{
    __m256d h = _mm256_add_pd(x.a, x.b);
    __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE __m256d fs_low_pd(__m256 x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
FS_INLINE __m256d fs_high_pd(__m256 x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
FS_INLINE f64x8 f64x8_fold(f64x8 a) { return a; }
FS_INLINE f64x8 f32x16_fold(f32x16 x)
{
    f64x8 r = {_mm256_add_pd(fs_low_pd(x.a), fs_low_pd(x.b)), _mm256_add_pd(fs_high_pd(x.a), fs_high_pd(x.b))};
    return r;
}
FS_INLINE f64x8 f32x16_half(f32x16 x, int h)
{
    __m256 half = h ? x.b : x.a;
    f64x8 r = {fs_low_pd(half), fs_high_pd(half)};
    return r;
}
FS_INLINE f64x8 f64x8_half(f64x8 a, int h)
{
    (void)h;
    return a;
}
FS_INLINE int f32x16_any_nan(f32x16 x) { return _mm256_movemask_ps(_mm256_cmp_ps(x.a, x.b, _CMP_UNORD_Q)) != 0; }

/* The integer weights of four lanes (fs_integer_weight). */
FS_INLINE __m256i fs_integers_pd(__m256d w)
{
    __m256d biased = _mm256_fmadd_pd(w, _mm256_set1_pd(0x1p51), _mm256_set1_pd(0x1p52));
    return _mm256_sub_epi64(_mm256_castpd_si256(biased), _mm256_set1_epi64x(0x4330000000000000));
}
/* Sums of integer weights, with 2^52's bits still on top of each: they go at the end. */
typedef __m256i fs_integers;
FS_INLINE fs_integers fs_no_integers(void) { return _mm256_setzero_si256(); }
FS_INLINE fs_integers fs_add_integers_pd(fs_integers s, __m256d w)
{
    __m256d biased = _mm256_fmadd_pd(w, _mm256_set1_pd(0x1p51), _mm256_set1_pd(0x1p52));
    return _mm256_add_epi64(s, _mm256_castpd_si256(biased));
}
FS_INLINE fs_integers f64x8_add_integers(fs_integers s, f64x8 w)
{
    return fs_add_integers_pd(fs_add_integers_pd(s, w.a), w.b);
}
FS_INLINE fs_integers f32x16_add_integers(fs_integers s, f32x16 w)
{
    s = fs_add_integers_pd(fs_add_integers_pd(s, fs_low_pd(w.a)), fs_high_pd(w.a));
    return fs_add_integers_pd(fs_add_integers_pd(s, fs_low_pd(w.b)), fs_high_pd(w.b));
}
FS_INLINE uint64_t fs_integers_total(fs_integers s, uint64_t count)
{
    __m128i q = _mm_add_epi64(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(q, _mm_unpackhi_epi64(q, q))) -
           count * UINT64_C(0x4330000000000000);
}

typedef struct {
    __m256i a, b;
} u64x8;
FS_INLINE u64x8 u64x8_load(const uint64_t *p)
{
    u64x8 r = {_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 4))};
    return r;
}
FS_INLINE void u64x8_store(uint64_t *p, u64x8 x)
{
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)(p + 4), x.b);
}
FS_INLINE u64x8 u64x8_add_weights(u64x8 s, f64x8 w)
{
    u64x8 r = {_mm256_add_epi64(s.a, fs_integers_pd(w.a)), _mm256_add_epi64(s.b, fs_integers_pd(w.b))};
    return r;
}
/* A comparison is -1 where the sum is above the limit. */
FS_INLINE u64x8 u64x8_count_at_most(u64x8 count, u64x8 s, u64x8 limit)
{
    const __m256i one = _mm256_set1_epi64x(1);
    u64x8 r = {_mm256_add_epi64(count.a, _mm256_add_epi64(one, _mm256_cmpgt_epi64(s.a, limit.a))),
               _mm256_add_epi64(count.b, _mm256_add_epi64(one, _mm256_cmpgt_epi64(s.b, limit.b)))};
    return r;
}

/* Running sums of four lanes, `before` (the same in every lane) added to each; the last one is left in *before. */
FS_INLINE __m256i fs_running_sum(__m256i v, __m256i *before)
{
    v = _mm256_add_epi64(v, _mm256_slli_si256(v, 8)); /* within each half */
    __m256i low_total = _mm256_permute4x64_epi64(v, 0x55);
    v = _mm256_add_epi64(v, _mm256_blend_epi32(_mm256_setzero_si256(), low_total, 0xf0));
    v = _mm256_add_epi64(v, *before);
    *before = _mm256_permute4x64_epi64(v, 0xff);
    return v;
}
/* Sums stay below 2^62, so the signed comparison is the unsigned one. */
FS_INLINE size_t fs_count_at_most(__m256i v, __m256i limit)
{
    return 4 -
           (size_t)_mm_popcnt_u32((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(v, limit))));
}
FS_INLINE size_t fs_rank(__m256d w, __m256i limit, __m256i *before)
{
    return fs_count_at_most(fs_running_sum(fs_integers_pd(w), before), limit);
}
FS_INLINE size_t f32x16_integer_rank4(const float *w, uint64_t t)
{
    __m256i before = _mm256_setzero_si256(), limit = _mm256_set1_epi64x((long long)t);
    size_t rank = 0;
    for (int i = 0; i < 64; i += 4)
        rank += fs_rank(_mm256_cvtps_pd(_mm_loadu_ps(w + i)), limit, &before);
    return rank;
}
FS_INLINE size_t f64x8_integer_rank4(const double *w, uint64_t t)
{
    __m256i before = _mm256_setzero_si256(), limit = _mm256_set1_epi64x((long long)t);
    size_t rank = 0;
    for (int i = 0; i < 32; i += 4)
        rank += fs_rank(_mm256_loadu_pd(w + i), limit, &before);
    return rank;
}

FS_INLINE size_t fs_draw(const __m256d *w, int count, double u)
{
    __m256i cumulative[16], before = _mm256_setzero_si256();
    size_t rank = 0;
    for (int i = 0; i < count; i++)
        cumulative[i] = fs_running_sum(fs_integers_pd(w[i]), &before);
    uint64_t total = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(before));
    __m256i limit = _mm256_set1_epi64x((long long)fs_scale_uniform(u, total).high);
    for (int i = 0; i < count; i++)
        rank += fs_count_at_most(cumulative[i], limit);
    return rank;
}
FS_INLINE size_t f32x16_draw(const f32x16 *w, int count, double u)
{
    __m256d wide[16];
    for (int i = 0; i < count; i++) {
        wide[4 * i] = fs_low_pd(w[i].a);
        wide[4 * i + 1] = fs_high_pd(w[i].a);
        wide[4 * i + 2] = fs_low_pd(w[i].b);
        wide[4 * i + 3] = fs_high_pd(w[i].b);
    }
    return fs_draw(wide, 4 * count, u);
}
FS_INLINE size_t f64x8_draw(const f64x8 *w, int count, double u)
{
    __m256d wide[8];
    for (int i = 0; i < count; i++) {
        wide[2 * i] = w[i].a;
        wide[2 * i + 1] = w[i].b;
    }
    return fs_draw(wide, 2 * count, u);
}

/* Reductions of as many rows as there are lanes, together: at each fold two rows share a register. */
FS_INLINE void f32x16_max_rows(const f32x16 *w, float *max)
{
    for (int half = 0; half < 16; half += 8) {
        __m256 v[4];
        for (int j = 0; j < 4; j++) { /* v[j]: four lanes left of each of the rows j and j + 4 */
            __m256 a = _mm256_max_ps(w[half + j].a, w[half + j].b),
                   b = _mm256_max_ps(w[half + j + 4].a, w[half + j + 4].b);
            v[j] = _mm256_max_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
        }
        for (int j = 0; j < 4; j += 2) {
            __m256d a = _mm256_castps_pd(v[j]), b = _mm256_castps_pd(v[j + 1]);
            v[j] =
                _mm256_max_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
        }
        _mm256_storeu_ps(max + half,
                         _mm256_max_ps(_mm256_shuffle_ps(v[0], v[2], 0x88), _mm256_shuffle_ps(v[0], v[2], 0xdd)));
    }
}
#define FS_FOLD_ROWS(add, r0, r1, r2, r3, result)                                                                    \
    do { /* the rows have four lanes left */                                                                         \
        __m256d even = add(_mm256_permute2f128_pd(r0, r2, 0x20), _mm256_permute2f128_pd(r0, r2, 0x31));              \
        __m256d odd = add(_mm256_permute2f128_pd(r1, r3, 0x20), _mm256_permute2f128_pd(r1, r3, 0x31));               \
        _mm256_storeu_pd(result, add(_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd)));                 \
    } while (0)
FS_INLINE void f64x8_max_rows(const f64x8 *w, double *max)
{
    for (int i = 0; i < 8; i += 4) {
        __m256d r0 = _mm256_max_pd(w[i].a, w[i].b), r1 = _mm256_max_pd(w[i + 1].a, w[i + 1].b);
        __m256d r2 = _mm256_max_pd(w[i + 2].a, w[i + 2].b), r3 = _mm256_max_pd(w[i + 3].a, w[i + 3].b);
        FS_FOLD_ROWS(_mm256_max_pd, r0, r1, r2, r3, max + i);
    }
}
FS_INLINE void f64x8_sum_rows(const f64x8 *w, double *sum)
{
    for (int i = 0; i < 8; i += 4) {
        __m256d r0 = _mm256_add_pd(w[i].a, w[i].b), r1 = _mm256_add_pd(w[i + 1].a, w[i + 1].b);
        __m256d r2 = _mm256_add_pd(w[i + 2].a, w[i + 2].b), r3 = _mm256_add_pd(w[i + 3].a, w[i + 3].b);
        FS_FOLD_ROWS(_mm256_add_pd, r0, r1, r2, r3, sum + i);
    }
}
#undef FS_FOLD_ROWS
FS_INLINE f64x8 f64x8_set1(double s)
{
    f64x8 r = {_mm256_set1_pd(s), _mm256_set1_pd(s)};
    return r;
}
FS_INLINE f64x8 f64x8_load(const double *p)
{
    f64x8 r = {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)};
    return r;
}
FS_INLINE f64x8 f64x8_load_first(const double *p, size_t n, double fill)
{
    __m256d f = _mm256_set1_pd(fill);
    __m256i low = fs_first4(n), high = fs_first4(n > 4 ? n - 4 : 0);
    f64x8 r = {_mm256_blendv_pd(f, _mm256_maskload_pd(p, low), _mm256_castsi256_pd(low)),
               _mm256_blendv_pd(f, _mm256_maskload_pd(n > 4 ? p + 4 : p, high), _mm256_castsi256_pd(high))};
    return r;
}
FS_INLINE void f64x8_store(double *p, f64x8 x)
{
    _mm256_storeu_pd(p, x.a);
    _mm256_storeu_pd(p + 4, x.b);
}
FS_INLINE void f64x8_store_first(double *p, f64x8 x, size_t n)
{
    if (n < 4) {
        fs_store_first4(p, x.a, n);
        return;
    }
    _mm256_storeu_pd(p, x.a);
    fs_store_first4(p + 4, x.b, n - 4);
}
FS_INLINE f64x8 f64x8_add(f64x8 x, f64x8 y) { FS_PAIR(f64x8, _mm256_add_pd); }
FS_INLINE f64x8 f64x8_sub(f64x8 x, f64x8 y) { FS_PAIR(f64x8, _mm256_sub_pd); }
FS_INLINE f64x8 f64x8_mul(f64x8 x, f64x8 y) { FS_PAIR(f64x8, _mm256_mul_pd); }
FS_INLINE f64x8 f64x8_max(f64x8 x, f64x8 y) { FS_PAIR(f64x8, _mm256_max_pd); }
FS_INLINE f64x8 f64x8_min(f64x8 x, f64x8 y) { FS_PAIR(f64x8, _mm256_min_pd); }
FS_INLINE f64x8 f64x8_fma(f64x8 x, f64x8 y, f64x8 z)
{
    f64x8 r = {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)};
    return r;
}
FS_INLINE f64x8 f64x8_where_above(f64x8 x, f64x8 limit, f64x8 y)
{
    f64x8 r = {_mm256_and_pd(_mm256_cmp_pd(x.a, limit.a, _CMP_GT_OQ), y.a),
               _mm256_and_pd(_mm256_cmp_pd(x.b, limit.b, _CMP_GT_OQ), y.b)};
    return r;
}
FS_INLINE __m256d fs_exponent_add_pd(__m256d a, __m256d t)
{
    return _mm256_castsi256_pd(
        _mm256_add_epi64(_mm256_castpd_si256(a), _mm256_slli_epi64(_mm256_castpd_si256(t), 52)));
}
FS_INLINE f64x8 f64x8_exponent_add(f64x8 x, f64x8 y) { FS_PAIR(f64x8, fs_exponent_add_pd); }
FS_INLINE double f64x8_reduce_max(f64x8 x)
{
    __m256d h = _mm256_max_pd(x.a, x.b);
    __m128d q = _mm_max_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_max_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE double f64x8_reduce_min(f64x8 x)
{
    __m256d h = _mm256_min_pd(x.a, x.b);
    __m128d q = _mm_min_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_min_sd(q, _mm_unpackhi_pd(q, q)));
}
FS_INLINE int f64x8_any_nan(f64x8 x) { return _mm256_movemask_pd(_mm256_cmp_pd(x.a, x.b, _CMP_UNORD_Q)) != 0; }

FS_INLINE f32x16 f32x16_load_f16(const uint16_t *p)
{
    f32x16 r = {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
    return r;
}
FS_INLINE void f32x16_store_f16(uint16_t *p, f32x16 x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

FS_INLINE unsigned fs_at_least_ps(__m256 a, __m256 low)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, low, _CMP_GE_OQ));
}
FS_INLINE unsigned fs_at_least_pd(__m256d a, __m256d low)
{
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(a, low, _CMP_GE_OQ));
}
FS_INLINE unsigned f32x16_at_least(f32x16 x, f32x16 low)
{
    return fs_at_least_ps(x.a, low.a) | fs_at_least_ps(x.b, low.b) << 8;
}
FS_INLINE unsigned f64x8_at_least(f64x8 x, f64x8 low)
{
    return fs_at_least_pd(x.a, low.a) | fs_at_least_pd(x.b, low.b) << 4;
}
/* Four lanes of 32 bits packed; returns where the next go. */
FS_INLINE void *fs_pack_four(void *to, __m128i a, unsigned chosen)
{
    __m128i order = _mm_loadu_si128((const __m128i *)fs_pack4[chosen & 15]);
    _mm_storeu_si128((__m128i *)to, _mm_shuffle_epi8(a, order));
    return (uint32_t *)to + _mm_popcnt_u32(chosen & 15);
}
FS_INLINE void f32x16_pack(float *to, f32x16 x, unsigned chosen)
{
    void *next = to;
    next = fs_pack_four(next, _mm_castps_si128(_mm256_castps256_ps128(x.a)), chosen);
    next = fs_pack_four(next, _mm_castps_si128(_mm256_extractf128_ps(x.a, 1)), chosen >> 4);
    next = fs_pack_four(next, _mm_castps_si128(_mm256_castps256_ps128(x.b)), chosen >> 8);
    fs_pack_four(next, _mm_castps_si128(_mm256_extractf128_ps(x.b, 1)), chosen >> 12);
}
/* Two lanes of 64 bits, as pairs of 32. */
FS_INLINE void *fs_pack_two(void *to, __m128d a, unsigned chosen)
{
    return fs_pack_four(to, _mm_castpd_si128(a), (chosen & 1) * 3 | (chosen >> 1 & 1) * 12);
}
FS_INLINE void f64x8_pack(double *to, f64x8 x, unsigned chosen)
{
    void *next = to;
    next = fs_pack_two(next, _mm256_castpd256_pd128(x.a), chosen);
    next = fs_pack_two(next, _mm256_extractf128_pd(x.a, 1), chosen >> 2);
    next = fs_pack_two(next, _mm256_castpd256_pd128(x.b), chosen >> 4);
    fs_pack_two(next, _mm256_extractf128_pd(x.b, 1), chosen >> 6);
}
FS_INLINE void fs_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen, int count)
{
    void *next = to;
    for (int i = 0; i < count; i += 4) {
        __m128i numbers = _mm_add_epi32(_mm_loadu_si128((const __m128i *)(from + i)), _mm_set1_epi32((int)first));
        next = fs_pack_four(next, numbers, chosen >> i);
    }
}
FS_INLINE void f32x16_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen)
{
    fs_pack_numbers(to, from, first, chosen, 16);
}
FS_INLINE void f64x8_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen)
{
    fs_pack_numbers(to, from, first, chosen, 8);
}

#undef FS_PAIR

#include "simd/avx2_words.h"

#endif

/* The virtual vector on AArch64 Advanced SIMD: four registers each.  Every 64-bit Arm has it.
 * Meanings and their order of operations are those of simd/scalar.h; max and min are compare-and-select,
 * because fmax orders signed zeros and NaN differently. */
#ifndef FS_VEC_NEON_H
#define FS_VEC_NEON_H

#include <arm_neon.h>

#include "base/bits.h"

/* How many vectors go through the exponential together. */
#define FS_IN_FLIGHT 2
/* How many chains of maxima and minima run side by side. */
#define FS_STREAMS 2

typedef struct {
    float32x4_t v[4];
} f32x16;
typedef struct {
    float64x2_t v[4];
} f64x8;

#define FS_EACH(vec, expression)                                                                                     \
    vec r;                                                                                                           \
    for (int i = 0; i < 4; i++)                                                                                      \
        r.v[i] = (expression);                                                                                       \
    return r

/* The operations that differ only in the type: S is the intrinsics' suffix. */
#define FS_NEON_VECTOR(vec, real, lanes, S)                                                                          \
    FS_INLINE vec vec##_set1(real a) { FS_EACH(vec, vdupq_n_##S(a)); }                                               \
    FS_INLINE vec vec##_load(const real *p) { FS_EACH(vec, vld1q_##S(p + (lanes) / 4 * i)); }                        \
    FS_INLINE vec vec##_load_first(const real *p, size_t n, real fill)                                               \
    {                                                                                                                \
        real lane[lanes];                                                                                            \
        for (size_t i = 0; i < (lanes); i++)                                                                         \
            lane[i] = i < n ? p[i] : fill;                                                                           \
        return vec##_load(lane);                                                                                     \
    }                                                                                                                \
    FS_INLINE void vec##_store(real *p, vec a)                                                                       \
    {                                                                                                                \
        for (int i = 0; i < 4; i++)                                                                                  \
            vst1q_##S(p + (lanes) / 4 * i, a.v[i]);                                                                  \
    }                                                                                                                \
    FS_INLINE void vec##_store_first(real *p, vec a, size_t n)                                                       \
    {                                                                                                                \
        real lane[lanes];                                                                                            \
        vec##_store(lane, a);                                                                                        \
        for (size_t i = 0; i < n; i++)                                                                               \
            p[i] = lane[i];                                                                                          \
    }                                                                                                                \
    FS_INLINE vec vec##_add(vec a, vec b) { FS_EACH(vec, vaddq_##S(a.v[i], b.v[i])); }                               \
    FS_INLINE vec vec##_sub(vec a, vec b) { FS_EACH(vec, vsubq_##S(a.v[i], b.v[i])); }                               \
    FS_INLINE vec vec##_mul(vec a, vec b) { FS_EACH(vec, vmulq_##S(a.v[i], b.v[i])); }                               \
    FS_INLINE vec vec##_fma(vec a, vec b, vec c) { FS_EACH(vec, vfmaq_##S(c.v[i], a.v[i], b.v[i])); }                \
    FS_INLINE vec vec##_max(vec a, vec b)                                                                            \
    {                                                                                                                \
        FS_EACH(vec, vbslq_##S(vcgtq_##S(a.v[i], b.v[i]), a.v[i], b.v[i]));                                          \
    }                                                                                                                \
    FS_INLINE vec vec##_min(vec a, vec b)                                                                            \
    {                                                                                                                \
        FS_EACH(vec, vbslq_##S(vcltq_##S(a.v[i], b.v[i]), a.v[i], b.v[i]));                                          \
    }                                                                                                                \
    FS_INLINE vec vec##_where_above(vec x, vec limit, vec a)                                                         \
    {                                                                                                                \
        FS_EACH(vec, vbslq_##S(vcgtq_##S(x.v[i], limit.v[i]), a.v[i], vdupq_n_##S(0)));                              \
    }                                                                                                                \
    FS_INLINE real vec##_reduce_max(vec a)                                                                           \
    {                                                                                                                \
        real lane[lanes], m;                                                                                         \
        vec##_store(lane, a);                                                                                        \
        m = lane[0];                                                                                                 \
        for (int i = 1; i < (lanes); i++)                                                                            \
            m = lane[i] > m ? lane[i] : m;                                                                           \
        return m;                                                                                                    \
    }                                                                                                                \
    FS_INLINE real vec##_reduce_min(vec a)                                                                           \
    {                                                                                                                \
        real lane[lanes], m;                                                                                         \
        vec##_store(lane, a);                                                                                        \
        m = lane[0];                                                                                                 \
        for (int i = 1; i < (lanes); i++)                                                                            \
            m = lane[i] < m ? lane[i] : m;                                                                           \
        return m;                                                                                                    \
    }                                                                                                                \
    FS_INLINE int vec##_any_nan(vec a)                                                                               \
    {                                                                                                                \
        real lane[lanes];                                                                                            \
        int any = 0;                                                                                                 \
        vec##_store(lane, a);                                                                                        \
        for (int i = 0; i < (lanes); i++)                                                                            \
            any |= lane[i] != lane[i];                                                                               \
        return any;                                                                                                  \
    }                                                                                                                \
    FS_INLINE void vec##_transpose(const real *from, ptrdiff_t from_step, real *to, ptrdiff_t to_step, size_t rows,  \
                                   size_t columns)                                                                   \
    {                                                                                                                \
        for (size_t i = 0; i < rows; i++)                                                                            \
            for (size_t j = 0; j < columns; j++)                                                                     \
                *(real *)(void *)((char *)to + (ptrdiff_t)j * to_step + i * sizeof(real)) =                          \
                    *(const real *)(const void *)((const char *)from + (ptrdiff_t)i * from_step + j * sizeof(real)); \
    }                                                                                                                \
    FS_INLINE size_t vec##_integer_rank4(const real *w, uint64_t t)                                                  \
    {                                                                                                                \
        uint64_t cumulative = 0;                                                                                     \
        size_t rank = 0;                                                                                             \
        for (int i = 0; i < 4 * (lanes); i++) {                                                                      \
            cumulative += fs_integer_weight(w[i]);                                                                   \
            rank += cumulative <= t;                                                                                 \
        }                                                                                                            \
        return rank;                                                                                                 \
    }                                                                                                                \
    FS_INLINE size_t vec##_draw(const vec *w, int count, double u)                                                   \
    {                                                                                                                \
        real lane[4 * (lanes)];                                                                                      \
        uint64_t cumulative[4 * (lanes)], sum = 0, t;                                                                \
        size_t rank = 0;                                                                                             \
        for (int j = 0; j < count; j++)                                                                              \
            vec##_store(lane + j * (lanes), w[j]);                                                                   \
        for (int i = 0; i < count * (lanes); i++)                                                                    \
            cumulative[i] = sum += fs_integer_weight(lane[i]);                                                       \
        t = fs_scale_uniform(u, sum).high;                                                                                \
        for (int i = 0; i < count * (lanes); i++)                                                                    \
            rank += cumulative[i] <= t;                                                                              \
        return rank;                                                                                                 \
    }

FS_INLINE f64x8 f32x16_low(f32x16 a)
{
    f64x8 r = {{vcvt_f64_f32(vget_low_f32(a.v[0])), vcvt_high_f64_f32(a.v[0]), vcvt_f64_f32(vget_low_f32(a.v[1])),
                vcvt_high_f64_f32(a.v[1])}};
    return r;
}
FS_INLINE f64x8 f32x16_high(f32x16 a)
{
    f64x8 r = {{vcvt_f64_f32(vget_low_f32(a.v[2])), vcvt_high_f64_f32(a.v[2]), vcvt_f64_f32(vget_low_f32(a.v[3])),
                vcvt_high_f64_f32(a.v[3])}};
    return r;
}
FS_INLINE f64x8 f32x16_half(f32x16 a, int h) { return h ? f32x16_high(a) : f32x16_low(a); }
FS_INLINE f64x8 f64x8_half(f64x8 a, int h)
{
    (void)h;
    return a;
}

typedef struct {
    uint64x2_t v[4];
} u64x8;
FS_INLINE u64x8 u64x8_load(const uint64_t *p) { FS_EACH(u64x8, vld1q_u64(p + 2 * i)); }
FS_INLINE void u64x8_store(uint64_t *p, u64x8 a)
{
    for (int i = 0; i < 4; i++)
        vst1q_u64(p + 2 * i, a.v[i]);
}
FS_INLINE u64x8 u64x8_count_from(uint64_t a)
{
    FS_EACH(u64x8, vaddq_u64(vdupq_n_u64(a + 2 * (uint64_t)i), vcombine_u64(vcreate_u64(0), vcreate_u64(1))));
}
FS_INLINE u64x8 u64x8_set1(uint64_t a) { FS_EACH(u64x8, vdupq_n_u64(a)); }
FS_INLINE u64x8 u64x8_multiply_low(u64x8 a, u64x8 b)
{
    FS_EACH(u64x8, vmull_u32(vmovn_u64(a.v[i]), vmovn_u64(b.v[i])));
}
FS_INLINE u64x8 u64x8_xor_high(u64x8 a, u64x8 b, u64x8 c)
{
    FS_EACH(u64x8, veorq_u64(vshrq_n_u64(a.v[i], 32), veorq_u64(b.v[i], c.v[i])));
}
FS_INLINE void u64x8_store_low4(uint32_t *to, u64x8 a, u64x8 b, u64x8 c, u64x8 d)
{
    for (int i = 0; i < 4; i++) {
        uint32x2x4_t low = {{vmovn_u64(a.v[i]), vmovn_u64(b.v[i]), vmovn_u64(c.v[i]), vmovn_u64(d.v[i])}};
        vst4_u32(to + 8 * i, low);
    }
}
FS_INLINE u64x8 u64x8_add_weights(u64x8 s, f64x8 w)
{
    for (int i = 0; i < 4; i++) {
        float64x2_t biased = vfmaq_f64(vdupq_n_f64(0x1p52), w.v[i], vdupq_n_f64(0x1p51));
        uint64x2_t integer = vsubq_u64(vreinterpretq_u64_f64(biased), vdupq_n_u64(UINT64_C(0x4330000000000000)));
        s.v[i] = vaddq_u64(s.v[i], integer);
    }
    return s;
}
/* A comparison is -1 where it holds. */
FS_INLINE u64x8 u64x8_count_at_most(u64x8 count, u64x8 s, u64x8 limit)
{
    FS_EACH(u64x8, vsubq_u64(count.v[i], vcleq_u64(s.v[i], limit.v[i])));
}

FS_INLINE unsigned fs_cells16(const uint32_t *x, const uint32_t *cell, int shift, int64_t *index)
{
    static const uint32_t bit[4] = {1, 2, 4, 8};
    const uint32x4_t mask = vdupq_n_u32((UINT32_C(1) << shift) - 1), bits = vld1q_u32(bit);
    unsigned open = 0;
    for (int i = 0; i < 16; i += 4) {
        const uint32x4_t cells = vld1q_u32(cell + i);
        const uint32x4_t place = vandq_u32(vld1q_u32(x + i), mask), bound = vandq_u32(cells, mask);
        const uint32x4_t entry = vshlq_u32(cells, vdupq_n_s32(-shift)),
                         above = vsubq_u32(entry, vcgtq_u32(place, bound));
        const uint32x4_t near = vcltq_u32(vsubq_u32(place, bound), vdupq_n_u32(2));
        vst1q_s64(index + i, vreinterpretq_s64_u64(vmovl_u32(vget_low_u32(above))));
        vst1q_s64(index + i + 2, vreinterpretq_s64_u64(vmovl_u32(vget_high_u32(above))));
        open |= vaddvq_u32(vandq_u32(vorrq_u32(near, vceqzq_u32(bound)), bits)) << i;
    }
    return open;
}

/* Sums of integer weights, with 2^52's bits still on top of each: they go at the end. */
typedef uint64x2_t fs_integers;
FS_INLINE fs_integers fs_no_integers(void) { return vdupq_n_u64(0); }
FS_INLINE fs_integers f64x8_add_integers(fs_integers s, f64x8 w)
{
    for (int i = 0; i < 4; i++) {
        float64x2_t biased = vfmaq_f64(vdupq_n_f64(0x1p52), w.v[i], vdupq_n_f64(0x1p51));
        s = vaddq_u64(s, vreinterpretq_u64_f64(biased));
    }
    return s;
}
FS_INLINE fs_integers f32x16_add_integers(fs_integers s, f32x16 w)
{
    return f64x8_add_integers(f64x8_add_integers(s, f32x16_low(w)), f32x16_high(w));
}
FS_INLINE uint64_t fs_integers_total(fs_integers s, uint64_t count)
{
    return vaddvq_u64(s) - count * UINT64_C(0x4330000000000000);
}

FS_NEON_VECTOR(f32x16, float, 16, f32)
FS_NEON_VECTOR(f64x8, double, 8, f64)

FS_INLINE f32x16 f32x16_exp2_eighths(f32x16 t, f32x16 *residual)
{
    const uint8x16x2_t table = vld1q_u8_x2((const uint8_t *)fs_eighths);
    const uint8x16x2_t lacks = vld1q_u8_x2((const uint8_t *)fs_eighths_residual);
    f32x16 r;
    for (int i = 0; i < 4; i++) {
        uint32x4_t bits = vreinterpretq_u32_f32(t.v[i]), which = vandq_u32(bits, vdupq_n_u32(7));
        /* four byte indices a lane: 4 * which + 0, 1, 2, 3 */
        uint32x4_t at = vmlaq_u32(vdupq_n_u32(0x03020100), which, vdupq_n_u32(0x04040404));
        uint32x4_t root = vreinterpretq_u32_u8(vqtbl2q_u8(table, vreinterpretq_u8_u32(at)));
        residual->v[i] = vreinterpretq_f32_u8(vqtbl2q_u8(lacks, vreinterpretq_u8_u32(at)));
        r.v[i] = vreinterpretq_f32_u32(vaddq_u32(root, vshlq_n_u32(bits, 20)));
    }
    return r;
}
FS_INLINE f64x8 f64x8_exponent_add(f64x8 a, f64x8 t)
{
    FS_EACH(f64x8, vreinterpretq_f64_u64(
                       vaddq_u64(vreinterpretq_u64_f64(a.v[i]), vshlq_n_u64(vreinterpretq_u64_f64(t.v[i]), 52))));
}

#undef FS_NEON_VECTOR
#undef FS_EACH

FS_INLINE double f64x8_sum(f64x8 a)
{
    float64x2_t s = vaddq_f64(vaddq_f64(a.v[0], a.v[2]), vaddq_f64(a.v[1], a.v[3]));
    return vgetq_lane_f64(s, 0) + vgetq_lane_f64(s, 1);
}
FS_INLINE f64x8 f64x8_fold(f64x8 a) { return a; }
FS_INLINE f64x8 f32x16_fold(f32x16 a) { return f64x8_add(f32x16_low(a), f32x16_high(a)); }
FS_INLINE void f64x8_sum_rows(const f64x8 *w, double *sum)
{
    for (int i = 0; i < 8; i++)
        sum[i] = f64x8_sum(w[i]);
}

#define FS_ROWS(vec, real, lanes)                                                                                    \
    FS_INLINE void vec##_max_rows(const vec *w, real *max)                                                           \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            max[i] = vec##_reduce_max(w[i]);                                                                         \
    }
FS_ROWS(f32x16, float, 16)
FS_ROWS(f64x8, double, 8)
#undef FS_ROWS

FS_INLINE f32x16 f32x16_load_f16(const uint16_t *p)
{
    f32x16 r;
    for (int i = 0; i < 4; i++)
        r.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
    return r;
}
FS_INLINE void f32x16_store_f16(uint16_t *p, f32x16 a)
{
    for (int i = 0; i < 4; i++)
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}

FS_INLINE unsigned f32x16_at_least(f32x16 a, f32x16 low)
{
    const uint32x4_t bit = {1, 2, 4, 8};
    unsigned lanes = 0;
    for (int i = 0; i < 4; i++)
        lanes |= vaddvq_u32(vandq_u32(vcgeq_f32(a.v[i], low.v[i]), bit)) << 4 * i;
    return lanes;
}
FS_INLINE unsigned f64x8_at_least(f64x8 a, f64x8 low)
{
    const uint64x2_t bit = {1, 2};
    unsigned lanes = 0;
    for (int i = 0; i < 4; i++)
        lanes |= (unsigned)vaddvq_u64(vandq_u64(vcgeq_f64(a.v[i], low.v[i]), bit)) << 2 * i;
    return lanes;
}
/* Four lanes of 32 bits packed; returns where the next go. */
FS_INLINE void *fs_pack_four(void *to, uint8x16_t a, unsigned chosen)
{
    vst1q_u8((uint8_t *)to, vqtbl1q_u8(a, vld1q_u8(fs_pack4[chosen & 15])));
    return (uint32_t *)to + fs_count_bits(chosen & 15);
}
FS_INLINE void f32x16_pack(float *to, f32x16 a, unsigned chosen)
{
    void *next = to;
    for (int i = 0; i < 4; i++)
        next = fs_pack_four(next, vreinterpretq_u8_f32(a.v[i]), chosen >> 4 * i);
}
FS_INLINE void f64x8_pack(double *to, f64x8 a, unsigned chosen)
{
    void *next = to;
    for (int i = 0; i < 4; i++) { /* two lanes of 64 bits are two pairs of 32 */
        unsigned pair = chosen >> 2 * i;
        next = fs_pack_four(next, vreinterpretq_u8_f64(a.v[i]), (pair & 1) * 3 | (pair >> 1 & 1) * 12);
    }
}
FS_INLINE void fs_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen, int count)
{
    void *next = to;
    for (int i = 0; i < count; i += 4) {
        uint32x4_t numbers = vaddq_u32(vld1q_u32(from + i), vdupq_n_u32(first));
        next = fs_pack_four(next, vreinterpretq_u8_u32(numbers), chosen >> i);
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

#endif

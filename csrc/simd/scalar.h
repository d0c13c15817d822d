/* The virtual vector in plain C: every operation below is a loop over lanes.
 *
 * This header defines what each operation means; the other files here map the same names onto one,
 * two or four registers and must return the same bits.  Two logical vectors exist:
 *   f32x16  16 lanes of float      f64x8  8 lanes of double
 * For CPUs without a vector unit that has fused multiply-add, and for checking the others.
 */
#ifndef FS_VEC_SCALAR_H
#define FS_VEC_SCALAR_H

#include "base/bits.h"

/* Vectors that go through the exponential at the same time. */
#define FS_IN_FLIGHT 1
/* Independent chains of maxima and minima. */
#define FS_STREAMS 1

typedef struct {
    float lane[16];
} f32x16;
typedef struct {
    double lane[8];
} f64x8;

#define FS_LANEWISE(vec, lanes, expression)                                                                          \
    vec r;                                                                                                           \
    for (int i = 0; i < (lanes); i++)                                                                                \
        r.lane[i] = (expression);                                                                                    \
    return r

/* A sum of integer weights, in whatever form; its total, when `count` of them have been added. */
typedef uint64_t fs_integers;
static inline fs_integers fs_no_integers(void) { return 0; }
static inline uint64_t fs_integers_total(fs_integers s, uint64_t count)
{
    (void)count;
    return s;
}

/* One definition serves both vectors. */
#define FS_SCALAR_VECTOR(vec, real, lanes, fused)                                                                    \
    static inline vec vec##_set1(real a) { FS_LANEWISE(vec, lanes, a); }                                             \
    static inline vec vec##_load(const real *p) { FS_LANEWISE(vec, lanes, p[i]); }                                   \
    static inline vec vec##_load_first(const real *p, size_t n, real fill)                                           \
    {                                                                                                                \
        FS_LANEWISE(vec, lanes, (size_t)i < n ? p[i] : fill);                                                        \
    }                                                                                                                \
    static inline void vec##_store(real *p, vec a)                                                                   \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            p[i] = a.lane[i];                                                                                        \
    }                                                                                                                \
    static inline void vec##_store_first(real *p, vec a, size_t n)                                                   \
    {                                                                                                                \
        for (size_t i = 0; i < n; i++)                                                                               \
            p[i] = a.lane[i];                                                                                        \
    }                                                                                                                \
    static inline vec vec##_add(vec a, vec b) { FS_LANEWISE(vec, lanes, a.lane[i] + b.lane[i]); }                    \
    static inline vec vec##_sub(vec a, vec b) { FS_LANEWISE(vec, lanes, a.lane[i] - b.lane[i]); }                    \
    static inline vec vec##_mul(vec a, vec b) { FS_LANEWISE(vec, lanes, a.lane[i] * b.lane[i]); }                    \
    /* a*b + c, rounded once */                                                                                      \
    static inline vec vec##_fma(vec a, vec b, vec c)                                                                 \
    {                                                                                                                \
        FS_LANEWISE(vec, lanes, fused(a.lane[i], b.lane[i], c.lane[i]));                                             \
    }                                                                                                                \
    /* The second operand wins where either is NaN. */                                                               \
    static inline vec vec##_max(vec a, vec b)                                                                        \
    {                                                                                                                \
        FS_LANEWISE(vec, lanes, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);                                      \
    }                                                                                                                \
    static inline vec vec##_min(vec a, vec b)                                                                        \
    {                                                                                                                \
        FS_LANEWISE(vec, lanes, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);                                      \
    }                                                                                                                \
    /* a where x > limit, else 0 */                                                                                  \
    static inline vec vec##_where_above(vec x, vec limit, vec a)                                                     \
    {                                                                                                                \
        FS_LANEWISE(vec, lanes, x.lane[i] > limit.lane[i] ? a.lane[i] : (real)0);                                    \
    }                                                                                                                \
    static inline real vec##_reduce_max(vec a)                                                                       \
    {                                                                                                                \
        real m = a.lane[0];                                                                                          \
        for (int i = 1; i < (lanes); i++)                                                                            \
            m = a.lane[i] > m ? a.lane[i] : m;                                                                       \
        return m;                                                                                                    \
    }                                                                                                                \
    static inline real vec##_reduce_min(vec a)                                                                       \
    {                                                                                                                \
        real m = a.lane[0];                                                                                          \
        for (int i = 1; i < (lanes); i++)                                                                            \
            m = a.lane[i] < m ? a.lane[i] : m;                                                                       \
        return m;                                                                                                    \
    }                                                                                                                \
    /* The maximum of each of as many rows as there are lanes. */                                                    \
    static inline void vec##_max_rows(const vec *w, real *max)                                                       \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            max[i] = vec##_reduce_max(w[i]);                                                                         \
    }                                                                                                                \
    /* Bit i: lane i is at least that of low; no NaN is. */                                                          \
    static inline unsigned vec##_at_least(vec a, vec low)                                                            \
    {                                                                                                                \
        unsigned lanes_at_least = 0;                                                                                 \
        for (int i = 0; i < (lanes); i++)                                                                            \
            lanes_at_least |= (unsigned)(a.lane[i] >= low.lane[i]) << i;                                             \
        return lanes_at_least;                                                                                       \
    }                                                                                                                \
    /* The chosen lanes, one after another.  Up to a whole vector is written. */                                     \
    static inline void vec##_pack(real *to, vec a, unsigned chosen)                                                  \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            if (chosen >> i & 1)                                                                                     \
                *to++ = a.lane[i];                                                                                   \
    }                                                                                                                \
    /* The same for `lanes` numbers, plus `first`. */                                                                \
    static inline void vec##_pack_numbers(uint32_t *to, const uint32_t *from, uint32_t first, unsigned chosen)       \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            if (chosen >> i & 1)                                                                                     \
                *to++ = from[i] + first;                                                                             \
    }                                                                                                                \
    /* to[j][i] = from[i][j]: a block of at most 8 x 8 (float) or 4 x 4 (double); the steps from row to row are in bytes. */  \
    static inline void vec##_transpose(const real *from, ptrdiff_t from_step, real *to, ptrdiff_t to_step, size_t rows, \
                                       size_t columns)                                                               \
    {                                                                                                                \
        for (size_t i = 0; i < rows; i++)                                                                            \
            for (size_t j = 0; j < columns; j++)                                                                     \
                *(real *)(void *)((char *)to + (ptrdiff_t)j * to_step + i * sizeof(real)) =                          \
                    *(const real *)(const void *)((const char *)from + (ptrdiff_t)i * from_step + j * sizeof(real)); \
    }                                                                                                                \
    static inline int vec##_any_nan(vec a)                                                                           \
    {                                                                                                                \
        int any = 0;                                                                                                 \
        for (int i = 0; i < (lanes); i++)                                                                            \
            any |= a.lane[i] != a.lane[i];                                                                           \
        return any;                                                                                                  \
    }                                                                                                                \
    /* s and the integer weights of w (see fs_integer_weight) */                                                     \
    static inline fs_integers vec##_add_integers(fs_integers s, vec w)                                               \
    {                                                                                                                \
        for (int i = 0; i < (lanes); i++)                                                                            \
            s += fs_integer_weight(w.lane[i]);                                                                       \
        return s;                                                                                                    \
    }                                                                                                                \
    /* How many of the running sums of the integer weights of w[0 .. 4 vectors) are <= t. */                         \
    static inline size_t vec##_integer_rank4(const real *w, uint64_t t)                                              \
    {                                                                                                                \
        uint64_t cumulative = 0;                                                                                     \
        size_t rank = 0;                                                                                             \
        for (int i = 0; i < 4 * (lanes); i++) {                                                                      \
            cumulative += fs_integer_weight(w[i]);                                                                   \
            rank += cumulative <= t;                                                                                 \
        }                                                                                                            \
        return rank;                                                                                                 \
    }                                                                                                                \
    /* The same for 1 to 4 vectors and t = floor(u * their total). */                                                \
    static inline size_t vec##_draw(const vec *w, int count, double u)                                               \
    {                                                                                                                \
        uint64_t cumulative[4 * (lanes)], sum = 0, t;                                                                \
        size_t rank = 0;                                                                                             \
        for (int i = 0; i < count * (lanes); i++)                                                                    \
            cumulative[i] = sum += fs_integer_weight(w[i / (lanes)].lane[i % (lanes)]);                              \
        t = fs_scale_uniform(u, sum).high;                                                                                \
        for (int i = 0; i < count * (lanes); i++)                                                                    \
            rank += cumulative[i] <= t;                                                                              \
        return rank;                                                                                                 \
    }

FS_SCALAR_VECTOR(f32x16, float, 16, fs_fmaf)
FS_SCALAR_VECTOR(f64x8, double, 8, fma)

#undef FS_SCALAR_VECTOR

/* a * 2^k for t = magic + k: k is shifted from the low bits of t into the exponent of a. */
static inline f64x8 f64x8_exponent_add(f64x8 a, f64x8 t)
{
    f64x8 r;
    for (int i = 0; i < 8; i++)
        r.lane[i] = fs_f64_of(fs_bits_f64(a.lane[i]) + (fs_bits_f64(t.lane[i]) << 52));
    return r;
}

/* 2^n for t = magic + n, n in eighths: the integer part of n goes to the exponent, the fraction picks from the
 * tables.  *lack is what relative error the rounding of the table left. */
static inline f32x16 f32x16_exp2_eighths(f32x16 t, f32x16 *residual)
{
    f32x16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits = fs_bits_f32(t.lane[i]);
        r.lane[i] = fs_f32_of(fs_eighths[bits & 7] + (bits << 20));
        residual->lane[i] = fs_eighths_residual[bits & 7];
    }
    return r;
}

/* Lanes i and i + 8, added in double. */
static inline f64x8 f32x16_fold(f32x16 a)
{
    f64x8 r;
    for (int i = 0; i < 8; i++)
        r.lane[i] = (double)a.lane[i] + (double)a.lane[i + 8];
    return r;
}

static inline f64x8 f64x8_fold(f64x8 a) { return a; }

/* Lanes 8 h to 8 h + 7 in double. */
static inline f64x8 f32x16_half(f32x16 a, int h)
{
    f64x8 r;
    for (int i = 0; i < 8; i++)
        r.lane[i] = (double)a.lane[8 * h + i];
    return r;
}
static inline f64x8 f64x8_half(f64x8 a, int h)
{
    (void)h;
    return a;
}

/* Eight integers below 2^62: running sums of integer weights (fs_integer_weight), one row in each lane. */
typedef struct {
    uint64_t lane[8];
} u64x8;
static inline u64x8 u64x8_load(const uint64_t *p)
{
    u64x8 r;
    memcpy(&r, p, sizeof r);
    return r;
}
static inline void u64x8_store(uint64_t *p, u64x8 a) { memcpy(p, &a, sizeof a); }
/* a, a + 1, …, a + 7 */
static inline u64x8 u64x8_count_from(uint64_t a) { FS_LANEWISE(u64x8, 8, a + (uint64_t)i); }
static inline u64x8 u64x8_set1(uint64_t a) { FS_LANEWISE(u64x8, 8, a); }
/* The products of the low halves. */
static inline u64x8 u64x8_multiply_low(u64x8 a, u64x8 b)
{
    FS_LANEWISE(u64x8, 8, (a.lane[i] & UINT32_MAX) * (b.lane[i] & UINT32_MAX));
}
/* The high halves of a, exclusive or b and c. */
static inline u64x8 u64x8_xor_high(u64x8 a, u64x8 b, u64x8 c)
{
    FS_LANEWISE(u64x8, 8, a.lane[i] >> 32 ^ b.lane[i] ^ c.lane[i]);
}
/* to[4 i + j]: the low half of lane i of vector j. */
static inline void u64x8_store_low4(uint32_t *to, u64x8 a, u64x8 b, u64x8 c, u64x8 d)
{
    for (int i = 0; i < 8; i++) {
        to[4 * i] = (uint32_t)a.lane[i];
        to[4 * i + 1] = (uint32_t)b.lane[i];
        to[4 * i + 2] = (uint32_t)c.lane[i];
        to[4 * i + 3] = (uint32_t)d.lane[i];
    }
}
static inline u64x8 u64x8_add_weights(u64x8 s, f64x8 w)
{
    for (int i = 0; i < 8; i++)
        s.lane[i] += fs_integer_weight(w.lane[i]);
    return s;
}
/* count, plus 1 in the lanes where s <= limit */
static inline u64x8 u64x8_count_at_most(u64x8 count, u64x8 s, u64x8 limit)
{
    for (int i = 0; i < 8; i++)
        count.lane[i] += s.lane[i] <= limit.lane[i];
    return count;
}

#undef FS_LANEWISE

/* Sixteen draws from a guide table (draw/guide_table.h), with the words x and their cells: index[i] = (cell >> shift), plus 1 where
 * the place of x, its low `shift` bits, is above that of the cell.  Bit i: it is left open, as the place of the cell is 0, that of x or
 * the one before that of x.  shift is below 32. */
static inline unsigned fs_cells16(const uint32_t *x, const uint32_t *cell, int shift, int64_t *index)
{
    const uint32_t mask = (UINT32_C(1) << shift) - 1;
    unsigned open = 0;
    for (int i = 0; i < 16; i++) {
        const uint32_t place = x[i] & mask, bound = cell[i] & mask;
        index[i] = (int64_t)((cell[i] >> shift) + (place > bound));
        open |= (unsigned)(place - bound < 2 || bound == 0) << i;
    }
    return open;
}

/* Lanes i and i + 4, then i and i + 2, then i and i + 1, added. */
static inline double f64x8_sum(f64x8 a)
{
    for (int half = 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a.lane[i] += a.lane[i + half];
    return a.lane[0];
}
static inline void f64x8_sum_rows(const f64x8 *w, double *sum)
{
    for (int i = 0; i < 8; i++)
        sum[i] = f64x8_sum(w[i]);
}

static inline f32x16 f32x16_load_f16(const uint16_t *p)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.lane[i] = fs_f32_from_f16(p[i]);
    return r;
}

static inline void f32x16_store_f16(uint16_t *p, f32x16 a)
{
    for (int i = 0; i < 16; i++)
        p[i] = fs_f16_from_f32(a.lane[i]);
}

#endif

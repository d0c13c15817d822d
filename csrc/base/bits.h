/* Bit patterns, exact conversions and 128-bit products.  No algorithm, and nothing that depends on an instruction set. */
#ifndef FS_BITS_H
#define FS_BITS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/platform.h"

static inline uint32_t fs_bits_f32(float a)
{
    uint32_t u;
    memcpy(&u, &a, sizeof u);
    return u;
}

static inline float fs_f32_of(uint32_t u)
{
    float a;
    memcpy(&a, &u, sizeof a);
    return a;
}

static inline uint64_t fs_bits_f64(double a)
{
    uint64_t u;
    memcpy(&u, &a, sizeof u);
    return u;
}

static inline double fs_f64_of(uint64_t u)
{
    double a;
    memcpy(&a, &u, sizeof a);
    return a;
}

/* Bits of float 2^(j/8), less j << 20, and the relative error 2^(j/8) / float - 1 of each (softmax/exp2.h, from
 * tools/exp2_coefficients.py).  Twice over, for permutations that look at four bits of the index. */
static const uint32_t fs_eighths[16] = {
    0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
    0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7,
};
static const float fs_eighths_residual[16] = {
    0x0p+0f,          -0x1.9c0c22p-27f, 0x1.125002p-25f,  -0x1.0a355p-25f,  0x1.26055cp-26f, 0x1.67a1cap-28f,
    -0x1.f9c304p-27f, -0x1.a5217cp-28f, 0x0p+0f,          -0x1.9c0c22p-27f, 0x1.125002p-25f, -0x1.0a355p-25f,
    0x1.26055cp-26f,  0x1.67a1cap-28f,  -0x1.f9c304p-27f, -0x1.a5217cp-28f,
};

/* The number of ones. */
static inline unsigned fs_count_bits(unsigned a)
{
#ifdef FS_MSVC
    unsigned count = 0;
    for (; a; a &= a - 1)
        count++;
    return count;
#else
    return (unsigned)__builtin_popcount(a);
#endif
}

/* The place of the lowest bit; a is not 0. */
static inline unsigned fs_lowest_place(uint64_t a)
{
#ifdef FS_MSVC
    unsigned place = 0;
    for (; !(a & 1); a >>= 1)
        place++;
    return place;
#else
    return (unsigned)__builtin_ctzll(a);
#endif
}

/* The lowest `keep` ones of a. */
static inline unsigned fs_lowest_bits(unsigned a, size_t keep)
{
    unsigned kept = 0;
    for (; a && keep; keep--) {
        kept |= a & (0 - a);
        a &= a - 1;
    }
    return kept;
}

/* For each of the 16 choices of four 32-bit lanes: where the bytes of the chosen lanes
 * come from, in order; the bytes after them do not matter. */
#define FS_LANE4(i) 4 * (i), 4 * (i) + 1, 4 * (i) + 2, 4 * (i) + 3
static const uint8_t fs_pack4[16][16] = {
    {0},
    {FS_LANE4(0)},
    {FS_LANE4(1)},
    {FS_LANE4(0), FS_LANE4(1)},
    {FS_LANE4(2)},
    {FS_LANE4(0), FS_LANE4(2)},
    {FS_LANE4(1), FS_LANE4(2)},
    {FS_LANE4(0), FS_LANE4(1), FS_LANE4(2)},
    {FS_LANE4(3)},
    {FS_LANE4(0), FS_LANE4(3)},
    {FS_LANE4(1), FS_LANE4(3)},
    {FS_LANE4(0), FS_LANE4(1), FS_LANE4(3)},
    {FS_LANE4(2), FS_LANE4(3)},
    {FS_LANE4(0), FS_LANE4(2), FS_LANE4(3)},
    {FS_LANE4(1), FS_LANE4(2), FS_LANE4(3)},
    {FS_LANE4(0), FS_LANE4(1), FS_LANE4(2), FS_LANE4(3)},
};
static const uint32_t fs_first_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Doubles in their order as integers, and back. */
static inline int64_t fs_place(double a)
{
    uint64_t bits = fs_bits_f64(a), magnitude = bits & INT64_MAX;
    return bits == magnitude ? (int64_t)magnitude : -(int64_t)magnitude;
}
static inline double fs_at_place(int64_t place)
{
    return place >= 0 ? fs_f64_of((uint64_t)place) : -fs_f64_of((uint64_t)-place);
}

/* 2^k for -1022 <= k <= 1023 */
static inline double fs_pow2(int k) { return fs_f64_of((uint64_t)(k + 1023) << 52); }

/* A weight in [0, sqrt 2] as an integer: round-half-even of w * 2^51.  The sum 2^52 + w * 2^51 has an ulp of 1,
 * so its mantissa is the integer.  1,024 of them stay below 2^62. */
static inline uint64_t fs_integer_weight(double w)
{
    return fs_bits_f64(fma(w, 0x1p51, 0x1p52)) - UINT64_C(0x4330000000000000);
}

/* A double as a float rounded to odd: rounded once more, to 16 bits, it equals the double rounded once. */
static inline float fs_f32_to_odd(double a)
{
    float narrow = (float)a;
    uint32_t bits = fs_bits_f32(narrow);
    if (a == a && (double)narrow != a && !(bits & 1))
        bits += fabs((double)narrow) < fabs(a) ? 1 : (uint32_t)-1;
    return fs_f32_of(bits);
}

/* a b + c, rounded once.  fmaf is used where it is an instruction.  Elsewhere it is slow, and in some C libraries (musl's, which
 * is also WebAssembly's) a subnormal result is rounded twice.  The product is exact in double; the sum, rounded to odd, has
 * more than two bits to spare, so it rounds as the exact one does (Boldo and Melquiond, "Emulation of FMA and correctly
 * rounded sums: proved algorithms using rounding to odd", 2008). */
static inline float fs_fmaf(float a, float b, float c)
{
#ifdef __FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    const double product = (double)a * (double)b, sum = product + (double)c, back = sum - product;
    const double error = (product - (sum - back)) + ((double)c - back); /* NaN where the sum is not finite */
    const uint64_t above = error > 0.0, below = error < 0.0, toward_zero = sum < 0.0 ? above : below;
    return (float)fs_f64_of((fs_bits_f64(sum) - toward_zero) | above | below);
#endif
}

/* IEEE binary16 to binary32: exact.  A subnormal h is h * 2^-24. */
static inline float fs_f32_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
    if (exponent == 31)
        return fs_f32_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0)
        return fs_f32_of(sign | fs_bits_f32((float)mantissa * 0x1p-24f));
    return fs_f32_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* binary32 to binary16, round half to even. */
static inline uint16_t fs_f16_from_f32(float a)
{
    uint32_t u = fs_bits_f32(a), magnitude = u & 0x7fffffff, sign = (u >> 16) & 0x8000;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) /* below 2^-14: adding 0.5 gives an ulp of 2^-24, the subnormal unit */
        return (uint16_t)(sign | (fs_bits_f32(fs_f32_of(magnitude) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

static inline float fs_f32_from_bf16(uint16_t h) { return fs_f32_of((uint32_t)h << 16); }

/* binary32 to bfloat16, round half to even. */
static inline uint16_t fs_bf16_from_f32(float a)
{
    uint32_t u = fs_bits_f32(a);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* The 128-bit product of two 64-bit integers. */
typedef struct {
    uint64_t high, low;
} fs_u128;

static inline fs_u128 fs_multiply(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide p = (wide)a * b;
    fs_u128 r = {(uint64_t)(p >> 64), (uint64_t)p};
#else
    uint64_t ah = a >> 32, al = a & 0xffffffff, bh = b >> 32, bl = b & 0xffffffff;
    uint64_t low = al * bl, mid = ah * bl + (low >> 32), mid2 = al * bh + (mid & 0xffffffff);
    fs_u128 r = {ah * bh + (mid >> 32) + (mid2 >> 32), mid2 << 32 | (low & 0xffffffff)};
#endif
    return r;
}

/* floor(p / d), for p.high < d. */
static inline uint64_t fs_divide(fs_u128 p, uint64_t d)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)p.high << 64 | p.low) / d);
#else
    uint64_t rest = p.high, quotient = 0;
    for (int bit = 63; bit >= 0; bit--) { /* rest < d: shifted, it may carry into a 65th bit */
        uint64_t carry = rest >> 63;
        rest = rest << 1 | ((p.low >> bit) & 1);
        quotient <<= 1;
        if (carry || rest >= d) {
            rest -= d;
            quotient |= 1;
        }
    }
    return quotient;
#endif
}

/* u * total for any double 0 <= u < 1 and total < 2^63: the integer part and 64 bits of fraction. */
static inline fs_u128 fs_scale_uniform(double u, uint64_t total)
{
    if (u >= 0x1p-11) /* then u is a multiple of 2^-64 */
        return fs_multiply((uint64_t)(int64_t)(u * 0x1p63) << 1, total);
    uint64_t bits = fs_bits_f64(u), mantissa = bits & UINT64_C(0xfffffffffffff);
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent)
        mantissa |= UINT64_C(1) << 52;
    else
        exponent = 1;
    int down = 1011 - exponent; /* u = mantissa * 2^-64 * 2^-down, down >= 0 */
    fs_u128 p = fs_multiply(mantissa, total);
    if (down == 0)
        return p;
    fs_u128 shifted = {down < 64 ? p.high >> down : 0, down < 64    ? p.low >> down | p.high << (64 - down)
                                                       : down < 128 ? p.high >> (down - 64)
                                                                    : 0};
    return shifted;
}

/* floor((t + fraction / 2^64) * to / from) for t.high < from: a place among `from` as a place among `to`.
 * 0 for from = 0, which happens only if another thread changes the row during the call. */
static inline uint64_t fs_rescale(fs_u128 t, uint64_t from, uint64_t to)
{
    if (FS_UNLIKELY(from == 0))
        return 0;
    fs_u128 product = fs_multiply(t.high, to);
    uint64_t low = product.low + fs_multiply(t.low, to).high;
    product.high += low < product.low;
    product.low = low;
    return fs_divide(product, from);
}

/* `part` of an integer mass, rounded up: an integer is below the exact part if and only if it is below this.
 * All of it for NaN, which a part is only if another thread changes the row during the call. */
static inline uint64_t fs_part_of_mass(double part, uint64_t mass)
{
    if (!(part < 1.0))
        return mass;
    fs_u128 exact = fs_scale_uniform(part, mass);
    return exact.high + (exact.low != 0);
}

#endif

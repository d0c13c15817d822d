/* The temperature as the kernels use it, and the scalar elementary functions around the blocks.
 * In double only, the same for every element type; no libm function but fma. */
#ifndef FS_SCALE_H
#define FS_SCALE_H

#include "base/bits.h"

/* log2(e) as an unevaluated sum of two doubles, and ln 2 */
#define FS_LOG2E_HIGH 0x1.71547652b82fep+0
#define FS_LOG2E_LOW 0x1.777d0ffda0d24p-56
#define FS_LN2_HIGH 0x1.62e42fefa39efp-1

/* c = log2(e) / temperature = high + low, so that exp(x / temperature) = 2^(c x) */
typedef struct {
    double high, low, temperature;
} fs_scale;

static inline fs_scale fs_scale_of(double temperature)
{
    double high = FS_LOG2E_HIGH / temperature;
    double rest = fma(-high, temperature, FS_LOG2E_HIGH) + FS_LOG2E_LOW;
    fs_scale s = {high, rest / temperature, temperature};
    return s;
}

/* 2^f = 1 + f (...) on [-1/2, 1/2], highest degree first; relative error of the polynomial 2^-57.7
 * (tools/exp2_coefficients.py) */
enum { FS_EXP2_TERMS = 12 };
static const double fs_exp2_term[FS_EXP2_TERMS] = {
    0x1.e80dcdee0c196p-32, 0x1.e611a937e7293p-28, 0x1.b5260ea88dea7p-24, 0x1.62bfcdda2a00bp-20,
    0x1.ffcbfbf81b3ecp-17, 0x1.4309130c01ffap-13, 0x1.5d87fe78b3e70p-10, 0x1.3b2ab6fba11f7p-7,
    0x1.c6b08d704a0d3p-5,  0x1.ebfbdff82c59cp-3,  0x1.62e42fefa39efp-1,  1.0,
};

/* 2^(c d + k + lift) for c d + k <= 1; error below 1 ulp.  Exactly 2^(k + lift) for d = 0.  `lift` keeps a small factor from
 * being subnormal: what comes of it is multiplied by 2^-lift at the end, and rounded once. */
static inline double fs_exp2_lifted(const fs_scale *c, double d, double k, int lift)
{
    double z = fma(d, c->high, k);
    if (!(z > -1080.0 - lift))
        return 0.0;
    double n = (z + 0x1.8p52) - 0x1.8p52;
    if (d == 0.0 && n + lift > -1022.0) /* the usual case, with the same result as below */
        return fs_pow2((int)n + lift);
    double f = fma(d, c->low, fma(d, c->high, k - n));
    double p = fs_exp2_term[0];
    for (int i = 1; i < FS_EXP2_TERMS; i++)
        p = fma(p, f, fs_exp2_term[i]);
    int e = (int)n + lift, half = e / 2;
    return p * fs_pow2(half) * fs_pow2(e - half);
}

static inline double fs_exp2(const fs_scale *c, double d, double k) { return fs_exp2_lifted(c, d, k, 0); }

/* e^a for a <= 0 */
static inline double fs_exp(double a)
{
    fs_scale c = fs_scale_of(1.0);
    return fs_exp2(&c, a, 0.0);
}

/* 1 / a as an unevaluated sum */
typedef struct {
    double high, low;
} fs_reciprocal;

static inline fs_reciprocal fs_reciprocal_of(double a)
{
    fs_reciprocal r;
    r.high = 1.0 / a;
    r.low = fma(-r.high, a, 1.0) * r.high;
    return r;
}

/* A sum with its rounding errors carried along: *total + *error grows by `term`. */
static inline void fs_add_to(double *total, double *error, double term)
{
    const double sum = *total + term, back = sum - *total;
    *error += (*total - (sum - back)) + (term - back);
    *total = sum;
}

/* The exponent e of a finite a > 0: a = m * 2^e with 1/2 <= m < 1. */
static inline int fs_exponent(double a)
{
    int lift = 0;
    if (a < 0x1p-1022) {
        a *= 0x1p54;
        lift = 54;
    }
    return (int)(fs_bits_f64(a) >> 52 & 0x7ff) - 1022 - lift;
}

/* log(1 + f) + k ln 2 for -0.3 < f < 0.42, below 1 ulp, with its relative accuracy near 0.
 * With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - h + s (h + R(s^2)), h = f^2 / 2, where
 * R(z) = 2 z (1/3 + z/5 + z^2/7 + ...), cut where s^2 <= 0.0312 leaves less than 2^-58. */
static inline double fs_log1p_part(double f, double k)
{
    double s = f / (2.0 + f), z = s * s, h = 0.5 * f * f;
    double r = 2.0 / 23;
    r = fma(r, z, 2.0 / 21);
    r = fma(r, z, 2.0 / 19);
    r = fma(r, z, 2.0 / 17);
    r = fma(r, z, 2.0 / 15);
    r = fma(r, z, 2.0 / 13);
    r = fma(r, z, 2.0 / 11);
    r = fma(r, z, 2.0 / 9);
    r = fma(r, z, 2.0 / 7);
    r = fma(r, z, 2.0 / 5);
    r = fma(r, z, 2.0 / 3);
    /* k ln 2 with the high part cut to 33 bits, so that the product is exact */
    const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    return fma(k, ln2_high, f - (h - fma(s, fma(z, r, h), k * ln2_low)));
}

/* All ones if a < limit, else 0, for a >= 0 and limit >= 0; and a choice by that.  In integers: compilers make vector code of
 * them, and not of a comparison of floating-point numbers that might trap. */
static inline uint64_t fs_below(double a, double limit)
{
    return 0 - (uint64_t)((int64_t)fs_bits_f64(a) < (int64_t)fs_bits_f64(limit));
}
static inline double fs_select(uint64_t ones, double yes, double no)
{
    return fs_f64_of((fs_bits_f64(yes) & ones) | (fs_bits_f64(no) & ~ones));
}

/* A normal a > 0 as m * 2^k with sqrt(1/2) <= m < sqrt(2): the bits of sqrt(1/2) are subtracted, the bias of k put on top. */
static inline double fs_mantissa(double a, double *exponent)
{
    const uint64_t root = UINT64_C(0x3fe6a09e667f3bcd), bias = UINT64_C(1023) << 52;
    uint64_t u = fs_bits_f64(a), k = (u - root + bias) >> 52;
    *exponent = fs_f64_of(k | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023.0);
    return fs_f64_of(u - ((k << 52) - bias));
}

/* log(a): -inf at 0, NaN below 0 and at NaN.  Without branches, so that a loop over it becomes vector code. */
static inline double fs_log(double a)
{
    const double inf = fs_f64_of(UINT64_C(0x7ff0000000000000)), nan = fs_f64_of(UINT64_C(0x7ff8000000000000));
    double lift = a < 0x1p-1022 ? 0x1p54 : 1.0, lifted = a < 0x1p-1022 ? 54.0 : 0.0;
    double exponent, m = fs_mantissa(a * lift, &exponent);
    double y = fs_log1p_part(m - 1.0, exponent - lifted);
    double beyond = a == 0.0 ? -inf : a > 0.0 ? inf : nan;
    return a > 0.0 && a < inf ? y : beyond;
}

/* log(1 + a) for a >= 0 */
#define FS_LOG1P_SMALL 0.4
static inline double fs_log1p(double a) { return a < FS_LOG1P_SMALL ? fs_log1p_part(a, 0.0) : fs_log(1.0 + a); }

#endif

/* What the functions by plain pointers and numbers accept.  Doubles are compared by their bits: a comparison of doubles
 * would depend on the caller's floating-point environment, and could trap there. */
#ifndef FS_ARGUMENTS_H
#define FS_ARGUMENTS_H

#include "base/bits.h"
#include "fastsoftmax.h"

/* 0 <= x < past, or x <= most: the bits of doubles that are not negative are in the order of their values, those of NaN
 * beyond infinity; -0 is 0. */
static inline int fs_is_below(double x, double past)
{
    return fs_bits_f64(x) < fs_bits_f64(past) || fs_bits_f64(x) == fs_bits_f64(-0.0);
}

static inline int fs_is_at_most(double x, double most)
{
    return fs_bits_f64(x) <= fs_bits_f64(most) || fs_bits_f64(x) == fs_bits_f64(-0.0);
}

static inline int fs_is_usable(size_t n, double temperature) { return n > 0 && fs_is_at_most(temperature, INFINITY); }
static inline int fs_is_uniform(double u) { return fs_is_below(u, 1.0); }
static inline int fs_is_share(double p) { return fs_is_at_most(p, 1.0); }
static inline int fs_is_finite(double x) { return fs_is_below(x, INFINITY); }
static inline int fs_is_positive(double x) { return fs_is_finite(x) && fs_bits_f64(x) << 1 != 0; }

static inline int fs_are_uniforms(const double *u, size_t count)
{
    uint64_t outside = 0;
    for (size_t i = 0; i < count; i++) { /* as signed numbers: a loop of vector code */
        uint64_t bits = fs_bits_f64(u[i]);
        outside |= bits | ~(bits - fs_bits_f64(1.0));
    }
    if (outside >> 63 == 0)
        return 1;
    for (size_t i = 0; i < count; i++) /* it may have been -0 */
        if (!fs_is_uniform(u[i]))
            return 0;
    return 1;
}

/* Steps of the filters, each once. */
static inline int fs_is_order(int64_t order)
{
    unsigned seen = 1;
    for (uint64_t rest = (uint64_t)order; rest; rest >>= 4) {
        unsigned step = (unsigned)(rest & 15), bit = 1u << step;
        if (step > FS_TEMPERATURE || seen & bit)
            return 0;
        seen |= bit;
    }
    return 1;
}

static inline int fs_are_filters(const fs_filters *f)
{
    return f->top_k >= 0 && fs_is_share(f->top_p) && fs_is_share(f->min_p) && fs_is_share(f->top_a) &&
           fs_is_share(f->typical_p) && fs_is_share(f->top_h) && fs_is_order(f->order) &&
           fs_is_finite(f->top_n_sigma) && fs_is_share(f->epsilon_cutoff) && fs_is_share(f->eta_cutoff) &&
           fs_is_share(f->xtc_threshold) && fs_is_share(f->xtc_probability) &&
           fs_bits_f64(f->surprise) << 1 <= fs_bits_f64(INFINITY) << 1 && fs_is_finite(f->dynatemp_range) &&
           fs_is_positive(f->dynatemp_exponent) && f->min_tokens_to_keep >= 1 && fs_is_finite(f->smoothing_factor) &&
           fs_is_finite(f->smoothing_curve) && f->smoothing_curve >= 1.0;
}

#endif

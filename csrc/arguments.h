/* What the entry points by plain pointers and numbers accept. */
#ifndef FS_ARGUMENTS_H
#define FS_ARGUMENTS_H

#include "bits.h"
#include "fastsoftmax.h"

/* NaN fails every comparison here. */
static inline int fs_is_usable(size_t n, double temperature) { return n > 0 && temperature >= 0.0; }
static inline int fs_is_uniform(double u) { return u >= 0.0 && u < 1.0; }
static inline int fs_is_share(double p) { return p >= 0.0 && p <= 1.0; }
static inline int fs_is_finite(double x) { return x >= 0.0 && x < INFINITY; }

static inline int fs_are_uniforms(const double *u, size_t count)
{
    /* The bits of what is in [0, 1) are below those of 1, as a signed number and not negative: a loop of vector code. */
    uint64_t outside = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = fs_bits_f64(u[i]);
        outside |= bits | ~(bits - fs_bits_f64(1.0));
    }
    if (outside >> 63 == 0)
        return 1;
    for (size_t i = 0; i < count; i++) /* -0 is 0 */
        if (!fs_is_uniform(u[i]))
            return 0;
    return 1;
}

static inline int fs_are_filters(const fs_filters *f)
{
    return f->top_k >= 0 && fs_is_share(f->top_p) && fs_is_share(f->min_p) && fs_is_share(f->typical_p) &&
           fs_is_finite(f->top_n_sigma) && fs_is_share(f->epsilon_cutoff) && fs_is_share(f->eta_cutoff) &&
           fs_is_share(f->xtc_threshold) && fs_is_share(f->xtc_probability) && f->surprise == f->surprise &&
           fs_is_finite(f->dynatemp_range) && fs_is_finite(f->dynatemp_exponent) && f->dynatemp_exponent > 0.0 &&
           f->min_tokens_to_keep >= 1;
}

#endif

/* The candidates of a draw: the entries of a row that the filters keep, as a row of their own; the dynamic temperature. */
#ifndef FS_CANDIDATES_H
#define FS_CANDIDATES_H

#include "row/reader.h"

/* The smoothing of a row with this maximum, at this temperature; factor 0: none. */
typedef struct {
    double max, temperature, factor, curve;
} fs_smoothing;

/* What takes the place of x / T: 0 for the maximum and what is above it (an entry that was dropped, and kept all the same).
 * Finite stays finite: limits that are far beyond any weight but 0 keep the products from inf * 0. */
static inline double fs_smoothed(const fs_smoothing *s, double x)
{
    const double most = 0x1p400;
    double d = (s->max - x) / s->temperature;
    d = d > 0.0 ? d : 0.0;
    d = d < most ? d : most;
    double y = 0.0 - s->factor * d * d * (0.5 * (3.0 - s->curve) + 0.5 * (s->curve - 1.0) * d);
    y = y > -most ? y : -most;
    return y < most ? y : most;
}

/* A row to be drawn from at `temperature`, and the indices of its entries in the row it comes from. */
typedef struct {
    fs_row row;
    size_t count;
    const uint32_t *index; /* NULL: it is the whole row */
    double temperature, divisor; /* the second is the temperature that was asked for, before row/limits.h */
    int limit; /* the values are those of row/limits.h, not the logits */
    fs_smoothing smoothing; /* which they have had, if any */
} fs_candidates;

static fs_candidates fs_all_candidates(const fs_row *row, size_t n, double temperature)
{
    fs_candidates candidates = {*row, n, NULL, temperature, temperature, 0, {0.0, 1.0, 0.0, 1.0}};
    return candidates;
}

/* A row of values (`probs`: of weights) for the entries at `index`. */
static fs_candidates fs_candidates_of(const void *value, fs_dtype dtype, int probs, size_t count,
                                      const uint32_t *index)
{
    fs_candidates candidates = {{0}, count, index, 1.0, 0.0, 0, {0.0, 1.0, 0.0, 1.0}};
    candidates.row.data = value;
    candidates.row.dtype = dtype;
    candidates.row.stride = dtype == FS_F32 ? (ptrdiff_t)sizeof(float) : (ptrdiff_t)sizeof(double);
    candidates.row.probs = probs;
    return candidates;
}

/* The steps in the order of fs_step, without the temperature, which comes before or after all of them. */
#define FS_DEFAULT_ORDER UINT64_C(0xba987654321)

/* Whether a filter may drop entries, or smoothing change them. */
static inline int fs_has_filter(const fs_filters *f, size_t n, double coin)
{
    return (f->top_k > 0 && (uint64_t)f->top_k < n) || f->top_p < 1.0 || f->min_p > 0.0 || f->top_a > 0.0 ||
           f->p_less || f->typical_p < 1.0 || f->top_h < 1.0 || f->top_n_sigma > 0.0 || f->epsilon_cutoff > 0.0 ||
           f->eta_cutoff > 0.0 || (f->xtc_threshold <= 0.5 && coin < f->xtc_probability) || f->surprise < INFINITY ||
           f->smoothing_factor > 0.0;
}

/* The steps in their order.  Smoothing follows the temperature, which then has a place among them. */
static inline uint64_t fs_steps(const fs_filters *f)
{
    uint64_t steps = f->order ? (uint64_t)f->order : FS_DEFAULT_ORDER;
    int end = 0;
    if (!(f->smoothing_factor > 0.0))
        return steps;
    for (; steps >> end; end += 4)
        if ((steps >> end & 15) == FS_TEMPERATURE)
            return steps;
    return f->temperature_last ? steps | (uint64_t)FS_TEMPERATURE << end : steps << 4 | FS_TEMPERATURE;
}

/* Whether the temperature has a place among the filters. */
static inline int fs_has_temperature_within(const fs_filters *f)
{
    for (uint64_t rest = (uint64_t)f->order; rest; rest >>= 4)
        if ((rest & 15) == FS_TEMPERATURE)
            return 1;
    return f->smoothing_factor > 0.0;
}

/* The dynamic temperature for a distribution of this entropy over `there` entries: T - range to T + range. */
static inline double fs_between_temperatures(double temperature, const fs_filters *f, double entropy, double there)
{
    double low = temperature - f->dynatemp_range, high = temperature + f->dynatemp_range, scale = 1.0;
    if (there < 2.0 || temperature == INFINITY)
        return temperature;
    double part = entropy > 0.0 ? entropy / fs_log(there) : 0.0;
    part = part < 1.0 ? part : 1.0;
    low = low > 0.0 ? low : 0.0;
    if (f->dynatemp_exponent != 1.0 && part > 0.0)
        part = fs_exp(f->dynatemp_exponent * fs_log(part));
    if (high == INFINITY) { /* beyond the doubles: of halves */
        high = 0.5 * temperature + 0.5 * f->dynatemp_range;
        low *= 0.5;
        scale = 2.0;
    }
    return scale * fma(high - low, part, low);
}

#endif

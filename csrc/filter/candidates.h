/* The candidates of a draw: the entries of a row that the filters keep, as a row of their own; the dynamic temperature. */
#ifndef FS_CANDIDATES_H
#define FS_CANDIDATES_H

#include "row/reader.h"

/* A row to be drawn from at `temperature`, and the indices of its entries in the row it comes from. */
typedef struct {
    fs_row row;
    size_t count;
    const uint32_t *index; /* NULL: it is the whole row */
    double temperature, divisor; /* the second is the temperature that was asked for, before row/limits.h */
    int limit; /* the values are those of row/limits.h, not the logits */
} fs_candidates;

static fs_candidates fs_all_candidates(const fs_row *row, size_t n, double temperature)
{
    fs_candidates candidates = {*row, n, NULL, temperature, temperature, 0};
    return candidates;
}

/* A row of values (`probs`: of weights) for the entries at `index`. */
static fs_candidates fs_candidates_of(const void *value, fs_dtype dtype, int probs, size_t count,
                                      const uint32_t *index)
{
    fs_candidates candidates = {{0}, count, index, 1.0, 0.0, 0};
    candidates.row.data = value;
    candidates.row.dtype = dtype;
    candidates.row.stride = dtype == FS_F32 ? (ptrdiff_t)sizeof(float) : (ptrdiff_t)sizeof(double);
    candidates.row.probs = probs;
    return candidates;
}

/* The steps in the order of fs_step, without the temperature, which comes before or after all of them. */
#define FS_DEFAULT_ORDER UINT64_C(0xba987654321)

/* Whether a filter may drop entries. */
static inline int fs_has_filter(const fs_filters *f, size_t n, double coin)
{
    return (f->top_k > 0 && (uint64_t)f->top_k < n) || f->top_p < 1.0 || f->min_p > 0.0 || f->top_a > 0.0 ||
           f->p_less || f->typical_p < 1.0 || f->top_h < 1.0 || f->top_n_sigma > 0.0 || f->epsilon_cutoff > 0.0 ||
           f->eta_cutoff > 0.0 || (f->xtc_threshold <= 0.5 && coin < f->xtc_probability) || f->surprise < INFINITY;
}

/* Whether the temperature has a place among the filters. */
static inline int fs_has_temperature_within(const fs_filters *f)
{
    for (uint64_t rest = (uint64_t)f->order; rest; rest >>= 4)
        if ((rest & 15) == FS_TEMPERATURE)
            return 1;
    return 0;
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

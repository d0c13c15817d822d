/* What the filters leave of a row, as a row of its own. */
#ifndef FS_CANDIDATES_H
#define FS_CANDIDATES_H

#include "row/reader.h"

/* What is left of a row: one of its own, to be drawn from at `temperature`, and the indices of its entries. */
typedef struct {
    fs_row row;
    size_t count;
    const uint32_t *index; /* NULL: all of the row */
    double temperature, divisor; /* the second is the temperature before row/limits.h took another in its place */
    int limit;                   /* the values stand for those of row/limits.h */
} fs_candidates;

static fs_candidates fs_all_candidates(const fs_row *row, size_t n, double temperature)
{
    fs_candidates candidates = {*row, n, NULL, temperature, temperature, 0};
    return candidates;
}

/* A row of doubles (or of weights) that stands for part of another. */
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

/* The dynamic temperature for this entropy, of so many entries: between T - range and T + range. */
static inline double fs_between_temperatures(double temperature, const fs_filters *f, double entropy, double there)
{
    double low = temperature - f->dynatemp_range, high = temperature + f->dynatemp_range;
    if (there < 2.0 || temperature == INFINITY)
        return temperature;
    double part = entropy > 0.0 ? entropy / fs_log(there) : 0.0;
    part = part < 1.0 ? part : 1.0;
    low = low > 0.0 ? low : 0.0;
    if (f->dynatemp_exponent != 1.0 && part > 0.0)
        part = fs_exp(f->dynatemp_exponent * fs_log(part));
    return fma(high - low, part, low);
}

#endif

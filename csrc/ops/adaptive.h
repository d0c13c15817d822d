/* adaptive_p: a draw from the candidates by the distance of their probability from one that is aimed at.
 *
 * The weight of an entry of probability p is exp(-10 d^2 / (1 + d)), d = |p - aim| / 0.3: quadratic near the aim, linear far
 * away, and never 0.  The constants are those of llama.cpp's sampler of this name. */
#ifndef FS_ADAPTIVE_H
#define FS_ADAPTIVE_H

#include "ops/verify.h"

/* The probabilities p of the candidates become the logarithms of these weights.  What could not be drawn stays so. */
static void fs_adapt(const fs_candidates *c, double aim, double *p)
{
    const double width = 0.3, sharpness = 10.0;
    const fs_reader reader = fs_reader_of(&c->row);
    double copy[FS_BLOCK_F64], least = -DBL_MAX;
    fs_peak peak;
    fs_peak_of(&reader, c->count, &peak);
    if (peak.max == INFINITY && c->temperature < INFINITY) /* it alone can be drawn */
        least = INFINITY;
    for (size_t start = 0; start < c->count; start += FS_BLOCK_F64) {
        size_t len = c->count - start < FS_BLOCK_F64 ? c->count - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&reader, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            double d = fabs(p[start + i] - aim) / width, y = -sharpness * d * d / (1.0 + d);
            p[start + i] = x[i] >= least ? y : -INFINITY;
        }
    }
}

static fs_status kernel_sample_adapted(const fs_row *row, size_t n, double temperature, const fs_filters *f,
                                       const fs_indices *keep, double coin, double aim, double u, void *scratch,
                                       int64_t *index, double *logprob, double *before)
{
    fs_candidates candidates;
    double *p = fs_workspace_doubles(scratch, n);
    int64_t place;
    fs_status status = fs_keep(row, n, temperature, f, keep, coin, scratch, &candidates);
    if (status == FS_OK)
        status = fs_probabilities(&candidates.row, candidates.count, candidates.temperature, p);
    if (status != FS_OK)
        return status;
    if (candidates.temperature > 0.0)
        fs_adapt(&candidates, aim, p);
    const fs_candidates adapted = fs_candidates_of(p, FS_F64, 0, candidates.count, NULL);
    const double at = candidates.temperature > 0.0; /* 0: the first of the largest, as without adaptive_p */
    status = kernel_sample(&adapted.row, candidates.count, at, 1, &u, &place, logprob);
    if (status == FS_OK)
        status = kernel_logprob(&candidates.row, candidates.count, candidates.temperature, 1, &place, before);
    if (status != FS_OK)
        return status;
    *before = fs_exp(*before);
    *index = candidates.index ? candidates.index[place] : place;
    return FS_OK;
}

#endif

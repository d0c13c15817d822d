/* One row of any dtype and layout through the filters: a draw from the candidates, or the row with -inf where entries are
 * dropped. */
#ifndef FS_TRUNCATE_H
#define FS_TRUNCATE_H

#include "base/dtype.h"

/* Of a temperature of 0: the lowest index of the maximum alone. */
static fs_status fs_keep_first(const fs_row *row, size_t n, void *scratch, fs_candidates *candidates)
{
    int64_t best = 0;
    fs_status status = fs_argmax(row, n, &best);
    workspace_f64 workspace = workspace_of_f64(scratch, n);
    workspace.value[0] = 0.0;
    workspace.index[0] = (uint32_t)best;
    *candidates = fs_candidates_of(workspace.value, FS_F64, 0, 1, workspace.index);
    candidates->limit = 1;
    return status;
}

/* The filters in the type of the row's dtype, at the temperature `work`, or on the row that row/limits.h puts in its
 * place.  *temperature becomes the dynamic one where that is asked for. */
static fs_status fs_filter_row(const fs_row *row, size_t n, double work, const fs_filters *f, const fs_indices *keep,
                               double coin, void *scratch, int dynamic, double *temperature,
                               fs_candidates *candidates)
{
    fs_reader reader = fs_reader_of(row);
    int within = fs_has_temperature_within(f), last = f->temperature_last || within;
    int smooth = f->smoothing_factor > 0.0;
    int wide = fs_is_wide(row) || smooth || (within && (dynamic || !fs_has_formula(*temperature, 0)));
    fs_status status = FS_LIMIT;
    /* weights as they are, where nothing needs their logarithm */
    reader.weights = row->probs && !row->bias && work == 1.0 && f->typical_p >= 1.0 && f->top_h >= 1.0 &&
                     f->top_n_sigma == 0.0 && !smooth && !(within && dynamic) &&
                     ((f->surprise == INFINITY && !within) || !last || *temperature == 1.0);
    if (fs_has_formula(work, wide))
        status = wide ? filtered_f64(&reader, n, work, f, coin, scratch, dynamic, temperature, candidates)
                      : filtered_f32(&reader, n, work, f, coin, scratch, dynamic, temperature, candidates);
    if (status != FS_LIMIT) {
        candidates->temperature = *temperature;
    } else {
        double of_limit = work;
        reader = fs_filter_reader(row, n, &of_limit);
        status = filtered_f64(&reader, n, of_limit, f, coin, scratch, dynamic, temperature, candidates);
        candidates->limit = !(candidates->smoothing.factor > 0.0);
        candidates->temperature = candidates->index && !last ? of_limit : *temperature;
    }
    if (status == FS_OK && keep && candidates->index)
        fs_restore(candidates, &reader, n, keep);
    return status;
}

static fs_status fs_keep(const fs_row *row, size_t n, double temperature, const fs_filters *f, const fs_indices *keep,
                         double coin, void *scratch, fs_candidates *candidates)
{
    int last = f->temperature_last || fs_has_temperature_within(f), dynamic = f->dynatemp_range > 0.0;
    *candidates = fs_all_candidates(row, n, temperature);
    if (dynamic && !last) { /* of the whole row, at temperature 1 */
        fs_filters none;
        fs_no_filters(&none);
        none.temperature_last = 1;
        none.dynatemp_range = f->dynatemp_range;
        none.dynatemp_exponent = f->dynatemp_exponent;
        fs_status status = fs_filter_row(row, n, 1.0, &none, NULL, 1.0, scratch, 1, &temperature, candidates);
        if (status != FS_OK)
            return status;
        dynamic = 0;
        *candidates = fs_all_candidates(row, n, temperature);
    }
    if (!dynamic && !fs_has_filter(f, n, coin))
        return FS_OK;
    double work = last ? 1.0 : temperature;
    if (work == 0.0)
        return fs_keep_first(row, n, scratch, candidates);
    fs_status status = fs_filter_row(row, n, work, f, keep, coin, scratch, dynamic, &temperature, candidates);
    candidates->divisor = temperature;
    return status;
}

static fs_status kernel_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *f,
                                        const fs_indices *keep, double coin, size_t k, const double *u, void *scratch,
                                        int64_t *index, double *logprob)
{
    fs_candidates candidates;
    fs_status status = fs_keep(row, n, temperature, f, keep, coin, scratch, &candidates);
    if (status != FS_OK)
        return status;
    status = kernel_sample(&candidates.row, candidates.count, candidates.temperature, k, u, index, logprob);
    if (status == FS_OK && candidates.index)
        for (size_t j = 0; j < k; j++)
            index[j] = candidates.index[index[j]];
    return status;
}

/* The same by seed, key and step: by rejection only where no filter is on. */
static fs_status kernel_sample_filtered_seeded(const fs_row *row, size_t n, double temperature, const fs_filters *f,
                                               const fs_indices *keep, double coin, uint64_t seed, uint64_t key,
                                               uint64_t step, void *scratch, int64_t *index, double *logprob)
{
    const double u = fs_keyed_uniform(seed, key, step, FS_STREAM_DRAWS);
    if (f->dynatemp_range > 0.0 || fs_has_filter(f, n, coin))
        return kernel_sample_filtered(row, n, temperature, f, keep, coin, 1, &u, scratch, index, logprob);
    return kernel_sample_seeded(row, n, temperature, seed, key, step, index, logprob);
}

/* The quotients of a row: (x - shift) / T.  The shift is 0, or the maximum where its own quotient is not finite in the
 * dtype of the result.  Finite stays finite. */
typedef struct {
    double temperature, shift, most;
} fs_divider;

static fs_divider fs_divider_of(double max, double temperature, fs_dtype dtype)
{
    fs_divider d = {temperature, 0.0, fs_most(dtype)};
    if (fabs(max) < INFINITY && fabs(max / temperature) > d.most)
        d.shift = max;
    return d;
}

/* At temperature 0 and infinity all candidates are equal. */
static inline double fs_quotient(double x, const fs_divider *d)
{
    if (!(fabs(x) < INFINITY) || d->temperature == 0.0 || d->temperature == INFINITY)
        return x == -INFINITY || (x == INFINITY && d->temperature > 0.0 && d->temperature < INFINITY) ? x : 0.0;
    return fs_clamped((x - d->shift) / d->temperature, d->most);
}

/* A row of which no filter dropped anything, block by block, as it may be in place. */
static fs_status fs_divide_row(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader = fs_reader_of(row);
    double copy[FS_BLOCK_F64], result[FS_BLOCK_F64], max = -INFINITY;
    int64_t best = -1;
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&reader, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            if (x[i] != x[i])
                return FS_NAN;
            if (x[i] > max) {
                max = x[i];
                best = (int64_t)(start + i);
            }
        }
    }
    const fs_divider divider = fs_divider_of(max, temperature, out->dtype);
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&reader, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            int left = temperature == 0.0 ? (int64_t)(start + i) == best
                                          : temperature == INFINITY || max < INFINITY || x[i] == INFINITY;
            result[i] = left ? fs_quotient(x[i], &divider) : -INFINITY;
        }
        fs_store_f64(out, start, len, result);
    }
    return FS_OK;
}

static fs_status kernel_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *f,
                                 const fs_indices *keep, double coin, void *scratch, const fs_output *out)
{
    fs_candidates candidates;
    fs_reader reader = fs_reader_of(row);
    double *value = fs_workspace_doubles(scratch, n);
    int64_t first = 0;
    fs_status status = fs_keep(row, n, temperature, f, keep, coin, scratch, &candidates);
    if (status == FS_OK && !candidates.index)
        status = fs_divide_row(row, n, candidates.divisor, out);
    if (status == FS_NAN)
        fs_fill_nan(out, n);
    if (status == FS_NAN || (status == FS_OK && !candidates.index))
        return status;
    size_t count = status == FS_OK ? candidates.count : 0;
    if (count && candidates.divisor == 0.0) {
        fs_argmax(&candidates.row, count, &first);
        candidates.index += first;
        count = 1;
    }
    double max = -INFINITY;
    for (size_t j = 0; j < count; j++) { /* before the row is overwritten, should it be in place */
        value[j] = candidates.limit ? fs_logit(&reader, candidates.index[j]) : fs_candidate(&candidates, j);
        max = value[j] > max ? value[j] : max;
    }
    const fs_divider divider = fs_divider_of(max, candidates.divisor, out->dtype);
    for (size_t j = 0; j < count; j++)
        value[j] = fs_quotient(value[j], &divider);
    fs_fill(out, n, -INFINITY, -INFINITY);
    for (size_t j = 0; j < count; j++)
        fs_store_f64(out, candidates.index[j], 1, value + j);
    return status;
}

#endif

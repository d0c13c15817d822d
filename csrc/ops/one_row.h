/* One row of any dtype and layout at any temperature: softmax, log-softmax, log-sum-exp, draws, log-probabilities.
 * Each takes the formula where that serves, else its limit (row/limits.h). */
#ifndef FS_ONE_ROW_H
#define FS_ONE_ROW_H

#include "row/limits.h"
#include "row/writer.h"
#include "softmax/logsumexp.h"

/* Entries whose terms of a sum are computed side by side (ops/divergence.h, ops/weighted.h). */
enum { FS_GROUP = 32 };

static fs_status kernel_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader;
    fs_status status;
    if (row->probs && !row->bias && (temperature == 1.0 || temperature == 0.0))
        status = fs_softmax_of_weights(row, n, temperature, out);
    else
        FS_RUN_FORMULA(softmax, row, n, temperature, out);
    if (status == FS_NAN || status == FS_NO_MASS)
        fs_fill_nan(out, n);
    return status;
}

static fs_status kernel_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader;
    fs_status status;
    FS_RUN_FORMULA(log_softmax, row, n, temperature, out);
    if (status == FS_NAN || status == FS_NO_MASS)
        fs_fill_nan(out, n);
    return status;
}

/* max and log_sum of softmax/logsumexp-inl.h, for the row that stands in for this one at another temperature. */
static fs_status fs_log_normaliser(const fs_row *row, size_t n, double *temperature, fs_reader *stand_in, double *max,
                                   double *log_sum)
{
    fs_reader reader;
    fs_status status;
    double t = *temperature;
    FS_RUN_FORMULA(log_normaliser, row, n, t, max, log_sum);
    *temperature = t;
    *stand_in = reader;
    return status;
}

static fs_status kernel_logsumexp(const fs_row *row, size_t n, double temperature, double *result)
{
    fs_reader reader;
    fs_status status;
    double max = 0.0, log_sum = 0.0, given = temperature;
    status = fs_log_normaliser(row, n, &temperature, &reader, &max, &log_sum);
    *result = status == FS_NAN ? fs_f64_of(UINT64_C(0x7ff8000000000000)) : -INFINITY;
    if (status != FS_OK)
        return status;
    if (reader.limit) /* max is that of the row in its place */
        max = reader.max;
    *result = fs_logsumexp_of(max, given, log_sum);
    if (row->dtype != FS_F64 && !row->probs && !reader.limit && fs_nearly_cancels(*result, max, given)) {
        status = log_normaliser_f64(&reader, n, given, &max, &log_sum);
        if (status == FS_OK)
            *result = fs_add_maximum(max, given, log_sum);
    }
    return status;
}

static fs_status kernel_entropy(const fs_row *row, size_t n, double temperature, double *result)
{
    fs_reader reader;
    fs_status status;
    FS_RUN_FORMULA(entropy, row, n, temperature, result);
    if (status == FS_NAN || status == FS_NO_MASS)
        *result = fs_f64_of(UINT64_C(0x7ff8000000000000));
    return status;
}

/* Temperature 0: the lowest index of the maximum. */
static fs_status fs_argmax(const fs_row *row, size_t n, int64_t *index)
{
    fs_reader reader = fs_reader_of(row);
    reader.weights = row->probs && !row->bias; /* the order of the probabilities is that of their logarithms */
    return fs_is_wide(row) ? argmax_f64(&reader, n, index) : argmax_f32(&reader, n, index);
}

/* k draws of one index; a generator gives a uniform for each all the same, so that streams stay aligned. */
static void fs_draw_sole(int64_t sole, size_t k, const fs_uniforms *u, int64_t *index)
{
    for (size_t j = 0; j < k; j++) {
        if (!u->given)
            u->next(u->state);
        index[j] = sole;
    }
}

/* log p of draws from weights, read at temperature 1. */
static fs_status fs_logprobs_of_weights(fs_reader *reader, size_t n, size_t k, const int64_t *index, double *logprob)
{
    double max, log_sum;
    reader->weights = 0;
    const fs_status status = log_normaliser_f64(reader, n, 1.0, &max, &log_sum);
    for (size_t j = 0; j < k && status == FS_OK; j++)
        logprob[j] = fs_logprob_of(reader, (size_t)index[j], 1.0, max, log_sum);
    return status;
}

static fs_status fs_draw_from_row(const fs_row *row, size_t n, double temperature, size_t k, const fs_uniforms *u,
                                  int64_t *index, double *logprob)
{
    fs_reader reader;
    fs_status status;
    if (temperature == 0.0) {
        int64_t best = -1;
        status = fs_argmax(row, n, &best);
        if (status == FS_OK)
            fs_draw_sole(best, k, u, index);
        for (size_t j = 0; j < k && logprob && status == FS_OK; j++)
            logprob[j] = 0.0;
        return status;
    }
    if (row->probs && !row->bias && temperature == 1.0) {
        reader = fs_reader_of(row);
        reader.weights = 1;
        status = k == 1 && fs_draw_from_few(row, n, u, index) ? FS_OK : fs_sample_weights(&reader, n, k, u, index);
        return status == FS_OK && logprob ? fs_logprobs_of_weights(&reader, n, k, index, logprob) : status;
    }
    FS_RUN_FORMULA(sample, row, n, temperature, k, u, index, logprob);
    return status;
}

static fs_status kernel_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                               int64_t *index, double *logprob)
{
    return fs_draw_from_row(row, n, temperature, k, &(fs_uniforms){u, NULL, NULL}, index, logprob);
}

static fs_status kernel_sample_seeded(const fs_row *row, size_t n, double temperature, uint64_t seed, uint64_t key,
                                      uint64_t step, int64_t *index, double *logprob)
{
    const fs_draw_key draw_key = {seed, key, step};
    fs_reader reader;
    fs_status status;
    if (temperature == 0.0 || n < FS_REJECTION_FROM || n > FS_REJECTION_TO) {
        const double u = fs_keyed_uniform(seed, key, step, FS_STREAM_DRAWS);
        return kernel_sample(row, n, temperature, 1, &u, index, logprob);
    }
    if (row->probs && !row->bias && temperature == 1.0) {
        reader = fs_reader_of(row);
        reader.weights = 1;
        status = draw_by_rejection_f64(&reader, n, 1.0, &draw_key, index, NULL);
        return status == FS_OK && logprob ? fs_logprobs_of_weights(&reader, n, 1, index, logprob) : status;
    }
    FS_RUN_FORMULA(draw_by_rejection, row, n, temperature, &draw_key, index, logprob);
    return status;
}

static fs_status kernel_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next,
                                    void *state, int64_t *index)
{
    return fs_draw_from_row(row, n, temperature, k, &(fs_uniforms){NULL, next, state}, index, NULL);
}

static fs_status kernel_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                                double *logprob)
{
    fs_reader reader;
    double max = 0.0, log_sum = 0.0;
    if (temperature == 0.0) {
        int64_t best = -1;
        fs_status status = fs_argmax(row, n, &best);
        for (size_t j = 0; j < count && status == FS_OK; j++)
            logprob[j] = index[j] == best ? 0.0 : -INFINITY;
        return status;
    }
    fs_status status = fs_log_normaliser(row, n, &temperature, &reader, &max, &log_sum);
    for (size_t j = 0; j < count && status == FS_OK; j++)
        logprob[j] = fs_logprob_of(&reader, (size_t)index[j], temperature, max, log_sum);
    return status;
}

#endif

/* One row of any layout and any temperature: the ordinary formula where it serves, else its limit. */
#ifndef FS_ONE_ROW_H
#define FS_ONE_ROW_H

/* Run `operation` on the row: in the type of its dtype, or on the row that row/limits.h puts in its place.
 * Sets `source` and `status`; `temperature` is a variable that goes along with the row. */
#define FS_RUN_FORMULA(operation, row, n, temperature, ...)                                                                  \
    do {                                                                                                             \
        reader = fs_reader_of(row);                                                                               \
        int wide = (row)->dtype == FS_F64 || (row)->probs;                                                           \
        double extreme = wide ? 0x1p900 : 0x1p90;                                                                    \
        status = FS_LIMIT;                                                                                           \
        if ((temperature) <= extreme && (temperature) >= 1.0 / extreme)                                              \
            status = wide ? operation##_f64(&reader, n, temperature, __VA_ARGS__)                                    \
                          : operation##_f32(&reader, n, temperature, __VA_ARGS__);                                   \
        if (status == FS_LIMIT) {                                                                                    \
            reader = fs_limit_reader(row, n, &(temperature));                                                        \
            status = operation##_f64(&reader, n, temperature, __VA_ARGS__);                                          \
        }                                                                                                            \
    } while (0)

static fs_status fs_softmax_row(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader;
    fs_status status;
    FS_RUN_FORMULA(softmax, row, n, temperature, out);
    if (status == FS_NAN || status == FS_NO_MASS)
        fs_fill_nan(out, n);
    return status;
}

static fs_status fs_log_softmax_row(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader;
    fs_status status;
    FS_RUN_FORMULA(log_softmax, row, n, temperature, out);
    if (status == FS_NAN || status == FS_NO_MASS)
        fs_fill_nan(out, n);
    return status;
}

/* max/T + log_sum with the rounding errors of the quotient and of the sum put back. */
static double fs_add_maximum(double max, double temperature, double log_sum)
{
    double quotient = max / temperature, sum = quotient + log_sum, back = sum - quotient;
    if (!(fabs(sum) < INFINITY))
        return sum;
    return sum + ((quotient - (sum - back)) + (log_sum - back) + fma(-quotient, temperature, max) / temperature);
}

/* The log-sum-exp, its limits included. */
static double fs_logsumexp_of(double max, double temperature, double log_sum)
{
    if (max == INFINITY || temperature == 0.0)
        return max == 0.0 ? log_sum : max * INFINITY;
    return temperature == INFINITY ? log_sum : fs_add_maximum(max, temperature, log_sum);
}

/* Whether the two terms of a log-sum-exp are so close that the errors of float weights would show.  Only where the
 * maximum is negative, as log_sum is not. */
static int fs_nearly_cancels(double log_sum_exp, double max, double temperature)
{
    return fabs(log_sum_exp) < 0.25 * fabs(max / temperature);
}

/* max and log_sum of softmax/logsumexp-inl.h, for the row `source` that stands for this one at another temperature. */
static fs_status fs_log_normaliser_row(const fs_row *row, size_t n, double *temperature, fs_reader *stands,
                                       double *max, double *log_sum)
{
    fs_reader reader;
    fs_status status;
    double t = *temperature;
    FS_RUN_FORMULA(log_normaliser, row, n, t, max, log_sum);
    *temperature = t;
    *stands = reader;
    return status;
}

static fs_status fs_logsumexp_row(const fs_row *row, size_t n, double temperature, double *result)
{
    fs_reader reader;
    fs_status status;
    double max = 0.0, log_sum = 0.0, given = temperature;
    status = fs_log_normaliser_row(row, n, &temperature, &reader, &max, &log_sum);
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

/* Temperature 0: the lowest index of the maximum. */
static fs_status fs_argmax(const fs_row *row, size_t n, int64_t *index)
{
    fs_reader reader = fs_reader_of(row);
    fs_peak peak;
    reader.weights = row->probs && !row->bias; /* the order of the probabilities is that of their logarithms */
    if (fs_peak_of(&reader, n, &peak) != FS_OK)
        return FS_INTERRUPTED;
    *index = (int64_t)peak.at;
    if (peak.nan)
        return FS_NAN;
    return peak.max > (reader.weights ? 0.0 : -INFINITY) ? FS_OK : FS_NO_MASS;
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

static fs_status fs_sample_row_by(const fs_row *row, size_t n, double temperature, size_t k, const fs_uniforms *u,
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
        status = fs_sample_weights(&reader, n, k, u, index);
        if (status != FS_OK || !logprob)
            return status;
        double max, log_sum;
        reader.weights = 0;
        status = log_normaliser_f64(&reader, n, 1.0, &max, &log_sum);
        for (size_t j = 0; j < k && status == FS_OK; j++)
            logprob[j] = fs_logit(&reader, (size_t)index[j]) - max - log_sum;
        return status;
    }
    FS_RUN_FORMULA(sample, row, n, temperature, k, u, index, logprob);
    return status;
}

static fs_status fs_sample_row(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                               int64_t *index, double *logprob)
{
    return fs_sample_row_by(row, n, temperature, k, &(fs_uniforms){u, NULL, NULL}, index, logprob);
}

#endif

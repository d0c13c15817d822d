/* softmax of a row of weights, w^(1/T) over its sum, where the logarithms of the weights are not what should be read:
 *
 *     T = 1    w / sum w, in double.  The weights are scaled by the power of two that takes the largest to [1/2, 1): that is
 *              exact, and neither overflows nor loses what a result could have.  Their sum is split without error within a
 *              block (softmax/sum-inl.h) and compensated among blocks, so a result is within 2 ulp of double, or rounded
 *              once to the type of the output.
 *     T = 0    the maxima are those of the weights: different weights may have the same logarithm.
 *
 * Needs softmax/softmax-inl.h for double, row/limits.h. */
#ifndef FS_SOFTMAX_PROBABILITIES_H
#define FS_SOFTMAX_PROBABILITIES_H

typedef struct {
    const fs_reader *reader;
    size_t n, length; /* entries of a chunk, in whole blocks */
    double half, other; /* their product is the scale, which may be more than a double can hold */
    factor_f64 factor;
    const fs_output *out;
    double sum[FS_PEAKS]; /* of each chunk */
} fs_shares;

/* The scaled weights of a block; -0 becomes 0. */
static void fs_scaled_weights(const fs_shares *ctx, size_t start, size_t len, double *w)
{
    double copy[FS_BLOCK_F64];
    const double *from = fs_load_f64(ctx->reader, start, len, copy);
    for (size_t i = 0; i < len; i++)
        w[i] = from[i] * ctx->half * ctx->other + 0.0;
}

static inline size_t fs_past_share(const fs_shares *ctx, size_t chunk)
{
    return ctx->n - chunk * ctx->length > ctx->length ? (chunk + 1) * ctx->length : ctx->n;
}

static void fs_sum_shares(void *context, size_t chunk)
{
    fs_shares *ctx = context;
    const size_t past = fs_past_share(ctx, chunk);
    double total = 0.0, error = 0.0, w[FS_BLOCK_F64];
    for (size_t start = chunk * ctx->length; start < past; start += FS_BLOCK_F64) {
        const size_t len = past - start < FS_BLOCK_F64 ? past - start : FS_BLOCK_F64;
        sum_f64 s = sum_begin_f64();
        fs_scaled_weights(ctx, start, len, w);
        for (size_t i = 0; i < len; i += 8)
            sum_add_f64(&s, len - i < 8 ? f64x8_load_first(w + i, len - i, 0.0) : f64x8_load(w + i), i / 8 & 1);
        fs_add_to(&total, &error, sum_end_f64(&s));
    }
    ctx->sum[chunk] = total + error;
}

static void fs_write_shares(void *context, size_t chunk)
{
    const fs_shares *ctx = context;
    const size_t past = fs_past_share(ctx, chunk);
    double w[FS_BLOCK_F64];
    for (size_t start = chunk * ctx->length; start < past; start += FS_BLOCK_F64) {
        const size_t len = past - start < FS_BLOCK_F64 ? past - start : FS_BLOCK_F64;
        fs_scaled_weights(ctx, start, len, w);
        for (size_t i = 0; i < len; i++)
            w[i] = fma(w[i], ctx->factor.high, w[i] * ctx->factor.low);
        fs_store_f64(ctx->out, start, len, w);
    }
}

/* At temperature 0 or 1, without a bias. */
static fs_status fs_softmax_of_weights(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_reader reader = fs_reader_of(row);
    fs_peak peak;
    reader.weights = 1;
    if (fs_peak_of(&reader, n, &peak) != FS_OK)
        return FS_INTERRUPTED;
    if (peak.nan)
        return FS_NAN;
    if (!(peak.max > 0.0))
        return FS_NO_MASS;
    if (temperature == 0.0) {
        reader.transform = FS_MAXIMA;
        reader.max = peak.max;
        return softmax_f64(&reader, n, 1.0, out);
    }
    const int up = -fs_exponent(peak.max);
    fs_shares ctx; /* without the sums: a short row has one */
    ctx.reader = &reader;
    ctx.n = n;
    ctx.length = fs_peak_length(n);
    ctx.half = fs_pow2(up / 2);
    ctx.other = fs_pow2(up - up / 2);
    ctx.out = out;
    const size_t chunks = (n + ctx.length - 1) / ctx.length;
    if (fs_parallel_for(chunks, fs_sum_shares, &ctx))
        return FS_INTERRUPTED;
    double total = 0.0, error = 0.0;
    for (size_t i = 0; i < chunks; i++)
        fs_add_to(&total, &error, ctx.sum[i]);
    ctx.factor = factor_of_f64(1.0, fs_reciprocal_of(total + error));
    return fs_parallel_for(chunks, fs_write_shares, &ctx) ? FS_INTERRUPTED : FS_OK;
}

#endif

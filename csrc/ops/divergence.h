/* The Kullback-Leibler divergence of softmax(x/T) from softmax(y/T):  sum p (log p - log q).
 *
 * As written its terms cancel: where p and q differ by e, it is of the order of e^2, and so small a sum of terms of e is lost.
 * But sum p = sum q = 1, so that it is also
 *
 *     sum p f(t)        f(t) = e^t - 1 - t >= 0        t = log q - log p
 *
 * in which no term is negative, and an error that all t share counts by its square alone.  t is ((y - x) - (max y - max x))/T
 * - (L_y - L_x), with differences that are exact where x and y are close.  An entry of p = 0 adds q.
 *
 * Error: with e = 2^-53 and r the largest |y - x|/T, 16 e of the result and 4 e (1 + r) of its square root. */
#ifndef FS_DIVERGENCE_H
#define FS_DIVERGENCE_H

#include "ops/one_row.h"

/* A row, and its largest entry and L: those of the row that stands for it where the formula does not serve it. */
typedef struct {
    fs_reader reader;
    double temperature, max, log_sum;
} fs_distribution;

/* In double, whatever the type of the row. */
static fs_status fs_distribution_of(const fs_row *row, size_t n, double temperature, fs_distribution *d)
{
    fs_status status = FS_LIMIT;
    d->reader = fs_reader_of(row);
    d->temperature = temperature;
    if (fs_has_formula(temperature, 1))
        status = log_normaliser_f64(&d->reader, n, temperature, &d->max, &d->log_sum);
    if (status == FS_LIMIT) {
        d->reader = fs_limit_reader(row, n, &d->temperature);
        status = log_normaliser_f64(&d->reader, n, d->temperature, &d->max, &d->log_sum);
    }
    return status;
}

/* e^t - 1 - t for |t| <= 1, by its series: an error of 2^-55 from what is cut off. */
enum { FS_EXCESS_LAST = 19 };
static const double fs_inverse[FS_EXCESS_LAST + 1] = {
    0.0,      0.0,      1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,  1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,
    1.0 / 10, 1.0 / 11, 1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17, 1.0 / 18, 1.0 / 19};
static inline double fs_excess(double t)
{
    double sum = 0.0;
    for (int k = FS_EXCESS_LAST; k >= 3; k--) /* t/3 (1 + t/4 (1 + ...)) */
        sum = t * fs_inverse[k] * (1.0 + sum);
    return 0.5 * t * t * (1.0 + sum);
}

typedef struct {
    const fs_distribution *p, *q;
    size_t n, length; /* entries of a chunk */
    double sum[FS_PEAKS];
} fs_divergence;

static double fs_divergence_term(const fs_divergence *ctx, const fs_scale *natural, double x, double y)
{
    const fs_distribution *p = ctx->p, *q = ctx->q;
    if (x == -INFINITY && y == -INFINITY)
        return 0.0;
    if (y == -INFINITY)
        return INFINITY;
    const double log_q = fs_log_probability(y, q->max, q->temperature, q->log_sum);
    if (x == -INFINITY)
        return fs_exp2(natural, log_q, 0.0);
    const double log_p = fs_log_probability(x, p->max, p->temperature, p->log_sum);
    const double apart = (y - x) - (q->max - p->max);
    double t = log_q - log_p;
    if (!p->reader.limit && !q->reader.limit && fabs(apart) < INFINITY)
        t = apart / p->temperature - (q->log_sum - p->log_sum);
    const double weight = fs_exp2(natural, log_p, 0.0);
    if (t >= -1.0 && t <= 1.0)
        return weight * fs_excess(t);
    /* both logarithms may be beyond the doubles, and then neither has any weight */
    return fs_exp2(natural, log_q, 0.0) - weight - (weight == 0.0 ? 0.0 : weight * t);
}

/* Of a group, step by step together, so that the latency of one vector hides behind the others. */
enum { FS_VECTORS = FS_GROUP / 8 };
#define EACH for (int j = 0; j < FS_VECTORS; j++)

/* e^a for -690 < a <= 0, as fs_exp2 has it. */
static inline void fs_exp_of_group(const double *a, f64x8 *p)
{
    const f64x8 magic = f64x8_set1(0x1.8p52), high = f64x8_set1(FS_LOG2E_HIGH),
                low = f64x8_set1(fs_scale_of(1.0).low);
    f64x8 x[FS_VECTORS], t[FS_VECTORS], f[FS_VECTORS];
    EACH x[j] = f64x8_load(a + 8 * j);
    EACH t[j] = f64x8_add(f64x8_mul(x[j], high), magic);
    EACH f[j] = f64x8_fma(x[j], low, f64x8_fma(x[j], high, f64x8_sub(magic, t[j])));
    exp2_f64(p, t, f, FS_VECTORS);
}

/* fs_excess */
static inline void fs_excess_of_group(const f64x8 *t, f64x8 *excess)
{
    const f64x8 one = f64x8_set1(1.0), half = f64x8_set1(0.5);
    f64x8 sum[FS_VECTORS];
    EACH sum[j] = f64x8_set1(0.0);
    for (int k = FS_EXCESS_LAST; k >= 3; k--)
        EACH sum[j] = f64x8_mul(f64x8_mul(t[j], f64x8_set1(fs_inverse[k])), f64x8_add(one, sum[j]));
    EACH excess[j] = f64x8_mul(f64x8_mul(f64x8_mul(half, t[j]), t[j]), f64x8_add(one, sum[j]));
}

/* The same terms of GROUP entries side by side, where both rows follow the formula and no weight is near the least double.
 * Returns whether they do. */
static int fs_divergence_terms(const fs_divergence *ctx, const double *x, const double *y, double *term)
{
    const fs_distribution *p = ctx->p, *q = ctx->q;
    const double temperature = p->temperature, above = q->max - p->max, sums_apart = q->log_sum - p->log_sum;
    double log_p[FS_GROUP], log_q[FS_GROUP], t[FS_GROUP], large[FS_GROUP];
    int outside = 0, far = 0;
    for (int i = 0; i < FS_GROUP; i++) {
        log_p[i] = (x[i] - p->max) / temperature - p->log_sum;
        log_q[i] = (y[i] - q->max) / temperature - q->log_sum;
        t[i] = ((y[i] - x[i]) - above) / temperature - sums_apart;
    }
    for (int i = 0; i < FS_GROUP; i++) {
        outside |= !(log_p[i] > -690.0) | !(log_q[i] > -690.0);
        far |= !(fabs(t[i]) <= 1.0);
    }
    if (outside)
        return 0;
    f64x8 of_p[FS_VECTORS], apart[FS_VECTORS], excess[FS_VECTORS];
    EACH apart[j] = f64x8_load(t + 8 * j);
    fs_exp_of_group(log_p, of_p);
    fs_excess_of_group(apart, excess);
    EACH f64x8_store(term + 8 * j, f64x8_mul(of_p[j], excess[j]));
    if (far) {
        f64x8 of_q[FS_VECTORS];
        fs_exp_of_group(log_q, of_q);
        EACH f64x8_store(large + 8 * j, f64x8_sub(f64x8_sub(of_q[j], of_p[j]), f64x8_mul(of_p[j], apart[j])));
    }
    for (int i = 0; i < FS_GROUP && far; i++)
        if (!(fabs(t[i]) <= 1.0))
            term[i] = large[i];
    return 1;
}

#undef EACH

static void fs_divergence_chunk(void *context, size_t chunk)
{
    fs_divergence *ctx = context;
    const fs_scale natural = fs_scale_of(1.0);
    const size_t past = ctx->n - chunk * ctx->length > ctx->length ? (chunk + 1) * ctx->length : ctx->n;
    const int limit = ctx->p->reader.limit || ctx->q->reader.limit;
    double sum = 0.0, error = 0.0, copies[2][FS_BLOCK_F64];
    for (size_t start = chunk * ctx->length; start < past; start += FS_BLOCK_F64) {
        const size_t len = past - start < FS_BLOCK_F64 ? past - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&ctx->p->reader, start, len, copies[0]);
        const double *y = fs_load_f64(&ctx->q->reader, start, len, copies[1]);
        for (size_t i = 0; i < len; i += FS_GROUP) {
            double term[FS_GROUP];
            const size_t count = len - i < FS_GROUP ? len - i : FS_GROUP;
            if (count < FS_GROUP || limit || !fs_divergence_terms(ctx, x + i, y + i, term))
                for (size_t j = 0; j < count; j++)
                    term[j] = fs_divergence_term(ctx, &natural, x[i + j], y[i + j]);
            for (size_t j = 0; j < count; j++) {
                if (FS_UNLIKELY(term[j] == INFINITY)) {
                    ctx->sum[chunk] = INFINITY;
                    return;
                }
                fs_add_to(&sum, &error, term[j]);
            }
        }
    }
    ctx->sum[chunk] = sum + error;
}

/* From distributions that have a sum; FS_OK, or FS_INTERRUPTED. */
static fs_status fs_divergence_of(const fs_distribution *p, const fs_distribution *q, size_t n, double *result)
{
    fs_divergence ctx = {.p = p, .q = q, .n = n, .length = fs_peak_length(n)};
    const size_t chunks = (n + ctx.length - 1) / ctx.length;
    if (fs_parallel_for(chunks, fs_divergence_chunk, &ctx))
        return FS_INTERRUPTED;
    double sum = 0.0, error = 0.0;
    for (size_t i = 0; i < chunks; i++) {
        if (ctx.sum[i] == INFINITY) {
            *result = INFINITY;
            return FS_OK;
        }
        fs_add_to(&sum, &error, ctx.sum[i]);
    }
    *result = sum + error;
    return FS_OK;
}

static fs_status kernel_kl_divergence(const fs_row *x, const fs_row *y, size_t n, double temperature, double *result)
{
    fs_distribution p, q;
    fs_status status = fs_distribution_of(x, n, temperature, &p), other = FS_OK;
    if (!fs_has_ended(status))
        other = fs_distribution_of(y, n, temperature, &q);
    if (status == FS_OK || other == FS_NAN || fs_has_ended(other))
        status = other;
    *result = fs_f64_of(UINT64_C(0x7ff8000000000000));
    return status == FS_OK ? fs_divergence_of(&p, &q, n, result) : status;
}

#endif

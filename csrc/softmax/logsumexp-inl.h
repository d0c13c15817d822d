/* log-sum-exp and log_softmax of one row.
 *
 *     logsumexp(x/T) = max/T + L        log_softmax_i = (x_i - max)/T - L        L = log sum exp((x - max)/T) >= 0
 *
 * Both terms of log_softmax are <= 0, so nothing cancels.  L itself is log(1 + rest): where the largest entry
 * dominates, the rest is summed again without it, so that L keeps its relative accuracy however small it is.
 *
 * Needs real_f32.h or real_f64.h, softmax/row-inl.h, softmax/softmax-inl.h, softmax/logsumexp.h.
 */

/* L, from the total alone: accurate where the largest entry does not dominate. */
static double NAME(log_of_total)(const NAME(row) *r)
{
    /* the origin against the maximum, as a power of two */
    double above = fma((double)r->origin.shift - r->max, r->c.high, r->origin.power);
    above = fma((double)r->origin.shift - r->max, r->c.low, above);
    return fs_log(r->total) + above * FS_LN2_HIGH;
}

/* The mass, against the maximum, of the blocks without the first that holds it: that one is *of_max. */
static double NAME(rest_of_row)(const NAME(row) *r, size_t *of_max)
{
    double rest = 0.0;
    *of_max = r->count;
    for (size_t b = 0; b < r->count; b++) {
        if (*of_max == r->count && r->block[b].sum != 0.0 && r->block[b].max == r->max)
            *of_max = b;
        else if (r->block[b].sum != 0.0)
            rest += r->block[b].sum * NAME(block_factor)(r, r->block[b].max);
    }
    return rest * fs_exp2(&r->c, (double)r->origin.shift - r->max, r->origin.power);
}

static fs_status NAME(log_normaliser)(const fs_reader *reader, size_t n, double temperature, double *max,
                                      double *log_sum)
{
    NAME(row) r;
    fs_status status = NAME(row_read)(&r, reader, n, temperature, NULL);
    if (status != FS_OK)
        return status;
    *max = r.max;
    *log_sum = NAME(log_of_total)(&r);
    if (*log_sum < 1.0) { /* the largest entry has more than a third of the mass */
        size_t of_max;
        double rest = NAME(rest_of_row)(&r, &of_max);
        if (of_max < r.count) /* it always is, unless another thread changes the row */
            rest += fs_rest_of_block(reader, of_max * BLOCK, NAME(block_length)(n, of_max), &r.c, r.max);
        *log_sum = fs_log1p(rest);
    }
    NAME(row_free)(&r);
    return FS_OK;
}

/* out = (x - max)/T - L.  Where the difference could overflow it is taken of quarters. */
static void NAME(log_block)(const REAL *x, size_t len, REAL max, REAL quarter, REAL inverse, REAL log_sum, REAL *out)
{
    VEC q = V(set1)(quarter), m = V(set1)(-(max * quarter)), c = V(set1)(inverse), l = V(set1)(-log_sum);
    size_t i = 0;
    for (; i + LANES <= len; i += LANES)
        V(store)(out + i, V(fma)(V(fma)(V(load)(x + i), q, m), c, l));
    if (i < len)
        V(store_first)(out + i, V(fma)(V(fma)(V(load_first)(x + i, len - i, max), q, m), c, l), len - i);
}

typedef struct {
    const fs_reader *reader;
    size_t n;
    double max, log_sum, temperature;
    const fs_output *out;
} NAME(logs);

static void NAME(log_chunk)(void *context, size_t chunk)
{
    const NAME(logs) *ctx = context;
    const fs_output *out = ctx->out;
    const int direct = NAME(is_direct)(out);
    const double quarter = ctx->max >= EXTREME || ctx->max <= -EXTREME ? 0.25 : 1.0;
    size_t start = chunk * FS_BLOCKS_PER_CHUNK * BLOCK, past = start + FS_BLOCKS_PER_CHUNK * BLOCK;
    for (; start < ctx->n && start < past; start += BLOCK) {
        REAL copy[BLOCK], result[BLOCK];
        size_t len = ctx->n - start < BLOCK ? ctx->n - start : BLOCK;
        REAL *to = direct ? (REAL *)out->data + start : result;
        NAME(log_block)(NAME(fs_load)(ctx->reader, start, len, copy), len, (REAL)ctx->max, (REAL)quarter,
                        (REAL)(1.0 / quarter / ctx->temperature), (REAL)ctx->log_sum, to);
        NAME(fs_store)(out, start, len, to);
    }
}

static fs_status NAME(log_blocks)(const fs_reader *reader, size_t n, double temperature, double max, double log_sum,
                                  const fs_output *out)
{
    NAME(logs) ctx = {reader, n, max, log_sum, temperature, out};
    return fs_parallel_for((n - 1) / (FS_BLOCKS_PER_CHUNK * BLOCK) + 1, NAME(log_chunk), &ctx) ? FS_INTERRUPTED
                                                                                               : FS_OK;
}

static fs_status NAME(log_softmax)(const fs_reader *reader, size_t n, double temperature, const fs_output *out)
{
    double max, log_sum;
    fs_status status = NAME(log_normaliser)(reader, n, temperature, &max, &log_sum);
    return status == FS_OK ? NAME(log_blocks)(reader, n, temperature, max, log_sum, out) : status;
}

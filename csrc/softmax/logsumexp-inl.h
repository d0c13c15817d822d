/* log-sum-exp and log_softmax of one row.
 *
 *     logsumexp(x/T) = max/T + L        log_softmax_i = (x_i - max)/T - L        L = log sum exp((x - max)/T) >= 0
 *
 * Both terms of log_softmax are <= 0, so nothing cancels.  L itself is log(1 + rest): where the largest entry
 * dominates, the rest is summed again without it, so that L keeps its relative accuracy however small it is.  In a block of
 * up to TINY entries the weights are those of the sum; in a longer one, and where they underflow, the largest of the rest is
 * their origin.
 *
 * Needs real_f32.h or real_f64.h, softmax/row-inl.h, softmax/softmax-inl.h, softmax/short_rows-inl.h, softmax/logsumexp.h.
 */

/* Sum of exp((x - max)/T) over a contiguous block, without the first entry equal to max, whose origin is the largest of the
 * rest; and *moment (NULL: not wanted), the sum of these times (max - x)/T, multiplied by what may underflow last. */
static double NAME(rest_below)(const REAL *x, size_t len, const fs_scale *c, REAL max, double *moment)
{
    const NAME(scale) scale = NAME(scale_of)(c);
    REAL copy[BLOCK];
    size_t first = 0;
    memcpy(copy, x, len * sizeof(REAL));
    while (first + 1 < len && copy[first] != max)
        first++;
    copy[first] = -FS_INFINITY;
    NAME(range) range = NAME(range_of)(copy, len, &scale);
    if (moment)
        *moment = 0.0;
    if (range.nan || range.max == -FS_INFINITY)
        return 0.0;
    NAME(origin) origin = NAME(origin_of)(range.max, &scale);
    const double factor = fs_exp2_lifted(c, (double)origin.shift - max, origin.power, NAME(LIFTED));
    if (!moment)
        return NAME(block_sum)(copy, len, range, &scale) * factor * fs_pow2(-NAME(LIFTED));
    const double sum = NAME(block_moment)(copy, len, range, &scale, moment), apart = (double)max - (double)range.max;
    *moment = NAME(lifted_moment)(*moment, sum, apart, c, (double)origin.shift - max, origin.power) *
              fs_pow2(-NAME(LIFTED));
    return sum * factor * fs_pow2(-NAME(LIFTED));
}

/* The largest entry of a block but the first that is equal to its maximum; *first is that one's place. */
static REAL NAME(largest_below)(const REAL *x, size_t len, REAL max, size_t *first)
{
    const VEC m = V(set1)(max);
    VEC high = V(set1)(-FS_INFINITY);
    *first = len;
    for (size_t i = 0; i < len; i += LANES) {
        VEC v = len - i >= LANES ? V(load)(x + i) : V(load_first)(x + i, len - i, -FS_INFINITY);
        unsigned equal = V(at_least)(v, m);
        if (FS_UNLIKELY(equal != 0 && *first == len)) {
            REAL lanes[LANES];
            V(store)(lanes, v);
            lanes[fs_lowest_place(equal)] = -FS_INFINITY;
            *first = i + fs_lowest_place(equal);
            v = V(load)(lanes);
        }
        high = V(max)(v, high);
    }
    if (FS_UNLIKELY(*first >= len)) /* another thread changes the row */
        *first = len - 1;
    return V(reduce_max)(high) + (REAL)0;
}

/* rest_below of a block of more than TINY entries whose weights are there; they are changed.  Against another origin weights
 * differ by a power of two alone, unless one is subnormal; or, in double, c x lies in the middle of two integers, and which of
 * them is taken depends on whether the origin is even: such a c has few bits. */
static double NAME(rest_of_weights)(const REAL *x, size_t len, const fs_scale *c, const NAME(scale) *scale,
                                    NAME(range) range, REAL *weights, double *moment)
{
    size_t first;
    const REAL below = NAME(largest_below)(x, len, range.max, &first);
    const NAME(origin) o = NAME(origin_of)(range.max, scale), of_rest = NAME(origin_of)(below, scale);
    const uint64_t low_bits = (UINT64_C(1) << 38) - 1;
    if (!range.no_underflow || o.shift != 0 || of_rest.shift != 0 ||
        (sizeof(REAL) == sizeof(double) && !(fs_bits_f64(c->high) & low_bits)))
        return NAME(rest_below)(x, len, c, range.max, moment);
    weights[first] = 0;
    const double sum =
        NAME(block_again)(x, len, below, scale, weights, (REAL)fs_pow2((int)(o.power - of_rest.power)), moment);
    const double factor = fs_exp2_lifted(c, -(double)range.max, of_rest.power, NAME(LIFTED));
    if (moment)
        *moment = NAME(lifted_moment)(*moment, sum, (double)range.max - (double)below, c, -(double)range.max,
                                      of_rest.power) *
                  fs_pow2(-NAME(LIFTED));
    return sum * factor * fs_pow2(-NAME(LIFTED));
}

/* The same for a block of a row: the rest that its length calls for. */
static double NAME(rest_of_block)(const fs_reader *reader, size_t start, size_t len, const fs_scale *c, REAL max,
                                  double *moment)
{
    REAL copy[BLOCK];
    NAME(log_parts) parts;
    const REAL *x = NAME(fs_load)(reader, start, len, copy);
    if (len > TINY || NAME(short_log_parts)(x, len, c, 1, &parts) != FS_OK || parts.rest != parts.rest)
        return NAME(rest_below)(x, len, c, max, moment);
    if (moment)
        NAME(rest_below)(x, len, c, max, moment);
    return parts.rest;
}

/* 2^above is what the sum of weights is multiplied by to be one of exp((x - max)/T). */
static double NAME(unit_of_row)(const NAME(row) *r)
{
    return fs_exp2_of_fraction(fs_above_maximum(r->origin.shift, r->origin.power, r->max, r->c.high, r->c.low));
}

/* The mass, against the maximum, of the blocks without the first that holds it: that one is *of_max. */
static double NAME(rest_of_row)(const NAME(row) *r, size_t *of_max)
{
    double rest = 0.0, error = 0.0;
    *of_max = r->count;
    for (size_t b = 0; b < r->count; b++) {
        if (*of_max == r->count && r->block[b].sum != 0.0 && r->block[b].max == r->max) {
            *of_max = b;
        } else if (r->block[b].sum != 0.0) {
            NAME(origin) o = NAME(origin_of)(r->block[b].max, &r->scale);
            double factor = fs_exp2_lifted(&r->c, (double)o.shift - (double)r->origin.shift,
                                           (double)o.power - (double)r->origin.power, NAME(LIFTED));
            fs_add_to(&rest, &error, r->block[b].sum * factor);
        }
    }
    return (rest + error) * NAME(unit_of_row)(r) * fs_pow2(-NAME(LIFTED));
}

/* max and L of a row. */
static fs_status NAME(log_normaliser)(const fs_reader *reader, size_t n, double temperature, double *max,
                                      double *log_sum)
{
    fs_status status;
    if (n <= TINY) {
        REAL copy[BLOCK];
        NAME(log_parts) parts;
        const fs_scale c = fs_scale_of(temperature);
        const REAL *x = NAME(fs_load)(reader, 0, n, copy);
        status = NAME(short_log_parts)(x, n, &c, 0, &parts);
        if (status != FS_OK)
            return status;
        if (FS_UNLIKELY(parts.rest != parts.rest))
            parts.rest = NAME(rest_below)(x, n, &c, (REAL)parts.max, NULL);
        *max = parts.max;
        *log_sum = fs_log_of_sum(parts.sum, parts.rest);
        return FS_OK;
    }
    NAME(row) r;
    status = NAME(row_read)(&r, reader, n, temperature, NULL);
    if (status != FS_OK)
        return status;
    double sum = r.total * NAME(unit_of_row)(&r), rest = 0.0;
    if (sum < FS_DOMINATED) {
        size_t of_max;
        rest = NAME(rest_of_row)(&r, &of_max);
        if (of_max < r.count) /* it always is, unless another thread changes the row */
            rest += NAME(rest_of_block)(reader, of_max * BLOCK, NAME(block_length)(n, of_max), &r.c, r.max, NULL);
    }
    *max = r.max;
    *log_sum = fs_log_of_sum(sum, rest);
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

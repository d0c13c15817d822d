/* The entropy of softmax(x/T), in nats.  With w = exp((x - max)/T):
 *
 *     H = L + D / (T sum w)        L = log sum w        D = sum w (max - x)
 *
 * No term of either sum is negative, so nothing cancels.  D is summed in the units of x, for each block against its own
 * maximum, in the pass that sums its weights:  D = sum over blocks of factor (D_b + (max - max_b) sum_b).  L is that of a
 * log-sum-exp; where the largest entry dominates, the block that holds it leaves D without it as it leaves the rest, so that
 * the entropy keeps its relative accuracy however small it is.
 *
 * Error: that of L; of D that of the weights (softmax/block-inl.h), two roundings a term and two of the tree that adds eight
 * vectors; these trees are added in double, for double with their rounding errors.
 *
 * Needs real_f32.h or real_f64.h, softmax/logsumexp-inl.h. */

/* sum w and D of a short row of finite maximum. */
FS_INLINE double NAME(tiny_moment)(const REAL *x, size_t n, const NAME(scale) *scale, double *sum, int count)
{
    VEC w[4];
    REAL max = 0;
    NAME(tiny_weights)(x, n, scale, w, &max, count);
    *sum = NAME(sum_of_few)(w, count);
    NAME(tiny_moments)(x, n, max, scale->reach, w, count);
    return NAME(sum_of_few)(w, count);
}

/* L of a row of at most TINY entries, and D / (T sum w). */
static fs_status NAME(short_entropy)(const REAL *x, size_t n, double temperature, double *log_sum, double *mean)
{
    const fs_scale c = fs_scale_of(temperature);
    const NAME(scale) scale = NAME(scale_of)(&c);
    NAME(log_parts) parts;
    fs_status status = NAME(short_log_parts)(x, n, &c, 0, &parts);
    if (status != FS_OK)
        return status;
    double sum, moment = FS_BY_COUNT(NAME(tiny_moment), x, n, &scale, &sum);
    const NAME(origin) o = NAME(origin_of)((REAL)parts.max, &scale);
    moment *= fs_exp2_of_fraction(fs_above_maximum(o.shift, o.power, parts.max, c.high, c.low)) / temperature;
    if (FS_UNLIKELY(parts.rest != parts.rest))
        parts.rest = NAME(rest_below)(x, n, &c, (REAL)parts.max, &moment);
    *log_sum = fs_log_of_sum(parts.sum, parts.rest);
    *mean = moment / parts.sum;
    return FS_OK;
}

/* D/T of exp((x - max)/T), of all blocks but one; r->count: of all. */
static double NAME(moment_of_row)(const NAME(row) *r, size_t but)
{
    double moment = 0.0, error = 0.0;
    for (size_t b = 0; b < r->count; b++) {
        if (b == but || r->block[b].sum == 0.0)
            continue;
        const NAME(origin) o = NAME(origin_of)(r->block[b].max, &r->scale);
        const double apart = (double)r->max - (double)r->block[b].max;
        const double d = (double)o.shift - (double)r->origin.shift, k = (double)o.power - (double)r->origin.power;
        fs_add_to(&moment, &error, NAME(lifted_moment)(r->moment[b], r->block[b].sum, apart, &r->c, d, k));
    }
    return (moment + error) * NAME(unit_of_row)(r) * fs_pow2(-NAME(LIFTED));
}

static fs_status NAME(entropy)(const fs_reader *reader, size_t n, double temperature, double *entropy)
{
    double log_sum, mean, on_stack[NAME(BLOCKS_ON_STACK)];
    fs_status status;
    if (n <= TINY) {
        REAL copy[BLOCK];
        status = NAME(short_entropy)(NAME(fs_load)(reader, 0, n, copy), n, temperature, &log_sum, &mean);
        if (status == FS_OK)
            *entropy = log_sum + mean;
        return status;
    }
    NAME(row) r;
    status = NAME(row_begin)(&r, n, temperature);
    if (status != FS_OK)
        return status;
    r.moment = r.count > NAME(BLOCKS_ON_STACK) ? malloc(r.count * sizeof *r.moment) : on_stack;
    status = r.moment ? NAME(row_summarise)(&r, reader, n, NULL) : FS_NO_MEMORY;
    if (status == FS_OK) {
        NAME(row_combine)(&r);
        double sum = r.total * NAME(unit_of_row)(&r), rest = 0.0, of_block = 0.0;
        size_t of_max = r.count;
        if (sum < FS_DOMINATED) {
            rest = NAME(rest_of_row)(&r, &of_max);
            if (of_max < r.count) /* it always is, unless another thread changes the row */
                rest += NAME(rest_of_block)(reader, of_max * BLOCK, NAME(block_length)(n, of_max), &r.c, r.max,
                                            &of_block);
        }
        log_sum = fs_log_of_sum(sum, rest);
        mean = (NAME(moment_of_row)(&r, of_max) + of_block) / sum;
        *entropy = log_sum + mean;
    }
    if (r.moment != on_stack)
        free(r.moment);
    NAME(row_free)(&r);
    return status;
}

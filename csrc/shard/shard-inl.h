/* A shard, that is a part of a row: the summary of its blocks; the row from the summaries; the shard's part of a result.
 *
 * A summary holds for each block its maximum and the sum of its weights (softmax/row-inl.h), and for the shard the mass of
 * the block with its maximum, without the largest entry (softmax/logsumexp.h).  These numbers do not depend on where they
 * are computed, and the row combines them in the order of the blocks, so every result below has the bits of the undivided row.
 *
 * Needs real_f32.h or real_f64.h, softmax/logsumexp-inl.h, draw/logits-inl.h.
 */

/* A block with NaN or +inf, or nothing but -inf: max is that, sum the number of entries +inf. */
static void NAME(shard_block)(const REAL *x, size_t len, const NAME(scale) *scale, double *max, double *sum)
{
    NAME(range) range = NAME(range_of)(x, len, scale);
    *max = range.nan ? fs_f64_of(UINT64_C(0x7ff8000000000000)) : (double)range.max;
    *sum = 0.0;
    if (range.nan || range.max == -(REAL)INFINITY)
        return;
    if (range.max == (REAL)INFINITY)
        for (size_t i = 0; i < len; i++)
            *sum += x[i] == range.max;
    else
        *sum = NAME(block_sum)(x, len, range, scale);
}

/* The summaries of the blocks of n entries.  The rest is needed for a sum below e (softmax/logsumexp-inl.h); the other blocks only
 * add to it, so it is taken where the block with the maximum has less than SUM_WITH_REST alone, roundings included. */
#define SUM_WITH_REST 4.0
static fs_status NAME(shard_summarise)(const fs_reader *reader, size_t n, double temperature, double *max,
                                       double *sum, double *rest)
{
    NAME(row) r;
    fs_status status = NAME(row_begin)(&r, n, temperature);
    if (status != FS_OK)
        return status;
    *rest = 0.0;
    status = NAME(row_summarise)(&r, reader, n, NULL);
    if (status == FS_INTERRUPTED) {
        NAME(row_free)(&r);
        return status;
    }
    if (status == FS_OK || status == FS_NO_MASS) {
        for (size_t b = 0; b < r.count; b++)
            max[b] = (double)r.block[b].max, sum[b] = r.block[b].sum;
    } else {
        for (size_t b = 0; b < r.count; b++) {
            REAL copy[BLOCK];
            size_t len = NAME(block_length)(n, b);
            NAME(shard_block)(NAME(fs_load)(reader, b * BLOCK, len, copy), len, &r.scale, max + b, sum + b);
        }
    }
    if (status == FS_OK) {
        size_t of_max = 0;
        while (r.block[of_max].max != r.max)
            of_max++;
        r.origin = NAME(origin_of)(r.max, &r.scale);
        r.total = r.block[of_max].sum;
        if (r.total * NAME(unit_of_row)(&r) < SUM_WITH_REST)
            *rest = NAME(rest_of_block)(reader, of_max * BLOCK, NAME(block_length)(n, of_max), &r.c, r.max, NULL);
    }
    NAME(row_free)(&r);
    return FS_OK;
}
#undef SUM_WITH_REST

/* The same at a temperature that only has a limit: sum is the number of entries that are the block's maximum, or of all
 * above -inf where that is infinite. */
static fs_status NAME(shard_count)(const fs_reader *reader, size_t n, double temperature, double *max, double *sum)
{
    const fs_scale c = fs_scale_of(1.0);
    const NAME(scale) scale = NAME(scale_of)(&c);
    for (size_t start = 0, b = 0; start < n; start += BLOCK, b++) {
        REAL copy[BLOCK];
        size_t len = NAME(block_length)(n, b);
        if (b % FS_BLOCKS_PER_CHUNK == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
        const REAL *x = NAME(fs_load)(reader, start, len, copy);
        NAME(range) range = NAME(range_of)(x, len, &scale);
        max[b] = range.nan ? fs_f64_of(UINT64_C(0x7ff8000000000000)) : (double)range.max;
        sum[b] = 0.0;
        if (range.nan || range.max == -(REAL)INFINITY)
            continue;
        for (size_t i = 0; i < len; i++)
            sum[b] += temperature == INFINITY ? x[i] > -(REAL)INFINITY : x[i] == range.max;
    }
    return FS_OK;
}

/* The row with these block summaries, of which at least one has mass. */
static fs_status NAME(row_of_blocks)(NAME(row) *r, size_t blocks, const double *max, const double *sum,
                                     double temperature)
{
    if (blocks == 0)
        return FS_CHANGED;
    fs_status status = NAME(row_begin)(r, blocks * BLOCK, temperature);
    if (status != FS_OK)
        return status;
    for (size_t b = 0; b < blocks; b++) {
        r->block[b].max = (REAL)max[b];
        r->block[b].no_underflow = 0;
        r->block[b].sum = sum[b];
        r->max = r->block[b].max > r->max ? r->block[b].max : r->max;
    }
    NAME(row_combine)(r);
    return FS_OK;
}

/* The row's total and log_sum; `rest` is that of the part with the first block that holds the maximum. */
static fs_status NAME(shard_normalise)(size_t blocks, const double *max, const double *sum, double rest,
                                       double temperature, double *total, double *log_sum)
{
    NAME(row) r;
    fs_status status = NAME(row_of_blocks)(&r, blocks, max, sum, temperature);
    if (status != FS_OK)
        return status;
    *total = r.total;
    double sum_of_row = r.total * NAME(unit_of_row)(&r);
    if (sum_of_row < FS_DOMINATED) {
        size_t of_max;
        rest += NAME(rest_of_row)(&r, &of_max);
    }
    *log_sum = fs_log_of_sum(sum_of_row, rest);
    NAME(row_free)(&r);
    return FS_OK;
}

/* The blocks the draws fall in (draw/block_cdf-inl.h). */
static fs_status NAME(shard_locate)(size_t blocks, const double *max, const double *sum, double temperature, size_t k,
                                    const double *u, fs_location *at)
{
    NAME(row) r;
    fs_status status = NAME(row_of_blocks)(&r, blocks, max, sum, temperature);
    if (status != FS_OK)
        return status;
    NAME(integer_blocks)(&r);
    uint64_t total = r.block[r.count - 1].cumulative;
    if (total == 0) {
        NAME(row_free)(&r);
        return FS_CHANGED;
    }
    const NAME(blocks) row = NAME(blocks_of_row)(&r, blocks * BLOCK);
    for (size_t j = 0; j < k && status == FS_OK; j++) {
        const NAME(location) found = NAME(locate)(&row, fs_scale_uniform(u[j], total));
        at[j].start = (int64_t)(found.block * BLOCK);
        at[j].entry = -1;
        at[j].max = max[found.block];
        at[j].high = found.place.high;
        at[j].low = found.place.low;
        at[j].of = blocks == 1 ? 0 : found.weight;
        at[j].u = u[j];
        if (j % 1024 == 1023 && fs_check_interrupt())
            status = FS_INTERRUPTED;
    }
    NAME(row_free)(&r);
    return status;
}

/* Whether the blocks of the part from its entry `start` to before `past` have the maxima that shard_count or
 * shard_summarise wrote, and what the part has of a cut block has no greater one. */
static int NAME(shard_has)(const fs_reader *reader, const fs_part *part, size_t start, size_t past,
                           const double *block_max)
{
    const fs_scale c = fs_scale_of(1.0);
    const NAME(scale) scale = NAME(scale_of)(&c);
    for (size_t b = 0, len; start < past; start += len, b++) {
        REAL copy[BLOCK];
        len = fs_length_in_block(part, start, BLOCK);
        NAME(range) range = NAME(range_of)(NAME(fs_load)(reader, start, len, copy), len, &scale);
        const double max = (double)range.max;
        if (range.nan || (fs_is_cut(part, start, len, BLOCK) ? max > block_max[b] : max != block_max[b]))
            return 0;
    }
    return 1;
}

/* p of a part: each block's factor follows from its maximum and the row's.  `block_max` (or NULL): what was summarised.
 * `cut_max`: the maxima of the part's first and last block where these are cut (NULL: what it has of them is as good). */
static fs_status NAME(shard_softmax)(const fs_reader *reader, const fs_part *part, double temperature, double max,
                                     double total, const double *cut_max, const double *block_max,
                                     const fs_output *out)
{
    REAL copy[BLOCK];
    NAME(row) r;
    NAME(softmax_job) job = {reader, part->n, &r, fs_reciprocal_of(total), out, NULL};
    r.c = fs_scale_of(temperature);
    r.scale = NAME(scale_of)(&r.c);
    r.origin = NAME(origin_of)((REAL)max, &r.scale);
    for (size_t start = 0, b = 0, len; start < part->n; start += len, b++) {
        len = fs_length_in_block(part, start, BLOCK);
        const REAL *x = NAME(fs_load)(reader, start, len, copy);
        NAME(range) range = NAME(range_of)(x, len, &r.scale);
        if (FS_UNLIKELY(range.nan || !((double)range.max <= max)))
            return FS_CHANGED;
        if (FS_UNLIKELY(fs_is_cut(part, start, len, BLOCK))) {
            if (cut_max) {
                if ((double)range.max > cut_max[start != 0])
                    return FS_CHANGED;
                range.max = (REAL)cut_max[start != 0];
                range.no_underflow = 0;
            }
        } else if (FS_UNLIKELY(block_max && (double)range.max != block_max[b])) {
            return FS_CHANGED;
        }
        NAME(finish_block)(&job, start, len, range, x);
        if (b % FS_BLOCKS_PER_CHUNK == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    return FS_OK;
}

/* The entry of a draw that falls in the block at `start`. */
static fs_status NAME(shard_resolve)(const fs_reader *reader, size_t start, size_t len, double temperature,
                                     const fs_location *at, int64_t *index)
{
    REAL copy[BLOCK];
    NAME(block_cdf) cdf;
    const fs_scale c = fs_scale_of(temperature);
    const NAME(scale) scale = NAME(scale_of)(&c);
    const REAL *x = NAME(fs_load)(reader, start, len, copy);
    NAME(range) range = NAME(range_of)(x, len, &scale);
    if (FS_UNLIKELY(range.nan || (double)range.max != at->max))
        return FS_CHANGED;
    NAME(cdf_of)(&cdf, x, len, range, &scale);
    fs_u128 place = {at->high, at->low};
    uint64_t weight = at->of;
    if (weight == 0) { /* the row has this block alone */
        weight = NAME(cdf_total)(&cdf);
        place = fs_scale_uniform(at->u, weight);
    }
    *index = (int64_t)(start + NAME(cdf_entry)(&cdf, len, place, weight));
    return FS_OK;
}

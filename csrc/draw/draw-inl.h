/* Draws from one row by the integer inverse of the cumulative distribution.
 *
 * Within a block each weight w in [0, sqrt 2] is the integer v = round(w 2^51).  Integer sums are exact in any order:
 * with V their total, the draw is the smallest i whose running sum exceeds t = floor(u V).  An entry of weight 0
 * has an empty interval and t < V, so it cannot be drawn and the index is always in range.
 *
 * Over several blocks the factored sums of the blocks, as integers below 2^61 in all, choose the block in the same
 * way; what is left of t, in [0, W_b), is taken to [0, V) within it.  That block alone is evaluated again.
 */

enum { NAME(CDF_GROUP) = 4 * LANES, NAME(CDF_GROUPS) = BLOCK / NAME(CDF_GROUP) };

/* The integer weights of one block: the weights, and the running totals of its chunks of four vectors. */
typedef struct {
    REAL weight[BLOCK];
    uint64_t cumulative[NAME(CDF_GROUPS)];
    size_t groups;
} NAME(block_cdf);

FS_INLINE void NAME(cdf_sums)(NAME(block_cdf) *cdf, size_t len)
{
    REAL *w = cdf->weight;
    size_t padded = (len + NAME(CDF_GROUP) - 1) / NAME(CDF_GROUP) *NAME(CDF_GROUP);
    for (size_t i = len; i < padded; i++)
        w[i] = 0;
    uint64_t cumulative = 0;
    cdf->groups = padded / NAME(CDF_GROUP);
    for (size_t j = 0; j < cdf->groups; j++) {
        const REAL *p = w + j * NAME(CDF_GROUP);
        fs_integers sum = fs_no_integers();
        for (int i = 0; i < 4; i++)
            sum = V(add_integers)(sum, V(load)(p + i * LANES));
        cumulative += fs_integers_total(sum, NAME(CDF_GROUP));
        cdf->cumulative[j] = cumulative;
    }
}

/* The smallest index whose running sum exceeds t, for t below the total.  It stays within `len` entries whatever the
 * weights are: another thread may change a row between its range and its weights. */
FS_INLINE size_t NAME(cdf_index)(const NAME(block_cdf) *cdf, size_t len, uint64_t t)
{
    size_t j = 0;
    for (size_t i = 0; i + 1 < cdf->groups; i++)
        j += cdf->cumulative[i] <= t;
    uint64_t before = j ? cdf->cumulative[j - 1] : 0;
    size_t index = j * NAME(CDF_GROUP) + V(integer_rank4)(cdf->weight + j * NAME(CDF_GROUP), t - before);
    return FS_UNLIKELY(index >= len) ? len - 1 : index;
}

FS_INLINE uint64_t NAME(cdf_total)(const NAME(block_cdf) *cdf) { return cdf->cumulative[cdf->groups - 1]; }

/* One block of logits, of which at least one is finite. */
FS_INLINE void NAME(cdf_of)(NAME(block_cdf) *cdf, const REAL *x, size_t len, NAME(range) range,
                            const NAME(scale) *scale)
{
    if (range.no_underflow)
        NAME(pass)(x, len, range.max, scale, NAME(unit), cdf->weight, 0, NAME(STORE));
    else
        NAME(pass)(x, len, range.max, scale, NAME(unit), cdf->weight, 1, NAME(STORE));
    NAME(cdf_sums)(cdf, len);
}

/* A contiguous row of one block. */
FS_INLINE fs_status NAME(sample_short)(const REAL *x, size_t n, const NAME(scale) *scale, NAME(block_cdf) *cdf)
{
    NAME(range) range = NAME(range_of)(x, n, scale);
    if (FS_UNLIKELY(range.nan))
        return FS_NAN;
    if (FS_UNLIKELY(!(range.max - range.max == 0)))
        return range.max > 0 ? FS_LIMIT : FS_NO_MASS;
    NAME(cdf_of)(cdf, x, n, range, scale);
    return FS_OK;
}

/* The block sums become running totals of integers, below 2^62 in all. */
static void NAME(integer_blocks)(NAME(row) *r)
{
    double unit = 0x1p61;
    uint64_t cumulative = 0;
    int e = fs_exponent(r->total);
    for (size_t b = 0; b < r->count; b++) {
        double sum = r->block[b].sum;
        if (sum != 0.0)
            cumulative += (uint64_t)(int64_t)(sum * NAME(block_factor)(r, r->block[b].max) * fs_pow2(-e) * unit);
        r->block[b].cumulative = cumulative;
    }
}

static size_t NAME(block_at)(const NAME(row) *r, uint64_t t)
{
    size_t low = 0, high = r->count - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->block[middle].cumulative <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The bounds of the block that begins at entry `start`, from its block CDF (draw/guide_table.h). */
static void NAME(guide_block)(const fs_guide *guide, size_t start, const NAME(block_cdf) *cdf, size_t len,
                              uint64_t before, uint64_t weight, uint64_t total)
{
    const fs_guide g = *guide;
    const fs_bound_scale s = fs_bounds_of_block(before, weight, NAME(cdf_total)(cdf), total);
    uint64_t cumulative = 0;
    for (size_t i = 0; i < len; i++) {
        cumulative += fs_integer_weight((double)cdf->weight[i]);
        fs_guide_put(&g, start + i, fma((double)(int64_t)cumulative, s.slope, s.first), s.last);
    }
}

/* The weights of block b again. */
static void NAME(cdf_reload)(NAME(block_cdf) *cdf, const NAME(row) *r, const fs_reader *reader, size_t n, size_t b)
{
    REAL copy[BLOCK];
    size_t len = NAME(block_length)(n, b);
    NAME(range) range = {r->block[b].max, 0, r->block[b].no_underflow};
    NAME(cdf_of)(cdf, NAME(fs_load)(reader, b * BLOCK, len, copy), len, range, &r->scale);
}

static inline uint64_t NAME(before_block)(const NAME(row) *r, size_t b) { return b ? r->block[b - 1].cumulative : 0; }

/* The bounds of the blocks [first, past) of a row of several, and the weights (or NULL) for draw/categorical.h. */
static fs_status NAME(guide_blocks)(const fs_guide *guide, const NAME(row) *r, const fs_reader *reader, size_t n,
                                    size_t first, size_t past, REAL *weights)
{
    NAME(block_cdf) cdf;
    uint64_t total = r->block[r->count - 1].cumulative;
    for (size_t b = first; b < past; b++) {
        size_t len = NAME(block_length)(n, b);
        uint64_t before = NAME(before_block)(r, b), weight = r->block[b].cumulative - before;
        if (weight) {
            NAME(cdf_reload)(&cdf, r, reader, n, b);
            NAME(guide_block)(guide, b * BLOCK, &cdf, len, before, weight, total);
            if (weights)
                memcpy(weights + b * BLOCK, cdf.weight, len * sizeof(REAL));
        } else {
            fs_guide_skip(guide, b * BLOCK, b * BLOCK + len, before, total);
            if (weights)
                memset(weights + b * BLOCK, 0, len * sizeof(REAL));
        }
        if (b % FS_BLOCKS_PER_CHUNK == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    return FS_OK;
}

/* The draws from a row of one block (fs_make_draws). */
typedef struct {
    NAME(block_cdf) cdf;
    size_t n;
} NAME(short_row);

static void NAME(draw_short)(const void *row, size_t k, const double *u, int some, int64_t *index)
{
    const NAME(block_cdf) *cdf = &((const NAME(short_row) *)row)->cdf;
    const size_t n = ((const NAME(short_row) *)row)->n;
    for (size_t j = 0; j < k; j++)
        if (!some || index[j] < 0)
            index[j] = (int64_t)NAME(cdf_index)(cdf, n, fs_scale_uniform(u[j], NAME(cdf_total)(cdf)).high);
}

/* The same, of several. */
typedef struct {
    NAME(row) row;
    const fs_reader *reader;
    size_t n;
} NAME(long_row);

static void NAME(draw_long)(const void *row, size_t k, const double *u, int some, int64_t *index)
{
    const NAME(long_row) *ctx = row;
    const NAME(row) *r = &ctx->row;
    const fs_reader *reader = ctx->reader;
    const size_t n = ctx->n;
    NAME(block_cdf) cdf;
    uint64_t total = r->block[r->count - 1].cumulative;
    size_t loaded = r->count;
    for (size_t j = 0; j < k; j++) {
        if (some && index[j] >= 0)
            continue;
        fs_u128 t = fs_scale_uniform(u[j], total);
        size_t b = NAME(block_at)(r, t.high);
        uint64_t before = NAME(before_block)(r, b), weight = r->block[b].cumulative - before;
        if (b != loaded)
            NAME(cdf_reload)(&cdf, r, reader, n, b);
        loaded = b;
        t.high -= before;
        uint64_t place = fs_rescale(t, weight, NAME(cdf_total)(&cdf));
        index[j] = (int64_t)(b * BLOCK + NAME(cdf_index)(&cdf, NAME(block_length)(n, b), place));
    }
}

static fs_status NAME(sample)(const fs_reader *reader, size_t n, double temperature, size_t k, const fs_uniforms *u,
                              int64_t *index, double *logprob)
{
    fs_guide guide;
    if (n <= BLOCK) {
        REAL copy[BLOCK];
        NAME(short_row) row;
        fs_scale c = fs_scale_of(temperature);
        NAME(scale) scale = NAME(scale_of)(&c);
        fs_status status = NAME(sample_short)(NAME(fs_load)(reader, 0, n, copy), n, &scale, &row.cdf);
        if (status != FS_OK)
            return status;
        row.n = n;
        uint64_t total = NAME(cdf_total)(&row.cdf);
        uint32_t *memory = fs_guide_allocate(&guide, n, k, BLOCK);
        if (memory) {
            NAME(guide_block)(&guide, 0, &row.cdf, n, 0, total, total);
            fs_guide_end(&guide);
        }
        fs_drawing drawing = {memory ? &guide : NULL, NAME(draw_short), &row, u, k, index};
        status = fs_draw_all(&drawing);
        free(memory);
        if (status != FS_OK)
            return status;
    } else {
        NAME(long_row) row;
        fs_status status = NAME(row_read)(&row.row, reader, n, temperature, NULL);
        if (status != FS_OK)
            return status;
        row.reader = reader;
        row.n = n;
        NAME(integer_blocks)(&row.row);
        uint32_t *memory = fs_guide_allocate(&guide, n, k, BLOCK);
        if (memory) {
            status = NAME(guide_blocks)(&guide, &row.row, reader, n, 0, row.row.count, NULL);
            fs_guide_end(&guide);
        }
        fs_drawing drawing = {memory ? &guide : NULL, NAME(draw_long), &row, u, k, index};
        if (status == FS_OK)
            status = fs_draw_all(&drawing);
        free(memory);
        NAME(row_free)(&row.row);
        if (status != FS_OK)
            return status;
    }
    if (logprob) {
        double max, log_sum;
        fs_status status = NAME(log_normaliser)(reader, n, temperature, &max, &log_sum);
        if (status != FS_OK)
            return status;
        for (size_t j = 0; j < k; j++)
            logprob[j] = (fs_logit(reader, (size_t)index[j]) - max) / temperature - log_sum;
    }
    return FS_OK;
}

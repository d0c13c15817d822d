/* Draws from a row of logits: it is made ready once, as the CDF of its block or as blocks with their totals.
 *
 * Needs real_f32.h or real_f64.h, softmax/logsumexp-inl.h, draw/block_cdf-inl.h.
 */

/* The sum of a block as an integer; those of all blocks are below 2^62 together.  e: the exponent of the row's total. */
static inline uint64_t NAME(block_integer)(const NAME(row) *r, size_t b, int e)
{
    const double unit = 0x1p61, sum = r->block[b].sum;
    if (sum == 0.0)
        return 0;
    return (uint64_t)(int64_t)(sum * NAME(block_factor)(r, r->block[b].max) * fs_pow2(-e) * unit);
}

/* The block sums become running totals of integers. */
static void NAME(integer_blocks)(NAME(row) *r)
{
    uint64_t cumulative = 0;
    int e = fs_exponent(r->total);
    for (size_t b = 0; b < r->count; b++) {
        cumulative += NAME(block_integer)(r, b, e);
        r->block[b].cumulative = cumulative;
    }
}

/* The blocks of a row whose sums have become totals. */
static inline NAME(blocks) NAME(blocks_of_row)(const NAME(row) *r, size_t n)
{
    NAME(blocks) blocks = {n,    r->count, &r->block[0].cumulative, sizeof *r->block / sizeof(uint64_t), NULL, NULL,
                           NULL, 0};
    return blocks;
}

/* A row of logits, ready for draws. */
typedef struct {
    NAME(blocks) blocks;
    const fs_reader *reader;
    NAME(row) row; /* of several blocks */
    NAME(block_cdf) cdf; /* of a row of one block */
} NAME(drawable);

/* The weights of block b, again. */
static void NAME(load_logits)(const void *row, size_t b, NAME(block_cdf) *cdf)
{
    const NAME(drawable) *d = row;
    REAL copy[BLOCK];
    size_t len = NAME(block_length)(d->blocks.n, b);
    NAME(range) range = {d->row.block[b].max, 0, d->row.block[b].no_underflow};
    NAME(cdf_of)(cdf, NAME(fs_load)(d->reader, b * BLOCK, len, copy), len, range, &d->row.scale);
}

/* Read the row once.  For FS_OK drawable_end must follow. */
static fs_status NAME(drawable_begin)(NAME(drawable) *d, const fs_reader *reader, size_t n, double temperature)
{
    fs_status status;
    d->reader = reader;
    if (n <= BLOCK) {
        REAL copy[BLOCK];
        fs_scale c = fs_scale_of(temperature);
        NAME(scale) scale = NAME(scale_of)(&c);
        status = NAME(cdf_of_row)(NAME(fs_load)(reader, 0, n, copy), n, &scale, &d->cdf);
        if (status != FS_OK)
            return status;
        d->blocks = (NAME(blocks)){n, 1, d->cdf.cumulative + d->cdf.groups - 1, 1, NULL, NULL, &d->cdf, 0};
        return FS_OK;
    }
    status = NAME(row_read)(&d->row, reader, n, temperature, NULL);
    if (status != FS_OK)
        return status;
    NAME(integer_blocks)(&d->row);
    d->blocks = NAME(blocks_of_row)(&d->row, n);
    d->blocks.load = NAME(load_logits);
    d->blocks.row = d;
    return FS_OK;
}

static void NAME(drawable_end)(NAME(drawable) *d)
{
    if (d->blocks.n > BLOCK)
        NAME(row_free)(&d->row);
}

static fs_status NAME(sample)(const fs_reader *reader, size_t n, double temperature, size_t k, const fs_uniforms *u,
                              int64_t *index, double *logprob)
{
    NAME(drawable) d;
    fs_status status = NAME(drawable_begin)(&d, reader, n, temperature);
    if (status != FS_OK)
        return status;
    status = NAME(draw_all)(&d.blocks, k, u, index);
    NAME(drawable_end)(&d);
    if (status != FS_OK || !logprob)
        return status;
    double max, log_sum;
    status = NAME(log_normaliser)(reader, n, temperature, &max, &log_sum);
    for (size_t j = 0; j < k && status == FS_OK; j++)
        logprob[j] = fs_logprob_of(reader, (size_t)index[j], temperature, max, log_sum);
    return status;
}

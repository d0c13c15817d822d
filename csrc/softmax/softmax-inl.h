/* softmax of one row: p = w * r with r = factor of the block / total, as a sum of two, so that p is rounded once.
 *
 * The weights are stored in the result and multiplied there while a row fits the second-level cache; beyond, they
 * are computed a second time instead (two reads and a write, against two reads and two writes).  Both give the
 * same bits.  Error: that of the weight, that of the weights in the total, 1/2 ulp from the product.
 */

/* Largest row, in bytes, whose weights wait in the result. */
#define FS_STORE_LIMIT ((size_t)1 << 20)

/* A row of one block that lies (x) and goes (out, may be x) contiguous. */
FS_INLINE fs_status NAME(softmax_short)(const REAL *x, size_t n, const NAME(scale) *scale, REAL *out)
{
    NAME(range) range = NAME(range_of)(x, n, scale);
    if (FS_UNLIKELY(range.nan))
        return FS_NAN;
    if (FS_UNLIKELY(!(range.max - range.max == 0)))
        return range.max > 0 ? FS_LIMIT : FS_NO_MASS;
    double total = NAME(block_weights)(x, n, range, scale, out);
    NAME(block_multiply)(out, n, NAME(factor_of)(1.0, fs_reciprocal_of(total)));
    return FS_OK;
}

/* The second pass over a row: the factor of a block by its weights, which wait in the result or are computed again. */
typedef struct {
    const NAME(row) *row;
    const fs_reader *reader;
    size_t n;
    fs_reciprocal total;
    const fs_output *out;
    int stored;
} NAME(writing);

static void NAME(softmax_chunk)(void *context, size_t chunk)
{
    const NAME(writing) *ctx = context;
    const NAME(row) *r = ctx->row;
    const int direct = ctx->out->dtype == DTYPE && ctx->out->stride == (ptrdiff_t)sizeof(REAL);
    REAL copy[BLOCK], result[BLOCK];
    /* the last blocks are still in the nearest cache: chunk 0 ends with the last block */
    size_t past = r->count - chunk * FS_BLOCKS_PER_CHUNK,
           first = past > FS_BLOCKS_PER_CHUNK ? past - FS_BLOCKS_PER_CHUNK : 0;
    for (size_t b = past; b-- > first;) {
        size_t start = b * BLOCK, len = NAME(block_length)(ctx->n, b);
        REAL *to = direct ? (REAL *)ctx->out->data + start : result;
        NAME(factor) factor = {0, 0};
        if (r->block[b].sum != 0.0)
            factor = NAME(factor_of)(NAME(block_factor)(r, r->block[b].max), ctx->total);
        if (factor.high == 0) {
            for (size_t i = 0; i < len; i++)
                to[i] = 0;
        } else if (ctx->stored) {
            NAME(block_multiply)(to, len, factor);
        } else {
            NAME(range) range = {r->block[b].max, 0, r->block[b].no_underflow};
            NAME(block_softmax)(NAME(fs_load)(ctx->reader, start, len, copy), len, range, &r->scale, factor, to);
        }
        NAME(fs_store)(ctx->out, start, len, to);
    }
}

static fs_status NAME(softmax)(const fs_reader *reader, size_t n, double temperature, const fs_output *out)
{
    int direct = out->dtype == DTYPE && out->stride == (ptrdiff_t)sizeof(REAL);
    if (n <= BLOCK) {
        REAL copy[BLOCK], result[BLOCK];
        fs_scale c = fs_scale_of(temperature);
        NAME(scale) scale = NAME(scale_of)(&c);
        REAL *to = direct ? out->data : result;
        fs_status status = NAME(softmax_short)(NAME(fs_load)(reader, 0, n, copy), n, &scale, to);
        if (status == FS_OK)
            NAME(fs_store)(out, 0, n, to);
        return status;
    }
    NAME(row) r;
    NAME(writing) ctx = {&r, reader, n, {0.0, 0.0}, out, direct && n * sizeof(REAL) <= FS_STORE_LIMIT};
    fs_status status = NAME(row_read)(&r, reader, n, temperature, ctx.stored ? out->data : NULL);
    if (status != FS_OK)
        return status;
    ctx.total = fs_reciprocal_of(r.total);
    int interrupted =
        fs_parallel_for((r.count + FS_BLOCKS_PER_CHUNK - 1) / FS_BLOCKS_PER_CHUNK, NAME(softmax_chunk), &ctx);
    NAME(row_free)(&r);
    return interrupted ? FS_INTERRUPTED : FS_OK;
}
#undef FS_STORE_LIMIT

/* softmax of one row: p = w * r with r = factor of the block / total, as a sum of two, so that p is rounded once.
 *
 * The weights of a row that fits the second-level cache are stored, in the result or where that is of another type or layout in
 * scratch memory, and multiplied; beyond, they are computed a second time instead (two reads and a write, against two reads
 * and two writes).  Both give the same bits.  Error: that of the weight, that of the weights in the total, 1/2 ulp from the product.
 *
 * Needs real_f32.h or real_f64.h, softmax/row-inl.h, row/tile-inl.h, base/alloc.h.
 */

/* Largest row, in bytes, whose weights are stored. */
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

/* The second pass over a row, or over a part of one. */
typedef struct {
    const fs_reader *reader;
    size_t n;
    const NAME(row) *row; /* its scale and origin; for whole rows its blocks too */
    fs_reciprocal total;
    const fs_output *out;
    REAL *weights; /* where the result is too, or scratch memory; NULL: they are not stored */
} NAME(softmax_job);

/* p of the block at `start`, whose range is known: its factor, times its weights.  x: its entries, unless they are stored. */
FS_INLINE void NAME(finish_block)(const NAME(softmax_job) *job, size_t start, size_t len, NAME(range) range,
                                  const REAL *x)
{
    REAL result[BLOCK], *to = job->weights                ? job->weights + start
                              : NAME(is_direct)(job->out) ? (REAL *)job->out->data + start
                                                          : result;
    NAME(factor) factor = {0, 0};
    if (range.max > -(REAL)INFINITY)
        factor = NAME(factor_of)(NAME(block_factor)(job->row, range.max), job->total);
    if (factor.high == 0)
        for (size_t i = 0; i < len; i++)
            to[i] = 0;
    else if (job->weights)
        NAME(block_multiply)(to, len, factor);
    else
        NAME(block_softmax)(x, len, range, &job->row->scale, factor, to);
    NAME(fs_store)(job->out, start, len, to);
}

static void NAME(softmax_chunk)(void *context, size_t chunk)
{
    const NAME(softmax_job) *job = context;
    const NAME(row) *r = job->row;
    REAL copy[BLOCK];
    /* the last blocks are still in the nearest cache: chunk 0 ends with the last block */
    size_t past = r->count - chunk * FS_BLOCKS_PER_CHUNK;
    size_t first = past > FS_BLOCKS_PER_CHUNK ? past - FS_BLOCKS_PER_CHUNK : 0;
    for (size_t b = past; b-- > first;) {
        size_t start = b * BLOCK, len = NAME(block_length)(job->n, b);
        NAME(range) range = {r->block[b].max, 0, r->block[b].no_underflow};
        NAME(finish_block)(job, start, len, range,
                           job->weights ? NULL : NAME(fs_load)(job->reader, start, len, copy));
    }
}

static fs_status NAME(softmax)(const fs_reader *reader, size_t n, double temperature, const fs_output *out)
{
    const int direct = NAME(is_direct)(out);
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
    NAME(softmax_job) job = {reader, n, &r, {0.0, 0.0}, out, NULL};
    if (n * sizeof(REAL) <= FS_STORE_LIMIT)
        job.weights = direct ? out->data : fs_thread_scratch(n * sizeof(REAL));
    fs_status status = NAME(row_read)(&r, reader, n, temperature, job.weights);
    if (status != FS_OK)
        return status;
    job.total = fs_reciprocal_of(r.total);
    int interrupted = fs_parallel_for(fs_chunks_of(r.count), NAME(softmax_chunk), &job);
    NAME(row_free)(&r);
    return interrupted ? FS_INTERRUPTED : FS_OK;
}
#undef FS_STORE_LIMIT

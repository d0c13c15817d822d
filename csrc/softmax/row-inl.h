/* One row: its blocks summarised, and the summaries combined.
 *
 * A block leaves (max, sum): the sum of weights 2^(c (x - shift) - power) with the origin that softmax/block-inl.h derives
 * from max.  The row's origin is that of its largest maximum; a block's factor is 2^(c d + k) with
 * d = shift_b - shift and k = power_b - power, an exact power of two unless a maximum had to be subtracted.
 * The factored sums are added in block order, error-free: the rounding errors are carried along.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h, row/reader.h.
 */

typedef struct {
    REAL max;
    char no_underflow;
    union {
        double sum;
        uint64_t cumulative; /* integer weight of the blocks up to this one (draw/block_cdf-inl.h) */
    };
} NAME(summary);

enum { NAME(BLOCKS_ON_STACK) = 512 };

typedef struct {
    size_t count;
    NAME(summary) *block, loaded[NAME(BLOCKS_ON_STACK)];
    double *moment; /* of each block (softmax/entropy-inl.h); NULL: not wanted */
    fs_scale c;
    NAME(scale) scale;
    REAL max;
    NAME(origin) origin;
    double total; /* sum of all weights, against the row's origin */
} NAME(row);

static inline size_t NAME(block_length)(size_t n, size_t b) { return n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK; }

static inline double NAME(block_factor)(const NAME(row) *r, REAL max)
{
    NAME(origin) o = NAME(origin_of)(max, &r->scale);
    return fs_exp2(&r->c, (double)o.shift - (double)r->origin.shift, (double)o.power - (double)r->origin.power);
}

/* 2^LIFTED D/T of a block against the maximum of its row, `apart` above its own, for the factor 2^(c d + k) of the block:
 * factor (D_b + apart sum_b) / T.  It is multiplied by hundreds where the factor is least, which therefore is lifted from
 * among the subnormal numbers; where it is 0 the difference may have overflown. */
enum { NAME(LIFTED) = 64 };
static inline double NAME(lifted_moment)(double moment, double sum, double apart, const fs_scale *c, double d,
                                         double k)
{
    const double factor = fs_exp2_lifted(c, d, k, NAME(LIFTED));
    return factor == 0.0 ? 0.0 : (moment + apart * sum) / c->temperature * factor;
}

static inline void NAME(row_free)(NAME(row) *r)
{
    if (r->block != r->loaded)
        free(r->block);
}

/* Room for the summaries of n entries, and the temperature. */
static fs_status NAME(row_begin)(NAME(row) *r, size_t n, double temperature)
{
    r->count = (n + BLOCK - 1) / BLOCK;
    r->block = r->loaded;
    r->moment = NULL;
    r->c = fs_scale_of(temperature);
    r->scale = NAME(scale_of)(&r->c);
    r->max = -(REAL)INFINITY;
    if (r->count > NAME(BLOCKS_ON_STACK))
        r->block = malloc(r->count * sizeof *r->block);
    return r->block ? FS_OK : FS_NO_MEMORY;
}

/* Summarise blocks [first, past).  `weights` (or NULL) receives each block's weights against that block's own origin.
 * The range of a block is taken before the weights of the one before it are, so that neither waits for the other.
 * A block with NaN leaves max = NaN, one with +inf max = +inf, and no weights, so that the row in place still has them. */
static void NAME(summarise_blocks)(NAME(row) *r, const fs_reader *reader, size_t n, REAL *weights, size_t first,
                                   size_t past)
{
    REAL copy[2][BLOCK];
    const REAL *next = NAME(fs_load)(reader, first * BLOCK, NAME(block_length)(n, first), copy[first % 2]);
    NAME(range) next_range = NAME(range_of)(next, NAME(block_length)(n, first), &r->scale);
    for (size_t b = first; b < past; b++) {
        size_t len = NAME(block_length)(n, b);
        const REAL *x = next;
        NAME(range) range = next_range;
        if (b + 1 < past) {
            size_t next_len = NAME(block_length)(n, b + 1);
            next = NAME(fs_load)(reader, (b + 1) * BLOCK, next_len, copy[(b + 1) % 2]);
            next_range = NAME(range_of)(next, next_len, &r->scale);
        }
        r->block[b].max = range.nan ? (REAL)NAN : range.max;
        r->block[b].no_underflow = range.no_underflow;
        r->block[b].sum = 0.0;
        if (FS_UNLIKELY(range.nan || !(range.max - range.max == 0))) {
            if (!range.nan && range.max < 0 && weights)
                for (size_t i = 0; i < len; i++)
                    weights[b * BLOCK + i] = 0;
            continue;
        }
        r->block[b].sum = weights     ? NAME(block_weights)(x, len, range, &r->scale, weights + b * BLOCK)
                          : r->moment ? NAME(block_moment)(x, len, range, &r->scale, r->moment + b)
                                      : NAME(block_sum)(x, len, range, &r->scale);
    }
}

typedef struct {
    NAME(row) *row;
    const fs_reader *reader;
    size_t n;
    REAL *weights;
} NAME(reading);

static void NAME(summarise_chunk)(void *context, size_t chunk)
{
    const NAME(reading) *ctx = context;
    size_t first = chunk * FS_BLOCKS_PER_CHUNK, past = first + FS_BLOCKS_PER_CHUNK;
    NAME(summarise_blocks)(ctx->row, ctx->reader, ctx->n, ctx->weights, first,
                           past < ctx->row->count ? past : ctx->row->count);
}

/* Reads the row once.  FS_OK, FS_NAN, FS_NO_MASS, FS_INTERRUPTED; FS_LIMIT: it has an entry +inf. */
static fs_status NAME(row_summarise)(NAME(row) *r, const fs_reader *reader, size_t n, REAL *weights)
{
    NAME(reading) ctx = {r, reader, n, weights};
    int nan = 0;
    if (fs_parallel_for(fs_chunks_of(r->count), NAME(summarise_chunk), &ctx))
        return FS_INTERRUPTED;
    for (size_t b = 0; b < r->count; b++) {
        r->max = r->block[b].max > r->max ? r->block[b].max : r->max;
        nan |= r->block[b].max != r->block[b].max;
    }
    return nan ? FS_NAN : r->max == (REAL)INFINITY ? FS_LIMIT : r->max > -(REAL)INFINITY ? FS_OK : FS_NO_MASS;
}

/* The row's origin and total. */
static void NAME(row_combine)(NAME(row) *r)
{
    double error = 0.0, total = 0.0;
    r->origin = NAME(origin_of)(r->max, &r->scale);
    for (size_t b = 0; b < r->count; b++) {
        if (r->block[b].sum == 0.0)
            continue;
        fs_add_to(&total, &error, r->block[b].sum * NAME(block_factor)(r, r->block[b].max));
    }
    r->total = total + error;
}

static fs_status NAME(row_read)(NAME(row) *r, const fs_reader *reader, size_t n, double temperature, REAL *weights)
{
    fs_status status = NAME(row_begin)(r, n, temperature);
    if (status != FS_OK)
        return status;
    status = NAME(row_summarise)(r, reader, n, weights);
    if (status == FS_OK)
        NAME(row_combine)(r);
    else
        NAME(row_free)(r);
    return status;
}

/* Draws from probabilities at temperature 1, by the numbers themselves: no logarithm and no exponential.
 *
 * A block's weights are p 2^-e with e the exponent of its largest, so integers whose ratio stays within 2^51 are
 * kept exactly, and with them every boundary of the draw.  The integer totals of the blocks, shifted to the
 * largest exponent, choose the block.
 */
#ifndef FS_PROBABILITIES_H
#define FS_PROBABILITIES_H

typedef struct {
    uint64_t cumulative; /* first the block's own total */
    int exponent;
} fs_weighed_block;

/* The block CDF of one block; *exponent is that of its largest weight.  FS_NO_MASS: all are 0. */
static fs_status fs_weigh(const fs_reader *reader, size_t start, size_t len, block_cdf_f64 *cdf, int *exponent)
{
    double copy[FS_BLOCK_F64], max = 0.0;
    const double *p = fs_load_f64(reader, start, len, copy);
    int nan = 0;
    for (size_t i = 0; i < len; i++) {
        max = p[i] > max ? p[i] : max;
        nan |= p[i] != p[i];
    }
    if (nan)
        return FS_NAN;
    if (max == 0.0)
        return FS_NO_MASS;
    *exponent = fs_exponent(max);
    double half = fs_pow2(-*exponent / 2), other = fs_pow2(-*exponent - -*exponent / 2);
    for (size_t i = 0; i < len; i++)
        cdf->weight[i] = p[i] * half * other;
    cdf_sums_f64(cdf, len);
    return FS_OK;
}

enum { FS_WEIGHED_ON_STACK = 512 };

/* A row of weights, in blocks. */
typedef struct {
    const fs_reader *reader;
    size_t n, count;
    fs_weighed_block *block, on_stack[FS_WEIGHED_ON_STACK];
    block_cdf_f64 *last; /* that of the last block */
} fs_weights;

static void fs_load_weights(const void *row, size_t b, block_cdf_f64 *cdf)
{
    const fs_weights *w = row;
    int exponent;
    fs_weigh(w->reader, b * FS_BLOCK_F64, block_length_f64(w->n, b), cdf, &exponent);
}

static inline void fs_weights_free(fs_weights *w)
{
    if (w->block != w->on_stack)
        free(w->block);
}

/* The exponent of a block that holds NaN. */
enum { FS_EXPONENT_OF_NAN = 1 << 20 };

static void fs_weigh_chunk(void *context, size_t chunk)
{
    const fs_weights *w = context;
    block_cdf_f64 own;
    size_t b = chunk * FS_BLOCKS_PER_CHUNK,
           past = b + FS_BLOCKS_PER_CHUNK < w->count ? b + FS_BLOCKS_PER_CHUNK : w->count;
    for (; b < past; b++) {
        block_cdf_f64 *cdf = b + 1 == w->count ? w->last : &own;
        fs_status status =
            fs_weigh(w->reader, b * FS_BLOCK_F64, block_length_f64(w->n, b), cdf, &w->block[b].exponent);
        w->block[b].cumulative = status == FS_OK ? cdf_total_f64(cdf) : 0;
        if (status != FS_OK)
            w->block[b].exponent = status == FS_NAN ? FS_EXPONENT_OF_NAN : 0;
    }
}

/* The totals of the blocks, which become running totals, below 2^62 in all.  The block CDF is that of the last block. */
static fs_status fs_weights_read(fs_weights *w, const fs_reader *reader, size_t n, block_cdf_f64 *cdf)
{
    int highest = -2000, nan = 0;
    w->reader = reader;
    w->n = n;
    w->count = (n + FS_BLOCK_F64 - 1) / FS_BLOCK_F64;
    w->block = w->on_stack;
    w->last = cdf;
    if (w->count > FS_WEIGHED_ON_STACK && !(w->block = malloc(w->count * sizeof *w->block)))
        return FS_NO_MEMORY;
    fs_weighed_block *block = w->block;
    fs_status status = fs_parallel_for(fs_chunks_of(w->count), fs_weigh_chunk, w) ? FS_INTERRUPTED : FS_NO_MASS;
    for (size_t b = 0; b < w->count && status != FS_INTERRUPTED; b++) {
        nan |= block[b].exponent == FS_EXPONENT_OF_NAN;
        if (block[b].cumulative) {
            highest = block[b].exponent > highest ? block[b].exponent : highest;
            status = FS_OK;
        }
    }
    if (nan)
        status = FS_NAN;
    if (status != FS_OK) {
        fs_weights_free(w);
        return status;
    }
    /* the totals, against the largest exponent, fill 61 bits together: an event of 2^-50 keeps ten of them */
    double sum = 0.0;
    for (size_t b = 0; b < w->count; b++)
        if (block[b].cumulative && highest - block[b].exponent < 200)
            sum += (double)block[b].cumulative * fs_pow2(block[b].exponent - highest);
    int up = 61 - fs_exponent(sum);
    uint64_t cumulative = 0;
    for (size_t b = 0; b < w->count; b++) {
        int down = block[b].cumulative ? highest - block[b].exponent - up : 64;
        cumulative += down >= 64 ? 0 : down >= 0 ? block[b].cumulative >> down : block[b].cumulative << -down;
        block[b].cumulative = cumulative;
    }
    return FS_OK;
}

/* For FS_OK, `last` stays the CDF of the last block: a row of one block is evaluated once. */
static inline blocks_f64 fs_blocks_of_weights(const fs_weights *w)
{
    blocks_f64 blocks = {
        w->n,    w->count,    &w->block[0].cumulative, sizeof *w->block / sizeof(uint64_t), fs_load_weights, w,
        w->last, w->count - 1};
    return blocks;
}

static fs_status fs_sample_weights(const fs_reader *reader, size_t n, size_t k, const fs_uniforms *u, int64_t *index)
{
    fs_weights w;
    block_cdf_f64 last;
    fs_status status = fs_weights_read(&w, reader, n, &last);
    if (status != FS_OK)
        return status;
    const blocks_f64 blocks = fs_blocks_of_weights(&w);
    status = draw_all_f64(&blocks, k, u, index);
    fs_weights_free(&w);
    return status;
}

#endif

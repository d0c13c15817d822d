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
    /* the totals, against the largest exponent, fill 61 bits together */
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

/* The largest, the least and the sum of weights so far, in each lane. */
typedef struct {
    f64x8 high, low, sum;
} fs_spread;

FS_INLINE void fs_spread_add(fs_spread *s, f64x8 v)
{
    s->high = f64x8_max(v, s->high), s->low = f64x8_min(v, s->low), s->sum = f64x8_add(s->sum, v);
}

/* 2^-e for the exponent e of the largest.  0: a weight is NaN, negative or infinite, or the largest is 0 or extreme. */
FS_INLINE double fs_scale_of_few(const fs_spread *s)
{
    const double max = f64x8_reduce_max(s->high);
    if (FS_UNLIKELY(f64x8_any_nan(s->sum) || f64x8_reduce_min(s->low) < 0.0 || !(max > 0x1p-1000 && max < 0x1p1000)))
        return 0.0;
    return fs_pow2(-fs_exponent(max));
}

static inline double fs_uniform_of_one(const fs_uniforms *u) { return u->given ? u->given[0] : u->next(u->state); }

/* One draw from weights that fit `count` vectors, which stay in registers. */
FS_INLINE int fs_draw_from_tiny(const double *p, size_t n, const fs_uniforms *u, int64_t *index, int count)
{
    f64x8 w[4];
    fs_spread spread = {f64x8_set1(0.0), f64x8_set1(0.0), f64x8_set1(0.0)};
    for (int j = 0; j < count; j++) {
        w[j] = j < count - 1 ? f64x8_load(p + j * 8) : f64x8_load_first(p + j * 8, n - (size_t)j * 8, 0.0);
        fs_spread_add(&spread, w[j]);
    }
    const double scale = fs_scale_of_few(&spread);
    if (FS_UNLIKELY(scale == 0.0))
        return 0;
    for (int j = 0; j < count; j++)
        w[j] = f64x8_mul(w[j], f64x8_set1(scale));
    *index = (int64_t)f64x8_draw(w, count, fs_uniform_of_one(u));
    return 1;
}

/* One draw from at most 256 weights: the CDF of a single block, without what several blocks or many draws need.  0: nothing is
 * done, as the row has another layout, a mask, or weights that fs_scale_of_few rejects. */
static int fs_draw_from_few(const fs_row *row, size_t n, const fs_uniforms *u, int64_t *index)
{
    enum { FEW = 256 };
    block_cdf_f64 cdf;
    fs_spread spread = {f64x8_set1(0.0), f64x8_set1(0.0), f64x8_set1(0.0)};
    const double *p = row->data;
    if (n > FEW || row->mask_kind != FS_MASK_NONE || row->dtype > FS_F64 ||
        row->stride != (ptrdiff_t)fs_size_of(row->dtype))
        return 0;
    if (row->dtype == FS_F32) {
        for (size_t i = 0; i < n; i++)
            cdf.weight[i] = ((const float *)row->data)[i];
        p = cdf.weight;
    }
    if (n <= 4 * 8)
        return n <= 8    ? fs_draw_from_tiny(p, n, u, index, 1)
               : n <= 16 ? fs_draw_from_tiny(p, n, u, index, 2)
               : n <= 24 ? fs_draw_from_tiny(p, n, u, index, 3)
                         : fs_draw_from_tiny(p, n, u, index, 4);
    for (size_t i = 0; i < n; i += 8)
        fs_spread_add(&spread, n - i < 8 ? f64x8_load_first(p + i, n - i, 0.0) : f64x8_load(p + i));
    const double scale = fs_scale_of_few(&spread);
    if (FS_UNLIKELY(scale == 0.0))
        return 0;
    for (size_t i = 0; i < n; i++)
        cdf.weight[i] = p[i] * scale;
    cdf_sums_f64(&cdf, n);
    *index = (int64_t)cdf_index_f64(&cdf, n, fs_scale_uniform(fs_uniform_of_one(u), cdf_total_f64(&cdf)).high);
    return 1;
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

/* Draws by the probabilities themselves, at temperature 1: no logarithm and no exponential.
 *
 * A block's weights are p 2^-e with e the exponent of its largest, so integers whose ratio stays within 2^51 are
 * kept exactly, and with them every boundary of the draw.  The integer totals of the blocks, shifted to the
 * largest exponent, choose the block.
 */
#ifndef FS_WEIGHTS_H
#define FS_WEIGHTS_H

typedef struct {
    uint64_t cumulative; /* first the block's own total */
    int exponent;
} fs_weighed_block;

/* The block CDF of one block; *exponent is that of its largest weight.  FS_NO_MASS: all are 0. */
static fs_status fs_weigh(const fs_reader *reader, size_t start, size_t len, block_cdf_f64 *cdf, int *exponent)
{
    double copy[512], max = 0.0;
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

/* A row as blocks of 512 weights. */
typedef struct {
    const fs_reader *reader;
    size_t n, count;
    fs_weighed_block *block, loaded[512];
    block_cdf_f64 *last; /* that of the last block */
} fs_weights;

static inline size_t fs_weights_length(const fs_weights *w, size_t b)
{
    return w->n - b * 512 < 512 ? w->n - b * 512 : 512;
}

static inline uint64_t fs_weights_before(const fs_weights *w, size_t b) { return b ? w->block[b - 1].cumulative : 0; }

static void fs_weights_ladder(const fs_weights *w, size_t b, block_cdf_f64 *cdf)
{
    int exponent;
    fs_weigh(w->reader, b * 512, fs_weights_length(w, b), cdf, &exponent);
}

static inline void fs_weights_free(fs_weights *w)
{
    if (w->block != w->loaded)
        free(w->block);
}

/* The exponent of a block that holds NaN. */
enum { FS_OF_NAN = 1 << 20 };

static void fs_weigh_chunk(void *context, size_t chunk)
{
    const fs_weights *w = context;
    block_cdf_f64 own;
    size_t b = chunk * FS_BLOCKS_PER_CHUNK,
           past = b + FS_BLOCKS_PER_CHUNK < w->count ? b + FS_BLOCKS_PER_CHUNK : w->count;
    for (; b < past; b++) {
        block_cdf_f64 *cdf = b + 1 == w->count ? w->last : &own;
        fs_status status = fs_weigh(w->reader, b * 512, fs_weights_length(w, b), cdf, &w->block[b].exponent);
        w->block[b].cumulative = status == FS_OK ? cdf_total_f64(cdf) : 0;
        if (status != FS_OK)
            w->block[b].exponent = status == FS_NAN ? FS_OF_NAN : 0;
    }
}

/* The totals of the blocks, which become running totals, below 2^62 in all.  The block CDF is that of the last block. */
static fs_status fs_weights_read(fs_weights *w, const fs_reader *reader, size_t n, block_cdf_f64 *cdf)
{
    int highest = -2000, nan = 0;
    w->reader = reader;
    w->n = n;
    w->count = (n + 511) / 512;
    w->block = w->loaded;
    w->last = cdf;
    if (w->count > 512 && !(w->block = malloc(w->count * sizeof *w->block)))
        return FS_NO_MEMORY;
    fs_weighed_block *block = w->block;
    fs_status status = fs_parallel_for((w->count + FS_BLOCKS_PER_CHUNK - 1) / FS_BLOCKS_PER_CHUNK, fs_weigh_chunk, w)
                           ? FS_INTERRUPTED
                           : FS_NO_MASS;
    for (size_t b = 0; b < w->count && status != FS_INTERRUPTED; b++) {
        nan |= block[b].exponent == FS_OF_NAN;
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

/* The bounds of the blocks [first, past), and the weights (or NULL) for draw/categorical.h. */
static fs_status fs_weights_guide(const fs_guide *guide, const fs_weights *w, size_t first, size_t past,
                                  double *weights)
{
    block_cdf_f64 cdf;
    uint64_t total = w->block[w->count - 1].cumulative;
    for (size_t b = first; b < past; b++) {
        size_t len = fs_weights_length(w, b);
        uint64_t before = fs_weights_before(w, b), weight = w->block[b].cumulative - before;
        if (weight) {
            fs_weights_ladder(w, b, &cdf);
            guide_block_f64(guide, b * 512, &cdf, len, before, weight, total);
            if (weights)
                memcpy(weights + b * 512, cdf.weight, len * sizeof(double));
        } else {
            fs_guide_skip(guide, b * 512, b * 512 + len, before, total);
            if (weights)
                memset(weights + b * 512, 0, len * sizeof(double));
        }
        if (b % FS_BLOCKS_PER_CHUNK == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    return FS_OK;
}

/* The draws (fs_make_draws). */
static void fs_weights_draw(const void *row, size_t k, const double *u, int some, int64_t *index)
{
    const fs_weights *w = row;
    const block_cdf_f64 *cdf = w->last;
    block_cdf_f64 own;
    size_t loaded = w->count - 1;
    uint64_t total = w->block[w->count - 1].cumulative;
    for (size_t j = 0; j < k; j++) {
        if (some && index[j] >= 0)
            continue;
        fs_u128 t = fs_scale_uniform(u[j], total);
        size_t low = 0, high = w->count - 1;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (w->block[middle].cumulative <= t.high)
                low = middle + 1;
            else
                high = middle;
        }
        uint64_t before = fs_weights_before(w, low);
        if (low != loaded) {
            fs_weights_ladder(w, low, &own);
            cdf = &own;
        }
        loaded = low;
        t.high -= before;
        uint64_t place = fs_rescale(t, w->block[low].cumulative - before, cdf_total_f64(cdf));
        index[j] = (int64_t)(low * 512 + cdf_index_f64(cdf, fs_weights_length(w, low), place));
    }
}

static fs_status fs_sample_weights(const fs_reader *reader, size_t n, size_t k, const fs_uniforms *u, int64_t *index)
{
    fs_weights w;
    fs_guide guide;
    block_cdf_f64 cdf;
    fs_status status = fs_weights_read(&w, reader, n, &cdf);
    if (status != FS_OK)
        return status;
    uint32_t *memory = fs_guide_allocate(&guide, n, k, 512);
    if (memory) {
        status = fs_weights_guide(&guide, &w, 0, w.count, NULL);
        fs_guide_end(&guide);
    }
    fs_drawing drawing = {memory ? &guide : NULL, fs_weights_draw, &w, u, k, index};
    if (status == FS_OK)
        status = fs_draw_all(&drawing);
    free(memory);
    fs_weights_free(&w);
    return status;
}

#endif

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

/* The ladder of one block; *exponent is that of its largest weight.  FS_NO_MASS: all are 0. */
static fs_status fs_weigh(const fs_source *source, size_t start, size_t len, ladder_f64 *ladder, int *exponent)
{
    double copy[512], max = 0.0;
    const double *p = fs_load_f64(source, start, len, copy);
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
        ladder->weight[i] = p[i] * half * other;
    ladder_sums_f64(ladder, len);
    return FS_OK;
}

static fs_status fs_sample_weights(const fs_source *source, size_t n, size_t k, const double *u, int64_t *index)
{
    enum { AT_HAND = 512 };
    fs_weighed_block block_at_hand[AT_HAND], *block = block_at_hand;
    ladder_f64 ladder;
    size_t count = (n + 511) / 512, at_hand = 0;
    int highest = -2000;
    if (count > AT_HAND && !(block = malloc(count * sizeof *block)))
        return FS_NO_MEMORY;
    fs_status status = FS_NO_MASS;
    for (size_t b = 0; b < count && status != FS_NAN; b++) {
        fs_status one = fs_weigh(source, b * 512, n - b * 512 < 512 ? n - b * 512 : 512, &ladder, &block[b].exponent);
        at_hand = b;
        block[b].cumulative = one == FS_OK ? ladder_total_f64(&ladder) : 0;
        if (one == FS_OK)
            highest = block[b].exponent > highest ? block[b].exponent : highest;
        if (one != FS_NO_MASS)
            status = one;
    }
    if (status == FS_OK) {
        /* the totals, against the largest exponent, fill 61 bits together: an event of 2^-50 keeps ten of them */
        double sum = 0.0;
        for (size_t b = 0; b < count; b++)
            if (block[b].cumulative && highest - block[b].exponent < 200)
                sum += (double)block[b].cumulative * fs_pow2(block[b].exponent - highest);
        int up = 61 - fs_exponent(sum);
        uint64_t cumulative = 0;
        for (size_t b = 0; b < count; b++) {
            int down = block[b].cumulative ? highest - block[b].exponent - up : 64;
            cumulative += down >= 64 ? 0 : down >= 0 ? block[b].cumulative >> down : block[b].cumulative << -down;
            block[b].cumulative = cumulative;
        }
        for (size_t j = 0; j < k; j++) {
            fs_u128 t = fs_scale_uniform(u[j], cumulative);
            size_t low = 0, high = count - 1;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (block[middle].cumulative <= t.high)
                    low = middle + 1;
                else
                    high = middle;
            }
            uint64_t before = low ? block[low - 1].cumulative : 0;
            if (low != at_hand)
                fs_weigh(source, low * 512, n - low * 512 < 512 ? n - low * 512 : 512, &ladder, &block[low].exponent);
            at_hand = low;
            t.high -= before;
            size_t len = n - low * 512 < 512 ? n - low * 512 : 512;
            uint64_t place = fs_rescale(t, block[low].cumulative - before, ladder_total_f64(&ladder));
            index[j] = (int64_t)(low * 512 + ladder_index_f64(&ladder, len, place));
        }
    }
    if (block != block_at_hand)
        free(block);
    return status;
}

#endif

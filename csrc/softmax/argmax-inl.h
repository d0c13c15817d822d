/* The first place of the largest entry of a row: the block that it is in by the maxima of all, then the place.
 *
 * Needs real_f32.h or real_f64.h, row/limits.h, softmax/block-inl.h.
 */

static void NAME(highest_block)(void *context, size_t chunk)
{
    fs_peaks *ctx = context;
    const NAME(scale) any = {0, 0, 0, 0};
    fs_peak peak = {-INFINITY, 0, 0, 0};
    REAL copy[BLOCK];
    const size_t past = ctx->n - chunk * ctx->length > ctx->length ? (chunk + 1) * ctx->length : ctx->n;
    for (size_t start = chunk * ctx->length; start < past; start += BLOCK) {
        const size_t len = past - start < BLOCK ? past - start : BLOCK;
        const NAME(range) range = NAME(range_of)(NAME(fs_load)(ctx->reader, start, len, copy), len, &any);
        peak.nan |= range.nan;
        if (range.max > peak.max) {
            peak.max = range.max;
            peak.at = start;
        }
    }
    ctx->peak[chunk] = peak;
}

/* FS_OK, FS_NAN, FS_NO_MASS (weights: of zeros only), FS_INTERRUPTED. */
static fs_status NAME(argmax)(const fs_reader *reader, size_t n, int64_t *index)
{
    fs_peaks ctx; /* without the peaks: a short row has one */
    fs_peak peak = {reader->weights ? 0.0 : -INFINITY, 0, 0, 0};
    REAL copy[BLOCK];
    ctx.reader = reader;
    ctx.n = n;
    ctx.length = fs_peak_length(n);
    const size_t count = (n + ctx.length - 1) / ctx.length;
    int nan = 0, found = 0;
    if (fs_parallel_for(count, NAME(highest_block), &ctx))
        return FS_INTERRUPTED;
    for (size_t i = 0; i < count; i++) {
        nan |= ctx.peak[i].nan;
        if (ctx.peak[i].max > peak.max) {
            peak = ctx.peak[i];
            found = 1;
        }
    }
    if (nan || !found)
        return nan ? FS_NAN : FS_NO_MASS;
    const size_t len = n - peak.at < BLOCK ? n - peak.at : BLOCK;
    const REAL *x = NAME(fs_load)(reader, peak.at, len, copy);
    const VEC high = V(set1)((REAL)peak.max);
    size_t i = 0;
    unsigned equal = 0;
    for (; i < len && !equal; i += LANES)
        equal = V(at_least)(i + LANES <= len ? V(load)(x + i) : V(load_first)(x + i, len - i, -FS_INFINITY), high);
    if (FS_UNLIKELY(!equal)) /* another thread changes the row */
        return FS_NO_MASS;
    *index = (int64_t)(peak.at + i - LANES + fs_lowest_place(equal));
    return FS_OK;
}

/* Many rows of contiguous entries: each as ops/one_row.h has it, the temperature prepared once where it stays. */

/* Call `f(..., count)` with the number of vectors of a tiny row as a constant. */
#define FS_BY_COUNT(f, ...)                                                                                          \
    (n <= LANES       ? f(__VA_ARGS__, 1)                                                                            \
     : n <= 2 * LANES ? f(__VA_ARGS__, 2)                                                                            \
     : n <= 3 * LANES ? f(__VA_ARGS__, 3)                                                                            \
                      : f(__VA_ARGS__, 4))

/* A run of rows at one temperature, and what of it has been prepared. */
typedef struct {
    double temperature;
    int ordinary; /* rows of one block at a temperature of the formula */
    NAME(scale) scale;
} NAME(prepared);

static void NAME(prepare)(NAME(prepared) *p, double temperature, size_t n)
{
    fs_scale c = fs_scale_of(temperature);
    p->temperature = temperature;
    p->ordinary = n <= BLOCK && temperature <= EXTREME && temperature >= 1.0 / EXTREME;
    p->scale = NAME(scale_of)(&c);
}

static inline const void *NAME(row_at)(const void *base, ptrdiff_t stride, size_t i)
{
    return (const char *)base + (ptrdiff_t)i * stride;
}

/* Rows of one block each at one temperature, until one that the formula does not serve; the number of rows done.
 * The range of the next row is taken before the weights of this one, and the row before is multiplied after them, so
 * that no row waits for its own reductions. */
static size_t NAME(softmax_run)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const NAME(scale) *scale,
                                REAL *out, ptrdiff_t out_stride)
{
    NAME(factor) factor = NAME(unit);
    REAL *before = NULL;
    NAME(range) next = NAME(range_of)(x, n, scale);
    size_t i = 0;
    for (; i < rows; i++) {
        NAME(range) range = next;
        REAL *to = (REAL *)(void *)((char *)out + (ptrdiff_t)i * out_stride);
        if (FS_UNLIKELY(range.nan || !(range.max - range.max == 0)))
            break;
        if (i + 1 < rows)
            next = NAME(range_of)(NAME(row_at)(x, stride, i + 1), n, scale);
        double total = NAME(block_weights)(NAME(row_at)(x, stride, i), n, range, scale, to);
        if (before)
            NAME(block_multiply)(before, n, factor);
        factor = NAME(factor_of)(1.0, fs_reciprocal_of(total));
        before = to;
    }
    if (before)
        NAME(block_multiply)(before, n, factor);
    return i;
}

static size_t NAME(softmax_many)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                                 ptrdiff_t temperature_stride, REAL *out, ptrdiff_t out_stride)
{
    NAME(prepared) p = {NAN, 0, {0, 0, 0, 0}};
    for (size_t i = 0; i < rows; i++) {
        const REAL *from = NAME(row_at)(x, stride, i);
        REAL *to = (REAL *)(void *)((char *)out + (ptrdiff_t)i * out_stride);
        double t = *(const double *)NAME(row_at)(temperature, temperature_stride, i);
        fs_status status = FS_LIMIT;
        if (t != p.temperature)
            NAME(prepare)(&p, t, n);
        if (p.ordinary && n <= NAME(TINY)) {
            if (temperature_stride == 0)
                while (rows - i >= LANES &&
                       FS_BY_COUNT(NAME(softmax_side_by_side), from, stride, n, &p.scale, to, out_stride)) {
                    i += LANES;
                    from = NAME(row_at)(x, stride, i);
                    to = (REAL *)(void *)((char *)out + (ptrdiff_t)i * out_stride);
                }
            if (i == rows)
                break;
            status = FS_BY_COUNT(NAME(tiny_softmax), from, n, &p.scale, to);
        } else if (p.ordinary) {
            size_t done = temperature_stride == 0 && rows - i > 1
                              ? NAME(softmax_run)(from, stride, rows - i, n, &p.scale, to, out_stride)
                              : 0;
            if (done) {
                i += done - 1;
                continue;
            }
            status = NAME(softmax_short)(from, n, &p.scale, to);
        }
        if (FS_UNLIKELY(status != FS_OK)) {
            fs_row row = {from, sizeof(REAL), DTYPE, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            fs_output output = {to, sizeof(REAL), DTYPE};
            if (fs_has_ended(fs_softmax_row(&row, n, t, &output)))
                return i;
        }
    }
    return rows;
}

/* One row, and why it is NaN where it is. */
static fs_status NAME(softmax_alone)(const REAL *x, size_t n, double temperature, REAL *out)
{
    NAME(prepared) p;
    fs_status status = FS_LIMIT;
    NAME(prepare)(&p, temperature, n);
    if (p.ordinary)
        status = n <= NAME(TINY) ? FS_BY_COUNT(NAME(tiny_softmax), x, n, &p.scale, out)
                                 : NAME(softmax_short)(x, n, &p.scale, out);
    if (FS_UNLIKELY(status != FS_OK)) {
        fs_row row = {x, sizeof(REAL), DTYPE, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
        fs_output output = {out, sizeof(REAL), DTYPE};
        status = fs_softmax_row(&row, n, temperature, &output);
    }
    return status;
}

static size_t NAME(sample_many)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                                ptrdiff_t temperature_stride, const double *u, int64_t *index)
{
    NAME(block_cdf) cdf;
    NAME(prepared) p = {NAN, 0, {0, 0, 0, 0}};
    for (size_t i = 0; i < rows; i++) {
        const REAL *from = NAME(row_at)(x, stride, i);
        double t = *(const double *)NAME(row_at)(temperature, temperature_stride, i);
        fs_status status = FS_LIMIT;
        if (t != p.temperature)
            NAME(prepare)(&p, t, n);
        if (p.ordinary && n <= NAME(TINY)) {
            if (temperature_stride == 0)
                while (rows - i >= LANES &&
                       FS_BY_COUNT(NAME(sample_side_by_side), from, stride, n, &p.scale, u + i, index + i)) {
                    i += LANES;
                    from = NAME(row_at)(x, stride, i);
                }
            if (i == rows)
                break;
            status = FS_BY_COUNT(NAME(tiny_sample), from, n, &p.scale, u[i], index + i);
        } else if (p.ordinary) {
            status = NAME(sample_short)(from, n, &p.scale, &cdf);
            if (status == FS_OK)
                index[i] = (int64_t)NAME(cdf_index)(&cdf, n, fs_scale_uniform(u[i], NAME(cdf_total)(&cdf)).high);
        }
        if (FS_UNLIKELY(status != FS_OK)) {
            fs_row row = {from, sizeof(REAL), DTYPE, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            status = fs_sample_row(&row, n, t, 1, u + i, index + i, NULL);
            if (fs_has_ended(status))
                return i;
            if (status != FS_OK)
                index[i] = -1;
        }
    }
    return rows;
}

#undef FS_BY_COUNT

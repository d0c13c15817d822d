/* Many rows of contiguous entries, and one: the result of each is that of ops/one_row.h, by the shortest way there is
 * for its length, with the temperature prepared once for as long as it stays the same.
 *
 * Needs real_f32.h or real_f64.h, softmax/short_rows-inl.h, ops/one_row.h.
 */

/* Call `f(..., count)` with the number of vectors of a tiny row as a constant. */
#define FS_BY_COUNT(f, ...)                                                                                          \
    (n <= LANES       ? f(__VA_ARGS__, 1)                                                                            \
     : n <= 2 * LANES ? f(__VA_ARGS__, 2)                                                                            \
     : n <= 3 * LANES ? f(__VA_ARGS__, 3)                                                                            \
                      : f(__VA_ARGS__, 4))

/* A temperature, prepared for rows of n entries. */
typedef struct {
    double temperature;
    enum { NAME(SHORTEST), NAME(ONE_BLOCK), NAME(LONG_OR_LIMIT) } kind; /* up to four vectors; one block; the rest */
    NAME(scale) scale;
} NAME(prepared);

static void NAME(prepare_temperature)(NAME(prepared) *p, double temperature, size_t n)
{
    fs_scale c = fs_scale_of(temperature);
    p->temperature = temperature;
    p->kind = !fs_has_formula(temperature, DTYPE == FS_F64) || n > BLOCK ? NAME(LONG_OR_LIMIT)
              : n <= NAME(TINY)                                          ? NAME(SHORTEST)
                                                                         : NAME(ONE_BLOCK);
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

static inline const double *NAME(temperature_at)(const double *temperature, ptrdiff_t stride, size_t i)
{
    return NAME(row_at)(temperature, stride, i);
}

static inline fs_row NAME(contiguous_row)(const REAL *x) { return fs_bare_row(x, sizeof(REAL), DTYPE, 0); }

/* One row.  A status other than FS_OK of a short kernel is for the general one to explain: it knows limits too. */
FS_INLINE fs_status NAME(softmax_one)(const REAL *x, size_t n, const NAME(prepared) *p, REAL *out)
{
    fs_status status = FS_LIMIT;
    if (p->kind == NAME(SHORTEST))
        status = FS_BY_COUNT(NAME(tiny_softmax), x, n, &p->scale, out);
    else if (p->kind == NAME(ONE_BLOCK))
        status = NAME(softmax_short)(x, n, &p->scale, out);
    if (FS_UNLIKELY(status != FS_OK)) {
        const fs_row row = NAME(contiguous_row)(x);
        const fs_output output = {out, sizeof(REAL), DTYPE};
        status = kernel_softmax(&row, n, p->temperature, &output);
    }
    return status;
}

static size_t NAME(kernel_softmax_rows)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n,
                                        const double *temperature, ptrdiff_t temperature_stride, REAL *out,
                                        ptrdiff_t out_stride)
{
    NAME(prepared) p = {NAN, NAME(LONG_OR_LIMIT), {0, 0, 0, 0}};
    for (size_t i = 0; i < rows;) {
        const REAL *from = NAME(row_at)(x, stride, i);
        REAL *to = (REAL *)(void *)((char *)out + (ptrdiff_t)i * out_stride);
        double t = *NAME(temperature_at)(temperature, temperature_stride, i);
        size_t done = 0;
        if (t != p.temperature)
            NAME(prepare_temperature)(&p, t, n);
        if (temperature_stride == 0 && p.kind == NAME(SHORTEST)) {
            if (rows - i >= LANES &&
                FS_BY_COUNT(NAME(softmax_side_by_side), from, stride, n, &p.scale, to, out_stride))
                done = LANES;
        } else if (temperature_stride == 0 && rows - i > 1 && p.kind == NAME(ONE_BLOCK)) {
            done = NAME(softmax_run)(from, stride, rows - i, n, &p.scale, to, out_stride);
        }
        if (!done) {
            if (fs_has_ended(NAME(softmax_one)(from, n, &p, to)))
                return i;
            done = 1;
        }
        i += done;
    }
    return rows;
}

/* One row, and why it is NaN where it is. */
static fs_status NAME(kernel_softmax)(const REAL *x, size_t n, double temperature, REAL *out)
{
    NAME(prepared) p;
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    NAME(prepare_temperature)(&p, temperature, n);
    return NAME(softmax_one)(x, n, &p, out);
}

FS_INLINE fs_status NAME(sample_one)(const REAL *x, size_t n, const NAME(prepared) *p, double u, int64_t *index)
{
    NAME(block_cdf) cdf;
    fs_status status = FS_LIMIT;
    if (p->kind == NAME(SHORTEST)) {
        status = FS_BY_COUNT(NAME(tiny_sample), x, n, &p->scale, u, index);
    } else if (p->kind == NAME(ONE_BLOCK)) {
        status = NAME(cdf_of_row)(x, n, &p->scale, &cdf);
        if (status == FS_OK)
            *index = (int64_t)NAME(cdf_index)(&cdf, n, fs_scale_uniform(u, NAME(cdf_total)(&cdf)).high);
    }
    if (FS_UNLIKELY(status != FS_OK)) {
        const fs_row row = NAME(contiguous_row)(x);
        status = kernel_sample(&row, n, p->temperature, 1, &u, index, NULL);
    }
    return status;
}

static size_t NAME(kernel_sample_rows)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n,
                                       const double *temperature, ptrdiff_t temperature_stride, const double *u,
                                       int64_t *index)
{
    NAME(prepared) p = {NAN, NAME(LONG_OR_LIMIT), {0, 0, 0, 0}};
    for (size_t i = 0; i < rows; i++) {
        const REAL *from = NAME(row_at)(x, stride, i);
        double t = *NAME(temperature_at)(temperature, temperature_stride, i);
        if (t != p.temperature)
            NAME(prepare_temperature)(&p, t, n);
        if (temperature_stride == 0 && p.kind == NAME(SHORTEST) &&rows - i >= LANES &&
            FS_BY_COUNT(NAME(sample_side_by_side), from, stride, n, &p.scale, u + i, index + i)) {
            i += LANES - 1;
            continue;
        }
        fs_status status = NAME(sample_one)(from, n, &p, u[i], index + i);
        if (fs_has_ended(status))
            return i;
        if (FS_UNLIKELY(status != FS_OK))
            index[i] = -1;
    }
    return rows;
}

#undef FS_BY_COUNT

#ifdef REAL_IS_FLOAT
/* float16 or bfloat16: a few rows at a time in float, each result rounded once. */
static size_t kernel_softmax_rows_half(fs_dtype dtype, const uint16_t *x, size_t rows, size_t n,
                                       const double *temperature, ptrdiff_t temperature_stride, uint16_t *out)
{
    enum { BUFFERED = 4096 };
    float wide[BUFFERED];
    if (rows == 0)
        return 0;
    size_t group = n <= FS_MAX_BLOCK ? BUFFERED / n : 1;
    for (size_t i = 0; i < rows; i += group) {
        size_t count = rows - i < group ? rows - i : group;
        const double *t =
            (const double *)(const void *)((const char *)temperature + (ptrdiff_t)i * temperature_stride);
        if (n <= FS_MAX_BLOCK) {
            fs_floats_of_half(dtype, x + i * n, count * n, wide);
            kernel_softmax_rows_f32(wide, (ptrdiff_t)(n * sizeof(float)), count, n, t, temperature_stride, wide,
                                    (ptrdiff_t)(n * sizeof(float)));
            fs_halves_of_float(dtype, wide, count * n, out + i * n);
        } else {
            const fs_row row = fs_bare_row(x + i * n, sizeof(uint16_t), dtype, 0);
            fs_output to = {out + i * n, sizeof(uint16_t), dtype};
            if (fs_has_ended(kernel_softmax(&row, n, *t, &to)))
                return i;
        }
    }
    return rows;
}
#endif

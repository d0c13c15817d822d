/* The functions by plain pointers and numbers: they check their arguments, describe the row and call the functions of a
 * described row.  fastsoftmax.h says what each does.
 *
 * Needs real_f32.h or real_f64.h, base/arguments.h. */

static inline fs_row NAME(plain_row)(const REAL *x, int probs) { return fs_bare_row(x, sizeof(REAL), DTYPE, probs); }

fs_status NAME(fs_log_softmax)(const REAL *x, size_t n, double temperature, REAL *out)
{
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    fs_row row = NAME(plain_row)(x, 0);
    fs_output output = {out, sizeof(REAL), DTYPE};
    return fs_log_softmax(&row, n, temperature, &output);
}

fs_status NAME(fs_logsumexp)(const REAL *x, size_t n, double temperature, double *result)
{
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    fs_row row = NAME(plain_row)(x, 0);
    return fs_logsumexp(&row, n, temperature, result);
}

fs_status NAME(fs_entropy)(const REAL *x, size_t n, double temperature, double *result)
{
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    fs_row row = NAME(plain_row)(x, 0);
    return fs_entropy(&row, n, temperature, result);
}

size_t NAME(fs_softmax_rows)(const REAL *x, ptrdiff_t stride, size_t count, size_t n, const double *temperature,
                             ptrdiff_t temperature_stride, REAL *out, ptrdiff_t out_stride)
{
    const fs_rows rows = {NAME(plain_row)(x, 0), count, n, stride, 0, 0, temperature, temperature_stride};
    const fs_output output = {out, sizeof(REAL), DTYPE};
    return fs_softmax_rows(&rows, &output, out_stride);
}

size_t NAME(fs_sample_rows)(const REAL *x, ptrdiff_t stride, size_t count, size_t n, const double *temperature,
                            ptrdiff_t temperature_stride, const double *u, int64_t *index)
{
    const fs_rows rows = {NAME(plain_row)(x, 0), count, n, stride, 0, 0, temperature, temperature_stride};
    return fs_sample_rows(&rows, u, index, NULL);
}

static fs_status NAME(draw_plain)(const REAL *x, int probs, size_t n, double temperature, size_t k, const double *u,
                                  int64_t *index)
{
    if (!fs_is_usable(n, temperature) || !fs_are_uniforms(u, k))
        return FS_ARGUMENT;
    fs_row row = NAME(plain_row)(x, probs);
    return fs_sample(&row, n, temperature, k, u, index, NULL);
}

fs_status NAME(fs_draw_many)(const REAL *x, size_t n, double temperature, size_t k, const double *u, int64_t *index)
{
    return NAME(draw_plain)(x, 0, n, temperature, k, u, index);
}

fs_status NAME(fs_draw_many_probs)(const REAL *p, size_t n, double temperature, size_t k, const double *u,
                                   int64_t *index)
{
    return NAME(draw_plain)(p, 1, n, temperature, k, u, index);
}

int64_t NAME(fs_draw_probs)(const REAL *p, size_t n, double temperature, double u)
{
    int64_t index;
    fs_status status = NAME(draw_plain)(p, 1, n, temperature, 1, &u, &index);
    return status == FS_OK ? index : -(int64_t)status;
}

/* fs_sample_rows knows the shortest way for a row, but not why there is no index. */
int64_t NAME(fs_draw)(const REAL *x, size_t n, double temperature, double u)
{
    int64_t index;
    if (!fs_is_usable(n, temperature) || !fs_is_uniform(u))
        return -(int64_t)FS_ARGUMENT;
    if (NAME(fs_sample_rows)(x, 0, 1, n, &temperature, 0, &u, &index) == 1 && index >= 0)
        return index;
    fs_status status = NAME(draw_plain)(x, 0, n, temperature, 1, &u, &index);
    return status == FS_OK ? index : -(int64_t)status;
}

fs_status NAME(fs_draw_rows)(const REAL *x, size_t rows, size_t n, double temperature, const double *u,
                             int64_t *index)
{
    if (!fs_is_usable(n, temperature) || !fs_are_uniforms(u, rows))
        return FS_ARGUMENT;
    size_t done = NAME(fs_sample_rows)(x, (ptrdiff_t)(n * sizeof(REAL)), rows, n, &temperature, 0, u, index);
    int64_t signs = 0;
    for (size_t i = 0; i < done; i++)
        signs |= index[i];
    for (size_t i = 0; signs < 0 && i < done; i++)
        if (index[i] < 0)
            index[i] = NAME(fs_draw)(x + i * n, n, temperature, u[i]);
    for (size_t i = done; i < rows; i++)
        index[i] = -(int64_t)FS_NO_MEMORY;
    return done < rows ? FS_NO_MEMORY : FS_OK;
}

int64_t NAME(fs_draw_filtered)(const REAL *x, size_t n, double temperature, const fs_filters *filters, double coin,
                               double u, void *scratch)
{
    int64_t index;
    if (!fs_is_usable(n, temperature) || !fs_is_uniform(u) || !fs_is_share(coin) || !fs_are_filters(filters) ||
        !fs_scratch_size(n))
        return -(int64_t)FS_ARGUMENT;
    fs_row row = NAME(plain_row)(x, 0);
    fs_status status = fs_sample_filtered(&row, n, temperature, filters, NULL, coin, 1, &u, scratch, &index, NULL);
    return status == FS_OK ? index : -(int64_t)status;
}

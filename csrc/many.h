/* Many rows of contiguous entries: each as one_row.h has it, the temperature prepared once where it stays. */

static size_t NAME(softmax_many)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                                 ptrdiff_t temperature_stride, REAL *out, ptrdiff_t out_stride)
{
    NAME(scale) scale = {0, 0, 0, 0};
    double t = NAN;
    int ordinary = 0;
    for (size_t i = 0; i < rows; i++) {
        fs_status status = FS_LIMIT;
        if (*temperature != t) {
            t = *temperature;
            ordinary = n <= BLOCK && t <= EXTREME && t >= 1.0 / EXTREME;
            fs_scale c = fs_scale_of(t);
            scale = NAME(scale_of)(&c);
        }
        if (ordinary)
            status = NAME(softmax_short)(x, n, &scale, out);
        if (FS_UNLIKELY(status != FS_OK)) {
            fs_row row = {x, sizeof(REAL), DTYPE, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            fs_output to = {out, sizeof(REAL), DTYPE};
            if (fs_softmax_row(&row, n, t, &to) == FS_NO_MEMORY)
                return i;
        }
        x = (const REAL *)(const void *)((const char *)x + stride);
        out = (REAL *)(void *)((char *)out + out_stride);
        temperature = (const double *)(const void *)((const char *)temperature + temperature_stride);
    }
    return rows;
}

static size_t NAME(sample_many)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                                ptrdiff_t temperature_stride, const double *u, int64_t *index)
{
    NAME(ladder) ladder;
    NAME(scale) scale = {0, 0, 0, 0};
    double t = NAN;
    int ordinary = 0;
    for (size_t i = 0; i < rows; i++) {
        fs_status status = FS_LIMIT;
        if (*temperature != t) {
            t = *temperature;
            ordinary = n <= BLOCK && t <= EXTREME && t >= 1.0 / EXTREME;
            fs_scale c = fs_scale_of(t);
            scale = NAME(scale_of)(&c);
        }
        if (ordinary)
            status = NAME(sample_short)(x, n, &scale, &ladder);
        if (status == FS_OK) {
            index[i] = (int64_t)NAME(ladder_index)(&ladder, fs_scale_uniform(u[i], NAME(ladder_total)(&ladder)));
        } else {
            fs_row row = {x, sizeof(REAL), DTYPE, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            status = fs_sample_row(&row, n, t, 1, u + i, index + i, NULL);
            if (status == FS_NO_MEMORY)
                return i;
            if (status != FS_OK)
                index[i] = -1;
        }
        x = (const REAL *)(const void *)((const char *)x + stride);
        temperature = (const double *)(const void *)((const char *)temperature + temperature_stride);
    }
    return rows;
}

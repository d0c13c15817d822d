/* Many contiguous rows of float16 or bfloat16: a few rows at a time in float, each rounded once. */
#ifndef FS_MANY_HALF_H
#define FS_MANY_HALF_H

static size_t fs_softmax_many_half(fs_dtype dtype, const uint16_t *x, size_t rows, size_t n,
                                   const double *temperature, ptrdiff_t temperature_stride, uint16_t *out)
{
    enum { AT_HAND = 4096 };
    float wide[AT_HAND];
    if (rows == 0)
        return 0;
    size_t together = n <= FS_MAX_BLOCK ? AT_HAND / n : 1;
    for (size_t i = 0; i < rows; i += together) {
        size_t some = rows - i < together ? rows - i : together;
        const double *t =
            (const double *)(const void *)((const char *)temperature + (ptrdiff_t)i * temperature_stride);
        if (n <= FS_MAX_BLOCK) {
            fs_floats_of_half(dtype, x + i * n, some * n, wide);
            softmax_many_f32(wide, (ptrdiff_t)(n * sizeof(float)), some, n, t, temperature_stride, wide,
                             (ptrdiff_t)(n * sizeof(float)));
            fs_halves_of_float(dtype, wide, some * n, out + i * n);
        } else {
            fs_row row = {x + i * n, sizeof(uint16_t), dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            fs_output to = {out + i * n, sizeof(uint16_t), dtype};
            if (fs_has_ended(fs_softmax_row(&row, n, *t, &to)))
                return i;
        }
    }
    return rows;
}

#endif

/* Results from contiguous blocks back to a row of any layout and dtype.
 * Contiguous results of the type that is computed in are written where they belong, and need none of this. */
#ifndef FS_WRITER_H
#define FS_WRITER_H

#include "row/reader.h"

/* Entries [start, start + len) of the result. */
static void fs_store_f32(const fs_output *out, size_t start, size_t len, const float *from)
{
    char *to = (char *)out->data + (ptrdiff_t)start * out->stride;
    uint16_t half[FS_MAX_BLOCK];
    if ((const void *)from == (const void *)to)
        return;
    switch (out->dtype) {
    case FS_F32:
        for (size_t i = 0; i < len; i++)
            *(float *)(void *)(to + (ptrdiff_t)i * out->stride) = from[i];
        return;
    case FS_F64:
        for (size_t i = 0; i < len; i++)
            *(double *)(void *)(to + (ptrdiff_t)i * out->stride) = from[i];
        return;
    default:
        if (out->stride == (ptrdiff_t)sizeof(uint16_t)) {
            fs_halves_of_float(out->dtype, from, len, (uint16_t *)(void *)to);
            return;
        }
        fs_halves_of_float(out->dtype, from, len, half);
    }
    for (size_t i = 0; i < len; i++)
        *(uint16_t *)(void *)(to + (ptrdiff_t)i * out->stride) = half[i];
}

static void fs_store_f64(const fs_output *out, size_t start, size_t len, const double *from)
{
    char *to = (char *)out->data + (ptrdiff_t)start * out->stride;
    if (out->dtype == FS_F64) {
        if ((const void *)from == (const void *)to)
            return;
        for (size_t i = 0; i < len; i++)
            *(double *)(void *)(to + (ptrdiff_t)i * out->stride) = from[i];
        return;
    }
    for (size_t i = 0; i < len; i++) {
        float narrow = out->dtype == FS_F32 ? (float)from[i] : fs_f32_to_odd(from[i]);
        fs_store_f32(out, start + i, 1, &narrow);
    }
}

/* All n entries the same. */
static void fs_fill(const fs_output *out, size_t n, float value, double wide)
{
    float narrow[FS_BLOCK_F64];
    double wides[FS_BLOCK_F64];
    for (size_t i = 0; i < FS_BLOCK_F64; i++) {
        narrow[i] = value;
        wides[i] = wide;
    }
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        if (out->dtype == FS_F64)
            fs_store_f64(out, start, len, wides);
        else
            fs_store_f32(out, start, len, narrow);
    }
}

static void fs_fill_nan(const fs_output *out, size_t n)
{
    fs_fill(out, n, fs_f32_of(0x7fc00000), fs_f64_of(UINT64_C(0x7ff8000000000000)));
}

#endif

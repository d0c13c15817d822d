/* Evenly spaced rows (fs_rows in fastsoftmax.h): each of them, and what their layout allows. */
#ifndef FS_ROWS_H
#define FS_ROWS_H

#include "base/dtype.h"
#include "row/reader.h"

/* The largest tile, in bytes, to which rows are copied. */
#define FS_TILE_LIMIT ((size_t)1 << 23)
/* The largest strip (row/tile-inl.h), in bytes: about a second-level cache. */
#define FS_STRIP_LIMIT ((size_t)1 << 19)
enum { FS_CACHE_LINE = 64 };

static inline fs_row fs_row_at(const fs_rows *rows, size_t i)
{
    fs_row row = rows->row;
    row.data = (const char *)row.data + (ptrdiff_t)i * rows->step;
    if (row.mask_kind != FS_MASK_NONE)
        row.mask = (const char *)row.mask + (ptrdiff_t)i * rows->mask_step;
    if (row.bias && !row.bias_at)
        row.bias = (const double *)(const void *)((const char *)row.bias + (ptrdiff_t)i * rows->bias_step);
    return row;
}

static inline double fs_temperature_at(const fs_rows *rows, size_t i)
{
    return *(const double *)(const void *)((const char *)rows->temperature + (ptrdiff_t)i * rows->temperature_step);
}

/* The rows from row i on, `most` at most. */
static inline fs_rows fs_rows_from(const fs_rows *rows, size_t i, size_t most)
{
    fs_rows some = *rows;
    some.row = fs_row_at(rows, i);
    some.count = rows->count - i < most ? rows->count - i : most;
    some.temperature =
        (const double *)(const void *)((const char *)rows->temperature + (ptrdiff_t)i * rows->temperature_step);
    return some;
}

static inline fs_output fs_output_at(const fs_output *out, ptrdiff_t step, size_t i)
{
    fs_output to = {(char *)out->data + (ptrdiff_t)i * step, out->stride, out->dtype};
    return to;
}

static inline int fs_is_bare(const fs_row *row) { return row->mask_kind == FS_MASK_NONE && !row->bias; }

/* Whether all rows can be read as one: entries, mask and bias go on from row to row without a gap. */
static inline int fs_are_flat(const fs_rows *rows)
{
    const fs_row *row = &rows->row;
    const ptrdiff_t n = (ptrdiff_t)rows->n, size = (ptrdiff_t)fs_size_of(row->dtype);
    int mask = row->mask_kind == FS_MASK_NONE ||
               (row->mask_kind == FS_MASK_BYTES ? row->mask_stride == 1 && rows->mask_step == n
                                                : n % 32 == 0 && row->mask_stride == 4 && rows->mask_step == n / 8);
    int bias = !row->bias || (!row->bias_at && row->bias_stride == 8 && rows->bias_step == 8 * n);
    return row->stride == size && rows->step == n * size && mask && bias;
}

#endif

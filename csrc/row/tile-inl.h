/* Rows that do not lie one after another in memory as the kernels read them: brought there, several at a time, and back.
 *
 * A matrix of short rows comes as columns: lane i of vector j is entry j of row i.  Long rows come as rows, each of them
 * contiguous.  Where neighbouring rows are neighbours in memory (another axis than the last), blocks of SIDE x SIDE entries
 * are transposed in registers, so that every cache line is read once.
 *
 * Needs real_f32.h or real_f64.h, row/rows.h, row/writer.h.
 */

/* Whether results can be written where they belong as they are computed. */
static inline int NAME(is_direct)(const fs_output *out)
{
    return out->dtype == DTYPE && out->stride == (ptrdiff_t)sizeof(REAL);
}

static inline REAL *NAME(entry_at)(const void *base, ptrdiff_t step, size_t i)
{
    return (REAL *)(void *)((char *)(uintptr_t)base + (ptrdiff_t)i * step);
}

/* to[j][i] = from[i][j].  The steps are in bytes. */
static void NAME(transpose)(const REAL *from, ptrdiff_t from_step, size_t rows, size_t columns, REAL *to,
                            ptrdiff_t to_step)
{
    for (size_t i = 0; i < rows; i += SIDE)
        for (size_t j = 0; j < columns; j += SIDE) {
            const REAL *p = NAME(entry_at)(from, from_step, i) + j;
            REAL *q = NAME(entry_at)(to, to_step, j) + i;
            const size_t height = rows - i < SIDE ? rows - i : SIDE, width = columns - j < SIDE ? columns - j : SIDE;
            if (height == SIDE && width == SIDE) /* as constants: whole registers */
                V(transpose)(p, from_step, q, to_step, SIDE, SIDE);
            else
                V(transpose)(p, from_step, q, to_step, height, width);
        }
}

/* Columns that are converted before they are transposed, or after. */
enum { NAME(COLUMNS_AT_ONCE) = 4 * SIDE };

/* `count` rows of at most BLOCK entries of any layout, as contiguous rows one directly after another. */
FS_NOINLINE void NAME(gather_rows)(const fs_rows *rows, size_t first, size_t count, REAL *to)
{
    const size_t n = rows->n, flat = fs_are_flat(rows), length = flat ? count * n : n;
    for (size_t i = 0; i < (flat ? 1 : count); i++) {
        const fs_row row = fs_row_at(rows, first + i);
        const fs_reader reader = fs_reader_of(&row);
        for (size_t start = 0; start < length; start += BLOCK) {
            size_t len = length - start < BLOCK ? length - start : BLOCK;
            REAL *x = to + i * n + start;
            const REAL *from = NAME(fs_load)(&reader, start, len, x);
            if (from != x)
                memcpy(x, from, len * sizeof(REAL));
        }
    }
}

/* Rows `from_step` bytes apart, as rows of the result. */
static void NAME(store_rows)(const REAL *from, ptrdiff_t from_step, size_t n, const fs_output *out, ptrdiff_t step,
                             size_t count)
{
    if (out->dtype == DTYPE && step == (ptrdiff_t)sizeof(REAL)) {
        NAME(transpose)(from, from_step, count, n, out->data, out->stride);
        return;
    }
    if (sizeof(REAL) == sizeof(float) && step == (ptrdiff_t)sizeof(uint16_t) && count <= LANES) {
        REAL columns[NAME(COLUMNS_AT_ONCE) *LANES];
        for (size_t start = 0; start < n; start += NAME(COLUMNS_AT_ONCE)) {
            const size_t len = n - start < NAME(COLUMNS_AT_ONCE) ? n - start : NAME(COLUMNS_AT_ONCE);
            NAME(transpose)(from + start, from_step, count, len, columns, LANES * sizeof(REAL));
            for (size_t j = 0; j < len; j++)
                fs_halves_of_float(out->dtype, (const float *)(const void *)(columns + j * LANES), count,
                                   (uint16_t *)NAME(entry_at)(out->data, out->stride, start + j));
        }
        return;
    }
    const int flat = step == (ptrdiff_t)n * out->stride && from_step == (ptrdiff_t)(n * sizeof(REAL));
    const size_t length = flat ? count * n : n;
    for (size_t i = 0; i < (flat ? 1 : count); i++) {
        const fs_output row = {(char *)out->data + (ptrdiff_t)i * step, out->stride, out->dtype};
        const REAL *x = NAME(entry_at)(from, from_step, i);
        for (size_t start = 0; start < length; start += BLOCK)
            NAME(fs_store)(&row, start, length - start < BLOCK ? length - start : BLOCK, x + start);
    }
}

/* `count` rows of n <= TINY entries as columns.  The lanes past the last row repeat the first. */
static void NAME(load_columns)(const fs_rows *rows, size_t first, size_t count, REAL *to)
{
    const size_t n = rows->n;
    const fs_row row = fs_row_at(rows, first);
    const int direct = fs_is_bare(&row) && row.dtype == DTYPE;
    if (direct && rows->step == (ptrdiff_t)sizeof(REAL)) {
        for (size_t j = 0; j < n; j++) {
            const REAL *p = NAME(entry_at)(row.data, row.stride, j);
            V(store)(to + j * LANES, count == LANES ? V(load)(p) : V(load_first)(p, count, *p));
        }
        return;
    }
    if (direct && row.stride == (ptrdiff_t)sizeof(REAL)) {
        NAME(transpose)(row.data, rows->step, count, n, to, LANES * sizeof(REAL));
        for (size_t i = 0; i < count; i++) /* the next rows: too far apart for the hardware to guess */
            for (size_t j = 0; j < n; j += 64 / sizeof(REAL))
                FS_PREFETCH(NAME(entry_at)(row.data, rows->step, i + LANES) + j);
    } else {
        REAL buffer[TINY * LANES];
        NAME(gather_rows)(rows, first, count, buffer);
        NAME(transpose)(buffer, (ptrdiff_t)(n * sizeof(REAL)), count, n, to, LANES * sizeof(REAL));
    }
    for (size_t j = 0; j < n && count < LANES; j++)
        for (size_t i = count; i < LANES; i++)
            to[j * LANES + i] = to[j * LANES];
}

/* The first `count` lanes of n columns, as rows of the result. */
static void NAME(store_columns)(const REAL *from, size_t n, const fs_output *out, ptrdiff_t step, size_t count)
{
    REAL buffer[TINY * LANES];
    if (out->dtype == DTYPE && step == (ptrdiff_t)sizeof(REAL)) {
        for (size_t j = 0; j < n; j++)
            V(store_first)(NAME(entry_at)(out->data, out->stride, j), V(load)(from + j * LANES), count);
        return;
    }
    if (NAME(is_direct)(out)) {
        NAME(transpose)(from, LANES * sizeof(REAL), n, count, out->data, step);
        return;
    }
    NAME(transpose)(from, LANES * sizeof(REAL), n, count, buffer, (ptrdiff_t)(n * sizeof(REAL)));
    NAME(store_rows)(buffer, (ptrdiff_t)(n * sizeof(REAL)), n, out, step, count);
}

/* Strips of neighbours in memory: `width` rows whose columns are contiguous, wide enough for the memory to be read and written in
 * its order, and low enough for the second-level cache. */
static size_t NAME(strip_width)(size_t n)
{
    const size_t most = 512 / sizeof(REAL), low = FS_STRIP_LIMIT / sizeof(REAL) / n / LANES * LANES;
    return low < most ? low : most;
}

/* Whether neighbours are better brought into strips than read as they are: each of their columns is converted at once; and the
 * lines of columns that are a large power of two apart fall into the same few sets of the caches, and evict each other. */
static int NAME(needs_strips)(const fs_rows *rows, int writes)
{
    const fs_row *row = &rows->row;
    if (rows->step != (ptrdiff_t)fs_size_of(row->dtype) || rows->count < LANES || rows->n < 2 ||
        row->mask_kind == FS_MASK_WORDS || row->bias_at || NAME(strip_width)(rows->n) < 2 * LANES)
        return 0;
    const size_t apart = (size_t)(row->stride < 0 ? -row->stride : row->stride), page = 4096;
    size_t sets = page / FS_CACHE_LINE; /* of the first-level cache, into which the lines of a column fall */
    for (size_t step = FS_CACHE_LINE; step < page && apart % (2 * step) == 0; step *= 2)
        sets /= 2;
    const int conflicts = apart % FS_CACHE_LINE == 0 && sets <= 4 && rows->n > 16 * sets;
    if (!fs_is_bare(row))
        return 1;
    return rows->n <= TINY ? row->dtype != DTYPE || conflicts : writes && conflicts;
}

/* A strip, of the type that is computed in, with the mask and the bias of the rows. */
static void NAME(load_strip)(const fs_rows *rows, REAL *to, ptrdiff_t stride)
{
    fs_row column = rows->row;
    column.stride = rows->step;
    column.mask_stride = rows->mask_step;
    column.bias_stride = rows->bias_step;
    for (size_t j = 0; j < rows->n; j++, to = NAME(entry_at)(to, stride, 1)) {
        const fs_reader reader = fs_reader_of(&column);
        const REAL *from = NAME(fs_load)(&reader, 0, rows->count, to);
        if (from != to)
            memcpy(to, from, rows->count * sizeof(REAL));
        column.data = (const char *)column.data + rows->row.stride;
        if (column.mask)
            column.mask = (const char *)column.mask + rows->row.mask_stride;
        if (column.bias)
            column.bias = (const double *)(const void *)((const char *)column.bias + rows->row.bias_stride);
    }
}

/* The first `count` rows of a strip, of n entries, as rows of the result. */
static void NAME(store_strip)(const REAL *from, ptrdiff_t stride, size_t n, const fs_output *out, ptrdiff_t step,
                              size_t count)
{
    for (size_t j = 0; j < n; j++, from = NAME(entry_at)(from, stride, 1)) {
        const fs_output column = {(char *)out->data + (ptrdiff_t)j * out->stride, step, out->dtype};
        if (out->dtype == DTYPE && step == (ptrdiff_t)sizeof(REAL))
            memcpy(column.data, from, count * sizeof(REAL));
        else
            NAME(fs_store)(&column, 0, count, from);
    }
}

/* `count` neighbours in memory as contiguous rows, `to_step` bytes apart. */
static void NAME(load_rows)(const fs_rows *rows, size_t first, size_t count, REAL *to, ptrdiff_t to_step)
{
    const size_t n = rows->n;
    const fs_row row = fs_row_at(rows, first);
    REAL columns[NAME(COLUMNS_AT_ONCE) *LANES];
    if (row.dtype == DTYPE)
        NAME(transpose)(row.data, row.stride, n, count, to, to_step);
    for (size_t start = 0; start < n && row.dtype != DTYPE; start += NAME(COLUMNS_AT_ONCE)) { /* float from 16 bits */
        size_t len = n - start < NAME(COLUMNS_AT_ONCE) ? n - start : NAME(COLUMNS_AT_ONCE);
        for (size_t j = 0; j < len; j++)
            fs_floats_of_half(row.dtype, (const uint16_t *)NAME(entry_at)(row.data, row.stride, start + j), count,
                              (float *)(void *)(columns + j * LANES));
        NAME(transpose)(columns, LANES * sizeof(REAL), len, count, to + start, to_step);
    }
    for (size_t i = 0; i < count && !fs_is_bare(&row); i++) {
        REAL copy[BLOCK], *x = NAME(entry_at)(to, to_step, i);
        fs_row loaded = fs_row_at(rows, first + i);
        loaded.data = x;
        loaded.stride = sizeof(REAL);
        loaded.dtype = DTYPE;
        const fs_reader reader = fs_reader_of(&loaded);
        for (size_t start = 0; start < n; start += BLOCK) {
            size_t len = n - start < BLOCK ? n - start : BLOCK;
            memcpy(x + start, NAME(fs_load)(&reader, start, len, copy), len * sizeof(REAL));
        }
    }
}

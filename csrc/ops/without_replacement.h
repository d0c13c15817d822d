/* k draws without replacement: sample, k times, of what the draws before have left. */
#ifndef FS_WITHOUT_REPLACEMENT_H
#define FS_WITHOUT_REPLACEMENT_H

#include "row/limits.h"

/* The row that stands in for one at a limit.  It may leave out entries, if none of them can be drawn before all that it has:
 * what is left then has a limit of its own. */
static fs_reader fs_first_limit(const fs_row *row, size_t n, double *temperature)
{
    fs_reader s = fs_limit_reader(row, n, temperature);
    if (s.transform == FS_RESCALED && s.multiplier > 1.0) {
        /* Subtracting the largest entry would round the others to it, and it will be gone.  Beyond 2^100 numbers are so far
         * apart, for such a temperature, that those equal to the largest come first. */
        s.shift = 0.0;
        if (fabs(s.max) > 0x1p100) {
            s.transform = FS_MAXIMA;
            *temperature = 1.0;
        }
    }
    return s;
}

/* Draws from *drawn on, from a row without those drawn, until there are k, or (FS_NO_MASS) none is left that this row or
 * the one in its place has. */
static fs_status fs_draw_distinct(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                  char *memory, int64_t *index, size_t *drawn)
{
    const int wide = fs_is_wide(row);
    fs_reader reader = fs_reader_of(row);
    fs_status status = FS_LIMIT;
    if (fs_has_formula(temperature, wide))
        status = wide ? draw_distinct_f64(&reader, n, temperature, k, u, memory, index, drawn)
                      : draw_distinct_f32(&reader, n, temperature, k, u, memory, index, drawn);
    if (status == FS_LIMIT) {
        reader = fs_first_limit(row, n, &temperature);
        status = draw_distinct_f64(&reader, n, temperature, k, u, memory, index, drawn);
    }
    return status;
}

/* At temperature 0: the first k of the sorted order. */
static fs_status fs_first_in_order(const fs_row *row, size_t n, size_t k, void *scratch, int64_t *index)
{
    const uint32_t *number = NULL;
    const fs_reader reader = fs_reader_of(row);
    fs_status status = fs_is_wide(row) ? top_k_f64(&reader, n, k, scratch, 0, NULL, &number)
                                       : top_k_f32(&reader, n, k, scratch, 0, NULL, &number);
    if (status != FS_OK)
        return status;
    for (size_t j = 0; j < k; j++)
        index[j] = number[j];
    return fs_logit(&reader, number[k - 1]) > -INFINITY ? FS_OK : FS_NO_MASS;
}

static fs_status kernel_without_replacement(const fs_row *row, size_t n, double temperature, size_t k,
                                            const double *u, void *scratch, int64_t *index)
{
    if (temperature == 0.0)
        return fs_first_in_order(row, n, k, scratch, index);
    uint8_t *mask = (uint8_t *)fs_aligned(scratch);
    char *memory = fs_aligned(mask + n);
    size_t drawn = 0, before = 0;
    fs_status status = fs_draw_distinct(row, n, temperature, k, u, memory, index, &drawn);
    if (status != FS_NO_MASS || drawn == 0)
        return status;
    /* The row in its place is exhausted: what is left of the row itself is a row with a mask. */
    fs_row rest = *row;
    rest.mask = mask;
    rest.mask_kind = FS_MASK_BYTES;
    rest.mask_stride = 1;
    if (row->mask_kind == FS_MASK_NONE)
        memset(mask, 1, n);
    else
        for (size_t i = 0; i < n; i++)
            mask[i] = (uint8_t)fs_allowed(row, i);
    while (status == FS_NO_MASS && before < drawn) {
        for (; before < drawn; before++)
            mask[index[before]] = 0;
        status = fs_draw_distinct(&rest, n, temperature, k, u, memory, index, &drawn);
    }
    return status;
}

#endif

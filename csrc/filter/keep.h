/* The entries that no filter drops, put back among the candidates. */
#ifndef FS_KEEP_H
#define FS_KEEP_H

#include "filter/candidates.h"

static inline double fs_candidate(const fs_candidates *c, size_t i)
{
    return c->row.dtype == FS_F32 ? (double)((const float *)c->row.data)[i] : ((const double *)c->row.data)[i];
}

static void fs_set_candidate(const fs_candidates *c, size_t i, uint32_t index, double value)
{
    void *values = (void *)(uintptr_t)c->row.data; /* in the workspace of the filters, which has room for a row */
    if (c->row.dtype == FS_F32)
        ((float *)values)[i] = (float)value;
    else
        ((double *)values)[i] = value;
    ((uint32_t *)(uintptr_t)c->index)[i] = index;
}

/* The first candidate whose index is `at` or more. */
static size_t fs_place_of(const fs_candidates *c, int64_t at)
{
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((int64_t)c->index[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The value that the entry `at` has among the candidates. */
static double fs_value_at(const fs_candidates *c, const fs_reader *reader, int64_t at)
{
    double x = fs_logit(reader, (size_t)at);
    return c->smoothing.factor > 0.0 && x > -INFINITY ? fs_smoothed(&c->smoothing, x) : x;
}

/* Candidates of a row of n entries, and with them those of `keep` that can be drawn at all; `reader` reads what the filters
 * have read. */
static void fs_restore(fs_candidates *c, const fs_reader *reader, size_t n, const fs_indices *keep)
{
    const double none = reader->weights ? 0.0 : -INFINITY;
    size_t from = c->count, missing = 0;
    for (size_t j = 0; j < keep->count && (size_t)keep->index[j] < n; j++) {
        const int64_t at = keep->index[j];
        size_t place = fs_place_of(c, at);
        missing += (place == from || (int64_t)c->index[place] != at) && fs_logit(reader, (size_t)at) > none;
    }
    size_t to = c->count = from + missing;
    for (size_t j = keep->count; j && to > from; j--) { /* from the end: what is moved has been read */
        const int64_t at = keep->index[j - 1];
        if ((size_t)at >= n)
            continue;
        for (; from && (int64_t)c->index[from - 1] > at; from--)
            fs_set_candidate(c, --to, c->index[from - 1], fs_candidate(c, from - 1));
        if ((!from || (int64_t)c->index[from - 1] != at) && fs_logit(reader, (size_t)at) > none)
            fs_set_candidate(c, --to, (uint32_t)at, fs_value_at(c, reader, at));
    }
}

#endif

/* k draws from one row, in chunks: by its table where there is one, and those that it leaves open without. */
#ifndef FS_DRAWS_H
#define FS_DRAWS_H

#include "draw/guide_table.h"
#include "base/thread_pool.h"

/* Of one row: the draws of the uniforms u; `some`: only those whose index is below 0, the others are made. */
typedef void (*fs_make_draws)(const void *row, size_t count, const double *u, int some, int64_t *index);

typedef struct {
    const fs_guide *guide; /* NULL: no table */
    fs_make_draws make;
    const void *row;
    const fs_uniforms *u;
    size_t k;
    int64_t *index;
} fs_drawing;

/* So many draws are a chunk: some 50 microseconds with a table. */
enum { FS_DRAWS_PER_CHUNK = 1 << 14 };

static void fs_draw_chunk(void *context, size_t chunk)
{
    const fs_drawing *d = context;
    size_t first = chunk * FS_DRAWS_PER_CHUNK, left = d->k - first;
    size_t count = left < FS_DRAWS_PER_CHUNK ? left : FS_DRAWS_PER_CHUNK;
    if (!d->guide || fs_guide_draws(d->guide, d->u->given, first, first + count, d->index))
        d->make(d->row, count, d->u->given + first, d->guide != NULL, d->index + first);
}

/* All of them.  A generator's uniforms are one thread's to take, in their order. */
static fs_status fs_draw_all(fs_drawing *d)
{
    double taken[FS_DRAWS_AT_ONCE];
    const double *uniform;
    if (d->u->given)
        return fs_parallel_for((d->k + FS_DRAWS_PER_CHUNK - 1) / FS_DRAWS_PER_CHUNK, fs_draw_chunk, d)
                   ? FS_INTERRUPTED
                   : FS_OK;
    for (size_t from = 0; from < d->k; from += FS_DRAWS_AT_ONCE) {
        size_t count = d->k - from < FS_DRAWS_AT_ONCE ? d->k - from : FS_DRAWS_AT_ONCE;
        if (fs_guide_try(d->guide, d->u, from, count, taken, &uniform, d->index))
            d->make(d->row, count, uniform, d->guide != NULL, d->index + from);
        if (from % FS_DRAWS_PER_CHUNK == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    return FS_OK;
}

#endif

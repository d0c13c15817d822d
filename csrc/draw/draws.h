/* k draws from one row, in pieces: by its table where there is one, and those that it leaves open without. */
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

/* So many draws are a piece: some 50 microseconds with a table. */
enum { FS_DRAWS_IN_PIECE = 1 << 14 };

static void fs_draw_piece(void *context, size_t piece)
{
    const fs_drawing *d = context;
    size_t first = piece * FS_DRAWS_IN_PIECE, left = d->k - first;
    size_t count = left < FS_DRAWS_IN_PIECE ? left : FS_DRAWS_IN_PIECE;
    if (!d->guide || fs_guide_draws(d->guide, d->u->given, first, first + count, d->index))
        d->make(d->row, count, d->u->given + first, d->guide != NULL, d->index + first);
}

/* All of them.  A generator's uniforms are one thread's to take, in their order. */
static fs_status fs_draw_all(fs_drawing *d)
{
    double taken[FS_DRAWS_AT_ONCE];
    const double *uniform;
    if (d->u->given)
        return fs_each((d->k + FS_DRAWS_IN_PIECE - 1) / FS_DRAWS_IN_PIECE, fs_draw_piece, d) ? FS_INTERRUPTED : FS_OK;
    for (size_t from = 0; from < d->k; from += FS_DRAWS_AT_ONCE) {
        size_t count = d->k - from < FS_DRAWS_AT_ONCE ? d->k - from : FS_DRAWS_AT_ONCE;
        if (fs_guide_try(d->guide, d->u, from, count, taken, &uniform, d->index))
            d->make(d->row, count, uniform, d->guide != NULL, d->index + from);
        if (from % FS_DRAWS_IN_PIECE == 0 && fs_heed_watch())
            return FS_INTERRUPTED;
    }
    return FS_OK;
}

#endif

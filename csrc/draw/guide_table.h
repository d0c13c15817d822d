/* Many draws from one row: a table from which all but a few of them are read.
 *
 * The draw is a step function of u: index(u) is the number of entries i whose bound b_i is at most u, where
 *     b_i = (before + C_i W / V) / total,
 * C_i the running sum of the integer weights within the block up to entry i, V the sum of the whole block, and W, before
 * and total what the blocks count: this one, those before it, and all (draw/block_cdf-inl.h; a row of one block has W = V =
 * total).  The table holds 32 bits of each bound,
 *     bound[i] <= 2^32 b_i < bound[i] + 2,                                                            (1)
 * in ascending order, and where among them each of 2^g equal parts of [0, 1), a cell, begins (indexed search: Chen and
 * Asau 1974).  With x = floor(2^32 u):
 *     bound[i] >     x   then   u < b_i,   since 2^32 u < x + 1 <= bound[i];
 *     bound[i] + 2 <= x  then   b_i <= u,  since 2^32 b_i < bound[i] + 2 <= x.
 * So where the largest bound that is at most x is below x - 1, the number of bounds that are at most x is the index, to
 * the bit.  Elsewhere, for 2 n of the 2^32 values of x, the draw is left open, and is made without the table.
 *
 * (1) holds because the bounds are computed in double.  fs_bound_scale and NAME(guide_block) round twelve times, each by
 * 2^-53 of at most 2^32: the result is within 2^-17 of 2^32 b_i.  SLACK = 2^-16 is subtracted, so what is cut to an integer
 * is below 2^32 b_i by more than 0 and less than 2^-15.  It is monotone in C_i, as every step is, and where one block
 * ends is computed as where the next begins.  LAST is the most a bound may be: 2^32 b_i <= 2^32 = LAST + 2, and no x
 * is above that, so that a bound of 1 is never taken for one that is at most u.
 *
 * The mean number of bounds in the cell of a draw is n / 2^g whatever the weights are, as each cell is as likely. */
#ifndef FS_GUIDE_TABLE_H
#define FS_GUIDE_TABLE_H

#include <stdlib.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/search.h"
#include "base/thread_pool.h"
#include "fastsoftmax.h"

#define FS_GUIDE_SLACK 0x1p-16
#define FS_GUIDE_LAST UINT32_C(0xfffffffe)
/* With more entries than this, more than one draw in 32 would be left open. */
#define FS_GUIDE_MOST ((size_t)1 << 26)
/* A table of at most this many entries takes 100 kB at most. */
#define FS_GUIDE_NEAR 4096

/* Bounds that are compared at once.  As many stand after the last one, and one stands before the first. */
enum { FS_GUIDE_STEP = 4 };

typedef struct {
    uint32_t *bound; /* n, ascending; before them 0, behind them LAST */
    uint32_t
        *cell; /* cell[c] >> count_at: how many bounds are below the lower end of cell c; the rest: fs_guide_mark */
    size_t n;
    int shift, count_at; /* 32 - g: the cell of x is x >> shift; shift where the cells are marked, else 0 */
} fs_guide;

/* g: for a short row most cells are without a bound. */
static inline int fs_guide_bits(size_t n)
{
    int bits = 4;
    while (((size_t)1 << bits) < n)
        bits++;
    return bits + (n <= 4096 ? 2 : n <= 65536 ? 1 : 0);
}

/* Words of 32 bits. */
static inline size_t fs_guide_words(size_t n, int bits) { return 1 + n + FS_GUIDE_STEP + ((size_t)1 << bits) + 1; }

/* An empty table in `words`, fs_guide_words(n, bits) of them. */
static fs_guide fs_guide_begin(uint32_t *words, size_t n, int bits)
{
    fs_guide g = {words + 1, words + 1 + n + FS_GUIDE_STEP, n, 32 - bits, 0};
    words[0] = 0;
    for (size_t i = 0; i < FS_GUIDE_STEP; i++)
        g.bound[n + i] = FS_GUIDE_LAST;
    memset(g.cell, 0, (((size_t)1 << (32 - g.shift)) + 1) * sizeof *g.cell);
    return g;
}

/* The bounds of a block as a line: 2^32 b_i = first + C_i slope, not above `last`. */
typedef struct {
    double first, slope, last;
} fs_bound_scale;

static inline fs_bound_scale fs_bounds_of_block(uint64_t before, uint64_t weight, uint64_t sum, uint64_t total)
{
    double unit = 0x1p32 / (double)(int64_t)total;
    double last = (double)(int64_t)(before + weight) * unit - FS_GUIDE_SLACK;
    fs_bound_scale s = {(double)(int64_t)before * unit - FS_GUIDE_SLACK, 0.0,
                        last < FS_GUIDE_LAST ? last : FS_GUIDE_LAST};
    if (weight)
        s.slope = (double)(int64_t)weight / (double)(int64_t)sum * unit;
    return s;
}

static inline void fs_guide_put(const fs_guide *g, size_t i, double at, double last)
{
    at = at < last ? at : last;
    at = at > 0.0 ? at : 0.0;
    uint32_t bound = (uint32_t)(int64_t)at;
    g->bound[i] = bound;
    g->cell[(bound >> g->shift) + 1] = (uint32_t)i + 1;
}

/* Entries [first, past) that have no weight: their bound is where the block begins. */
static void fs_guide_skip(const fs_guide *g, size_t first, size_t past, uint64_t before, uint64_t total)
{
    fs_bound_scale s = fs_bounds_of_block(before, 0, 0, total);
    for (size_t i = first; i < past; i++)
        fs_guide_put(g, i, s.first, s.last);
}

/* All bounds are there.  The last is 1, also in a row that another thread changes meanwhile: no index is out of range. */
static void fs_guide_end(const fs_guide *g)
{
    size_t cells = (size_t)1 << (32 - g->shift);
    g->bound[g->n - 1] = FS_GUIDE_LAST;
    uint32_t most = 0;
    for (size_t c = 0; c < cells; c++) {
        most = g->cell[c] > most ? g->cell[c] : most;
        g->cell[c] = most;
    }
    g->cell[cells] = (uint32_t)g->n;
}

/* The last place within a cell: the place of x or of a bound is what it has below the bits of its cell. */
static inline uint32_t fs_guide_last_place(const fs_guide *g) { return (UINT32_C(1) << g->shift) - 1; }

/* Cells or bounds marked between two checks for an interrupt: about a millisecond. */
#define FS_MARKS_AT_ONCE (UINT32_C(1) << 20)

/* Makes room in each cell for the place of a bound, as the number of bounds takes g bits only, so that most draws of a seed read
 * nothing else:
 *     place            one bound matters to the cell, and it is at `place`, which is not 0
 *     the last place   no bound matters to it, or one at that place
 *     0                others do: the bounds must be searched
 * A bound matters to the cell it is in, and to the next one if bound + 1 is there.  FS_OK, FS_INTERRUPTED. */
static fs_status fs_guide_mark(fs_guide *guide)
{
    const fs_guide g = *guide;
    const size_t cells = (size_t)1 << (32 - g.shift);
    const uint32_t entries = (uint32_t)g.n, last = fs_guide_last_place(guide);
    uint32_t first = 0, before = 0; /* of the bounds in this cell; the cell of the bound before, plus 1 */
    for (size_t c = 0; c <= cells;) {
        const size_t past = cells - c < FS_MARKS_AT_ONCE ? cells + 1 : c + FS_MARKS_AT_ONCE;
        for (; c < past; c++)
            g.cell[c] = (g.cell[c] < entries ? g.cell[c] : entries - 1) << g.shift | last;
        if (c < cells && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    for (uint32_t i = 0; i + 1 < entries; i++) {
        const uint32_t bound = g.bound[i], c = bound >> g.shift, place = bound & last;
        const int is_first = before != c + 1, is_last = i + 2 == entries || g.bound[i + 1] >> g.shift != c;
        const int is_alone = is_first && is_last && (i == 0 || (g.bound[i - 1] + 1) >> g.shift != c);
        first = is_first ? i : first;
        g.cell[c] = first << g.shift | (is_alone ? place : 0);
        if (FS_UNLIKELY(place == last) && c + 1 < cells)
            g.cell[c + 1] &= ~last;
        before = c + 1;
        if (FS_UNLIKELY(i % FS_MARKS_AT_ONCE == FS_MARKS_AT_ONCE - 1) && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    guide->count_at = g.shift;
    return FS_OK;
}

/* A crowded cell: the number of bounds that are at most x, which is in [low, high]. */
FS_NOINLINE size_t fs_guide_search(const fs_guide *g, size_t low, size_t high, uint32_t x)
{
    return fs_first_above_u32(g->bound, 1, low, high, x);
}

/* One draw: its index, or -1 where it is left open.  i: where the cell of x begins. */
FS_INLINE int64_t fs_guide_draw(const fs_guide *g, uint32_t x, size_t i)
{
    const uint32_t *bound = g->bound + i;
    size_t below = (size_t)(bound[0] <= x) + (bound[1] <= x) + (bound[2] <= x) + (bound[3] <= x);
    i += below;
    if (FS_UNLIKELY(below == FS_GUIDE_STEP))
        i = fs_guide_search(g, i, g->cell[(x >> g->shift) + 1] >> g->count_at, x);
    return g->bound[(ptrdiff_t)i - 1] + 1 < x ? (int64_t)i : -1;
}

static inline uint32_t fs_guide_place(double u) { return (uint32_t)(int64_t)(u * 0x1p32); }

/* A table that the nearest caches hold: the draws one after another, and the generator's next uniform, if it is asked,
 * while the draw before is made. */
FS_INLINE size_t fs_guide_near(const fs_guide *guide, const double *u, fs_uniform_of *next, void *state,
                               double *taken, size_t first, size_t past, int64_t *index)
{
    const fs_guide g = *guide;
    size_t open = 0;
    for (size_t j = first; j < past; j++) {
        double one = next ? next(state) : u[j];
        if (next)
            taken[j] = one;
        uint32_t x = fs_guide_place(one);
        index[j] = fs_guide_draw(&g, x, g.cell[x >> g.shift] >> g.count_at);
        open += index[j] < 0;
    }
    return open;
}

/* A larger table: the loads of several draws are in flight at once. */
static size_t fs_guide_far(const fs_guide *guide, const double *u, size_t first, size_t past, int64_t *index)
{
    enum { TOGETHER = 32 };
    const fs_guide g = *guide;
    size_t open = 0, start[TOGETHER];
    uint32_t x[TOGETHER];
    for (size_t from = first; from < past; from += TOGETHER) {
        size_t count = past - from < TOGETHER ? past - from : TOGETHER;
        for (size_t j = 0; j < count; j++) {
            x[j] = fs_guide_place(u[from + j]);
            FS_PREFETCH(g.cell + (x[j] >> g.shift));
        }
        for (size_t j = 0; j < count; j++) {
            start[j] = g.cell[x[j] >> g.shift] >> g.count_at;
            FS_PREFETCH(g.bound + start[j]);
        }
        for (size_t j = 0; j < count; j++) {
            index[from + j] = fs_guide_draw(&g, x[j], start[j]);
            open += index[from + j] < 0;
        }
    }
    return open;
}

/* index[j] for the draws j in [first, past), -1 for those left open; returns the number of these. */
static size_t fs_guide_draws(const fs_guide *g, const double *u, size_t first, size_t past, int64_t *index)
{
    return g->n <= FS_GUIDE_NEAR ? fs_guide_near(g, u, NULL, NULL, NULL, first, past, index)
                                 : fs_guide_far(g, u, first, past, index);
}

/* Where the uniforms of draws come from: they are given, or a generator has them. */
typedef struct {
    const double *given; /* or NULL */
    fs_uniform_of *next;
    void *state;
} fs_uniforms;

/* Draws made at a time from a generator, whose uniforms are kept for the draws left open. */
enum { FS_DRAWS_AT_ONCE = 512 };

/* `count` uniforms of a generator. */
static const double *fs_take_uniforms(const fs_uniforms *u, size_t count, double *taken)
{
    for (size_t j = 0; j < count; j++)
        taken[j] = u->next(u->state);
    return taken;
}

/* Draws [from, from + count) of a generator by the table (NULL: there is none, and all are left open); *uniform is where
 * their uniforms are.  How many are left open, with index -1 where there is a table. */
static size_t fs_guide_try(const fs_guide *g, const fs_uniforms *u, size_t from, size_t count, double *taken,
                           const double **uniform, int64_t *index)
{
    if (g && g->n <= FS_GUIDE_NEAR) {
        *uniform = taken;
        return fs_guide_near(g, NULL, u->next, u->state, taken, 0, count, index + from);
    }
    *uniform = fs_take_uniforms(u, count, taken);
    return g ? fs_guide_draws(g, *uniform, 0, count, index + from) : count;
}

/* Whether k draws are worth a table.  Nothing but the time depends on it.  A draw without one takes as long as some ten
 * entries of a table in a row of one block, and as some hundred in a longer one. */
static inline int fs_guide_pays(size_t n, size_t k, size_t block)
{
    return k >= 64 && n <= FS_GUIDE_MOST && k >= (n <= block ? n / 8 : n / 64);
}

/* An empty table for k draws, in memory for fs_return_table.  None: there is no memory, or it would not pay. */
static fs_scratch fs_guide_allocate(fs_guide *guide, size_t n, size_t k, size_t block)
{
    fs_scratch memory = {0, NULL};
    if (fs_guide_pays(n, k, block))
        memory = fs_take_table(fs_guide_words(n, fs_guide_bits(n)) * sizeof(uint32_t));
    if (memory.memory)
        *guide = fs_guide_begin(memory.memory, n, fs_guide_bits(n));
    return memory;
}

/* Makes draws from a row: index[j] for u[j]; only where index[j] < 0 if `open_only`. */
typedef void (*fs_make_draws)(const void *row, size_t count, const double *u, int open_only, int64_t *index);

typedef struct {
    const fs_guide *guide; /* NULL: no table */
    fs_make_draws make;
    const void *row;
    const fs_uniforms *u;
    size_t k;
    int64_t *index;
} fs_drawing;

/* Draws in a chunk of work: about 50 microseconds with a table. */
enum { FS_DRAWS_PER_CHUNK = 1 << 14 };

static void fs_draw_chunk(void *context, size_t chunk)
{
    const fs_drawing *d = context;
    size_t first = chunk * FS_DRAWS_PER_CHUNK, left = d->k - first;
    size_t count = left < FS_DRAWS_PER_CHUNK ? left : FS_DRAWS_PER_CHUNK;
    if (!d->guide || fs_guide_draws(d->guide, d->u->given, first, first + count, d->index))
        d->make(d->row, count, d->u->given + first, d->guide != NULL, d->index + first);
}

/* All draws.  Uniforms of a generator are taken by one thread, in their order. */
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

/* A draw by rejection: how an entry and a bound of its weight are proposed, and how the proposal is decided.  The same for every
 * element type; draw/rejection-inl.h reads the row.  docs/rejection.md proves that the draw is exact.
 *
 *     a weight     2^z = w 2^-53 2^-depth, with z = (x - max) log2(e)/T <= 0, depth = floor(-z), and an integer w of up to 2^53
 *     a column     entries s 1024 + c, s 1024 + 32 + c, ..., up to 32 of them, of the stretch s of 1,024 entries
 *     its envelope 2^-depth of its largest entry, but at least 2^-DEEPEST
 *
 * A proposal takes two words: the first, times the sum of all envelopes, chooses a column; the top bits of the second choose an
 * entry in it, and the others are the first bits of a number V in [0, 1).  It is accepted if V is below weight / envelope
 * (draw/accept.h): nothing is decided by rounding. */
#ifndef FS_REJECTION_H
#define FS_REJECTION_H

#include "base/philox.h"
#include "base/scalar_math.h"
#include "base/search.h"
#include "draw/accept.h"
#include "row/reader.h"

enum {
    FS_STRETCH_COLUMNS = 32,
    FS_STRETCH = 1024,
    FS_DEEPEST = 32,
    FS_MOST_PROPOSALS = 1 << 20, /* about 64 are expected at most; more come where another thread empties the row */
    FS_AT_ONCE = 4 /* blocks of the generator, each of two proposals */
};

/* The bits of a draw. */
typedef struct {
    uint64_t seed, key, step;
} fs_draw_key;

/* The weight of an entry: w 2^-53 2^-depth; w = 0: it is not drawn. */
typedef struct {
    uint64_t w, depth;
} fs_weight;

/* A row, as far as its proposals need it. */
typedef struct {
    const fs_reader *reader;
    fs_scale c;
    double max;
    size_t n, stretches;
    uint64_t *mass; /* of the stretches up to each: sums of 2^(DEEPEST - depth) */
    uint8_t *level; /* of each column: depth + 1, or 0 where it has no entry to draw */
} fs_envelopes;

static inline uint64_t fs_mass_of_level(uint64_t level)
{
    return (UINT64_C(2) << FS_DEEPEST) >> level & ((UINT64_C(2) << FS_DEEPEST) - 1);
}

/* -z of an entry, at least 0. */
static inline double fs_depth_of(const fs_envelopes *e, double x)
{
    const double z = (e->max - x) * e->c.high;
    return z > 0.0 ? z : 0.0; /* NaN, from an entry that another thread writes, too */
}

static inline fs_weight fs_weight_of(const fs_envelopes *e, double x)
{
    fs_weight weight = {0, 0};
    if (e->reader->weights) {
        if (x > 0.0) {
            const int exponent = fs_exponent(x);
            const int below = fs_exponent(e->max) - exponent;
            weight.w = (uint64_t)(int64_t)(x * fs_pow2(-exponent / 2) * fs_pow2(53 - exponent + exponent / 2));
            weight.depth = (uint64_t)(below > 0 ? below : 0);
        }
        return weight;
    }
    const double z = fs_depth_of(e, x);
    if (!(x > -INFINITY) || !(z < 1075.0))
        return weight;
    weight.depth = (uint64_t)(int64_t)z;
    const double d = x - e->max, whole = (double)(int64_t)weight.depth;
    double f = fma(d, e->c.low, fma(d, e->c.high, whole)); /* from -1 to 0, but for rounding */
    const double lower = f < -0.5 ? 1.0 : 0.0;
    double p = fs_exp2_term[0];
    f += lower;
    for (int i = 1; i < FS_EXP2_TERMS; i++)
        p = fma(p, f, fs_exp2_term[i]);
    p *= lower == 1.0 ? 0x1p52 : 0x1p53;
    weight.w = p < 0x1p53 ? (uint64_t)(int64_t)p : UINT64_C(1) << 53;
    return weight;
}

typedef struct {
    const fs_draw_key *key;
    uint64_t proposal;
} fs_tie;

static uint64_t fs_tie_word(const void *state, uint64_t m)
{
    const fs_tie *tie = state;
    const fs_draw_key *k = tie->key;
    return fs_philox_of(k->seed, k->key, k->step, FS_STREAM_TIES, tie->proposal, m / 4).word[m % 4];
}

/* The column in which `place` lies: the first of its stretch whose envelopes up to it exceed what is left. */
static inline size_t fs_column_at(const fs_envelopes *e, uint64_t place)
{
    const size_t s = fs_first_above_u64(e->mass, 1, 0, e->stretches - 1, place);
    const uint8_t *level = e->level + s * FS_STRETCH_COLUMNS;
    uint64_t left = place - (s ? e->mass[s - 1] : 0);
    size_t c = 0;
    for (; c < FS_STRETCH_COLUMNS - 1; c++) {
        const uint64_t mass = fs_mass_of_level(level[c]);
        if (left < mass)
            break;
        left -= mass;
    }
    return s * FS_STRETCH_COLUMNS + c;
}

/* FS_OK and the index that is drawn. */
static fs_status fs_draw_by_rejection(const fs_envelopes *e, const fs_draw_key *key, int64_t *index)
{
    const uint64_t total = e->mass[e->stretches - 1], uneven = (0 - total) % total;
    for (uint64_t block = 0; block < FS_MOST_PROPOSALS / 2; block += FS_AT_ONCE) {
        fs_philox words[FS_AT_ONCE];
        for (uint64_t i = 0; i < FS_AT_ONCE; i++)
            words[i] = fs_philox_of(key->seed, key->key, key->step, FS_STREAM_PROPOSALS, block + i, 0);
        for (uint64_t i = 0; i < 2 * FS_AT_ONCE; i++) {
            const uint64_t *word = words[i / 2].word + 2 * (i % 2);
            const fs_u128 product = fs_multiply(word[0], total);
            if (FS_UNLIKELY(product.low < uneven)) /* Lemire: the others are as many for each place */
                continue;
            const size_t column = fs_column_at(e, product.high);
            const size_t at = column / FS_STRETCH_COLUMNS * FS_STRETCH +
                              (size_t)(word[1] >> FS_V_BITS) * FS_STRETCH_COLUMNS + column % FS_STRETCH_COLUMNS;
            if (at >= e->n)
                continue;
            const fs_weight weight = fs_weight_of(e, fs_logit(e->reader, at));
            const uint64_t v = word[1] & ((UINT64_C(1) << FS_V_BITS) - 1), depth = (uint64_t)e->level[column] - 1;
            const fs_tie tie = {key, 2 * block + i};
            if (weight.w == 0 || weight.depth < depth ||
                !fs_accepts(v, weight.w, weight.depth - depth, fs_tie_word, &tie))
                continue;
            *index = (int64_t)at;
            return FS_OK;
        }
    }
    return FS_NO_MASS;
}

#endif

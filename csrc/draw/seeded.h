/* Many seeded draws by a guide table: their words by vectors, a look at one cell for each, and the rest for those that are
 * left open.
 *
 * Needs the vector (simd/), draw/guide_table.h, draw/seeded_uniform.h. */
#ifndef FS_SEEDED_H
#define FS_SEEDED_H

#include "draw/guide_table.h"
#include "draw/seeded_uniform.h"

/* Words of eight blocks, and how many draws are made at a time. */
enum { FS_SEEDED_WORDS = 32, FS_SEEDED_AT_ONCE = 256 };

/* The words of the blocks `block` to `block` + 7: fs_philox4x32 with a block in each lane.  What is above 32 bits in a lane is not
 * looked at. */
static void fs_seeded_words(uint64_t seed, uint64_t key, uint64_t block, uint32_t word[FS_SEEDED_WORDS])
{
    uint64_t number[8], number_high[8];
    for (uint64_t i = 0; i < 8; i++) {
        number[i] = block + i;
        number_high[i] = (block + i) >> 32;
    }
    const u64x8 multiplier_0 = u64x8_set1(FS_PHILOX_MULTIPLIER_0), multiplier_1 = u64x8_set1(FS_PHILOX_MULTIPLIER_1);
    u64x8 a = u64x8_load(number), b = u64x8_load(number_high), c = u64x8_set1(key), d = u64x8_set1(key >> 32);
    uint32_t low = (uint32_t)seed, high = (uint32_t)(seed >> 32);
    for (int round = 0; round < FS_PHILOX_ROUNDS; round++) {
        u64x8 of_a = u64x8_multiply_low(a, multiplier_0), of_c = u64x8_multiply_low(c, multiplier_1);
        a = u64x8_xor_high(of_c, b, u64x8_set1(low));
        b = of_c;
        c = u64x8_xor_high(of_a, d, u64x8_set1(high));
        d = of_a;
        low += FS_PHILOX_STEP_0;
        high += FS_PHILOX_STEP_1;
    }
    u64x8_store_low4(word, a, b, c, d);
}

/* The draw of a uniform that its first digit leaves open. */
typedef int64_t (*fs_draw_open)(const void *row, const fs_seeded_uniform *u);

typedef struct {
    const fs_guide *guide; /* marked */
    fs_draw_open draw;
    const void *row;
    uint64_t seed, key, first;
    size_t k;
    int64_t *index;
} fs_seeded_drawing;

/* index[j] for word[j], by one cell each (fs_guide_mark); -1 where it is left open.  How many are. */
static size_t fs_seeded_look_up(const fs_guide *guide, const uint32_t *word, size_t count, int64_t *index)
{
    const fs_guide g = *guide;
    const uint32_t last = fs_guide_last_place(guide);
    uint32_t cell[FS_SEEDED_AT_ONCE], open = 0;
    for (size_t j = 0; j < count; j++)
        cell[j] = g.cell[word[j] >> g.shift];
    for (size_t j = 0; j < count; j++) {
        const uint32_t place = word[j] & last, bound = cell[j] & last;
        const uint32_t is_open = (uint32_t)(place - bound < 2) | (bound == 0);
        index[j] = (int64_t)((cell[j] >> g.shift) + (place > bound)) | -(int64_t)is_open;
        open += is_open;
    }
    return open;
}

/* Draws [from, from + count), whose words are there. */
static void fs_seeded_draws(const fs_seeded_drawing *d, const uint32_t *word, size_t from, size_t count)
{
    const fs_guide g = *d->guide;
    int64_t *index = d->index + from;
    size_t open[FS_SEEDED_AT_ONCE], opened = 0;
    if (!fs_seeded_look_up(d->guide, word, count, index))
        return;
    for (size_t j = 0; j < count; j++) {
        open[opened] = j;
        opened += index[j] < 0;
    }
    for (size_t i = 0; i < opened; i++)
        FS_PREFETCH(g.bound + (g.cell[word[open[i]] >> g.shift] >> g.shift));
    for (size_t i = 0; i < opened; i++) {
        const size_t j = open[i];
        index[j] = fs_guide_draw(&g, word[j], g.cell[word[j] >> g.shift] >> g.shift);
        if (FS_UNLIKELY(index[j] < 0)) {
            const fs_seeded_uniform u = fs_seeded_uniform_of(d->seed, d->key, d->first + from + j, word[j]);
            index[j] = d->draw(d->row, &u);
        }
    }
}

static void fs_seeded_chunk(void *context, size_t chunk)
{
    const fs_seeded_drawing *d = context;
    size_t from = chunk * FS_DRAWS_PER_CHUNK,
           past = d->k - from < FS_DRAWS_PER_CHUNK ? d->k : from + FS_DRAWS_PER_CHUNK;
    uint32_t word[FS_SEEDED_AT_ONCE + FS_SEEDED_WORDS];
    while (from < past) {
        const size_t count = past - from < FS_SEEDED_AT_ONCE ? past - from : FS_SEEDED_AT_ONCE;
        const uint64_t draw = d->first + from;
        const size_t skip = draw % 4;
        for (size_t i = 0; i < skip + count; i += FS_SEEDED_WORDS)
            fs_seeded_words(d->seed, d->key, draw / 4 + i / 4, word + i);
        fs_seeded_draws(d, word + skip, from, count);
        from += count;
    }
}

/* All draws.  FS_OK, FS_INTERRUPTED. */
static fs_status fs_draw_all_seeded(fs_seeded_drawing *d)
{
    return fs_parallel_for((d->k + FS_DRAWS_PER_CHUNK - 1) / FS_DRAWS_PER_CHUNK, fs_seeded_chunk, d) ? FS_INTERRUPTED
                                                                                                     : FS_OK;
}

#endif

/* Many seeded draws by a guide table: their words by vectors, a look at one cell for each, and the rest for those that are
 * left open.
 *
 * Needs the vector (simd/). */
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
    const u64x8 multiplier_0 = u64x8_set1(FS_PHILOX_MULTIPLIER_0), multiplier_1 = u64x8_set1(FS_PHILOX_MULTIPLIER_1);
    const u64x8 none = u64x8_set1(0);
    u64x8 a = u64x8_count_from(block), b = u64x8_xor_high(a, none, none);
    u64x8 c = u64x8_set1(key), d = u64x8_set1(key >> 32);
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

/* index[j] for word[j], by one cell each (fs_guide_mark).  The numbers of those left open are in `open`; returns how many.  At `word` there
 * are as many as the next multiple of 16. */
static size_t fs_seeded_look_up(const fs_guide *guide, const uint32_t *word, size_t count, int64_t *index,
                                uint32_t open[FS_SEEDED_AT_ONCE + 16])
{
    static const uint32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const fs_guide g = *guide;
    size_t opened = 0;
    for (size_t from = 0; from < count; from += 16) {
        const size_t left = count - from;
        uint32_t cell[16];
        int64_t few[16];
        for (size_t i = 0; i < 16; i++)
            cell[i] = g.cell[word[from + i] >> g.shift];
        unsigned is_open = fs_cells16(word + from, cell, g.shift, left < 16 ? few : index + from);
        if (left < 16) {
            memcpy(index + from, few, left * sizeof *few);
            is_open &= (1u << left) - 1;
        }
        f32x16_pack_numbers(open + opened, lanes, (uint32_t)from, is_open);
        opened += fs_count_bits(is_open);
    }
    return opened;
}

/* Draws [from, from + count), whose words are there. */
static void fs_seeded_draws(const fs_seeded_drawing *d, const uint32_t *word, size_t from, size_t count)
{
    const fs_guide g = *d->guide;
    int64_t *index = d->index + from;
    uint32_t open[FS_SEEDED_AT_ONCE + 16];
    const size_t opened = fs_seeded_look_up(d->guide, word, count, index, open);
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
        for (size_t i = 0; i < skip + (count + 15) / 16 * 16; i += FS_SEEDED_WORDS)
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

/* A row prepared for many draws, in memory that the caller provides: its guide table, and its weights for the draws that
 * the table leaves open. */
#ifndef FS_PREPARED_H
#define FS_PREPARED_H

#include "base/dtype.h"
#include "draw/guide_table.h"

struct fs_categorical {
    size_t n, blocks;
    int64_t sole; /* at temperature 0, the index of every draw; else -1 */
    int wide; /* the weights are doubles, in blocks of FS_BLOCK_F64; else floats, in blocks of FS_BLOCK_F32 */
    fs_guide guide;
    uint64_t *cumulative; /* integer weight of the blocks up to each */
    void *weight; /* against the origin of each block, as in a block CDF (draw/block_cdf-inl.h) */
};

/* More cells than for a table that is used once: fewer draws of a seed need more than their cell. */
static inline int fs_prepared_bits(size_t n) { return fs_guide_bits(n) + (n <= 16384); }

/* The size of the table, in words; an even number. */
static inline size_t fs_prepared_words(size_t n) { return (fs_guide_words(n, fs_prepared_bits(n)) + 1) / 2 * 2; }

/* The size for doubles, which have more blocks: a row of floats may need its limit, which is of doubles. */
static inline size_t fs_prepared_size(size_t n)
{
    return sizeof(struct fs_categorical) + ((n + FS_BLOCK_F64 - 1) / FS_BLOCK_F64 + n) * sizeof(double) +
           fs_prepared_words(n) * sizeof(uint32_t);
}

/* Where everything lies, and an empty table. */
static void fs_prepared_begin(struct fs_categorical *c, size_t n, size_t block, int wide)
{
    c->n = n;
    c->blocks = (n + block - 1) / block;
    c->sole = -1;
    c->wide = wide;
    c->cumulative = (uint64_t *)(void *)(c + 1);
    uint32_t *words = (uint32_t *)(void *)(c->cumulative + c->blocks);
    c->guide = fs_guide_begin(words, n, fs_prepared_bits(n));
    c->weight = words + fs_prepared_words(n);
}

#endif

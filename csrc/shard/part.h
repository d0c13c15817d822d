/* Where a shard lies among the blocks of its row.  A block is cut where a shard begins or ends within it. */
#ifndef FS_PART_H
#define FS_PART_H

#include "fastsoftmax.h"

/* What a shard has of a block: from its entry `start` to the end of the block, or of the shard. */
static inline size_t fs_length_in_block(const fs_part *part, size_t start, size_t block)
{
    const size_t left = block - (part->offset + start) % block;
    return part->n - start < left ? part->n - start : left;
}

/* Whether other entries of that block are in other shards. */
static inline int fs_is_cut(const fs_part *part, size_t start, size_t len, size_t block)
{
    const size_t first = part->offset + start, past = first + len;
    return first % block != 0 || (past % block != 0 && past != part->entries);
}

#endif

/* Philox4x64-10, the counter-based generator of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011,
 * as NumPy has it: its key is (seed, key), its counter (step, stream, block, part).  NumPy counts up before it generates, so
 * these are the first four words of Philox(key=[seed, key], counter=[step, stream, block, part]). */
#ifndef FS_PHILOX_H
#define FS_PHILOX_H

#include "base/bits.h"

/* What the words are for. */
enum { FS_STREAM_DRAWS, FS_STREAM_COINS, FS_STREAM_PROPOSALS, FS_STREAM_TIES };

typedef struct {
    uint64_t word[4];
} fs_philox;

static inline fs_philox fs_philox_of(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream, uint64_t block,
                                     uint64_t part)
{
    fs_philox c = {{step + 1, stream + (step == UINT64_MAX), block, part}};
    for (int round = 0; round < 10; round++) {
        fs_u128 a = fs_multiply(UINT64_C(0xd2e7470ee14c6c93), c.word[0]);
        fs_u128 b = fs_multiply(UINT64_C(0xca5a826395121157), c.word[2]);
        fs_philox next = {{b.high ^ c.word[1] ^ seed, b.low, a.high ^ c.word[3] ^ key, a.low}};
        c = next;
        seed += UINT64_C(0x9e3779b97f4a7c15); /* the golden ratio */
        key += UINT64_C(0xbb67ae8584caa73b); /* sqrt 3 - 1 */
    }
    return c;
}

static inline double fs_keyed_uniform(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream)
{
    return (double)(int64_t)(fs_philox_of(seed, key, step, stream, 0, 0).word[0] >> 11) * 0x1p-53;
}

#endif

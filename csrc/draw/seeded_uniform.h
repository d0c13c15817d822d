/* The uniform of a seeded draw: 160 bits, a function of the seed, the key and the number of the draw.
 *
 * They come from Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", 2011: a block of four words of 32 bits for each counter.  With the seed as the generator's key, a
 * block is numbered by 128 bits: `key` above the number of the block in the stream of that key, lowest word first.
 *
 *     word i of a stream   word i mod 4 of block floor(i / 4)
 *     U_j                  0.d0 d1 d2 d3 d4 in base 2^32: d0 is word j, d1 to d4 are block 2^63 + j
 *
 * As j is below 2^63, no two draws have a word in common.  The words d0 are those that cuRAND and PyTorch's kernels take from
 * Philox4_32_10 for this seed, `key` as the subsequence and offset 0. */
#ifndef FS_SEEDED_UNIFORM_H
#define FS_SEEDED_UNIFORM_H

#include "base/bits.h"

#define FS_PHILOX_MULTIPLIER_0 UINT32_C(0xd2511f53)
#define FS_PHILOX_MULTIPLIER_1 UINT32_C(0xcd9e8d57)
#define FS_PHILOX_STEP_0 UINT32_C(0x9e3779b9) /* the golden ratio */
#define FS_PHILOX_STEP_1 UINT32_C(0xbb67ae85) /* sqrt 3 - 1 */
enum { FS_PHILOX_ROUNDS = 10 };

static inline void fs_philox4x32(uint64_t seed, uint64_t key, uint64_t block, uint32_t word[4])
{
    uint32_t a = (uint32_t)block, b = (uint32_t)(block >> 32), c = (uint32_t)key, d = (uint32_t)(key >> 32);
    uint32_t low = (uint32_t)seed, high = (uint32_t)(seed >> 32);
    for (int round = 0; round < FS_PHILOX_ROUNDS; round++) {
        uint64_t of_a = (uint64_t)FS_PHILOX_MULTIPLIER_0 * a, of_c = (uint64_t)FS_PHILOX_MULTIPLIER_1 * c;
        a = (uint32_t)(of_c >> 32) ^ b ^ low;
        b = (uint32_t)of_c;
        c = (uint32_t)(of_a >> 32) ^ d ^ high;
        d = (uint32_t)of_a;
        low += FS_PHILOX_STEP_0;
        high += FS_PHILOX_STEP_1;
    }
    word[0] = a, word[1] = b, word[2] = c, word[3] = d;
}

enum { FS_SEEDED_DIGITS = 5 };

/* U = sum of digit[i] 2^(-32 (i + 1)) */
typedef struct {
    uint32_t digit[FS_SEEDED_DIGITS];
} fs_seeded_uniform;

/* U_j, of which the first digit is known. */
static inline fs_seeded_uniform fs_seeded_uniform_of(uint64_t seed, uint64_t key, uint64_t j, uint32_t first)
{
    fs_seeded_uniform u = {{first}};
    fs_philox4x32(seed, key, UINT64_C(1) << 63 | j, u.digit + 1);
    return u;
}

static inline int fs_is_below_u128(fs_u128 a, fs_u128 b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* Whether a/b <= U, for b > 0 below 2^127: the bits of a/b, by long division, beside those of U until two differ. */
static inline int fs_is_at_most_uniform(fs_u128 a, fs_u128 b, const fs_seeded_uniform *u)
{
    if (!fs_is_below_u128(a, b))
        return 0;
    for (int i = 0; i < 32 * FS_SEEDED_DIGITS; i++) {
        a.high = a.high << 1 | a.low >> 63;
        a.low <<= 1;
        const uint32_t bit = !fs_is_below_u128(a, b), bit_of_u = u->digit[i / 32] >> (31 - i % 32) & 1;
        if (bit != bit_of_u)
            return bit < bit_of_u;
        if (bit) {
            a.high -= b.high + (a.low < b.low);
            a.low -= b.low;
        }
    }
    return (a.high | a.low) == 0; /* U has no more bits: is there more of a/b? */
}

#endif

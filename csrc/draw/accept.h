/* Whether a proposal is accepted (draw/rejection.h): a number V in [0, 1), bit by bit, against a ratio. */
#ifndef FS_ACCEPT_H
#define FS_ACCEPT_H

#include <stdint.h>

/* The bits of a word that choose one of 32 entries, and those that begin V. */
enum { FS_ENTRY_BITS = 5, FS_V_BITS = 64 - FS_ENTRY_BITS };

/* Whether V < w 2^-53 2^-apart, where `leading` are the first V_BITS bits of V.  Word m of the others: next(state, m). */
typedef uint64_t fs_next_bits(const void *state, uint64_t m);
static inline int fs_accepts(uint64_t leading, uint64_t w, uint64_t apart, fs_next_bits *next, const void *state)
{
    const uint64_t spare = FS_V_BITS - 53;
    const uint64_t first = apart <= spare ? w << (spare - apart) : apart - spare < 64 ? w >> (apart - spare) : 0;
    if (leading != first)
        return leading < first;
    /* equal so far: the bits of w that are left, `left` of them, and then zeros */
    uint64_t left = apart <= spare ? 0 : apart - spare;
    for (uint64_t m = 0; left > 0; m++) {
        const uint64_t bits = left < 64 ? w << (64 - left) : left - 64 < 64 ? w >> (left - 64) : 0;
        const uint64_t word = next(state, m);
        if (word != bits)
            return word < bits;
        left = left < 64 ? 0 : left - 64;
    }
    return 0;
}

#endif

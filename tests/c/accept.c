/* The decision of a proposal (csrc/draw/accept.h), bit by bit.
 *
 *     accept [--every K]
 *
 * --every K takes one case in K. */
#include "draw/accept.h"
#include "testing.h"

enum { DECISIONS = 400000, WORDS = 20, BITS = FS_V_BITS + 64 * WORDS };

static unsigned long long checks;

/* The bits of a number in [0, 1), first things first. */
typedef struct {
    char bit[BITS];
} fraction;

static fraction ratio_of(uint64_t w, uint64_t apart)
{
    fraction f = {{0}};
    for (uint64_t i = 0; i <= 53; i++) /* bit 53 of w is worth 2^-apart */
        if (w >> (53 - i) & 1 && apart + i >= 1 && apart + i - 1 < BITS)
            f.bit[apart + i - 1] = 1;
    return f;
}

static uint64_t bits_from(const fraction *f, size_t first, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++)
        word = word << 1 | (uint64_t)f->bit[first + i];
    return word;
}

static uint64_t further(const void *state, uint64_t m)
{
    return m < WORDS ? bits_from(state, FS_V_BITS + 64 * (size_t)m, 64) : 0;
}

static void test_decisions(size_t every)
{
    for (size_t i = 0; i < DECISIONS; i += every) {
        random_stream r = {i};
        const uint64_t one = UINT64_C(1) << 53;
        const uint64_t w = below(&r, 20) ? one - below(&r, one >> (below(&r, 8) ? 1 : 50)) : one;
        const uint64_t apart = below(&r, 3) ? below(&r, 9) : below(&r, 1075);
        const int whole = w == one && apart == 0; /* the ratio is 1 */
        const fraction ratio = ratio_of(w, apart);
        fraction v = ratio;
        const size_t from = below(&r, BITS), until = from + below(&r, 4);
        for (size_t b = from; below(&r, 8) && b < BITS && b <= until; b++)
            v.bit[b] = (char)below(&r, 2);
        for (size_t b = until + 1; until & 1 && b < BITS; b++)
            v.bit[b] = (char)(next_word(&r) & 1);
        const int accepted = fs_accepts(bits_from(&v, 0, FS_V_BITS), w, apart, further, &v);
        checks++;
        check(accepted == (whole || memcmp(v.bit, ratio.bit, BITS) < 0), "w = %llx, %llu apart, bit %zu: %d",
              (unsigned long long)w, (unsigned long long)apart, from, accepted);
    }
}

int main(int argc, char **argv)
{
    test_decisions((size_t)option(argc, argv, "--every", 1));
    return finish("accept", checks);
}

/* Uniforms that are a function of a seed, a key and a step: Philox4x64-10, the counter-based generator of Salmon,
 * Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011, as NumPy has it.
 *
 * The key of the generator is (seed, key), the counter (step + 1, stream, 0, 0): NumPy counts up before it generates, so
 * this is the first double of Philox(key=[seed, key], counter=[step, stream, 0, 0]).
 */
#include "base/bits.h"
#include "fastsoftmax.h"

typedef struct {
    uint64_t word[4];
} fs_philox;

static inline fs_philox fs_philox_of(fs_philox counter, uint64_t key, uint64_t other_key)
{
    fs_philox c = counter;
    for (int round = 0; round < 10; round++) {
        fs_u128 a = fs_multiply(UINT64_C(0xd2e7470ee14c6c93), c.word[0]);
        fs_u128 b = fs_multiply(UINT64_C(0xca5a826395121157), c.word[2]);
        fs_philox next = {{b.high ^ c.word[1] ^ key, b.low, a.high ^ c.word[3] ^ other_key, a.low}};
        c = next;
        key += UINT64_C(0x9e3779b97f4a7c15);       /* the golden ratio */
        other_key += UINT64_C(0xbb67ae8584caa73b); /* sqrt 3 - 1 */
    }
    return c;
}

static inline double fs_keyed(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream)
{
    fs_philox counter = {{step + 1, stream + (step == UINT64_MAX), 0, 0}};
    return (double)(int64_t)(fs_philox_of(counter, seed, key).word[0] >> 11) * 0x1p-53;
}

void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u)
{
    for (size_t i = 0; i < count; i++)
        u[i] = fs_keyed(seed, key[i], step, stream);
}

void fs_keyed_uniforms_of(fs_words seeds, fs_words keys, fs_words steps, size_t count, uint64_t stream, double *u)
{
    if (!seeds.stride && !steps.stride && keys.stride == 1) { /* a sixth faster */
        fs_keyed_uniforms(*seeds.word, keys.word, count, *steps.word, stream, u);
        return;
    }
    for (size_t i = 0; i < count; i++)
        u[i] =
            fs_keyed(seeds.word[i * seeds.stride], keys.word[i * keys.stride], steps.word[i * steps.stride], stream);
}

/* Uniforms that are a function of a seed, a key and a step (base/philox.h). */
#include "base/philox.h"
#include "fastsoftmax.h"

void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u)
{
    for (size_t i = 0; i < count; i++)
        u[i] = fs_keyed_uniform(seed, key[i], step, stream);
}

void fs_keyed_uniforms_of(fs_words seeds, fs_words keys, fs_words steps, size_t count, uint64_t stream, double *u)
{
    if (!seeds.stride && !steps.stride && keys.stride == 1) { /* a sixth faster */
        fs_keyed_uniforms(*seeds.word, keys.word, count, *steps.word, stream, u);
        return;
    }
    for (size_t i = 0; i < count; i++)
        u[i] = fs_keyed_uniform(seeds.word[i * seeds.stride], keys.word[i * keys.stride],
                                steps.word[i * steps.stride], stream);
}

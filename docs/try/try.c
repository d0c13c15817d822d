/* What the page calls: the distribution of a row of float32 and draws from it, by the functions of fastsoftmax.h alone, and the
 * check of the kernels, which is tests/c/bits.c.  build.py compiles this for WebAssembly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fastsoftmax.h"

#define EXPORT(name) __attribute__((export_name(#name)))

/* The arrays that the page writes (LOGITS) and reads.  It finds them by these numbers; kernels.js has the same. */
enum { LOGITS, BEFORE, KEPT, AFTER, ENTROPIES, DRAWS, UNIFORMS, SCRATCH, ARRAYS };
static void *array[ARRAYS];

EXPORT(array_of) void *array_of(int which) { return array[which]; }

/* Memory for rows of n entries and for this many draws; 0: there is none. */
EXPORT(reserve) int reserve(size_t n, size_t draws)
{
    const size_t bytes[ARRAYS] = {
        4 * n, 4 * n, 4 * n, 4 * n, 2 * sizeof(double), 8 * draws, 8 * draws, fs_scratch_size(n)};
    for (int i = 0; i < ARRAYS; i++) {
        free(array[i]);
        array[i] = malloc(bytes[i]);
    }
    for (int i = 0; i < ARRAYS; i++)
        if (!array[i])
            return 0;
    return 1;
}

static fs_row logits_row(void)
{
    const fs_row row = {.data = array[LOGITS], .stride = sizeof(float), .dtype = FS_F32};
    return row;
}

/* 0: all of them are off. */
static int set_filters(fs_filters *filters, double top_k, double top_p, double min_p)
{
    fs_no_filters(filters);
    filters->top_k = (int64_t)top_k;
    filters->top_p = top_p;
    filters->min_p = min_p;
    return top_k > 0.0 || top_p < 1.0 || min_p > 0.0;
}

/* BEFORE is softmax(x).  AFTER is softmax(x, T), or with filters softmax(KEPT) of KEPT = truncate(x, T, ...).  ENTROPIES are
 * those of the two. */
EXPORT(evaluate) fs_status evaluate(size_t n, double temperature, double top_k, double top_p, double min_p)
{
    const float *x = array[LOGITS];
    double *entropy = array[ENTROPIES];
    fs_filters filters;
    fs_status status = fs_softmax_f32(x, n, 1.0, array[BEFORE]);
    if (status == FS_OK)
        status = fs_entropy_f32(x, n, 1.0, entropy);
    if (status != FS_OK)
        return status;
    if (set_filters(&filters, top_k, top_p, min_p)) {
        const fs_row row = logits_row();
        const fs_output kept = {array[KEPT], sizeof(float), FS_F32};
        status = fs_truncate(&row, n, temperature, &filters, NULL, 1.0, array[SCRATCH], &kept);
        if (status != FS_OK)
            return status;
        x = array[KEPT];
        temperature = 1.0;
    } else
        memcpy(array[KEPT], x, n * sizeof *x);
    status = fs_softmax_f32(x, n, temperature, array[AFTER]);
    return status == FS_OK ? fs_entropy_f32(x, n, temperature, entropy + 1) : status;
}

/* DRAWS[i] is drawn with the uniform of (seed, key 0, step i), as the i-th token of a Sampler(seed=seed). */
EXPORT(draw)
fs_status draw(size_t n, double temperature, double top_k, double top_p, double min_p, uint64_t seed, size_t count)
{
    static const uint64_t key = 0;
    uint64_t *step = array[DRAWS]; /* which are not there yet */
    for (size_t i = 0; i < count; i++)
        step[i] = i;
    fs_keyed_uniforms_of((fs_words){&seed, 0}, (fs_words){&key, 0}, (fs_words){step, 1}, count, 0, array[UNIFORMS]);
    const fs_row row = logits_row();
    fs_filters filters;
    if (set_filters(&filters, top_k, top_p, min_p))
        return fs_sample_filtered(&row, n, temperature, &filters, NULL, 1.0, count, array[UNIFORMS], array[SCRATCH],
                                  array[DRAWS], NULL);
    return fs_sample(&row, n, temperature, count, array[UNIFORMS], array[DRAWS], NULL);
}

int bits_main(int argc, char **argv); /* tests/c/bits.c */

/* Prints what tests/c/bits.c prints; 0 if it finds no fault. */
EXPORT(check_kernels) int check_kernels(long every, long seed)
{
    char every_text[24], seed_text[24];
    char *argv[] = {"bits", "--every", every_text, "--seed", seed_text, NULL};
    snprintf(every_text, sizeof every_text, "%ld", every);
    snprintf(seed_text, sizeof seed_text, "%ld", seed);
    const int failed = bits_main(5, argv);
    fflush(stdout);
    return failed;
}

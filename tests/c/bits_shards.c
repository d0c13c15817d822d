/* A row in shards has the bits of the whole row, wherever it is cut, on every instruction set.
 *
 *     bits_shards [--every K] [--seed S]
 *
 * Cases are lengths around those of blocks, crossed with the dtypes, temperatures, kinds of data and kinds of row below;
 * --every K takes one in K of them.  Prints a digest of the summaries for each set. */
#include "rows.h"

static const double temperatures[] = {0.0, 0x1p-900, 1e-45, 1e-30, 1e-3,    0.05,
                                      0.7, 1.0,      30.0,  1e30,  0x1p900, INFINITY};
enum {
    TEMPERATURES = sizeof temperatures / sizeof temperatures[0],
    DRAWS = 6,
    MOST_SETS = 4,
    ALIGNMENT = 1024,
    MOST_SHARDS = 80
};

static unsigned long long checks;

/* The part of a row from entry `start`, a multiple of ALIGNMENT, on. */
static fs_row part_of(const fs_row *row, size_t start, size_t n, int64_t *bias_at)
{
    fs_row part = *row;
    part.data = (const char *)row->data + (ptrdiff_t)start * row->stride;
    if (row->mask_kind == FS_MASK_BYTES)
        part.mask = (const char *)row->mask + (ptrdiff_t)start * row->mask_stride;
    if (row->mask_kind == FS_MASK_WORDS)
        part.mask = (const char *)row->mask + (ptrdiff_t)(start / 32) * row->mask_stride;
    if (row->bias && !row->bias_at)
        part.bias = (const double *)(const void *)((const char *)row->bias + (ptrdiff_t)start * row->bias_stride);
    if (row->bias_at) {
        size_t first = 0, past;
        while (first < row->bias_count && (size_t)row->bias_at[first] < start)
            first++;
        for (past = first; past < row->bias_count && (size_t)row->bias_at[past] < start + n; past++)
            bias_at[past - first] = row->bias_at[past] - (int64_t)start;
        part.bias = row->bias + first;
        part.bias_at = bias_at;
        part.bias_count = past - first;
    }
    return part;
}

/* What the shards leave, as the shards of one row: the blocks of all, one after another. */
typedef struct {
    size_t blocks;
    double *max, *sum, rest;
} left;

static size_t blocks_in(size_t n, size_t block) { return (n + block - 1) / block; }

/* The last shard comes first: the order of arrival is of no account. */
static void summarise(const fs_row *row, const size_t *cut, size_t shards, double temperature, int in_double, left *l,
                      int64_t *bias_at)
{
    size_t n = cut[shards], block = in_double ? 512 : fs_shard_block(row->dtype);
    double largest = -INFINITY, rest[MOST_SHARDS];
    l->blocks = blocks_in(n, block);
    l->max = workspace(8 * l->blocks);
    l->sum = workspace(8 * l->blocks);
    l->rest = 0.0;
    for (size_t s = shards; s-- > 0;) {
        size_t at = cut[s] / block, len = cut[s + 1] - cut[s];
        fs_row part = part_of(row, cut[s], len, bias_at);
        fs_status status = fs_summarise(&part, len, temperature, in_double, l->max + at, l->sum + at, &rest[s]);
        check(status == FS_OK, "fs_summarise gives %d", (int)status);
    }
    for (size_t s = 0; s < shards; s++)
        for (size_t b = cut[s] / block; b < cut[s] / block + blocks_in(cut[s + 1] - cut[s], block); b++)
            if (l->max[b] > largest) {
                largest = l->max[b];
                l->rest = rest[s];
            }
}

static void run_case(size_t n, fs_dtype dtype, double temperature, data_kind data, row_kind kind, random_stream *r,
                     uint64_t *digests)
{
    size_t size = size_of(dtype), cut[MOST_SHARDS + 1] = {0}, shards = 0;
    double u[DRAWS] = {0.0, 1.0 - 0x1p-53, 0x1p-60, 0.5};
    char text[200];
    for (int j = 4; j < DRAWS; j++)
        u[j] = next_uniform(r);
    made_row made = make_row(n, dtype, data, kind, r);
    uint64_t rarity = 1 + below(r, 4);
    for (size_t at = ALIGNMENT; at < n; at += ALIGNMENT)
        if (shards + 1 < MOST_SHARDS && below(r, rarity) == 0)
            cut[++shards] = at;
    cut[++shards] = n;
    int64_t *bias_at = workspace(8 * (made.row.bias_count + 1));
    char *expected = workspace(8 * n), *got = workspace(8 * n);
    snprintf(text, sizeof text, "n = %zu in %zu shards, %s, %s, temperature %g, %s", n, shards, dtype_name[dtype],
             kind_name[data], temperature, row_name[kind]);
    for (size_t s = 0; fs_available(s); s++) {
        const char *set = fs_available(s);
        fs_choose(set);
        left of, wide = {0, NULL, NULL, 0.0};
        summarise(&made.row, cut, shards, temperature, 0, &of, bias_at);
        if (dtype != FS_F64)
            summarise(&made.row, cut, shards, temperature, 1, &wide, bias_at);
        fs_summary summary = {{of.blocks, of.max, of.sum, of.rest}, {wide.blocks, wide.max, wide.sum, wide.rest}};
        digests[s] = extend_digest(digests[s], of.max, 8 * of.blocks);
        digests[s] = extend_digest(digests[s], of.sum, 8 * of.blocks);
        digests[s] = extend_digest(digests[s], &of.rest, 8);
        if (wide.blocks)
            digests[s] = extend_digest(digests[s], wide.sum, 8 * wide.blocks);

        fs_normaliser normaliser;
        fs_status status = fs_normalise(dtype, temperature, &summary, &normaliser);
        check(status == FS_OK, "fs_normalise gives %d", (int)status);
        const double *block_max = of.max;
        size_t block = fs_shard_block(dtype);

        for (int log = 0; log < 2; log++) {
            fs_output whole = {expected, (ptrdiff_t)size, dtype};
            status = log ? fs_log_softmax(&made.row, n, temperature, &whole)
                         : fs_softmax(&made.row, n, temperature, &whole);
            check((int64_t)status == normaliser.status, "status %d is not %d: %s", (int)normaliser.status,
                  (int)status, text);
            for (size_t i = 0; i < shards; i++) {
                size_t len = cut[i + 1] - cut[i];
                fs_row part = part_of(&made.row, cut[i], len, bias_at);
                fs_output to = {got + cut[i] * size, (ptrdiff_t)size, dtype};
                status =
                    log ? fs_log_softmax_shard(&part, len, temperature, &normaliser, &to)
                        : fs_softmax_shard(&part, len, temperature, &normaliser, block_max + cut[i] / block, &to);
                check(status == FS_OK, "a shard gives %d: %s", (int)status, text);
            }
            checks++;
            same(log ? "log_softmax" : "softmax", expected, got, n * size, set, "shards", text);
        }

        double log_sum_exp[2];
        fs_logsumexp(&made.row, n, temperature, &log_sum_exp[0]);
        fs_logsumexp_of_summary(dtype, temperature, &summary, &normaliser, &log_sum_exp[1]);
        same("logsumexp", &log_sum_exp[0], &log_sum_exp[1], 8, set, "shards", text);

        int64_t index[DRAWS], drawn[DRAWS], found;
        double logprob[DRAWS], its_logprob[DRAWS], its;
        fs_location at[DRAWS];
        status = fs_sample(&made.row, n, temperature, DRAWS, u, index, logprob);
        fs_locate(dtype, temperature, &summary, &normaliser, DRAWS, u, at);
        for (int j = 0; j < DRAWS; j++) {
            int answers = 0;
            drawn[j] = -1;
            its_logprob[j] = 0.0;
            if (status != FS_OK) {
                index[j] = -1;
                logprob[j] = 0.0;
            }
            for (size_t i = 0; i < shards; i++) {
                size_t len = cut[i + 1] - cut[i];
                fs_row part = part_of(&made.row, cut[i], len, bias_at);
                fs_status resolved =
                    fs_resolve(&part, len, cut[i], temperature, &normaliser, 1, at + j, &found, &its);
                check(resolved == FS_OK, "fs_resolve gives %d: %s", (int)resolved, text);
                if (found >= 0) {
                    answers++;
                    drawn[j] = found;
                    its_logprob[j] = its;
                }
            }
            check(answers == (status == FS_OK), "%d shards answer: %s", answers, text);
        }
        checks += 3;
        (void)(same("index", index, drawn, sizeof index, set, "shards", text) &&
               same("logprob", logprob, its_logprob, sizeof logprob, set, "shards", text));
        free(of.max);
        free(of.sum);
        free(wide.max);
        free(wide.sum);
    }
    free(expected);
    free(got);
    free(bias_at);
    free_row(&made);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1,    2,    63,   64,   65,   511,  512,  513,  1000,  1023,  1024,
                                     1025, 1536, 1537, 2047, 2048, 2049, 4096, 5000, 20000, 70000, 600000};
    uint64_t digests[MOST_SETS] = {0}, every = (uint64_t)option(argc, argv, "--every", 1);
    uint64_t seed = (uint64_t)option(argc, argv, "--seed", 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int dtype = 0; dtype < 4; dtype++)
            for (int t = 0; t < TEMPERATURES; t++)
                for (int data = 0; data < KINDS; data++)
                    for (int kind = 0; kind < PROBS; kind++) {
                        uint64_t name =
                            (((i * 4 + (uint64_t)dtype) * TEMPERATURES + (uint64_t)t) * KINDS + (uint64_t)data);
                        random_stream r = {(name * PROBS + (uint64_t)kind) ^ seed << 40};
                        if (next_word(&r) % (every * (1 + lengths[i] / 5000)) == 0)
                            run_case(lengths[i], (fs_dtype)dtype, temperatures[t], (data_kind)data, (row_kind)kind,
                                     &r, digests);
                    }
    for (size_t s = 0; fs_available(s); s++) {
        check(digests[s] == digests[0], "the digest of %s is not that of %s", fs_available(s), fs_available(0));
        printf("digest %s %016llx\n", fs_available(s), (unsigned long long)digests[s]);
    }
    return finish("bits_shards", checks);
}

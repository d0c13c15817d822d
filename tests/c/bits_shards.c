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

typedef struct {
    int64_t *bias_at;
    uint32_t *words;
} own_operands;

/* The part of a row from entry `start` on, with its own mask and biases where these cannot be those of the row. */
static fs_row part_of(const fs_row *row, size_t start, size_t n, own_operands *own)
{
    fs_row part = *row;
    part.data = (const char *)row->data + (ptrdiff_t)start * row->stride;
    if (row->mask_kind == FS_MASK_BYTES)
        part.mask = (const char *)row->mask + (ptrdiff_t)start * row->mask_stride;
    if (row->mask_kind == FS_MASK_WORDS) {
        memset(own->words, 0, (n + 31) / 32 * 4);
        for (size_t i = 0; i < n; i++) {
            const char *word = (const char *)row->mask + (ptrdiff_t)((start + i) / 32) * row->mask_stride;
            own->words[i / 32] |= (*(const uint32_t *)(const void *)word >> (start + i) % 32 & 1) << i % 32;
        }
        part.mask = own->words;
        part.mask_stride = sizeof *own->words;
    }
    if (row->bias && !row->bias_at)
        part.bias = (const double *)(const void *)((const char *)row->bias + (ptrdiff_t)start * row->bias_stride);
    if (row->bias_at) {
        size_t first = 0, past;
        while (first < row->bias_count && (size_t)row->bias_at[first] < start)
            first++;
        for (past = first; past < row->bias_count && (size_t)row->bias_at[past] < start + n; past++)
            own->bias_at[past - first] = row->bias_at[past] - (int64_t)start;
        part.bias = row->bias + first;
        part.bias_at = own->bias_at;
        part.bias_count = past - first;
    }
    return part;
}

/* What the shards leave, as the shards of one row: the blocks of all, one after another, and the entries of those that are
 * cut, in the type they travel in, at their places in the row. */
typedef struct {
    size_t blocks;
    double *max, *sum, rest;
    char *entries, *is_cut;
} left;

static size_t blocks_in(size_t n, size_t block) { return (n + block - 1) / block; }

static size_t width_of(fs_dtype dtype) { return dtype == FS_F64 ? sizeof(double) : sizeof(float); }

/* The entries of a cut block as a row. */
static fs_row row_of_entries(const left *l, fs_dtype dtype, size_t start)
{
    fs_row row = {0};
    row.data = l->entries + start * width_of(dtype);
    row.stride = (ptrdiff_t)width_of(dtype);
    row.dtype = dtype == FS_F64 ? FS_F64 : FS_F32;
    return row;
}

/* The last shard comes first: the order of arrival is of no account. */
static void summarise(const fs_row *row, const size_t *cut, size_t shards, double temperature, int in_double, left *l,
                      own_operands *own)
{
    size_t n = cut[shards], whole = fs_shard_block(row->dtype), block = in_double ? 512 : whole;
    double largest = -INFINITY;
    l->blocks = blocks_in(n, block);
    l->max = workspace(8 * l->blocks);
    l->sum = workspace(8 * l->blocks);
    l->entries = workspace(8 * n);
    l->is_cut = workspace(blocks_in(n, whole));
    double *rest = workspace(8 * l->blocks); /* that came with the block */
    memset(l->is_cut, 1, blocks_in(n, whole));
    for (size_t s = shards; s-- > 0;) {
        size_t len = cut[s + 1] - cut[s], head = (whole - cut[s] % whole) % whole;
        head = head < len ? head : len;
        size_t middle = (len - head) / whole * whole, tail = len - head - middle, at = (cut[s] + head) / block;
        fs_row part = part_of(row, cut[s], len, own);
        char *entries = l->entries + cut[s] * width_of(row->dtype);
        double its_rest = 0.0;
        if (middle) {
            fs_status status =
                fs_summarise(&part, head, middle, temperature, in_double, l->max + at, l->sum + at, &its_rest);
            check(status == FS_OK, "fs_summarise gives %d", (int)status);
            memset(l->is_cut + (cut[s] + head) / whole, 0, middle / whole);
        }
        for (size_t b = at; b < at + middle / block; b++)
            rest[b] = its_rest;
        fs_read_entries(&part, 0, head, entries);
        fs_read_entries(&part, head + middle, tail, entries + (head + middle) * width_of(row->dtype));
    }
    for (size_t start = 0; start < n; start += whole) {
        if (!l->is_cut[start / whole])
            continue;
        size_t len = n - start < whole ? n - start : whole, at = start / block;
        fs_row joined = row_of_entries(l, row->dtype, start);
        fs_status status = fs_summarise(&joined, 0, len, temperature, in_double, l->max + at, l->sum + at, rest + at);
        check(status == FS_OK, "fs_summarise gives %d", (int)status);
        for (size_t b = at + 1; b < at + blocks_in(len, block); b++)
            rest[b] = rest[at];
    }
    l->rest = 0.0;
    for (size_t b = 0; b < l->blocks; b++)
        if (l->max[b] > largest) {
            largest = l->max[b];
            l->rest = rest[b];
        }
    free(rest);
}

static void forget(left *l)
{
    free(l->max);
    free(l->sum);
    free(l->entries);
    free(l->is_cut);
}

/* Where the shards begin: at multiples of ALIGNMENT, anywhere, or entry by entry about one place. */
static size_t cut_anywhere(size_t n, size_t *cut, random_stream *r)
{
    size_t shards = 0, way = below(r, 3), at = way == 2 ? below(r, n) : 0;
    uint64_t rarity = 1 + below(r, 4);
    for (;;) {
        at += way == 0 ? ALIGNMENT : way == 1 ? 1 + below(r, 2500) : 1;
        if (at >= n || shards + 1 >= MOST_SHARDS)
            break;
        if (below(r, rarity) == 0)
            cut[++shards] = at;
    }
    cut[++shards] = n;
    return shards;
}

static void run_case(size_t n, fs_dtype dtype, double temperature, data_kind data, row_kind kind, random_stream *r,
                     uint64_t *digests)
{
    size_t size = size_of(dtype), cut[MOST_SHARDS + 1] = {0};
    double u[DRAWS] = {0.0, 1.0 - 0x1p-53, 0x1p-60, 0.5};
    char text[200];
    for (int j = 4; j < DRAWS; j++)
        u[j] = next_uniform(r);
    made_row made = make_row(n, dtype, data, kind, r);
    size_t shards = cut_anywhere(n, cut, r);
    own_operands own = {workspace(8 * (made.row.bias_count + 1)), workspace(4 * (n / 32 + 1))};
    char *expected = workspace(8 * n), *got = workspace(8 * n);
    snprintf(text, sizeof text, "n = %zu in %zu shards, %s, %s, temperature %g, %s", n, shards, dtype_name[dtype],
             kind_name[data], temperature, row_name[kind]);
    for (size_t s = 0; fs_available(s); s++) {
        const char *set = fs_available(s);
        fs_choose(set);
        left of, wide = {0};
        summarise(&made.row, cut, shards, temperature, 0, &of, &own);
        if (dtype != FS_F64)
            summarise(&made.row, cut, shards, temperature, 1, &wide, &own);
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
                fs_row part = part_of(&made.row, cut[i], len, &own);
                fs_part place = {cut[i], len, n};
                fs_output to = {got + cut[i] * size, (ptrdiff_t)size, dtype};
                double cut_max[2];
                status = fs_cut_maxima(dtype, temperature, &summary, &normaliser, &place, cut_max);
                check(status == FS_OK, "fs_cut_maxima gives %d: %s", (int)status, text);
                status = log ? fs_log_softmax_shard(&part, len, temperature, &normaliser, &to)
                             : fs_softmax_shard(&part, &place, temperature, &normaliser, cut_max,
                                                block_max + cut[i] / block, &to);
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
        const int beyond = fs_needs_double(dtype, temperature) && normaliser.max < INFINITY;
        for (int j = 0; j < DRAWS; j++) {
            if (at[j].start < 0 || !of.is_cut[(size_t)at[j].start / block])
                continue;
            size_t start = (size_t)at[j].start, its_block = beyond ? 512 : block;
            fs_row joined = row_of_entries(&of, dtype, start);
            fs_part place = {start, n - start < its_block ? n - start : its_block, n};
            fs_status resolved = fs_resolve(&joined, &place, temperature, &normaliser, 1, at + j, &at[j].entry, NULL);
            check(resolved == FS_OK, "fs_resolve of a cut block gives %d: %s", (int)resolved, text);
            at[j].max = dtype == FS_F64 ? ((double *)(void *)of.entries)[at[j].entry]
                                        : (double)((float *)(void *)of.entries)[at[j].entry];
        }
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
                fs_row part = part_of(&made.row, cut[i], len, &own);
                fs_part place = {cut[i], len, n};
                fs_status resolved = fs_resolve(&part, &place, temperature, &normaliser, 1, at + j, &found, &its);
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
        forget(&of);
        forget(&wide);
    }
    free(expected);
    free(got);
    free(own.bias_at);
    free(own.words);
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

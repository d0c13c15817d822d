/* Filters, first entries, draws without replacement, drafts and penalties touch nothing outside what they are given:
 * rows, results, indices, uniforms, contexts, and scratch of exactly the bytes that are asked for, at any alignment.
 *
 *     guard_filters [--every K]
 *
 * Each lies next to an inaccessible page as in guard.c, and the result must be that of the same call in the open.
 * --every K takes one length in K. */
#include "guarded.h"
#include "rows.h"

enum { LONGEST = 5000, DRAWS = 3, CONTEXT = 300 };

/* Where the things that a call is given lie. */
static struct {
    region row, draft, out, scratch, index, logprob, uniform, context;
} in;

static struct {
    char out[8 * LONGEST];
    double logprob[LONGEST];
    int64_t index[LONGEST];
} expected;

static char open_scratch[(LONGEST + 200) * 64];

/* An array of 8-byte elements. */
static void *place8(const region *r, size_t count)
{
    return place(r, 8 * count, now.offset - now.offset % 8, now.where);
}

static void *guarded_scratch(size_t bytes) { return place(&in.scratch, bytes, now.offset, now.where); }

static fs_row place_row(const region *r, const fs_row *open, size_t n)
{
    size_t size = size_of(open->dtype);
    fs_row row = *open;
    char *x = place(r, n * size, now.offset - now.offset % size, now.where);
    memcpy(x, open->data, n * size);
    row.data = x;
    return row;
}

static void expect_status(fs_status got, fs_status there)
{
    checks++;
    if (got != there)
        describe("another status than in the open");
}

/* The scratch, the indices and the log-probabilities (or none of them) after a call. */
static void expect_indices(fs_status status, size_t bytes, const void *scratch, const int64_t *index, size_t count,
                           const double *logprob)
{
    check_around(&in.scratch, scratch, bytes);
    check_around(&in.index, index, 8 * count);
    if (status == FS_OK)
        expect(index, expected.index, 8 * count);
    if (logprob) {
        check_around(&in.logprob, logprob, 8 * count);
        if (status == FS_OK)
            expect(logprob, expected.logprob, 8 * count);
    }
}

static void test_filtered(const fs_row *open, size_t n, double temperature, random_stream *r)
{
    size_t bytes = fs_scratch_size(n), size = size_of(open->dtype);
    fs_filters f = any_filters(r, n, 1 + below(r, 6));
    double u[DRAWS] = {0.0, next_uniform(r), 1.0 - 0x1p-53}, coin = next_uniform(r);
    int64_t kept[MOST_KEPT];
    fs_indices keep = any_kept(r, n, kept);
    now.operation = "fs_sample_filtered";
    fs_status there = fs_sample_filtered(open, n, temperature, &f, &keep, coin, DRAWS, u, open_scratch,
                                         expected.index, expected.logprob);
    fs_row row = place_row(&in.row, open, n);
    char *scratch = guarded_scratch(bytes);
    int64_t *index = place8(&in.index, DRAWS);
    double *logprob = place8(&in.logprob, DRAWS), *uniform = place8(&in.uniform, DRAWS);
    int64_t *guarded_kept = place8(&in.context, keep.count);
    memcpy(uniform, u, sizeof u);
    memcpy(guarded_kept, kept, 8 * keep.count);
    keep.index = guarded_kept;
    expect_status(fs_sample_filtered(&row, n, temperature, &f, &keep, coin, DRAWS, uniform, scratch, index, logprob),
                  there);
    expect_indices(there, bytes, scratch, index, DRAWS, logprob);
    now.operation = "fs_sample_adapted";
    there = fs_sample_adapted(open, n, temperature, &f, &keep, coin, coin, u[1], open_scratch, expected.index,
                              expected.logprob, expected.logprob + 1);
    scratch = guarded_scratch(bytes);
    index = place8(&in.index, 1);
    logprob = place8(&in.logprob, 2);
    expect_status(
        fs_sample_adapted(&row, n, temperature, &f, &keep, coin, coin, u[1], scratch, index, logprob, logprob + 1),
        there);
    expect_indices(there, bytes, scratch, index, 1, NULL);
    check_around(&in.logprob, logprob, 16);
    if (there == FS_OK)
        expect(logprob, expected.logprob, 16);
    now.operation = "fs_truncate";
    fs_output to = {expected.out, (ptrdiff_t)size, open->dtype};
    there = fs_truncate(open, n, temperature, &f, &keep, coin, open_scratch, &to);
    to.data = place(&in.out, n * size, now.offset - now.offset % size, now.where);
    scratch = guarded_scratch(bytes);
    expect_status(fs_truncate(&row, n, temperature, &f, &keep, coin, scratch, &to), there);
    expect(to.data, expected.out, n * size);
    check_around(&in.out, to.data, n * size);
    check_around(&in.scratch, scratch, bytes);
    expect(row.data, open->data, n * size);
    now.operation = "fs_truncate in place";
    to.data = (void *)(uintptr_t)row.data;
    expect_status(fs_truncate(&row, n, temperature, &f, &keep, coin, scratch, &to), there);
    expect(to.data, expected.out, n * size);
    check_around(&in.row, to.data, n * size);
    check_around(&in.scratch, scratch, bytes);
}

static void test_ranking(const fs_row *open, size_t n, double temperature, random_stream *r)
{
    static double u[LONGEST];
    size_t bytes = fs_scratch_size(n), k = 1 + below(r, below(r, 3) && n > 50 ? 50 : n), chosen = below(r, n);
    int64_t rank = 0, open_rank = 0;
    now.operation = "fs_top";
    fs_status there =
        fs_top(open, n, temperature, k, open_scratch, expected.index, expected.logprob, chosen, &open_rank);
    fs_row row = place_row(&in.row, open, n);
    char *scratch = guarded_scratch(bytes);
    int64_t *index = place8(&in.index, k);
    double *logprob = place8(&in.logprob, k), *uniform = place8(&in.uniform, k);
    expect_status(fs_top(&row, n, temperature, k, scratch, index, logprob, chosen, &rank), there);
    expect_indices(there, bytes, scratch, index, k, logprob);
    expect(&rank, &open_rank, sizeof rank);
    now.operation = "fs_without_replacement";
    for (size_t j = 0; j < k; j++)
        u[j] = uniform[j] = next_uniform(r);
    there = fs_without_replacement(open, n, temperature, k, u, open_scratch, expected.index);
    scratch = guarded_scratch(bytes);
    expect_status(fs_without_replacement(&row, n, temperature, k, uniform, scratch, index), there);
    expect_indices(there, bytes, scratch, index, k, NULL);
}

static void test_draft(const fs_row *open, const fs_row *open_draft, size_t n, double temperature, random_stream *r)
{
    size_t bytes = fs_scratch_size(n), token = below(r, n);
    double t[2] = {temperature, below(r, 4) ? 1.0 : 0.0}, u = next_uniform(r);
    int accepted = 0, open_accepted = 0;
    fs_row row = place_row(&in.row, open, n), draft = place_row(&in.draft, open_draft, n);
    now.operation = "fs_accept";
    fs_status there = fs_accept(open, open_draft, n, t, token, u, &open_accepted);
    expect_status(fs_accept(&row, &draft, n, t, token, u, &accepted), there);
    if (there == FS_OK)
        expect(&accepted, &open_accepted, sizeof accepted);
    for (int alone = 0; alone < 2; alone++) {
        now.operation = alone ? "fs_correct of a token alone" : "fs_correct";
        there = fs_correct(open, alone ? NULL : open_draft, n, t, token, u, open_scratch, expected.index);
        char *scratch = guarded_scratch(bytes);
        int64_t *index = place8(&in.index, 1);
        expect_status(fs_correct(&row, alone ? NULL : &draft, n, t, token, u, scratch, index), there);
        expect_indices(there, bytes, scratch, index, 1, NULL);
    }
    now.operation = "fs_accept_child";
    for (int alone = 0; alone < 2; alone++) {
        const int64_t tokens[3] = {(int64_t)token, (int64_t)below(r, n), (int64_t)below(r, n)},
                      parents[3] = {-1, -1, -1};
        double each[4] = {u, next_uniform(r), next_uniform(r), next_uniform(r)}, *uniform = place8(&in.uniform, 4);
        int64_t *of_tokens = place8(&in.context, 3), *index = place8(&in.index, 1), child = -1, open_child = -1;
        fs_tree tree = {3, tokens, parents, (int)below(r, 2)};
        memcpy(of_tokens, tokens, sizeof tokens);
        memcpy(uniform, each, sizeof each);
        there = fs_accept_child(open, alone ? NULL : open_draft, n, t, &tree, -1, each, open_scratch, &open_child,
                                expected.index);
        char *scratch = guarded_scratch(bytes);
        tree.token = of_tokens;
        expect_status(fs_accept_child(&row, alone ? NULL : &draft, n, t, &tree, -1, uniform, scratch, &child, index),
                      there);
        expect(&child, &open_child, sizeof child);
        if (there == FS_OK && child < 0)
            expect_indices(there, bytes, scratch, index, 1, NULL);
    }
}

static void test_penalties(const fs_row *open, size_t n, random_stream *r)
{
    static const int64_t breaker[] = {1, 0, 2};
    static const size_t of[] = {0, 1, 3};
    int64_t context[CONTEXT];
    fs_breakers breakers = {breaker, of, 2}, guarded;
    fs_penalties p = {1.5,
                      0.25,
                      0.5,
                      (double)below(r, 2),
                      1.75,
                      2,
                      (int64_t)below(r, CONTEXT) - 100,
                      (int64_t)below(r, CONTEXT) - 100};
    size_t size = size_of(open->dtype), length = below(r, CONTEXT + 1), bytes = fs_penalize_scratch(length);
    for (size_t i = 0; i < length; i++)
        context[i] = (int64_t)(below(r, 10) ? below(r, n < 5 ? n : 5) : below(r, n));
    now.operation = "fs_penalize";
    fs_output to = {expected.out, (ptrdiff_t)size, open->dtype};
    memcpy(expected.out, open->data, n * size);
    fs_penalize(&to, context, length, &p, &breakers, open_scratch);
    fs_row row = place_row(&in.row, open, n);
    char *scratch = guarded_scratch(bytes);
    int64_t *tokens = place8(&in.context, length), *of_breakers = place8(&in.index, 3);
    memcpy(tokens, context, 8 * length);
    memcpy(of_breakers, breaker, sizeof breaker);
    guarded = (fs_breakers){of_breakers, of, 2};
    to.data = (void *)(uintptr_t)row.data;
    fs_penalize(&to, tokens, length, &p, &guarded, scratch);
    expect(to.data, expected.out, n * size);
    check_around(&in.row, to.data, n * size);
    check_around(&in.scratch, scratch, bytes);
    expect(tokens, context, 8 * length);
}

static void test_length(size_t n, fs_dtype dtype, random_stream *r)
{
    static const double temperatures[] = {0.7, 0.7, 1.0, 0.0, INFINITY, 1e-40};
    for (now.offset = 0; now.offset < 64; now.offset += n > 200 ? 1 + below(r, 16) : 1 + below(r, 4))
        for (int where = 0; where < EDGES; where++) {
            double temperature = temperatures[below(r, sizeof temperatures / sizeof temperatures[0])];
            made_row made = make_row(n, dtype, (data_kind)below(r, KINDS), below(r, 4) ? PLAIN : PROBS, r);
            made_row draft = make_row(n, dtype, NORMAL, PLAIN, r);
            now.where = (edge)where;
            test_filtered(&made.row, n, temperature, r);
            test_ranking(&made.row, n, temperature, r);
            test_draft(&made.row, &draft.row, n, temperature, r);
            test_penalties(&draft.row, n, r);
            free_row(&made);
            free_row(&draft);
        }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1535, 2048, 2049, 4095, LONGEST};
    size_t every = (size_t)option(argc, argv, "--every", 1);
    region *regions = &in.row;
    random_stream r = {11};
    for (size_t i = 0; i < sizeof in / sizeof in.row; i++)
        regions[i] = new_region();
    catch_faults();
    for (size_t s = 0; fs_available(s); s++)
        for (int dtype = 0; dtype < 4; dtype++) {
            now.set = fs_available(s);
            now.dtype = dtype_name[dtype];
            fs_choose(now.set);
            for (now.n = 1 + (s + (size_t)dtype) % every; now.n <= 1100; now.n += every)
                test_length(now.n, (fs_dtype)dtype, &r);
            for (size_t i = (s + (size_t)dtype) % 5; i < sizeof lengths / sizeof lengths[0];
                 i += every < 5 ? every : 5)
                test_length(now.n = lengths[i], (fs_dtype)dtype, &r);
        }
    return finish("guard_filters", checks);
}

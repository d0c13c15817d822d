/* A result has the same bits on every instruction set, in every layout, and among any other rows.
 *
 *     bits [--every K] [--seed S]
 *
 * Cases are every length from 1 to 1,100 and some long ones, crossed with the dtypes, temperatures, kinds of data
 * and kinds of row below; --every K takes one in K of them, of rows of up to 64 entries eight in K.  Prints a digest for
 * each set: equal digests from two machines mean equal results. */
#include "rows.h"

static const double temperatures[] = {0.0, 5e-324, 1e-45, 1e-30, 1e-3, 0.05, 0.7, 1.0, 30.0, 1e30, 1e300, INFINITY};
enum {
    TEMPERATURES = sizeof temperatures / sizeof temperatures[0],
    DRAWS = 6,
    MOST_SETS = 4,
    MANY = 150,
    SOME = 37,
    SHORT = 64
};

static unsigned long long checks;

/* What the functions of one row return; the arrays hold n entries of the dtype. */
typedef struct {
    fs_status status[6];
    double logsumexp, logprob[DRAWS], entropy, divergence, weighted, given[DRAWS]; /* given: log p of any entries */
    int64_t index[DRAWS];
    char *softmax, *log_softmax;
} results;

static results new_results(size_t n)
{
    results r;
    memset(&r, 0, sizeof r);
    r.softmax = workspace(8 * n);
    r.log_softmax = workspace(8 * n);
    return r;
}

static void free_results(results *r)
{
    free(r->softmax);
    free(r->log_softmax);
}

/* Calls `function` with the row (entries contiguous) laid out as asked; the result, contiguous, in `to`. */
static fs_status laid_out(fs_status (*function)(const fs_row *, size_t, double, const fs_output *), const fs_row *row,
                          size_t n, double temperature, layout how, char *to)
{
    laid_row l = lay_out(row, n, how);
    fs_status status = function(&l.row, n, temperature, &l.out);
    gather(&l, n, to);
    free_layout(&l);
    return status;
}

static void run(const fs_row *row, size_t n, double temperature, const double *u, layout how, results *r)
{
    r->status[0] = laid_out(fs_softmax, row, n, temperature, how, r->softmax);
    r->status[1] = laid_out(fs_log_softmax, row, n, temperature, how, r->log_softmax);
    r->status[2] = fs_logsumexp(row, n, temperature, &r->logsumexp);
    for (int j = 0; j < DRAWS; j++) {
        r->index[j] = -1;
        r->logprob[j] = 0.0;
    }
    r->status[3] = fs_sample(row, n, temperature, DRAWS, u, r->index, r->logprob);
    r->status[4] = fs_entropy(row, n, temperature, &r->entropy);
    fs_row other = *row; /* the same entries in the opposite order */
    other.data = (const char *)row->data + (ptrdiff_t)(n - 1) * row->stride;
    other.stride = -row->stride;
    r->status[5] = fs_kl_divergence(row, &other, n, temperature, &r->divergence);
    const double weight[3] = {0.7, 0.0, 0x1p-600};
    const fs_row weights = {weight + n % 3, 0, FS_F64, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    const fs_output sum = {&r->weighted, 8, FS_F64};
    fs_logsumexp_weighted(row, &weights, n, temperature, &sum);
    int64_t index[DRAWS];
    for (size_t j = 0; j < DRAWS; j++)
        index[j] = (int64_t)(j * (n - 1) / (DRAWS - 1));
    if (fs_logprob(row, n, temperature, DRAWS, index, r->given) != FS_OK)
        for (int j = 0; j < DRAWS; j++)
            r->given[j] = 0.0;
}

/* A draw by itself is the one among several. */
static void compare_single_draws(const fs_row *row, size_t n, double temperature, const double *u, const results *all,
                                 const char *set, const char *row_description)
{
    for (int j = 0; j < DRAWS; j++) {
        int64_t index = -1;
        fs_status status = fs_sample(row, n, temperature, 1, u + j, &index, NULL);
        checks++;
        if (!check(status == all->status[3] && index == all->index[j], "draw %d by itself: %s, %s", j, set,
                   row_description))
            return;
    }
}

static void compare(const results *a, const results *b, size_t bytes, const char *set, const char *which,
                    const char *row_description)
{
    checks += 10;
    (void)(same("status", a->status, b->status, sizeof a->status, set, which, row_description) &&
           same("softmax", a->softmax, b->softmax, bytes, set, which, row_description) &&
           same("log_softmax", a->log_softmax, b->log_softmax, bytes, set, which, row_description) &&
           same("logsumexp", &a->logsumexp, &b->logsumexp, 8, set, which, row_description) &&
           same("entropy", &a->entropy, &b->entropy, 8, set, which, row_description) &&
           same("divergence", &a->divergence, &b->divergence, 8, set, which, row_description) &&
           same("weighted sum", &a->weighted, &b->weighted, 8, set, which, row_description) &&
           same("given logprob", a->given, b->given, sizeof a->given, set, which, row_description) &&
           same("index", a->index, b->index, sizeof a->index, set, which, row_description) &&
           same("logprob", a->logprob, b->logprob, sizeof a->logprob, set, which, row_description));
}

/* How many rows lie: one after another, with a gap, as the columns of a matrix, of one a power of two wide, and with both steps
 * odd. */
typedef struct {
    size_t step, stride, bytes;
} spacing;

static spacing spaced(size_t rows, size_t n, size_t size, random_stream *r)
{
    size_t gap = below(r, 3);
    spacing s = {(n + gap) * size, size, 0};
    switch (below(r, 5)) {
    case 1: s = (spacing){size, (rows + gap) * size, 0}; break;
    case 2: s = (spacing){(2 * n + gap) * size, 2 * size, 0}; break;
    case 4: s = (spacing){size, (size_t)2048 << below(r, 2), 0}; break;
    case 3: s = (spacing){2 * size, (2 * rows + gap) * size, 0}; break;
    default: break;
    }
    s.bytes = s.step * (rows - 1) + s.stride * (n - 1) + size;
    return s;
}

static void scatter(char *to, spacing s, size_t i, const char *from, ptrdiff_t stride, size_t n, size_t size)
{
    for (size_t j = 0; j < n; j++)
        memcpy(to + i * s.step + j * s.stride, from + (ptrdiff_t)j * stride, size);
}

static int same_row(const char *what, const char *expected, const char *base, spacing s, size_t i, size_t n,
                    size_t size, const char *set, const char *row_description)
{
    char *got = workspace(n * size);
    for (size_t j = 0; j < n; j++)
        memcpy(got + j * size, base + i * s.step + j * s.stride, size);
    int equal = same(what, expected, got, n * size, set, "many rows", row_description);
    free(got);
    return equal;
}

static fs_row row_of(const fs_rows *rows, size_t i)
{
    const ptrdiff_t at = (ptrdiff_t)i;
    fs_row row = rows->row;
    row.data = (const char *)row.data + at * rows->step;
    if (row.mask)
        row.mask = (const char *)row.mask + at * rows->mask_step;
    if (row.bias && !row.bias_at)
        row.bias = (const double *)(const void *)((const char *)row.bias + at * rows->bias_step);
    return row;
}

/* From the last to the first. */
static fs_rows reversed_rows(const fs_rows *rows)
{
    fs_rows others = *rows;
    others.row = row_of(rows, rows->count - 1);
    others.step = -rows->step;
    others.mask_step = -rows->mask_step;
    others.bias_step = -rows->bias_step;
    return others;
}

/* Many rows at once, in any spacing: every row is the one given, or one of other data, nothing allowed and a bias of NaN
 * (every second one). */
static void compare_rows(const fs_row *row, size_t n, double temperature, const double *u, const results *expected,
                         random_stream *r, const char *set, const char *row_description)
{
    const size_t size = size_of(row->dtype),
                 rows = n > 2100 ? 2 : 1 + below(r, n <= 300 && below(r, 4) == 0 ? MANY : SOME);
    const spacing in = spaced(rows, n, size, r);
    const int in_place = (int)below(r, 2), others = (int)below(r, 3);
    const spacing to = in_place ? in : spaced(rows, n, size, r);
    const int words = row->mask_kind == FS_MASK_WORDS;
    const size_t mask_size = words ? 4 : 1, mask_n = words ? (n + 31) / 32 : n;
    const int shared = (int)below(r, 2);
    const size_t odd = below(r, 2), first = others && !odd, step = others ? 2 : 1;
    const uint32_t nothing = 0;
    const double nan = NAN;
    const spacing mask = spaced(rows, mask_n, mask_size, r), bias = spaced(rows, n, 8, r);
    char *x = workspace(in.bytes), *out = workspace(to.bytes), *entries = workspace(n * size);
    char *masks = workspace(mask.bytes), *biases = workspace(bias.bytes);
    double t[MANY], v[MANY], lse[MANY], logprob[MANY], entropy[MANY], given[MANY], divergence[MANY];
    int64_t index[MANY], asked[MANY];
    fs_rows all = {*row, rows, n, (ptrdiff_t)in.step, 0, 0, t, next_word(r) & 1 ? 8 : 0};
    all.row.data = x;
    all.row.stride = (ptrdiff_t)in.stride;
    if (row->mask_kind != FS_MASK_NONE && !shared) {
        all.row.mask = masks;
        all.row.mask_stride = (ptrdiff_t)mask.stride;
        all.mask_step = (ptrdiff_t)mask.step;
    }
    if (row->bias && !row->bias_at && !shared) {
        all.row.bias = (const double *)(const void *)biases;
        all.row.bias_stride = (ptrdiff_t)bias.stride;
        all.bias_step = (ptrdiff_t)bias.step;
    }
    for (size_t i = 0; i < rows; i++) {
        const int other = others && i % 2 == odd;
        t[i] = other && all.temperature_step && others == 2 ? temperatures[below(r, TEMPERATURES)] : temperature;
        v[i] = u[i % DRAWS];
        asked[i] = (int64_t)(i % DRAWS * (n - 1) / (DRAWS - 1));
        if (other)
            fill(entries, row->dtype, n, (data_kind)(others == 1 ? NORMAL : below(r, KINDS)), r);
        if (other)
            scatter(x, in, i, entries, (ptrdiff_t)size, n, size);
        else
            scatter(x, in, i, row->data, row->stride, n, size);
        if (row->mask_kind != FS_MASK_NONE)
            scatter(masks, mask, i, other ? (const char *)&nothing : row->mask, other ? 0 : row->mask_stride, mask_n,
                    mask_size);
        if (row->bias && !row->bias_at)
            scatter(biases, bias, i, other ? (const char *)&nan : (const char *)row->bias,
                    other ? 0 : row->bias_stride, n, 8);
    }
    const fs_output sums = {lse, 8, FS_F64}, entropies = {entropy, 8, FS_F64};
    const int with_logprob = (int)below(r, 2);
    check(fs_sample_rows(&all, v, index, with_logprob ? logprob : NULL) == rows, "not all rows drawn: %s",
          row_description);
    check(fs_logsumexp_rows(&all, &sums, 8) == rows, "not all rows summed: %s", row_description);
    check(fs_entropy_rows(&all, &entropies, 8) == rows, "not all entropies: %s", row_description);
    const fs_rows opposite = reversed_rows(&all); /* row i from row rows - 1 - i */
    check(fs_kl_divergence_rows(&all, &opposite, divergence, 8) == rows, "not all divergences: %s", row_description);
    for (size_t i = first; i < rows; i += step) {
        const fs_row p = row_of(&all, i), q = row_of(&opposite, i);
        double alone = 0.0;
        fs_kl_divergence(&p, &q, n, t[all.temperature_step ? i : 0], &alone);
        if (!same("divergence", &alone, divergence + i, 8, set, "many rows", row_description))
            break;
    }
    check(fs_logprob_rows(&all, asked, given) == rows, "not all log-probabilities: %s", row_description);
    for (size_t i = first; i < rows; i += step) {
        const int drawn = expected->status[3] == FS_OK;
        checks += 2;
        if (!check(drawn ? index[i] == expected->index[i % DRAWS] : index[i] == -1, "index %ld of many rows: %s, %s",
                   (long)index[i], set, row_description) ||
            !same("logsumexp", &expected->logsumexp, lse + i, 8, set, "many rows", row_description) ||
            !same("entropy", &expected->entropy, entropy + i, 8, set, "many rows", row_description) ||
            !(drawn ? same("given logprob", &expected->given[i % DRAWS], given + i, 8, set, "many rows",
                           row_description)
                    : check(given[i] != given[i], "a logprob of no distribution: %s", row_description)))
            break;
        if (with_logprob &&
            !(drawn
                  ? same("logprob", &expected->logprob[i % DRAWS], logprob + i, 8, set, "many rows", row_description)
                  : check(logprob[i] != logprob[i], "a logprob without a draw: %s", row_description)))
            break;
    }
    const int log = (int)below(r, 2);
    const fs_output result = {in_place ? x : out, (ptrdiff_t)to.stride, row->dtype};
    check((log ? fs_log_softmax_rows : fs_softmax_rows)(&all, &result, (ptrdiff_t)to.step) == rows,
          "not all rows done: %s", row_description);
    for (size_t i = first; i < rows; i += step) {
        checks++;
        if (!same_row(log ? "log_softmax" : "softmax", log ? expected->log_softmax : expected->softmax, result.data,
                      to, i, n, size, set, row_description))
            break;
    }
    free(x);
    free(out);
    free(entries);
    free(masks);
    free(biases);
}

static void run_case(size_t n, fs_dtype dtype, double temperature, data_kind data, row_kind kind, random_stream *r,
                     uint64_t *digests)
{
    size_t size = size_of(dtype);
    double u[DRAWS] = {0.0, 1.0 - 0x1p-53, 0x1p-60, 0.5};
    char text[200];
    for (int j = 4; j < DRAWS; j++)
        u[j] = next_uniform(r);
    made_row made = make_row(n, dtype, data, kind, r);
    snprintf(text, sizeof text, "n = %zu, %s, %s, temperature %g, %s", n, dtype_name[dtype], kind_name[data],
             temperature, row_name[kind]);
    results first = new_results(n), other = new_results(n);
    random_stream at_first = *r;
    for (size_t s = 0; fs_available(s); s++) {
        const char *set = fs_available(s);
        results *here = s ? &other : &first;
        fs_choose(set);
        *r = at_first; /* every set meets the same rows */
        run(&made.row, n, temperature, u, CONTIGUOUS, here);
        if (s)
            compare(&first, &other, n * size, set, "against the best set", text);
        digests[s] = extend_digest(digests[s], here->status, sizeof here->status);
        digests[s] = extend_digest(digests[s], here->softmax, n * size);
        digests[s] = extend_digest(digests[s], here->log_softmax, n * size);
        digests[s] = extend_digest(digests[s], &here->logsumexp, 8);
        digests[s] = extend_digest(digests[s], here->index, sizeof here->index);
        digests[s] = extend_digest(digests[s], here->logprob, sizeof here->logprob);
        digests[s] = extend_digest(digests[s], &here->entropy, 8);
        digests[s] = extend_digest(digests[s], &here->divergence, 8);
        digests[s] = extend_digest(digests[s], &here->weighted, 8);
        digests[s] = extend_digest(digests[s], here->given, sizeof here->given);
        compare_single_draws(&made.row, n, temperature, u, here, set, text);
        layout how = (layout)(1 + below(r, LAYOUTS - 1));
        run(&made.row, n, temperature, u, how, &other);
        compare(&first, &other, n * size, set, layout_name[how], text);
        compare_rows(&made.row, n, temperature, u, &first, r, set, text);
    }
    free_results(&first);
    free_results(&other);
    free_row(&made);
}

/* Takes one case in `every`, by a hash of the case, so that every pair of circumstances comes up. */
static void run_length(size_t n, uint64_t every, uint64_t seed, uint64_t *digests)
{
    for (int dtype = 0; dtype < 4; dtype++)
        for (int t = 0; t < TEMPERATURES; t++)
            for (int data = 0; data < KINDS; data++)
                for (int kind = 0; kind < ROW_KINDS; kind++) {
                    uint64_t name =
                        (((n * 4 + (uint64_t)dtype) * TEMPERATURES + (uint64_t)t) * KINDS + (uint64_t)data);
                    random_stream r = {(name * ROW_KINDS + (uint64_t)kind) ^ seed << 40};
                    if (next_word(&r) % every == 0)
                        run_case(n, (fs_dtype)dtype, temperatures[t], (data_kind)data, (row_kind)kind, &r, digests);
                }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {2047, 2048, 2049, 4095, 4096, 4097, 5000, 70000, 140000, 300000};
    uint64_t digests[MOST_SETS] = {0}, every = (uint64_t)option(argc, argv, "--every", 1);
    uint64_t seed = (uint64_t)option(argc, argv, "--seed", 0);
    for (size_t n = 1; n <= 1100; n++) /* short rows have kernels of their own, for each operation */
        run_length(n, n <= SHORT ? (every + 7) / 8 : every, seed, digests);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t rare = 1 + lengths[i] / 1000;
        run_length(lengths[i], every < 50 ? every * rare : (every + 3) / 4 * rare, seed, digests);
    }
    for (size_t s = 0; fs_available(s); s++) {
        check(!fs_choose(fs_available(s)) && !strcmp(fs_chosen(), fs_available(s)), "fs_choose(%s)", fs_available(s));
        check(digests[s] == digests[0], "the digest of %s is not that of %s", fs_available(s), fs_available(0));
        printf("digest %s %016llx\n", fs_available(s), (unsigned long long)digests[s]);
    }
    check(fs_choose("no such set") == -1, "fs_choose took a set that is none");
    return finish("bits", checks);
}

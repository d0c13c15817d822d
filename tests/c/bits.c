/* A result has the same bits on every instruction set, in every layout, and among any other rows.
 *
 *     bits [--every K] [--seed S]
 *
 * Cases are every length from 1 to 1,100 and some long ones, crossed with the dtypes, temperatures, kinds of data
 * and kinds of row below; --every K takes one in K of them.  Prints a digest for each set: equal digests from two
 * machines mean equal results. */
#include "testing.h"

typedef enum { PLAIN, MASK_BYTES, MASK_WORDS, BIAS, BIAS_AT, PROBS, PROBS_BIAS_MASK, ROW_KINDS } row_kind;
typedef enum { CONTIGUOUS, IN_PLACE, STRIDED, REVERSED, LAYOUTS } layout;

static const char *const row_name[] = {
    "plain", "byte mask", "word mask", "bias", "sparse bias", "probabilities", "probabilities, bias, mask"};
static const char *const layout_name[] = {"contiguous", "in place", "strided", "reversed"};

static const double temperatures[] = {0.0, 5e-324, 1e-45, 1e-30, 1e-3, 0.05, 0.7, 1.0, 30.0, 1e30, 1e300, INFINITY};
enum { TEMPERATURES = sizeof temperatures / sizeof temperatures[0], DRAWS = 6, MOST_SETS = 4, MANY = 37 };

static unsigned long long checks;

static uint64_t digest(uint64_t h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)data + i, bytes - i < 8 ? bytes - i : 8);
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    return h;
}

/* What the functions of one row return; the arrays hold n entries of the dtype. */
typedef struct {
    fs_status status[4];
    double logsumexp, logprob[DRAWS];
    int64_t index[DRAWS];
    char *softmax, *log_softmax;
} results;

static results new_results(size_t n)
{
    results r;
    memset(&r, 0, sizeof r);
    r.softmax = room(8 * n);
    r.log_softmax = room(8 * n);
    return r;
}

static void free_results(results *r)
{
    free(r->softmax);
    free(r->log_softmax);
}

/* Calls `function` with the row (entries at `data`, contiguous) laid out as asked; the result, contiguous, in `to`. */
static fs_status laid_out(fs_status (*function)(const fs_row *, size_t, double, const fs_output *), const fs_row *row,
                          size_t n, double temperature, layout how, char *to)
{
    size_t size = size_of(row->dtype), in = how == STRIDED ? 3 : 1, out = how == STRIDED ? 2 : 1;
    fs_row r = *row;
    fs_output o = {to, (ptrdiff_t)size, row->dtype};
    if (how == CONTIGUOUS)
        return function(&r, n, temperature, &o);
    if (how == IN_PLACE) {
        memcpy(to, row->data, n * size);
        r.data = to;
        return function(&r, n, temperature, &o);
    }
    char *from = room(n * size * in), *result = room(n * size * out);
    for (size_t i = 0; i < n; i++) {
        size_t at = how == REVERSED ? n - 1 - i : i;
        memcpy(from + at * in * size, (const char *)row->data + i * size, size);
    }
    r.data = how == REVERSED ? from + (n - 1) * size : from;
    r.stride = how == REVERSED ? -(ptrdiff_t)size : (ptrdiff_t)(in * size);
    o.data = how == REVERSED ? result + (n - 1) * size : result;
    o.stride = how == REVERSED ? -(ptrdiff_t)size : (ptrdiff_t)(out * size);
    fs_status status = function(&r, n, temperature, &o);
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * size, (char *)o.data + (ptrdiff_t)i * o.stride, size);
    free(from);
    free(result);
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
}

static int same(const char *what, const void *a, const void *b, size_t bytes, const char *set, const char *which,
                const char *row_description)
{
    checks++;
    if (!memcmp(a, b, bytes))
        return 1;
    size_t i = 0;
    while (((const char *)a)[i] == ((const char *)b)[i])
        i++;
    return check(0, "%s differs at byte %zu: %s, %s, %s", what, i, set, which, row_description);
}

static void compare(const results *a, const results *b, size_t bytes, const char *set, const char *which,
                    const char *row_description)
{
    (void)(same("status", a->status, b->status, sizeof a->status, set, which, row_description) &&
           same("softmax", a->softmax, b->softmax, bytes, set, which, row_description) &&
           same("log_softmax", a->log_softmax, b->log_softmax, bytes, set, which, row_description) &&
           same("logsumexp", &a->logsumexp, &b->logsumexp, 8, set, which, row_description) &&
           same("index", a->index, b->index, sizeof a->index, set, which, row_description) &&
           same("logprob", a->logprob, b->logprob, sizeof a->logprob, set, which, row_description));
}

/* Rows of the contiguous functions: every row is the one given, or one of other data (odd rows). */
static void compare_rows(const fs_row *row, size_t n, double temperature, const double *u, const results *expected,
                         random_stream *r, const char *set, const char *row_description)
{
    size_t size = size_of(row->dtype), rows = n <= 64 ? MANY : 3, gap = size > 2 ? below(r, 3) : 0;
    size_t stride = (n + gap) * size;
    ptrdiff_t temperature_stride = next_word(r) & 1 ? 8 : 0;
    char *x = room(rows * stride), *out = room(rows * stride);
    double t[MANY], v[MANY];
    int64_t index[MANY];
    int in_place = (int)below(r, 2), others = (int)below(r, 3);
    for (size_t i = 0; i < rows; i++) {
        int other = others && i % 2;
        t[i] = other && temperature_stride && others == 2 ? temperatures[below(r, TEMPERATURES)] : temperature;
        v[i] = u[i % DRAWS];
        if (other)
            fill(x + i * stride, row->dtype, n, (data_kind)(others == 1 ? NORMAL : below(r, KINDS)), r);
        else
            memcpy(x + i * stride, row->data, n * size);
    }
    int drawn = sample_rows(row->dtype, x, (ptrdiff_t)stride, rows, n, t, temperature_stride, v, index);
    char *to = in_place ? x : out;
    softmax_rows(row->dtype, x, (ptrdiff_t)stride, rows, n, t, temperature_stride, to);
    for (size_t i = 0; i < rows; i += others ? 2 : 1) {
        if (!same("softmax", expected->softmax, to + i * stride, n * size, set, "many rows", row_description) ||
            (drawn && !same("index", &expected->index[i % DRAWS], &index[i], 8, set, "many rows", row_description)))
            break;
    }
    free(x);
    free(out);
}

static void run_case(size_t n, fs_dtype dtype, double temperature, data_kind data, row_kind kind, random_stream *r,
                     uint64_t *digests)
{
    size_t size = size_of(dtype), sparse = 1 + n / 10;
    char *x = room(n * size), *mask = room(2 * n + 8), text[200];
    double *bias = room(8 * (n + sparse)), u[DRAWS] = {0.0, 1.0 - 0x1p-53, 0x1p-60, 0.5};
    int64_t *bias_at = room(8 * sparse);
    for (int j = 4; j < DRAWS; j++)
        u[j] = next_uniform(r);
    fill(x, dtype, n, data, r);
    fs_row row = {x, (ptrdiff_t)size, dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    if (kind == PROBS || kind == PROBS_BIAS_MASK) {
        row.probs = 1;
        if (data != HUGE_BOTH)
            for (size_t i = 0; i < n; i++)
                x[(i + 1) * size - 1] &= 0x7f; /* the sign, on a little-endian machine */
    }
    if (kind == MASK_BYTES || kind == MASK_WORDS || kind == PROBS_BIAS_MASK) {
        row.mask_kind = kind == MASK_WORDS ? FS_MASK_WORDS : FS_MASK_BYTES;
        row.mask = mask;
        row.mask_stride = kind == MASK_WORDS ? 4 : 2;
        for (size_t i = 0; i < 2 * n + 8; i++)
            mask[i] = (char)(next_word(r) & next_word(r) & (kind == MASK_WORDS ? 0xff : 1));
    }
    if (kind == BIAS || kind == PROBS_BIAS_MASK) {
        row.bias = bias;
        row.bias_stride = 8;
        for (size_t i = 0; i < n; i++)
            bias[i] = below(r, 50) ? next_normal(r) : -INFINITY;
    }
    if (kind == BIAS_AT) {
        row.bias = bias;
        row.bias_at = bias_at;
        for (size_t i = below(r, 10); i < n && row.bias_count < sparse; i += 1 + below(r, 19)) {
            bias_at[row.bias_count] = (int64_t)i;
            bias[row.bias_count++] = 5.0 * next_normal(r);
        }
    }
    snprintf(text, sizeof text, "n = %zu, %s, %s, temperature %g, %s", n, dtype_name[dtype], kind_name[data],
             temperature, row_name[kind]);
    results first = new_results(n), other = new_results(n);
    random_stream at_first = *r;
    for (size_t s = 0; fs_available(s); s++) {
        const char *set = fs_available(s);
        results *here = s ? &other : &first;
        fs_choose(set);
        *r = at_first; /* every set meets the same rows */
        run(&row, n, temperature, u, CONTIGUOUS, here);
        if (s)
            compare(&first, &other, n * size, set, "against the best set", text);
        digests[s] = digest(digests[s], here->status, sizeof here->status);
        digests[s] = digest(digests[s], here->softmax, n * size);
        digests[s] = digest(digests[s], here->log_softmax, n * size);
        digests[s] = digest(digests[s], &here->logsumexp, 8);
        digests[s] = digest(digests[s], here->index, sizeof here->index);
        digests[s] = digest(digests[s], here->logprob, sizeof here->logprob);
        layout how = (layout)(1 + below(r, LAYOUTS - 1));
        run(&row, n, temperature, u, how, &other);
        compare(&first, &other, n * size, set, layout_name[how], text);
        if (kind == PLAIN)
            compare_rows(&row, n, temperature, u, &first, r, set, text);
    }
    free_results(&first);
    free_results(&other);
    free(x);
    free(mask);
    free(bias);
    free(bias_at);
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
    for (size_t n = 1; n <= 1100; n++)
        run_length(n, every, seed, digests);
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

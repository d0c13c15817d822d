/* Rows of different lengths in one array: each result is that of the row alone, on every instruction set, in every layout, and
 * nothing outside the array is read or written.
 *
 *     segments [--every K]
 *
 * A case is up to 400 rows, their lengths from one of the kinds below, at the edge of an inaccessible page, crossed with the
 * dtypes, temperatures and kinds of data; --every K takes one in K.  Prints a digest for each set. */
#include "guarded.h"

enum { ROWS = 400, CASES = 12000, SETS = 4 };

typedef enum { FEW_EACH, SKEWED, RUNS, UP_TO_140, TINY_OR_LONG, LENGTHS } length_kind;

static size_t random_length(length_kind kind, size_t before, random_stream *r)
{
    size_t n = below(r, 12);
    switch (kind) {
    case FEW_EACH: return n;
    case SKEWED: /* half as many of twice the length */
        for (n = 1; n < 512 && next_word(r) & 1;)
            n *= 2;
        return n + below(r, n) - 1;
    case RUNS: return below(r, 20) ? before : below(r, 70);
    case UP_TO_140: return below(r, 141);
    default: return below(r, 40) ? below(r, 3) : below(r, 2600);
    }
}

/* What one case gives. */
typedef struct {
    char *softmax, *log_softmax;
    double sums[ROWS], logprob[ROWS];
    int64_t index[ROWS], alone[ROWS]; /* with log-probabilities, and without */
} results;

static results new_results(size_t bytes)
{
    results r;
    memset(&r, 0, sizeof r);
    r.softmax = workspace(bytes);
    r.log_softmax = workspace(bytes);
    return r;
}

/* Row by row. */
static void expected_of(const fs_segments *s, size_t rows, const double *u, results *to)
{
    const ptrdiff_t size = (ptrdiff_t)size_of(s->dtype);
    for (size_t i = 0; i < rows; i++) {
        const size_t start = (size_t)s->offset[i], n = (size_t)s->offset[i + 1] - start;
        const double t = s->temperature[s->temperature_step ? i : 0];
        const fs_row row = {
            (const char *)s->data + start * (size_t)size, size, s->dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
        const fs_output softmax = {to->softmax + start * (size_t)size, size, s->dtype};
        const fs_output log_softmax = {to->log_softmax + start * (size_t)size, size, s->dtype};
        to->sums[i] = -INFINITY;
        to->index[i] = -1;
        to->logprob[i] = NAN;
        if (n) {
            fs_softmax(&row, n, t, &softmax);
            fs_log_softmax(&row, n, t, &log_softmax);
            fs_logsumexp(&row, n, t, &to->sums[i]);
            if (fs_sample(&row, n, t, 1, u + i, &to->index[i], &to->logprob[i]) != FS_OK) {
                to->index[i] = -1;
                to->logprob[i] = NAN;
            }
        }
        to->alone[i] = to->index[i];
    }
}

static int same_doubles(const double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, 8) && (a[i] == a[i] || b[i] == b[i]))
            return 0;
    return 1;
}

/* All rows in parts [0, middle), [middle, rows), at the edge of a page, and with gaps between the entries. */
static void run_case(const region *in, const region *out, size_t number, uint64_t *digests)
{
    static const double temperatures[] = {1.0, 0.7, 1e-3, 30.0, 0.0, INFINITY, 1e-30, 1e300};
    random_stream r = {number};
    const fs_dtype dtype = (fs_dtype)below(&r, 4);
    const size_t size = size_of(dtype), rows = below(&r, ROWS + 1), middle = below(&r, rows + 1);
    const length_kind lengths = (length_kind)below(&r, LENGTHS);
    const data_kind data = (data_kind)below(&r, KINDS);
    const size_t step = below(&r, 4) ? 1 : 2;
    const int own_temperatures = below(&r, 3) == 0;
    int64_t offset[ROWS + 1] = {0};
    double t[ROWS + 1], u[ROWS];
    t[0] = temperatures[below(&r, sizeof temperatures / sizeof *temperatures)];
    for (size_t i = 0, n = 5; i < rows; i++) {
        n = random_length(lengths, n, &r);
        if ((size_t)offset[i] + n > 20000)
            n = 0;
        offset[i + 1] = offset[i] + (int64_t)n;
        u[i] = below(&r, 10) ? next_uniform(&r) : 1.0 - 0x1p-53;
        if (own_temperatures)
            t[i] = below(&r, 20) ? 0.1 + next_uniform(&r) : temperatures[below(&r, 8)];
    }
    const size_t entries = (size_t)offset[rows], bytes = entries ? ((entries - 1) * step + 1) * size : 0;
    char *x = workspace(entries * size);
    fill(x, dtype, entries, data, &r);
    if (below(&r, 2)) /* special values in a few rows only */
        for (size_t i = 0; i < entries; i++)
            if (below(&r, 50))
                put(x, dtype, i, next_normal(&r));
    results expected = new_results(entries * size), got = new_results(entries * size);
    fs_segments s = {x, (ptrdiff_t)size, dtype, offset, t, own_temperatures ? 8 : 0};
    now.n = number;
    now.dtype = dtype_name[dtype];
    now.where = (edge)below(&r, EDGES);
    now.offset = below(&r, 2) * size;
    for (size_t set = 0; fs_available(set); set++) {
        now.set = fs_available(set);
        fs_choose(now.set);
        s.data = x;
        s.stride = (ptrdiff_t)size;
        if (set == 0)
            expected_of(&s, rows, u, &expected);
        for (int operation = 0; operation < 3; operation++) { /* softmax, log_softmax, softmax in place */
            now.operation = operation == 0 ? "softmax" : operation == 1 ? "log_softmax" : "softmax in place";
            char *from = place(in, bytes, now.offset, now.where), *to = place(out, bytes, now.offset, now.where);
            for (size_t i = 0; i < entries; i++)
                memcpy(from + i * step * size, x + i * size, size);
            s.data = from;
            s.stride = (ptrdiff_t)(step * size);
            if (operation == 2)
                to = from;
            const fs_output result = {to, s.stride, dtype}, sums = {got.sums, 8, FS_F64};
            fs_status status;
            if (operation == 0) {
                fs_logsumexp_segments(&s, 0, middle, &sums);
                fs_logsumexp_segments(&s, middle, rows, &sums);
                fs_sample_segments(&s, 0, middle, u, got.index, got.logprob);
                fs_sample_segments(&s, middle, rows, u, got.index, got.logprob);
                fs_sample_segments(&s, 0, rows, u, got.alone, NULL);
            }
            status = (operation == 1 ? fs_log_softmax_segments : fs_softmax_segments)(&s, middle, rows, &result);
            check(status == FS_OK, "case %zu ended", number);
            (operation == 1 ? fs_log_softmax_segments : fs_softmax_segments)(&s, 0, middle, &result);
            char *packed = operation == 1 ? got.log_softmax : got.softmax;
            for (size_t i = 0; i < entries; i++)
                memcpy(packed + i * size, to + i * step * size, size);
            expect(packed, operation == 1 ? expected.log_softmax : expected.softmax, entries * size);
            check_around(operation == 2 ? in : out, to, bytes);
            check_around(in, from, bytes);
        }
        now.operation = "logsumexp";
        expect(got.sums, expected.sums, 8 * rows);
        now.operation = "sample";
        expect(got.index, expected.index, 8 * rows);
        expect(got.alone, expected.alone, 8 * rows);
        check(same_doubles(got.logprob, expected.logprob, rows), "log-probabilities of case %zu, %s", number,
              now.set);
        digests[set] = extend_digest(digests[set], got.softmax, entries * size);
        digests[set] = extend_digest(digests[set], got.log_softmax, entries * size);
        digests[set] = extend_digest(digests[set], got.sums, 8 * rows);
        digests[set] = extend_digest(digests[set], got.index, 8 * rows);
    }
    free(x);
    free(expected.softmax);
    free(expected.log_softmax);
    free(got.softmax);
    free(got.log_softmax);
}

int main(int argc, char **argv)
{
    const size_t every = (size_t)option(argc, argv, "--every", 1);
    uint64_t digests[SETS] = {0};
    region in = new_region(), out = new_region();
    catch_faults();
    for (size_t number = 0; number < CASES; number += every)
        run_case(&in, &out, number, digests);
    for (size_t set = 0; fs_available(set); set++) {
        check(digests[set] == digests[0], "the digest of %s is not that of %s", fs_available(set), fs_available(0));
        printf("digest %s %016llx\n", fs_available(set), (unsigned long long)digests[set]);
    }
    return finish("segments", checks);
}

/* Nothing outside a row is read or written, wherever the row lies.
 *
 *     guard [--every K]
 *
 * Rows of every length from 0 to 1,100 end `offset` bytes before an inaccessible page, or start `offset` bytes after
 * one, for every offset of whole entries below 64 bytes.  Around the row are bytes of 0xff: NaN, so that the result
 * would show it if one were read, and they must still be there afterwards.  --every K takes one length in K. */
#include "guarded.h"

enum { MANY = 37 };

/* Entries `step` entries apart, copied from contiguous ones; between them stays 0xff. */
static void spread(void *to, const void *from, size_t n, size_t size, size_t step)
{
    if (step == 1)
        memcpy(to, from, n * size);
    else
        for (size_t i = 0; i < n; i++)
            memcpy((char *)to + i * step * size, (const char *)from + i * size, size);
}

static void expect_spread(const void *got, const void *expected, size_t n, size_t size, size_t step)
{
    const unsigned char *p = got;
    int intact = 1;
    if (step == 1) {
        expect(p, expected, n * size);
        return;
    }
    for (size_t i = 0; i + 1 < n; i++)
        for (size_t j = size; j < step * size; j++)
            intact &= p[i * step * size + j] == 0xff;
    if (!intact)
        describe("wrote between the entries");
    for (size_t i = 0; i < n; i++)
        expect(p + i * step * size, (const char *)expected + i * size, size);
}

typedef struct {
    char softmax[8 * 1101], log_softmax[8 * 1101];
    double logsumexp, logprob[2], entropy, divergence, weighted;
    int64_t index[2];
} results;

static const double u[2] = {0.25, 1.0 - 0x1p-53}, temperature = 0.7, weight = 0.3;
static const fs_row even_weights = {&weight, 0, FS_F64, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};

static void run(const fs_row *row, size_t n, results *r)
{
    fs_output softmax = {r->softmax, (ptrdiff_t)size_of(row->dtype), row->dtype};
    fs_output log_softmax = {r->log_softmax, (ptrdiff_t)size_of(row->dtype), row->dtype};
    fs_softmax(row, n, temperature, &softmax);
    fs_log_softmax(row, n, temperature, &log_softmax);
    fs_logsumexp(row, n, temperature, &r->logsumexp);
    fs_sample(row, n, temperature, 2, u, r->index, r->logprob);
    fs_entropy(row, n, temperature, &r->entropy);
    fs_row other = *row;
    other.data = (const char *)row->data + (ptrdiff_t)(n - 1) * row->stride;
    other.stride = -row->stride;
    fs_kl_divergence(row, &other, n, temperature, &r->divergence);
    const fs_output sum = {&r->weighted, 8, FS_F64};
    fs_logsumexp_weighted(row, &even_weights, n, temperature, &sum);
}

static void test_row(const region *in, const region *out, const fs_row *model, size_t n, const results *expected,
                     size_t step)
{
    static results got;
    size_t size = size_of(model->dtype), bytes = ((n - 1) * step + 1) * size;
    fs_row row = *model;
    char *x = place(in, bytes, now.offset, now.where), *to = place(out, bytes, now.offset, now.where);
    fs_output output = {to, (ptrdiff_t)(step * size), row.dtype};
    spread(x, model->data, n, size, step);
    row.data = x;
    row.stride = (ptrdiff_t)(step * size);
    now.operation = step == 1 ? "softmax" : "strided softmax";
    fs_softmax(&row, n, temperature, &output);
    expect_spread(to, expected->softmax, n, size, step);
    check_around(out, to, bytes);
    now.operation = step == 1 ? "log_softmax" : "strided log_softmax";
    fs_log_softmax(&row, n, temperature, &output);
    expect_spread(to, expected->log_softmax, n, size, step);
    check_around(out, to, bytes);
    now.operation = "logsumexp, sample, entropy or divergence";
    fs_row reversed = row;
    reversed.data = x + (ptrdiff_t)(n - 1) * row.stride;
    reversed.stride = -row.stride;
    fs_logsumexp(&row, n, temperature, &got.logsumexp);
    fs_sample(&row, n, temperature, 2, u, got.index, got.logprob);
    fs_entropy(&row, n, temperature, &got.entropy);
    fs_kl_divergence(&row, &reversed, n, temperature, &got.divergence);
    const fs_output sum = {&got.weighted, 8, FS_F64};
    fs_logsumexp_weighted(&row, &even_weights, n, temperature, &sum);
    expect(&got.weighted, &expected->weighted, sizeof got.weighted);
    expect(&got.entropy, &expected->entropy, sizeof got.entropy);
    expect(&got.divergence, &expected->divergence, sizeof got.divergence);
    expect(&got.logsumexp, &expected->logsumexp, sizeof got.logsumexp);
    expect(got.index, expected->index, sizeof got.index);
    expect(got.logprob, expected->logprob, sizeof got.logprob);
    expect_spread(x, model->data, n, size, step);
    now.operation = step == 1 ? "softmax in place" : "strided softmax in place";
    output.data = x;
    fs_softmax(&row, n, temperature, &output);
    expect_spread(x, expected->softmax, n, size, step);
    check_around(in, x, bytes);
}

/* The functions of one row by plain pointers. */
static void test_plain(const region *in, const region *out, const fs_row *model, size_t n, const results *expected)
{
    size_t bytes = n * size_of(model->dtype);
    char *x = place(in, bytes, now.offset, now.where), *to = place(out, bytes, now.offset, now.where);
    int64_t index[2];
    memcpy(x, model->data, bytes);
    now.operation = "plain softmax or draw";
    if (model->dtype == FS_F32) {
        fs_softmax_f32((float *)(void *)x, n, temperature, (float *)(void *)to);
        for (int i = 0; i < 2; i++)
            index[i] = fs_draw_f32((float *)(void *)x, n, temperature, u[i]);
    } else if (model->dtype == FS_F64) {
        fs_softmax_f64((double *)(void *)x, n, temperature, (double *)(void *)to);
        for (int i = 0; i < 2; i++)
            index[i] = fs_draw_f64((double *)(void *)x, n, temperature, u[i]);
    } else {
        return;
    }
    expect(to, expected->softmax, bytes);
    expect(index, expected->index, sizeof index);
    expect(x, model->data, bytes);
    check_around(out, to, bytes);
}

/* Many contiguous rows, one directly after another: each may spoil or read its neighbours. */
static void test_rows(const region *in, const region *out, const fs_row *model, size_t n, const results *expected,
                      int in_place)
{
    size_t size = size_of(model->dtype), rows = n == 0 ? 0 : n <= 64 ? MANY : 2, bytes = rows * n * size;
    char *x = place(in, bytes, now.offset, now.where), *to = place(out, bytes, now.offset, now.where);
    double uniform[MANY];
    int64_t index[MANY] = {0};
    ptrdiff_t stride = (ptrdiff_t)(n * size);
    for (size_t i = 0; i < rows; i++) {
        memcpy(x + i * n * size, model->data, n * size);
        uniform[i] = u[i % 2];
    }
    now.operation = "sample_rows";
    sample_rows(model->dtype, x, stride, rows, n, &temperature, 0, uniform, index);
    if (!in_place) {
        fs_rows all = {*model, rows, n, stride, 0, 0, &temperature, 0};
        all.row.data = x;
        double entropy[MANY], logprob[MANY];
        now.operation = "entropy_rows or logprob_rows";
        const fs_output entropies = {entropy, 8, FS_F64};
        fs_entropy_rows(&all, &entropies, 8);
        fs_logprob_rows(&all, index, logprob);
        for (size_t i = 0; i < rows; i++) {
            expect(entropy + i, &expected->entropy, 8);
            expect(logprob + i, &expected->logprob[i % 2], 8);
        }
    }
    now.operation = in_place ? "softmax_rows in place" : "softmax_rows";
    to = in_place ? x : to;
    softmax_rows(model->dtype, x, stride, rows, n, &temperature, 0, to);
    for (size_t i = 0; i < rows; i++) {
        expect(to + i * n * size, expected->softmax, n * size);
        expect(&index[i], &expected->index[i % 2], sizeof index[i]);
    }
    check_around(in_place ? in : out, to, bytes);
}

/* Weights, whose softmax at temperature 1 has a kernel of its own. */
static void test_weights(const region *in, const region *out, const fs_row *model, size_t n)
{
    static char open[8 * 1101], expected[8 * 1101];
    const size_t size = size_of(model->dtype), bytes = n * size;
    fs_row row = *model;
    fs_output output = {expected, (ptrdiff_t)size, row.dtype};
    for (size_t i = 0; i < n; i++)
        put(open, row.dtype, i, 0.25 * (double)(i % 7) + (i == 0));
    now.operation = "softmax of weights";
    row.data = open;
    row.probs = 1;
    fs_softmax(&row, n, 1.0, &output);
    char *x = place(in, bytes, now.offset, now.where), *to = place(out, bytes, now.offset, now.where);
    memcpy(x, open, bytes);
    row.data = x;
    output.data = to;
    fs_softmax(&row, n, 1.0, &output);
    expect(to, expected, bytes);
    check_around(out, to, bytes);
}

/* Masks, biases, uniforms and the results of a draw at the edge. */
static void test_attachments(const region *in, const fs_row *model, size_t n, random_stream *r)
{
    static results expected, got;
    size_t words = (n + 31) / 32, sparse = 1 + n / 7;
    char *open = workspace(8 * n + 8);
    int64_t *at = workspace(8 * sparse);
    for (int which = 0; which < 4; which++) {
        fs_row row = *model;
        size_t bytes = which == 0 ? n : which == 1 ? 4 * words : which == 2 ? 8 * n : 8 * sparse;
        for (size_t i = 0; i < 8 * n + 8; i++)
            open[i] = (char)(next_word(r) | 1); /* the first entry is allowed */
        if (which >= 2)
            for (size_t i = 0; i < bytes / 8; i++)
                ((double *)(void *)open)[i] = next_normal(r);
        for (size_t i = 0; i < sparse; i++)
            at[i] = (int64_t)(7 * i < n ? 7 * i : n - 1);
        now.operation = which == 0 ? "byte mask" : which == 1 ? "word mask" : which == 2 ? "bias" : "sparse bias";
        row.mask_kind = which == 0 ? FS_MASK_BYTES : which == 1 ? FS_MASK_WORDS : FS_MASK_NONE;
        row.mask_stride = which == 0 ? 1 : 4;
        row.bias_stride = 8;
        row.bias_count = which == 3 ? sparse : 0;
        row.bias_at = which == 3 ? at : NULL;
        row.mask = which < 2 ? open : NULL;
        row.bias = which < 2 ? NULL : (double *)(void *)open;
        run(&row, n, &expected);
        char *p = place(in, bytes, now.offset - now.offset % 8, now.where);
        memcpy(p, open, bytes);
        row.mask = which < 2 ? p : NULL;
        row.bias = which < 2 ? NULL : (double *)(void *)p;
        run(&row, n, &got);
        expect(&got.logsumexp, &expected.logsumexp, sizeof got.logsumexp);
        expect(got.softmax, expected.softmax, n * size_of(row.dtype));
        expect(got.log_softmax, expected.log_softmax, n * size_of(row.dtype));
        expect(got.index, expected.index, sizeof got.index);
    }
    now.operation = "arrays of a draw";
    char *p = place(in, 16, now.offset - now.offset % 8, now.where);
    fs_sample(model, n, temperature, 2, u, (int64_t *)(void *)p, NULL);
    check_around(in, p, 16);
    memcpy(p, u, 16);
    fs_sample(model, n, temperature, 2, (const double *)(const void *)p, got.index, NULL);
    free(open);
    free(at);
}

int main(int argc, char **argv)
{
    static results expected;
    static char x[8 * 1101];
    size_t every = (size_t)option(argc, argv, "--every", 1);
    region in = new_region(), out = new_region();
    catch_faults();
    for (size_t s = 0; fs_available(s); s++)
        for (int dtype = 0; dtype < 4; dtype++)
            for (size_t n = s % every; n <= 1100; n += every) {
                size_t size = size_of((fs_dtype)dtype);
                random_stream r = {n * 4 + (size_t)dtype};
                fs_choose(fs_available(s));
                fill(x, (fs_dtype)dtype, n, n % 5 ? NORMAL : SOME_MINUS_INF, &r);
                fs_row model = {x, (ptrdiff_t)size, (fs_dtype)dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
                if (n)
                    put(x, (fs_dtype)dtype, 0, 0.5);
                now.set = fs_available(s);
                now.dtype = dtype_name[dtype];
                now.n = n;
                now.operation = "row in the open";
                if (n)
                    run(&model, n, &expected);
                for (now.offset = 0; now.offset < 64; now.offset += size)
                    for (int where = 0; where < EDGES; where++) {
                        now.where = (edge)where;
                        if (n) {
                            test_row(&in, &out, &model, n, &expected, 1);
                            test_plain(&in, &out, &model, n, &expected);
                            test_weights(&in, &out, &model, n);
                            if (now.offset <= size)
                                test_row(&in, &out, &model, n, &expected, 3);
                            if (now.offset == 0)
                                test_attachments(&in, &model, n, &r);
                        }
                        test_rows(&in, &out, &model, n, &expected, 0);
                        test_rows(&in, &out, &model, n, &expected, 1);
                    }
            }
    return finish("guard", checks);
}

/* The functions of a row by plain pointers and numbers: the same bits and codes as the functions of a described row, and a
 * refusal before anything is written.
 *
 *     plain [--every K]
 *
 * --every K takes one in K of the cases. */
#include "rows.h"

enum { LONGEST = 3000, DRAWS = 6, ROWS = 7 };

#define BY(dtype, f, ...) ((dtype) == FS_F32 ? f##_f32(__VA_ARGS__) : f##_f64(__VA_ARGS__))

static unsigned long long checks;
static const double u[] = {0.0, 0x1p-1074, 0.123456789, 0.5, 0.987654321, 1.0 - 0x1p-53, -0.0};
static double scratch[7 * (LONGEST + 200)];
static char text[300];

/* What fs_draw gives for these. */
static int64_t drawn(fs_status status, int64_t index) { return status == FS_OK ? index : -(int64_t)status; }

static void compare_writing(const fs_row *row, size_t n, double temperature)
{
    static char expected[8 * LONGEST], got[8 * LONGEST];
    size_t size = size_of(row->dtype);
    for (int log = 0; log < 2; log++)
        for (int in_place = 0; in_place < 2; in_place++) {
            fs_output out = {expected, (ptrdiff_t)size, row->dtype};
            const void *x = in_place ? memcpy(got, row->data, n * size) : row->data;
            fs_status of_row =
                log ? fs_log_softmax(row, n, temperature, &out) : fs_softmax(row, n, temperature, &out);
            fs_status status = log ? BY(row->dtype, fs_log_softmax, x, n, temperature, (void *)got)
                                   : BY(row->dtype, fs_softmax, x, n, temperature, (void *)got);
            check(status == of_row, "status %d, not %d: %s", status, of_row, text);
            same(log ? "log_softmax" : "softmax", expected, got, n * size, fs_chosen(), text,
                 in_place ? "in place" : "");
            checks++;
        }
    double of_row, sum;
    fs_status status = fs_logsumexp(row, n, temperature, &of_row);
    check(BY(row->dtype, fs_logsumexp, row->data, n, temperature, &sum) == status, "logsumexp: %s", text);
    same("logsumexp", &of_row, &sum, sizeof sum, fs_chosen(), text, "");
    status = fs_entropy(row, n, temperature, &of_row);
    check(BY(row->dtype, fs_entropy, row->data, n, temperature, &sum) == status, "entropy: %s", text);
    same("entropy", &of_row, &sum, sizeof sum, fs_chosen(), text, "");
}

static void compare_draws(fs_row row, size_t n, double temperature, const fs_filters *filters)
{
    int64_t index[DRAWS], many[DRAWS], filtered;
    for (row.probs = 0; row.probs < 2; row.probs++) {
        fs_status status = fs_sample(&row, n, temperature, DRAWS, u, index, NULL);
        fs_status got = row.probs ? BY(row.dtype, fs_draw_many_probs, row.data, n, temperature, DRAWS, u, many)
                                  : BY(row.dtype, fs_draw_many, row.data, n, temperature, DRAWS, u, many);
        check(got == status, "draw_many: status %d, not %d: %s", got, status, text);
        if (status == FS_OK)
            same("draw_many", index, many, sizeof index, fs_chosen(), text, row.probs ? "probabilities" : "");
        for (int j = 0; j < DRAWS; j++) {
            int64_t one = row.probs ? BY(row.dtype, fs_draw_probs, row.data, n, temperature, u[j])
                                    : BY(row.dtype, fs_draw, row.data, n, temperature, u[j]);
            check(one == drawn(status, index[j]), "draw: %lld, not %lld: %s", (long long)one,
                  (long long)drawn(status, index[j]), text);
            checks++;
        }
    }
    row.probs = 0;
    fs_status status =
        fs_sample_filtered(&row, n, temperature, filters, NULL, 0.25, 1, u + 2, scratch, &filtered, NULL);
    int64_t got = BY(row.dtype, fs_draw_filtered, row.data, n, temperature, filters, 0.25, u[2], scratch);
    check(got == drawn(status, filtered), "draw_filtered: %lld, not %lld: %s: %s", (long long)got,
          (long long)drawn(status, filtered), text, describe_filters(filters));
}

/* The row cut into ROWS, one of which is made bad. */
static void compare_rows(char *x, fs_dtype dtype, size_t n, double temperature, uint64_t bad)
{
    int64_t index[ROWS];
    size_t size = size_of(dtype), length = n / ROWS;
    for (size_t i = 0; i < length; i++)
        put(x, dtype, bad % ROWS * length + i, bad & 8 ? NAN : -INFINITY);
    check(BY(dtype, fs_draw_rows, (void *)x, ROWS, length, temperature, u, index) == FS_OK, "draw_rows: %s", text);
    for (size_t i = 0; i < ROWS; i++) {
        int64_t one = BY(dtype, fs_draw, (void *)(x + i * length * size), length, temperature, u[i]);
        check(index[i] == one, "draw_rows, row %zu: %lld, not %lld: %s", i, (long long)index[i], (long long)one,
              text);
    }
    check(index[bad % ROWS] == (bad & 8 ? -FS_NAN : -FS_NO_MASS), "draw_rows does not say why: %s", text);
    checks += ROWS;
}

static void compare(fs_dtype dtype, size_t n, data_kind kind, double temperature, random_stream *r)
{
    static char x[8 * LONGEST];
    fs_filters filters = any_filters(r, n, 4);
    fill(x, dtype, n, kind, r);
    snprintf(text, sizeof text, "%s, %s, n = %zu, temperature %g, %s", fs_chosen(), dtype_name[dtype], n, temperature,
             kind_name[kind]);
    fs_row row = plain_row(x, dtype);
    compare_writing(&row, n, temperature);
    compare_draws(row, n, temperature, &filters);
    if (n >= ROWS)
        compare_rows(x, dtype, n, temperature, below(r, 16));
}

/* Bad arguments are rejected, and what would be written stays as it was. */
static void reject(fs_dtype dtype)
{
    static const double temperatures[] = {-1.0, -0x1p-1074, -INFINITY, NAN, -NAN};
    static const double uniforms[] = {1.0, 1.5, INFINITY, -0x1p-1074, -1.0, NAN, -NAN};
    double x[4] = {0.1, 0.2, 0.3, 0.4}, out[4] = {7.0, 7.0, 7.0, 7.0}, two[2] = {0.5, 0.5};
    int64_t index[2] = {7, 7};
    fs_filters filters;
    fs_no_filters(&filters);
    for (size_t t = 0; t <= sizeof temperatures / sizeof temperatures[0]; t++) {
        int empty = t == sizeof temperatures / sizeof temperatures[0];
        size_t n = empty ? 0 : 2;
        double temperature = empty ? 1.0 : temperatures[t];
        check(BY(dtype, fs_softmax, (void *)x, n, temperature, (void *)out) == FS_ARGUMENT &&
                  BY(dtype, fs_log_softmax, (void *)x, n, temperature, (void *)out) == FS_ARGUMENT &&
                  BY(dtype, fs_logsumexp, (void *)x, n, temperature, out) == FS_ARGUMENT &&
                  BY(dtype, fs_entropy, (void *)x, n, temperature, out) == FS_ARGUMENT &&
                  BY(dtype, fs_draw_many, (void *)x, n, temperature, 2, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw_many_probs, (void *)x, n, temperature, 2, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw_rows, (void *)x, 2, n, temperature, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw, (void *)x, n, temperature, 0.5) == -FS_ARGUMENT &&
                  BY(dtype, fs_draw_probs, (void *)x, n, temperature, 0.5) == -FS_ARGUMENT &&
                  BY(dtype, fs_draw_filtered, (void *)x, n, temperature, &filters, 1.0, 0.5, scratch) == -FS_ARGUMENT,
              "taken: n = %zu, temperature %g", n, temperature);
    }
    for (size_t i = 0; i < sizeof uniforms / sizeof uniforms[0]; i++) {
        two[1] = uniforms[i];
        check(BY(dtype, fs_draw_many, (void *)x, 2, 1.0, 2, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw_many_probs, (void *)x, 2, 1.0, 2, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw_rows, (void *)x, 2, 2, 1.0, two, index) == FS_ARGUMENT &&
                  BY(dtype, fs_draw, (void *)x, 2, 1.0, two[1]) == -FS_ARGUMENT &&
                  BY(dtype, fs_draw_probs, (void *)x, 2, 1.0, two[1]) == -FS_ARGUMENT &&
                  BY(dtype, fs_draw_filtered, (void *)x, 2, 1.0, &filters, 1.0, two[1], scratch) == -FS_ARGUMENT &&
                  (two[1] == 1.0 ||
                   BY(dtype, fs_draw_filtered, (void *)x, 2, 1.0, &filters, two[1], 0.5, scratch) == -FS_ARGUMENT),
              "taken: u = %a", two[1]);
    }
    check(index[0] == 7 && index[1] == 7 && out[0] == 7.0 && out[3] == 7.0, "a rejected call has written");
    checks++;
}

/* No field of the filters is taken out of its range; at the ends of it each is. */
static void reject_filters(void)
{
    typedef struct {
        size_t field;
        double least, most; /* what is taken; the next numbers beyond are not */
    } range;
    const double tiny = 0x1p-1074;
    static const size_t shares[] = {
        offsetof(fs_filters, top_p),           offsetof(fs_filters, min_p),      offsetof(fs_filters, typical_p),
        offsetof(fs_filters, epsilon_cutoff),  offsetof(fs_filters, eta_cutoff), offsetof(fs_filters, xtc_threshold),
        offsetof(fs_filters, xtc_probability), offsetof(fs_filters, top_a),      offsetof(fs_filters, top_h)};
    range ranges[12] = {{offsetof(fs_filters, top_n_sigma), -0.0, DBL_MAX},
                        {offsetof(fs_filters, dynatemp_range), -0.0, DBL_MAX},
                        {offsetof(fs_filters, dynatemp_exponent), tiny, DBL_MAX}};
    for (size_t i = 0; i < 9; i++)
        ranges[3 + i] = (range){shares[i], -0.0, 1.0};
    const double x[] = {0.1, 0.2};
    for (size_t i = 0; i < 12; i++)
        for (int end = 0; end < 5; end++) {
            double least = ranges[i].least, most = ranges[i].most;
            double value = end == 0   ? least
                           : end == 1 ? most
                           : end == 2 ? nextafter(least, -INFINITY)
                           : end == 3 ? nextafter(most, INFINITY)
                                      : NAN;
            fs_filters f;
            fs_no_filters(&f);
            memcpy((char *)&f + ranges[i].field, &value, sizeof value);
            int64_t index = fs_draw_filtered_f64(x, 2, 1.0, &f, 1.0, 0.5, scratch);
            check(end < 2 ? index >= 0 : index == -FS_ARGUMENT, "field %zu, value %a: %lld", ranges[i].field / 8,
                  value, (long long)index);
            checks++;
        }
    for (int i = 0; i < 3; i++) {
        fs_filters f;
        fs_no_filters(&f);
        f.top_k = i == 0 ? -1 : 0;
        f.min_tokens_to_keep = i == 1 ? 0 : 1;
        f.surprise = i == 2 ? NAN : INFINITY;
        check(fs_draw_filtered_f64(x, 2, 1.0, &f, 1.0, 0.5, scratch) == -FS_ARGUMENT, "field taken: %d", i);
    }
    static const int64_t orders[] = {0xd,   0x11,  0x21,
                                     0x101, 0x1c2, -1}; /* no step, one twice, good, none, good, none */
    for (int i = 0; i < 6; i++) {
        fs_filters f;
        fs_no_filters(&f);
        f.order = orders[i];
        int64_t index = fs_draw_filtered_f64(x, 2, 1.0, &f, 1.0, 0.5, scratch);
        check(i == 2 || i == 4 ? index >= 0 : index == -FS_ARGUMENT, "order %llx: %lld", (long long)orders[i],
              (long long)index);
        checks++;
    }
    fs_filters expected = no_filters(), f;
    fs_no_filters(&f);
    check(!memcmp(&f, &expected, sizeof f), "fs_no_filters is not neutral");
}

static void compare_uniforms(void)
{
    enum { COUNT = 5 };
    const uint64_t words[3][COUNT] = {
        {0, 1, UINT64_MAX, 7, 7}, {0, 3, 5, UINT64_MAX, 1}, {0, UINT64_MAX, 2, 9, UINT64_C(1) << 63}};
    for (size_t which = 0; which < 8; which++)
        for (uint64_t stream = 0; stream < 2; stream++) {
            double u[COUNT], expected = -1.0;
            const fs_words each[3] = {{words[0], which & 1}, {words[1], which >> 1 & 1}, {words[2], which >> 2}};
            fs_keyed_uniforms_of(each[0], each[1], each[2], COUNT, stream, u);
            for (size_t i = 0; i < COUNT; i++) {
                const uint64_t *key = words[1] + i * each[1].stride;
                fs_keyed_uniforms(words[0][i * each[0].stride], key, 1, words[2][i * each[2].stride], stream,
                                  &expected);
                check(u[i] == expected, "uniform %zu of strides %zu: %a, not %a", i, which, u[i], expected);
                checks++;
            }
        }
}

int main(int argc, char **argv)
{
    uint64_t every = (uint64_t)option(argc, argv, "--every", 1);
    static const size_t lengths[] = {1, 2, 7, 8, 9, 16, 17, 32, 63, 64, 65, 300, 512, 513, 1024, 1025, LONGEST};
    static const double temperatures[] = {0.0, -0.0, 0x1p-1070, 1e-30, 0.7, 1.0, 30.0, 1e300, INFINITY};
    random_stream r = {11};
    check(fs_abi_version() == FS_ABI_VERSION, "the kernels are not of this header");
    for (size_t s = 0; fs_available(s); s++)
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
                for (int dtype = 0; dtype < 2; dtype++)
                    for (size_t t = 0; t < sizeof temperatures / sizeof temperatures[0]; t++) {
                        if (below(&r, every))
                            continue;
                        fs_choose(fs_available(s));
                        compare((fs_dtype)dtype, lengths[l], (data_kind)kind, temperatures[t], &r);
                    }
    reject(FS_F32);
    reject(FS_F64);
    reject_filters();
    compare_uniforms();
    return finish("plain", checks);
}

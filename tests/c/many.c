/* Many draws at once, and prepared rows, against draws a few at a time.
 *
 *     many [--every K]
 *
 * A table of bounds (draw/guide_table.h) must give the index that a draw without one gives, for every u: near every bound of every
 * row, where it has to leave the draw open, at the ends, and anywhere.  A few draws never have one.
 * --every K takes one in K of the lengths. */
#include "testing.h"

enum { LONGEST = 70000, MOST = 4 * LONGEST + 64, NEAR = 150, FEW = 63 };

static unsigned long long checks;
static char text[200];
static char x[8 * LONGEST];
static double u[MOST], share[LONGEST];
static int64_t one[MOST], many[MOST], prepared[MOST];
static void *memory;

/* Uniforms one after another, as from a generator. */
static double from_array(void *state)
{
    const double **next = state;
    return *(*next)++;
}

static void agree(const char *how, const int64_t *index, size_t k)
{
    for (size_t j = 0; j < k; j++)
        check(index[j] == one[j], "%s, %s, %s: u = %a gives %lld, not %lld", fs_chosen(), text, how, u[j],
              (long long)index[j], (long long)one[j]);
    checks += k;
}

static void test_uniforms(const fs_row *row, size_t n, double temperature, size_t k)
{
    for (size_t j = 0; j < k; j += FEW)
        check(fs_sample(row, n, temperature, k - j < FEW ? k - j : FEW, u + j, one + j, NULL) == FS_OK,
              "%s, %s: no draw for u = %a and those that follow", fs_chosen(), text, u[j]);
    for (size_t j = 0; j < k; j++)
        check(one[j] >= 0 && (size_t)one[j] < n, "%s, %s: u = %a gives %lld", fs_chosen(), text, u[j],
              (long long)one[j]);
    check(fs_sample(row, n, temperature, k, u, many, NULL) == FS_OK, "%s, %s: no draws", fs_chosen(), text);
    agree("many", many, k);
    const double *first = u;
    memset(many, 0xff, k * sizeof *many);
    check(fs_sample_from(row, n, temperature, k, from_array, &first, many) == FS_OK && first == u + k,
          "%s, %s: no draws from a generator", fs_chosen(), text);
    agree("many, from a generator", many, k);
    first = u;
    check(fs_sample_from(row, n, temperature, FEW, from_array, &first, many) == FS_OK && first == u + FEW,
          "%s, %s: no few draws from a generator", fs_chosen(), text);
    agree("few, from a generator", many, FEW);
    check(fs_categorical_size(n) > 0 && fs_categorical_build(row, n, temperature, memory) == FS_OK,
          "%s, %s: not prepared", fs_chosen(), text);
    memset(prepared, 0xff, k * sizeof *prepared);
    fs_categorical_draw(memory, k, u, prepared);
    agree("prepared", prepared, k);
    const double *next = u;
    memset(prepared, 0xff, k * sizeof *prepared);
    fs_categorical_draw_from(memory, k, from_array, &next, prepared);
    agree("prepared, from a generator", prepared, k);
    check(next == u + k, "%s: not one uniform a draw", text);
}

static size_t put_uniform(size_t k, double value)
{
    if (value >= 0.0 && value < 1.0 && k < MOST)
        u[k++] = value;
    return k;
}

/* The largest u that draws an index of less than i; `draws` is a draw without a table. */
static double last_below(const fs_row *row, size_t n, double temperature, size_t i, double guess)
{
    int64_t index;
    double low = 0.0, high = 1.0;
    for (double width = 0x1p-50; width < 1.0; width *= 16.0) { /* a bracket around what floating point makes of it */
        double a = guess - width > 0.0 ? guess - width : 0.0, b = guess + width < 1.0 ? guess + width : 1.0 - 0x1p-53;
        fs_sample(row, n, temperature, 1, &a, &index, NULL);
        int64_t at_b;
        fs_sample(row, n, temperature, 1, &b, &at_b, NULL);
        if ((size_t)index < i && (size_t)at_b >= i) {
            low = a, high = b;
            break;
        }
    }
    if (high == 1.0)
        return guess;
    while (nextafter(low, 1.0) < high) {
        double middle = low + (high - low) / 2;
        fs_sample(row, n, temperature, 1, &middle, &index, NULL);
        if ((size_t)index < i)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* share[i]: about the probability of the entries up to i. */
static void sum_shares(const fs_row *row, size_t n, double temperature)
{
    double max = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double logit = row->probs ? log(get(x, row->dtype, i)) : get(x, row->dtype, i);
        max = logit > max ? logit : max;
    }
    for (size_t i = 0; i < n; i++) {
        double logit = row->probs ? log(get(x, row->dtype, i)) : get(x, row->dtype, i);
        share[i] = sum += logit == max ? 1.0 : exp((logit - max) / temperature);
    }
    for (size_t i = 0; i < n; i++)
        share[i] /= sum;
}

/* Both sides of bounds, to the last bit of u and to the last bit of the table; the ends; and anything. */
static void test_row(const fs_row *row, size_t n, double temperature, random_stream *r)
{
    static const double ends[] = {0.0,     0x1p-1074, 0x1.8p-1060, 0x1p-1022,     0x1p-70,         0x1p-64,
                                  0x1p-53, 0x1p-33,   0x1.8p-12,   1.0 - 0x1p-33, 1.0 - 0x1.8p-32, 1.0 - 0x1p-53};
    static const double units[] = {0x1p-53, 0x1p-52, 0x1p-50, 0x1p-34, 0x1p-33, 0x1p-32, 0x1.8p-32, 0x1p-31, 0x1p-30};
    size_t k = 0;
    sum_shares(row, n, temperature);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        k = put_uniform(k, ends[i]);
    for (size_t i = 0; i < 64; i++)
        k = put_uniform(k, (double)i / 64.0);
    size_t few = n < NEAR ? 1 : n / NEAR;
    for (size_t i = few > 1 ? below(r, few) : 0; i < n && k + 24 < MOST; i += few) {
        double guess = (i + few) % 32 ? share[i] : last_below(row, n, temperature, i + 1, share[i]);
        k = put_uniform(k, guess);
        k = put_uniform(k, nextafter(guess, 0.0));
        k = put_uniform(k, nextafter(guess, 1.0));
        size_t step = n < 40 ? 1 : sizeof units / sizeof units[0];
        for (size_t j = below(r, step); j < sizeof units / sizeof units[0]; j += step) {
            k = put_uniform(k, guess + units[j]);
            k = put_uniform(k, guess - units[j]);
        }
        double edge = floor(guess * 0x1p32) * 0x1p-32;
        k = put_uniform(k, edge);
        k = put_uniform(k, nextafter(edge, 0.0));
        k = put_uniform(k, edge + 0x1p-32);
        k = put_uniform(k, edge - 0x1p-32);
    }
    while (k < 64 || k < n / 32 + 200) /* enough for a table, whatever n is */
        k = put_uniform(k, next_uniform(r) * (below(r, 8) ? 1.0 : 0x1p-30));
    test_uniforms(row, n, temperature, k);
}

typedef enum {
    PLAIN,
    PEAK_FIRST,
    PEAK_LAST,
    GEOMETRIC,
    WIDER,
    HOLES,
    ALIKE,
    RARE,
    STEEP,
    BLOCKS,
    CROWDS,
    SHAPES
} shape;

static const char *const shape_name[] = {"normal",
                                         "all mass in the first",
                                         "all mass in the last",
                                         "geometric",
                                         "wide",
                                         "holes",
                                         "alike",
                                         "rare events",
                                         "steep",
                                         "blocks of no mass",
                                         "crowds"};

static double logit_of(shape s, size_t i, size_t n, random_stream *r)
{
    switch (s) {
    case PEAK_FIRST: return i ? -40.0 + next_normal(r) : 0.0;
    case PEAK_LAST: return i + 1 < n ? -40.0 + next_normal(r) : 0.0;
    case GEOMETRIC: return -0.01 * (double)i;
    case WIDER: return 8.0 * next_normal(r);
    case HOLES: return below(r, 3) || i == n / 2 ? next_normal(r) : -INFINITY;
    case ALIKE: return 0.0;
    case RARE: return i % 3 ? -34.657359027997264 : 0.0; /* 2^-50 */
    case STEEP: return -3.0 * (double)(i % 300);
    case BLOCKS: return i / 300 % 5 == 2 ? next_normal(r) : i == n - 1 ? 0.0 : -INFINITY;
    case CROWDS: return i % 64 ? -9.0 + next_normal(r) : 0.0; /* many bounds in one cell */
    default: return 2.0 * next_normal(r);
    }
}

static void test_shapes(size_t n, random_stream *r)
{
    for (int s = 0; s < SHAPES; s++)
        for (int kind = 0; kind < 6; kind++) {
            fs_dtype dtype = (fs_dtype)(kind % 4);
            int probs = kind >= 4 || (n + (size_t)s) % 7 == 0;
            if (n > 5000 && (kind + s) % 3)
                continue;
            for (size_t i = 0; i < n; i++) {
                double logit = logit_of((shape)s, i, n, r);
                put(x, dtype, i, probs ? exp(logit < 10.0 ? logit : 10.0) : logit);
            }
            fs_row row = {x, (ptrdiff_t)size_of(dtype), dtype, probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
            double temperature = kind % 2 || probs ? 1.0 : 0.7;
            snprintf(text, sizeof text, "%zu %s %s, %s", n, dtype_name[dtype], probs ? "probabilities" : "logits",
                     shape_name[s]);
            test_row(&row, n, temperature, r);
        }
}

/* Integer weights: bounds that are uniforms themselves, and many ties. */
static void test_integers(size_t n, random_stream *r)
{
    for (int dtype = 0; dtype < 2; dtype++) {
        uint64_t sum = 0, total = (uint64_t)1 << 24;
        for (size_t i = 0; i < n; i++) {
            uint64_t weight = i + 1 == n ? total - sum : below(r, 2) ? below(r, 2 * total / n) : 0;
            weight = sum + weight > total ? total - sum : weight;
            put(x, (fs_dtype)dtype, i, (double)weight);
            sum += weight;
        }
        fs_row row = {
            x, (ptrdiff_t)size_of((fs_dtype)dtype), (fs_dtype)dtype, 1, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
        snprintf(text, sizeof text, "%zu %s integers", n, dtype_name[dtype]);
        test_row(&row, n, 1.0, r);
    }
}

/* Mask, bias, stride; temperatures and entries at their limits. */
static void test_sources(size_t n, random_stream *r)
{
    static unsigned char mask[LONGEST];
    static double bias[LONGEST];
    static const double temperatures[] = {0.0, 1e-300, 0x1p-1074, 1e300, INFINITY, 1.0, 1.0};
    for (int dtype = 0; dtype < 4; dtype++)
        for (int t = 0; t < 7; t++) {
            for (size_t i = 0; i < n; i++) {
                mask[i] = (unsigned char)(below(r, 3) > 0 || i == n / 2);
                bias[i] = next_normal(r);
                put(x, (fs_dtype)dtype, i, t == 5 && i % 5 == 1 ? INFINITY : next_normal(r));
            }
            if (t == 5)
                put(x, (fs_dtype)dtype, n / 2, INFINITY);
            fs_row row = {
                x, (ptrdiff_t)size_of((fs_dtype)dtype), (fs_dtype)dtype, 0, FS_MASK_BYTES, mask, 1, bias, 8, NULL, 0};
            snprintf(text, sizeof text, "%zu %s with mask and bias, temperature %g", n, dtype_name[dtype],
                     temperatures[t]);
            test_row(&row, n, temperatures[t], r);
        }
}

/* Rows that cannot be drawn from say so, and log-probabilities are those of the draws. */
static void test_refusals(size_t n, random_stream *r)
{
    double v[64], logprob[64], again[64];
    int64_t index[64];
    for (int probs = 0; probs < 2; probs++) {
        fs_row row = {x, 8, FS_F64, probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
        for (size_t i = 0; i < n; i++)
            put(x, FS_F64, i, probs ? 0.0 : -INFINITY);
        for (double t = 0.0; t < 3.0; t += 1.0) {
            check(fs_categorical_build(&row, n, t, memory) == FS_NO_MASS, "no mass is not noticed");
            check(fs_logprob(&row, n, t, 1, (int64_t[]){0}, logprob) == FS_NO_MASS, "no mass is not noticed");
            put_nan(x, FS_F64, n / 2, next_word(r));
            check(fs_categorical_build(&row, n, t, memory) == FS_NAN, "NaN is not noticed");
            put(x, FS_F64, n / 2, probs ? 0.0 : -INFINITY);
            checks += 3;
        }
        for (size_t i = 0; i < n; i++)
            put(x, FS_F64, i, probs ? next_uniform(r) : next_normal(r));
        for (size_t j = 0; j < 64; j++)
            v[j] = next_uniform(r);
        for (double t = 0.0; t < 3.0; t += 1.0) {
            fs_sample(&row, n, t, 64, v, index, logprob);
            check(fs_logprob(&row, n, t, 64, index, again) == FS_OK && !memcmp(logprob, again, sizeof again),
                  "another log-probability than that of the draw, %zu entries, temperature %g", n, t);
            checks++;
        }
    }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1,   2,   3,   5,    7,    10,   16,   17,   31,   33,   64,   100,  255,  511,
                                     512, 513, 700, 1000, 1023, 1024, 1025, 1537, 2047, 2048, 2049, 4096, 4097, 5000};
    size_t every = (size_t)option(argc, argv, "--every", 1), count = sizeof lengths / sizeof lengths[0], tried = 0;
    random_stream r = {11};
    memory = workspace(fs_categorical_size(LONGEST));
    for (size_t s = 0; fs_available(s); s++) {
        fs_choose(fs_available(s));
        for (size_t i = 0; i < count; i++)
            if (tried++ % every == 0) {
                test_shapes(lengths[i], &r);
                test_integers(lengths[i], &r);
                test_sources(lengths[i], &r);
                test_refusals(lengths[i], &r);
            }
        if (every == 1)
            test_shapes(LONGEST, &r);
    }
    check(fs_categorical_size(((size_t)1 << 26) + 1) == 0, "a row longer than any can be has a size");
    free(memory);
    return finish("many", checks);
}

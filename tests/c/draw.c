/* The draw at every boundary between bins, by integers.
 *
 *     draw [--every K]
 *
 * The rows below have weights that are integers times a power of two, so that their cumulative sums C are exact.  For
 * every boundary C_i / C_n the uniforms nearest to it on both sides are drawn with; the index must be the smallest i
 * with C_i > u C_n, which is decided in 128-bit integers.  --every K takes one in K of the lengths. */
#include "testing.h"

__extension__ typedef unsigned __int128 uint128;

enum { LONGEST = 5000, BATCH = 512 };

static unsigned long long checks;
static uint64_t cumulative[LONGEST];
static char text[200];

/* The smallest i whose cumulative weight exceeds u times the total. */
static size_t expected_index(double u, size_t n)
{
    int exponent;
    uint128 mantissa = (uint64_t)ldexp(frexp(u, &exponent), 53);
    int shift = 53 - exponent;
    uint64_t t = shift < 128 ? (uint64_t)(mantissa * cumulative[n - 1] >> shift) : 0; /* C > t just as C > u C_n */
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cumulative[middle] > t)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Uniforms wait here to be drawn with together. */
static struct {
    double u[BATCH];
    size_t count;
} waiting;

static void draw_waiting(const fs_row *row, size_t n, double temperature)
{
    int64_t index[BATCH], rows_index[BATCH];
    size_t k = waiting.count;
    check(fs_sample(row, n, temperature, k, waiting.u, index, NULL) == FS_OK, "%s: no draw", text);
    memcpy(rows_index, index, sizeof index);
    int rows = !row->probs && row->mask_kind == FS_MASK_NONE && (n <= 64 || checks / BATCH % 32 == 0);
    if (rows) /* the same row k times over, for some of the batches */
        sample_rows(row->dtype, row->data, 0, k, n, &temperature, 0, waiting.u, rows_index);
    for (size_t j = 0; j < k; j++) {
        int64_t expected = (int64_t)expected_index(waiting.u[j], n);
        check(index[j] == expected && rows_index[j] == expected,
              "%s, %s: u = %a gives %lld (sample) and %lld (sample_rows), not %lld", fs_chosen(), text, waiting.u[j],
              (long long)index[j], (long long)rows_index[j], (long long)expected);
    }
    checks += k;
    waiting.count = 0;
}

static void draw(const fs_row *row, size_t n, double temperature, double u)
{
    if (!(u >= 0.0 && u < 1.0))
        return;
    waiting.u[waiting.count++] = u;
    if (waiting.count == BATCH)
        draw_waiting(row, n, temperature);
}

/* Every boundary, from both sides, and the ends. */
static void test_boundaries(const fs_row *row, size_t n, double temperature)
{
    static const double ends[] = {0.0, 0x1p-1074, 0x1p-1022, 0x1p-70, 0x1p-64, 0x1p-53, 0x1.8p-12, 1.0 - 0x1p-53};
    double before = -1.0;
    for (size_t i = 0; i < n; i++) {
        double u = (double)cumulative[i] / (double)cumulative[n - 1];
        if (u == before)
            continue;
        before = u;
        draw(row, n, temperature, nextafter(nextafter(u, 0.0), 0.0));
        draw(row, n, temperature, nextafter(u, 0.0));
        draw(row, n, temperature, u);
        draw(row, n, temperature, nextafter(u, 1.0));
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        draw(row, n, temperature, ends[i]);
    draw_waiting(row, n, temperature);
}

static void accumulate(const uint64_t *weight, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        cumulative[i] = sum += weight[i];
}

static fs_row row_of(const void *data, fs_dtype dtype, int probs)
{
    fs_row row = {data, (ptrdiff_t)size_of(dtype), dtype, probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    return row;
}

/* n equal logits: bin i is [i/n, (i + 1)/n). */
static void test_equal_logits(size_t n)
{
    static char x[8 * LONGEST];
    static uint64_t weight[LONGEST];
    static const double levels[] = {0.0, -1e4, 1e4, 0.3};
    for (int dtype = 0; dtype < 4; dtype++)
        for (size_t l = 0; l < 4; l++) {
            /* 0.3 is 2^f with any f: its block sums need not be exact, so it has one block */
            if (n > (l < 3 ? LONGEST : dtype == FS_F64 ? 512 : 1024) || (l && n % 5))
                continue;
            for (size_t i = 0; i < n; i++) {
                put(x, (fs_dtype)dtype, i, levels[l]);
                weight[i] = 1;
            }
            accumulate(weight, n);
            fs_row row = row_of(x, (fs_dtype)dtype, 0);
            snprintf(text, sizeof text, "%zu %s logits of %g", n, dtype_name[dtype], levels[l]);
            test_boundaries(&row, n, l == 3 ? 0.7 : 1.0);
        }
}

/* With temperature log2(e) an integer logit x has the weight 2^x. */
static void test_powers_of_two(size_t n, random_stream *r)
{
    static char x[8 * LONGEST];
    static uint64_t weight[LONGEST];
    static unsigned char mask[LONGEST];
    for (int dtype = 0; dtype < 4; dtype++) {
        uint64_t depth = dtype == FS_F64 ? 4 : 14; /* the error of the temperature stays below half an ulp */
        fs_row row = row_of(x, (fs_dtype)dtype, 0);
        row.mask_kind = n % 3 ? FS_MASK_NONE : FS_MASK_BYTES;
        row.mask = mask;
        row.mask_stride = 1;
        for (size_t i = 0; i < n; i++) {
            uint64_t down = i == n / 2 ? 0 : below(r, depth);
            int absent = i != n / 2 && below(r, 4) == 0;
            mask[i] = (unsigned char)(!absent || row.mask_kind == FS_MASK_NONE);
            put(x, (fs_dtype)dtype, i, absent && mask[i] ? -INFINITY : -(double)down);
            weight[i] = absent ? 0 : (uint64_t)1 << (13 - down);
        }
        accumulate(weight, n);
        snprintf(text, sizeof text, "%zu %s logits -k log 2%s", n, dtype_name[dtype], n % 3 ? "" : ", masked");
        test_boundaries(&row, n, 0x1.71547652b82fep+0);
    }
}

/* Probabilities (any weights) that are integers, many of them 0. */
static void test_probabilities(size_t n, random_stream *r)
{
    static const uint64_t bounds[] = {1 << 24, 1 << 30, 1 << 11, 1 << 8}; /* by dtype: integers it holds */
    static char x[8 * LONGEST];
    static uint64_t weight[LONGEST];
    for (int dtype = 0; dtype < 4; dtype++) {
        uint64_t bound = bounds[dtype];
        uint64_t sparse = 1 + below(r, 3);
        for (size_t i = 0; i < n; i++) {
            weight[i] = i == n / 3 || below(r, sparse) == 0 ? 1 + below(r, bound - 1) : 0;
            if (i % 700 > 600) /* a block of small ones among blocks of large ones */
                weight[i] %= 7;
            put(x, (fs_dtype)dtype, i, (double)weight[i]);
        }
        weight[n / 3] += weight[n / 3] == 0;
        put(x, (fs_dtype)dtype, n / 3, (double)weight[n / 3]);
        accumulate(weight, n);
        fs_row row = row_of(x, (fs_dtype)dtype, 1);
        snprintf(text, sizeof text, "%zu %s probabilities", n, dtype_name[dtype]);
        test_boundaries(&row, n, 1.0);
    }
}

/* Blocks that begin and end with entries of no weight, and a total that is a power of two: then a uniform hits the
 * boundary between two blocks exactly. */
static void test_block_boundaries(random_stream *r)
{
    static char x[8 * LONGEST];
    static uint64_t weight[LONGEST];
    enum { COUNT = 4096, PART = 512, LIVE = 256 };
    for (int dtype = 0; dtype < 4; dtype++)
        for (int probs = 0; probs < 2; probs++) {
            fs_row row = row_of(x, (fs_dtype)dtype, probs);
            size_t first = 1 + below(r, PART - LIVE - 2);
            for (size_t i = 0; i < COUNT; i++) {
                weight[i] = i % PART >= first && i % PART < first + LIVE;
                put(x, (fs_dtype)dtype, i, probs ? (double)weight[i] : weight[i] ? 0.0 : -INFINITY);
            }
            accumulate(weight, COUNT);
            snprintf(text, sizeof text, "blocks of %s %s", dtype_name[dtype], probs ? "probabilities" : "logits");
            test_boundaries(&row, COUNT, 1.0);
        }
}

/* Any probabilities or logits at all: an entry of weight 0 is not drawn, nor one past the end. */
static void test_zero_is_never_drawn(size_t n, random_stream *r)
{
    static char x[8 * LONGEST];
    double u[BATCH];
    int64_t index[BATCH];
    for (int dtype = 0; dtype < 4; dtype++)
        for (int probs = 0; probs < 2; probs++) {
            fs_row row = row_of(x, (fs_dtype)dtype, probs);
            for (size_t i = 0; i < n; i++) {
                double one = probs ? next_uniform(r) : 3.0 * next_normal(r);
                put(x, (fs_dtype)dtype, i, below(r, 3) ? probs ? 0.0 : -INFINITY : one);
            }
            put(x, (fs_dtype)dtype, below(r, n), 1.0);
            for (int j = 0; j < BATCH; j++)
                u[j] = j == 0 ? 0.0 : j == 1 ? 1.0 - 0x1p-53 : next_uniform(r);
            check(fs_sample(&row, n, 1.0, BATCH, u, index, NULL) == FS_OK, "%s: no draw of %zu", fs_chosen(), n);
            for (int j = 0; j < BATCH; j++) {
                int inside = index[j] >= 0 && (size_t)index[j] < n;
                check(inside && get(x, (fs_dtype)dtype, (size_t)index[j]) > (probs ? 0.0 : -INFINITY),
                      "%s: u = %a draws entry %lld of %zu %s %s, which has no weight", fs_chosen(), u[j],
                      (long long)index[j], n, dtype_name[dtype], probs ? "probabilities" : "logits");
            }
            checks += BATCH;
        }
}

int main(int argc, char **argv)
{
    size_t every = (size_t)option(argc, argv, "--every", 1);
    static const size_t lengths[] = {2047, 2048, 2049, 3072, 4095, 4096, 4097, LONGEST};
    random_stream r = {3};
    for (size_t s = 0; fs_available(s); s++) {
        fs_choose(fs_available(s));
        test_block_boundaries(&r);
        for (size_t i = 0; i < 2000 + sizeof lengths / sizeof lengths[0]; i++) {
            size_t n = i < 2000 ? i + 1 : lengths[i - 2000];
            if (i < 2000 ? n > 7000 / (every + 100) && (n + s) % every : (i + s) % (every < 8 ? every : 8))
                continue;
            test_equal_logits(n);
            test_powers_of_two(n, &r);
            test_probabilities(n, &r);
            test_zero_is_never_drawn(n, &r);
        }
    }
    return finish("draw", checks);
}

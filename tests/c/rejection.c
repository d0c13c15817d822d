/* Draws by rejection: those of every set against their definition in docs/rejection.md, with weights in long double; rows of
 * every kind alike on all sets; and many rows as each alone.
 *
 *     rejection [--every K]
 *
 * --every K takes one case in K. */
#include "base/philox.h"
#include "rows.h"

enum { ROWS = 400, LONGEST = 12000, MOST_ROWS = 20 };

static unsigned long long checks;

/* The definition, for a plain row of at least one entry above -inf. */
static int64_t defined(const double *x, size_t n, double temperature, uint64_t seed, uint64_t key, uint64_t step)
{
    static uint64_t envelope[LONGEST];
    const size_t columns = (n + 1023) / 1024 * 32;
    double max = -INFINITY;
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t c = 0; c < columns; c++) {
        envelope[c] = 0;
        for (size_t i = c / 32 * 1024 + c % 32; i < n && i < (c / 32 + 1) * 1024; i += 32)
            if (x[i] > -INFINITY) {
                const double depth = floor((max - x[i]) * (0x1.71547652b82fep+0 / temperature));
                const uint64_t bound = depth < 32 ? UINT64_C(1) << 32 >> (int)depth : 1;
                envelope[c] = bound > envelope[c] ? bound : envelope[c];
            }
        total += envelope[c];
    }
    for (uint64_t proposal = 0;; proposal++) {
        const fs_philox words = fs_philox_of(seed, key, step, 2, proposal / 2, 0);
        const uint64_t *word = words.word + proposal % 2 * 2;
        fs_u128 place = fs_multiply(word[0], total);
        if (place.low < (0 - total) % total)
            continue;
        size_t c = 0;
        while (place.high >= envelope[c])
            place.high -= envelope[c++];
        const size_t i = c / 32 * 1024 + (size_t)(word[1] >> 59) * 32 + c % 32;
        if (i >= n || x[i] == -INFINITY)
            continue;
        const long double weight = expl(((long double)x[i] - (long double)max) / (long double)temperature);
        if (ldexpl((long double)(word[1] & ((UINT64_C(1) << 59) - 1)), -59) <
            weight * 0x1p32L / (long double)envelope[c])
            return (int64_t)i;
    }
}

static void test_definition(size_t i, const char *set)
{
    static const double temperatures[] = {0.05, 0.7, 1.0, 1.0 / 3.0, 0x1.71547652b82fep+0, 4.0, 1e6};
    static double x[LONGEST], entries[LONGEST];
    random_stream r = {i};
    const size_t n = FS_REJECTION_FROM + below(&r, LONGEST - FS_REJECTION_FROM);
    const fs_dtype dtype = (fs_dtype)below(&r, 2);
    const double temperature = temperatures[below(&r, 7)], spread = below(&r, 4) ? 2.0 : 0.0;
    const int whole = below(&r, 3) == 0, holes = below(&r, 3) == 0;
    for (size_t j = 0; j < n; j++) {
        const double value = spread * next_normal(&r);
        put(entries, dtype, j, holes && below(&r, 3) ? -INFINITY : whole ? rint(value) : value);
        x[j] = get(entries, dtype, j);
    }
    const fs_row row = plain_row(entries, dtype);
    const uint64_t seed = next_word(&r), key = next_word(&r), step = below(&r, 9) ? below(&r, 1000) : UINT64_MAX;
    int64_t index = -1;
    const fs_status status = fs_sample_seeded(&row, n, temperature, seed, key, step, &index, NULL);
    const int64_t expected = defined(x, n, temperature, seed, key, step);
    checks++;
    check(status == FS_OK && index == expected, "row %zu, %s, n = %zu, temperature %g: %lld, not %lld", i, set, n,
          temperature, (long long)index, (long long)expected);
}

/* A row of any kind: the same status, index and log-probability on every set. */
static void test_sets(size_t i)
{
    static const double temperatures[] = {0.0, 1e-300, 1e-30, 0.7, 1.0, 5.0, 1e40, INFINITY};
    random_stream r = {i};
    const size_t n = FS_REJECTION_FROM - 2 + below(&r, 3000);
    const fs_dtype dtype = (fs_dtype)below(&r, 4);
    const data_kind data = (data_kind)below(&r, KINDS);
    const row_kind kind = (row_kind)below(&r, ROW_KINDS);
    const double temperature = temperatures[below(&r, 8)];
    made_row m = make_row(n, dtype, data, kind, &r);
    int64_t first = -1;
    double first_logprob = 0.0;
    fs_status first_status = FS_OK;
    for (size_t s = 0; fs_available(s); s++) {
        int64_t index = -1;
        double logprob = 0.0;
        fs_choose(fs_available(s));
        const fs_status status = fs_sample_seeded(&m.row, n, temperature, i, ~i, 3, &index, &logprob);
        if (s == 0) {
            first = index, first_logprob = logprob, first_status = status;
            check(status != FS_OK || (index >= 0 && (size_t)index < n), "index %lld of %zu", (long long)index, n);
        }
        checks++;
        check(status == first_status && index == first && !memcmp(&logprob, &first_logprob, sizeof logprob),
              "%s, %s, %s of %s, temperature %g: %d, %lld, %a; %d, %lld, %a before", fs_available(s), row_name[kind],
              kind_name[data], dtype_name[dtype], temperature, (int)status, (long long)index, logprob,
              (int)first_status, (long long)first, first_logprob);
        if (status == FS_OK) { /* and what is drawn has a probability */
            double p = 0.0;
            fs_logprob(&m.row, n, temperature, 1, &index, &p);
            check(p > -INFINITY && p == logprob, "the log-probability %a is not %a", logprob, p);
        }
    }
    free_row(&m);
}

/* Many rows, one below the other or side by side, with a mask or a bias for all: each as it is drawn from alone. */
static void test_rows(size_t i, const char *set)
{
    static const double temperatures[] = {0.0, 0.7, 1.0, 1e40};
    random_stream r = {i};
    const size_t rows = 1 + below(&r, MOST_ROWS),
                 n = below(&r, 4) ? FS_REJECTION_FROM + below(&r, 2000) : 1 + below(&r, 300);
    const fs_dtype dtype = (fs_dtype)below(&r, 4);
    const size_t size = size_of(dtype);
    made_row m = make_row(n, dtype, NORMAL, (row_kind)below(&r, ROW_KINDS), &r);
    const int beside = below(&r, 3) > 0, one = (int)below(&r, 2), with_logprob = (int)below(&r, 2);
    double t[MOST_ROWS], logprob[MOST_ROWS];
    int64_t index[MOST_ROWS];
    uint64_t word[3][MOST_ROWS];
    char *x = workspace(rows * n * size), *entries = workspace(n * size);
    fs_rows all = {m.row, rows, n, (ptrdiff_t)(beside ? size : n * size), 0, 0, t, below(&r, 2) ? 8 : 0};
    all.row.data = x;
    all.row.stride = (ptrdiff_t)(beside ? rows * size : size);
    for (size_t j = 0; j < rows; j++) {
        t[j] = temperatures[below(&r, 4)];
        for (int k = 0; k < 3; k++)
            word[k][j] = next_word(&r);
        fill(entries, dtype, n, below(&r, 6) ? NORMAL : (data_kind)below(&r, KINDS), &r);
        for (size_t k = 0; k < n; k++) {
            if (m.row.probs)
                entries[(k + 1) * size - 1] &= 0x7f;
            memcpy(x + j * (size_t)all.step + k * (size_t)all.row.stride, entries + k * size, size);
        }
    }
    const fs_words seeds = {word[0], !one}, keys = {word[1], 1}, steps = {word[2], !one};
    check(fs_sample_seeded_rows(&all, seeds, keys, steps, index, with_logprob ? logprob : NULL) == rows,
          "not all rows drawn");
    for (size_t j = 0; j < rows; j++) {
        fs_row row = all.row;
        row.data = x + j * (size_t)all.step;
        int64_t alone = -1;
        double p = NAN;
        const fs_status status = fs_sample_seeded(&row, n, t[all.temperature_step ? j : 0], word[0][one ? 0 : j],
                                                  word[1][j], word[2][one ? 0 : j], &alone, &p);
        checks++;
        check(index[j] == (status == FS_OK ? alone : -1) &&
                  (!with_logprob || (status == FS_OK ? logprob[j] == p : logprob[j] != logprob[j])),
              "rows %zu, %s: row %zu of %zu, n = %zu, %s: %lld and %a, alone %lld and %a", i, set, j, rows, n,
              dtype_name[dtype], (long long)index[j], with_logprob ? logprob[j] : 0.0, (long long)alone, p);
    }
    free(x);
    free(entries);
    free_row(&m);
}

int main(int argc, char **argv)
{
    const size_t every = (size_t)option(argc, argv, "--every", 1);
    for (size_t i = 0; i < ROWS; i += every)
        for (size_t s = 0; fs_available(s); s++) {
            fs_choose(fs_available(s));
            test_definition(i, fs_available(s));
            test_rows(i, fs_available(s));
        }
    for (size_t i = 0; i < 4 * ROWS; i += every)
        test_sets(i);
    return finish("rejection", checks);
}

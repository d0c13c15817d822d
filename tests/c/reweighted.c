/* Smoothing and adaptive_p against their formulas in long double.
 *
 *     reweighted [--every K]
 *
 * --every K takes one row in K. */
#include "rows.h"

enum { LONGEST = 3000, ROWS = 6000 };

static unsigned long long checks;

static long double value[LONGEST], weight[LONGEST], kept_value[LONGEST];

static int descending(const void *a, const void *b)
{
    long double p = *(const long double *)a, q = *(const long double *)b;
    return p > q ? -1 : p < q;
}

/* The k-th largest of the values, and whether the next one is clearly below it. */
static long double boundary(size_t n, size_t k, int *clear)
{
    memcpy(kept_value, value, n * sizeof *value);
    qsort(kept_value, n, sizeof *kept_value, descending);
    *clear = k >= n || kept_value[k - 1] - kept_value[k] > 1e-9L * (1.0L + fabsl(kept_value[k]));
    return kept_value[k < n ? k - 1 : n - 1];
}

/* What smoothing makes of a quotient that is d below the largest. */
static long double smoothed(long double d, const fs_filters *f)
{
    long double k = (3.0L - (long double)f->smoothing_curve) / 2.0L,
                s = ((long double)f->smoothing_curve - 1.0L) / 2.0L;
    return -(long double)f->smoothing_factor * (k * d * d + s * d * d * d);
}

static void test_smoothing(const fs_row *row, size_t n, double temperature, random_stream *r, const char *set)
{
    static const double curves[] = {1.0, 1.0, 2.0, 3.0, 4.5};
    static double out[LONGEST];
    fs_filters f = no_filters();
    f.smoothing_factor = below(r, 3) ? next_uniform(r) : 8.0 * next_uniform(r);
    f.smoothing_curve = curves[below(r, 5)];
    f.temperature_last = below(r, 2) == 0;
    size_t k = below(r, 2) ? n : 1 + below(r, n);
    f.top_k = (int64_t)k;
    int64_t kept[1] = {(int64_t)below(r, n)};
    fs_indices keep = {kept, below(r, 2)};
    long double max = -INFINITY;
    int clear;
    for (size_t i = 0; i < n; i++) {
        value[i] = (long double)get(row->data, row->dtype, i) / (long double)temperature;
        max = value[i] > max ? value[i] : max;
    }
    long double low = boundary(n, k, &clear);
    for (size_t i = 0; i < n; i++)
        weight[i] = value[i];
    for (size_t i = 0; i < n; i++)
        value[i] = smoothed(max - value[i], &f);
    if (!f.temperature_last)
        low = boundary(n, k, &clear);
    fs_output to = {out, sizeof *out, FS_F64};
    char *scratch = workspace(fs_scratch_size(n));
    fs_status status = fs_truncate(row, n, temperature, &f, &keep, 0.5, scratch, &to);
    free(scratch);
    check(status == FS_OK, "%s: status %d of n = %zu", set, (int)status, n);
    for (size_t i = 0; clear && i < n; i++) {
        long double decides = f.temperature_last ? weight[i] : value[i];
        int expected = decides >= low || (keep.count && kept[0] == (int64_t)i);
        checks++;
        if (!check((out[i] > -INFINITY) == expected &&
                       (!expected || fabsl(value[i] - (long double)out[i]) <= 1e-12L * (1.0L + fabsl(value[i]))),
                   "%s: n = %zu, temperature %g, smoothing %g ^ %g, top_k %zu%s: entry %zu becomes %g, not %Lg", set,
                   n, temperature, f.smoothing_factor, f.smoothing_curve, k, f.temperature_last ? ", last" : "", i,
                   out[i], expected ? value[i] : -INFINITY))
            return;
    }
}

static void test_adaptive(const fs_row *row, size_t n, double temperature, random_stream *r, const char *set)
{
    fs_filters f = no_filters();
    size_t k = below(r, 2) ? n : 1 + below(r, n);
    f.top_k = (int64_t)k;
    double aim = below(r, 4) ? next_uniform(r) : (double)below(r, 2), logprob, before, u = next_uniform(r);
    long double total = 0.0L, sum = 0.0L, cumulative = 0.0L;
    int clear;
    int64_t index = -1;
    for (size_t i = 0; i < n; i++)
        value[i] = (long double)get(row->data, row->dtype, i) / (long double)temperature;
    long double low = boundary(n, k, &clear);
    for (size_t i = 0; i < n; i++)
        sum += value[i] >= low ? expl(value[i] - kept_value[0]) : 0.0L;
    for (size_t i = 0; i < n; i++) {
        long double d = fabsl(expl(value[i] - kept_value[0]) / sum - (long double)aim) / 0.3L;
        weight[i] = value[i] >= low ? expl(-10.0L * d * d / (1.0L + d)) : 0.0L;
        total += weight[i];
    }
    char *scratch = workspace(fs_scratch_size(n));
    fs_status status =
        fs_sample_adapted(row, n, temperature, &f, NULL, 0.5, aim, u, scratch, &index, &logprob, &before);
    free(scratch);
    checks++;
    if (!clear || !check(status == FS_OK && index >= 0 && (size_t)index < n, "%s: status %d draws %lld of %zu", set,
                         (int)status, (long long)index, n))
        return;
    for (size_t i = 0; i < (size_t)index; i++)
        cumulative += weight[i];
    long double p = expl(value[index] - kept_value[0]) / sum, margin = 1e-11L * total;
    check(cumulative <= (long double)u * total + margin &&
              cumulative + weight[index] >= (long double)u * total - margin && weight[index] > 0.0L &&
              fabsl((long double)before - p) <= 1e-6L * p &&
              fabsl((long double)logprob - logl(weight[index] / total)) <= 1e-9L,
          "%s: n = %zu, temperature %g, top_k %zu, aim %g, u = %a: %lld, of probability %g, before that %g", set, n,
          temperature, k, aim, u, (long long)index, exp(logprob), before);
}

int main(int argc, char **argv)
{
    static const double temperatures[] = {0.05, 0.7, 1.0, 4.0};
    static double entries[LONGEST];
    size_t every = (size_t)option(argc, argv, "--every", 1), sets = 0;
    while (fs_available(sets))
        sets++;
    for (size_t i = 0; i < ROWS; i += every) {
        random_stream r = {i};
        size_t n = below(&r, 8) ? 1 + below(&r, 150) : 1 + below(&r, LONGEST);
        double temperature = temperatures[below(&r, 4)];
        const char *set = fs_available(i / every % sets);
        fs_dtype dtype = (fs_dtype)below(&r, 2);
        fs_choose(set);
        for (size_t j = 0; j < n; j++)
            put(entries, dtype, j, 2.0 * next_normal(&r));
        fs_row row = plain_row(entries, dtype);
        test_smoothing(&row, n, temperature, &r, set);
        test_adaptive(&row, n, temperature, &r, set);
    }
    return finish("reweighted", checks);
}

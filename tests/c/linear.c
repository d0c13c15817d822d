/* No row takes the filters much longer than an ordinary one: their time is linear whatever the values.
 *
 *     linear [--limit R] [--verbose 1]
 *
 * Rows of 128,256 entries of every shape that could mislead a choice of pivots, a bound from maxima or a skipped
 * part, under each filter alone: the best of some runs, against that of normally distributed logits under the same
 * filter.  The limit on the ratio (30 unless given) is for an unoptimised or a busy machine to pass, and for anything
 * that is not linear to fail: n log n comparisons would take a hundred times as long, n^2 a million times. */
#include <time.h>

#include "rows.h"

enum { N = 128256, RUNS = 5, LONGER = 3 };

typedef enum {
    ORDINARY,
    FLAT,
    STEEP,
    ASCENDING,
    DESCENDING,
    SAME,
    TWO,
    ALL_BUT_ONE,
    TIES,
    ADJACENT,
    POWERS,
    EQUAL_SHARES,
    EVERY_PART,
    ONE_PART,
    OUTLIERS_AT_SAMPLES,
    OUTLIERS_DOUBLING,
    MOSTLY_ABSENT,
    ORGAN_PIPES,
    SHAPES
} shape;

static const char *const shape_name[] = {"ordinary",
                                         "flat",
                                         "steep",
                                         "ascending",
                                         "descending",
                                         "all the same",
                                         "two values",
                                         "all but one the same",
                                         "ties",
                                         "adjacent numbers",
                                         "powers of two",
                                         "equal shares",
                                         "one large in every part",
                                         "all large in one part",
                                         "outliers where samples are taken",
                                         "outliers at doubling distance",
                                         "mostly -inf",
                                         "organ pipes"};

static double value_of(shape kind, fs_dtype dtype, size_t i, random_stream *r)
{
    double ulp = dtype == FS_F64 ? 0x1p-52 : 0x1p-23;
    switch (kind) {
    case FLAT: return 1e-3 * next_normal(r);
    case STEEP: return 100.0 * next_normal(r);
    case ASCENDING: return (double)i * (20.0 / N);
    case DESCENDING: return (double)(N - i) * (20.0 / N);
    case SAME: return 0.625;
    case TWO: return i * UINT64_C(2654435761) >> 7 & 1 ? 0.5 : -0.5;
    case ALL_BUT_ONE: return i == N / 2 ? 1.0 : 0.0;
    case TIES: return (double)below(r, 30) / 4.0;
    case ADJACENT: return 1.0 + (double)(i * 7919 % N) * ulp;
    case POWERS: return -ldexp(1.0, (int)(i * 7919 % 120) - 60);
    case EQUAL_SHARES: { /* 2^j entries of weight 2^-j, so that most of the mass is in few */
        int level = 0;
        while ((i + 1) >> (level + 1))
            level++;
        return -0.6931 * level + 1e-4 * next_normal(r);
    }
    case EVERY_PART: return next_normal(r) + (i % 64 == 21 ? 8.0 : 0.0);
    case ONE_PART: return next_normal(r) + (i / 64 == 700 ? 8.0 : 0.0);
    case OUTLIERS_AT_SAMPLES: return next_normal(r) * 1e-3 + (i % (N / 64) < 8 ? 30.0 * next_normal(r) : 0.0);
    case OUTLIERS_DOUBLING:
        return 1.0 + (i % 800 ? (double)(i % 4096) * ulp : ldexp(below(r, 2) ? ulp : -ulp, (int)(i / 800 % 60)));
    case MOSTLY_ABSENT: return below(r, 100) ? -INFINITY : next_normal(r);
    case ORGAN_PIPES: return (double)(i < N / 2 ? i : N - i) * 1e-4;
    default: return 3.0 * next_normal(r);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double best_time(const fs_row *row, const fs_filters *f, void *scratch, const fs_output *out)
{
    double best = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        double before = seconds();
        fs_status status = fs_truncate(row, N, 1.0, f, NULL, 0.0, scratch, out);
        double taken = seconds() - before;
        check(status == FS_OK, "status %d", (int)status);
        best = taken < best ? taken : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    static const char *const filter_name[] = {
        "top_k 50",      "top_k n/2",     "top_p 0.95",   "top_p 0.5", "min_p 0.05", "typical_p 0.9",
        "typical_p 0.1", "top_n_sigma 1", "epsilon 1e-6", "eta 1e-4",  "xtc 1e-5",   "keep n/3 of typical_p"};
    enum { FILTERS = sizeof filter_name / sizeof filter_name[0] };
    static double ordinary[FILTERS];
    double limit = (double)option(argc, argv, "--limit", 30), worst = 0.0;
    long verbose = option(argc, argv, "--verbose", 0);
    unsigned long long checks = 0;
    fs_filters filters[FILTERS];
    for (size_t i = 0; i < FILTERS; i++)
        filters[i] = no_filters();
    filters[0].top_k = 50;
    filters[1].top_k = N / 2;
    filters[2].top_p = 0.95;
    filters[3].top_p = 0.5;
    filters[4].min_p = 0.05;
    filters[5].typical_p = 0.9;
    filters[6].typical_p = 0.1;
    filters[7].top_n_sigma = 1.0;
    filters[8].epsilon_cutoff = 1e-6;
    filters[9].eta_cutoff = 1e-4;
    filters[10].xtc_threshold = 1e-5;
    filters[10].xtc_probability = 1.0;
    filters[11].typical_p = 0.01;
    filters[11].min_tokens_to_keep = N / 3;
    char *x = workspace(8 * N), *out = workspace(8 * N), *scratch = workspace(fs_scratch_size(N));
    fs_choose(NULL);
    for (int dtype = FS_F32; dtype <= FS_F64; dtype++)
        for (int kind = 0; kind < SHAPES; kind++) {
            random_stream r = {(uint64_t)kind};
            for (size_t i = 0; i < N; i++)
                put(x, (fs_dtype)dtype, i, value_of((shape)kind, (fs_dtype)dtype, i, &r));
            fs_row row = plain_row(x, (fs_dtype)dtype);
            fs_output to = {out, row.stride, row.dtype};
            for (size_t f = 0; f < FILTERS; f++) {
                double taken = best_time(&row, &filters[f], scratch, &to);
                for (int again = 0; kind && again < LONGER && taken > limit * ordinary[f]; again++)
                    taken = best_time(&row, &filters[f], scratch, &to); /* was something else running? */
                if (kind == ORDINARY)
                    ordinary[f] = taken;
                double ratio = taken / ordinary[f];
                worst = ratio > worst ? ratio : worst;
                if (verbose)
                    printf("%-8s %-34s %-22s %9.1f us %7.2f\n", dtype_name[dtype], shape_name[kind], filter_name[f],
                           1e6 * taken, ratio);
                check(ratio <= limit, "%s, %s, %s: %.0f us, %.1f times the ordinary row", dtype_name[dtype],
                      shape_name[kind], filter_name[f], 1e6 * taken, ratio);
                checks++;
            }
        }
    printf("the worst row took %.1f times as long as the ordinary one\n", worst);
    free(x);
    free(out);
    free(scratch);
    return finish("linear", checks);
}

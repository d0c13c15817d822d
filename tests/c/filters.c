/* The kept sets of the filters, and the draws from them, against sorting in long double (sorting.h).
 *
 *     filters [--every K] [--seed S]
 *
 * Rows are of every shape that a cut meets: ties, few values, sorted ones, entries at -inf, weights that underflow,
 * maxima spread over the parts that are skipped as one or crowded in a few, values where the samples for a pivot are
 * taken unlike all others.  Some have weights that are integers: there every boundary is met exactly, and no decision
 * is close.  --every K takes one row in K. */
#include "rows.h"
#include "sorting.h"

enum { LONGEST = 135000, ROWS = 12000, DRAWS = 8 };

typedef enum {
    GAUSSIAN,
    WIDE_GAUSSIAN,
    TIED,
    TWO_VALUES,
    EQUAL,
    EQUAL_BUT_ONE,
    RISING,
    FALLING,
    HALF_ABSENT,
    ONE_A_PART,
    CROWDED,
    UNLIKE_SAMPLES,
    DOUBLING,
    NEIGHBOURS,
    FADING,
    FEW_HIGH,
    EXACT_LOGITS,
    EXACT_WEIGHTS,
    SHAPES
} shape;

static const char *const shape_name[] = {
    "gaussian",       "wide gaussian", "ties",        "two values",       "all equal",    "all equal but one",
    "rising",         "falling",       "half absent", "one large a part", "crowded",      "unlike samples",
    "doubling steps", "neighbours",    "fading",      "few high",         "exact logits", "exact weights"};

static unsigned long long checks, close_calls;

static double entry_of(shape kind, size_t i, size_t n, random_stream *r)
{
    static const double levels[] = {-3.5, 0.0, 1.25};
    switch (kind) {
    case WIDE_GAUSSIAN: return 70.0 * next_normal(r);
    case TIED: return (double)below(r, 9) - 4.0;
    case TWO_VALUES: return levels[below(r, 2)];
    case EQUAL: return 0.5;
    case EQUAL_BUT_ONE: return i == n / 3 ? 2.0 : -0.75;
    case RISING: return (double)i * 12.0 / (double)n;
    case FALLING: return (double)(n - i) * 12.0 / (double)n;
    case HALF_ABSENT: return below(r, 2) ? next_normal(r) : -INFINITY;
    case ONE_A_PART: return next_normal(r) + (i % 64 == 63 ? 6.0 : 0.0);
    case CROWDED: return next_normal(r) + (i / 64 == n / 100 ? 6.0 : 0.0);
    case UNLIKE_SAMPLES: return next_normal(r) + (i % (n / 64 + 1) < 2 ? 8.0 * (double)below(r, 3) - 8.0 : 0.0);
    case DOUBLING: return -ldexp(1.0, (int)below(r, 50) - 35);
    case NEIGHBOURS: return 1.0 + (double)below(r, 3000) * 0x1p-23;
    case FEW_HIGH: return next_normal(r) + (i < 8 + n / 50 ? 5.0 : 0.0);
    case FADING: return -(double)i * 100.0 / (double)n;
    case EXACT_LOGITS: return -(double)below(r, 5);
    case EXACT_WEIGHTS: return below(r, 3) ? (double)(1 + below(r, below(r, 4) ? 40 : 200)) : 0.0;
    default: return 2.0 * next_normal(r);
    }
}

/* Filters whose boundaries are met exactly by the integers of the two last shapes. */
static fs_filters exact_filters(random_stream *r, size_t n, shape kind)
{
    fs_filters f = no_filters();
    double part = ldexp(1.0, -(int)below(r, 14));
    if (below(r, 3) == 0)
        f.top_k = (int64_t)(1 + below(r, n + 1));
    if (below(r, 2) == 0)
        f.top_p = (double)below(r, 64) / 64.0;
    if (below(r, 3) == 0)
        f.epsilon_cutoff = part;
    if (below(r, 4) == 0) {
        f.xtc_threshold = below(r, 2) ? part / 4.0 : (double)(1 + below(r, 32)) / 64.0;
        f.xtc_probability = 1.0;
    }
    if (below(r, 4) == 0 && kind == EXACT_WEIGHTS)
        f.min_p = (double)(1 + below(r, 64)) / 64.0;
    if (below(r, 4) == 0)
        f.top_a = part;
    f.p_less = below(r, 4) == 0;
    if (below(r, 4) == 0)
        f.surprise = (double)below(r, 14);
    if (below(r, 4) == 0)
        f.min_tokens_to_keep = (int64_t)(1 + below(r, 20));
    if (below(r, 4) == 0)
        f.order = any_order(r, 0);
    return f;
}

/* What the oracle leaves of a row: a flag for each entry, and the sorted entries. */
typedef struct {
    entry memory[LONGEST];
    sorted_row left;
    unsigned char candidates[LONGEST];
    size_t there;
} judgement;

static void judge(judgement *j, const fs_row *row, size_t n, double temperature, const fs_filters *f,
                  const fs_indices *keep, double coin, long double margin)
{
    double none = row->probs ? 0.0 : -INFINITY;
    sorted_row s = {j->memory, 0, 0.0, margin, 0};
    for (size_t i = 0; i < n; i++) {
        double x = get(row->data, row->dtype, i);
        if (x > none)
            j->memory[s.count++] = (entry){0.0L, 0.0L, 0.0L, x, i};
    }
    j->there = s.count;
    memset(j->candidates, 0, n);
    if (s.count) {
        qsort(s.e, s.count, sizeof *s.e, by_value);
        apply_filters(&s, f, temperature, row->probs, coin);
        for (size_t i = 0; i < s.count; i++)
            j->candidates[s.e[i].i] = 1;
        for (size_t i = 0; i < keep->count; i++)
            j->candidates[keep->index[i]] |= get(row->data, row->dtype, (size_t)keep->index[i]) > none;
        s.e = j->memory;
        s.count = 0;
        for (size_t i = 0; i < n; i++)
            if (j->candidates[i])
                s.e[s.count++] = (entry){0.0L, 0.0L, 0.0L, get(row->data, row->dtype, i), i};
        qsort(s.e, s.count, sizeof *s.e, by_value);
        weigh(&s, temperature, row->probs);
    }
    j->left = s;
}

static int by_index(const void *a, const void *b)
{
    const entry *p = a, *q = b;
    return p->i < q->i ? -1 : 1;
}

/* Each index drawn is the smallest whose cumulative weight exceeds u times the total, as near as can be told. */
static void test_draws(judgement *j, const fs_row *row, size_t n, double temperature, const fs_filters *f,
                       const fs_indices *keep, double coin, void *scratch, random_stream *r, const char *text)
{
    double u[DRAWS] = {0.0, 1.0 - 0x1p-53}, logprob[DRAWS];
    int64_t index[DRAWS];
    long double total = total_of(&j->left), margin = j->left.margin > 0.0L ? j->left.margin : 1e-12L;
    for (int d = 2; d < DRAWS; d++)
        u[d] = next_uniform(r);
    fs_status status = fs_sample_filtered(row, n, temperature, f, keep, coin, DRAWS, u, scratch, index, logprob);
    checks += DRAWS;
    if (!check(status == FS_OK, "status %d: %s", (int)status, text))
        return;
    qsort(j->left.e, j->left.count, sizeof *j->left.e, by_index);
    for (int d = 0; d < DRAWS; d++) {
        int inside = index[d] >= 0 && (size_t)index[d] < n && j->candidates[index[d]];
        long double before = 0.0L, weight = 0.0L;
        if (!check(inside, "u = %a draws %lld, which is not kept: %s", u[d], (long long)index[d], text))
            return;
        for (size_t e = 0; e < j->left.count && j->left.e[e].i <= (size_t)index[d]; e++) {
            before += weight;
            weight = j->left.e[e].weight;
        }
        check(before <= (u[d] + margin) * total && before + weight >= (u[d] - margin) * total &&
                  fabsl(logl(weight / total) - logprob[d]) <= margin * (10.0L - logprob[d]),
              "u = %a draws %lld, log-probability %.17g: %s", u[d], (long long)index[d], logprob[d], text);
    }
}

static void test_row(shape kind, size_t n, const char *set, random_stream *r)
{
    static const double temperatures[] = {0.05, 0.5, 0.7, 1.0, 1.0, 1.5, 4.0, INFINITY};
    static judgement j;
    static char entries[8 * LONGEST], out[8 * LONGEST];
    int exact = kind == EXACT_LOGITS || kind == EXACT_WEIGHTS;
    fs_dtype dtype = (fs_dtype)(exact ? below(r, 2) : below(r, 4));
    fs_row row = plain_row(entries, dtype);
    double temperature = temperatures[below(r, sizeof temperatures / sizeof temperatures[0])], coin = next_uniform(r);
    for (size_t i = 0; i < n; i++)
        put(entries, dtype, i, entry_of(kind, i, n, r));
    if (kind == EXACT_WEIGHTS) {
        row.probs = 1;
        temperature = 1.0;
        put(entries, dtype, below(r, n), 3.0);
    } else if (kind == EXACT_LOGITS) {
        temperature = log2_e;
        put(entries, dtype, below(r, n), 0.0);
    } else if (kind == HALF_ABSENT) {
        put(entries, dtype, below(r, n), 1.0);
    } else if (below(r, 6) == 0 && dtype == FS_F32) { /* as probabilities, whose logarithms they are, or nearly */
        row.probs = 1;
        for (size_t i = 0; i < n; i++)
            put(entries, dtype, i, exp(-fabs(get(entries, dtype, i))));
    }
    fs_filters f = exact ? exact_filters(r, n, kind) : any_filters(r, n, 2 + below(r, 8));
    if (kind == FEW_HIGH && below(r, 4)) { /* most samples for a pivot hold none of the entries that matter */
        f = no_filters();
        f.typical_p = next_uniform(r);
    }
    if (exact || temperature == INFINITY)
        f.temperature_last = 0;
    f.dynatemp_range = f.smoothing_factor = 0.0; /* reweighted.c */
    int64_t kept[MOST_KEPT];
    fs_indices keep = any_kept(r, n, kept);
    /* a float weight is known to 2^-24, a double one to 2^-52; sums and logarithms of them not much worse */
    long double margin = exact ? 0.0L : dtype == FS_F64 || row.probs ? 1e-11L : 2e-6L;
    char *scratch = workspace(fs_scratch_size(n)), text[1000];
    snprintf(text, sizeof text, "%s, n = %zu, %s, %s%s, temperature %g, coin %g, %zu kept, %s", set, n,
             dtype_name[dtype], shape_name[kind], row.probs ? " (as probabilities)" : "", temperature, coin,
             keep.count, describe_filters(&f));
    judge(&j, &row, n, temperature, &f, &keep, coin, margin);
    fs_output to = {out, (ptrdiff_t)size_of(dtype), dtype};
    if (j.there == 0) {
        fs_status status = fs_truncate(&row, n, temperature, &f, &keep, coin, scratch, &to);
        check(status == FS_OK || status == FS_NO_MASS, "status %d of nothing: %s", (int)status, text);
    } else if (j.left.close) {
        close_calls++;
    } else {
        fs_status status = fs_truncate(&row, n, temperature, &f, &keep, coin, scratch, &to);
        check(status == FS_OK, "status %d of fs_truncate: %s", (int)status, text);
        for (size_t i = 0; i < n; i++) {
            double got = get(out, dtype, i), x = get(entries, dtype, i);
            if (fabs(x) / temperature < largest(dtype) &&
                !check((got > -INFINITY) == j.candidates[i], "entry %zu (%a) is %s: %s", i, x,
                       j.candidates[i] ? "dropped" : "kept", text))
                break;
            double value = temperature == INFINITY ? 0.0 : x / temperature;
            if (j.candidates[i] && dtype <= FS_F64 && !row.probs &&
                !check(got == (dtype == FS_F32 ? (double)(float)value : value), "entry %zu is %a, not %a: %s", i, got,
                       value, text))
                break;
        }
        checks += n;
        test_draws(&j, &row, n, temperature, &f, &keep, coin, scratch, r, text);
    }
    free(scratch);
}

/* Weights 1 and, m times as often, 1/m: both bring half of the mass, and both are ln(m) / 2 from the entropy.  So the
 * sorted order says which come first, whatever the rounding of the logits and of their mean: but for the few where
 * rounding puts the two on either side of a step of the distances. */
static void test_equal_distances(const char *set)
{
    size_t told_apart = 0, rows = 0;
    static const double temperatures[] = {0x1.71547652b82fep+0, 0.3, 1.0, 1.7};
    static const size_t ratios[] = {2, 3, 5, 6, 7, 11};
    for (size_t t = 0; t < sizeof temperatures / sizeof temperatures[0]; t++)
        for (size_t m = 0; m < sizeof ratios / sizeof ratios[0]; m++)
            for (size_t times = 1; times <= 1000; times += times < 20 ? 2 : 198)
                for (size_t part = 1; part < 8; part += 2) {
                    size_t ratio = ratios[m], n = (ratio + 1) * times, large = 0, small = 0;
                    char *entries = workspace(8 * n), *out = workspace(8 * n),
                         *scratch = workspace(fs_scratch_size(n));
                    for (size_t i = 0; i < n; i++)
                        put(entries, FS_F64, i, i % (ratio + 1) == 1 ? 0.0 : -temperatures[t] * log((double)ratio));
                    fs_row row = plain_row(entries, FS_F64);
                    fs_output to = {out, row.stride, row.dtype};
                    fs_filters f = no_filters();
                    f.typical_p = (double)part / 8.0; /* odd eighths of an odd number: no mass is reached exactly */
                    fs_truncate(&row, n, temperatures[t], &f, NULL, 0.0, scratch, &to);
                    for (size_t i = 0; i < n; i++) {
                        large += get(out, FS_F64, i) == 0.0;
                        small += get(out, FS_F64, i) > -INFINITY && get(out, FS_F64, i) < 0.0;
                    }
                    size_t wanted = (part * times + 3) / 4, expected_large = wanted < times ? wanted : times;
                    size_t expected_small = wanted <= times ? 0 : (part * times * ratio + 3) / 4 - times * ratio;
                    told_apart += large != expected_large || small != expected_small;
                    rows++;
                    checks++;
                    free(entries);
                    free(out);
                    free(scratch);
                }
    check(told_apart <= rows / 50, "%s: the order of %zu of %zu rows of ties is not the sorted one", set, told_apart,
          rows);
}

int main(int argc, char **argv)
{
    size_t every = (size_t)option(argc, argv, "--every", 1), sets = 0, seed = (size_t)option(argc, argv, "--seed", 0);
    while (fs_available(sets))
        sets++;
    for (size_t s = 0; s < sets; s++) {
        fs_choose(fs_available(s));
        test_equal_distances(fs_available(s));
    }
    for (size_t i = 0; i < ROWS; i += every) {
        random_stream r = {i + seed * ROWS};
        size_t lengths[] = {1 + below(&r, 70), 120 + below(&r, 20), 1 + below(&r, 1100), 1000 + below(&r, 4000)};
        size_t n = below(&r, 100) ? lengths[below(&r, 4)] : LONGEST - below(&r, 100000);
        const char *set = fs_available(i / every % sets);
        fs_choose(set);
        test_row(i % 4 ? (shape)below(&r, SHAPES) : FEW_HIGH, n, set, &r);
    }
    check(close_calls * every < ROWS / 4, "%llu rows of %d say nothing", close_calls, ROWS);
    return finish("filters", checks);
}

/* First entries and ranks against a sort, draws without replacement against what is left in long double, and drafts against
 * fractions.
 *
 *     ranking [--every K]
 *
 * --every K takes one row in K. */
#include "rows.h"

enum { ROWS = 6000, LONGEST = 6000, ENTRIES = 64 };

static unsigned long long checks;

typedef struct {
    long double key;
    size_t i;
} ranked;

/* Key descending, index ascending. */
static int by_key(const void *a, const void *b)
{
    const ranked *p = a, *q = b;
    if (p->key != q->key)
        return p->key > q->key ? -1 : 1;
    return p->i < q->i ? -1 : 1;
}

static void fill_row(void *x, fs_dtype dtype, size_t n, random_stream *r)
{
    static const data_kind kinds[] = {NORMAL,        WIDE,          OFFSET_DOWN, CONSTANT, SOME_MINUS_INF,
                                      SOME_PLUS_INF, ALL_MINUS_INF, SUBNORMAL,   INTEGERS, ZEROS};
    fill(x, dtype, n, kinds[below(r, sizeof kinds / sizeof kinds[0])], r);
    if (below(r, 8) == 0) /* hardly any: what is first is mostly -inf */
        for (size_t i = 0; i < n; i++)
            if (below(r, 30))
                put(x, dtype, i, -INFINITY);
}

static void test_top(const fs_row *row, size_t n, void *scratch, random_stream *r)
{
    static ranked order[LONGEST];
    static int64_t index[LONGEST];
    static double logprob[LONGEST];
    static const double temperatures[] = {0.0, 0.7, 1.0, 1e30, INFINITY};
    double temperature = temperatures[below(r, 5)], other;
    size_t k = 1 + below(r, below(r, 4) && n > 30 ? 30 : n), chosen = below(r, n), place = 0;
    int64_t rank = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (ranked){get(row->data, row->dtype, i), i};
    qsort(order, n, sizeof order[0], by_key);
    while (order[place].i != chosen)
        place++;
    fs_status status = fs_top(row, n, temperature, k, scratch, index, logprob, chosen, &rank);
    checks += k + 1;
    if (order[0].key == -INFINITY) {
        check(status == FS_NO_MASS, "%s: status %d of a row of -inf", fs_chosen(), (int)status);
        return;
    }
    if (!check(status == FS_OK && rank == (int64_t)place + 1, "%s, n = %zu, %s: status %d, rank %lld, not %zu",
               fs_chosen(), n, dtype_name[row->dtype], (int)status, (long long)rank, place + 1))
        return;
    fs_logsumexp(row, n, temperature, &other);
    for (size_t j = 0; j < k; j++) {
        if (!check(index[j] == (int64_t)order[j].i, "%s, n = %zu, %s, k = %zu: place %zu is %lld, not %zu",
                   fs_chosen(), n, dtype_name[row->dtype], k, j, (long long)index[j], order[j].i))
            return;
        if (temperature > 0.0 && temperature < INFINITY && order[0].key < INFINITY) {
            long double expected = order[j].key / temperature - other;
            long double size = 1.0L + fabsl(order[0].key / temperature) + fabsl(order[j].key / temperature);
            check(fabsl(expected - logprob[j]) <= 1e-6L * size || (double)expected == logprob[j],
                  "%s, n = %zu: log-probability %g, not %Lg", fs_chosen(), n, logprob[j], expected);
        }
    }
}

/* The weights of what is left, against the largest of it: exp((x - max) / T), or its limit.  Returns their sum. */
static long double weigh_rest(const double *x, const unsigned char *drawn, size_t n, double temperature,
                              long double *weight)
{
    double max = -INFINITY;
    long double total = 0.0L;
    for (size_t i = 0; i < n; i++)
        max = !drawn[i] && x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        int likely = x[i] == max || (temperature == INFINITY && x[i] > -INFINITY);
        weight[i] = likely ? 1.0L : expl(((long double)x[i] - max) / temperature);
        weight[i] = drawn[i] || x[i] == -INFINITY ? 0.0L : !likely && temperature == 0.0 ? 0.0L : weight[i];
        if (max == INFINITY && temperature < INFINITY && x[i] < max)
            weight[i] = 0.0L;
        total += weight[i];
    }
    return total;
}

/* Each draw is that of the inverse CDF of what is left, in long double, to within `near` of the total; the first is that of
 * fs_sample to the bit. */
static void test_without_replacement(const fs_row *row, size_t n, void *scratch, random_stream *r)
{
    static int64_t index[LONGEST];
    static double u[LONGEST], x[LONGEST];
    static long double weight[LONGEST];
    static const double temperatures[] = {0.0, 0.01, 0.7, 1.0, 30.0, 1e-40, 1e-310, 1e300, INFINITY};
    static unsigned char drawn[LONGEST];
    double temperature = temperatures[below(r, 9)];
    size_t there = 0, k = 1 + below(r, n > 200 && below(r, 20) ? 30 : n);
    for (size_t i = 0; i < n; i++) {
        x[i] = get(row->data, row->dtype, i);
        there += x[i] > -INFINITY;
        drawn[i] = 0;
    }
    for (size_t j = 0; j < k; j++)
        u[j] = below(r, 100) ? next_uniform(r) : below(r, 2) ? 0.0 : 1.0 - 0x1p-53;
    fs_status status = fs_without_replacement(row, n, temperature, k, u, scratch, index);
    checks += k;
    if (there < k) {
        check(status == FS_NO_MASS, "%s: %zu of %zu drawn: status %d", fs_chosen(), k, there, (int)status);
        return;
    }
    if (!check(status == FS_OK, "%s: %zu of %zu drawn: status %d", fs_chosen(), k, there, (int)status))
        return;
    int64_t first = -1;
    if (temperature >= 0x1p-900) { /* below that, other numbers stand in for the row */
        fs_sample(row, n, temperature, 1, u, &first, NULL);
        check(index[0] == first, "%s, n = %zu, temperature %g: the first draw is %lld, not %lld", fs_chosen(), n,
              temperature, (long long)index[0], (long long)first);
    }
    const long double near = row->dtype == FS_F64 ? 1e-9L : 1e-6L;
    for (size_t j = 0; j < k; j++) {
        int inside = index[j] >= 0 && (size_t)index[j] < n && !drawn[index[j]];
        if (!check(inside, "%s, n = %zu: draw %zu is %lld, again or outside", fs_chosen(), n, j, (long long)index[j]))
            return;
        if (n < 2000 || j % 16 == 0) {
            long double total = weigh_rest(x, drawn, n, temperature, weight), before = 0.0L;
            size_t at = (size_t)index[j], lowest = 0;
            for (size_t i = 0; i < at; i++)
                before += weight[i];
            while (weight[lowest] == 0.0L)
                lowest++;
            if (temperature == 0.0)
                check(at == lowest, "%s, n = %zu: draw %zu at temperature 0 is %zu", fs_chosen(), n, j, at);
            else
                check(weight[at] > 0.0L && before <= (u[j] + near) * total &&
                          before + weight[at] >= (u[j] - near) * total,
                      "%s, n = %zu, %s, temperature %g: draw %zu, of u = %.17g, is %zu, from %Lg to %Lg", fs_chosen(),
                      n, dtype_name[row->dtype], temperature, j, u[j], at, before / total,
                      (before + weight[at]) / total);
        }
        drawn[index[j]] = 1;
    }
}

/* Logits whose weights are powers of two, or 0: at temperature log2(e) an integer x has the weight 2^x. */
static size_t fill_weights(double *x, size_t *weight, random_stream *r)
{
    size_t n = 1 + below(r, ENTRIES);
    for (size_t i = 0; i < n; i++) {
        unsigned power = (unsigned)below(r, 5);
        weight[i] = i && below(r, 3) == 0 ? 0 : (size_t)1 << power;
        x[i] = weight[i] ? (double)power : -INFINITY;
    }
    return n;
}

static void test_drafts(void *scratch, random_stream *r)
{
    double x[2][ENTRIES], t[2] = {0x1.71547652b82fep+0, 0x1.71547652b82fep+0};
    size_t w[2][ENTRIES] = {{0}}, n[2], total[2] = {0, 0};
    for (int d = 0; d < 2; d++) {
        n[d] = fill_weights(x[d], w[d], r);
        for (size_t i = 0; i < n[d]; i++)
            total[d] += w[d][i];
    }
    size_t most = n[0] > n[1] ? n[0] : n[1];
    for (int d = 0; d < 2; d++)
        for (size_t i = n[d]; i < most; i++) {
            x[d][i] = -INFINITY;
            w[d][i] = 0;
        }
    fs_row target = plain_row(x[0], FS_F64), draft = plain_row(x[1], FS_F64);
    int alone = (int)below(r, 2);
    size_t token = below(r, most);
    for (int step = 0; step < 8; step++) {
        double u = (double)below(r, 64) / 64.0;
        int accepted = -1;
        int64_t index = -1;
        /* u q < p in fractions of the totals; a probability is known to 2^-52 only, so not where they are equal */
        double p = (double)w[0][token] / (double)total[0];
        double q = alone ? 1.0 : (double)w[1][token] / (double)total[1];
        fs_status status = fs_accept(&target, alone ? NULL : &draft, most, t, token, u, &accepted);
        checks += 2;
        if (u * q == 0.0 || fabs(u * q - p) > 1e-12)
            check(status == FS_OK && accepted == (u * q < p), "%s: u = %g, q = %g, p = %g: accepted %d", fs_chosen(),
                  u, q, p, accepted);
        u = next_uniform(r);
        status = fs_correct(&target, alone ? NULL : &draft, most, t, token, u, scratch, &index);
        double sum = 0.0, over[ENTRIES], before = 0.0;
        for (size_t i = 0; i < most; i++) {
            double there = (double)w[0][i] / (double)total[0];
            double proposed = alone ? (double)(i == token) : (double)w[1][i] / (double)total[1];
            over[i] = there - proposed > 1e-12 ? there - proposed : 0.0;
            sum += over[i];
        }
        if (sum == 0.0) { /* p = q: rounding may leave a token or none, so that this says nothing */
            check(status == FS_OK && w[0][index] > 0, "%s: corrected to %lld, of no weight", fs_chosen(),
                  (long long)index);
            continue;
        }
        size_t expected = 0;
        for (; expected + 1 < most && before + over[expected] <= u * sum; expected++)
            before += over[expected];
        int close = fabs(before - u * sum) < 1e-9 || fabs(before + over[expected] - u * sum) < 1e-9;
        check(status == FS_OK && (close || index == (int64_t)expected), "%s: corrected to %lld, not %zu", fs_chosen(),
              (long long)index, expected);
    }
}

/* Several candidates after one node, by the rule as it is written, but for decisions that rounding may change. */
static void test_candidates(void *scratch, random_stream *r)
{
    enum { CANDIDATES = 4 };
    double x[2][ENTRIES], p[2][ENTRIES], t[2] = {0x1.71547652b82fep+0, 0x1.71547652b82fep+0}, u[CANDIDATES + 1];
    size_t w[ENTRIES], n = ENTRIES;
    int64_t token[CANDIDATES], parent[CANDIDATES], child = -2, index = -2, expected = -1;
    int alone = below(r, 3) == 0, close = 0;
    for (int d = 0; d < 2; d++) {
        size_t filled = fill_weights(x[d], w, r);
        double total = 0.0;
        for (size_t i = 0; i < n; i++) {
            x[d][i] = i < filled ? x[d][i] : -INFINITY;
            p[d][i] = i < filled ? (double)w[i] : 0.0;
            total += p[d][i];
        }
        for (size_t i = 0; i < n; i++)
            p[d][i] /= total;
    }
    fs_row target = plain_row(x[0], FS_F64), draft = plain_row(x[1], FS_F64);
    fs_tree tree = {1 + below(r, CANDIDATES), token, parent, (int)below(r, 2)};
    for (size_t i = 0; i < tree.count; i++) {
        token[i] = (int64_t)below(r, 8);
        parent[i] = below(r, 5) ? -1 : 0;
        u[i] = next_uniform(r);
    }
    parent[0] = -1;
    u[tree.count] = next_uniform(r);
    for (size_t c = 0; c < tree.count && expected < 0; c++) {
        double rest[ENTRIES], sum = 0.0, left = 0.0, q = alone ? 1.0 : p[1][token[c]];
        if (parent[c] >= 0)
            continue;
        close |= fabs(u[c] * q - p[0][token[c]]) < 1e-9 && p[0][token[c]] > 0.0;
        if (u[c] * q < p[0][token[c]]) {
            expected = (int64_t)c;
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            double of_draft = alone ? (double)((int64_t)i == token[c]) : p[1][i];
            rest[i] = p[0][i] > of_draft ? p[0][i] - of_draft : 0.0;
            sum += rest[i];
        }
        close |= sum < 1e-9;
        for (size_t i = 0; i < n && sum > 0.0; i++)
            p[0][i] = rest[i] / sum;
        if (alone || tree.replacement)
            continue;
        p[1][token[c]] = 0.0;
        for (size_t i = 0; i < n; i++)
            left += p[1][i];
        for (size_t i = 0; i < n && left > 0.0; i++)
            p[1][i] /= left;
    }
    fs_status status = fs_accept_child(&target, alone ? NULL : &draft, n, t, &tree, -1, u, scratch, &child, &index);
    checks++;
    if (close)
        return;
    check(status == FS_OK && child == expected, "%s: child %lld, not %lld", fs_chosen(), (long long)child,
          (long long)expected);
    if (expected >= 0)
        return;
    double before = 0.0;
    size_t drawn = 0;
    for (; drawn + 1 < n && before + p[0][drawn] <= u[tree.count]; drawn++)
        before += p[0][drawn];
    close = fabs(before - u[tree.count]) < 1e-9 || fabs(before + p[0][drawn] - u[tree.count]) < 1e-9;
    checks++;
    check(close || index == (int64_t)drawn, "%s: token %lld after no candidate, not %zu", fs_chosen(),
          (long long)index, drawn);
}

int main(int argc, char **argv)
{
    size_t every = (size_t)option(argc, argv, "--every", 1), sets = 0;
    static double entries[LONGEST];
    while (fs_available(sets))
        sets++;
    for (size_t i = 0; i < ROWS; i += every) {
        random_stream r = {i};
        size_t lengths[] = {1 + below(&r, 70), 1 + below(&r, 1100), 1 + below(&r, LONGEST)};
        size_t n = lengths[below(&r, 8) ? below(&r, 2) : 2];
        fs_dtype dtype = (fs_dtype)below(&r, 4);
        fs_row row = plain_row(entries, dtype);
        char *scratch = workspace(fs_scratch_size(n > ENTRIES ? n : ENTRIES));
        fs_choose(fs_available(i / every % sets));
        fill_row(entries, dtype, n, &r);
        test_top(&row, n, scratch, &r);
        test_without_replacement(&row, n, scratch, &r);
        test_drafts(scratch, &r);
        for (int j = 0; j < 8; j++)
            test_candidates(scratch, &r);
        free(scratch);
    }
    return finish("ranking", checks);
}

/* Penalties against their definition: every pair of suffixes compared, and roundings found among the neighbours.
 *
 *     penalties [--every K]
 *
 * All numbers are such that the formula is exact in double but for its last rounding, or near a tie of it.  --every K
 * takes one context in K. */
#include "rows.h"

enum { CONTEXTS = 20000, LONGEST = 220, TOKENS = 40, BREAKERS = 4 };

static unsigned long long checks;

static int occurs_at(const int64_t *context, size_t end, const fs_breakers *b, size_t which)
{
    size_t length = b->of[which + 1] - b->of[which];
    if (length == 0 || length > end)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (context[end - length + i] != b->token[b->of[which] + i])
            return 0;
    return 1;
}

/* The longest suffix that occurred before followed by this token, and comes after the last breaker. */
static size_t longest_repeat(const int64_t *context, size_t length, int64_t token, const fs_breakers *b)
{
    size_t after = length, longest = 0;
    for (size_t end = 1; end <= length; end++)
        for (size_t which = 0; which < b->count; which++)
            if (occurs_at(context, end, b, which))
                after = length - end;
    for (size_t at = 1; at < length; at++) {
        size_t match = 0;
        while (context[at] == token && match < at && match < after &&
               context[at - 1 - match] == context[length - 1 - match])
            match++;
        longest = match > longest ? match : longest;
    }
    return longest;
}

static double penalized(double x, const int64_t *context, size_t length, int64_t token, const fs_penalties *p,
                        const fs_breakers *b)
{
    double count = 0.0, power = p->dry_multiplier;
    size_t window = p->dry_last_n < 0 || (size_t)p->dry_last_n > length ? length : (size_t)p->dry_last_n, there = 0;
    for (size_t i = 0; i < length; i++) {
        there += context[i] == token;
        if (p->last_n < 0 || length - i <= (size_t)p->last_n)
            count += context[i] == token;
    }
    if (!there || !(fabs(x) < INFINITY))
        return x;
    if (count > 0.0) {
        x = x > 0.0 ? x / p->repetition : x * p->repetition;
        x -= count * p->frequency + p->presence;
    }
    for (size_t which = 0; which < b->count; which++) /* a token that is a breaker is not penalised */
        if (b->of[which + 1] - b->of[which] == 1 && b->token[b->of[which]] == token)
            return x;
    size_t repeat = longest_repeat(context + length - window, window, token, b);
    if (p->dry_multiplier == 0.0 || repeat < (size_t)p->dry_allowed_length)
        return x;
    for (size_t i = (size_t)p->dry_allowed_length; i < repeat; i++)
        power *= p->dry_base;
    return x - power;
}

/* The nearest of the dtype's finite numbers, the even one of two as near. */
static double rounded(double x, fs_dtype dtype)
{
    double most = dtype == FS_F32 ? (double)FLT_MAX : dtype == FS_F16 ? 65504.0 : 0x1.fep127;
    if (dtype == FS_F64)
        return x > DBL_MAX ? DBL_MAX : x < -DBL_MAX ? -DBL_MAX : x;
    if (!(fabs(x) < most) && x == x)
        return x > 0.0 ? most : -most;
    if (dtype == FS_F32)
        return (float)x;
    double near[1], best;
    uint16_t half;
    put(near, dtype, 0, x); /* rounded twice, so it is one of three */
    memcpy(&half, near, 2);
    best = get(near, dtype, 0);
    for (int step = -1; step <= 1; step += 2) {
        uint16_t operands = (uint16_t)(half + step);
        memcpy(near, &operands, 2);
        double other = get(near, dtype, 0);
        if (fabs(other - x) < fabs(best - x) || (fabs(other - x) == fabs(best - x) && operands % 2 == 0))
            best = other;
    }
    return best;
}

static void make_context(int64_t *context, size_t length, random_stream *r)
{
    uint64_t few = 1 + below(r, 5), some = 1 + below(r, TOKENS);
    for (size_t i = 0; i < length; i++)
        context[i] = (int64_t)below(r, below(r, 20) ? few : some);
    if (length > 8 && below(r, 2)) { /* a period, with a fault here and there */
        size_t period = 1 + below(r, length / 4);
        for (size_t i = period; i < length; i++)
            context[i] = below(r, 60) ? context[i - period] : context[i];
    }
}

static void test_context(random_stream *r, size_t which)
{
    static const double repetitions[] = {1.0, 1.25, 0.5, 2.0}, bases[] = {1.0, 1.5, 1.75, 2.0};
    static const double some[] = {0.0, 0.5, -0.25, 0x1p-11 + 0x1p-40, 0x1p-11 - 0x1p-40, 0x1p-8 + 0x1p-38, 0x1p-12};
    int64_t context[LONGEST], token[3 * BREAKERS];
    size_t of[BREAKERS + 1] = {0}, length = below(r, below(r, 2) ? 12 : LONGEST), some_count = sizeof some / 8;
    fs_dtype dtype = (fs_dtype)below(r, 4);
    fs_penalties p = {repetitions[below(r, 4)],
                      some[below(r, some_count)],
                      some[below(r, some_count)],
                      below(r, 4) ? 0.5 : 0.0,
                      bases[below(r, 4)],
                      (int64_t)(1 + below(r, 4)),
                      below(r, 2) ? -1 : (int64_t)below(r, LONGEST),
                      below(r, 2) ? -1 : (int64_t)below(r, LONGEST)};
    fs_breakers b = {token, of, below(r, BREAKERS + 1)};
    size_t bytes = fs_penalize_scratch(length), size = size_of(dtype);
    char *scratch = workspace(bytes);
    double space[3 * TOKENS];
    char *x = (char *)space, *to = (char *)(space + TOKENS);
    make_context(context, length, r);
    for (size_t i = 0; i < b.count; i++) {
        of[i + 1] = of[i] + 1 + below(r, 3);
        for (size_t j = of[i]; j < of[i + 1]; j++)
            token[j] = (int64_t)below(r, below(r, 3) ? TOKENS : 5);
    }
    if (which % 8 == 0) { /* penalties that overflow */
        p.dry_multiplier = 1.0;
        p.dry_base = 0x1p30;
    } else if (p.dry_base == 1.75 || p.dry_base == 1.5) { /* exact while the powers are short */
        length = length < 20 ? length : 20;
    }
    memset(scratch, (int)below(r, 256), bytes);
    for (size_t i = 0; i < TOKENS; i++)
        put(x, dtype, i, (double)below(r, 64) / 8.0 - 4.0);
    put(x, dtype, below(r, TOKENS), INFINITY);
    put(x, dtype, below(r, TOKENS), -INFINITY);
    put_nan(x, dtype, below(r, TOKENS), next_word(r));
    put(x, dtype, below(r, TOKENS), largest(dtype));
    put(x, dtype, below(r, TOKENS), -largest(dtype));
    ptrdiff_t stride = (ptrdiff_t)size * (below(r, 2) ? 2 : -1);
    char *first = stride < 0 ? to + (TOKENS - 1) * size : to;
    for (size_t i = 0; i < TOKENS; i++)
        memcpy(first + (ptrdiff_t)i * stride, x + i * size, size);
    fs_output row = {first, stride, dtype};
    fs_penalize(&row, context, length, &p, &b, scratch);
    for (size_t i = 0; i < TOKENS; i++) {
        double before = get(x, dtype, i), after = penalized(before, context, length, (int64_t)i, &p, &b);
        double expected[1];
        memcpy(expected, x + i * size, size); /* of a token that is not there: the bits it had */
        if (after != before && before == before)
            put(expected, dtype, 0, rounded(after, dtype));
        double got = get(first + (ptrdiff_t)i * stride, dtype, 0);
        int same_bits = !memcmp(first + (ptrdiff_t)i * stride, expected, size);
        check(same_bits || got == get(expected, dtype, 0), "context %zu (%zu tokens), %s: token %zu is %a, not %a",
              which, length, dtype_name[dtype], i, got, get(expected, dtype, 0));
    }
    checks += TOKENS;
    free(scratch);
}

/* Linear time: a context of one token, or of two in turn, is the worst for comparing suffixes one by one.  Such a
 * comparison of 2^20 tokens would take half a trillion steps; nothing here measures time. */
static void test_long_contexts(void)
{
    enum { LENGTH = 1 << 20 };
    static const size_t of = 0;
    static const fs_breakers none = {NULL, &of, 0};
    static const fs_penalties p = {1.0, 0.0, 0.0, 1.0, 1.0, 2, -1, -1};
    int64_t *context = workspace(8 * (size_t)LENGTH);
    char *scratch = workspace(fs_penalize_scratch(LENGTH));
    for (int64_t period = 1; period <= 3; period++) {
        double x[3] = {1.0, 1.0, 1.0};
        fs_output row = {x, 8, FS_F64};
        for (int64_t i = 0; i < LENGTH; i++)
            context[i] = i % period;
        fs_penalize(&row, context, LENGTH, &p, &none, scratch);
        for (int64_t t = 0; t < 3; t++) /* base 1: the penalty is 1, for the token that continues the period */
            check(x[t] == 1.0 - (t == LENGTH % period), "period %lld: token %lld is %g", (long long)period,
                  (long long)t, x[t]);
        checks += 3;
    }
    free(context);
    free(scratch);
}

int main(int argc, char **argv)
{
    size_t every = (size_t)option(argc, argv, "--every", 1);
    for (size_t i = 0; i < CONTEXTS; i += every) {
        random_stream r = {i};
        test_context(&r, i);
    }
    test_long_contexts();
    return finish("penalties", checks);
}

/* The sum of a block's weights, without rounding that matters, in an order that no machine changes.
 *
 * Weights are at most sqrt 2.  Adding one to an accumulator that starts at 1024 splits it, error-free, in two: what the
 * accumulator takes on is a multiple of its ulp, and these multiples add exactly; the rest, w - (new - old), is at most
 * half that ulp, and the rests are added separately, where rounding is 2^-14 (float; double 2^-43) of the weights' own.
 * Even and odd vectors go to accumulators of their own.  At the end the lanes are added in double: i and i + 8 (float),
 * i and i + 4, i + 2, i + 1.  What is missing at the end of a row counts as 0, which is exact, so a row of one vector is
 * summed as one of many is.
 *
 * The up to four vectors of a short row of float are added in double as they are.
 *
 * Needs real_f32.h or real_f64.h.
 */

typedef struct {
    VEC high[2], low[2];
} NAME(sum);

#define FS_SUM_FROM ((REAL)1024)

FS_INLINE NAME(sum) NAME(sum_begin)(void)
{
    NAME(sum) s;
    s.high[0] = s.high[1] = V(set1)(FS_SUM_FROM);
    s.low[0] = s.low[1] = V(set1)(0);
    return s;
}

/* `odd`: of the number of the vector in its block. */
FS_INLINE void NAME(sum_add)(NAME(sum) *s, VEC w, int odd)
{
    VEC high = V(add)(s->high[odd], w);
    s->low[odd] = V(add)(s->low[odd], V(sub)(w, V(sub)(high, s->high[odd])));
    s->high[odd] = high;
}

/* The two parts of the sum, lane by lane; the first is exact. */
FS_INLINE VEC NAME(sum_high)(const NAME(sum) *s)
{
    VEC from = V(set1)(FS_SUM_FROM);
    return V(add)(V(sub)(s->high[0], from), V(sub)(s->high[1], from));
}
FS_INLINE VEC NAME(sum_low)(const NAME(sum) *s) { return V(add)(s->low[0], s->low[1]); }

/* Eight lanes in double that add up to the sum: in double itself, the low parts apart, at `rest`. */
FS_INLINE f64x8 NAME(sum_lanes)(const NAME(sum) *s, f64x8 *rest)
{
    f64x8 high = V(fold)(NAME(sum_high)(s)), low = V(fold)(NAME(sum_low)(s));
    if (sizeof(REAL) == sizeof(float))
        return f64x8_add(high, low);
    *rest = low;
    return high;
}

FS_INLINE double NAME(sum_end)(const NAME(sum) *s)
{
    f64x8 rest, lanes = NAME(sum_lanes)(s, &rest);
    return sizeof(REAL) == sizeof(float) ? f64x8_sum(lanes) : f64x8_sum(lanes) + f64x8_sum(rest);
}

/* The same for eight rows, from their lanes. */
FS_INLINE void NAME(sum_rows)(const f64x8 *lanes, const f64x8 *rest, double *sum)
{
    double low[8];
    f64x8_sum_rows(lanes, sum);
    if (sizeof(REAL) == sizeof(float))
        return;
    f64x8_sum_rows(rest, low);
    for (int i = 0; i < 8; i++)
        sum[i] += low[i];
}

/* Eight lanes, as above, that add up to the weights of a row of 1 to 4 vectors. */
FS_INLINE f64x8 NAME(sum_few)(const VEC *w, int count, f64x8 *rest)
{
    if (sizeof(REAL) == sizeof(float)) {
        f64x8 lanes = V(fold)(w[0]);
        for (int j = 1; j < count; j++)
            lanes = f64x8_add(lanes, V(fold)(w[j]));
        return lanes;
    }
    NAME(sum) s = NAME(sum_begin)();
    for (int j = 0; j < count; j++)
        NAME(sum_add)(&s, w[j], j & 1);
    return NAME(sum_lanes)(&s, rest);
}

FS_INLINE double NAME(sum_of_few)(const VEC *w, int count)
{
    f64x8 rest, lanes = NAME(sum_few)(w, count, &rest);
    return sizeof(REAL) == sizeof(float) ? f64x8_sum(lanes) : f64x8_sum(lanes) + f64x8_sum(rest);
}

#undef FS_SUM_FROM

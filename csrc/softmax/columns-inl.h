/* Up to LANES short rows side by side: lane i of a vector belongs to row i, and vector j, column j, holds entry j of each.
 *
 * Nothing is reduced within a register, and every number of a row, its temperature too, is a lane of a vector.  The origin,
 * the weights and the order of the sum are those of block-inl.h and sum-inl.h, so the bits are those of a row alone.
 *
 * Needs real_f32.h or real_f64.h, softmax/short_rows-inl.h, softmax/logsumexp-inl.h.
 */

typedef struct {
    REAL x[TINY * LANES], w[TINY * LANES]; /* entries, and weights */
    REAL max[LANES], power[LANES];
} NAME(columns);

/* The weights of n columns.  0: some row needs more than this (NaN, infinity, a maximum to subtract). */
static int NAME(columns_weights)(NAME(columns) *c, size_t n, const NAME(scales) *s)
{
    VEC high = V(load)(c->x), sum = high;
    for (size_t j = 1; j < n; j++) {
        VEC v = V(load)(c->x + j * LANES);
        high = V(max)(v, high), sum = V(add)(sum, v);
    }
    high = V(add)(high, V(set1)(0));
    VEC ch = V(load)(s->ch), product = V(mul)(high, ch), m0 = V(set1)((REAL)MAGIC);
    if (FS_UNLIKELY(V(any_nan)(sum) || !(V(reduce_max)(product) < SHIFT_AT && V(reduce_min)(product) > -SHIFT_AT) ||
                    !(V(reduce_max)(high) < EXTREME && V(reduce_min)(high) > -EXTREME)))
        return 0;
    VEC power = V(sub)(V(fma)(high, ch, m0), m0);
    NAME(constants)
    k = {V(set1)(0), V(sub)(high, V(load)(s->reach)), V(add)(V(sub)(V(set1)((REAL)STEP), power), V(set1)((REAL)LIFT)),
         ch, V(load)(s->cl)};
    V(store)(c->max, high);
    V(store)(c->power, power);
    size_t j = 0;
    for (; j + FS_IN_FLIGHT <= n; j += FS_IN_FLIGHT) {
        VEC v[FS_IN_FLIGHT];
        for (int i = 0; i < FS_IN_FLIGHT; i++)
            v[i] = V(load)(c->x + (j + (size_t)i) * LANES);
        NAME(weights)(v, FS_IN_FLIGHT, &k, FS_MAY_UNDERFLOW);
        for (int i = 0; i < FS_IN_FLIGHT; i++)
            V(store)(c->w + (j + (size_t)i) * LANES, v[i]);
    }
    for (; j < n; j++) {
        VEC v = V(load)(c->x + j * LANES);
        NAME(weights)(&v, 1, &k, FS_MAY_UNDERFLOW);
        V(store)(c->w + j * LANES, v);
    }
    return 1;
}

/* What is summed: the weights, those below the maximum alone, and the weights times max - x. */
enum { NAME(ALL), NAME(BELOW_MAX), NAME(MOMENTS) };

/* Column j of that; reach: of the rows, for the moments. */
FS_INLINE VEC NAME(column)(const NAME(columns) *c, size_t j, int what, const REAL *reach)
{
    VEC w = V(load)(c->w + j * LANES), max = V(load)(c->max), x = V(load)(c->x + j * LANES);
    return what == NAME(ALL)         ? w
           : what == NAME(BELOW_MAX) ? V(where_above)(max, x, w)
                                     : V(mul)(w, V(sub)(max, V(max)(V(sub)(max, V(load)(reach)), x)));
}

/* a[0] to a[7], added as V(fold) and f64x8_sum add the lanes of a row. */
FS_INLINE f64x8 NAME(add_eight)(f64x8 *a)
{
    for (int half = 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a[i] = f64x8_add(a[i], a[i + half]);
    return a[0];
}

/* The sum of each row, in the order of sum_of_few. */
FS_INLINE void NAME(columns_sum_by)(const NAME(columns) *c, size_t n, int what, const REAL *reach, double *sum)
{
    if (sizeof(REAL) == sizeof(float)) {
        for (int h = 0; h < LANES / 8; h++) {
            f64x8 part[8];
            for (size_t r = 0; r < 8; r++) {
                part[r] = f64x8_set1(0);
                for (size_t j = r; j < n; j += 16) {
                    f64x8 a = V(half)(NAME(column)(c, j, what, reach), h);
                    if (j + 8 < n)
                        a = f64x8_add(a, V(half)(NAME(column)(c, j + 8, what, reach), h));
                    part[r] = f64x8_add(part[r], a);
                }
            }
            f64x8_store(sum + 8 * h, NAME(add_eight)(part));
        }
    } else {
        f64x8 part[8], rest[8];
        for (size_t r = 0; r < 8; r++) {
            NAME(sum) s = NAME(sum_begin)();
            for (size_t j = r; j < n; j += 8)
                NAME(sum_add)(&s, NAME(column)(c, j, what, reach), j / 8 & 1);
            part[r] = V(half)(NAME(sum_high)(&s), 0);
            rest[r] = V(half)(NAME(sum_low)(&s), 0);
        }
        f64x8_store(sum, f64x8_add(NAME(add_eight)(part), NAME(add_eight)(rest)));
    }
}
FS_NOINLINE void NAME(columns_sum)(const NAME(columns) *c, size_t n, double *sum)
{
    NAME(columns_sum_by)(c, n, NAME(ALL), NULL, sum);
}
FS_NOINLINE void NAME(columns_rest)(const NAME(columns) *c, size_t n, double *sum)
{
    NAME(columns_sum_by)(c, n, NAME(BELOW_MAX), NULL, sum);
}
FS_NOINLINE void NAME(columns_moments)(const NAME(columns) *c, size_t n, const REAL *reach, double *sum)
{
    NAME(columns_sum_by)(c, n, NAME(MOMENTS), reach, sum);
}

/* The weights become softmax, in place. */
static void NAME(columns_softmax)(NAME(columns) *c, size_t n)
{
    double total[LANES];
    REAL high[LANES], low[LANES];
    NAME(columns_sum)(c, n, total);
    for (int i = 0; i < LANES; i++) {
        NAME(factor) f = NAME(factor_of)(1.0, fs_reciprocal_of(total[i]));
        high[i] = f.high;
        low[i] = f.low;
    }
    VEC fh = V(load)(high), fl = V(load)(low);
    for (size_t j = 0; j < n; j++) {
        VEC w = V(load)(c->w + j * LANES);
        V(store)(c->w + j * LANES, V(fma)(w, fh, V(mul)(w, fl)));
    }
}

/* L of LANES rows (softmax/logsumexp-inl.h) on the way: sum and mass are of exp((x - max)/T), all of them and the rest;
 * moment (softmax/entropy-inl.h) is the sum of these times (max - x)/T, where it is wanted. */
typedef struct {
    double sum[LANES], mass[LANES], unit[LANES], moment[LANES];
    unsigned dominated; /* a bit for each row whose rest is needed */
} NAME(logs_of_rows);

/* From the sums of weights. */
FS_INLINE void NAME(logs_begin)(NAME(logs_of_rows) *l, const REAL *max, const REAL *power, const NAME(scales) *s)
{
    for (int i = 0; i < LANES; i++) {
        l->unit[i] =
            fs_exp2_of_fraction(fs_above_maximum(0.0, (double)power[i], (double)max[i], s->high[i], s->low[i]));
        l->sum[i] *= l->unit[i];
        l->mass[i] = 0.0;
    }
    l->dominated = 0;
    for (int i = 0; i < LANES; i++)
        l->dominated |= (unsigned)(l->sum[i] < FS_DOMINATED) << i;
}

/* From the sums of the weights below the maximum, and the number of the other entries.  Returns a bit for each row whose rest is
 * so small that it must be summed by itself. */
FS_INLINE unsigned NAME(logs_rest)(NAME(logs_of_rows) *l, const double *rest, const double *ties)
{
    unsigned too_small = 0;
    for (int i = 0; i < LANES; i++)
        l->mass[i] = rest[i] * l->unit[i] + (ties[i] - 1.0);
    for (int i = 0; i < LANES; i++)
        too_small |= (unsigned)((ties[i] == 1.0) & (rest[i] < LEAST_SUM) & (l->sum[i] < FS_DOMINATED)) << i;
    return too_small;
}

/* The rest of row i, whose entries are x, by itself, and its moment if that is wanted. */
static void NAME(logs_rest_of)(NAME(logs_of_rows) *l, int i, const REAL *x, size_t n, const NAME(scales) *s, REAL max,
                               int wanted)
{
    const fs_scale scale = {s->high[i], s->low[i], s->temperature[i]};
    l->mass[i] = NAME(rest_below)(x, n, &scale, max, wanted ? l->moment + i : NULL);
}

/* The sums of exp((x - max)/T) times (max - x)/T, from those of the weights times max - x. */
FS_INLINE void NAME(logs_moments)(NAME(logs_of_rows) *l, const NAME(scales) *s)
{
    for (int i = 0; i < LANES; i++)
        l->moment[i] *= l->unit[i] / s->temperature[i];
}

FS_INLINE void NAME(logs_end)(const NAME(logs_of_rows) *l, double *log_sum, double *mean)
{
    for (int i = 0; i < LANES && mean; i++)
        mean[i] = l->moment[i] / l->sum[i];
    for (int i = 0; i < LANES; i++)
        log_sum[i] = fs_log_of_sum(l->sum[i], l->mass[i]);
}

/* L of each row; and, unless `mean` is NULL, the mean of (max - x)/T. */
static void NAME(columns_log_sums)(const NAME(columns) *c, size_t n, const NAME(scales) *s, double *log_sum,
                                   double *mean)
{
    NAME(logs_of_rows) l;
    NAME(columns_sum)(c, n, l.sum);
    NAME(logs_begin)(&l, c->max, c->power, s);
    if (mean) {
        NAME(columns_moments)(c, n, s->reach, l.moment);
        NAME(logs_moments)(&l, s);
    }
    if (l.dominated) {
        double rest[LANES], ties[LANES];
        REAL lower[LANES];
        VEC count = V(set1)(0), max = V(load)(c->max), one = V(set1)(1);
        NAME(columns_rest)(c, n, rest);
        for (size_t j = 0; j < n; j++)
            count = V(add)(count, V(where_above)(max, V(load)(c->x + j * LANES), one));
        V(store)(lower, count);
        for (int i = 0; i < LANES; i++)
            ties[i] = (double)n - (double)lower[i];
        unsigned alone = NAME(logs_rest)(&l, rest, ties);
        for (int i = 0; FS_UNLIKELY(alone); i++, alone >>= 1)
            if (alone & 1) {
                REAL x[TINY];
                for (size_t j = 0; j < n; j++)
                    x[j] = c->x[j * LANES + (size_t)i];
                NAME(logs_rest_of)(&l, i, x, n, s, c->max[i], mean != NULL);
            }
    }
    NAME(logs_end)(&l, log_sum, mean);
}

/* max and L of LANES contiguous rows; where `mean` is not NULL the mean of (max - x)/T, and where `index` is not NULL a draw
 * from each.  0: nothing is done. */
FS_INLINE int NAME(log_sums_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scales) *s, REAL *max,
                                          double *log_sum, double *mean, const double *u, int64_t *index, int count)
{
    VEC w[4 * LANES];
    REAL power[LANES];
    NAME(logs_of_rows) l;
    if (!NAME(weights_side_by_side)(x, stride, n, s, w, max, power, count))
        return 0;
    for (int i = 0; i < LANES; i++)
        if (FS_UNLIKELY(!(max[i] < EXTREME && max[i] > -EXTREME)))
            return 0;
    NAME(sums_side_by_side)(w, l.sum, count);
    for (int i = 0; i < LANES && index; i++)
        index[i] = (int64_t)V(draw)(w + 4 * i, count, u[i]);
    NAME(logs_begin)(&l, max, power, s);
    unsigned alone = 0;
    if (l.dominated) {
        double rest[LANES] = {0}, ties[LANES] = {0};
        for (unsigned left = l.dominated; left; left &= left - 1) {
            const size_t i = fs_lowest_place(left);
            size_t equal;
            rest[i] = NAME(tiny_rest)(NAME(entry_at)(x, stride, i), n, max[i], w + 4 * i, &equal, count);
            ties[i] = (double)equal;
        }
        alone = NAME(logs_rest)(&l, rest, ties);
    }
    if (mean) { /* the entries that are equal to the maximum add nothing, whether their weights are left or not */
        for (int i = 0; i < LANES; i++)
            NAME(tiny_moments)(NAME(entry_at)(x, stride, (size_t)i), n, max[i], s->reach[i], w + 4 * i, count);
        NAME(sums_side_by_side)(w, l.moment, count);
        NAME(logs_moments)(&l, s);
    }
    for (int i = 0; FS_UNLIKELY(alone); i++, alone >>= 1)
        if (alone & 1)
            NAME(logs_rest_of)(&l, i, NAME(entry_at)(x, stride, (size_t)i), n, s, max[i], mean != NULL);
    NAME(logs_end)(&l, log_sum, mean);
    return 1;
}

/* The weights become log-softmax: the formula of log_block. */
static void NAME(columns_log_softmax)(NAME(columns) *c, size_t n, const NAME(scales) *s, const double *log_sum)
{
    REAL inverse[LANES], minus[LANES];
    for (int i = 0; i < LANES; i++) {
        inverse[i] = (REAL)(1.0 / s->temperature[i]);
        minus[i] = -(REAL)log_sum[i];
    }
    VEC max = V(load)(c->max), t = V(load)(inverse), l = V(load)(minus);
    for (size_t j = 0; j < n; j++)
        V(store)(c->w + j * LANES, V(fma)(V(sub)(V(load)(c->x + j * LANES), max), t, l));
}

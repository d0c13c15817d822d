/* Up to LANES short rows side by side: lane i of a vector belongs to row i, and vector j, column j, holds entry j of each.
 *
 * Nothing is reduced within a register, and every number of a row, its temperature too, is a lane of a vector.  The origin,
 * the weights and the order of the sum are those of block-inl.h and sum-inl.h, so the bits are those of a row alone.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h, softmax/logsumexp-inl.h.
 */

/* The temperatures of LANES rows; their names are those of fs_scale and NAME(scale). */
typedef struct {
    double temperature[LANES], high[LANES], low[LANES];
    REAL ch[LANES], cl[LANES], reach[LANES];
} NAME(scales);

/* Of `temperature`; 0: the formula does not serve one of them. */
static int NAME(scales_of)(NAME(scales) *s)
{
    int usable = 1;
    for (int i = 0; i < LANES; i++)
        usable &= fs_has_formula(s->temperature[i], DTYPE == FS_F64);
    for (int i = 0; i < LANES; i++) {
        fs_scale c = fs_scale_of(s->temperature[i]);
        s->high[i] = c.high;
        s->low[i] = c.low;
    }
    for (int i = 0; i < LANES; i++) {
        REAL ch = (REAL)s->high[i];
        s->ch[i] = ch;
        s->cl[i] = (REAL)((s->high[i] - (double)ch) + s->low[i]);
        s->reach[i] = REACH / ch;
    }
    return usable;
}

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

/* Column j of the weights, or of those below the maximum alone. */
FS_INLINE VEC NAME(column)(const NAME(columns) *c, size_t j, int without_max)
{
    VEC w = V(load)(c->w + j * LANES);
    return without_max ? V(where_above)(V(load)(c->max), V(load)(c->x + j * LANES), w) : w;
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
FS_INLINE void NAME(columns_sum_by)(const NAME(columns) *c, size_t n, int without_max, double *sum)
{
    if (sizeof(REAL) == sizeof(float)) {
        for (int h = 0; h < LANES / 8; h++) {
            f64x8 part[8];
            for (size_t r = 0; r < 8; r++) {
                part[r] = f64x8_set1(0);
                for (size_t j = r; j < n; j += 16) {
                    f64x8 a = V(half)(NAME(column)(c, j, without_max), h);
                    if (j + 8 < n)
                        a = f64x8_add(a, V(half)(NAME(column)(c, j + 8, without_max), h));
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
                NAME(sum_add)(&s, NAME(column)(c, j, without_max), j / 8 & 1);
            part[r] = V(half)(NAME(sum_high)(&s), 0);
            rest[r] = V(half)(NAME(sum_low)(&s), 0);
        }
        f64x8_store(sum, f64x8_add(NAME(add_eight)(part), NAME(add_eight)(rest)));
    }
}
FS_NOINLINE void NAME(columns_sum)(const NAME(columns) *c, size_t n, double *sum)
{
    NAME(columns_sum_by)(c, n, 0, sum);
}
FS_NOINLINE void NAME(columns_rest)(const NAME(columns) *c, size_t n, double *sum)
{
    NAME(columns_sum_by)(c, n, 1, sum);
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

/* The rest of one dominated row that is too small for the sum of these weights. */
FS_NOINLINE double NAME(column_rest)(const NAME(columns) *c, size_t n, size_t i, const NAME(scales) *s)
{
    const fs_scale scale = {s->high[i], s->low[i], s->temperature[i]};
    REAL x[TINY];
    for (size_t j = 0; j < n; j++)
        x[j] = c->x[j * LANES + i];
    return NAME(rest_below)(x, n, &scale, c->max[i]);
}

/* log_sum[i]: L of row i (softmax/logsumexp-inl.h). */
static void NAME(columns_log_sums)(const NAME(columns) *c, size_t n, const NAME(scales) *s, double *log_sum)
{
    double sum[LANES], rest[LANES], unit[LANES], mass[LANES]; /* rest: a sum of weights; mass: of exp((x - max)/T) */
    REAL lower[LANES];
    int dominated = 0;
    NAME(columns_sum)(c, n, sum);
    for (int i = 0; i < LANES; i++) {
        unit[i] =
            fs_exp2_of_fraction(fs_above_maximum(0.0, (double)c->power[i], (double)c->max[i], s->high[i], s->low[i]));
        sum[i] *= unit[i];
    }
    for (int i = 0; i < LANES; i++) {
        dominated |= sum[i] < FS_DOMINATED;
        mass[i] = 0.0;
    }
    if (dominated) {
        VEC count = V(set1)(0), max = V(load)(c->max), one = V(set1)(1);
        int too_small = 0;
        NAME(columns_rest)(c, n, rest);
        for (size_t j = 0; j < n; j++)
            count = V(add)(count, V(where_above)(max, V(load)(c->x + j * LANES), one));
        V(store)(lower, count);
        for (int i = 0; i < LANES; i++)
            too_small |= (lower[i] == (REAL)(n - 1)) & (rest[i] < LEAST_SUM);
        for (int i = 0; i < LANES; i++)
            mass[i] = rest[i] * unit[i] + ((double)n - (double)lower[i] - 1.0);
        for (int i = 0; i < LANES && FS_UNLIKELY(too_small); i++)
            if (lower[i] == (REAL)(n - 1) && rest[i] < LEAST_SUM && sum[i] < FS_DOMINATED)
                mass[i] = NAME(column_rest)(c, n, (size_t)i, s);
    }
    for (int i = 0; i < LANES; i++)
        log_sum[i] = fs_log_of_sum(sum[i], mass[i]);
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

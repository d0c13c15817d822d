/* Rows of at most four vectors (TINY entries), in registers from the load to the result: softmax, the parts of a log-sum-exp,
 * and one draw.  The origin, weights, sum and integers are those of block-inl.h, sum-inl.h and draw/block_cdf-inl.h, bit for
 * bit.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h, softmax/logsumexp.h.
 */

/* The weights of one row in w[0 .. count), zero past the end, and its largest entry.  FS_OK, or why there are none. */
FS_INLINE fs_status NAME(tiny_weights)(const REAL *x, size_t n, const NAME(scale) *scale, VEC *w, REAL *largest,
                                       int count)
{
    for (int j = 0; j < count - 1; j++)
        w[j] = V(load)(x + j * LANES);
    w[count - 1] = V(load_first)(x + (count - 1) * LANES, n - (size_t)(count - 1) * LANES, -FS_INFINITY);
    VEC high = w[0], sum = w[0];
    for (int j = 1; j < count; j++)
        high = V(max)(w[j], high), sum = V(add)(sum, w[j]);
    REAL max = V(reduce_max)(high) + (REAL)0;
    if (FS_UNLIKELY(V(any_nan)(sum))) {
        if (NAME(has_nan)(x, n))
            return FS_NAN;
    }
    if (FS_UNLIKELY(!(max - max == 0)))
        return max > 0 ? FS_LIMIT : FS_NO_MASS;
    *largest = max;
    NAME(constants) k = NAME(constants_of)(NAME(origin_of)(max, scale), max, scale, LIFT);
    NAME(weights)(w, count, &k, FS_MAY_UNDERFLOW | FS_SHIFTED);
    return FS_OK;
}

/* Of a row: sum of the weights of the entries below max, and *ties, the number of the others. */
FS_INLINE double NAME(tiny_rest)(const REAL *x, size_t n, REAL max, const VEC *w, size_t *ties, int count)
{
    VEC lower[4], m = V(set1)(max);
    *ties = 0;
    for (int j = 0; j < count; j++) {
        VEC v = j < count - 1 ? V(load)(x + j * LANES)
                              : V(load_first)(x + j * LANES, n - (size_t)j * LANES, -FS_INFINITY);
        lower[j] = V(where_above)(m, v, w[j]);
        *ties += fs_count_bits(V(at_least)(v, m));
    }
    return NAME(sum_of_few)(lower, count);
}

/* Of a row: its largest entry max, the sum of exp((x - max)/T), and, where that is less than e or `always`, the rest of it
 * without the first entry equal to max: NaN if that is too small to be summed here. */
typedef struct {
    double max, sum, rest;
} NAME(log_parts);

FS_INLINE fs_status NAME(tiny_log_parts)(const REAL *x, size_t n, const fs_scale *c, const NAME(scale) *scale,
                                         int always, NAME(log_parts) *parts, int count)
{
    VEC w[4];
    REAL max = 0;
    fs_status status = NAME(tiny_weights)(x, n, scale, w, &max, count);
    if (FS_UNLIKELY(status != FS_OK))
        return status;
    const NAME(origin) o = NAME(origin_of)(max, scale);
    const double unit = fs_exp2_of_fraction(fs_above_maximum(o.shift, o.power, max, c->high, c->low));
    parts->max = max;
    parts->sum = NAME(sum_of_few)(w, count) * unit;
    parts->rest = 0.0;
    if (parts->sum < FS_DOMINATED || always) {
        size_t ties;
        double lower = NAME(tiny_rest)(x, n, max, w, &ties, count);
        parts->rest = ties == 1 && lower < LEAST_SUM ? (double)NAN : lower * unit + ((double)ties - 1.0);
    }
    return FS_OK;
}

/* Weights become w (max - x), in place, for one row; reach as in block-inl.h. */
FS_INLINE void NAME(tiny_moments)(const REAL *x, size_t n, REAL max, REAL reach, VEC *w, int count)
{
    const VEC m = V(set1)(max), floor = V(set1)(max - reach);
    for (int j = 0; j < count; j++) {
        VEC v = j < count - 1 ? V(load)(x + j * LANES)
                              : V(load_first)(x + j * LANES, n - (size_t)j * LANES, -FS_INFINITY);
        w[j] = V(mul)(w[j], V(sub)(m, V(max)(floor, v)));
    }
}

/* Call `f(..., count)` with the number of vectors of a row as a constant. */
#define FS_BY_COUNT(f, ...)                                                                                          \
    (n <= LANES       ? f(__VA_ARGS__, 1)                                                                            \
     : n <= 2 * LANES ? f(__VA_ARGS__, 2)                                                                            \
     : n <= 3 * LANES ? f(__VA_ARGS__, 3)                                                                            \
                      : f(__VA_ARGS__, 4))

FS_NOINLINE fs_status NAME(short_log_parts)(const REAL *x, size_t n, const fs_scale *c, int always,
                                            NAME(log_parts) *parts)
{
    const NAME(scale) scale = NAME(scale_of)(c);
    return FS_BY_COUNT(NAME(tiny_log_parts), x, n, c, &scale, always, parts);
}

FS_INLINE fs_status NAME(tiny_softmax)(const REAL *x, size_t n, const NAME(scale) *scale, REAL *out, int count)
{
    VEC w[4];
    REAL max;
    fs_status status = NAME(tiny_weights)(x, n, scale, w, &max, count);
    if (FS_UNLIKELY(status != FS_OK))
        return status;
    NAME(factor) factor = NAME(factor_of)(1.0, fs_reciprocal_of(NAME(sum_of_few)(w, count)));
    for (int j = 0; j < count - 1; j++)
        V(store)(out + j * LANES, NAME(product)(w[j], factor));
    V(store_first)(out + (count - 1) * LANES, NAME(product)(w[count - 1], factor), n - (size_t)(count - 1) * LANES);
    return FS_OK;
}

FS_INLINE fs_status NAME(tiny_sample)(const REAL *x, size_t n, const NAME(scale) *scale, double u, int64_t *index,
                                      int count)
{
    VEC w[4];
    REAL max;
    fs_status status = NAME(tiny_weights)(x, n, scale, w, &max, count);
    if (status == FS_OK)
        *index = (int64_t)V(draw)(w, count, u);
    return status;
}

/* LANES such rows side by side.
 *
 * One row alone is bound by latency: its reductions, its division and the exponential wait for each other.  Here the
 * maxima of all rows are found by folding two rows at a time into one register, the origins and the divisions are done
 * for all rows at once, lane i for row i, and only the exponential goes row by row.  The bits are the same. */

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

/* The weights of LANES rows of `count` vectors, at `w`, 4 vectors from row to row.
 * 0: some row needs more than this (NaN, infinity, a maximum to subtract); nothing has been done. */
FS_INLINE int NAME(weights_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scales) *s, VEC *w,
                                         REAL *max, REAL *power, int count)
{
    REAL floor[LANES], magic[LANES];
    size_t rest = n - (size_t)(count - 1) * LANES;
    VEC high[LANES], sum = V(set1)(0);
    for (int i = 0; i < LANES; i++) {
        const REAL *row = (const REAL *)(const void *)((const char *)x + i * stride);
        VEC v = rest == LANES ? V(load)(row + (count - 1) * LANES)
                              : V(load_first)(row + (count - 1) * LANES, rest, -FS_INFINITY);
        w[4 * i + count - 1] = v;
        high[i] = v;
        sum = V(add)(sum, v);
        for (int j = 0; j < count - 1; j++) {
            v = w[4 * i + j] = V(load)(row + j * LANES);
            high[i] = V(max)(v, high[i]);
            sum = V(add)(sum, v);
        }
    }
    if (FS_UNLIKELY(V(any_nan)(sum)))
        return 0;
    V(max_rows)(high, max);
    VEC m = V(add)(V(load)(max), V(set1)(0)), ch = V(load)(s->ch);
    VEC product = V(mul)(m, ch);
    if (FS_UNLIKELY(!(V(reduce_max)(product) < SHIFT_AT && V(reduce_min)(product) > -SHIFT_AT)))
        return 0;
    VEC m0 = V(set1)((REAL)MAGIC);
    VEC n0 = V(sub)(V(fma)(m, ch, m0), m0);
    V(store)(max, m);
    V(store)(power, n0);
    V(store)(magic, V(add)(V(sub)(V(set1)((REAL)STEP), n0), V(set1)((REAL)LIFT)));
    V(store)(floor, V(sub)(m, V(load)(s->reach)));
    for (int i = 0; i < LANES; i++) {
        NAME(constants)
        k = {V(set1)(0), V(set1)(floor[i]), V(set1)(magic[i]), V(set1)(s->ch[i]), V(set1)(s->cl[i])};
        VEC *row = w + 4 * i;
        NAME(weights)(row, count, &k, FS_MAY_UNDERFLOW);
    }
    return 1;
}

FS_INLINE void NAME(sums_side_by_side)(const VEC *w, double *sum, int count)
{
    f64x8 lanes[LANES], rests[LANES];
    for (int i = 0; i < LANES; i++)
        lanes[i] = NAME(sum_few)(w + 4 * i, count, &rests[i]);
    for (int i = 0; i < LANES; i += 8)
        NAME(sum_rows)(lanes + i, rests + i, sum + i);
}

FS_INLINE int NAME(softmax_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scales) *s, REAL *out,
                                         ptrdiff_t out_stride, int count)
{
    VEC w[4 * LANES];
    REAL max[LANES], power[LANES];
    double sum[LANES];
    NAME(factor) factor[LANES];
    size_t rest = n - (size_t)(count - 1) * LANES;
    if (!NAME(weights_side_by_side)(x, stride, n, s, w, max, power, count))
        return 0;
    NAME(sums_side_by_side)(w, sum, count);
    for (int i = 0; i < LANES; i++)
        factor[i] = NAME(factor_of)(1.0, fs_reciprocal_of(sum[i]));
    for (int i = 0; i < LANES; i++) {
        REAL *row = (REAL *)(void *)((char *)out + i * out_stride);
        for (int j = 0; j < count - 1; j++)
            V(store)(row + j * LANES, NAME(product)(w[4 * i + j], factor[i]));
        V(store_first)(row + (count - 1) * LANES, NAME(product)(w[4 * i + count - 1], factor[i]), rest);
    }
    return 1;
}

FS_INLINE int NAME(sample_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scales) *s,
                                        const double *u, int64_t *index, int count)
{
    VEC w[4 * LANES];
    REAL max[LANES], power[LANES];
    if (!NAME(weights_side_by_side)(x, stride, n, s, w, max, power, count))
        return 0;
    for (int i = 0; i < LANES; i++)
        index[i] = (int64_t)V(draw)(w + 4 * i, count, u[i]);
    return 1;
}

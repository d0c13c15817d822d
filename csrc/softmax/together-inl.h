/* As many tiny rows as a vector has lanes, together, at one temperature.
 *
 * One row alone is bound by latency: its reductions, its division and the exponential wait for each other.  Here the
 * maxima of all rows are found by folding two rows at a time into one register, the origins and the divisions are done
 * for all rows at once, lane i for row i, and only the exponential goes row by row.  The same bits as softmax/tiny-inl.h.
 */

/* The weights of LANES rows of `count` vectors, at `w`, 4 vectors from row to row.
 * 0: some row needs more than this (NaN, infinity, a maximum to subtract); nothing has been done. */
FS_INLINE int NAME(weights_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scale) *scale, VEC *w,
                                         int count)
{
    REAL max[LANES], floor[LANES], magic[LANES];
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
    VEC m = V(add)(V(load)(max), V(set1)(0)), ch = V(set1)(scale->ch);
    VEC product = V(mul)(m, ch);
    if (FS_UNLIKELY(!(V(reduce_max)(product) < SHIFT_AT && V(reduce_min)(product) > -SHIFT_AT)))
        return 0;
    VEC m0 = V(set1)((REAL)MAGIC);
    VEC power = V(sub)(V(fma)(m, ch, m0), m0);
    V(store)(magic, V(add)(V(sub)(V(set1)((REAL)STEP), power), V(set1)((REAL)LIFT)));
    V(store)(floor, V(sub)(m, V(set1)(scale->reach)));
    for (int i = 0; i < LANES; i++) {
        NAME(constants) k = {V(set1)(0), V(set1)(floor[i]), V(set1)(magic[i]), ch, V(set1)(scale->cl)};
        VEC *row = w + 4 * i;
        NAME(weights)(row, count, &k, 1);
    }
    return 1;
}

FS_INLINE int NAME(softmax_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scale) *scale,
                                         REAL *out, ptrdiff_t out_stride, int count)
{
    VEC w[4 * LANES];
    f64x8 lanes[LANES], rests[LANES];
    double sum[LANES];
    NAME(factor) factor[LANES];
    size_t rest = n - (size_t)(count - 1) * LANES;
    if (!NAME(weights_side_by_side)(x, stride, n, scale, w, count))
        return 0;
    for (int i = 0; i < LANES; i++)
        lanes[i] = NAME(sum_few)(w + 4 * i, count, &rests[i]);
    for (int i = 0; i < LANES; i += 8)
        NAME(sum_rows)(lanes + i, rests + i, sum + i);
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

FS_INLINE int NAME(sample_side_by_side)(const REAL *x, ptrdiff_t stride, size_t n, const NAME(scale) *scale,
                                        const double *u, int64_t *index, int count)
{
    VEC w[4 * LANES];
    if (!NAME(weights_side_by_side)(x, stride, n, scale, w, count))
        return 0;
    for (int i = 0; i < LANES; i++)
        index[i] = (int64_t)V(draw)(w + 4 * i, count, u[i]);
    return 1;
}

/* Rows of at most four vectors (TINY entries), in registers from the load to the result: softmax and one draw.
 * The origin, weights, sum and integers are those of block-inl.h, sum-inl.h and draw/block_cdf-inl.h, bit for bit.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h.
 */

enum { NAME(TINY) = 4 * LANES };

/* The weights of one row in w[0 .. count), zero past the end.  FS_OK, or why there are none. */
FS_INLINE fs_status NAME(tiny_weights)(const REAL *x, size_t n, const NAME(scale) *scale, VEC *w, int count)
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
    NAME(constants) k = NAME(constants_of)(NAME(origin_of)(max, scale), max, scale, LIFT);
    NAME(weights)(w, count, &k, 1);
    return FS_OK;
}

FS_INLINE fs_status NAME(tiny_softmax)(const REAL *x, size_t n, const NAME(scale) *scale, REAL *out, int count)
{
    VEC w[4];
    fs_status status = NAME(tiny_weights)(x, n, scale, w, count);
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
    fs_status status = NAME(tiny_weights)(x, n, scale, w, count);
    if (status == FS_OK)
        *index = (int64_t)V(draw)(w, count, u);
    return status;
}

/* LANES such rows side by side, at one temperature.
 *
 * One row alone is bound by latency: its reductions, its division and the exponential wait for each other.  Here the
 * maxima of all rows are found by folding two rows at a time into one register, the origins and the divisions are done
 * for all rows at once, lane i for row i, and only the exponential goes row by row.  The bits are the same. */

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

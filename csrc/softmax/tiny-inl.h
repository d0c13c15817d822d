/* Rows of at most FS_TINY vectors, held in registers from the load to the result.
 * The same origin, weights, sum and integers as softmax/block-inl.h and draw/draw-inl.h have; nothing is stored on the way. */

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

/* The divergence of many rows from as many others: of rows of one block each the normalisers of LANES at a time, side by side,
 * in double.  The bits are those of kernel_kl_divergence.
 *
 * Needs real_f64.h, ops/divergence.h, ops/rows-inl.h.
 */

/* 0: one of the rows needs more than this. */
static int NAME(normalisers)(const REAL *x, size_t n, size_t count, const NAME(scales) *s, REAL *max, double *log_sum)
{
    const ptrdiff_t step = (ptrdiff_t)(n * sizeof(REAL));
    if (n > TINY)
        return NAME(log_sums_of_blocks)(x, step, n, count, s, max, log_sum, NULL, NULL, NULL);
    return count == LANES && NAME(log_sums_of_lanes)(x, step, n, s, max, log_sum, NULL, NULL, NULL);
}

/* Rows [first, first + count), of which there are at most LANES; 0: not all are done, as one of them needs more than this. */
static int NAME(divergences_side_by_side)(const fs_rows *p, const fs_rows *q, size_t first, size_t count, REAL *tile,
                                          double *result, ptrdiff_t step)
{
    const size_t n = p->n;
    REAL *x = tile, *y = tile + LANES * n, max[2][LANES];
    double log_sum[2][LANES];
    NAME(scales) s;
    if (!NAME(scales_at)(p, first, count, &s))
        return 0;
    NAME(gather_rows)(p, first, count, x);
    NAME(gather_rows)(q, first, count, y);
    if (!NAME(normalisers)(x, n, count, &s, max[0], log_sum[0]) ||
        !NAME(normalisers)(y, n, count, &s, max[1], log_sum[1]))
        return 0;
    for (size_t i = 0; i < count; i++) {
        const fs_row of_p = fs_bare_row(x + i * n, sizeof(REAL), DTYPE, 0);
        const fs_row of_q = fs_bare_row(y + i * n, sizeof(REAL), DTYPE, 0);
        const fs_distribution from = {fs_reader_of(&of_p), s.temperature[i], max[0][i], log_sum[0][i]};
        const fs_distribution to = {fs_reader_of(&of_q), s.temperature[i], max[1][i], log_sum[1][i]};
        if (fs_divergence_of(&from, &to, n, NAME(entry_at)(result, step, first + i)) != FS_OK)
            return 0; /* interrupted, which the next call returns */
    }
    return 1;
}

static size_t kernel_kl_divergence_rows(const fs_rows *p, const fs_rows *q, double *result, ptrdiff_t step)
{
    const size_t n = p->n;
    REAL *tile = n <= BLOCK ? fs_thread_scratch(2 * LANES * n * sizeof(REAL)) : NULL;
    for (size_t i = 0; i < p->count; i += LANES) {
        const size_t count = p->count - i < LANES ? p->count - i : LANES;
        if (tile && NAME(divergences_side_by_side)(p, q, i, count, tile, result, step))
            continue;
        for (size_t j = i; j < i + count; j++) {
            const fs_row from = fs_row_at(p, j), to = fs_row_at(q, j);
            if (fs_has_ended(
                    kernel_kl_divergence(&from, &to, n, fs_temperature_at(p, j), NAME(entry_at)(result, step, j))))
                return j;
        }
    }
    return p->count;
}

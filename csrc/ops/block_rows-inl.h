/* Logarithms of up to LANES rows of one block each, longer than TINY: the weights go row by row, what follows from the sums
 * for all rows at once, lane i for row i.  The bits are those of log_normaliser, entropy and sample.
 *
 * Needs real_f32.h or real_f64.h, softmax/columns-inl.h, draw/block_cdf-inl.h.
 */

/* Sums of weights from here on are not those of a dominated row: their origin is within a power of two of the maximum. */
#define FS_NOT_DOMINATED 6.0

static inline NAME(scale) NAME(scale_at)(const NAME(scales) *s, size_t i)
{
    const NAME(scale) scale = {s->ch[i], s->cl[i], s->reach[i], NORMAL_SPAN / s->ch[i]};
    return scale;
}

/* What log_sums_side_by_side finds (softmax/columns-inl.h), of `count` rows.  0: one of them needs more than this (NaN,
 * infinity, a maximum to subtract), and at most draws have been written. */
FS_NOINLINE int NAME(log_sums_of_blocks)(const REAL *x, ptrdiff_t stride, size_t n, size_t count,
                                         const NAME(scales) *s, REAL *max, double *log_sum, double *mean,
                                         const double *u, int64_t *index)
{
    NAME(block_cdf) cdf;
    NAME(logs_of_rows) l;
    REAL power[LANES];
    double rest[LANES], of_rest[LANES];
    NAME(scale) scale = NAME(scale_at)(s, 0);
    NAME(range) next = NAME(range_of)(x, n, &scale);
    for (size_t i = 0; i < count; i++) {
        const REAL *row = NAME(entry_at)(x, stride, i);
        const NAME(range) range = next;
        scale = NAME(scale_at)(s, i);
        const NAME(origin) o = NAME(origin_of)(range.max, &scale);
        if (FS_UNLIKELY(range.nan || o.shift != 0 || !(range.max < EXTREME && range.max > -EXTREME)))
            return 0;
        if (i + 1 < count) { /* before the weights of this row, so that neither waits for the other */
            const NAME(scale) after = NAME(scale_at)(s, i + 1);
            next = NAME(range_of)(NAME(entry_at)(x, stride, i + 1), n, &after);
        }
        max[i] = range.max;
        power[i] = o.power;
        l.sum[i] = NAME(block_weights)(row, n, range, &scale, cdf.weight);
        rest[i] = of_rest[i] = l.moment[i] = 0.0;
        if (index) {
            NAME(cdf_sums)(&cdf, n);
            index[i] = (int64_t)NAME(cdf_index)(&cdf, n, fs_scale_uniform(u[i], NAME(cdf_total)(&cdf)).high);
        }
        if (mean)
            NAME(block_again)(row, n, range.max, &scale, cdf.weight, 1, l.moment + i);
        if (l.sum[i] < FS_NOT_DOMINATED) {
            const fs_scale c = {s->high[i], s->low[i], s->temperature[i]};
            rest[i] = NAME(rest_of_weights)(row, n, &c, &scale, range, cdf.weight, mean ? of_rest + i : NULL);
        }
    }
    for (size_t i = count; i < LANES; i++) { /* a lane without a row is one of the first */
        max[i] = max[0], power[i] = power[0], rest[i] = rest[0];
        l.sum[i] = l.sum[0], l.moment[i] = l.moment[0], of_rest[i] = of_rest[0];
    }
    NAME(logs_begin)(&l, max, power, s);
    for (int i = 0; i < LANES && mean; i++)
        l.moment[i] = l.dominated >> i & 1 ? of_rest[i] : l.moment[i] / s->temperature[i] * l.unit[i];
    for (int i = 0; i < LANES; i++)
        l.mass[i] = rest[i];
    NAME(logs_end)(&l, log_sum, mean);
    return 1;
}
#undef FS_NOT_DOMINATED

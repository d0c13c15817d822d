/* Many rows: the result of each is that of fs_do_row, by the shortest way there is for its length and layout.
 *
 *     up to TINY entries      side by side (softmax/columns-inl.h, short_rows-inl.h), whatever the layout
 *     contiguous rows         one after another where they lie, the temperature prepared once for as long as it stays the same;
 *                             of one block, their logarithms side by side (ops/block_rows-inl.h)
 *     other rows              copied into a tile of contiguous rows (row/tile-inl.h), and done there
 *     neighbours in memory    of another type, with a mask or a bias, or a power of two apart: strips of them come first as they are
 *
 * Needs real_f32.h or real_f64.h, ops/rows.h, ops/block_rows-inl.h, draw/columns-inl.h, and the softmax and draw rooms.
 */

/* A temperature, prepared for rows of n entries. */
typedef struct {
    double temperature;
    enum { NAME(SHORTEST), NAME(ONE_BLOCK), NAME(LONG_OR_LIMIT) } kind; /* up to four vectors; one block; the rest */
    NAME(scale) scale;
} NAME(prepared);

static void NAME(prepare_temperature)(NAME(prepared) *p, double temperature, size_t n)
{
    fs_scale c = fs_scale_of(temperature);
    p->temperature = temperature;
    p->kind = !fs_has_formula(temperature, DTYPE == FS_F64) || n > BLOCK ? NAME(LONG_OR_LIMIT)
              : n <= TINY                                                ? NAME(SHORTEST)
                                                                         : NAME(ONE_BLOCK);
    p->scale = NAME(scale_of)(&c);
}

static inline const REAL *NAME(row_at)(const void *base, ptrdiff_t stride, size_t i)
{
    return NAME(entry_at)(base, stride, i);
}

/* A row that the formula does not serve.  Of a copy the original is done, whose result is rounded once, and then copied. */
static fs_status NAME(do_other_row)(const fs_batch *b, size_t i, fs_operation operation)
{
    size_t at = i;
    const fs_batch *original = fs_original(b, &at);
    if (original == b)
        return fs_do_row(b, i, operation);
    const fs_scratch tile = fs_detach_scratch();
    fs_status status = fs_do_row(original, at, operation);
    fs_attach_scratch(tile);
    if (operation != FS_SOFTMAX && operation != FS_LOG_SOFTMAX)
        return status;
    const fs_output out = fs_output_at(original->out, original->out_step, at);
    const fs_output to = fs_output_at(b->out, b->out_step, i);
    const fs_row result = fs_bare_row(out.data, (size_t)out.stride, out.dtype, 0);
    const fs_reader reader = fs_reader_of(&result);
    REAL copy[BLOCK];
    for (size_t start = 0; start < b->rows->n && !fs_has_ended(status) && to.data != out.data; start += BLOCK) {
        size_t len = NAME(block_length)(b->rows->n, start / BLOCK);
        NAME(fs_store)(&to, start, len, NAME(fs_load)(&reader, start, len, copy));
    }
    return status;
}

/* Rows of one block each at one temperature, until one that the formula does not serve; the number of rows done.
 * The range of the next row is taken before the weights of this one, and the row before is multiplied after them, so
 * that no row waits for its own reductions. */
static size_t NAME(softmax_run)(const REAL *x, ptrdiff_t stride, size_t rows, size_t n, const NAME(scale) *scale,
                                REAL *out, ptrdiff_t out_stride)
{
    NAME(factor) factor = NAME(unit);
    REAL *before = NULL;
    NAME(range) next = NAME(range_of)(x, n, scale);
    size_t i = 0;
    for (; i < rows; i++) {
        NAME(range) range = next;
        REAL *to = (REAL *)(void *)((char *)out + (ptrdiff_t)i * out_stride);
        if (FS_UNLIKELY(range.nan || !(range.max - range.max == 0)))
            break;
        if (i + 1 < rows)
            next = NAME(range_of)(NAME(row_at)(x, stride, i + 1), n, scale);
        double total = NAME(block_weights)(NAME(row_at)(x, stride, i), n, range, scale, to);
        if (before)
            NAME(block_multiply)(before, n, factor);
        factor = NAME(factor_of)(1.0, fs_reciprocal_of(total));
        before = to;
    }
    if (before)
        NAME(block_multiply)(before, n, factor);
    return i;
}

/* A contiguous row by the formula.  A status other than FS_OK is for fs_do_row to explain: it knows limits too. */
static fs_status NAME(formula_row)(const fs_batch *b, size_t i, fs_operation operation)
{
    const size_t n = b->rows->n;
    const double temperature = fs_temperature_at(b->rows, i);
    const fs_row row = fs_row_at(b->rows, i);
    const fs_reader reader = fs_reader_of(&row);
    if (!fs_has_formula(temperature, DTYPE == FS_F64))
        return FS_LIMIT;
    if (operation == FS_SAMPLE)
        return NAME(sample)(&reader, n, temperature, 1, &(fs_uniforms){b->u + i, NULL, NULL}, b->index + i,
                            b->logprob ? b->logprob + i : NULL);
    if (operation == FS_SAMPLE_SEEDED) {
        const fs_draw_key key = fs_draw_key_at(b, i);
        return NAME(draw_by_rejection)(&reader, n, temperature, &key, b->index + i,
                                       b->logprob ? b->logprob + i : NULL);
    }
    double max, log_sum, result;
    fs_status status;
    if (operation == FS_LOG_PROB) {
        status = NAME(log_normaliser)(&reader, n, temperature, &max, &log_sum);
        if (status == FS_OK)
            b->logprob[i] = fs_logprob_of(&reader, (size_t)b->index[i], temperature, max, log_sum);
        return status;
    }
    const fs_output out = fs_output_at(b->out, b->out_step, i);
    if (operation == FS_ENTROPY) {
        status = NAME(entropy)(&reader, n, temperature, &result);
        if (status == FS_OK)
            fs_store_f64(&out, 0, 1, &result);
        return status;
    }
    if (operation == FS_LOGSUMEXP) {
        status = NAME(log_normaliser)(&reader, n, temperature, &max, &log_sum);
        if (status != FS_OK)
            return status;
        result = fs_add_maximum(max, temperature, log_sum);
        if (DTYPE != FS_F64 && fs_nearly_cancels(result, max, temperature))
            return FS_LIMIT;
        fs_store_f64(&out, 0, 1, &result);
        return FS_OK;
    }
    return operation == FS_SOFTMAX ? NAME(softmax)(&reader, n, temperature, &out)
                                   : NAME(log_softmax)(&reader, n, temperature, &out);
}

/* One contiguous row.  p: its temperature. */
FS_INLINE fs_status NAME(contiguous_row)(const fs_batch *b, size_t i, const NAME(prepared) *p, fs_operation operation)
{
    const size_t n = b->rows->n;
    const REAL *x = NAME(row_at)(b->rows->row.data, b->rows->step, i);
    fs_status status = FS_LIMIT;
    if (operation == FS_SAMPLE_SEEDED || p->kind == NAME(LONG_OR_LIMIT) ||
        (operation != FS_SOFTMAX && (operation != FS_SAMPLE || b->logprob))) {
        status = NAME(formula_row)(b, i, operation);
    } else if (operation == FS_SOFTMAX) {
        REAL *out = NAME(entry_at)(b->out->data, b->out_step, i);
        status = p->kind == NAME(SHORTEST) ? FS_BY_COUNT(NAME(tiny_softmax), x, n, &p->scale, out)
                                           : NAME(softmax_short)(x, n, &p->scale, out);
    } else if (p->kind == NAME(SHORTEST)) {
        status = FS_BY_COUNT(NAME(tiny_sample), x, n, &p->scale, b->u[i], b->index + i);
    } else {
        NAME(block_cdf) cdf;
        status = NAME(cdf_of_row)(x, n, &p->scale, &cdf);
        if (status == FS_OK)
            b->index[i] = (int64_t)NAME(cdf_index)(&cdf, n, fs_scale_uniform(b->u[i], NAME(cdf_total)(&cdf)).high);
    }
    if (FS_UNLIKELY(status != FS_OK && !fs_has_ended(status))) {
        if (status != FS_LIMIT && (operation == FS_SOFTMAX || operation == FS_LOG_SOFTMAX)) {
            const fs_output out = fs_output_at(b->out, b->out_step, i); /* in place there may be weights by now */
            fs_fill_nan(&out, n);
        } else {
            status = NAME(do_other_row)(b, i, operation);
        }
    }
    return status;
}

/* logsumexp of `count` rows from max and L. */
FS_INLINE void NAME(finish_logsumexp)(const fs_batch *b, size_t first, size_t count, const NAME(scales) *s,
                                      const REAL *max, const double *log_sum)
{
    double result[LANES];
    int cancels = 0;
    for (int i = 0; i < LANES; i++)
        result[i] = fs_add_maximum((double)max[i], s->temperature[i], log_sum[i]);
    for (int i = 0; i < LANES && DTYPE != FS_F64; i++)
        cancels |= fs_nearly_cancels(result[i], (double)max[i], s->temperature[i]);
    if (b->out->dtype == DTYPE && !cancels) {
        for (size_t i = 0; i < count; i++)
            *(REAL *)NAME(entry_at)(b->out->data, b->out_step, first + i) = (REAL)result[i];
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const fs_output to = fs_output_at(b->out, b->out_step, first + i);
        if (FS_UNLIKELY(DTYPE != FS_F64 && fs_nearly_cancels(result[i], (double)max[i], s->temperature[i])))
            NAME(do_other_row)(b, first + i, FS_LOGSUMEXP);
        else
            fs_store_f64(&to, 0, 1, result + i);
    }
}

/* entropy of `count` rows from L and the mean of (max - x)/T. */
FS_INLINE void NAME(finish_entropy)(const fs_batch *b, size_t first, size_t count, const double *log_sum,
                                    const double *mean)
{
    for (size_t i = 0; i < count; i++) {
        const double result = log_sum[i] + mean[i];
        const fs_output to = fs_output_at(b->out, b->out_step, first + i);
        fs_store_f64(&to, 0, 1, &result);
    }
}

/* The temperatures of `count` rows, of which the first stands for those that are missing; 0: the formula does not serve one. */
static int NAME(scales_at)(const fs_rows *rows, size_t first, size_t count, NAME(scales) *s)
{
    for (size_t j = 0; j < LANES; j++)
        s->temperature[j] = fs_temperature_at(rows, first + (j < count ? j : 0));
    return NAME(scales_of)(s);
}

/* LANES short contiguous rows, of each number of vectors, once for all operations: 4 kinds of each are most of the code. */
FS_NOINLINE int NAME(softmax_of_lanes)(const REAL *x, ptrdiff_t step, size_t n, const NAME(scales) *s, REAL *out,
                                       ptrdiff_t out_step)
{
    return FS_BY_COUNT(NAME(softmax_side_by_side), x, step, n, s, out, out_step);
}
FS_NOINLINE int NAME(sample_of_lanes)(const REAL *x, ptrdiff_t step, size_t n, const NAME(scales) *s, const double *u,
                                      int64_t *index)
{
    return FS_BY_COUNT(NAME(sample_side_by_side), x, step, n, s, u, index);
}
FS_NOINLINE int NAME(log_sums_of_lanes)(const REAL *x, ptrdiff_t step, size_t n, const NAME(scales) *s, REAL *max,
                                        double *log_sum, double *mean, const double *u, int64_t *index)
{
    return FS_BY_COUNT(NAME(log_sums_side_by_side), x, step, n, s, max, log_sum, mean, u, index);
}

/* `count` contiguous rows from row i on, LANES of them if they are short; 0: one of them needs more than that, and no result is
 * written but draws. */
FS_INLINE int NAME(side_by_side)(const fs_batch *b, size_t i, size_t count, const NAME(scales) *s,
                                 fs_operation operation)
{
    const fs_rows *rows = b->rows;
    const size_t n = rows->n;
    const ptrdiff_t step = rows->step;
    const REAL *x = NAME(row_at)(rows->row.data, step, i);
    REAL max[LANES];
    double log_sum[LANES], mean[LANES];
    const double *u = operation == FS_SAMPLE ? b->u + i : NULL;
    int64_t *index = operation == FS_SAMPLE ? b->index + i : NULL;
    double *means = operation == FS_ENTROPY ? mean : NULL;
    if (operation == FS_SOFTMAX)
        return NAME(softmax_of_lanes)(x, step, n, s, NAME(entry_at)(b->out->data, b->out_step, i), b->out_step);
    if (operation == FS_SAMPLE && !b->logprob)
        return NAME(sample_of_lanes)(x, step, n, s, u, index);
    if (!(n <= TINY ? NAME(log_sums_of_lanes)(x, step, n, s, max, log_sum, means, u, index)
                    : NAME(log_sums_of_blocks)(x, step, n, count, s, max, log_sum, means, u, index)))
        return 0;
    if (operation == FS_LOGSUMEXP) {
        NAME(finish_logsumexp)(b, i, count, s, max, log_sum);
    } else if (operation == FS_ENTROPY) {
        NAME(finish_entropy)(b, i, count, log_sum, mean);
    } else if (operation == FS_SAMPLE || operation == FS_LOG_PROB) {
        for (size_t j = 0; j < count; j++)
            b->logprob[i + j] = fs_log_probability((double)NAME(row_at)(x, step, j)[b->index[i + j]], (double)max[j],
                                                   s->temperature[j], log_sum[j]);
    } else {
        for (size_t j = 0; j < count; j++)
            NAME(log_block)(NAME(row_at)(x, step, j), n, max[j], 1, (REAL)(1.0 / s->temperature[j]), (REAL)log_sum[j],
                            NAME(entry_at)(b->out->data, b->out_step, i + j));
    }
    return 1;
}

/* Contiguous rows, results included. */
FS_INLINE size_t NAME(contiguous_rows)(const fs_batch *b, size_t first, size_t past, fs_operation operation)
{
    const fs_rows *rows = b->rows;
    const size_t n = rows->n;
    const int constant = rows->temperature_step == 0;
    NAME(prepared) p = {NAN, NAME(LONG_OR_LIMIT), {0, 0, 0, 0}};
    const int logs = operation != FS_SOFTMAX && (operation != FS_SAMPLE || b->logprob);
    NAME(scales) s;
    int usable = 0;
    for (size_t i = first, done; i < past; i += done) {
        double t = fs_temperature_at(rows, i);
        done = past - i < LANES ? past - i : LANES;
        if (operation != FS_SAMPLE_SEEDED && (n <= TINY ? done == LANES : logs && n <= BLOCK)) {
            if (i == first || !constant)
                usable = NAME(scales_at)(rows, i, done, &s);
            if (usable && NAME(side_by_side)(b, i, done, &s, operation))
                continue;
        }
        done = 0;
        if (t != p.temperature)
            NAME(prepare_temperature)(&p, t, n);
        if (operation == FS_SOFTMAX && constant && past - i > 1 && p.kind == NAME(ONE_BLOCK))
            done = NAME(softmax_run)(NAME(row_at)(rows->row.data, rows->step, i), rows->step, past - i, n, &p.scale,
                                     NAME(entry_at)(b->out->data, b->out_step, i), b->out_step);
        if (!done) {
            if (fs_has_ended(NAME(contiguous_row)(b, i, &p, operation)))
                return i;
            done = 1;
        }
    }
    return past;
}

/* What the operation needs of short rows that lie as columns: draws from the first `count`, the results of softmax and
 * log-softmax in place of the weights, and of logsumexp the log_sum.  0: one of them needs more than that, and nothing is
 * done. */
FS_INLINE int NAME(columns_results)(NAME(columns) *c, size_t n, size_t count, const NAME(scales) *s,
                                    fs_operation operation, const double *u, int64_t *index, double *logprob,
                                    double *log_sum, double *mean)
{
    if (!NAME(columns_weights)(c, n, s))
        return 0;
    if (operation == FS_SOFTMAX) {
        NAME(columns_softmax)(c, n);
        return 1;
    }
    if (operation == FS_SAMPLE) {
        NAME(columns_draw)(c, n, u, count, index);
        if (!logprob)
            return 1;
    }
    NAME(columns_log_sums)(c, n, s, log_sum, operation == FS_ENTROPY ? mean : NULL);
    if (operation == FS_SAMPLE || operation == FS_LOG_PROB)
        NAME(columns_logprob)(c, s, log_sum, count, index, logprob);
    else if (operation == FS_LOG_SOFTMAX)
        NAME(columns_log_softmax)(c, n, s, log_sum);
    return 1;
}

/* `count` short rows side by side; 0: one of them needs more than that, and nothing is done. */
FS_INLINE int NAME(do_columns)(const fs_batch *b, size_t first, size_t count, const NAME(scales) *s,
                               fs_operation operation)
{
    NAME(columns) c;
    double log_sum[LANES], mean[LANES];
    const size_t n = b->rows->n;
    NAME(load_columns)(b->rows, first, count, c.x);
    if (!NAME(columns_results)(&c, n, count, s, operation, b->u ? b->u + first : NULL,
                               b->index ? b->index + first : NULL, b->logprob ? b->logprob + first : NULL, log_sum,
                               mean))
        return 0;
    if (operation == FS_SAMPLE || operation == FS_LOG_PROB)
        return 1;
    if (operation == FS_ENTROPY) {
        NAME(finish_entropy)(b, first, count, log_sum, mean);
        return 1;
    }
    if (operation == FS_LOGSUMEXP) {
        NAME(finish_logsumexp)(b, first, count, s, c.max, log_sum);
        return 1;
    }
    const fs_output out = fs_output_at(b->out, b->out_step, first);
    NAME(store_columns)(c.w, n, &out, b->out_step, count);
    return 1;
}

FS_INLINE size_t NAME(short_rows)(const fs_batch *b, fs_operation operation)
{
    const fs_rows *rows = b->rows;
    NAME(scales) s;
    int usable = 0;
    for (size_t i = 0; i < rows->count; i += LANES) {
        const size_t count = rows->count - i < LANES ? rows->count - i : LANES;
        if (i == 0 || rows->temperature_step != 0)
            usable = NAME(scales_at)(rows, i, count, &s);
        if (usable && NAME(do_columns)(b, i, count, &s, operation))
            continue;
        for (size_t j = i; j < i + count; j++)
            if (fs_has_ended(NAME(do_other_row)(b, j, operation)))
                return j;
    }
    return rows->count;
}

/* Rows in tiles of contiguous rows; `adjacent`: neighbours are neighbours in memory. */
FS_INLINE size_t NAME(tiled_rows)(const fs_batch *b, int adjacent, fs_operation operation)
{
    const fs_rows *rows = b->rows;
    const size_t n = rows->n, length = adjacent ? (n + LANES - 1) / LANES * LANES + LANES : n;
    size_t height = adjacent ? LANES : n >= FS_MAX_BLOCK ? 1 : 4 * FS_MAX_BLOCK / n;
    while (height > 1 && height * length * sizeof(REAL) > FS_TILE_LIMIT)
        height /= 2;
    const int to_tile = (operation == FS_SOFTMAX || operation == FS_LOG_SOFTMAX) && !NAME(is_direct)(b->out);
    REAL *tile = n <= SIZE_MAX / sizeof(REAL) / LANES - 2 ? fs_thread_scratch(height * length * sizeof(REAL)) : NULL;
    const ptrdiff_t step = (ptrdiff_t)(length * sizeof(REAL));
    for (size_t i = 0; i < rows->count; i += height) {
        const size_t count = rows->count - i < height ? rows->count - i : height;
        size_t done = 0;
        if (tile) {
            fs_rows copies = fs_rows_from(rows, i, count);
            copies.row = fs_bare_row(tile, sizeof(REAL), DTYPE, 0);
            copies.step = step;
            const fs_output in_tile = {tile, sizeof(REAL), DTYPE};
            const fs_output out = b->out ? fs_output_at(b->out, b->out_step, i) : in_tile;
            fs_batch copied = fs_batch_from(b, i, &copies);
            copied.out = to_tile ? &in_tile : &out;
            copied.out_step = to_tile ? step : b->out_step;
            if (adjacent)
                NAME(load_rows)(rows, i, count, tile, step);
            else
                NAME(gather_rows)(rows, i, count, tile);
            done = NAME(contiguous_rows)(&copied, 0, count, operation);
            if (to_tile)
                NAME(store_rows)(tile, step, n, &out, b->out_step, done);
        }
        for (; !tile && done < count; done++)
            if (fs_has_ended(fs_do_row(b, i + done, operation)))
                break;
        if (done < count)
            return i + done;
    }
    return rows->count;
}

/* Neighbours in memory, a strip of them at a time in a tile, where they are neighbours too; do_rows: the operation. */
FS_NOINLINE size_t NAME(rows_in_strips)(const fs_batch *b, fs_operation operation,
                                        size_t (*do_rows)(const fs_batch *))
{
    const fs_rows *rows = b->rows;
    const int writes = operation == FS_SOFTMAX || operation == FS_LOG_SOFTMAX;
    const size_t n = rows->n, width = NAME(strip_width)(n);
    /* an odd number of lines: the strip itself needs no strips */
    const ptrdiff_t stride = (ptrdiff_t)((width * sizeof(REAL) / FS_CACHE_LINE | 1) * FS_CACHE_LINE);
    const fs_scratch memory = fs_take_table(n * (size_t)stride + FS_CACHE_LINE);
    if (!memory.memory)
        return fs_rows_one_by_one(b, operation);
    REAL *tile = (REAL *)(((uintptr_t)memory.memory + FS_CACHE_LINE - 1) / FS_CACHE_LINE * FS_CACHE_LINE);
    size_t i = 0, done = 0, count = 0;
    for (; i < rows->count && done == count; i += done) {
        fs_rows strip = fs_rows_from(rows, i, width);
        NAME(load_strip)(&strip, tile, stride);
        strip.row = fs_bare_row(tile, (size_t)stride, DTYPE, 0);
        strip.step = sizeof(REAL);
        count = strip.count;
        const fs_output in_tile = {tile, stride, DTYPE};
        const fs_output out = b->out ? fs_output_at(b->out, b->out_step, i) : in_tile;
        fs_batch copied = fs_batch_from(b, i, &strip);
        copied.out = writes ? &in_tile : &out;
        copied.out_step = writes ? strip.step : b->out_step;
        done = do_rows(&copied);
        if (writes)
            NAME(store_strip)(tile, stride, n, &out, b->out_step, done);
    }
    fs_return_table(memory);
    return i;
}

/* do_rows: this, for the operation. */
FS_INLINE size_t NAME(rows_by)(const fs_batch *b, fs_operation operation, size_t (*do_rows)(const fs_batch *))
{
    const fs_rows *rows = b->rows;
    const fs_row *row = &rows->row;
    if (rows->count == 0)
        return 0;
    const int writes = operation == FS_SOFTMAX || operation == FS_LOG_SOFTMAX;
    if (NAME(needs_strips)(rows, writes))
        return NAME(rows_in_strips)(b, operation, do_rows);
    const int bare = fs_is_bare(row) && row->dtype == DTYPE && row->stride == (ptrdiff_t)sizeof(REAL);
    const int contiguous = bare && (!writes || NAME(is_direct)(b->out));
    const int adjacent = rows->step == (ptrdiff_t)fs_size_of(row->dtype) && rows->count > 1;
    /* contiguous rows of up to so many entries are faster as columns than side by side: measured, bench/NOTES.md */
    const size_t columns = sizeof(REAL) == sizeof(float) && operation != FS_SOFTMAX ? 3 * LANES / 4 : LANES / 2;
    if (rows->n <= TINY && rows->count > 1 && (adjacent || rows->n <= columns))
        return NAME(short_rows)(b, operation);
    if (contiguous)
        return NAME(contiguous_rows)(b, 0, rows->count, operation);
    if (adjacent || rows->n <= BLOCK)
        return NAME(tiled_rows)(b, adjacent, operation);
    return fs_rows_one_by_one(b, operation);
}

/* softmax_rows_f32, softmax_rows_f64, and so on */
static size_t NAME(softmax_rows)(const fs_batch *b) { return NAME(rows_by)(b, FS_SOFTMAX, NAME(softmax_rows)); }
static size_t NAME(log_softmax_rows)(const fs_batch *b)
{
    return NAME(rows_by)(b, FS_LOG_SOFTMAX, NAME(log_softmax_rows));
}
static size_t NAME(logsumexp_rows)(const fs_batch *b) { return NAME(rows_by)(b, FS_LOGSUMEXP, NAME(logsumexp_rows)); }
static size_t NAME(entropy_rows)(const fs_batch *b) { return NAME(rows_by)(b, FS_ENTROPY, NAME(entropy_rows)); }
static size_t NAME(sample_rows)(const fs_batch *b) { return NAME(rows_by)(b, FS_SAMPLE, NAME(sample_rows)); }
static size_t NAME(logprob_rows)(const fs_batch *b) { return NAME(rows_by)(b, FS_LOG_PROB, NAME(logprob_rows)); }

/* Rows that rejection is for: those that are neighbours in memory as contiguous copies. */
static size_t NAME(sample_seeded_rows)(const fs_batch *b)
{
    const fs_rows *rows = b->rows;
    if (rows->step == (ptrdiff_t)fs_size_of(rows->row.dtype) && rows->count > 1)
        return NAME(tiled_rows)(b, 1, FS_SAMPLE_SEEDED);
    return fs_rows_one_by_one(b, FS_SAMPLE_SEEDED);
}

/* One row, and why it is NaN where it is. */
static fs_status NAME(kernel_softmax)(const REAL *x, size_t n, double temperature, REAL *out)
{
    NAME(prepared) p;
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    const fs_rows rows = {fs_bare_row(x, sizeof(REAL), DTYPE, 0), 1, n, 0, 0, 0, &temperature, 0};
    const fs_output output = {out, sizeof(REAL), DTYPE};
    const fs_batch b = {.rows = &rows, .out = &output};
    NAME(prepare_temperature)(&p, temperature, n);
    return NAME(contiguous_row)(&b, 0, &p, FS_SOFTMAX);
}

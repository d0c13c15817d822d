/* Rows of different lengths, one after another in one array (fs_segments): the result of each is that of fs_do_row.
 *
 *     runs of equal lengths     evenly spaced rows, done as such (ops/rows-inl.h)
 *     longer than TINY          each by itself, in the same way
 *     up to TINY entries        collected, sorted by length, and done side by side: the columns of the shorter ones end in -inf
 *
 * An entry -inf has the weight 0, and the order of the sums is fixed by the places of the entries, so the bits are those of
 * the row alone.
 *
 * Needs real_f32.h or real_f64.h, ops/rows-inl.h.
 */

/* How many short rows are sorted at once. */
enum { NAME(COLLECTED) = 256 };

/* One call. */
typedef struct {
    const fs_segments *segments;
    size_t past; /* entries before this one may be read */
    const fs_output *out; /* of the first entry; of logsumexp, of the first row */
    const double *u;
    int64_t *index;
    double *logprob;
    NAME(scales) scales; /* where all rows have one temperature */
    int usable; /* the formula serves that temperature */
} NAME(segments);

FS_INLINE size_t NAME(segment_length)(const NAME(segments) *g, size_t i)
{
    return (size_t)(g->segments->offset[i + 1] - g->segments->offset[i]);
}

FS_INLINE const void *NAME(segment_at)(const NAME(segments) *g, size_t i)
{
    return (const char *)g->segments->data + (ptrdiff_t)g->segments->offset[i] * g->segments->stride;
}

FS_INLINE fs_output NAME(result_at)(const NAME(segments) *g, size_t i, fs_operation operation)
{
    return fs_output_at(g->out, g->out->stride, operation == FS_LOGSUMEXP ? i : (size_t)g->segments->offset[i]);
}

FS_INLINE double NAME(segment_temperature)(const NAME(segments) *g, size_t i)
{
    return *(const double *)(const void *)((const char *)g->segments->temperature +
                                           (ptrdiff_t)i * g->segments->temperature_step);
}

/* A row without entries: their sum is 0, and there is nothing to draw. */
static void NAME(do_empty)(const NAME(segments) *g, size_t i, fs_operation operation)
{
    const double nothing = -INFINITY;
    if (operation == FS_LOGSUMEXP) {
        const fs_output out = NAME(result_at)(g, i, operation);
        fs_store_f64(&out, 0, 1, &nothing);
    } else if (operation == FS_SAMPLE) {
        g->index[i] = -1;
        if (g->logprob)
            g->logprob[i] = fs_f64_of(UINT64_C(0x7ff8000000000000));
    }
}

static inline fs_status NAME(all_or_why_not)(size_t done, size_t count)
{
    return done == count ? FS_OK : fs_was_interrupted() ? FS_INTERRUPTED : FS_NO_MEMORY;
}

/* `count` rows of equal length, from row i on.  FS_OK; FS_NO_MEMORY or FS_INTERRUPTED, and not all of them are done. */
FS_NOINLINE fs_status NAME(do_equal)(const NAME(segments) *g, size_t i, size_t count, fs_operation operation)
{
    const fs_segments *s = g->segments;
    const size_t n = NAME(segment_length)(g, i);
    const fs_rows rows = {
        fs_bare_row(NAME(segment_at)(g, i), (size_t)s->stride, s->dtype, 0),
        count,
        n,
        (ptrdiff_t)n * s->stride,
        0,
        0,
        (const double *)(const void *)((const char *)s->temperature + (ptrdiff_t)i * s->temperature_step),
        s->temperature_step};
    if (operation == FS_SAMPLE) {
        const fs_batch b = {
            .rows = &rows, .u = g->u + i, .index = g->index + i, .logprob = g->logprob ? g->logprob + i : NULL};
        return NAME(all_or_why_not)(NAME(sample_rows)(&b), count);
    }
    const fs_output out = NAME(result_at)(g, i, operation);
    const ptrdiff_t out_step = operation == FS_LOGSUMEXP ? out.stride : (ptrdiff_t)n * out.stride;
    const fs_batch b = {.rows = &rows, .out = &out, .out_step = out_step};
    const size_t done = operation == FS_SOFTMAX       ? NAME(softmax_rows)(&b)
                        : operation == FS_LOG_SOFTMAX ? NAME(log_softmax_rows)(&b)
                                                      : NAME(logsumexp_rows)(&b);
    return NAME(all_or_why_not)(done, count);
}

/* A row of at most `width` entries, and after them anything. */
FS_NOINLINE void NAME(load_other_segment)(const fs_segments *s, size_t i, size_t width, REAL *to)
{
    const size_t length = (size_t)(s->offset[i + 1] - s->offset[i]);
    const char *x = (const char *)s->data + (ptrdiff_t)s->offset[i] * s->stride;
    const fs_row row = fs_bare_row(x, (size_t)s->stride, s->dtype, 0);
    const fs_reader reader = fs_reader_of(&row);
    const REAL *loaded = NAME(fs_load)(&reader, 0, length, to);
    if (loaded != to)
        memcpy(to, loaded, length * sizeof(REAL));
    for (size_t j = length; j < width; j++)
        to[j] = 0;
}

/* Rows, the shortest first, as columns of n entries, the number of the last row; the columns of the shorter ones end in -inf.
 * The lanes past the last row repeat the first. */
FS_INLINE void NAME(load_segments)(const NAME(segments) *g, const size_t *row, size_t count, size_t n, REAL *to)
{
    REAL buffer[TINY * LANES], lengths[LANES];
    const size_t width = (n + LANES - 1) / LANES * LANES, past = g->past;
    const int direct = g->segments->dtype == DTYPE && g->segments->stride == (ptrdiff_t)sizeof(REAL);
    const int64_t *offset = g->segments->offset;
    const REAL *x = g->segments->data;
    for (size_t i = 0; i < LANES; i++) {
        const size_t from = row[i < count ? i : 0], start = (size_t)offset[from];
        REAL *copy = buffer + i * width;
        lengths[i] = (REAL)(offset[from + 1] - offset[from]);
        if (FS_UNLIKELY(!direct || start + width > past)) {
            NAME(load_other_segment)(g->segments, from, width, copy);
            continue;
        }
        /* The last vector may go on with other rows of this call, which no other thread writes to. */
        for (size_t j = 0; j < width; j += LANES)
            V(store)(copy + j, V(load)(x + start + j));
    }
    NAME(transpose)(buffer, (ptrdiff_t)(width * sizeof(REAL)), LANES, (n + SIDE - 1) / SIDE * SIDE, to,
                    LANES * sizeof(REAL));
    const VEC length = V(load)(lengths), infinity = V(set1)(FS_INFINITY);
    for (size_t j = NAME(segment_length)(g, row[0]); j < n; j++) { /* the lesser of the entry and +inf, or -inf */
        const VEC most = V(mul)(V(sub)(length, V(set1)((REAL)j + (REAL)0.5)), infinity);
        V(store)(to + j * LANES, V(min)(V(load)(to + j * LANES), most));
    }
}

/* The first entries of columns of n, as the results of the rows. */
FS_INLINE void NAME(store_segments)(const NAME(segments) *g, const size_t *row, size_t count, size_t n,
                                    const REAL *from)
{
    REAL buffer[TINY * LANES];
    const size_t width = (n + LANES - 1) / LANES * LANES;
    const int direct = NAME(is_direct)(g->out);
    const int64_t *offset = g->segments->offset;
    const fs_output result = *g->out;
    NAME(transpose)(from, LANES * sizeof(REAL), (n + SIDE - 1) / SIDE * SIDE, LANES, buffer,
                    (ptrdiff_t)(width * sizeof(REAL)));
    for (size_t i = 0; i < count; i++) {
        const size_t start = (size_t)offset[row[i]], length = (size_t)offset[row[i] + 1] - start;
        const REAL *copy = buffer + i * width;
        size_t j = 0;
        if (!direct) {
            const fs_output out = fs_output_at(&result, result.stride, start);
            NAME(fs_store)(&out, 0, length, copy);
            continue;
        }
        REAL *to = (REAL *)result.data + start;
        for (; j + LANES <= length; j += LANES)
            V(store)(to + j, V(load)(copy + j));
        if (j < length)
            V(store_first)(to + j, V(load)(copy + j), length - j);
    }
}

/* Up to LANES rows of at most n <= TINY entries, side by side; 0: one of them needs more than that, and nothing is done. */
FS_INLINE int NAME(segments_side_by_side)(const NAME(segments) *g, const size_t *row, size_t count, size_t n,
                                          fs_operation operation)
{
    NAME(columns) c;
    NAME(scales) own;
    const NAME(scales) *s = &g->scales;
    double log_sum[LANES], u[LANES], logprob[LANES];
    int64_t index[LANES];
    int usable = g->usable;
    if (g->segments->temperature_step != 0) {
        for (size_t i = 0; i < LANES; i++)
            own.temperature[i] = NAME(segment_temperature)(g, row[i < count ? i : 0]);
        usable = NAME(scales_of)(&own);
        s = &own;
    }
    if (!usable)
        return 0;
    NAME(load_segments)(g, row, count, n, c.x);
    for (size_t i = 0; i < count && operation == FS_SAMPLE; i++)
        u[i] = g->u[row[i]];
    if (!NAME(columns_results)(&c, n, count, s, operation, u, index, g->logprob ? logprob : NULL, log_sum, NULL))
        return 0;
    if (operation == FS_SOFTMAX || operation == FS_LOG_SOFTMAX) {
        NAME(store_segments)(g, row, count, n, c.w);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (operation == FS_SAMPLE) {
            g->index[row[i]] = index[i];
            if (g->logprob)
                g->logprob[row[i]] = logprob[i];
            continue;
        }
        const fs_output out = NAME(result_at)(g, row[i], operation);
        const double result = fs_add_maximum((double)c.max[i], s->temperature[i], log_sum[i]);
        if (FS_UNLIKELY(DTYPE != FS_F64 && fs_nearly_cancels(result, (double)c.max[i], s->temperature[i])))
            NAME(do_equal)(g, row[i], 1, operation); /* of so few entries it does not end the call */
        else
            fs_store_f64(&out, 0, 1, &result);
    }
    return 1;
}

/* Rows of up to TINY entries, the shortest first, in groups. */
FS_INLINE fs_status NAME(do_sorted)(const NAME(segments) *g, const size_t *row, size_t rows, fs_operation operation)
{
    for (size_t i = 0; i < rows; i += LANES) {
        const size_t count = rows - i < LANES ? rows - i : LANES;
        if (NAME(segments_side_by_side)(g, row + i, count, NAME(segment_length)(g, row[i + count - 1]), operation))
            continue;
        for (size_t j = i; j < i + count; j++) {
            const fs_status status = NAME(do_equal)(g, row[j], 1, operation);
            if (status != FS_OK)
                return status;
        }
    }
    return FS_OK;
}

/* How many of the rows [i, past) are as long as the first, in whole groups of LANES for short ones. */
static inline size_t NAME(equal_rows)(const int64_t *offset, size_t i, size_t past)
{
    const int64_t n = offset[i + 1] - offset[i];
    size_t run = 1;
    if (n <= TINY && (past - i < LANES || offset[i + LANES] - offset[i] != n * LANES)) /* most often it ends here */
        return 0;
    while (i + run < past && offset[i + run + 1] - offset[i + run] == n)
        run++;
    return n > TINY ? run : run / LANES * LANES;
}

/* The rows [first, past). */
FS_INLINE fs_status NAME(segments_by)(NAME(segments) *g, size_t first, size_t past, fs_operation operation)
{
    const int64_t *offset = g->segments->offset;
    size_t collected[NAME(COLLECTED)], sorted[NAME(COLLECTED)];
    uint8_t length[NAME(COLLECTED)];
    g->past = (size_t)offset[past];
    if (g->segments->temperature_step == 0) {
        for (size_t i = 0; i < LANES; i++)
            g->scales.temperature[i] = *g->segments->temperature;
        g->usable = NAME(scales_of)(&g->scales);
    }
    for (size_t i = first; i < past;) {
        size_t place[TINY + 2] = {0}, count = 0; /* of rows shorter than n there are place[n], when all are counted */
        for (; i < past && count < NAME(COLLECTED); i++) {
            const int64_t n = offset[i + 1] - offset[i];
            const size_t run = n > 0 ? NAME(equal_rows)(offset, i, past) : 0;
            if (run > 0) {
                const fs_status status = NAME(do_equal)(g, i, run, operation);
                if (status != FS_OK)
                    return status;
                i += run - 1;
            } else if (n > 0) {
                collected[count] = i;
                length[count++] = (uint8_t)n;
                place[n + 1]++;
            } else {
                NAME(do_empty)(g, i, operation);
            }
        }
        for (size_t n = 1; n <= TINY; n++)
            place[n] += place[n - 1];
        for (size_t j = 0; j < count; j++)
            sorted[place[length[j]]++] = collected[j];
        const fs_status status = NAME(do_sorted)(g, sorted, count, operation);
        if (status != FS_OK)
            return status;
    }
    return FS_OK;
}

/* softmax_segments_f32, softmax_segments_f64, and so on */
static fs_status NAME(softmax_segments)(const fs_segments *s, size_t first, size_t past, const fs_output *out)
{
    NAME(segments) g;
    g.segments = s, g.out = out, g.logprob = NULL;
    return NAME(segments_by)(&g, first, past, FS_SOFTMAX);
}

static fs_status NAME(log_softmax_segments)(const fs_segments *s, size_t first, size_t past, const fs_output *out)
{
    NAME(segments) g;
    g.segments = s, g.out = out, g.logprob = NULL;
    return NAME(segments_by)(&g, first, past, FS_LOG_SOFTMAX);
}

static fs_status NAME(logsumexp_segments)(const fs_segments *s, size_t first, size_t past, const fs_output *sums)
{
    NAME(segments) g;
    g.segments = s, g.out = sums, g.logprob = NULL;
    return NAME(segments_by)(&g, first, past, FS_LOGSUMEXP);
}

static fs_status NAME(sample_segments)(const fs_segments *s, size_t first, size_t past, const double *u,
                                       int64_t *index, double *logprob)
{
    NAME(segments) g;
    g.segments = s, g.u = u, g.index = index, g.logprob = logprob;
    return NAME(segments_by)(&g, first, past, FS_SAMPLE);
}

#ifdef REAL_IS_FLOAT
static fs_status kernel_softmax_segments(const fs_segments *s, size_t first, size_t past, const fs_output *out)
{
    return s->dtype == FS_F64 ? softmax_segments_f64(s, first, past, out) : softmax_segments_f32(s, first, past, out);
}

static fs_status kernel_log_softmax_segments(const fs_segments *s, size_t first, size_t past, const fs_output *out)
{
    return s->dtype == FS_F64 ? log_softmax_segments_f64(s, first, past, out)
                              : log_softmax_segments_f32(s, first, past, out);
}

static fs_status kernel_logsumexp_segments(const fs_segments *s, size_t first, size_t past, const fs_output *sums)
{
    return s->dtype == FS_F64 ? logsumexp_segments_f64(s, first, past, sums)
                              : logsumexp_segments_f32(s, first, past, sums);
}

static fs_status kernel_sample_segments(const fs_segments *s, size_t first, size_t past, const double *u,
                                        int64_t *index, double *logprob)
{
    return s->dtype == FS_F64 ? sample_segments_f64(s, first, past, u, index, logprob)
                              : sample_segments_f32(s, first, past, u, index, logprob);
}
#endif

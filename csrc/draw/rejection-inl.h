/* The envelopes of a row for a draw by rejection (draw/rejection.h): one read for the largest entry of each column.
 *
 * Needs real_f32.h or real_f64.h, draw/rejection.h, softmax/logsumexp-inl.h.
 */

enum { NAME(STRETCHES_PER_CHUNK) = 64 };

typedef struct {
    const fs_reader *reader;
    size_t n, stretches;
    REAL *max; /* of each column; a stretch with NaN has NaN in its first */
} NAME(column_maxima);

/* The columns of one stretch: rows of FS_STRETCH_COLUMNS entries, one below the other. */
static void NAME(maxima_of_stretch)(const NAME(column_maxima) *ctx, size_t s)
{
    enum { VECTORS = FS_STRETCH_COLUMNS / LANES };
    REAL copy[BLOCK], tail[FS_STRETCH_COLUMNS], *max = ctx->max + s * FS_STRETCH_COLUMNS;
    VEC high[VECTORS], sum[VECTORS];
    int nan = 0;
    for (int j = 0; j < VECTORS; j++) {
        high[j] = V(set1)(-FS_INFINITY);
        sum[j] = V(set1)(0);
    }
    const size_t past = ctx->n - s * FS_STRETCH < FS_STRETCH ? ctx->n : (s + 1) * FS_STRETCH;
    for (size_t start = s * FS_STRETCH; start < past; start += BLOCK) {
        const size_t len = past - start < BLOCK ? past - start : BLOCK;
        const REAL *x = NAME(fs_load)(ctx->reader, start, len, copy);
        size_t i = 0;
        for (; i + FS_STRETCH_COLUMNS <= len; i += FS_STRETCH_COLUMNS)
            for (int j = 0; j < VECTORS; j++) {
                const VEC a = V(load)(x + i + j * LANES);
                high[j] = V(max)(a, high[j]);
                sum[j] = V(add)(sum[j], a);
            }
        if (i < len) {
            for (size_t j = 0; j < FS_STRETCH_COLUMNS; j++)
                tail[j] = i + j < len ? x[i + j] : -FS_INFINITY;
            for (int j = 0; j < VECTORS; j++)
                high[j] = V(max)(V(load)(tail + j * LANES), high[j]);
        }
        VEC all = sum[0];
        for (int j = 1; j < VECTORS; j++)
            all = V(add)(all, sum[j]);
        if (FS_UNLIKELY(V(any_nan)(all)) || i < len) /* NaN also where infinities meet */
            nan |= NAME(has_nan)(x, len);
    }
    for (int j = 0; j < VECTORS; j++)
        V(store)(max + j * LANES, high[j]);
    if (FS_UNLIKELY(nan))
        max[0] = (REAL)NAN;
}

static void NAME(maxima_of_chunk)(void *context, size_t chunk)
{
    const NAME(column_maxima) *ctx = context;
    const size_t first = chunk * NAME(STRETCHES_PER_CHUNK), past = first + NAME(STRETCHES_PER_CHUNK);
    for (size_t s = first; s < past && s < ctx->stretches; s++)
        NAME(maxima_of_stretch)(ctx, s);
}

/* The largest of the maxima; NaN if one of them is. */
static REAL NAME(largest_maximum)(const REAL *max, size_t columns)
{
    VEC high = V(set1)(-FS_INFINITY), sum = V(set1)(0);
    for (size_t i = 0; i < columns; i += LANES) {
        const VEC a = V(load)(max + i);
        high = V(max)(a, high);
        sum = V(add)(sum, a);
    }
    if (FS_UNLIKELY(V(any_nan)(sum)) && NAME(has_nan)(max, columns))
        return (REAL)NAN;
    return V(reduce_max)(high) + (REAL)0;
}

/* Level, and 0 where there is no entry to draw, before it is rounded down, of the columns of a stretch. */
static void NAME(levels_of_stretch)(const fs_envelopes *e, const REAL *max, double *level)
{
    if (e->reader->weights) {
        for (size_t c = 0; c < FS_STRETCH_COLUMNS; c++) {
            const double depth = max[c] > 0 ? fs_exponent(e->max) - fs_exponent((double)max[c]) : -1.0;
            level[c] = 1.0 + (depth < FS_DEEPEST ? depth : FS_DEEPEST);
        }
        return;
    }
    const f64x8 top = f64x8_set1(e->max), scale = f64x8_set1(e->c.high), one = f64x8_set1(1.0);
    const f64x8 deepest = f64x8_set1(FS_DEEPEST), least = f64x8_set1(-INFINITY);
    for (size_t c = 0; c < FS_STRETCH_COLUMNS; c += LANES) {
        const VEC a = V(load)(max + c);
        for (int h = 0; h < LANES / 8; h++) {
            const f64x8 x = V(half)(a, h);
            const f64x8 depth = f64x8_min(f64x8_mul(f64x8_sub(top, x), scale), deepest);
            f64x8_store(level + c + 8 * (size_t)h, f64x8_where_above(x, least, f64x8_add(depth, one)));
        }
    }
}

/* The levels of the columns, and the running sums of their envelopes. */
static void NAME(envelopes_of)(fs_envelopes *e, const REAL *max)
{
    uint64_t total = 0;
    for (size_t s = 0; s < e->stretches; s++) {
        double level[FS_STRETCH_COLUMNS];
        NAME(levels_of_stretch)(e, max + s * FS_STRETCH_COLUMNS, level);
        for (size_t c = 0; c < FS_STRETCH_COLUMNS; c++) {
            const int whole = (int)level[c];
            e->level[s * FS_STRETCH_COLUMNS + c] = (uint8_t)whole;
            total += fs_mass_of_level((uint64_t)whole);
        }
        e->mass[s] = total;
    }
}

static fs_status NAME(draw_by_rejection)(const fs_reader *reader, size_t n, double temperature,
                                         const fs_draw_key *key, int64_t *index, double *logprob)
{
    const size_t stretches = (n + FS_STRETCH - 1) / FS_STRETCH, columns = stretches * FS_STRETCH_COLUMNS;
    const size_t chunks = (stretches + NAME(STRETCHES_PER_CHUNK) - 1) / NAME(STRETCHES_PER_CHUNK);
    const fs_scratch table = fs_take_table(stretches * sizeof(uint64_t) + columns * (sizeof(REAL) + 1));
    if (!table.memory)
        return FS_NO_MEMORY;
    uint64_t *mass = table.memory;
    NAME(column_maxima) maxima = {reader, n, stretches, (REAL *)(mass + stretches)};
    fs_status status = fs_parallel_for(chunks, NAME(maxima_of_chunk), &maxima) ? FS_INTERRUPTED : FS_OK;
    const REAL least = reader->weights ? 0 : -(REAL)INFINITY;
    const REAL high = status == FS_OK ? NAME(largest_maximum)(maxima.max, columns) : least;
    if (status == FS_OK)
        status = high != high ? FS_NAN : high == (REAL)INFINITY ? FS_LIMIT : high > least ? FS_OK : FS_NO_MASS;
    if (status == FS_OK) {
        fs_envelopes e = {reader, fs_scale_of(temperature),         (double)high, n, stretches,
                          mass,   (uint8_t *)(maxima.max + columns)};
        NAME(envelopes_of)(&e, maxima.max);
        status = fs_draw_by_rejection(&e, key, index);
    }
    fs_return_table(table);
    if (status != FS_OK || !logprob)
        return status;
    double max, log_sum;
    status = NAME(log_normaliser)(reader, n, temperature, &max, &log_sum);
    if (status == FS_OK)
        *logprob = fs_logprob_of(reader, (size_t)*index, temperature, max, log_sum);
    return status;
}

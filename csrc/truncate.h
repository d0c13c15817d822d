/* One row of any kind through the filters: drawn from, or with what they drop at -inf. */
#ifndef FS_TRUNCATE_H
#define FS_TRUNCATE_H

/* The rooms of both types lie over each other; the last part is of double in any case. */
static const size_t FS_ROOM_SLACK = 64;

static inline size_t fs_room_entries(size_t n) { return n + 2 * FS_ROOM_SLACK; }

static char *fs_aligned(void *scratch) { return (char *)(((uintptr_t)scratch + 63) / 64 * 64); }

#define FS_ROOM(real, suffix)                                                                                        \
    static room_##suffix fs_room_##suffix(void *scratch, size_t n)                                                   \
    {                                                                                                                \
        size_t entries = fs_room_entries(n);                                                                         \
        real *next = (real *)(void *)fs_aligned(scratch);                                                            \
        room_##suffix room = {next,           next + entries, {next + 2 * entries, next + 3 * entries},              \
                              next + 4 * entries, (uint32_t *)(void *)(next + 5 * entries)};                         \
        return room;                                                                                                 \
    }
FS_ROOM(float, f32)
FS_ROOM(double, f64)
#undef FS_ROOM

/* n doubles beside the rooms */
static double *fs_beside_room(void *scratch, size_t n)
{
    size_t entries = fs_room_entries(n);
    return (double *)(void *)fs_aligned(fs_aligned(scratch) + entries * (5 * sizeof(double) + sizeof(uint32_t)));
}

/* What is left of a row: one of its own, to be drawn from at `temperature`, and the indices of its entries. */
typedef struct {
    fs_row row;
    size_t count;
    const uint32_t *index; /* NULL: all of the row */
    double temperature, divisor; /* the second is the temperature before limit_rows.h took another in its place */
    int limit;                   /* the values stand for those of limit_rows.h */
} fs_kept;

/* Computed in double. */
static inline int fs_is_wide(const fs_row *row) { return row->dtype == FS_F64 || row->probs; }

static inline int fs_is_ordinary(double temperature, int wide)
{
    double extreme = wide ? 0x1p900 : 0x1p90;
    return temperature <= extreme && temperature >= 1.0 / extreme;
}

static inline double fs_between_temperatures(double temperature, const fs_filters *f, double entropy, double there)
{
    double low = temperature - f->dynatemp_range, high = temperature + f->dynatemp_range;
    double part = entropy > 0.0 ? entropy / fs_log(there) : 0.0;
    part = part < 1.0 ? part : 1.0;
    if (there < 2.0)
        return temperature;
    low = low > 0.0 ? low : 0.0;
    if (f->dynatemp_exponent != 1.0 && part > 0.0)
        part = fs_exp(f->dynatemp_exponent * fs_log(part));
    return fma(high - low, part, low);
}

static fs_kept fs_whole(const fs_row *row, size_t n, double temperature)
{
    fs_kept kept = {*row, n, NULL, temperature, temperature, 0};
    return kept;
}

/* A row of doubles (or of weights) that stands for part of another. */
static fs_kept fs_part(const void *value, fs_dtype dtype, int probs, size_t count, const uint32_t *index)
{
    fs_kept kept = {{0}, count, index, 1.0, 0.0, 0};
    kept.row.data = value;
    kept.row.dtype = dtype;
    kept.row.stride = dtype == FS_F32 ? (ptrdiff_t)sizeof(float) : (ptrdiff_t)sizeof(double);
    kept.row.probs = probs;
    return kept;
}

#define FS_FILTERED(suffix, type)                                                                                    \
    static double fs_dynamic_##suffix(const list_##suffix *l, int linear, double temperature, const fs_filters *f)   \
    {                                                                                                                \
        weigher_##suffix g = weigher_of_##suffix(l, linear, 1.0);                                                    \
        return fs_between_temperatures(temperature, f, moments_of_##suffix(l, &g).entropy,                           \
                                       (double)count_there_##suffix(l));                                             \
    }                                                                                                                \
    /* `kept` is set where entries were dropped, and then the dynamic temperature, if asked for. */                  \
    static fs_status fs_filtered_##suffix(const fs_source *source, size_t n, double work, const fs_filters *f,       \
                                          double coin, void *scratch, int dynamic, double *temperature,              \
                                          fs_kept *kept)                                                             \
    {                                                                                                                \
        room_##suffix room = fs_room_##suffix(scratch, n);                                                           \
        list_##suffix l;                                                                                             \
        fs_status status = filter_##suffix(source, n, work, f, coin, &room, &l);                                     \
        if (status != FS_OK || !l.index)                                                                             \
            return status;                                                                                           \
        *kept = fs_part(l.value, type, source->weights, l.count, l.index);                                           \
        if (dynamic)                                                                                                 \
            *temperature = fs_dynamic_##suffix(&l, source->weights, *temperature, f);                                \
        return FS_OK;                                                                                                \
    }
FS_FILTERED(f32, FS_F32)
FS_FILTERED(f64, FS_F64)
#undef FS_FILTERED

/* The dynamic temperature of a whole row. */
static fs_status fs_dynamic_temperature(const fs_row *row, size_t n, const fs_filters *f, void *scratch,
                                        double *temperature)
{
    fs_source source = fs_plain_source(row);
    fs_status status = FS_LIMIT;
    double one = 1.0;
    if (!(*temperature < INFINITY))
        return FS_OK;
    if (!fs_is_wide(row)) {
        room_f32 room = fs_room_f32(scratch, n);
        list_f32 l;
        status = survey_f32(&source, n, &room, &l);
        if (status == FS_OK)
            *temperature = fs_dynamic_f32(&l, 0, *temperature, f);
        if (status != FS_LIMIT)
            return status;
    }
    room_f64 room = fs_room_f64(scratch, n);
    list_f64 l;
    if (fs_is_wide(row))
        status = survey_f64(&source, n, &room, &l);
    if (status == FS_LIMIT) {
        source = fs_limit_source(row, n, &one);
        status = survey_f64(&source, n, &room, &l);
    }
    if (status == FS_OK)
        *temperature = fs_dynamic_f64(&l, 0, *temperature, f);
    return status;
}

static inline int fs_has_filter(const fs_filters *f, size_t n, double coin)
{
    return (f->top_k > 0 && (uint64_t)f->top_k < n) || f->top_p < 1.0 || f->min_p > 0.0 || f->typical_p < 1.0 ||
           f->top_n_sigma > 0.0 || f->epsilon_cutoff > 0.0 || f->eta_cutoff > 0.0 ||
           (f->xtc_threshold <= 0.5 && coin < f->xtc_probability) || f->surprise < INFINITY;
}

/* Of a temperature of 0: the lowest index of the maximum alone. */
static fs_status fs_keep_first(const fs_row *row, size_t n, void *scratch, fs_kept *kept)
{
    int64_t best = 0;
    fs_status status = fs_argmax(row, n, &best);
    room_f64 room = fs_room_f64(scratch, n);
    room.value[0] = 0.0;
    room.index[0] = (uint32_t)best;
    *kept = fs_part(room.value, FS_F64, 0, 1, room.index);
    kept->limit = 1;
    return status;
}

static fs_status fs_keep(const fs_row *row, size_t n, double temperature, const fs_filters *f, double coin,
                         void *scratch, fs_kept *kept)
{
    int last = f->temperature_last != 0, wide = fs_is_wide(row), dynamic = f->dynatemp_range > 0.0;
    int any = fs_has_filter(f, n, coin);
    fs_status status = FS_OK;
    if (dynamic && !(last && any)) {
        status = fs_dynamic_temperature(row, n, f, scratch, &temperature);
        dynamic = 0;
    }
    *kept = fs_whole(row, n, temperature);
    if (!any || status != FS_OK)
        return status;
    double work = last ? 1.0 : temperature, of_limit = work;
    if (work == 0.0)
        return fs_keep_first(row, n, scratch, kept);
    fs_source source = fs_plain_source(row);
    /* weights as they are, where the filters need no logarithm of them */
    source.weights = row->probs && !row->bias && work == 1.0 && f->typical_p >= 1.0 && f->top_n_sigma == 0.0;
    status = FS_LIMIT;
    if (fs_is_ordinary(work, wide))
        status = wide ? fs_filtered_f64(&source, n, work, f, coin, scratch, dynamic, &temperature, kept)
                      : fs_filtered_f32(&source, n, work, f, coin, scratch, dynamic, &temperature, kept);
    if (status == FS_LIMIT) {
        if (work == INFINITY) {
            source = fs_ordered_source(row, n);
            of_limit = FS_ALIKE;
        } else {
            source = fs_limit_source(row, n, &of_limit);
        }
        status = fs_filtered_f64(&source, n, of_limit, f, coin, scratch, dynamic, &temperature, kept);
        kept->limit = 1;
    }
    if (status == FS_OK && !kept->index && dynamic)
        status = fs_dynamic_temperature(row, n, f, scratch, &temperature);
    kept->temperature = kept->index && kept->limit && !last ? of_limit : temperature;
    kept->divisor = temperature;
    return status;
}

static fs_status fs_sample_filtered_row(const fs_row *row, size_t n, double temperature, const fs_filters *f,
                                        double coin, size_t k, const double *u, void *scratch, int64_t *index,
                                        double *logprob)
{
    fs_kept kept;
    fs_status status = fs_keep(row, n, temperature, f, coin, scratch, &kept);
    if (status != FS_OK)
        return status;
    status = fs_sample_row(&kept.row, kept.count, kept.temperature, k, u, index, logprob);
    if (status == FS_OK && kept.index)
        for (size_t j = 0; j < k; j++)
            index[j] = kept.index[index[j]];
    return status;
}

/* x / T; at the ends of the temperature all that is left is alike. */
static inline double fs_quotient(double x, double temperature)
{
    if (temperature == 0.0 || temperature == INFINITY)
        return x > -INFINITY ? 0.0 : x;
    return x / temperature;
}

/* A row of which no filter dropped anything, block by block, as it may be in place. */
static fs_status fs_divide_row(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    fs_source source = fs_plain_source(row);
    double copy[512], result[512], max = -INFINITY;
    int64_t best = -1;
    for (size_t start = 0; start < n; start += 512) {
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&source, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            if (x[i] != x[i])
                return FS_NAN;
            if (x[i] > max) {
                max = x[i];
                best = (int64_t)(start + i);
            }
        }
    }
    for (size_t start = 0; start < n; start += 512) {
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&source, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            int left = temperature == 0.0 ? (int64_t)(start + i) == best
                                          : temperature == INFINITY || max < INFINITY || x[i] == INFINITY;
            result[i] = left ? fs_quotient(x[i], temperature) : -INFINITY;
        }
        fs_store_f64(out, start, len, result);
    }
    return FS_OK;
}

static fs_status fs_truncate_row(const fs_row *row, size_t n, double temperature, const fs_filters *f, double coin,
                                 void *scratch, const fs_output *out)
{
    fs_kept kept;
    fs_source source = fs_plain_source(row);
    double none[512], *value = fs_beside_room(scratch, n);
    int64_t first = 0;
    fs_status status = fs_keep(row, n, temperature, f, coin, scratch, &kept);
    if (status == FS_OK && !kept.index)
        status = fs_divide_row(row, n, kept.divisor, out);
    if (status == FS_NAN)
        fs_fill_nan(out, n);
    if (status == FS_NAN || (status == FS_OK && !kept.index))
        return status;
    size_t count = status == FS_OK ? kept.count : 0;
    if (count && kept.divisor == 0.0) {
        fs_argmax(&kept.row, count, &first);
        kept.index += first;
        count = 1;
    }
    for (size_t j = 0; j < count; j++) { /* before the row is overwritten, should it be in place */
        double x = kept.limit                 ? fs_logit(&source, kept.index[j])
                   : kept.row.dtype == FS_F32 ? (double)((const float *)kept.row.data)[j]
                                              : ((const double *)kept.row.data)[j];
        value[j] = fs_quotient(x, kept.divisor);
    }
    for (size_t i = 0; i < 512; i++)
        none[i] = -INFINITY;
    for (size_t start = 0; start < n; start += 512)
        fs_store_f64(out, start, n - start < 512 ? n - start : 512, none);
    for (size_t j = 0; j < count; j++)
        fs_store_f64(out, kept.index[j], 1, value + j);
    return status;
}

#endif

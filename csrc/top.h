/* The first entries of the sorted order, and what is drawn without replacement, which is the same of other keys. */
#ifndef FS_TOP_H
#define FS_TOP_H

#define FS_FIRST(suffix, real)
/* The first k of the sorted order into *number, which lies in the room. */                                      \
    static fs_status fs_first_##suffix(const fs_source *source, size_t n, size_t k, void *scratch, size_t chosen,    \
                                       int64_t *rank, const uint32_t **number)                                       \
    {                                                                                                                \
        room_##suffix room = fs_room_##suffix(scratch, n);                                                           \
        list_##suffix l;                                                                                             \
        fs_status status = survey_##suffix(source, n, &room, &l);                                                    \
        if (status != FS_OK && status != FS_LIMIT)                                                                   \
            return status;                                                                                           \
        if (rank) {                                                                                                  \
            real x = l.value[chosen];                                                                                \
            list_##suffix upto = l;                                                                                  \
            upto.count = chosen;                                                                                     \
            *rank = 1 + (int64_t)count_from_##suffix(&l, above_##suffix(x)) +                                        \
                    (int64_t)(count_from_##suffix(&upto, x) - count_from_##suffix(&upto, above_##suffix(x)));        \
        }                                                                                                            \
        l.none = (real)NAN; /* what cannot be drawn has its place in the order too */                                \
        l = keep_top_##suffix(&l, k, &room);                                                                         \
        if (!l.index)                                                                                                \
            l = pack_##suffix(&l, from_##suffix(-(real)INFINITY), &room);                                            \
        sort_##suffix(room.value, room.index, l.count);                                                              \
        *number = room.index;                                                                                        \
        return l.count == k ? FS_OK : FS_NAN; /* fewer only where another thread changes the row */                  \
    }
FS_FIRST(f32, float)
FS_FIRST(f64, double)
#undef FS_FIRST

static fs_status fs_top_row(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                            double *logprob, size_t chosen, int64_t *rank)
{
    const uint32_t *number = NULL;
    fs_source source = fs_plain_source(row);
    fs_status status = fs_is_wide(row) ? fs_first_f64(&source, n, k, scratch, chosen, rank, &number)
                                       : fs_first_f32(&source, n, k, scratch, chosen, rank, &number);
    if (status != FS_OK)
        return status;
    double max = 0.0, log_sum = 0.0;
    status = fs_log_normaliser_row(row, n, &temperature, &source, &max, &log_sum);
    for (size_t j = 0; j < k && status == FS_OK; j++) {
        index[j] = number[j];
        logprob[j] = (fs_logit(&source, number[j]) - max) / temperature - log_sum;
    }
    return status;
}

/* -log(-log(1 - u)); u = 0 counts as 2^-54 */
static inline double fs_gumbel(double u)
{
    u = u > 0.0 ? u : 0x1p-54;
    double exponential = u < 0.3 ? -fs_log1p_part(-u, 0.0) : -fs_log(1.0 - u);
    return -fs_log(exponential);
}

static fs_status fs_without_replacement_row(const fs_row *row, size_t n, double temperature, size_t k,
                                            const double *u, ptrdiff_t u_stride, void *scratch, int64_t *index)
{
    fs_source source = fs_plain_source(row);
    double *key = fs_beside_room(scratch, n), max = -INFINITY;
    size_t there = 0;
    for (size_t start = 0; start < n; start += 512) {
        double copy[512];
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&source, start, len, copy);
        for (size_t i = 0; i < len; i++) {
            if (x[i] != x[i])
                return FS_NAN;
            key[start + i] = x[i];
            there += x[i] > -INFINITY;
            max = x[i] > max && x[i] < INFINITY ? x[i] : max;
        }
    }
    if (there < k)
        return FS_NO_MASS;
    /* A Gumbel variate of a double lies between -4 and 38: what is +inf comes before all else by 100.  What lies too
     * far below the maximum for a double stays above -inf, in the order of its index. */
    const double lowest = -0x1.fffffffffffffp1023;
    for (size_t i = 0; i < n && temperature > 0.0; i++) {
        double x = key[i], g = fs_gumbel(*(const double *)(const void *)((const char *)u + (ptrdiff_t)i * u_stride));
        double relative = temperature == INFINITY ? 0.0 : x < INFINITY ? (x - max) / temperature : 100.0;
        key[i] = x == -INFINITY ? x : relative + g > lowest ? relative + g : lowest;
    }
    fs_kept keys = fs_part(key, FS_F64, 0, n, NULL);
    source = fs_plain_source(&keys.row);
    const uint32_t *number = NULL;
    fs_status status = fs_first_f64(&source, n, k, scratch, 0, NULL, &number);
    for (size_t j = 0; j < k && status == FS_OK; j++)
        index[j] = number[j];
    return status;
}

#endif

/* The first entries of the sorted order, and what is drawn without replacement, which is the same of other keys. */
#ifndef FS_TOP_H
#define FS_TOP_H

static fs_status fs_top_row(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                            double *logprob, size_t chosen, int64_t *rank)
{
    const uint32_t *number = NULL;
    fs_reader reader = fs_reader_of(row);
    fs_status status = fs_is_wide(row) ? top_k_f64(&reader, n, k, scratch, chosen, rank, &number)
                                       : top_k_f32(&reader, n, k, scratch, chosen, rank, &number);
    if (status != FS_OK)
        return status;
    double max = 0.0, log_sum = 0.0;
    status = fs_log_normaliser_row(row, n, &temperature, &reader, &max, &log_sum);
    for (size_t j = 0; j < k && status == FS_OK; j++) {
        index[j] = number[j];
        logprob[j] = (fs_logit(&reader, number[j]) - max) / temperature - log_sum;
    }
    return status;
}

/* -log(-log(1 - u)); u = 0 counts as 2^-54.  Without branches, so that a loop over it becomes vector code. */
static inline double fs_gumbel(double u)
{
    u = u > 0.0 ? u : 0x1p-54;
    double rest = 1.0 - u, rounded = u - (1.0 - rest); /* 1 - u = rest - rounded */
    return -fs_log(rounded / rest - fs_log(rest));
}

static fs_status fs_without_replacement_row(const fs_row *row, size_t n, double temperature, size_t k,
                                            const double *u, ptrdiff_t u_stride, void *scratch, int64_t *index)
{
    fs_reader reader = fs_reader_of(row);
    double *key = fs_workspace_doubles(scratch, n), max = -INFINITY;
    size_t there = 0;
    for (size_t start = 0; start < n; start += 512) {
        double copy[512];
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&reader, start, len, copy);
        if (start % (FS_BLOCKS_PER_CHUNK * 512) == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
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
    double divisor = temperature < INFINITY ? temperature : 1.0, of_limit = temperature < INFINITY ? 1.0 : 0.0;
    for (size_t start = 0; start < n && temperature > 0.0; start += 512) {
        double gumbel[512];
        if (start % (FS_BLOCKS_PER_CHUNK * 512) == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
        size_t len = n - start < 512 ? n - start : 512;
        for (size_t i = 0; i < len; i++)
            gumbel[i] = *(const double *)(const void *)((const char *)u + (ptrdiff_t)(start + i) * u_stride);
        for (size_t i = 0; i < len; i++)
            gumbel[i] = fs_gumbel(gumbel[i]);
        for (size_t i = 0; i < len; i++) {
            double x = key[start + i], below = x > -INFINITY && x < INFINITY ? (x - max) * of_limit / divisor : 0.0;
            double sum = (x < INFINITY ? below : temperature < INFINITY ? 100.0 : 0.0) + gumbel[i];
            key[start + i] = x == -INFINITY ? x : sum > lowest ? sum : lowest;
        }
    }
    fs_candidates keys = fs_candidates_of(key, FS_F64, 0, n, NULL);
    reader = fs_reader_of(&keys.row);
    const uint32_t *number = NULL;
    fs_status status = top_k_f64(&reader, n, k, scratch, 0, NULL, &number);
    for (size_t j = 0; j < k && status == FS_OK; j++)
        index[j] = number[j];
    return status;
}

#endif

/* k draws without replacement: the first k in the order of x / T plus Gumbel noise. */
#ifndef FS_WITHOUT_REPLACEMENT_H
#define FS_WITHOUT_REPLACEMENT_H

/* -log(-log(1 - u)); u = 0 counts as 2^-54.  Without branches, so that a loop over it becomes vector code. */
static inline double fs_gumbel(double u)
{
    u = u > 0.0 ? u : 0x1p-54;
    double rest = 1.0 - u, rounded = u - (1.0 - rest); /* 1 - u = rest - rounded */
    return -fs_log(rounded / rest - fs_log(rest));
}

static fs_status kernel_without_replacement(const fs_row *row, size_t n, double temperature, size_t k,
                                            const double *u, ptrdiff_t u_stride, void *scratch, int64_t *index)
{
    fs_reader reader = fs_reader_of(row);
    double *key = fs_workspace_doubles(scratch, n), max = -INFINITY;
    size_t there = 0;
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        double copy[FS_BLOCK_F64];
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&reader, start, len, copy);
        if (start % (FS_BLOCKS_PER_CHUNK * FS_BLOCK_F64) == 0 && fs_check_interrupt())
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
    /* A Gumbel variate of a double lies between -4 and 38: a bonus of 100 puts entries that are +inf first.  Entries too
     * far below the maximum for a double stay above -inf, in the order of their index. */
    const double lowest = -0x1.fffffffffffffp1023;
    double divisor = temperature < INFINITY ? temperature : 1.0, of_limit = temperature < INFINITY ? 1.0 : 0.0;
    for (size_t start = 0; start < n && temperature > 0.0; start += FS_BLOCK_F64) {
        double gumbel[FS_BLOCK_F64];
        if (start % (FS_BLOCKS_PER_CHUNK * FS_BLOCK_F64) == 0 && fs_check_interrupt())
            return FS_INTERRUPTED;
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
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

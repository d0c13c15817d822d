/* What log-sum-exp takes in double, whatever the type of the row: the rest of a dominated block, and the two terms.
 * Needs softmax/block-inl.h for double. */
#ifndef FS_LOGSUMEXP_H
#define FS_LOGSUMEXP_H

#include "row/reader.h"

/* Sum of 2^(c (x - max)) over [start, start + len) in double, without the first entry equal to max. */
static double fs_rest_of_block(const fs_reader *reader, size_t start, size_t len, const fs_scale *c, double max)
{
    scale_f64 scale = scale_of_f64(c);
    double rest = 0.0;
    int left_out = 0;
    for (size_t end = start + len; start < end; start += FS_BLOCK_F64) {
        double copy[FS_BLOCK_F64];
        size_t part = end - start < FS_BLOCK_F64 ? end - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(reader, start, part, copy);
        for (size_t i = 0; i < part; i++) {
            int leave = !left_out && x[i] == max;
            copy[i] = leave ? -INFINITY : x[i];
            left_out |= leave;
        }
        range_f64 range = range_of_f64(copy, part, &scale);
        if (range.max == -INFINITY)
            continue;
        origin_f64 origin = origin_of_f64(range.max, &scale);
        rest += block_sum_f64(copy, part, range, &scale) * fs_exp2(c, origin.shift - max, origin.power);
    }
    return rest;
}

/* max/T + log_sum, with the rounding errors of the quotient and of the sum added back. */
static double fs_add_maximum(double max, double temperature, double log_sum)
{
    double quotient = max / temperature, sum = quotient + log_sum, back = sum - quotient;
    if (!(fabs(sum) < INFINITY))
        return sum;
    return sum + ((quotient - (sum - back)) + (log_sum - back) + fma(-quotient, temperature, max) / temperature);
}

/* The log-sum-exp, its limits included. */
static double fs_logsumexp_of(double max, double temperature, double log_sum)
{
    if (max == INFINITY || temperature == 0.0)
        return max == 0.0 ? log_sum : max * INFINITY;
    return temperature == INFINITY ? log_sum : fs_add_maximum(max, temperature, log_sum);
}

/* Whether the two terms of a log-sum-exp are so close that the errors of float weights would show.  Only where the
 * maximum is negative, as log_sum is not. */
static int fs_nearly_cancels(double log_sum_exp, double max, double temperature)
{
    return fabs(log_sum_exp) < 0.25 * fabs(max / temperature);
}

/* log p of entry i, for max and log_sum of the row (softmax/logsumexp-inl.h). */
static inline double fs_logprob_of(const fs_reader *reader, size_t i, double temperature, double max, double log_sum)
{
    return (fs_logit(reader, i) - max) / temperature - log_sum;
}

#endif

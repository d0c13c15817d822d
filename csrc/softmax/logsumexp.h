/* What log-sum-exp takes in double, whatever the type of the row: the logarithm of the sum, and the two terms. */
#ifndef FS_LOGSUMEXP_H
#define FS_LOGSUMEXP_H

#include "base/scalar_math.h"
#include "row/reader.h"

/* Below this sum of exp((x - max)/T), the largest entry has more than 1/e of the mass, and the rest is summed without it. */
#define FS_DOMINATED 0x1.5bf0a8b145769p+1

/* The origin of weights against the maximum of their row, as a power of two: within a little more than 1/2 of 0. */
static inline double fs_above_maximum(double shift, double power, double max, double c_high, double c_low)
{
    return fma(shift - max, c_low, fma(shift - max, c_high, power));
}

/* 2^f for such an f; error below 1 ulp, exactly 1 for 0.  Written out, so that a loop over it becomes vector code. */
static inline double fs_exp2_of_fraction(double f)
{
    const double *t = fs_exp2_term;
    double p = fma(fma(fma(fma(t[0], f, t[1]), f, t[2]), f, t[3]), f, t[4]);
    p = fma(fma(fma(fma(p, f, t[5]), f, t[6]), f, t[7]), f, t[8]);
    return fma(fma(fma(p, f, t[9]), f, t[10]), f, t[11]);
}

/* L = log sum exp((x - max)/T) from the sum, or from the rest of it where the largest entry dominates; rest >= 0.
 * Every number is computed and then selected, so that a loop over it becomes vector code. */
static inline double fs_log_of_sum(double sum, double rest)
{
    const uint64_t dominated = fs_below(sum, FS_DOMINATED), small = dominated & fs_below(rest, FS_LOG1P_SMALL);
    double exponent, m = fs_mantissa(fs_select(dominated, 1.0 + rest, sum), &exponent);
    return fs_log1p_part(fs_select(small, rest, m - 1.0), fs_select(small, 0.0, exponent));
}

/* max/T + log_sum, with the rounding errors of the quotient and of the sum added back. */
static double fs_add_maximum(double max, double temperature, double log_sum)
{
    double quotient = max / temperature, sum = quotient + log_sum, back = sum - quotient;
    double error = (quotient - (sum - back)) + (log_sum - back) + fma(-quotient, temperature, max) / temperature;
    return fs_select(fs_below(fabs(sum), INFINITY), sum + error, sum);
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

/* Where the difference overflows it is taken of quarters, as its quotient by the temperature may be finite. */
static inline double fs_log_probability(double logit, double max, double temperature, double log_sum)
{
    const double difference = logit - max;
    if (FS_UNLIKELY(difference - difference != 0.0))
        return (0.25 * logit - 0.25 * max) / temperature * 4.0 - log_sum;
    return difference / temperature - log_sum;
}

/* log p of entry i, for max and log_sum of the row (softmax/logsumexp-inl.h). */
static inline double fs_logprob_of(const fs_reader *reader, size_t i, double temperature, double max, double log_sum)
{
    return fs_log_probability(fs_logit(reader, i), max, temperature, log_sum);
}

#endif

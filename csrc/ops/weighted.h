/* log sum b exp(x/T) for weights b >= 0.  With m the x of the largest term, which is at least as far as rounding decides it,
 *
 *     m/T + log S        S = sum b exp((x - m)/T)
 *
 * in double, whatever the type of the row.  The terms of S are rounded twice, with the rounding errors of x - m kept, and the
 * sum is that of two numbers, so that S has an error of 2 ulp.  Where b = 1 at m that term is exactly 1, and what the others
 * add keeps its relative accuracy, however small it is: log S is log1p near 1.
 *
 * Powers of two of weights are added to the exponents, so that nothing overflows, and nothing that counts underflows.  An
 * entry of weight 0 is not looked at. */
#ifndef FS_WEIGHTED_H
#define FS_WEIGHTED_H

#include "ops/one_row.h"

typedef struct {
    fs_reader entries, weights;
    double temperature;
    double largest; /* of the entries that count */
    double max, weight; /* of the largest term */
    int nan, bad;
} fs_weighted;

/* Numbers that are ordered as the logarithms of the terms are. */
static void fs_weighted_orders(double t, const double *x, const double *b, size_t len, double *order)
{
    for (size_t i = 0; i < len; i++)
        order[i] = fs_log(b[i]);
    if (t == INFINITY)
        for (size_t i = 0; i < len; i++)
            order[i] = x[i] > -INFINITY ? order[i] : -INFINITY;
    else if (t > 1.0)
        for (size_t i = 0; i < len; i++)
            order[i] = x[i] / t + order[i];
    else
        for (size_t i = 0; i < len; i++)
            order[i] = x[i] + t * order[i];
}

/* The same at less cost, with log b from below: the straight line between powers of two is at most FS_BELOW_LOG too low.  -inf
 * for a weight of 0.  order has room for a multiple of 8, and what is missing there is -inf.  Returns the largest, or NaN where this
 * does not serve. */
#define FS_BELOW_LOG 0.06
static double fs_weighted_rough_orders(fs_weighted *w, const double *x, const double *b, size_t len, double *order)
{
    const uint64_t least = UINT64_C(1) << 52, inf = UINT64_C(0x7ff) << 52, zero = UINT64_C(1) << 63;
    const double t = w->temperature, unit = 0x1p-40 * FS_LN2_HIGH, of_one = (0x1p52 + 1023 * 0x1p40) * unit;
    double counted[FS_BLOCK_F64];
    uint64_t subnormal = 0, bad = 0, nan = 0;
    for (size_t i = 0; i < len; i++) {
        const uint64_t bits = fs_bits_f64(b[i]), none = 0 - (uint64_t)(bits << 1 == 0);
        order[i] = fs_f64_of(bits >> 12 | UINT64_C(0x433) << 52) * unit - of_one;
        counted[i] = fs_select(none, -INFINITY, x[i]);
        subnormal |= (uint64_t)(bits - 1 < least - 1);
        bad |= (uint64_t)(bits >= inf) & (uint64_t)(bits != zero);
        nan |= (uint64_t)(fs_bits_f64(counted[i]) << 1 > inf << 1);
    }
    if (t > 1.0)
        for (size_t i = 0; i < len; i++)
            order[i] = counted[i] / t + order[i];
    else
        for (size_t i = 0; i < len; i++)
            order[i] = counted[i] + t * order[i];
    for (size_t i = len; i % 8; i++)
        order[i] = counted[i] = -INFINITY;
    f64x8 highest = f64x8_set1(-INFINITY), largest = highest;
    for (size_t i = 0; i < len; i += 8) {
        highest = f64x8_max(f64x8_load(order + i), highest);
        largest = f64x8_max(f64x8_load(counted + i), largest);
    }
    w->bad |= (int)bad;
    w->nan |= (int)nan;
    const double of_block = f64x8_reduce_max(largest);
    w->largest = of_block > w->largest ? of_block : w->largest;
    return subnormal || t == INFINITY ? (double)NAN : f64x8_reduce_max(highest);
}

/* The largest term: by the orders of those alone that may be it. */
static void fs_weighted_survey(fs_weighted *w, size_t n)
{
    const double t = w->temperature, scale = t < 1.0 ? t : 1.0;
    double copies[2][FS_BLOCK_F64], order[FS_BLOCK_F64], highest = -INFINITY;
    w->largest = w->max = -INFINITY;
    w->weight = 0.0;
    w->nan = w->bad = 0;
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        const size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&w->entries, start, len, copies[0]);
        const double *b = fs_load_f64(&w->weights, start, len, copies[1]);
        uint16_t place[FS_BLOCK_F64];
        size_t count = 0;
        const double rough = fs_weighted_rough_orders(w, x, b, len, order);
        const double lost = FS_BELOW_LOG * scale + 0x1p-48 * (fabs(rough) + 1024.0 * scale);
        const f64x8 least = f64x8_set1(rough - lost);
        for (size_t i = 0; i < len && rough - rough == 0.0; i += 8)
            for (unsigned may = f64x8_at_least(f64x8_load(order + i), least); may; may &= may - 1)
                place[count++] = (uint16_t)(i + fs_lowest_place(may));
        const int all = count == 0 || count > len / 8 + 4;
        if (all)
            fs_weighted_orders(t, x, b, count = len, order);
        for (size_t j = 0; j < count; j++) {
            const size_t i = all ? j : place[j];
            if (!all)
                fs_weighted_orders(t, x + i, b + i, 1, order + i);
            if (b[i] > 0.0 && (order[i] > highest || (order[i] == highest && b[i] > w->weight))) {
                highest = order[i];
                w->max = x[i];
                w->weight = b[i];
            }
        }
    }
}
#undef FS_BELOW_LOG

/* 2^k exp((x - max)/T), its limits included; c is log2(e)/T, and natural log2(e). */
static inline double fs_weighted_exp(double x, double max, const fs_scale *c, const fs_scale *natural, double k)
{
    const double t = c->temperature, apart = x - max, back = apart - x;
    if (x == max || (t == INFINITY && x > -INFINITY))
        return fs_exp2(natural, 0.0, k);
    if (x == -INFINITY || t == 0.0)
        return 0.0;
    if (!fs_has_formula(t, 1) || apart - apart != 0.0)
        return fs_exp2(natural, fs_log_probability(x, max, t, 0.0), k);
    const double lost = (x - (apart - back)) + (-max - back);
    return fs_exp2(c, apart, k) * (1.0 + lost / t);
}

/* The same of GROUP entries side by side, all of a weight above 0, where nothing is subnormal or beyond the doubles: mantissas
 * and powers of the terms.  Returns whether it is so. */
static int fs_weighted_terms(const fs_weighted *w, const fs_scale *c, const double *x, const double *b, int e,
                             double *mantissa, double *power)
{
    double apart[FS_GROUP], lost[FS_GROUP], k[FS_GROUP];
    int outside = 0;
    for (int i = 0; i < FS_GROUP; i++) {
        const uint64_t bits = fs_bits_f64(b[i]), fraction = (UINT64_C(1) << 52) - 1;
        mantissa[i] = fs_f64_of((bits & fraction) | UINT64_C(1022) << 52);
        k[i] = fs_f64_of(bits >> 52 | UINT64_C(0x4330000000000000)) - (0x1p52 + 1022.0) - e;
        apart[i] = x[i] - w->max;
        const double back = apart[i] - x[i];
        lost[i] = (x[i] - (apart[i] - back)) + (-w->max - back);
        lost[i] = 1.0 + lost[i] / c->temperature;
    }
    for (int i = 0; i < FS_GROUP; i++) {
        const double z = fma(apart[i], c->high, k[i]);
        outside |= !(b[i] >= 0x1p-1022) | !(z > -1000.0) | !(z < 1000.0) | !(apart[i] > -INFINITY);
    }
    if (outside)
        return 0;
    const f64x8 magic = f64x8_set1(0x1.8p52), high = f64x8_set1(c->high), low = f64x8_set1(c->low);
    for (int i = 0; i < FS_GROUP; i += 8) {
        const f64x8 d = f64x8_load(apart + i), added = f64x8_load(k + i);
        const f64x8 t = f64x8_add(f64x8_fma(d, high, added), magic), n = f64x8_sub(t, magic);
        const f64x8 f = f64x8_fma(d, low, f64x8_fma(d, high, f64x8_sub(added, n)));
        f64x8 p;
        exp2_f64(&p, &t, &f, 1);
        f64x8_store(power + i, f64x8_mul(p, f64x8_load(lost + i)));
    }
    return 1;
}

/* log S of entries with a finite maximum, without e ln 2 for the exponent e that is taken out of the weights. */
static double fs_weighted_log(const fs_weighted *w, size_t n, int e)
{
    const fs_scale c = fs_scale_of(w->temperature), natural = fs_scale_of(1.0);
    const int formula = fs_has_formula(w->temperature, 1);
    double high = 0.0, low = 0.0, copies[2][FS_BLOCK_F64];
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        const size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&w->entries, start, len, copies[0]);
        const double *b = fs_load_f64(&w->weights, start, len, copies[1]);
        for (size_t i = 0; i < len; i += FS_GROUP) {
            double mantissa[FS_GROUP], power[FS_GROUP];
            const size_t count = len - i < FS_GROUP ? len - i : FS_GROUP;
            if (count < FS_GROUP || !formula || !fs_weighted_terms(w, &c, x + i, b + i, e, mantissa, power))
                for (size_t j = 0; j < count; j++) {
                    const double weight = b[i + j];
                    mantissa[j] = power[j] = 0.0; /* they add nothing */
                    if (!(weight > 0.0))
                        continue;
                    const int of_weight = fs_exponent(weight), half = -of_weight / 2;
                    mantissa[j] = weight * fs_pow2(half) * fs_pow2(-of_weight - half);
                    power[j] = fs_weighted_exp(x[i + j], w->max, &c, &natural, of_weight - e);
                }
            for (size_t j = 0; j < count; j++) {
                const double term = mantissa[j] * power[j];
                fs_add_to(&high, &low, term);
                low += fma(mantissa[j], power[j], -term);
            }
        }
    }
    const double sum = high + low, rest = (high - sum) + low;
    if (sum > 0.75 && sum < 1.4)
        return fs_log1p_part((high - 1.0) + low, 0.0);
    return fs_log(sum) + rest / sum;
}

static fs_status kernel_logsumexp_weighted(const fs_row *row, const fs_row *weights, size_t n, double temperature,
                                           const fs_output *out)
{
    fs_weighted w = {fs_reader_of(row), fs_reader_of(weights), temperature, 0.0, 0.0, 0.0, 0, 0};
    w.weights.weights = 1; /* a weight that is masked is 0 */
    fs_weighted_survey(&w, n);
    if (w.bad)
        return FS_ARGUMENT;
    double result = w.largest;
    if (w.nan)
        result = fs_f64_of(UINT64_C(0x7ff8000000000000));
    else if (temperature == 0.0 && w.largest != 0.0)
        result = w.largest * INFINITY;
    else if (fabs(w.largest) < INFINITY) {
        const int e = w.weight > 0x1p-500 && w.weight < 0x1p500 ? 0 : fs_exponent(w.weight);
        const double log_sum = fs_weighted_log(&w, n, e) + e * FS_LN2_HIGH;
        result =
            temperature == 0.0 || temperature == INFINITY ? log_sum : fs_add_maximum(w.max, temperature, log_sum);
    }
    fs_store_f64(out, 0, 1, &result);
    return FS_OK;
}

#endif

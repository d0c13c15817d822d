/* Filters by a power of the probabilities themselves: top_a (a times the square of the largest), p_less (the sum of all
 * squares, which is the probability that two draws collide).
 *
 * Both are a least probability, compared as that of epsilon_cutoff is: with integer weights against their exact mass.  What
 * they are compared with is computed in double and lowered by more than its rounding, so that an entry of exactly this
 * probability is kept.
 *
 * Needs real_f32.h or real_f64.h, filter/threshold-inl.h. */

/* keep_top_a_f32, keep_top_a_f64 */
static NAME(list) NAME(keep_top_a)(const NAME(list) *l, double a, const NAME(task) *t)
{
    NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
    uint64_t mass = NAME(mass)(&g, l->value, l->count);
    double largest = (double)NAME(mass)(&g, &l->max, 1) / (double)mass, least = a * (largest * largest);
    return NAME(keep_likely)(l, least - least * 0x1p-46, &g, mass, t);
}

/* sum + w^2, of the halves of weights, as they are in the integers: rounded to the multiples of 2^-51 that the doubles from 2
 * to 4 have. */
FS_INLINE f64x8 NAME(add_squares)(f64x8 sum, VEC w)
{
    const f64x8 magic = f64x8_set1(2.0);
    for (int h = 0; h < LANES / 8; h++) {
        f64x8 v = f64x8_sub(f64x8_add(V(half)(w, h), magic), magic);
        sum = f64x8_fma(v, v, sum);
    }
    return sum;
}

/* The sum of the squares of the weights, and their mass.  It has three levels, so that none of its parts has more than some
 * hundred rounded additions: 2^-45 of it is lost at most, up to 2^23 entries. */
static double NAME(squares_as)(const NAME(list) *l, const NAME(weighting) *g, int linear, int may_underflow,
                               uint64_t *mass)
{
    enum { CHUNK = 8 * LANES, CHUNKS = 64 };
    const NAME(constants) k = g->constants;
    f64x8 total = f64x8_set1(0.0);
    fs_integers integers = fs_no_integers();
    size_t i = 0;
    while (i < l->count) {
        f64x8 of_chunks = f64x8_set1(0.0);
        for (int chunk = 0; chunk < CHUNKS && i < l->count; chunk++) {
            f64x8 sum = f64x8_set1(0.0);
            if (i + CHUNK <= l->count) {
                VEC w[8];
                for (int j = 0; j < 8; j++)
                    w[j] = V(load)(l->value + i + j * LANES);
                NAME(weigh)(w, 8, g, &k, linear, may_underflow);
                for (int j = 0; j < 8; j++) {
                    sum = NAME(add_squares)(sum, w[j]);
                    integers = V(add_integers)(integers, w[j]);
                }
                i += CHUNK;
            } else {
                for (; i < l->count; i += LANES) {
                    size_t len = l->count - i < LANES ? l->count - i : LANES;
                    VEC w = NAME(weigh_last)(l->value + i, len, g);
                    sum = NAME(add_squares)(sum, w);
                    integers = V(add_integers)(integers, w);
                }
            }
            of_chunks = f64x8_add(of_chunks, sum);
        }
        total = f64x8_add(total, of_chunks);
    }
    *mass = fs_integers_total(integers, i);
    return f64x8_sum(total);
}

/* keep_p_less_f32, keep_p_less_f64 */
static NAME(list) NAME(keep_p_less)(const NAME(list) *l, const NAME(task) *t)
{
    NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
    uint64_t mass;
    double squares = g.linear          ? NAME(squares_as)(l, &g, 1, 0, &mass)
                     : g.may_underflow ? NAME(squares_as)(l, &g, 0, 1, &mass)
                                       : NAME(squares_as)(l, &g, 0, 0, &mass);
    double sum = (double)mass * 0x1p-51, least = squares / (sum * sum);
    return NAME(keep_likely)(l, least - least * 0x1p-44, &g, mass, t);
}

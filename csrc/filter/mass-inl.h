/* The weights of a list as integers against one origin.  Their sums are exact in any order and equal values have equal
 * weights, so a boundary of mass is decided as exactly as the weights are known.
 *
 * A weight in [0, sqrt 2] becomes round(w 2^(51 - down)), where `down` keeps the sum of the list below 2^62.  A weight
 * below 2^-60 of the largest is 0 in any case, and is set to 0 before it could underflow.
 *
 * Needs real_f32.h or real_f64.h, filter/list-inl.h.
 */

typedef struct {
    int linear; /* the values are weights, at temperature 1, and not logits; TERMS: logits, of which the terms are weighed */
    int may_underflow; /* or values are -inf */
    fs_scale c;
    NAME(scale) scale;
    NAME(origin) origin; /* its power includes `down` */
    NAME(constants) constants, last;
    REAL max, half, other_half; /* linear: the weight is value * half * other_half */
    int down;
    REAL first_term, slope; /* of TERMS, for filter/entropy-inl.h: weight * (first_term + slope (max - x)) */
} NAME(weighting);

enum { NAME(TERMS) = 2 };

static NAME(weighting) NAME(weighting_of)(const NAME(list) *l, int linear, double temperature)
{
    NAME(weighting) g;
    g.linear = linear;
    g.max = l->max;
    g.down = 0;
    while ((l->count - 1) >> g.down >= 1024)
        g.down++;
    g.c = fs_scale_of(temperature);
    g.scale = NAME(scale_of)(&g.c);
    g.origin = NAME(origin_of)(l->max, &g.scale);
    g.origin.power += (REAL)g.down;
    const REAL least = 100;
    g.may_underflow = !((l->max - l->min) * g.scale.ch < least);
    g.scale.reach = (REAL)60 / g.scale.ch;
    g.constants = NAME(constants_of)(g.origin, l->max, &g.scale, g.may_underflow ? LIFT : 0);
    g.last = NAME(constants_of)(g.origin, l->max, &g.scale, LIFT);
    if (linear) {
        int e = -fs_exponent((double)l->max) - g.down, half = e / 2;
        g.half = (REAL)fs_pow2(half);
        g.other_half = (REAL)fs_pow2(e - half);
    }
    return g;
}

/* Logits to weights, `count` vectors of them. */
FS_INLINE void NAME(weigh_logits)(VEC *v, int count, const NAME(constants) *k, int may_underflow)
{
    int j = 0;
    for (; j + FS_IN_FLIGHT <= count; j += FS_IN_FLIGHT)
        NAME(weights)(v + j, FS_IN_FLIGHT, k, FS_SHIFTED | (may_underflow ? FS_MAY_UNDERFLOW : 0));
    for (; j < count; j++)
        NAME(weights)(v + j, 1, k, FS_SHIFTED | (may_underflow ? FS_MAY_UNDERFLOW : 0));
}

/* Values to weights, or to what each of them is summed as. */
FS_INLINE void NAME(weigh)(VEC *v, int count, const NAME(weighting) *g, const NAME(constants) *k, int linear,
                           int may_underflow)
{
    if (linear == 1) {
        for (int j = 0; j < count; j++)
            v[j] = V(mul)(V(mul)(v[j], V(set1)(g->half)), V(set1)(g->other_half));
    } else if (linear == NAME(TERMS)) {
        VEC below[8]; /* the maximum */
        for (int i = 0; i < count; i++)
            below[i] = V(min)(V(sub)(V(set1)(g->max), v[i]), V(set1)(g->scale.reach));
        NAME(weigh_logits)(v, count, k, may_underflow);
        for (int i = 0; i < count; i++)
            v[i] = V(mul)(v[i], V(fma)(below[i], V(set1)(g->slope), V(set1)(g->first_term)));
    } else {
        NAME(weigh_logits)(v, count, k, may_underflow);
    }
}

/* The weights of a vector of which only `len` entries exist; the others are 0. */
FS_INLINE VEC NAME(weigh_last)(const REAL *x, size_t len, const NAME(weighting) *g)
{
    VEC v = V(load_first)(x, len, g->linear == 1 ? 0 : -(REAL)INFINITY);
    NAME(weigh)(&v, 1, g, &g->last, g->linear, 1);
    return v;
}

FS_INLINE uint64_t NAME(mass_as)(const NAME(weighting) *g, const REAL *x, size_t len, int linear, int may_underflow)
{
    const NAME(constants) k = g->constants;
    fs_integers sum = fs_no_integers(), other = sum;
    size_t i = 0, eights = len / (8 * LANES);
    for (; i < eights * 8 * LANES; i += 8 * LANES) {
        VEC w[8];
        for (int j = 0; j < 8; j++)
            w[j] = V(load)(x + i + j * LANES);
        NAME(weigh)(w, 8, g, &k, linear, may_underflow);
        for (int j = 0; j < 8; j += 2) {
            sum = V(add_integers)(sum, w[j]);
            other = V(add_integers)(other, w[j + 1]);
        }
    }
    for (; i < len; i += LANES)
        sum = V(add_integers)(sum, NAME(weigh_last)(x + i, len - i < LANES ? len - i : LANES, g));
    return fs_integers_total(sum, i - eights * 4 * LANES) + fs_integers_total(other, eights * 4 * LANES);
}

/* The mass of `len` values. */
static uint64_t NAME(mass)(const NAME(weighting) *g, const REAL *x, size_t len)
{
    return g->linear == NAME(TERMS) ? NAME(mass_as)(g, x, len, NAME(TERMS), 1)
           : g->linear              ? NAME(mass_as)(g, x, len, 1, 0)
           : g->may_underflow       ? NAME(mass_as)(g, x, len, 0, 1)
                                    : NAME(mass_as)(g, x, len, 0, 0);
}

/* The same in less time, to a relative error of ESTIMATE and half a unit for each entry: four vectors at a time are added
 * in their own precision, which rounds twice. */
FS_INLINE double NAME(estimate_as)(const NAME(weighting) *g, const REAL *x, size_t len, int linear, int may_underflow)
{
    const NAME(constants) k = g->constants;
    f64x8 sum = f64x8_set1(0.0), other = sum;
    size_t i = 0;
    for (; i + 8 * LANES <= len; i += 8 * LANES) {
        VEC w[8];
        for (int j = 0; j < 8; j++)
            w[j] = V(load)(x + i + j * LANES);
        NAME(weigh)(w, 8, g, &k, linear, may_underflow);
        sum = f64x8_add(sum, V(fold)(V(add)(V(add)(w[0], w[1]), V(add)(w[2], w[3]))));
        other = f64x8_add(other, V(fold)(V(add)(V(add)(w[4], w[5]), V(add)(w[6], w[7]))));
    }
    for (; i < len; i += LANES)
        sum = f64x8_add(sum, V(fold)(NAME(weigh_last)(x + i, len - i < LANES ? len - i : LANES, g)));
    return f64x8_sum(f64x8_add(sum, other)) * 0x1p51;
}

static double NAME(estimate)(const NAME(weighting) *g, const REAL *x, size_t len)
{
    return g->linear          ? NAME(estimate_as)(g, x, len, 1, 0)
           : g->may_underflow ? NAME(estimate_as)(g, x, len, 0, 1)
                              : NAME(estimate_as)(g, x, len, 0, 0);
}

/* The mass of the values from span.low on; `two_ended`: and below span.past. */
FS_INLINE uint64_t NAME(mass_within_as)(const NAME(weighting) *g, const REAL *x, size_t len, NAME(span) span,
                                        int two_ended, int linear, int may_underflow)
{
    const NAME(constants) k = g->constants;
    const VEC low = V(set1)(NAME(below)(span.low)), past = V(set1)(span.past);
    fs_integers sum = fs_no_integers();
    size_t i = 0;
    for (; i + 8 * LANES <= len; i += 8 * LANES) {
        VEC w[8];
        for (int j = 0; j < 8; j++)
            w[j] = V(load)(x + i + j * LANES);
        NAME(weigh)(w, 8, g, &k, linear, may_underflow);
        for (int j = 0; j < 8; j++) {
            VEC a = V(load)(x + i + j * LANES), in = V(where_above)(a, low, w[j]);
            sum = V(add_integers)(sum, two_ended ? V(where_above)(past, a, in) : in);
        }
    }
    for (; i < len; i += LANES) {
        size_t last = len - i < LANES ? len - i : LANES;
        VEC a = V(load_first)(x + i, last, -(REAL)INFINITY);
        VEC in = V(where_above)(a, low, NAME(weigh_last)(x + i, last, g));
        sum = V(add_integers)(sum, two_ended ? V(where_above)(past, a, in) : in);
    }
    return fs_integers_total(sum, i);
}

static uint64_t NAME(mass_within)(const NAME(weighting) *g, const REAL *x, size_t len, NAME(span) span)
{
    if (span.past == span.past)
        return g->may_underflow ? NAME(mass_within_as)(g, x, len, span, 1, 0, 1)
                                : NAME(mass_within_as)(g, x, len, span, 1, 0, 0);
    return g->linear == NAME(TERMS) ? NAME(mass_within_as)(g, x, len, span, 0, NAME(TERMS), 1)
           : g->linear              ? NAME(mass_within_as)(g, x, len, span, 0, 1, 0)
           : g->may_underflow       ? NAME(mass_within_as)(g, x, len, span, 0, 0, 1)
                                    : NAME(mass_within_as)(g, x, len, span, 0, 0, 0);
}

/* The weights of a few values; `w` holds whole vectors. */
static void NAME(weigh_few)(const NAME(weighting) *g, const REAL *x, size_t len, REAL *w)
{
    for (size_t i = 0; i < len; i += LANES)
        V(store)(w + i, NAME(weigh_last)(x + i, len - i < LANES ? len - i : LANES, g));
}

/* The mean of log(p_i / p_max) under the distribution of a list, the entropy that follows from it, in nats, the sum
 * of the weights, and their mass. */
typedef struct {
    double mean, entropy, sum;
    uint64_t mass;
} NAME(moments);

static NAME(moments) NAME(moments_of)(const NAME(list) *l, const NAME(weighting) *g)
{
    NAME(moments) m;
    double total = 0.0, product = 0.0;
    if (g->linear) {
        double top = fs_log((double)l->max);
        for (size_t i = 0; i < l->count; i++) {
            double p = (double)l->value[i] * (double)g->half * (double)g->other_half;
            total += p;
            product += p > 0.0 ? p * (fs_log((double)l->value[i]) - top) : 0.0;
        }
        m.sum = total;
        m.mean = product / total;
        m.mass = NAME(mass)(g, l->value, l->count);
        m.entropy = fs_log(total / ((double)l->max * (double)g->half * (double)g->other_half)) - m.mean;
        return m;
    }
    /* lanes of the products and of the weights, in double; y = x - max */
    VEC max = V(set1)(l->max), floor = V(set1)(-g->scale.reach);
    f64x8 weights = f64x8_set1(0.0), products = weights;
    fs_integers sum = fs_no_integers();
    size_t i = 0;
    for (; i + 8 * LANES <= l->count; i += 8 * LANES) {
        VEC w[8];
        for (int j = 0; j < 8; j++)
            w[j] = V(load)(l->value + i + j * LANES);
        NAME(weigh)(w, 8, g, &g->last, 0, 1);
        for (int j = 0; j < 8; j++) {
            VEC y = V(max)(V(sub)(V(load)(l->value + i + j * LANES), max), floor);
            weights = f64x8_add(weights, V(fold)(w[j]));
            products = f64x8_add(products, V(fold)(V(mul)(w[j], y)));
            sum = V(add_integers)(sum, w[j]);
        }
    }
    for (; i < l->count; i += LANES) {
        size_t len = l->count - i < LANES ? l->count - i : LANES;
        VEC w = NAME(weigh_last)(l->value + i, len, g);
        VEC y = V(max)(V(sub)(V(load_first)(l->value + i, len, l->max), max), floor);
        weights = f64x8_add(weights, V(fold)(w));
        products = f64x8_add(products, V(fold)(V(mul)(w, y)));
        sum = V(add_integers)(sum, w);
    }
    m.mass = fs_integers_total(sum, i);
    m.sum = total = f64x8_sum(weights);
    product = f64x8_sum(products);
    m.mean = product / total / g->c.temperature;
    /* log of the sum of weights against the maximum */
    double above = fma((double)g->origin.shift - l->max, g->c.high, (double)g->origin.power);
    m.entropy = fs_log(total) + above * FS_LN2_HIGH - m.mean;
    return m;
}

/* The value whose weight is w. */
static double NAME(value_of)(const NAME(weighting) *g, double w)
{
    if (g->linear)
        return w / (double)g->half / (double)g->other_half;
    double power = fs_log(w) + (double)g->origin.power * FS_LN2_HIGH;
    return fma(power, g->c.temperature, (double)g->origin.shift);
}

/* A little less, or with `sign` 1 a little more than that, whatever the rounding: every entry below it has a weight below w,
 * or every entry from it on a weight of w or more. */
static REAL NAME(value_to_side)(const NAME(weighting) *g, double w, double sign)
{
    double value = NAME(value_of)(g, w);
    if (g->linear)
        return (REAL)(value * (1.0 + sign * 0.001));
    return NAME(at_or_above)(
        value + sign * (1e-3 * g->c.temperature + (fabs(value) + fabs((double)g->origin.shift)) * 0x1p-20));
}

static REAL NAME(value_below)(const NAME(weighting) *g, double w) { return NAME(value_to_side)(g, w, -1.0); }

/* Filters that keep, or drop, the entries above a threshold of value or probability: min_p, top_n_sigma, epsilon, eta,
 * XTC, mirostat.
 *
 * Needs real_f32.h or real_f64.h, filter/prefix-inl.h. */

/* The values that are at least low, or the first min_keep of the sorted order if those are fewer. */
static NAME(list) NAME(keep_from)(const NAME(list) *l, REAL low, const NAME(task) *t)
{
    if (l->max < low || (t->min_keep > 1 && NAME(count_from)(l, low) < t->min_keep))
        return NAME(keep_top)(l, t->min_keep, t->workspace);
    return l->min >= low ? *l : NAME(pack)(l, NAME(from)(low), t->workspace);
}

static NAME(list) NAME(keep_min_p)(const NAME(list) *l, double min_p, const NAME(task) *t)
{
    if (!t->linear) /* log(min_p) of the entries' own temperature below the maximum */
        return NAME(keep_from)(l, NAME(at_or_above)(fma(t->temperature, fs_log(min_p), (double)l->max)), t);
    double product = min_p * (double)l->max, rest = fma(min_p, (double)l->max, -product);
    REAL low = (REAL)product;
    return NAME(keep_from)(l, rest > 0.0 ? NAME(above)(low) : low, t);
}

/* Sum of (unit x - mean)^power over the values above -inf, in eight lanes of double. */
static double NAME(power_sum)(const NAME(list) *l, double unit, double mean, int power)
{
    const f64x8 scale = f64x8_set1(unit), middle = f64x8_set1(mean), none = f64x8_set1(-INFINITY);
    f64x8 sum = f64x8_set1(0.0);
    for (size_t start = 0; start < l->count; start += FS_BLOCK_F64) {
        double wide[FS_BLOCK_F64];
        size_t len = l->count - start < FS_BLOCK_F64 ? l->count - start : FS_BLOCK_F64;
        for (size_t i = 0; i < len; i++)
            wide[i] = (double)l->value[start + i];
        for (size_t i = 0; i < len; i += 8) {
            f64x8 x = len - i < 8 ? f64x8_load_first(wide + i, len - i, -INFINITY) : f64x8_load(wide + i);
            f64x8 d = f64x8_where_above(x, none, f64x8_sub(f64x8_mul(x, scale), middle));
            sum = power == 2 ? f64x8_fma(d, d, sum) : f64x8_add(sum, d);
        }
    }
    return f64x8_sum(sum);
}

/* Standard deviation of the values above -inf, in larger or smaller units where their squares leave the range of doubles.
 * A deviation as small as 2^-450 means values as small, or equal ones. */
static double NAME(deviation)(const NAME(list) *l)
{
    const double there = (double)NAME(count_there)(l);
    double unit = 1.0, mean, variance;
    for (;;) {
        mean = NAME(power_sum)(l, unit, 0.0, 1) / there;
        variance = NAME(power_sum)(l, unit, mean, 2) / there;
        if (unit != 1.0 || (variance < INFINITY && (variance > 0x1p-900 || fabs((double)l->max) > 0x1p-300)))
            return sqrt(variance) / unit;
        unit = variance < INFINITY ? 0x1p600 : 0x1p-600;
    }
}

/* The least value of an entry of some probability, and where that is more exact also its least weight. */
typedef struct {
    REAL value, weight, sure; /* an entry of the value `sure` has the weight in any case */
} NAME(bound);

static NAME(bound) NAME(bound_of)(const NAME(weighting) *g, double probability, uint64_t mass)
{
    double weight = probability * (double)mass * 0x1p-51;
    uint64_t integer = fs_part_of_mass(probability, mass);
    NAME(bound) b = {0, 0, (REAL)INFINITY};
    if (integer >= UINT64_C(1) << 40) /* as an integer, so that equality is recognised */
        weight = ((double)integer - 0.5) * 0x1p-51;
    if (weight >= 0x1p-55 * fs_pow2(-g->down)) {
        b.weight = NAME(at_or_above)(weight);
        b.value = NAME(value_below)(g, weight);
        b.sure = NAME(value_to_side)(g, weight, 1.0);
    } else {
        b.value = NAME(at_or_above)(NAME(value_of)(g, weight));
    }
    return b;
}

/* The entries within a bound. */
typedef struct {
    size_t count, ties;
    REAL least; /* the smallest value, which occurs `ties` times */
} NAME(likely);

/* The entries within the bound: packed where `workspace` is given, else counted. */
static NAME(likely)
    NAME(find_likely)(const NAME(list) *l, const NAME(weighting) *g, NAME(bound) bound, NAME(workspace) *workspace)
{
    NAME(likely) found = {0, 0, (REAL)INFINITY};
    VEC least_weight = V(set1)(bound.weight),
        low = V(set1)(bound.value > l->none ? bound.value : NAME(above)(l->none)), sure = V(set1)(bound.sure);
    const int all = workspace && l->part_max && l->min >= bound.sure && l->min > l->none;
    for (size_t from = 0; from < l->count; from += NAME(PART)) {
        size_t end = from + NAME(PART) < l->count ? from + NAME(PART) : l->count;
        if (l->part_max && !(V(at_least)(V(set1)(l->part_max[from / NAME(PART)]), low)))
            continue;
        if (all && end == from + NAME(PART)) {
            found.count = NAME(pack_part)(l, from, workspace, found.count);
            continue;
        }
        for (size_t i = from; i < end; i += LANES) {
            size_t len = end - i < LANES ? end - i : LANES;
            VEC x = len == LANES ? V(load)(l->value + i) : V(load_first)(l->value + i, len, -(REAL)INFINITY);
            unsigned chosen = V(at_least)(x, low);
            if (bound.weight > 0 && (chosen & ~V(at_least)(x, sure)))
                chosen &= V(at_least)(NAME(weigh_last)(l->value + i, len, g), least_weight);
            if (workspace) {
                found.count = NAME(pack_chosen)(l, i, x, chosen, workspace, found.count);
                continue;
            }
            found.count += fs_count_bits(chosen);
            for (size_t j = i; chosen; j++, chosen >>= 1) {
                REAL value = l->value[j];
                if (!(chosen & 1) || value > found.least)
                    continue;
                found.ties = value < found.least ? 1 : found.ties + 1;
                found.least = value;
            }
        }
    }
    return found;
}

/* Keeps the entries of this probability or more. */
static NAME(list) NAME(keep_likely)(const NAME(list) *l, double probability, const NAME(weighting) *g, uint64_t mass,
                                    const NAME(task) *t)
{
    NAME(bound) bound = NAME(bound_of)(g, probability, mass);
    NAME(list) largest = {&l->max, NULL, 1, l->max, l->max, l->none, NULL};
    size_t count = NAME(find_likely)(t->min_keep > 1 ? l : &largest, g, bound, NULL).count;
    if (count < t->min_keep)
        return NAME(keep_top)(l, t->min_keep, t->workspace);
    return NAME(in_workspace)(l, t->workspace, NAME(find_likely)(l, g, bound, t->workspace).count);
}

/* The entries of this probability or more, or fewer than two of them.  A long row is first read for less than the mass: the
 * maxima of its parts weigh less than all of it, and an estimate has both ends. */
static NAME(likely) NAME(likely_in)(const NAME(list) *l, const NAME(weighting) *g, double probability)
{
    if (l->part_max && l->count >= 64 * NAME(PART)) {
        NAME(list) parts = {l->part_max, NULL, l->count / NAME(PART), l->max, l->max, l->none, NULL};
        NAME(bound) bound = NAME(bound_of)(g, probability, NAME(mass)(g, parts.value, parts.count));
        NAME(likely) most = {parts.count, 0, 0};
        if (bound.weight > 0 && NAME(find_likely)(&parts, g, bound, NULL).count < parts.count / 16) {
            most = NAME(find_likely)(l, g, bound, NULL);
            if (most.count < 2)
                return most;
            double about = NAME(estimate)(g, l->value, l->count), off = about * ESTIMATE + (double)l->count;
            bound = NAME(bound_of)(g, probability, (uint64_t)(about - off));
            most = NAME(find_likely)(l, g, bound, NULL);
            bound = NAME(bound_of)(g, probability, (uint64_t)(about + off));
            if (most.count < 2 || NAME(find_likely)(l, g, bound, NULL).count == most.count)
                return most;
        }
    }
    return NAME(find_likely)(l, g, NAME(bound_of)(g, probability, NAME(mass)(g, l->value, l->count)), NULL);
}

/* XTC: of the entries of probability xtc_threshold or more, if they are two or more, drops all but the last. */
static NAME(list) NAME(drop_likely)(const NAME(list) *l, const NAME(task) *t)
{
    NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
    NAME(likely) top = NAME(likely_in)(l, &g, t->f->xtc_threshold);
    if (top.count < 2 || NAME(count_there)(l) - (top.count - 1) < t->min_keep)
        return *l;
    NAME(threshold) c = {
        {NAME(above)(l->none), top.least}, {top.least, NAME(above)(top.least)}, top.least, top.ties - 1, 1};
    NAME(list) packed = NAME(pack)(l, c, t->workspace);
    if (l->min > l->none)
        packed.max = top.least;
    else
        NAME(measure_list)(&packed);
    return packed;
}

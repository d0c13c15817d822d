/* Selection: where a prefix of an order ends, whose count or whose mass reaches a target.
 *
 * The order is by value (top_k, top_p) or by the distance from a centre (typical_p), ties in the sorted order.  As in
 * quickselect, a pivot divides the values in three and only the part with the boundary is read again, so the work is a
 * small multiple of the list.  The pivot comes from a weighted sample of 32; with 64 values or fewer the sample is all of
 * them, and the pivot is the boundary.  The positions of the sample depend on the amounts themselves, so that a bad row
 * is hard to construct.  After twelve pivots the range of the keys is halved instead, which takes at most as many steps
 * as a number has bits.
 *
 * Needs real_f32.h or real_f64.h, filter/mass-inl.h.
 */

enum { NAME(SAMPLE) = 64 };

typedef struct {
    const NAME(weighting) *weighting; /* NULL: count */
    int by_distance;
    double centre, step, rounder; /* distances are rounded to multiples of the step, as below */
    NAME(workspace) *workspace;
} NAME(order);

/* Distances are from max + mean.  Equal distances may differ by rounding, so distances that agree to 2^-42 of the numbers
 * they come from are ties. */
static void NAME(set_centre)(NAME(order) *o, double max, double mean)
{
    double size = fabs(max) + fabs(mean);
    o->centre = max + mean;
    o->step = size > 0x1p-900 && size < 0x1p900 ? fs_pow2(fs_exponent(size) - 42) : 0.0;
    o->rounder = o->step * 0x1.8p52;
}

/* The key of a value: descending along the order. */
static inline double NAME(key)(const NAME(order) *o, REAL x)
{
    return o->by_distance ? o->rounder - (fabs((double)x - o->centre) + o->rounder) : (double)x;
}

static inline uint64_t NAME(amount)(const NAME(order) *o, const REAL *x, size_t count)
{
    return o->weighting ? NAME(mass)(o->weighting, x, count) : count;
}

/* The values whose key is at least `key`. */
static NAME(span) NAME(span_of)(const NAME(order) *o, double key)
{
    const REAL most = OF_BITS(BITS_OF((REAL)INFINITY) - 1);
    NAME(span) s = {NAME(at_or_above)(key), (REAL)NAN};
    if (!o->by_distance)
        return s;
    double low = o->centre + key - 0.5 * o->step, high = o->centre - key + 0.5 * o->step;
    s.low = low > -(double)most ? (REAL)low : -most;
    s.past = high < (double)most ? (REAL)high : most;
    /* the ends are rounded: the last values of that distance are a step or two away */
    for (int i = 0; i < 4 && s.low < most && NAME(key)(o, s.low) < key; i++)
        s.low = NAME(above)(s.low);
    for (int i = 0; i < 4 && s.low > -most && NAME(key)(o, NAME(below)(s.low)) >= key; i++)
        s.low = NAME(below)(s.low);
    for (int i = 0; i < 4 && s.past > -most && NAME(key)(o, s.past) < key; i++)
        s.past = NAME(below)(s.past);
    for (int i = 0; i < 4 && s.past < most && NAME(key)(o, NAME(above)(s.past)) >= key; i++)
        s.past = NAME(above)(s.past);
    s.past = NAME(above)(s.past);
    return s;
}

/* The values whose key is above `key`. */
static NAME(span) NAME(span_after)(const NAME(order) *o, double key)
{
    NAME(span) none = {(REAL)NAN, (REAL)NAN};
    double next;
    if (!o->by_distance)
        next = (double)NAME(above)((REAL)key);
    else if (key == 0.0) /* keys are <= 0 */
        return none;
    else
        next = key + o->step > key ? key + o->step : fs_f64_of(fs_bits_f64(key) - 1);
    return next == next ? NAME(span_of)(o, next) : none;
}

/* The numbers of values inside, in the boundary and beyond it.  Those inside are packed into spare[0], those beyond into
 * spare[1]; x may be one of these. */
typedef struct {
    size_t inside, boundary, beyond;
} NAME(thirds);

static NAME(thirds)
    NAME(divide)(const REAL *x, size_t count, NAME(span) inside, NAME(span) boundary, NAME(workspace) *workspace)
{
    VEC inside_low = V(set1)(inside.low), inside_past = V(set1)(inside.past);
    VEC boundary_low = V(set1)(boundary.low), boundary_past = V(set1)(boundary.past);
    NAME(thirds) t = {0, 0, 0};
    const int plain = inside.past != inside.past && boundary.past != boundary.past; /* no upper ends */
    for (size_t i = 0; i < count; i += LANES) {
        size_t len = count - i < LANES ? count - i : LANES;
        unsigned all = (unsigned)((UINT64_C(1) << len) - 1);
        VEC a = len == LANES ? V(load)(x + i) : V(load_first)(x + i, len, 0);
        unsigned in = (plain ? V(at_least)(a, inside_low) : NAME(in_span)(a, inside_low, inside_past)) & all;
        unsigned out =
            ~(plain ? V(at_least)(a, boundary_low) : NAME(in_span)(a, boundary_low, boundary_past)) & ~in & all;
        V(pack)(workspace->spare[0] + t.inside, a, in);
        V(pack)(workspace->spare[1] + t.beyond, a, out);
        t.inside += fs_count_bits(in);
        t.beyond += fs_count_bits(out);
    }
    t.boundary = count - t.inside - t.beyond;
    return t;
}

/* The number of values inside; those of the boundary that are not inside are packed, *packed of them. */
static size_t NAME(pack_between)(const REAL *x, size_t count, NAME(span) inside, NAME(span) boundary, REAL *to,
                                 size_t *packed)
{
    VEC inside_low = V(set1)(inside.low), inside_past = V(set1)(inside.past);
    VEC boundary_low = V(set1)(boundary.low), boundary_past = V(set1)(boundary.past);
    const int plain = inside.past != inside.past && boundary.past != boundary.past; /* no upper ends */
    size_t within = 0, between = 0;
    for (size_t i = 0; i < count; i += LANES) {
        size_t len = count - i < LANES ? count - i : LANES;
        VEC a = len == LANES ? V(load)(x + i) : V(load_first)(x + i, len, (REAL)NAN);
        unsigned in = plain ? V(at_least)(a, inside_low) : NAME(in_span)(a, inside_low, inside_past);
        unsigned all = plain ? V(at_least)(a, boundary_low) : NAME(in_span)(a, boundary_low, boundary_past);
        within += fs_count_bits(in);
        V(pack)(to + between, a, all & ~in);
        between += fs_count_bits(all & ~in);
    }
    *packed = between;
    return within;
}

/* Keys around the boundary of `target` of `amount`, as a sample estimates them: near it, before it in the order (high) and
 * after it (low).  Where the sample is all of the values, the three are the boundary. */
typedef struct {
    double high, near, low;
    int apart; /* less than half of the sample lies from high to low */
} NAME(pivots);

static NAME(pivots)
    NAME(pivots_of)(const NAME(order) *o, const REAL *x, size_t count, uint64_t target, uint64_t amount)
{
    enum { MARGIN = 4 }; /* of the sample, on each side */
    uint64_t at_random = amount + BITS_OF(x[0]) + ((uint64_t)BITS_OF(x[count - 1]) << 20);
    REAL sample[NAME(SAMPLE)] = {0.0}, weight[NAME(SAMPLE)];
    double key[NAME(SAMPLE)] = {0.0};
    uint64_t sum = 0, upto[NAME(SAMPLE)];
    size_t taken = count <= NAME(SAMPLE) ? count : NAME(SAMPLE) / 2, at = 0;
    for (size_t i = 0; i < taken; i++) { /* sorted as they are taken */
        at_random = at_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth's MMIX */
        REAL value = x[taken == count ? i : (size_t)fs_multiply(at_random, count).high];
        double k = NAME(key)(o, value);
        size_t j = i;
        for (; j && (key[j - 1] < k || (key[j - 1] == k && sample[j - 1] < value)); j--) {
            key[j] = key[j - 1];
            sample[j] = sample[j - 1];
        }
        key[j] = k;
        sample[j] = value;
    }
    if (o->weighting)
        NAME(weigh_few)(o->weighting, sample, taken, weight);
    for (size_t i = 0; i < taken; i++)
        upto[i] = sum += o->weighting ? fs_integer_weight((double)weight[i]) : 1;
    double part = taken == count ? (double)target : (double)target / (double)amount * (double)sum;
    while (at + 1 < taken && (taken == count ? upto[at] < target : (double)upto[at] < part))
        at++;
    NAME(pivots) p = {key[at], key[at], key[at], 0};
    if (taken < count) {
        size_t between = 0;
        p.high = key[at > MARGIN ? at - MARGIN : 0];
        p.low = key[at + MARGIN < taken ? at + MARGIN : taken - 1];
        for (size_t i = 0; i < taken; i++)
            between += key[i] <= p.high && key[i] >= p.low;
        p.apart = 2 * between < taken;
    }
    return p;
}

/* The key halfway between the extremes, counted in representable numbers. */
static double NAME(middle_key)(const NAME(order) *o, const REAL *x, size_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double key = NAME(key)(o, x[i]);
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    int64_t a = fs_place(low), b = fs_place(high);
    return fs_at_place(a / 2 + b / 2 + (a % 2 + b % 2) / 2);
}

/* How many of `count` equal values, of `amount` together, it takes to reach a target. */
static inline size_t NAME(ties_for)(uint64_t target, uint64_t amount, size_t count)
{
    uint64_t one = amount / count;
    uint64_t wanted = one ? (target + one - 1) / one : count;
    return wanted < count ? (size_t)wanted : count;
}

/* The first entries of an order: how many, their total amount (0: not known), and the key of the last. */
typedef struct {
    size_t count;
    uint64_t amount;
    double key;
} NAME(prefix);

/* The state of the search: the values that contain the boundary, their amount, and the remaining target after the `before`
 * entries, of the amount `passed`, that precede them in the order. */
typedef struct {
    const REAL *x;
    size_t count, before;
    uint64_t amount, target, passed;
} NAME(rest);

/* Narrows the search to the values from p.high to p.low if the boundary lies there.  If not, p.near becomes the end beyond
 * which it lies. */
static int NAME(close_in)(const NAME(order) *o, NAME(rest) *r, NAME(pivots) *p)
{
    REAL *to = o->workspace->spare[r->x == o->workspace->spare[0]];
    NAME(span) inside = NAME(span_after)(o, p->high), boundary = NAME(span_of)(o, p->low);
    uint64_t first = o->weighting ? NAME(mass_within)(o->weighting, r->x, r->count, inside) : 0;
    size_t within, between;
    p->near = p->high;
    if (first >= r->target)
        return 0;
    within = NAME(pack_between)(r->x, r->count, inside, boundary, to, &between);
    first = o->weighting ? first : within;
    if (first >= r->target)
        return 0;
    uint64_t of_them = NAME(amount)(o, to, between);
    p->near = p->low;
    if (first + of_them < r->target)
        return 0;
    NAME(rest) closer = {to, between, r->before + within, of_them, r->target - first, r->passed + first};
    *r = closer;
    return 1;
}

static NAME(threshold)
    NAME(select)(const NAME(order) *o, const NAME(list) *l, uint64_t target, uint64_t amount, NAME(prefix) *prefix);

/* Lists of at least LONG are searched first by a sample of SURVEYED; FEW values are worth a copy. */
enum { NAME(LONG) = 1 << 14, NAME(SURVEYED) = 1 << 12, NAME(FEW) = 1 << 10 };

/* About SURVEYED of the values, a vector from each of as many stretches, at `to`; how many. */
static size_t NAME(take_sample)(const REAL *x, size_t count, uint64_t at_random, REAL *to)
{
    size_t stretch = count / NAME(SURVEYED) *LANES, taken = 0;
    stretch = stretch < 16 * LANES ? 16 * LANES : stretch;
    for (size_t i = 0; i + stretch <= count; i += stretch, taken += LANES) {
        at_random = at_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407); /* Knuth's MMIX */
        V(store)(to + taken, V(load)(x + i + (size_t)fs_multiply(at_random, stretch - LANES + 1).high));
    }
    return taken;
}

static NAME(list) NAME(sample_of)(const NAME(list) *l, uint64_t amount, const NAME(workspace) *workspace)
{
    uint64_t at_random = amount + BITS_OF(l->value[0]) + ((uint64_t)BITS_OF(l->value[l->count - 1]) << 20);
    REAL *to = workspace->spare[0] + l->count / 2; /* the search for its boundary needs the beginning */
    NAME(list) sample = {to,      NULL, NAME(take_sample)(l->value, l->count, at_random, to), l->max, l->min,
                         l->none, NULL};
    return sample;
}

/* Keys around the boundary of a long list as a sample of it has them: those of the boundaries for a little less and a
 * little more than the target. */
static NAME(pivots) NAME(pivots_of_long)(const NAME(order) *o, const NAME(list) *l, uint64_t target, uint64_t amount)
{
    NAME(pivots) p = NAME(pivots_of)(o, l->value, l->count, target, amount);
    /* as many entries of the largest amount would weigh as much as the sample: if they are few, it says little */
    double largest = o->weighting ? (double)NAME(mass)(o->weighting, &o->weighting->max, 1) : 1.0;
    if (p.high == p.low || !((double)amount * NAME(SURVEYED) > 32.0 * largest * (double)l->count))
        return p;
    NAME(list) sample = NAME(sample_of)(l, amount, o->workspace);
    double sum = (double)NAME(amount)(o, sample.value, sample.count), squares = largest * largest;
    for (size_t i = 0; o->weighting && i < sample.count; i += LANES) {
        REAL w[LANES];
        NAME(weigh_few)(o->weighting, sample.value + i, LANES, w);
        for (int j = 0; j < LANES; j++)
            squares += (double)w[j] * (double)w[j] * 0x1p102;
    }
    double share = (double)target / (double)amount;
    double effective = o->weighting ? sum * sum / squares : (double)sample.count;
    double margin = 3.0 * sqrt(share * (1.0 - share) / effective) * sum, middle = share * sum;
    NAME(pivots) closer = {o->by_distance ? 0.0 : INFINITY, p.near, -INFINITY, 1};
    NAME(prefix) first = {0, 0, 0.0}, last = {sample.count, 0, 0.0};
    if (middle - margin >= 1.0) {
        NAME(select)(o, &sample, (uint64_t)(middle - margin), (uint64_t)sum, &first);
        closer.high = first.key;
    }
    if (middle + margin < sum) {
        NAME(select)(o, &sample, (uint64_t)(middle + margin), (uint64_t)sum, &last);
        closer.low = last.key;
    }
    return closer.high > closer.low && last.count < first.count + sample.count / 5 ? closer : p;
}

/* The boundary lies among equal keys: as many ties as it takes to reach `wanted`.  For distances there are values on both
 * sides of the centre, and the ties are collected: from `few` values that contain them, or from the whole list. */
static void NAME(threshold_within_ties)(const NAME(order) *o, const NAME(list) *l, double key, NAME(thirds) t,
                                        const NAME(list) *few, uint64_t wanted, uint64_t boundary,
                                        NAME(threshold) *threshold, NAME(prefix) *prefix)
{
    if (!o->by_distance) {
        threshold->tie = (REAL)key;
        threshold->ties = t.boundary && threshold->tie != l->none ? NAME(ties_for)(wanted, boundary, t.boundary) : 0;
        prefix->count += t.inside + threshold->ties;
        prefix->amount += t.boundary ? boundary / t.boundary * threshold->ties : 0;
        return;
    }
    size_t ties, inside = NAME(pack_between)(few->value, few->count, threshold->inside, threshold->boundary,
                                             o->workspace->spare[1], &ties);
    prefix->count = few->value == l->value ? inside : prefix->count + t.inside;
    prefix->amount = 0;
    if (ties) { /* among equal distances the values decide */
        NAME(list) tied = {o->workspace->spare[1], NULL, ties, 0, 0, (REAL)NAN, NULL};
        NAME(order) by_value = {o->weighting, 0, 0.0, 0.0, 0.0, o->workspace};
        NAME(prefix) first;
        NAME(threshold) among = NAME(select)(&by_value, &tied, wanted, NAME(amount)(o, tied.value, ties), &first);
        threshold->tie = among.tie;
        threshold->ties = among.ties;
        prefix->count += first.count;
    }
}

/* The threshold of the shortest prefix of the order whose amount reaches `target` >= 1; `amount` is that of the list. */
static NAME(threshold)
    NAME(select)(const NAME(order) *o, const NAME(list) *l, uint64_t target, uint64_t amount, NAME(prefix) *prefix)
{
    NAME(rest) r = {l->value, l->count, 0, amount, target, 0};
    NAME(threshold) threshold = NAME(from)(NAME(above)(l->none));
    REAL *const *spare = o->workspace->spare, *copy = spare[0] + l->count / 2;
    const int spacious = l->value != spare[0] && l->value != spare[1];
    for (int turn = 0; turn < 200 && r.count; turn++) {
        NAME(pivots) p = {0.0, 0.0, 0.0, 0};
        if (turn == 0 && o->by_distance && spacious && l->count >= NAME(LONG))
            p = NAME(pivots_of_long)(o, l, target, amount);
        else if (turn < 12)
            p = NAME(pivots_of)(o, r.x, r.count, r.target, r.amount);
        else
            p.near = NAME(middle_key)(o, r.x, r.count);
        if (p.apart && NAME(close_in)(o, &r, &p))
            continue;
        threshold.boundary = NAME(span_of)(o, p.near);
        threshold.inside = NAME(span_after)(o, p.near);
        NAME(list) few = *l;
        if (o->by_distance && r.x != l->value && r.count <= NAME(FEW) &&r.count <= l->count / 4) {
            memcpy(copy, r.x, r.count * sizeof(REAL));
            few.value = copy;
            few.count = r.count;
        }
        NAME(thirds) t = NAME(divide)(r.x, r.count, threshold.inside, threshold.boundary, o->workspace);
        uint64_t inside = NAME(amount)(o, o->workspace->spare[0], t.inside), boundary;
        if (inside >= r.target) {
            NAME(rest) closer = {o->workspace->spare[0], t.inside, r.before, inside, r.target, r.passed};
            r = closer;
            continue;
        }
        if (o->by_distance)
            boundary = r.amount - inside - NAME(amount)(o, o->workspace->spare[1], t.beyond);
        else
            boundary = t.boundary ? t.boundary * NAME(amount)(o, (const REAL[]){(REAL)p.near}, 1) : 0;
        if (inside + boundary >= r.target || t.beyond == 0) {
            prefix->count = r.before;
            prefix->amount = r.passed + inside;
            prefix->key = p.near;
            NAME(threshold_within_ties)(o, l, p.near, t, &few, r.target - inside, boundary, &threshold, prefix);
            return threshold;
        }
        uint64_t first = inside + boundary;
        NAME(rest) later = {o->workspace->spare[1], t.beyond,         r.before + t.inside + t.boundary,
                            r.amount - first,       r.target - first, r.passed + first};
        r = later;
    }
    prefix->count = NAME(count_there)(l);
    prefix->amount = 0;
    prefix->key = -INFINITY;
    return NAME(from)(NAME(above)(l->none));
}

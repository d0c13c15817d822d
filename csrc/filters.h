/* The filters, in the order they are applied; each works on the distribution renormalised after the one before.
 * What each keeps: docs/semantics.md.  A filter leaves at least `min_tokens_to_keep` entries of its own order. */

typedef struct {
    const fs_filters *f;
    double temperature; /* of the distribution the filters look at */
    int linear;         /* the values are weights, at temperature 1 */
    int alike;          /* the temperature is infinite: all are equally likely */
    int rounded;        /* the values are logarithms of what the caller gave, rounded */
    size_t min_keep;
    NAME(room) *room;
} NAME(task);

/* The first k of the sorted order. */
static NAME(list) NAME(keep_top)(const NAME(list) *l, size_t k, NAME(room) *room)
{
    if (k >= l->count)
        return *l;
    NAME(list) narrowed = *l;
    if (l->part_max && l->count / NAME(PART) >= 2 * k) {
        /* at least k entries reach this value; of those that are equal to it k are enough */
        size_t reaching;
        REAL low = NAME(reached_by_parts)(l, k, &reaching);
        NAME(cut) c = {{NAME(above)(low), (REAL)NAN}, {low, (REAL)NAN}, low, 0, low == l->none ? 0 : k};
        narrowed = NAME(pack)(l, c, room);
        if (narrowed.count <= k)
            return narrowed;
    }
    NAME(prefix) prefix;
    NAME(order) by_value = {NULL, 0, 0.0, 0.0, 0.0, room};
    return NAME(pack)(&narrowed, NAME(select)(&by_value, &narrowed, k, narrowed.count, &prefix), room);
}

/* The value whose weight is w. */
static double NAME(value_of)(const NAME(weigher) *g, double w)
{
    if (g->linear)
        return w / (double)g->half / (double)g->other_half;
    double power = fs_log(w) + (double)g->origin.power * FS_LN2_HIGH;
    return fma(power, g->c.temperature, (double)g->origin.shift);
}

/* Somewhat less than that: no entry below it has as much as w. */
static REAL NAME(value_below)(const NAME(weigher) *g, double w)
{
    double value = NAME(value_of)(g, w);
    if (g->linear)
        return (REAL)(value * 0.999);
    return NAME(at_or_above)(value - 1e-3 * g->c.temperature -
                             (fabs(value) + fabs((double)g->origin.shift)) * 0x1p-20);
}

/* A list in which all of the first entries whose mass reaches `target` of about `mass` are: in the room, or the one
 * given. */
static NAME(list)
    NAME(narrow)(const NAME(list) *l, const NAME(weigher) *g, uint64_t target, uint64_t mass, NAME(room) *room)
{
    size_t parts = l->count / NAME(PART);
    REAL low;
    for (size_t few = parts / 16 < 50 ? parts / 16 : 50; few <= parts / 2; few *= 2) {
        size_t reaching;
        low = NAME(reached_by_parts)(l, few, &reaching);
        if (!(low > l->none) || reaching > 2 * few) /* many are equal */
            break;
        NAME(list) top = NAME(pack)(l, NAME(from)(low), room);
        uint64_t reached = NAME(mass)(g, top.value, top.count);
        if (reached >= target)
            return top;
        if (reached < target / 2) /* twice as many will not do either */
            break;
    }
    /* all entries below this value together weigh no more than what is not wanted */
    low = NAME(value_below)(g, (double)(mass - target) / (double)l->count * 0x1p-51);
    size_t reached = 0, step = l->count / 64;
    for (size_t i = 0; i < 64; i++)
        reached += l->value[i * step] >= low;
    if (reached > 24 || !(low > l->none))
        return *l;
    NAME(list) top = NAME(pack)(l, NAME(from)(low), room);
    return NAME(mass)(g, top.value, top.count) >= target ? top : *l;
}

/* Whether some parts have no entry near the maximum, so that few entries are likely to have the mass. */
static int NAME(is_peaked)(const NAME(list) *l, const NAME(weigher) *g)
{
    NAME(list) parts = {l->part_max, NULL, l->count / NAME(PART), 0, 0, 0, NULL};
    NAME(measure_list)(&parts);
    return ((double)l->max - (double)parts.min) * g->c.high > 10.0;
}

/* The cut of top_p.  For a long row the mass is estimated first: where the boundary is the same at both ends of what it
 * may be, it is the boundary.  *narrowed is what the cut is to be made in. */
static NAME(cut) NAME(cut_top_p)(const NAME(list) *l, double part, const NAME(order) *o, NAME(list) *narrowed,
                                 NAME(prefix) *prefix)
{
    const NAME(weigher) *g = o->weigher;
    uint64_t mass, target;
    *narrowed = *l;
    if (l->part_max && l->count >= 256 * NAME(PART) &&NAME(is_peaked)(l, g)) {
        double about = NAME(estimate)(g, l->value, l->count), off = about * ESTIMATE + (double)l->count;
        uint64_t least = fs_part_of_mass(part, (uint64_t)(about - off));
        mass = (uint64_t)(about + off);
        target = fs_part_of_mass(part, mass);
        target = target ? target : 1;
        *narrowed = NAME(narrow)(l, g, target, mass, o->room);
        if (narrowed->value != l->value) {
            mass = NAME(mass)(g, narrowed->value, narrowed->count);
            NAME(cut) c = NAME(select)(o, narrowed, least ? least : 1, mass, prefix);
            if (prefix->amount >= target)
                return c;
            *narrowed = *l;
        }
    }
    mass = NAME(mass)(g, l->value, l->count);
    target = fs_part_of_mass(part, mass);
    return NAME(select)(o, l, target ? target : 1, mass, prefix);
}

/* top_p, and by the distance from the mean logit typical_p: the first of the order that bring the mass to `part`. */
static NAME(list) NAME(keep_mass)(const NAME(list) *l, double part, int by_distance, const NAME(task) *t)
{
    NAME(weigher) g = NAME(weigher_of)(l, t->linear, t->temperature);
    NAME(order) o = {&g, by_distance, 0.0, 0.0, 0.0, t->room};
    NAME(list) narrowed = *l;
    NAME(prefix) prefix;
    NAME(cut) c;
    if (by_distance) {
        uint64_t mass = NAME(mass)(&g, l->value, l->count), target = fs_part_of_mass(part, mass);
        if (t->rounded) /* a mass that is reached in truth is reached */
            target -= target >> 46;
        NAME(set_centre)(&o, (double)l->max, t->temperature * NAME(moments_of)(l, &g).mean);
        c = NAME(select)(&o, l, target ? target : 1, mass, &prefix);
    } else {
        c = NAME(cut_top_p)(l, part, &o, &narrowed, &prefix);
    }
    if (prefix.count < t->min_keep) {
        size_t there = NAME(count_there)(l);
        if (t->min_keep >= there)
            return *l;
        if (!by_distance)
            return NAME(keep_top)(l, t->min_keep, t->room);
        o.weigher = NULL;
        c = NAME(select)(&o, l, t->min_keep, l->count, &prefix);
    }
    NAME(list) packed = NAME(pack)(&narrowed, c, t->room);
    if (by_distance)
        NAME(measure_list)(&packed);
    return packed;
}

/* The values that are at least low (or the first of the sorted order, if these are too few). */
static NAME(list) NAME(keep_from)(const NAME(list) *l, REAL low, const NAME(task) *t)
{
    if (l->max < low || (t->min_keep > 1 && NAME(count_from)(l, low) < t->min_keep))
        return NAME(keep_top)(l, t->min_keep, t->room);
    return l->min >= low ? *l : NAME(pack)(l, NAME(from)(low), t->room);
}

static NAME(list) NAME(keep_min_p)(const NAME(list) *l, double min_p, const NAME(task) *t)
{
    if (!t->linear) /* log(min_p) of the entries' own temperature below the maximum */
        return NAME(keep_from)(l, NAME(at_or_above)(fma(t->temperature, fs_log(min_p), (double)l->max)), t);
    double product = min_p * (double)l->max, rest = fma(min_p, (double)l->max, -product);
    REAL low = (REAL)product;
    return NAME(keep_from)(l, rest > 0.0 ? NAME(above)(low) : low, t);
}

/* Sum of (unit x - mean)^power over the values that are there, in eight lanes of double. */
static double NAME(power_sum)(const NAME(list) *l, double unit, double mean, int power)
{
    const f64x8 scale = f64x8_set1(unit), middle = f64x8_set1(mean), none = f64x8_set1(-INFINITY);
    f64x8 sum = f64x8_set1(0.0);
    for (size_t start = 0; start < l->count; start += 512) {
        double wide[512];
        size_t len = l->count - start < 512 ? l->count - start : 512;
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

/* Standard deviation of the values that are there; where their squares overflow, from smaller units. */
static double NAME(deviation)(const NAME(list) *l)
{
    double there = (double)NAME(count_there)(l), unit = 1.0, variance;
    for (;; unit = 0x1p-600) {
        double mean = NAME(power_sum)(l, unit, 0.0, 1) / there;
        variance = NAME(power_sum)(l, unit, mean, 2) / there;
        if (variance < INFINITY || unit < 1.0)
            return sqrt(variance) / unit;
    }
}

/* What an entry must have to be of some probability: a value, and a weight too where that is the more exact. */
typedef struct {
    REAL value, weight;
} NAME(bound);

static NAME(bound) NAME(bound_of)(const NAME(weigher) *g, double probability, uint64_t mass)
{
    double weight = probability * (double)mass * 0x1p-51;
    uint64_t integer = fs_part_of_mass(probability, mass);
    NAME(bound) b = {0, 0};
    if (integer >= UINT64_C(1) << 40) /* as an integer, so that what is equal to it is seen to be */
        weight = ((double)integer - 0.5) * 0x1p-51;
    if (weight >= 0x1p-55 * fs_pow2(-g->down)) {
        b.weight = NAME(at_or_above)(weight);
        b.value = NAME(value_below)(g, weight);
    } else {
        b.value = NAME(at_or_above)(NAME(value_of)(g, weight));
    }
    return b;
}

/* What is known of the entries within a bound. */
typedef struct {
    size_t count, ties;
    REAL least; /* the smallest of them, `ties` times there */
} NAME(likely);

/* The entries within the bound, packed where `room` is given, else counted. */
static NAME(likely)
    NAME(find_likely)(const NAME(list) *l, const NAME(weigher) *g, NAME(bound) bound, NAME(room) *room)
{
    NAME(likely) found = {0, 0, (REAL)INFINITY};
    VEC least_weight = V(set1)(bound.weight),
        low = V(set1)(bound.value > l->none ? bound.value : NAME(above)(l->none));
    for (size_t from = 0; from < l->count; from += NAME(PART)) {
        size_t end = from + NAME(PART) < l->count ? from + NAME(PART) : l->count;
        if (l->part_max && !(V(at_least)(V(set1)(l->part_max[from / NAME(PART)]), low)))
            continue;
        for (size_t i = from; i < end; i += LANES) {
            size_t len = end - i < LANES ? end - i : LANES;
            VEC x = V(load_first)(l->value + i, len, -(REAL)INFINITY);
            unsigned chosen = V(at_least)(x, low);
            if (chosen && bound.weight > 0)
                chosen &= V(at_least)(NAME(weigh_last)(l->value + i, len, g), least_weight);
            if (room) {
                found.count = NAME(pack_chosen)(l, i, x, chosen, room, found.count);
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

/* The entries of this probability or more. */
static NAME(list) NAME(keep_likely)(const NAME(list) *l, double probability, const NAME(weigher) *g, uint64_t mass,
                                    const NAME(task) *t)
{
    NAME(bound) bound = NAME(bound_of)(g, probability, mass);
    NAME(list) largest = {&l->max, NULL, 1, l->max, l->max, l->none, NULL};
    size_t count = NAME(find_likely)(t->min_keep > 1 ? l : &largest, g, bound, NULL).count;
    if (count < t->min_keep)
        return NAME(keep_top)(l, t->min_keep, t->room);
    return NAME(in_room)(l, t->room, NAME(find_likely)(l, g, bound, t->room).count);
}

/* Of the entries of probability `threshold` or more, if there are two or more, all but the last are dropped. */
static NAME(list) NAME(drop_likely)(const NAME(list) *l, const NAME(task) *t)
{
    NAME(weigher) g = NAME(weigher_of)(l, t->linear, t->temperature);
    uint64_t mass = NAME(mass)(&g, l->value, l->count);
    NAME(likely) top = NAME(find_likely)(l, &g, NAME(bound_of)(&g, t->f->xtc_threshold, mass), NULL);
    if (top.count < 2 || NAME(count_there)(l) - (top.count - 1) < t->min_keep)
        return *l;
    NAME(cut) c = {
        {NAME(above)(l->none), top.least}, {top.least, NAME(above)(top.least)}, top.least, top.ties - 1, 1};
    NAME(list) packed = NAME(pack)(l, c, t->room);
    NAME(measure_list)(&packed);
    return packed;
}

/* All filters, on the row at `source`; a list that is the whole row has no index.  Statuses as NAME(survey). */
static fs_status NAME(filter)(const fs_source *source, size_t n, double temperature, const fs_filters *f, double coin,
                              NAME(room) *room, NAME(list) *l)
{
    NAME(task) t = {f,
                    temperature,
                    source->weights,
                    source->transform == FS_ORDERED,
                    source->row->probs && !source->weights,
                    (size_t)f->min_tokens_to_keep,
                    room};
    fs_status status = NAME(survey)(source, n, room, l);
    if (status != FS_OK)
        return status;
    if (f->top_k > 0 && (uint64_t)f->top_k < n) {
        size_t k = (size_t)f->top_k;
        *l = NAME(keep_top)(l, k > t.min_keep ? k : t.min_keep, room);
    }
    if (f->top_p < 1.0)
        *l = NAME(keep_mass)(l, f->top_p, 0, &t);
    if (f->min_p > 0.0 && !t.alike)
        *l = NAME(keep_min_p)(l, f->min_p, &t);
    if (f->typical_p < 1.0) /* where all are alike, so are their distances */
        *l = NAME(keep_mass)(l, f->typical_p, !t.alike, &t);
    if (f->top_n_sigma > 0.0)
        *l = NAME(keep_from)(l, NAME(at_or_above)((double)l->max - f->top_n_sigma * NAME(deviation)(l)), &t);
    if (f->epsilon_cutoff > 0.0) {
        NAME(weigher) g = NAME(weigher_of)(l, t.linear, temperature);
        *l = NAME(keep_likely)(l, f->epsilon_cutoff, &g, NAME(mass)(&g, l->value, l->count), &t);
    }
    if (f->eta_cutoff > 0.0) {
        NAME(weigher) g = NAME(weigher_of)(l, t.linear, temperature);
        double by_entropy = sqrt(f->eta_cutoff) * fs_exp(-NAME(moments_of)(l, &g).entropy);
        by_entropy -= by_entropy * 0x1p-46; /* what is as likely as that in truth is so */
        double least = by_entropy < f->eta_cutoff ? by_entropy : f->eta_cutoff;
        *l = NAME(keep_likely)(l, least, &g, NAME(mass)(&g, l->value, l->count), &t);
    }
    if (coin < f->xtc_probability && f->xtc_threshold <= 0.5)
        *l = NAME(drop_likely)(l, &t);
    return FS_OK;
}

/* The same, then the dynamic temperature of what is left, if asked for, then mirostat's bound at the temperature of the
 * draw: `work` or, with temperature_last, *temperature.  `kept` is set where entries were dropped. */
static fs_status NAME(filtered)(const fs_source *source, size_t n, double work, const fs_filters *f, double coin,
                                void *scratch, int dynamic, double *temperature, fs_kept *kept)
{
    NAME(room) room = NAME(room_of)(scratch, n);
    NAME(list) l;
    fs_status status = NAME(filter)(source, n, work, f, coin, &room, &l);
    if (status != FS_OK)
        return status;
    if (dynamic) {
        NAME(weigher) g = NAME(weigher_of)(&l, source->weights, 1.0);
        *temperature =
            fs_between_temperatures(*temperature, f, NAME(moments_of)(&l, &g).entropy, (double)NAME(count_there)(&l));
    }
    double at = f->temperature_last ? *temperature : work;
    if (f->surprise < (double)INFINITY && at > 0.0) {
        at = at < 1.0 / EXTREME ? 1.0 / EXTREME : at > EXTREME ? EXTREME : at;
        NAME(task) t = {f, at, source->weights, 0, 0, 1, &room};
        NAME(weigher) g = NAME(weigher_of)(&l, t.linear, at);
        double least = f->surprise > 0.0 ? fs_exp2(&(fs_scale){1.0, 0.0, 1.0}, -f->surprise, 0.0) : 1.0;
        l = NAME(keep_likely)(&l, least, &g, NAME(mass)(&g, l.value, l.count), &t);
    }
    if (!l.count) /* only where another thread changes the row */
        return FS_NO_MASS;
    if (l.index)
        *kept = fs_part(l.value, DTYPE, source->weights, l.count, l.index);
    return FS_OK;
}

/* The first k of the sorted order into *number, which lies in the room. */
static fs_status NAME(first)(const fs_source *source, size_t n, size_t k, void *scratch, size_t chosen, int64_t *rank,
                             const uint32_t **number)
{
    NAME(room) room = NAME(room_of)(scratch, n);
    NAME(list) l;
    fs_status status = NAME(survey)(source, n, &room, &l);
    if (status != FS_OK && status != FS_LIMIT)
        return status;
    if (rank) {
        REAL x = l.value[chosen];
        NAME(list) upto = l;
        upto.count = chosen;
        *rank = 1 + (int64_t)NAME(count_from)(&l, NAME(above)(x)) +
                (int64_t)(NAME(count_from)(&upto, x) - NAME(count_from)(&upto, NAME(above)(x)));
    }
    l.none = (REAL)NAN; /* what cannot be drawn has its place in the order too */
    l = NAME(keep_top)(&l, k, &room);
    if (!l.index)
        l = NAME(pack)(&l, NAME(from)(-(REAL)INFINITY), &room);
    NAME(sort)(room.value, room.index, l.count);
    *number = room.index;
    return l.count == k ? FS_OK : FS_NAN; /* fewer only where another thread changes the row */
}

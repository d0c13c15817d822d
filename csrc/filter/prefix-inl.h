/* Filters that keep the first entries of an order: k of them (top_k), or a share of the mass (top_p, typical_p).
 *
 * The maxima of the parts first give a short list that is certain to contain the boundary.
 *
 * Needs real_f32.h or real_f64.h, filter/selection-inl.h.
 */

typedef struct {
    const fs_filters *f;
    double temperature; /* of the distribution the filters look at */
    int linear;         /* the values are weights, at temperature 1 */
    int alike;          /* the temperature is infinite: all weights are equal */
    int rounded;        /* the values are logarithms of what the caller gave, rounded */
    size_t min_keep;
    NAME(workspace) *workspace;
} NAME(task);

/* The first k of the sorted order. */
static NAME(list) NAME(keep_top)(const NAME(list) *l, size_t k, NAME(workspace) *workspace)
{
    if (k >= l->count)
        return *l;
    NAME(list) narrowed = *l;
    if (l->part_max && l->count / NAME(PART) >= 2 * k) {
        /* at least k entries reach this value; of those equal to it, k suffice */
        size_t reaching;
        REAL low = NAME(reached_by_parts)(l, k, &reaching);
        NAME(threshold) c = {{NAME(above)(low), (REAL)NAN}, {low, (REAL)NAN}, low, 0, low == l->none ? 0 : k};
        narrowed = NAME(pack)(l, c, workspace);
        if (narrowed.count <= k)
            return narrowed;
    }
    NAME(prefix) prefix;
    NAME(order) by_value = {NULL, 0, 0.0, 0.0, 0.0, workspace};
    return NAME(pack)(&narrowed, NAME(select)(&by_value, &narrowed, k, narrowed.count, &prefix), workspace);
}

/* The entries from this value up, if a sample says that they are few; else the list itself. */
static NAME(list) NAME(pack_if_short)(const NAME(list) *l, REAL low, NAME(workspace) *workspace)
{
    size_t reached = 0, step = l->count / 64;
    for (size_t i = 0; i < 64; i++)
        reached += l->value[i * step] >= low;
    return reached > 24 || !(low > l->none) ? *l : NAME(pack)(l, NAME(from)(low), workspace);
}

/* A value below which all entries together weigh no more than mass - target, so that none of them is needed. */
static REAL NAME(value_unwanted)(const NAME(list) *l, const NAME(weighting) *g, uint64_t target, uint64_t mass)
{
    return NAME(value_below)(g, (double)(mass - target) / (double)l->count * 0x1p-51);
}

/* Of the mass that is not needed, the share that a sample is trusted with: rather too low a value than one too high. */
#define CAUTION 0.7

/* A value below which the entries weigh as much as `unwanted`, as a sample says, and which less than a quarter of the
 * entries reach; `none` if there is none.  unwanted < 0: this share of what the list weighs. */
static REAL NAME(value_by_sample)(const NAME(list) *l, const NAME(order) *o, double unwanted)
{
    NAME(list) sample = NAME(sample_of)(l, 0, o->workspace);
    NAME(prefix) prefix;
    uint64_t mass = NAME(mass)(o->weighting, sample.value, sample.count);
    double left = unwanted < 0.0 ? -unwanted * (double)mass : unwanted * (double)sample.count / (double)l->count;
    double target = (double)mass - left;
    if (!(target >= 1.0))
        return l->none;
    REAL low = NAME(select)(o, &sample, (uint64_t)target, mass, &prefix).tie;
    return prefix.count < sample.count / 4 ? low : l->none;
}

/* A shorter list that contains the first entries whose mass reaches `target`, packed into the workspace; or the list
 * itself.  The mass of the whole list is about `mass`; `low` comes from value_by_sample, if that was asked before. */
static NAME(list) NAME(narrow)(const NAME(list) *l, const NAME(order) *o, uint64_t target, uint64_t mass, REAL low)
{
    const NAME(weighting) *g = o->weighting;
    const int sampled = low > l->none;
    size_t parts = l->count / NAME(PART);
    for (size_t few = parts / 16 < 50 ? parts / 16 : 50; few && !sampled && few <= parts / 2; few *= 2) {
        size_t reaching;
        REAL reached_by = NAME(reached_by_parts)(l, few, &reaching);
        if (!(reached_by > l->none) || reaching > 2 * few) /* many maxima are equal */
            break;
        NAME(list) top = NAME(pack)(l, NAME(from)(reached_by), o->workspace);
        uint64_t reached = NAME(mass)(g, top.value, top.count);
        if (reached >= target)
            return top;
        if (reached < (few < 100 ? target / 2 : target / 8 * 7)) /* doubling would probably not be enough */
            break;
    }
    for (double caution = CAUTION; caution > CAUTION / 4; caution /= 2) {
        if (!sampled)
            low = NAME(value_by_sample)(l, o, caution * (double)(mass - target));
        if (!(low > l->none))
            break;
        NAME(list) top = NAME(pack)(l, NAME(from)(low), o->workspace);
        if (NAME(mass)(g, top.value, top.count) >= target)
            return top;
        if (sampled)
            break;
    }
    NAME(list) top = NAME(pack_if_short)(l, NAME(value_unwanted)(l, g, target, mass), o->workspace);
    return top.value == l->value || NAME(mass)(g, top.value, top.count) >= target ? top : *l;
}

/* Whether the row is long and some part is far below the maximum: then few entries probably have the mass. */
static int NAME(is_peaked)(const NAME(list) *l, const NAME(weighting) *g)
{
    NAME(list) parts = {l->part_max, NULL, l->count / NAME(PART), 0, 0, 0, NULL};
    NAME(measure_list)(&parts);
    return g->linear ? (double)parts.min < 0x1p-10 * (double)l->max
                     : ((double)l->max - (double)parts.min) * g->c.high > 10.0;
}

/* Whether few entries probably have this share of the mass; *low: the value they reach, if a sample has told it. */
static int NAME(has_few)(const NAME(list) *l, const NAME(order) *o, double part, REAL *low)
{
    const uint64_t unit = UINT64_C(1) << 50; /* of any amount: a glance at some of the values first */
    const int peaked = NAME(is_peaked)(l, o->weighting), many = l->count / NAME(PART) >= 256;
    if (peaked && many)
        return 1;
    REAL near = (REAL)NAME(pivots_of)(o, l->value, l->count, (uint64_t)(part * (double)unit), unit).near;
    size_t reached = 0;
    for (size_t i = 0; i < 64; i++)
        reached += l->value[i * (l->count / 64)] >= near;
    if (reached > 24 || !(peaked || many))
        return 0;
    *low = NAME(value_by_sample)(l, o, CAUTION * (part - 1.0));
    if (!(*low > l->none))
        return 0;
    if (!many)
        *low = l->none;
    return 1;
}

/* The threshold of top_p, to be applied to *narrowed.  For a long row the mass is estimated first: if the boundary is the
 * same for the least and for the most that the mass may be, it is the boundary. */
static NAME(threshold) NAME(top_p_threshold)(const NAME(list) *l, double part, const NAME(order) *o,
                                             NAME(list) *narrowed, NAME(prefix) *prefix)
{
    const NAME(weighting) *g = o->weighting;
    uint64_t mass, target;
    *narrowed = *l;
    REAL low = l->none;
    if (l->part_max && l->count >= NAME(LONG) &&NAME(has_few)(l, o, part, &low)) {
        double about = NAME(estimate)(g, l->value, l->count), off = about * ESTIMATE + (double)l->count;
        uint64_t least = fs_part_of_mass(part, (uint64_t)(about - off));
        mass = (uint64_t)(about + off);
        target = fs_part_of_mass(part, mass);
        target = target ? target : 1;
        *narrowed = NAME(narrow)(l, o, target, mass, low);
        if (narrowed->value != l->value) {
            mass = NAME(mass)(g, narrowed->value, narrowed->count);
            NAME(threshold) c = NAME(select)(o, narrowed, least ? least : 1, mass, prefix);
            if (prefix->amount >= target)
                return c;
            uint64_t exact = fs_part_of_mass(part, NAME(mass)(g, l->value, l->count));
            if (exact <= mass) /* they reach it, so the boundary is among them */
                return NAME(select)(o, narrowed, exact ? exact : 1, mass, prefix);
            *narrowed = *l;
        }
    }
    mass = NAME(mass)(g, l->value, l->count);
    target = fs_part_of_mass(part, mass);
    return NAME(select)(o, l, target ? target : 1, mass, prefix);
}

/* top_p, or by the distance from the mean log-probability typical_p: the first of the order whose mass reaches `part`. */
static NAME(list) NAME(keep_mass)(const NAME(list) *l, double part, int by_distance, const NAME(task) *t)
{
    NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
    NAME(order) o = {&g, by_distance, 0.0, 0.0, 0.0, t->workspace};
    NAME(list) narrowed = *l;
    NAME(prefix) prefix;
    NAME(threshold) c;
    if (by_distance) {
        NAME(moments) moments = NAME(moments_of)(l, &g);
        uint64_t mass = moments.mass, target = fs_part_of_mass(part, mass);
        if (t->rounded) /* a mass that is reached but for rounding counts as reached */
            target -= target >> 46;
        NAME(set_centre)(&o, (double)l->max, t->temperature * moments.mean);
        if (l->part_max &&
            l->count >= 64) { /* entries further away than both ends of the needed range are not needed */
            double below = o.centre - (double)NAME(value_unwanted)(l, &g, target, mass),
                   over = (double)l->max - o.centre;
            double far = (below > over ? below : over) + 2.0 * o.step;
            narrowed = NAME(pack_if_short)(l, NAME(at_or_above)(o.centre - far * 1.001), t->workspace);
            uint64_t left = narrowed.value == l->value ? mass : NAME(mass)(&g, narrowed.value, narrowed.count);
            narrowed = left >= target ? narrowed : *l;
            mass = left >= target ? left : mass;
        }
        c = NAME(select)(&o, &narrowed, target ? target : 1, mass, &prefix);
    } else {
        c = NAME(top_p_threshold)(l, part, &o, &narrowed, &prefix);
    }
    if (prefix.count < t->min_keep) {
        size_t there = NAME(count_there)(l);
        if (t->min_keep >= there)
            return *l;
        if (!by_distance)
            return NAME(keep_top)(l, t->min_keep, t->workspace);
        o.weighting = NULL;
        narrowed = *l;
        c = NAME(select)(&o, l, t->min_keep, l->count, &prefix);
    }
    NAME(list) packed = NAME(pack)(&narrowed, c, t->workspace);
    if (by_distance)
        NAME(measure_list)(&packed);
    return packed;
}

#undef CAUTION

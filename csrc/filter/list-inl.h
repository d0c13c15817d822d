/* The entries that are still in the running: a list of values, ascending by index, and what is cut from it.
 *
 * The sorted order is value descending, index ascending.  Every cut is written as one or two spans of values and a
 * number of ties, so that a list is packed in one pass whatever the filter; nothing is ever sorted.
 */

/* Parts of this many entries are skipped as one where their maximum is below all that is wanted. */
enum { NAME(PART) = 8 * LANES };

typedef struct {
    const REAL *value;
    const uint32_t *index; /* NULL: the whole row, entry j is index j */
    size_t count;
    REAL max, min;
    REAL none;            /* values that are not there: -inf, or a weight of 0; only a whole row has them */
    const REAL *part_max; /* the maximum of each PART entries; NULL: not known */
} NAME(list);

/* Where lists are kept: each for a whole row and one vector more. */
typedef struct {
    REAL *row, *value, *spare[2], *part_max;
    uint32_t *index;
} NAME(workspace);

static NAME(workspace) NAME(workspace_of)(void *scratch, size_t n)
{
    size_t entries = fs_workspace_entries(n);
    REAL *next = (REAL *)(void *)fs_aligned(scratch);
    NAME(workspace) workspace = {next,
                                 next + entries,
                                 {next + 2 * entries, next + 3 * entries},
                                 next + 4 * entries,
                                 (uint32_t *)(void *)(next + 5 * entries)};
    return workspace;
}

/* low <= x, and not past <= x; past is NaN where there is no upper end */
typedef struct {
    REAL low, past;
} NAME(span);

/* Kept are the values inside; of those that are not inside but at the edge, the ones above `tie`, and of the ones equal
 * to it all but the first `skip`, at most `ties`. */
typedef struct {
    NAME(span) inside, edge;
    REAL tie;
    size_t skip, ties;
} NAME(cut);

/* The next number up; NaN above +inf. */
static inline REAL NAME(above)(REAL a)
{
    if (a == (REAL)INFINITY)
        return (REAL)NAN;
    if (a == 0)
        return OF_BITS(1);
    return OF_BITS(a > 0 ? BITS_OF(a) + 1 : BITS_OF(a) - 1);
}

/* The next number down; -inf is its own. */
static inline REAL NAME(below)(REAL a) { return a == -(REAL)INFINITY ? a : -NAME(above)(-a); }

/* The smallest number that is at least t. */
static inline REAL NAME(at_or_above)(double t)
{
    REAL a = (REAL)t;
    return (double)a < t ? NAME(above)(a) : a;
}

static inline NAME(cut) NAME(from)(REAL low)
{
    NAME(cut) c = {{low, (REAL)NAN}, {low, (REAL)NAN}, low, 0, 0};
    return c;
}

FS_INLINE unsigned NAME(in_span)(VEC a, VEC low, VEC past) { return V(at_least)(a, low) & ~V(at_least)(a, past); }

typedef struct {
    VEC inside_low, inside_past, edge_low, edge_past, tie, above;
    size_t skip, ties;
    int plain; /* no upper ends, and the edge is the tie: the cut of a prefix of the sorted order */
} NAME(threshold_vectors);

FS_INLINE NAME(threshold_vectors) NAME(threshold_vectors_of)(NAME(cut) c)
{
    NAME(threshold_vectors) k = {V(set1)(c.inside.low),
                                 V(set1)(c.inside.past),
                                 V(set1)(c.edge.low),
                                 V(set1)(c.edge.past),
                                 V(set1)(c.tie),
                                 V(set1)(NAME(above)(c.tie)),
                                 c.skip,
                                 c.ties,
                                 c.inside.past != c.inside.past && c.edge.past != c.edge.past && c.edge.low == c.tie};
    return k;
}

/* The lanes that are kept; the vectors of a list go through here in order, so that the ties are counted. */
FS_INLINE unsigned NAME(chosen)(NAME(threshold_vectors) *k, VEC a)
{
    unsigned inside, above = 0, tied;
    if (k->plain) {
        inside = V(at_least)(a, k->inside_low);
        tied = V(at_least)(a, k->tie) & ~inside;
    } else {
        inside = NAME(in_span)(a, k->inside_low, k->inside_past);
        unsigned edge = NAME(in_span)(a, k->edge_low, k->edge_past) & ~inside;
        above = edge & V(at_least)(a, k->above);
        tied = edge & V(at_least)(a, k->tie) & ~above;
    }
    if (!tied)
        return inside | above;
    if (FS_UNLIKELY(k->skip)) {
        unsigned skipped = fs_lowest_bits(tied, k->skip);
        k->skip -= fs_count_bits(skipped);
        tied &= ~skipped;
    }
    size_t count = fs_count_bits(tied);
    if (FS_UNLIKELY(count > k->ties)) {
        tied = fs_lowest_bits(tied, k->ties);
        count = k->ties;
    }
    k->ties -= count;
    return inside | above | tied;
}

/* One vector, or what there is of it, behind the `count` entries packed so far. */
FS_INLINE size_t NAME(pack_chosen)(const NAME(list) *l, size_t at, VEC a, unsigned chosen, NAME(workspace) *workspace,
                                   size_t count)
{
    if (!chosen)
        return count;
    V(pack)(workspace->value + count, a, chosen);
    if (l->index)
        V(pack_numbers)(workspace->index + count, l->index + at, 0, chosen);
    else
        V(pack_numbers)(workspace->index + count, fs_first_numbers, (uint32_t)at, chosen);
    return count + fs_count_bits(chosen);
}

static size_t NAME(pack_run)(const NAME(list) *l, size_t from, size_t to, NAME(threshold_vectors) *k,
                             NAME(workspace) *workspace, size_t count)
{
    size_t i = from;
    for (; i + LANES <= to; i += LANES) {
        VEC a = V(load)(l->value + i);
        count = NAME(pack_chosen)(l, i, a, NAME(chosen)(k, a), workspace, count);
    }
    if (i < to) {
        VEC a = V(load_first)(l->value + i, to - i, (REAL)NAN);
        count = NAME(pack_chosen)(l, i, a, NAME(chosen)(k, a), workspace, count);
    }
    return count;
}

/* The first `count` entries of the room, as what is left of l. */
static inline NAME(list) NAME(in_workspace)(const NAME(list) *l, const NAME(workspace) *workspace, size_t count)
{
    NAME(list) packed = {workspace->value, workspace->index, count, l->max, l->min, l->none, NULL};
    if (packed.min <= l->none)
        packed.min = NAME(above)(l->none);
    return packed;
}

/* The list of what the cut keeps, in the room; it may be the room the list is in, as no entry moves up. */
static NAME(list) NAME(pack)(const NAME(list) *l, NAME(cut) c, NAME(workspace) *workspace)
{
    NAME(threshold_vectors) k = NAME(threshold_vectors_of)(c);
    size_t count = 0;
    if (l->part_max) {
        for (size_t part = 0; part * NAME(PART) < l->count; part += LANES) {
            int edge = !(c.inside.low < c.edge.low) && (k.ties || c.edge.low != c.tie);
            VEC low = edge ? k.edge_low : k.inside_low;
            unsigned wanted = V(at_least)(V(load)(l->part_max + part), low);
            for (size_t p = part; wanted; p++, wanted >>= 1) {
                size_t from = p * NAME(PART), to = from + NAME(PART);
                if (wanted & 1)
                    count = NAME(pack_run)(l, from, to < l->count ? to : l->count, &k, workspace, count);
            }
        }
    } else {
        count = NAME(pack_run)(l, 0, l->count, &k, workspace, count);
    }
    return NAME(in_workspace)(l, workspace, count);
}

/* How many values are at least low. */
static size_t NAME(count_from)(const NAME(list) *l, REAL low)
{
    VEC bound = V(set1)(low);
    size_t count = 0, i = 0;
    for (; i + LANES <= l->count; i += LANES)
        count += fs_count_bits(V(at_least)(V(load)(l->value + i), bound));
    if (i < l->count)
        count += fs_count_bits(V(at_least)(V(load_first)(l->value + i, l->count - i, (REAL)NAN), bound));
    return count;
}

static inline size_t NAME(count_there)(const NAME(list) *l)
{
    return l->min > l->none ? l->count : NAME(count_from)(l, NAME(above)(l->none));
}

/* The extremes of a packed list. */
static void NAME(measure_list)(NAME(list) *l)
{
    VEC high = V(set1)(l->value[0]), low = high;
    size_t i = 0;
    for (; i + LANES <= l->count; i += LANES) {
        VEC a = V(load)(l->value + i);
        high = V(max)(a, high), low = V(min)(a, low);
    }
    if (i < l->count) {
        VEC a = V(load_first)(l->value + i, l->count - i, l->value[0]);
        high = V(max)(a, high), low = V(min)(a, low);
    }
    l->max = V(reduce_max)(high);
    l->min = V(reduce_min)(low);
}

/* A value below (or at) which fewer parts than all have their maximum: at least k parts reach it, and not many more.
 * There are at least k parts; *reaching is how many reach it. */
static REAL NAME(reached_by_parts)(const NAME(list) *l, size_t k, size_t *reaching)
{
    NAME(list) parts = {l->part_max, NULL, (l->count + NAME(PART) - 1) / NAME(PART), 0, 0, 0, NULL};
    NAME(measure_list)(&parts);
    int64_t low = fs_place((double)parts.min), high = fs_place((double)l->max);
    *reaching = parts.count;
    while (low < high) { /* the value at `low` is reached by k, what is past `high` is not */
        int64_t middle = low / 2 + high / 2 + (low % 2 + high % 2) / 2;
        middle += middle < high && middle <= low;
        size_t count = NAME(count_from)(&parts, NAME(at_or_above)(fs_at_place(middle)));
        if (count >= k) {
            low = middle;
            *reaching = count;
        } else {
            high = middle - 1;
        }
        if (count >= k && count <= k + k / 8)
            break;
    }
    return NAME(at_or_above)(fs_at_place(low));
}

/* The whole row as a list, and the maxima of its parts.  FS_NAN, FS_NO_MASS; FS_LIMIT: there is a +inf. */
static fs_status NAME(survey)(const fs_reader *reader, size_t n, NAME(workspace) *workspace, NAME(list) *l)
{
    const REAL *x = NAME(fs_load)(reader, 0, n < BLOCK ? n : BLOCK, workspace->row);
    for (size_t start = BLOCK; x == workspace->row && start < n; start += BLOCK)
        NAME(fs_load)(reader, start, n - start < BLOCK ? n - start : BLOCK, workspace->row + start);
    const REAL none = -(REAL)INFINITY;
    VEC low = V(set1)(x[0]), sum = V(set1)(0), other_sum = sum;
    size_t i = 0, parts = 0;
    for (; i + LANES * NAME(PART) <= n; i += LANES * NAME(PART), parts += LANES) {
        VEC high[LANES];
        for (int j = 0; j < LANES; j++) {
            const REAL *part = x + i + (size_t)j * NAME(PART);
            VEC a[8];
            for (int v = 0; v < 8; v++)
                a[v] = V(load)(part + v * LANES);
            for (int v = 0; v < 8; v += 2) {
                sum = V(add)(sum, a[v]);
                other_sum = V(add)(other_sum, a[v + 1]);
                low = V(min)(a[v], V(min)(a[v + 1], low));
            }
            for (int half = 4; half; half /= 2)
                for (int v = 0; v < half; v++)
                    a[v] = V(max)(a[v], a[v + half]);
            high[j] = a[0];
        }
        V(max_rows)(high, workspace->part_max + parts);
    }
    for (; i < n; i += NAME(PART), parts++) {
        VEC high = V(set1)(none);
        for (size_t j = i; j < i + NAME(PART) &&j < n; j += LANES) {
            size_t len = n - j < LANES ? n - j : LANES;
            VEC a = V(load_first)(x + j, len, none);
            high = V(max)(a, high);
            sum = V(add)(sum, V(load_first)(x + j, len, 0));
            low = V(min)(V(load_first)(x + j, len, x[0]), low);
        }
        workspace->part_max[parts] = V(reduce_max)(high);
    }
    for (size_t j = parts; j < parts + LANES; j++)
        workspace->part_max[j] = none;
    if (FS_UNLIKELY(V(any_nan)(V(add)(sum, other_sum))) && NAME(has_nan)(x, n))
        return FS_NAN;
    VEC max = V(load)(workspace->part_max);
    for (size_t j = LANES; j < parts; j += LANES)
        max = V(max)(V(load)(workspace->part_max + j), max);
    NAME(list) all = {x,
                      NULL,
                      n,
                      V(reduce_max)(max) + (REAL)0,
                      V(reduce_min)(low),
                      reader->weights ? 0 : none,
                      workspace->part_max};
    *l = all;
    return all.max == (REAL)INFINITY ? FS_LIMIT : all.max > all.none ? FS_OK : FS_NO_MASS;
}

/* The entries that are still candidates: a list of values in the order of their index, and how a filter shortens it.
 *
 * The sorted order is value descending, index ascending.  What any filter keeps is a threshold: one or two spans of values
 * and a number of ties.  So one pass packs a list whatever the filter, and nothing is sorted.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h, filter/workspace.h.
 */

/* A part of this many entries is skipped where its maximum is below the threshold. */
enum { NAME(PART) = 8 * LANES };

typedef struct {
    const REAL *value;
    const uint32_t *index; /* NULL: the whole row, entry j is index j */
    size_t count;
    REAL max, min;
    REAL none; /* the value of an entry that cannot be drawn: -inf, or a weight of 0; only a whole row has them */
    const REAL *part_max; /* the maximum of each PART entries; NULL: not known */
} NAME(list);

/* The lists in the caller's memory, each of fs_workspace_entries(n). */
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

/* What is kept: the values inside; of the other values in the boundary, those above `tie`, and of those equal to it `ties`
 * at most, after the first `skip`. */
typedef struct {
    NAME(span) inside, boundary;
    REAL tie;
    size_t skip, ties;
} NAME(threshold);

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

static inline NAME(threshold) NAME(from)(REAL low)
{
    NAME(threshold) c = {{low, (REAL)NAN}, {low, (REAL)NAN}, low, 0, 0};
    return c;
}

FS_INLINE unsigned NAME(in_span)(VEC a, VEC low, VEC past) { return V(at_least)(a, low) & ~V(at_least)(a, past); }

typedef struct {
    VEC inside_low, inside_past, boundary_low, boundary_past, tie, above;
    size_t skip, ties;
    int plain; /* no upper ends, and the boundary is the tie: a prefix of the sorted order */
} NAME(threshold_vecs);

FS_INLINE NAME(threshold_vecs) NAME(threshold_vecs_of)(NAME(threshold) c)
{
    NAME(threshold_vecs) k = {V(set1)(c.inside.low),
                              V(set1)(c.inside.past),
                              V(set1)(c.boundary.low),
                              V(set1)(c.boundary.past),
                              V(set1)(c.tie),
                              V(set1)(NAME(above)(c.tie)),
                              c.skip,
                              c.ties,
                              c.inside.past != c.inside.past && c.boundary.past != c.boundary.past &&
                                  c.boundary.low == c.tie};
    return k;
}

/* The lanes that are kept.  The vectors of a list come in order, so that the ties can be counted. */
FS_INLINE unsigned NAME(chosen)(NAME(threshold_vecs) *k, VEC a)
{
    unsigned inside, above = 0, tied;
    if (k->plain) {
        inside = V(at_least)(a, k->inside_low);
        tied = V(at_least)(a, k->tie) & ~inside;
    } else {
        inside = NAME(in_span)(a, k->inside_low, k->inside_past);
        unsigned boundary = NAME(in_span)(a, k->boundary_low, k->boundary_past) & ~inside;
        above = boundary & V(at_least)(a, k->above);
        tied = boundary & V(at_least)(a, k->tie) & ~above;
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

/* Appends the chosen lanes of a vector to the `count` entries packed so far. */
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

static size_t NAME(pack_run)(const NAME(list) *l, size_t from, size_t to, NAME(threshold_vecs) *k,
                             NAME(workspace) *workspace, size_t count)
{
    enum { AT_ONCE = 4, SPARSE = 6 };
    size_t i = from;
    for (; i + AT_ONCE * LANES <= to; i += AT_ONCE * LANES) {
        unsigned chosen[AT_ONCE];
        uint64_t all = 0;
        for (int j = 0; j < AT_ONCE; j++) {
            chosen[j] = NAME(chosen)(k, V(load)(l->value + i + j * LANES));
            all |= (uint64_t)chosen[j] << (j * LANES);
        }
        if (!all)
            continue;
        if (fs_count_bits((unsigned)all) + fs_count_bits((unsigned)(all >> 32)) > SPARSE) {
            for (int j = 0; j < AT_ONCE; j++)
                count = NAME(pack_chosen)(l, i + j * LANES, V(load)(l->value + i + j * LANES), chosen[j], workspace,
                                          count);
            continue;
        }
        for (; all; all &= all - 1, count++) { /* one by one, as vectors would be nearly empty */
            size_t at = i + fs_lowest_place(all);
            workspace->value[count] = l->value[at];
            workspace->index[count] = l->index ? l->index[at] : (uint32_t)at;
        }
    }
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

/* The whole of a part of a row. */
static size_t NAME(pack_part)(const NAME(list) *l, size_t from, NAME(workspace) *workspace, size_t count)
{
    memcpy(workspace->value + count, l->value + from, NAME(PART) *sizeof(REAL));
    for (size_t j = 0; j < NAME(PART); j++)
        workspace->index[count + j] = (uint32_t)(from + j);
    return count + NAME(PART);
}

/* The first `count` entries of the workspace, which were packed from l. */
static inline NAME(list) NAME(in_workspace)(const NAME(list) *l, const NAME(workspace) *workspace, size_t count)
{
    NAME(list) packed = {workspace->value, workspace->index, count, l->max, l->min, l->none, NULL};
    if (packed.min <= l->none)
        packed.min = NAME(above)(l->none);
    return packed;
}

/* The entries that the threshold keeps, packed into the workspace; l may lie there itself, as no entry moves up. */
static NAME(list) NAME(pack)(const NAME(list) *l, NAME(threshold) c, NAME(workspace) *workspace)
{
    NAME(threshold_vecs) k = NAME(threshold_vecs_of)(c);
    size_t count = 0;
    if (l->part_max) {
        for (size_t part = 0; part * NAME(PART) < l->count; part += LANES) {
            int boundary = !(c.inside.low < c.boundary.low) && (k.ties || c.boundary.low != c.tie);
            VEC low = boundary ? k.boundary_low : k.inside_low;
            unsigned wanted = V(at_least)(V(load)(l->part_max + part), low);
            for (size_t p = part; wanted; p++, wanted >>= 1) {
                size_t from = p * NAME(PART), to = from + NAME(PART);
                if (!(wanted & 1))
                    continue;
                if (l->min >= c.inside.low && l->part_max[p] < c.inside.past && to <= l->count)
                    count = NAME(pack_part)(l, from, workspace, count);
                else
                    count = NAME(pack_run)(l, from, to < l->count ? to : l->count, &k, workspace, count);
            }
        }
    } else {
        count = NAME(pack_run)(l, 0, l->count, &k, workspace, count);
    }
    return NAME(in_workspace)(l, workspace, count);
}

/* The number of values that are at least low. */
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

/* A value that the maxima of at least k parts reach, and of few more: found by halving the range of the maxima.  There are
 * k parts or more; *reaching is how many reach the value. */
static REAL NAME(reached_by_parts)(const NAME(list) *l, size_t k, size_t *reaching)
{
    NAME(list) parts = {l->part_max, NULL, (l->count + NAME(PART) - 1) / NAME(PART), 0, 0, 0, NULL};
    NAME(measure_list)(&parts);
    int64_t low = fs_place((double)parts.min), high = fs_place((double)l->max);
    *reaching = parts.count;
    while (low < high) { /* k parts reach the value at `low`, and fewer reach the one after `high` */
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

/* Reads the row once: the whole of it as a list, and the maxima of its parts.  FS_OK, FS_NAN, FS_NO_MASS, FS_LIMIT (+inf). */
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

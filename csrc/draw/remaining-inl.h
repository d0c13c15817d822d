/* Draws without replacement from a row of logits: the integers of sample (draw/logits-inl.h), out of which each draw takes
 * the entry it finds.
 *
 * Block b has the integers v_i of its entries, whose sum was V when it was evaluated, and W among the integers of the blocks.
 * Its entries that are left have the sum L, and the block counts as floor(W L / V); a row of one block as L.  With these
 * numbers a draw is that of block_cdf-inl.h: an entry that was drawn has an empty interval.
 *     L < 2^-10 V                   the block is evaluated again without the drawn, against the largest entry that is left,
 *                                   and weighed against the origin of the row;
 *     all blocks are below 2^-10    they are weighed again, against the largest origin.
 *     of what they were then
 * So entries have a resolution of 2^-41 of what is left of their block at least, blocks one of 2^-40 of what is left of the
 * row, and nothing that is left counts as 0 for long.  The first draw is that of sample, to the bit.
 *
 * A block is evaluated when a draw first falls in it.  k draws cost one read, and each a search in its block and log2(blocks)
 * additions.  Evaluating a block again costs its length, weighing the blocks a step for each; both happen once in many draws,
 * unless an entry weighs as much as 2^10 times what is left after it.  At worst each draw does both: k (BLOCK + n / BLOCK).
 *
 * Needs real_f32.h or real_f64.h, draw/logits-inl.h.
 */

enum {
    NAME(LEAST_LEFT) = 10,
    NAME(VECTORS) = BLOCK / LANES,
    NAME(FAN) = 8, /* sums that are searched at once */
    NAME(FANS) = NAME(VECTORS) / NAME(FAN)
};
_Static_assert(NAME(FANS) == NAME(FAN), "the search looks at as many sums at both levels");

/* The integers of a block that are left: sums of each vector, of eight vectors, and of all.  The weight of an entry that was
 * drawn is -0, which tells it from one that is 0 and counts as 0 too. */
typedef struct {
    REAL weight[BLOCK];
    uint64_t vector[NAME(VECTORS)], fan[NAME(FANS)], total;
} NAME(left);

/* A block: what it had of the row's integers when it was weighed last, and the sum of its own when it was evaluated last; 0:
 * nothing of it was drawn yet. */
typedef struct {
    uint64_t weight, whole;
} NAME(part);

typedef struct {
    const fs_reader *reader;
    size_t n, leaves;
    NAME(left) *left;
    NAME(part) *part;
    uint64_t *tree; /* of several blocks: tree[leaves + b] is what b weighs, tree[i] = tree[2 i] + tree[2 i + 1] */
    uint64_t weighed; /* what all weighed when they were weighed last */
    int exponent; /* the unit of these integers: that of the row's total */
    NAME(row) row; /* each block as it was when it was evaluated last */
} NAME(remaining);

/* What is left of block b, among the integers of the blocks. */
static inline uint64_t NAME(part_left)(const NAME(remaining) *r, size_t b)
{
    const NAME(part) *part = r->part + b;
    if (part->whole == 0)
        return part->weight;
    const uint64_t left = r->left[b].total;
    return left == part->whole ? part->weight : fs_divide(fs_multiply(part->weight, left), part->whole);
}

static void NAME(weigh_block)(NAME(remaining) *r, size_t b)
{
    r->part[b].weight = NAME(block_integer)(&r->row, b, r->exponent);
}

/* Weighs the blocks against the row's origin, which row_combine has found. */
static void NAME(weigh_blocks)(NAME(remaining) *r)
{
    r->exponent = fs_exponent(r->row.total);
    for (size_t b = 0; b < r->leaves; b++) {
        if (b < r->row.count)
            NAME(weigh_block)(r, b);
        r->tree[r->leaves + b] = b < r->row.count ? NAME(part_left)(r, b) : 0;
    }
    for (size_t i = r->leaves; i-- > 1;)
        r->tree[i] = r->tree[2 * i] + r->tree[2 * i + 1];
    r->weighed = r->tree[1];
}

/* The same after some blocks have changed. */
static void NAME(weigh_again)(NAME(remaining) *r)
{
    r->row.max = -(REAL)INFINITY;
    for (size_t b = 0; b < r->row.count; b++)
        r->row.max = r->row.block[b].max > r->row.max ? r->row.block[b].max : r->row.max;
    if (r->row.max == -(REAL)INFINITY)
        return; /* nothing is left */
    NAME(row_combine)(&r->row);
    NAME(weigh_blocks)(r);
}

static void NAME(left_sums)(NAME(left) *left, size_t len)
{
    const size_t vectors = (len + LANES - 1) / LANES;
    for (size_t i = len; i < vectors * LANES; i++)
        left->weight[i] = 0;
    memset(left->vector, 0, sizeof left->vector);
    memset(left->fan, 0, sizeof left->fan);
    left->total = 0;
    for (size_t j = 0; j < vectors; j++) {
        const fs_integers sum = V(add_integers)(fs_no_integers(), V(load)(left->weight + j * LANES));
        left->vector[j] = fs_integers_total(sum, LANES);
        left->fan[j / NAME(FAN)] += left->vector[j];
        left->total += left->vector[j];
    }
}

/* Evaluates a block in which nothing was drawn yet. */
static void NAME(evaluate)(NAME(remaining) *r, size_t b)
{
    REAL copy[BLOCK];
    const NAME(summary) *block = r->row.block + b;
    const size_t len = NAME(block_length)(r->n, b);
    const NAME(range) range = {block->max, 0, block->no_underflow};
    NAME(block_weights)(NAME(fs_load)(r->reader, b * BLOCK, len, copy), len, range, &r->row.scale, r->left[b].weight);
    NAME(left_sums)(r->left + b, len);
    r->part[b].whole = r->left[b].total;
}

/* Evaluates a block without the entries that were drawn. */
FS_NOINLINE void NAME(evaluate_again)(NAME(remaining) *r, size_t b)
{
    REAL x[BLOCK];
    REAL *weight = r->left[b].weight;
    NAME(summary) *block = r->row.block + b;
    const size_t len = NAME(block_length)(r->n, b);
    const REAL *all = NAME(fs_load)(r->reader, b * BLOCK, len, x), none = -(REAL)INFINITY, drawn = -(REAL)0;
    for (size_t i = 0; i < len; i++)
        x[i] = BITS_OF(weight[i]) == BITS_OF(drawn) ? none : all[i];
    const NAME(range) range = NAME(range_of)(x, len, &r->row.scale);
    block->max = none;
    block->sum = 0.0;
    block->no_underflow = range.no_underflow;
    r->part[b].whole = 0;
    if (range.nan || !(range.max - range.max == 0)) /* all were drawn, or are -inf */
        return;
    block->max = range.max;
    block->sum = NAME(block_weights)(x, len, range, &r->row.scale, weight);
    for (size_t i = 0; i < len; i++)
        weight[i] = x[i] == none ? drawn : weight[i];
    NAME(left_sums)(r->left + b, len);
    r->part[b].whole = r->left[b].total;
}

/* `memory` is scratch of the filters (filter/workspace.h) without n bytes of it: it has room for a row of one block, and for
 * all blocks of a longer one with the tree, which has at most four numbers a block. */
_Static_assert(sizeof(NAME(left)) + sizeof(NAME(part)) <= 6000, "a short row fits the scratch of one entry");
_Static_assert(sizeof(NAME(left)) + sizeof(NAME(part)) + 32 <= 24 * BLOCK, "a block fits the scratch of its entries");

/* A row of one block. */
static fs_status NAME(remaining_block)(NAME(remaining) *r)
{
    REAL copy[BLOCK];
    const REAL *x = NAME(fs_load)(r->reader, 0, r->n, copy);
    const NAME(range) range = NAME(range_of)(x, r->n, &r->row.scale);
    if (FS_UNLIKELY(range.nan))
        return FS_NAN;
    if (FS_UNLIKELY(!(range.max - range.max == 0)))
        return range.max > 0 ? FS_LIMIT : FS_NO_MASS;
    NAME(block_weights)(x, r->n, range, &r->row.scale, r->left->weight);
    NAME(left_sums)(r->left, r->n);
    r->part[0].whole = r->left->total;
    return FS_OK;
}

/* Reads the row once.  For FS_OK row_free must follow. */
static fs_status NAME(remaining_begin)(NAME(remaining) *r, const fs_reader *reader, size_t n, double temperature,
                                       char *memory)
{
    const size_t count = (n + BLOCK - 1) / BLOCK;
    r->reader = reader;
    r->n = n;
    r->left = (NAME(left) *)(void *)memory;
    r->part = (NAME(part) *)(void *)(r->left + count);
    r->tree = (uint64_t *)(void *)(r->part + count);
    if (count == 1) {
        NAME(row_begin)(&r->row, n, temperature);
        return NAME(remaining_block)(r);
    }
    fs_status status = NAME(row_read)(&r->row, reader, n, temperature, NULL);
    if (status != FS_OK)
        return status;
    for (r->leaves = 1; r->leaves < count;)
        r->leaves *= 2;
    for (size_t b = 0; b < count; b++)
        r->part[b].whole = 0;
    NAME(weigh_blocks)(r);
    return FS_OK;
}

/* The first of eight numbers whose running sum exceeds *t, or the last; those before it are subtracted from *t. */
FS_INLINE size_t NAME(search_fan)(const uint64_t *sum, int count, uint64_t *t)
{
    uint64_t before[2 * NAME(FAN)], cumulative = 0;
    size_t at = 0;
    before[0] = 0;
    for (int j = 0; j < count - 1; j++) {
        cumulative += sum[j];
        at += cumulative <= *t;
        before[j + 1] = cumulative;
    }
    *t -= before[at];
    return at;
}

/* Finds the entry at a place t < total, and takes it out. */
FS_INLINE size_t NAME(take)(NAME(left) *left, size_t len, uint64_t t)
{
    uint64_t integer[LANES];
    const size_t fan = NAME(search_fan)(left->fan, NAME(FANS), &t);
    const size_t vector = fan * NAME(FAN) + NAME(search_fan)(left->vector + fan * NAME(FAN), NAME(FAN), &t);
    REAL *weight = left->weight + vector * LANES;
    for (int i = 0; i < LANES; i++)
        integer[i] = fs_integer_weight((double)weight[i]);
    const size_t i = NAME(search_fan)(integer, LANES, &t);
    weight[i] = -(REAL)0;
    left->vector[vector] -= integer[i];
    left->fan[fan] -= integer[i];
    left->total -= integer[i];
    /* another thread may change a row between its range and its weights */
    return FS_UNLIKELY(vector * LANES + i >= len) ? len - 1 : vector * LANES + i;
}

/* Keeps what block b and the row weigh within 2^-10 of what they were, after a draw. */
FS_INLINE void NAME(keep_resolution)(NAME(remaining) *r, size_t b)
{
    const int few = r->left[b].total < r->part[b].whole >> NAME(LEAST_LEFT);
    if (FS_UNLIKELY(few))
        NAME(evaluate_again)(r, b);
    if (r->row.count == 1)
        return;
    if (FS_UNLIKELY(few))
        NAME(weigh_block)(r, b);
    const uint64_t change = NAME(part_left)(r, b) - r->tree[r->leaves + b];
    for (size_t j = r->leaves + b; j; j /= 2)
        r->tree[j] += change;
    if (FS_UNLIKELY(r->tree[1] < r->weighed >> NAME(LEAST_LEFT)))
        NAME(weigh_again)(r);
}

/* The block at a place *t among what the blocks weigh, which becomes a place among what is left of its own integers. */
FS_INLINE size_t NAME(find_block)(NAME(remaining) *r, fs_u128 *t)
{
    size_t at = 1;
    while (at < r->leaves) {
        at *= 2;
        const int right = t->high >= r->tree[at];
        t->high -= right ? r->tree[at] : 0;
        at += (size_t)right;
    }
    size_t b = at - r->leaves;
    b = FS_UNLIKELY(b >= r->row.count) ? r->row.count - 1 : b;
    if (r->part[b].whole == 0)
        NAME(evaluate)(r, b);
    const uint64_t total = r->left[b].total;
    t->high = r->tree[at] == total ? t->high : fs_rescale(*t, r->tree[at], total);
    return b;
}

/* One draw.  FS_OK, FS_NO_MASS: nothing is left. */
FS_INLINE fs_status NAME(draw_one)(NAME(remaining) *r, double u, int64_t *index)
{
    const int is_one_block = r->row.count == 1;
    const uint64_t total = is_one_block ? r->left->total : r->tree[1];
    if (total == 0)
        return FS_NO_MASS;
    fs_u128 t = fs_scale_uniform(u, total);
    const size_t b = is_one_block ? 0 : NAME(find_block)(r, &t);
    *index = (int64_t)(b * BLOCK + NAME(take)(r->left + b, NAME(block_length)(r->n, b), t.high));
    NAME(keep_resolution)(r, b);
    return FS_OK;
}

/* Draws from *drawn on, until there are k of them.  FS_OK; FS_NO_MASS: until nothing was left; FS_NAN, FS_LIMIT,
 * FS_NO_MEMORY, FS_INTERRUPTED. */
static fs_status NAME(draw_distinct)(const fs_reader *reader, size_t n, double temperature, size_t k, const double *u,
                                     char *memory, int64_t *index, size_t *drawn)
{
    enum { DRAWS_PER_CHECK = 1024 };
    NAME(remaining) r;
    fs_status status = NAME(remaining_begin)(&r, reader, n, temperature, memory);
    if (status != FS_OK)
        return status;
    while (status == FS_OK && *drawn < k) {
        status = NAME(draw_one)(&r, u[*drawn], index + *drawn);
        *drawn += status == FS_OK;
        if (*drawn % DRAWS_PER_CHECK == 0 && fs_check_interrupt())
            status = FS_INTERRUPTED;
    }
    NAME(row_free)(&r.row);
    return status;
}

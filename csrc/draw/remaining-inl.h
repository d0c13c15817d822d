/* Draws without replacement from a row of logits: the integers of sample (draw/logits-inl.h), out of which each draw takes
 * the entry it finds.
 *
 * Block b has the integers v_i of its entries, whose sum was V_b when it was evaluated, and W_b among the integers of the
 * blocks.  Its entries that are left have the sum L_b, and the block weighs floor(W_b L_b / V_b).  A draw is that of
 * block_cdf-inl.h with these weights and what is left of the v_i: an entry that was drawn has an empty interval.
 *     L_b < 2^-10 V_b          the block is evaluated again without the drawn, against the largest entry that is left, and
 *                              weighed against the origin of the row;
 *     all weigh < 2^-10 of     the blocks are weighed anew, against the origin of the largest.
 *     what they did
 * So the integers of a row have a resolution of 2^-41 of what is left at least, and nothing that is left counts as 0 for
 * long: a row of which all is drawn but entries of 2^-10000 is a row of these.  The first draw is that of sample, to the
 * bit; so is any of a row of one block whose origin stays.
 *
 * A block is evaluated when a draw first falls in it.  The cost of k draws is one read, and for each draw log2(blocks)
 * additions and a search in a block.  Evaluating a block again costs its length, and weighing a step a block; while the
 * weights of neighbours in the sorted order are less than 2^10 apart, both happen once in many draws.  The worst case is a
 * row where each entry weighs as much as 2^10 times all below it: both at every draw, k (BLOCK + n / BLOCK) steps.
 *
 * Needs real_f32.h or real_f64.h, draw/logits-inl.h.
 */

enum { NAME(LEAST_LEFT) = 10 };

/* A block: what it had of the row's integers when it was weighed last, and the sum of its own when it was evaluated last; 0:
 * nothing of it was drawn yet. */
typedef struct {
    uint64_t weight, whole;
} NAME(part);

typedef struct {
    const fs_reader *reader;
    size_t n, leaves;
    NAME(block_cdf) *cdf; /* of the blocks that were evaluated.  An entry that was drawn has weight -0 */
    NAME(part) *part;
    uint64_t *tree;   /* of several blocks: tree[leaves + b] is what b weighs, tree[i] = tree[2 i] + tree[2 i + 1] */
    uint64_t weighed; /* what all weighed when they were weighed last */
    int exponent;     /* the unit of these integers: that of the row's total */
    NAME(row) row;    /* each block as it was when it was evaluated last */
} NAME(remaining);

/* What is left of block b, among the integers of the blocks. */
static inline uint64_t NAME(part_left)(const NAME(remaining) *r, size_t b)
{
    const NAME(part) *part = r->part + b;
    if (part->whole == 0)
        return part->weight;
    uint64_t left = NAME(cdf_total)(r->cdf + b);
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

/* Evaluates a block in which nothing was drawn yet. */
FS_NOINLINE void NAME(evaluate)(NAME(remaining) *r, size_t b)
{
    REAL copy[BLOCK];
    const NAME(summary) *block = r->row.block + b;
    const size_t len = NAME(block_length)(r->n, b);
    NAME(range) range = {block->max, 0, block->no_underflow};
    NAME(cdf_of)(r->cdf + b, NAME(fs_load)(r->reader, b * BLOCK, len, copy), len, range, &r->row.scale);
    r->part[b].whole = NAME(cdf_total)(r->cdf + b);
}

/* Evaluates a block without the entries that were drawn. */
FS_NOINLINE void NAME(evaluate_again)(NAME(remaining) *r, size_t b)
{
    REAL left[BLOCK];
    REAL *weight = r->cdf[b].weight;
    NAME(summary) *block = r->row.block + b;
    const size_t len = NAME(block_length)(r->n, b);
    const REAL *x = NAME(fs_load)(r->reader, b * BLOCK, len, left), none = -(REAL)INFINITY, drawn = -(REAL)0;
    for (size_t i = 0; i < len; i++)
        left[i] = BITS_OF(weight[i]) == BITS_OF(drawn) ? none : x[i];
    const NAME(range) range = NAME(range_of)(left, len, &r->row.scale);
    block->max = none;
    block->sum = 0.0;
    block->no_underflow = range.no_underflow;
    r->part[b].whole = 0;
    if (range.nan || !(range.max - range.max == 0)) /* all were drawn, or are -inf */
        return;
    block->max = range.max;
    block->sum = NAME(block_weights)(left, len, range, &r->row.scale, weight);
    for (size_t i = 0; i < len; i++)
        weight[i] = left[i] == none ? drawn : weight[i];
    NAME(cdf_sums)(r->cdf + b, len);
    r->part[b].whole = NAME(cdf_total)(r->cdf + b);
}

/* `memory` is scratch of the filters (filter/workspace.h) without n bytes of it: it has room for a row of one block, and for
 * all blocks of a longer one with the tree, which has at most four numbers a block. */
_Static_assert(sizeof(NAME(block_cdf)) + sizeof(NAME(part)) <= 6000, "a short row fits the scratch of one entry");
_Static_assert(sizeof(NAME(block_cdf)) + sizeof(NAME(part)) + 32 <= 24 * BLOCK, "a block fits the scratch of its entries");

/* Reads the row once.  For FS_OK row_free must follow. */
static fs_status NAME(remaining_begin)(NAME(remaining) *r, const fs_reader *reader, size_t n, double temperature,
                                       char *memory)
{
    fs_status status;
    r->reader = reader;
    r->n = n;
    r->cdf = (NAME(block_cdf) *)(void *)memory;
    if (n <= BLOCK) {
        REAL copy[BLOCK];
        status = NAME(row_begin)(&r->row, n, temperature);
        if (status == FS_OK)
            status = NAME(cdf_of_row)(NAME(fs_load)(reader, 0, n, copy), n, &r->row.scale, r->cdf);
    } else {
        status = NAME(row_read)(&r->row, reader, n, temperature, NULL);
    }
    if (status != FS_OK)
        return status;
    r->part = (NAME(part) *)(void *)(r->cdf + r->row.count);
    if (n <= BLOCK) {
        r->part[0].whole = NAME(cdf_total)(r->cdf);
        return FS_OK;
    }
    r->tree = (uint64_t *)(void *)(r->part + r->row.count);
    for (r->leaves = 1; r->leaves < r->row.count;)
        r->leaves *= 2;
    for (size_t b = 0; b < r->row.count; b++)
        r->part[b].whole = 0;
    NAME(weigh_blocks)(r);
    return FS_OK;
}

/* Takes entry i out of block b.  What its block and the row weigh is kept within 2^-10 of what it was. */
FS_INLINE void NAME(take_out)(NAME(remaining) *r, size_t b, size_t i)
{
    NAME(block_cdf) *cdf = r->cdf + b;
    const uint64_t v = fs_integer_weight((double)cdf->weight[i]);
    cdf->weight[i] = -(REAL)0;
    for (size_t j = i / NAME(CDF_GROUP); j < cdf->groups; j++)
        cdf->cumulative[j] -= v;
    const int few = NAME(cdf_total)(cdf) < r->part[b].whole >> NAME(LEAST_LEFT);
    if (few)
        NAME(evaluate_again)(r, b);
    if (r->row.count == 1)
        return;
    if (few)
        NAME(weigh_block)(r, b);
    const uint64_t change = NAME(part_left)(r, b) - r->tree[r->leaves + b];
    for (size_t j = r->leaves + b; j; j /= 2)
        r->tree[j] += change;
    if (r->tree[1] < r->weighed >> NAME(LEAST_LEFT))
        NAME(weigh_again)(r);
}

/* One draw.  FS_OK, FS_NO_MASS: nothing is left. */
FS_INLINE fs_status NAME(draw_one)(NAME(remaining) *r, double u, int64_t *index)
{
    const uint64_t total = r->row.count == 1 ? NAME(cdf_total)(r->cdf) : r->tree[1];
    if (total == 0)
        return FS_NO_MASS;
    fs_u128 t = fs_scale_uniform(u, total);
    size_t b = 0, i;
    if (r->row.count == 1) {
        i = NAME(cdf_index)(r->cdf, r->n, t.high);
    } else {
        size_t at = 1;
        while (at < r->leaves) {
            at *= 2;
            const uint64_t before = t.high >= r->tree[at] ? r->tree[at] : 0;
            at += t.high >= r->tree[at];
            t.high -= before;
        }
        b = at - r->leaves;
        b = FS_UNLIKELY(b >= r->row.count) ? r->row.count - 1 : b;
        if (r->part[b].whole == 0)
            NAME(evaluate)(r, b);
        i = NAME(cdf_entry)(r->cdf + b, NAME(block_length)(r->n, b), t, r->tree[at]);
    }
    *index = (int64_t)(b * BLOCK + i);
    NAME(take_out)(r, b, i);
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

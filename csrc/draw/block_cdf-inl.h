/* Draws by the integer inverse of the cumulative distribution (CDF), in two levels: the block, then the entry.
 *
 * Within a block each weight w in [0, sqrt 2] is the integer v = round(w 2^51).  Integer sums are exact in any order:
 * with V their total, the draw is the smallest i whose running sum exceeds t = floor(u V).  An entry of weight 0
 * has an empty interval and t < V, so it cannot be drawn and the index is always in range.
 *
 * Over several blocks the running totals of the blocks' integer weights, below 2^62, choose the block in the same way;
 * the remainder of t, in [0, W_b) for a block of weight W_b, is rescaled to [0, V).  Only that block is evaluated.
 *
 * Needs real_f32.h or real_f64.h, softmax/block-inl.h, draw/guide_table.h.
 */

enum { NAME(CDF_GROUP) = 4 * LANES, NAME(CDF_GROUPS) = BLOCK / NAME(CDF_GROUP) };

/* One block: its weights, and the running totals of their integers over groups of four vectors. */
typedef struct {
    REAL weight[BLOCK];
    uint64_t cumulative[NAME(CDF_GROUPS)];
    size_t groups;
} NAME(block_cdf);

FS_INLINE void NAME(cdf_sums)(NAME(block_cdf) *cdf, size_t len)
{
    REAL *w = cdf->weight;
    size_t padded = (len + NAME(CDF_GROUP) - 1) / NAME(CDF_GROUP) *NAME(CDF_GROUP);
    for (size_t i = len; i < padded; i++)
        w[i] = 0;
    uint64_t cumulative = 0;
    cdf->groups = padded / NAME(CDF_GROUP);
    for (size_t j = 0; j < cdf->groups; j++) {
        const REAL *p = w + j * NAME(CDF_GROUP);
        fs_integers sum = fs_no_integers();
        for (int i = 0; i < 4; i++)
            sum = V(add_integers)(sum, V(load)(p + i * LANES));
        cumulative += fs_integers_total(sum, NAME(CDF_GROUP));
        cdf->cumulative[j] = cumulative;
    }
}

/* The smallest index whose running sum exceeds t, for t below the total.  It stays within `len` entries whatever the
 * weights are: another thread may change a row between its range and its weights. */
FS_INLINE size_t NAME(cdf_index)(const NAME(block_cdf) *cdf, size_t len, uint64_t t)
{
    size_t j = 0;
    for (size_t i = 0; i + 1 < cdf->groups; i++)
        j += cdf->cumulative[i] <= t;
    uint64_t before = j ? cdf->cumulative[j - 1] : 0;
    size_t index = j * NAME(CDF_GROUP) + V(integer_rank4)(cdf->weight + j * NAME(CDF_GROUP), t - before);
    return FS_UNLIKELY(index >= len) ? len - 1 : index;
}

FS_INLINE uint64_t NAME(cdf_total)(const NAME(block_cdf) *cdf) { return cdf->cumulative[cdf->groups - 1]; }

/* One block of logits, of which at least one is finite. */
FS_INLINE void NAME(cdf_of)(NAME(block_cdf) *cdf, const REAL *x, size_t len, NAME(range) range,
                            const NAME(scale) *scale)
{
    NAME(pass)(x, len, range, scale, NAME(unit), cdf->weight, NULL, NAME(STORE));
    NAME(cdf_sums)(cdf, len);
}

/* A contiguous row of one block.  FS_OK, FS_NAN, FS_NO_MASS, FS_LIMIT. */
FS_INLINE fs_status NAME(cdf_of_row)(const REAL *x, size_t n, const NAME(scale) *scale, NAME(block_cdf) *cdf)
{
    NAME(range) range = NAME(range_of)(x, n, scale);
    if (FS_UNLIKELY(range.nan))
        return FS_NAN;
    if (FS_UNLIKELY(!(range.max - range.max == 0)))
        return range.max > 0 ? FS_LIMIT : FS_NO_MASS;
    NAME(cdf_of)(cdf, x, n, range, scale);
    return FS_OK;
}

/* A row as blocks, whatever its weights come from: logits, probabilities, or a prepared row. */
typedef struct {
    size_t n, count;            /* entries, and blocks of BLOCK entries */
    const uint64_t *cumulative; /* running total of the blocks' integer weights, `step` numbers apart */
    size_t step;
    void (*load)(const void *row, size_t b, NAME(block_cdf) *cdf); /* evaluates block b */
    const void *row;
    const NAME(block_cdf) *loaded; /* the CDF of block `loaded_block`, where it is there already; NULL: of none */
    size_t loaded_block;
} NAME(blocks);

static inline uint64_t NAME(cumulative)(const NAME(blocks) *r, size_t b) { return r->cumulative[b * r->step]; }

/* Where a place t among all integer weights lies: its block, the place in it, and the weight of the block. */
typedef struct {
    size_t block;
    fs_u128 place;
    uint64_t weight;
} NAME(location);

FS_INLINE NAME(location) NAME(locate)(const NAME(blocks) *r, fs_u128 t)
{
    NAME(location) at = {fs_first_above_u64(r->cumulative, r->step, 0, r->count - 1, t.high), t, 0};
    uint64_t before = at.block ? NAME(cumulative)(r, at.block - 1) : 0;
    at.place.high -= before;
    at.weight = NAME(cumulative)(r, at.block) - before;
    return at;
}

/* The entry of a block at a place among `weight`, which is taken to a place among the integers of the block. */
FS_INLINE size_t NAME(cdf_entry)(const NAME(block_cdf) *cdf, size_t len, fs_u128 place, uint64_t weight)
{
    uint64_t total = NAME(cdf_total)(cdf); /* equal for a row of one block: rescaling would change nothing */
    return NAME(cdf_index)(cdf, len, weight == total ? place.high : fs_rescale(place, weight, total));
}

/* index[j] for the uniform u[j], or only where index[j] < 0 if `open_only` (fs_make_draws). */
static void NAME(draw_from_blocks)(const void *row, size_t k, const double *u, int open_only, int64_t *index)
{
    const NAME(blocks) *r = row;
    const NAME(block_cdf) *cdf = r->loaded;
    NAME(block_cdf) own;
    const uint64_t total = NAME(cumulative)(r, r->count - 1);
    const int is_one_block = cdf && r->count == 1 && NAME(cdf_total)(cdf) == total; /* no block to look for */
    size_t loaded = cdf ? r->loaded_block : r->count;
    for (size_t j = 0; j < k; j++) {
        if (open_only && index[j] >= 0)
            continue;
        fs_u128 t = fs_scale_uniform(u[j], total);
        if (is_one_block) {
            index[j] = (int64_t)NAME(cdf_index)(cdf, r->n, t.high);
            continue;
        }
        NAME(location) at = NAME(locate)(r, t);
        if (at.block != loaded) {
            r->load(r->row, at.block, &own);
            cdf = &own;
            loaded = at.block;
        }
        size_t entry = NAME(cdf_entry)(cdf, NAME(block_length)(r->n, at.block), at.place, at.weight);
        index[j] = (int64_t)(at.block * BLOCK + entry);
    }
}

/* The bounds of the block that begins at entry `start`, from its CDF (draw/guide_table.h). */
static void NAME(guide_block)(const fs_guide *guide, size_t start, const NAME(block_cdf) *cdf, size_t len,
                              uint64_t before, uint64_t weight, uint64_t total)
{
    const fs_guide g = *guide;
    const fs_bound_scale s = fs_bounds_of_block(before, weight, NAME(cdf_total)(cdf), total);
    uint64_t cumulative = 0;
    for (size_t i = 0; i < len; i++) {
        cumulative += fs_integer_weight((double)cdf->weight[i]);
        fs_guide_put(&g, start + i, fma((double)(int64_t)cumulative, s.slope, s.first), s.last);
    }
}

/* The guide table of a row, and its weights too where `weights` is not NULL.  FS_OK, FS_INTERRUPTED. */
static fs_status NAME(tabulate)(const fs_guide *guide, const NAME(blocks) *r, REAL *weights)
{
    NAME(block_cdf) own;
    const uint64_t total = NAME(cumulative)(r, r->count - 1);
    uint64_t before = 0;
    for (size_t b = 0; b < r->count; b++) {
        const NAME(block_cdf) *cdf = r->loaded && b == r->loaded_block ? r->loaded : &own;
        const size_t len = NAME(block_length)(r->n, b);
        const uint64_t weight = NAME(cumulative)(r, b) - before;
        if (weight) {
            if (cdf == &own)
                r->load(r->row, b, &own);
            NAME(guide_block)(guide, b * BLOCK, cdf, len, before, weight, total);
            if (weights)
                memcpy(weights + b * BLOCK, cdf->weight, len * sizeof(REAL));
        } else {
            fs_guide_skip(guide, b * BLOCK, b * BLOCK + len, before, total);
            if (weights)
                memset(weights + b * BLOCK, 0, len * sizeof(REAL));
        }
        before += weight;
        if (b % FS_BLOCKS_PER_CHUNK == FS_BLOCKS_PER_CHUNK - 1 && fs_check_interrupt())
            return FS_INTERRUPTED;
    }
    fs_guide_end(guide);
    return FS_OK;
}

/* k draws, by a table where that pays.  FS_OK, FS_INTERRUPTED. */
static fs_status NAME(draw_all)(const NAME(blocks) *r, size_t k, const fs_uniforms *u, int64_t *index)
{
    fs_guide guide;
    const fs_scratch memory = fs_guide_allocate(&guide, r->n, k, BLOCK);
    const fs_guide *table = memory.memory ? &guide : NULL;
    fs_drawing drawing = {table, NAME(draw_from_blocks), r, u, k, index};
    fs_status status = table ? NAME(tabulate)(table, r, NULL) : FS_OK;
    if (status == FS_OK)
        status = fs_draw_all(&drawing);
    fs_return_table(memory);
    return status;
}

/* Seeded draws from a prepared row.  The draw is the number of bounds b_i <= U (draw/guide_table.h has b_i, exact fractions;
 * draw/seeded_uniform.h has U).  Most are read from the table by 32 bits of U; this is for the others.
 *
 * Needs real_f32.h or real_f64.h, draw/prepared-inl.h, draw/seeded.h.
 */

/* By all bits of U, from block b on: the bounds of the blocks before it are at most U.  b_i = (before V + C_i W) / (total V).
 * Both are below 2^125. */
static int64_t NAME(draw_by_all_bits)(const NAME(blocks) *r, size_t b, const fs_seeded_uniform *u)
{
    NAME(block_cdf) cdf;
    const uint64_t total = NAME(cumulative)(r, r->count - 1);
    while (fs_is_at_most_uniform((fs_u128){0, NAME(cumulative)(r, b)}, (fs_u128){0, total}, u))
        b++;
    const uint64_t before = b ? NAME(cumulative)(r, b - 1) : 0, weight = NAME(cumulative)(r, b) - before;
    r->load(r->row, b, &cdf);
    const uint64_t sum = NAME(cdf_total)(&cdf);
    const fs_u128 begin = fs_multiply(before, sum), whole = fs_multiply(total, sum);
    uint64_t cumulative = 0;
    for (size_t i = 0;; i++) {
        cumulative += fs_integer_weight((double)cdf.weight[i]);
        fs_u128 bound = fs_multiply(cumulative, weight);
        bound.low += begin.low;
        bound.high += begin.high + (bound.low < begin.low);
        if (!fs_is_at_most_uniform(bound, whole, u))
            return (int64_t)(b * BLOCK + i);
    }
}

/* draw_open_f32, draw_open_f64: one draw, as fs_draw_open.  X = floor(2^64 U), so X <= 2^64 U < X + 1: if the draws of X / 2^64
 * and (X + 1) / 2^64 are the same, so is that of U.  Else, about once in 2^64 / n draws, all its bits are looked at. */
static int64_t NAME(draw_open)(const void *row, const fs_seeded_uniform *u)
{
    const NAME(blocks) *r = row;
    NAME(block_cdf) cdf;
    const uint64_t total = NAME(cumulative)(r, r->count - 1), x = (uint64_t)u->digit[0] << 32 | u->digit[1];
    const NAME(location) low = NAME(locate)(r, fs_multiply(x, total));
    if (x < UINT64_MAX) {
        const NAME(location) high = NAME(locate)(r, fs_multiply(x + 1, total));
        if (high.block == low.block) {
            const size_t len = NAME(block_length)(r->n, low.block);
            r->load(r->row, low.block, &cdf);
            const size_t entry = NAME(cdf_entry)(&cdf, len, low.place, low.weight);
            if (entry == NAME(cdf_entry)(&cdf, len, high.place, high.weight))
                return (int64_t)(low.block * BLOCK + entry);
        }
    }
    return NAME(draw_by_all_bits)(r, low.block, u);
}

static fs_status NAME(draw_prepared_seeded)(const fs_categorical *c, uint64_t seed, uint64_t key, uint64_t first,
                                            size_t k, int64_t *index)
{
    const NAME(blocks) blocks = {c->n, c->blocks, c->cumulative, 1, NAME(load_prepared), c, NULL, 0};
    fs_seeded_drawing drawing = {&c->guide, NAME(draw_open), &blocks, seed, key, first, k, index};
    return fs_draw_all_seeded(&drawing);
}

/* One draw from each of up to LANES short rows side by side (softmax/columns-inl.h): running sums of integer weights, each row
 * in a lane, as draw/block_cdf-inl.h has them of one row.
 *
 * Needs real_f32.h or real_f64.h, softmax/columns-inl.h.
 */

static void NAME(columns_draw)(const NAME(columns) *c, size_t n, const double *u, size_t count, int64_t *index)
{
    uint64_t running[TINY][LANES], place[LANES] = {0}, drawn[LANES];
    for (int h = 0; h < LANES; h += 8) {
        u64x8 sum = u64x8_load(place + h);
        for (size_t j = 0; j < n; j++) {
            sum = u64x8_add_weights(sum, V(half)(V(load)(c->w + j * LANES), h / 8));
            u64x8_store(running[j] + h, sum);
        }
    }
    for (size_t i = 0; i < count; i++)
        place[i] = fs_scale_uniform(u[i], running[n - 1][i]).high;
    for (int h = 0; h < LANES; h += 8) {
        const uint64_t none[8] = {0};
        u64x8 rank = u64x8_load(none), limit = u64x8_load(place + h);
        for (size_t j = 0; j < n; j++)
            rank = u64x8_count_at_most(rank, u64x8_load(running[j] + h), limit);
        u64x8_store(drawn + h, rank);
    }
    for (size_t i = 0; i < count; i++)
        index[i] = (int64_t)drawn[i];
}

/* log p of what was drawn. */
static void NAME(columns_logprob)(const NAME(columns) *c, const NAME(scales) *s, const double *log_sum, size_t count,
                                  const int64_t *index, double *logprob)
{
    for (size_t i = 0; i < count; i++)
        logprob[i] = fs_log_probability((double)c->x[(size_t)index[i] * LANES + i], (double)c->max[i],
                                        s->temperature[i], log_sum[i]);
}

/* A row becomes a prepared one (draw/prepared.h), and is drawn from.
 *
 * Needs real_f32.h or real_f64.h, draw/block_cdf-inl.h, draw/prepared.h.
 */

/* The table, the running totals and the weights of a row.  FS_OK, FS_INTERRUPTED. */
static fs_status NAME(prepare)(fs_categorical *c, const NAME(blocks) *r)
{
    fs_prepared_begin(c, r->n, BLOCK, DTYPE == FS_F64);
    for (size_t b = 0; b < r->count; b++)
        c->cumulative[b] = NAME(cumulative)(r, b);
    fs_status status = NAME(tabulate)(&c->guide, r, c->weight);
    return status == FS_OK ? fs_guide_mark(&c->guide) : status;
}

static void NAME(load_prepared)(const void *row, size_t b, NAME(block_cdf) *cdf)
{
    const fs_categorical *c = row;
    size_t len = NAME(block_length)(c->n, b);
    memcpy(cdf->weight, (const REAL *)c->weight + b * BLOCK, len * sizeof(REAL));
    NAME(cdf_sums)(cdf, len);
}

static fs_status NAME(draw_prepared)(const fs_categorical *c, size_t k, const fs_uniforms *u, int64_t *index)
{
    const NAME(blocks) blocks = {c->n, c->blocks, c->cumulative, 1, NAME(load_prepared), c, NULL, 0};
    fs_drawing drawing = {&c->guide, NAME(draw_from_blocks), &blocks, u, k, index};
    return fs_draw_all(&drawing);
}

/* A row of logits (FS_RUN_FORMULA). */
static fs_status NAME(prepare_logits)(const fs_reader *reader, size_t n, double temperature, fs_categorical *c)
{
    NAME(drawable) d;
    fs_status status = NAME(drawable_begin)(&d, reader, n, temperature);
    if (status != FS_OK)
        return status;
    status = NAME(prepare)(c, &d.blocks);
    NAME(drawable_end)(&d);
    return status;
}

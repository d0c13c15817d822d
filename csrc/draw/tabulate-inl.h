/* A row of REAL becomes a prepared one (draw/prepared.h), and the draws its table leaves open are made. */

static fs_status NAME(tabulate)(const fs_reader *reader, size_t n, double temperature, fs_categorical *c)
{
    fs_prepared_begin(c, n, BLOCK, DTYPE == FS_F64);
    REAL *weight = c->weight;
    if (n <= BLOCK) {
        REAL copy[BLOCK];
        NAME(block_cdf) cdf;
        fs_scale of_temperature = fs_scale_of(temperature);
        NAME(scale) scale = NAME(scale_of)(&of_temperature);
        fs_status status = NAME(sample_short)(NAME(fs_load)(reader, 0, n, copy), n, &scale, &cdf);
        if (status != FS_OK)
            return status;
        uint64_t total = c->cumulative[0] = NAME(cdf_total)(&cdf);
        NAME(guide_block)(&c->guide, 0, &cdf, n, 0, total, total);
        memcpy(weight, cdf.weight, n * sizeof(REAL));
    } else {
        NAME(row) r;
        fs_status status = NAME(row_read)(&r, reader, n, temperature, NULL);
        if (status != FS_OK)
            return status;
        NAME(integer_blocks)(&r);
        status = NAME(guide_blocks)(&c->guide, &r, reader, n, 0, r.count, weight);
        for (size_t b = 0; b < r.count; b++)
            c->cumulative[b] = r.block[b].cumulative;
        NAME(row_free)(&r);
        if (status != FS_OK)
            return status;
    }
    fs_guide_end(&c->guide);
    return FS_OK;
}

/* The draws whose index is -1: the block by the integer totals, the entry by its weights, as in draw/draw-inl.h (fs_make_draws). */
static void NAME(draw_open)(const void *row, size_t k, const double *u, int some, int64_t *index)
{
    const fs_categorical *c = row;
    NAME(block_cdf) cdf;
    size_t loaded = c->blocks;
    for (size_t j = 0; j < k; j++) {
        if (some && index[j] >= 0)
            continue;
        fs_u128 t = fs_scale_uniform(u[j], c->cumulative[c->blocks - 1]);
        size_t b = fs_prepared_block(c, t.high), len = NAME(block_length)(c->n, b);
        uint64_t before = b ? c->cumulative[b - 1] : 0;
        if (b != loaded) {
            memcpy(cdf.weight, (const REAL *)c->weight + b * BLOCK, len * sizeof(REAL));
            NAME(cdf_sums)(&cdf, len);
        }
        loaded = b;
        t.high -= before;
        uint64_t place = fs_rescale(t, c->cumulative[b] - before, NAME(cdf_total)(&cdf));
        index[j] = (int64_t)(b * BLOCK + NAME(cdf_index)(&cdf, len, place));
    }
}

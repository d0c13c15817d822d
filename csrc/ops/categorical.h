/* Rows prepared for many draws: any dtype and layout becomes a prepared row, and is drawn from. */
#ifndef FS_CATEGORICAL_H
#define FS_CATEGORICAL_H

#include "ops/one_row.h"

static fs_status fs_prepare_weights(const fs_reader *reader, size_t n, fs_categorical *c)
{
    fs_weights w;
    block_cdf_f64 last;
    fs_status status = fs_weights_read(&w, reader, n, &last);
    if (status != FS_OK)
        return status;
    const blocks_f64 blocks = fs_blocks_of_weights(&w);
    status = prepare_f64(c, &blocks);
    fs_weights_free(&w);
    return status;
}

static fs_status kernel_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *c)
{
    fs_reader reader;
    fs_status status;
    if (temperature == 0.0) {
        fs_prepared_begin(c, n, FS_BLOCK_F64, 1);
        return fs_argmax(row, n, &c->sole);
    }
    if (row->probs && !row->bias && temperature == 1.0) {
        reader = fs_reader_of(row);
        reader.weights = 1;
        return fs_prepare_weights(&reader, n, c);
    }
    FS_RUN_FORMULA(prepare_logits, row, n, temperature, c);
    return status;
}

static fs_status fs_draw_categorical(const fs_categorical *c, size_t k, const fs_uniforms *u, int64_t *index)
{
    if (c->sole < 0)
        return c->wide ? draw_prepared_f64(c, k, u, index) : draw_prepared_f32(c, k, u, index);
    fs_draw_sole(c->sole, k, u, index);
    return FS_OK;
}

static fs_status kernel_categorical_draw(const fs_categorical *c, size_t k, const double *u, int64_t *index)
{
    return fs_draw_categorical(c, k, &(fs_uniforms){u, NULL, NULL}, index);
}

static fs_status kernel_categorical_draw_from(const fs_categorical *c, size_t k, fs_uniform_of *next, void *state,
                                              int64_t *index)
{
    return fs_draw_categorical(c, k, &(fs_uniforms){NULL, next, state}, index);
}

static fs_status kernel_categorical_draw_seeded(const fs_categorical *c, uint64_t seed, uint64_t key, uint64_t first,
                                                size_t k, int64_t *index)
{
    if (c->sole < 0)
        return c->wide ? draw_prepared_seeded_f64(c, seed, key, first, k, index)
                       : draw_prepared_seeded_f32(c, seed, key, first, k, index);
    for (size_t j = 0; j < k; j++)
        index[j] = c->sole;
    return FS_OK;
}

#endif

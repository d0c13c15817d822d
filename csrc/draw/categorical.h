/* Prepared rows of any kind: built, drawn from; and the log-probabilities of entries. */
#ifndef FS_CATEGORICAL_H
#define FS_CATEGORICAL_H

static fs_status fs_prepare_weights(const fs_reader *reader, size_t n, fs_categorical *c)
{
    fs_weights w;
    block_cdf_f64 cdf;
    fs_status status = fs_weights_read(&w, reader, n, &cdf);
    if (status != FS_OK)
        return status;
    fs_prepared_begin(c, n, 512, 1);
    status = fs_weights_guide(&c->guide, &w, 0, w.count, c->weight);
    for (size_t b = 0; b < w.count; b++)
        c->cumulative[b] = w.block[b].cumulative;
    fs_weights_free(&w);
    fs_guide_end(&c->guide);
    return status;
}

static fs_status fs_categorical_build_row(const fs_row *row, size_t n, double temperature, fs_categorical *c)
{
    fs_reader reader;
    fs_status status;
    if (temperature == 0.0) {
        c->sole = -1;
        return fs_argmax(row, n, &c->sole);
    }
    if (row->probs && !row->bias && temperature == 1.0) {
        reader = fs_reader_of(row);
        reader.weights = 1;
        return fs_prepare_weights(&reader, n, c);
    }
    FS_RUN_FORMULA(tabulate, row, n, temperature, c);
    return status;
}

static fs_status fs_categorical_draws(const fs_categorical *c, size_t k, const fs_uniforms *u, int64_t *index)
{
    fs_drawing drawing = {&c->guide, c->wide ? draw_open_f64 : draw_open_f32, c, u, k, index};
    if (c->sole < 0)
        return fs_draw_all(&drawing);
    fs_draw_sole(c->sole, k, u, index);
    return FS_OK;
}

static fs_status fs_categorical_draw_row(const fs_categorical *c, size_t k, const double *u, int64_t *index)
{
    return fs_categorical_draws(c, k, &(fs_uniforms){u, NULL, NULL}, index);
}

static fs_status fs_categorical_draw_row_from(const fs_categorical *c, size_t k, fs_uniform_of *next, void *state,
                                              int64_t *index)
{
    return fs_categorical_draws(c, k, &(fs_uniforms){NULL, next, state}, index);
}

static fs_status fs_sample_row_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next,
                                    void *state, int64_t *index)
{
    return fs_sample_row_by(row, n, temperature, k, &(fs_uniforms){NULL, next, state}, index, NULL);
}

static fs_status fs_logprob_row(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                                double *logprob)
{
    fs_reader reader;
    double max = 0.0, log_sum = 0.0;
    if (temperature == 0.0) {
        int64_t best = -1;
        fs_status status = fs_argmax(row, n, &best);
        for (size_t j = 0; j < count && status == FS_OK; j++)
            logprob[j] = index[j] == best ? 0.0 : -INFINITY;
        return status;
    }
    fs_status status = fs_log_normaliser_row(row, n, &temperature, &reader, &max, &log_sum);
    for (size_t j = 0; j < count && status == FS_OK; j++)
        logprob[j] = (fs_logit(&reader, (size_t)index[j]) - max) / temperature - log_sum;
    return status;
}

#undef FS_RUN_FORMULA
#endif

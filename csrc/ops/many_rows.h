/* The entry points of many rows: in the type that their dtype calls for (ops/rows-inl.h), or one by one. */
#ifndef FS_MANY_ROWS_H
#define FS_MANY_ROWS_H

/* The logits of probabilities are doubles that nothing has stored. */
#define FS_ROWS_BY(name, operation, b)                                                                               \
    ((b)->rows->row.probs            ? fs_rows_one_by_one(b, operation)                                              \
     : (b)->rows->row.dtype == FS_F64 ? name##_rows_f64(b)                                                           \
                                      : name##_rows_f32(b))

static size_t kernel_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {.rows = rows, .out = out, .out_step = out_step};
    return FS_ROWS_BY(softmax, FS_SOFTMAX, &b);
}

static size_t kernel_log_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {.rows = rows, .out = out, .out_step = out_step};
    return FS_ROWS_BY(log_softmax, FS_LOG_SOFTMAX, &b);
}

static size_t kernel_logsumexp_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {.rows = rows, .out = out, .out_step = out_step};
    return FS_ROWS_BY(logsumexp, FS_LOGSUMEXP, &b);
}

static size_t kernel_sample_rows(const fs_rows *rows, const double *u, int64_t *index, double *logprob)
{
    const fs_batch b = {.rows = rows, .u = u, .index = index, .logprob = logprob};
    return FS_ROWS_BY(sample, FS_SAMPLE, &b);
}

static size_t kernel_sample_seeded_rows(const fs_rows *rows, fs_words seeds, fs_words keys, fs_words steps,
                                        int64_t *index, double *logprob)
{
    enum { AT_ONCE = 64 };
    const fs_words words[3] = {seeds, keys, steps};
    const fs_batch b = {.rows = rows, .index = index, .logprob = logprob, .seeded = words};
    if (rows->n >= FS_REJECTION_FROM && rows->n <= FS_REJECTION_TO)
        return FS_ROWS_BY(sample_seeded, FS_SAMPLE_SEEDED, &b);
    for (size_t first = 0; first < rows->count; first += AT_ONCE) {
        double u[AT_ONCE];
        const fs_rows some = fs_rows_from(rows, first, AT_ONCE);
        for (size_t i = 0; i < some.count; i++) {
            const fs_draw_key key = fs_draw_key_at(&b, first + i);
            u[i] = fs_keyed_uniform(key.seed, key.key, key.step, FS_STREAM_DRAWS);
        }
        const size_t done = kernel_sample_rows(&some, u, index + first, logprob ? logprob + first : NULL);
        if (done < some.count)
            return first + done;
    }
    return rows->count;
}

static size_t kernel_entropy_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {.rows = rows, .out = out, .out_step = out_step};
    return FS_ROWS_BY(entropy, FS_ENTROPY, &b);
}

static size_t kernel_logprob_rows(const fs_rows *rows, const int64_t *index, double *logprob)
{
    const fs_batch b = {.rows = rows, .index = (int64_t *)(uintptr_t)index, .logprob = logprob};
    return FS_ROWS_BY(logprob, FS_LOG_PROB, &b);
}
#undef FS_ROWS_BY

#endif

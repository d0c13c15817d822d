/* The entry points of many rows: in the type that their dtype calls for (ops/rows-inl.h), or one by one. */
#ifndef FS_MANY_ROWS_H
#define FS_MANY_ROWS_H

/* The logits of probabilities are doubles that nothing has stored: such rows are done one by one. */
static size_t fs_rows_of_probs(const fs_batch *b, fs_operation operation)
{
    for (size_t i = 0; i < b->rows->count; i++)
        if (fs_has_ended(fs_do_row(b, i, operation)))
            return i;
    return b->rows->count;
}

#define FS_ROWS_BY(name, operation, b)                                                                               \
    ((b)->rows->row.probs            ? fs_rows_of_probs(b, operation)                                                \
     : (b)->rows->row.dtype == FS_F64 ? name##_rows_f64(b)                                                           \
                                      : name##_rows_f32(b))

static size_t kernel_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {rows, out, out_step, NULL, NULL, NULL, NULL, 0};
    return FS_ROWS_BY(softmax, FS_SOFTMAX, &b);
}

static size_t kernel_log_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {rows, out, out_step, NULL, NULL, NULL, NULL, 0};
    return FS_ROWS_BY(log_softmax, FS_LOG_SOFTMAX, &b);
}

static size_t kernel_logsumexp_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {rows, out, out_step, NULL, NULL, NULL, NULL, 0};
    return FS_ROWS_BY(logsumexp, FS_LOGSUMEXP, &b);
}

static size_t kernel_sample_rows(const fs_rows *rows, const double *u, int64_t *index, double *logprob)
{
    const fs_batch b = {rows, NULL, 0, u, index, logprob, NULL, 0};
    return FS_ROWS_BY(sample, FS_SAMPLE, &b);
}

static size_t kernel_entropy_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
{
    const fs_batch b = {rows, out, out_step, NULL, NULL, NULL, NULL, 0};
    return FS_ROWS_BY(entropy, FS_ENTROPY, &b);
}

static size_t kernel_logprob_rows(const fs_rows *rows, const int64_t *index, double *logprob)
{
    const fs_batch b = {rows, NULL, 0, NULL, (int64_t *)(uintptr_t)index, logprob, NULL, 0};
    return FS_ROWS_BY(logprob, FS_LOG_PROB, &b);
}
#undef FS_ROWS_BY

#endif

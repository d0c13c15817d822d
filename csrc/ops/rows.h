/* Many rows at once (fs_rows): what is done with each of them, and the way of the rows that have no shorter one. */
#ifndef FS_OPS_ROWS_H
#define FS_OPS_ROWS_H

#include "ops/one_row.h"
#include "row/rows.h"

typedef enum {
    FS_SOFTMAX,
    FS_LOG_SOFTMAX,
    FS_LOGSUMEXP,
    FS_ENTROPY,
    FS_SAMPLE,
    FS_SAMPLE_SEEDED,
    FS_LOG_PROB
} fs_operation;

typedef struct fs_batch {
    const fs_rows *rows;
    const fs_output *out; /* of the first row; logsumexp and entropy have one entry in each */
    ptrdiff_t out_step;   /* bytes from row to row of `out` */
    const double *u;      /* FS_SAMPLE: one a row; draws have these results, of which logprob may be NULL */
    int64_t *index;       /* FS_LOG_PROB: one a row, given */
    double *logprob;
    const struct fs_batch
        *tile_of; /* these rows are copies of rows of another batch, or NULL; `first` is the first of them */
    size_t first;
    const fs_words *seeded; /* FS_SAMPLE_SEEDED: the seeds, keys and steps, of the rows that others are copies of */
} fs_batch;

/* The rows of b from row i on, of which `copies` are copies; results that are no rows go where those of b do. */
static inline fs_batch fs_batch_from(const fs_batch *b, size_t i, const fs_rows *copies)
{
    const fs_batch copied = {.rows = copies,
                             .u = b->u ? b->u + i : NULL,
                             .index = b->index ? b->index + i : NULL,
                             .logprob = b->logprob ? b->logprob + i : NULL,
                             .tile_of = b,
                             .first = i,
                             .seeded = b->seeded};
    return copied;
}

/* The rows that these are copies of, by way of others or not; and *i, a row of these, among them. */
static inline const fs_batch *fs_original(const fs_batch *b, size_t *i)
{
    for (; b->tile_of; b = b->tile_of)
        *i += b->first;
    return b;
}

static inline fs_draw_key fs_draw_key_at(const fs_batch *b, size_t i)
{
    const fs_words *words = b->seeded;
    size_t row = i;
    fs_original(b, &row);
    const fs_draw_key key = {words[0].word[row * words[0].stride], words[1].word[row * words[1].stride],
                             words[2].word[row * words[2].stride]};
    return key;
}

/* Row i, whatever it holds and at any temperature.  A row that has no result gets NaN, or index -1. */
static fs_status fs_do_row(const fs_batch *b, size_t i, fs_operation operation)
{
    const size_t n = b->rows->n;
    const fs_row row = fs_row_at(b->rows, i);
    const double temperature = fs_temperature_at(b->rows, i);
    fs_status status;
    if (operation == FS_SAMPLE || operation == FS_SAMPLE_SEEDED) {
        double *logprob = b->logprob ? b->logprob + i : NULL;
        if (operation == FS_SAMPLE) {
            status = kernel_sample(&row, n, temperature, 1, b->u + i, b->index + i, logprob);
        } else {
            const fs_draw_key key = fs_draw_key_at(b, i);
            status = kernel_sample_seeded(&row, n, temperature, key.seed, key.key, key.step, b->index + i, logprob);
        }
        if (status != FS_OK) {
            b->index[i] = -1;
            if (logprob)
                *logprob = fs_f64_of(UINT64_C(0x7ff8000000000000));
        }
        return status;
    }
    if (operation == FS_LOG_PROB) {
        status = kernel_logprob(&row, n, temperature, 1, b->index + i, b->logprob + i);
        if (status != FS_OK)
            b->logprob[i] = fs_f64_of(UINT64_C(0x7ff8000000000000));
        return status;
    }
    const fs_output out = fs_output_at(b->out, b->out_step, i);
    if (operation == FS_LOGSUMEXP || operation == FS_ENTROPY) {
        double result;
        status = (operation == FS_ENTROPY ? kernel_entropy : kernel_logsumexp)(&row, n, temperature, &result);
        if (!fs_has_ended(status))
            fs_store_f64(&out, 0, 1, &result);
        return status;
    }
    return operation == FS_SOFTMAX ? kernel_softmax(&row, n, temperature, &out)
                                   : kernel_log_softmax(&row, n, temperature, &out);
}

static size_t fs_rows_one_by_one(const fs_batch *b, fs_operation operation)
{
    for (size_t i = 0; i < b->rows->count; i++)
        if (fs_has_ended(fs_do_row(b, i, operation)))
            return i;
    return b->rows->count;
}

#endif

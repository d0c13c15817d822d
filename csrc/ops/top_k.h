/* The first k entries of the sorted order with their log-probabilities, and the rank of one. */
#ifndef FS_TOP_K_H
#define FS_TOP_K_H

static fs_status kernel_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                            double *logprob, size_t chosen, int64_t *rank)
{
    const uint32_t *number = NULL;
    fs_reader reader = fs_reader_of(row);
    fs_status status = fs_is_wide(row) ? top_k_f64(&reader, n, k, scratch, chosen, rank, &number)
                                       : top_k_f32(&reader, n, k, scratch, chosen, rank, &number);
    if (status != FS_OK)
        return status;
    double max = 0.0, log_sum = 0.0;
    status = fs_log_normaliser(row, n, &temperature, &reader, &max, &log_sum);
    for (size_t j = 0; j < k && status == FS_OK; j++) {
        index[j] = number[j];
        logprob[j] = fs_logprob_of(&reader, number[j], temperature, max, log_sum);
    }
    return status;
}

#endif

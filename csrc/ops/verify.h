/* Speculative decoding: whether a drafted token is accepted, and the token in its place if it is not.
 * Leviathan, Kalman & Matias 2023 (arXiv 2211.17192); Chen et al. 2023 (arXiv 2302.01318). */
#ifndef FS_VERIFY_H
#define FS_VERIFY_H

/* The probability of one entry. */
static fs_status fs_probability(const fs_row *row, size_t n, double temperature, size_t i, double *p)
{
    fs_reader reader;
    double max = 0.0, log_sum = 0.0;
    int64_t best = -1;
    if (temperature == 0.0) {
        fs_status status = fs_argmax(row, n, &best);
        *p = best == (int64_t)i ? 1.0 : 0.0;
        return status;
    }
    fs_status status = fs_log_normaliser(row, n, &temperature, &reader, &max, &log_sum);
    if (status == FS_OK)
        *p = fs_exp(fs_logprob_of(&reader, i, temperature, max, log_sum));
    return status;
}

static fs_status kernel_accept(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2],
                               size_t token, double u, int *accepted)
{
    double p = 0.0, q = 1.0;
    fs_status status = fs_probability(target, n, temperature[0], token, &p);
    if (status == FS_OK && draft)
        status = fs_probability(draft, n, temperature[1], token, &q);
    *accepted = u * q < p;
    return status;
}

/* All probabilities of a row in double. */
static fs_status fs_probabilities(const fs_row *row, size_t n, double temperature, double *p)
{
    fs_reader reader = fs_reader_of(row);
    int64_t best = -1;
    fs_output out = {p, (ptrdiff_t)sizeof(double), FS_F64};
    if (temperature == 0.0) {
        fs_status status = fs_argmax(row, n, &best);
        for (size_t i = 0; i < n; i++)
            p[i] = (int64_t)i == best;
        return status;
    }
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(&reader, start, len, p + start);
        if (x != p + start)
            memcpy(p + start, x, len * sizeof *p);
    }
    fs_candidates logits = fs_candidates_of(p, FS_F64, 0, n, NULL);
    return kernel_softmax(&logits.row, n, temperature, &out);
}

static fs_status kernel_correct(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2],
                                size_t token, double u, void *scratch, int64_t *index)
{
    double *p = fs_workspace_doubles(scratch, n), *q = workspace_of_f64(scratch, n).row,
           *rest = workspace_of_f64(scratch, n).value;
    fs_status status = fs_probabilities(target, n, temperature[0], p);
    if (status == FS_OK && draft)
        status = fs_probabilities(draft, n, temperature[1], q);
    if (status != FS_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        double over = p[i] - (draft ? q[i] : i == token);
        rest[i] = over > 0.0 ? over : 0.0;
    }
    fs_candidates left = fs_candidates_of(rest, FS_F64, 1, n, NULL), all = fs_candidates_of(p, FS_F64, 1, n, NULL);
    status = kernel_sample(&left.row, n, 1.0, 1, &u, index, NULL);
    return status == FS_NO_MASS ? kernel_sample(&all.row, n, 1.0, 1, &u, index, NULL) : status;
}

#endif

/* fastsoftmax: softmax with temperature and drawing from it, one row at a time or many.
 *
 * The only header callers see.  C11, no dependency but the C library.  Nothing here allocates unless said,
 * nothing raises, nothing prints.  Every function gives the same bits on every instruction set.
 */
#ifndef FASTSOFTMAX_H
#define FASTSOFTMAX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { FS_F32, FS_F64, FS_F16, FS_BF16 } fs_dtype;

typedef enum {
    FS_OK,
    FS_NAN,       /* the row holds NaN */
    FS_NO_MASS,   /* every entry is -inf, masked, or of weight 0 */
    FS_NO_MEMORY, /* scratch for a row of more than 2^17 entries could not be had */
    FS_LIMIT      /* internal: the row needs the limit of the formula, not the formula */
} fs_status;

typedef enum { FS_MASK_NONE, FS_MASK_BYTES, FS_MASK_WORDS } fs_mask_kind;

/* One row of logits (or probabilities) of any layout.  Strides are in bytes; data is aligned to its dtype. */
typedef struct {
    const void *data;
    ptrdiff_t stride;
    fs_dtype dtype;
    int probs;               /* the entries are probabilities (any weights >= 0): the logits are their logarithms */
    fs_mask_kind mask_kind;  /* bytes: nonzero is allowed; words: bit i % 32 of word i / 32 */
    const void *mask;
    ptrdiff_t mask_stride;
    const double *bias;      /* added to the logits; NULL: none */
    ptrdiff_t bias_stride;
    const int64_t *bias_at; /* with `bias_count`: bias[j] is added to entry bias_at[j], ascending; NULL: one an entry */
    size_t bias_count;
} fs_row;

/* Where a row of results goes.  It may be the row it comes from, with the same stride. */
typedef struct {
    void *data;
    ptrdiff_t stride;
    fs_dtype dtype;
} fs_output;

/* Per row; temperature >= 0 or +inf, n >= 1.
 * softmax, log_softmax: FS_OK, or FS_NAN / FS_NO_MASS with the row filled with NaN, or FS_NO_MEMORY with nothing
 * written.  logsumexp: *result is set in each of these. */
fs_status fs_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out);
fs_status fs_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out);
fs_status fs_logsumexp(const fs_row *row, size_t n, double temperature, double *result);

/* k draws from one row: index[j] is the smallest index whose cumulative weight exceeds u[j] times the total.
 * 0 <= u[j] < 1.  Index and logprob (may be NULL) are written for FS_OK only. */
fs_status fs_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u, int64_t *index,
                    double *logprob);

/* Many rows whose entries lie one after another, `stride` bytes from row to row (temperature_stride too).
 * The result of each row is that of the functions above.  Returns the number of rows done: less than `rows`
 * only where memory ran out.  A row that cannot be drawn from gives index -1. */
size_t fs_softmax_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, float *out, ptrdiff_t out_stride);
size_t fs_softmax_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, double *out, ptrdiff_t out_stride);
/* The same for float16 or bfloat16, rows and entries all contiguous. */
size_t fs_softmax_rows_half(fs_dtype dtype, const uint16_t *x, size_t rows, size_t n, const double *temperature,
                            ptrdiff_t temperature_stride, uint16_t *out);
size_t fs_sample_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index);
size_t fs_sample_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index);

/* Instruction sets by name: "scalar", "avx2", "avx512", "neon".
 * fs_choose(NULL) takes the best one; returns 0, or -1 where this CPU or build has no such set. */
int fs_choose(const char *name);
const char *fs_chosen(void);
/* The i-th usable set, best first; NULL past the end. */
const char *fs_available(size_t i);

#ifdef __cplusplus
}
#endif
#endif

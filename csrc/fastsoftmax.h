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
    FS_NO_MEMORY, /* scratch for a row of more than 2^18 entries could not be had */
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

/* Which entries of a row may be drawn, beside mask and bias; in the order of application.  All are checked by the
 * caller.  Each value named is the one that switches the filter off. */
typedef struct {
    int64_t top_k; /* 0 */
    double top_p; /* 1 */
    double min_p; /* 0 */
    double typical_p; /* 1 */
    double top_n_sigma; /* 0 */
    double epsilon_cutoff; /* 0 */
    double eta_cutoff; /* 0 */
    double xtc_threshold; /* above 1/2 */
    double xtc_probability; /* 0 */
    double surprise; /* +inf; the largest -log2 p, in bits: mirostat's mu */
    double dynatemp_range; /* 0 */
    double dynatemp_exponent;
    int64_t min_tokens_to_keep; /* >= 1 */
    int64_t temperature_last; /* the filters look at temperature 1, and the temperature applies to what is left */
} fs_filters;

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

/* The same with u[j] = next(state), in this order; none is taken unless the result is FS_OK. */
typedef double fs_uniform_of(void *state);
fs_status fs_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next, void *state,
                         int64_t *index);

/* A row prepared for many draws: the same draws as those of fs_sample, at a few nanoseconds each.  It holds all it needs,
 * and is only read by draws: any number of threads may draw at once. */
typedef struct fs_categorical fs_categorical;

/* Bytes of a prepared row of n entries, aligned as malloc does; 0: n is more than 2^26. */
size_t fs_categorical_size(size_t n);
/* FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *prepared);
void fs_categorical_draw(const fs_categorical *prepared, size_t k, const double *u, int64_t *index);
/* The same with u[j] = next(state), in this order. */
void fs_categorical_draw_from(const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state,
                              int64_t *index);

/* log p of entries of a row, as fs_sample gives it; FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                     double *logprob);

/* Memory the functions below work in: bytes, for a row of n entries; 0: n is more than 2^32 - 2^10.  Any alignment. */
size_t fs_scratch_size(size_t n);

/* fs_sample from what the filters leave; coin, in [0, 1), is XTC's.  FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *filters, double coin,
                             size_t k, const double *u, void *scratch, int64_t *index, double *logprob);
/* logits / temperature where they are left, -inf elsewhere.  FS_NAN: the row is filled with NaN. */
fs_status fs_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *filters, double coin,
                      void *scratch, const fs_output *out);

/* The first k <= n of the order (value descending, index ascending) and their log-probabilities; rank (may be NULL) is
 * the place in it of the entry `chosen`, from 1. */
fs_status fs_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                 double *logprob, size_t chosen, int64_t *rank);
/* k indices, each drawn from what those before it leave: the k largest x / T - log(-log(1 - u)), u one an entry and
 * `u_stride` bytes apart.  FS_NO_MASS: fewer than k entries can be drawn. */
fs_status fs_without_replacement(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                 ptrdiff_t u_stride, void *scratch, int64_t *index);

/* Whether a token drawn from `draft` (NULL: one that proposed this token alone) is accepted as one of `target`:
 * u q(token) < p(token).  The temperatures are of target and draft. */
fs_status fs_accept(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                    double u, int *accepted);
/* The token in place of a rejected one: drawn from max(p - q, 0), or from p where that is 0. */
fs_status fs_correct(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                     double u, void *scratch, int64_t *index);

/* What repeats in the context of a row is made less likely (penalize.c). */
typedef struct {
    double repetition, frequency, presence;
    double dry_multiplier, dry_base;
    int64_t dry_allowed_length, dry_last_n; /* dry_last_n: how many tokens DRY looks at; below 0: all */
} fs_penalties;

/* Sequences of tokens at which DRY's repeats end, one after another; of[i] is where the i-th begins. */
typedef struct {
    const int64_t *token;
    const size_t *of; /* count + 1 of them */
    size_t count;
} fs_breakers;

/* Bytes of scratch for a context of this length. */
size_t fs_penalize_scratch(size_t length);
/* In place, on the entries named in the context; tokens are in [0, n). */
void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                 const fs_breakers *breakers, void *scratch);

/* u[i] in [0, 1), a function of seed, key[i], step and stream (keyed.c). */
void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u);

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

/* The list of entry points that are compiled once for each instruction set.  An operation is added to it in one line:
 *
 *     X(type, name, (parameters), (arguments))
 *
 * makes the field `name` of fs_kernels below, its initialiser in kernels.h, and in dispatch.c the public function fs_name,
 * which fastsoftmax.h declares and describes.  The kernel itself is a static function kernel_name, in ops/ or shard/. */
#ifndef FS_KERNEL_TABLE_H
#define FS_KERNEL_TABLE_H

#include "fastsoftmax.h"

/* clang-format off */
#define FS_EACH_KERNEL(X)                                                                                            \
    X(fs_status, softmax, (const fs_row *row, size_t n, double temperature, const fs_output *out),                   \
      (row, n, temperature, out))                                                                                    \
    X(fs_status, log_softmax, (const fs_row *row, size_t n, double temperature, const fs_output *out),               \
      (row, n, temperature, out))                                                                                    \
    X(fs_status, logsumexp, (const fs_row *row, size_t n, double temperature, double *sum),                          \
      (row, n, temperature, sum))                                                                                    \
    X(fs_status, logsumexp_weighted,                                                                                 \
      (const fs_row *row, const fs_row *weights, size_t n, double temperature, const fs_output *out),                \
      (row, weights, n, temperature, out))                                                                           \
    X(fs_status, entropy, (const fs_row *row, size_t n, double temperature, double *nats),                           \
      (row, n, temperature, nats))                                                                                   \
    X(fs_status, kl_divergence,                                                                                      \
      (const fs_row *p, const fs_row *q, size_t n, double temperature, double *nats),                                \
      (p, q, n, temperature, nats))                                                                                  \
    X(fs_status, sample,                                                                                             \
      (const fs_row *row, size_t n, double temperature, size_t k, const double *u, int64_t *index, double *logprob), \
      (row, n, temperature, k, u, index, logprob))                                                                   \
    X(fs_status, sample_from,                                                                                        \
      (const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next, void *state, int64_t *index), \
      (row, n, temperature, k, next, state, index))                                                                  \
    X(fs_status, sample_seeded,                                                                                      \
      (const fs_row *row, size_t n, double temperature, uint64_t seed, uint64_t key, uint64_t step, int64_t *index,  \
       double *logprob),                                                                                             \
      (row, n, temperature, seed, key, step, index, logprob))                                                        \
    X(fs_status, logprob,                                                                                            \
      (const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index, double *logprob),        \
      (row, n, temperature, count, index, logprob))                                                                  \
    X(fs_status, softmax_f32, (const float *x, size_t n, double temperature, float *out), (x, n, temperature, out))  \
    X(fs_status, softmax_f64, (const double *x, size_t n, double temperature, double *out), (x, n, temperature, out))\
    X(size_t, softmax_rows, (const fs_rows *rows, const fs_output *out, ptrdiff_t out_step), (rows, out, out_step))  \
    X(size_t, log_softmax_rows, (const fs_rows *rows, const fs_output *out, ptrdiff_t out_step),                     \
      (rows, out, out_step))                                                                                         \
    X(size_t, logsumexp_rows, (const fs_rows *rows, const fs_output *out, ptrdiff_t out_step), (rows, out, out_step))\
    X(size_t, entropy_rows, (const fs_rows *rows, const fs_output *out, ptrdiff_t out_step), (rows, out, out_step))  \
    X(size_t, kl_divergence_rows, (const fs_rows *p, const fs_rows *q, double *nats, ptrdiff_t step),                \
      (p, q, nats, step))                                                                                            \
    X(size_t, logprob_rows, (const fs_rows *rows, const int64_t *index, double *logprob), (rows, index, logprob))    \
    X(size_t, sample_rows, (const fs_rows *rows, const double *u, int64_t *index, double *logprob),                  \
      (rows, u, index, logprob))                                                                                     \
    X(size_t, sample_seeded_rows,                                                                                    \
      (const fs_rows *rows, fs_words seeds, fs_words keys, fs_words steps, int64_t *index, double *logprob),         \
      (rows, seeds, keys, steps, index, logprob))                                                                    \
    X(fs_status, softmax_segments,                                                                                   \
      (const fs_segments *segments, size_t first, size_t past, const fs_output *out), (segments, first, past, out))  \
    X(fs_status, log_softmax_segments,                                                                               \
      (const fs_segments *segments, size_t first, size_t past, const fs_output *out), (segments, first, past, out))  \
    X(fs_status, logsumexp_segments,                                                                                 \
      (const fs_segments *segments, size_t first, size_t past, const fs_output *sums), (segments, first, past, sums))\
    X(fs_status, sample_segments,                                                                                    \
      (const fs_segments *segments, size_t first, size_t past, const double *u, int64_t *index, double *logprob),    \
      (segments, first, past, u, index, logprob))                                                                    \
    X(fs_status, sample_filtered,                                                                                    \
      (const fs_row *row, size_t n, double temperature, const fs_filters *filters, const fs_indices *keep,           \
       double coin, size_t k, const double *u, void *scratch, int64_t *index, double *logprob),                      \
      (row, n, temperature, filters, keep, coin, k, u, scratch, index, logprob))                                     \
    X(fs_status, sample_filtered_seeded,                                                                             \
      (const fs_row *row, size_t n, double temperature, const fs_filters *filters, const fs_indices *keep,           \
       double coin, uint64_t seed, uint64_t key, uint64_t step, void *scratch, int64_t *index, double *logprob),     \
      (row, n, temperature, filters, keep, coin, seed, key, step, scratch, index, logprob))                          \
    X(fs_status, sample_adapted,                                                                                     \
      (const fs_row *row, size_t n, double temperature, const fs_filters *filters, const fs_indices *keep,           \
       double coin, double aim, double u, void *scratch, int64_t *index, double *logprob, double *before),           \
      (row, n, temperature, filters, keep, coin, aim, u, scratch, index, logprob, before))                           \
    X(fs_status, truncate,                                                                                           \
      (const fs_row *row, size_t n, double temperature, const fs_filters *filters, const fs_indices *keep,           \
       double coin, void *scratch, const fs_output *out),                                                            \
      (row, n, temperature, filters, keep, coin, scratch, out))                                                      \
    X(fs_status, top,                                                                                                \
      (const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index, double *logprob,    \
       size_t chosen, int64_t *rank),                                                                                \
      (row, n, temperature, k, scratch, index, logprob, chosen, rank))                                               \
    X(fs_status, without_replacement,                                                                                \
      (const fs_row *row, size_t n, double temperature, size_t k, const double *u, void *scratch,                    \
       int64_t *index),                                                                                              \
      (row, n, temperature, k, u, scratch, index))                                                                   \
    X(fs_status, accept,                                                                                             \
      (const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token, double u,     \
       int *accepted),                                                                                               \
      (target, draft, n, temperature, token, u, accepted))                                                           \
    X(fs_status, correct,                                                                                            \
      (const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token, double u,     \
       void *scratch, int64_t *index),                                                                               \
      (target, draft, n, temperature, token, u, scratch, index))                                                     \
    X(fs_status, accept_child,                                                                                       \
      (const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], const fs_tree *tree,        \
       int64_t node, const double *u, void *scratch, int64_t *child, int64_t *index),                                \
      (target, draft, n, temperature, tree, node, u, scratch, child, index))                                         \
    X(fs_status, categorical_build, (const fs_row *row, size_t n, double temperature, fs_categorical *prepared),     \
      (row, n, temperature, prepared))                                                                               \
    X(fs_status, categorical_draw, (const fs_categorical *prepared, size_t k, const double *u, int64_t *index),      \
      (prepared, k, u, index))                                                                                       \
    X(fs_status, categorical_draw_from,                                                                              \
      (const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state, int64_t *index),                  \
      (prepared, k, next, state, index))                                                                             \
    X(fs_status, categorical_draw_seeded,                                                                            \
      (const fs_categorical *prepared, uint64_t seed, uint64_t key, uint64_t first, size_t k, int64_t *index),       \
      (prepared, seed, key, first, k, index))                                                                        \
    X(fs_status, summarise,                                                                                          \
      (const fs_row *row, size_t first, size_t n, double temperature, int in_double, double *max, double *sum,       \
       double *rest),                                                                                                \
      (row, first, n, temperature, in_double, max, sum, rest))                                                       \
    X(fs_status, read_entries, (const fs_row *row, size_t first, size_t n, void *to), (row, first, n, to))           \
    X(fs_status, normalise,                                                                                          \
      (fs_dtype dtype, double temperature, const fs_summary *summary, fs_normaliser *normaliser),                    \
      (dtype, temperature, summary, normaliser))                                                                     \
    X(fs_status, logsumexp_of_summary,                                                                               \
      (fs_dtype dtype, double temperature, const fs_summary *summary, const fs_normaliser *normaliser, double *sum), \
      (dtype, temperature, summary, normaliser, sum))                                                                \
    X(fs_status, locate,                                                                                             \
      (fs_dtype dtype, double temperature, const fs_summary *summary, const fs_normaliser *normaliser, size_t k,     \
       const double *u, fs_location *at),                                                                            \
      (dtype, temperature, summary, normaliser, k, u, at))                                                           \
    X(fs_status, cut_maxima,                                                                                         \
      (fs_dtype dtype, double temperature, const fs_summary *summary, const fs_normaliser *normaliser,               \
       const fs_part *part, double *cut_max),                                                                        \
      (dtype, temperature, summary, normaliser, part, cut_max))                                                      \
    X(fs_status, softmax_shard,                                                                                      \
      (const fs_row *row, const fs_part *part, double temperature, const fs_normaliser *normaliser,                  \
       const double *cut_max, const double *block_max, const fs_output *out),                                        \
      (row, part, temperature, normaliser, cut_max, block_max, out))                                                 \
    X(fs_status, log_softmax_shard,                                                                                  \
      (const fs_row *row, size_t n, double temperature, const fs_normaliser *normaliser, const fs_output *out),      \
      (row, n, temperature, normaliser, out))                                                                        \
    X(fs_status, resolve,                                                                                            \
      (const fs_row *row, const fs_part *part, double temperature, const fs_normaliser *normaliser, size_t k,        \
       const fs_location *at, int64_t *index, double *logprob),                                                      \
      (row, part, temperature, normaliser, k, at, index, logprob))
/* clang-format on */

typedef struct {
    const char *name;
#define FS_FIELD(type, name, parameters, arguments) type(*name) parameters;
    FS_EACH_KERNEL(FS_FIELD)
#undef FS_FIELD
} fs_kernels;

extern const fs_kernels fs_kernels_scalar, fs_kernels_avx2, fs_kernels_avx512, fs_kernels_neon;

#endif

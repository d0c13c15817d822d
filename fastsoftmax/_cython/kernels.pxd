# The C kernels (csrc/fastsoftmax.h), for this package's own Cython code.  The values of fs_status are in _core.pxd.

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint16_t, uint64_t

ctypedef int fs_status


cdef extern from "fastsoftmax.h" nogil:
    ctypedef enum fs_dtype:
        FS_F32, FS_F64, FS_F16, FS_BF16
    ctypedef enum fs_mask_kind:
        FS_MASK_NONE, FS_MASK_BYTES, FS_MASK_WORDS
    ctypedef struct fs_row:
        const void *data
        ptrdiff_t stride
        fs_dtype dtype
        int probs
        fs_mask_kind mask_kind
        const void *mask
        ptrdiff_t mask_stride
        const double *bias
        ptrdiff_t bias_stride
        const int64_t *bias_at
        size_t bias_count
    ctypedef struct fs_output:
        void *data
        ptrdiff_t stride
        fs_dtype dtype
    ctypedef struct fs_rows:
        fs_row row
        size_t count
        size_t n
        ptrdiff_t step
        ptrdiff_t mask_step
        ptrdiff_t bias_step
        const double *temperature
        ptrdiff_t temperature_step
    fs_status fs_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
    fs_status fs_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
    fs_status fs_logsumexp(const fs_row *row, size_t n, double temperature, double *result)
    fs_status fs_logsumexp_weighted(const fs_row *row, const fs_row *weights, size_t n, double temperature,
                                    const fs_output *out)
    fs_status fs_entropy(const fs_row *row, size_t n, double temperature, double *result)
    fs_status fs_kl_divergence(const fs_row *p, const fs_row *q, size_t n, double temperature, double *result)
    fs_status fs_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                        int64_t *index, double *logprob)
    ctypedef double fs_uniform_of(void *state) noexcept
    fs_status fs_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next,
                             void *state, int64_t *index)
    ctypedef struct fs_categorical:
        pass
    size_t fs_categorical_size(size_t n)
    fs_status fs_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *prepared)
    fs_status fs_categorical_draw(const fs_categorical *prepared, size_t k, const double *u, int64_t *index)
    fs_status fs_categorical_draw_seeded(const fs_categorical *prepared, uint64_t seed, uint64_t key, uint64_t first,
                                         size_t k, int64_t *index)
    fs_status fs_categorical_draw_from(const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state,
                                       int64_t *index)
    fs_status fs_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                         double *logprob)
    ctypedef struct fs_filters:
        int64_t top_k
        double surprise
    ctypedef struct fs_indices:
        const int64_t *index
        size_t count
    ctypedef struct fs_penalties:
        double repetition
    ctypedef struct fs_breakers:
        const int64_t *token
        const size_t *of
        size_t count
    size_t fs_scratch_size(size_t n)
    fs_status fs_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                                 const fs_indices *keep, double coin, size_t k, const double *u, void *scratch,
                                 int64_t *index, double *logprob)
    fs_status fs_sample_filtered_seeded(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                                        const fs_indices *keep, double coin, uint64_t seed, uint64_t key, uint64_t step,
                                        void *scratch, int64_t *index, double *logprob)
    fs_status fs_sample_adapted(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                                const fs_indices *keep, double coin, double aim, double u, void *scratch,
                                int64_t *index, double *logprob, double *before)
    fs_status fs_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                          const fs_indices *keep, double coin, void *scratch, const fs_output *out)
    fs_status fs_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                     double *logprob, size_t chosen, int64_t *rank)
    fs_status fs_without_replacement(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                     void *scratch, int64_t *index)
    fs_status fs_accept(const fs_row *target, const fs_row *draft, size_t n, const double *temperature,
                        size_t token, double u, int *accepted)
    fs_status fs_correct(const fs_row *target, const fs_row *draft, size_t n, const double *temperature,
                         size_t token, double u, void *scratch, int64_t *index)
    ctypedef struct fs_tree:
        size_t count
        const int64_t *token
        const int64_t *parent
        int replacement
    fs_status fs_accept_child(const fs_row *target, const fs_row *draft, size_t n, const double *temperature,
                              const fs_tree *tree, int64_t node, const double *u, void *scratch, int64_t *child,
                              int64_t *index)
    const size_t FS_REJECTION_FROM, FS_REJECTION_TO
    fs_status fs_sample_seeded(const fs_row *row, size_t n, double temperature, uint64_t seed, uint64_t key,
                               uint64_t step, int64_t *index, double *logprob)
    void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u)
    ctypedef struct fs_words:
        const uint64_t *word
        size_t stride
    void fs_keyed_uniforms_of(fs_words seeds, fs_words keys, fs_words steps, size_t count, uint64_t stream, double *u)
    size_t fs_penalize_scratch(size_t length)
    void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                     const fs_breakers *breakers, void *scratch)
    ctypedef struct fs_blocks:
        size_t blocks
        const double *max
        const double *sum
        double rest
    ctypedef struct fs_summary:
        fs_blocks of
        fs_blocks wide
    ctypedef struct fs_normaliser:
        double max
        int64_t status
    ctypedef struct fs_part:
        size_t offset
        size_t n
        size_t entries
    ctypedef struct fs_location:
        int64_t start
        int64_t entry
        double max
    size_t fs_shard_block(fs_dtype dtype)
    int fs_needs_double(fs_dtype dtype, double temperature)
    fs_status fs_summarise(const fs_row *row, size_t first, size_t n, double temperature, int in_double, double *max,
                           double *sum, double *rest)
    fs_status fs_read_entries(const fs_row *row, size_t first, size_t n, void *to)
    fs_status fs_normalise(fs_dtype dtype, double temperature, const fs_summary *summary, fs_normaliser *normaliser)
    fs_status fs_logsumexp_of_summary(fs_dtype dtype, double temperature, const fs_summary *summary,
                                      const fs_normaliser *normaliser, double *result)
    fs_status fs_locate(fs_dtype dtype, double temperature, const fs_summary *summary,
                        const fs_normaliser *normaliser, size_t k, const double *u, fs_location *at)
    fs_status fs_cut_maxima(fs_dtype dtype, double temperature, const fs_summary *summary,
                            const fs_normaliser *normaliser, const fs_part *part, double *cut_max)
    fs_status fs_softmax_shard(const fs_row *row, const fs_part *part, double temperature,
                               const fs_normaliser *normaliser, const double *cut_max, const double *block_max,
                               const fs_output *out)
    fs_status fs_log_softmax_shard(const fs_row *row, size_t n, double temperature, const fs_normaliser *normaliser,
                                   const fs_output *out)
    fs_status fs_resolve(const fs_row *row, const fs_part *part, double temperature, const fs_normaliser *normaliser,
                         size_t k, const fs_location *at, int64_t *index, double *logprob)
    size_t fs_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
    size_t fs_log_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
    size_t fs_logsumexp_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
    size_t fs_entropy_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step)
    size_t fs_kl_divergence_rows(const fs_rows *p, const fs_rows *q, double *result, ptrdiff_t step)
    size_t fs_logprob_rows(const fs_rows *rows, const int64_t *index, double *logprob)
    size_t fs_sample_rows(const fs_rows *rows, const double *u, int64_t *index, double *logprob)
    size_t fs_sample_seeded_rows(const fs_rows *rows, fs_words seeds, fs_words keys, fs_words steps, int64_t *index,
                                 double *logprob)
    ctypedef struct fs_segments:
        const void *data
        ptrdiff_t stride
        fs_dtype dtype
        const int64_t *offset
        const double *temperature
        ptrdiff_t temperature_step
    fs_status fs_softmax_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *out)
    fs_status fs_log_softmax_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *out)
    fs_status fs_logsumexp_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *sums)
    fs_status fs_sample_segments(const fs_segments *segments, size_t first, size_t past, const double *u,
                                 int64_t *index, double *logprob)
    int fs_choose(const char *name)
    const char *fs_chosen()
    const char *fs_available(size_t i)
    fs_status fs_softmax_f32(const float *x, size_t n, double temperature, float *out)
    fs_status fs_log_softmax_f32(const float *x, size_t n, double temperature, float *out)
    fs_status fs_logsumexp_f32(const float *x, size_t n, double temperature, double *result)
    fs_status fs_entropy_f32(const float *x, size_t n, double temperature, double *result)
    int64_t fs_draw_f32(const float *x, size_t n, double temperature, double u)
    int64_t fs_draw_probs_f32(const float *p, size_t n, double temperature, double u)
    fs_status fs_draw_many_f32(const float *x, size_t n, double temperature, size_t k, const double *u, int64_t *index)
    fs_status fs_draw_many_probs_f32(const float *p, size_t n, double temperature, size_t k, const double *u,
                                     int64_t *index)
    fs_status fs_draw_rows_f32(const float *x, size_t rows, size_t n, double temperature, const double *u,
                               int64_t *index)
    int64_t fs_draw_filtered_f32(const float *x, size_t n, double temperature, const fs_filters *filters, double coin,
                                 double u, void *scratch)
    fs_status fs_softmax_f64(const double *x, size_t n, double temperature, double *out)
    fs_status fs_log_softmax_f64(const double *x, size_t n, double temperature, double *out)
    fs_status fs_logsumexp_f64(const double *x, size_t n, double temperature, double *result)
    fs_status fs_entropy_f64(const double *x, size_t n, double temperature, double *result)
    int64_t fs_draw_f64(const double *x, size_t n, double temperature, double u)
    int64_t fs_draw_probs_f64(const double *p, size_t n, double temperature, double u)
    fs_status fs_draw_many_f64(const double *x, size_t n, double temperature, size_t k, const double *u, int64_t *index)
    fs_status fs_draw_many_probs_f64(const double *p, size_t n, double temperature, size_t k, const double *u,
                                     int64_t *index)
    fs_status fs_draw_rows_f64(const double *x, size_t rows, size_t n, double temperature, const double *u,
                               int64_t *index)
    int64_t fs_draw_filtered_f64(const double *x, size_t n, double temperature, const fs_filters *filters, double coin,
                                 double u, void *scratch)
    void fs_no_filters(fs_filters *filters)
    int fs_abi_version()


cdef extern from "base/dtype.h" nogil:
    const double FS_EXTREME_F64

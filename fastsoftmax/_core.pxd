# The C kernels (csrc/fastsoftmax.h), for this package's own Cython code.

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint16_t, uint64_t


cdef extern from "fastsoftmax.h" nogil:
    ctypedef enum fs_dtype:
        FS_F32, FS_F64, FS_F16, FS_BF16
    ctypedef enum fs_status:
        FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY
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
    fs_status fs_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
    fs_status fs_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
    fs_status fs_logsumexp(const fs_row *row, size_t n, double temperature, double *result)
    fs_status fs_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                        int64_t *index, double *logprob)
    ctypedef struct fs_filters:
        int64_t top_k
    ctypedef struct fs_penalties:
        double repetition
    ctypedef struct fs_breakers:
        const int64_t *token
        const size_t *of
        size_t count
    ctypedef double fs_uniform_of(void *state) noexcept
    fs_status fs_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next,
                             void *state, int64_t *index)
    ctypedef struct fs_categorical:
        pass
    size_t fs_categorical_size(size_t n)
    fs_status fs_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *prepared)
    void fs_categorical_draw(const fs_categorical *prepared, size_t k, const double *u, int64_t *index)
    void fs_categorical_draw_from(const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state,
                                  int64_t *index)
    fs_status fs_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                         double *logprob)
    size_t fs_scratch_size(size_t n)
    fs_status fs_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                                 double coin, size_t k, const double *u, void *scratch, int64_t *index,
                                 double *logprob)
    fs_status fs_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *filters, double coin,
                          void *scratch, const fs_output *out)
    fs_status fs_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                     double *logprob, size_t chosen, int64_t *rank)
    fs_status fs_without_replacement(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                     ptrdiff_t u_stride, void *scratch, int64_t *index)
    fs_status fs_accept(const fs_row *target, const fs_row *draft, size_t n, const double *temperature,
                        size_t token, double u, int *accepted)
    fs_status fs_correct(const fs_row *target, const fs_row *draft, size_t n, const double *temperature,
                         size_t token, double u, void *scratch, int64_t *index)
    void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u)
    size_t fs_penalize_scratch(size_t length)
    void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                     const fs_breakers *breakers, void *scratch)
    size_t fs_softmax_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                               ptrdiff_t temperature_stride, float *out, ptrdiff_t out_stride)
    size_t fs_softmax_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                               ptrdiff_t temperature_stride, double *out, ptrdiff_t out_stride)
    size_t fs_softmax_rows_half(fs_dtype dtype, const uint16_t *x, size_t rows, size_t n, const double *temperature,
                                ptrdiff_t temperature_stride, uint16_t *out)
    size_t fs_sample_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                              ptrdiff_t temperature_stride, const double *u, int64_t *index)
    size_t fs_sample_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                              ptrdiff_t temperature_stride, const double *u, int64_t *index)
    int fs_choose(const char *name)
    const char *fs_chosen()
    const char *fs_available(size_t i)

# The C API for other Cython code (docs/compiled.md): the functions of fastsoftmax.h for contiguous rows, with plain
# pointers and numbers.  They need neither the GIL nor a header; Numba functions call them by address.  Any number of
# threads may call them at once.  Where more than one thread is set (set_num_threads), a call with much work takes the
# lock of the thread pool.  Memory is allocated, and freed again, only for rows of more than 2^18 entries, and by
# draw_many for 64 draws and more, which makes a table of the row.
#
# fastsoftmax.h documents each function.  The arguments are:
#
#   x, p          one row of n >= 1 entries, or `rows` rows one after another: logits, or weights >= 0
#   temperature   >= 0 or +inf
#   out           as large as x: x itself, or memory that does not overlap it
#   u             uniforms in [0, 1): one, k for draw_many, one for each row for draw_rows
#   scratch       scratch_size(n) bytes of any alignment, for one thread at a time; size 0: n is above 2^32 - 1024
#   coin          the uniform of XTC; 1: XTC is not applied
#
# A function that returns int returns one of the codes below; an index below 0 is a negated code.  With FS_ARGUMENT
# nothing is written.  With FS_NO_MEMORY *_rows has done the rows before.  A row with NaN or without mass gives a row of
# NaN, or an index below 0, and *_rows goes on with the next one and returns FS_OK.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    FS_ABI_VERSION = 2  # abi_version() must return the same

cdef enum:
    FS_OK = 0
    FS_NAN = 1        # the row holds NaN
    FS_NO_MASS = 2    # every entry is -inf, or of weight 0
    FS_NO_MEMORY = 3
    FS_ARGUMENT = 4   # an argument is out of its range
    FS_INTERRUPTED = 5  # only in calls of fastsoftmax itself, which Ctrl-C ends
    FS_CHANGED = 6      # only in shards: the entries are not those that were summarised

# The filters of a row: call no_filters first, which switches every filter off.
ctypedef struct filters_t:
    int64_t top_k
    double top_p
    double min_p
    double top_a
    int64_t p_less
    double typical_p
    double top_h
    double top_n_sigma
    double epsilon_cutoff
    double eta_cutoff
    double xtc_threshold
    double xtc_probability
    double surprise
    double dynatemp_range
    double dynatemp_exponent
    double smoothing_factor
    double smoothing_curve
    int64_t min_tokens_to_keep
    int64_t temperature_last
    int64_t order

cdef int abi_version() noexcept nogil
cdef void no_filters(filters_t *filters) noexcept nogil
cdef size_t scratch_size(size_t n) noexcept nogil

# Uniforms by seed, key and step (fastsoftmax.keyed_uniforms; its stream is 0).
cdef double keyed_uniform(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream) noexcept nogil
cdef void keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream,
                         double *u) noexcept nogil

cdef int softmax_f32(const float *x, size_t n, double temperature, float *out) noexcept nogil
cdef int log_softmax_f32(const float *x, size_t n, double temperature, float *out) noexcept nogil
cdef int logsumexp_f32(const float *x, size_t n, double temperature, double *result) noexcept nogil
cdef int entropy_f32(const float *x, size_t n, double temperature, double *result) noexcept nogil
cdef int64_t draw_f32(const float *x, size_t n, double temperature, double u) noexcept nogil
cdef int64_t draw_probs_f32(const float *p, size_t n, double temperature, double u) noexcept nogil
cdef int draw_many_f32(const float *x, size_t n, double temperature, size_t k, const double *u,
                       int64_t *index) noexcept nogil
cdef int draw_many_probs_f32(const float *p, size_t n, double temperature, size_t k, const double *u,
                             int64_t *index) noexcept nogil
cdef int64_t draw_filtered_f32(const float *x, size_t n, double temperature, const filters_t *filters,
                               double coin, double u, void *scratch) noexcept nogil
cdef int softmax_rows_f32(const float *x, size_t rows, size_t n, double temperature, float *out) noexcept nogil
cdef int log_softmax_rows_f32(const float *x, size_t rows, size_t n, double temperature,
                              float *out) noexcept nogil
cdef int logsumexp_rows_f32(const float *x, size_t rows, size_t n, double temperature,
                            double *result) noexcept nogil
cdef int draw_rows_f32(const float *x, size_t rows, size_t n, double temperature, const double *u,
                       int64_t *index) noexcept nogil

cdef int softmax_f64(const double *x, size_t n, double temperature, double *out) noexcept nogil
cdef int log_softmax_f64(const double *x, size_t n, double temperature, double *out) noexcept nogil
cdef int logsumexp_f64(const double *x, size_t n, double temperature, double *result) noexcept nogil
cdef int entropy_f64(const double *x, size_t n, double temperature, double *result) noexcept nogil
cdef int64_t draw_f64(const double *x, size_t n, double temperature, double u) noexcept nogil
cdef int64_t draw_probs_f64(const double *p, size_t n, double temperature, double u) noexcept nogil
cdef int draw_many_f64(const double *x, size_t n, double temperature, size_t k, const double *u,
                       int64_t *index) noexcept nogil
cdef int draw_many_probs_f64(const double *p, size_t n, double temperature, size_t k, const double *u,
                             int64_t *index) noexcept nogil
cdef int64_t draw_filtered_f64(const double *x, size_t n, double temperature, const filters_t *filters,
                               double coin, double u, void *scratch) noexcept nogil
cdef int softmax_rows_f64(const double *x, size_t rows, size_t n, double temperature, double *out) noexcept nogil
cdef int log_softmax_rows_f64(const double *x, size_t rows, size_t n, double temperature,
                              double *out) noexcept nogil
cdef int logsumexp_rows_f64(const double *x, size_t rows, size_t n, double temperature,
                            double *result) noexcept nogil
cdef int draw_rows_f64(const double *x, size_t rows, size_t n, double temperature, const double *u,
                       int64_t *index) noexcept nogil

# The C API: the functions of _core.pxd, which are those of fastsoftmax.h without the prefix fs_.
#
# Other Cython modules, Numba and ctypes call them, without the GIL.  They check their arguments and raise nothing.

cdef extern from "base/arguments.h" nogil:
    bint fs_is_usable(size_t n, double temperature)

if sizeof(filters_t) != sizeof(fs_filters) or fs_abi_version() != FS_ABI_VERSION:
    raise ImportError(
        "fastsoftmax._core was built from a _core.pxd that does not match its kernels: build fastsoftmax again"
    )


cdef inline fs_rows contiguous_rows(fs_dtype dtype, const void *x, size_t count, size_t n,
                                    const double *temperature) noexcept nogil:
    cdef fs_rows rows
    rows.row = bare_row(x, size_of(dtype), dtype, False)
    rows.count = count
    rows.n = n
    rows.step = n * size_of(dtype)
    rows.mask_step = rows.bias_step = rows.temperature_step = 0
    rows.temperature = temperature
    return rows


cdef int abi_version() noexcept nogil:
    return fs_abi_version()


cdef void no_filters(filters_t *filters) noexcept nogil:
    fs_no_filters(<fs_filters *>filters)


cdef size_t scratch_size(size_t n) noexcept nogil:
    return fs_scratch_size(n)


cdef double keyed_uniform(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream) noexcept nogil:
    cdef double u
    fs_keyed_uniforms(seed, &key, 1, step, stream, &u)
    return u


cdef void keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream,
                         double *u) noexcept nogil:
    fs_keyed_uniforms(seed, key, count, step, stream, u)


cdef int softmax_f32(const float *x, size_t n, double temperature, float *out) noexcept nogil:
    return fs_softmax_f32(x, n, temperature, out)


cdef int log_softmax_f32(const float *x, size_t n, double temperature, float *out) noexcept nogil:
    return fs_log_softmax_f32(x, n, temperature, out)


cdef int logsumexp_f32(const float *x, size_t n, double temperature, double *result) noexcept nogil:
    return fs_logsumexp_f32(x, n, temperature, result)


cdef int entropy_f32(const float *x, size_t n, double temperature, double *result) noexcept nogil:
    return fs_entropy_f32(x, n, temperature, result)


cdef int64_t draw_f32(const float *x, size_t n, double temperature, double u) noexcept nogil:
    return fs_draw_f32(x, n, temperature, u)


cdef int64_t draw_probs_f32(const float *p, size_t n, double temperature, double u) noexcept nogil:
    return fs_draw_probs_f32(p, n, temperature, u)


cdef int draw_many_f32(const float *x, size_t n, double temperature, size_t k, const double *u,
                       int64_t *index) noexcept nogil:
    return fs_draw_many_f32(x, n, temperature, k, u, index)


cdef int draw_many_probs_f32(const float *p, size_t n, double temperature, size_t k, const double *u,
                             int64_t *index) noexcept nogil:
    return fs_draw_many_probs_f32(p, n, temperature, k, u, index)


cdef int64_t draw_filtered_f32(const float *x, size_t n, double temperature, const filters_t *filters,
                               double coin, double u, void *scratch) noexcept nogil:
    return fs_draw_filtered_f32(x, n, temperature, <const fs_filters *>filters, coin, u, scratch)


cdef int softmax_rows_f32(const float *x, size_t rows, size_t n, double temperature, float *out) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F32, x, rows, n, &temperature)
    cdef fs_output to = fs_output(out, sizeof(float), FS_F32)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_softmax_rows(&all, &to, all.step) == rows else FS_NO_MEMORY


cdef int log_softmax_rows_f32(const float *x, size_t rows, size_t n, double temperature,
                              float *out) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F32, x, rows, n, &temperature)
    cdef fs_output to = fs_output(out, sizeof(float), FS_F32)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_log_softmax_rows(&all, &to, all.step) == rows else FS_NO_MEMORY


cdef int logsumexp_rows_f32(const float *x, size_t rows, size_t n, double temperature,
                            double *result) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F32, x, rows, n, &temperature)
    cdef fs_output to = fs_output(result, 0, FS_F64)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_logsumexp_rows(&all, &to, sizeof(double)) == rows else FS_NO_MEMORY


cdef int draw_rows_f32(const float *x, size_t rows, size_t n, double temperature, const double *u,
                       int64_t *index) noexcept nogil:
    return fs_draw_rows_f32(x, rows, n, temperature, u, index)


cdef int softmax_f64(const double *x, size_t n, double temperature, double *out) noexcept nogil:
    return fs_softmax_f64(x, n, temperature, out)


cdef int log_softmax_f64(const double *x, size_t n, double temperature, double *out) noexcept nogil:
    return fs_log_softmax_f64(x, n, temperature, out)


cdef int logsumexp_f64(const double *x, size_t n, double temperature, double *result) noexcept nogil:
    return fs_logsumexp_f64(x, n, temperature, result)


cdef int entropy_f64(const double *x, size_t n, double temperature, double *result) noexcept nogil:
    return fs_entropy_f64(x, n, temperature, result)


cdef int64_t draw_f64(const double *x, size_t n, double temperature, double u) noexcept nogil:
    return fs_draw_f64(x, n, temperature, u)


cdef int64_t draw_probs_f64(const double *p, size_t n, double temperature, double u) noexcept nogil:
    return fs_draw_probs_f64(p, n, temperature, u)


cdef int draw_many_f64(const double *x, size_t n, double temperature, size_t k, const double *u,
                       int64_t *index) noexcept nogil:
    return fs_draw_many_f64(x, n, temperature, k, u, index)


cdef int draw_many_probs_f64(const double *p, size_t n, double temperature, size_t k, const double *u,
                             int64_t *index) noexcept nogil:
    return fs_draw_many_probs_f64(p, n, temperature, k, u, index)


cdef int64_t draw_filtered_f64(const double *x, size_t n, double temperature, const filters_t *filters,
                               double coin, double u, void *scratch) noexcept nogil:
    return fs_draw_filtered_f64(x, n, temperature, <const fs_filters *>filters, coin, u, scratch)


cdef int softmax_rows_f64(const double *x, size_t rows, size_t n, double temperature, double *out) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F64, x, rows, n, &temperature)
    cdef fs_output to = fs_output(out, sizeof(double), FS_F64)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_softmax_rows(&all, &to, all.step) == rows else FS_NO_MEMORY


cdef int log_softmax_rows_f64(const double *x, size_t rows, size_t n, double temperature,
                              double *out) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F64, x, rows, n, &temperature)
    cdef fs_output to = fs_output(out, sizeof(double), FS_F64)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_log_softmax_rows(&all, &to, all.step) == rows else FS_NO_MEMORY


cdef int logsumexp_rows_f64(const double *x, size_t rows, size_t n, double temperature,
                            double *result) noexcept nogil:
    cdef fs_rows all = contiguous_rows(FS_F64, x, rows, n, &temperature)
    cdef fs_output to = fs_output(result, 0, FS_F64)
    if not fs_is_usable(n, temperature):
        return FS_ARGUMENT
    return FS_OK if fs_logsumexp_rows(&all, &to, sizeof(double)) == rows else FS_NO_MEMORY


cdef int draw_rows_f64(const double *x, size_t rows, size_t n, double temperature, const double *u,
                       int64_t *index) noexcept nogil:
    return fs_draw_rows_f64(x, rows, n, temperature, u, index)

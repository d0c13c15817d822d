# The fast path of softmax, sample and sample_probs: plain arrays (arguments.pxi), the last axis, one temperature.
#
# `softmax_plain` and `accepts_plain` check the arguments; what they do not take goes to the general path (rows.pxi).

def softmax_plain(x, temperature, axis, out):
    """softmax of a plain array into `out`, a new array or x itself; None, with nothing done, for other arguments."""
    cdef double t = plain_temperature(temperature)
    if t < 0 or not is_plain(x) or not is_last_axis(axis):
        return None
    cdef cnp.ndarray a = <cnp.ndarray>x, b
    cdef int nd = cnp.PyArray_NDIM(a), kind = cnp.PyArray_TYPE(a)
    cdef fs_dtype dtype = dtype_of(kind)
    if out is x:
        if not cnp.PyArray_CHKFLAGS(a, cnp.NPY_ARRAY_WRITEABLE):
            return None
        b = a
    elif out is None:
        b = <cnp.ndarray>cnp.PyArray_EMPTY(nd, cnp.PyArray_DIMS(a), kind, 0)
    else:
        if not is_plain_like(out, a):
            return None
        b = <cnp.ndarray>out
    cdef size_t n = cnp.PyArray_DIM(a, nd - 1)
    run_plain_softmax(dtype, cnp.PyArray_DATA(a), <size_t>cnp.PyArray_SIZE(a) // n, n, &t, 0, cnp.PyArray_DATA(b))
    return b


cdef struct PlainSoftmax:
    fs_dtype dtype
    const char *x
    size_t n
    const double *temperature
    ptrdiff_t t_stride
    char *out
    Outcome outcome


cdef void plain_softmax_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef PlainSoftmax *f = <PlainSoftmax *>job
    cdef size_t from_start = first * f.n * size_of(f.dtype)
    cdef const char *t = <const char *>f.temperature + <ptrdiff_t>first * f.t_stride
    cdef size_t done = softmax_contiguous_rows(f.dtype, f.x + from_start, past - first, f.n, <const double *>t,
                                               f.t_stride, f.out + from_start)
    note_rows(&f.outcome, first, past, done)


cdef int run_plain_softmax(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t, ptrdiff_t t_stride,
                           void *out) except -1:
    """softmax of contiguous rows, whose temperatures are `t_stride` bytes apart."""
    cdef PlainSoftmax f
    if rows * n < RELEASE_GIL_AT:
        if softmax_contiguous_rows(dtype, x, rows, n, t, t_stride, out) < rows:
            raise MemoryError("not enough memory for the workspace of a row")
        return 0
    f.dtype = dtype
    f.x = <const char *>x
    f.n = n
    f.temperature = t
    f.t_stride = t_stride
    f.out = <char *>out
    return run_rows(plain_softmax_task, &f, &f.outcome, rows, n, True)


cdef inline size_t softmax_contiguous_rows(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t,
                                           ptrdiff_t t_stride, void *out) noexcept nogil:
    """softmax of contiguous rows of any dtype; the number of rows done."""
    if dtype == FS_F32:
        return fs_softmax_rows_f32(<const float *>x, n * 4, rows, n, t, t_stride, <float *>out, n * 4)
    if dtype == FS_F64:
        return fs_softmax_rows_f64(<const double *>x, n * 8, rows, n, t, t_stride, <double *>out, n * 8)
    return fs_softmax_rows_half(dtype, <const uint16_t *>x, rows, n, t, t_stride, <uint16_t *>out)


cdef inline size_t draw_contiguous_rows(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                                        const double *u, int64_t *index) noexcept nogil:
    """One draw from each of contiguous rows, -1 for a row that cannot be drawn from; the number of rows done."""
    cdef fs_row row
    cdef fs_status status
    cdef size_t i
    if not probs and dtype == FS_F32:
        return fs_sample_rows_f32(<const float *>x, n * 4, rows, n, &t, 0, u, index)
    if not probs and dtype == FS_F64:
        return fs_sample_rows_f64(<const double *>x, n * 8, rows, n, &t, 0, u, index)
    row = bare_row(x, size_of(dtype), dtype, probs)
    for i in range(rows):
        status = fs_sample(&row, n, t, 1, u + i, index + i, NULL)
        if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
            return i
        if status != FS_OK:
            index[i] = -1
        row.data = <const char *>row.data + n * row.stride
    return rows


cdef inline fs_row bare_row(const void *data, ptrdiff_t stride, fs_dtype dtype, bint probs) noexcept nogil:
    """A row without mask and bias."""
    cdef fs_row row
    row.data = data
    row.stride = stride
    row.dtype = dtype
    row.probs = probs
    row.mask_kind = FS_MASK_NONE
    row.mask = NULL
    row.mask_stride = 0
    row.bias = NULL
    row.bias_stride = 0
    row.bias_at = NULL
    row.bias_count = 0
    return row


cdef size_t draw_filtered_rows(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                               const fs_filters *filters, const double *coin, const double *u,
                               int64_t *index) noexcept nogil:
    """`draw_contiguous_rows` from the filtered rows; coin: XTC's, one for each row, or NULL."""
    cdef fs_row row = bare_row(x, size_of(dtype), dtype, probs)
    cdef fs_status status
    cdef size_t i
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(n))
    if scratch == NULL:
        return 0
    for i in range(rows):
        status = fs_sample_filtered(&row, n, t, filters, coin[i] if coin != NULL else 1.0, 1, u + i, scratch,
                                    index + i, NULL)
        if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
            return i
        if status != FS_OK:
            index[i] = -1
        row.data = <const char *>row.data + n * row.stride
    return rows


cdef struct PlainDraws:
    fs_dtype dtype
    bint probs
    const char *x
    size_t n
    double temperature
    const fs_filters *filters  # NULL: none
    const double *coin
    const double *u
    int64_t *index
    Outcome outcome


cdef void plain_draws_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef PlainDraws *f = <PlainDraws *>job
    cdef const char *x = f.x + first * f.n * size_of(f.dtype)
    cdef size_t done
    if f.filters != NULL:
        done = draw_filtered_rows(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.filters,
                                  f.coin + first if f.coin != NULL else NULL, f.u + first, f.index + first)
    else:
        done = draw_contiguous_rows(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.u + first, f.index + first)
    note_rows(&f.outcome, first, past, done)


cdef int run_plain_draws(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                         const fs_filters *filters, const double *coin, const double *u, int64_t *index) except -1:
    """One draw from each of contiguous rows; filters and coin may be NULL."""
    cdef PlainDraws f
    cdef size_t done
    if filters != NULL:
        check_row_length(n)
    if rows * n < RELEASE_GIL_AT:
        if filters != NULL:
            with nogil:  # several times the work of a row without filters
                done = draw_filtered_rows(dtype, probs, x, rows, n, t, filters, coin, u, index)
        else:
            done = draw_contiguous_rows(dtype, probs, x, rows, n, t, u, index)
        if done < rows:
            raise MemoryError("not enough memory for the workspace of a row")
        return 0
    f.dtype = dtype
    f.probs = probs
    f.x = <const char *>x
    f.n = n
    f.temperature = t
    f.filters = filters
    f.coin = coin
    f.u = u
    f.index = index
    return run_rows(plain_draws_task, &f, &f.outcome, rows, n, filters == NULL)


def accepts_plain(x, temperature, axis):
    """Whether `sample_plain` takes this array, temperature and axis."""
    return plain_temperature(temperature) > 0 and is_plain(x) and is_last_axis(axis)


def sample_plain(x, bint probs, temperature, u, filters=None):
    """The index drawn from each row, and the number of the first row that cannot be drawn from, or -1.

    x and temperature must be as `accepts_plain` wants them.  u, checked: a float for a one-dimensional x, whose index
    is an int; else a contiguous float64 array with one uniform for each row.  filters: one record of _args/filters.py
    without XTC, or None.  The index of a row that cannot be drawn from is -1.
    """
    # Checked again: the caller's code has run since (u.__array__), and may have resized the array.
    if not accepts_plain(x, temperature, -1):
        raise ValueError("the array was changed by the conversion of its uniforms")
    cdef cnp.ndarray a = <cnp.ndarray>x, index = None
    cdef int nd = cnp.PyArray_NDIM(a)
    cdef size_t n = cnp.PyArray_DIM(a, nd - 1)
    cdef size_t rows = <size_t>cnp.PyArray_SIZE(a) // n
    cdef const fs_filters *record = NULL if filters is None else filters_in(filters)
    cdef double one_u
    cdef const double *uniforms = &one_u
    cdef int64_t one_index = -1
    cdef int64_t *indices = &one_index
    cdef Py_ssize_t i, bad = -1
    if not (nd == 1 if type(u) is float else are_uniforms(u, rows)):
        raise ValueError("the array was changed by the conversion of its uniforms")
    if type(u) is float:
        one_u = <double>u
    else:
        uniforms = <const double *>cnp.PyArray_DATA(<cnp.ndarray>u)
        index = <cnp.ndarray>cnp.PyArray_EMPTY(nd - 1, cnp.PyArray_DIMS(a), cnp.NPY_INT64, 0)
        indices = <int64_t *>cnp.PyArray_DATA(index)
    run_plain_draws(dtype_of(cnp.PyArray_TYPE(a)), probs, cnp.PyArray_DATA(a), rows, n, plain_temperature(temperature),
                    record, NULL, uniforms, indices)
    for i in range(<Py_ssize_t>rows):
        if indices[i] < 0:
            bad = i
            break
    return (one_index if index is None else index), bad

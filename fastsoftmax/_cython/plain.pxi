# Plain arrays, as a loop passes them: contiguous rows of a float dtype, one temperature.

def softmax_plain(x, temperature, axis, out):
    """softmax where everything is plain, else None and nothing done."""
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
    note_rows(&f.outcome, first, past, plain_rows(f.dtype, f.x + from_start, past - first, f.n, <const double *>t,
                                                  f.t_stride, f.out + from_start))


cdef int run_plain_softmax(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t, ptrdiff_t t_stride,
                           void *out) except -1:
    """softmax of contiguous rows."""
    cdef PlainSoftmax f
    if rows * n < RELEASE_AT:
        if plain_rows(dtype, x, rows, n, t, t_stride, out) < rows:
            raise MemoryError("no memory for the summaries of a row")
        return 0
    f.dtype = dtype
    f.x = <const char *>x
    f.n = n
    f.temperature = t
    f.t_stride = t_stride
    f.out = <char *>out
    return run_rows(plain_softmax_task, &f, &f.outcome, rows, n, True)


cdef inline size_t plain_rows(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t,
                              ptrdiff_t t_stride, void *out) noexcept nogil:
    """softmax of contiguous rows of any dtype; the number of rows done."""
    if dtype == FS_F32:
        return fs_softmax_rows_f32(<const float *>x, n * 4, rows, n, t, t_stride, <float *>out, n * 4)
    if dtype == FS_F64:
        return fs_softmax_rows_f64(<const double *>x, n * 8, rows, n, t, t_stride, <double *>out, n * 8)
    return fs_softmax_rows_half(dtype, <const uint16_t *>x, rows, n, t, t_stride, <uint16_t *>out)


cdef inline size_t plain_draws(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                               const double *u, int64_t *index) noexcept nogil:
    """One draw from each of contiguous rows, -1 where there is none to be had; the number of rows done."""
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


cdef size_t plain_filtered(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                           const fs_filters *filters, const double *coin, const double *u,
                           int64_t *index) noexcept nogil:
    """`plain_draws` from what the filters leave; coin: one a row, or NULL."""
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
        done = plain_filtered(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.filters,
                              f.coin + first if f.coin != NULL else NULL, f.u + first, f.index + first)
    else:
        done = plain_draws(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.u + first, f.index + first)
    note_rows(&f.outcome, first, past, done)


cdef int run_plain_draws(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                         const fs_filters *filters, const double *coin, const double *u, int64_t *index) except -1:
    """One draw from each of contiguous rows; filters and coin may be NULL."""
    cdef PlainDraws f
    cdef size_t done
    if filters != NULL:
        check_row_length(n)
    if rows * n < RELEASE_AT:
        if filters != NULL:
            with nogil:  # several times the work of a row without filters
                done = plain_filtered(dtype, probs, x, rows, n, t, filters, coin, u, index)
        else:
            done = plain_draws(dtype, probs, x, rows, n, t, u, index)
        if done < rows:
            raise MemoryError("no memory for the summaries, or the scratch, of a row")
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


cdef const fs_filters *filters_in(cnp.ndarray record) except NULL:
    """The one record of a structured array of _args/filters.py."""
    if cnp.PyArray_ITEMSIZE(record) != sizeof(fs_filters) or cnp.PyArray_SIZE(record) != 1:
        raise ValueError("not one record of filters")
    return <const fs_filters *>cnp.PyArray_DATA(record)


cdef inline bint are_uniforms(object u, cnp.npy_intp count):
    """A contiguous float64 array of so many."""
    return (cnp.PyArray_SIZE(<cnp.ndarray?>u) == count and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>u)
            and cnp.PyArray_TYPE(<cnp.ndarray>u) == cnp.NPY_DOUBLE)


def sample_plain(x, bint probs, temperature, u, filters=None, coins=None):
    """One index a row of what `accepts_plain` accepts, and the number of the first row without one, or -1.

    `u`: one uniform as a float for a one-dimensional x, else a contiguous float64 array of one a row; checked.
    The index is an int for a float, -1 where a row cannot be drawn from.  `filters`: one record of _args/filters.py;
    `coins`: XTC's, as `u` is, or None.
    """
    # Looked at again: the caller's code has run since (u.__array__), and the array may have been resized.
    if not accepts_plain(x, temperature, -1):
        raise ValueError("the array was changed while its uniforms were read")
    cdef double t = plain_temperature(temperature), one
    cdef cnp.ndarray a = <cnp.ndarray>x, index
    cdef int nd = cnp.PyArray_NDIM(a)
    cdef fs_dtype dtype = dtype_of(cnp.PyArray_TYPE(a))
    cdef size_t n = cnp.PyArray_DIM(a, nd - 1)
    cdef size_t size = cnp.PyArray_SIZE(a)
    cdef size_t rows = size // n
    cdef Py_ssize_t bad = -1, i
    cdef const void *source = cnp.PyArray_DATA(a)
    cdef const double *given = &one
    cdef int64_t single = -1
    cdef int64_t *to = &single
    if not (rows == 1 and nd == 1 if type(u) is float else are_uniforms(u, rows)):
        raise ValueError("the array was changed while its uniforms were read")
    cdef const fs_filters *of_filters = NULL
    cdef const double *coin = NULL
    cdef double one_coin
    if filters is not None:
        of_filters = filters_in(filters)
        if type(coins) is float:
            one_coin = <double>coins
            coin = &one_coin
            if rows != 1:
                raise ValueError("one coin for several rows")
        elif coins is not None:
            if not are_uniforms(coins, rows):
                raise ValueError("the array was changed while its uniforms were read")
            coin = <const double *>cnp.PyArray_DATA(<cnp.ndarray>coins)
    if type(u) is float:
        one = <double>u
        index = None
    else:
        given = <const double *>cnp.PyArray_DATA(<cnp.ndarray>u)
        index = <cnp.ndarray>cnp.PyArray_EMPTY(nd - 1, cnp.PyArray_DIMS(a), cnp.NPY_INT64, 0)
        to = <int64_t *>cnp.PyArray_DATA(index)
    run_plain_draws(dtype, probs, source, rows, n, t, of_filters, coin, given, to)
    for i in range(<Py_ssize_t>rows):
        if to[i] < 0:
            bad = i
            break
    return (single if index is None else index), bad


def accepts_plain(x, temperature, axis):
    """Whether `sample_plain` would take these."""
    return plain_temperature(temperature) > 0 and is_plain(x) and is_last_axis(axis)

# Rows of any layout: softmax and draws.

# Several arrays walked together over the same rows, in row-major order.
cdef struct Walk:
    int dims
    int operands
    Py_ssize_t shape[MAX_DIMS]
    Py_ssize_t at[MAX_DIMS]
    Py_ssize_t stride[MAX_OPERANDS][MAX_DIMS]
    char *data[MAX_OPERANDS]


cdef size_t walk_over(Walk *w, cnp.ndarray x, int dims) except? 0:
    """Begin a walk over the first `dims` axes of x; returns the number of rows."""
    cdef size_t rows = 1
    cdef int i
    if dims > MAX_DIMS:
        raise ValueError("arrays of more than 64 dimensions are not supported")
    w.dims = dims
    w.operands = 0
    for i in range(dims):
        w.shape[i] = cnp.PyArray_DIM(x, i)
        w.at[i] = 0
        rows *= w.shape[i]
    return rows


cdef int take_along(Walk *w, cnp.ndarray a) noexcept:
    """Walk this array too: its first axes are those of the walk."""
    cdef int k = w.operands, i
    for i in range(w.dims):
        w.stride[k][i] = cnp.PyArray_STRIDE(a, i)
    w.data[k] = <char *>cnp.PyArray_DATA(a)
    w.operands = k + 1
    return k


cdef inline void next_row(Walk *w) noexcept nogil:
    cdef int d = w.dims - 1, k
    while d >= 0:
        w.at[d] += 1
        for k in range(w.operands):
            w.data[k] += w.stride[k][d]
        if w.at[d] < w.shape[d]:
            return
        w.at[d] = 0
        for k in range(w.operands):
            w.data[k] -= w.stride[k][d] * w.shape[d]
        d -= 1


cdef fs_row row_of(cnp.ndarray x, int dtype, bint probs) noexcept:
    return bare_row(NULL, cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - 1), <fs_dtype>dtype, probs)


# The mask and the bias that go along with the rows.
cdef struct Beside:
    int of_mask
    int of_bias


cdef int take_beside(Beside *beside, Walk *w, fs_row *row, cnp.ndarray mask, bint words, cnp.ndarray bias,
                     cnp.ndarray bias_at) except -1:
    """Walk a mask and a bias (or None) as _arrays.py has them."""
    beside.of_mask = -1
    beside.of_bias = -1
    if mask is not None:
        beside.of_mask = take_along(w, mask)
        row.mask_kind = FS_MASK_WORDS if words else FS_MASK_BYTES
        row.mask_stride = cnp.PyArray_STRIDE(mask, cnp.PyArray_NDIM(mask) - 1)
    if bias_at is not None:
        row.bias = <const double *>cnp.PyArray_DATA(bias)
        row.bias_at = <const int64_t *>cnp.PyArray_DATA(bias_at)
        row.bias_count = cnp.PyArray_DIM(bias_at, 0)
    elif bias is not None:
        beside.of_bias = take_along(w, bias)
        row.bias_stride = cnp.PyArray_STRIDE(bias, cnp.PyArray_NDIM(bias) - 1)
    return 0


cdef inline void set_beside(const Beside *beside, const Walk *w, fs_row *row) noexcept nogil:
    if beside.of_mask >= 0:
        row.mask = w.data[beside.of_mask]
    if beside.of_bias >= 0:
        row.bias = <const double *>w.data[beside.of_bias]


cdef inline bint is_constant(cnp.ndarray a) noexcept nogil:
    """One number, broadcast."""
    cdef int i
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, i) != 0 and cnp.PyArray_DIM(a, i) != 1:
            return False
    return True


def transform_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray out, bint log):
    """softmax (or log_softmax) of every row of x into out, of the same dtype; temperature: float64, the rows' shape."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), done, _i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_output to
    cdef fs_status status = FS_OK
    take_along(&w, x)
    take_along(&w, temperature)
    take_along(&w, out)
    to.stride = cnp.PyArray_STRIDE(out, nd - 1)
    to.dtype = <fs_dtype>dtype
    if (not log and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(out)
            and (cnp.PyArray_IS_C_CONTIGUOUS(temperature) or is_constant(temperature))):
        with nogil:
            done = plain_rows(to.dtype, w.data[0], rows, n, <double *>w.data[1],
                              0 if is_constant(temperature) else sizeof(double), w.data[2])
        if done < rows:
            raise MemoryError("no memory for the block summaries of a row")
        return
    with nogil:
        for _i in range(rows):
            row.data = w.data[0]
            to.data = w.data[2]
            if log:
                status = fs_log_softmax(&row, n, (<double *>w.data[1])[0], &to)
            else:
                status = fs_softmax(&row, n, (<double *>w.data[1])[0], &to)
            if status == FS_NO_MEMORY:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def logsumexp_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray result):
    """logsumexp of every row of x into result: float64, C-contiguous, one element a row."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef double *to = <double *>cnp.PyArray_DATA(result)
    take_along(&w, x)
    take_along(&w, temperature)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            status = fs_logsumexp(&row, n, (<double *>w.data[1])[0], &to[i])
            if status == FS_NO_MEMORY:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def sample_rows(cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature, cnp.ndarray u, size_t k,
                cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray filters,
                cnp.ndarray coins, cnp.ndarray index, cnp.ndarray logprob, bint stop):
    """k draws from every row of x.

    u, index and logprob (or None): C-contiguous, rows * k elements.  mask (or None): the rows' shape and the
    entries (bool) or the words (int32) last.  bias (or None): float64 likewise, or one-dimensional with
    bias_at.  filters (or None): records of _filters.py, the rows' shape; coins (or None): XTC's, C-contiguous, one a
    row.  A row that cannot be drawn from gives -1 and NaN, or ends the call where `stop`.
    Returns (row, why) of the first such row, or None; why is "nan" or "mass".
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x), of_filters = -1
    cdef size_t rows = walk_over(&w, x, nd - 1), i, j, bad = 0
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, probs)
    cdef fs_status status = FS_OK, why = FS_OK
    cdef const double *given = <const double *>cnp.PyArray_DATA(u)
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(index)
    cdef double *log_to = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    cdef double *coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    cdef void *scratch = NULL
    cdef Beside beside
    take_along(&w, x)
    take_along(&w, temperature)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    if filters is not None:
        of_filters = take_along(&w, filters)
        scratch = row_scratch(n)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            set_beside(&beside, &w, &row)
            if of_filters >= 0:
                status = fs_sample_filtered(&row, n, (<double *>w.data[1])[0], <const fs_filters *>w.data[of_filters],
                                            coin[i] if coin != NULL else 1.0, k, given + i * k, scratch, to + i * k,
                                            NULL if log_to == NULL else log_to + i * k)
            else:
                status = fs_sample(&row, n, (<double *>w.data[1])[0], k, given + i * k, to + i * k,
                                   NULL if log_to == NULL else log_to + i * k)
            if status == FS_NO_MEMORY:
                break
            if status != FS_OK:
                if why == FS_OK:
                    why = status
                    bad = i
                if stop:
                    break
                for j in range(i * k, i * k + k):
                    to[j] = -1
                    if log_to != NULL:
                        log_to[j] = NAN
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")
    return refusal(why, bad)


cdef object refusal(fs_status why, size_t row):
    """(row, why) of a row that cannot be drawn from, or None."""
    if why == FS_OK:
        return None
    return row, "nan" if why == FS_NAN else "mass"


def truncate_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                  cnp.ndarray bias_at, cnp.ndarray filters, cnp.ndarray coins, cnp.ndarray out):
    """x / temperature where the filters leave an entry, -inf elsewhere; the arguments as for `sample_rows`."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x), of_filters
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_output to
    cdef fs_status status = FS_OK
    cdef double *coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    cdef void *scratch = row_scratch(n)
    cdef Beside beside
    take_along(&w, x)
    take_along(&w, temperature)
    take_along(&w, out)
    of_filters = take_along(&w, filters)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    to.stride = cnp.PyArray_STRIDE(out, nd - 1)
    to.dtype = <fs_dtype>dtype
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            to.data = w.data[2]
            set_beside(&beside, &w, &row)
            status = fs_truncate(&row, n, (<double *>w.data[1])[0], <const fs_filters *>w.data[of_filters],
                                 coin[i] if coin != NULL else 1.0, scratch, &to)
            if status == FS_NO_MEMORY:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")

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


cdef void go_to_row(Walk *w, size_t row) noexcept nogil:
    """From row 0 to the row of this number."""
    cdef int d = w.dims - 1, k
    while d >= 0:
        w.at[d] = row % w.shape[d]
        row //= w.shape[d]
        for k in range(w.operands):
            w.data[k] += w.stride[k][d] * w.at[d]
        d -= 1


cdef fs_row row_of(cnp.ndarray x, int dtype, bint probs) noexcept:
    return bare_row(NULL, cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - 1), <fs_dtype>dtype, probs)


# The mask and the bias that go along with the rows.
cdef struct Operands:
    int of_mask
    int of_bias


cdef int take_operands(Operands *operands, Walk *w, fs_row *row, cnp.ndarray mask, bint words, cnp.ndarray bias,
                     cnp.ndarray bias_at) except -1:
    """Walk a mask and a bias (or None) as _args/arrays.py has them."""
    operands.of_mask = -1
    operands.of_bias = -1
    if mask is not None:
        operands.of_mask = take_along(w, mask)
        row.mask_kind = FS_MASK_WORDS if words else FS_MASK_BYTES
        row.mask_stride = cnp.PyArray_STRIDE(mask, cnp.PyArray_NDIM(mask) - 1)
    if bias_at is not None:
        row.bias = <const double *>cnp.PyArray_DATA(bias)
        row.bias_at = <const int64_t *>cnp.PyArray_DATA(bias_at)
        row.bias_count = cnp.PyArray_DIM(bias_at, 0)
    elif bias is not None:
        operands.of_bias = take_along(w, bias)
        row.bias_stride = cnp.PyArray_STRIDE(bias, cnp.PyArray_NDIM(bias) - 1)
    return 0


cdef inline void set_operands(const Operands *operands, const Walk *w, fs_row *row) noexcept nogil:
    if operands.of_mask >= 0:
        row.mask = w.data[operands.of_mask]
    if operands.of_bias >= 0:
        row.bias = <const double *>w.data[operands.of_bias]


cdef inline bint is_constant(cnp.ndarray a) noexcept nogil:
    """One number, broadcast."""
    cdef int i
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, i) != 0 and cnp.PyArray_DIM(a, i) != 1:
            return False
    return True


# What all operations on rows begin with: the walk at row 0, with the operands ROW and TEMPERATURE first.
cdef struct Rows:
    Walk walk
    size_t count
    size_t n
    fs_row row
    Operands operands
    Outcome outcome

cdef enum:
    ROW = 0
    TEMPERATURE = 1


cdef int begin_rows(Rows *rows, cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature) except -1:
    cdef int nd = cnp.PyArray_NDIM(x)
    rows.count = walk_over(&rows.walk, x, nd - 1)
    rows.n = cnp.PyArray_DIM(x, nd - 1)
    rows.row = row_of(x, dtype, probs)
    take_along(&rows.walk, x)
    take_along(&rows.walk, temperature)
    rows.operands.of_mask = -1
    rows.operands.of_bias = -1
    return 0


cdef inline void set_row(const Rows *rows, const Walk *w, fs_row *row) noexcept nogil:
    row.data = w.data[ROW]
    set_operands(&rows.operands, w, row)


cdef inline double temperature_at(const Walk *w) noexcept nogil:
    return (<double *>w.data[TEMPERATURE])[0]


# --- softmax, log_softmax ---

cdef struct Transform:
    Rows rows
    int of_out
    fs_output to
    bint log


cdef void transform_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Transform *f = <Transform *>job
    cdef Walk w = f.rows.walk
    cdef fs_row row = f.rows.row
    cdef fs_output to = f.to
    cdef fs_status status
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        to.data = w.data[f.of_out]
        if f.log:
            status = fs_log_softmax(&row, f.rows.n, temperature_at(&w), &to)
        else:
            status = fs_softmax(&row, f.rows.n, temperature_at(&w), &to)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def transform_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray out, bint log):
    """softmax (or log_softmax) of every row of x into out, of the same dtype; temperature: float64, the rows' shape."""
    cdef Transform f
    begin_rows(&f.rows, x, dtype, False, temperature)
    if (not log and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(out)
            and (cnp.PyArray_IS_C_CONTIGUOUS(temperature) or is_constant(temperature))):
        run_plain_softmax(<fs_dtype>dtype, cnp.PyArray_DATA(x), f.rows.count, f.rows.n,
                          <double *>cnp.PyArray_DATA(temperature), 0 if is_constant(temperature) else sizeof(double),
                          cnp.PyArray_DATA(out))
        return
    f.of_out = take_along(&f.rows.walk, out)
    f.to.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.to.dtype = <fs_dtype>dtype
    f.log = log
    run_rows(transform_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


# --- logsumexp ---

cdef struct LogSumExp:
    Rows rows
    double *to


cdef void logsumexp_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef LogSumExp *f = <LogSumExp *>job
    cdef Walk w = f.rows.walk
    cdef fs_row row = f.rows.row
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        if note(&f.rows.outcome, i, fs_logsumexp(&row, f.rows.n, temperature_at(&w), f.to + i)):
            return
        next_row(&w)


def logsumexp_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray result):
    """logsumexp of every row of x into result: float64, C-contiguous, one element a row."""
    cdef LogSumExp f
    begin_rows(&f.rows, x, dtype, False, temperature)
    f.to = <double *>cnp.PyArray_DATA(result)
    run_rows(logsumexp_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


# --- draws ---

cdef struct Draws:
    Rows rows
    size_t k
    const double *u
    int of_filters  # -1: none
    const double *coin
    int64_t *index
    double *logprob
    bint stop


cdef void draw_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Draws *f = <Draws *>job
    cdef Walk w = f.rows.walk
    cdef fs_row row = f.rows.row
    cdef fs_status status
    cdef size_t i, j, k = f.k, n = f.rows.n
    cdef void *scratch = NULL
    cdef double *logprob
    if f.of_filters >= 0:
        scratch = fs_thread_scratch(fs_scratch_size(n))
        if scratch == NULL:
            note(&f.rows.outcome, first, FS_NO_MEMORY)
            return
    go_to_row(&w, first)
    for i in range(first, past):
        if f.stop and fs_atomic_load(&f.rows.outcome.rejected) < i << STATUS_BITS:
            return  # the call ends with a row before this one
        set_row(&f.rows, &w, &row)
        logprob = NULL if f.logprob == NULL else f.logprob + i * k
        if scratch != NULL:
            status = fs_sample_filtered(&row, n, temperature_at(&w), <const fs_filters *>w.data[f.of_filters],
                                        f.coin[i] if f.coin != NULL else 1.0, k, f.u + i * k, scratch,
                                        f.index + i * k, logprob)
        else:
            status = fs_sample(&row, n, temperature_at(&w), k, f.u + i * k, f.index + i * k, logprob)
        if note(&f.rows.outcome, i, status):
            return
        if status != FS_OK:
            for j in range(k):
                f.index[i * k + j] = -1
                if logprob != NULL:
                    logprob[j] = NAN
        next_row(&w)


def sample_rows(cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature, cnp.ndarray u, size_t k,
                cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray filters,
                cnp.ndarray coins, cnp.ndarray index, cnp.ndarray logprob, bint stop):
    """k draws from every row of x.

    u, index and logprob (or None): C-contiguous, rows * k elements.  mask (or None): the rows' shape and the
    entries (bool) or the words (int32) last.  bias (or None): float64 likewise, or one-dimensional with
    bias_at.  filters (or None): records of _args/filters.py, the rows' shape; coins (or None): XTC's, C-contiguous, one a
    row.  A row that cannot be drawn from gives -1 and NaN, or ends the call where `stop`.
    Returns (row, why) of the first such row, or None; why is "nan" or "mass".
    """
    cdef Draws f
    begin_rows(&f.rows, x, dtype, probs, temperature)
    take_operands(&f.rows.operands, &f.rows.walk, &f.rows.row, mask, words, bias, bias_at)
    f.k = k
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    f.coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    f.stop = stop
    f.of_filters = -1
    if filters is not None:
        check_row_length(f.rows.n)
        f.of_filters = take_along(&f.rows.walk, filters)
    cdef size_t work = f.rows.n if filters is None else FILTERED * f.rows.n
    run_rows(draw_task, &f, &f.rows.outcome, f.rows.count, work + 8 * k, filters is None)
    return rejection(&f.rows.outcome)


# --- truncation ---

cdef struct Truncation:
    Rows rows
    int of_out, of_filters
    const double *coin
    fs_output to


cdef void truncate_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Truncation *f = <Truncation *>job
    cdef Walk w = f.rows.walk
    cdef fs_row row = f.rows.row
    cdef fs_output to = f.to
    cdef fs_status status
    cdef size_t i
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(f.rows.n))
    if scratch == NULL:
        note(&f.rows.outcome, first, FS_NO_MEMORY)
        return
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        to.data = w.data[f.of_out]
        status = fs_truncate(&row, f.rows.n, temperature_at(&w), <const fs_filters *>w.data[f.of_filters],
                             f.coin[i] if f.coin != NULL else 1.0, scratch, &to)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def truncate_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                  cnp.ndarray bias_at, cnp.ndarray filters, cnp.ndarray coins, cnp.ndarray out):
    """x / temperature where the filters leave an entry, -inf elsewhere; the arguments as for `sample_rows`."""
    cdef Truncation f
    begin_rows(&f.rows, x, dtype, False, temperature)
    check_row_length(f.rows.n)
    take_operands(&f.rows.operands, &f.rows.walk, &f.rows.row, mask, words, bias, bias_at)
    f.of_out = take_along(&f.rows.walk, out)
    f.of_filters = take_along(&f.rows.walk, filters)
    f.coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    f.to.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.to.dtype = <fs_dtype>dtype
    run_rows(truncate_task, &f, &f.rows.outcome, f.rows.count, FILTERED * f.rows.n, False)

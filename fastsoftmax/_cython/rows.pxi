# The general path: softmax, log_softmax, logsumexp, draws and truncation of rows of any dtype and layout.
#
# _args/arrays.py has checked and prepared the arrays: the entries are last, the axes before them are those of the rows,
# and every parameter is broadcast to the rows.  A RowIterator walks over all of them together.

cdef enum:
    MAX_DIMS = 64
    MAX_OPERANDS = 8

# Where several arrays, the operands, have the current row; rows come in row-major order.
cdef struct RowIterator:
    int dims
    int operands
    Py_ssize_t shape[MAX_DIMS]
    Py_ssize_t at[MAX_DIMS]
    Py_ssize_t stride[MAX_OPERANDS][MAX_DIMS]
    char *data[MAX_OPERANDS]


cdef size_t begin_iteration(RowIterator *w, cnp.ndarray x, int dims) except? 0:
    """Begin at row 0 of the first `dims` axes of x, without operands; returns the number of rows."""
    cdef size_t rows = 1
    cdef int i
    if dims > MAX_DIMS:
        raise ValueError(f"an array may have at most 64 dimensions besides that of the entries, not {dims}")
    w.dims = dims
    w.operands = 0
    for i in range(dims):
        w.shape[i] = cnp.PyArray_DIM(x, i)
        w.at[i] = 0
        rows *= w.shape[i]
    return rows


cdef int add_operand(RowIterator *w, cnp.ndarray a) noexcept:
    """Iterate over this array too, whose first axes are those of the rows; returns its place in `data`."""
    cdef int k = w.operands, i
    for i in range(w.dims):
        w.stride[k][i] = cnp.PyArray_STRIDE(a, i)
    w.data[k] = <char *>cnp.PyArray_DATA(a)
    w.operands = k + 1
    return k


cdef inline void next_row(RowIterator *w) noexcept nogil:
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


cdef void go_to_row(RowIterator *w, size_t row) noexcept nogil:
    """Go from row 0 to the row with this number."""
    cdef int d = w.dims - 1, k
    while d >= 0:
        w.at[d] = row % w.shape[d]
        row //= w.shape[d]
        for k in range(w.operands):
            w.data[k] += w.stride[k][d] * w.at[d]
        d -= 1


cdef fs_row row_like(cnp.ndarray x, int dtype, bint probs) noexcept:
    """What the rows of x have in common: no data, no mask, no bias."""
    return bare_row(NULL, cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - 1), <fs_dtype>dtype, probs)


cdef void set_layout_of_mask_and_bias(fs_row *row, cnp.ndarray mask, bint words, cnp.ndarray bias,
                                      cnp.ndarray bias_at) noexcept:
    """What the rows have in common of a mask and a bias (or None) of _args/arrays.py."""
    if mask is not None:
        row.mask_kind = FS_MASK_WORDS if words else FS_MASK_BYTES
        row.mask_stride = cnp.PyArray_STRIDE(mask, cnp.PyArray_NDIM(mask) - 1)
    if bias_at is not None:
        row.bias = <const double *>cnp.PyArray_DATA(bias)
        row.bias_at = <const int64_t *>cnp.PyArray_DATA(bias_at)
        row.bias_count = cnp.PyArray_DIM(bias_at, 0)
    elif bias is not None:
        row.bias_stride = cnp.PyArray_STRIDE(bias, cnp.PyArray_NDIM(bias) - 1)


cdef fs_row single_row(cnp.ndarray x, int dtype, bint probs, cnp.ndarray mask, bint words, cnp.ndarray bias,
                       cnp.ndarray bias_at) noexcept:
    """The row of one-dimensional arrays."""
    cdef fs_row row = row_like(x, dtype, probs)
    row.data = cnp.PyArray_DATA(x)
    set_layout_of_mask_and_bias(&row, mask, words, bias, bias_at)
    if mask is not None:
        row.mask = cnp.PyArray_DATA(mask)
    if bias is not None and bias_at is None:
        row.bias = <const double *>cnp.PyArray_DATA(bias)
    return row


cdef inline bint is_constant(cnp.ndarray a) noexcept nogil:
    """Whether a is one number, broadcast."""
    cdef int i
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, i) != 0 and cnp.PyArray_DIM(a, i) != 1:
            return False
    return True


# The beginning of every job: an iterator at row 0, with the operands ROW and TEMPERATURE first.
cdef struct Rows:
    RowIterator iterator
    size_t count
    size_t n
    fs_row row
    int mask_operand, bias_operand  # -1: none, or the same for all rows
    Outcome outcome

cdef enum:
    ROW = 0
    TEMPERATURE = 1


cdef int begin_rows(Rows *rows, cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature) except -1:
    cdef int nd = cnp.PyArray_NDIM(x)
    rows.count = begin_iteration(&rows.iterator, x, nd - 1)
    rows.n = cnp.PyArray_DIM(x, nd - 1)
    rows.row = row_like(x, dtype, probs)
    add_operand(&rows.iterator, x)
    add_operand(&rows.iterator, temperature)
    rows.mask_operand = -1
    rows.bias_operand = -1
    return 0


cdef void add_mask_and_bias(Rows *rows, cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at) noexcept:
    """Give the rows a mask and a bias (or None) of _args/arrays.py."""
    set_layout_of_mask_and_bias(&rows.row, mask, words, bias, bias_at)
    if mask is not None:
        rows.mask_operand = add_operand(&rows.iterator, mask)
    if bias is not None and bias_at is None:
        rows.bias_operand = add_operand(&rows.iterator, bias)


cdef inline void set_row(const Rows *rows, const RowIterator *w, fs_row *row) noexcept nogil:
    """Point `row`, a copy of rows.row, to the current row."""
    row.data = w.data[ROW]
    if rows.mask_operand >= 0:
        row.mask = w.data[rows.mask_operand]
    if rows.bias_operand >= 0:
        row.bias = <const double *>w.data[rows.bias_operand]


cdef inline double temperature_at(const RowIterator *w) noexcept nogil:
    return (<double *>w.data[TEMPERATURE])[0]


# --- softmax, log_softmax ---

cdef struct Transform:
    Rows rows
    int out_operand
    fs_output out
    bint log


cdef void transform_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Transform *f = <Transform *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef fs_output out = f.out
    cdef fs_status status
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        out.data = w.data[f.out_operand]
        if f.log:
            status = fs_log_softmax(&row, f.rows.n, temperature_at(&w), &out)
        else:
            status = fs_softmax(&row, f.rows.n, temperature_at(&w), &out)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def transform_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray out, bint log):
    """softmax (or log_softmax) of every row of x into out, of the same dtype; temperature: float64, one a row."""
    cdef Transform f
    begin_rows(&f.rows, x, dtype, False, temperature)
    if (not log and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(out)
            and (cnp.PyArray_IS_C_CONTIGUOUS(temperature) or is_constant(temperature))):
        run_plain_softmax(<fs_dtype>dtype, cnp.PyArray_DATA(x), f.rows.count, f.rows.n,
                          <double *>cnp.PyArray_DATA(temperature), 0 if is_constant(temperature) else sizeof(double),
                          cnp.PyArray_DATA(out))
        return
    f.out_operand = add_operand(&f.rows.iterator, out)
    f.out.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.out.dtype = <fs_dtype>dtype
    f.log = log
    run_rows(transform_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


# --- logsumexp ---

cdef struct LogSumExp:
    Rows rows
    double *result


cdef void logsumexp_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef LogSumExp *f = <LogSumExp *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        if note(&f.rows.outcome, i, fs_logsumexp(&row, f.rows.n, temperature_at(&w), f.result + i)):
            return
        next_row(&w)


def logsumexp_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray result):
    """logsumexp of every row of x into result: float64, C-contiguous, one element for each row."""
    cdef LogSumExp f
    begin_rows(&f.rows, x, dtype, False, temperature)
    f.result = <double *>cnp.PyArray_DATA(result)
    run_rows(logsumexp_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


# --- draws ---

cdef struct Draws:
    Rows rows
    size_t k
    const double *u
    int filters_operand  # -1: none
    const double *coin
    int64_t *index
    double *logprob
    bint stop


cdef void draw_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Draws *f = <Draws *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef fs_status status
    cdef size_t i, j, k = f.k, n = f.rows.n
    cdef void *scratch = NULL
    cdef double *logprob
    if f.filters_operand >= 0:
        scratch = fs_thread_scratch(fs_scratch_size(n))
        if scratch == NULL:
            note(&f.rows.outcome, first, FS_NO_MEMORY)
            return
    go_to_row(&w, first)
    for i in range(first, past):
        if f.stop and fs_atomic_load(&f.rows.outcome.rejected) < i << STATUS_BITS:
            return  # the call raises for a row before this one
        set_row(&f.rows, &w, &row)
        logprob = NULL if f.logprob == NULL else f.logprob + i * k
        if scratch != NULL:
            status = fs_sample_filtered(&row, n, temperature_at(&w), <const fs_filters *>w.data[f.filters_operand],
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

    u, index and logprob (or None) are C-contiguous, rows * k elements.  mask (or None) has the shape of the rows, and
    last the entries (bool) or the words (int32).  bias (or None) is float64 and has the shape of x, or one value for
    each index in bias_at.  filters (or None) are records of _args/filters.py in the shape of the rows; coins (or None)
    are XTC's, C-contiguous, one for each row.  A row that cannot be drawn from gives -1 and NaN, or, with `stop`, ends
    the call.  Returns (row, why) of the first such row, or None; why is "nan" or "mass".
    """
    cdef Draws f
    begin_rows(&f.rows, x, dtype, probs, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.k = k
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    f.coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    f.stop = stop
    f.filters_operand = -1
    if filters is not None:
        check_row_length(f.rows.n)
        f.filters_operand = add_operand(&f.rows.iterator, filters)
    cdef size_t work = f.rows.n if filters is None else FILTER_WORK * f.rows.n
    run_rows(draw_task, &f, &f.rows.outcome, f.rows.count, work + 8 * k, filters is None)
    return rejected_row(&f.rows.outcome)


# --- truncation ---

cdef struct Truncation:
    Rows rows
    int out_operand, filters_operand
    const double *coin
    fs_output out


cdef void truncate_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Truncation *f = <Truncation *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef fs_output out = f.out
    cdef fs_status status
    cdef size_t i
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(f.rows.n))
    if scratch == NULL:
        note(&f.rows.outcome, first, FS_NO_MEMORY)
        return
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        out.data = w.data[f.out_operand]
        status = fs_truncate(&row, f.rows.n, temperature_at(&w), <const fs_filters *>w.data[f.filters_operand],
                             f.coin[i] if f.coin != NULL else 1.0, scratch, &out)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def truncate_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                  cnp.ndarray bias_at, cnp.ndarray filters, cnp.ndarray coins, cnp.ndarray out):
    """x / temperature for the entries that pass the filters, -inf for the others; arguments as for `sample_rows`."""
    cdef Truncation f
    begin_rows(&f.rows, x, dtype, False, temperature)
    check_row_length(f.rows.n)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.out_operand = add_operand(&f.rows.iterator, out)
    f.filters_operand = add_operand(&f.rows.iterator, filters)
    f.coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    f.out.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.out.dtype = <fs_dtype>dtype
    run_rows(truncate_task, &f, &f.rows.outcome, f.rows.count, FILTER_WORK * f.rows.n, False)

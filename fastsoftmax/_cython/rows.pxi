# Rows of arrays of any layout: where each of them lies in every array that has something for it.
#
# Two kinds of job use this.  A Batch (softmax.pxi, draws.pxi) hands runs of evenly spaced rows to the kernels.  Rows,
# for the operations that take a row at a time (truncation below, decoding.pxi), expects arrays that _args/arrays.py
# has prepared: the entries last, every parameter broadcast to the rows.

cdef enum:
    MAX_DIMS = 64
    MAX_OPERANDS = 8
    ROW = 0  # the first operand of every job: the entries
    TEMPERATURE = 1  # the second, of Rows

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


cdef inline void skip_rows(RowIterator *w, size_t count) noexcept nogil:
    """Go to the row that is `count` further; the rows before it are in the last axis."""
    cdef int d = w.dims - 1, k
    if d >= 0:
        w.at[d] += count - 1
        for k in range(w.operands):
            w.data[k] += w.stride[k][d] * <Py_ssize_t>(count - 1)
        next_row(w)


cdef void merge_axes(RowIterator *w) noexcept nogil:
    """Make one axis of two where every operand goes on at even steps; leave out axes of length 1."""
    cdef int kept = 0, d, k
    cdef bint merges
    for d in range(w.dims):
        if w.shape[d] == 1:
            continue
        merges = kept > 0
        for k in range(w.operands):
            merges = merges and w.stride[k][kept - 1] == w.stride[k][d] * w.shape[d]
        if merges:
            w.shape[kept - 1] *= w.shape[d]
        else:
            w.shape[kept] = w.shape[d]
            kept += 1
        for k in range(w.operands):
            w.stride[k][kept - 1] = w.stride[k][d]
    w.dims = kept


cdef int add_entries(RowIterator *w, cnp.ndarray a, int axis) noexcept:
    """Iterate over this array too, whose axes are those of the rows and the one of the entries."""
    cdef int k = w.operands, d, i = 0
    for d in range(cnp.PyArray_NDIM(a)):
        if d != axis:
            w.stride[k][i] = cnp.PyArray_STRIDE(a, d)
            i += 1
    w.data[k] = <char *>cnp.PyArray_DATA(a)
    w.operands = k + 1
    return k


cdef int add_spread(RowIterator *w, cnp.ndarray b, cnp.ndarray a, int axis, Py_ssize_t *stride) noexcept:
    """Iterate over b too, which has a value for each entry and broadcasts to the rows of a; -1: it does not.

    stride: from an entry to the next.
    """
    cdef int k = w.operands, d, i = 0, missing = cnp.PyArray_NDIM(a) - cnp.PyArray_NDIM(b)
    cdef Py_ssize_t step
    if missing < 0 or axis < missing:
        return -1
    for d in range(cnp.PyArray_NDIM(a)):
        step = 0
        if d >= missing:
            if cnp.PyArray_DIM(b, d - missing) == cnp.PyArray_DIM(a, d):
                step = cnp.PyArray_STRIDE(b, d - missing)
            elif d == axis or cnp.PyArray_DIM(b, d - missing) != 1:
                return -1
        if d == axis:
            stride[0] = step
        else:
            w.stride[k][i] = step
            i += 1
    w.data[k] = <char *>cnp.PyArray_DATA(b)
    w.operands = k + 1
    return k


cdef int add_parameter(RowIterator *w, cnp.ndarray a, const cnp.npy_intp *rows) noexcept:
    """Iterate over a parameter that broadcasts to the rows, whose shape is `rows`; -1: it does not."""
    cdef int k = w.operands, i, missing = w.dims - cnp.PyArray_NDIM(a)
    if missing < 0:
        return -1
    for i in range(w.dims):
        if i < missing or cnp.PyArray_DIM(a, i - missing) == 1 != rows[i]:
            w.stride[k][i] = 0
        elif cnp.PyArray_DIM(a, i - missing) == rows[i]:
            w.stride[k][i] = cnp.PyArray_STRIDE(a, i - missing)
        else:
            return -1
    w.data[k] = <char *>cnp.PyArray_DATA(a)
    w.operands = k + 1
    return k


# --- a bias of some entries, another in each row ---

# What bias_rows of _args/arrays.py makes of a mapping for each row.
cdef struct RowBiases:
    const double *value
    const int64_t *at
    int operand  # where the biases of the row begin among these, and how many it has; -1: there are none such


cdef RowBiases no_row_biases() noexcept nogil:
    cdef RowBiases b
    b.value = NULL
    b.at = NULL
    b.operand = -1
    return b


cdef inline bint are_row_biases(cnp.ndarray bias_at) noexcept:
    return bias_at is not None and cnp.PyArray_NDIM(bias_at) > 1


cdef RowBiases add_row_biases(RowIterator *w, cnp.ndarray bias, cnp.ndarray bias_at) noexcept:
    cdef RowBiases b
    cdef Py_ssize_t count = cnp.PyArray_SIZE(bias) // 2
    b.value = <const double *>cnp.PyArray_DATA(bias)
    b.at = <const int64_t *>(b.value + count)
    b.operand = add_operand(w, bias_at)
    return b


cdef inline void set_row_biases(const RowBiases *b, const RowIterator *w, fs_row *row) noexcept nogil:
    cdef const int64_t *span = <const int64_t *>w.data[b.operand]
    row.bias = b.value + span[0]
    row.bias_at = b.at + span[0]
    row.bias_count = span[1]


# --- runs of evenly spaced rows ---

# The beginning of every job over such runs.  An operand of -1 is not there, or the same for all rows.
cdef struct Batch:
    RowIterator iterator
    size_t count
    fs_rows rows  # what all rows have in common
    double temperature
    int temperature_operand, mask_operand, bias_operand
    RowBiases row_biases
    Outcome outcome


cdef int begin_batch(Batch *b, cnp.ndarray x, int axis, fs_dtype dtype, bint probs, cnp.npy_intp *shape) except -1:
    """Begin with the rows of x along `axis`; their shape is written to `shape`, which has MAX_DIMS places."""
    cdef RowIterator *w = &b.iterator
    cdef int d, nd = cnp.PyArray_NDIM(x)
    w.dims = nd - 1
    w.operands = 0
    b.count = 1
    for d in range(nd - 1):
        shape[d] = cnp.PyArray_DIM(x, d if d < axis else d + 1)
        w.shape[d] = shape[d]
        w.at[d] = 0
        b.count *= shape[d]
    add_entries(w, x, axis)
    b.rows.row = bare_row(NULL, cnp.PyArray_STRIDE(x, axis), dtype, probs)
    b.rows.n = cnp.PyArray_DIM(x, axis)
    b.rows.step = b.rows.mask_step = b.rows.bias_step = b.rows.temperature_step = 0
    b.temperature_operand = b.mask_operand = b.bias_operand = -1
    b.row_biases = no_row_biases()
    begin_outcome(&b.outcome)
    return 0


cdef bint take_bools(Batch *b, object mask, cnp.ndarray a, int axis) noexcept:
    """Whether a mask of bools, one for each entry of the rows of a or of one row for all, can be taken as it is."""
    cdef Py_ssize_t stride
    if not is_usable(mask) or cnp.PyArray_TYPE(<cnp.ndarray>mask) != cnp.NPY_BOOL:
        return False
    b.mask_operand = add_spread(&b.iterator, <cnp.ndarray>mask, a, axis, &stride)
    if b.mask_operand < 0:
        return False
    b.rows.row.mask_kind = FS_MASK_BYTES
    b.rows.row.mask_stride = stride
    return True


cdef inline size_t set_run(const Batch *b, const RowIterator *w, size_t most, fs_rows *rows) noexcept nogil:
    """Point `rows`, a copy of b.rows, to the rows from here to the end of the last axis; how many these are."""
    cdef int last = w.dims - 1
    cdef size_t count = 1
    if b.row_biases.operand >= 0:
        set_row_biases(&b.row_biases, w, &rows.row)
    elif last >= 0:
        count = min(<size_t>(w.shape[last] - w.at[last]), most)
        rows.step = w.stride[ROW][last]
        if b.mask_operand >= 0:
            rows.mask_step = w.stride[b.mask_operand][last]
        if b.bias_operand >= 0:
            rows.bias_step = w.stride[b.bias_operand][last]
        if b.temperature_operand >= 0:
            rows.temperature_step = w.stride[b.temperature_operand][last]
    rows.count = count
    rows.row.data = w.data[ROW]
    if b.mask_operand >= 0:
        rows.row.mask = w.data[b.mask_operand]
    if b.bias_operand >= 0:
        rows.row.bias = <const double *>w.data[b.bias_operand]
    rows.temperature = &b.temperature if b.temperature_operand < 0 else <const double *>w.data[b.temperature_operand]
    return count


cdef enum:
    STRIP = 1 << 17  # entries: FS_STRIP_LIMIT of csrc/row/rows.h in float


cdef inline size_t rows_together(const Batch *b) noexcept nogil:
    """How many rows the kernels bring into one tile or strip: neighbours in memory (csrc/row/tile-inl.h)."""
    cdef int last = b.iterator.dims - 1
    cdef Py_ssize_t size = size_of(b.rows.row.dtype)
    if last < 0 or b.iterator.stride[ROW][last] != size or b.rows.row.stride == size:
        return 1
    return min(128, max(16, STRIP // max(b.rows.n, 1) // 16 * 16))


# --- a row at a time ---

cdef fs_row row_like(cnp.ndarray x, int dtype, bint probs) noexcept:
    """What the rows of x have in common: no data, no mask, no bias."""
    return bare_row(NULL, cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - 1), <fs_dtype>dtype, probs)


cdef void set_layout_of_mask_and_bias(fs_row *row, cnp.ndarray mask, bint words, cnp.ndarray bias,
                                      cnp.ndarray bias_at) noexcept:
    """What the rows have in common of a mask and a bias (or None) of _args/arrays.py."""
    if mask is not None:
        row.mask_kind = FS_MASK_WORDS if words else FS_MASK_BYTES
        row.mask_stride = cnp.PyArray_STRIDE(mask, cnp.PyArray_NDIM(mask) - 1)
    if are_row_biases(bias_at):
        return
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


# The beginning of such a job: an iterator at row 0, with the operands ROW and TEMPERATURE first.
cdef struct Rows:
    RowIterator iterator
    size_t count
    size_t n
    fs_row row
    int mask_operand, bias_operand  # -1: none, or the same for all rows
    RowBiases row_biases
    Outcome outcome

cdef int begin_rows(Rows *rows, cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature) except -1:
    cdef int nd = cnp.PyArray_NDIM(x)
    rows.count = begin_iteration(&rows.iterator, x, nd - 1)
    rows.n = cnp.PyArray_DIM(x, nd - 1)
    rows.row = row_like(x, dtype, probs)
    add_operand(&rows.iterator, x)
    add_operand(&rows.iterator, temperature)
    rows.mask_operand = -1
    rows.bias_operand = -1
    rows.row_biases = no_row_biases()
    return 0


cdef void add_mask_and_bias(Rows *rows, cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at) noexcept:
    """Give the rows a mask and a bias (or None) of _args/arrays.py."""
    set_layout_of_mask_and_bias(&rows.row, mask, words, bias, bias_at)
    if mask is not None:
        rows.mask_operand = add_operand(&rows.iterator, mask)
    if are_row_biases(bias_at):
        rows.row_biases = add_row_biases(&rows.iterator, bias, bias_at)
    elif bias is not None and bias_at is None:
        rows.bias_operand = add_operand(&rows.iterator, bias)


cdef inline void set_row(const Rows *rows, const RowIterator *w, fs_row *row) noexcept nogil:
    """Point `row`, a copy of rows.row, to the current row."""
    row.data = w.data[ROW]
    if rows.mask_operand >= 0:
        row.mask = w.data[rows.mask_operand]
    if rows.bias_operand >= 0:
        row.bias = <const double *>w.data[rows.bias_operand]
    elif rows.row_biases.operand >= 0:
        set_row_biases(&rows.row_biases, w, row)


cdef inline double temperature_at(const RowIterator *w) noexcept nogil:
    return (<double *>w.data[TEMPERATURE])[0]


# --- truncation ---

cdef struct Truncation:
    Rows rows
    int out_operand, filters_operand
    fs_indices keep
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
                             &f.keep, f.coin[i] if f.coin != NULL else 1.0, scratch, &out)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def truncate_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                  cnp.ndarray bias_at, cnp.ndarray filters, cnp.ndarray keep, cnp.ndarray coins, cnp.ndarray out):
    """x / temperature for the entries that pass the filters, -inf for the others; arguments as for `sample_rows`."""
    cdef Truncation f
    begin_rows(&f.rows, x, dtype, False, temperature)
    check_row_length(f.rows.n)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.out_operand = add_operand(&f.rows.iterator, out)
    f.filters_operand = add_operand(&f.rows.iterator, filters)
    f.keep = indices_in(keep)
    f.coin = NULL if coins is None else <double *>cnp.PyArray_DATA(coins)
    f.out.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.out.dtype = <fs_dtype>dtype
    run_rows(truncate_task, &f, &f.rows.outcome, f.rows.count, FILTER_WORK * f.rows.n, False)

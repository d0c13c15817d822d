# Log-probabilities of given entries, the divergence of rows from others, and weighted sums.  Entropy is in softmax.pxi:
# its arguments and its result are those of logsumexp.

cdef struct LogProbRows:
    Batch batch
    size_t k  # entries of each row
    const int64_t *index
    double *logprob


cdef void log_prob_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef LogProbRows *f = <LogProbRows *>job
    cdef RowIterator w = f.batch.iterator
    cdef fs_rows rows = f.batch.rows
    cdef fs_status status
    cdef size_t i = first, j, count, done, k = f.k
    go_to_row(&w, first)
    while i < past:
        count = set_run(&f.batch, &w, past - i if k == 1 else 1, &rows)
        if k == 1:
            done = fs_logprob_rows(&rows, f.index + i, f.logprob + i)
            if done < count:
                note_rows(&f.batch.outcome, i, i + count, done)
                return
        else:
            status = fs_logprob(&rows.row, rows.n, rows.temperature[0], k, f.index + i * k, f.logprob + i * k)
            if note(&f.batch.outcome, i, status):
                return
            for j in range(i * k, (i + 1) * k):
                if status != FS_OK:
                    f.logprob[j] = NAN
        skip_rows(&w, count)
        i += count


def log_prob_rows(x, index, temperature, axis, where, bint prepared=False):
    """log p of entries of the rows of x along one axis; index: int64, in the shape of the rows and what follows.

    None, with nothing done and none of the caller's code run, where an argument is not of a kind that can be taken as
    it is, or where an index is out of range; see `transform`.
    """
    x = row_or_same(x, "x")
    where = array_or_same(where, "where")
    index = array_or_same(index, "index")
    cdef LogProbRows f
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef cnp.ndarray a, indices, result, temperatures
    cdef int code = row_array(x), at, i
    cdef Py_ssize_t j
    cdef const int64_t *place
    if code < 0:
        return None
    a = <cnp.ndarray>x
    at = row_axis(axis, cnp.PyArray_NDIM(a))
    if at < 0:
        return None
    begin_batch(&f.batch, a, at, <fs_dtype>code, False, shape)
    temperatures = temperature_of(temperature, &f.batch.temperature, prepared)
    if temperatures is not None:
        f.batch.temperature_operand = add_parameter(&f.batch.iterator, temperatures, shape)
    if f.batch.temperature_operand < 0 and not f.batch.temperature >= 0.0:
        return None
    if where is not None and not take_bools(&f.batch, where, a, at):
        return None
    if type(index) is int and 0 <= index < f.batch.rows.n:
        indices = <cnp.ndarray>cnp.PyArray_EMPTY(f.batch.iterator.dims, shape, cnp.NPY_INT64, 0)
        indices.fill(index)
    elif not is_usable(index) or cnp.PyArray_TYPE(<cnp.ndarray>index) != cnp.NPY_INT64:
        return None
    else:  # a copy, so that nobody changes it once it has been checked
        indices = <cnp.ndarray>cnp.PyArray_NewCopy(<cnp.ndarray>index, cnp.NPY_CORDER)
    if cnp.PyArray_NDIM(indices) < f.batch.iterator.dims:
        return None
    for i in range(f.batch.iterator.dims):
        if cnp.PyArray_DIM(indices, i) != shape[i]:
            return None
    f.k = 1
    for i in range(f.batch.iterator.dims, cnp.PyArray_NDIM(indices)):
        f.k *= cnp.PyArray_DIM(indices, i)
    place = <const int64_t *>cnp.PyArray_DATA(indices)
    cdef bint good = True
    for j in range(cnp.PyArray_SIZE(indices)):
        good &= 0 <= place[j] < <int64_t>f.batch.rows.n
    if not good:
        return None
    result = <cnp.ndarray>cnp.PyArray_EMPTY(cnp.PyArray_NDIM(indices), cnp.PyArray_DIMS(indices), cnp.NPY_DOUBLE, 0)
    f.index = place
    f.logprob = <double *>cnp.PyArray_DATA(result)
    merge_axes(&f.batch.iterator)
    if cnp.PyArray_SIZE(indices) != 0:
        run_rows(log_prob_task, &f, &f.batch.outcome, f.batch.count, f.batch.rows.n + f.k, True,
                 rows_together(&f.batch) if f.k == 1 else 1)
    return result[()]


cdef struct Divergence:
    Batch batch
    Py_ssize_t other_stride
    int other_operand, out_operand


cdef void divergence_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Divergence *f = <Divergence *>job
    cdef RowIterator w = f.batch.iterator
    cdef fs_rows rows = f.batch.rows, others
    cdef size_t i = first, count, done
    cdef ptrdiff_t step = 0
    go_to_row(&w, first)
    while i < past:
        count = set_run(&f.batch, &w, past - i, &rows)
        others = rows
        others.row.data = w.data[f.other_operand]
        others.row.stride = f.other_stride
        if w.dims > 0:
            others.step = w.stride[f.other_operand][w.dims - 1]
            step = w.stride[f.out_operand][w.dims - 1]
        done = fs_kl_divergence_rows(&rows, &others, <double *>w.data[f.out_operand], step)
        if done < count:
            note_rows(&f.batch.outcome, i, i + count, done)
            return
        skip_rows(&w, count)
        i += count


def kl_divergence_rows(cnp.ndarray x, cnp.ndarray y, int dtype, temperature, cnp.ndarray where, cnp.ndarray out):
    """The divergence of the rows of x from those of y, their entries last; out: float64 in the shape of the rows.

    The arguments are those of _measures.py: x and y of one dtype and shape, the temperatures an array, where None or
    bools in the shape of x.
    """
    cdef Divergence f
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef int at = cnp.PyArray_NDIM(x) - 1
    cdef cnp.ndarray temperatures
    begin_batch(&f.batch, x, at, <fs_dtype>dtype, False, shape)
    temperatures = temperature_of(temperature, &f.batch.temperature, True)
    if temperatures is not None:
        f.batch.temperature_operand = add_parameter(&f.batch.iterator, temperatures, shape)
    if where is not None and not take_bools(&f.batch, where, x, at):
        raise ValueError("where must be bool, in the shape of x")
    f.other_stride = cnp.PyArray_STRIDE(y, at)
    f.other_operand = add_entries(&f.batch.iterator, y, at)
    f.out_operand = add_operand(&f.batch.iterator, out)
    merge_axes(&f.batch.iterator)
    run_rows(divergence_task, &f, &f.batch.outcome, f.batch.count, 4 * f.batch.rows.n, True)


cdef struct WeightedSum:
    Batch batch
    fs_row weights
    int weights_operand, out_operand
    fs_output out


cdef void weighted_sum_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef WeightedSum *f = <WeightedSum *>job
    cdef RowIterator w = f.batch.iterator
    cdef fs_rows rows = f.batch.rows
    cdef fs_row weights = f.weights
    cdef fs_output out = f.out
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        set_run(&f.batch, &w, 1, &rows)
        weights.data = w.data[f.weights_operand]
        weights.mask = rows.row.mask
        out.data = w.data[f.out_operand]
        note(&f.batch.outcome, i,
             fs_logsumexp_weighted(&rows.row, &weights, rows.n, rows.temperature[0], &out))
        next_row(&w)


def weighted_sum_rows(cnp.ndarray x, cnp.ndarray b, int dtype, temperature, cnp.ndarray where, cnp.ndarray out):
    """logsumexp of the rows of x, their entries last, with the weights b: float64 in the shape of x.

    out: in the dtype of x and the shape of the rows.  The other arguments are those of `kl_divergence_rows`.  Returns
    the first row with a weight that is none, or -1.
    """
    cdef WeightedSum f
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef int at = cnp.PyArray_NDIM(x) - 1
    cdef cnp.ndarray temperatures
    begin_batch(&f.batch, x, at, <fs_dtype>dtype, False, shape)
    temperatures = temperature_of(temperature, &f.batch.temperature, True)
    if temperatures is not None:
        f.batch.temperature_operand = add_parameter(&f.batch.iterator, temperatures, shape)
    if where is not None and not take_bools(&f.batch, where, x, at):
        raise ValueError("where must be bool, in the shape of x")
    f.weights = f.batch.rows.row
    f.weights.dtype = FS_F64
    f.weights.stride = cnp.PyArray_STRIDE(b, at)
    f.weights_operand = add_entries(&f.batch.iterator, b, at)
    f.out_operand = add_operand(&f.batch.iterator, out)
    f.out.dtype = <fs_dtype>dtype
    f.out.stride = 0
    run_rows(weighted_sum_task, &f, &f.batch.outcome, f.batch.count, 4 * f.batch.rows.n, False)
    cdef Py_ssize_t bad = -1
    if f.batch.outcome.rejected != NOTHING:
        bad = f.batch.outcome.rejected >> STATUS_BITS
    return bad

# softmax, log_softmax, logsumexp, softmax_probs and entropy: one entry for arrays of any layout, along any axis.

SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_PROBS, ENTROPY = 0, 1, 2, 3, 4

cdef enum:
    _SOFTMAX, _LOG_SOFTMAX, _LOGSUMEXP, _SOFTMAX_PROBS, _ENTROPY


cdef struct Transform:
    Batch batch
    int out_operand  # of logsumexp and entropy: none, their results are one after another
    fs_output out
    int operation


cdef void transform_runs(Transform *f, RowIterator *w, fs_rows *rows, size_t first, size_t past) noexcept nogil:
    """Do the rows from the current one of w, which is number `first`; `rows` begins as f.batch.rows."""
    cdef fs_output out
    cdef size_t i = first, count, done
    cdef ptrdiff_t step = size_of(f.out.dtype)
    out.stride = f.out.stride
    out.dtype = f.out.dtype
    while i < past:
        count = set_run(&f.batch, w, past - i, rows)
        if f.operation == _LOGSUMEXP or f.operation == _ENTROPY:
            out.data = <char *>f.out.data + <ptrdiff_t>i * step
            if f.operation == _ENTROPY:
                done = fs_entropy_rows(rows, &out, step)
            else:
                done = fs_logsumexp_rows(rows, &out, step)
        else:
            out.data = w.data[f.out_operand]
            if w.dims > 0:
                step = w.stride[f.out_operand][w.dims - 1]
            if f.operation == _LOG_SOFTMAX:
                done = fs_log_softmax_rows(rows, &out, step)
            else:
                done = fs_softmax_rows(rows, &out, step)
        if done < count:
            note_rows(&f.batch.outcome, i, i + count, done)
            return
        skip_rows(w, count)
        i += count


cdef void transform_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Transform *f = <Transform *>job
    cdef RowIterator w
    cdef fs_rows rows
    if first == 0 and past == f.batch.count:  # the whole job: no other thread needs what would be copied
        transform_runs(f, &f.batch.iterator, &f.batch.rows, first, past)
    else:
        w = f.batch.iterator
        rows = f.batch.rows
        go_to_row(&w, first)
        transform_runs(f, &w, &rows, first, past)


def transform(x, temperature, axis, out, int operation, where=None, bint prepared=False):
    """softmax, log_softmax, logsumexp, softmax_probs or entropy of the rows of x along one axis.

    None, with nothing done and none of the caller's code run, where an argument is not of a kind that can be taken as
    it is: see `row_array`, `row_axis`, `temperature_of` and `result_like` in arguments.pxi, and for tensors
    `row_or_same` in dlpack.pxi.  _softmax.py converts such arguments, and calls again with `prepared`: the
    temperatures are its own, and checked.  where: bools in the shape of x; entries without it count as -inf.
    """
    x = row_or_same(x, "probs" if operation == _SOFTMAX_PROBS else "x")
    where = array_or_same(where, "where")
    target = array_or_same(out, "out")
    cdef Transform f
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef cnp.ndarray a, b = None, temperatures
    cdef int code = row_array(x), at
    if code < 0:
        return None
    a = <cnp.ndarray>x
    at = row_axis(axis, cnp.PyArray_NDIM(a))
    if at < 0:
        return None
    begin_batch(&f.batch, a, at, <fs_dtype>code, operation == _SOFTMAX_PROBS, shape)
    temperatures = temperature_of(temperature, &f.batch.temperature, prepared)
    if temperatures is not None:
        f.batch.temperature_operand = add_parameter(&f.batch.iterator, temperatures, shape)
    if f.batch.temperature_operand < 0 and not f.batch.temperature >= 0.0:
        return None
    if where is not None and not take_bools(&f.batch, where, a, at):
        return None
    f.operation = operation
    f.out.dtype = <fs_dtype>code
    if operation == _LOGSUMEXP or operation == _ENTROPY:
        return reduced(&f, a, shape)
    b = result_like(a, target)
    if b is None:
        return None
    if f.batch.rows.n == 0:
        return b
    f.out_operand = add_entries(&f.batch.iterator, b, at)
    f.out.stride = cnp.PyArray_STRIDE(b, at)
    merge_axes(&f.batch.iterator)
    run_rows(transform_task, &f, &f.batch.outcome, f.batch.count, f.batch.rows.n, True, rows_together(&f.batch))
    return b if out is None else out


cdef object reduced(Transform *f, cnp.ndarray a, cnp.npy_intp *shape):
    cdef cnp.ndarray result = None
    cdef int dims = cnp.PyArray_NDIM(a) - 1
    cdef double one  # of any dtype
    if f.batch.rows.n == 0:  # the sum of nothing; there is no distribution over nothing
        result = new_array(dims, shape, a)
        result.fill(-INFINITY if f.operation == _LOGSUMEXP else NAN)
        return result[()]
    f.out.data = &one
    f.out.stride = 0
    if dims > 0:
        result = new_array(dims, shape, a)
        f.out.data = cnp.PyArray_DATA(result)
    merge_axes(&f.batch.iterator)
    run_rows(transform_task, f, &f.batch.outcome, f.batch.count, f.batch.rows.n, True, rows_together(&f.batch))
    return PyArray_Scalar(&one, cnp.PyArray_DESCR(a), None) if result is None else result

# Rows of different lengths, one after another in one array: softmax, log_softmax, logsumexp, draws.
#
# The work is divided by entries.  A division is the rows that begin in one stretch of CHUNK entries, where a row counts
# as ROW_WORK entries more than it has.  Rows of LONG_ROW entries or more are done before, one after another: the
# threads share their blocks.

SEGMENT_DRAW = 3  # an operation besides SOFTMAX, LOG_SOFTMAX and LOGSUMEXP of softmax.pxi
LONG_SEGMENT = LONG_ROW

cdef enum:
    _SEGMENT_DRAW = 3
    ROW_WORK = 8


cdef struct SegmentJob:
    fs_segments segments
    int operation
    size_t rows
    const int64_t *long_rows
    size_t long_count
    size_t divisions
    fs_output out
    const double *u
    int64_t *index
    double *logprob
    bint stop  # the call ends with the first row that cannot be drawn from
    double temperature
    Outcome outcome


cdef inline size_t place_of(const SegmentJob *f, size_t row) noexcept nogil:
    """Where a row begins, in work."""
    return <size_t>f.segments.offset[row] + ROW_WORK * row


cdef size_t first_row_of(const SegmentJob *f, size_t division) noexcept nogil:
    """The first row of a division: the first that begins at or after the beginning of the division."""
    cdef size_t low = 0, high = f.rows, middle
    if division >= f.divisions:
        return f.rows
    while low < high:
        middle = low + (high - low) // 2
        if place_of(f, middle) < division * CHUNK:
            low = middle + 1
        else:
            high = middle
    return low


cdef void do_segments(SegmentJob *f, size_t first, size_t past) noexcept nogil:
    """Do the rows [first, past)."""
    cdef fs_status status
    cdef size_t i
    if f.operation == _SOFTMAX:
        status = fs_softmax_segments(&f.segments, first, past, &f.out)
    elif f.operation == _LOG_SOFTMAX:
        status = fs_log_softmax_segments(&f.segments, first, past, &f.out)
    elif f.operation == _LOGSUMEXP:
        status = fs_logsumexp_segments(&f.segments, first, past, &f.out)
    else:
        status = fs_sample_segments(&f.segments, first, past, f.u, f.index, f.logprob)
        if status == FS_OK and any_negative(f.index + first, past - first):
            i = first
            while f.index[i] >= 0:
                i += 1
            note(&f.outcome, i, FS_NO_MASS)
    if status != FS_OK:
        note(&f.outcome, first, status)


cdef void divisions_task(void *job, size_t first, size_t past) noexcept nogil:
    """Do the rows of the divisions [first, past) that are not long."""
    cdef SegmentJob *f = <SegmentJob *>job
    cdef size_t row = first_row_of(f, first), end = first_row_of(f, past), i, long_row
    if f.stop and fs_atomic_load(&f.outcome.rejected) < row << STATUS_BITS:
        return
    for i in range(f.long_count):
        long_row = <size_t>f.long_rows[i]
        if row <= long_row < end:
            do_segments(f, row, long_row)
            row = long_row + 1
    if row < end:
        do_segments(f, row, end)


cdef void long_row_task(void *job, size_t first, size_t past) noexcept nogil:
    """Do the first of the long rows that are left."""
    cdef SegmentJob *f = <SegmentJob *>job
    do_segments(f, <size_t>f.long_rows[0], <size_t>f.long_rows[0] + 1)


cdef int run_segments(SegmentJob *f) except -1:
    """Do all rows; f.outcome.rejected is the first that cannot be drawn from."""
    cdef SegmentJob one
    cdef size_t i, work = place_of(f, f.rows)
    cdef uint64_t rejected = NOTHING
    for i in range(f.long_count):
        one = f[0]
        one.long_rows += i
        run_rows(long_row_task, &one, &one.outcome, 1, LONG_ROW, True)
        rejected = min(rejected, one.outcome.rejected)
    f.divisions = max(work // CHUNK, 1)
    run_rows(divisions_task, f, &f.outcome, f.divisions, CHUNK if f.divisions > 1 else work, False)
    f.outcome.rejected = min(rejected, f.outcome.rejected)
    return 0


def segmented(x, temperature, out, u, cnp.ndarray offsets, cnp.ndarray long_rows, int operation,
              bint return_logprob=False, bint stop=False, bint prepared=False):
    """softmax, log_softmax, logsumexp of rows, or draws from them and the number of the first that has none, or -1.

    `offsets`, `long_rows`: those of a SegmentedRows (_segments.py), checked; the row of index i is x[offsets[i]] to
    x[offsets[i + 1] - 1].  u: real numbers, one for each row.  None, with nothing done and none of the caller's code
    run, where an argument is not of a kind that can be taken as it is: _segments.py converts it and calls again with
    `prepared`: the temperatures are its own, and checked.
    """
    x = array_or_same(x, "x" if operation != _SEGMENT_DRAW else "logits")
    target = array_or_same(out, "out")
    cdef SegmentJob f
    cdef Py_ssize_t bad = -1
    cdef cnp.npy_intp count = cnp.PyArray_DIM(offsets, 0) - 1
    cdef cnp.ndarray a, t, b = None, uniforms, logprob = None
    cdef int code = row_array(x)
    f.segments.offset = <const int64_t *>cnp.PyArray_DATA(offsets)
    if code < 0 or cnp.PyArray_NDIM(<cnp.ndarray>x) != 1:
        return None
    a = <cnp.ndarray>x
    if cnp.PyArray_DIM(a, 0) != f.segments.offset[count]:
        return None
    f.segments.data = cnp.PyArray_DATA(a)
    f.segments.stride = cnp.PyArray_STRIDE(a, 0)
    f.segments.dtype = <fs_dtype>code
    t = temperature_of(temperature, &f.temperature, prepared)
    f.segments.temperature = &f.temperature
    f.segments.temperature_step = 0
    if t is not None:
        if cnp.PyArray_NDIM(t) != 1 or cnp.PyArray_DIM(t, 0) != count:
            return None
        f.segments.temperature = <const double *>cnp.PyArray_DATA(t)
        f.segments.temperature_step = cnp.PyArray_STRIDE(t, 0)
    elif not f.temperature >= 0.0:
        return None
    f.operation = operation
    f.rows = count
    f.long_rows = <const int64_t *>cnp.PyArray_DATA(long_rows)
    f.long_count = cnp.PyArray_DIM(long_rows, 0)
    f.stop = stop
    f.logprob = NULL
    begin_outcome(&f.outcome)
    f.out.dtype = <fs_dtype>code
    if operation == _SEGMENT_DRAW:
        if not is_usable(u) or cnp.PyArray_NDIM(<cnp.ndarray>u) != 1 or cnp.PyArray_DIM(<cnp.ndarray>u, 0) != count:
            return None
        uniforms = doubles_of(u)
        if uniforms is None:
            return None
        f.u = <const double *>cnp.PyArray_DATA(uniforms)
        if not are_in_unit_interval(f.u, count):
            return None
        b = <cnp.ndarray>cnp.PyArray_EMPTY(1, &count, cnp.NPY_INT64, 0)
        f.index = <int64_t *>cnp.PyArray_DATA(b)
        if return_logprob:
            logprob = <cnp.ndarray>cnp.PyArray_EMPTY(1, &count, cnp.NPY_DOUBLE, 0)
            f.logprob = <double *>cnp.PyArray_DATA(logprob)
    elif operation == _LOGSUMEXP:
        b = new_array(1, &count, a)
        f.out.data = cnp.PyArray_DATA(b)
        f.out.stride = cnp.PyArray_ITEMSIZE(b)
    else:
        b = result_like(a, target)
        if b is None:
            return None
        f.out.data = cnp.PyArray_DATA(b)
        f.out.stride = cnp.PyArray_STRIDE(b, 0)
    run_segments(&f)
    if operation == _SEGMENT_DRAW:
        if f.outcome.rejected != NOTHING:
            bad = f.outcome.rejected >> STATUS_BITS
        return (b, logprob), bad
    return b if out is None else out

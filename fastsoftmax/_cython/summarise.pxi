# The summary of a shard (the format: summary.pxi).

cdef struct Summarising:
    Rows rows
    View view
    size_t head, tail


cdef void summarise_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Summarising *f = <Summarising *>job
    cdef View *v = &f.view
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef fs_status status
    cdef size_t i, middle = v.blocks * v.block
    cdef double t
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        t = temperature_at(&w) + 0.0  # -0 becomes 0: equal summaries have equal bits
        v.temperature[i] = t
        v.rest[i] = 0.0
        status = FS_OK
        if middle:
            status = fs_summarise(&row, f.head, middle, t, 0, v.max + i * v.blocks, v.sum + i * v.blocks, v.rest + i)
        if status == FS_OK and v.in_double:
            v.rest_in_double[i] = 0.0
            if wants_double(v, i) and middle:
                status = fs_summarise(&row, f.head, middle, t, 1, v.max_in_double + i * v.blocks_in_double,
                                      v.sum_in_double + i * v.blocks_in_double, v.rest_in_double + i)
            else:
                fill_blocks(v.max_in_double + i * v.blocks_in_double, v.sum_in_double + i * v.blocks_in_double,
                            v.blocks_in_double)
        if status == FS_OK and f.head:
            status = fs_read_entries(&row, 0, f.head, v.entry + i * v.entries * v.width)
        if status == FS_OK and f.tail:
            status = fs_read_entries(&row, f.rows.n - f.tail, f.tail, v.entry + (i * v.entries + f.head) * v.width)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def summarise(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
              cnp.ndarray bias_at, int64_t offset, bint logsumexp, bint in_double):
    """The bytes of the summary of a shard that begins at entry `offset`."""
    cdef Summarising f
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    cdef int64_t block = fs_shard_block(<fs_dtype>dtype), past = offset + <int64_t>f.rows.n
    cdef list pieces = cut_pieces(offset, past, block)
    f.view.dtype = <fs_dtype>dtype
    f.view.logsumexp = logsumexp
    f.view.in_double = f.view.dtype != FS_F64 and (logsumexp or in_double)
    cdef bytes made = new_summary(
        &f.view, [cnp.PyArray_DIM(x, i) for i in range(cnp.PyArray_NDIM(x) - 1)], [(offset, past)], pieces
    )
    f.head = f.tail = 0
    for first, end in pieces:
        if first == offset and first % block:
            f.head = <size_t>(end - first)
        else:
            f.tail = <size_t>(end - first)
    run_rows(summarise_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)
    return made

# Rows in shards (csrc/fastsoftmax.h).  Where a row has several numbers (blocks, draws) they lie one after another, the
# rows in row-major order; _shards.py makes these arrays, C-contiguous and of the sizes that belong to each other.

def summarise_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                   cnp.ndarray bias_at, bint in_double, cnp.ndarray wanted, cnp.ndarray maxima, cnp.ndarray sums,
                   cnp.ndarray rest):
    """Summarise the rows of x that are `wanted` (uint8, one a row) into maxima and sums (rows x blocks) and rest."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef size_t block = 512 if in_double else fs_shard_block(<fs_dtype>dtype)
    cdef size_t blocks = (n + block - 1) // block
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef Beside beside
    cdef const unsigned char *want = <const unsigned char *>cnp.PyArray_DATA(wanted)
    cdef double *to_max = <double *>cnp.PyArray_DATA(maxima)
    cdef double *to_sum = <double *>cnp.PyArray_DATA(sums)
    cdef double *to_rest = <double *>cnp.PyArray_DATA(rest)
    if <size_t>cnp.PyArray_SIZE(maxima) != rows * blocks or <size_t>cnp.PyArray_SIZE(sums) != rows * blocks:
        raise ValueError("not the arrays of this shard")
    take_along(&w, x)
    take_along(&w, temperature)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    with nogil:
        for i in range(rows):
            if want[i]:
                row.data = w.data[0]
                set_beside(&beside, &w, &row)
                status = fs_summarise(&row, n, (<double *>w.data[1])[0], in_double, to_max + i * blocks,
                                      to_sum + i * blocks, to_rest + i)
                if status == FS_NO_MEMORY:
                    break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


# The summaries of several rows, and the one of a row.
cdef struct Blocks:
    size_t blocks
    const double *max
    const double *sum
    const double *rest


cdef Blocks blocks_of(tuple arrays) except *:
    """From (maxima, sums, rest), or None for no blocks."""
    cdef Blocks b
    b.blocks = 0
    b.max = NULL
    b.sum = NULL
    b.rest = NULL
    if arrays is None:
        return b
    cdef cnp.ndarray maxima = arrays[0], sums = arrays[1], rest = arrays[2]
    b.blocks = cnp.PyArray_DIM(maxima, cnp.PyArray_NDIM(maxima) - 1)
    if cnp.PyArray_SIZE(maxima) != cnp.PyArray_SIZE(sums) or (
            cnp.PyArray_SIZE(rest) * <cnp.npy_intp>b.blocks != cnp.PyArray_SIZE(maxima)):
        raise ValueError("not the arrays of one summary")
    b.max = <const double *>cnp.PyArray_DATA(maxima)
    b.sum = <const double *>cnp.PyArray_DATA(sums)
    b.rest = <const double *>cnp.PyArray_DATA(rest)
    return b


cdef inline fs_blocks blocks_at(const Blocks *b, size_t i) noexcept nogil:
    cdef fs_blocks of_row
    of_row.blocks = b.blocks
    of_row.max = b.max + i * b.blocks if b.blocks else NULL
    of_row.sum = b.sum + i * b.blocks if b.blocks else NULL
    of_row.rest = b.rest[i] if b.blocks else 0.0
    return of_row


cdef fs_normaliser *normalisers_in(cnp.ndarray normaliser, size_t rows) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(normaliser) != rows * sizeof(fs_normaliser):
        raise ValueError("not one normaliser a row")
    return <fs_normaliser *>cnp.PyArray_DATA(normaliser)


def normalise_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser):
    """The normaliser of every row from the summaries of all its blocks; temperature: float64, one a row."""
    cdef Blocks main = blocks_of(of), fine = blocks_of(wide)
    cdef size_t rows = cnp.PyArray_SIZE(temperature), i
    cdef fs_normaliser *to = normalisers_in(normaliser, rows)
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef fs_summary summary
    cdef fs_status status = FS_OK
    with nogil:
        for i in range(rows):
            summary.of = blocks_at(&main, i)
            summary.wide = blocks_at(&fine, i)
            status = fs_normalise(<fs_dtype>dtype, t[i], &summary, to + i)
            if status == FS_NO_MEMORY:
                break
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def logsumexp_summary_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser,
                           cnp.ndarray result):
    """logsumexp of every row, in float64, from its summary and normaliser."""
    cdef Blocks main = blocks_of(of), fine = blocks_of(wide)
    cdef size_t rows = cnp.PyArray_SIZE(temperature), i
    cdef const fs_normaliser *norm = normalisers_in(normaliser, rows)
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef double *to = <double *>cnp.PyArray_DATA(result)
    cdef fs_summary summary
    cdef fs_status status = FS_OK
    with nogil:
        for i in range(rows):
            summary.of = blocks_at(&main, i)
            summary.wide = blocks_at(&fine, i)
            status = fs_logsumexp_of_summary(<fs_dtype>dtype, t[i], &summary, norm + i, to + i)
            if status == FS_NO_MEMORY:
                break
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def locate_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser, size_t k,
                cnp.ndarray u, cnp.ndarray location):
    """Where k draws from every row fall; u: float64, location: records, rows * k of each."""
    cdef Blocks main = blocks_of(of), fine = blocks_of(wide)
    cdef size_t rows = cnp.PyArray_SIZE(temperature), i
    cdef const fs_normaliser *norm = normalisers_in(normaliser, rows)
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef const double *given = <const double *>cnp.PyArray_DATA(u)
    cdef fs_location *to = locations_in(location, rows * k)
    cdef fs_summary summary
    cdef fs_status status = FS_OK
    if <size_t>cnp.PyArray_SIZE(u) != rows * k:
        raise ValueError("not one uniform a draw")
    with nogil:
        for i in range(rows):
            summary.of = blocks_at(&main, i)
            summary.wide = blocks_at(&fine, i)
            status = fs_locate(<fs_dtype>dtype, t[i], &summary, norm + i, k, given + i * k, to + i * k)
            if status == FS_NO_MEMORY:
                break
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


cdef fs_location *locations_in(cnp.ndarray location, size_t count) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(location) != count * sizeof(fs_location):
        raise ValueError("not one location a draw")
    return <fs_location *>cnp.PyArray_DATA(location)


def finish_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                cnp.ndarray bias_at, cnp.ndarray normaliser, cnp.ndarray block_max, cnp.ndarray out, bint log):
    """The shard's part of softmax (or log_softmax) into out; block_max (or None): rows x blocks, to be met.

    Returns the first row whose entries are not those summarised, or -1.
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i, blocks = 0
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_output to
    cdef fs_status status = FS_OK
    cdef Beside beside
    cdef Py_ssize_t changed = -1
    cdef const fs_normaliser *norm = normalisers_in(normaliser, rows)
    cdef const double *met = NULL
    if block_max is not None:
        blocks = cnp.PyArray_DIM(block_max, cnp.PyArray_NDIM(block_max) - 1)
        met = <const double *>cnp.PyArray_DATA(block_max)
    take_along(&w, x)
    take_along(&w, temperature)
    take_along(&w, out)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    to.stride = cnp.PyArray_STRIDE(out, nd - 1)
    to.dtype = <fs_dtype>dtype
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            to.data = w.data[2]
            set_beside(&beside, &w, &row)
            if log:
                status = fs_log_softmax_shard(&row, n, (<double *>w.data[1])[0], norm + i, &to)
            else:
                status = fs_softmax_shard(&row, n, (<double *>w.data[1])[0], norm + i,
                                          met + i * blocks if met != NULL else NULL, &to)
            if status == FS_CHANGED and changed < 0:
                changed = i
            next_row(&w)
    return changed


def resolve_rows(cnp.ndarray x, int dtype, size_t offset, cnp.ndarray temperature, cnp.ndarray mask, bint words,
                 cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray normaliser, size_t k, cnp.ndarray location,
                 cnp.ndarray index, cnp.ndarray logprob):
    """The draws that fall in the shard at `offset` (the others: -1, and -inf or NaN in logprob, which may be None).

    Returns the first row whose entries are not those summarised, or -1.
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef Beside beside
    cdef Py_ssize_t changed = -1
    cdef const fs_normaliser *norm = normalisers_in(normaliser, rows)
    cdef const fs_location *at = locations_in(location, rows * k)
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(index)
    cdef double *log_to = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    take_along(&w, x)
    take_along(&w, temperature)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            set_beside(&beside, &w, &row)
            status = fs_resolve(&row, n, offset, (<double *>w.data[1])[0], norm + i, k, at + i * k, to + i * k,
                                NULL if log_to == NULL else log_to + i * k)
            if status == FS_CHANGED and changed < 0:
                changed = i
            next_row(&w)
    return changed

# Rows in shards (csrc/fastsoftmax.h): summaries of blocks, the normaliser from the summaries of all shards, and the
# results of a shard from its logits and the normaliser.
#
# Arrays of blocks and draws are C-contiguous, those of a row one after another, the rows in row-major order.
# _sharding/ makes them; their sizes are checked here.  Logits, mask and bias are prepared as in rows.pxi.

def shard_block(int dtype):
    """The number of entries in a block."""
    return fs_shard_block(<fs_dtype>dtype)


# The formula serves temperatures from 1 / EXTREME to EXTREME.
EXTREME = FS_EXTREME_F64


def needs_double(int dtype, cnp.ndarray temperature, cnp.ndarray result):
    """Into result (bool): whether rows at each temperature (float64) are computed in double; both C-contiguous."""
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef unsigned char *needed = <unsigned char *>cnp.PyArray_DATA(result)
    cdef Py_ssize_t i
    if cnp.PyArray_SIZE(temperature) != cnp.PyArray_SIZE(result):
        raise ValueError("temperature and result must be of one size")
    for i in range(cnp.PyArray_SIZE(temperature)):
        needed[i] = fs_needs_double(<fs_dtype>dtype, t[i]) != 0


cdef struct Summarising:
    Rows rows
    bint in_double
    size_t blocks
    const unsigned char *wanted
    double *max
    double *sum
    double *rest


cdef void summarise_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Summarising *f = <Summarising *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        if f.wanted[i]:
            set_row(&f.rows, &w, &row)
            if note(&f.rows.outcome, i, fs_summarise(&row, f.rows.n, temperature_at(&w), f.in_double,
                                                     f.max + i * f.blocks, f.sum + i * f.blocks, f.rest + i)):
                return
        next_row(&w)


def summarise_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                   cnp.ndarray bias_at, bint in_double, cnp.ndarray wanted, cnp.ndarray maxima, cnp.ndarray sums,
                   cnp.ndarray rest):
    """Summarise the rows of x that are `wanted` (uint8) into maxima and sums (rows x blocks) and rest (rows)."""
    cdef Summarising f
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    cdef size_t block = fs_shard_block(FS_F64 if in_double else <fs_dtype>dtype)
    f.in_double = in_double
    f.blocks = (f.rows.n + block - 1) // block
    f.wanted = <const unsigned char *>cnp.PyArray_DATA(wanted)
    f.max = <double *>cnp.PyArray_DATA(maxima)
    f.sum = <double *>cnp.PyArray_DATA(sums)
    f.rest = <double *>cnp.PyArray_DATA(rest)
    cdef size_t size = f.rows.count * f.blocks
    if <size_t>cnp.PyArray_SIZE(maxima) != size or <size_t>cnp.PyArray_SIZE(sums) != size:
        raise ValueError("maxima and sums must have one element for each block of the shard")
    run_rows(summarise_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


# The summarised blocks of several rows.
cdef struct Blocks:
    size_t count
    const double *max
    const double *sum
    const double *rest


cdef Blocks blocks_of(tuple arrays) except *:
    """From (maxima, sums, rest), or None for no blocks."""
    cdef Blocks b
    b.count = 0
    b.max = NULL
    b.sum = NULL
    b.rest = NULL
    if arrays is None:
        return b
    cdef cnp.ndarray maxima = arrays[0], sums = arrays[1], rest = arrays[2]
    b.count = cnp.PyArray_DIM(maxima, cnp.PyArray_NDIM(maxima) - 1)
    if cnp.PyArray_SIZE(maxima) != cnp.PyArray_SIZE(sums) or (
            cnp.PyArray_SIZE(rest) * <cnp.npy_intp>b.count != cnp.PyArray_SIZE(maxima)):
        raise ValueError("maxima, sums and rest must be those of one summary")
    b.max = <const double *>cnp.PyArray_DATA(maxima)
    b.sum = <const double *>cnp.PyArray_DATA(sums)
    b.rest = <const double *>cnp.PyArray_DATA(rest)
    return b


cdef inline fs_blocks blocks_at(const Blocks *b, size_t i) noexcept nogil:
    cdef fs_blocks row
    row.blocks = b.count
    row.max = b.max + i * b.count if b.count else NULL
    row.sum = b.sum + i * b.count if b.count else NULL
    row.rest = b.rest[i] if b.count else 0.0
    return row


cdef fs_normaliser *normalisers_in(cnp.ndarray normaliser, size_t rows) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(normaliser) != rows * sizeof(fs_normaliser):
        raise ValueError("normaliser must have one element for each row")
    return <fs_normaliser *>cnp.PyArray_DATA(normaliser)


# What follows from the summaries of all shards: the normaliser of each row, its logsumexp, the locations of its draws.
cdef struct Combining:
    fs_dtype dtype
    const double *temperature
    Blocks blocks
    Blocks double_blocks  # in double, where the dtype is not float64 and the row needs it
    fs_normaliser *normaliser
    double *result     # of logsumexp
    size_t k
    const double *u    # of draws
    fs_location *at
    Outcome outcome


cdef size_t begin_combining(Combining *f, int dtype, cnp.ndarray temperature, tuple blocks, tuple double_blocks,
                            cnp.ndarray normaliser) except? 0:
    """The number of rows."""
    cdef size_t rows = cnp.PyArray_SIZE(temperature)
    f.dtype = <fs_dtype>dtype
    f.temperature = <const double *>cnp.PyArray_DATA(temperature)
    f.blocks = blocks_of(blocks)
    f.double_blocks = blocks_of(double_blocks)
    f.normaliser = normalisers_in(normaliser, rows)
    return rows


cdef inline fs_summary summary_at(const Combining *f, size_t i) noexcept nogil:
    cdef fs_summary summary
    summary.of = blocks_at(&f.blocks, i)
    summary.wide = blocks_at(&f.double_blocks, i)
    return summary


cdef int finish_combining(Combining *f, rows_task task, size_t rows, size_t work) except -1:
    """Do all rows; raises for a Summary that `summarize` cannot have made."""
    run_rows(task, f, &f.outcome, rows, work, False)
    if f.outcome.rejected != NOTHING:
        raise ValueError("summary is damaged: no row of logits has these blocks; make it again with summarize")
    return 0


cdef void normalise_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_normalise(f.dtype, f.temperature[i], &summary, f.normaliser + i)):
            return


def normalise_rows(int dtype, cnp.ndarray temperature, tuple blocks, tuple double_blocks, cnp.ndarray normaliser):
    """The normaliser of every row from its summarised blocks; temperature: float64, one for each row."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, blocks, double_blocks, normaliser)
    finish_combining(&f, normalise_task, rows, 64 * (1 + f.blocks.count))


cdef void logsumexp_summary_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_logsumexp_of_summary(f.dtype, f.temperature[i], &summary, f.normaliser + i,
                                                       f.result + i)):
            return


def logsumexp_summary_rows(int dtype, cnp.ndarray temperature, tuple blocks, tuple double_blocks,
                           cnp.ndarray normaliser, cnp.ndarray result):
    """logsumexp of every row, in float64, from its summary and normaliser."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, blocks, double_blocks, normaliser)
    f.result = <double *>cnp.PyArray_DATA(result)
    finish_combining(&f, logsumexp_summary_task, rows, 64 * (1 + f.blocks.count))


cdef void locate_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_locate(f.dtype, f.temperature[i], &summary, f.normaliser + i, f.k, f.u + i * f.k,
                                         f.at + i * f.k)):
            return


def locate_rows(int dtype, cnp.ndarray temperature, tuple blocks, tuple double_blocks, cnp.ndarray normaliser, size_t k,
                cnp.ndarray u, cnp.ndarray location):
    """The block that each of k draws from every row falls in; u: float64, location: records, rows * k of each."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, blocks, double_blocks, normaliser)
    f.k = k
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.at = locations_in(location, rows * k)
    if <size_t>cnp.PyArray_SIZE(u) != rows * k:
        raise ValueError("u must have one element for each draw")
    finish_combining(&f, locate_task, rows, 64 * (1 + f.blocks.count + k))


cdef fs_location *locations_in(cnp.ndarray location, size_t count) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(location) != count * sizeof(fs_location):
        raise ValueError("location must have one element for each draw")
    return <fs_location *>cnp.PyArray_DATA(location)


cdef struct Finishing:
    Rows rows
    int out_operand
    fs_output out
    const fs_normaliser *normaliser
    const double *block_max  # NULL: none
    size_t blocks
    bint log


cdef void finish_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Finishing *f = <Finishing *>job
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
            status = fs_log_softmax_shard(&row, f.rows.n, temperature_at(&w), f.normaliser + i, &out)
        else:
            status = fs_softmax_shard(&row, f.rows.n, temperature_at(&w), f.normaliser + i,
                                      f.block_max + i * f.blocks if f.block_max != NULL else NULL, &out)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def finish_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                cnp.ndarray bias_at, cnp.ndarray normaliser, cnp.ndarray block_max, cnp.ndarray out, bint log):
    """The shard's part of softmax (or log_softmax) into out; block_max (or None): rows x blocks, what
    the maxima of the blocks must be.

    Returns the first row whose entries are not those that were summarised, or -1.
    """
    cdef Finishing f
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.out_operand = add_operand(&f.rows.iterator, out)
    f.out.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.out.dtype = <fs_dtype>dtype
    f.normaliser = normalisers_in(normaliser, f.rows.count)
    f.block_max = NULL
    f.blocks = 0
    if block_max is not None:
        f.blocks = cnp.PyArray_DIM(block_max, cnp.PyArray_NDIM(block_max) - 1)
        f.block_max = <const double *>cnp.PyArray_DATA(block_max)
    f.log = log
    run_rows(finish_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, log)
    return changed_row(&f.rows.outcome)


cdef object changed_row(const Outcome *outcome):
    """The first row noted, or -1; FS_CHANGED is the only status that the tasks here note."""
    return -1 if outcome.rejected == NOTHING else outcome.rejected >> STATUS_BITS


cdef struct Resolving:
    Rows rows
    size_t offset
    size_t k
    const fs_normaliser *normaliser
    const fs_location *at
    int64_t *index
    double *logprob


cdef void resolve_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Resolving *f = <Resolving *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef size_t i, k = f.k
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        if note(&f.rows.outcome, i, fs_resolve(&row, f.rows.n, f.offset, temperature_at(&w), f.normaliser + i, k,
                                               f.at + i * k, f.index + i * k,
                                               NULL if f.logprob == NULL else f.logprob + i * k)):
            return
        next_row(&w)


def resolve_rows(cnp.ndarray x, int dtype, size_t offset, cnp.ndarray temperature, cnp.ndarray mask, bint words,
                 cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray normaliser, size_t k, cnp.ndarray location,
                 cnp.ndarray index, cnp.ndarray logprob):
    """The draws that fall in the shard at `offset` (the others: -1, and -inf or NaN in logprob, which may be None).

    Returns the first row whose entries are not those that were summarised, or -1.
    """
    cdef Resolving f
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.offset = offset
    f.k = k
    f.normaliser = normalisers_in(normaliser, f.rows.count)
    f.at = locations_in(location, f.rows.count * k)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    run_rows(resolve_task, &f, &f.rows.outcome, f.rows.count, 1024 * k, False)
    return changed_row(&f.rows.outcome)

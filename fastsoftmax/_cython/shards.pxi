# Rows in shards (csrc/fastsoftmax.h).  Where a row has several numbers (blocks, draws) they lie one after another, the
# rows in row-major order; _sharding/api.py makes these arrays, C-contiguous and of the sizes that belong to each other.

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
    cdef Walk w = f.rows.walk
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
    """Summarise the rows of x that are `wanted` (uint8, one a row) into maxima and sums (rows x blocks) and rest."""
    cdef Summarising f
    begin_rows(&f.rows, x, dtype, False, temperature)
    take_operands(&f.rows.operands, &f.rows.walk, &f.rows.row, mask, words, bias, bias_at)
    cdef size_t block = 512 if in_double else fs_shard_block(<fs_dtype>dtype)
    f.in_double = in_double
    f.blocks = (f.rows.n + block - 1) // block
    f.wanted = <const unsigned char *>cnp.PyArray_DATA(wanted)
    f.max = <double *>cnp.PyArray_DATA(maxima)
    f.sum = <double *>cnp.PyArray_DATA(sums)
    f.rest = <double *>cnp.PyArray_DATA(rest)
    cdef size_t size = f.rows.count * f.blocks
    if <size_t>cnp.PyArray_SIZE(maxima) != size or <size_t>cnp.PyArray_SIZE(sums) != size:
        raise ValueError("not the arrays of this shard")
    run_rows(summarise_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, True)


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


# What a row has when its shards are known: its normaliser, and what follows from that and the summaries.
cdef struct Combining:
    fs_dtype dtype
    const double *temperature
    Blocks main
    Blocks fine
    fs_normaliser *normaliser
    double *result     # of logsumexp
    size_t k
    const double *u    # of draws
    fs_location *at
    Outcome outcome


cdef size_t begin_combining(Combining *f, int dtype, cnp.ndarray temperature, tuple of, tuple wide,
                            cnp.ndarray normaliser) except? 0:
    """The number of rows."""
    cdef size_t rows = cnp.PyArray_SIZE(temperature)
    f.dtype = <fs_dtype>dtype
    f.temperature = <const double *>cnp.PyArray_DATA(temperature)
    f.main = blocks_of(of)
    f.fine = blocks_of(wide)
    f.normaliser = normalisers_in(normaliser, rows)
    return rows


cdef inline fs_summary summary_at(const Combining *f, size_t i) noexcept nogil:
    cdef fs_summary summary
    summary.of = blocks_at(&f.main, i)
    summary.wide = blocks_at(&f.fine, i)
    return summary


cdef int finish_combining(Combining *f, rows_task task, size_t rows, size_t work) except -1:
    """All rows; a Summary that cannot have been made by summarize is refused."""
    run_rows(task, f, &f.outcome, rows, work, False)
    if f.outcome.rejected != NOTHING:
        raise ValueError("summary: it is damaged: no row leaves these blocks")
    return 0


cdef void normalise_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_normalise(f.dtype, f.temperature[i], &summary, f.normaliser + i)):
            return


def normalise_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser):
    """The normaliser of every row from the summaries of all its blocks; temperature: float64, one a row."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, of, wide, normaliser)
    finish_combining(&f, normalise_task, rows, 64 * (1 + f.main.blocks))


cdef void logsumexp_summary_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_logsumexp_of_summary(f.dtype, f.temperature[i], &summary, f.normaliser + i,
                                                       f.result + i)):
            return


def logsumexp_summary_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser,
                           cnp.ndarray result):
    """logsumexp of every row, in float64, from its summary and normaliser."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, of, wide, normaliser)
    f.result = <double *>cnp.PyArray_DATA(result)
    finish_combining(&f, logsumexp_summary_task, rows, 64 * (1 + f.main.blocks))


cdef void locate_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary = summary_at(f, i)
        if note(&f.outcome, i, fs_locate(f.dtype, f.temperature[i], &summary, f.normaliser + i, f.k, f.u + i * f.k,
                                         f.at + i * f.k)):
            return


def locate_rows(int dtype, cnp.ndarray temperature, tuple of, tuple wide, cnp.ndarray normaliser, size_t k,
                cnp.ndarray u, cnp.ndarray location):
    """Where k draws from every row fall; u: float64, location: records, rows * k of each."""
    cdef Combining f
    cdef size_t rows = begin_combining(&f, dtype, temperature, of, wide, normaliser)
    f.k = k
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.at = locations_in(location, rows * k)
    if <size_t>cnp.PyArray_SIZE(u) != rows * k:
        raise ValueError("not one uniform a draw")
    finish_combining(&f, locate_task, rows, 64 * (1 + f.main.blocks + k))


cdef fs_location *locations_in(cnp.ndarray location, size_t count) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(location) != count * sizeof(fs_location):
        raise ValueError("not one location a draw")
    return <fs_location *>cnp.PyArray_DATA(location)


cdef struct Finishing:
    Rows rows
    int of_out
    fs_output to
    const fs_normaliser *normaliser
    const double *block_max  # NULL: none
    size_t blocks
    bint log


cdef void finish_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Finishing *f = <Finishing *>job
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
            status = fs_log_softmax_shard(&row, f.rows.n, temperature_at(&w), f.normaliser + i, &to)
        else:
            status = fs_softmax_shard(&row, f.rows.n, temperature_at(&w), f.normaliser + i,
                                      f.block_max + i * f.blocks if f.block_max != NULL else NULL, &to)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def finish_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray mask, bint words, cnp.ndarray bias,
                cnp.ndarray bias_at, cnp.ndarray normaliser, cnp.ndarray block_max, cnp.ndarray out, bint log):
    """The shard's part of softmax (or log_softmax) into out; block_max (or None): rows x blocks, to be met.

    Returns the first row whose entries are not those summarised, or -1.
    """
    cdef Finishing f
    begin_rows(&f.rows, x, dtype, False, temperature)
    take_operands(&f.rows.operands, &f.rows.walk, &f.rows.row, mask, words, bias, bias_at)
    f.of_out = take_along(&f.rows.walk, out)
    f.to.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.to.dtype = <fs_dtype>dtype
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
    """The first row that is FS_CHANGED, the only refusal there is here, or -1."""
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
    cdef Walk w = f.rows.walk
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

    Returns the first row whose entries are not those summarised, or -1.
    """
    cdef Resolving f
    begin_rows(&f.rows, x, dtype, False, temperature)
    take_operands(&f.rows.operands, &f.rows.walk, &f.rows.row, mask, words, bias, bias_at)
    f.offset = offset
    f.k = k
    f.normaliser = normalisers_in(normaliser, f.rows.count)
    f.at = locations_in(location, f.rows.count * k)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    run_rows(resolve_task, &f, &f.rows.outcome, f.rows.count, 1024 * k, False)
    return changed_row(&f.rows.outcome)

# Rows in shards (csrc/fastsoftmax.h): what follows from the summary of whole rows (summary.pxi), and the results of a
# shard from its logits and that.
#
# Arrays of normalisers and draws are C-contiguous, those of a row one after another, the rows in row-major order.
# _sharding/ makes them; their sizes are checked here.  Logits, mask and bias are prepared as in rows.pxi.

cdef int check_whole(SummaryBase s) except -1:
    if s.normaliser is None:
        raise ValueError("summary must be that of whole rows")
    return 0


cdef inline fs_summary summary_at(SummaryBase s, size_t i) noexcept:
    cdef fs_summary summary
    summary.of = blocks_at(&s.of, i)
    summary.wide = blocks_at(&s.wide, i)
    return summary


cdef inline fs_normaliser *normaliser_at(SummaryBase s, size_t i) noexcept:
    return <fs_normaliser *>PyBytes_AsString(s.normaliser) + i


def normaliser_bytes(SummaryBase s):
    """The fs_normaliser of every row."""
    check_whole(s)
    return s.normaliser


def block_maxima(SummaryBase s, size_t offset, size_t n, cnp.ndarray result):
    """Into result (rows x blocks): the maximum of each block that has one of the entries [offset, offset + n)."""
    check_whole(s)
    cdef size_t first = offset // s.view.block, count = (offset + n - 1) // s.view.block + 1 - first, i
    if first + count > s.of.count or <size_t>cnp.PyArray_SIZE(result) != s.view.rows * count:
        raise ValueError("result must have one element for each block of the shard, which the summary must have")
    for i in range(s.view.rows):
        memcpy(<double *>cnp.PyArray_DATA(result) + i * count, s.of.max + i * s.of.count + first,
               count * sizeof(double))


def cut_maxima(SummaryBase s, size_t offset, size_t n, cnp.ndarray result):
    """Into result (rows x 2): the maxima of the first and the last block that has one of these entries."""
    check_whole(s)
    cdef fs_part part = fs_part(offset, n, s.view.span[1])
    cdef fs_summary summary
    cdef size_t i
    if <size_t>cnp.PyArray_SIZE(result) != 2 * s.view.rows:
        raise ValueError("result must have two elements for each row")
    for i in range(s.view.rows):
        summary = summary_at(s, i)
        if fs_cut_maxima(s.view.dtype, s.view.temperature[i], &summary, normaliser_at(s, i), &part,
                         <double *>cnp.PyArray_DATA(result) + 2 * i) != FS_OK:
            raise ValueError("the entries must be among those of the summary")


# What follows from the summary of whole rows: the logsumexp of each row, the locations of its draws.
cdef struct Combining:
    View view
    Blocks of, wide
    const fs_normaliser *normaliser
    double *result     # of logsumexp
    size_t k
    const double *u    # of draws
    fs_location *at
    Outcome outcome


cdef int begin_combining(Combining *f, SummaryBase s) except -1:
    check_whole(s)
    f.view = s.view
    f.of = s.of
    f.wide = s.wide
    f.normaliser = normaliser_at(s, 0)
    return 0


cdef int finish_combining(Combining *f, rows_task task, size_t work) except -1:
    """Do all rows; raises for a Summary that `summarize` cannot have made."""
    run_rows(task, f, &f.outcome, f.view.rows, work, False)
    if f.outcome.rejected != NOTHING:
        raise ValueError("summary is damaged: no row of logits has these blocks; make it again with summarize")
    return 0


cdef void logsumexp_summary_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef size_t i
    for i in range(first, past):
        summary.of = blocks_at(&f.of, i)
        summary.wide = blocks_at(&f.wide, i)
        if note(&f.outcome, i, fs_logsumexp_of_summary(f.view.dtype, f.view.temperature[i], &summary, f.normaliser + i,
                                                       f.result + i)):
            return


def logsumexp_of_summary(SummaryBase s, cnp.ndarray result):
    """logsumexp of every row, in float64; the summary was made for it."""
    cdef Combining f
    begin_combining(&f, s)
    f.result = <double *>cnp.PyArray_DATA(result)
    if not s.view.logsumexp or <size_t>cnp.PyArray_SIZE(result) != s.view.rows:
        raise ValueError("result must have one element for each row, and the summary be made for it")
    finish_combining(&f, logsumexp_summary_task, 64 * (1 + f.of.count))


cdef size_t piece_with(const View *v, int64_t entry, size_t *before) noexcept nogil:
    """The piece that has this entry, and how many entries are before it; `v.pieces`: there is none."""
    cdef size_t j
    before[0] = 0
    for j in range(v.pieces):
        if entry < v.piece[2 * j]:
            break
        if entry < v.piece[2 * j + 1]:
            return j
        before[0] += <size_t>(v.piece[2 * j + 1] - v.piece[2 * j])
    return v.pieces


cdef fs_status settle(const Combining *f, size_t i, fs_location *at) noexcept nogil:
    """Find the entry of a draw whose block has been cut, from the entries that the summary has of it."""
    cdef const View *v = &f.view
    cdef size_t before, j = piece_with(v, at.start, &before), start, block
    cdef const char *entries
    cdef fs_row row
    cdef fs_part part
    cdef int64_t index
    cdef fs_status status
    if j == v.pieces:
        return FS_OK
    start = <size_t>(at.start - v.piece[2 * j])
    entries = v.entry + (i * v.entries + before + start) * v.width
    block = f.wide.count and fs_needs_double(v.dtype, v.temperature[i]) and f.normaliser[i].max < INFINITY
    block = fs_shard_block(FS_F64) if block else v.block
    row = bare_row(entries, v.width, FS_F64 if v.dtype == FS_F64 else FS_F32, False)
    part.offset = <size_t>at.start
    part.n = min(block, <size_t>(v.piece[2 * j + 1] - at.start))
    part.entries = <size_t>v.span[1]
    status = fs_resolve(&row, &part, v.temperature[i], f.normaliser + i, 1, at, &index, NULL)
    if status != FS_OK:
        return status
    at.entry = index
    index -= at.start
    at.max = (<const double *>entries)[index] if v.dtype == FS_F64 else <double>(<const float *>entries)[index]
    return FS_OK


cdef void locate_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Combining *f = <Combining *>job
    cdef fs_summary summary
    cdef fs_status status
    cdef size_t i, j
    for i in range(first, past):
        summary.of = blocks_at(&f.of, i)
        summary.wide = blocks_at(&f.wide, i)
        status = fs_locate(f.view.dtype, f.view.temperature[i], &summary, f.normaliser + i, f.k, f.u + i * f.k,
                           f.at + i * f.k)
        if f.view.pieces:
            for j in range(f.k):
                if status == FS_OK and f.at[i * f.k + j].start >= 0:
                    status = settle(f, i, f.at + i * f.k + j)
        if note(&f.outcome, i, status):
            return


def locate_draws(SummaryBase s, size_t k, cnp.ndarray u, cnp.ndarray location):
    """Where each of k draws from every row falls; u: float64, location: records, rows * k of each."""
    cdef Combining f
    begin_combining(&f, s)
    f.k = k
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.at = locations_in(location, s.view.rows * k)
    if <size_t>cnp.PyArray_SIZE(u) != s.view.rows * k:
        raise ValueError("u must have one element for each draw")
    finish_combining(&f, locate_task, 64 * (1 + f.of.count + k))


cdef fs_location *locations_in(cnp.ndarray location, size_t count) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(location) != count * sizeof(fs_location):
        raise ValueError("location must have one element for each draw")
    return <fs_location *>cnp.PyArray_DATA(location)


cdef fs_normaliser *normalisers_in(cnp.ndarray normaliser, size_t rows) except? NULL:
    if <size_t>cnp.PyArray_NBYTES(normaliser) != rows * sizeof(fs_normaliser):
        raise ValueError("normaliser must have one element for each row")
    return <fs_normaliser *>cnp.PyArray_DATA(normaliser)


cdef fs_part part_of(const Rows *rows, size_t offset, size_t entries) except *:
    if offset + rows.n > entries:
        raise ValueError("the shard must lie within the row")
    return fs_part(offset, rows.n, entries)


cdef struct Finishing:
    Rows rows
    int out_operand
    fs_output out
    fs_part part
    const fs_normaliser *normaliser
    const double *cut_max    # NULL: no block is cut
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
            status = fs_softmax_shard(&row, &f.part, temperature_at(&w), f.normaliser + i,
                                      f.cut_max + 2 * i if f.cut_max != NULL else NULL,
                                      f.block_max + i * f.blocks if f.block_max != NULL else NULL, &out)
        if note(&f.rows.outcome, i, status):
            return
        next_row(&w)


def finish_rows(cnp.ndarray x, int dtype, size_t offset, size_t entries, cnp.ndarray temperature, cnp.ndarray mask,
                bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray normaliser, cnp.ndarray cut_max,
                cnp.ndarray block_max, cnp.ndarray out, bint log):
    """The share of softmax (or log_softmax) of the shard at `offset` into out, of rows of so many `entries`.

    cut_max (or None: no block is cut): rows x 2, of `cut_maxima`.  block_max (or None): rows x blocks, of
    `block_maxima`.

    Returns the first row whose entries are not those that were summarised, or -1.
    """
    cdef Finishing f
    cdef size_t block
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.out_operand = add_operand(&f.rows.iterator, out)
    f.out.stride = cnp.PyArray_STRIDE(out, cnp.PyArray_NDIM(out) - 1)
    f.out.dtype = <fs_dtype>dtype
    f.part = part_of(&f.rows, offset, entries)
    f.normaliser = normalisers_in(normaliser, f.rows.count)
    f.cut_max = f.block_max = NULL
    f.blocks = 0
    if cut_max is not None:
        f.cut_max = <const double *>cnp.PyArray_DATA(cut_max)
        if <size_t>cnp.PyArray_SIZE(cut_max) != 2 * f.rows.count:
            raise ValueError("cut_max must have two elements for each row")
    if block_max is not None:
        block = fs_shard_block(<fs_dtype>dtype)
        f.blocks = (offset + f.rows.n - 1) // block + 1 - offset // block
        f.block_max = <const double *>cnp.PyArray_DATA(block_max)
        if <size_t>cnp.PyArray_SIZE(block_max) != f.blocks * f.rows.count:
            raise ValueError("block_max must have one element for each block of the shard")
    f.log = log
    run_rows(finish_task, &f, &f.rows.outcome, f.rows.count, f.rows.n, log)
    return changed_row(&f.rows.outcome)


cdef object changed_row(const Outcome *outcome):
    """The first row noted, or -1; FS_CHANGED is the only status that the tasks here note."""
    return -1 if outcome.rejected == NOTHING else outcome.rejected >> STATUS_BITS


cdef struct Resolving:
    Rows rows
    fs_part part
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
        if note(&f.rows.outcome, i, fs_resolve(&row, &f.part, temperature_at(&w), f.normaliser + i, k,
                                               f.at + i * k, f.index + i * k,
                                               NULL if f.logprob == NULL else f.logprob + i * k)):
            return
        next_row(&w)


def resolve_rows(cnp.ndarray x, int dtype, size_t offset, size_t entries, cnp.ndarray temperature, cnp.ndarray mask,
                 bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray normaliser, size_t k,
                 cnp.ndarray location, cnp.ndarray index, cnp.ndarray logprob):
    """The draws that fall in the shard at `offset` (the others: -1, and -inf or NaN in logprob, which may be None).

    Returns the first row whose entries are not those that were summarised, or -1.
    """
    cdef Resolving f
    begin_rows(&f.rows, x, dtype, False, temperature)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.part = part_of(&f.rows, offset, entries)
    f.k = k
    f.normaliser = normalisers_in(normaliser, f.rows.count)
    f.at = locations_in(location, f.rows.count * k)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    run_rows(resolve_task, &f, &f.rows.outcome, f.rows.count, 1024 * k, False)
    return changed_row(&f.rows.outcome)

# A Summary as one buffer: its format, the summary of a shard, the one of several shards, and the row of them all.
#
# The format is little-endian, in words of 8 bytes (docs/shards.md has it as a table):
#
#     "softmax" and the version, a byte
#     dtype (fs_dtype), flags (1: logsumexp, 2: in double too), axes of the rows: a byte each; five bytes of 0
#     bytes in all; spans; pieces
#     the shape of the rows
#     spans: first and past of the ranges of entries that are summarised, ascending, apart
#     pieces: first and past of the ranges whose entries are there: the parts of blocks that the cuts have left
#     temperature, rest of each row
#     max, sum of each block that is whole, of each row
#     in double: rest of each row; max, sum of each of its blocks (only for the rows that need them; else -inf, 0)
#     entries of the pieces of each row, float (double for float64), and zeros up to a whole word
#
# A piece that has become a whole block stays: a draw that falls in it is resolved from the summary, as no shard has
# the block.  What the bytes hold is checked here, as they may come from anywhere.

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

cdef enum:
    HEADER = 40
    HAS_LOGSUMEXP = 1
    HAS_DOUBLE = 2

# The last byte is the version.
cdef bytes SUMMARY_MAGIC = b"softmax\x01"
# Greater than the sum of any block, whose weights are near 1 at most.
cdef double SUM_BOUND = 2.0**40
# Entries are counted to here, and the bytes of a summary stay far below it.
cdef double MOST = 2.0**62
# The formula serves temperatures from 1 / EXTREME to EXTREME.
EXTREME = FS_EXTREME_F64


def shard_block(int dtype):
    """The number of entries in a block."""
    return fs_shard_block(<fs_dtype>dtype)


# The blocks of all rows, one row after another.
cdef struct Blocks:
    size_t count
    double *max
    double *sum
    double *rest


cdef struct View:
    fs_dtype dtype
    int axes
    bint logsumexp
    bint in_double
    size_t rows, spans, pieces
    size_t block   # entries in a block
    size_t blocks  # whole blocks, and those in double, of a row
    size_t blocks_in_double
    size_t entries  # of the pieces of a row
    size_t width    # bytes of such an entry
    int64_t *shape
    int64_t *span
    int64_t *piece
    double *temperature
    double *rest
    double *max
    double *sum
    double *rest_in_double
    double *max_in_double
    double *sum_in_double
    char *entry


cdef inline size_t whole_blocks(int64_t first, int64_t past, int64_t block) noexcept nogil:
    """The blocks that lie in a span."""
    cdef int64_t count = past // block - (first + block - 1) // block
    return <size_t>count if count > 0 else 0


cdef inline double *next_doubles(double **at, size_t count) noexcept nogil:
    cdef double *here = at[0]
    at[0] = here + count
    return here


cdef size_t lay_out(View *v, char *base) noexcept nogil:
    """Where everything is in the bytes from `base` on, of a View that has its numbers; returns how many bytes these are."""
    cdef double *at
    v.block = fs_shard_block(v.dtype)
    v.width = sizeof(double) if v.dtype == FS_F64 else sizeof(float)
    v.blocks_in_double = v.blocks * (v.block // fs_shard_block(FS_F64)) if v.in_double else 0
    v.shape = <int64_t *>(base + HEADER)
    v.span = v.shape + v.axes
    v.piece = v.span + 2 * v.spans
    at = <double *>(v.piece + 2 * v.pieces)
    v.temperature = next_doubles(&at, v.rows)
    v.rest = next_doubles(&at, v.rows)
    v.max = next_doubles(&at, v.rows * v.blocks)
    v.sum = next_doubles(&at, v.rows * v.blocks)
    v.rest_in_double = next_doubles(&at, v.rows if v.in_double else 0)
    v.max_in_double = next_doubles(&at, v.rows * v.blocks_in_double)
    v.sum_in_double = next_doubles(&at, v.rows * v.blocks_in_double)
    v.entry = <char *>at
    return <size_t>(v.entry - base) + (v.rows * v.entries * v.width + 7) // 8 * 8


cdef bytes new_summary(View *v, object shape, list spans, list pieces):
    """The bytes of a summary with these numbers; what is of the rows is still to be written."""
    cdef size_t i, total
    v.axes = len(shape)
    v.spans = len(spans)
    v.pieces = len(pieces)
    v.rows = 1
    for i in range(v.axes):
        v.rows *= <size_t>shape[i]
    v.block = fs_shard_block(v.dtype)
    v.blocks = v.entries = 0
    for first, past in spans:
        v.blocks += whole_blocks(first, past, v.block)
    for first, past in pieces:
        v.entries += <size_t>(past - first)
    total = lay_out(v, NULL)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, total)
    cdef char *base = PyBytes_AS_STRING(made)
    lay_out(v, base)
    memset(base + total - 8, 0, 8)  # the entries may end within a word
    memset(base, 0, HEADER)
    memcpy(base, PyBytes_AS_STRING(SUMMARY_MAGIC), 8)
    base[8] = <char>v.dtype
    base[9] = <char>((HAS_LOGSUMEXP if v.logsumexp else 0) | (HAS_DOUBLE if v.in_double else 0))
    base[10] = <char>v.axes
    (<uint64_t *>base)[2] = total
    (<uint64_t *>base)[3] = v.spans
    (<uint64_t *>base)[4] = v.pieces
    for i in range(v.axes):
        v.shape[i] = shape[i]
    for i in range(v.spans):
        v.span[2 * i], v.span[2 * i + 1] = spans[i]
    for i in range(v.pieces):
        v.piece[2 * i], v.piece[2 * i + 1] = pieces[i]
    return made


def needs_double(int dtype, cnp.ndarray temperature):
    """Whether a row at one of these temperatures (float64, C-contiguous) is summarised in double."""
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef Py_ssize_t i
    for i in range(cnp.PyArray_SIZE(temperature)):
        if fs_needs_double(<fs_dtype>dtype, t[i]):
            return True
    return False


cdef list cut_pieces(int64_t first, int64_t past, int64_t block):
    """The parts of blocks that a span begins and ends with."""
    cdef int64_t head = (first + block - 1) // block * block, tail = past // block * block
    if head > tail:
        return [(first, past)]
    return ([(first, head)] if first < head else []) + ([(tail, past)] if tail < past else [])


def summary_nbytes(shape, size_t entries, int dtype, bint logsumexp, bint in_double):
    """The most bytes of the summary of a shard with so many entries, wherever it begins."""
    cdef View v
    cdef int64_t block = fs_shard_block(<fs_dtype>dtype), first
    cdef size_t most = 0
    cdef list pieces
    v.dtype = <fs_dtype>dtype
    v.axes = len(shape)
    v.spans = 1
    v.in_double = v.dtype != FS_F64 and (logsumexp or in_double)
    v.rows = 1
    for length in shape:
        v.rows *= <size_t>length
    # Before the first whole block there may be no entry, one, one more than would be left at the end, or all but one.
    for first in (0, block - 1, block - 1 - <int64_t>entries % block, 1):
        pieces = cut_pieces(first, first + <int64_t>entries, block)
        v.pieces = len(pieces)
        v.blocks = whole_blocks(first, first + <int64_t>entries, block)
        v.entries = entries - v.blocks * block
        most = max(most, lay_out(&v, NULL))
    return most


# --- what was read ---

cdef bint is_a_shape(const View *v) noexcept nogil:
    """Whether the spans and the pieces belong together: each piece is a whole block, or what a cut has left of one."""
    cdef int64_t block = v.block, first, past, head, tail, before = -1
    cdef size_t i, j = 0
    for i in range(v.spans):
        first = v.span[2 * i]
        past = v.span[2 * i + 1]
        if not before < first < past or past > <int64_t>MOST:
            return False
        before = past
        head = (first + block - 1) // block * block
        tail = past // block * block
        if head > tail:  # within one block
            if j == v.pieces or v.piece[2 * j] != first or v.piece[2 * j + 1] != past:
                return False
            j += 1
            continue
        if first < head:
            if j == v.pieces or v.piece[2 * j] != first or v.piece[2 * j + 1] != head:
                return False
            j += 1
        while j < v.pieces and v.piece[2 * j] < tail:
            if v.piece[2 * j] % block or v.piece[2 * j] < head or v.piece[2 * j + 1] != v.piece[2 * j] + block:
                return False
            if j and v.piece[2 * j] < v.piece[2 * j - 1]:
                return False
            j += 1
        if tail < past:
            if j == v.pieces or v.piece[2 * j] != tail or v.piece[2 * j + 1] != past:
                return False
            j += 1
    return j == v.pieces


cdef bint are_sums(const double *maxima, const double *sums, size_t count) noexcept nogil:
    """Whether exactly the blocks with a maximum above -inf have a sum."""
    cdef size_t i
    for i in range(count):
        if not (0 <= sums[i] < SUM_BOUND and (sums[i] > 0) == (maxima[i] > -INFINITY)):
            return False
    return True


cdef inline bint is_summarised_at(double t) noexcept nogil:
    return t == 0 or t == INFINITY or 1 / FS_EXTREME_F64 <= t <= FS_EXTREME_F64


cdef bint is_sound(const View *v) noexcept nogil:
    """Whether what is of the rows can be that of a summary."""
    cdef size_t i
    for i in range(v.rows):
        if not is_summarised_at(v.temperature[i]):
            return False
        if v.dtype != FS_F64 and fs_needs_double(v.dtype, v.temperature[i]) and not v.in_double:
            return False
    return (are_sums(v.max, v.sum, v.rows * v.blocks)
            and are_sums(v.max_in_double, v.sum_in_double, v.rows * v.blocks_in_double))


cdef bint read_summary(View *v, const char *base, size_t given) noexcept:
    """The View of these bytes, or False."""
    cdef double size = HEADER
    cdef double rows = 1
    cdef size_t i
    cdef uint64_t total
    if given < HEADER or memcmp(base, PyBytes_AS_STRING(SUMMARY_MAGIC), 8):
        return False
    total = (<const uint64_t *>base)[2]
    v.dtype = <fs_dtype>base[8]
    v.logsumexp = (base[9] & HAS_LOGSUMEXP) != 0
    v.in_double = (base[9] & HAS_DOUBLE) != 0
    v.axes = base[10]
    v.spans = (<const uint64_t *>base)[3]
    v.pieces = (<const uint64_t *>base)[4]
    if (not 0 <= <int>base[8] <= 3 or <unsigned char>base[9] > 3 or not 0 <= <int>base[10] < MAX_DIMS
            or v.spans == 0 or v.spans > given // 16 or v.pieces > given // 16 or total > given):
        return False
    if base[11] or base[12] or base[13] or base[14] or base[15] or (v.dtype == FS_F64 and v.in_double):
        return False
    size += 8.0 * v.axes + 16.0 * (v.spans + v.pieces)
    if size > total:
        return False
    v.shape = <int64_t *>(base + HEADER)
    v.span = v.shape + v.axes
    v.piece = v.span + 2 * v.spans
    v.rows = 1
    for i in range(v.axes):
        if v.shape[i] < 0:
            return False
        rows *= v.shape[i]
        if rows > MOST:
            return False
        v.rows *= <size_t>v.shape[i]
    v.block = fs_shard_block(v.dtype)
    if not is_a_shape(v):
        return False
    v.blocks = v.entries = 0
    for i in range(v.spans):
        v.blocks += whole_blocks(v.span[2 * i], v.span[2 * i + 1], v.block)
    for i in range(v.pieces):
        v.entries += <size_t>(v.piece[2 * i + 1] - v.piece[2 * i])
    if rows * (2.0 + 6.0 * v.blocks + v.entries) > MOST / 16:
        return False
    return lay_out(v, <char *>base) == total and is_sound(v)


cdef class SummaryBase:
    """The bytes of a summary, checked, and, if it begins at entry 0 without a gap, the row that ends where it ends."""
    cdef bytes data
    cdef View view
    cdef bytes closed       # the blocks of that row, where its last one is a piece
    cdef Blocks of, wide
    cdef bytes normaliser   # fs_normaliser of each row

    def __cinit__(self, data=None):
        if type(data) is not bytes:
            raise TypeError("a Summary is made by summarize() or combine(), or read by Summary.from_bytes()")
        self.data = data
        if not read_summary(&self.view, PyBytes_AS_STRING(self.data), len(self.data)):
            raise ValueError(
                "summary is damaged: these are not the bytes of a Summary of this version; make it again with summarize"
            )
        if self.view.spans == 1 and self.view.span[0] == 0:
            close_row(self)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, PyBytes_AS_STRING(self.data), self.view_size(), True, flags)

    cdef size_t view_size(self) noexcept:
        return (<const uint64_t *>PyBytes_AS_STRING(self.data))[2]

    @property
    def _code(self):
        return self.view.dtype

    @property
    def spans(self):
        cdef size_t i
        return tuple([(self.view.span[2 * i], self.view.span[2 * i + 1]) for i in range(self.view.spans)])

    @property
    def _pieces(self):
        cdef size_t i
        return tuple([(self.view.piece[2 * i], self.view.piece[2 * i + 1]) for i in range(self.view.pieces)])

    @property
    def shape(self):
        cdef int i
        return tuple([self.view.shape[i] for i in range(self.view.axes)])

    @property
    def logsumexp(self):
        return self.view.logsumexp

    @property
    def nbytes(self):
        return self.view_size()

    @property
    def _temperature_at(self):
        """Where in the bytes the temperatures begin."""
        return <char *>self.view.temperature - PyBytes_AS_STRING(self.data)

    def _same_bits(self, SummaryBase other):
        """Whether both have the same entries with the same bits, wherever these were cut."""
        cdef View *a = &self.view
        cdef View *b = &other.view
        return (
            a.dtype == b.dtype and a.logsumexp == b.logsumexp and a.in_double == b.in_double
            and self.shape == other.shape and self.spans == other.spans
            and not memcmp(a.temperature, b.temperature, 8 * a.rows * 2)
            and not memcmp(a.max, b.max, 16 * a.rows * a.blocks)
            and not memcmp(a.rest_in_double, b.rest_in_double, 8 * (a.rows * (1 + 2 * a.blocks_in_double)
                                                                    if a.in_double else 0))
            and same_cut_entries(a, b)
        )

    def _bits(self):
        """What two equal summaries have in common."""
        cdef View *v = &self.view
        return (
            v.dtype, v.logsumexp, v.in_double, self.shape, self.spans,
            PyBytes_FromStringAndSize(<char *>v.temperature, <char *>v.rest_in_double - <char *>v.temperature),
        )


def same_rows(SummaryBase a, SummaryBase b):
    """Whether both are of rows of one dtype, shape and temperature."""
    cdef View *v = &a.view
    cdef View *w = &b.view
    return (v.dtype == w.dtype and v.axes == w.axes and not memcmp(v.shape, w.shape, 8 * v.axes)
            and not memcmp(v.temperature, w.temperature, 8 * v.rows))


cdef bint same_cut_entries(const View *a, const View *b) noexcept nogil:
    """Whether the pieces that are not whole blocks, which both have, are equal."""
    cdef size_t i = 0, j = 0, of_a = 0, of_b = 0, r, len
    while True:
        while i < a.pieces and <size_t>(a.piece[2 * i + 1] - a.piece[2 * i]) == a.block:
            of_a += a.block
            i += 1
        while j < b.pieces and <size_t>(b.piece[2 * j + 1] - b.piece[2 * j]) == b.block:
            of_b += b.block
            j += 1
        if i == a.pieces or j == b.pieces:
            return i == a.pieces and j == b.pieces
        len = <size_t>(a.piece[2 * i + 1] - a.piece[2 * i])
        for r in range(a.rows):
            if memcmp(a.entry + (r * a.entries + of_a) * a.width, b.entry + (r * b.entries + of_b) * b.width,
                      len * a.width):
                return False
        of_a += len
        of_b += len
        i += 1
        j += 1


# --- the summary of a shard ---

cdef struct Summarising:
    Rows rows
    View view
    size_t head, tail


cdef void fill_blocks(double *maxima, double *sums, size_t count) noexcept nogil:
    """Blocks without mass."""
    cdef size_t i
    for i in range(count):
        maxima[i] = -INFINITY
        sums[i] = 0.0


cdef bint wants_double(const View *v, size_t row) noexcept nogil:
    """Whether a row is summarised in double too: at the temperatures at which the kernels compute in double, and for a
    log-sum-exp of less than float64 if its maximum is negative, so that the terms may cancel."""
    cdef double t = v.temperature[row], largest = -INFINITY
    cdef const double *maxima = v.max + row * v.blocks
    cdef size_t b
    if v.dtype == FS_F64:
        return False
    if fs_needs_double(v.dtype, t):
        return True
    if not v.logsumexp or not 0 < t < INFINITY:
        return False
    for b in range(v.blocks):
        if not maxima[b] < 0:
            return False
        largest = max(largest, maxima[b])
    return largest > -INFINITY


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


# --- the summary of several shards ---

# `count` blocks or entries of a part, and where they go.
cdef struct Run:
    size_t part, source, target, count


cdef struct Joining:
    View view
    View *part
    Run *blocks
    Run *entries
    Run *joined  # blocks whose entries have come together: `source` among the entries, `target` among the blocks
    size_t block_runs, entry_runs, joined_blocks
    size_t *owner  # of each block: a part, or, from `parts` on, one that has come together
    size_t parts
    Outcome outcome


cdef fs_status summarise_joined(const View *v, size_t i, const Run *run, bint in_double, double *rest) noexcept nogil:
    """Summarise the block whose entries have come together."""
    cdef fs_row row = bare_row(v.entry + (i * v.entries + run.source) * v.width, v.width,
                               FS_F64 if v.dtype == FS_F64 else FS_F32, False)
    cdef size_t ratio = v.block // fs_shard_block(FS_F64), at
    if in_double:
        at = i * v.blocks_in_double + run.target * ratio
        return fs_summarise(&row, 0, v.block, v.temperature[i], 1, v.max_in_double + at, v.sum_in_double + at, rest)
    at = i * v.blocks + run.target
    return fs_summarise(&row, 0, v.block, v.temperature[i], 0, v.max + at, v.sum + at, rest)


cdef fs_status rest_of_joined(const Joining *f, size_t i, bint in_double, double *rest) noexcept nogil:
    """The rest of the row: the one that came with the first block that has the largest maximum."""
    cdef const View *v = &f.view
    cdef size_t count = v.blocks_in_double if in_double else v.blocks, b, at = count, owner
    cdef const double *maxima = (v.max_in_double if in_double else v.max) + i * count
    cdef double largest = -INFINITY
    rest[0] = 0.0
    for b in range(count):
        if maxima[b] != maxima[b]:
            return FS_OK
        if maxima[b] > largest:
            largest = maxima[b]
            at = b
    if at == count:
        return FS_OK
    owner = f.owner[at * v.blocks // count]
    if owner >= f.parts:
        return summarise_joined(v, i, f.joined + (owner - f.parts), in_double, rest)
    rest[0] = f.part[owner].rest_in_double[i] if in_double else f.part[owner].rest[i]
    return FS_OK


cdef fs_status join_row(const Joining *f, size_t i) noexcept nogil:
    cdef const View *v = &f.view
    cdef const View *p
    cdef const Run *run
    cdef size_t j, ratio
    cdef double unused
    cdef fs_status status
    v.temperature[i] = f.part[0].temperature[i]
    for j in range(f.block_runs):
        run = f.blocks + j
        p = f.part + run.part
        memcpy(v.max + i * v.blocks + run.target, p.max + i * p.blocks + run.source, run.count * sizeof(double))
        memcpy(v.sum + i * v.blocks + run.target, p.sum + i * p.blocks + run.source, run.count * sizeof(double))
    for j in range(f.entry_runs):
        run = f.entries + j
        p = f.part + run.part
        memcpy(v.entry + (i * v.entries + run.target) * v.width, p.entry + (i * p.entries + run.source) * v.width,
               run.count * v.width)
    for j in range(f.joined_blocks):
        status = summarise_joined(v, i, f.joined + j, False, &unused)
        if status != FS_OK:
            return status
    status = rest_of_joined(f, i, False, v.rest + i)
    if status != FS_OK or not v.in_double:
        return status
    v.rest_in_double[i] = 0.0
    if not wants_double(v, i):
        fill_blocks(v.max_in_double + i * v.blocks_in_double, v.sum_in_double + i * v.blocks_in_double,
                    v.blocks_in_double)
        return FS_OK
    ratio = v.block // fs_shard_block(FS_F64)
    for j in range(f.block_runs):
        run = f.blocks + j
        p = f.part + run.part
        memcpy(v.max_in_double + i * v.blocks_in_double + run.target * ratio,
               p.max_in_double + i * p.blocks_in_double + run.source * ratio, run.count * ratio * sizeof(double))
        memcpy(v.sum_in_double + i * v.blocks_in_double + run.target * ratio,
               p.sum_in_double + i * p.blocks_in_double + run.source * ratio, run.count * ratio * sizeof(double))
    for j in range(f.joined_blocks):
        status = summarise_joined(v, i, f.joined + j, True, &unused)
        if status != FS_OK:
            return status
    return rest_of_joined(f, i, True, v.rest_in_double + i)


cdef void join_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Joining *f = <Joining *>job
    cdef size_t i
    for i in range(first, past):
        if note(&f.outcome, i, join_row(f, i)):
            return


cdef list joined_ranges(list ranges, int64_t block):
    """Ascending ranges of entries, those that follow on one another as one; of pieces (block > 0) only within a block."""
    cdef list joined = []
    for first, past in ranges:
        if joined and first == joined[len(joined) - 1][1] and not (block and first % block == 0):
            joined[len(joined) - 1] = (joined[len(joined) - 1][0], past)
        else:
            joined.append((first, past))
    return joined


cdef Run *runs_of(list runs) except NULL:
    cdef size_t i, count = len(runs)
    cdef Run *made = <Run *>malloc((count + 1) * sizeof(Run))
    if made == NULL:
        raise MemoryError("not enough memory to combine summaries")
    for i in range(count):
        made[i].part, made[i].source, made[i].target, made[i].count = runs[i]
    return made


def combined(list parts):
    """The bytes of the summary of several shards of the same rows, in any order; no entry is in two of them."""
    cdef Joining f
    cdef View *v = &f.view
    cdef const View *p
    cdef SummaryBase part
    cdef size_t i, j, at, kept
    cdef list spans = [], pieces = [], block_runs = [], entry_runs = [], joined = [], target_of = []
    cdef bint logsumexp = True, in_double = False
    cdef int64_t block = (<SummaryBase>parts[0]).view.block, first, past, head
    for i in range(len(parts)):
        part = parts[i]
        logsumexp = logsumexp and part.view.logsumexp
        at = 0
        for j in range(part.view.spans):
            spans.append((part.view.span[2 * j], part.view.span[2 * j + 1], i, at))
            at += whole_blocks(part.view.span[2 * j], part.view.span[2 * j + 1], block)
        at = 0
        for j in range(part.view.pieces):
            pieces.append((part.view.piece[2 * j], part.view.piece[2 * j + 1], i, at))
            at += <size_t>(part.view.piece[2 * j + 1] - part.view.piece[2 * j])
    spans.sort()
    pieces.sort()
    cdef list new_spans = joined_ranges([(s[0], s[1]) for s in spans], 0)
    cdef list new_pieces = joined_ranges([(s[0], s[1]) for s in pieces], block)
    part = parts[0]
    for i in range(part.view.rows):
        in_double = in_double or fs_needs_double(part.view.dtype, part.view.temperature[i])
    v.dtype = part.view.dtype
    v.logsumexp = logsumexp
    v.in_double = v.dtype != FS_F64 and (logsumexp or in_double)
    cdef bytes made = new_summary(v, part.shape, new_spans, new_pieces)
    at = 0
    for first, past in new_spans:  # and where its blocks begin among all blocks
        target_of.append((first, past, at))
        at += whole_blocks(first, past, block)
    j = 0
    for first, past, i, kept in spans:
        while not target_of[j][1] >= past:
            j += 1
        head = (first + block - 1) // block
        at = target_of[j][2] + <size_t>(head - (<int64_t>target_of[j][0] + block - 1) // block)
        if whole_blocks(first, past, block):
            block_runs.append((i, kept, at, whole_blocks(first, past, block)))
    at = 0
    for first, past, i, kept in pieces:
        entry_runs.append((i, kept, at, past - first))
        at += <size_t>(past - first)
    at = 0
    j = 0
    cdef set whole = {(s[0], s[1]) for s in pieces}
    for first, past in new_pieces:
        if past - first == block and (first, past) not in whole:
            while not target_of[j][1] >= past:
                j += 1
            joined.append((0, at, target_of[j][2] + <size_t>(first // block
                           - (<int64_t>target_of[j][0] + block - 1) // block), block))
        at += <size_t>(past - first)
    f.parts = len(parts)
    f.block_runs = len(block_runs)
    f.entry_runs = len(entry_runs)
    f.joined_blocks = len(joined)
    f.part = <View *>malloc(f.parts * sizeof(View))
    f.owner = <size_t *>malloc((v.blocks + 1) * sizeof(size_t))
    f.blocks = f.entries = f.joined = NULL
    try:
        if f.part == NULL or f.owner == NULL:
            raise MemoryError("not enough memory to combine summaries")
        f.blocks = runs_of(block_runs)
        f.entries = runs_of(entry_runs)
        f.joined = runs_of(joined)
        for i in range(f.parts):
            f.part[i] = (<SummaryBase>parts[i]).view
        for i in range(f.block_runs):
            for j in range(f.blocks[i].count):
                f.owner[f.blocks[i].target + j] = f.blocks[i].part
        for i in range(f.joined_blocks):
            f.owner[f.joined[i].target] = f.parts + i
        run_rows(join_task, &f, &f.outcome, v.rows, 8 * (1 + v.blocks) + v.entries, False)
    finally:
        free(f.part)
        free(f.owner)
        free(f.blocks)
        free(f.entries)
        free(f.joined)
    return made


# --- the row that a summary from entry 0 on has ---

cdef inline fs_blocks blocks_at(const Blocks *b, size_t i) noexcept nogil:
    cdef fs_blocks row
    row.blocks = b.count
    row.max = b.max + i * b.count if b.count else NULL
    row.sum = b.sum + i * b.count if b.count else NULL
    row.rest = b.rest[i] if b.count else 0.0
    return row


cdef struct Closing:
    View view
    size_t tail  # entries of the last block, which is a piece; 0: it is whole
    Blocks of, wide
    fs_normaliser *normaliser
    Outcome outcome


cdef fs_status close_blocks(const View *v, size_t i, size_t tail, bint in_double, const Blocks *to) noexcept nogil:
    """The blocks of the row, the last one summarised from its entries."""
    cdef fs_row row = bare_row(v.entry + ((i + 1) * v.entries - tail) * v.width, v.width,
                               FS_F64 if v.dtype == FS_F64 else FS_F32, False)
    cdef size_t count = v.blocks_in_double if in_double else v.blocks, b
    cdef double *maxima = to.max + i * to.count
    cdef double *sums = to.sum + i * to.count
    cdef double largest = -INFINITY, of_tail = -INFINITY, rest = 0.0
    memcpy(maxima, (v.max_in_double if in_double else v.max) + i * count, count * sizeof(double))
    memcpy(sums, (v.sum_in_double if in_double else v.sum) + i * count, count * sizeof(double))
    to.rest[i] = v.rest_in_double[i] if in_double else v.rest[i]
    cdef fs_status status = fs_summarise(&row, 0, tail, v.temperature[i], in_double, maxima + count, sums + count, &rest)
    for b in range(count):
        largest = max(largest, maxima[b])
    for b in range(count, to.count):
        of_tail = max(of_tail, maxima[b])
    if of_tail > largest:
        to.rest[i] = rest
    return status


cdef void close_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Closing *f = <Closing *>job
    cdef const View *v = &f.view
    cdef fs_summary summary
    cdef fs_status status
    cdef size_t i
    for i in range(first, past):
        status = FS_OK
        if f.tail:
            status = close_blocks(v, i, f.tail, False, &f.of)
            if status == FS_OK and v.in_double:
                status = close_blocks(v, i, f.tail, True, &f.wide)
        if status == FS_OK:
            summary.of = blocks_at(&f.of, i)
            summary.wide = blocks_at(&f.wide, i)
            status = fs_normalise(v.dtype, v.temperature[i], &summary, f.normaliser + i)
        if note(&f.outcome, i, status):
            return


cdef int close_row(SummaryBase s) except -1:
    """Write the blocks of the row that ends where the summary ends, and its normaliser."""
    cdef Closing f
    cdef View *v = &f.view
    cdef double *at
    v[0] = s.view
    f.tail = <size_t>(v.span[1] % <int64_t>v.block)
    f.of.count = v.blocks
    f.of.max, f.of.sum, f.of.rest = v.max, v.sum, v.rest
    f.wide.count = v.blocks_in_double
    f.wide.max, f.wide.sum, f.wide.rest = v.max_in_double, v.sum_in_double, v.rest_in_double
    if f.tail:
        f.of.count += 1
        if v.in_double:
            f.wide.count += (f.tail + fs_shard_block(FS_F64) - 1) // fs_shard_block(FS_F64)
        s.closed = PyBytes_FromStringAndSize(NULL, 8 * v.rows * (2 * (f.of.count + f.wide.count) + 2))
        at = <double *>PyBytes_AS_STRING(s.closed)
        f.of.max = next_doubles(&at, v.rows * f.of.count)
        f.of.sum = next_doubles(&at, v.rows * f.of.count)
        f.of.rest = next_doubles(&at, v.rows)
        f.wide.max = next_doubles(&at, v.rows * f.wide.count)
        f.wide.sum = next_doubles(&at, v.rows * f.wide.count)
        f.wide.rest = next_doubles(&at, v.rows)
    s.normaliser = PyBytes_FromStringAndSize(NULL, v.rows * sizeof(fs_normaliser))
    f.normaliser = <fs_normaliser *>PyBytes_AS_STRING(s.normaliser)
    s.of = f.of
    s.wide = f.wide
    run_rows(close_task, &f, &f.outcome, v.rows, 64 * (1 + f.of.count) + f.tail, False)
    if f.outcome.rejected != NOTHING:
        raise ValueError("summary is damaged: no row of logits has these blocks; make it again with summarize")
    return 0

# A Summary as one buffer: its format, the summary of a shard, the one of several shards, and the row of them all.
#
# The format is little-endian, in words of 8 bytes (docs/shards_format.md has it as a table):
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
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
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
    """Set where everything is in the bytes from `base` on, by the numbers of the View; returns how many these are."""
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
    cdef char *base = PyBytes_AsString(made)
    lay_out(v, base)
    memset(base + total - 8, 0, 8)  # the entries may end within a word
    memset(base, 0, HEADER)
    memcpy(base, PyBytes_AsString(SUMMARY_MAGIC), 8)
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
    if given < HEADER or memcmp(base, PyBytes_AsString(SUMMARY_MAGIC), 8):
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

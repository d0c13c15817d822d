# A Summary as an object: its bytes, checked (summary.pxi), and, where it begins at entry 0 without a gap, the row that
# ends where it ends.

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


cdef fs_status close_blocks(const View *v, size_t i, size_t tail, bint in_double,
                            const Blocks *to) noexcept nogil:
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
    cdef fs_status status = fs_summarise(&row, 0, tail, v.temperature[i], in_double, maxima + count, sums + count,
                                         &rest)
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
        at = <double *>PyBytes_AsString(s.closed)
        f.of.max = next_doubles(&at, v.rows * f.of.count)
        f.of.sum = next_doubles(&at, v.rows * f.of.count)
        f.of.rest = next_doubles(&at, v.rows)
        f.wide.max = next_doubles(&at, v.rows * f.wide.count)
        f.wide.sum = next_doubles(&at, v.rows * f.wide.count)
        f.wide.rest = next_doubles(&at, v.rows)
    s.normaliser = PyBytes_FromStringAndSize(NULL, v.rows * sizeof(fs_normaliser))
    f.normaliser = <fs_normaliser *>PyBytes_AsString(s.normaliser)
    s.of = f.of
    s.wide = f.wide
    run_rows(close_task, &f, &f.outcome, v.rows, 64 * (1 + f.of.count) + f.tail, False)
    if f.outcome.rejected != NOTHING:
        raise ValueError("summary is damaged: no row of logits has these blocks; make it again with summarize")
    return 0


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
        if not read_summary(&self.view, PyBytes_AsString(self.data), len(self.data)):
            raise ValueError(
                "summary is damaged: these are not the bytes of a Summary of this version; make it again with summarize"
            )
        if self.view.spans == 1 and self.view.span[0] == 0:
            close_row(self)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, PyBytes_AsString(self.data), self.view_size(), True, flags)

    cdef size_t view_size(self) noexcept:
        return (<const uint64_t *>PyBytes_AsString(self.data))[2]

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
        return <char *>self.view.temperature - PyBytes_AsString(self.data)

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


cdef bint same_rows(SummaryBase a, SummaryBase b) noexcept:
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

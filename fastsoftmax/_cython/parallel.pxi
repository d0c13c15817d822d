# Rows in chunks: for the threads of one call, and so that Ctrl-C does not wait for the last row.

cdef extern from "Python.h":
    int PyErr_CheckSignals()
    unsigned long PyThread_get_thread_ident() nogil

cdef enum:
    # Entries that make a chunk: 5 to 30 microseconds of the kernels that a row of them goes through once.
    CHUNK = 1 << 15
    # The work of an entry that goes through filters, or is ranked, in entries of one that does not.
    FILTERED = 4
    # Rows of so many entries are shared by their blocks where there are few of them.
    LONG_ROW = 1 << 18
    # Of more rows than this a thread takes whole ones.
    FEW_ROWS = 16

from threading import main_thread as _main_thread

cdef unsigned long main_thread = _main_thread().ident

# What the threads of a call have to say: numbers of rows, with a status; NOTHING is nothing.
cdef enum:
    STATUS_BITS = 3
cdef uint64_t NOTHING = <uint64_t>-1

cdef struct Outcome:
    uint64_t rejected  # the first row without a result
    uint64_t ended    # the first row for which memory ran out, or at which the watch stopped


cdef inline void begin_outcome(Outcome *outcome) noexcept nogil:
    outcome.rejected = NOTHING
    outcome.ended = NOTHING


cdef inline bint note(Outcome *outcome, size_t row, fs_status status) noexcept nogil:
    """Note the status of a row unless it is FS_OK; whether the call has ended with it."""
    if status == FS_OK:
        return False
    if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
        fs_atomic_min(&outcome.ended, row << STATUS_BITS | status)
        return True
    fs_atomic_min(&outcome.rejected, row << STATUS_BITS | status)
    return False


cdef inline void note_rows(Outcome *outcome, size_t first, size_t past, size_t done) noexcept nogil:
    """Note that of rows [first, past) only so many could be done."""
    if first + done < past:
        note(outcome, first + done, FS_INTERRUPTED if fs_was_interrupted() else FS_NO_MEMORY)


# task(job, first, past) does the rows [first, past).
ctypedef void (*rows_task)(void *job, size_t first, size_t past) noexcept nogil

cdef struct Sharing:
    rows_task task
    void *job
    size_t rows
    size_t grain  # rows in a chunk


cdef void run_chunk(void *context, size_t chunk) noexcept nogil:
    cdef Sharing *s = <Sharing *>context
    cdef size_t first = chunk * s.grain
    s.task(s.job, first, min(first + s.grain, s.rows))


cdef int check_signals() noexcept nogil:
    """The watch of the main thread.  A handler that raises leaves its exception with the thread."""
    with gil:
        return PyErr_CheckSignals()


cdef bint share_rows(rows_task task, void *job, size_t rows, size_t work, bint by_blocks) noexcept nogil:
    """Do all rows; True: a signal's handler has raised, and not all are done.

    `work`: what a row costs, in entries.  `by_blocks`: the kernel shares a long row itself.
    """
    cdef Sharing s
    cdef fs_interrupt_callback watch = NULL, before
    cdef bint stopped
    cdef size_t i
    s.task = task
    s.job = job
    s.rows = rows
    s.grain = max(CHUNK // max(work, 1), 1)
    if s.grain > 16:
        s.grain = s.grain // 16 * 16  # as many as are done together (csrc/softmax/together-inl.h)
    if PyThread_get_thread_ident() == main_thread:
        watch = check_signals
    before = fs_set_interrupt_callback(watch)
    if by_blocks and work >= LONG_ROW and rows < FEW_ROWS:
        for i in range(rows):
            task(job, i, i + 1)
            if fs_was_interrupted():
                break
    else:
        fs_parallel_for((rows + s.grain - 1) // s.grain, run_chunk, &s)
    stopped = fs_was_interrupted()
    fs_set_interrupt_callback(before)
    return stopped


cdef int run_rows(rows_task task, void *job, Outcome *outcome, size_t rows, size_t work, bint by_blocks) except -1:
    """The same, without the GIL where that pays, and the errors that end a call."""
    cdef bint stopped
    begin_outcome(outcome)
    if rows == 0:
        return 0
    if rows * <double>work < RELEASE_AT:
        task(job, 0, rows)
        stopped = False
    else:
        with nogil:
            stopped = share_rows(task, job, rows, work, by_blocks)
    if stopped:
        return -1  # with the exception of the handler
    if outcome.ended != NOTHING:
        raise MemoryError("no memory for the summaries, or the scratch, of a row")
    return 0


cdef object rejection(const Outcome *outcome):
    """(row, why) of the first row that cannot be drawn from, or None."""
    if outcome.rejected == NOTHING:
        return None
    cdef int why = outcome.rejected & ((1 << STATUS_BITS) - 1)
    return outcome.rejected >> STATUS_BITS, "nan" if why == FS_NAN else "mass"


def set_threads(int count):
    """The number before."""
    return fs_set_num_threads(count)


def threads():
    return fs_get_num_threads()


def this_is_the_main_thread():
    """To be called in a forked child, by its only thread."""
    global main_thread
    main_thread = PyThread_get_thread_ident()

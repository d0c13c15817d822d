# Rows in chunks, shared by the threads of the pool (csrc/base/thread_pool.h) and short enough to notice Ctrl-C soon.
#
# Each operation has a struct, the job: what its rows have in common, and an Outcome.  `run_rows` calls the operation's
# task(job, first, past) for ranges of rows, without the GIL where that pays; a task notes the status of a row that has
# no result.

cdef extern from "Python.h":
    int PyErr_CheckSignals()
    unsigned long PyThread_get_thread_ident() nogil

cdef enum:
    # Entries in a chunk: 3 to 15 microseconds of a kernel that reads its rows once.
    CHUNK = 1 << 14
    # The work of filtering or ranking an entry, in entries that are read once.
    FILTER_WORK = 4
    # The kernels share the blocks of rows of at least this length among the threads, if there are few such rows.
    LONG_ROW = 1 << 18
    # From this many rows on, each thread takes whole ones.
    FEW_ROWS = 16

from threading import main_thread as _main_thread

cdef unsigned long main_thread = _main_thread().ident

# A row number and the status of the row in one integer, so that the first row is the least integer.
cdef extern from *:
    """
    #include "fastsoftmax.h"
    #define FS_STATUS_BITS 3
    /* fails to compile where a status does not fit: C11's _Static_assert is not in every mode of MSVC */
    typedef char fs_every_status_fits_in_its_bits[(int)FS_LIMIT < (1 << FS_STATUS_BITS) ? 1 : -1];
    """
    enum:
        STATUS_BITS "FS_STATUS_BITS"

cdef uint64_t NOTHING = <uint64_t>-1

# What went wrong in a call: NOTHING, or the first row with a status.
cdef struct Outcome:
    uint64_t rejected  # the row has no result
    uint64_t ended     # the call ended here: no memory, or interrupted


cdef inline void begin_outcome(Outcome *outcome) noexcept nogil:
    outcome.rejected = NOTHING
    outcome.ended = NOTHING


cdef inline bint note(Outcome *outcome, size_t row, fs_status status) noexcept nogil:
    """Note the status of a row unless it is FS_OK; whether it ends the call."""
    if status == FS_OK:
        return False
    if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
        fs_atomic_min(&outcome.ended, row << STATUS_BITS | status)
        return True
    fs_atomic_min(&outcome.rejected, row << STATUS_BITS | status)
    return False


cdef inline void note_rows(Outcome *outcome, size_t first, size_t past, size_t done) noexcept nogil:
    """Note that of the rows [first, past) only the first `done` have a result."""
    if first + done < past:
        note(outcome, first + done, FS_INTERRUPTED if fs_was_interrupted() else FS_NO_MEMORY)


cdef object rejected_row(const Outcome *outcome):
    """(row, why) of the first row that cannot be drawn from, or None; why is "nan" or "mass"."""
    if outcome.rejected == NOTHING:
        return None
    cdef int why = outcome.rejected & ((1 << STATUS_BITS) - 1)
    return outcome.rejected >> STATUS_BITS, "nan" if why == FS_NAN else "mass"


# Do the rows [first, past).
ctypedef void (*rows_task)(void *job, size_t first, size_t past) noexcept nogil

cdef struct Chunks:
    rows_task task
    void *job
    size_t rows
    size_t rows_in_chunk


cdef void run_chunk(void *context, size_t chunk) noexcept nogil:
    cdef Chunks *c = <Chunks *>context
    cdef size_t first = chunk * c.rows_in_chunk
    c.task(c.job, first, min(first + c.rows_in_chunk, c.rows))


cdef int check_signals() noexcept nogil:
    """The interrupt callback of the main thread.  A signal handler that raises leaves its exception with the thread."""
    with gil:
        return PyErr_CheckSignals()


cdef bint run_in_chunks(rows_task task, void *job, size_t rows, size_t work, bint by_blocks,
                        size_t together) noexcept nogil:
    """Do all rows, in chunks; True: a signal handler has raised, and some rows are not done.

    `work`: the work of a row, in entries.  `by_blocks`: the kernel can share the blocks of a long row itself.
    `together`: how many rows it does at once where they are neighbours in memory.
    """
    cdef Chunks c
    cdef fs_interrupt_callback callback = NULL, before
    cdef bint interrupted
    cdef size_t i
    c.task = task
    c.job = job
    c.rows = rows
    c.rows_in_chunk = max(CHUNK // max(work, 1), together)
    if c.rows_in_chunk > 16:
        c.rows_in_chunk = c.rows_in_chunk // 16 * 16  # the kernels do up to 16 short rows together
    if PyThread_get_thread_ident() == main_thread:
        callback = check_signals
    before = fs_set_interrupt_callback(callback)
    if by_blocks and work >= LONG_ROW and rows < FEW_ROWS:
        for i in range(rows):
            task(job, i, i + 1)
            if fs_was_interrupted():
                break
    else:
        fs_parallel_for((rows + c.rows_in_chunk - 1) // c.rows_in_chunk, run_chunk, &c)
    interrupted = fs_was_interrupted()
    fs_set_interrupt_callback(before)
    return interrupted


cdef int run_rows(rows_task task, void *job, Outcome *outcome, size_t rows, size_t work, bint by_blocks,
                  size_t together=1) except -1:
    """Do all rows: little work at once and with the GIL, the rest in chunks without it.  Raises what ends a call."""
    cdef bint interrupted
    begin_outcome(outcome)
    if rows == 0:
        return 0
    if rows * <double>work < (RELEASE_GIL_AT_ONE if rows == 1 else RELEASE_GIL_AT):
        task(job, 0, rows)
        interrupted = False
    else:
        with nogil:
            interrupted = run_in_chunks(task, job, rows, work, by_blocks, together)
    if interrupted:
        return -1  # with the exception of the signal handler
    if outcome.ended != NOTHING:
        raise MemoryError("not enough memory for the workspace of a row")
    return 0


def set_main_thread():
    """Make the calling thread the one that handles signals: for the only thread of a forked child."""
    global main_thread
    main_thread = PyThread_get_thread_ident()

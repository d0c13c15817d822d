# Threads that share the work of one call (csrc/base/thread_pool.h), for this package's own Cython code.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t


cdef extern from "base/thread_pool.h" nogil:
    ctypedef void (*fs_piece)(void *context, size_t piece) noexcept nogil
    ctypedef int (*fs_watch)() noexcept nogil
    int fs_each(size_t count, fs_piece run, void *context)
    int fs_set_threads(int count)
    int fs_threads()
    fs_watch fs_set_watch(fs_watch watch)
    int fs_stopped()
    void *fs_thread_scratch(size_t size)
    void fs_note_least(uint64_t *least, uint64_t value)
    uint64_t fs_noted(const uint64_t *least)

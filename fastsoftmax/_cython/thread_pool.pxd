# The thread pool and the scratch memory of a thread (csrc/base/), for this package's own Cython code.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t


cdef extern from "base/thread_pool.h" nogil:
    ctypedef void (*fs_chunk_task)(void *context, size_t chunk) noexcept nogil
    ctypedef int (*fs_interrupt_callback)() noexcept nogil
    int fs_parallel_for(size_t count, fs_chunk_task run, void *context)
    int fs_set_num_threads(int count)
    int fs_get_num_threads()
    fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback callback)
    int fs_was_interrupted()
    void fs_atomic_min(uint64_t *least, uint64_t value)
    uint64_t fs_atomic_load(const uint64_t *least)


cdef extern from "base/alloc.h" nogil:
    void *fs_thread_scratch(size_t size)

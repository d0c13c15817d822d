/* The chunks of one call's work, shared by the caller and a pool of threads (thread_pool.c). */
#ifndef FS_THREAD_POOL_H
#define FS_THREAD_POOL_H

#include <stddef.h>
#include <stdint.h>

/* One chunk of a job.  Any thread may run it, and chunks run in any order. */
typedef void (*fs_chunk_task)(void *context, size_t chunk);

/* run(context, i) for every i < count.  Returns 0; or 1 where the interrupt callback (below) asked to stop, and then some
 * chunks were not run.  What a chunk computes must not depend on the others, so that the number of threads changes
 * nothing.  Called within a chunk of a job of several chunks, it runs everything on the thread of that chunk. */
int fs_parallel_for(size_t count, fs_chunk_task run, void *context);

/* The number of threads a job may use, the caller included and callers in other threads too: 1 at first, whatever the
 * environment says, and always where the platform has no threads (WebAssembly).  Returns the number before. */
int fs_set_num_threads(int count);
int fs_get_num_threads(void);
enum { FS_MAX_THREADS = 1024 };

/* The interrupt callback of this thread, called every FS_INTERRUPT_INTERVAL nanoseconds while it runs a job of its own.  It
 * may run anything; if it returns nonzero, the job ends early.  NULL: there is none.  Returns the callback before. */
typedef int (*fs_interrupt_callback)(void);
fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback callback);
/* Whether it has asked to stop since it was set. */
int fs_was_interrupted(void);
/* For a loop outside of fs_parallel_for: calls the callback if it is time; returns whether to stop. */
int fs_check_interrupt(void);
#define FS_INTERRUPT_INTERVAL 20000000

/* *least = min(*least, value), for values that several threads report. */
void fs_atomic_min(uint64_t *least, uint64_t value);
uint64_t fs_atomic_load(const uint64_t *least);

#endif

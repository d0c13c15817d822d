/* The work of one call, in chunks that several threads share (thread_pool.c). */
#ifndef FS_TEAM_H
#define FS_TEAM_H

#include <stddef.h>
#include <stdint.h>

/* One chunk of a job; any thread may be asked for it, and chunks are done in any order. */
typedef void (*fs_chunk_task)(void *context, size_t chunk);

/* run(context, i) for every i < count.  Returns 0; or 1 where the watch (below) asked to stop, and then some chunks were
 * not done.  What a chunk computes must not depend on the others, so that the number of threads changes nothing.
 * Within a chunk, a job is done by the thread that has the chunk. */
int fs_parallel_for(size_t count, fs_chunk_task run, void *context);

/* The number of threads a job may have, the caller's included: 1 at first.  Where there are no threads to be had (a
 * compiler without them) it stays 1.  Returns the number before. */
int fs_set_num_threads(int count);
int fs_get_num_threads(void);
enum { FS_MAX_THREADS = 1024 };

/* This thread's watch: asked every FS_INTERRUPT_INTERVAL nanoseconds while this thread is in a job of its own; it may run anything,
 * and where it returns nonzero the job ends early.  NULL: nobody is asked.  Returns the watch before. */
typedef int (*fs_interrupt_callback)(void);
fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback watch);
/* Whether it has asked to stop since it was set. */
int fs_was_interrupted(void);
/* For a loop that is no job: ask the watch if it is time; whether to stop. */
int fs_check_interrupt(void);
#define FS_INTERRUPT_INTERVAL 20000000

/* Memory of this thread, of at least `size` bytes, until its next call; freed with the thread.  NULL: there is none. */
void *fs_thread_scratch(size_t size);

/* The least of what several threads note. */
void fs_atomic_min(uint64_t *least, uint64_t value);
uint64_t fs_atomic_load(const uint64_t *least);

#endif

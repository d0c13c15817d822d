/* The work of one call, in pieces that several threads share (thread_pool.c). */
#ifndef FS_TEAM_H
#define FS_TEAM_H

#include <stddef.h>
#include <stdint.h>

/* One piece of a job; any thread may be asked for it, and pieces are done in any order. */
typedef void (*fs_piece)(void *context, size_t piece);

/* run(context, i) for every i < count.  Returns 0; or 1 where the watch (below) asked to stop, and then some pieces were
 * not done.  What a piece computes must not depend on the others, so that the number of threads changes nothing.
 * Within a piece, a job is done by the thread that has the piece. */
int fs_each(size_t count, fs_piece run, void *context);

/* The number of threads a job may have, the caller's included: 1 at first.  Where there are no threads to be had (a
 * compiler without them) it stays 1.  Returns the number before. */
int fs_set_threads(int count);
int fs_threads(void);
enum { FS_MOST_THREADS = 1024 };

/* This thread's watch: asked every FS_WATCH_EVERY nanoseconds while this thread is in a job of its own; it may run anything,
 * and where it returns nonzero the job ends early.  NULL: nobody is asked.  Returns the watch before. */
typedef int (*fs_watch)(void);
fs_watch fs_set_watch(fs_watch watch);
/* Whether it has asked to stop since it was set. */
int fs_stopped(void);
/* For a loop that is no job: ask the watch if it is time; whether to stop. */
int fs_heed_watch(void);
#define FS_WATCH_EVERY 20000000

/* Memory of this thread, of at least `size` bytes, until its next call; freed with the thread.  NULL: there is none. */
void *fs_thread_scratch(size_t size);

/* The least of what several threads note. */
void fs_note_least(uint64_t *least, uint64_t value);
uint64_t fs_noted(const uint64_t *least);

#endif

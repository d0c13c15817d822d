/* The memory that each thread keeps from call to call: scratch, and a table (alloc.c). */
#ifndef FS_ALLOC_H
#define FS_ALLOC_H

#include <stddef.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define FS_THREAD_LOCAL __declspec(thread)
#elif defined(                                                                                                       \
    __GLIBC__) /* in memory that a thread has from its start: glibc aborts where it must allocate and cannot */
#define FS_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define FS_THREAD_LOCAL _Thread_local
#endif

/* At least `size` bytes of this thread, valid until its next call; freed when the thread ends.  NULL: there is no memory. */
void *fs_thread_scratch(size_t size);

/* Sets the thread's scratch aside, so that other calls of this thread get memory of their own; and puts it back. */
typedef struct {
    size_t size;
    void *memory;
} fs_scratch;
fs_scratch fs_detach_scratch(void);
void fs_attach_scratch(fs_scratch scratch);

/* At least `size` bytes for a table, which belong to the caller until it returns them.  Of returned tables the thread keeps one,
 * of up to FS_TABLE_KEPT bytes, for its next call, and frees it when it ends.  `memory` is NULL where there is none. */
#define FS_TABLE_KEPT ((size_t)1 << 24)
fs_scratch fs_take_table(size_t size);
void fs_return_table(fs_scratch table);

#endif

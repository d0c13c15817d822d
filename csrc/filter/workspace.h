/* The memory the filters work in, which the caller provides: the lists of filter/list-inl.h, and n doubles. */
#ifndef FS_WORKSPACE_H
#define FS_WORKSPACE_H

#include "base/bits.h"

enum { FS_ALIGNMENT = 64 };

/* Entries of each list: a row, and whole vectors past its end. */
static inline size_t fs_workspace_entries(size_t n) { return n + 128; }

/* Bytes of the lists for an entry: five of doubles at most, and one of indices. */
#define FS_LIST_BYTES (5 * sizeof(double) + sizeof(uint32_t))

static inline char *fs_aligned(void *scratch)
{
    return (char *)(((uintptr_t)scratch + FS_ALIGNMENT - 1) / FS_ALIGNMENT * FS_ALIGNMENT);
}

/* n doubles, after the lists. */
static inline double *fs_workspace_doubles(void *scratch, size_t n)
{
    return (double *)(void *)fs_aligned(fs_aligned(scratch) + fs_workspace_entries(n) * FS_LIST_BYTES);
}

/* Bytes for a row of n entries; 0: indices of 32 bits, or size_t, do not reach so far. */
static inline size_t fs_workspace_size(size_t n)
{
    const size_t each = FS_LIST_BYTES + sizeof(double), around = 2 * FS_ALIGNMENT;
    if (n > UINT32_MAX - 1024 || fs_workspace_entries(n) > (SIZE_MAX - around) / each)
        return 0;
    return fs_workspace_entries(n) * each + around;
}

#endif

/* The memory the filters work in, which the caller gives: a room of lists, as filter/list-inl.h divides it, and n doubles beside. */
#ifndef FS_ROOM_H
#define FS_ROOM_H

#include "base/bits.h"

/* Entries of each part of a room: a row, and whole vectors beyond its end. */
static inline size_t fs_workspace_entries(size_t n) { return n + 128; }

static inline char *fs_aligned(void *scratch) { return (char *)(((uintptr_t)scratch + 63) / 64 * 64); }

/* n doubles behind the largest room, that of double */
static inline double *fs_workspace_doubles(void *scratch, size_t n)
{
    size_t workspace = fs_workspace_entries(n) * (5 * sizeof(double) + sizeof(uint32_t));
    return (double *)(void *)fs_aligned(fs_aligned(scratch) + workspace);
}

/* Bytes of scratch for a row of n entries. */
static inline size_t fs_workspace_size(size_t n)
{
    return fs_workspace_entries(n) * (6 * sizeof(double) + sizeof(uint32_t)) + 2 * 64;
}

#endif

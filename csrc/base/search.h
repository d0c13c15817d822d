/* Binary search in ascending numbers, once for each type of number. */
#ifndef FS_SEARCH_H
#define FS_SEARCH_H

#include <stddef.h>
#include <stdint.h>

/* The first i in [low, high) with number[i * step] > x, or `high`. */
#define FS_FIRST_ABOVE(name, type)                                                                                   \
    static inline size_t name(const type *number, size_t step, size_t low, size_t high, type x)                      \
    {                                                                                                                \
        while (low < high) {                                                                                         \
            size_t middle = low + (high - low) / 2;                                                                  \
            if (number[middle * step] <= x)                                                                          \
                low = middle + 1;                                                                                    \
            else                                                                                                     \
                high = middle;                                                                                       \
        }                                                                                                            \
        return low;                                                                                                  \
    }

FS_FIRST_ABOVE(fs_first_above_i64, int64_t)
FS_FIRST_ABOVE(fs_first_above_u32, uint32_t)
FS_FIRST_ABOVE(fs_first_above_u64, uint64_t)

#undef FS_FIRST_ABOVE

#endif

/* The element types. */
#ifndef FS_DTYPE_H
#define FS_DTYPE_H

#include "fastsoftmax.h"

/* The largest finite number. */
static inline double fs_most(fs_dtype dtype)
{
    switch (dtype) {
    case FS_F32: return 0x1.fffffep127;
    case FS_F16: return 65504.0;
    case FS_BF16: return 0x1.fep127;
    default: return 0x1.fffffffffffffp1023;
    }
}

/* x, or the largest finite number of its sign. */
static inline double fs_clamped(double x, double most) { return x > most ? most : x < -most ? -most : x; }

/* Entries of a block. */
static inline size_t fs_block_of(fs_dtype dtype) { return dtype == FS_F64 ? 512 : 1024; }

/* Whether a row of this dtype is computed in double at this temperature (ops/one_row.h). */
static inline int fs_is_beyond(fs_dtype dtype, double temperature)
{
    int has_limit = temperature == 0.0 || temperature > 0x1p900; /* infinite */
    return dtype != FS_F64 && !has_limit && (temperature > 0x1p90 || temperature < 0x1p-90);
}

#endif

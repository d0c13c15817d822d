/* The element types: their largest numbers, the length of their blocks, the temperatures of their formula.
 * What more than one file must agree on stands here once; real_f32.h, real_f64.h and Python take it from here. */
#ifndef FS_DTYPE_H
#define FS_DTYPE_H

#include "base/platform.h"
#include "fastsoftmax.h"

/* Entries of a block: of a row computed in float, and of one computed in double. */
#define FS_BLOCK_F32 1024
#define FS_BLOCK_F64 512
#define FS_MAX_BLOCK FS_BLOCK_F32

_Static_assert(FS_BLOCK_F32 % FS_BLOCK_F64 == 0, "shards that begin at a block of floats begin at one of doubles");

/* The formula serves temperatures from 1 / FS_EXTREME to FS_EXTREME; row/limits.h has the rows beyond. */
#define FS_EXTREME_F32 0x1p90
#define FS_EXTREME_F64 0x1p900

static inline size_t fs_size_of(fs_dtype dtype) { return dtype == FS_F64 ? 8 : dtype == FS_F32 ? 4 : 2; }

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

/* A row without mask and bias. */
static inline fs_row fs_bare_row(const void *data, size_t stride, fs_dtype dtype, int probs)
{
    fs_row row = {data, (ptrdiff_t)stride, dtype, probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    return row;
}

/* Whether a row is computed in double. */
static inline int fs_is_wide(const fs_row *row) { return row->dtype == FS_F64 || row->probs; }

static inline size_t fs_block_of(fs_dtype dtype) { return dtype == FS_F64 ? FS_BLOCK_F64 : FS_BLOCK_F32; }

/* Whether the formula serves this temperature, in double (`wide`) or in float. */
static inline int fs_has_formula(double temperature, int wide)
{
    const double extreme = wide ? FS_EXTREME_F64 : FS_EXTREME_F32;
    return temperature <= extreme && temperature >= 1.0 / extreme;
}

/* Whether a row of this dtype goes to double at this temperature, which is too extreme for float. */
static inline int fs_is_beyond(fs_dtype dtype, double temperature)
{
    return dtype != FS_F64 && temperature > 0.0 && temperature <= FS_EXTREME_F64 && !fs_has_formula(temperature, 0);
}

#endif

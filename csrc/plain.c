/* Rows by plain pointers and numbers, for callers in C, Cython and Numba; compiled once, with no vectors. */
#include "base/arguments.h"
#include "fastsoftmax.h"

#include "base/real_f32.h"
#include "ops/plain-inl.h"
#include "base/real_end.h"

#include "base/real_f64.h"
#include "ops/plain-inl.h"
#include "base/real_end.h"

void fs_no_filters(fs_filters *filters)
{
    static const fs_filters off = {
        .top_p = 1.0,
        .typical_p = 1.0,
        .xtc_threshold = 1.0,
        .surprise = INFINITY,
        .dynatemp_exponent = 1.0,
        .min_tokens_to_keep = 1,
    };
    *filters = off;
}

int fs_abi_version(void) { return FS_ABI_VERSION; }

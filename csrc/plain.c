/* What is compiled once, with no vectors: the functions by plain pointers and numbers, for callers in C, Cython and Numba,
 * and the sizes of what callers allocate. */
#include "base/arguments.h"
#include "base/dtype.h"
#include "draw/prepared.h"
#include "fastsoftmax.h"
#include "filter/workspace.h"

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
        .top_h = 1.0,
        .xtc_threshold = 1.0,
        .surprise = INFINITY,
        .dynatemp_exponent = 1.0,
        .min_tokens_to_keep = 1,
        .smoothing_curve = 1.0,
    };
    *filters = off;
}

int fs_abi_version(void) { return FS_ABI_VERSION; }

size_t fs_scratch_size(size_t n) { return fs_workspace_size(n); }
size_t fs_categorical_size(size_t n) { return n > FS_GUIDE_MOST ? 0 : fs_prepared_size(n); }
size_t fs_shard_block(fs_dtype dtype) { return fs_block_of(dtype); }
int fs_needs_double(fs_dtype dtype, double temperature) { return fs_is_beyond(dtype, temperature); }

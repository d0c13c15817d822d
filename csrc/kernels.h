/* Everything that is compiled once for each instruction set.  An isa file includes this after its vector (simd/), and defines
 * FS_KERNELS, the name of its table, and FS_KERNELS_NAME, the name of the set.
 *
 * The order of the includes is that of the floors: a file uses only what stands above it.  What ends in -inl.h is written
 * once for REAL and included for double and for float; double comes first, as float needs it for its limits. */

#include <stdlib.h>

#include "fastsoftmax.h"
#include "kernel_table.h"

#include "base/alloc.h"
#include "base/scalar_math.h"
#include "row/reader.h"
#include "row/rows.h"
#include "row/writer.h"
#include "row/limits.h"
#include "shard/part.h"
#include "softmax/exp2.h"
#include "softmax/logsumexp.h"
#include "draw/guide_table.h"
#include "draw/prepared.h"
#include "draw/rejection.h"
#include "draw/seeded.h"

#define FS_INFINITY INFINITY

#include "base/real_f64.h"
#include "row/tile-inl.h"
#include "softmax/sum-inl.h"
#include "softmax/block-inl.h"
#include "softmax/argmax-inl.h"
#include "softmax/row-inl.h"
#include "softmax/softmax-inl.h"
#include "softmax/short_rows-inl.h"
#include "softmax/logsumexp-inl.h"
#include "softmax/entropy-inl.h"
#include "softmax/columns-inl.h"
#include "draw/block_cdf-inl.h"
#include "draw/logits-inl.h"
#include "draw/columns-inl.h"
#include "draw/remaining-inl.h"
#include "draw/prepared-inl.h"
#include "draw/rejection-inl.h"
#include "draw/seeded-inl.h"
#include "shard/shard-inl.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "row/tile-inl.h"
#include "softmax/sum-inl.h"
#include "softmax/block-inl.h"
#include "softmax/argmax-inl.h"
#include "softmax/row-inl.h"
#include "softmax/softmax-inl.h"
#include "softmax/short_rows-inl.h"
#include "softmax/logsumexp-inl.h"
#include "softmax/entropy-inl.h"
#include "softmax/columns-inl.h"
#include "draw/block_cdf-inl.h"
#include "draw/logits-inl.h"
#include "draw/columns-inl.h"
#include "draw/remaining-inl.h"
#include "draw/prepared-inl.h"
#include "draw/rejection-inl.h"
#include "draw/seeded-inl.h"
#include "shard/shard-inl.h"
#include "base/real_end.h"

#include "softmax/probabilities.h"
#include "draw/probabilities.h"
#include "shard/shard.h"

#include "filter/workspace.h"
#include "filter/candidates.h"

#include "base/real_f64.h"
#include "filter/list-inl.h"
#include "filter/mass-inl.h"
#include "filter/selection-inl.h"
#include "filter/prefix-inl.h"
#include "filter/threshold-inl.h"
#include "filter/collision-inl.h"
#include "filter/entropy-inl.h"
#include "filter/chain-inl.h"
#include "filter/top_k-inl.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "filter/list-inl.h"
#include "filter/mass-inl.h"
#include "filter/selection-inl.h"
#include "filter/prefix-inl.h"
#include "filter/threshold-inl.h"
#include "filter/collision-inl.h"
#include "filter/entropy-inl.h"
#include "filter/chain-inl.h"
#include "filter/top_k-inl.h"
#include "base/real_end.h"

#include "filter/keep.h"

#include "ops/one_row.h"
#include "ops/divergence.h"
#include "ops/weighted.h"
#include "ops/rows.h"
#include "ops/categorical.h"
#include "ops/truncate.h"
#include "ops/top_k.h"
#include "ops/without_replacement.h"
#include "ops/verify.h"
#include "ops/adaptive.h"
#include "ops/verify_tree.h"

#include "base/arguments.h"

#include "base/real_f64.h"
#include "ops/block_rows-inl.h"
#include "ops/rows-inl.h"
#include "ops/segments-inl.h"
#include "ops/divergence_rows.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "ops/block_rows-inl.h"
#include "ops/rows-inl.h"
#include "ops/segments-inl.h"
#include "base/real_end.h"

#include "ops/many_rows.h"

const fs_kernels FS_KERNELS = {.name = FS_KERNELS_NAME,
#define FS_KERNEL(type, name, parameters, arguments) .name = kernel_##name,
                               FS_EACH_KERNEL(FS_KERNEL)
#undef FS_KERNEL
};

/* Everything that is compiled once for each instruction set: include a vec_*.h first.
 * FS_KERNELS is the table of entry points this file defines, FS_KERNELS_NAME the set's name. */

#include <stdlib.h>

#include "fastsoftmax.h"
#include "kernel_table.h"
#include "base/scalar_math.h"
#include "row/reader.h"
#include "softmax/exp2.h"
#include "draw/guide_table.h"
#include "draw/draws.h"
#include "draw/prepared.h"

#define FS_INFINITY INFINITY

#include "base/real_f64.h"
#include "softmax/sum-inl.h"
#include "softmax/block-inl.h"
#include "softmax/rest.h"
#include "softmax/row-inl.h"
#include "softmax/softmax-inl.h"
#include "softmax/logsumexp-inl.h"
#include "draw/draw-inl.h"
#include "shard/shard-inl.h"
#include "draw/tabulate-inl.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "softmax/sum-inl.h"
#include "softmax/block-inl.h"
#include "softmax/row-inl.h"
#include "softmax/softmax-inl.h"
#include "softmax/logsumexp-inl.h"
#include "draw/draw-inl.h"
#include "shard/shard-inl.h"
#include "draw/tabulate-inl.h"

#include "base/real_end.h"

#include "row/limits.h"
#include "draw/weights.h"

#include "ops/one_row.h"
#include "shard/one_shard.h"
#include "draw/categorical.h"

#include "base/real_f64.h"
#include "softmax/tiny-inl.h"
#include "softmax/together-inl.h"
#include "ops/batch-inl.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "softmax/tiny-inl.h"
#include "softmax/together-inl.h"
#include "ops/batch-inl.h"
#include "base/real_end.h"

#include "ops/batch_half.h"

#include "filter/workspace.h"
#include "filter/kept.h"

#include "base/real_f64.h"
#include "filter/list-inl.h"
#include "filter/mass-inl.h"
#include "filter/selection-inl.h"
#include "filter/prefix-inl.h"
#include "filter/threshold-inl.h"
#include "filter/chain-inl.h"
#include "filter/top_k-inl.h"
#include "base/real_end.h"

#include "base/real_f32.h"
#include "filter/list-inl.h"
#include "filter/mass-inl.h"
#include "filter/selection-inl.h"
#include "filter/prefix-inl.h"
#include "filter/threshold-inl.h"
#include "filter/chain-inl.h"
#include "filter/top_k-inl.h"
#include "base/real_end.h"

#include "ops/truncate.h"
#include "ops/top.h"
#include "ops/verify.h"

const fs_kernels FS_KERNELS = {
    FS_KERNELS_NAME,
    fs_softmax_row,
    fs_log_softmax_row,
    fs_logsumexp_row,
    fs_sample_row,
    softmax_many_f32,
    softmax_many_f64,
    fs_softmax_many_half,
    sample_many_f32,
    sample_many_f64,
    fs_sample_filtered_row,
    fs_truncate_row,
    fs_top_row,
    fs_without_replacement_row,
    fs_accept_row,
    fs_correct_row,
    softmax_alone_f32,
    softmax_alone_f64,
    fs_summarise_row,
    fs_normalise_row,
    fs_logsumexp_of_summary_row,
    fs_locate_row,
    fs_softmax_shard_row,
    fs_log_softmax_shard_row,
    fs_resolve_row,
    fs_categorical_build_row,
    fs_categorical_draw_row,
    fs_categorical_draw_row_from,
    fs_sample_row_from,
    fs_logprob_row,
};

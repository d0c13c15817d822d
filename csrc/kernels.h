/* Everything that is compiled once for each instruction set: include a vec_*.h first.
 * FS_KERNELS is the table of entry points this file defines, FS_KERNELS_NAME the set's name. */

#include <stdlib.h>

#include "fastsoftmax.h"
#include "kernel_table.h"
#include "scale.h"
#include "source.h"
#include "exp2.h"

#define FS_INFINITY INFINITY

#include "real_f64.h"
#include "sum.h"
#include "block.h"
#include "rest.h"
#include "row.h"
#include "softmax.h"
#include "logsumexp.h"
#include "draw.h"
#include "shard.h"
#include "real_end.h"

#include "real_f32.h"
#include "sum.h"
#include "block.h"
#include "row.h"
#include "softmax.h"
#include "logsumexp.h"
#include "draw.h"
#include "shard.h"

#include "real_end.h"

#include "limit_rows.h"
#include "weights.h"

#include "one_row.h"
#include "one_shard.h"

#include "real_f64.h"
#include "tiny.h"
#include "together.h"
#include "many.h"
#include "real_end.h"

#include "real_f32.h"
#include "tiny.h"
#include "together.h"
#include "many.h"
#include "real_end.h"

#include "many_half.h"

#include "room.h"
#include "kept.h"

#include "real_f64.h"
#include "list.h"
#include "mass.h"
#include "select.h"
#include "prefix.h"
#include "likely.h"
#include "filters.h"
#include "first.h"
#include "real_end.h"

#include "real_f32.h"
#include "list.h"
#include "mass.h"
#include "select.h"
#include "prefix.h"
#include "likely.h"
#include "filters.h"
#include "first.h"
#include "real_end.h"

#include "truncate.h"
#include "top.h"
#include "verify.h"

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
};

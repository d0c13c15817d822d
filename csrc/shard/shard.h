/* One shard of a row of any dtype and layout, and the row of its shards: which function of shard-inl.h each goes to.
 *
 * There are three kinds of row.  By the formula, in the type of the dtype.  By the formula in double, at the temperatures
 * that take a row of float or less to double.  Counted: at temperature 0, at infinite temperature and with an entry +inf,
 * each entry that counts has the same weight; of C such entries the draw is number floor(u C), whatever the blocks. */
#ifndef FS_SHARD_H
#define FS_SHARD_H

#include "base/dtype.h"
#include "row/reader.h"
#include "row/writer.h"
#include "softmax/logsumexp.h"

static int fs_is_counted(double temperature, double max)
{
    return temperature == 0.0 || temperature == INFINITY || max == INFINITY;
}

/* Whether a block of a counted row has entries that count. */
static int fs_block_counts(double temperature, double block_max, double max)
{
    return temperature == INFINITY ? block_max > -INFINITY : block_max == max;
}

static fs_status kernel_summarise(const fs_row *row, size_t first, size_t n, double temperature, int in_double,
                                  double *max, double *sum, double *rest)
{
    fs_reader reader = fs_reader_of(row);
    reader.first = first;
    int wide = row->dtype == FS_F64 || in_double;
    *rest = 0.0;
    if (temperature == 0.0 || temperature == INFINITY || (!in_double && fs_is_beyond(row->dtype, temperature))) {
        return wide ? shard_count_f64(&reader, n, temperature, max, sum)
                    : shard_count_f32(&reader, n, temperature, max, sum);
    }
    return wide ? shard_summarise_f64(&reader, n, temperature, max, sum, rest)
                : shard_summarise_f32(&reader, n, temperature, max, sum, rest);
}

static fs_status kernel_read_entries(const fs_row *row, size_t first, size_t n, void *to)
{
    fs_reader reader = fs_reader_of(row);
    reader.first = first;
    const int wide = row->dtype == FS_F64;
    const size_t block = wide ? FS_BLOCK_F64 : FS_BLOCK_F32;
    for (size_t start = 0; start < n; start += block) {
        const size_t len = n - start < block ? n - start : block;
        double f64[FS_BLOCK_F64];
        float f32[FS_BLOCK_F32];
        if (wide)
            memcpy((double *)to + start, fs_load_f64(&reader, start, len, f64), len * sizeof *f64);
        else
            memcpy((float *)to + start, fs_load_f32(&reader, start, len, f32), len * sizeof *f32);
    }
    return FS_OK;
}

static fs_status kernel_normalise(fs_dtype dtype, double temperature, const fs_summary *summary, fs_normaliser *to)
{
    const fs_blocks *s = &summary->of, *wide = &summary->wide;
    fs_normaliser norm = {-INFINITY, 0.0, 0.0, FS_OK};
    fs_status status = FS_OK;
    for (size_t b = 0; b < s->blocks; b++) {
        norm.status = s->max[b] != s->max[b] ? FS_NAN : norm.status;
        norm.max = s->max[b] > norm.max ? s->max[b] : norm.max;
    }
    if (norm.status == FS_OK && norm.max == -INFINITY)
        norm.status = FS_NO_MASS;
    if (norm.status != FS_OK) {
        *to = norm;
        return FS_OK;
    }
    if (fs_is_counted(temperature, norm.max)) {
        for (size_t b = 0; b < s->blocks; b++)
            if (fs_block_counts(temperature, s->max[b], norm.max))
                norm.total += s->sum[b];
        norm.log_sum =
            fs_log_of_sum(norm.total, norm.total - 1.0); /* as softmax/logsumexp-inl.h has it of equal weights */
    } else if (dtype == FS_F64) {
        status = shard_normalise_f64(s->blocks, s->max, s->sum, s->rest, temperature, &norm.total, &norm.log_sum);
    } else if (fs_is_beyond(dtype, temperature)) {
        status = shard_normalise_f64(wide->blocks, wide->max, wide->sum, wide->rest, temperature, &norm.total,
                                     &norm.log_sum);
    } else {
        status = shard_normalise_f32(s->blocks, s->max, s->sum, s->rest, temperature, &norm.total, &norm.log_sum);
    }
    *to = norm;
    return status == FS_OK && !(norm.total > 0.0) ? FS_CHANGED : status;
}

static fs_status kernel_logsumexp_of_summary(fs_dtype dtype, double temperature, const fs_summary *summary,
                                             const fs_normaliser *norm, double *result)
{
    const fs_blocks *wide = &summary->wide;
    if (norm->status != FS_OK) {
        *result = norm->status == FS_NAN ? fs_f64_of(UINT64_C(0x7ff8000000000000)) : -INFINITY;
        return FS_OK;
    }
    *result = fs_logsumexp_of(norm->max, temperature, norm->log_sum);
    if (dtype == FS_F64 || fs_is_counted(temperature, norm->max) || fs_is_beyond(dtype, temperature) ||
        !fs_nearly_cancels(*result, norm->max, temperature))
        return FS_OK;
    double total, log_sum;
    fs_status status =
        shard_normalise_f64(wide->blocks, wide->max, wide->sum, wide->rest, temperature, &total, &log_sum);
    if (status == FS_OK)
        *result = fs_add_maximum(norm->max, temperature, log_sum);
    return status;
}

static fs_status kernel_locate(fs_dtype dtype, double temperature, const fs_summary *summary,
                               const fs_normaliser *norm, size_t k, const double *u, fs_location *at)
{
    const fs_blocks *s = &summary->of, *wide = &summary->wide;
    if (norm->status != FS_OK) {
        const fs_location nowhere = {-1, -1, norm->max, 0.0, 0, 0, 0};
        for (size_t j = 0; j < k; j++)
            at[j] = nowhere;
        return FS_OK;
    }
    if (!fs_is_counted(temperature, norm->max)) {
        if (dtype == FS_F64)
            return shard_locate_f64(s->blocks, s->max, s->sum, temperature, k, u, at);
        if (fs_is_beyond(dtype, temperature))
            return shard_locate_f64(wide->blocks, wide->max, wide->sum, temperature, k, u, at);
        return shard_locate_f32(s->blocks, s->max, s->sum, temperature, k, u, at);
    }
    for (size_t j = 0; j < k; j++) {
        uint64_t total = (uint64_t)(int64_t)norm->total, before = 0;
        if (j % 64 == 63 && fs_check_interrupt())
            return FS_INTERRUPTED;
        int found = 0;
        uint64_t number = temperature == 0.0 ? 0 : fs_scale_uniform(u[j], total).high;
        for (size_t b = 0; b < s->blocks; b++) {
            if (!fs_block_counts(temperature, s->max[b], norm->max))
                continue;
            uint64_t count = (uint64_t)(int64_t)s->sum[b];
            if (number < before + count) {
                const fs_location there = {
                    (int64_t)(b * fs_block_of(dtype)), -1, s->max[b], u[j], number - before, 0, count};
                at[j] = there;
                found = 1;
                break;
            }
            before += count;
        }
        if (!found)
            return FS_CHANGED;
    }
    return FS_OK;
}

/* The row that stands in for the shard's, with its temperature and maximum (row/limits.h). */
static fs_reader fs_shard_reader(const fs_row *row, double *temperature, double *max)
{
    fs_reader reader = fs_reader_of(row);
    if (fs_is_counted(*temperature, *max)) {
        reader.transform = *temperature == INFINITY ? FS_SUPPORT : FS_MAXIMA;
        reader.max = *max;
        *max = 0.0;
        *temperature = 1.0;
    }
    return reader;
}

/* Whether the blocks of a row that is counted, or computed in another type than it was summarised in, have the maxima
 * that were summarised: they are looked at as they are, before the row that stands for it. */
static int fs_shard_has(const fs_row *row, const fs_part *part, size_t start, size_t past, const double *block_max)
{
    fs_reader reader = fs_reader_of(row);
    return row->dtype == FS_F64 ? shard_has_f64(&reader, part, start, past, block_max)
                                : shard_has_f32(&reader, part, start, past, block_max);
}

static fs_status kernel_cut_maxima(fs_dtype dtype, double temperature, const fs_summary *summary,
                                   const fs_normaliser *norm, const fs_part *part, double *cut_max)
{
    const int beyond = fs_is_beyond(dtype, temperature) && !fs_is_counted(temperature, norm->max);
    const fs_blocks *s = beyond ? &summary->wide : &summary->of;
    const size_t block = beyond ? FS_BLOCK_F64 : fs_block_of(dtype);
    const size_t first = part->offset / block, last = (part->offset + part->n - 1) / block;
    if (last >= s->blocks)
        return FS_CHANGED;
    cut_max[0] = s->max[first];
    cut_max[1] = s->max[last];
    return FS_OK;
}

static fs_status kernel_softmax_shard(const fs_row *row, const fs_part *part, double temperature,
                                      const fs_normaliser *norm, const double *cut_max, const double *block_max,
                                      const fs_output *out)
{
    if (norm->status != FS_OK) {
        fs_fill_nan(out, part->n);
        return FS_OK;
    }
    double max = norm->max;
    int in_double = row->dtype == FS_F64 || fs_is_counted(temperature, max) || fs_is_beyond(row->dtype, temperature);
    fs_reader reader = fs_shard_reader(row, &temperature, &max);
    if (block_max && (reader.transform != FS_AS_IT_IS || in_double != (row->dtype == FS_F64))) {
        if (!fs_shard_has(row, part, 0, part->n, block_max))
            return FS_CHANGED;
        block_max = NULL;
    }
    if (reader.transform != FS_AS_IT_IS) /* all weights are 0 or 1, whatever their origin */
        cut_max = NULL;
    return in_double ? shard_softmax_f64(&reader, part, temperature, max, norm->total, cut_max, block_max, out)
                     : shard_softmax_f32(&reader, part, temperature, max, norm->total, cut_max, block_max, out);
}

static fs_status kernel_log_softmax_shard(const fs_row *row, size_t n, double temperature, const fs_normaliser *norm,
                                          const fs_output *out)
{
    if (norm->status != FS_OK) {
        fs_fill_nan(out, n);
        return FS_OK;
    }
    double max = norm->max;
    int in_double = row->dtype == FS_F64 || fs_is_counted(temperature, max) || fs_is_beyond(row->dtype, temperature);
    fs_reader reader = fs_shard_reader(row, &temperature, &max);
    return in_double ? log_blocks_f64(&reader, n, temperature, max, norm->log_sum, out)
                     : log_blocks_f32(&reader, n, temperature, max, norm->log_sum, out);
}

/* Entry number at->high of those that count, from `start`; their number must be the one that was summarised. */
static fs_status fs_resolve_counted(const fs_reader *reader, size_t start, size_t len, const fs_location *at,
                                    int64_t *index)
{
    uint64_t number = 0;
    for (size_t from = start, past = start + len; from < past; from += FS_BLOCK_F64) {
        double copy[FS_BLOCK_F64];
        size_t part = past - from < FS_BLOCK_F64 ? past - from : FS_BLOCK_F64;
        const double *x = fs_load_f64(reader, from, part, copy);
        for (size_t i = 0; i < part; i++)
            if (x[i] == 0.0 && number++ == at->high)
                *index = (int64_t)(from + i);
    }
    return *index >= 0 && (number == at->of) ? FS_OK : FS_CHANGED;
}

/* The draw's entry among those of the shard; -1: it is in another. */
static fs_status fs_find_draw(const fs_row *row, const fs_reader *reader, const fs_part *part, int in_double,
                              double temperature, const fs_location *at, int64_t *index)
{
    const size_t block = in_double ? FS_BLOCK_F64 : FS_BLOCK_F32;
    *index = -1;
    if (at->entry >= 0) { /* the summary had the entries of its block */
        const fs_reader as_it_is = fs_reader_of(row);
        const size_t i = (size_t)at->entry - part->offset;
        if ((size_t)at->entry < part->offset || i >= part->n)
            return FS_OK;
        *index = (int64_t)i;
        return fs_logit(&as_it_is, i) == at->max ? FS_OK : FS_CHANGED;
    }
    const size_t start = (size_t)at->start - part->offset;
    if ((size_t)at->start < part->offset || start >= part->n)
        return FS_OK;
    const size_t len = part->n - start < block ? part->n - start : block;
    if (reader->transform == FS_AS_IT_IS)
        return in_double ? shard_resolve_f64(reader, start, len, temperature, at, index)
                         : shard_resolve_f32(reader, start, len, temperature, at, index);
    return fs_shard_has(row, part, start, start + len, &at->max) ? fs_resolve_counted(reader, start, len, at, index)
                                                                 : FS_CHANGED;
}

static fs_status kernel_resolve(const fs_row *row, const fs_part *part, double given, const fs_normaliser *norm,
                                size_t k, const fs_location *at, int64_t *index, double *logprob)
{
    double temperature = given, max = norm->max;
    int in_double = row->dtype == FS_F64 || (fs_is_beyond(row->dtype, given) && !fs_is_counted(given, max));
    fs_reader reader = fs_shard_reader(row, &temperature, &max);
    for (size_t j = 0; j < k; j++) {
        if (j % 64 == 63 && fs_check_interrupt())
            return FS_INTERRUPTED;
        index[j] = -1;
        if (logprob)
            logprob[j] = norm->status == FS_OK ? -INFINITY : fs_f64_of(UINT64_C(0x7ff8000000000000));
        if (norm->status != FS_OK)
            continue;
        fs_status status = fs_find_draw(row, &reader, part, in_double, temperature, at + j, index + j);
        if (status != FS_OK)
            return status;
        if (index[j] < 0)
            continue;
        if (logprob)
            logprob[j] =
                given == 0.0 ? 0.0 : fs_logprob_of(&reader, (size_t)index[j], temperature, max, norm->log_sum);
        index[j] += (int64_t)part->offset;
    }
    return FS_OK;
}

#endif

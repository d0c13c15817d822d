/* Which instruction sets this CPU has, which one is in use, and the entry points that go there.
 *
 * Every entry point runs in the floating-point environment of base/fp_environment.h and puts the caller's back.
 */
#include <string.h>

#include "base/arguments.h"
#include "base/dtype.h"
#include "base/fp_environment.h"
#include "fastsoftmax.h"
#include "kernel_table.h"
#include "draw/prepared.h"
#include "filter/workspace.h"

#ifdef FS_X86
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#else
#include <cpuid.h>
#endif

static void fs_cpuid(unsigned leaf, unsigned r[4])
{
#if defined(_MSC_VER) && !defined(__clang__)
    __cpuidex((int *)r, (int)leaf, 0);
#else
    __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
#endif
}

static unsigned fs_enabled_state(void)
{
#if defined(_MSC_VER) && !defined(__clang__)
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
#endif
}

/* 0: neither, 1: AVX2 with FMA and F16C, 2: AVX-512 F, DQ, BW, VL too; each enabled by the operating system. */
static int fs_level(void)
{
    unsigned r[4];
    fs_cpuid(0, r);
    if (r[0] < 7)
        return 0;
    fs_cpuid(1, r);
    const unsigned fma = 1u << 12, popcnt = 1u << 23, osxsave = 1u << 27, f16c = 1u << 29, avx = 1u << 28;
    const unsigned first = fma | popcnt | osxsave | f16c | avx;
    if ((r[2] & first) != first || (fs_enabled_state() & 0x6) != 0x6)
        return 0;
    fs_cpuid(7, r);
    const unsigned second = 1u << 5 | 1u << 8; /* AVX2, BMI2 */
    if ((r[1] & second) != second)
        return 0;
    const unsigned third = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    return (r[1] & third) == third && (fs_enabled_state() & 0xe6) == 0xe6 ? 2 : 1;
}
#endif

/* Usable sets, best first. */
static const fs_kernels *fs_set(size_t i)
{
#if defined(FS_X86)
    static const fs_kernels *const sets[] = {&fs_kernels_avx512, &fs_kernels_avx2, &fs_kernels_scalar};
    size_t skip = 2 - (size_t)fs_level();
#elif defined(__aarch64__) || defined(_M_ARM64)
    static const fs_kernels *const sets[] = {&fs_kernels_neon, &fs_kernels_scalar};
    size_t skip = 0;
#else
    static const fs_kernels *const sets[] = {&fs_kernels_scalar};
    size_t skip = 0;
#endif
    return i + skip < sizeof sets / sizeof sets[0] ? sets[i + skip] : NULL;
}

static const fs_kernels *chosen = &fs_kernels_scalar;

int fs_choose(const char *name)
{
    for (size_t i = 0; fs_set(i); i++)
        if (!name || !strcmp(name, fs_set(i)->name)) {
            chosen = fs_set(i);
            return 0;
        }
    return -1;
}

const char *fs_chosen(void) { return chosen->name; }
const char *fs_available(size_t i) { return fs_set(i) ? fs_set(i)->name : NULL; }

#define FS_CALL(type, call)                                                                                          \
    fs_environment saved = fs_enter();                                                                               \
    type result = chosen->call;                                                                                      \
    fs_leave(saved);                                                                                                 \
    return result

fs_status fs_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    FS_CALL(fs_status, softmax(row, n, temperature, out));
}

fs_status fs_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out)
{
    FS_CALL(fs_status, log_softmax(row, n, temperature, out));
}

fs_status fs_logsumexp(const fs_row *row, size_t n, double temperature, double *result_)
{
    FS_CALL(fs_status, logsumexp(row, n, temperature, result_));
}

fs_status fs_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u, int64_t *index,
                    double *logprob)
{
    FS_CALL(fs_status, sample(row, n, temperature, k, u, index, logprob));
}

size_t fs_softmax_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, float *out, ptrdiff_t out_stride)
{
    FS_CALL(size_t, softmax_rows_f32(x, stride, rows, n, temperature, temperature_stride, out, out_stride));
}

size_t fs_softmax_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, double *out, ptrdiff_t out_stride)
{
    FS_CALL(size_t, softmax_rows_f64(x, stride, rows, n, temperature, temperature_stride, out, out_stride));
}

size_t fs_softmax_rows_half(fs_dtype dtype, const uint16_t *x, size_t rows, size_t n, const double *temperature,
                            ptrdiff_t temperature_stride, uint16_t *out)
{
    FS_CALL(size_t, softmax_rows_half(dtype, x, rows, n, temperature, temperature_stride, out));
}

size_t fs_sample_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index)
{
    FS_CALL(size_t, sample_rows_f32(x, stride, rows, n, temperature, temperature_stride, u, index));
}

size_t fs_sample_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index)
{
    FS_CALL(size_t, sample_rows_f64(x, stride, rows, n, temperature, temperature_stride, u, index));
}

size_t fs_scratch_size(size_t n)
{
    if (n > UINT32_MAX - 1024)
        return 0;
    return fs_workspace_size(n);
}

fs_status fs_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *filters, double coin,
                             size_t k, const double *u, void *scratch, int64_t *index, double *logprob)
{
    FS_CALL(fs_status, sample_filtered(row, n, temperature, filters, coin, k, u, scratch, index, logprob));
}

fs_status fs_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *filters, double coin,
                      void *scratch, const fs_output *out)
{
    FS_CALL(fs_status, truncate(row, n, temperature, filters, coin, scratch, out));
}

fs_status fs_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                 double *logprob, size_t chosen_entry, int64_t *rank)
{
    FS_CALL(fs_status, top(row, n, temperature, k, scratch, index, logprob, chosen_entry, rank));
}

fs_status fs_without_replacement(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                 ptrdiff_t u_stride, void *scratch, int64_t *index)
{
    FS_CALL(fs_status, without_replacement(row, n, temperature, k, u, u_stride, scratch, index));
}

fs_status fs_accept(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                    double u, int *accepted)
{
    FS_CALL(fs_status, accept(target, draft, n, temperature, token, u, accepted));
}

fs_status fs_correct(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                     double u, void *scratch, int64_t *index)
{
    FS_CALL(fs_status, correct(target, draft, n, temperature, token, u, scratch, index));
}

size_t fs_shard_block(fs_dtype dtype) { return fs_block_of(dtype); }

int fs_needs_double(fs_dtype dtype, double temperature) { return fs_is_beyond(dtype, temperature); }

fs_status fs_summarise(const fs_row *row, size_t n, double temperature, int in_double, double *max, double *sum,
                       double *rest)
{
    FS_CALL(fs_status, summarise(row, n, temperature, in_double, max, sum, rest));
}

fs_status fs_normalise(fs_dtype dtype, double temperature, const fs_summary *summary, fs_normaliser *normaliser)
{
    FS_CALL(fs_status, normalise(dtype, temperature, summary, normaliser));
}

fs_status fs_logsumexp_of_summary(fs_dtype dtype, double temperature, const fs_summary *summary,
                                  const fs_normaliser *normaliser, double *result_)
{
    FS_CALL(fs_status, logsumexp_of_summary(dtype, temperature, summary, normaliser, result_));
}

fs_status fs_locate(fs_dtype dtype, double temperature, const fs_summary *summary, const fs_normaliser *normaliser,
                    size_t k, const double *u, fs_location *at)
{
    FS_CALL(fs_status, locate(dtype, temperature, summary, normaliser, k, u, at));
}

fs_status fs_softmax_shard(const fs_row *row, size_t n, double temperature, const fs_normaliser *normaliser,
                           const double *block_max, const fs_output *out)
{
    FS_CALL(fs_status, softmax_shard(row, n, temperature, normaliser, block_max, out));
}

fs_status fs_log_softmax_shard(const fs_row *row, size_t n, double temperature, const fs_normaliser *normaliser,
                               const fs_output *out)
{
    FS_CALL(fs_status, log_softmax_shard(row, n, temperature, normaliser, out));
}

fs_status fs_resolve(const fs_row *row, size_t n, size_t offset, double temperature, const fs_normaliser *normaliser,
                     size_t k, const fs_location *at, int64_t *index, double *logprob)
{
    FS_CALL(fs_status, resolve(row, n, offset, temperature, normaliser, k, at, index, logprob));
}

void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                 const fs_breakers *breakers, void *scratch)
{
    fs_environment saved = fs_enter();
    fs_penalize_row(row, context, length, penalties, breakers, scratch);
    fs_leave(saved);
}

fs_status fs_softmax_f32(const float *x, size_t n, double temperature, float *out)
{
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    FS_CALL(fs_status, softmax_f32(x, n, temperature, out));
}

fs_status fs_softmax_f64(const double *x, size_t n, double temperature, double *out)
{
    if (!fs_is_usable(n, temperature))
        return FS_ARGUMENT;
    FS_CALL(fs_status, softmax_f64(x, n, temperature, out));
}

size_t fs_categorical_size(size_t n) { return n > FS_GUIDE_MOST ? 0 : fs_prepared_size(n); }

fs_status fs_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *prepared)
{
    FS_CALL(fs_status, categorical_build(row, n, temperature, prepared));
}

fs_status fs_categorical_draw(const fs_categorical *prepared, size_t k, const double *u, int64_t *index)
{
    FS_CALL(fs_status, categorical_draw(prepared, k, u, index));
}

fs_status fs_categorical_draw_from(const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state,
                                   int64_t *index)
{
    FS_CALL(fs_status, categorical_draw_from(prepared, k, next, state, index));
}

fs_status fs_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next, void *state,
                         int64_t *index)
{
    FS_CALL(fs_status, sample_from(row, n, temperature, k, next, state, index));
}

fs_status fs_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                     double *logprob)
{
    FS_CALL(fs_status, logprob(row, n, temperature, count, index, logprob));
}

/* A row of any layout, dtype, mask and bias, read as blocks of contiguous entries.
 * A plain row (contiguous, of the type the kernel computes in, nothing added or masked) is read where it lies. */
#ifndef FS_READER_H
#define FS_READER_H

#include "base/dtype.h"
#include "base/scalar_math.h"
#include "base/search.h"
#include "base/thread_pool.h"

/* Blocks of a long row that make one chunk of work for a thread: about 10 microseconds. */
enum { FS_BLOCKS_PER_CHUNK = 64 };

static inline size_t fs_chunks_of(size_t blocks) { return (blocks + FS_BLOCKS_PER_CHUNK - 1) / FS_BLOCKS_PER_CHUNK; }

/* The row that stands in for one the formula does not serve (row/limits.h). */
typedef enum {
    FS_AS_IT_IS,
    FS_MAXIMA,  /* 0 at the maximum, -inf elsewhere */
    FS_SUPPORT, /* 0 where the logit is above -inf */
    FS_RESCALED, /* (x - shift) * multiplier */
    FS_ORDERED   /* x * multiplier, and +inf becomes a number above all others */
} fs_transform;

/* The value of +inf in a row that is FS_ORDERED. */
#define FS_HIGHEST 0x1p824

typedef struct {
    const fs_row *row;
    fs_transform transform;
    double max, shift, multiplier;
    int limit;   /* this row stands in for another */
    int weights; /* read probabilities as they are, not as their logarithms */
    size_t first; /* entry 0 of the reader is this one of the row */
} fs_reader;

/* Whether the call ends with this row. */
static inline int fs_has_ended(fs_status status) { return status == FS_NO_MEMORY || status == FS_INTERRUPTED; }

static inline fs_reader fs_reader_of(const fs_row *row)
{
    fs_reader s = {row, FS_AS_IT_IS, 0.0, 0.0, 1.0, 0, 0, 0};
    return s;
}

static inline int fs_allowed(const fs_row *row, size_t i)
{
    const char *mask = row->mask;
    if (row->mask_kind == FS_MASK_BYTES)
        return mask[(ptrdiff_t)i * row->mask_stride] != 0;
    uint32_t word = *(const uint32_t *)(const void *)(mask + (ptrdiff_t)(i / 32) * row->mask_stride);
    return word >> (i % 32) & 1;
}

/* The mask of entries [start, start + len), a byte each: where it lies, or gathered into `to`. */
static const uint8_t *fs_allowed_bytes(const fs_row *row, size_t start, size_t len, uint8_t *to)
{
    size_t i = 0;
    if (row->mask_kind == FS_MASK_BYTES && row->mask_stride == 1)
        return (const uint8_t *)row->mask + start;
    if (row->mask_kind == FS_MASK_WORDS && row->mask_stride == (ptrdiff_t)sizeof(uint32_t) && start % 32 == 0) {
        const uint32_t *word = (const uint32_t *)row->mask + start / 32;
        for (; i + 32 <= len; i += 32, word++) {
            uint32_t bits[32];
            for (uint32_t j = 0; j < 32; j++)
                bits[j] = *word >> j & 1;
            for (size_t j = 0; j < 32; j++)
                to[i + j] = (uint8_t)bits[j];
        }
    }
    for (; i < len; i++)
        to[i] = (uint8_t)fs_allowed(row, start + i);
    return to;
}

/* First entry of `bias_at` that is not below i. */
static inline size_t fs_bias_from(const fs_row *row, size_t i)
{
    return fs_first_above_i64(row->bias_at, 1, 0, row->bias_count, (int64_t)i - 1);
}

static inline double fs_transformed(const fs_reader *s, double x)
{
    if (x != x)
        return x;
    if (s->transform == FS_MAXIMA)
        return x == s->max ? 0.0 : -INFINITY;
    if (s->transform == FS_SUPPORT)
        return x > -INFINITY ? 0.0 : -INFINITY;
    if (s->transform == FS_ORDERED)
        return x < INFINITY ? x * s->multiplier : FS_HIGHEST;
    return (x - s->shift) * s->multiplier;
}

/* A bias as a float.  Finite stays finite. */
static inline float fs_narrow_bias(double b)
{
    const double most = 0x1.fffffep127;
    return (float)(b > most && b < INFINITY ? most : b < -most && b > -INFINITY ? -most : b);
}

/* A probability as a weight: NaN where it cannot be one. */
static inline double fs_checked_weight(double p) { return p >= 0.0 && p < INFINITY ? p : NAN; }

/* 16-bit entries, gathered where they are not contiguous. */
static inline const uint16_t *fs_gather16(const char *from, ptrdiff_t stride, size_t len, uint16_t *to)
{
    if (stride == (ptrdiff_t)sizeof(uint16_t))
        return (const uint16_t *)(const void *)from;
    for (size_t i = 0; i < len; i++)
        to[i] = *(const uint16_t *)(const void *)(from + (ptrdiff_t)i * stride);
    return to;
}

/* Contiguous 16-bit entries to float and back.  The floats may be written in whole vectors, the 16-bit entries may not. */
static inline void fs_floats_of_half(fs_dtype dtype, const uint16_t *half, size_t len, float *to)
{
    size_t i = 0;
    if (dtype == FS_F16)
        for (; i + 16 <= len; i += 16)
            f32x16_store(to + i, f32x16_load_f16(half + i));
    for (; i < len; i++)
        to[i] = dtype == FS_F16 ? fs_f32_from_f16(half[i]) : fs_f32_from_bf16(half[i]);
}

static inline void fs_halves_of_float(fs_dtype dtype, const float *from, size_t len, uint16_t *half)
{
    size_t i = 0;
    if (dtype == FS_F16)
        for (; i + 16 <= len; i += 16)
            f32x16_store_f16(half + i, f32x16_load(from + i));
    for (; i < len; i++)
        half[i] = dtype == FS_F16 ? fs_f16_from_f32(from[i]) : fs_bf16_from_f32(from[i]);
}

/* Entries [start, start + len) in float, where they lie or in `to`, which holds FS_MAX_BLOCK. */
static const float *fs_load_f32(const fs_reader *reader, size_t start, size_t len, float *to)
{
    const fs_row *row = reader->row;
    start += reader->first;
    const char *from = (const char *)row->data + (ptrdiff_t)start * row->stride;
    uint16_t half[FS_MAX_BLOCK];
    if (row->dtype == FS_F32) {
        if (row->stride == (ptrdiff_t)sizeof(float) && !row->bias && row->mask_kind == FS_MASK_NONE)
            return (const float *)(const void *)from;
        if (row->stride == (ptrdiff_t)sizeof(float))
            memcpy(to, from, len * sizeof(float));
        else
            for (size_t i = 0; i < len; i++)
                to[i] = *(const float *)(const void *)(from + (ptrdiff_t)i * row->stride);
    } else {
        fs_floats_of_half(row->dtype, fs_gather16(from, row->stride, len, half), len, to);
    }
    if (row->bias && row->bias_at)
        for (size_t j = fs_bias_from(row, start); j < row->bias_count && (size_t)row->bias_at[j] < start + len; j++)
            to[(size_t)row->bias_at[j] - start] += fs_narrow_bias(row->bias[j]);
    else if (row->bias)
        for (size_t i = 0; i < len; i++)
            to[i] += fs_narrow_bias(
                *(const double *)(const void *)((const char *)row->bias + (ptrdiff_t)(start + i) * row->bias_stride));
    if (row->mask_kind != FS_MASK_NONE) {
        uint8_t bytes[FS_MAX_BLOCK];
        const uint8_t *allowed = fs_allowed_bytes(row, start, len, bytes);
        for (size_t i = 0; i < len; i++)
            to[i] = allowed[i] ? to[i] : -INFINITY;
    }
    return to;
}

static void fs_widen(const fs_row *row, size_t start, size_t len, double *to)
{
    const char *from = (const char *)row->data + (ptrdiff_t)start * row->stride;
    ptrdiff_t stride = row->stride;
#define FS_WIDEN(type, value)                                                                                        \
    if (stride == (ptrdiff_t)sizeof(type))                                                                           \
        for (size_t i = 0; i < len; i++) {                                                                           \
            type x = ((const type *)(const void *)from)[i];                                                          \
            to[i] = value;                                                                                           \
        }                                                                                                            \
    else                                                                                                             \
        for (size_t i = 0; i < len; i++) {                                                                           \
            type x = *(const type *)(const void *)(from + (ptrdiff_t)i * stride);                                    \
            to[i] = value;                                                                                           \
        }                                                                                                            \
    return
    switch (row->dtype) {
    case FS_F32: FS_WIDEN(float, x);
    case FS_F16: FS_WIDEN(uint16_t, fs_f32_from_f16(x));
    case FS_BF16: FS_WIDEN(uint16_t, fs_f32_from_bf16(x));
    default: FS_WIDEN(double, x);
    }
#undef FS_WIDEN
}

/* Entries [start, start + len) in double: probabilities, extreme temperatures and limits come this way too. */
static const double *fs_load_f64(const fs_reader *reader, size_t start, size_t len, double *to)
{
    const fs_row *row = reader->row;
    start += reader->first;
    if (row->dtype == FS_F64 && row->stride == (ptrdiff_t)sizeof(double) && !row->bias && !row->probs &&
        row->mask_kind == FS_MASK_NONE && reader->transform == FS_AS_IT_IS)
        return (const double *)row->data + start;
    fs_widen(row, start, len, to);
    if (row->probs) {
        for (size_t i = 0; i < len; i++)
            to[i] = fs_checked_weight(to[i]);
        if (!reader->weights)
            for (size_t i = 0; i < len; i++)
                to[i] = fs_log(to[i]);
    }
    int narrow = row->dtype != FS_F64 && !row->probs; /* then the sum is rounded as the float kernel rounds it */
    if (row->bias && row->bias_at) {
        for (size_t j = fs_bias_from(row, start); j < row->bias_count && (size_t)row->bias_at[j] < start + len; j++) {
            double *x = to + ((size_t)row->bias_at[j] - start);
            *x = narrow ? (float)*x + fs_narrow_bias(row->bias[j]) : *x + row->bias[j];
        }
    } else if (row->bias) {
        const char *bias = (const char *)row->bias;
        for (size_t i = 0; i < len; i++) {
            double b = *(const double *)(const void *)(bias + (ptrdiff_t)(start + i) * row->bias_stride);
            to[i] = narrow ? (float)to[i] + fs_narrow_bias(b) : to[i] + b;
        }
    }
    if (row->mask_kind != FS_MASK_NONE) {
        uint8_t bytes[FS_MAX_BLOCK];
        const uint8_t *allowed = fs_allowed_bytes(row, start, len, bytes);
        const double none = reader->weights ? 0.0 : -INFINITY;
        for (size_t i = 0; i < len; i++)
            to[i] = allowed[i] ? to[i] : none;
    }
    if (reader->transform != FS_AS_IT_IS)
        for (size_t i = 0; i < len; i++)
            to[i] = fs_transformed(reader, to[i]);
    return to;
}

static inline double fs_logit(const fs_reader *reader, size_t i)
{
    double x;
    return *fs_load_f64(reader, i, 1, &x);
}

#endif

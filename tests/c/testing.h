/* What the C tests share: failures that say where, reproducible data of every kind, and sizes of the dtypes.
 * Data is made by integer arithmetic and correctly rounded conversions alone, so it is the same on every machine. */
#ifndef FS_TESTING_H
#define FS_TESTING_H

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "fastsoftmax.h"

/* After so many a program gives up. */
#ifndef MOST_FAILURES
#define MOST_FAILURES 20
#endif

static long failures;

/* Reports a failure. */
static inline int check(int condition, const char *format, ...)
{
    if (condition)
        return 1;
    va_list arguments;
    va_start(arguments, format);
    printf("FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    if (++failures == MOST_FAILURES) {
        printf("%d failures: stopped\n", MOST_FAILURES);
        exit(1);
    }
    return 0;
}

/* The exit status of a test, and its last line. */
static inline int finish(const char *what, unsigned long long checks)
{
    printf("%s: %llu checks, %ld failures\n", what, checks, failures);
    return failures || checks == 0;
}

/* Whether two results of `set` have the same bytes; `how` and `of` say what was compared. */
static inline int same(const char *what, const void *a, const void *b, size_t bytes, const char *set, const char *how,
                       const char *of)
{
    size_t i = 0;
    if (!memcmp(a, b, bytes))
        return 1;
    while (((const char *)a)[i] == ((const char *)b)[i])
        i++;
    return check(0, "%s differs at byte %zu: %s, %s, %s", what, i, set, how, of);
}

/* A digest of what it was before and these bytes. */
static inline uint64_t extend_digest(uint64_t h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)data + i, bytes - i < 8 ? bytes - i : 8);
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    return h;
}

/* The value of an option such as --every 64. */
static inline long option(int argc, char **argv, const char *name, long otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], name))
            return atol(argv[i + 1]);
    return otherwise;
}

static inline void *workspace(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p) {
        printf("FAILED: no memory for the test itself\n");
        exit(1);
    }
    return p;
}

/* splitmix64 (Steele, Lea and Flood 2014) */
typedef struct {
    uint64_t state;
} random_stream;

static inline uint64_t next_word(random_stream *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t below(random_stream *r, uint64_t bound) { return next_word(r) % bound; }

static inline double next_uniform(random_stream *r) { return (double)(next_word(r) >> 11) * 0x1p-53; }

/* Nearly normal: the sum of eight 16-bit integers about its mean, in units of its standard deviation. */
static inline double next_normal(random_stream *r)
{
    uint64_t a = next_word(r), b = next_word(r);
    int64_t sum = 0;
    for (int i = 0; i < 64; i += 16)
        sum += (int64_t)(a >> i & 0xffff) + (int64_t)(b >> i & 0xffff);
    return (double)(sum - 8 * 0x7fff - 4) * (1.0 / 53510.0);
}

static const char *const dtype_name[] = {"float32", "float64", "float16", "bfloat16"};

static inline size_t size_of(fs_dtype dtype) { return dtype == FS_F64 ? 8 : dtype == FS_F32 ? 4 : 2; }

static inline void put(void *data, fs_dtype dtype, size_t i, double x)
{
    switch (dtype) {
    case FS_F32: ((float *)data)[i] = (float)x; break;
    case FS_F64: ((double *)data)[i] = x; break;
    case FS_F16: ((uint16_t *)data)[i] = fs_f16_from_f32((float)x); break;
    default: ((uint16_t *)data)[i] = fs_bf16_from_f32((float)x);
    }
}

static inline double get(const void *data, fs_dtype dtype, size_t i)
{
    switch (dtype) {
    case FS_F32: return ((const float *)data)[i];
    case FS_F64: return ((const double *)data)[i];
    case FS_F16: return fs_f32_from_f16(((const uint16_t *)data)[i]);
    default: return fs_f32_from_bf16(((const uint16_t *)data)[i]);
    }
}

/* NaN of either sign with a payload, quiet or signalling. */
static inline void put_nan(void *data, fs_dtype dtype, size_t i, uint64_t word)
{
    uint64_t sign = word & 1, payload = word >> 1 | 1;
    switch (dtype) {
    case FS_F32: ((uint32_t *)data)[i] = (uint32_t)(sign << 31 | 0x7f800000 | (payload & 0x7fffff)); break;
    case FS_F64:
        ((uint64_t *)data)[i] = sign << 63 | UINT64_C(0x7ff) << 52 | (payload & UINT64_C(0xfffffffffffff));
        break;
    case FS_F16: ((uint16_t *)data)[i] = (uint16_t)(sign << 15 | 0x7c00 | (payload & 0x3ff)); break;
    default: ((uint16_t *)data)[i] = (uint16_t)(sign << 15 | 0x7f80 | (payload & 0x7f));
    }
}

typedef enum {
    NORMAL,
    WIDE,
    OFFSET_UP,
    OFFSET_DOWN,
    CONSTANT,
    SOME_MINUS_INF,
    ALL_MINUS_INF,
    SOME_PLUS_INF,
    SOME_NAN,
    NAN_AND_INF,
    SUBNORMAL,
    HUGE_BOTH,
    INTEGERS,
    ZEROS,
    FORCED,
    KINDS
} data_kind;

static const char *const kind_name[] = {"normal",
                                        "wide",
                                        "+1e4 offset",
                                        "-1e4 offset",
                                        "constant",
                                        "some -inf",
                                        "all -inf",
                                        "some +inf",
                                        "NaN",
                                        "NaN and infinities",
                                        "subnormal",
                                        "huge",
                                        "integers",
                                        "zeros of either sign",
                                        "one -0 above the others"};

static inline double smallest(fs_dtype dtype)
{
    return dtype == FS_F64 ? 0x1p-1074 : dtype == FS_F32 ? 0x1p-149 : dtype == FS_F16 ? 0x1p-24 : 0x1p-133;
}

static inline double largest(fs_dtype dtype)
{
    return dtype == FS_F64 ? DBL_MAX : dtype == FS_F16 ? 65504.0 : 3.3e38;
}

static inline void fill(void *data, fs_dtype dtype, size_t n, data_kind kind, random_stream *r)
{
    double sign, level = next_normal(r), below_zero = kind == FORCED ? -pow(10.0, 4.0 * next_uniform(r)) : 0.0;
    size_t forced = kind == FORCED && n ? below(r, n) : 0;
    for (size_t i = 0; i < n; i++) {
        switch (kind) {
        case WIDE: put(data, dtype, i, 60.0 * next_normal(r)); break;
        case OFFSET_UP: put(data, dtype, i, 1e4 + next_normal(r)); break;
        case OFFSET_DOWN: put(data, dtype, i, next_normal(r) - 1e4); break;
        case CONSTANT: put(data, dtype, i, level); break;
        case ALL_MINUS_INF: put(data, dtype, i, -INFINITY); break;
        case SUBNORMAL:
            sign = next_word(r) & 1 ? -1.0 : 1.0;
            put(data, dtype, i, sign * smallest(dtype) * (double)below(r, 120));
            break;
        case HUGE_BOTH:
            sign = next_word(r) & 1 ? -1.0 : 1.0;
            put(data, dtype, i, sign * largest(dtype) * (1.0 - 0.001 * next_uniform(r)));
            break;
        case INTEGERS: put(data, dtype, i, (double)below(r, 41) - 20.0); break;
        case ZEROS: put(data, dtype, i, next_word(r) & 1 ? 0.0 : -0.0); break;
        case FORCED: put(data, dtype, i, i == forced ? -0.0 : below_zero * (1.0 + next_uniform(r))); break;
        default: put(data, dtype, i, next_normal(r));
        }
    }
    size_t some = 1 + n / 40;
    if (n && (kind == SOME_MINUS_INF || kind == NAN_AND_INF))
        for (size_t i = 0; i < n; i++)
            if (below(r, 3) == 0)
                put(data, dtype, i, -INFINITY);
    if (n && (kind == SOME_PLUS_INF || kind == NAN_AND_INF))
        for (size_t i = 0; i < some; i++)
            put(data, dtype, below(r, n), INFINITY);
    if (n && (kind == SOME_NAN || kind == NAN_AND_INF))
        for (size_t i = 0; i < some; i++) {
            size_t at = below(r, n);
            put_nan(data, dtype, at, next_word(r));
        }
}

/* Contiguous rows, `stride` bytes from row to row. */
static inline fs_rows rows_of(fs_dtype dtype, const void *x, ptrdiff_t stride, size_t rows, size_t n,
                              const double *temperature, ptrdiff_t temperature_stride)
{
    fs_rows r = {{x, (ptrdiff_t)size_of(dtype), dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0},
                 rows,
                 n,
                 stride,
                 0,
                 0,
                 temperature,
                 temperature_stride};
    return r;
}

/* out has the stride of x. */
static inline void softmax_rows(fs_dtype dtype, const void *x, ptrdiff_t stride, size_t rows, size_t n,
                                const double *temperature, ptrdiff_t temperature_stride, void *out)
{
    const fs_rows all = rows_of(dtype, x, stride, rows, n, temperature, temperature_stride);
    const fs_output to = {out, (ptrdiff_t)size_of(dtype), dtype};
    fs_softmax_rows(&all, &to, stride);
}

static inline void sample_rows(fs_dtype dtype, const void *x, ptrdiff_t stride, size_t rows, size_t n,
                               const double *temperature, ptrdiff_t temperature_stride, const double *u,
                               int64_t *index)
{
    const fs_rows all = rows_of(dtype, x, stride, rows, n, temperature, temperature_stride);
    fs_sample_rows(&all, u, index, NULL);
}

#endif

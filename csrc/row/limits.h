/* Rows the formula does not serve: at a temperature that is 0, infinite or extreme, or with an entry +inf.
 * Another, ordinary row of doubles stands in for each; this header says which. */
#ifndef FS_LIMIT_ROWS_H
#define FS_LIMIT_ROWS_H

#include "row/reader.h"

/* The largest entry of a row. */
typedef struct {
    double max;  /* -inf: no entry is above that */
    size_t at;   /* the first place of it */
    int nan;     /* there is a NaN */
    int extreme; /* a finite entry is beyond 2^800 */
} fs_peak;

/* The largest entry of each chunk of a long row. */
enum { FS_PEAKS = 512, FS_PEAK_LENGTH = 64 * FS_BLOCK_F64 };
typedef struct {
    const fs_reader *reader;
    size_t n, length;
    fs_peak peak[FS_PEAKS];
} fs_peaks;

/* Entries of a chunk of a row of n. */
static inline size_t fs_peak_length(size_t n)
{
    return n <= FS_PEAKS * FS_PEAK_LENGTH ? FS_PEAK_LENGTH : (n / FS_PEAKS / FS_BLOCK_F64 + 1) * FS_BLOCK_F64;
}

static void fs_peak_chunk(void *context, size_t chunk)
{
    fs_peaks *ctx = context;
    fs_peak peak = {-INFINITY, 0, 0, 0};
    double copy[FS_BLOCK_F64];
    size_t past = ctx->n - chunk * ctx->length > ctx->length ? (chunk + 1) * ctx->length : ctx->n;
    for (size_t start = chunk * ctx->length; start < past; start += FS_BLOCK_F64) {
        size_t len = past - start < FS_BLOCK_F64 ? past - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(ctx->reader, start, len, copy);
        f64x8 high = f64x8_set1(-INFINITY), low = f64x8_set1(INFINITY);
        for (size_t i = 0; i < len; i += 8) {
            f64x8 a = i + 8 <= len ? f64x8_load(x + i) : f64x8_load_first(x + i, len - i, 0.0);
            peak.nan |= f64x8_any_nan(a);
            low = f64x8_min(a, low);
            high = f64x8_max(i + 8 <= len ? a : f64x8_load_first(x + i, len - i, -INFINITY), high);
        }
        const double max = f64x8_reduce_max(high);
        if (max > 0x1p800 || f64x8_reduce_min(low) < -0x1p800)
            for (size_t i = 0; i < len; i++)
                peak.extreme |= (fabs(x[i]) > 0x1p800) & (fabs(x[i]) < INFINITY);
        if (max > peak.max) {
            size_t i = 0;
            while (i + 1 < len && x[i] != max)
                i++;
            peak.max = max;
            peak.at = start + i;
        }
    }
    ctx->peak[chunk] = peak;
}

/* FS_INTERRUPTED, or FS_OK whatever the row holds. */
static fs_status fs_peak_of(const fs_reader *reader, size_t n, fs_peak *peak)
{
    fs_peaks ctx; /* without the peaks: a short row has one */
    ctx.reader = reader;
    ctx.n = n;
    ctx.length = fs_peak_length(n);
    size_t count = (n + ctx.length - 1) / ctx.length;
    *peak = (fs_peak){-INFINITY, 0, 0, 0};
    if (fs_parallel_for(count, fs_peak_chunk, &ctx))
        return FS_INTERRUPTED;
    for (size_t i = 0; i < count; i++) {
        if (ctx.peak[i].max > peak->max) {
            peak->max = ctx.peak[i].max;
            peak->at = ctx.peak[i].at;
        }
        peak->nan |= ctx.peak[i].nan;
        peak->extreme |= ctx.peak[i].extreme;
    }
    return FS_OK;
}

/* At this temperature all weights of entries below 2^824 are 1. */
#define FS_ALIKE FS_EXTREME_F64

static fs_reader fs_limit_reader(const fs_row *row, size_t n, double *temperature)
{
    fs_reader s = fs_reader_of(row);
    double t = *temperature;
    fs_peak peak;
    fs_peak_of(&s, n, &peak); /* an interruption here interrupts the caller too */
    const double max = peak.max;
    s.max = max;
    s.limit = 1;
    *temperature = 1.0;
    if (max == -INFINITY) { /* nothing to take a limit of */
    } else if (t == INFINITY) {
        s.transform = FS_SUPPORT;
    } else if (t == 0.0 || max == INFINITY) {
        s.transform = FS_MAXIMA;
    } else if (t < 1.0 / FS_EXTREME_F64) { /* both grow by 2^900; a maximum too large for that is subtracted first */
        s.transform = FS_RESCALED;
        s.multiplier = FS_EXTREME_F64;
        *temperature = t * FS_EXTREME_F64;
        double grown = max * FS_EXTREME_F64 / *temperature;
        if (!(grown < 2800.0 && grown > -2800.0))
            s.shift = max;
    } else if (t > FS_EXTREME_F64) {
        s.transform = FS_RESCALED;
        s.multiplier = 0x1p-200;
        *temperature = t * 0x1p-200;
    } else {
        *temperature = t;
    }
    return s;
}

/* Whether an entry is below the maximum by less than 2^-800. */
static int fs_has_close_second(const fs_reader *reader, size_t n, double max)
{
    double copy[FS_BLOCK_F64];
    int close = 0;
    for (size_t start = 0; start < n; start += FS_BLOCK_F64) {
        size_t len = n - start < FS_BLOCK_F64 ? n - start : FS_BLOCK_F64;
        const double *x = fs_load_f64(reader, start, len, copy);
        for (size_t i = 0; i < len; i++)
            close |= (x[i] < max) & (max - x[i] < 0x1p-800);
    }
    return close;
}

/* The same for filters, which need the order of all entries even where their quotients by the temperature overflow or underflow.
 * The entries stay as they are at an infinite temperature, at one so large that all weights are 1, and at one so small that
 * all weights but those of the maximum are 0. */
static fs_reader fs_filter_reader(const fs_row *row, size_t n, double *temperature)
{
    fs_reader s = fs_reader_of(row);
    fs_peak peak;
    const double t = *temperature;
    fs_peak_of(&s, n, &peak);
    if (t == INFINITY || (t > FS_ALIKE && !peak.extreme && peak.max < INFINITY)) {
        s.multiplier = peak.extreme ? 0x1p-200 : 1.0;
        s.transform = FS_ORDERED;
        *temperature = FS_ALIKE;
        return s;
    }
    if (t < 1.0 / FS_EXTREME_F64 && fabs(peak.max) < INFINITY && !fs_has_close_second(&s, n, peak.max)) {
        *temperature = 1.0 / FS_EXTREME_F64;
        return s;
    }
    return fs_limit_reader(row, n, temperature);
}

/* Run `operation` on a row: by the formula, in float or double by its dtype, or on the row that stands for it.
 * Sets the variables `reader` and `status` where it is used; `temperature` is a variable, and becomes that of the row
 * which is read. */
#define FS_RUN_FORMULA(operation, row, n, temperature, ...)                                                          \
    do {                                                                                                             \
        const int wide_ = fs_is_wide(row);                                                                           \
        reader = fs_reader_of(row);                                                                                  \
        status = FS_LIMIT;                                                                                           \
        if (fs_has_formula(temperature, wide_))                                                                      \
            status = wide_ ? operation##_f64(&reader, n, temperature, __VA_ARGS__)                                   \
                           : operation##_f32(&reader, n, temperature, __VA_ARGS__);                                  \
        if (status == FS_LIMIT) {                                                                                    \
            reader = fs_limit_reader(row, n, &(temperature));                                                        \
            status = operation##_f64(&reader, n, temperature, __VA_ARGS__);                                          \
        }                                                                                                            \
    } while (0)

#endif

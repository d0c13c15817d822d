/* Rows the formula does not serve: temperature 0, infinite or extreme, and rows that hold +inf.
 * Each is another, ordinary row of doubles; this header says which. */
#ifndef FS_LIMIT_ROWS_H
#define FS_LIMIT_ROWS_H

#include "source.h"

/* A row at infinite temperature whose entries keep their order: at FS_ALIKE, the temperature that goes with it, all
 * weights are 1, as the entries are below 2^824. */
#define FS_ALIKE 0x1p900

static fs_source fs_ordered_source(const fs_row *row, size_t n)
{
    fs_source s = fs_plain_source(row);
    double copy[512];
    s.multiplier = 1.0;
    for (size_t start = 0; start < n; start += 512) {
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&s, start, len, copy);
        for (size_t i = 0; i < len; i++)
            if (fabs(x[i]) > 0x1p800 && fabs(x[i]) < INFINITY)
                s.multiplier = 0x1p-200;
    }
    s.transform = FS_ORDERED;
    return s;
}

static fs_source fs_limit_source(const fs_row *row, size_t n, double *temperature)
{
    fs_source s = fs_plain_source(row);
    double t = *temperature, copy[512], max = -INFINITY;
    for (size_t start = 0; start < n; start += 512) {
        size_t len = n - start < 512 ? n - start : 512;
        const double *x = fs_load_f64(&s, start, len, copy);
        for (size_t i = 0; i < len; i++)
            max = x[i] > max ? x[i] : max;
    }
    s.max = max;
    s.limit = 1;
    *temperature = 1.0;
    if (max == -INFINITY) { /* nothing to take a limit of */
    } else if (t == INFINITY) {
        s.transform = FS_SUPPORT;
    } else if (t == 0.0 || max == INFINITY) {
        s.transform = FS_MAXIMA;
    } else if (t < 0x1p-900) { /* both grow by 2^900; a maximum too large for that is subtracted first */
        s.transform = FS_RESCALED;
        s.multiplier = 0x1p900;
        *temperature = t * 0x1p900;
        double grown = max * 0x1p900 / *temperature;
        if (!(grown < 2800.0 && grown > -2800.0))
            s.shift = max;
    } else if (t > 0x1p900) {
        s.transform = FS_RESCALED;
        s.multiplier = 0x1p-200;
        *temperature = t * 0x1p-200;
    } else {
        *temperature = t;
    }
    return s;
}

#endif

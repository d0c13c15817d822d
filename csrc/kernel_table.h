/* The entry points of one instruction set (see fastsoftmax.h for what each does). */
#ifndef FS_KERNEL_TABLE_H
#define FS_KERNEL_TABLE_H

#include "fastsoftmax.h"

typedef struct {
    const char *name;
    fs_status (*softmax)(const fs_row *, size_t, double, const fs_output *);
    fs_status (*log_softmax)(const fs_row *, size_t, double, const fs_output *);
    fs_status (*logsumexp)(const fs_row *, size_t, double, double *);
    fs_status (*sample)(const fs_row *, size_t, double, size_t, const double *, int64_t *, double *);
    size_t (*softmax_rows_f32)(const float *, ptrdiff_t, size_t, size_t, const double *, ptrdiff_t, float *,
                               ptrdiff_t);
    size_t (*softmax_rows_f64)(const double *, ptrdiff_t, size_t, size_t, const double *, ptrdiff_t, double *,
                               ptrdiff_t);
    size_t (*softmax_rows_half)(fs_dtype, const uint16_t *, size_t, size_t, const double *, ptrdiff_t, uint16_t *);
    size_t (*sample_rows_f32)(const float *, ptrdiff_t, size_t, size_t, const double *, ptrdiff_t, const double *,
                              int64_t *);
    size_t (*sample_rows_f64)(const double *, ptrdiff_t, size_t, size_t, const double *, ptrdiff_t, const double *,
                              int64_t *);
    fs_status (*sample_filtered)(const fs_row *, size_t, double, const fs_filters *, double, size_t, const double *,
                                 void *, int64_t *, double *);
    fs_status (*truncate)(const fs_row *, size_t, double, const fs_filters *, double, void *, const fs_output *);
    fs_status (*top)(const fs_row *, size_t, double, size_t, void *, int64_t *, double *, size_t, int64_t *);
    fs_status (*without_replacement)(const fs_row *, size_t, double, size_t, const double *, ptrdiff_t, void *,
                                     int64_t *);
    fs_status (*accept)(const fs_row *, const fs_row *, size_t, const double *, size_t, double, int *);
    fs_status (*correct)(const fs_row *, const fs_row *, size_t, const double *, size_t, double, void *, int64_t *);
    fs_status (*softmax_f32)(const float *, size_t, double, float *);
    fs_status (*softmax_f64)(const double *, size_t, double, double *);
    fs_status (*summarise)(const fs_row *, size_t, double, int, double *, double *, double *);
    fs_status (*normalise)(fs_dtype, double, const fs_summary *, fs_normaliser *);
    fs_status (*logsumexp_of_summary)(fs_dtype, double, const fs_summary *, const fs_normaliser *, double *);
    fs_status (*locate)(fs_dtype, double, const fs_summary *, const fs_normaliser *, size_t, const double *,
                        fs_location *);
    fs_status (*softmax_shard)(const fs_row *, size_t, double, const fs_normaliser *, const double *,
                               const fs_output *);
    fs_status (*log_softmax_shard)(const fs_row *, size_t, double, const fs_normaliser *, const fs_output *);
    fs_status (*resolve)(const fs_row *, size_t, size_t, double, const fs_normaliser *, size_t, const fs_location *,
                         int64_t *, double *);
    fs_status (*categorical_build)(const fs_row *, size_t, double, fs_categorical *);
    fs_status (*categorical_draw)(const fs_categorical *, size_t, const double *, int64_t *);
    fs_status (*categorical_draw_from)(const fs_categorical *, size_t, fs_uniform_of *, void *, int64_t *);
    fs_status (*sample_from)(const fs_row *, size_t, double, size_t, fs_uniform_of *, void *, int64_t *);
    fs_status (*logprob)(const fs_row *, size_t, double, size_t, const int64_t *, double *);
} fs_kernels;

/* fs_penalize in the floating-point environment that is expected (penalize.c; the same for every set). */
void fs_penalize_row(const fs_output *, const int64_t *, size_t, const fs_penalties *, const fs_breakers *, void *);

/* Memory for a table that is read at random, for free() (alloc.c). */
void *fs_table_memory(size_t size);

extern const fs_kernels fs_kernels_scalar, fs_kernels_avx2, fs_kernels_avx512, fs_kernels_neon;

#endif

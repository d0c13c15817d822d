/* Rows with everything that may be attached to them, in every layout; and filters at random. */
#ifndef FS_TEST_ROWS_H
#define FS_TEST_ROWS_H

#include "testing.h"

typedef enum { PLAIN, MASK_BYTES, MASK_WORDS, BIAS, BIAS_AT, PROBS, PROBS_BIAS_MASK, ROW_KINDS } row_kind;

static const char *const row_name[] = {
    "plain", "byte mask", "word mask", "bias", "sparse bias", "probabilities", "probabilities, bias, mask"};

/* A row of contiguous entries, and the memory of what is attached. */
typedef struct {
    fs_row row;
    char *entries, *mask;
    double *bias;
    int64_t *bias_at;
} made_row;

static inline fs_row plain_row(const void *data, fs_dtype dtype)
{
    fs_row row = {data, (ptrdiff_t)size_of(dtype), dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    return row;
}

static inline made_row make_row(size_t n, fs_dtype dtype, data_kind data, row_kind kind, random_stream *r)
{
    size_t size = size_of(dtype), sparse = 1 + n / 10;
    made_row m = {.entries = workspace(n * size),
                  .mask = workspace(2 * n + 8),
                  .bias = workspace(8 * (n + sparse)),
                  .bias_at = workspace(8 * sparse)};
    fill(m.entries, dtype, n, data, r);
    m.row = plain_row(m.entries, dtype);
    if (kind == PROBS || kind == PROBS_BIAS_MASK) {
        m.row.probs = 1;
        if (data != HUGE_BOTH)
            for (size_t i = 0; i < n; i++)
                m.entries[(i + 1) * size - 1] &= 0x7f; /* the sign, on a little-endian machine */
    }
    if (kind == MASK_BYTES || kind == MASK_WORDS || kind == PROBS_BIAS_MASK) {
        m.row.mask_kind = kind == MASK_WORDS ? FS_MASK_WORDS : FS_MASK_BYTES;
        m.row.mask = m.mask;
        m.row.mask_stride = kind == MASK_WORDS ? 4 : 2;
        for (size_t i = 0; i < 2 * n + 8; i++)
            m.mask[i] = (char)(next_word(r) & next_word(r) & (kind == MASK_WORDS ? 0xff : 1));
    }
    if (kind == BIAS || kind == PROBS_BIAS_MASK) {
        m.row.bias = m.bias;
        m.row.bias_stride = 8;
        for (size_t i = 0; i < n; i++)
            m.bias[i] = below(r, 50) ? next_normal(r) : -INFINITY;
    }
    if (kind == BIAS_AT) {
        m.row.bias = m.bias;
        m.row.bias_at = m.bias_at;
        for (size_t i = below(r, 10); i < n && m.row.bias_count < sparse; i += 1 + below(r, 19)) {
            m.bias_at[m.row.bias_count] = (int64_t)i;
            m.bias[m.row.bias_count++] = 5.0 * next_normal(r);
        }
    }
    return m;
}

static inline void free_row(made_row *m)
{
    free(m->entries);
    free(m->mask);
    free(m->bias);
    free(m->bias_at);
}

typedef enum { CONTIGUOUS, IN_PLACE, STRIDED, REVERSED, LAYOUTS } layout;

static const char *const layout_name[] = {"contiguous", "in place", "strided", "reversed"};

/* A row laid out, and where its result goes. */
typedef struct {
    fs_row row;
    fs_output out;
    char *from, *to;
} laid_row;

static inline laid_row lay_out(const fs_row *row, size_t n, layout how)
{
    size_t size = size_of(row->dtype), in = how == STRIDED ? 3 : 1, out = how == STRIDED ? 2 : 1;
    laid_row l = {.row = *row, .from = workspace(n * size * in), .to = workspace(n * size * out)};
    for (size_t i = 0; i < n; i++) {
        size_t at = how == REVERSED ? n - 1 - i : i;
        memcpy(l.from + at * in * size, (const char *)row->data + i * size, size);
    }
    char *to = how == IN_PLACE ? l.from : l.to;
    ptrdiff_t sign = how == REVERSED ? -1 : 1;
    size_t first = how == REVERSED ? (n - 1) * size : 0;
    l.row.data = l.from + first;
    l.row.stride = sign * (ptrdiff_t)(in * size);
    l.out.data = to + first;
    l.out.stride = sign * (ptrdiff_t)(out * size);
    l.out.dtype = row->dtype;
    return l;
}

/* The result, contiguous. */
static inline void gather(const laid_row *l, size_t n, char *to)
{
    size_t size = size_of(l->out.dtype);
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * size, (const char *)l->out.data + (ptrdiff_t)i * l->out.stride, size);
}

static inline void free_layout(laid_row *l)
{
    free(l->from);
    free(l->to);
}

static inline fs_filters no_filters(void)
{
    fs_filters f = {.top_p = 1.0,
                    .typical_p = 1.0,
                    .top_h = 1.0,
                    .xtc_threshold = 1.0,
                    .surprise = INFINITY,
                    .dynatemp_exponent = 1.0,
                    .smoothing_curve = 1.0,
                    .min_tokens_to_keep = 1};
    return f;
}

/* A probability: one of the ends, next to them, or anything between. */
static inline double any_probability(random_stream *r)
{
    static const double some[] = {0.0,  0x1p-1074, 1e-300, 1e-12, 0.001,         0.05,
                                  0.25, 0.5,       0.9,    0.95,  1.0 - 0x1p-53, 1.0};
    uint64_t which = below(r, 2 * sizeof some / sizeof some[0]);
    return which < sizeof some / sizeof some[0] ? some[which] : next_uniform(r);
}

/* Some of the steps of the filters, or all, in any order; `temperature`: it may be among them. */
static inline int64_t any_order(random_stream *r, int temperature)
{
    uint64_t order = 0;
    unsigned steps = temperature ? FS_TEMPERATURE : FS_XTC, left = (1u << (steps + 1)) - 2;
    for (unsigned taken = 0; taken < steps && (!taken || below(r, 12)); taken++) {
        unsigned step;
        do
            step = 1 + (unsigned)below(r, steps);
        while (!(left >> step & 1));
        left &= ~(1u << step);
        order |= (uint64_t)step << (4 * taken);
    }
    return (int64_t)order;
}

enum { MOST_KEPT = 5 };

/* A few entries that no filter drops; `index` has room for MOST_KEPT. */
static inline fs_indices any_kept(random_stream *r, size_t n, int64_t *index)
{
    fs_indices kept = {index, 0};
    size_t at = below(r, n), most = below(r, MOST_KEPT + 1);
    for (; at < n && kept.count < most; at += 1 + below(r, below(r, 2) ? 3 : n))
        index[kept.count++] = (int64_t)at;
    return kept;
}

/* Each filter is on in one case of `rarity`. */
static inline fs_filters any_filters(random_stream *r, size_t n, uint64_t rarity)
{
    static const double surprises[] = {-1.0, 0.0, 0.5, 3.0, 10.0, 1000.0};
    static const double exponents[] = {1.0, 0.5, 3.0};
    fs_filters f = no_filters();
    if (below(r, rarity) == 0)
        f.top_k = below(r, 2) ? (int64_t)(1 + below(r, n + 2)) : (int64_t)(1 + below(r, 60));
    if (below(r, rarity) == 0)
        f.top_p = any_probability(r);
    if (below(r, rarity) == 0)
        f.min_p = any_probability(r);
    if (below(r, rarity) == 0)
        f.top_a = any_probability(r);
    f.p_less = below(r, 2 * rarity) == 0;
    if (below(r, rarity) == 0)
        f.typical_p = any_probability(r);
    if (below(r, rarity) == 0)
        f.top_h = any_probability(r);
    if (below(r, rarity) == 0)
        f.top_n_sigma = 3.0 * next_uniform(r);
    if (below(r, rarity) == 0)
        f.epsilon_cutoff = any_probability(r) / (double)(1 + below(r, n));
    if (below(r, rarity) == 0)
        f.eta_cutoff = any_probability(r) / (double)(1 + below(r, n));
    if (below(r, rarity) == 0) {
        f.xtc_threshold = 0.5 * any_probability(r) / (double)(1 + below(r, n));
        f.xtc_probability = 0.75;
    }
    if (below(r, rarity) == 0)
        f.surprise = surprises[below(r, sizeof surprises / sizeof surprises[0])];
    if (below(r, rarity) == 0) {
        f.dynatemp_range = 2.0 * next_uniform(r);
        f.dynatemp_exponent = exponents[below(r, 3)];
    }
    if (below(r, rarity) == 0)
        f.min_tokens_to_keep = (int64_t)(1 + below(r, below(r, 3) ? 5 : n + 2));
    f.temperature_last = below(r, 4) == 0;
    if (below(r, 4) == 0)
        f.order = any_order(r, 1);
    if (below(r, 2 * rarity) == 0) {
        f.smoothing_factor = 4.0 * next_uniform(r);
        f.smoothing_curve = 1.0 + (double)below(r, 5);
    }
    return f;
}

/* The filters that are on, for a message. */
static inline const char *describe_filters(const fs_filters *f)
{
    static char text[600];
    snprintf(text, sizeof text,
             "top_k %lld, top_p %a, min_p %a, top_a %a, p_less %lld, typical_p %a, top_h %a, top_n_sigma %a, epsilon "
             "%a, eta %a, xtc %a, surprise %g, "
             "dynatemp %g ^ %g, smoothing %g ^ %g, at least %lld, order %llx%s",
             (long long)f->top_k, f->top_p, f->min_p, f->top_a, (long long)f->p_less, f->typical_p, f->top_h,
             f->top_n_sigma, f->epsilon_cutoff, f->eta_cutoff, f->xtc_probability > 0.0 ? f->xtc_threshold : 1.0,
             f->surprise, f->dynatemp_range, f->dynatemp_exponent, f->smoothing_factor, f->smoothing_curve,
             (long long)f->min_tokens_to_keep, (unsigned long long)f->order,
             f->temperature_last ? ", temperature last" : "");
    return text;
}

#endif

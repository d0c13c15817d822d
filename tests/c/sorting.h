/* The filters as they are defined (docs/semantics/filters.md), by sorting, in long double.
 *
 * A decision that lies within `margin` of its boundary may be taken either way: the row is then called close, and says
 * nothing.  Rows whose weights are exact have a margin of 0. */
#ifndef FS_SORTING_H
#define FS_SORTING_H

#include "testing.h"

/* An entry that is above -inf. */
typedef struct {
    long double logit, weight, distance;
    double x; /* as given: a logit, or a probability */
    size_t i;
} entry;

/* What is left, in the sorted order: value descending, index ascending. */
typedef struct {
    entry *e;
    size_t count;
    double temperature; /* of the weights */
    long double margin;
    int close;
} sorted_row;

static inline int by_value(const void *a, const void *b)
{
    const entry *p = a, *q = b;
    if (p->x != q->x)
        return p->x > q->x ? -1 : 1;
    return p->i < q->i ? -1 : 1;
}

static inline int by_distance(const void *a, const void *b)
{
    const entry *p = a, *q = b;
    if (p->distance != q->distance)
        return p->distance < q->distance ? -1 : 1;
    return by_value(a, b);
}

/* At this temperature an integer logit x has the weight 2^x: the error of log2(e) as a double is below that of a weight
 * of either type. */
static const double log2_e = 0x1.71547652b82fep+0;

/* exp((x - max) / T), or for probabilities (p / max)^(1 / T). */
static inline void weigh(sorted_row *s, double temperature, int probs)
{
    for (size_t j = 0; j < s->count; j++) {
        entry *e = s->e + j;
        e->logit = probs ? logl(e->x) : (long double)e->x;
        e->weight = temperature == INFINITY ? 1.0L : expl((e->logit - s->e[0].logit) / temperature);
        if (probs && temperature == 1.0)
            e->weight = e->x;
        if (!probs && temperature == log2_e)
            e->weight = exp2l(e->logit);
    }
    s->temperature = temperature;
}

static inline long double total_of(const sorted_row *s)
{
    long double total = 0.0L;
    for (size_t j = 0; j < s->count; j++)
        total += s->e[j].weight;
    return total;
}

/* a >= b, if it is not too close to say. */
static inline int reaches(sorted_row *s, long double a, long double b, long double unit)
{
    if (s->margin > 0.0L && fabsl(a - b) <= s->margin * unit)
        s->close = 1;
    return a >= b;
}

static inline void keep_first(sorted_row *s, size_t count)
{
    if (count < s->count)
        s->count = count;
}

/* The entropy, in nats. */
static inline long double entropy_of(const sorted_row *s)
{
    long double total = total_of(s), h = 0.0L;
    for (size_t j = 0; j < s->count; j++) {
        long double p = s->e[j].weight / total;
        h -= p > 0.0L ? p * logl(p) : 0.0L;
    }
    return h;
}

static inline void filter_top_p(sorted_row *s, double p, size_t min_keep)
{
    long double total = total_of(s), before = 0.0L;
    size_t candidates = 0;
    for (; candidates < s->count; candidates++) {
        if (candidates >= min_keep && candidates && reaches(s, before, p * total, total))
            break;
        before += s->e[candidates].weight;
    }
    keep_first(s, candidates);
}

/* The entries of this probability or more, but at least `min_keep`. */
static inline void filter_likely(sorted_row *s, long double probability, size_t min_keep)
{
    long double total = total_of(s);
    size_t candidates = 0;
    while (candidates < s->count && reaches(s, s->e[candidates].weight, probability * total, probability * total))
        candidates++;
    keep_first(s, candidates > min_keep ? candidates : min_keep);
}

static inline void filter_typical(sorted_row *s, double p, size_t min_keep)
{
    long double total = total_of(s), h = entropy_of(s), reached = 0.0L;
    size_t candidates = 0;
    for (size_t j = 0; j < s->count; j++)
        s->e[j].distance = s->e[j].weight > 0.0L ? fabsl(-logl(s->e[j].weight / total) - h) : (long double)INFINITY;
    if (s->temperature < INFINITY)
        qsort(s->e, s->count, sizeof *s->e, by_distance);
    while (candidates < s->count) {
        reached += s->e[candidates++].weight;
        if (reaches(s, reached, p * total, total) && candidates >= min_keep)
            break;
    }
    if (candidates && candidates < s->count &&
        s->temperature < INFINITY) { /* distances that are not alike, but nearly */
        long double size = 1.0L + h + fabsl(s->e[0].logit / s->temperature);
        long double last = s->e[candidates - 1].distance, near = last + s->margin * size;
        for (size_t j = 0; j < s->count; j++) /* on either side of the cut */
            if (s->e[j].x != s->e[candidates - 1].x &&
                (j < candidates ? s->e[j].distance >= last - s->margin * size : s->e[j].distance <= near))
                s->close |= s->margin > 0.0L;
    }
    keep_first(s, candidates);
    qsort(s->e, s->count, sizeof *s->e, by_value);
}

static inline void filter_sigma(sorted_row *s, double sigmas, size_t min_keep)
{
    long double mean = 0.0L, variance = 0.0L;
    size_t candidates = 0;
    for (size_t j = 0; j < s->count; j++)
        mean += s->e[j].logit / s->count;
    for (size_t j = 0; j < s->count; j++)
        variance += (s->e[j].logit - mean) * (s->e[j].logit - mean) / s->count;
    long double max = s->e[0].logit, low = max - sigmas * sqrtl(variance);
    while (candidates < s->count && (s->e[candidates].x == s->e[0].x ||
                                     reaches(s, s->e[candidates].logit, low, (fabsl(max) + max - low) * 1e-3L)))
        candidates++;
    keep_first(s, candidates > min_keep ? candidates : min_keep);
}

static inline void filter_xtc(sorted_row *s, double threshold, size_t min_keep)
{
    long double total = total_of(s);
    size_t likely = 0;
    while (likely < s->count && reaches(s, s->e[likely].weight, threshold * total, threshold * total))
        likely++;
    if (likely < 2 || s->count - (likely - 1) < min_keep)
        return;
    s->e += likely - 1;
    s->count -= likely - 1;
}

static inline void filter_min_p(sorted_row *s, double min_p, size_t min_keep)
{
    size_t candidates = 0;
    long double low = min_p * s->e[0].weight;
    while (candidates < s->count && reaches(s, s->e[candidates].weight, low, low))
        candidates++;
    keep_first(s, candidates > min_keep ? candidates : min_keep);
}

/* The probability that two draws are equal. */
static inline long double collision_of(const sorted_row *s)
{
    long double total = total_of(s), squares = 0.0L;
    for (size_t j = 0; j < s->count; j++)
        squares += s->e[j].weight * s->e[j].weight;
    return squares / (total * total);
}

/* The longest prefix with no more than this share of the entropy. */
static inline void filter_entropy(sorted_row *s, double part, size_t min_keep)
{
    long double total = total_of(s), h = entropy_of(s), sum = 0.0L;
    size_t candidates = 0;
    for (; candidates < s->count; candidates++) {
        long double p = s->e[candidates].weight / total;
        sum -= p > 0.0L ? p * logl(p) : 0.0L;
        if (!reaches(s, part * h, sum, h + 1.0L))
            break;
    }
    keep_first(s, candidates > min_keep ? candidates : min_keep);
}

static inline void apply_filter(sorted_row *s, fs_step step, const fs_filters *f, double coin)
{
    size_t min_keep = (size_t)f->min_tokens_to_keep;
    switch (step) {
    case FS_TOP_K:
        if (f->top_k > 0)
            keep_first(s, (size_t)f->top_k > min_keep ? (size_t)f->top_k : min_keep);
        break;
    case FS_TOP_P:
        if (f->top_p < 1.0)
            filter_top_p(s, f->top_p, min_keep);
        break;
    case FS_MIN_P:
        if (f->min_p > 0.0)
            filter_min_p(s, f->min_p, min_keep);
        break;
    case FS_TOP_A:
        if (f->top_a > 0.0) {
            long double largest = s->e[0].weight / total_of(s);
            filter_likely(s, f->top_a * largest * largest, min_keep);
        }
        break;
    case FS_P_LESS:
        if (f->p_less)
            filter_likely(s, collision_of(s), min_keep);
        break;
    case FS_TYPICAL_P:
        if (f->typical_p < 1.0)
            filter_typical(s, f->typical_p, min_keep);
        break;
    case FS_TOP_H:
        if (f->top_h < 1.0)
            filter_entropy(s, f->top_h, min_keep);
        break;
    case FS_TOP_N_SIGMA:
        if (f->top_n_sigma > 0.0)
            filter_sigma(s, f->top_n_sigma, min_keep);
        break;
    case FS_EPSILON_CUTOFF:
        if (f->epsilon_cutoff > 0.0)
            filter_likely(s, f->epsilon_cutoff, min_keep);
        break;
    case FS_ETA_CUTOFF:
        if (f->eta_cutoff > 0.0) {
            long double by_entropy = sqrtl(f->eta_cutoff) * expl(-entropy_of(s));
            filter_likely(s, by_entropy < f->eta_cutoff ? by_entropy : (long double)f->eta_cutoff, min_keep);
        }
        break;
    case FS_XTC:
        if (coin < f->xtc_probability && f->xtc_threshold <= 0.5)
            filter_xtc(s, f->xtc_threshold, min_keep);
        break;
    default: break;
    }
}

/* All of them, and the weights of what is left; f->dynatemp_range is not looked at. */
static inline void apply_filters(sorted_row *s, const fs_filters *f, double temperature, int probs, double coin)
{
    uint64_t order = f->order ? (uint64_t)f->order : UINT64_C(0xba987654321);
    int within = 0;
    for (uint64_t rest = order; rest; rest >>= 4)
        within |= (rest & 15) == FS_TEMPERATURE;
    weigh(s, f->temperature_last || within ? 1.0 : temperature, probs);
    for (; order; order >>= 4) {
        if ((order & 15) == FS_TEMPERATURE) {
            weigh(s, temperature, probs);
        } else {
            apply_filter(s, (fs_step)(order & 15), f, coin);
            weigh(s, s->temperature, probs);
        }
    }
    weigh(s, temperature, probs);
    if (f->surprise < (double)INFINITY)
        filter_likely(s, f->surprise > 0.0 ? exp2l(-(long double)f->surprise) : 1.0L, 1);
}

#endif

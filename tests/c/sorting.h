/* The filters as they are defined (docs/semantics.md), by sorting, in long double.
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

/* All of them, and the weights of what is left; f->dynatemp_range is not looked at. */
static inline void apply_filters(sorted_row *s, const fs_filters *f, double temperature, int probs, double coin)
{
    size_t min_keep = (size_t)f->min_tokens_to_keep;
    weigh(s, f->temperature_last ? 1.0 : temperature, probs);
    if (f->top_k > 0)
        keep_first(s, (size_t)f->top_k > min_keep ? (size_t)f->top_k : min_keep);
    if (f->top_p < 1.0)
        filter_top_p(s, f->top_p, min_keep);
    if (f->min_p > 0.0) {
        size_t candidates = 0;
        long double low = f->min_p * s->e[0].weight;
        while (candidates < s->count && reaches(s, s->e[candidates].weight, low, low))
            candidates++;
        keep_first(s, candidates > min_keep ? candidates : min_keep);
    }
    if (f->typical_p < 1.0)
        filter_typical(s, f->typical_p, min_keep);
    if (f->top_n_sigma > 0.0)
        filter_sigma(s, f->top_n_sigma, min_keep);
    if (f->epsilon_cutoff > 0.0)
        filter_likely(s, f->epsilon_cutoff, min_keep);
    if (f->eta_cutoff > 0.0) {
        long double by_entropy = sqrtl(f->eta_cutoff) * expl(-entropy_of(s));
        filter_likely(s, by_entropy < f->eta_cutoff ? by_entropy : (long double)f->eta_cutoff, min_keep);
    }
    if (coin < f->xtc_probability && f->xtc_threshold <= 0.5)
        filter_xtc(s, f->xtc_threshold, min_keep);
    weigh(s, temperature, probs);
    if (f->surprise < (double)INFINITY)
        filter_likely(s, f->surprise > 0.0 ? exp2l(-(long double)f->surprise) : 1.0L, 1);
}

#endif

/* top_h: the longest prefix of the sorted order whose share of the entropy is at most top_h.
 *
 * The entropy is the sum of the terms -p log p.  With L = log(sum w / w_max) and y = (x_max - x) / T a term is p (L + y), so
 * the terms are the weights times a linear function of the value, and like the weights they become integers, of 1/32 of their
 * unit: L, and any L + y that counts, is below 23.  Sums of them are exact in any order, and the search for the end of a
 * prefix is that of top_p.
 *
 * Needs real_f32.h or real_f64.h, filter/prefix-inl.h. */

/* The weighting that gives the terms of a distribution. */
static NAME(weighting) NAME(terms_of)(const NAME(list) *l, const NAME(weighting) *g)
{
    NAME(weighting) terms = *g;
    double largest = f64x8_sum(V(fold)(NAME(weigh_last)(&l->max, 1, g))), sum = NAME(moments_of)(l, g).sum;
    double rest = sum - largest; /* the sum is in double: nothing is lost to it but by rounding there */
    double first = rest > 0.0 ? fs_log1p(rest / largest) : 0.0;
    terms.linear = NAME(TERMS);
    terms.constants = g->last; /* those of weights that may underflow */
    terms.first_term = (REAL)(first * 0x1p-5);
    terms.slope = (REAL)(0x1p-5 / g->c.temperature);
    return terms;
}

/* keep_entropy_f32, keep_entropy_f64 */
static NAME(list) NAME(keep_entropy)(const NAME(list) *l, double part, const NAME(task) *t)
{
    const NAME(weighting) g = NAME(weighting_of)(l, 0, t->temperature), terms = NAME(terms_of)(l, &g);
    NAME(order) o = {&terms, 0, 0.0, 0.0, 0.0, t->workspace};
    uint64_t all = NAME(mass)(&terms, l->value, l->count);
    if (!all) /* one entry has all of the mass */
        return NAME(keep_top)(l, t->min_keep, t->workspace);
    /* the longest prefix that does not reach more than the share: the shortest that reaches more, without its last */
    uint64_t more = fs_scale_uniform(part, all).high + 1;
    NAME(list) narrowed = *l;
    NAME(prefix) prefix;
    uint64_t amount = all;
    if (l->part_max && l->count >= NAME(LONG)) {
        narrowed = NAME(narrow)(l, &o, more, all, l->none);
        if (narrowed.value != l->value)
            amount = NAME(mass)(&terms, narrowed.value, narrowed.count);
    }
    NAME(select)(&o, &narrowed, more, amount, &prefix);
    size_t count = prefix.count > t->min_keep ? prefix.count - 1 : t->min_keep;
    return NAME(keep_top)(count <= narrowed.count ? &narrowed : l, count, t->workspace);
}

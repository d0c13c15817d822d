/* The filters, in the order they are applied; each works on the distribution renormalised after the one before.
 * What each keeps: docs/semantics.md.  A filter leaves at least `min_tokens_to_keep` entries of its own order.
 *
 * Needs real_f32.h or real_f64.h, filter/prefix-inl.h, filter/threshold-inl.h. */

/* All filters but mirostat.  A list that is the whole row has no index.  Statuses: those of NAME(survey). */
static fs_status NAME(filter)(const fs_reader *reader, size_t n, double temperature, const fs_filters *f, double coin,
                              NAME(workspace) *workspace, NAME(list) *l)
{
    NAME(task) t = {f,
                    temperature,
                    reader->weights,
                    reader->transform == FS_ORDERED,
                    reader->row->probs && !reader->weights,
                    (size_t)f->min_tokens_to_keep,
                    workspace};
    fs_status status = NAME(survey)(reader, n, workspace, l);
    if (status != FS_OK)
        return status;
    if (f->top_k > 0 && (uint64_t)f->top_k < n) {
        size_t k = (size_t)f->top_k;
        *l = NAME(keep_top)(l, k > t.min_keep ? k : t.min_keep, workspace);
    }
    if (f->top_p < 1.0)
        *l = NAME(keep_mass)(l, f->top_p, 0, &t);
    if (f->min_p > 0.0 && !t.alike)
        *l = NAME(keep_min_p)(l, f->min_p, &t);
    if (f->typical_p < 1.0) /* where all weights are equal, so are the distances */
        *l = NAME(keep_mass)(l, f->typical_p, !t.alike, &t);
    if (f->top_n_sigma > 0.0) {
        double spread = t.alike && (double)l->max == FS_HIGHEST ? 0.0 : f->top_n_sigma * NAME(deviation)(l);
        *l = NAME(keep_from)(l, NAME(at_or_above)((double)l->max - spread), &t);
    }
    if (f->epsilon_cutoff > 0.0) {
        NAME(weighting) g = NAME(weighting_of)(l, t.linear, temperature);
        *l = NAME(keep_likely)(l, f->epsilon_cutoff, &g, NAME(mass)(&g, l->value, l->count), &t);
    }
    if (f->eta_cutoff > 0.0) {
        NAME(weighting) g = NAME(weighting_of)(l, t.linear, temperature);
        NAME(moments) moments = NAME(moments_of)(l, &g);
        double entropy = moments.entropy;
        double by_entropy = sqrt(f->eta_cutoff) * fs_exp(entropy > 0.0 ? -entropy : 0.0);
        by_entropy -= by_entropy * 0x1p-46; /* an entry of exactly this probability must be kept */
        double least = by_entropy < f->eta_cutoff ? by_entropy : f->eta_cutoff;
        *l = NAME(keep_likely)(l, least, &g, moments.mass, &t);
    }
    if (coin < f->xtc_probability && f->xtc_threshold <= 0.5)
        *l = NAME(drop_likely)(l, &t);
    return FS_OK;
}

/* The same, then the dynamic temperature of the candidates where `dynamic`, then mirostat's bound at the temperature of
 * the draw: `work` or, with temperature_last, *temperature.  *candidates is set only where entries were dropped. */
static fs_status NAME(filtered)(const fs_reader *reader, size_t n, double work, const fs_filters *f, double coin,
                                void *scratch, int dynamic, double *temperature, fs_candidates *candidates)
{
    NAME(workspace) workspace = NAME(workspace_of)(scratch, n);
    NAME(list) l;
    fs_status status = NAME(filter)(reader, n, work, f, coin, &workspace, &l);
    if (status != FS_OK)
        return status;
    if (dynamic) {
        NAME(weighting) g = NAME(weighting_of)(&l, reader->weights, 1.0);
        *temperature =
            fs_between_temperatures(*temperature, f, NAME(moments_of)(&l, &g).entropy, (double)NAME(count_there)(&l));
    }
    double at = f->temperature_last ? *temperature : work;
    if (f->surprise < (double)INFINITY && at > 0.0) {
        at = at < 1.0 / EXTREME ? 1.0 / EXTREME : at > EXTREME ? EXTREME : at;
        NAME(task) t = {f, at, reader->weights, 0, 0, 1, &workspace};
        NAME(weighting) g = NAME(weighting_of)(&l, t.linear, at);
        double least = f->surprise > 0.0 ? fs_exp2(&(fs_scale){1.0, 0.0, 1.0}, -f->surprise, 0.0) : 1.0;
        l = NAME(keep_likely)(&l, least, &g, NAME(mass)(&g, l.value, l.count), &t);
    }
    if (!l.index && reader->transform == FS_MAXIMA &&
        fs_has_filter(f, n, coin)) /* the entries below +inf are -inf in this row, but not in the original */
        l = NAME(pack)(&l, NAME(from)(0), &workspace);
    if (!l.count) /* only if another thread changes the row */
        return FS_NO_MASS;
    if (l.index)
        *candidates = fs_candidates_of(l.value, DTYPE, reader->weights, l.count, l.index);
    return FS_OK;
}

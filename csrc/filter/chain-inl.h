/* The filters, in the order they are applied; each works on the distribution renormalised after the one before.
 * What each keeps: docs/semantics/filters.md.  A filter leaves at least `min_tokens_to_keep` entries of its own order.
 *
 * Needs real_f32.h or real_f64.h, filter/prefix-inl.h, filter/threshold-inl.h, filter/collision-inl.h,
 * filter/entropy-inl.h. */

/* The filters but mirostat, each if it is on. */
static NAME(list) NAME(apply)(fs_step step, const NAME(list) *l, double coin, const NAME(task) *t)
{
    const fs_filters *f = t->f;
    switch (step) {
    case FS_TOP_K:
        if (f->top_k > 0 && (uint64_t)f->top_k < l->count) {
            size_t k = (size_t)f->top_k;
            return NAME(keep_top)(l, k > t->min_keep ? k : t->min_keep, t->workspace);
        }
        break;
    case FS_TOP_P:
        if (f->top_p < 1.0)
            return NAME(keep_mass)(l, f->top_p, 0, t);
        break;
    case FS_MIN_P:
        if (f->min_p > 0.0 && !t->alike)
            return NAME(keep_min_p)(l, f->min_p, t);
        break;
    case FS_TOP_A:
        if (f->top_a > 0.0 && !t->alike)
            return NAME(keep_top_a)(l, f->top_a, t);
        break;
    case FS_P_LESS:
        if (f->p_less && !t->alike)
            return NAME(keep_p_less)(l, t);
        break;
    case FS_TYPICAL_P:
        if (f->typical_p < 1.0) /* where all weights are equal, so are the distances */
            return NAME(keep_mass)(l, f->typical_p, !t->alike, t);
        break;
    case FS_TOP_H:
        if (f->top_h < 1.0)
            return NAME(keep_entropy)(l, f->top_h, t);
        break;
    case FS_TOP_N_SIGMA:
        if (f->top_n_sigma > 0.0) {
            double spread = t->alike && (double)l->max == FS_HIGHEST ? 0.0 : f->top_n_sigma * NAME(deviation)(l);
            return NAME(keep_from)(l, NAME(at_or_above)((double)l->max - spread), t);
        }
        break;
    case FS_EPSILON_CUTOFF:
        if (f->epsilon_cutoff > 0.0) {
            NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
            return NAME(keep_likely)(l, f->epsilon_cutoff, &g, NAME(mass)(&g, l->value, l->count), t);
        }
        break;
    case FS_ETA_CUTOFF:
        if (f->eta_cutoff > 0.0) {
            NAME(weighting) g = NAME(weighting_of)(l, t->linear, t->temperature);
            NAME(moments) moments = NAME(moments_of)(l, &g);
            double entropy = moments.entropy;
            double by_entropy = sqrt(f->eta_cutoff) * fs_exp(entropy > 0.0 ? -entropy : 0.0);
            by_entropy -= by_entropy * 0x1p-46; /* an entry of exactly this probability must be kept */
            double least = by_entropy < f->eta_cutoff ? by_entropy : f->eta_cutoff;
            return NAME(keep_likely)(l, least, &g, moments.mass, t);
        }
        break;
    case FS_XTC:
        if (coin < f->xtc_probability && f->xtc_threshold <= 0.5)
            return NAME(drop_likely)(l, t);
        break;
    case FS_TEMPERATURE: break; /* below */
    }
    return *l;
}

/* The dynamic temperature of the candidates. */
static double NAME(dynamic_temperature)(const NAME(list) *l, const fs_reader *reader, double temperature,
                                        const fs_filters *f)
{
    NAME(weighting) g = NAME(weighting_of)(l, reader->weights, 1.0);
    return fs_between_temperatures(temperature, f, NAME(moments_of)(l, &g).entropy, (double)NAME(count_there)(l));
}

/* What the filters after the temperature see of it: in the range of the formula, or all weights equal. */
static void NAME(set_temperature)(NAME(list) *l, double temperature, NAME(task) *t)
{
    t->alike = temperature == INFINITY;
    t->temperature = temperature < 1.0 / EXTREME ? 1.0 / EXTREME : temperature > EXTREME ? EXTREME : temperature;
    if (t->alike && (fabs((double)l->max) > 0x1p800 || (l->min > l->none && fabs((double)l->min) > 0x1p800))) {
        *l = NAME(pack)(l, NAME(from)(NAME(above)(l->none)), t->workspace);
        for (size_t i = 0; i < l->count; i++) /* their order is all that matters, and all weights must be 1 */
            t->workspace->value[i] = (REAL)((double)t->workspace->value[i] * 0x1p-200);
        NAME(measure_list)(l);
    }
}

/* The quotients by this temperature smoothed, for the filters that follow and for the draw at temperature 1. */
static fs_smoothing NAME(smooth)(NAME(list) *l, double temperature, const NAME(task) *t)
{
    const fs_smoothing s = {(double)l->max, temperature, t->f->smoothing_factor, t->f->smoothing_curve};
    *l = NAME(pack)(l, NAME(from)(NAME(above)(l->none)), t->workspace);
    REAL *value = t->workspace->value;
    for (size_t i = 0; i < l->count; i++)
        value[i] = (REAL)fs_smoothed(&s, (double)value[i]);
    NAME(measure_list)(l);
    return s;
}

/* All filters but mirostat, and where the temperature is among them, the dynamic one if `dynamic`.  A list that is the
 * whole row has no index; one that has been smoothed is at temperature 1.  Statuses: those of NAME(survey). */
static fs_status NAME(filter)(const fs_reader *reader, size_t n, double work, const fs_filters *f, double coin,
                              NAME(workspace) *workspace, int dynamic, double *temperature, NAME(list) *l,
                              fs_smoothing *smoothing)
{
    NAME(task) t = {f,
                    work,
                    reader->weights,
                    reader->transform == FS_ORDERED,
                    reader->row->probs && !reader->weights,
                    (size_t)f->min_tokens_to_keep,
                    workspace};
    fs_status status = NAME(survey)(reader, n, workspace, l);
    if (status != FS_OK)
        return status;
    for (uint64_t rest = fs_steps(f); rest; rest >>= 4) {
        fs_step step = (fs_step)(rest & 15);
        if (step != FS_TEMPERATURE) {
            *l = NAME(apply)(step, l, coin, &t);
            continue;
        }
        if (dynamic)
            *temperature = NAME(dynamic_temperature)(l, reader, *temperature, f);
        if (*temperature == 0.0) {
            *l = NAME(keep_top)(l, 1, workspace);
            break;
        }
        if (f->smoothing_factor > 0.0 && *temperature < (double)INFINITY) {
            *smoothing = NAME(smooth)(l, *temperature, &t);
            *temperature = 1.0;
        }
        NAME(set_temperature)(l, *temperature, &t);
    }
    return FS_OK;
}

/* The same, then the dynamic temperature of the candidates where `dynamic` and the temperature comes last, then mirostat's
 * bound at the temperature of the draw: `work` or, where it comes later, *temperature.  *candidates is set only where entries were dropped. */
static fs_status NAME(filtered)(const fs_reader *reader, size_t n, double work, const fs_filters *f, double coin,
                                void *scratch, int dynamic, double *temperature, fs_candidates *candidates)
{
    NAME(workspace) workspace = NAME(workspace_of)(scratch, n);
    NAME(list) l;
    fs_smoothing smoothing = {0.0, 1.0, 0.0, 1.0};
    const int within = fs_has_temperature_within(f);
    fs_status status =
        NAME(filter)(reader, n, work, f, coin, &workspace, dynamic && within, temperature, &l, &smoothing);
    if (status != FS_OK)
        return status;
    if (dynamic && !within)
        *temperature = NAME(dynamic_temperature)(&l, reader, *temperature, f);
    double at = f->temperature_last || within ? *temperature : work;
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
    candidates->smoothing = smoothing;
    return FS_OK;
}

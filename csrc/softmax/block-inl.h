/* One block of at most BLOCK consecutive entries: its range, its weights, their sum.
 *
 * Weights.  c = log2(e)/temperature = ch + cl.  With y = x - shift, an integer N (below) and n = y ch rounded to the
 * step of softmax/exp2.h,
 *     f = y ch - n + y cl      (each step one fused operation)
 *     w = 2^(n - N + f) = 2^(c y - N) * (1 + e),  |e| < 0.8 ulp in float (all 2^32 inputs: tests/c/exp_all.c), 1.1 in double
 * The subtraction n - N is exact: nothing is rounded in it, whatever the spread of x.
 *     |max ch| <  SHIFT_AT:  shift = 0,    N = rint(max ch)
 *     |max ch| >= SHIFT_AT:  shift = max,  N = 0;  x - max is then exact for all x whose weight is not 0
 *
 * Needs real_f32.h or real_f64.h, softmax/sum-inl.h, softmax/exp2.h.
 */

typedef struct {
    REAL ch, cl;      /* c as a sum of two */
    REAL reach, no_underflow; /* REACH / c and NORMAL_SPAN / c */
} NAME(scale);

static inline NAME(scale) NAME(scale_of)(const fs_scale *c)
{
    NAME(scale) s;
    s.ch = (REAL)c->high;
    s.cl = (REAL)((c->high - (double)s.ch) + c->low);
    s.reach = REACH / s.ch;
    s.no_underflow = NORMAL_SPAN / s.ch;
    return s;
}

typedef struct {
    REAL max;  /* of the entries that are not NaN; -inf for none */
    char nan;  /* there is a NaN */
    char no_underflow; /* no weight of the block underflows */
} NAME(range);

/* Where the weights of a block stand: w = 2^(c (x - shift) - power). */
typedef struct {
    REAL shift, power;
} NAME(origin);

FS_INLINE NAME(origin) NAME(origin_of)(REAL max, const NAME(scale) *s)
{
    REAL product = max * s->ch;
    NAME(origin) o = {max, 0};
    if (product < SHIFT_AT && product > -SHIFT_AT) {
        o.shift = 0;
        o.power = FUSED(max, s->ch, (REAL)MAGIC) - (REAL)MAGIC;
    }
    return o;
}

FS_NOINLINE int NAME(has_nan)(const REAL *x, size_t len)
{
    int nan = 0;
    for (size_t i = 0; i < len; i++)
        nan |= x[i] != x[i];
    return nan;
}

FS_INLINE NAME(range) NAME(range_of)(const REAL *x, size_t len, const NAME(scale) *s)
{
    NAME(range) r;
    VEC high, low, sum; /* the sum is NaN if an entry is; also where infinities meet, so has_nan decides */
    size_t i = LANES;
    if (len < LANES) {
        high = low = sum = V(load_first)(x, len, x[0]);
    } else {
        high = low = sum = V(load)(x);
        if (len >= 8 * LANES) {
            VEC highs[FS_STREAMS], lows[FS_STREAMS], sums[FS_STREAMS];
            for (int j = 0; j < FS_STREAMS; j++)
                highs[j] = lows[j] = sums[j] = high;
            for (i = 0; i + FS_STREAMS * LANES <= len; i += FS_STREAMS * LANES)
                for (int j = 0; j < FS_STREAMS; j++) {
                    VEC a = V(load)(x + i + j * LANES);
                    highs[j] = V(max)(a, highs[j]), lows[j] = V(min)(a, lows[j]), sums[j] = V(add)(sums[j], a);
                }
            for (int j = 0; j < FS_STREAMS; j++)
                high = V(max)(highs[j], high), low = V(min)(lows[j], low), sum = V(add)(sum, sums[j]);
        }
        for (; i + LANES <= len; i += LANES) {
            VEC a = V(load)(x + i);
            high = V(max)(a, high), low = V(min)(a, low), sum = V(add)(sum, a);
        }
        if (i < len) {
            VEC a = V(load)(x + len - LANES);
            high = V(max)(a, high), low = V(min)(a, low), sum = V(add)(sum, a);
        }
    }
    r.nan = 0;
    r.max = V(reduce_max)(high) + (REAL)0; /* -0 becomes +0: the sign must not depend on the order */
    r.no_underflow = r.max - V(reduce_min)(low) < s->no_underflow;
    if (FS_UNLIKELY(V(any_nan)(sum))) {
        r.nan = (char)NAME(has_nan)(x, len);
        if (r.nan)
            return r;
    }
    return r;
}

typedef struct {
    VEC shift, floor, magic, ch, cl;
} NAME(constants);

FS_INLINE NAME(constants) NAME(constants_of)(NAME(origin) o, REAL max, const NAME(scale) *s, int lift)
{
    NAME(constants) k;
    k.shift = V(set1)(o.shift);
    k.floor = V(set1)((max - o.shift) - s->reach);
    k.magic = V(set1)((REAL)STEP - o.power + (REAL)lift);
    k.ch = V(set1)(s->ch);
    k.cl = V(set1)(s->cl);
    return k;
}

/* The entries in v become their weights.  `ways`: FS_MAY_UNDERFLOW if weights may be subnormal or 0, and then the constants were
 * made with lift = LIFT; FS_SHIFTED if the shift may be other than 0.  Where neither is needed both give the same bits.
 * The vectors go step by step together, so that the latency of one hides behind the others. */
FS_INLINE void NAME(weights)(VEC *v, int count, const NAME(constants) *k, int ways)
{
    VEC t[8], f[8], p[8];
#define EACH for (int j = 0; j < count; j++)
    if (ways & FS_SHIFTED)
        EACH v[j] = V(sub)(v[j], k->shift);
    if (ways & FS_MAY_UNDERFLOW)
        EACH v[j] = V(max)(k->floor, v[j]);
    EACH t[j] = V(fma)(v[j], k->ch, k->magic); /* magic + (n - N) */
    EACH f[j] = V(fma)(v[j], k->ch, V(sub)(k->magic, t[j]));
    EACH f[j] = V(fma)(v[j], k->cl, f[j]);
    NAME(exp2)(p, t, f, count);
    if (ways & FS_MAY_UNDERFLOW) /* selected first: a product that underflows to 0 costs some CPUs a hundred cycles */
        EACH p[j] = V(mul)(V(where_above)(v[j], k->floor, p[j]), V(set1)((REAL)fs_pow2(-LIFT)));
    EACH v[j] = p[j];
#undef EACH
}

/* What weights are multiplied by, as a sum of two: their product with it is rounded once. */
typedef struct {
    REAL high, low;
} NAME(factor);

/* numerator / total, from the reciprocal of the total */
static inline NAME(factor) NAME(factor_of)(double numerator, fs_reciprocal total)
{
    double quotient = numerator * total.high;
    NAME(factor) f;
    f.high = (REAL)quotient;
    f.low = (REAL)(quotient - (double)f.high);
    if (sizeof(REAL) == sizeof(double))
        f.low = (REAL)(fma(numerator, total.high, -quotient) + numerator * total.low);
    return f;
}

static const NAME(factor) NAME(unit) = {1, 0};

FS_INLINE VEC NAME(product)(VEC w, NAME(factor) f) { return V(fma)(w, V(set1)(f.high), V(mul)(w, V(set1)(f.low))); }

/* GIVEN: the weights are not computed but read from `out`, and multiplied by factor.high, a power of two. */
enum { NAME(SUM) = 1, NAME(STORE) = 2, NAME(MULTIPLY) = 4, NAME(MOMENT) = 8, NAME(GIVEN) = 16 };

/* The sum of w (max - x), in each lane: in double, with its rounding errors where the terms are double. */
typedef struct {
    f64x8 sum, error;
    VEC max, floor; /* what is not above the floor has no weight, and may be -inf */
} NAME(moment_sum);

FS_INLINE NAME(moment_sum) NAME(moments_begin)(REAL max, const NAME(scale) *s)
{
    NAME(moment_sum) m = {f64x8_set1(0), f64x8_set1(0), V(set1)(max), V(set1)(max - s->reach)};
    return m;
}

FS_INLINE VEC NAME(below_max)(const NAME(moment_sum) *m, VEC x, int ways)
{
    return V(sub)(m->max, ways & FS_MAY_UNDERFLOW ? V(max)(m->floor, x) : x);
}

FS_INLINE void NAME(moments_add)(NAME(moment_sum) *m, VEC term)
{
    const f64x8 a = V(fold)(term), sum = f64x8_add(m->sum, a), back = f64x8_sub(sum, m->sum);
    if (sizeof(REAL) == sizeof(double))
        m->error = f64x8_add(m->error, f64x8_add(f64x8_sub(m->sum, f64x8_sub(sum, back)), f64x8_sub(a, back)));
    m->sum = sum;
}

/* Eight vectors of entries and their weights. */
FS_INLINE void NAME(moments_add_eight)(NAME(moment_sum) *m, const REAL *x, const VEC *w, int ways)
{
    VEC t[4];
    for (int j = 0; j < 4; j++)
        t[j] = V(mul)(w[j], NAME(below_max)(m, V(load)(x + j * LANES), ways));
    for (int j = 0; j < 4; j++)
        t[j] = V(fma)(w[j + 4], NAME(below_max)(m, V(load)(x + (j + 4) * LANES), ways), t[j]);
    NAME(moments_add)(m, V(add)(V(add)(t[0], t[2]), V(add)(t[1], t[3])));
}

FS_INLINE double NAME(moments_end)(const NAME(moment_sum) *m) { return f64x8_sum(m->sum) + f64x8_sum(m->error); }

FS_INLINE void NAME(step)(const REAL *x, REAL *out, NAME(factor) factor, const NAME(constants) *k, int ways, int what,
                          VEC *w, int count)
{
    if (what & NAME(GIVEN)) {
        for (int j = 0; j < count; j++)
            w[j] = V(mul)(V(load)(out + j * LANES), V(set1)(factor.high));
        return;
    }
    for (int j = 0; j < count; j++)
        w[j] = V(load)(x + j * LANES);
    NAME(weights)(w, count, k, ways);
    for (int j = 0; j < count; j++) {
        if (what & NAME(MULTIPLY))
            w[j] = NAME(product)(w[j], factor);
        if (what & NAME(STORE))
            V(store)(out + j * LANES, w[j]);
    }
}

FS_INLINE double NAME(pass_by)(const REAL *x, size_t len, REAL max, NAME(origin) o, const NAME(scale) *s,
                               NAME(factor) factor, REAL *out, double *moment, int ways, int what)
{
    NAME(moment_sum) moments = NAME(moments_begin)(max, s);
    NAME(constants) k = NAME(constants_of)(o, max, s, ways & FS_MAY_UNDERFLOW ? LIFT : 0);
    VEC w[8];
    NAME(sum) sum = NAME(sum_begin)();
    const int has_out = (what & (NAME(STORE) | NAME(GIVEN))) != 0;
    size_t i = 0;
    for (; i + 8 * LANES <= len; i += 8 * LANES) {
        for (int j = 0; j < 8; j += FS_IN_FLIGHT)
            NAME(step)(x + i + j * LANES, has_out ? out + i + j * LANES : NULL, factor, &k, ways, what, w + j,
                       FS_IN_FLIGHT);
        if (what & NAME(SUM)) {
            for (int j = 0; j < 8; j++)
                NAME(sum_add)(&sum, w[j], j & 1);
            for (int j = 0; j < 8 && !(what & NAME(GIVEN));
                 j++) /* the block after the next, whose range is taken soon */
                FS_PREFETCH((const char *)(x + i + j * LANES) + 2 * BLOCK * sizeof(REAL));
        }
        if (what & NAME(MOMENT))
            NAME(moments_add_eight)(&moments, x + i, w, ways);
    }
    const VEC zero = V(set1)(0);
    VEC few[4] = {zero, zero, zero, zero}; /* the whole of a short row, which is summed as such */
    const int short_row = (what & NAME(SUM)) != 0 && len <= 4 * LANES;
    for (int odd = 0; i < len; i += LANES, odd ^= 1) {
        if (len - i >= LANES) {
            NAME(step)(x + i, has_out ? out + i : NULL, factor, &k, ways, what, w, 1);
            if (what & NAME(MOMENT))
                NAME(moments_add)(&moments, V(mul)(w[0], NAME(below_max)(&moments, V(load)(x + i), ways)));
        } else { /* the lanes past the end are -inf, so this vector may underflow */
            NAME(constants) last = NAME(constants_of)(o, max, s, LIFT);
            if (what & NAME(GIVEN)) {
                w[0] = V(mul)(V(load_first)(out + i, len - i, 0), V(set1)(factor.high));
            } else {
                w[0] = V(load_first)(x + i, len - i, -FS_INFINITY);
                NAME(weights)(w, 1, &last, ways | FS_MAY_UNDERFLOW);
            }
            if (what & NAME(MULTIPLY))
                w[0] = NAME(product)(w[0], factor);
            if (what & NAME(STORE))
                V(store_first)(out + i, w[0], len - i);
            if (what & NAME(MOMENT)) {
                VEC v = V(load_first)(x + i, len - i, -FS_INFINITY);
                NAME(moments_add)(&moments, V(mul)(w[0], NAME(below_max)(&moments, v, FS_MAY_UNDERFLOW)));
            }
        }
        if (short_row)
            few[i / LANES] = w[0];
        else if (what & NAME(SUM))
            NAME(sum_add)(&sum, w[0], odd);
    }
    if (what & NAME(MOMENT))
        *moment = NAME(moments_end)(&moments);
    if (short_row)
        return NAME(sum_of_few)(few, (int)((len + LANES - 1) / LANES));
    return what & NAME(SUM) ? NAME(sum_end)(&sum) : 0.0;
}

/* The weights of a block, against the origin that follows from its range. */
FS_INLINE double NAME(pass)(const REAL *x, size_t len, NAME(range) r, const NAME(scale) *s, NAME(factor) factor,
                            REAL *out, double *moment, int what)
{
    NAME(origin) o = NAME(origin_of)(r.max, s);
    if (FS_UNLIKELY(o.shift != 0))
        return NAME(pass_by)(x, len, r.max, o, s, factor, out, moment, FS_MAY_UNDERFLOW | FS_SHIFTED, what);
    return r.no_underflow ? NAME(pass_by)(x, len, r.max, o, s, factor, out, moment, 0, what)
                          : NAME(pass_by)(x, len, r.max, o, s, factor, out, moment, FS_MAY_UNDERFLOW, what);
}

/* Sum of the weights of a block. */
FS_NOINLINE double NAME(block_sum)(const REAL *x, size_t len, NAME(range) r, const NAME(scale) *s)
{
    return NAME(pass)(x, len, r, s, NAME(unit), NULL, NULL, NAME(SUM));
}

/* The same, and the sum of the weights times max - x. */
FS_NOINLINE double NAME(block_moment)(const REAL *x, size_t len, NAME(range) r, const NAME(scale) *s, double *moment)
{
    return NAME(pass)(x, len, r, s, NAME(unit), NULL, moment, NAME(SUM) | NAME(MOMENT));
}

/* The same two of weights that block_weights has left, multiplied by the power of two `by` (moment may be NULL). */
FS_NOINLINE double NAME(block_again)(const REAL *x, size_t len, REAL max, const NAME(scale) *s, REAL *weights,
                                     REAL by, double *moment)
{
    const NAME(factor) factor = {by, 0};
    const NAME(origin) o = {0, 0};
    return moment ? NAME(pass_by)(x, len, max, o, s, factor, weights, moment, FS_MAY_UNDERFLOW,
                                  NAME(GIVEN) | NAME(SUM) | NAME(MOMENT))
                  : NAME(pass_by)(x, len, max, o, s, factor, weights, NULL, 0, NAME(GIVEN) | NAME(SUM));
}

/* The same, and the weights themselves. */
FS_NOINLINE double NAME(block_weights)(const REAL *x, size_t len, NAME(range) r, const NAME(scale) *s, REAL *out)
{
    return NAME(pass)(x, len, r, s, NAME(unit), out, NULL, NAME(SUM) | NAME(STORE));
}

/* out = weight * factor: the same product as block_weights followed by block_multiply. */
FS_NOINLINE void NAME(block_softmax)(const REAL *x, size_t len, NAME(range) r, const NAME(scale) *s,
                                     NAME(factor) factor, REAL *out)
{
    NAME(pass)(x, len, r, s, factor, out, NULL, NAME(STORE) | NAME(MULTIPLY));
}

/* w *= factor, in place, from the first vector boundary of the memory on in whole vectors. */
FS_INLINE void NAME(block_multiply)(REAL *w, size_t len, NAME(factor) factor)
{
    size_t i = (64 - (uintptr_t)w % 64) % 64 / sizeof(REAL);
    if (i > len)
        i = len;
    if (i)
        V(store_first)(w, NAME(product)(V(load_first)(w, i, 0), factor), i);
    for (; i + 8 * LANES <= len; i += 8 * LANES) {
        VEC v[8];
        for (int j = 0; j < 8; j++)
            v[j] = NAME(product)(V(load)(w + i + j * LANES), factor);
        for (int j = 0; j < 8; j++)
            V(store)(w + i + j * LANES, v[j]);
    }
    for (; i + LANES <= len; i += LANES)
        V(store)(w + i, NAME(product)(V(load)(w + i), factor));
    if (i < len)
        V(store_first)(w + i, NAME(product)(V(load_first)(w + i, len - i, 0), factor), len - i);
}

/* 2^(n + f) for the weights: exp2_f32 and exp2_f64, the only place where the element types take different ways.
 * Table and coefficients: tools/exp2_coefficients.py.
 *
 * On entry t = magic + n, where adding magic has rounded c y to the nearest multiple n of the step, and f = c y - n.
 * On return p = 2^(n + f), n's integer part added to the exponent.
 */
#ifndef FS_EXP2_H
#define FS_EXP2_H

/* What the weights of a block need (softmax/block-inl.h). */
enum { FS_MAY_UNDERFLOW = 1, FS_SHIFTED = 2 };

/* float: n is a multiple of 1/8, |f| <= 1/16.  With j/8 the fraction of n,
 *     2^(n + f) = s + s (d + f (c1 + f (c2 + f (c3 + f c4))))
 * where s is 2^n rounded to float and d the relative error of that, both from tables of 8.
 * Error: 1/2 ulp from the last sum, the rest below 0.06 ulp. */
FS_INLINE void exp2_f32(f32x16 *p, const f32x16 *t, const f32x16 *f, int count)
{
    const f32x16 c1 = f32x16_set1(0x1.62e43p-1f), c2 = f32x16_set1(0x1.ebfbep-3f);
    const f32x16 c3 = f32x16_set1(0x1.c6b8bep-5f), c4 = f32x16_set1(0x1.3b2bd6p-7f);
    for (int j = 0; j < count; j++)
        p[j] = f32x16_fma(c4, f[j], c3);
    for (int j = 0; j < count; j++)
        p[j] = f32x16_fma(p[j], f[j], c2);
    for (int j = 0; j < count; j++)
        p[j] = f32x16_fma(p[j], f[j], c1);
    for (int j = 0; j < count; j++) {
        f32x16 residual, s = f32x16_exp2_eighths(t[j], &residual);
        p[j] = f32x16_fma(s, f32x16_fma(p[j], f[j], residual), s);
    }
}

/* double: n is an integer, |f| <= 1/2, and 2^f is a polynomial of degree 11 with a relative error of 2^-57.7. */
FS_INLINE void exp2_f64(f64x8 *p, const f64x8 *t, const f64x8 *f, int count)
{
    for (int j = 0; j < count; j++)
        p[j] = f64x8_set1(fs_exp2_term[0]);
    for (int i = 1; i < FS_EXP2_TERMS; i++)
        for (int j = 0; j < count; j++)
            p[j] = f64x8_fma(p[j], f[j], f64x8_set1(fs_exp2_term[i]));
    for (int j = 0; j < count; j++)
        p[j] = f64x8_exponent_add(p[j], t[j]);
}

#endif

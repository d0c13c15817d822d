/* The sum of a block's weights: the reduction tree that makes the result independent of the machine.
 *
 * Four vectors are added pairwise, (0 + 1) + (2 + 3); that is all the rounding a weight meets in its own type, at
 * most 1 ulp together.  The groups of four follow each other into an accumulator: for float eight lanes of double,
 * to which lanes i and i + 8 of a group are added together; for double eight lanes with their rounding errors beside
 * them.  At the end lanes i and i + 4, i + 2, i + 1 are added.  What is missing at the end of a row counts as 0,
 * which is exact, so a row of one vector is summed as one of many is.
 */
#ifndef FS_SUM_H
#define FS_SUM_H

typedef f64x8 sum_f32;
typedef struct {
    f64x8 sum, error;
} sum_f64;

FS_INLINE sum_f32 sum_begin_f32(void) { return f64x8_set1(0.0); }
FS_INLINE sum_f32 sum_add_f32(sum_f32 s, f32x16 group) { return f64x8_add(s, f32x16_fold(group)); }
FS_INLINE double sum_end_f32(sum_f32 s) { return f64x8_sum(s); }

/* a + b = sum + error exactly, whichever is larger (Knuth's two-sum) */
FS_INLINE sum_f64 fs_two_sum(f64x8 a, f64x8 b)
{
    sum_f64 r;
    r.sum = f64x8_add(a, b);
    f64x8 back = f64x8_sub(r.sum, a);
    r.error = f64x8_add(f64x8_sub(a, f64x8_sub(r.sum, back)), f64x8_sub(b, back));
    return r;
}

FS_INLINE sum_f64 sum_begin_f64(void)
{
    sum_f64 s = {f64x8_set1(0.0), f64x8_set1(0.0)};
    return s;
}
FS_INLINE sum_f64 sum_add_f64(sum_f64 s, f64x8 group)
{
    sum_f64 r = fs_two_sum(s.sum, group);
    r.error = f64x8_add(s.error, r.error);
    return r;
}
FS_INLINE double sum_end_f64(sum_f64 s)
{
    f64x8 error = s.error;
    s = fs_two_sum(s.sum, f64x8_swap4(s.sum));
    error = f64x8_add(f64x8_add(error, f64x8_swap4(error)), s.error);
    s = fs_two_sum(s.sum, f64x8_swap2(s.sum));
    error = f64x8_add(f64x8_add(error, f64x8_swap2(error)), s.error);
    s = fs_two_sum(s.sum, f64x8_swap1(s.sum));
    error = f64x8_add(f64x8_add(error, f64x8_swap1(error)), s.error);
    return f64x8_first_lane(f64x8_add(s.sum, error));
}

/* The sums of as many rows of one group as there are lanes. */
FS_INLINE void sum_rows_f32(const f32x16 *group, double *sum)
{
    for (int half = 0; half < 16; half += 8) {
        f64x8 folded[8];
        for (int i = 0; i < 8; i++)
            folded[i] = f32x16_fold(group[half + i]);
        f64x8_sum_rows(folded, sum + half);
    }
}
FS_INLINE void sum_rows_f64(const f64x8 *group, double *sum)
{
    for (int i = 0; i < 8; i++)
        sum[i] = sum_end_f64(sum_add_f64(sum_begin_f64(), group[i]));
}

#endif

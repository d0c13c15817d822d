/* The mass of a block without its largest entry, for the logarithm of a sum which that entry dominates. */
#ifndef FS_REST_H
#define FS_REST_H

/* Sum of 2^(c (x - max)) over [start, start + len), the first entry equal to max left out; in double. */
static double fs_rest_of_block(const fs_reader *reader, size_t start, size_t len, const fs_scale *c, double max)
{
    scale_f64 scale = scale_of_f64(c);
    double rest = 0.0;
    int left_out = 0;
    for (size_t end = start + len; start < end; start += 512) {
        double copy[512];
        size_t part = end - start < 512 ? end - start : 512;
        const double *x = fs_load_f64(reader, start, part, copy);
        for (size_t i = 0; i < part; i++) {
            int leave = !left_out && x[i] == max;
            copy[i] = leave ? -INFINITY : x[i];
            left_out |= leave;
        }
        range_f64 range = range_of_f64(copy, part, &scale);
        if (range.max == -INFINITY)
            continue;
        origin_f64 origin = origin_of_f64(range.max, &scale);
        rest += block_sum_f64(copy, part, range, &scale) * fs_exp2(c, origin.shift - max, origin.power);
    }
    return rest;
}

#endif

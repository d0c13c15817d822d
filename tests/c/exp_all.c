/* The float32 exponential of csrc/softmax/block-inl.h over all 2^32 inputs: its error, and one result for every instruction set.
 *
 *     exp_all [--stride K]
 *
 * Compiled once for each set, with its flags and -DSET='"isa_<set>.c"'.  Every K-th bit pattern is an input (an odd K
 * reaches every low bit).  The inputs meet two origins: their own vector's largest entry, and a fixed maximum above
 * them, so that weights fall to 0.  Prints a digest of all weights. */
#include SET

#include "base/real_f32.h"
#include "testing.h"

/* csrc/softmax/block-inl.h: "|e| < 1.1 ulp"; the margin is this test's. */
static const double bound = 1.2;

enum { TERMS = 14 };

static double term[TERMS];
static unsigned long long checks, digest;
static double worst;
static float worst_at;

/* Taylor's series of 2^f, (f ln 2)^k / k!: on [-1/2, 1/2] its rest is below 2^-57. */
static void prepare(void)
{
    term[0] = 1.0;
    for (int k = 1; k < TERMS; k++)
        term[k] = term[k - 1] * FS_LN2_HIGH / k;
}

/* The largest error of w against 2^(c (x - shift) - power), in ulp; by lane.  Exact to 2^-50 but for the final ulp. */
static void errors(const float *x, const float *w, const fs_scale *c, origin_f32 o, double *error)
{
    for (int i = 0; i < LANES; i++) {
        double d = (double)x[i] - o.shift;
        double z = fma(d, c->high, -(double)o.power);
        double n = z < -1000.0 ? -1000.0 : (z + 0x1.8p52) - 0x1.8p52;
        double f = z < -1000.0 ? 0.0 : fma(d, c->low, fma(d, c->high, -(double)o.power - n));
        double p = term[TERMS - 1];
        for (int k = TERMS - 2; k >= 0; k--)
            p = fma(p, f, term[k]);
        double exact = p * fs_f64_of((uint64_t)((int64_t)n + 1023) << 52);
        double binade = fs_f64_of(fs_bits_f64(exact) & UINT64_C(0x7ff0000000000000));
        double ulp = binade > 0x1p-126 ? binade * 0x1p-23 : 0x1p-149;
        error[i] = fabs((double)w[i] - exact) / ulp;
    }
}

static void test_vector(const float *x, float max, double temperature)
{
    float w[LANES], no_underflow[LANES];
    double error[LANES], most = 0.0;
    fs_scale c = fs_scale_of(temperature);
    scale_f32 scale = scale_of_f32(&c);
    origin_f32 o = origin_of_f32(max, &scale);
    constants_f32 k = constants_of_f32(o, max, &scale, LIFT), k_no_underflow = constants_of_f32(o, max, &scale, 0);
    f32x16 v = f32x16_load(x), v_no_underflow = v;
    weights_f32(&v, 1, &k, FS_MAY_UNDERFLOW | FS_SHIFTED);
    weights_f32(&v_no_underflow, 1, &k_no_underflow, o.shift != 0 ? FS_SHIFTED : 0);
    f32x16_store(w, v);
    f32x16_store(no_underflow, v_no_underflow);
    errors(x, w, &c, o, error);
    for (int i = 0; i < LANES; i++) {
        most = error[i] > most ? error[i] : most;
        digest = (digest ^ fs_bits_f32(w[i])) * 0x100000001b3ull;
    }
    checks += LANES;
    if (most > worst || !(most <= bound))
        for (int i = 0; i < LANES; i++)
            if (error[i] == most || !(error[i] <= bound)) {
                worst = error[i];
                worst_at = x[i];
                check(error[i] <= bound, "exp(%a / %g) with maximum %a is off by %.3f ulp", x[i], temperature, max,
                      error[i]);
            }
    for (int i = 0; i < LANES; i++) /* csrc/softmax/block-inl.h computes these without the handling of underflow */
        if (max - x[i] < scale.no_underflow && fs_bits_f32(w[i]) != fs_bits_f32(no_underflow[i]))
            check(0, "exp(%a / %g) with maximum %a: %a if the block may underflow, %a if not", x[i], temperature, max,
                  w[i], no_underflow[i]);
}

/* All inputs `stride` apart that are not above `maximum`; if that is infinite, against their own vector's largest.
 * Infinities and NaN do not come here: range_of finds them. */
static void sweep(uint64_t stride, double temperature, float maximum)
{
    float x[LANES];
    int count = 0;
    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += stride) {
        float a = fs_f32_of((uint32_t)u);
        if (!(fabsf(a) <= FLT_MAX) || a > maximum)
            continue;
        x[count++] = a;
        if (count < LANES)
            continue;
        count = 0;
        float max = x[0];
        for (int i = 1; i < LANES; i++)
            max = x[i] > max ? x[i] : max;
        test_vector(x, maximum < INFINITY ? maximum : max, temperature);
    }
}

int main(int argc, char **argv)
{
    uint64_t stride = (uint64_t)option(argc, argv, "--stride", 1);
    static const double temperatures[] = {1e-6, 1e-3, 0.05, 0.7, 3.0, 30.0, 1e6};
    static const float maxima[] = {0.0f, 0x1.2p-3f, -88.0f, 300.0f, -4000.0f, 1e4f, 0x1p100f, INFINITY};
    prepare();
    sweep(stride, 1.0, 0.0f);
    sweep(stride, 1.0, INFINITY);
    printf("temperature 1: %.4f ulp at most, at %a\n", worst, worst_at);
    for (size_t t = 0; t < sizeof temperatures / sizeof temperatures[0]; t++)
        for (size_t m = 0; m < sizeof maxima / sizeof maxima[0]; m++)
            sweep((stride < 100 ? 100 * stride : 10 * stride) + 1, temperatures[t], maxima[m]);
    printf("any temperature: %.4f ulp at most, at %a\n", worst, worst_at);
    printf("digest %016llx\n", digest);
    return finish("exp_all " SET, checks);
}

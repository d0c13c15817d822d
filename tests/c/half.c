/* float16 and bfloat16: every one of the 65,536 as float, and float rounded back half to even.
 *
 *     half [--stride K]
 *
 * Compiled once for each instruction set, with -DSET='"isa_<set>.c"'.  Floats to round are every K-th and, for each
 * pair of neighbours of the format, their middle and the floats next to it.  What is expected comes from the values of
 * the format in order, not from its bits. */
#include SET

#include "testing.h"

enum { PART = 512 };

static unsigned long long checks;

/* The format's finite values >= 0 in order, then the power of two that the next one would be. */
typedef struct {
    fs_dtype dtype;
    unsigned infinity;
    double value[0x7f82];
} format;

static void make_format(format *f, fs_dtype dtype)
{
    int mantissa = dtype == FS_F16 ? 10 : 7, bias = dtype == FS_F16 ? 15 : 127;
    f->dtype = dtype;
    f->infinity = dtype == FS_F16 ? 0x7c00 : 0x7f80;
    for (unsigned h = 0; h <= f->infinity; h++) {
        int exponent = (int)(h >> mantissa), fraction = (int)(h & ((1u << mantissa) - 1));
        f->value[h] = exponent ? ldexp((1 << mantissa) + fraction, exponent - bias - mantissa)
                               : ldexp(fraction, 1 - bias - mantissa);
    }
}

static void load(const format *f, const uint16_t *from, size_t n, float *to)
{
    fs_row row = {from, 2, f->dtype, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    fs_reader source = fs_reader_of(&row);
    const float *x = fs_load_f32(&source, 0, n, to);
    if (x != to)
        memcpy(to, x, n * sizeof *to);
}

static void store(const format *f, const float *from, size_t n, uint16_t *to)
{
    fs_output out = {to, 2, f->dtype};
    fs_store_f32(&out, 0, n, from);
}

static void test_widening(const format *f)
{
    uint16_t half[PART];
    float wide[FS_MAX_BLOCK], part[FS_MAX_BLOCK];
    for (unsigned first = 0; first < 0x10000; first += PART) {
        for (unsigned i = 0; i < PART; i++)
            half[i] = (uint16_t)(first + i);
        load(f, half, PART, wide);
        size_t n = 1 + first / PART * 37 % PART; /* a part that may end within a vector */
        load(f, half, n, part);
        for (size_t i = 0; i < n; i++)
            check(part[i] == wide[i] || (part[i] != part[i] && wide[i] != wide[i]), "%s %04x among %zu is %a or %a",
                  dtype_name[f->dtype], half[i], n, part[i], wide[i]);
        for (unsigned i = 0; i < PART; i++) {
            unsigned magnitude = half[i] & 0x7fff;
            double sign = half[i] & 0x8000 ? -1.0 : 1.0, expected = INFINITY;
            float one = f->dtype == FS_F16 ? fs_f32_from_f16(half[i]) : fs_f32_from_bf16(half[i]);
            if (magnitude < f->infinity)
                expected = f->value[magnitude];
            checks += 2;
            if (magnitude > f->infinity)
                check(one != one && wide[i] != wide[i], "%s %04x is NaN", dtype_name[f->dtype], half[i]);
            else
                check(fs_bits_f32(one) == fs_bits_f32((float)(sign * expected)) &&
                          fs_bits_f32(wide[i]) == fs_bits_f32(one),
                      "%s %04x is %a, not %a or %a", dtype_name[f->dtype], half[i], sign * expected, one, wide[i]);
        }
    }
}

/* The floats waiting to be rounded together, and what each should become. */
static struct {
    float from[PART];
    uint16_t to[PART];
    size_t count;
} waiting;

static void test_waiting(const format *f)
{
    uint16_t got[PART];
    store(f, waiting.from, waiting.count, got);
    for (size_t i = 0; i < waiting.count; i++) {
        float a = waiting.from[i];
        uint16_t one = f->dtype == FS_F16 ? fs_f16_from_f32(a) : fs_bf16_from_f32(a);
        int right = one == waiting.to[i] && got[i] == waiting.to[i];
        if (a != a)
            right = (one & 0x7fff) > f->infinity && (got[i] & 0x7fff) > f->infinity;
        check(right, "%s of %a is %04x, not %04x or %04x", dtype_name[f->dtype], a, waiting.to[i], one, got[i]);
    }
    checks += 2 * waiting.count;
    waiting.count = 0;
}

static void test_narrowing(const format *f, float magnitude, unsigned expected)
{
    for (unsigned sign = 0; sign < 2; sign++) {
        waiting.from[waiting.count] = sign ? -magnitude : magnitude;
        waiting.to[waiting.count++] = (uint16_t)(sign << 15 | expected);
    }
    if (waiting.count > PART - 2 - checks % 31)
        test_waiting(f);
}

/* The nearest value, of two as near the even one; `below` is the largest value that is not above. */
static unsigned nearest(const format *f, double a, unsigned below)
{
    double middle = 0.5 * (f->value[below] + f->value[below + 1]);
    return a > middle || (a == middle && below % 2) ? below + 1 : below;
}

int main(int argc, char **argv)
{
    static format f;
    uint32_t stride = (uint32_t)option(argc, argv, "--stride", 1);
    for (int dtype = FS_F16; dtype <= FS_BF16; dtype++) {
        make_format(&f, (fs_dtype)dtype);
        test_widening(&f);
        for (unsigned h = 0; h < f.infinity; h++) {
            float middle = (float)(0.5 * (f.value[h] + f.value[h + 1]));
            float operands[] = {(float)f.value[h], nextafterf(middle, 0.0f), middle, nextafterf(middle, INFINITY)};
            for (int i = 0; i < 4; i++)
                test_narrowing(&f, operands[i], nearest(&f, operands[i], h));
        }
        unsigned below = 0;
        for (uint32_t u = 0; u < 0x7f800000; u += stride) {
            double a = fs_f32_of(u);
            while (below + 1 < f.infinity && f.value[below + 1] <= a)
                below++;
            test_narrowing(&f, (float)a, a >= f.value[f.infinity] ? f.infinity : nearest(&f, a, below));
        }
        test_narrowing(&f, INFINITY, f.infinity);
        test_narrowing(&f, fs_f32_of(0x7fc00000), f.infinity + 1);
        test_narrowing(&f, fs_f32_of(0x7f800001), f.infinity + 1);
        test_waiting(&f);
    }
    return finish("half " SET, checks);
}

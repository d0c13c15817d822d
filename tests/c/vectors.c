/* Comparing, packing and summing of vectors, lane by lane, for every choice of lanes; and products and sums rounded once.
 *
 *     vectors
 *
 * Compiled once for each instruction set, with its flags and -DVECTOR='"simd/<set>.h"'.  What is expected is written out here, from what
 * csrc/simd/scalar.h says of each operation.  Nothing is written before the place that is given, nor more than a whole
 * vector. */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include VECTOR
#include "testing.h"

enum { AROUND = 20 };

static unsigned long long checks;
static random_stream r = {29};

/* Any bits at all, among them zeros of either sign, infinities and NaN. */
static uint64_t any_bits(int wide)
{
    static const double some[] = {0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, 0x1p-1074, -0x1p-149, FLT_MAX};
    uint64_t word = next_word(&r), which = below(&r, 14);
    if (which >= sizeof some / sizeof some[0])
        return wide ? word : word >> 32;
    return wide ? fs_bits_f64(some[which]) : fs_bits_f32((float)some[which]);
}

static void expect_packed(const char *what, unsigned chosen, const void *got, const void *expected, size_t size,
                          size_t lanes, size_t count)
{
    const unsigned char *p = got;
    int intact = 1;
    check(!memcmp(p + AROUND * size, expected, count * size), "%s of lanes %x", what, chosen);
    for (size_t i = 0; i < AROUND * size; i++)
        intact &= p[i] == 0x5a && p[(AROUND + lanes) * size + i] == 0x5a;
    check(intact, "%s of lanes %x wrote outside of one vector", what, chosen);
    checks += 2;
}

/* One definition for each vector: VEC, REAL and the others are those of csrc/base/real_f32.h and csrc/base/real_f64.h. */
#define TEST_OPERATIONS(VEC, REAL, LANES, BITS, OF_BITS, WIDE)                                                       \
    static void test_##VEC(unsigned chosen)                                                                          \
    {                                                                                                                \
        REAL a[LANES], low[LANES], weight[LANES], packed[LANES], to[LANES + 2 * AROUND];                             \
        uint32_t from[LANES], number[LANES], numbers[LANES + 2 * AROUND], first = (uint32_t)next_word(&r);           \
        unsigned at_least = 0;                                                                                       \
        uint64_t sum = 0;                                                                                            \
        size_t count = 0;                                                                                            \
        for (int i = 0; i < LANES; i++) {                                                                            \
            a[i] = OF_BITS((BITS)any_bits(WIDE));                                                                    \
            low[i] = below(&r, 3) ? OF_BITS((BITS)any_bits(WIDE)) : a[i];                                            \
            weight[i] = (REAL)(below(&r, 8) ? next_uniform(&r) * ldexp(1.4, -(int)below(&r, 60)) : 0.0);             \
            from[i] = (uint32_t)next_word(&r);                                                                       \
            at_least |= (unsigned)(a[i] >= low[i]) << i;                                                             \
            sum += fs_integer_weight((double)weight[i]);                                                             \
            if (chosen >> i & 1) {                                                                                   \
                packed[count] = a[i];                                                                                \
                number[count++] = from[i] + first;                                                                   \
            }                                                                                                        \
        }                                                                                                            \
        memset(to, 0x5a, sizeof to);                                                                                 \
        memset(numbers, 0x5a, sizeof numbers);                                                                       \
        VEC##_pack(to + AROUND, VEC##_load(a), chosen);                                                              \
        VEC##_pack_numbers(numbers + AROUND, from, first, chosen);                                                   \
        expect_packed(#VEC "_pack", chosen, to, packed, sizeof(REAL), LANES, count);                                 \
        expect_packed(#VEC "_pack_numbers", chosen, numbers, number, sizeof(uint32_t), LANES, count);                \
        check(VEC##_at_least(VEC##_load(a), VEC##_load(low)) == at_least, #VEC "_at_least is not %x", at_least);     \
        fs_integers twice = VEC##_add_integers(fs_no_integers(), VEC##_load(weight));                                \
        twice = VEC##_add_integers(twice, VEC##_load(weight));                                                       \
        check(fs_integers_total(twice, 2 * LANES) == 2 * sum, #VEC "_add_integers");                                 \
        checks += 2;                                                                                                 \
    }

TEST_OPERATIONS(f32x16, float, 16, uint32_t, fs_f32_of, 0)
TEST_OPERATIONS(f64x8, double, 8, uint64_t, fs_f64_of, 1)

/* m 2^-149 and a product next to half of 2^-149, or that half: of a sum rounded twice nothing of the product but the half is
 * left, and it falls to the even neighbour. */
static void test_fused_subnormal(void)
{
    float a[16], b[16], c[16], expected[16], got[16];
    for (int i = 0; i < 16; i++) {
        const uint32_t m = (uint32_t)(below(&r, 2) ? below(&r, 1 << 23) : (1 << 23) - 1 - below(&r, 64));
        const uint32_t sign = (uint32_t)(next_word(&r) & 1) << 31;
        const float beside = (float)below(&r, 3) * 0x1p-23f, other = next_word(&r) & 1 ? beside : -beside;
        const uint32_t up = beside == 0.0f ? m & 1 : other > 0.0f; /* (1 + beside) (1 + other) > 1 */
        a[i] = (1.0f + beside) * 0x1p-75f;
        b[i] = fs_f32_of(fs_bits_f32((1.0f + other) * 0x1p-75f) | sign);
        c[i] = fs_f32_of(m | sign);
        expected[i] = fs_f32_of((m + up) | sign);
    }
    f32x16_store(got, f32x16_fma(f32x16_load(a), f32x16_load(b), f32x16_load(c)));
    for (int i = 0; i < 16; i++)
        check(!memcmp(got + i, expected + i, 4), "%a * %a + %a is %a, not %a", (double)a[i], (double)b[i],
              (double)c[i], (double)got[i], (double)expected[i]);
    checks += 16;
}

/* Operands of any kind, whose product and third are often of about the same size: as the C library has it, where that is
 * known to round once. */
static void test_fused(void)
{
#ifdef __GLIBC__
    float a[16], b[16], c[16], got[16];
    for (int i = 0; i < 16; i++) {
        a[i] = fs_f32_of((uint32_t)any_bits(0));
        b[i] = fs_f32_of((uint32_t)any_bits(0));
        c[i] = fs_f32_of((uint32_t)any_bits(0));
        if (next_word(&r) & 1)
            c[i] = ldexpf(-a[i] * b[i], (int)below(&r, 60) - 30);
    }
    f32x16_store(got, f32x16_fma(f32x16_load(a), f32x16_load(b), f32x16_load(c)));
    for (int i = 0; i < 16; i++) {
        const float expected = fmaf(a[i], b[i], c[i]);
        check(expected != expected ? got[i] != got[i] : !memcmp(got + i, &expected, 4), "%a * %a + %a is %a, not %a",
              (double)a[i], (double)b[i], (double)c[i], (double)got[i], (double)expected);
    }
    checks += 16;
#endif
}

int main(void)
{
    for (int i = 0; i < 20000; i++) {
        test_fused_subnormal();
        test_fused();
    }
    for (unsigned chosen = 0; chosen < 1u << 16; chosen++) {
        test_f32x16(chosen);
        test_f64x8(chosen & 0xff);
    }
    return finish("vectors " VECTOR, checks);
}

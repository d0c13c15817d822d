/* The 128-bit products and quotients of csrc/base/bits.h against the compiler's own.
 * Compiled with -U__SIZEOF_INT128__ it tests the branches for compilers that have none. */
#include "testing.h"

__extension__ typedef unsigned __int128 uint128;

static unsigned long long checks;

static uint64_t any_word(random_stream *r)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0xffffffff,
                                     UINT64_C(1) << 32,
                                     (UINT64_C(1) << 32) + 1,
                                     UINT64_MAX >> 1,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
    uint64_t word = next_word(r), how = next_word(r);
    if (how % 4 == 0)
        return edges[word % (sizeof edges / sizeof edges[0])];
    return how % 4 == 1 ? word : word >> (how >> 8) % 64;
}

/* floor(u * total * 2^64) by integers: u = mantissa * 2^-shift with 53 bits. */
static uint128 scaled(double u, uint64_t total)
{
    int exponent;
    uint128 mantissa = (uint64_t)ldexp(frexp(u, &exponent), 53), product = mantissa * total;
    int shift = 53 - exponent - 64;
    return shift <= 0 ? product << -shift : shift < 128 ? product >> shift : 0;
}

int main(void)
{
    static const double uniforms[] = {0.0,      0x1p-1074,   0x1p-1022, 0x1p-117,      0x1p-64,
                                      0x1p-53,  0x1p-12,     0x1p-11,   0x1.8p-11,     0.5,
                                      0.9999,   1 - 0x1p-53, 0x1p-126,  0x1.fffffp-12, 0x1.fffffffffffffp-12,
                                      0x1p-115, 0x1.8p-64};
    random_stream r = {1};
    for (int i = 0; i < 2000000; i++) {
        uint64_t a = any_word(&r), b = any_word(&r), d = any_word(&r), total = any_word(&r) >> 1;
        uint128 product = (uint128)a * b;
        fs_u128 p = fs_multiply(a, b);
        check(p.high == (uint64_t)(product >> 64) && p.low == (uint64_t)product, "%llx * %llx", (unsigned long long)a,
              (unsigned long long)b);
        if (p.high < d)
            check(fs_divide(p, d) == (uint64_t)(product / d), "%llx * %llx / %llx", (unsigned long long)a,
                  (unsigned long long)b, (unsigned long long)d);
        double u = i % 4 ? next_uniform(&r) : uniforms[next_word(&r) % (sizeof uniforms / sizeof uniforms[0])];
        if (i % 4 == 1)
            u = fs_f64_of((next_word(&r) % 1023) << 52 | next_word(&r) >> 12);
        uint128 place = scaled(u, total);
        fs_u128 t = fs_scale_uniform(u, total);
        check(t.high == (uint64_t)(place >> 64) && t.low == (uint64_t)place, "%a * %llx is not %llx + %llx / 2^64", u,
              (unsigned long long)total, (unsigned long long)t.high, (unsigned long long)t.low);
        if (t.high < d) { /* d and `a` as the totals of a block here and there */
            uint128 product = (place >> 64) * a + ((uint128)(uint64_t)place * a >> 64);
            check(fs_rescale(t, d, a) == (uint64_t)(product / d), "(%llx + %llx / 2^64) * %llx / %llx",
                  (unsigned long long)t.high, (unsigned long long)t.low, (unsigned long long)a,
                  (unsigned long long)d);
        }
        checks += 4;
    }
    return finish("wide", checks);
}

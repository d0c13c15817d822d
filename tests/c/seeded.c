/* Seeded draws against exact arithmetic: the draw is the number of bounds (draw/guide_table.h) that are at most U.
 *
 *     seeded [--every K]
 *
 * Compiled once for each instruction set, with -DSET='"isa_<set>.c"'.  Bounds, U and Philox are written out here in integers of 384
 * bits.  U is put at every bound, to its last bit and to the last bit that each step of a draw looks at; the words of a
 * stream are what they should be; and draws of a stream are those of its uniforms, wherever they begin, on any number
 * of threads.  --every K takes one in K of the rows.  Prints a digest of draws. */
#include SET

#include "testing.h"

enum { LONGEST = 1600, LIMBS = 12, DRAWS = 40000 };

static unsigned long long checks;
static uint64_t digest;
static char text[100];

/* Integers, lowest limb first. */
typedef struct {
    uint32_t limb[LIMBS];
} big;

static big big_of(uint64_t a)
{
    big r = {{(uint32_t)a, (uint32_t)(a >> 32)}};
    return r;
}

static big multiplied(big a, big b)
{
    big r = {{0}};
    for (int i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;
        for (int j = 0; i + j < LIMBS; j++) {
            carry += (uint64_t)a.limb[i] * b.limb[j] + r.limb[i + j];
            r.limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    return r;
}

/* a + b, or a - b for sign = -1 */
static big added(big a, big b, int sign)
{
    int64_t carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (int64_t)a.limb[i] + sign * (int64_t)b.limb[i];
        a.limb[i] = (uint32_t)carry;
        carry = carry < 0 ? -1 : carry >> 32;
    }
    return a;
}

static int is_at_most(const big *a, const big *b)
{
    for (int i = LIMBS; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i];
    return 1;
}

/* a 2^160 */
static big lifted(big a)
{
    for (int i = LIMBS; i-- > 0;)
        a.limb[i] = i < 5 ? 0 : a.limb[i - 5];
    return a;
}

static big big_of_uniform(const fs_seeded_uniform *u)
{
    big r = {{0}};
    for (int i = 0; i < 5; i++)
        r.limb[4 - i] = u->digit[i];
    return r;
}

static fs_seeded_uniform uniform_of_big(const big *a)
{
    fs_seeded_uniform u;
    for (int i = 0; i < 5; i++)
        u.digit[i] = a->limb[4 - i];
    return u;
}

/* A prepared row, and its bounds: bound[i] / whole[block of i]. */
static fs_categorical *row;
static big bound[LONGEST], whole[LONGEST];
static size_t block_of_row;

static void compute_bounds(void)
{
    block_of_row = row->wide ? FS_BLOCK_F64 : FS_BLOCK_F32;
    const big total = big_of(row->cumulative[row->blocks - 1]);
    for (size_t b = 0; b < row->blocks; b++) {
        const size_t first = b * block_of_row, past = first + block_of_row < row->n ? first + block_of_row : row->n;
        const uint64_t before = b ? row->cumulative[b - 1] : 0;
        big sum = big_of(0);
        for (size_t i = first; i < past; i++) {
            const double w = row->wide ? ((const double *)row->weight)[i] : ((const float *)row->weight)[i];
            sum = added(sum, big_of((uint64_t)(int64_t)nearbyint(w * 0x1p51)), 1);
            bound[i] = multiplied(sum, big_of(row->cumulative[b] - before));
        }
        for (size_t i = first; i < past; i++)
            bound[i] = added(bound[i], multiplied(sum, big_of(before)), 1);
        whole[b] = multiplied(sum, total);
        if (row->cumulative[b] == before) /* no weight: all bounds are where the block begins */
            for (size_t i = first; i < past; i++) {
                bound[i] = big_of(before);
                whole[b] = total;
            }
    }
}

static int64_t expected(const fs_seeded_uniform *u)
{
    const big digits = big_of_uniform(u);
    for (size_t i = 0; i < row->n;) {
        const size_t b = i / block_of_row, past = (b + 1) * block_of_row < row->n ? (b + 1) * block_of_row : row->n;
        const big place = multiplied(digits, whole[b]);
        for (; i < past; i++) {
            const big at = lifted(bound[i]);
            if (!is_at_most(&at, &place))
                return (int64_t)i;
        }
    }
    return -1;
}

/* The largest uniform that is at most bound i. */
static big uniform_at(size_t i)
{
    big rest = bound[i], u = {{0}};
    const big *of = &whole[i / block_of_row], one = big_of(1);
    for (int bit = 0; bit < 160; bit++) {
        rest = added(rest, rest, 1);
        u = added(u, u, 1);
        if (is_at_most(of, &rest)) {
            rest = added(rest, *of, -1);
            u = added(u, one, 1);
        }
    }
    return u;
}

static int64_t open_draw(const fs_seeded_uniform *u)
{
    if (row->wide) {
        const blocks_f64 r = {row->n, row->blocks, row->cumulative, 1, load_prepared_f64, row, NULL, 0};
        return draw_open_f64(&r, u);
    }
    const blocks_f32 r = {row->n, row->blocks, row->cumulative, 1, load_prepared_f32, row, NULL, 0};
    return draw_open_f32(&r, u);
}

static void test_uniform(const fs_seeded_uniform *u)
{
    const int64_t right = expected(u);
    const uint32_t x = u->digit[0], words[16] = {x};
    const fs_guide *g = &row->guide;
    uint32_t open[FS_SEEDED_AT_ONCE + 16];
    int64_t by_cell[2] = {0, -2};
    if (fs_seeded_look_up(g, words, 1, by_cell, open))
        by_cell[0] = open[0] == 0 ? -1 : -3;
    const int64_t by_bounds = fs_guide_draw(g, x, g->cell[x >> g->shift] >> g->count_at);
    check(by_cell[0] == -1 || by_cell[0] == right, "%s: the cell of %08x gives %lld, not %lld", text, x,
          (long long)by_cell[0], (long long)right);
    check(by_cell[1] == -2, "%s: more than one draw is written", text);
    check(by_bounds == -1 || by_bounds == right, "%s: the bounds at %08x give %lld, not %lld", text, x,
          (long long)by_bounds, (long long)right);
    const int64_t by_bits = open_draw(u);
    check(by_bits == right, "%s: %08x %08x %08x %08x %08x gives %lld, not %lld", text, x, u->digit[1], u->digit[2],
          u->digit[3], u->digit[4], (long long)by_bits, (long long)right);
    checks += 4;
}

/* Uniforms next to one, by the last bit of each digit and with all that follows it 0 or 1. */
static void test_around(const big *at)
{
    static const int steps[] = {0, 1, -1, 2, -2, 3, -3};
    for (int digit = 0; digit < 5; digit++)
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++)
            for (int fill = 0; fill < 3; fill++) {
                big unit = {{0}};
                unit.limb[4 - digit] = (uint32_t)abs(steps[s]);
                big near = added(*at, unit, steps[s] < 0 ? -1 : 1);
                if (near.limb[5])
                    continue; /* outside of [0, 1) */
                for (int i = digit + 1; i < 5 && fill; i++)
                    near.limb[4 - i] = fill == 1 ? 0 : UINT32_MAX;
                const fs_seeded_uniform u = uniform_of_big(&near);
                test_uniform(&u);
            }
}

/* Philox4x32-10 once more; the key of the generator is the seed, and the counter the block and the key. */
static uint32_t word_of(uint64_t seed, uint64_t key, uint64_t block, int which)
{
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)key, (uint32_t)(key >> 32)};
    for (uint32_t round = 0; round < 10; round++) {
        const uint64_t p = UINT64_C(0xd2511f53) * c[0], q = UINT64_C(0xcd9e8d57) * c[2];
        const uint32_t next[4] = {
            (uint32_t)(q >> 32) ^ c[1] ^ ((uint32_t)seed + round * UINT32_C(0x9e3779b9)), (uint32_t)q,
            (uint32_t)(p >> 32) ^ c[3] ^ ((uint32_t)(seed >> 32) + round * UINT32_C(0xbb67ae85)), (uint32_t)p};
        memcpy(c, next, sizeof c);
    }
    return c[which];
}

static fs_seeded_uniform uniform_of(uint64_t seed, uint64_t key, uint64_t j)
{
    fs_seeded_uniform u = {{word_of(seed, key, j / 4, (int)(j % 4))}};
    for (int i = 0; i < 4; i++)
        u.digit[i + 1] = word_of(seed, key, UINT64_C(0x8000000000000000) + j, i);
    return u;
}

static uint64_t any_word(random_stream *r)
{
    static const uint64_t some[] = {0, 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    return below(r, 4) ? next_word(r) : some[below(r, 5)];
}

static void test_words(random_stream *r)
{
    /* the known answers of Random123's philox4x32-10: counter, key, result */
    static const uint32_t known[3][10] = {{0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                          {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                           0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                          {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
                                           0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        const uint64_t block = (uint64_t)k[1] << 32 | k[0], key = (uint64_t)k[3] << 32 | k[2];
        const uint64_t seed = (uint64_t)k[5] << 32 | k[4];
        uint32_t word[4];
        fs_philox4x32(seed, key, block, word);
        for (int j = 0; j < 4; j++)
            check(word[j] == k[6 + j] && word_of(seed, key, block, j) == k[6 + j], "word %d of known answer %d", j,
                  i);
        checks += 4;
    }
    for (int i = 0; i < 300; i++) {
        const uint64_t seed = any_word(r), key = any_word(r);
        const uint64_t draw = any_word(r) >> 1;
        const fs_seeded_uniform u = uniform_of(seed, key, draw);
        const fs_seeded_uniform got = fs_seeded_uniform_of(seed, key, draw, u.digit[0]);
        check(!memcmp(&u, &got, sizeof u), "bits of draw %llu, seed %llx, key %llx", (unsigned long long)draw,
              (unsigned long long)seed, (unsigned long long)key);
        const uint64_t block = below(r, 2) ? any_word(r) >> 3 : (UINT64_C(1) << 32) - below(r, 10);
        uint32_t word[FS_SEEDED_WORDS];
        fs_seeded_words(seed, key, block, word);
        for (int j = 0; j < FS_SEEDED_WORDS; j++)
            check(word[j] == word_of(seed, key, block + (uint64_t)j / 4, j % 4),
                  "word %d from block %llx on, seed %llx, key %llx", j, (unsigned long long)block,
                  (unsigned long long)seed, (unsigned long long)key);
        checks += FS_SEEDED_WORDS + 1;
    }
}

static int64_t index_of[DRAWS], again[DRAWS];

/* Draws of a stream, all of them or in pieces. */
static void test_stream(size_t k, random_stream *r)
{
    const uint64_t seed = any_word(r), key = any_word(r);
    const uint64_t first = below(r, 2) ? below(r, 9) : below(r, 2) ? next_word(r) >> 2 : (UINT64_C(1) << 63) - k;
    check(kernel_categorical_draw_seeded(row, seed, key, first, k, index_of) == FS_OK, "%s: no draws", text);
    for (size_t j = 0; j < k; j += 1 + k / 500) {
        const fs_seeded_uniform u = uniform_of(seed, key, first + j);
        const int64_t right = row->sole >= 0 ? row->sole : expected(&u);
        check(index_of[j] == right, "%s: draw %zu of %zu is %lld, not %lld", text, j, k, (long long)index_of[j],
              (long long)right);
        checks++;
    }
    for (size_t at = 0, next; at < k; at = next) {
        next = at + 1 + below(r, k);
        next = next < k ? next : k;
        kernel_categorical_draw_seeded(row, seed, key, first + at, next - at, again + at);
    }
    same("draws", index_of, again, k * sizeof *again, FS_KERNELS_NAME, "in pieces", text);
    const int threads = fs_set_num_threads(3);
    memset(again, 0xff, k * sizeof *again);
    kernel_categorical_draw_seeded(row, seed, key, first, k, again);
    fs_set_num_threads(threads);
    same("draws", index_of, again, k * sizeof *again, FS_KERNELS_NAME, "on three threads", text);
    digest = extend_digest(digest, index_of, k * sizeof *index_of);
    checks += 2;
}

typedef enum { MIXED, SPREAD, ALIKE, HOLES, STEEP, RARE, PEAK, CROWDS, AT_WORDS, WHOLE, SHAPES } shape;

static const char *const name_of[] = {"normal", "wide", "alike",  "holes",           "steep",
                                      "rare",   "peak", "crowds", "bounds at words", "integers"};

static double logit_of(shape s, size_t i, size_t n, random_stream *r)
{
    switch (s) {
    case SPREAD: return 8.0 * next_normal(r);
    case ALIKE: return 0.0;
    case HOLES: return below(r, 3) || i == n / 2 ? next_normal(r) : -INFINITY;
    case STEEP: return -3.0 * (double)(i % 300);
    case RARE: return i % 3 ? -34.657359027997264 : 0.0;
    case PEAK: return i == n / 2 ? 0.0 : -40.0 + next_normal(r);
    case CROWDS: return i % 64 ? -9.0 + next_normal(r) : 0.0;
    default: return 2.0 * next_normal(r);
    }
}

/* Integers of total 2^51, which a block keeps as they are: bounds where a word or a cell begins, or just beside it; or
 * anywhere. */
static void fill_integers(double *x, shape s, size_t n, random_stream *r)
{
    static const int64_t beside[] = {0, 1, -1, 2, 3, 5, 7, 8, 9, -8};
    const int64_t total = INT64_C(1) << 51;
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int end_of = below(r, 2) ? 19 : 51 - fs_prepared_bits(n);
        int64_t end = i + 1 == n ? total : sum + (int64_t)below(r, 2 * (uint64_t)(total - sum) / (n - i));
        if (i + 1 < n && s == AT_WORDS && below(r, 8))
            end = (end >> end_of << end_of) + beside[below(r, 10)];
        end = end < sum ? sum : end > total ? total : end;
        x[i] = (double)(end - sum);
        sum = end;
    }
}

static void test_row(shape s, size_t n, fs_dtype dtype, random_stream *r)
{
    static double x[LONGEST];
    const int probs = s >= AT_WORDS;
    double temperature = s == STEEP && n % 2 ? 0.5 : 1.0;
    snprintf(text, sizeof text, "%zu %s, %s", n, dtype_name[dtype], name_of[s]);
    if (probs) {
        dtype = FS_F64;
        fill_integers(x, s, n, r);
    } else
        for (size_t i = 0; i < n; i++)
            put(x, dtype, i, logit_of(s, i, n, r));
    const fs_row from = {x, (ptrdiff_t)size_of(dtype), dtype, probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    check(kernel_categorical_build(&from, n, temperature, row) == FS_OK, "%s: not prepared", text);
    compute_bounds();
    for (size_t i = below(r, 1 + n / 20); i + 1 < n; i += 1 + n / 20) {
        const big at = uniform_at(i);
        test_around(&at);
    }
    for (size_t i = 0; i < 64; i++) { /* where cells begin, and the ends */
        big at = {{0}};
        at.limb[4] = i ? (uint32_t)(next_word(r) >> 32) >> row->guide.shift << row->guide.shift : 0;
        at.limb[4] += (uint32_t)below(r, 3);
        test_around(&at);
    }
    const big last = {{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
    test_around(&last);
    test_stream(1 + below(r, 1000), r);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1, 2, 3, 5, 10, 17, 64, 100, 255, 512, 513, 1024, 1025, LONGEST};
    const size_t every = (size_t)option(argc, argv, "--every", 1);
    size_t tried = 0;
    random_stream r = {17};
    row = workspace(fs_prepared_size(LONGEST));
    test_words(&r);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int s = 0; s < SHAPES; s++)
            for (int dtype = 0; dtype < 2; dtype++)
                if (tried++ % every == 0)
                    test_row((shape)s, lengths[i], dtype ? FS_F64 : FS_F32, &r);
    test_stream(DRAWS, &r);
    const double largest[] = {1.0, 5.0, 5.0};
    const fs_row from = {largest, 8, FS_F64, 0, FS_MASK_NONE, NULL, 0, NULL, 0, NULL, 0};
    kernel_categorical_build(&from, 3, 0.0, row);
    snprintf(text, sizeof text, "temperature 0");
    test_stream(100, &r);
    free(row);
    printf("digest %s %016llx\n", FS_KERNELS_NAME, (unsigned long long)digest);
    return finish("seeded", checks);
}

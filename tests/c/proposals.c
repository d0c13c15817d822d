/* Draws by rejection with words of the test's own in place of the generator's: how many of all words lead to each entry.
 *
 *     proposals [--every K]
 *
 * Compiled once for each instruction set, with -DSET='"isa_<set>.c"'.  A choice by a word is a comparison with bounds, so its
 * 2^64 values are counted by a search for these: the bounds of the first word between columns, and that of V, which decides
 * between an entry and none, to the last bit that is read.  Every entry must have its share of all words, exactly for
 * probabilities, and with the error that docs/rejection.md states for logits, in whichever proposal it is drawn.
 * --every K takes one row in K. */
#define FS_INLINE static inline /* as in isa_scalar.c, which comes after the first headers here */
#include "base/philox.h"
#include "fastsoftmax.h"

static fs_philox words_given(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream, uint64_t block,
                             uint64_t part);

/* Short rows too. */
#undef FS_REJECTION_FROM
#define FS_REJECTION_FROM 1
#define fs_philox_of words_given
#include SET
#undef fs_philox_of

#include "testing.h"

enum { ROWS = 60, LONGEST = 1100, COLUMNS = 64, FURTHER = 2 };

static const uint64_t SEED = 11, KEY = 12, STEP = 13, ALL = UINT64_MAX;

static unsigned long long checks;
static char text[100];

/* The words of a proposal: two, those that decide it where the second does not, and what all after them are. */
typedef struct {
    uint64_t word[2], further[FURTHER], rest;
} proposal;

/* Proposal `number` has the words of `tried`. */
static struct {
    uint64_t number;
    proposal before, tried, after;
} given;

static fs_philox words_given(uint64_t seed, uint64_t key, uint64_t step, uint64_t stream, uint64_t block,
                             uint64_t part)
{
    fs_philox words = {{0}};
    check(seed == SEED && key == KEY && step == STEP && (stream == 3 || (stream == 2 && part == 0)),
          "%s: words of another draw", text);
    for (uint64_t i = 0; i < 4; i++) {
        const uint64_t number = stream == 2 ? 2 * block + i / 2 : block, m = 4 * part + i;
        const proposal *p = number < given.number    ? &given.before
                            : number == given.number ? &given.tried
                                                     : &given.after;
        words.word[i] = stream == 2 ? p->word[i % 2] : m < FURTHER ? p->further[m] : p->rest;
    }
    return words;
}

/* A row, and what its definition in docs/rejection.md says. */
static struct {
    fs_row row;
    size_t n, columns;
    double temperature, value[LONGEST];
    int probs;
    double max;
    uint64_t envelope[COLUMNS], total;
} tested;

/* Proposals that are accepted, of two entries; and the entries. */
static proposal sure[2];
static int64_t entry_of_sure[2];

static int64_t draw(const proposal *tried, const proposal *after)
{
    int64_t index = -1;
    given.tried = *tried;
    given.after = *after;
    const fs_status status =
        kernel_sample_seeded(&tested.row, tested.n, tested.temperature, SEED, KEY, STEP, &index, NULL);
    return status == FS_OK ? index : -1;
}

/* The entry that a proposal draws, or -1 where it is rejected. */
static int64_t accepted(const proposal *tried)
{
    const int64_t index = draw(tried, &sure[0]);
    return index != entry_of_sure[0] || draw(tried, &sure[1]) == index ? index : -1;
}

static proposal proposal_of(uint64_t first, uint64_t row, uint64_t leading, uint64_t further)
{
    proposal p = {{first, row << FS_V_BITS | leading}, {0}, further};
    for (int i = 0; i < FURTHER; i++)
        p.further[i] = further;
    return p;
}

static size_t column_of_entry(int64_t index) { return (size_t)index / 1024 * 32 + (size_t)index % 32; }

/* The column that a first word chooses, or -1 where it is rejected. */
static int64_t column_of(uint64_t first)
{
    for (uint64_t row = 0; row < 32; row++) {
        const proposal p = proposal_of(first, row, 0, 0);
        const int64_t index = accepted(&p);
        if (index >= 0)
            return (int64_t)column_of_entry(index);
    }
    return -1;
}

/* The same, of the next word where this one is rejected: of two, one is not. */
static int64_t column_at_or_after(uint64_t first)
{
    const int64_t column = column_of(first);
    return column >= 0 || first == ALL ? column : column_of(first + 1);
}

/* The smallest word from which on columns are at least this one. */
static uint64_t first_word_of(size_t column)
{
    uint64_t low = 0, high = ALL; /* it is in [low, high], or there is none */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (column_at_or_after(middle) >= (int64_t)column)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The first of the words with a place of at least this one on top of their product with the total. */
static uint64_t first_word_of_place(uint64_t place)
{
    uint64_t low = 0, high = ALL;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (fs_multiply(middle, tested.total).high >= place)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int find_sure_proposals(random_stream *r)
{
    int found = 0;
    for (int tries = 0; tries < 100 && found < 2; tries++) {
        const size_t i = below(r, tested.n);
        uint64_t place = 0;
        for (size_t c = 0; c < column_of_entry((int64_t)i); c++)
            place += tested.envelope[c];
        if (!(tested.value[i] > (tested.probs ? 0.0 : -INFINITY)) || (found && (int64_t)i == entry_of_sure[0]))
            continue;
        sure[found] = proposal_of(first_word_of_place(place) + 1, i % 1024 / 32, 0, 0);
        entry_of_sure[found] = draw(&sure[found], &sure[found]);
        check(entry_of_sure[found] == (int64_t)i, "%s: entry %zu is not drawn", text, i);
        found++;
    }
    return check(found == 2, "%s: no two entries are drawn", text);
}

/* The first words of a place P: those with P on top of their product with the total.  As many of them are taken for each. */
static void test_place(uint64_t place)
{
    const uint64_t each = ALL / tested.total + (ALL % tested.total + 1 == tested.total);
    const uint64_t first = first_word_of_place(place);
    const uint64_t past = place + 1 < tested.total ? first_word_of_place(place + 1) : 0; /* 2^64 as 0 */
    const int64_t column = column_of(first + 1), column_of_first = column_of(first);
    const uint64_t taken = past - first - (column_of_first < 0); /* the second and all after it are */
    checks++;
    check(taken == each && column >= 0 && column_of(past - 1) == column &&
              (column_of_first < 0 || column_of_first == column),
          "%s: place %llu has %llu words, not %llu", text, (unsigned long long)place, (unsigned long long)taken,
          (unsigned long long)each);
}

/* Columns have as many places as their envelopes say, and so as many words.  Returns a word of each. */
static void test_columns(uint64_t *word, random_stream *r)
{
    uint64_t places = 0;
    for (size_t c = 0; c < tested.columns; c++) {
        if (!tested.envelope[c])
            continue;
        const uint64_t first = first_word_of(c);
        checks++;
        check(column_at_or_after(first) == (int64_t)c && fs_multiply(first, tested.total).high == places,
              "%s: column %zu begins at %llx", text, c, (unsigned long long)first);
        test_place(places);
        test_place(places + below(r, tested.envelope[c]));
        places += tested.envelope[c];
        test_place(places - 1);
        word[c] = first + below(r, ALL / tested.total) + 1;
    }
}

/* The digits of an entry's ratio, of which the numbers V below it are drawn: how many of V's first words are below it whatever
 * follows, how many of the words after the one that is not, and so on. */
static void count_numbers(uint64_t word, uint64_t row, int64_t index, uint64_t digit[1 + FURTHER])
{
    proposal p = proposal_of(word, row, 0, ALL);
    for (int level = 0; level <= FURTHER; level++) {
        uint64_t low = 0, high = level ? ALL : UINT64_C(1) << FS_V_BITS; /* how many are below whatever follows */
        while (low < high) {
            const uint64_t middle = low + (high - low) / 2;
            if (level)
                p.further[level - 1] = middle;
            else
                p.word[1] = row << FS_V_BITS | middle;
            const int64_t drawn = accepted(&p);
            check(drawn == index || drawn == -1, "%s: entry %lld, not %lld", text, (long long)drawn,
                  (long long)index);
            if (drawn >= 0)
                low = middle + 1;
            else
                high = middle;
        }
        digit[level] = low;
        if (level == 0 && low == UINT64_C(1) << FS_V_BITS)
            break;
        if (level)
            p.further[level - 1] = low;
        else
            p.word[1] = row << FS_V_BITS | low;
    }
}

static void test_entry(uint64_t word, uint64_t row, int64_t index)
{
    uint64_t digit[1 + FURTHER] = {0};
    const double envelope = ldexp((double)tested.envelope[column_of_entry(index)], -FS_DEEPEST);
    const double x = (size_t)index < tested.n ? tested.value[index] : tested.probs ? 0.0 : -INFINITY;
    count_numbers(word, row, index, digit);
    checks++;
    if (tested.probs) { /* the ratio is a double, and so is what is left of it behind each digit */
        double rest = ldexp(ldexp(x, -ilogb(tested.max) - 1) / envelope, FS_V_BITS);
        for (int level = 0; level <= FURTHER; level++) {
            const uint64_t expected = (uint64_t)rest;
            check(digit[level] == expected, "%s: digit %d of entry %lld is %llx, not %llx", text, level,
                  (long long)index, (unsigned long long)digit[level], (unsigned long long)expected);
            rest = ldexp(rest - (double)expected, 64);
        }
        return;
    }
    const double ratio = ldexp((double)digit[0], -FS_V_BITS) + ldexp((double)digit[1], -FS_V_BITS - 64);
    const long double z = ((long double)x - (long double)tested.max) / (long double)tested.temperature;
    const double expected = x > -INFINITY ? (double)expl(z) / envelope : 0.0;
    const double error = x > -INFINITY ? 0x1p-51 - (double)z * 0x1.72p-53 + 0x1p-53 : 0.0; /* and of the other side */
    check(fabs(ratio - expected) <= error * expected, "%s: entry %lld has the ratio %a, not %a", text,
          (long long)index, ratio, expected);
}

static void define_columns(void)
{
    tested.total = 0;
    tested.max = tested.value[0];
    for (size_t i = 1; i < tested.n; i++)
        tested.max = tested.value[i] > tested.max ? tested.value[i] : tested.max;
    tested.columns = (tested.n + 1023) / 1024 * 32;
    for (size_t c = 0; c < tested.columns; c++) {
        tested.envelope[c] = 0;
        for (size_t i = c / 32 * 1024 + c % 32; i < tested.n && i < (c / 32 + 1) * 1024; i += 32) {
            const double x = tested.value[i];
            if (!(tested.probs ? x > 0.0 : x > -INFINITY))
                continue;
            const double depth = tested.probs ? ilogb(tested.max) - ilogb(x)
                                              : floor((tested.max - x) * (0x1.71547652b82fep+0 / tested.temperature));
            const uint64_t bound = depth < 32 ? UINT64_C(1) << 32 >> (int)depth : 1;
            tested.envelope[c] = bound > tested.envelope[c] ? bound : tested.envelope[c];
        }
        tested.total += tested.envelope[c];
    }
}

static void test_row(size_t i)
{
    static const double temperatures[] = {0.3, 1.0, 0x1.71547652b82fep+0, 5.0};
    static const uint64_t numbers[] = {0, 1, 2, 7, 8, 13};
    static double entries[LONGEST];
    random_stream r = {i};
    const fs_dtype dtype = below(&r, 2) ? FS_F32 : FS_F64;
    const int holes = below(&r, 2) == 0, whole = below(&r, 4) == 0;
    const double spread = below(&r, 4) ? 3.0 : 0.0;
    tested.probs = below(&r, 2) == 0;
    tested.n = 2 + (i % 8 == 0 ? 1024 + below(&r, LONGEST - 1026) : below(&r, 150));
    tested.temperature = tested.probs ? 1.0 : temperatures[below(&r, 4)];
    snprintf(text, sizeof text, "row %zu, %zu %s of %s", i, tested.n, tested.probs ? "probabilities" : "logits",
             dtype_name[dtype]);
    for (size_t j = 0; j < tested.n; j++) {
        const double z = whole ? rint(spread * next_normal(&r)) : spread * next_normal(&r);
        const double x = tested.probs ? ldexp(whole ? 1.0 : 1.0 + next_uniform(&r), (int)rint(3.0 * z)) : z;
        put(entries, dtype, j, j > 1 && holes && below(&r, 3) == 0 ? (tested.probs ? 0.0 : -INFINITY) : x);
        tested.value[j] = get(entries, dtype, j);
    }
    const fs_row row = {entries, (ptrdiff_t)size_of(dtype), dtype, tested.probs, FS_MASK_NONE, NULL, 0, NULL, 0, NULL,
                        0};
    tested.row = row;
    define_columns();

    uint64_t word[COLUMNS] = {0};
    given.number = 0;
    if (!find_sure_proposals(&r))
        return;
    const proposal rejected = proposal_of(ALL, 31, (UINT64_C(1) << FS_V_BITS) - 1, ALL);
    given.before = rejected;
    given.number = accepted(&rejected) < 0 ? numbers[below(&r, 6)] : 0;
    test_columns(word, &r);
    for (size_t c = 0; c < tested.columns; c++)
        for (uint64_t j = 0; j < 32; j++) {
            const size_t index = c / 32 * 1024 + j * 32 + c % 32;
            if (tested.envelope[c] && (j < 2 || tested.n < 1024 || below(&r, 32) == 0))
                test_entry(word[c], j, (int64_t)index);
        }
}

int main(int argc, char **argv)
{
    const size_t every = (size_t)option(argc, argv, "--every", 1);
    for (size_t i = 0; i < ROWS; i += every)
        test_row(i);
    return finish("proposals", checks);
}

/* Penalties for what the context repeats: of single tokens, and of sequences (DRY).
 *
 * Only the entries of tokens in the context are touched, so the cost does not depend on the vocabulary.  One logit's
 * change is computed in double and rounded once.
 *
 * DRY ("don't repeat yourself", p-e-w 2024): the context ends in a suffix that has occurred before; the token that
 * followed it then is made less likely, the more the longer the suffix is.  The lengths of all repeats come from the
 * Z-function of the reversed context, in linear time (Gusfield, "Algorithms on Strings, Trees, and Sequences", 1997,
 * section 1.3).
 */
#include <string.h>

#include "bits.h"
#include "fastsoftmax.h"

/* What is known of one token of the context. */
typedef struct {
    int64_t token;
    size_t count, repeat;
} fs_seen;

/* The tokens of a context, found through an open-addressed table of their places, from 1. */
typedef struct {
    fs_seen *seen;
    size_t count, mask;
    uint32_t *place;
} fs_tokens;

static size_t fs_table_size(size_t length)
{
    size_t size = 8;
    while (size < 2 * length)
        size *= 2;
    return size;
}

size_t fs_penalize_scratch(size_t length)
{
    return length * (sizeof(fs_seen) + sizeof(size_t)) + fs_table_size(length) * sizeof(uint32_t) + 64;
}

static fs_seen *fs_find(fs_tokens *tokens, int64_t token)
{
    size_t at = (size_t)(((uint64_t)token * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & tokens->mask;
    for (; tokens->place[at]; at = (at + 1) & tokens->mask)
        if (tokens->seen[tokens->place[at] - 1].token == token)
            return tokens->seen + (tokens->place[at] - 1);
    tokens->seen[tokens->count] = (fs_seen){token, 0, 0};
    tokens->place[at] = (uint32_t)++tokens->count;
    return tokens->seen + (tokens->count - 1);
}

static int fs_ends_in(const int64_t *context, size_t length, const int64_t *sequence, size_t count)
{
    return count && count <= length && !memcmp(context + length - count, sequence, count * sizeof *sequence);
}

/* How many of the last tokens come after the last breaker. */
static size_t fs_unbroken(const int64_t *context, size_t length, const fs_breakers *breakers)
{
    for (size_t end = length; end; end--)
        for (size_t b = 0; b < breakers->count; b++)
            if (fs_ends_in(context, end, breakers->token + breakers->of[b], breakers->of[b + 1] - breakers->of[b]))
                return length - end;
    return length;
}

static int fs_breaks_alone(int64_t token, const fs_breakers *breakers)
{
    for (size_t b = 0; b < breakers->count; b++)
        if (breakers->of[b + 1] - breakers->of[b] == 1 && breakers->token[breakers->of[b]] == token)
            return 1;
    return 0;
}

/* For each token of the context: the longest suffix, within `longest`, that it followed before. */
static void fs_measure_repeats(const int64_t *context, size_t length, size_t longest, fs_tokens *tokens, size_t *z)
{
    const int64_t *last = context + length - 1; /* the reversed context is last[0], last[-1], ... */
    size_t left = 0, right = 0;                 /* a match of its beginning that reaches furthest */
    for (size_t i = 1; i < length; i++) {
        size_t match = i < right ? (z[i - left] < right - i ? z[i - left] : right - i) : 0;
        while (i + match < length && last[-(ptrdiff_t)match] == last[-(ptrdiff_t)(i + match)])
            match++;
        if (i + match > right) {
            left = i;
            right = i + match;
        }
        z[i] = match;
        if (match > longest)
            match = longest;
        fs_seen *follower = fs_find(tokens, last[1 - (ptrdiff_t)i]);
        if (match > follower->repeat)
            follower->repeat = match;
    }
}

/* base^exponent, in an order that no machine changes */
static double fs_power(double base, size_t exponent)
{
    double power = 1.0;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            power *= base;
    return power;
}

static double fs_penalized(double x, const fs_seen *seen, const fs_penalties *p, const fs_breakers *breakers)
{
    x = x <= 0.0 ? x * p->repetition : x / p->repetition;
    x -= (double)seen->count * p->frequency + p->presence;
    if (p->dry_multiplier > 0.0 && seen->repeat >= (size_t)p->dry_allowed_length &&
        !fs_breaks_alone(seen->token, breakers))
        x -= p->dry_multiplier * fs_power(p->dry_base, seen->repeat - (size_t)p->dry_allowed_length);
    return x;
}

static double fs_most(fs_dtype dtype)
{
    switch (dtype) {
    case FS_F32: return 0x1.fffffep127;
    case FS_F16: return 65504.0;
    case FS_BF16: return 0x1.fep127;
    default: return 0x1.fffffffffffffp1023;
    }
}

static double fs_read(const fs_output *row, size_t i)
{
    const void *at = (const char *)row->data + (ptrdiff_t)i * row->stride;
    switch (row->dtype) {
    case FS_F32: return *(const float *)at;
    case FS_F16: return fs_f32_from_f16(*(const uint16_t *)at);
    case FS_BF16: return fs_f32_from_bf16(*(const uint16_t *)at);
    default: return *(const double *)at;
    }
}

/* Finite stays finite.  A double that goes to 16 bits is first rounded to odd as a float, so that the second rounding is
 * the only one that shows. */
static void fs_write(const fs_output *row, size_t i, double x)
{
    void *at = (char *)row->data + (ptrdiff_t)i * row->stride;
    double most = fs_most(row->dtype);
    x = x > most ? most : x < -most ? -most : x;
    float narrow = (float)x;
    switch (row->dtype) {
    case FS_F64: *(double *)at = x; return;
    case FS_F32: *(float *)at = narrow; return;
    default: break;
    }
    uint32_t bits = fs_bits_f32(narrow);
    if ((double)narrow != x && !(bits & 1))
        bits += fabs((double)narrow) < fabs(x) ? 1 : (uint32_t)-1;
    narrow = fs_f32_of(bits);
    *(uint16_t *)at = row->dtype == FS_F16 ? fs_f16_from_f32(narrow) : fs_bf16_from_f32(narrow);
}

void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                 const fs_breakers *breakers, void *scratch)
{
    size_t size = fs_table_size(length);
    size_t *z = (size_t *)(void *)(((uintptr_t)scratch + 15) / 16 * 16);
    fs_seen *seen = (fs_seen *)(void *)(z + length);
    fs_tokens tokens = {seen, 0, size - 1, (uint32_t *)(void *)(seen + length)};
    memset(tokens.place, 0, size * sizeof *tokens.place);
    for (size_t i = 0; i < length; i++)
        fs_find(&tokens, context[i])->count++;
    if (penalties->dry_multiplier > 0.0 && length) {
        size_t window = penalties->dry_last_n >= 0 && (uint64_t)penalties->dry_last_n < length
                            ? (size_t)penalties->dry_last_n
                            : length;
        const int64_t *recent = context + (length - window);
        size_t longest = fs_unbroken(recent, window, breakers);
        if (window && longest)
            fs_measure_repeats(recent, window, longest, &tokens, z);
    }
    for (size_t i = 0; i < tokens.count; i++) {
        double x = fs_read(row, (size_t)seen[i].token);
        if (x - x == 0.0)
            fs_write(row, (size_t)seen[i].token, fs_penalized(x, seen + i, penalties, breakers));
    }
}

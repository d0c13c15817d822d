/* Penalties for what the context repeats: single tokens, and sequences (DRY).
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

#include "base/bits.h"
#include "base/dtype.h"
#include "fastsoftmax.h"
#include "base/fp_environment.h"

/* What is known of one token of the context. */
typedef struct {
    int64_t token;
    size_t count, repeat;
    int breaks; /* it ends repeats by itself, and is not penalized for them */
} fs_seen;

/* The tokens of a context, found through an open-addressed table of their places, from 1. */
typedef struct {
    fs_seen *seen;
    size_t count, mask;
    uint32_t *place;
    uint64_t salt; /* so that nobody knows which tokens share a place */
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

/* Where a token is in the table, or would be.  The mixing is that of SplitMix64 (Steele, Lea & Flood 2014). */
static uint32_t *fs_place_of(const fs_tokens *tokens, int64_t token)
{
    uint64_t h = (uint64_t)token + tokens->salt;
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    size_t at = (size_t)(h ^ h >> 31) & tokens->mask;
    while (tokens->place[at] && tokens->seen[tokens->place[at] - 1].token != token)
        at = (at + 1) & tokens->mask;
    return tokens->place + at;
}

static fs_seen *fs_find(fs_tokens *tokens, int64_t token)
{
    uint32_t *place = fs_place_of(tokens, token);
    if (!*place) {
        tokens->seen[tokens->count] = (fs_seen){token, 0, 0, 0};
        *place = (uint32_t)++tokens->count;
    }
    return tokens->seen + (*place - 1);
}

static int fs_ends_in(const int64_t *context, size_t length, const int64_t *sequence, size_t count)
{
    return count && count <= length && !memcmp(context + length - count, sequence, count * sizeof *sequence);
}

static inline size_t fs_breaker_length(const fs_breakers *breakers, size_t b)
{
    return breakers->of[b + 1] - breakers->of[b];
}

/* Mark the tokens that are breakers by themselves; the number of breakers that are not. */
static size_t fs_mark_breakers(const fs_tokens *tokens, const fs_breakers *breakers)
{
    size_t longer = 0;
    for (size_t b = 0; b < breakers->count; b++) {
        if (fs_breaker_length(breakers, b) > 1) {
            longer++;
            continue;
        }
        uint32_t place = *fs_place_of(tokens, breakers->token[breakers->of[b]]);
        if (place)
            tokens->seen[place - 1].breaks = 1;
    }
    return longer;
}

/* How many of the last tokens come after the last breaker. */
static size_t fs_unbroken(const int64_t *context, size_t length, const fs_tokens *tokens, const fs_breakers *breakers)
{
    size_t longer = fs_mark_breakers(tokens, breakers);
    for (size_t end = length; end && breakers->count; end--) {
        if (tokens->seen[*fs_place_of(tokens, context[end - 1]) - 1].breaks)
            return length - end;
        for (size_t b = 0; longer && b < breakers->count; b++)
            if (fs_ends_in(context, end, breakers->token + breakers->of[b], fs_breaker_length(breakers, b)))
                return length - end;
    }
    return length;
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

static double fs_penalized(double x, const fs_seen *seen, const fs_penalties *p)
{
    if (seen->count) { /* else only DRY looks back as far as this token */
        x = fs_clamped(x <= 0.0 ? x * p->repetition : x / p->repetition, fs_most(FS_F64));
        x -= (double)seen->count * p->frequency + p->presence;
    }
    if (p->dry_multiplier > 0.0 && seen->repeat >= (size_t)p->dry_allowed_length && !seen->breaks)
        x -= p->dry_multiplier * fs_power(p->dry_base, seen->repeat - (size_t)p->dry_allowed_length);
    return x;
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

/* Finite stays finite. */
static void fs_write(const fs_output *row, size_t i, double x)
{
    void *at = (char *)row->data + (ptrdiff_t)i * row->stride;
    x = fs_clamped(x, fs_most(row->dtype));
    switch (row->dtype) {
    case FS_F64: *(double *)at = x; return;
    case FS_F32: *(float *)at = (float)x; return;
    case FS_F16: *(uint16_t *)at = fs_f16_from_f32(fs_f32_to_odd(x)); return;
    default: *(uint16_t *)at = fs_bf16_from_f32(fs_f32_to_odd(x));
    }
}

/* How many tokens a window of the last n holds; all of them if n is below 0. */
static size_t fs_window(int64_t n, size_t length) { return n >= 0 && (uint64_t)n < length ? (size_t)n : length; }

static void fs_penalize_row(const fs_output *row, const int64_t *context, size_t length,
                            const fs_penalties *penalties, const fs_breakers *breakers, void *scratch)
{
    size_t size = fs_table_size(length);
    size_t *z = (size_t *)(void *)(((uintptr_t)scratch + 15) / 16 * 16);
    fs_seen *seen = (fs_seen *)(void *)(z + length);
    fs_tokens tokens = {seen, 0, size - 1, (uint32_t *)(void *)(seen + length), (uint64_t)(uintptr_t)scratch};
    memset(tokens.place, 0, size * sizeof *tokens.place);
    size_t before = length - fs_window(penalties->last_n, length);
    for (size_t i = 0; i < length; i++)
        fs_find(&tokens, context[i])->count += i >= before;
    if (penalties->dry_multiplier > 0.0 && length) {
        size_t window = fs_window(penalties->dry_last_n, length);
        const int64_t *recent = context + (length - window);
        size_t longest = fs_unbroken(recent, window, &tokens, breakers);
        if (window && longest)
            fs_measure_repeats(recent, window, longest, &tokens, z);
    }
    for (size_t i = 0; i < tokens.count; i++) {
        double x = fs_read(row, (size_t)seen[i].token);
        if (x - x == 0.0)
            fs_write(row, (size_t)seen[i].token, fs_penalized(x, seen + i, penalties));
    }
}

void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                 const fs_breakers *breakers, void *scratch)
{
    const fs_environment saved = fs_enter();
    fs_penalize_row(row, context, length, penalties, breakers, scratch);
    fs_leave(saved);
}

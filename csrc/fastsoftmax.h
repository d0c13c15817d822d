/* fastsoftmax: softmax with temperature and drawing from it, one row at a time or many.
 *
 * The only header callers see; C11 or C++.  The sources are in the same folder and need nothing but the C library:
 *
 *     cc -std=c11 -O3 -ffp-contract=off program.c FOLDER/NAME.c ... -IFOLDER -lm -pthread
 *
 * with every .c file of FOLDER (fastsoftmax.get_include() in Python).  Without -ffp-contract=off the last bits of the
 * results differ from those of Python.  Begin with fs_choose(NULL): until then the portable kernels are in use.
 *
 * Every function gives the same bits on every instruction set, may be called from any number of threads at once, and
 * restores the floating-point environment of its caller.  Nothing raises, nothing prints.  State: the instruction set in
 * use (fs_choose, to be called once) and the number of threads: one, unless the process sets more (base/thread_pool.h;
 * the Python package does), and then there is a pool, whose mutex is taken by calls long enough to share their work.
 * Memory: for a row of more than 2^18 entries it is allocated and freed before the return; for many draws from one row (64
 * or more, by its length) a thread keeps up to 16 MB until it ends.
 */
#ifndef FASTSOFTMAX_H
#define FASTSOFTMAX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { FS_F32, FS_F64, FS_F16, FS_BF16 } fs_dtype;

typedef enum {
    FS_OK,
    FS_NAN,       /* the row holds NaN */
    FS_NO_MASS,   /* every entry is -inf, masked, or of weight 0 */
    FS_NO_MEMORY, /* a row of more than 2^18 entries needs memory, and there is none */
    FS_ARGUMENT,  /* no entry; a temperature below 0 or NaN; u not in [0, 1); a filter out of its range */
    FS_INTERRUPTED, /* this thread's interrupt callback (base/thread_pool.h) asked to stop; results are incomplete */
    FS_CHANGED, /* the entries of a shard are not those that were summarised */
    FS_LIMIT /* internal: the row needs the limit of the formula, not the formula */
} fs_status;

typedef enum { FS_MASK_NONE, FS_MASK_BYTES, FS_MASK_WORDS } fs_mask_kind;

/* One row of logits (or probabilities) of any layout.  Strides are in bytes; data is aligned to its dtype. */
typedef struct {
    const void *data;
    ptrdiff_t stride;
    fs_dtype dtype;
    int probs; /* the entries are probabilities (any weights >= 0): the logits are their logarithms */
    fs_mask_kind mask_kind; /* bytes: nonzero is allowed; words: bit i % 32 of word i / 32 */
    const void *mask;
    ptrdiff_t mask_stride;
    const double *bias; /* added to the logits; NULL: none */
    ptrdiff_t bias_stride;
    const int64_t *bias_at; /* with `bias_count`: bias[j] is added to entry bias_at[j], ascending; NULL: one an entry */
    size_t bias_count;
} fs_row;

/* Where a row of results goes.  It may be the row it comes from, with the same stride. */
typedef struct {
    void *data;
    ptrdiff_t stride;
    fs_dtype dtype;
} fs_output;

/* The filters, and the temperature, by number: for another order. */
typedef enum {
    FS_TOP_K = 1,
    FS_TOP_P,
    FS_MIN_P,
    FS_TOP_A,
    FS_P_LESS,
    FS_TYPICAL_P,
    FS_TOP_H,
    FS_TOP_N_SIGMA,
    FS_EPSILON_CUTOFF,
    FS_ETA_CUTOFF,
    FS_XTC,
    FS_TEMPERATURE
} fs_step;

/* Which entries of a row may be drawn, besides mask and bias, in the order of application.  Each comment gives the value
 * that switches the filter off.  In range are counts >= 0, probabilities and xtc_threshold in [0, 1], the rest finite and
 * >= 0 unless stated.  fs_draw_filtered checks this; before the other functions it is the caller's task.
 *
 * Another order is a number of different fs_steps, 4 bits each and the first of them lowest; a filter without a step is not
 * applied.  Steps before FS_TEMPERATURE see temperature 1, and temperature_last has no effect where that is among them. */
typedef struct {
    int64_t top_k; /* 0 */
    double top_p; /* 1 */
    double min_p; /* 0 */
    double top_a; /* 0 */
    int64_t p_less; /* 0 */
    double typical_p; /* 1 */
    double top_h; /* 1 */
    double top_n_sigma; /* 0 */
    double epsilon_cutoff; /* 0 */
    double eta_cutoff; /* 0 */
    double xtc_threshold; /* above 1/2 */
    double xtc_probability; /* 0 */
    double surprise; /* +inf; any number; the largest -log2 p, in bits: mirostat's mu */
    double dynatemp_range; /* 0 */
    double dynatemp_exponent; /* > 0 */
    double smoothing_factor; /* 0; x / temperature becomes -factor (k d^2 + s d^3), of which the weight is exp, where */
    double smoothing_curve; /* d is its distance from the largest, k = (3 - curve) / 2, s = (curve - 1) / 2; >= 1 */
    int64_t min_tokens_to_keep; /* >= 1 */
    int64_t temperature_last; /* the filters see temperature 1, and the temperature applies to what they keep */
    int64_t order; /* 0: as here */
} fs_filters;

/* Per row; temperature >= 0 or +inf, n >= 1.
 * softmax, log_softmax: FS_OK, or FS_NAN / FS_NO_MASS with the row filled with NaN, or FS_NO_MEMORY with nothing
 * written.  softmax of probabilities at temperature 1 is each over their sum, without a logarithm.
 * logsumexp: *result is set in each of these. */
fs_status fs_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out);
fs_status fs_log_softmax(const fs_row *row, size_t n, double temperature, const fs_output *out);
fs_status fs_logsumexp(const fs_row *row, size_t n, double temperature, double *result);

/* log sum b exp(x / temperature), one entry of out; an entry of weight b = 0 is not looked at.  FS_OK, or FS_ARGUMENT with
 * nothing written where a weight is negative, NaN or infinite. */
fs_status fs_logsumexp_weighted(const fs_row *row, const fs_row *weights, size_t n, double temperature,
                                const fs_output *out);

/* The entropy of softmax(x / temperature) in nats, and the Kullback-Leibler divergence from that of the row q:
 * sum p (log p - log q), +inf where an entry has p > 0 = q.  *result is NaN for FS_NAN and FS_NO_MASS, of either row. */
fs_status fs_entropy(const fs_row *row, size_t n, double temperature, double *result);
fs_status fs_kl_divergence(const fs_row *p, const fs_row *q, size_t n, double temperature, double *result);

/* k draws from one row: index[j] is the smallest index whose cumulative weight exceeds u[j] times the total.
 * 0 <= u[j] < 1.  index and logprob (may be NULL) are written for FS_OK only. */
fs_status fs_sample(const fs_row *row, size_t n, double temperature, size_t k, const double *u, int64_t *index,
                    double *logprob);

/* The same with u[j] = next(state), in this order; next is called only if the result is FS_OK. */
typedef double fs_uniform_of(void *state);
fs_status fs_sample_from(const fs_row *row, size_t n, double temperature, size_t k, fs_uniform_of *next, void *state,
                         int64_t *index);

/* One draw that is a function of the row, a seed, a key and a step alone.  A row of FS_REJECTION_FROM to FS_REJECTION_TO entries
 * is drawn from by rejection, for little more than finding its maximum costs (docs/rejection.md); any other row, and at
 * temperature 0, as by fs_sample with the uniform of fs_keyed_uniforms (stream 0).  logprob may be NULL. */
#define FS_REJECTION_FROM 8192
#define FS_REJECTION_TO (UINT32_C(1) << 31)
fs_status fs_sample_seeded(const fs_row *row, size_t n, double temperature, uint64_t seed, uint64_t key,
                           uint64_t step, int64_t *index, double *logprob);

/* A row prepared for many draws: the draws of fs_sample, at a few nanoseconds each.  It has no pointer to the row, and
 * draws only read it: any number of threads may draw at once. */
typedef struct fs_categorical fs_categorical;

/* Bytes of a prepared row of n entries, which needs the alignment of malloc; 0: n is more than 2^26. */
size_t fs_categorical_size(size_t n);
/* FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_categorical_build(const fs_row *row, size_t n, double temperature, fs_categorical *prepared);
fs_status fs_categorical_draw(const fs_categorical *prepared, size_t k, const double *u, int64_t *index);
/* The same with u[j] = next(state), in this order. */
fs_status fs_categorical_draw_from(const fs_categorical *prepared, size_t k, fs_uniform_of *next, void *state,
                                   int64_t *index);
/* Draws `first` to first + k - 1 of the stream of a seed and a key, with first + k at most 2^63: index[i] is a function of the row,
 * seed, key and first + i (docs/streams.md).  A draw reads 32 bits, and 128 more where these do not decide. */
fs_status fs_categorical_draw_seeded(const fs_categorical *prepared, uint64_t seed, uint64_t key, uint64_t first,
                                     size_t k, int64_t *index);

/* log p of some entries of a row, as fs_sample computes it.  FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_logprob(const fs_row *row, size_t n, double temperature, size_t count, const int64_t *index,
                     double *logprob);

/* Bytes of the memory (`scratch`) that the functions below work in, for a row of n entries; any alignment.  0: n is more than
 * 2^32 - 2^10, or the bytes do not fit a size_t. */
size_t fs_scratch_size(size_t n);

/* Different entries of a row, ascending. */
typedef struct {
    const int64_t *index;
    size_t count;
} fs_indices;

/* fs_sample from the entries that the filters keep, and from those in `keep` (may be NULL), which no filter drops; coin, in
 * [0, 1), is XTC's.  FS_OK, FS_NAN, FS_NO_MASS, FS_NO_MEMORY. */
fs_status fs_sample_filtered(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                             const fs_indices *keep, double coin, size_t k, const double *u, void *scratch,
                             int64_t *index, double *logprob);
/* One draw by seed, key and step: fs_sample_seeded where no filter is on, else this with the uniform of fs_keyed_uniforms. */
fs_status fs_sample_filtered_seeded(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                                    const fs_indices *keep, double coin, uint64_t seed, uint64_t key, uint64_t step,
                                    void *scratch, int64_t *index, double *logprob);
/* One draw, from these entries by weights that fall with the distance of their probability p_i from `aim`, in [0, 1]:
 * exp(-10 d^2 / (1 + d)) with d = |p_i - aim| / 0.3 (adaptive_p).  *before is p_i of the drawn entry, *logprob (may be NULL) the
 * logarithm of the probability of the draw. */
fs_status fs_sample_adapted(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                            const fs_indices *keep, double coin, double aim, double u, void *scratch, int64_t *index,
                            double *logprob, double *before);
/* logits / temperature for the entries that the filters keep and those in `keep`, -inf elsewhere.  FS_NAN: the row is filled
 * with NaN. */
fs_status fs_truncate(const fs_row *row, size_t n, double temperature, const fs_filters *filters,
                      const fs_indices *keep, double coin, void *scratch, const fs_output *out);

/* The first k <= n of the order (value descending, index ascending) and their log-probabilities; rank (may be NULL) is
 * the place in it of the entry `chosen`, from 1. */
fs_status fs_top(const fs_row *row, size_t n, double temperature, size_t k, void *scratch, int64_t *index,
                 double *logprob, size_t chosen, int64_t *rank);
/* k different indices: index[j] is drawn as fs_sample does, for the uniform u[j], from the row without index[0] to
 * index[j - 1].  FS_NO_MASS: fewer than k entries can be drawn; the first indices may have been written. */
fs_status fs_without_replacement(const fs_row *row, size_t n, double temperature, size_t k, const double *u,
                                 void *scratch, int64_t *index);

/* Whether a token drawn from `draft` (NULL: a distribution of this token alone) is accepted as a draw from `target`:
 * u q(token) < p(token).  The two temperatures are those of target and draft. */
fs_status fs_accept(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                    double u, int *accepted);
/* The token in place of a rejected one: drawn from max(p - q, 0), or from p where that is 0. */
fs_status fs_correct(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2], size_t token,
                     double u, void *scratch, int64_t *index);

/* Drafted tokens as a tree: node i holds token[i] and follows the node parent[i] < i, or the context (-1). */
typedef struct {
    size_t count;
    const int64_t *token, *parent;
    int replacement; /* the children of a node were drawn with replacement; without `draft` it has no effect */
} fs_tree;
/* The first child of a node (-1: of the context) that is accepted, in the order of their numbers, or -1 and in *index the token
 * that follows the node.  target, draft: the rows after this node, draft being that of its children, or NULL: each candidate is
 * from a distribution of its token alone.  u: one for each node, and one for the token. */
fs_status fs_accept_child(const fs_row *target, const fs_row *draft, size_t n, const double temperature[2],
                          const fs_tree *tree, int64_t node, const double *u, void *scratch, int64_t *child,
                          int64_t *index);

/* Penalties for what repeats in the context of a row (penalize.c). */
typedef struct {
    double repetition, frequency, presence;
    double dry_multiplier, dry_base;
    int64_t dry_allowed_length, dry_last_n; /* dry_last_n: how many tokens DRY looks at; below 0: all */
    int64_t last_n; /* the same for repetition, frequency and presence */
} fs_penalties;

/* Sequences of tokens at which DRY's repeats end, stored one after another; of[i] is where the i-th begins. */
typedef struct {
    const int64_t *token;
    const size_t *of; /* count + 1 of them */
    size_t count;
} fs_breakers;

/* Bytes of scratch for a context of this length. */
size_t fs_penalize_scratch(size_t length);
/* In place, on the entries named in the context; tokens are in [0, n). */
void fs_penalize(const fs_output *row, const int64_t *context, size_t length, const fs_penalties *penalties,
                 const fs_breakers *breakers, void *scratch);

/* u[i] in [0, 1), a function of seed, key[i], step and stream (philox.c). */
void fs_keyed_uniforms(uint64_t seed, const uint64_t *key, size_t count, uint64_t step, uint64_t stream, double *u);

/* The same with a seed, a key and a step of its own for each: word[i * stride] for the i-th, so 0 is one for all. */
typedef struct {
    const uint64_t *word;
    size_t stride;
} fs_words;
void fs_keyed_uniforms_of(fs_words seeds, fs_words keys, fs_words steps, size_t count, uint64_t stream, double *u);

/* A row in shards: ranges of entries, cut anywhere.  temperature: 0, 2^-900 to 2^900, or +inf.  No probabilities (`probs`).
 *
 * A row is made of blocks of fs_shard_block(dtype) entries, counted from its beginning; the last may be shorter.  Each shard
 * is summarised where it lies: fs_summarise writes a max and a sum for each of the blocks that are whole in it, and *rest.  A
 * block that is cut travels as its entries (fs_read_entries: in double for FS_F64, else in float); once they are together
 * it is summarised as a row of these, of that type.  The blocks of all shards in their order, and the rest that came with the first
 * block that has the largest max, summarise the row.  fs_normalise derives from them what a shard needs to finish.
 *
 * `in_double`: the same in double, in blocks of 512.  A row of float or less needs that as well at the temperatures of
 * fs_needs_double, and for a log-sum-exp if its largest max is negative. */
typedef struct {
    size_t blocks;
    const double *max, *sum;
    double rest;
} fs_blocks;

typedef struct {
    fs_blocks of; /* in the type of the dtype */
    fs_blocks wide; /* in double; no blocks if it is not needed */
} fs_summary;

typedef struct {
    double max, total, log_sum;
    int64_t status; /* FS_OK, FS_NAN, FS_NO_MASS */
} fs_normaliser;

/* A shard: the entries [offset, offset + n) of a row of `entries`. */
typedef struct {
    size_t offset, n, entries;
} fs_part;

/* Where a draw falls: in the block that begins at entry `start` of the row, and the place in it.  A block that is cut is
 * resolved where its entries are together; then `entry` is that of the draw (else -1), and max its logit. */
typedef struct {
    int64_t start; /* -1: the row cannot be drawn from */
    int64_t entry;
    double max, u;
    uint64_t high, low, of; /* the place high + low / 2^64 among `of`; of = 0: the row is this block */
} fs_location;

size_t fs_shard_block(fs_dtype dtype);
int fs_needs_double(fs_dtype dtype, double temperature);
/* The entries [first, first + n) of the row: their blocks, counted from there, or they themselves, with mask and bias. */
fs_status fs_summarise(const fs_row *row, size_t first, size_t n, double temperature, int in_double, double *max,
                       double *sum, double *rest);
fs_status fs_read_entries(const fs_row *row, size_t first, size_t n, void *to);
/* FS_OK, FS_NO_MEMORY, or (here and below) FS_CHANGED for blocks that no row can have.  What is wrong with the row itself is
 * in normaliser->status. */
fs_status fs_normalise(fs_dtype dtype, double temperature, const fs_summary *summary, fs_normaliser *normaliser);
fs_status fs_logsumexp_of_summary(fs_dtype dtype, double temperature, const fs_summary *summary,
                                  const fs_normaliser *normaliser, double *result);
fs_status fs_locate(fs_dtype dtype, double temperature, const fs_summary *summary, const fs_normaliser *normaliser,
                    size_t k, const double *u, fs_location *at);
/* The maxima of the part's first and last block, of which it may have a piece only. */
fs_status fs_cut_maxima(fs_dtype dtype, double temperature, const fs_summary *summary,
                        const fs_normaliser *normaliser, const fs_part *part, double *cut_max);
/* The part's share of softmax or log_softmax.  The row begins with it.  cut_max: what fs_cut_maxima wrote.  block_max (or
 * NULL): the max of each block that it has something of.  FS_CHANGED: the entries have other maxima; part of the result
 * has been written. */
fs_status fs_softmax_shard(const fs_row *row, const fs_part *part, double temperature,
                           const fs_normaliser *normaliser, const double *cut_max, const double *block_max,
                           const fs_output *out);
fs_status fs_log_softmax_shard(const fs_row *row, size_t n, double temperature, const fs_normaliser *normaliser,
                               const fs_output *out);
/* The draws that fall in the part.  The other draws get index -1 and logprob -inf; draws of a row that cannot be drawn from
 * get -1 and NaN. */
fs_status fs_resolve(const fs_row *row, const fs_part *part, double temperature, const fs_normaliser *normaliser,
                     size_t k, const fs_location *at, int64_t *index, double *logprob);

/* Rows of n entries, evenly spaced in memory: the first, and the bytes from each to the next of its entries, mask, bias and
 * temperature.  The rows of a matrix along either axis are such rows. */
typedef struct {
    fs_row row;
    size_t count, n;
    ptrdiff_t step, mask_step, bias_step; /* 0: the same for all; bias_step has no effect with bias_at */
    const double *temperature;
    ptrdiff_t temperature_step;
} fs_rows;

/* The result of each row is that of the functions above, which say what a bad row gives; a draw from one gives index -1 and
 * logprob NaN.  `out` is that of the first row, and out_step the bytes from each to the next; of logsumexp and entropy it is
 * one entry a row.  It may be the rows themselves, with the same layout.  One uniform a row; logprob may be NULL.  Returns the
 * number of rows done: less than all only where memory ran out or the call was interrupted. */
size_t fs_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step);
size_t fs_log_softmax_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step);
size_t fs_logsumexp_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step);
size_t fs_sample_rows(const fs_rows *rows, const double *u, int64_t *index, double *logprob);
/* fs_sample_seeded, with a seed, a key and a step for each row, or one for all (fs_words). */
size_t fs_sample_seeded_rows(const fs_rows *rows, fs_words seeds, fs_words keys, fs_words steps, int64_t *index,
                             double *logprob);
size_t fs_entropy_rows(const fs_rows *rows, const fs_output *out, ptrdiff_t out_step);
/* Of each row of p from that of q, at the temperatures of p; step: bytes from a result to the next. */
size_t fs_kl_divergence_rows(const fs_rows *p, const fs_rows *q, double *result, ptrdiff_t step);
/* log p of one given entry of each row; NaN where the row cannot be drawn from. */
size_t fs_logprob_rows(const fs_rows *rows, const int64_t *index, double *logprob);

/* Rows of any lengths, one after another in one array: row i is the entries [offset[i], offset[i + 1]), which may be none.
 * Strides are in bytes, also from each row's temperature to the next. */
typedef struct {
    const void *data; /* entry 0 */
    ptrdiff_t stride;
    fs_dtype dtype;
    const int64_t *offset;
    const double *temperature;
    ptrdiff_t temperature_step; /* 0: the same for all */
} fs_segments;

/* The rows [first, past), each as by the functions of one row.  A row without entries has the logsumexp -inf, and a draw from
 * it gives index -1 and logprob NaN, as from any bad row.  `out` is that of entry 0 and may be the entries themselves; `sums`
 * is that of row 0.  u, index and logprob (may be NULL) have one number a row; an index counts from the beginning of its row.
 * FS_OK; FS_NO_MEMORY or FS_INTERRUPTED, and some of the rows are not done. */
fs_status fs_softmax_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *out);
fs_status fs_log_softmax_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *out);
fs_status fs_logsumexp_segments(const fs_segments *segments, size_t first, size_t past, const fs_output *sums);
fs_status fs_sample_segments(const fs_segments *segments, size_t first, size_t past, const double *u, int64_t *index,
                             double *logprob);

/* Many rows whose entries lie one after another, `stride` bytes from row to row (temperature_stride too). */
size_t fs_softmax_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, float *out, ptrdiff_t out_stride);
size_t fs_softmax_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                           ptrdiff_t temperature_stride, double *out, ptrdiff_t out_stride);
size_t fs_sample_rows_f32(const float *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index);
size_t fs_sample_rows_f64(const double *x, ptrdiff_t stride, size_t rows, size_t n, const double *temperature,
                          ptrdiff_t temperature_stride, const double *u, int64_t *index);

/* One row whose entries lie one after another, by plain pointers and numbers: what Cython and Numba call too
 * (fastsoftmax/_core.pxd).  These check their arguments: FS_ARGUMENT, and nothing is written.  What else fs_status may
 * be is said at fs_softmax; out is x, or apart from it.  logsumexp sets *result to NaN or -inf where the row is bad. */
fs_status fs_softmax_f32(const float *x, size_t n, double temperature, float *out);
fs_status fs_softmax_f64(const double *x, size_t n, double temperature, double *out);
fs_status fs_log_softmax_f32(const float *x, size_t n, double temperature, float *out);
fs_status fs_log_softmax_f64(const double *x, size_t n, double temperature, double *out);
fs_status fs_logsumexp_f32(const float *x, size_t n, double temperature, double *result);
fs_status fs_logsumexp_f64(const double *x, size_t n, double temperature, double *result);
fs_status fs_entropy_f32(const float *x, size_t n, double temperature, double *result);
fs_status fs_entropy_f64(const double *x, size_t n, double temperature, double *result);

/* The index drawn with u; below 0: minus the fs_status that says why there is none.  x are logits, p probabilities or
 * any weights >= 0, which count as p^(1/temperature). */
int64_t fs_draw_f32(const float *x, size_t n, double temperature, double u);
int64_t fs_draw_f64(const double *x, size_t n, double temperature, double u);
int64_t fs_draw_probs_f32(const float *p, size_t n, double temperature, double u);
int64_t fs_draw_probs_f64(const double *p, size_t n, double temperature, double u);

/* k draws with u[0 .. k) from one row, into index[0 .. k) for FS_OK only. */
fs_status fs_draw_many_f32(const float *x, size_t n, double temperature, size_t k, const double *u, int64_t *index);
fs_status fs_draw_many_f64(const double *x, size_t n, double temperature, size_t k, const double *u, int64_t *index);
fs_status fs_draw_many_probs_f32(const float *p, size_t n, double temperature, size_t k, const double *u,
                                 int64_t *index);
fs_status fs_draw_many_probs_f64(const double *p, size_t n, double temperature, size_t k, const double *u,
                                 int64_t *index);

/* One draw from each of `rows` rows of n entries, all one after another; index[i] as fs_draw gives it.  FS_OK whatever
 * the rows hold, FS_ARGUMENT, or FS_NO_MEMORY, which every row that was not reached has as its index too. */
fs_status fs_draw_rows_f32(const float *x, size_t rows, size_t n, double temperature, const double *u,
                           int64_t *index);
fs_status fs_draw_rows_f64(const double *x, size_t rows, size_t n, double temperature, const double *u,
                           int64_t *index);

/* fs_draw from the entries that the filters keep.  scratch: fs_scratch_size(n) bytes, not shared by threads.  coin, in
 * [0, 1], is XTC's (1: XTC does not apply). */
int64_t fs_draw_filtered_f32(const float *x, size_t n, double temperature, const fs_filters *filters, double coin,
                             double u, void *scratch);
int64_t fs_draw_filtered_f64(const double *x, size_t n, double temperature, const fs_filters *filters, double coin,
                             double u, void *scratch);

/* Switches all filters off: what a caller begins with. */
void fs_no_filters(fs_filters *filters);

/* Counts the changes of a type or of a function: of this header, and of the kernels as they were compiled. */
#define FS_ABI_VERSION 2
int fs_abi_version(void);

/* Instruction sets by name: "scalar", "avx2", "avx512", "neon".
 * fs_choose(NULL) takes the best one; returns 0, or -1 where this CPU or build has no such set. */
int fs_choose(const char *name);
const char *fs_chosen(void);
/* The i-th usable set, best first; NULL past the end. */
const char *fs_available(size_t i);

#ifdef __cplusplus
}
#endif
#endif

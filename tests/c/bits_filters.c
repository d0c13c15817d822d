/* What the filters leave, the first entries of a row, draws without replacement, the verification of drafts and
 * penalties have the same bits on every instruction set, in every layout, and whatever is in the scratch.
 *
 *     bits_filters [--every K] [--seed S]
 *
 * Cases are as in bits.c, each with filters at random.  Prints a digest for each set: equal digests from two machines
 * mean equal results. */
#include "rows.h"

enum { DRAWS = 3, FIRST = 70, CONTEXT = 200, MOST_SETS = 4 };

static const double temperatures[] = {0.0, 5e-324, 1e-30, 0.05, 0.7, 1.0, 30.0, 1e30, 1e300, INFINITY};
enum { TEMPERATURES = sizeof temperatures / sizeof temperatures[0] };

static unsigned long long checks;

/* One case; `other` is a draft of the same length. */
typedef struct {
    const fs_row *row, *other;
    size_t n, first, chosen, context_length;
    fs_filters filters;
    fs_indices keep;
    fs_penalties penalties;
    double temperature[2], coin, u[DRAWS];
    const double *uniform;
    int64_t context[CONTEXT];
} question;

typedef struct {
    fs_status status[8];
    int accepted;
    double of_adapted[2];
    double logprob[DRAWS], top_logprob[FIRST];
    int64_t index[DRAWS], top[FIRST], rank, distinct[FIRST], corrected, child, after, adapted;
    char *truncated, *penalized;
} results;

static results new_results(size_t n)
{
    results r;
    memset(&r, 0, sizeof r);
    r.truncated = workspace(8 * n);
    r.penalized = workspace(8 * n);
    return r;
}

static void free_results(results *r)
{
    free(r->truncated);
    free(r->penalized);
}

/* Memory of the kernel, filled with a byte, at any alignment; `begun` is what to free. */
static void *scratch_of(size_t bytes, random_stream *r, char **begun)
{
    size_t offset = below(r, 64);
    *begun = workspace(bytes + offset);
    memset(*begun, (int)below(r, 256), bytes + offset);
    return *begun + offset;
}

static void run(const question *q, layout how, random_stream *r, results *a)
{
    static const int64_t breaker[] = {3, 5, 2};
    static const size_t of[] = {0, 1, 3};
    static const fs_breakers breakers = {breaker, of, 2};
    size_t n = q->n;
    char *begun, *begun_too;
    void *scratch = scratch_of(fs_scratch_size(n), r, &begun);
    void *of_context = scratch_of(fs_penalize_scratch(q->context_length), r, &begun_too);
    laid_row l = lay_out(q->row, n, how);
    for (int j = 0; j < DRAWS; j++) {
        a->index[j] = -1;
        a->logprob[j] = 0.0;
    }
    for (int j = 0; j < FIRST; j++) {
        a->top[j] = a->distinct[j] = -1;
        a->top_logprob[j] = 0.0;
    }
    a->rank = a->corrected = a->after = a->adapted = -1;
    a->of_adapted[0] = a->of_adapted[1] = 0.0;
    a->status[0] = fs_sample_filtered(&l.row, n, q->temperature[0], &q->filters, &q->keep, q->coin, DRAWS, q->u,
                                      scratch, a->index, a->logprob);
    a->status[1] =
        fs_top(&l.row, n, q->temperature[0], q->first, scratch, a->top, a->top_logprob, q->chosen, &a->rank);
    a->status[2] = fs_without_replacement(&l.row, n, q->temperature[0], q->first, q->uniform, scratch, a->distinct);
    a->status[3] = fs_accept(&l.row, q->other, n, q->temperature, q->chosen, q->u[0], &a->accepted);
    a->status[4] = fs_correct(&l.row, q->chosen % 3 ? q->other : NULL, n, q->temperature, q->chosen, q->u[1], scratch,
                              &a->corrected);
    const int64_t tokens[3] = {(int64_t)q->chosen, (int64_t)(n / 2), (int64_t)(n - 1)}, parents[3] = {-1, -1, -1};
    const fs_tree tree = {3, tokens, parents, (int)(q->first % 2)};
    const double u[4] = {q->u[0], q->u[1], q->u[2], q->coin};
    a->status[6] = fs_accept_child(&l.row, q->chosen % 3 ? q->other : NULL, n, q->temperature, &tree, -1, u, scratch,
                                   &a->child, &a->after);
    a->status[7] = fs_sample_adapted(&l.row, n, q->temperature[0], &q->filters, &q->keep, q->coin, q->u[1], q->u[2],
                                     scratch, &a->adapted, a->of_adapted, a->of_adapted + 1);
    a->status[5] = fs_truncate(&l.row, n, q->temperature[0], &q->filters, &q->keep, q->coin, scratch, &l.out);
    gather(&l, n, a->truncated);
    free_layout(&l);
    l = lay_out(q->row, n, how); /* fs_penalize works in place: on what is there when it is called */
    fs_output to = {(void *)(uintptr_t)l.row.data, l.row.stride, l.row.dtype};
    fs_penalize(&to, q->context, q->context_length, &q->penalties, &breakers, of_context);
    l.out = to;
    gather(&l, n, a->penalized);
    free_layout(&l);
    free(begun);
    free(begun_too);
}

static void compare(const results *a, const results *b, size_t bytes, const char *set, const char *how,
                    const char *of)
{
    checks += 14;
    (void)(same("status", a->status, b->status, sizeof a->status, set, how, of) &&
           same("drawn index", a->index, b->index, sizeof a->index, set, how, of) &&
           same("its log-probability", a->logprob, b->logprob, sizeof a->logprob, set, how, of) &&
           same("truncated row", a->truncated, b->truncated, bytes, set, how, of) &&
           same("top index", a->top, b->top, sizeof a->top, set, how, of) &&
           same("top log-probability", a->top_logprob, b->top_logprob, sizeof a->top_logprob, set, how, of) &&
           same("rank", &a->rank, &b->rank, sizeof a->rank, set, how, of) &&
           same("index without replacement", a->distinct, b->distinct, sizeof a->distinct, set, how, of) &&
           same("corrected token", &a->corrected, &b->corrected, sizeof a->corrected, set, how, of) &&
           same("accepted child", &a->child, &b->child, sizeof a->child, set, how, of) &&
           same("token after a node", &a->after, &b->after, sizeof a->after, set, how, of) &&
           same("adapted index", &a->adapted, &b->adapted, sizeof a->adapted, set, how, of) &&
           same("its probabilities", a->of_adapted, b->of_adapted, sizeof a->of_adapted, set, how, of) &&
           same("acceptance", &a->accepted, &b->accepted, sizeof a->accepted, set, how, of) &&
           same("penalized row", a->penalized, b->penalized, bytes, set, how, of));
}

static uint64_t digest_of(uint64_t h, const results *a, size_t bytes)
{
    h = extend_digest(h, a->status, sizeof a->status);
    h = extend_digest(h, &a->accepted, sizeof a->accepted);
    h = extend_digest(h, a->index, sizeof a->index);
    h = extend_digest(h, a->logprob, sizeof a->logprob);
    h = extend_digest(h, a->truncated, bytes);
    h = extend_digest(h, a->top, sizeof a->top);
    h = extend_digest(h, a->top_logprob, sizeof a->top_logprob);
    h = extend_digest(h, &a->rank, sizeof a->rank);
    h = extend_digest(h, a->distinct, sizeof a->distinct);
    h = extend_digest(h, &a->corrected, sizeof a->corrected);
    h = extend_digest(h, &a->child, sizeof a->child);
    h = extend_digest(h, &a->after, sizeof a->after);
    h = extend_digest(h, &a->adapted, sizeof a->adapted);
    h = extend_digest(h, a->of_adapted, sizeof a->of_adapted);
    return extend_digest(h, a->penalized, bytes);
}

static void run_case(size_t n, fs_dtype dtype, double temperature, data_kind data, row_kind kind, random_stream *r,
                     uint64_t *digests)
{
    size_t bytes = n * size_of(dtype);
    char text[1000];
    made_row made = make_row(n, dtype, data, kind, r), draft = make_row(n, dtype, NORMAL, PLAIN, r);
    double *uniform = workspace(8 * n);
    int64_t kept[MOST_KEPT];
    question q = {.row = &made.row,
                  .other = &draft.row,
                  .n = n,
                  .first = 1 + below(r, n < FIRST ? n : FIRST),
                  .chosen = below(r, n),
                  .context_length = below(r, CONTEXT + 1),
                  .filters = any_filters(r, n, 1 + below(r, 8)),
                  .keep = any_kept(r, n, kept),
                  .penalties = {1.0 + (double)below(r, 2) * next_uniform(r), next_normal(r), next_normal(r),
                                (double)below(r, 3), 1.0 + next_uniform(r), (int64_t)(1 + below(r, 3)),
                                (int64_t)below(r, CONTEXT) - 20, (int64_t)below(r, CONTEXT) - 20},
                  .temperature = {temperature, temperatures[below(r, TEMPERATURES)]},
                  .coin = next_uniform(r),
                  .uniform = uniform};
    for (size_t i = 0; i < n; i++)
        uniform[i] = below(r, 50) ? next_uniform(r) : 0.0;
    for (int j = 0; j < DRAWS; j++)
        q.u[j] = j ? next_uniform(r) : 0.0;
    for (size_t i = 0; i < q.context_length; i++)
        q.context[i] = (int64_t)below(r, n < 7 ? n : 7 + below(r, n - 6));
    snprintf(text, sizeof text, "n = %zu, %s, %s, temperature %g, %s, %s", n, dtype_name[dtype], kind_name[data],
             temperature, row_name[kind], describe_filters(&q.filters));
    results first = new_results(n), other = new_results(n);
    for (size_t s = 0; fs_available(s); s++) {
        const char *set = fs_available(s);
        results *here = s ? &other : &first;
        fs_choose(set);
        run(&q, CONTIGUOUS, r, here);
        digests[s] = digest_of(digests[s], here, bytes);
        if (s)
            compare(&first, &other, bytes, set, "against the best set", text);
        layout how = (layout)(1 + below(r, LAYOUTS - 1));
        run(&q, how, r, &other);
        compare(&first, &other, bytes, set, layout_name[how], text);
    }
    free_results(&first);
    free_results(&other);
    free_row(&made);
    free_row(&draft);
    free(uniform);
}

/* Takes one case in `every`, by a hash of the case, so that every pair of circumstances comes up. */
static void run_length(size_t n, uint64_t every, uint64_t seed, uint64_t *digests)
{
    for (int dtype = 0; dtype < 4; dtype++)
        for (int t = 0; t < TEMPERATURES; t++)
            for (int data = 0; data < KINDS; data++)
                for (int kind = 0; kind < ROW_KINDS; kind++) {
                    uint64_t name =
                        (((n * 4 + (uint64_t)dtype) * TEMPERATURES + (uint64_t)t) * KINDS + (uint64_t)data);
                    random_stream r = {(name * ROW_KINDS + (uint64_t)kind) ^ seed << 40};
                    if (next_word(&r) % every == 0)
                        run_case(n, (fs_dtype)dtype, temperatures[t], (data_kind)data, (row_kind)kind, &r, digests);
                }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {2047, 2048, 2049, 4095, 4096, 4097, 5000, 17000, 130000};
    uint64_t digests[MOST_SETS] = {0}, every = (uint64_t)option(argc, argv, "--every", 1);
    uint64_t seed = (uint64_t)option(argc, argv, "--seed", 0);
    for (size_t n = 1; n <= 1100; n++)
        run_length(n, every, seed, digests);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t rare = 1 + lengths[i] / 1000;
        run_length(lengths[i], every < 50 ? every * rare : (every + 3) / 4 * rare, seed, digests);
    }
    for (size_t s = 0; fs_available(s); s++) {
        check(digests[s] == digests[0], "the digest of %s is not that of %s", fs_available(s), fs_available(0));
        printf("digest %s %016llx\n", fs_available(s), (unsigned long long)digests[s]);
    }
    return finish("bits_filters", checks);
}

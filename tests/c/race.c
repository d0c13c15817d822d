/* A row that another thread changes while it is looked at gives some result or other: but no index outside the row,
 * nothing written next to a result, and an end.
 *
 *     race [--calls K]
 *
 * A thread flips entries of the row between ordinary numbers, NaN, infinities, and numbers that take a maximum or a
 * sum far away, all through K calls of each function on each set.  Scratch and results are of their exact size, for
 * the sanitizers, and what surrounds the results must stay. */
#include <pthread.h>
#include <unistd.h>

#include "rows.h"

enum { LONGEST = 20000, DRAWS = 4, AROUND = 64, SECONDS = 300 };

static unsigned long long checks;

static struct {
    _Alignas(8) char entries[8 * LONGEST];
    fs_dtype dtype;
    size_t n;
    int stop;
} shared;

static int is_stopped(void) { return __atomic_load_n(&shared.stop, __ATOMIC_ACQUIRE); }

/* One store of the whole entry, as another thread of a program would make it. */
static void flip(size_t i, double value)
{
    double entry[1] = {0.0};
    uint64_t wide;
    uint32_t single;
    uint16_t half;
    put(entry, shared.dtype, 0, value);
    memcpy(&wide, entry, 8);
    memcpy(&single, entry, 4);
    memcpy(&half, entry, 2);
    switch (size_of(shared.dtype)) {
    case 8: __atomic_store_n((uint64_t *)(void *)shared.entries + i, wide, __ATOMIC_RELAXED); return;
    case 4: __atomic_store_n((uint32_t *)(void *)shared.entries + i, single, __ATOMIC_RELAXED); return;
    default: __atomic_store_n((uint16_t *)(void *)shared.entries + i, half, __ATOMIC_RELAXED);
    }
}

static void *flip_entries(void *unused)
{
    static const double values[] = {0.0, 1.0, -3.0, 5.0, 1e4, -1e4, 3e38, -3e38, INFINITY, -INFINITY, NAN};
    random_stream r = {17};
    while (!is_stopped()) {
        size_t i = below(&r, shared.n), kind = below(&r, 12);
        if (kind < 11)
            flip(i, values[kind]);
        /* and mostly back, so that some rows are ordinary throughout a step */
        if (below(&r, 8))
            flip(i, next_normal(&r));
    }
    return unused;
}

/* A result of `bytes` bytes with canaries around it. */
static char *surrounded(size_t bytes)
{
    char *p = workspace(bytes + 2 * AROUND);
    memset(p, 0x5a, bytes + 2 * AROUND);
    return p + AROUND;
}

static void free_surrounded(char *p, size_t bytes, const char *operation)
{
    int intact = 1;
    for (size_t i = 0; i < AROUND; i++)
        intact &= p[-(ptrdiff_t)i - 1] == 0x5a && p[bytes + i] == 0x5a;
    check(intact, "%s, %s, n = %zu: wrote next to the result", fs_chosen(), operation, shared.n);
    free(p - AROUND);
    checks++;
}

static void expect_inside(fs_status status, const int64_t *index, size_t count, const char *operation)
{
    for (size_t j = 0; j < count && status == FS_OK; j++)
        check(index[j] >= 0 && (size_t)index[j] < shared.n, "%s, %s, n = %zu: index %lld", fs_chosen(), operation,
              shared.n, (long long)index[j]);
    checks += count;
}

static void call_all(random_stream *r)
{
    static double uniform[LONGEST];
    static const double temperatures[] = {0.0, 0.7, 1.0, 1e-40, INFINITY};
    size_t n = shared.n, size = size_of(shared.dtype), k = 1 + below(r, below(r, 2) && n > 40 ? 40 : n);
    double t[2] = {temperatures[below(r, 5)], 1.0}, u[DRAWS] = {0.0, next_uniform(r), 0.5, 1.0 - 0x1p-53};
    fs_filters f = any_filters(r, n, 1 + below(r, 8));
    fs_row row = plain_row(shared.entries, shared.dtype);
    row.probs = below(r, 4) == 0;
    char *scratch = workspace(fs_scratch_size(n)), *index = surrounded(8 * k), *logprob = surrounded(8 * k);
    char *drawn = surrounded(8 * DRAWS), *out = surrounded(n * size);
    int64_t *indices = (int64_t *)(void *)index, *draws = (int64_t *)(void *)drawn, rank = 0;
    int accepted;
    double logprob_too[1];
    for (size_t i = 0; i < k; i++)
        uniform[i] = next_uniform(r);
    fs_status status = fs_sample_filtered(&row, n, t[0], &f, NULL, u[1], DRAWS, u, scratch, draws, NULL);
    expect_inside(status, draws, DRAWS, "fs_sample_filtered");
    status = fs_sample_adapted(&row, n, t[0], &f, NULL, u[1], 0.5, u[1], scratch, draws, NULL, logprob_too);
    expect_inside(status, draws, 1, "fs_sample_adapted");
    fs_output to = {out, (ptrdiff_t)size, shared.dtype};
    fs_truncate(&row, n, t[0], &f, NULL, u[1], scratch, &to);
    status = fs_top(&row, n, t[0], k, scratch, indices, (double *)(void *)logprob, below(r, n), &rank);
    expect_inside(status, indices, k, "fs_top");
    status = fs_without_replacement(&row, n, t[0], k, uniform, scratch, indices);
    expect_inside(status, indices, k, "fs_without_replacement");
    fs_accept(&row, &row, n, t, below(r, n), u[1], &accepted);
    status = fs_correct(&row, below(r, 2) ? &row : NULL, n, t, below(r, n), u[1], scratch, draws);
    expect_inside(status, draws, 1, "fs_correct");
    free_surrounded(index, 8 * k, "indices");
    free_surrounded(logprob, 8 * k, "log-probabilities");
    free_surrounded(drawn, 8 * DRAWS, "draws");
    free_surrounded(out, n * size, "fs_truncate");
    free(scratch);
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {1, 5, 40, 150, 600, 1100, 2500, 5000, LONGEST};
    size_t calls = (size_t)option(argc, argv, "--calls", 200);
    random_stream r = {23};
    alarm(SECONDS); /* a call that does not end ends here */
    for (size_t s = 0; fs_available(s); s++)
        for (int dtype = 0; dtype < 4; dtype++)
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
                pthread_t thread;
                fs_choose(fs_available(s));
                shared.dtype = (fs_dtype)dtype;
                shared.n = lengths[l];
                shared.stop = 0;
                fill(shared.entries, shared.dtype, shared.n, NORMAL, &r);
                if (pthread_create(&thread, NULL, flip_entries, NULL)) {
                    printf("FAILED: no thread\n");
                    return 1;
                }
                for (size_t i = 0; i < calls; i += 1 + shared.n / 500)
                    call_all(&r);
                __atomic_store_n(&shared.stop, 1, __ATOMIC_RELEASE);
                pthread_join(thread, NULL);
            }
    return finish("race", checks);
}

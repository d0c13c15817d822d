/* Threads that share a job: every chunk is done once, by whomever; results are those of one thread; an interrupt callback
 * ends a job and may fork; callers with threads of their own do not meet; a forked child has its own thread pool.
 *
 *     threads [--every K] [--fork 0]
 *
 * The program has a thread_pool.c of its own that opens every job after its first chunk, so that small rows are shared too,
 * whatever it costs and on any processor. */
#define FS_ALONE_NS 1
#define FS_SHARE_NS 0
#define FS_AWAKE_NS 0
#define FS_RECALL_NS 10000
#define FS_ANYWHERE_NS 1
#define FS_SPIN_NS 2000
#define FS_SPIN_LONGER_NS 5000
#define FS_ALONE_FOR 1e-9
#include "thread_pool.c"

#include <pthread.h> /* MinGW has it too, for the threads of the test itself */

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "rows.h"

static unsigned long long checks;

/* --- chunks --- */

enum { CHUNKS = 1000 };

typedef struct {
    int done[CHUNKS], inner[CHUNKS];
    pthread_t by[CHUNKS];
} tally;

static void spend(unsigned microseconds)
{
    for (uint64_t end = now_ns() + 1000u * microseconds; now_ns() < end;)
        pause_a_moment();
}

static void count_inner(void *context, size_t chunk)
{
    /* Within the only chunk of a job this job is one that threads may share. */
    __atomic_fetch_add((int *)context, (int)chunk, __ATOMIC_RELAXED);
}

static void count_chunk(void *context, size_t chunk)
{
    tally *t = context;
    t->done[chunk]++;
    t->by[chunk] = pthread_self();
    check(fs_parallel_for(10, count_inner, &t->inner[chunk]) == 0, "a job within a chunk was stopped");
    spend(chunk % 7 == 0 ? 20 : 1);
}

static int distinct(const pthread_t *by, size_t count)
{
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && !pthread_equal(by[i], by[j]))
            j++;
        found += j == i;
    }
    return found;
}

static void chunks_are_done_once(void)
{
    static const size_t counts[] = {0, 1, 2, 3, 17, CHUNKS};
    int most = 0;
    for (int n = 1; n <= 8; n++) {
        fs_set_num_threads(n);
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            tally t = {{0}, {0}, {0}};
            check(fs_parallel_for(counts[c], count_chunk, &t) == 0, "%zu chunks, %d threads: stopped", counts[c], n);
            for (size_t i = 0; i < CHUNKS; i++, checks++)
                check(t.done[i] == (i < counts[c]) && t.inner[i] == (i < counts[c] ? 45 : 0),
                      "%zu chunks, %d threads: chunk %zu was done %d times", counts[c], n, i, t.done[i]);
            int found = distinct(t.by, counts[c]);
            most = found > most ? found : most;
            check(found <= n, "%d threads where %d may be", found, n);
        }
    }
    check(most > 1, "no job was shared");
    check(fs_set_num_threads(0) == 8 && fs_get_num_threads() == 1, "0 threads");
    check(fs_set_num_threads(1 << 20) == 1 && fs_get_num_threads() == FS_MAX_THREADS, "a million threads");
}

/* --- kernels --- */

enum { DRAWS = 5, LONGEST = 300001 };

typedef struct {
    fs_status status[5];
    double logsumexp, logprob[DRAWS];
    int64_t index[DRAWS], best;
} numbers;

/* Everything that a long row is shared in; its two results are 8 LONGEST bytes apart. */
static void run(const fs_row *row, size_t n, double temperature, numbers *r, char *results)
{
    static const double u[DRAWS] = {0.0, 0x1p-40, 0.3, 0.7, 1.0 - 0x1p-53};
    fs_output out = {results, (ptrdiff_t)size_of(row->dtype), row->dtype};
    memset(r, 0, sizeof *r);
    memset(results, 0, 16 * LONGEST);
    r->status[0] = fs_softmax(row, n, temperature, &out);
    out.data = results + 8 * LONGEST;
    r->status[1] = fs_log_softmax(row, n, temperature, &out);
    r->status[2] = fs_logsumexp(row, n, temperature, &r->logsumexp);
    r->status[3] = fs_sample(row, n, temperature, DRAWS, u, r->index, r->logprob);
    if (r->status[3] != FS_OK)
        memset(r->index, 0, sizeof r->index);
    r->status[4] = fs_sample(row, n, 0.0, 1, u, &r->best, NULL);
    if (r->status[4] != FS_OK)
        r->best = 0;
}

static void threads_change_no_bit(long every)
{
    static const size_t lengths[] = {65536, 65537, 131072, LONGEST};
    static const double temperatures[] = {0.0, 0.7, 1.0, 1e-300, INFINITY};
    char *alone = workspace(16 * LONGEST), *shared = workspace(16 * LONGEST);
    random_stream r = {5};
    long at = 0;
    for (size_t l = 0; l < 4; l++)
        for (fs_dtype dtype = FS_F32; dtype <= FS_BF16; dtype++)
            for (data_kind data = NORMAL; data < KINDS; data++)
                for (size_t t = 0; t < 5; t++)
                    for (row_kind kind = PLAIN; kind < ROW_KINDS; kind++) {
                        if (at++ % every)
                            continue;
                        made_row m = make_row(lengths[l], dtype, data, kind, &r);
                        numbers expected, got;
                        fs_set_num_threads(1);
                        run(&m.row, lengths[l], temperatures[t], &expected, alone);
                        for (int threads_ = 2; threads_ <= 8; threads_ += 3, checks++) {
                            fs_set_num_threads(threads_);
                            run(&m.row, lengths[l], temperatures[t], &got, shared);
                            (void)(same("numbers", &expected, &got, sizeof got, "threads", row_name[kind],
                                        kind_name[data]) &&
                                   same("results", alone, shared, 16 * LONGEST, "threads", row_name[kind],
                                        kind_name[data]));
                        }
                        free_row(&m);
                    }
    free(alone);
    free(shared);
}

/* --- several callers --- */

typedef struct {
    const made_row *row;
    const numbers *expected;
    const char *results;
    int different;
} caller;

static void *call(void *context)
{
    caller *c = context;
    char *results = workspace(16 * LONGEST);
    for (int i = 0; i < 10; i++) {
        numbers got;
        run(&c->row->row, LONGEST, 0.7, &got, results);
        c->different += memcmp(&got, c->expected, sizeof got) || memcmp(results, c->results, 16 * LONGEST);
    }
    free(results);
    return NULL;
}

static void callers_do_not_meet(void)
{
    enum { CALLERS = 6 };
    random_stream r = {6};
    made_row m = make_row(LONGEST, FS_F32, NORMAL, PLAIN, &r);
    numbers expected;
    char *results = workspace(16 * LONGEST);
    caller callers[CALLERS];
    pthread_t threads_[CALLERS];
    fs_set_num_threads(1);
    run(&m.row, LONGEST, 0.7, &expected, results);
    fs_set_num_threads(3);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){&m, &expected, results, 0};
        check(!pthread_create(&threads_[i], NULL, call, &callers[i]), "no thread for the test itself");
    }
    for (int i = 0; i < CALLERS; i++, checks++) {
        pthread_join(threads_[i], NULL);
        check(!callers[i].different, "a caller among others had %d other results", callers[i].different);
    }
    free_row(&m);
    free(results);
}

/* --- interrupt callbacks --- */

static uint64_t stop_at;
static int asked;

static int stop_in_time(void)
{
    asked++;
    return now_ns() >= stop_at;
}

static void spend_a_millisecond(void *context, size_t chunk)
{
    (void)context, (void)chunk;
    spend(1000);
}

static void in_a_chunk(void *context, size_t chunk)
{
    fs_parallel_for(1000, spend_a_millisecond, context);
    (void)chunk;
}

static void callbacks_end_jobs(void)
{
    random_stream r = {7};
    made_row m = make_row(LONGEST, FS_F64, NORMAL, PLAIN, &r);
    double value;
    for (int n = 1; n <= 3; n += 2)
        for (int nested = 0; nested < 2; nested++, checks++) {
            fs_set_num_threads(n);
            uint64_t start = now_ns();
            stop_at = start + 60000000;
            asked = 0;
            check(fs_set_interrupt_callback(stop_in_time) == NULL, "there was a callback already");
            int ended =
                nested ? fs_parallel_for(100, in_a_chunk, NULL) : fs_parallel_for(100000, spend_a_millisecond, NULL);
            check(ended == 1 && fs_was_interrupted(), "%d threads: the callback was not called", n);
            check(now_ns() - start < 1000000000, "%d threads: it took %g s", n, (double)(now_ns() - start) * 1e-9);
            check(asked >= 2 && asked < 20, "%d threads: the callback was called %d times", n, asked);
            check(fs_logsumexp(&m.row, LONGEST, 1.0, &value) == FS_INTERRUPTED, "a stopped thread goes on");
            check(fs_set_interrupt_callback(NULL) == stop_in_time && !fs_was_interrupted(),
                  "the callback was not removed");
            check(fs_logsumexp(&m.row, LONGEST, 1.0, &value) == FS_OK, "no call after the stop");
        }
    free_row(&m);
}

/* --- forks --- */

#ifndef _WIN32
static int exit_status(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static pid_t forked;

static int fork_once(void)
{
    if (forked < 0)
        forked = fork();
    return 0;
}

static void a_child_has_its_own_thread_pool(void)
{
    fs_set_num_threads(3);
    tally t = {{0}, {0}, {0}};
    fs_parallel_for(CHUNKS, count_chunk, &t);
    pid_t child = fork();
    if (!child) { /* the workers are gone, and a new pool works */
        tally of_child = {{0}, {0}, {0}};
        int wrong = fs_parallel_for(CHUNKS, count_chunk, &of_child);
        for (size_t i = 0; i < CHUNKS; i++)
            wrong |= of_child.done[i] != 1;
        _exit(wrong || distinct(of_child.by, CHUNKS) < 2);
    }
    check(exit_status(child) == 0, "the child could not work");
    /* forked by the callback, in the middle of a job: parent and child both finish it */
    tally both = {{0}, {0}, {0}};
    forked = -1;
    fs_set_interrupt_callback(fork_once);
    self.called_at = now_ns() - FS_INTERRUPT_INTERVAL;
    int wrong = fs_parallel_for(CHUNKS, count_chunk, &both);
    for (size_t i = 0; i < CHUNKS; i++)
        wrong |= both.done[i] != 1;
    if (!forked)
        _exit(wrong);
    fs_set_interrupt_callback(NULL);
    check(!wrong && forked > 0, "the parent's job after a fork");
    check(exit_status(forked) == 0, "the child's job after a fork");
    checks += 3;
}

static volatile int forking;

static void *fork_again_and_again(void *unused)
{
    while (forking) {
        pid_t child = fork();
        if (!child) {
            tally t = {{0}, {0}, {0}};
            _exit(fs_parallel_for(20, count_chunk, &t));
        }
        check(exit_status(child) == 0, "a child of another thread");
        checks++;
    }
    return unused;
}

static void forks_during_jobs(void)
{
    pthread_t other;
    forking = 1;
    check(!pthread_create(&other, NULL, fork_again_and_again, NULL), "no thread for the test itself");
    for (int i = 0; i < 100; i++) {
        tally t = {{0}, {0}, {0}};
        fs_parallel_for(100, count_chunk, &t);
        for (size_t j = 0; j < 100; j++)
            check(t.done[j] == 1, "during forks: chunk %zu was done %d times", j, t.done[j]);
    }
    forking = 0;
    pthread_join(other, NULL);
}
#endif

/* --- what threads say --- */

static uint64_t least = UINT64_MAX;

static void note(void *context, size_t chunk)
{
    (void)context;
    fs_atomic_min(&least, 1000 + (chunk * 7919) % CHUNKS);
}

static void *ask_for_scratch(void *unused)
{
    char *small = fs_thread_scratch(100);
    memset(small, 1, 100);
    char *large = fs_thread_scratch(100000);
    memset(large, 2, 100000);
    check(fs_thread_scratch(50) == large, "scratch that is large enough was not kept");
    fs_scratch table = fs_take_table(5000), other = fs_take_table(5000);
    check(table.memory && other.memory && table.memory != other.memory, "a table that is in use was given away");
    memset(table.memory, 3, 5000);
    memset(other.memory, 4, 5000);
    void *first = table.memory;
    fs_return_table(table);
    fs_return_table(other); /* one is kept */
    table = fs_take_table(10);
    check(table.memory == first && table.size == 5000, "a table that is large enough was not kept");
    fs_return_table(table);
    fs_return_table(fs_take_table(FS_TABLE_KEPT + 1));
    table = fs_take_table(10);
    check(table.size < FS_TABLE_KEPT, "a table too large to keep was kept");
    fs_return_table(table);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    chunks_are_done_once();
    threads_change_no_bit(option(argc, argv, "--every", 1));
    callers_do_not_meet();
    callbacks_end_jobs();
    fs_set_num_threads(4);
    fs_parallel_for(CHUNKS, note, NULL);
    check(fs_atomic_load(&least) == 1000, "the least is %llu", (unsigned long long)fs_atomic_load(&least));
    check(!pthread_create(&thread, NULL, ask_for_scratch, NULL), "no thread for the test itself");
    pthread_join(thread, NULL);
    ask_for_scratch(NULL);
#ifndef _WIN32
    if (option(argc, argv, "--fork", 1)) {
        a_child_has_its_own_thread_pool();
        forks_during_jobs();
    }
#endif
    return finish("threads", checks);
}

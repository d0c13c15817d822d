/* The thread pool: the chunks of one job, shared by the caller and the pool's workers.
 *
 * The caller works too.  It begins alone and posts the job only when what is left is worth waking others for, so a short
 * call costs what it costs without a pool, and nobody waits for a worker that wakes late: whoever is free takes a chunk.
 *
 *     caller   takes chunks -> posts the job -> takes chunks -> withdraws the job, waits for workers in mid-chunk
 *     worker   waits for a job with a free slot -> takes chunks -> leaves
 *
 * There is one pool, and it serves one job at a time.  A caller that finds it busy does its own job alone: a program that
 * calls from several threads has as many threads as it wants.  A forked child begins without workers.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* clocks and signals, which ISO C does not have */
#endif
#include "base/thread_pool.h"

#include "base/alloc.h"

#ifdef _WIN32
#define FS_NO_THREADS
#endif

#ifdef FS_NO_THREADS

int fs_parallel_for(size_t count, fs_chunk_task run, void *context)
{
    for (size_t i = 0; i < count; i++)
        run(context, i);
    return 0;
}

int fs_set_num_threads(int count)
{
    (void)count;
    return 1;
}
int fs_get_num_threads(void) { return 1; }

fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback callback)
{
    (void)callback;
    return NULL;
}
int fs_was_interrupted(void) { return 0; }
int fs_check_interrupt(void) { return 0; }

void fs_atomic_min(uint64_t *least, uint64_t value) { *least = value < *least ? value : *least; }
uint64_t fs_atomic_load(const uint64_t *least) { return *least; }

#else

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/fp_environment.h"

/* Nanoseconds.  FS_ALONE_NS: how long a caller works before it considers waking others.  FS_SHARE_NS: the work that must
 * remain then, several times the cost of waking a thread.  FS_SPIN_NS: how long a worker, or a caller that waits for one,
 * spins before it sleeps; the second phase of a job, or the next call, often comes within that time. */
#ifndef FS_ALONE_NS
#define FS_ALONE_NS 30000
#define FS_SHARE_NS 100000
#define FS_SPIN_NS 30000
#endif
enum { STACK = 2 << 20 };

typedef struct job {
    fs_chunk_task run;
    void *context;
    size_t count;
    size_t next; /* atomic: the first chunk nobody has taken */
    int stopped; /* atomic */
    int helpers; /* atomic, changed under the lock: workers that are in it */
    int withdrawn; /* atomic: workers leave after their present chunk */
    /* for the caller only: */
    int is_posted;
    int may_post; /* it has not been decided yet whether to */
    uint64_t start;
} job;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t posted, left;
    job *job; /* the posted one */
    int slots; /* atomic, changed under the lock: how many workers may still join it */
    int workers;
    int in_use; /* atomic: a caller has the pool */
    int fork_seen; /* the fork handlers are installed */
} pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0, 0, 0};

static int threads = 1;

static FS_THREAD_LOCAL struct {
    job *job; /* the one this thread is working on */
    int own; /* this thread is its caller */
    job *interrupted; /* during the interrupt callback: the job it interrupts, the posted one if there is one */
    fs_interrupt_callback callback;
    uint64_t called_at; /* when the callback was last called */
    int stopped;
    int depth; /* callbacks within callbacks */
} self;

#define GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define SET(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void pause_a_moment(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin, without the lock, until *value is zero (or is not), for FS_SPIN_NS at most. */
static void spin_until(const int *value, int until_zero)
{
    uint64_t end = now_ns() + FS_SPIN_NS;
    while ((GET(value) != 0) == until_zero && now_ns() < end)
        for (int i = 0; i < 16; i++)
            pause_a_moment();
}

/* The next chunk, or `count`. */
static size_t take(job *j)
{
    if (GET(&j->stopped))
        return j->count;
    size_t chunk = __atomic_fetch_add(&j->next, 1, __ATOMIC_ACQ_REL);
    return chunk < j->count ? chunk : j->count;
}

static void *worker(void *unused)
{
    (void)unused;
    fs_enter();
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        for (int spun = 0; !pool.slots; spun = 1) {
            if (spun) {
                pthread_cond_wait(&pool.posted, &pool.lock);
                continue;
            }
            pthread_mutex_unlock(&pool.lock);
            spin_until(&pool.slots, 0);
            pthread_mutex_lock(&pool.lock);
        }
        job *j = pool.job;
        SET(&pool.slots, pool.slots - 1);
        SET(&j->helpers, j->helpers + 1);
        pthread_mutex_unlock(&pool.lock);
        self.job = j;
        for (size_t i; !GET(&j->withdrawn) && (i = take(j)) < j->count;)
            j->run(j->context, i);
        self.job = NULL;
        pthread_mutex_lock(&pool.lock);
        SET(&j->helpers, j->helpers - 1); /* the last use of j: its caller may return now */
        if (!j->helpers)
            pthread_cond_signal(&pool.left);
    }
    return NULL;
}

static void before_fork(void), after_fork_in_parent(void), after_fork_in_child(void);

/* Start workers until there are `wanted`, under the lock.  Signals are left to the program's own threads. */
static void start_workers(int wanted)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pool.workers >= wanted)
        return;
    if (!pool.fork_seen)
        pool.fork_seen = !pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    if (!pool.fork_seen || pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; pool.workers < wanted; pool.workers++)
        if (pthread_create(&thread, &attributes, worker, NULL))
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Let workers join; the caller has the pool. */
static void post_job(job *j)
{
    size_t next = GET(&j->next), left = next < j->count ? j->count - next : 0, others = (size_t)GET(&threads) - 1;
    int wanted = (int)(left < others ? left : others);
    pthread_mutex_lock(&pool.lock);
    start_workers(wanted);
    SET(&j->withdrawn, 0);
    pool.job = j;
    SET(&pool.slots, wanted < pool.workers ? wanted : pool.workers);
    if (pool.slots > 1)
        pthread_cond_broadcast(&pool.posted);
    else if (pool.slots)
        pthread_cond_signal(&pool.posted);
    pthread_mutex_unlock(&pool.lock);
}

/* On return no worker joins any more, and none is in mid-chunk. */
static void withdraw_job(job *j)
{
    pthread_mutex_lock(&pool.lock);
    SET(&j->withdrawn, 1);
    pool.job = NULL;
    SET(&pool.slots, 0);
    pthread_mutex_unlock(&pool.lock);
    spin_until(&j->helpers, 1);
    pthread_mutex_lock(&pool.lock); /* also without helpers: a worker that has just left is out of j by then */
    while (j->helpers)
        pthread_cond_wait(&pool.left, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

/* An interrupt callback may fork in the middle of a job, and parent and child both go on with it: so at the fork no worker
 * may be in mid-chunk, as the child does not have it. */
static void before_fork(void)
{
    if (self.interrupted && self.interrupted->is_posted)
        withdraw_job(self.interrupted);
}
static void after_fork_in_parent(void)
{
    if (self.interrupted && self.interrupted->is_posted)
        post_job(self.interrupted);
}
static void after_fork_in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.posted, NULL);
    pthread_cond_init(&pool.left, NULL);
    pool.job = NULL;
    pool.slots = pool.workers = pool.in_use = 0;
    if (self.interrupted)
        self.interrupted->is_posted = 0;
}

/* Whether it is time.  A callback may make a call that is interrupted in turn; the depth is limited for the stack's sake. */
static inline int callback_is_due(uint64_t t)
{
    return self.callback && t - self.called_at >= FS_INTERRUPT_INTERVAL && self.depth < 16;
}

/* Call this thread's interrupt callback in the middle of this job (NULL: of none).  It may run anything, another job too,
 * so this thread's scratch and callback are set aside meanwhile. */
static void call_interrupt_callback(job *j)
{
    job *interrupted = self.interrupted;
    const fs_interrupt_callback callback = self.callback;
    const int stopped = self.stopped, own = self.own;
    const fs_scratch scratch = fs_detach_scratch();
    self.job = NULL;
    self.own = 0;
    self.callback = NULL;
    if (!interrupted || !interrupted->is_posted)
        self.interrupted = j;
    self.depth++;
    int stop = callback();
    self.depth--;
    self.interrupted = interrupted;
    self.callback = callback;
    self.job = j;
    self.own = own;
    self.called_at = now_ns();
    self.stopped = stopped || stop;
    fs_attach_scratch(scratch);
    if (stop && j)
        SET(&j->stopped, 1);
}

/* After FS_ALONE_NS: post the job if the rest of it is worth that, going by the time of the chunks taken so far. */
static void post_if_worthwhile(job *j, uint64_t t)
{
    const uint64_t spent = t - j->start;
    const double taken = (double)GET(&j->next), left = (double)j->count - taken;
    if (spent < FS_ALONE_NS)
        return;
    j->may_post = 0;
    if ((double)spent * left < (double)FS_SHARE_NS * taken || __atomic_exchange_n(&pool.in_use, 1, __ATOMIC_ACQ_REL))
        return;
    post_job(j);
    j->is_posted = 1;
}

/* Within a chunk of another job: this thread does it all, and stops when that job stops. */
static int run_nested(job *outer, size_t count, fs_chunk_task run, void *context)
{
    for (size_t i = 0; i < count; i++) {
        if (GET(&outer->stopped))
            return 1;
        run(context, i);
        const int may_post = self.own && outer->may_post;
        if (!self.callback && !may_post)
            continue;
        uint64_t t = now_ns();
        if (may_post)
            post_if_worthwhile(outer, t);
        if (callback_is_due(t))
            call_interrupt_callback(outer);
    }
    return GET(&outer->stopped);
}

int fs_parallel_for(size_t count, fs_chunk_task run, void *context)
{
    if (self.job)
        return run_nested(self.job, count, run, context);
    const int may_share = GET(&threads) > 1 && count > 1;
    if (!self.callback && !may_share) {
        for (size_t i = 0; i < count; i++)
            run(context, i);
        return 0;
    }
    job j = {run, context, count, 0, self.stopped, 0, 0, 0, may_share, now_ns()};
    self.job = &j;
    self.own = 1;
    for (size_t i; (i = take(&j)) < count;) {
        run(context, i);
        uint64_t t = now_ns();
        if (j.may_post)
            post_if_worthwhile(&j, t);
        if (callback_is_due(t))
            call_interrupt_callback(&j);
    }
    if (j.is_posted) {
        withdraw_job(&j);
        SET(&pool.in_use, 0);
    }
    self.job = NULL;
    self.own = 0;
    return j.stopped;
}

int fs_set_num_threads(int count)
{
    count = count < 1 ? 1 : count > FS_MAX_THREADS ? FS_MAX_THREADS : count;
    return __atomic_exchange_n(&threads, count, __ATOMIC_ACQ_REL);
}
int fs_get_num_threads(void) { return GET(&threads); }

fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback callback)
{
    fs_interrupt_callback before = self.callback;
    self.callback = callback;
    self.called_at = callback ? now_ns() : 0;
    self.stopped = 0;
    return before;
}
int fs_was_interrupted(void) { return self.stopped; }
int fs_check_interrupt(void)
{
    if (self.callback && callback_is_due(now_ns()))
        call_interrupt_callback(self.job);
    return self.stopped || (self.job && GET(&self.job->stopped));
}

void fs_atomic_min(uint64_t *least, uint64_t value)
{
    uint64_t seen = GET(least);
    while (value < seen && !__atomic_compare_exchange_n(least, &seen, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
}
uint64_t fs_atomic_load(const uint64_t *least) { return GET(least); }

#endif

/* The thread pool: the chunks of one job, shared by the caller and the pool's workers.
 *
 * The caller works too.  It begins alone and posts the job only when what is left is worth waking others for, so a short
 * call costs what it costs without a pool, and nobody waits for a worker that wakes late: whoever is free takes a chunk.
 *
 *     caller   takes chunks -> posts the job -> takes chunks -> withdraws the job, waits for workers in mid-chunk
 *     worker   waits for a job with a free slot -> takes chunks -> leaves
 *
 * Where the other processors are busy, three rules keep a call as fast as it is alone.  A worker on the processor of the
 * caller takes nothing: it could only work while the caller does not.  A worker spins only while nobody else wants its
 * processor.  And what sharing costs (calling workers, waiting for one that was suspended in mid-chunk) is set against what
 * it saves: where the balance is negative, jobs stay alone for FS_ALONE_FOR times the loss.
 *
 * There is one pool, and it serves one job at a time.  A caller that finds it busy does its own job alone, and every thread
 * with a job of its own takes the place of a worker: a program that calls from several threads uses no more threads than
 * it has set.  A forked child begins without workers.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clocks, signals and the number of the processor, which ISO C does not have */
#endif
#include "base/thread_pool.h"

#include "base/alloc.h"
#include "base/platform.h"

#ifndef FS_THREADS /* no pool */

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

#include "base/fp_environment.h"
#include "base/spin.h"
#include "base/threads.h"

/* Nanoseconds.
 *
 *     FS_ALONE_NS        how long a caller works before it considers waking others
 *     FS_SHARE_NS        the work that must remain then: twice the cost of waking a thread
 *     FS_AWAKE_NS        the work that must remain if a worker is awake
 *     FS_RECALL_NS       how long after a call without an answer workers are called again
 *     FS_ANYWHERE_NS     when workers take chunks on the caller's processor too, so that the scheduler, which sees them run,
 *                        finds a share of another processor for a long job
 *     FS_SPIN_NS         how long a worker, or a caller that waits for one, spins before it sleeps
 *     FS_SPIN_LONGER_NS  the same for a worker whose last job came within about that time */
#ifndef FS_ALONE_NS
#define FS_ALONE_NS 12000
#define FS_SHARE_NS 80000
#define FS_AWAKE_NS 15000
#define FS_RECALL_NS 1000000
#define FS_ANYWHERE_NS 5000000
#define FS_SPIN_NS 30000
#define FS_SPIN_LONGER_NS 100000
#define FS_ALONE_FOR 20 /* a loss is made up for by this many times as much work alone that would have been shared */
#endif
enum {
    MOST_GAIN_NS = 1000000, /* the bounds of the balance */
    MOST_LOSS_NS = 5000000
};

typedef struct job {
    fs_chunk_task run;
    void *context;
    size_t count;
    size_t next; /* atomic: the first chunk nobody has taken */
    int stopped; /* atomic */
    int helpers; /* atomic, changed under the lock: workers that are in it */
    int withdrawn; /* atomic: workers leave after their present chunk */
    int processor; /* atomic: the caller's */
    /* for the caller only: */
    int is_posted;
    int may_post; /* it has not been decided yet whether to */
    int stays_alone; /* because the balance is negative */
    uint64_t start, posted_at, called_at; /* first posted, last called */
    uint64_t cost; /* of calling workers */
    size_t own, own_at_post; /* chunks the caller has done; of these, before it posted the job */
} job;

static struct {
    mutex lock;
    condition posted, left;
    job *job; /* the posted one */
    int slots; /* changed under the lock: how many workers may still join it */
    unsigned call; /* atomic, changed under the lock: the number of times workers were called */
    int workers;
    int awake; /* atomic: workers that spin */
    int in_use; /* atomic: a caller has the pool */
    int callers; /* atomic: threads with a job of their own */
    int64_t balance; /* atomic: nanoseconds that sharing has saved, less those it has cost */
    int fork_seen; /* the fork handlers are installed */
} pool = {MUTEX, CONDITION, CONDITION, NULL, 0, 0, 0, 0, 0, 0, 0, 0};

static int threads = 1;

static FS_THREAD_LOCAL struct {
    job *job; /* the one this thread is working on */
    int own; /* this thread is its caller */
    job *interrupted; /* during the interrupt callback: the job it interrupts, the posted one if there is one */
    fs_interrupt_callback callback;
    uint64_t called_at; /* when the callback was last called */
    int stopped;
    int depth; /* callbacks within callbacks */
    int jobs; /* jobs of its own: one, and one for each callback that is in the middle of another */
} self;

/* The next chunk, or `count`. */
static size_t take(job *j)
{
    if (GET(&j->stopped))
        return j->count;
    size_t chunk = ADD(&j->next, 1);
    return chunk < j->count ? chunk : j->count;
}

/* Wait, with the lock, for a call after `seen`: spinning for `spin` first. */
static void wait_for_call(unsigned seen, uint64_t spin)
{
    if (spin && pool.call == seen) {
        unlock(&pool.lock);
        ADD(&pool.awake, 1);
        spin_while(&pool.call, 1, seen, spin, 1);
        ADD(&pool.awake, -1);
        lock(&pool.lock);
    }
    while (pool.call == seen)
        wait_for(&pool.posted, &pool.lock);
}

THREAD_MAIN(worker)
{
    uint64_t left_at = 0, spin = 0;
    unsigned seen;
    (void)unused;
    fs_enter();
    lock(&pool.lock);
    for (seen = pool.call - 1;;) { /* started for the present call */
        wait_for_call(seen, spin);
        job *j = pool.job;
        seen = pool.call;
        spin = 0;
        if (!j || !pool.slots || !runs_elsewhere(GET(&j->processor)))
            continue;
        pool.slots--;
        SET(&j->helpers, j->helpers + 1);
        unlock(&pool.lock);
        const int soon = now_ns() - left_at < FS_SPIN_LONGER_NS + FS_ALONE_NS;
        self.job = j;
        int elsewhere;
        for (size_t i;
             (elsewhere = runs_elsewhere(GET(&j->processor))) && !GET(&j->withdrawn) && (i = take(j)) < j->count;)
            j->run(j->context, i);
        self.job = NULL;
        left_at = now_ns();
        spin = !elsewhere ? 0 : soon ? FS_SPIN_LONGER_NS : FS_SPIN_NS;
        lock(&pool.lock);
        SET(&j->helpers, j->helpers - 1); /* the last use of j: its caller may return now */
        if (!j->helpers)
            wake_one(&pool.left);
    }
    return 0;
}

#ifdef FS_PTHREADS
static void before_fork(void), after_fork_in_parent(void), after_fork_in_child(void);

static int see_forks(void) { return !pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }
#else
static int see_forks(void) { return 1; } /* Windows has none */
#endif

/* Start workers until there are `wanted`, under the lock. */
static void start_workers(int wanted)
{
    if (pool.workers >= wanted)
        return;
    if (!pool.fork_seen)
        pool.fork_seen = see_forks();
    while (pool.fork_seen && pool.workers < wanted && start_thread(worker))
        pool.workers++;
}

/* Let workers join; the caller has the pool. */
static void post_job(job *j)
{
    const uint64_t t = now_ns();
    size_t next = GET(&j->next), left = next < j->count ? j->count - next : 0;
    int wanted = GET(&threads) - GET(&pool.callers);
    if (wanted < 0 || left < (size_t)wanted)
        wanted = wanted < 0 ? 0 : (int)left;
    lock(&pool.lock);
    start_workers(wanted);
    SET(&j->withdrawn, 0);
    pool.job = j;
    pool.slots = wanted < pool.workers ? wanted : pool.workers;
    SET(&pool.call, pool.call + 1);
    wanted = pool.slots;
    unlock(&pool.lock); /* a worker that runs here at once must not find it locked */
    if (wanted > 1)
        wake_all(&pool.posted);
    else if (wanted)
        wake_one(&pool.posted);
    j->called_at = now_ns();
    j->cost += j->called_at - t;
}

/* On return no worker joins any more, and none is in mid-chunk. */
static void withdraw_job(job *j)
{
    lock(&pool.lock);
    SET(&j->withdrawn, 1);
    pool.job = NULL;
    pool.slots = 0;
    unlock(&pool.lock);
    spin_while((const unsigned *)&j->helpers, 0, 0, FS_SPIN_NS, 0);
    lock(&pool.lock); /* also without helpers: a worker that has just left is out of j by then */
    while (j->helpers)
        wait_for(&pool.left, &pool.lock);
    unlock(&pool.lock);
}

static void add_to_balance(double ns)
{
    const double sum = (double)GET(&pool.balance) + ns;
    SET(&pool.balance, (int64_t)(sum > MOST_GAIN_NS ? MOST_GAIN_NS : sum < -MOST_LOSS_NS ? -MOST_LOSS_NS : sum));
}

/* The end of a posted job.  Without the workers the caller would have done their chunks as fast as its own. */
static void end_job(job *j)
{
    const uint64_t t = now_ns();
    const double own = (double)(j->own - j->own_at_post), others = (double)(j->count - j->own);
    withdraw_job(j);
    const double waited = (double)(now_ns() - t), saved = (double)(t - j->posted_at) * others / (own > 0 ? own : 1);
    if (!j->stopped)
        add_to_balance(saved - waited - (double)j->cost);
    SET(&pool.in_use, 0);
}

#ifdef FS_PTHREADS
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
    pool.slots = pool.workers = pool.awake = pool.in_use = 0;
    pool.callers = self.jobs;
    if (self.interrupted)
        self.interrupted->is_posted = 0;
}
#endif

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

/* Post the job if the rest of it is worth that, going by the time of the chunks taken so far. */
static void post_if_worthwhile(job *j, uint64_t t)
{
    const uint64_t spent = t - j->start;
    const int awake = GET(&pool.awake) > 0;
    const double taken = (double)GET(&j->next), left = (double)j->count - taken;
    if (spent < FS_ALONE_NS && !awake)
        return;
    j->may_post = (double)spent * left >= (double)(awake ? FS_AWAKE_NS : FS_SHARE_NS) * taken;
    if (!j->may_post)
        return;
    j->stays_alone = (double)GET(&pool.balance) * FS_ALONE_FOR + (double)spent < 0;
    if (j->stays_alone || GET(&pool.callers) >= GET(&threads) || GET(&pool.in_use) || EXCHANGE(&pool.in_use, 1))
        return;
    j->may_post = 0;
    j->posted_at = t;
    j->own_at_post = j->own;
    SET(&j->processor, this_processor());
    post_job(j);
    j->is_posted = 1;
}

/* After a chunk of this thread's own job. */
static inline void after_chunk(job *j, uint64_t t)
{
    if (j->may_post)
        post_if_worthwhile(j, t);
    else if (j->is_posted) {
        SET(&j->processor, t - j->posted_at < FS_ANYWHERE_NS ? this_processor() : -1);
        if (t - j->called_at >= FS_RECALL_NS && !GET(&j->helpers))
            post_job(j); /* none came, or none to a processor that was free */
    }
}

/* Within a chunk of another job: this thread does it all, and stops when that job stops.  The clock is read after each chunk, but
 * for one alone, which is a part of the outer chunk, after which it is read. */
static int run_nested(job *outer, size_t count, fs_chunk_task run, void *context)
{
    for (size_t i = 0; i < count; i++) {
        if (GET(&outer->stopped))
            return 1;
        run(context, i);
        const int may_share = self.own && (outer->may_post || outer->is_posted);
        if (count == 1 || (!self.callback && !may_share))
            continue;
        uint64_t t = now_ns();
        if (may_share)
            after_chunk(outer, t);
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
    job j = {.run = run, .context = context, .count = count, .stopped = self.stopped, .may_post = may_share};
    j.start = now_ns();
    self.job = &j;
    self.own = 1;
    self.jobs++;
    ADD(&pool.callers, 1);
    for (size_t i; (i = take(&j)) < count;) {
        run(context, i);
        j.own++;
        uint64_t t = now_ns();
        after_chunk(&j, t);
        if (callback_is_due(t))
            call_interrupt_callback(&j);
    }
    if (j.is_posted)
        end_job(&j);
    else if (j.stays_alone)
        add_to_balance((double)(now_ns() - j.start) / FS_ALONE_FOR);
    ADD(&pool.callers, -1);
    self.jobs--;
    self.job = NULL;
    self.own = 0;
    return j.stopped;
}

int fs_set_num_threads(int count)
{
    count = count < 1 ? 1 : count > FS_MAX_THREADS ? FS_MAX_THREADS : count;
    return EXCHANGE(&threads, count);
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
    while (value < seen && !replace_u64(least, &seen, value)) {
    }
}
uint64_t fs_atomic_load(const uint64_t *least) { return GET(least); }

#endif

/* A team of threads for the chunks of one job.
 *
 * The caller works too: it begins alone, and opens the job to others when what is left is worth their waking.  So a short
 * call costs what it costs without a team, and nobody waits for a thread that wakes late: chunks go to who asks.
 *
 *     caller   takes chunks -> opens the job -> takes chunks -> closes it, waits for those who are at a chunk
 *     member   waits for an open job with a free seat -> takes chunks -> leaves
 *
 * There is one team.  A caller that finds it with somebody else's job does its own alone: threads of the caller's own
 * are as many as they should be.  A forked child begins without members.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* clocks and signals beside ISO C */
#endif
#include "base/thread_pool.h"

#include <stdlib.h>

#if defined(_WIN32)
#define FS_NO_THREADS
#define FS_THREAD_LOCAL __declspec(thread)
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>
#if defined(__GLIBC__) /* room that a thread has from the start: glibc ends the process where it has to allocate and cannot */
#define FS_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define FS_THREAD_LOCAL _Thread_local
#endif
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

fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback watch)
{
    (void)watch;
    return NULL;
}
int fs_was_interrupted(void) { return 0; }
int fs_check_interrupt(void) { return 0; }

void *fs_thread_scratch(size_t size)
{
    static FS_THREAD_LOCAL void *memory;
    static FS_THREAD_LOCAL size_t has;
    if (has < size) {
        free(memory);
        memory = malloc(size);
        has = memory ? size : 0;
    }
    return memory;
}

void fs_atomic_min(uint64_t *least, uint64_t value) { *least = value < *least ? value : *least; }
uint64_t fs_atomic_load(const uint64_t *least) { return *least; }

#else

#include "base/fp_environment.h"

/* Nanoseconds.  FS_ALONE_NS: how long a caller works before it looks whether others are worth waking.  FS_SHARE_NS: what must be
 * left then, some times what it takes to wake a thread.  FS_SPIN_NS: how long a member, or a caller who waits for one, looks
 * for the other before it sleeps; the second phase of a job, or the next call, often comes within it. */
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
    int helpers; /* atomic, changed under the lock: members at work on it */
    int closed; /* atomic: members go after the chunk they are at */
    /* of the caller alone: */
    int open; /* the team has it */
    int undecided; /* whether to open it */
    uint64_t start;
} job;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t opened, left;
    job *job; /* what may be joined */
    int seats; /* atomic, changed under the lock: how many may still join it */
    int members; /* threads there are */
    int taken; /* atomic: a caller has the team */
    int fork_seen; /* the handler of forks is in place */
} team = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, 0, 0, 0, 0};

static int threads = 1;

typedef struct {
    size_t size;
    void *memory;
} scratch;

static FS_THREAD_LOCAL struct {
    job *job; /* whose chunk this thread is at */
    int own; /* it is a job of this thread's own */
    job *asking; /* that of which the watch is asked at the moment: the open one, if there is one */
    fs_interrupt_callback watch;
    uint64_t watched; /* when it was last asked */
    int stopped;
    int depth; /* of watches within watches */
    scratch *scratch;
} self;

#define GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define SET(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

static uint64_t now(void)
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

/* Look at *value, without the lock, until it is zero (or is not), for FS_SPIN_NS at most. */
static void linger(const int *value, int until_zero)
{
    uint64_t end = now() + FS_SPIN_NS;
    while ((GET(value) != 0) == until_zero && now() < end)
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

static void *member(void *unused)
{
    (void)unused;
    fs_enter();
    pthread_mutex_lock(&team.lock);
    for (;;) {
        for (int lingered = 0; !team.seats; lingered = 1) {
            if (lingered) {
                pthread_cond_wait(&team.opened, &team.lock);
                continue;
            }
            pthread_mutex_unlock(&team.lock);
            linger(&team.seats, 0);
            pthread_mutex_lock(&team.lock);
        }
        job *j = team.job;
        SET(&team.seats, team.seats - 1);
        SET(&j->helpers, j->helpers + 1);
        pthread_mutex_unlock(&team.lock);
        self.job = j;
        for (size_t i; !GET(&j->closed) && (i = take(j)) < j->count;)
            j->run(j->context, i);
        self.job = NULL;
        pthread_mutex_lock(&team.lock);
        SET(&j->helpers, j->helpers - 1); /* the last use of j: its caller may go now */
        if (!j->helpers)
            pthread_cond_signal(&team.left);
    }
    return NULL;
}

static void before_fork(void), after_fork_in_parent(void), after_fork_in_child(void);

/* Up to so many members, under the lock.  Signals are for the threads of the program. */
static void hire(int wanted)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (team.members >= wanted)
        return;
    if (!team.fork_seen)
        team.fork_seen = !pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    if (!team.fork_seen || pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; team.members < wanted; team.members++)
        if (pthread_create(&thread, &attributes, member, NULL))
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* Let others join; the caller has the team. */
static void open_job(job *j)
{
    size_t next = GET(&j->next), left = next < j->count ? j->count - next : 0, others = (size_t)GET(&threads) - 1;
    int wanted = (int)(left < others ? left : others);
    pthread_mutex_lock(&team.lock);
    hire(wanted);
    SET(&j->closed, 0);
    team.job = j;
    SET(&team.seats, wanted < team.members ? wanted : team.members);
    if (team.seats > 1)
        pthread_cond_broadcast(&team.opened);
    else if (team.seats)
        pthread_cond_signal(&team.opened);
    pthread_mutex_unlock(&team.lock);
}

/* Nobody joins any more, and nobody is at a chunk. */
static void close_job(job *j)
{
    pthread_mutex_lock(&team.lock);
    SET(&j->closed, 1);
    team.job = NULL;
    SET(&team.seats, 0);
    pthread_mutex_unlock(&team.lock);
    linger(&j->helpers, 1);
    pthread_mutex_lock(&team.lock); /* even where there are none: a member that has just left is out of j then */
    while (j->helpers)
        pthread_cond_wait(&team.left, &team.lock);
    pthread_mutex_unlock(&team.lock);
}

/* A watch may fork in the middle of a job, after which parent and child both go on with it: so no chunk may be in the
 * hands of a member that the child does not have. */
static void before_fork(void)
{
    if (self.asking && self.asking->open)
        close_job(self.asking);
}
static void after_fork_in_parent(void)
{
    if (self.asking && self.asking->open)
        open_job(self.asking);
}
static void after_fork_in_child(void)
{
    pthread_mutex_init(&team.lock, NULL);
    pthread_cond_init(&team.opened, NULL);
    pthread_cond_init(&team.left, NULL);
    team.job = NULL;
    team.seats = team.members = team.taken = 0;
    if (self.asking)
        self.asking->open = 0;
}

/* Whether it is time to ask.  A watch may make a call that asks again; at some depth the stack has had enough of it. */
static inline int is_due(uint64_t t)
{
    return self.watch && t - self.watched >= FS_INTERRUPT_INTERVAL && self.depth < 16;
}

/* Ask this thread's watch, in the middle of this job or of none.  It may run anything, with a job of its own too: so what
 * this thread has in hand, its scratch and its watch, is put aside meanwhile. */
static void ask_watch(job *j)
{
    job *asking = self.asking;
    const fs_interrupt_callback watch = self.watch;
    const int stopped = self.stopped, own = self.own;
    scratch in_hand = {0, NULL}, none = {0, NULL};
    if (self.scratch) {
        in_hand = *self.scratch;
        *self.scratch = none;
    }
    self.job = NULL;
    self.own = 0;
    self.watch = NULL;
    if (!asking || !asking->open)
        self.asking = j;
    self.depth++;
    int stop = watch();
    self.depth--;
    self.asking = asking;
    self.watch = watch;
    self.job = j;
    self.own = own;
    self.watched = now();
    self.stopped = stopped || stop;
    if (in_hand.memory) {
        free(self.scratch->memory);
        *self.scratch = in_hand;
    }
    if (stop && j)
        SET(&j->stopped, 1);
}

/* Once it has taken some time: open the job if what is left is worth it, going by the chunks that have been taken. */
static void consider(job *j, uint64_t t)
{
    const uint64_t spent = t - j->start;
    const double taken = (double)GET(&j->next), left = (double)j->count - taken;
    if (spent < FS_ALONE_NS)
        return;
    j->undecided = 0;
    if ((double)spent * left < (double)FS_SHARE_NS * taken || __atomic_exchange_n(&team.taken, 1, __ATOMIC_ACQ_REL))
        return;
    open_job(j);
    j->open = 1;
}

/* In a chunk: this thread does it all, and stops with the job the chunk belongs to. */
static int each_within(job *outer, size_t count, fs_chunk_task run, void *context)
{
    for (size_t i = 0; i < count; i++) {
        if (GET(&outer->stopped))
            return 1;
        run(context, i);
        const int undecided = self.own && outer->undecided;
        if (!self.watch && !undecided)
            continue;
        uint64_t t = now();
        if (undecided)
            consider(outer, t);
        if (is_due(t))
            ask_watch(outer);
    }
    return GET(&outer->stopped);
}

int fs_parallel_for(size_t count, fs_chunk_task run, void *context)
{
    if (self.job)
        return each_within(self.job, count, run, context);
    const int may_share = GET(&threads) > 1 && count > 1;
    if (!self.watch && !may_share) {
        for (size_t i = 0; i < count; i++)
            run(context, i);
        return 0;
    }
    job j = {run, context, count, 0, self.stopped, 0, 0, 0, may_share, now()};
    self.job = &j;
    self.own = 1;
    for (size_t i; (i = take(&j)) < count;) {
        run(context, i);
        uint64_t t = now();
        if (j.undecided)
            consider(&j, t);
        if (is_due(t))
            ask_watch(&j);
    }
    if (j.open) {
        close_job(&j);
        SET(&team.taken, 0);
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

fs_interrupt_callback fs_set_interrupt_callback(fs_interrupt_callback watch)
{
    fs_interrupt_callback before = self.watch;
    self.watch = watch;
    self.watched = watch ? now() : 0;
    self.stopped = 0;
    return before;
}
int fs_was_interrupted(void) { return self.stopped; }
int fs_check_interrupt(void)
{
    if (self.watch && is_due(now()))
        ask_watch(self.job);
    return self.stopped || (self.job && GET(&self.job->stopped));
}

static pthread_key_t scratch_key;
static int has_scratch_key;
static void free_scratch(void *of_thread)
{
    free(((scratch *)of_thread)->memory);
    free(of_thread);
}
static void make_scratch_key(void) { has_scratch_key = !pthread_key_create(&scratch_key, free_scratch); }

void *fs_thread_scratch(size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_scratch_key);
    if (!self.scratch) {
        scratch *fresh = has_scratch_key ? calloc(1, sizeof *fresh) : NULL;
        if (!fresh || pthread_setspecific(scratch_key, fresh)) {
            free(fresh);
            return NULL;
        }
        self.scratch = fresh;
    }
    scratch *mine = self.scratch;
    if (mine->size < size) {
        free(mine->memory);
        mine->memory = malloc(size);
        mine->size = mine->memory ? size : 0;
    }
    return mine->memory;
}

void fs_atomic_min(uint64_t *least, uint64_t value)
{
    uint64_t seen = GET(least);
    while (value < seen && !__atomic_compare_exchange_n(least, &seen, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    }
}
uint64_t fs_atomic_load(const uint64_t *least) { return GET(least); }

#endif

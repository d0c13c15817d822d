/* Waiting without sleeping, and the atomic accesses of those who do (thread_pool.c). */
#ifndef FS_SPIN_H
#define FS_SPIN_H

#include <sched.h>
#include <stdint.h>
#include <time.h>

#define GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define SET(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)

enum { SUSPENDED_NS = 20000 }; /* this long between two readings of the clock: another thread had the processor */

static inline uint64_t now_ns(void)
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

/* The processor this thread runs on, or -1 where the platform does not say. */
static inline int this_processor(void)
{
#if defined(__linux__) && !defined(FS_ANY_PROCESSOR)
    return sched_getcpu();
#else
    return -1;
#endif
}

/* Whether this thread runs on another processor than that one, as far as the platform says. */
static inline int runs_elsewhere(int processor) { return processor < 0 || processor != this_processor(); }

/* Spin until *value is (or is not) `other`, for `ns` at most, and until another thread has had the processor.  With
 * `offers` it is offered to others at every turn: for a thread that has nothing else to do. */
static inline void spin_while(const unsigned *value, int equal, unsigned other, uint64_t ns, int offers)
{
    uint64_t t = now_ns(), before = t, end = t + ns;
    for (; (GET(value) == other) == equal && t < end && t - before < SUSPENDED_NS; before = t, t = now_ns()) {
        for (int i = 0; i < 8; i++)
            pause_a_moment();
        if (offers)
            sched_yield();
    }
}

#endif

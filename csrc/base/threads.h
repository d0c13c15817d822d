/* What the thread pool needs of the system: atomic accesses, a clock, the number of the processor, mutexes, conditions,
 * threads.  Once for pthreads and once for Windows; FS_THREADS says that there are any (base/platform.h). */
#ifndef FS_THREADS_H
#define FS_THREADS_H

#include <stdint.h>

#include "base/platform.h"

/* --- atomic accesses: GET acquires, SET releases, the others do both; ADD and EXCHANGE return what was there before --- */

#ifdef FS_MSVC
#include <intrin.h>

#ifdef FS_ARM64
#define FS_ATOMIC_FENCE() __dmb(_ARM64_BARRIER_ISH)
#else
#define FS_ATOMIC_FENCE() _ReadWriteBarrier() /* x86 orders loads and stores as they are asked for here */
#endif

/* get_int and set_int and so on */
#define FS_ATOMIC(name, type)                                                                                        \
    static inline type get_##name(const volatile type *p)                                                            \
    {                                                                                                                \
        const type value = *p;                                                                                       \
        FS_ATOMIC_FENCE();                                                                                           \
        return value;                                                                                                \
    }                                                                                                                \
    static inline void set_##name(volatile type *p, type value)                                                      \
    {                                                                                                                \
        FS_ATOMIC_FENCE();                                                                                           \
        *p = value;                                                                                                  \
    }
FS_ATOMIC(int, int)
FS_ATOMIC(unsigned, unsigned)
FS_ATOMIC(int64, long long)
FS_ATOMIC(uint64, unsigned long long)
#undef FS_ATOMIC

#define FS_OF_TYPE(p, operation)                                                                                     \
    _Generic((p),                                                                                                    \
        int *: operation##_int,                                                                                      \
        const int *: operation##_int,                                                                                \
        unsigned *: operation##_unsigned,                                                                            \
        const unsigned *: operation##_unsigned,                                                                      \
        long long *: operation##_int64,                                                                              \
        unsigned long long *: operation##_uint64,                                                                    \
        const unsigned long long *: operation##_uint64)
#define GET(p) FS_OF_TYPE(p, get)(p)
#define SET(p, value) FS_OF_TYPE(p, set)(p, value)

static inline int add_int(int *p, int n) { return (int)_InterlockedExchangeAdd((volatile long *)p, n); }
static inline unsigned add_unsigned(unsigned *p, unsigned n)
{
    return (unsigned)_InterlockedExchangeAdd((volatile long *)p, (long)n);
}
#ifdef _WIN64
static inline unsigned long long add_uint64(unsigned long long *p, unsigned long long n)
{
    return (unsigned long long)_InterlockedExchangeAdd64((volatile long long *)p, (long long)n);
}
#define ADD(p, n) _Generic((p), int *: add_int, unsigned *: add_unsigned, unsigned long long *: add_uint64)(p, n)
#else
#define ADD(p, n) _Generic((p), int *: add_int, unsigned *: add_unsigned)(p, n)
#endif
#define EXCHANGE(p, value) ((int)_InterlockedExchange((volatile long *)(p), value))

/* Whether *p was *seen and is `value` now; otherwise *seen is what it was. */
static inline int replace_u64(uint64_t *p, uint64_t *seen, uint64_t value)
{
    const uint64_t before = *seen;
    *seen = (uint64_t)_InterlockedCompareExchange64((volatile long long *)p, (long long)value, (long long)before);
    return *seen == before;
}
#else
#define GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define SET(p, value) __atomic_store_n(p, value, __ATOMIC_RELEASE)
#define ADD(p, n) __atomic_fetch_add(p, n, __ATOMIC_ACQ_REL)
#define EXCHANGE(p, value) __atomic_exchange_n(p, value, __ATOMIC_ACQ_REL)

static inline int replace_u64(uint64_t *p, uint64_t *seen, uint64_t value)
{
    return __atomic_compare_exchange_n(p, seen, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#endif

static inline void pause_a_moment(void)
{
#if defined(FS_MSVC) && defined(FS_X86)
    _mm_pause();
#elif defined(FS_MSVC) && defined(FS_ARM64)
    __yield();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* --- the system ---
 *
 *     now_ns             nanoseconds of a monotonic clock
 *     this_processor     of this thread, or -1 where the platform does not say
 *     offer_processor    yields it to another thread that is ready
 *     THREAD_MAIN(name)  the head of a function that is a thread; returns 0
 *     start_thread       starts a detached thread with all signals blocked; returns whether it did */

enum { STACK = 2 << 20 };

#if defined(FS_PTHREADS)
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int this_processor(void)
{
#if defined(__linux__) && !defined(FS_ANY_PROCESSOR)
    return sched_getcpu();
#else
    return -1;
#endif
}

static inline void offer_processor(void) { sched_yield(); }

typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define MUTEX PTHREAD_MUTEX_INITIALIZER
#define CONDITION PTHREAD_COND_INITIALIZER
static inline void lock(mutex *m) { pthread_mutex_lock(m); }
static inline void unlock(mutex *m) { pthread_mutex_unlock(m); }
static inline void wait_for(condition *c, mutex *m) { pthread_cond_wait(c, m); }
static inline void wake_one(condition *c) { pthread_cond_signal(c); }
static inline void wake_all(condition *c) { pthread_cond_broadcast(c); }

#define THREAD_MAIN(name) static void *name(void *unused)
static inline int start_thread(void *(*run)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes))
        return 0;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}

#elif defined(FS_THREADS)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <process.h>

static inline uint64_t now_ns(void)
{
    LARGE_INTEGER ticks, second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&second);
    const uint64_t t = (uint64_t)ticks.QuadPart, per_second = (uint64_t)second.QuadPart;
    return t / per_second * 1000000000u + t % per_second * 1000000000u / per_second;
}

static inline int this_processor(void)
{
#if !defined(FS_ANY_PROCESSOR)
    PROCESSOR_NUMBER processor;
    GetCurrentProcessorNumberEx(&processor);
    return processor.Group * 64 + processor.Number;
#else
    return -1;
#endif
}

static inline void offer_processor(void) { SwitchToThread(); }

typedef SRWLOCK mutex;
typedef CONDITION_VARIABLE condition;
#define MUTEX SRWLOCK_INIT
#define CONDITION CONDITION_VARIABLE_INIT
static inline void lock(mutex *m) { AcquireSRWLockExclusive(m); }
static inline void unlock(mutex *m) { ReleaseSRWLockExclusive(m); }
static inline void wait_for(condition *c, mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static inline void wake_one(condition *c) { WakeConditionVariable(c); }
static inline void wake_all(condition *c) { WakeAllConditionVariable(c); }

#define THREAD_MAIN(name) static unsigned __stdcall name(void *unused)
static inline int start_thread(unsigned(__stdcall *run)(void *))
{
    const uintptr_t thread = _beginthreadex(NULL, STACK, run, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    return thread && CloseHandle((HANDLE)thread);
}
#endif

#endif

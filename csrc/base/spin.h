/* Waiting without sleeping (thread_pool.c). */
#ifndef FS_SPIN_H
#define FS_SPIN_H

#include "base/threads.h"

enum { SUSPENDED_NS = 20000 }; /* this long between two readings of the clock: another thread had the processor */

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
            offer_processor();
    }
}

#endif

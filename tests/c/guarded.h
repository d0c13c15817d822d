/* Memory between inaccessible pages, filled with bytes of 0xff: NaN, so that a result would show it if one were read. */
#ifndef FS_GUARDED_H
#define FS_GUARDED_H

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "testing.h"

enum { SIZE = 1 << 20, AROUND = 256 };

typedef enum { AFTER_GUARD, BEFORE_GUARD, EDGES } edge;

typedef struct {
    unsigned char *low, *high;
} region;

static unsigned long long checks;

/* What is under way, for the handler of the signal that a guard page raises. */
static struct {
    const char *set, *dtype, *operation;
    size_t n, offset;
    edge where;
} now;

static void describe(const char *problem)
{
    check(0, "%s: %s %s %s, n = %zu, %zu bytes %s the guard page", problem, now.set, now.dtype, now.operation, now.n,
          now.offset, now.where == AFTER_GUARD ? "after" : "before");
}

static void on_fault(int signal)
{
    (void)signal;
    describe("touched a guard page");
    fflush(stdout);
    _exit(1);
}

static void catch_faults(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
}

static region new_region(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *p = mmap(NULL, SIZE + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) || mprotect(p + page + SIZE, page, PROT_NONE)) {
        printf("FAILED: no guard pages\n");
        exit(1);
    }
    region r = {p + page, p + page + SIZE};
    return r;
}

/* Where `bytes` bytes lie; they and what is around them are set to 0xff. */
static void *place(const region *r, size_t bytes, size_t offset, edge where)
{
    unsigned char *p = where == AFTER_GUARD ? r->low + offset : r->high - offset - bytes;
    unsigned char *from = p - r->low < AROUND ? r->low : p - AROUND;
    unsigned char *to = r->high - (p + bytes) < AROUND ? r->high : p + bytes + AROUND;
    memset(from, 0xff, (size_t)(to - from));
    return p;
}

static void check_around(const region *r, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    int intact = 1;
    for (const unsigned char *q = p - r->low < AROUND ? r->low : p - AROUND; q < p; q++)
        intact &= *q == 0xff;
    for (const unsigned char *q = p + bytes; q < r->high && q < p + bytes + AROUND; q++)
        intact &= *q == 0xff;
    checks++;
    if (!intact)
        describe("wrote next to the row");
}

static void expect(const void *got, const void *expected, size_t bytes)
{
    checks++;
    if (memcmp(got, expected, bytes))
        describe("another result than in the open");
}

#endif

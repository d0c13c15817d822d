/* Memory for large tables, and scratch memory that a thread keeps from call to call. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#endif
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/platform.h"

/* Tables are read at random: large pages, where the system gives them, save the walk through the page tables. */
static void *table_memory(size_t size)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t page = (size_t)1 << 21;
    if (size >= 2 * page && size <= SIZE_MAX - page) {
        size_t whole = (size + page - 1) / page * page;
        void *memory = aligned_alloc(page, whole);
        if (memory)
            (void)madvise(memory, whole, MADV_HUGEPAGE); /* advice: refused, it costs time and nothing else */
        return memory;
    }
#endif
    return malloc(size);
}

/* What a thread keeps. */
typedef struct {
    fs_scratch scratch, table;
} thread_memory;

static FS_THREAD_LOCAL thread_memory *own;

static void free_memory(thread_memory *memory)
{
    free(memory->scratch.memory);
    free(memory->table.memory);
    free(memory);
}

/* Whether `memory` will be freed when this thread ends. */
static int free_with_thread(thread_memory *memory);

#if defined(_WIN32)
#include <windows.h>

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static DWORD slot = FLS_OUT_OF_INDEXES;

static void WINAPI at_thread_end(void *memory) { free_memory(memory); }

static BOOL CALLBACK make_slot(PINIT_ONCE unused, void *parameter, void **context)
{
    (void)unused, (void)parameter, (void)context;
    slot = FlsAlloc(at_thread_end);
    return TRUE;
}

static int free_with_thread(thread_memory *memory)
{
    InitOnceExecuteOnce(&once, make_slot, NULL, NULL);
    return slot != FLS_OUT_OF_INDEXES && FlsSetValue(slot, memory);
}
#elif defined(FS_PTHREADS)
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

static void at_thread_end(void *memory) { free_memory(memory); }
static void make_key(void) { has_key = !pthread_key_create(&key, at_thread_end); }

static int free_with_thread(thread_memory *memory)
{
    pthread_once(&once, make_key);
    return has_key && !pthread_setspecific(key, memory);
}
#else
/* The only thread ends with the program, and all memory with it. */
static int free_with_thread(thread_memory *memory)
{
    (void)memory, (void)free_memory;
    return 1;
}
#endif

/* NULL: there is no memory. */
static thread_memory *memory_of_thread(void)
{
    if (!own) {
        thread_memory *fresh = calloc(1, sizeof *fresh);
        if (!fresh || !free_with_thread(fresh)) {
            free(fresh);
            return NULL;
        }
        own = fresh;
    }
    return own;
}

void *fs_thread_scratch(size_t size)
{
    thread_memory *mine = memory_of_thread();
    if (!mine)
        return NULL;
    if (mine->scratch.size < size) {
        free(mine->scratch.memory);
        mine->scratch.memory = malloc(size);
        mine->scratch.size = mine->scratch.memory ? size : 0;
    }
    return mine->scratch.memory;
}

static const fs_scratch nothing = {0, NULL};

fs_scratch fs_detach_scratch(void)
{
    const fs_scratch scratch = own ? own->scratch : nothing;
    if (own)
        own->scratch = nothing;
    return scratch;
}

void fs_attach_scratch(fs_scratch scratch)
{
    if (!scratch.memory)
        return;
    free(own->scratch.memory);
    own->scratch = scratch;
}

fs_scratch fs_take_table(size_t size)
{
    fs_scratch table = own ? own->table : nothing;
    if (own)
        own->table = nothing;
    if (table.size < size) {
        free(table.memory);
        table.memory = table_memory(size);
        table.size = table.memory ? size : 0;
    }
    return table;
}

void fs_return_table(fs_scratch table)
{
    thread_memory *mine = table.memory && table.size <= FS_TABLE_KEPT ? memory_of_thread() : NULL;
    if (mine && !mine->table.memory)
        mine->table = table;
    else
        free(table.memory);
}

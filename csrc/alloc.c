/* Memory for large tables, and scratch memory that a thread keeps from call to call. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#endif
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Tables are read at random: large pages, where the system gives them, save the walk through the page tables. */
void *fs_table_memory(size_t size)
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

static FS_THREAD_LOCAL fs_scratch *own;

static void free_scratch(fs_scratch *scratch)
{
    free(scratch->memory);
    free(scratch);
}

/* Whether `scratch` will be freed when this thread ends. */
static int free_with_thread(fs_scratch *scratch);

#ifdef _WIN32
#include <windows.h>

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static DWORD slot = FLS_OUT_OF_INDEXES;

static void WINAPI at_thread_end(void *scratch) { free_scratch(scratch); }

static BOOL CALLBACK make_slot(PINIT_ONCE unused, void *parameter, void **context)
{
    (void)unused, (void)parameter, (void)context;
    slot = FlsAlloc(at_thread_end);
    return TRUE;
}

static int free_with_thread(fs_scratch *scratch)
{
    InitOnceExecuteOnce(&once, make_slot, NULL, NULL);
    return slot != FLS_OUT_OF_INDEXES && FlsSetValue(slot, scratch);
}
#else
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

static void at_thread_end(void *scratch) { free_scratch(scratch); }
static void make_key(void) { has_key = !pthread_key_create(&key, at_thread_end); }

static int free_with_thread(fs_scratch *scratch)
{
    pthread_once(&once, make_key);
    return has_key && !pthread_setspecific(key, scratch);
}
#endif

void *fs_thread_scratch(size_t size)
{
    if (!own) {
        fs_scratch *fresh = calloc(1, sizeof *fresh);
        if (!fresh || !free_with_thread(fresh)) {
            free(fresh);
            return NULL;
        }
        own = fresh;
    }
    if (own->size < size) {
        free(own->memory);
        own->memory = malloc(size);
        own->size = own->memory ? size : 0;
    }
    return own->memory;
}

fs_scratch fs_detach_scratch(void)
{
    const fs_scratch none = {0, NULL}, scratch = own ? *own : none;
    if (own)
        *own = none;
    return scratch;
}

void fs_attach_scratch(fs_scratch scratch)
{
    if (!scratch.memory)
        return;
    free(own->memory);
    *own = scratch;
}

/* Memory for large tables, which are read at random: in large pages where the system has them for the asking, so that a
 * read costs no walk through the page tables. */
#if defined(__linux__)
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#endif
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"

/* So many bytes, for free(); NULL: there are not so many. */
void *fs_table_memory(size_t size)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const size_t page = (size_t)1 << 21;
    if (size >= 2 * page && size <= SIZE_MAX - page) {
        size_t whole = (size + page - 1) / page * page;
        void *memory = aligned_alloc(page, whole);
        if (memory)
            (void)madvise(memory, whole, MADV_HUGEPAGE); /* advice: without it all is as well, but slower */
        return memory;
    }
#endif
    return malloc(size);
}

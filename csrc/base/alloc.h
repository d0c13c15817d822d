/* Memory for large tables (alloc.c). */
#ifndef FS_ALLOC_H
#define FS_ALLOC_H

#include <stddef.h>

/* `size` bytes, for free().  NULL: there is no memory. */
void *fs_table_memory(size_t size);

#endif

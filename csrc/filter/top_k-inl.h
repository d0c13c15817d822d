/* The first k entries of a row in the sorted order, as a list of their indices; and the rank of an entry.
 *
 * Needs real_f32.h or real_f64.h, filter/prefix-inl.h. */

static inline int NAME(before)(const REAL *x, const uint32_t *number, size_t a, size_t b)
{
    return x[a] > x[b] || (x[a] == x[b] && number[a] < number[b]);
}

static inline void NAME(swap)(REAL *x, uint32_t *number, size_t a, size_t b)
{
    REAL value = x[a];
    uint32_t other = number[a];
    x[a] = x[b];
    x[b] = value;
    number[a] = number[b];
    number[b] = other;
}

/* Heapsort into the sorted order, values and numbers together. */
static void NAME(sort)(REAL *x, uint32_t *number, size_t count)
{
    for (size_t start = count / 2, end = count; end > 1;) {
        if (start)
            start--;
        else
            NAME(swap)(x, number, 0, --end);
        for (size_t at = start, child; (child = 2 * at + 1) < end; at = child) {
            child += child + 1 < end && NAME(before)(x, number, child, child + 1);
            if (!NAME(before)(x, number, at, child))
                break;
            NAME(swap)(x, number, at, child);
        }
    }
}

/* *number: the first k of the sorted order, in the workspace. */
static fs_status NAME(top_k)(const fs_reader *reader, size_t n, size_t k, void *scratch, size_t chosen, int64_t *rank,
                             const uint32_t **number)
{
    NAME(workspace) workspace = NAME(workspace_of)(scratch, n);
    NAME(list) l;
    fs_status status = NAME(survey)(reader, n, &workspace, &l);
    if (status != FS_OK && status != FS_LIMIT)
        return status;
    if (rank) {
        REAL x = l.value[chosen];
        NAME(list) upto = l;
        upto.count = chosen;
        *rank = 1 + (int64_t)NAME(count_from)(&l, NAME(above)(x)) +
                (int64_t)(NAME(count_from)(&upto, x) - NAME(count_from)(&upto, NAME(above)(x)));
    }
    l.none = (REAL)NAN; /* entries that cannot be drawn are part of the order too */
    l = NAME(keep_top)(&l, k, &workspace);
    if (!l.index)
        l = NAME(pack)(&l, NAME(from)(-(REAL)INFINITY), &workspace);
    NAME(sort)(workspace.value, workspace.index, l.count);
    *number = workspace.index;
    return l.count == k ? FS_OK : FS_NAN; /* fewer only where another thread changes the row */
}

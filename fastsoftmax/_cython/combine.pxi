# The summary of several shards: their blocks and entries in order, and the blocks whose entries have come together.

# `count` blocks or entries of a part, and where they go.
cdef struct Run:
    size_t part, source, target, count


cdef struct Joining:
    View view
    View *part
    Run *blocks
    Run *entries
    Run *joined  # blocks whose entries have come together: `source` among the entries, `target` among the blocks
    size_t block_runs, entry_runs, joined_blocks
    size_t *owner  # of each block: a part, or, from `parts` on, one that has come together
    size_t parts
    Outcome outcome


cdef fs_status summarise_joined(const View *v, size_t i, const Run *run, bint in_double, double *rest) noexcept nogil:
    """Summarise the block whose entries have come together."""
    cdef fs_row row = bare_row(v.entry + (i * v.entries + run.source) * v.width, v.width,
                               FS_F64 if v.dtype == FS_F64 else FS_F32, False)
    cdef size_t ratio = v.block // fs_shard_block(FS_F64), at
    if in_double:
        at = i * v.blocks_in_double + run.target * ratio
        return fs_summarise(&row, 0, v.block, v.temperature[i], 1, v.max_in_double + at, v.sum_in_double + at, rest)
    at = i * v.blocks + run.target
    return fs_summarise(&row, 0, v.block, v.temperature[i], 0, v.max + at, v.sum + at, rest)


cdef fs_status rest_of_joined(const Joining *f, size_t i, bint in_double, double *rest) noexcept nogil:
    """The rest of the row: the one that came with the first block that has the largest maximum."""
    cdef const View *v = &f.view
    cdef size_t count = v.blocks_in_double if in_double else v.blocks, b, at = count, owner
    cdef const double *maxima = (v.max_in_double if in_double else v.max) + i * count
    cdef double largest = -INFINITY
    rest[0] = 0.0
    for b in range(count):
        if maxima[b] != maxima[b]:
            return FS_OK
        if maxima[b] > largest:
            largest = maxima[b]
            at = b
    if at == count:
        return FS_OK
    owner = f.owner[at * v.blocks // count]
    if owner >= f.parts:
        return summarise_joined(v, i, f.joined + (owner - f.parts), in_double, rest)
    rest[0] = f.part[owner].rest_in_double[i] if in_double else f.part[owner].rest[i]
    return FS_OK


cdef fs_status join_row(const Joining *f, size_t i) noexcept nogil:
    cdef const View *v = &f.view
    cdef const View *p
    cdef const Run *run
    cdef size_t j, ratio
    cdef double unused
    cdef fs_status status
    v.temperature[i] = f.part[0].temperature[i]
    for j in range(f.block_runs):
        run = f.blocks + j
        p = f.part + run.part
        memcpy(v.max + i * v.blocks + run.target, p.max + i * p.blocks + run.source, run.count * sizeof(double))
        memcpy(v.sum + i * v.blocks + run.target, p.sum + i * p.blocks + run.source, run.count * sizeof(double))
    for j in range(f.entry_runs):
        run = f.entries + j
        p = f.part + run.part
        memcpy(v.entry + (i * v.entries + run.target) * v.width, p.entry + (i * p.entries + run.source) * v.width,
               run.count * v.width)
    for j in range(f.joined_blocks):
        status = summarise_joined(v, i, f.joined + j, False, &unused)
        if status != FS_OK:
            return status
    status = rest_of_joined(f, i, False, v.rest + i)
    if status != FS_OK or not v.in_double:
        return status
    v.rest_in_double[i] = 0.0
    if not wants_double(v, i):
        fill_blocks(v.max_in_double + i * v.blocks_in_double, v.sum_in_double + i * v.blocks_in_double,
                    v.blocks_in_double)
        return FS_OK
    ratio = v.block // fs_shard_block(FS_F64)
    for j in range(f.block_runs):
        run = f.blocks + j
        p = f.part + run.part
        memcpy(v.max_in_double + i * v.blocks_in_double + run.target * ratio,
               p.max_in_double + i * p.blocks_in_double + run.source * ratio, run.count * ratio * sizeof(double))
        memcpy(v.sum_in_double + i * v.blocks_in_double + run.target * ratio,
               p.sum_in_double + i * p.blocks_in_double + run.source * ratio, run.count * ratio * sizeof(double))
    for j in range(f.joined_blocks):
        status = summarise_joined(v, i, f.joined + j, True, &unused)
        if status != FS_OK:
            return status
    return rest_of_joined(f, i, True, v.rest_in_double + i)


cdef void join_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Joining *f = <Joining *>job
    cdef size_t i
    for i in range(first, past):
        if note(&f.outcome, i, join_row(f, i)):
            return


cdef list joined_ranges(list ranges, int64_t block):
    """Ascending ranges of entries, adjacent ones joined; those of pieces (block > 0) only within a block."""
    cdef list joined = []
    for first, past in ranges:
        if joined and first == joined[len(joined) - 1][1] and not (block and first % block == 0):
            joined[len(joined) - 1] = (joined[len(joined) - 1][0], past)
        else:
            joined.append((first, past))
    return joined


cdef Run *runs_of(list runs) except NULL:
    cdef size_t i, count = len(runs)
    cdef Run *made = <Run *>malloc((count + 1) * sizeof(Run))
    if made == NULL:
        raise MemoryError("not enough memory to combine summaries")
    for i in range(count):
        made[i].part, made[i].source, made[i].target, made[i].count = runs[i]
    return made


def combined(list parts):
    """The bytes of the summary of several shards, in any order; None where these are not of the same rows, or have an
    entry in common."""
    cdef Joining f
    cdef View *v = &f.view
    cdef const View *p
    cdef SummaryBase part
    cdef size_t i, j, at, kept
    cdef list spans = [], pieces = [], block_runs = [], entry_runs = [], joined = [], target_of = []
    cdef bint logsumexp = True, in_double = False
    cdef int64_t block = (<SummaryBase>parts[0]).view.block, first, past, head
    for i in range(len(parts)):
        part = parts[i]
        if i and not same_rows(parts[0], part):
            return None
        logsumexp = logsumexp and part.view.logsumexp
        at = 0
        for j in range(part.view.spans):
            spans.append((part.view.span[2 * j], part.view.span[2 * j + 1], i, at))
            at += whole_blocks(part.view.span[2 * j], part.view.span[2 * j + 1], block)
        at = 0
        for j in range(part.view.pieces):
            pieces.append((part.view.piece[2 * j], part.view.piece[2 * j + 1], i, at))
            at += <size_t>(part.view.piece[2 * j + 1] - part.view.piece[2 * j])
    spans.sort()
    pieces.sort()
    for i in range(1, len(spans)):
        if spans[i][0] < spans[i - 1][1]:
            return None
    cdef list new_spans = joined_ranges([(s[0], s[1]) for s in spans], 0)
    cdef list new_pieces = joined_ranges([(s[0], s[1]) for s in pieces], block)
    part = parts[0]
    for i in range(part.view.rows):
        in_double = in_double or fs_needs_double(part.view.dtype, part.view.temperature[i])
    v.dtype = part.view.dtype
    v.logsumexp = logsumexp
    v.in_double = v.dtype != FS_F64 and (logsumexp or in_double)
    cdef bytes made = new_summary(v, part.shape, new_spans, new_pieces)
    at = 0
    for first, past in new_spans:  # and where its blocks begin among all blocks
        target_of.append((first, past, at))
        at += whole_blocks(first, past, block)
    j = 0
    for first, past, i, kept in spans:
        while not target_of[j][1] >= past:
            j += 1
        head = (first + block - 1) // block
        at = target_of[j][2] + <size_t>(head - (<int64_t>target_of[j][0] + block - 1) // block)
        if whole_blocks(first, past, block):
            block_runs.append((i, kept, at, whole_blocks(first, past, block)))
    at = 0
    for first, past, i, kept in pieces:
        entry_runs.append((i, kept, at, past - first))
        at += <size_t>(past - first)
    at = 0
    j = 0
    cdef set whole = {(s[0], s[1]) for s in pieces}
    for first, past in new_pieces:
        if past - first == block and (first, past) not in whole:
            while not target_of[j][1] >= past:
                j += 1
            joined.append((0, at, target_of[j][2] + <size_t>(first // block
                           - (<int64_t>target_of[j][0] + block - 1) // block), block))
        at += <size_t>(past - first)
    f.parts = len(parts)
    f.block_runs = len(block_runs)
    f.entry_runs = len(entry_runs)
    f.joined_blocks = len(joined)
    f.part = <View *>malloc(f.parts * sizeof(View))
    f.owner = <size_t *>malloc((v.blocks + 1) * sizeof(size_t))
    f.blocks = f.entries = f.joined = NULL
    try:
        if f.part == NULL or f.owner == NULL:
            raise MemoryError("not enough memory to combine summaries")
        f.blocks = runs_of(block_runs)
        f.entries = runs_of(entry_runs)
        f.joined = runs_of(joined)
        for i in range(f.parts):
            f.part[i] = (<SummaryBase>parts[i]).view
        for i in range(f.block_runs):
            for j in range(f.blocks[i].count):
                f.owner[f.blocks[i].target + j] = f.blocks[i].part
        for i in range(f.joined_blocks):
            f.owner[f.joined[i].target] = f.parts + i
        run_rows(join_task, &f, &f.outcome, v.rows, 8 * (1 + v.blocks) + v.entries, False)
    finally:
        free(f.part)
        free(f.owner)
        free(f.blocks)
        free(f.entries)
        free(f.joined)
    return made

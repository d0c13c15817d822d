# Trees of drafted tokens: from the context to the last accepted node, and the token after it.

cdef struct TreeVerification:
    Rows rows  # of the target, without the operand TEMPERATURE
    fs_row draft_row
    int draft_operand  # -1: none
    ptrdiff_t target_stride, draft_stride
    fs_tree tree  # of the first sequence
    Py_ssize_t parents_step  # 0: the same parents for all sequences
    const double *u
    const double *temperature
    int64_t *accepted
    int64_t *path
    int64_t *token


cdef fs_status verify_tree(const TreeVerification *f, const RowIterator *w, size_t i, int64_t *node,
                           fs_row *target) noexcept nogil:
    """Verify the current sequence; `node` and the row `target` are where it ended."""
    cdef fs_row draft = f.draft_row
    cdef fs_row *draft_or_null = NULL
    cdef fs_tree tree = f.tree
    cdef const double *u = f.u + i * (tree.count + 1)
    cdef int64_t *path = f.path + i * tree.count
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(f.rows.n))
    cdef fs_status status
    cdef int64_t child = -1
    cdef size_t j, count = 0
    if scratch == NULL:
        return FS_NO_MEMORY
    tree.token += i * tree.count
    tree.parent += i * f.parents_step
    target[0] = f.rows.row
    node[0] = -1
    while True:
        target.data = w.data[ROW] + (node[0] + 1) * f.target_stride
        if f.draft_operand >= 0:
            draft.data = w.data[f.draft_operand] + (node[0] + 1) * f.draft_stride
            draft_or_null = &draft
        status = fs_accept_child(target, draft_or_null, f.rows.n, f.temperature + 2 * i, &tree, node[0], u, scratch,
                                 &child, f.token + i)
        if status != FS_OK:
            return status
        if child < 0:
            break
        path[count] = node[0] = child
        count += 1
    f.accepted[i] = count
    for j in range(count, tree.count):
        path[j] = -1
    return FS_OK


cdef void verify_tree_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef TreeVerification *f = <TreeVerification *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row
    cdef int64_t node
    cdef size_t i
    go_to_row(&w, first)
    for i in range(first, past):
        if note(&f.rows.outcome, i, verify_tree(f, &w, i, &node, &row)):
            return
        if fs_atomic_load(&f.rows.outcome.rejected) < (i + 1) << STATUS_BITS:
            return
        next_row(&w)


def verify_tree_rows(cnp.ndarray target, int target_dtype, cnp.ndarray draft, int draft_dtype, cnp.ndarray tokens,
                     cnp.ndarray parents, bint replacement, cnp.ndarray temperature, cnp.ndarray u,
                     cnp.ndarray accepted, cnp.ndarray path, cnp.ndarray token):
    """The accepted nodes of each sequence's tree, and the token that follows them.

    target, draft (or None): the sequences' shape, then nodes + 1, then entries.  tokens, path, u: C-contiguous, the
    sequences' shape and nodes (u: one more) last; parents: the same, or only the nodes.  temperature: C-contiguous,
    those of target and draft last.  Returns (which, sequence, row, why) of the first row that cannot be drawn from, or
    None.
    """
    cdef TreeVerification f
    cdef int nd = cnp.PyArray_NDIM(target)
    cdef size_t sequences = begin_iteration(&f.rows.iterator, target, nd - 2)
    cdef int64_t node = -1
    cdef fs_row row
    f.rows.n = cnp.PyArray_DIM(target, nd - 1)
    check_row_length(f.rows.n)
    f.rows.row = row_like(target, target_dtype, False)
    f.target_stride = cnp.PyArray_STRIDE(target, nd - 2)
    f.draft_stride = 0
    f.draft_operand = -1
    add_operand(&f.rows.iterator, target)
    if draft is not None:
        f.draft_operand = add_operand(&f.rows.iterator, draft)
        f.draft_row = row_like(draft, draft_dtype, False)
        f.draft_stride = cnp.PyArray_STRIDE(draft, nd - 2)
    f.tree.count = cnp.PyArray_DIM(target, nd - 2) - 1
    f.tree.token = <const int64_t *>cnp.PyArray_DATA(tokens)
    f.tree.parent = <const int64_t *>cnp.PyArray_DATA(parents)
    f.tree.replacement = replacement
    f.parents_step = f.tree.count if cnp.PyArray_NDIM(parents) == cnp.PyArray_NDIM(tokens) else 0
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.temperature = <const double *>cnp.PyArray_DATA(temperature)
    f.accepted = <int64_t *>cnp.PyArray_DATA(accepted)
    f.path = <int64_t *>cnp.PyArray_DATA(path)
    f.token = <int64_t *>cnp.PyArray_DATA(token)
    run_rows(verify_tree_task, &f, &f.rows.outcome, sequences, 2 * (f.tree.count + 1) * f.rows.n, False)
    rejected = rejected_row(&f.rows.outcome)
    if rejected is None:
        return None
    go_to_row(&f.rows.iterator, rejected[0])
    verify_tree(&f, &f.rows.iterator, rejected[0], &node, &row)
    # The kernel reads the target first: if that row is good, the draft's is not.
    cdef double ignored = 0.0
    target_is_good = fs_logsumexp(&row, f.rows.n, 1.0, &ignored) == FS_OK
    return ("draft_logits" if target_is_good else "target_logits"), rejected[0], node + 1, rejected[1]

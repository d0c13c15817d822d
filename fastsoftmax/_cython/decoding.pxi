# The other steps of a decoding loop: top_logprobs, penalize, verify_draft.
# Their arrays are prepared by _args/arrays.py: the entries last, parameters broadcast to the rows.

cdef struct Ranking:
    Rows rows
    size_t k
    int chosen_operand  # -1: none
    int64_t *index
    double *logprob
    int64_t *rank


cdef void top_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Ranking *f = <Ranking *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row = f.rows.row
    cdef fs_status status
    cdef size_t i, k = f.k
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(f.rows.n))
    if scratch == NULL:
        note(&f.rows.outcome, first, FS_NO_MEMORY)
        return
    go_to_row(&w, first)
    for i in range(first, past):
        set_row(&f.rows, &w, &row)
        status = fs_top(&row, f.rows.n, temperature_at(&w), k, scratch, f.index + i * k, f.logprob + i * k,
                        <size_t>(<int64_t *>w.data[f.chosen_operand])[0] if f.chosen_operand >= 0 else 0,
                        f.rank + i if f.rank != NULL else NULL)
        note(&f.rows.outcome, i, status)
        if status != FS_OK:
            return
        next_row(&w)


def top_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, size_t k, cnp.ndarray mask, bint words,
             cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray chosen, cnp.ndarray index, cnp.ndarray logprob,
             cnp.ndarray rank):
    """The first k of the sorted order of every row.

    index, logprob: C-contiguous, rows * k elements.  chosen and rank (or None): int64, one for each row; rank
    C-contiguous.  Returns (row, why) of the first row that has no order, or None.
    """
    cdef Ranking f
    begin_rows(&f.rows, x, dtype, False, temperature)
    check_row_length(f.rows.n)
    add_mask_and_bias(&f.rows, mask, words, bias, bias_at)
    f.k = k
    f.chosen_operand = -1 if chosen is None else add_operand(&f.rows.iterator, chosen)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    f.logprob = <double *>cnp.PyArray_DATA(logprob)
    f.rank = NULL if rank is None else <int64_t *>cnp.PyArray_DATA(rank)
    run_rows(top_task, &f, &f.rows.outcome, f.rows.count, FILTER_WORK * f.rows.n, False)
    return rejected_row(&f.rows.outcome)


cdef struct Penalizing:
    RowIterator iterator
    Outcome outcome
    fs_output row
    const int64_t *tokens
    const int64_t *start
    size_t longest
    fs_breakers breakers
    fs_indices exempt


cdef inline void copy_entries(const fs_output *row, const fs_indices *entries, char *saved, bint back) noexcept nogil:
    """Copy these entries of the row to `saved`, 8 bytes each, or back."""
    cdef size_t j, size = size_of(row.dtype)
    cdef char *entry
    for j in range(entries.count):
        entry = <char *>row.data + <ptrdiff_t>entries.index[j] * row.stride
        if back:
            memcpy(entry, saved + 8 * j, size)
        else:
            memcpy(saved + 8 * j, entry, size)


cdef void penalize_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Penalizing *f = <Penalizing *>job
    cdef RowIterator w = f.iterator
    cdef fs_output row = f.row
    cdef size_t i, bytes = fs_penalize_scratch(f.longest)
    cdef char *scratch = <char *>fs_thread_scratch(bytes + 8 * f.exempt.count)
    if scratch == NULL:
        note(&f.outcome, first, FS_NO_MEMORY)
        return
    go_to_row(&w, first)
    for i in range(first, past):
        row.data = w.data[0]
        copy_entries(&row, &f.exempt, scratch + bytes, False)
        fs_penalize(&row, f.tokens + f.start[i], f.start[i + 1] - f.start[i], <const fs_penalties *>w.data[1],
                    &f.breakers, scratch)
        copy_entries(&row, &f.exempt, scratch + bytes, True)
        next_row(&w)


def penalize_rows(cnp.ndarray out, int dtype, cnp.ndarray context, cnp.ndarray starts, cnp.ndarray penalties,
                  cnp.ndarray breaker_tokens, cnp.ndarray breaker_starts, cnp.ndarray exempt=None):
    """Lower, in place, the logits of what the context of each row repeats.

    context: int64, the tokens of all rows one after another, all of them entries of the row; starts: int64, where those
    of each row begin, and the end.  penalties: records of _penalties.py, one for each row.  The breakers are given in
    the same way as the context.  exempt: entries that stay as they are, int64.
    """
    cdef Penalizing f
    cdef int nd = cnp.PyArray_NDIM(out)
    cdef size_t rows = begin_iteration(&f.iterator, out, nd - 1), i
    f.tokens = <const int64_t *>cnp.PyArray_DATA(context)
    f.start = <const int64_t *>cnp.PyArray_DATA(starts)
    f.breakers.token = <const int64_t *>cnp.PyArray_DATA(breaker_tokens)
    f.breakers.of = <const size_t *>cnp.PyArray_DATA(breaker_starts)
    f.breakers.count = cnp.PyArray_SIZE(breaker_starts) - 1
    f.exempt = indices_in(exempt)
    f.longest = 0
    for i in range(rows):
        f.longest = max(f.longest, <size_t>(f.start[i + 1] - f.start[i]))
    add_operand(&f.iterator, out)
    add_operand(&f.iterator, penalties)
    f.row.stride = cnp.PyArray_STRIDE(out, nd - 1)
    f.row.dtype = <fs_dtype>dtype
    run_rows(penalize_task, &f, &f.outcome, rows, 16 * f.longest, False)


cdef struct Verification:
    Rows rows  # of the target, without the operand TEMPERATURE
    fs_row draft_row
    int draft_operand  # -1: none
    ptrdiff_t target_stride, draft_stride
    size_t positions
    const int64_t *tokens
    const double *u
    const double *temperature
    int64_t *accepted
    int64_t *token


cdef fs_status verify(const Verification *f, const RowIterator *w, size_t i, size_t *position,
                      fs_row *target) noexcept nogil:
    """Verify the current sequence; `position` and the row `target` are where it ended."""
    cdef fs_row draft = f.draft_row
    cdef fs_row *draft_or_null = NULL
    cdef const int64_t *given = f.tokens + i * f.positions
    cdef const double *u = f.u + i * (f.positions + 1)
    cdef const double *t = f.temperature + 2 * i
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(f.rows.n))
    cdef fs_status status = FS_OK
    cdef size_t j = 0
    cdef int accepted = 1
    if scratch == NULL:
        return FS_NO_MEMORY
    target[0] = f.rows.row
    target.data = w.data[ROW]
    if f.draft_operand >= 0:
        draft.data = w.data[f.draft_operand]
        draft_or_null = &draft
    while j < f.positions:
        status = fs_accept(target, draft_or_null, f.rows.n, t, given[j], u[j], &accepted)
        if status != FS_OK or not accepted:
            break
        target.data = <const char *>target.data + f.target_stride
        draft.data = <const char *>draft.data + f.draft_stride
        j += 1
    position[0] = j
    if status != FS_OK:
        return status
    f.accepted[i] = j
    if j < f.positions:
        return fs_correct(target, draft_or_null, f.rows.n, t, given[j], u[f.positions], scratch, f.token + i)
    return fs_sample(target, f.rows.n, t[0], 1, u + f.positions, f.token + i, NULL)


cdef void verify_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Verification *f = <Verification *>job
    cdef RowIterator w = f.rows.iterator
    cdef fs_row row
    cdef size_t i, position
    cdef fs_status status
    go_to_row(&w, first)
    for i in range(first, past):
        status = verify(f, &w, i, &position, &row)
        note(&f.rows.outcome, i, status)
        if status != FS_OK:
            return
        next_row(&w)


def verify_rows(cnp.ndarray target, int target_dtype, cnp.ndarray draft, int draft_dtype, cnp.ndarray tokens,
                cnp.ndarray temperature, cnp.ndarray u, cnp.ndarray accepted, cnp.ndarray token):
    """How many of the drafted tokens of each sequence are accepted, and the token that follows them.

    target: the sequences' shape, then positions + 1, then entries; draft: one position less, or None.  tokens, u:
    C-contiguous, the sequences' shape and positions (u: one more) last.  temperature: C-contiguous, those of target
    and draft last.  Returns (which, sequence, position, why) of the first row that cannot be drawn from, or None.
    """
    cdef Verification f
    cdef int nd = cnp.PyArray_NDIM(target)
    cdef size_t sequences = begin_iteration(&f.rows.iterator, target, nd - 2), position = 0
    cdef fs_row row
    f.rows.n = cnp.PyArray_DIM(target, nd - 1)
    check_row_length(f.rows.n)
    f.rows.row = row_like(target, target_dtype, False)
    f.positions = cnp.PyArray_DIM(target, nd - 2) - 1
    f.target_stride = cnp.PyArray_STRIDE(target, nd - 2)
    f.draft_stride = 0
    f.draft_operand = -1
    add_operand(&f.rows.iterator, target)
    if draft is not None:
        f.draft_operand = add_operand(&f.rows.iterator, draft)
        f.draft_row = row_like(draft, draft_dtype, False)
        f.draft_stride = cnp.PyArray_STRIDE(draft, nd - 2)
    f.tokens = <const int64_t *>cnp.PyArray_DATA(tokens)
    f.u = <const double *>cnp.PyArray_DATA(u)
    f.temperature = <const double *>cnp.PyArray_DATA(temperature)
    f.accepted = <int64_t *>cnp.PyArray_DATA(accepted)
    f.token = <int64_t *>cnp.PyArray_DATA(token)
    run_rows(verify_task, &f, &f.rows.outcome, sequences, 2 * (f.positions + 1) * f.rows.n, False)
    rejected = rejected_row(&f.rows.outcome)
    if rejected is None:
        return None
    go_to_row(&f.rows.iterator, rejected[0])
    verify(&f, &f.rows.iterator, rejected[0], &position, &row)
    # fs_accept and fs_correct read the target first: if that row is good, the draft's is not
    cdef double ignored = 0.0
    target_is_good = fs_logsumexp(&row, f.rows.n, 1.0, &ignored) == FS_OK
    return ("draft_logits" if target_is_good else "target_logits"), rejected[0], position, rejected[1]

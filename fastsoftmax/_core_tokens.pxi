# What a decoding loop asks for besides a draw: the most likely tokens, tokens without replacement, penalties for what
# repeats, the verification of a draft.

def top_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, size_t k, cnp.ndarray mask, bint words,
             cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray chosen, cnp.ndarray index, cnp.ndarray logprob,
             cnp.ndarray rank):
    """The first k of the sorted order of every row.

    index, logprob: C-contiguous, rows * k elements.  chosen and rank (or None): int64, the rows' shape; rank
    C-contiguous.  Returns (row, why) of the first row without an order, or None.
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x), of_chosen = -1
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(index)
    cdef double *log_to = <double *>cnp.PyArray_DATA(logprob)
    cdef int64_t *rank_to = NULL if rank is None else <int64_t *>cnp.PyArray_DATA(rank)
    cdef void *scratch = row_scratch(n)
    cdef Beside beside
    take_along(&w, x)
    take_along(&w, temperature)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    if chosen is not None:
        of_chosen = take_along(&w, chosen)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            set_beside(&beside, &w, &row)
            status = fs_top(&row, n, (<double *>w.data[1])[0], k, scratch, to + i * k, log_to + i * k,
                            <size_t>(<int64_t *>w.data[of_chosen])[0] if of_chosen >= 0 else 0,
                            rank_to + i if rank_to != NULL else NULL)
            if status != FS_OK:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")
    return refusal(status, i)


def without_replacement_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, size_t k, cnp.ndarray u,
                             cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray index):
    """k distinct indices of every row in drawn order; u has the shape of x.  Returns (row, why) or None."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(index)
    cdef ptrdiff_t u_stride = cnp.PyArray_STRIDE(u, nd - 1)
    cdef void *scratch = row_scratch(n)
    cdef Beside beside
    take_along(&w, x)
    take_along(&w, temperature)
    take_along(&w, u)
    take_beside(&beside, &w, &row, mask, words, bias, bias_at)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            set_beside(&beside, &w, &row)
            status = fs_without_replacement(&row, n, (<double *>w.data[1])[0], k, <const double *>w.data[2], u_stride,
                                            scratch, to + i * k)
            if status != FS_OK:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")
    return refusal(status, i)


def penalize_rows(cnp.ndarray out, int dtype, cnp.ndarray context, cnp.ndarray starts, cnp.ndarray penalties,
                  cnp.ndarray breaker_tokens, cnp.ndarray breaker_starts):
    """Lower, in place, what the context of each row repeats.

    context: int64, the tokens of all rows one after another; starts: int64, where each row's begin, and their end.
    penalties: records of _penalties.py, the rows' shape.  Breakers likewise; tokens are within the row.
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(out)
    cdef size_t rows = walk_over(&w, out, nd - 1), i, longest = 0
    cdef const int64_t *tokens = <const int64_t *>cnp.PyArray_DATA(context)
    cdef const int64_t *start = <const int64_t *>cnp.PyArray_DATA(starts)
    cdef fs_breakers breakers
    cdef fs_output row
    cdef void *scratch
    breakers.token = <const int64_t *>cnp.PyArray_DATA(breaker_tokens)
    breakers.of = <const size_t *>cnp.PyArray_DATA(breaker_starts)
    breakers.count = cnp.PyArray_SIZE(breaker_starts) - 1
    for i in range(rows):
        longest = max(longest, <size_t>(start[i + 1] - start[i]))
    scratch = scratch_of(fs_penalize_scratch(longest))
    take_along(&w, out)
    take_along(&w, penalties)
    row.stride = cnp.PyArray_STRIDE(out, nd - 1)
    row.dtype = <fs_dtype>dtype
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            fs_penalize(&row, tokens + start[i], start[i + 1] - start[i], <const fs_penalties *>w.data[1],
                        &breakers, scratch)
            next_row(&w)


def verify_rows(cnp.ndarray target, int target_dtype, cnp.ndarray draft, int draft_dtype, cnp.ndarray tokens,
                cnp.ndarray temperature, cnp.ndarray u, cnp.ndarray accepted, cnp.ndarray token):
    """How many of the drafted tokens of each sequence are accepted, and the token that follows them.

    target: the sequences' shape, then positions + 1, then entries; draft: one position less, or None.  tokens, u:
    C-contiguous, the sequences' shape and positions (u: one more) last.  temperature: C-contiguous, of target and
    draft last.  Returns (which, sequence, position, why) of the first row that cannot be drawn from, or None.
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(target), yes = 0
    cdef size_t sequences = walk_over(&w, target, nd - 2), i, j
    cdef size_t positions = cnp.PyArray_DIM(target, nd - 2) - 1, n = cnp.PyArray_DIM(target, nd - 1)
    cdef fs_row of_target = row_of(target, target_dtype, False), of_draft
    cdef fs_row *drafted = NULL
    cdef ptrdiff_t target_stride = cnp.PyArray_STRIDE(target, nd - 2), draft_stride = 0
    cdef fs_status status = FS_OK
    cdef const int64_t *given = <const int64_t *>cnp.PyArray_DATA(tokens)
    cdef const double *uniform = <const double *>cnp.PyArray_DATA(u)
    cdef const double *t = <const double *>cnp.PyArray_DATA(temperature)
    cdef int64_t *count_to = <int64_t *>cnp.PyArray_DATA(accepted)
    cdef int64_t *token_to = <int64_t *>cnp.PyArray_DATA(token)
    cdef void *scratch = row_scratch(n)
    take_along(&w, target)
    if draft is not None:
        take_along(&w, draft)
        of_draft = row_of(draft, draft_dtype, False)
        drafted = &of_draft
        draft_stride = cnp.PyArray_STRIDE(draft, nd - 2)
    with nogil:
        for i in range(sequences):
            of_target.data = w.data[0]
            if drafted != NULL:
                of_draft.data = w.data[1]
            for j in range(positions):
                status = fs_accept(&of_target, drafted, n, t, given[j], uniform[j], &yes)
                if status != FS_OK or not yes:
                    break
                of_target.data = <const char *>of_target.data + target_stride
                if drafted != NULL:
                    of_draft.data = <const char *>of_draft.data + draft_stride
            else:
                j = positions
            if status == FS_OK:
                count_to[i] = j
                if j < positions:
                    status = fs_correct(&of_target, drafted, n, t, given[j], uniform[positions], scratch,
                                        token_to + i)
                else:
                    status = fs_sample(&of_target, n, t[0], 1, uniform + positions, token_to + i, NULL)
            if status != FS_OK:
                break
            given += positions
            uniform += positions + 1
            t += 2
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")
    if status == FS_OK:
        return None
    # fs_accept and fs_correct look at the target first
    cdef double max_of_target = 0.0
    of_draft_is_bad = fs_logsumexp(&of_target, n, 1.0, &max_of_target) == FS_OK
    return ("draft_logits" if of_draft_is_bad else "target_logits"), i, j, "nan" if status == FS_NAN else "mass"

# Uniforms that are a function of a seed, a key and a step (csrc/philox.c), a chunk of them at a time.

cdef struct Keyed:
    fs_words seeds, keys, steps
    uint64_t stream
    double *out
    Outcome outcome


cdef inline fs_words words_from(fs_words words, size_t first) noexcept nogil:
    words.word += first * words.stride
    return words


cdef void keyed_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Keyed *f = <Keyed *>job
    fs_keyed_uniforms_of(words_from(f.seeds, first), words_from(f.keys, first), words_from(f.steps, first),
                         past - first, f.stream, f.out + first)


cdef fs_words words_of(cnp.ndarray a) noexcept:
    """The words of a contiguous array; a single one is for all uniforms."""
    cdef fs_words words
    words.word = <const uint64_t *>cnp.PyArray_DATA(a)
    words.stride = cnp.PyArray_SIZE(a) != 1
    return words


def fill_keyed_uniforms(cnp.ndarray seeds, cnp.ndarray keys, cnp.ndarray steps, uint64_t stream, cnp.ndarray u):
    """Fill u (float64) with the uniforms of seeds, keys and steps (uint64): each has one element, or the size of u.

    All are C-contiguous.
    """
    cdef Keyed f
    f.seeds = words_of(seeds)
    f.keys = words_of(keys)
    f.steps = words_of(steps)
    f.stream = stream
    f.out = <double *>cnp.PyArray_DATA(u)
    run_rows(keyed_task, &f, &f.outcome, cnp.PyArray_SIZE(u), 16, False)

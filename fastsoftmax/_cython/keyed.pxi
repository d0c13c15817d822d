# Uniforms that are a function of a seed, a key and a step (csrc/philox.c), a chunk of them at a time.

cdef struct Keyed:
    fs_words seeds, keys, steps
    uint64_t one[3]  # a seed, a key and a step for all
    uint64_t stream
    double *out
    Outcome outcome


cdef inline uint64_t word_at(fs_words words, size_t i) noexcept nogil:
    return words.word[i * words.stride]


cdef inline fs_words words_from(fs_words words, size_t first) noexcept nogil:
    words.word += first * words.stride
    return words


cdef void keyed_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Keyed *f = <Keyed *>job
    fs_keyed_uniforms_of(words_from(f.seeds, first), words_from(f.keys, first), words_from(f.steps, first),
                         past - first, f.stream, f.out + first)


cdef int run_keyed(Keyed *f, size_t count, uint64_t stream, double *u) except -1:
    """Fill u with the uniforms of f's words."""
    f.stream = stream
    f.out = u
    run_rows(keyed_task, f, &f.outcome, count, 16, False)
    return 0


cdef int set_words(object given, fs_words *words, uint64_t *one) except -1:
    """The words of an int or a contiguous array; a single one is for all uniforms."""
    if type(given) is int:
        one[0] = given
        words.word = one
        words.stride = 0
    else:
        words.word = <const uint64_t *>cnp.PyArray_DATA(<cnp.ndarray?>given)
        words.stride = cnp.PyArray_SIZE(<cnp.ndarray>given) != 1
    return 0


def fill_keyed_uniforms(seeds, cnp.ndarray keys, steps, uint64_t stream, cnp.ndarray u):
    """Fill u (float64) with the uniforms of seeds, keys and steps (uint64): each has one element, or the size of u.

    All are C-contiguous; seeds and steps may be an int.
    """
    cdef Keyed f
    set_words(seeds, &f.seeds, &f.one[0])
    set_words(keys, &f.keys, &f.one[1])
    set_words(steps, &f.steps, &f.one[2])
    run_keyed(&f, cnp.PyArray_SIZE(u), stream, <double *>cnp.PyArray_DATA(u))

# Uniforms that are a function of a seed, a key and a step (csrc/philox.c), a chunk of keys at a time.

cdef struct Keyed:
    uint64_t seed
    const uint64_t *key
    uint64_t step
    uint64_t stream
    double *out
    Outcome outcome


cdef void keyed_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Keyed *f = <Keyed *>job
    fs_keyed_uniforms(f.seed, f.key + first, past - first, f.step, f.stream, f.out + first)


def fill_keyed_uniforms(uint64_t seed, cnp.ndarray keys, uint64_t step, uint64_t stream, cnp.ndarray u):
    """Fill u (float64) with the uniforms of keys (uint64); both C-contiguous and of one size."""
    cdef Keyed f
    f.seed = seed
    f.key = <const uint64_t *>cnp.PyArray_DATA(keys)
    f.step = step
    f.stream = stream
    f.out = <double *>cnp.PyArray_DATA(u)
    run_rows(keyed_task, &f, &f.outcome, cnp.PyArray_SIZE(keys), 16, False)

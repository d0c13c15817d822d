# ManyDraws draws from one row, of which a table is made first: at once (sample_many), or kept (CategoricalBase).
#
# _categorical.py and _draws.py have checked the arguments; the arrays are one-dimensional, prepared as in rows.pxi.

# Draws with one table; the kernel shares given uniforms among the threads itself.
cdef struct ManyDraws:
    const fs_categorical *table  # NULL: `row`, of which a table must be made
    fs_row row
    size_t n
    double temperature
    size_t count
    const double *u       # NULL: from the bit generator
    bitgen_t *bitgen
    int64_t *index
    Outcome outcome


cdef void many_draws_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef ManyDraws *f = <ManyDraws *>job
    cdef fs_status status
    if f.table == NULL:
        status = fs_sample_from(&f.row, f.n, f.temperature, f.count, <fs_uniform_of *>f.bitgen.next_double,
                                f.bitgen.state, f.index)
    elif f.u != NULL:
        status = fs_categorical_draw(f.table, f.count, f.u, f.index)
    else:
        status = fs_categorical_draw_from(f.table, f.count, <fs_uniform_of *>f.bitgen.next_double, f.bitgen.state,
                                          f.index)
    note(&f.outcome, 0, status)


# Draws of a seed from a prepared row.
cdef struct SeededDraws:
    const fs_categorical *table
    uint64_t seed, key
    size_t count
    int64_t *index
    Outcome outcome


cdef void seeded_draws_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef SeededDraws *f = <SeededDraws *>job
    note(&f.outcome, 0, fs_categorical_draw_seeded(f.table, f.seed, f.key, 0, f.count, f.index))


cdef struct Preparation:
    fs_row row
    size_t n
    double temperature
    fs_categorical *table
    Outcome outcome


cdef void prepare_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Preparation *f = <Preparation *>job
    note(&f.outcome, 0, fs_categorical_build(&f.row, f.n, f.temperature, f.table))


cdef struct LogProbs:
    fs_row row
    size_t n
    double temperature
    size_t count
    const int64_t *index
    double *logprob
    Outcome outcome


cdef void logprob_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef LogProbs *f = <LogProbs *>job
    note(&f.outcome, 0, fs_logprob(&f.row, f.n, f.temperature, f.count, f.index, f.logprob))


cdef class CategoricalBase:
    """One row with its table, made once and then only read, by any number of threads.

    `_prepare` makes the table, once, before any other thread has the object.  Until then there are no entries, and
    drawing raises.
    """

    cdef fs_categorical *table
    cdef object memory  # of the table
    cdef fs_row row
    cdef size_t entries
    cdef readonly double temperature
    cdef readonly object _values, _mask, _bias, _bias_at  # the arrays that `row` points into
    cdef readonly bint _from_probs

    def __cinit__(self, *args, **kwargs):
        self.table = NULL
        self.entries = 0

    def __len__(self):
        return self.entries

    def _prepare(self, cnp.ndarray values, int dtype, bint probs, double temperature, cnp.ndarray mask, bint words,
                 cnp.ndarray bias, cnp.ndarray bias_at):
        """Make the table of a row, whose arrays nobody else writes to; returns None, or why it cannot be drawn from."""
        cdef Preparation f
        cdef size_t n = cnp.PyArray_DIM(values, 0)
        cdef cnp.npy_intp size = fs_categorical_size(n)
        if self.table != NULL:
            raise ValueError("a Categorical is initialised once: make another one for another row")
        if size == 0:
            raise ValueError(f"a row of {n} entries is too long for a Categorical, 2**26 at most: use sample")
        self.row = single_row(values, dtype, probs, mask, words, bias, bias_at)
        self._values, self._mask, self._bias, self._bias_at = values, mask, bias, bias_at
        self._from_probs = probs
        self.temperature = temperature
        # NumPy's allocator asks for huge pages where an array is large.
        memory = cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
        f.row = self.row
        f.n = n
        f.temperature = temperature
        f.table = <fs_categorical *>cnp.PyArray_DATA(<cnp.ndarray>memory)
        run_rows(prepare_task, &f, &f.outcome, 1, 4 * n, True)
        rejected = rejected_row(&f.outcome)
        if rejected is not None:
            return rejected[1]
        self.memory = memory
        self.table = f.table
        self.entries = n
        return None

    def _draw_given(self, cnp.ndarray u, cnp.ndarray index):
        """The draws of these uniforms (float64, checked) into index (int64); both C-contiguous, of one size."""
        cdef ManyDraws f
        f.count = cnp.PyArray_SIZE(index)
        f.table = self.table
        f.u = <const double *>cnp.PyArray_DATA(u)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        self._check()
        if not are_uniforms(u, f.count):
            raise ValueError("the uniforms were changed while they were converted")
        run_rows(many_draws_task, &f, &f.outcome, 1, f.count, True)

    def _draw_from(self, bit_generator, cnp.ndarray index):
        """Fill index (int64, C-contiguous) with draws from a NumPy bit generator, under its lock."""
        cdef ManyDraws f
        f.count = cnp.PyArray_SIZE(index)
        f.table = self.table
        f.u = NULL
        f.bitgen = bitgen_of(bit_generator)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        self._check()
        with bit_generator.lock:
            run_rows(many_draws_task, &f, &f.outcome, 1, f.count, True)

    def _draw_one(self, bit_generator):
        """One draw from a NumPy bit generator, as an int."""
        cdef bitgen_t *bitgen = bitgen_of(bit_generator)
        cdef int64_t index = -1
        self._check()
        with bit_generator.lock:
            fs_categorical_draw_from(self.table, 1, <fs_uniform_of *>bitgen.next_double, bitgen.state, &index)
        return index

    def _draw_seeded(self, uint64_t seed, uint64_t key, cnp.ndarray index):
        """Fill index (int64, C-contiguous) with the first draws of a seed and a key."""
        cdef SeededDraws f
        f.table = self.table
        f.seed = seed
        f.key = key
        f.count = cnp.PyArray_SIZE(index)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        self._check()
        run_rows(seeded_draws_task, &f, &f.outcome, 1, f.count, True)

    def _draw_one_seeded(self, uint64_t seed, uint64_t key):
        """The first draw of a seed and a key, as an int."""
        cdef int64_t index = -1
        self._check()
        fs_categorical_draw_seeded(self.table, seed, key, 0, 1, &index)
        return index

    def _logprob_into(self, cnp.ndarray index, cnp.ndarray logprob):
        """log p of the entries of index (int64, checked) into logprob (float64); both C-contiguous, of one size."""
        cdef LogProbs f
        self._check()
        f.row = self.row
        f.n = self.entries
        f.temperature = self.temperature
        f.count = cnp.PyArray_SIZE(index)
        f.index = <const int64_t *>cnp.PyArray_DATA(index)
        f.logprob = <double *>cnp.PyArray_DATA(logprob)
        run_rows(logprob_task, &f, &f.outcome, 1, f.n + 8 * f.count, True)

    def _check(self):
        """Raise where `__init__` has not been called."""
        if self.table == NULL:
            raise ValueError("no row has been prepared: call Categorical.__init__ first")


def sample_many(cnp.ndarray x, int dtype, bint probs, double temperature, cnp.ndarray mask, bint words,
                cnp.ndarray bias, cnp.ndarray bias_at, bit_generator, cnp.ndarray index):
    """Fill index (int64, C-contiguous) with draws from one row; the other arguments as for `sample_rows`.

    The uniforms come one by one from a NumPy bit generator, under its lock, and are not stored.  Returns None, or why
    the row cannot be drawn from; then no uniform has been taken.
    """
    cdef ManyDraws f
    f.table = NULL
    f.row = single_row(x, dtype, probs, mask, words, bias, bias_at)
    f.n = cnp.PyArray_DIM(x, 0)
    f.temperature = temperature
    f.count = cnp.PyArray_SIZE(index)
    f.u = NULL
    f.bitgen = bitgen_of(bit_generator)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    with bit_generator.lock:
        run_rows(many_draws_task, &f, &f.outcome, 1, f.n + f.count, True)
    rejected = rejected_row(&f.outcome)
    return None if rejected is None else rejected[1]

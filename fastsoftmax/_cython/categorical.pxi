# Many draws from one row: at once, and from a row prepared beforehand.

# Draws from one row, by the one thread that calls; given uniforms are shared by the kernel itself.
cdef struct Many:
    const fs_categorical *table  # NULL: the row, which is not prepared
    fs_row row
    size_t n
    double temperature
    size_t count
    const double *u       # NULL: from the generator
    bitgen_t *bitgen
    int64_t *index
    Outcome outcome


cdef void many_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Many *f = <Many *>job
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


# A row prepared, or asked for log-probabilities.
cdef struct Asking:
    fs_row row
    size_t n
    double temperature
    fs_categorical *table  # NULL: log-probabilities
    size_t count
    const int64_t *entry
    double *logprob
    Outcome outcome


cdef void asking_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Asking *f = <Asking *>job
    if f.table != NULL:
        note(&f.outcome, 0, fs_categorical_build(&f.row, f.n, f.temperature, f.table))
    else:
        note(&f.outcome, 0, fs_logprob(&f.row, f.n, f.temperature, f.count, f.entry, f.logprob))


cdef bitgen_t *bitgen_of(bit_generator) except NULL:
    return <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


cdef class Prepared:
    """One row, prepared once and then only read, by any number of threads.

    Built by `_prepare`, once, before anybody else has it: until then it has no entries, and must not be drawn from.
    """

    cdef fs_categorical *table
    cdef object memory  # of the table
    cdef fs_row row
    cdef size_t entries
    cdef readonly double temperature
    cdef readonly object _values, _mask, _bias, _bias_at  # what `row` points into
    cdef readonly bint _of_probs

    def __cinit__(self, *args, **kwargs):
        self.table = NULL
        self.entries = 0

    def __len__(self):
        return self.entries

    def _prepare(self, cnp.ndarray values, int dtype, bint probs, double temperature, cnp.ndarray mask, bint words,
                 cnp.ndarray bias, cnp.ndarray bias_at):
        """Take this row, of one-dimensional arrays that nobody else writes to; why it cannot be drawn from, or None."""
        cdef Walk w
        cdef Operands operands
        cdef Asking f
        cdef size_t n = cnp.PyArray_DIM(values, 0)
        cdef size_t size = fs_categorical_size(n)
        if self.table != NULL:
            raise ValueError("a row is prepared once")
        if size == 0:
            raise ValueError(f"a row of {n} entries is too long to be prepared: 2**26 at most")
        walk_over(&w, values, 0)
        take_along(&w, values)
        take_along(&w, values)  # Operands comes after the row and its temperature
        self.row = row_of(values, dtype, probs)
        self.row.data = cnp.PyArray_DATA(values)
        take_operands(&operands, &w, &self.row, mask, words, bias, bias_at)
        set_operands(&operands, &w, &self.row)
        self._values, self._mask, self._bias, self._bias_at = values, mask, bias, bias_at
        self._of_probs = probs
        self.temperature = temperature
        cdef cnp.npy_intp bytes_of_table = size
        # NumPy's memory: what is large is in large pages
        memory = cnp.PyArray_EMPTY(1, &bytes_of_table, cnp.NPY_UINT8, 0)
        cdef fs_categorical *table = <fs_categorical *>cnp.PyArray_DATA(<cnp.ndarray>memory)
        f.row = self.row
        f.n = n
        f.temperature = temperature
        f.table = table
        run_rows(asking_task, &f, &f.outcome, 1, 4 * n, True)
        rejected = rejection(&f.outcome)
        if rejected is not None:
            return rejected[1]
        self.memory = memory
        self.table = table
        self.entries = n
        return None

    def _draw_given(self, cnp.ndarray u, cnp.ndarray index):
        """The draws of these uniforms (float64, checked) into index (int64); both C-contiguous, of one size."""
        cdef Many f
        f.count = cnp.PyArray_SIZE(index)
        f.table = self.table
        f.u = <const double *>cnp.PyArray_DATA(u)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        self._check()
        if not are_uniforms(u, f.count):
            raise ValueError("the uniforms were changed while they were read")
        run_rows(many_task, &f, &f.outcome, 1, f.count, True)

    def _draw_from(self, bit_generator, cnp.ndarray index):
        """As many draws as index (int64, C-contiguous) has places, from a NumPy bit generator, under its lock."""
        cdef Many f
        f.count = cnp.PyArray_SIZE(index)
        f.table = self.table
        f.u = NULL
        f.bitgen = bitgen_of(bit_generator)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        self._check()
        with bit_generator.lock:
            run_rows(many_task, &f, &f.outcome, 1, f.count, True)

    def _draw_one(self, bit_generator):
        """One draw from a NumPy bit generator, as an int."""
        cdef bitgen_t *bitgen = bitgen_of(bit_generator)
        cdef int64_t index = -1
        self._check()
        with bit_generator.lock:
            fs_categorical_draw_from(self.table, 1, <fs_uniform_of *>bitgen.next_double, bitgen.state, &index)
        return index

    def _logprob_into(self, cnp.ndarray index, cnp.ndarray logprob):
        """log p of these entries (int64, checked) into logprob (float64); both C-contiguous, of one size."""
        cdef Asking f
        self._check()
        f.row = self.row
        f.n = self.entries
        f.temperature = self.temperature
        f.table = NULL
        f.count = cnp.PyArray_SIZE(index)
        f.entry = <const int64_t *>cnp.PyArray_DATA(index)
        f.logprob = <double *>cnp.PyArray_DATA(logprob)
        run_rows(asking_task, &f, &f.outcome, 1, f.n + 8 * f.count, True)

    def _check(self):
        """Refuse what has not been prepared: `__init__` has not been called."""
        if self.table == NULL:
            raise ValueError("no row has been prepared: call Categorical.__init__ first")


def sample_many(cnp.ndarray x, int dtype, bint probs, double temperature, cnp.ndarray mask, bint words,
                cnp.ndarray bias, cnp.ndarray bias_at, bit_generator, cnp.ndarray index):
    """As many draws from one row as index (int64, C-contiguous) has places; the other arguments as for `sample_rows`.

    Their uniforms come one by one from a NumPy bit generator, under its lock, and are written nowhere.  Returns why the
    row cannot be drawn from, and then none has been taken; or None.
    """
    cdef Walk w
    cdef Operands operands
    cdef Many f
    f.table = NULL
    f.row = row_of(x, dtype, probs)
    f.n = cnp.PyArray_DIM(x, 0)
    f.temperature = temperature
    f.count = cnp.PyArray_SIZE(index)
    f.u = NULL
    f.bitgen = bitgen_of(bit_generator)
    f.index = <int64_t *>cnp.PyArray_DATA(index)
    walk_over(&w, x, 0)
    take_along(&w, x)
    take_along(&w, x)  # Operands comes after the row and its temperature
    f.row.data = w.data[0]
    take_operands(&operands, &w, &f.row, mask, words, bias, bias_at)
    set_operands(&operands, &w, &f.row)
    with bit_generator.lock:
        run_rows(many_task, &f, &f.outcome, 1, f.n + f.count, True)
    rejected = rejection(&f.outcome)
    return None if rejected is None else rejected[1]

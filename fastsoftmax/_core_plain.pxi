# Plain arrays, as a loop passes them: contiguous rows of a float dtype, one temperature.

def softmax_plain(x, temperature, axis, out):
    """softmax where everything is plain, else None and nothing done."""
    cdef double t = plain_temperature(temperature)
    if t < 0 or not is_plain(x) or not is_last_axis(axis):
        return None
    cdef cnp.ndarray a = <cnp.ndarray>x, b
    cdef int nd = cnp.PyArray_NDIM(a), kind = cnp.PyArray_TYPE(a)
    cdef fs_dtype dtype = dtype_of(kind)
    if out is x:
        if not cnp.PyArray_CHKFLAGS(a, cnp.NPY_ARRAY_WRITEABLE):
            return None
        b = a
    elif out is None:
        b = <cnp.ndarray>cnp.PyArray_EMPTY(nd, cnp.PyArray_DIMS(a), kind, 0)
    else:
        if not is_plain_like(out, a):
            return None
        b = <cnp.ndarray>out
    cdef size_t n = cnp.PyArray_DIM(a, nd - 1)
    run_plain_softmax(dtype, cnp.PyArray_DATA(a), <size_t>cnp.PyArray_SIZE(a) // n, n, &t, 0, cnp.PyArray_DATA(b))
    return b


cdef struct PlainSoftmax:
    fs_dtype dtype
    const char *x
    size_t n
    const double *temperature
    ptrdiff_t t_stride
    char *out
    Outcome outcome


cdef void plain_softmax_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef PlainSoftmax *f = <PlainSoftmax *>job
    cdef size_t from_start = first * f.n * size_of(f.dtype)
    cdef const char *t = <const char *>f.temperature + <ptrdiff_t>first * f.t_stride
    note_rows(&f.outcome, first, past, plain_rows(f.dtype, f.x + from_start, past - first, f.n, <const double *>t,
                                                  f.t_stride, f.out + from_start))


cdef int run_plain_softmax(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t, ptrdiff_t t_stride,
                           void *out) except -1:
    """softmax of contiguous rows."""
    cdef PlainSoftmax f
    if rows * n < RELEASE_AT:
        if plain_rows(dtype, x, rows, n, t, t_stride, out) < rows:
            raise MemoryError("no memory for the summaries of a row")
        return 0
    f.dtype = dtype
    f.x = <const char *>x
    f.n = n
    f.temperature = t
    f.t_stride = t_stride
    f.out = <char *>out
    return run_rows(plain_softmax_task, &f, &f.outcome, rows, n, True)


cdef inline size_t plain_rows(fs_dtype dtype, const void *x, size_t rows, size_t n, const double *t,
                              ptrdiff_t t_stride, void *out) noexcept nogil:
    """softmax of contiguous rows of any dtype; the number of rows done."""
    if dtype == FS_F32:
        return fs_softmax_rows_f32(<const float *>x, n * 4, rows, n, t, t_stride, <float *>out, n * 4)
    if dtype == FS_F64:
        return fs_softmax_rows_f64(<const double *>x, n * 8, rows, n, t, t_stride, <double *>out, n * 8)
    return fs_softmax_rows_half(dtype, <const uint16_t *>x, rows, n, t, t_stride, <uint16_t *>out)


cdef inline size_t plain_draws(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                               const double *u, int64_t *index) noexcept nogil:
    """One draw from each of contiguous rows, -1 where there is none to be had; the number of rows done."""
    cdef fs_row row
    cdef fs_status status
    cdef size_t i
    if not probs and dtype == FS_F32:
        return fs_sample_rows_f32(<const float *>x, n * 4, rows, n, &t, 0, u, index)
    if not probs and dtype == FS_F64:
        return fs_sample_rows_f64(<const double *>x, n * 8, rows, n, &t, 0, u, index)
    row = bare_row(x, size_of(dtype), dtype, probs)
    for i in range(rows):
        status = fs_sample(&row, n, t, 1, u + i, index + i, NULL)
        if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
            return i
        if status != FS_OK:
            index[i] = -1
        row.data = <const char *>row.data + n * row.stride
    return rows


cdef inline fs_row bare_row(const void *data, ptrdiff_t stride, fs_dtype dtype, bint probs) noexcept nogil:
    cdef fs_row row
    row.data = data
    row.stride = stride
    row.dtype = dtype
    row.probs = probs
    row.mask_kind = FS_MASK_NONE
    row.mask = NULL
    row.mask_stride = 0
    row.bias = NULL
    row.bias_stride = 0
    row.bias_at = NULL
    row.bias_count = 0
    return row


cdef size_t plain_filtered(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                           const fs_filters *filters, const double *coin, const double *u,
                           int64_t *index) noexcept nogil:
    """`plain_draws` from what the filters leave; coin: one a row, or NULL."""
    cdef fs_row row = bare_row(x, size_of(dtype), dtype, probs)
    cdef fs_status status
    cdef size_t i
    cdef void *scratch = fs_thread_scratch(fs_scratch_size(n))
    if scratch == NULL:
        return 0
    for i in range(rows):
        status = fs_sample_filtered(&row, n, t, filters, coin[i] if coin != NULL else 1.0, 1, u + i, scratch,
                                    index + i, NULL)
        if status == FS_NO_MEMORY or status == FS_INTERRUPTED:
            return i
        if status != FS_OK:
            index[i] = -1
        row.data = <const char *>row.data + n * row.stride
    return rows


cdef struct PlainDraws:
    fs_dtype dtype
    bint probs
    const char *x
    size_t n
    double temperature
    const fs_filters *filters  # NULL: none
    const double *coin
    const double *u
    int64_t *index
    Outcome outcome


cdef void plain_draws_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef PlainDraws *f = <PlainDraws *>job
    cdef const char *x = f.x + first * f.n * size_of(f.dtype)
    cdef size_t done
    if f.filters != NULL:
        done = plain_filtered(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.filters,
                              f.coin + first if f.coin != NULL else NULL, f.u + first, f.index + first)
    else:
        done = plain_draws(f.dtype, f.probs, x, past - first, f.n, f.temperature, f.u + first, f.index + first)
    note_rows(&f.outcome, first, past, done)


cdef int run_plain_draws(fs_dtype dtype, bint probs, const void *x, size_t rows, size_t n, double t,
                         const fs_filters *filters, const double *coin, const double *u, int64_t *index) except -1:
    """One draw from each of contiguous rows; filters and coin may be NULL."""
    cdef PlainDraws f
    cdef size_t done
    if filters != NULL:
        check_row_length(n)
    if rows * n < RELEASE_AT:
        if filters != NULL:
            with nogil:  # several times the work of a row without filters
                done = plain_filtered(dtype, probs, x, rows, n, t, filters, coin, u, index)
        else:
            done = plain_draws(dtype, probs, x, rows, n, t, u, index)
        if done < rows:
            raise MemoryError("no memory for the summaries, or the scratch, of a row")
        return 0
    f.dtype = dtype
    f.probs = probs
    f.x = <const char *>x
    f.n = n
    f.temperature = t
    f.filters = filters
    f.coin = coin
    f.u = u
    f.index = index
    return run_rows(plain_draws_task, &f, &f.outcome, rows, n, filters == NULL)


cdef const fs_filters *filters_in(cnp.ndarray record) except NULL:
    """The one record of a structured array of _filters.py."""
    if cnp.PyArray_ITEMSIZE(record) != sizeof(fs_filters) or cnp.PyArray_SIZE(record) != 1:
        raise ValueError("not one record of filters")
    return <const fs_filters *>cnp.PyArray_DATA(record)


cdef inline bint are_uniforms(object u, cnp.npy_intp count):
    """A contiguous float64 array of so many."""
    return (cnp.PyArray_SIZE(<cnp.ndarray?>u) == count and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>u)
            and cnp.PyArray_TYPE(<cnp.ndarray>u) == cnp.NPY_DOUBLE)


def sample_plain(x, bint probs, temperature, u, filters=None, coins=None):
    """One index a row of what `accepts_plain` accepts, and the number of the first row without one, or -1.

    `u`: one uniform as a float for a one-dimensional x, else a contiguous float64 array of one a row; checked.
    The index is an int for a float, -1 where a row cannot be drawn from.  `filters`: one record of _filters.py;
    `coins`: XTC's, as `u` is, or None.
    """
    # Looked at again: the caller's code has run since (u.__array__), and the array may have been resized.
    if not accepts_plain(x, temperature, -1):
        raise ValueError("the array was changed while its uniforms were read")
    cdef double t = plain_temperature(temperature), one
    cdef cnp.ndarray a = <cnp.ndarray>x, index
    cdef int nd = cnp.PyArray_NDIM(a)
    cdef fs_dtype dtype = dtype_of(cnp.PyArray_TYPE(a))
    cdef size_t n = cnp.PyArray_DIM(a, nd - 1)
    cdef size_t size = cnp.PyArray_SIZE(a)
    cdef size_t rows = size // n
    cdef Py_ssize_t bad = -1, i
    cdef const void *source = cnp.PyArray_DATA(a)
    cdef const double *given = &one
    cdef int64_t single = -1
    cdef int64_t *to = &single
    if not (rows == 1 and nd == 1 if type(u) is float else are_uniforms(u, rows)):
        raise ValueError("the array was changed while its uniforms were read")
    cdef const fs_filters *of_filters = NULL
    cdef const double *coin = NULL
    cdef double one_coin
    if filters is not None:
        of_filters = filters_in(filters)
        if type(coins) is float:
            one_coin = <double>coins
            coin = &one_coin
            if rows != 1:
                raise ValueError("one coin for several rows")
        elif coins is not None:
            if not are_uniforms(coins, rows):
                raise ValueError("the array was changed while its uniforms were read")
            coin = <const double *>cnp.PyArray_DATA(<cnp.ndarray>coins)
    if type(u) is float:
        one = <double>u
        index = None
    else:
        given = <const double *>cnp.PyArray_DATA(<cnp.ndarray>u)
        index = <cnp.ndarray>cnp.PyArray_EMPTY(nd - 1, cnp.PyArray_DIMS(a), cnp.NPY_INT64, 0)
        to = <int64_t *>cnp.PyArray_DATA(index)
    run_plain_draws(dtype, probs, source, rows, n, t, of_filters, coin, given, to)
    for i in range(<Py_ssize_t>rows):
        if to[i] < 0:
            bad = i
            break
    return (single if index is None else index), bad


def accepts_plain(x, temperature, axis):
    """Whether `sample_plain` would take these."""
    return plain_temperature(temperature) > 0 and is_plain(x) and is_last_axis(axis)


# Counts the forks of this process: a stream that follows the process is bound again in the child.
cdef long stream_epoch = 0


def new_stream_epoch():
    """To be called in a forked child."""
    global stream_epoch
    stream_epoch += 1


cdef class Drawer:
    """A temperature and a stream of uniforms, held ready for drawing one index at a time.

    Called with a plain one-dimensional array it draws; anything else, and a row that cannot be drawn from, goes
    to the method `_draw_general(values, u, probs, xtc_u, keys)` of the subclass.  `bind` or `set_seed` must come first.

    Without a GIL its fields are looked at and changed in critical sections: threads that share a Drawer may find each
    other's steps, never each other's freed memory.
    """

    cdef bitgen_t *bitgen
    cdef object bit_generator, lock  # the first keeps `bitgen` alive
    cdef object schedule
    cdef double temperature_at_hand
    cdef long epoch
    cdef fs_filters filters
    cdef bint filtered, tosses  # tosses: XTC's coin is taken before each draw
    cdef bint keyed
    cdef uint64_t seed
    cdef object steps

    def __cinit__(self, *args, **kwargs):
        self.bitgen = NULL
        self.temperature_at_hand = -1.0
        self.filtered = False
        self.tosses = False
        self.keyed = False
        self.steps = 0

    @property
    def step(self):
        """The number of calls made so far."""
        with cython.critical_section(self):
            return self.steps

    @step.setter
    def step(self, step):
        with cython.critical_section(self):
            self.steps = step

    def count(self):
        """One call more has been made."""
        with cython.critical_section(self):
            self.steps += 1

    def bind(self, generator, bint follows_process):
        """Take the uniforms from this numpy.random.Generator, one double a draw, under its lock."""
        cdef bitgen_t *bitgen
        bit_generator = generator.bit_generator
        lock = bit_generator.lock
        bitgen = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
        with cython.critical_section(self):
            # The old ones go when all is in its place: their end may let another thread in.
            self.bit_generator, bit_generator = bit_generator, self.bit_generator
            self.lock, lock = lock, self.lock
            self.bitgen = bitgen
            self.epoch = stream_epoch if follows_process else -1

    def set_temperature(self, temperature):
        """Draw here with a temperature, or a schedule's, that is positive and finite; the subclass sees to others."""
        schedule = temperature if callable(temperature) else None
        with cython.critical_section(self):
            self.temperature_at_hand = plain_temperature(temperature)
            self.schedule, schedule = schedule, self.schedule

    def set_filters(self, record, bint tosses):
        """Draw from what these filters leave: one record of _filters.py, or None."""
        self.filtered = record is not None
        self.tosses = tosses
        if self.filtered:
            memcpy(&self.filters, filters_in(record), sizeof(fs_filters))

    def set_seed(self, uint64_t seed):
        """Take the uniforms from this seed, the keys and the step (keyed_uniforms), not from a generator."""
        self.keyed = True
        self.seed = seed

    cdef bint take_keyed(self, keys, double *uniform, double *coin) noexcept:
        """The uniform of an int key (None: 0) at this step, and the coin if there is one; False for anything else."""
        cdef uint64_t key = 0, step
        with cython.critical_section(self):
            steps = self.steps
        if keys is not None and type(keys) is not int or type(steps) is not int:
            return False
        try:
            step = <uint64_t>steps
            if keys is not None:
                key = <uint64_t>keys
        except OverflowError:
            return False
        fs_keyed_uniforms(self.seed, &key, 1, step, 0, uniform)
        if self.tosses:
            fs_keyed_uniforms(self.seed, &key, 1, step, 1, coin)
        return True

    cdef object draw(self, x, u, xtc_u, keys, bint probs):
        """The index, or what the subclass makes of it."""
        cdef double uniform, coin = 1.0, temperature
        cdef int64_t index = -1
        cdef size_t n
        cdef fs_dtype dtype
        cdef const void *data
        cdef bitgen_t *bitgen
        with cython.critical_section(self):
            schedule, steps, temperature = self.schedule, self.steps, self.temperature_at_hand
        if schedule is not None:
            temperature = plain_temperature(schedule(steps))
        if (u is not None or xtc_u is not None or temperature < 0 or not is_plain(x)
                or cnp.PyArray_NDIM(<cnp.ndarray>x) != 1 or (self.epoch >= 0 and self.epoch != stream_epoch)
                or (keys is not None and not self.keyed)):
            return self._draw_general(x, u, probs, xtc_u, keys)
        dtype = dtype_of(cnp.PyArray_TYPE(<cnp.ndarray>x))
        data = cnp.PyArray_DATA(<cnp.ndarray>x)
        n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
        if self.keyed:
            if not self.take_keyed(keys, &uniform, &coin):
                return self._draw_general(x, u, probs, xtc_u, keys)
        else:
            # Of one generator, which is held: who waits for its lock lets in others, who may bind another.
            with cython.critical_section(self):
                bit_generator, lock, bitgen = self.bit_generator, self.lock, self.bitgen
            with lock:
                if self.tosses:
                    coin = bitgen.next_double(bitgen.state)
                uniform = bitgen.next_double(bitgen.state)
        run_plain_draws(dtype, probs, data, 1, n, temperature, &self.filters if self.filtered else NULL, &coin,
                        &uniform, &index)
        if index < 0:
            return self._draw_general(x, uniform, probs, coin if self.tosses else None, None)
        with cython.critical_section(self):
            self.steps += 1
        return index

    def __call__(self, logits, u=None, xtc_u=None, keys=None):
        return self.draw(logits, u, xtc_u, keys, False)

    def sample_probs(self, probs, u=None, xtc_u=None, keys=None):
        """Draw from probabilities (or weights) raised to 1/T, as the function `sample_probs` does.

        Parameters
        ----------
        probs : array_like
            Weights, 0 <= p < inf.
        u : array_like, optional
            The uniforms; without them the generator gives one for each draw.
        xtc_u : array_like, optional
            The coins of XTC, where it is on.
        keys : array_like of int, optional
            Of a Sampler with a seed: what each row is, instead of its number.

        Returns
        -------
        int or ndarray of int64, and the log-probability with `return_logprob`
        """
        return self.draw(probs, u, xtc_u, keys, True)

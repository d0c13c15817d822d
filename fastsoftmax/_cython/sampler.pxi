# The fast path of Sampler: one index after another from plain one-dimensional arrays (arguments.pxi).

# Counts the forks of this process: a Sampler on the generator of the process is bound to a new one in the child.
cdef long fork_count = 0


def count_fork():
    """To be called in a forked child."""
    global fork_count
    fork_count += 1


cdef inline bint is_numpy_integer(object value) noexcept:
    return isinstance(value, _NumPyInteger)


cdef class SamplerBase:
    """A temperature, filters and a stream of uniforms, kept ready for drawing one index at a time.

    A call with a plain one-dimensional array draws from it.  Any other call, and a row that cannot be drawn from, goes
    to the method `_draw_general(values, u, probs, xtc_u, keys)` of the subclass.  `bind` or `set_seed` must come first.

    Without a GIL the fields are read and written in critical sections: threads that share a Sampler may see each
    other's steps, but never memory that another thread has freed.
    """

    cdef bitgen_t *bitgen
    cdef object bit_generator, lock  # the first keeps `bitgen` alive
    cdef object schedule
    cdef double fast_temperature  # -1: the general path
    cdef long bound_at_fork  # the fork_count that the generator of the process belongs to; -1: another generator
    cdef fs_filters filters
    cdef bint filtered, needs_coin  # XTC's coin is drawn before each index
    cdef bint keyed
    cdef uint64_t seed
    cdef object steps

    def __cinit__(self, *args, **kwargs):
        self.bitgen = NULL
        self.fast_temperature = -1.0
        self.filtered = False
        self.needs_coin = False
        self.keyed = False
        self.steps = 0

    @property
    def step(self):
        """The number of calls made so far."""
        with cython.critical_section(self):
            return self.steps

    @step.setter
    def step(self, step):
        if is_numpy_integer(step):
            step = int(step)  # an int of any size: it does not overflow
        with cython.critical_section(self):
            self.steps = step

    def count(self):
        """Count a call."""
        with cython.critical_section(self):
            self.steps += 1

    def bind(self, generator, bint follows_process):
        """Take the uniforms from this numpy.random.Generator, one double a draw, under its lock.

        follows_process: it is the generator of the process, and a forked child must bind a new one.
        """
        bit_generator = generator.bit_generator
        lock = bit_generator.lock
        cdef bitgen_t *bitgen = bitgen_of(bit_generator)
        with cython.critical_section(self):
            # The old objects are swapped out and freed afterwards: freeing may run code that lets another thread in.
            self.bit_generator, bit_generator = bit_generator, self.bit_generator
            self.lock, lock = lock, self.lock
            self.bitgen = bitgen
            self.keyed = False
            self.bound_at_fork = fork_count if follows_process else -1

    def set_temperature(self, temperature):
        """Set the temperature, or its schedule; one that is not positive and finite is left to the general path."""
        schedule = temperature if callable(temperature) else None
        with cython.critical_section(self):
            self.fast_temperature = plain_temperature(temperature)
            self.schedule, schedule = schedule, self.schedule

    def set_filters(self, record, bint needs_coin):
        """Filter the rows: one record of _args/filters.py, or None."""
        self.filtered = record is not None
        self.needs_coin = needs_coin
        if self.filtered:
            memcpy(&self.filters, filters_in(record), sizeof(fs_filters))

    def set_seed(self, uint64_t seed):
        """Take the uniforms from this seed, the keys and the step, as keyed_uniforms does, and not from a generator."""
        self.keyed = True
        self.seed = seed

    cdef bint keyed_uniform_and_coin(self, keys, double *uniform, double *coin) noexcept:
        """The uniform, and the coin if needed, of an int key (None: 0) at this step; False for another key."""
        cdef uint64_t key = 0, step
        with cython.critical_section(self):
            steps = self.steps
        if keys is not None and type(keys) is not int and not is_numpy_integer(keys) or type(steps) is not int:
            return False
        try:
            step = <uint64_t>steps
            if keys is not None:
                key = <uint64_t>(keys if type(keys) is int else int(keys))
        except OverflowError:
            return False
        fs_keyed_uniforms(self.seed, &key, 1, step, 0, uniform)
        if self.needs_coin:
            fs_keyed_uniforms(self.seed, &key, 1, step, 1, coin)
        return True

    cdef object draw(self, x, u, xtc_u, keys, bint probs):
        """Draw an index on the fast path, or call the general one."""
        cdef double uniform, coin = 1.0, temperature
        cdef int64_t index = -1
        cdef size_t n
        cdef fs_dtype dtype
        cdef const void *data
        cdef bitgen_t *bitgen
        with cython.critical_section(self):
            schedule, steps, temperature = self.schedule, self.steps, self.fast_temperature
        if schedule is not None:
            temperature = plain_temperature(schedule(steps))
        if (u is not None or xtc_u is not None or temperature < 0 or not is_plain(x)
                or cnp.PyArray_NDIM(<cnp.ndarray>x) != 1
                or (self.bound_at_fork >= 0 and self.bound_at_fork != fork_count)
                or (keys is not None and not self.keyed)):
            return self._draw_general(x, u, probs, xtc_u, keys)
        dtype = dtype_of(cnp.PyArray_TYPE(<cnp.ndarray>x))
        data = cnp.PyArray_DATA(<cnp.ndarray>x)
        n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
        if self.keyed:
            if not self.keyed_uniform_and_coin(keys, &uniform, &coin):
                return self._draw_general(x, u, probs, xtc_u, keys)
        else:
            # Hold on to one generator: while this thread waits for the lock, another may bind a different one.
            with cython.critical_section(self):
                bit_generator, lock, bitgen = self.bit_generator, self.lock, self.bitgen
            with lock:
                if self.needs_coin:
                    coin = bitgen.next_double(bitgen.state)
                uniform = bitgen.next_double(bitgen.state)
        draw_from_row(dtype, probs, data, n, temperature, &self.filters if self.filtered else NULL, &coin, &uniform,
                      &index)
        if index < 0:
            return self._draw_general(x, uniform, probs, coin if self.needs_coin else None, None)
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
            The coins of XTC, if it is on.
        keys : array_like of int, optional
            For a Sampler with a seed: a key for each row, instead of the number of the row.

        Returns
        -------
        int or ndarray of int64, and the log-probability with `return_logprob`
        """
        return self.draw(probs, u, xtc_u, keys, True)

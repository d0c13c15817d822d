# Sampler's loop: one index after another from one-dimensional arrays, with whatever the Sampler holds.

cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object o, object name, object value) except -1

# Counts the forks of this process: a Sampler on the generator of the process is bound to a new one in the child.
cdef long fork_count = 0

cdef enum:
    # Steps for which a schedule of schedules.py is evaluated at once, as an array: at nearly the cost of one number.
    AHEAD = 256
    # Why a Sampler takes the general path: bits of `general`.
    BY_AXIS_OR_GENERATOR = 1
    BY_FILTERS = 2
    BY_MASK = 4
    BY_BIAS = 8
    BY_MIROSTAT = 16
    BY_HELD_WORDS = 32  # keys or steps that it holds, or a seed for each row
    BY_ADAPTIVE = 64

cdef double LOG_2 = 0.6931471805599453094


cdef inline double aim_of(double target, double mean) noexcept:
    """What adaptive_p aims at: as far on the other side of the target as the mean has been off."""
    cdef double aim = 2.0 * target - mean
    return 0.0 if aim < 0.0 else 1.0 if aim > 1.0 else aim


def count_fork():
    """To be called in a forked child."""
    global fork_count
    fork_count += 1


cdef class SamplerBase:
    """What a Sampler holds, ready for drawing one index at a time; `bind` or `set_seed` must come first.

    A call with a one-dimensional array draws from it here.  Any other call, and a row that cannot be drawn from, goes
    to the method `_draw_general` of the subclass, with the step and the temperature of the draw.

    Each call takes its step before it draws.  Without a GIL the fields are read and written in critical sections:
    threads that share a Sampler take different steps, and never meet memory that another thread has freed.
    """

    cdef bitgen_t *bitgen
    cdef object bit_generator, lock  # the first keeps `bitgen` alive
    cdef object temperature_given, schedule
    cdef double fast_temperature  # -1: the general path
    cdef bint looks_ahead  # the schedule is one of schedules.py
    cdef object temperatures_ahead  # of the AHEAD steps from `ahead_from` on, or None
    cdef int64_t ahead_from, ahead_next  # ahead_next: the step after the last one that was asked for
    cdef long bound_at_fork  # the fork_count that the generator of the process belongs to; -1: another generator
    cdef int general
    cdef fs_filters filters
    cdef object keep  # int64, the entries that no filter drops, or None
    cdef bint filtered, needs_coin  # XTC's coin is drawn before each index
    cdef bint with_logprob
    cdef bint keyed
    cdef bint rejects  # draws by rejection where there is a seed
    cdef uint64_t seed
    cdef object mask, bias, bias_at  # of one row, as the general path would make them; None: none
    cdef bint has_mirostat
    cdef double tau, eta
    cdef bint has_adaptive
    cdef double target, decay
    cdef object steps, mu, mean
    cdef object row_steps  # the steps of the rows at the next draw, never written to; None: `steps` is that of all
    # What Sampler keeps for the general path and for those who ask; a field here has no entry in a __dict__.
    cdef public object _given, _filters, _seed, _keys, _rng, _axis, _mask, _bias
    cdef public object _mirostat_tau, _mirostat_eta, _adaptive_p, _adaptive_p_decay, _return_logprob, _on_invalid

    def __cinit__(self, *args, **kwargs):
        self.bitgen = NULL
        self.fast_temperature = -1.0
        self.bound_at_fork = -1
        self.steps = 0

    def __setattr__(self, name, value):
        if not hasattr(type(self), name):
            raise AttributeError(self._why_not_set(name))
        PyObject_GenericSetAttr(self, name, value)

    @property
    def _step(self):
        with cython.critical_section(self):
            return self.steps

    @_step.setter
    def _step(self, step):
        cdef object number = int(step)  # an int of any size: it does not overflow
        with cython.critical_section(self):
            self.steps = number

    @property
    def _steps(self):
        with cython.critical_section(self):
            return self.row_steps

    @_steps.setter
    def _steps(self, row_steps):
        with cython.critical_section(self):
            self.row_steps, row_steps = row_steps, self.row_steps

    @property
    def _mu(self):
        with cython.critical_section(self):
            return self.mu

    @_mu.setter
    def _mu(self, mu):
        with cython.critical_section(self):
            # The old object is swapped out and freed afterwards: freeing may run code that lets another thread in.
            self.mu, mu = mu, self.mu

    @property
    def _mean(self):
        with cython.critical_section(self):
            return self.mean

    @_mean.setter
    def _mean(self, mean):
        with cython.critical_section(self):
            self.mean, mean = mean, self.mean

    def bind(self, generator, bint follows_process):
        """Take the uniforms from this numpy.random.Generator, one double a draw, under its lock.

        follows_process: it is the generator of the process, and a forked child must bind a new one.
        """
        bit_generator = generator.bit_generator
        lock = bit_generator.lock
        cdef bitgen_t *bitgen = bitgen_of(bit_generator)
        with cython.critical_section(self):
            self.bit_generator, bit_generator = bit_generator, self.bit_generator
            self.lock, lock = lock, self.lock
            self.bitgen = bitgen
            self.keyed = False
            self.bound_at_fork = fork_count if follows_process else -1

    def set_seed(self, uint64_t seed):
        """Take the uniforms from this seed, the keys and the step, as keyed_uniforms does, and not from a generator."""
        with cython.critical_section(self):
            self.keyed = True
            self.bound_at_fork = -1
            self.seed = seed

    def set_method(self, bint rejects):
        """Draw by rejection where there is a seed, or by inversion."""
        with cython.critical_section(self):
            self.rejects = rejects

    @property
    def _method(self):
        return "rejection" if self.rejects else "inversion"

    def set_held_words(self, bint held):
        """held: there are keys or steps of the rows, or seeds, and the general path takes the uniforms."""
        with cython.critical_section(self):
            self.set_general(BY_HELD_WORDS, held)

    def set_temperature(self, temperature, bint looks_ahead):
        """Set the temperature, or its schedule; looks_ahead: one of schedules.py, which take an array of steps."""
        cdef double t = -1.0
        schedule = temperature if callable(temperature) else None
        if not read_number(temperature, INFINITY, &t):
            t = -1.0
        ahead = None
        with cython.critical_section(self):
            self.fast_temperature = t
            self.looks_ahead = looks_ahead
            self.schedule, schedule = schedule, self.schedule
            self.temperature_given, temperature = temperature, self.temperature_given
            self.temperatures_ahead, ahead = ahead, self.temperatures_ahead
            self.ahead_next = -1

    @property
    def _temperature(self):
        with cython.critical_section(self):
            return self.temperature_given

    cdef void set_general(self, int why, bint on) noexcept:
        self.general = self.general | why if on else self.general & ~why

    def set_ways(self, bint one_row, bint with_logprob):
        """one_row: the axis and the generator are those of the loop."""
        with cython.critical_section(self):
            self.set_general(BY_AXIS_OR_GENERATOR, not one_row)
            self.with_logprob = with_logprob

    def set_filters(self, record, bint needs_coin, keep):
        """Filter the rows: a record of _args/filters.py, one for each row, or None; keep: what they never drop."""
        cdef fs_filters filters
        cdef bint one = record is not None and record.ndim == 0
        if one:
            memcpy(&filters, filters_in(record), sizeof(fs_filters))
        with cython.critical_section(self):
            self.set_general(BY_FILTERS, record is not None and not one)
            self.filtered = one
            self.needs_coin = needs_coin
            self.keep, keep = keep, self.keep
            if one:
                self.filters = filters

    def set_mask(self, mask):
        """Set the mask, an array; one of more than one axis is left to the general path."""
        one = mask if mask is None or mask.ndim == 1 else None
        with cython.critical_section(self):
            self.set_general(BY_MASK, mask is not one)
            self.mask, one = one, self.mask

    def set_bias(self, bias, bias_at):
        """Set the bias: float64 for each entry, or with `bias_at` (int64, ascending) for these."""
        one = bias if bias is None or bias.ndim == 1 else None
        with cython.critical_section(self):
            self.set_general(BY_BIAS, bias is not one)
            self.bias, one = one, self.bias
            self.bias_at, bias_at = bias_at, self.bias_at

    def set_mirostat(self, tau, eta):
        """Set mirostat's parameters: floats, or arrays for the general path; tau None: it is off."""
        cdef bint scalar = type(tau) is float and type(eta) is float
        with cython.critical_section(self):
            self.set_general(BY_MIROSTAT, tau is not None and not scalar)
            self.has_mirostat = scalar
            if scalar:
                self.tau = tau
                self.eta = eta

    def set_adaptive(self, target, decay):
        """Set adaptive_p's parameters: floats, or arrays for the general path; target None: it is off."""
        cdef bint scalar = type(target) is float and type(decay) is float
        with cython.critical_section(self):
            self.set_general(BY_ADAPTIVE, target is not None and not scalar)
            self.has_adaptive = scalar
            if scalar:
                self.target = target
                self.decay = decay

    cdef object scheduled(self, object schedule, object step):
        """The temperature of this step, of a schedule of schedules.py."""
        cdef int64_t at, place, next_asked
        cdef object ahead
        if not 0 <= step < 1 << 52:
            return schedule(step)
        at = step
        with cython.critical_section(self):
            ahead = self.temperatures_ahead if self.schedule is schedule else None
            place = at - self.ahead_from
            next_asked = self.ahead_next
            self.ahead_next = at + 1
        if ahead is None or not 0 <= place < AHEAD:
            if next_asked != at:  # not yet a loop
                return schedule(step)
            ahead = schedule(cnp.PyArray_Arange(at, at + AHEAD, 1, cnp.NPY_DOUBLE))
            place = 0
            old = ahead
            with cython.critical_section(self):
                if self.schedule is schedule:
                    self.temperatures_ahead, old = old, self.temperatures_ahead
                    self.ahead_from = at
        return (<double *>cnp.PyArray_DATA(<cnp.ndarray>ahead))[place]

    cdef bint words_of_draw(self, object step, object keys, uint64_t *words) except -1:
        """The seed, an int key (None: 0) and this step; False for another key or step."""
        if keys is not None and type(keys) is not int and not is_numpy_integer(keys):
            return False
        words[0], words[1] = self.seed, 0
        try:
            words[2] = <uint64_t>step
            if keys is not None:
                words[1] = <uint64_t>(keys if type(keys) is int else int(keys))
        except OverflowError:
            return False
        return True

    cdef object draw(self, x, u, xtc_u, keys, mask, bias, bint probs):
        """Draw at the next step, which is given back if that raises, unless another call has taken one since."""
        cdef object step, row_steps, next_steps = None
        if self.bound_at_fork >= 0 and self.bound_at_fork != fork_count:
            self._bind()
        with cython.critical_section(self):
            step = self.steps
            self.steps = step + 1
            row_steps = self.row_steps
        while row_steps is not None:
            next_steps = row_steps + 1  # here another thread may take these steps
            with cython.critical_section(self):
                if self.row_steps is row_steps:
                    self.row_steps = next_steps
                    break
                row_steps = self.row_steps
        try:
            return self.draw_at(step, row_steps, x, u, xtc_u, keys, mask, bias, probs)
        except BaseException:
            with cython.critical_section(self):
                if self.steps == step + 1:
                    self.steps = step
                if row_steps is not None and self.row_steps is next_steps:
                    self.row_steps = row_steps
            raise

    cdef object draw_at(self, step, row_steps, x, u, xtc_u, keys, mask, bias, bint probs):
        cdef fs_row of_row
        cdef fs_filters filters
        cdef fs_mask_kind mask_kind = FS_MASK_NONE
        cdef bitgen_t *bitgen
        cdef double temperature, tau = 0.0, eta = 0.0, target = 0.0, decay = 0.0, aim = 0.0, coin = 1.0
        cdef double uniform, logprob, before
        cdef uint64_t words[3]
        cdef bint rejects, seeded = False
        cdef int64_t index
        cdef bint filtered, has_coin, logprob_too, mirostat, adaptive, keyed, possible
        cdef int general
        cdef size_t n
        cdef object schedule, given, own_mask, own_bias, bias_at, mu, mean, bit_generator, lock, keep
        cdef cnp.ndarray row, mask_array = None, bias_array = None
        with cython.critical_section(self):
            schedule, given, temperature = self.schedule, self.temperature_given, self.fast_temperature
            own_mask, own_bias, bias_at = self.mask, self.bias, self.bias_at
            mu, mean = self.mu, self.mean
            # One generator: while this thread waits for its lock, another may bind a different one.
            bit_generator, lock, bitgen = self.bit_generator, self.lock, self.bitgen
            general, keyed, rejects = self.general, self.keyed, self.rejects
            filtered, has_coin, mirostat = self.filtered, self.needs_coin, self.has_mirostat
            logprob_too, keep, adaptive = self.with_logprob, self.keep, self.has_adaptive
            if filtered:
                filters = self.filters
            if mirostat:
                tau, eta = self.tau, self.eta
            if adaptive:
                target, decay = self.target, self.decay
        if schedule is not None:
            if row_steps is not None:
                given = schedule(row_steps.copy())  # the caller's code may write to it
            else:
                given = self.scheduled(schedule, step) if self.looks_ahead else schedule(step)
            if not read_number(given, INFINITY, &temperature):
                temperature = -1.0
        if not filtered and (mirostat or adaptive):
            fs_no_filters(&filters)
            filtered = True
        if adaptive:
            if type(mean) is float:
                aim = aim_of(target, mean)
            else:
                general |= BY_ADAPTIVE
        if mirostat:
            if type(mu) is float:
                filters.surprise = mu
            else:
                general |= BY_MIROSTAT

        x = array_or_other(array_of_numbers(x), "probs" if probs else "logits")
        mask = array_or_other(mask, "mask")
        bias = array_or_other(bias, "bias")
        # What follows runs no code of the caller until the kernel is done.
        possible = general == 0 and temperature >= 0 and is_row(x) and (keys is None or (keyed and u is None))
        if possible:
            row = <cnp.ndarray>x
            n = cnp.PyArray_DIM(row, 0)
            if own_mask is not None or mask is not None:
                own_mask, mask = mask_as_bools(own_mask, row, 0), mask_as_bools(mask, row, 0)
                mask_kind = kind_of_mask(own_mask if mask is None else mask, n)
                possible = mask_kind != FS_MASK_NONE
                if possible and own_mask is not None and mask is not None:
                    possible = kind_of_mask(own_mask, n) == mask_kind
            if bias is not None:
                possible = possible and (own_bias is None
                                         or (bias_at is None and is_vector(own_bias, cnp.NPY_DOUBLE, n)))
                possible = possible and (is_vector(bias, cnp.NPY_DOUBLE, n) or is_vector(bias, cnp.NPY_FLOAT, n))
            elif bias_at is not None:
                possible = possible and last_of(<cnp.ndarray>bias_at) < <int64_t>n
            elif own_bias is not None:
                possible = possible and is_vector(own_bias, cnp.NPY_DOUBLE, n)
            if keep is not None:
                possible = possible and last_of(<cnp.ndarray>keep) < <int64_t>n
        if not possible:
            return self._draw_general(x, u, probs, xtc_u, keys, mask, bias, step, row_steps, given)

        if xtc_u is not None:
            if not read_number(xtc_u, 1.0, &coin):
                return self._draw_general(x, u, probs, xtc_u, keys, mask, bias, step, row_steps, given)
        if u is not None:
            if (has_coin and xtc_u is None) or not read_number(u, 1.0, &uniform):
                return self._draw_general(x, u, probs, xtc_u, keys, mask, bias, step, row_steps, given)
        elif keyed:
            if not self.words_of_draw(step, keys, words):
                return self._draw_general(x, u, probs, xtc_u, keys, mask, bias, step, row_steps, given)
            fs_keyed_uniforms(words[0], words + 1, 1, words[2], 0, &uniform)
            if has_coin and xtc_u is None:
                fs_keyed_uniforms(words[0], words + 1, 1, words[2], 1, &coin)
            seeded = rejects and n >= FS_REJECTION_FROM and not adaptive
        else:
            lock.acquire()  # an RLock, for which `with` takes twice as long
            try:
                if has_coin and xtc_u is None:
                    coin = bitgen.next_double(bitgen.state)
                uniform = bitgen.next_double(bitgen.state)
            finally:
                lock.release()

        # While this thread waited, or in a number's __float__, the arrays may have changed.
        if not is_row(x) or <size_t>cnp.PyArray_DIM(row, 0) != n:
            raise ValueError("the logits were changed during the call")
        if mask_kind != FS_MASK_NONE:
            mask_array = <cnp.ndarray>(own_mask if mask is None else mask)
            if kind_of_mask(mask_array, n) != mask_kind:
                raise ValueError("the mask was changed during the call")
            if own_mask is not None and mask is not None:
                mask_array = both_masks(<cnp.ndarray>own_mask, mask_array, mask_kind)
        if bias is not None:
            bias_array = <cnp.ndarray>bias
            if not (is_vector(bias, cnp.NPY_DOUBLE, n) or is_vector(bias, cnp.NPY_FLOAT, n)):
                raise ValueError("the bias was changed during the call")
            if own_bias is not None or cnp.PyArray_TYPE(bias_array) == cnp.NPY_FLOAT:
                bias_array = sum_of_biases(own_bias, bias_array)
        elif own_bias is not None:
            bias_array = <cnp.ndarray>own_bias

        of_row = single_row(row, row_array(row), probs, mask_array, mask_kind == FS_MASK_WORDS, bias_array,
                            <cnp.ndarray>bias_at if bias is None else None)
        draw_from_row(&of_row, n, temperature, &filters if filtered else NULL, <cnp.ndarray>keep, &coin,
                      NULL if seeded else &uniform, words, &index, &logprob if logprob_too or mirostat else NULL,
                      &aim if adaptive else NULL, &before)
        if index < 0:
            return self._draw_general(x, uniform, probs, coin if has_coin else None, None, mask, bias, step, row_steps,
                                      given)
        if mirostat:
            self.correct_mu(eta * (-logprob / LOG_2 - tau))
        if adaptive:
            self.correct_mean(decay, before)
        if logprob_too:
            return index, logprob
        return index

    cdef int correct_mu(self, double by) except -1:
        cdef object mu
        with cython.critical_section(self):
            if type(self.mu) is float:
                self.mu = <double>self.mu - by
        return 0

    cdef int correct_mean(self, double decay, double drawn) except -1:
        cdef object mean
        with cython.critical_section(self):
            if type(self.mean) is float:
                self.mean = decay * <double>self.mean + (1.0 - decay) * drawn
        return 0

    def __call__(self, logits, u=None, xtc_u=None, keys=None, *, mask=None, bias=None):
        return self.draw(logits, u, xtc_u, keys, mask, bias, False)

    def sample_probs(self, probs, u=None, xtc_u=None, keys=None, *, mask=None, bias=None):
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
        mask : array_like, optional
            Of the entries that the Sampler's own mask allows, only those that this one allows too.
        bias : array_like or {index: value}, optional
            Added, like the Sampler's own bias, to log(probs).

        Returns
        -------
        int or ndarray of int64, and the log-probability with `return_logprob`
        """
        return self.draw(probs, u, xtc_u, keys, mask, bias, True)

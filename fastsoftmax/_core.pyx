# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The typed layer: arrays to rows to the C kernels.

Two doors.  `softmax_plain`, `sample_plain` and `Drawer` take what a loop passes (a contiguous float array,
the last axis, one temperature) and answer None for anything else.  `transform_rows`, `logsumexp_rows` and
`sample_rows` take any layout, prepared by _arrays.py: the entries along the last axis, everything else broadcast to
the rows.  Nothing is validated below this line but what a kernel could not survive.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint16_t
from libc.stddef cimport ptrdiff_t, size_t

cimport numpy as cnp
from numpy.random cimport bitgen_t

cnp.import_array()

# Work above about 8 microseconds runs without the GIL: entries.
cdef enum:
    RELEASE_AT = 1 << 14
    MAX_DIMS = 64
    MAX_OPERANDS = 5


# --- configuration ---------------------------------------------------------------------------------------------

def choose(name):
    """Use the instruction set `name` (None: the best one); False where this CPU or build lacks it."""
    if name is None:
        return fs_choose(NULL) == 0
    encoded = name.encode(errors="replace")
    return fs_choose(encoded) == 0


cdef extern from *:
    """
    #if defined(__clang__)
    #define FS_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FS_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define FS_STRING(x) #x
    #define FS_STRING_OF(x) FS_STRING(x)
    #define FS_COMPILER "msvc " FS_STRING_OF(_MSC_VER)
    #else
    #define FS_COMPILER "unknown"
    #endif
    """
    const char *FS_COMPILER

COMPILER = FS_COMPILER.decode()


def chosen():
    return fs_chosen().decode()


def available():
    """The usable instruction sets, best first."""
    found = []
    cdef size_t i = 0
    while fs_available(i) != NULL:
        found.append(fs_available(i).decode())
        i += 1
    return found


# --- plain arrays ----------------------------------------------------------------------------------------------

cdef inline bint is_plain(object x) noexcept:
    """A contiguous, aligned, native float16, 32 or 64 array of at least one dimension and one entry a row."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    cdef int kind = cnp.PyArray_TYPE(a), nd = cnp.PyArray_NDIM(a)
    return ((kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE or kind == cnp.NPY_FLOAT16) and nd >= 1
            and cnp.PyArray_CHKFLAGS(a, cnp.NPY_ARRAY_CARRAY_RO) and cnp.PyArray_ISNOTSWAPPED(a)
            and cnp.PyArray_DIM(a, nd - 1) > 0)


cdef inline bint is_plain_like(object out, cnp.ndarray a) noexcept:
    """A plain writable array of the dtype and shape of the plain array a, apart from it in memory."""
    if not is_plain(out):
        return False
    cdef cnp.ndarray b = <cnp.ndarray>out
    cdef int i
    if (cnp.PyArray_TYPE(b) != cnp.PyArray_TYPE(a) or cnp.PyArray_NDIM(b) != cnp.PyArray_NDIM(a)
            or not cnp.PyArray_CHKFLAGS(b, cnp.NPY_ARRAY_WRITEABLE)):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    cdef char *of_a = <char *>cnp.PyArray_DATA(a)
    cdef char *of_b = <char *>cnp.PyArray_DATA(b)
    cdef Py_ssize_t size = cnp.PyArray_NBYTES(a)
    return of_a + size <= of_b or of_b + size <= of_a


cdef inline fs_dtype dtype_of(int kind) noexcept nogil:
    return FS_F32 if kind == cnp.NPY_FLOAT else FS_F64 if kind == cnp.NPY_DOUBLE else FS_F16


cdef inline double plain_temperature(object temperature) noexcept:
    """The temperature if it is a float or int that is positive and finite, else -1."""
    cdef double t
    if type(temperature) is float:
        t = <double>temperature
    elif type(temperature) is int:
        try:
            t = <double>temperature
        except OverflowError:
            return -1.0
    else:
        return -1.0
    return t if 0.0 < t < INFINITY else -1.0


cdef inline bint is_last_axis(object axis) noexcept:
    return type(axis) is int and axis == -1


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
    cdef size_t size = cnp.PyArray_SIZE(a)
    cdef size_t rows = size // n, done
    cdef void *source = cnp.PyArray_DATA(a)
    cdef void *target = cnp.PyArray_DATA(b)
    if size >= RELEASE_AT:
        with nogil:
            done = plain_rows(dtype, source, rows, n, &t, 0, target)
    else:
        done = plain_rows(dtype, source, rows, n, &t, 0, target)
    if done < rows:
        raise MemoryError("no memory for the block summaries of a row")
    return b


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
    row = bare_row(x, 4 if dtype == FS_F32 else 8 if dtype == FS_F64 else 2, dtype, probs)
    for i in range(rows):
        status = fs_sample(&row, n, t, 1, u + i, index + i, NULL)
        if status == FS_NO_MEMORY:
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


def sample_plain(x, bint probs, temperature, u):
    """One index a row of what `accepts_plain` accepts, and the number of the first row without one, or -1.

    `u`: one uniform as a float for a one-dimensional x, else a contiguous float64 array of one a row; checked.
    The index is an int for a float, -1 where a row cannot be drawn from.
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
    cdef size_t rows = size // n, done
    cdef Py_ssize_t bad = -1, i
    cdef const void *source = cnp.PyArray_DATA(a)
    cdef const double *given = &one
    cdef int64_t single = -1
    cdef int64_t *to = &single
    if (rows != 1 or nd != 1) if type(u) is float else (cnp.PyArray_SIZE(<cnp.ndarray?>u) != <cnp.npy_intp>rows
                                                        or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>u)
                                                        or cnp.PyArray_TYPE(<cnp.ndarray>u) != cnp.NPY_DOUBLE):
        raise ValueError("the array was changed while its uniforms were read")
    if type(u) is float:
        one = <double>u
        index = None
    else:
        given = <const double *>cnp.PyArray_DATA(<cnp.ndarray>u)
        index = <cnp.ndarray>cnp.PyArray_EMPTY(nd - 1, cnp.PyArray_DIMS(a), cnp.NPY_INT64, 0)
        to = <int64_t *>cnp.PyArray_DATA(index)
    if size >= RELEASE_AT:
        with nogil:
            done = plain_draws(dtype, probs, source, rows, n, t, given, to)
    else:
        done = plain_draws(dtype, probs, source, rows, n, t, given, to)
    if done < rows:
        raise MemoryError("no memory for the block summaries of a row")
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
    to the method `_draw_general(values, u, probs)` of the subclass.  `bind` must come first.
    """

    cdef bitgen_t *bitgen
    cdef object bit_generator, lock  # the first keeps `bitgen` alive
    cdef object schedule
    cdef double temperature_at_hand
    cdef long epoch
    cdef public object step

    def __cinit__(self, *args, **kwargs):
        self.bitgen = NULL
        self.temperature_at_hand = -1.0
        self.step = 0

    def bind(self, generator, bint follows_process):
        """Take the uniforms from this numpy.random.Generator, one double a draw, under its lock."""
        bit_generator = generator.bit_generator
        self.lock = bit_generator.lock
        self.bitgen = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
        self.bit_generator = bit_generator
        self.epoch = stream_epoch if follows_process else -1

    def set_temperature(self, temperature):
        """Draw here with a temperature, or a schedule's, that is positive and finite; the subclass sees to others."""
        self.schedule = temperature if callable(temperature) else None
        self.temperature_at_hand = plain_temperature(temperature)

    cdef object draw(self, x, u, bint probs):
        """The index, or None (and no step counted) where the subclass must see to it."""
        cdef double uniform, temperature = self.temperature_at_hand
        cdef int64_t index = -1
        cdef size_t n, done
        cdef fs_dtype dtype
        cdef const void *data
        if self.schedule is not None:
            temperature = plain_temperature(self.schedule(self.step))
        if (u is not None or temperature < 0 or not is_plain(x)
                or cnp.PyArray_NDIM(<cnp.ndarray>x) != 1 or (self.epoch >= 0 and self.epoch != stream_epoch)):
            return self._draw_general(x, u, probs)
        dtype = dtype_of(cnp.PyArray_TYPE(<cnp.ndarray>x))
        data = cnp.PyArray_DATA(<cnp.ndarray>x)
        n = cnp.PyArray_DIM(<cnp.ndarray>x, 0)
        with self.lock:
            uniform = self.bitgen.next_double(self.bitgen.state)
        if n >= RELEASE_AT:
            with nogil:
                done = plain_draws(dtype, probs, data, 1, n, temperature, &uniform, &index)
        else:
            done = plain_draws(dtype, probs, data, 1, n, temperature, &uniform, &index)
        if done < 1:
            raise MemoryError("no memory for the block summaries of a row")
        if index < 0:
            return self._draw_general(x, uniform, probs)
        self.step += 1
        return index

    def __call__(self, logits, u=None):
        return self.draw(logits, u, False)

    def sample_probs(self, probs, u=None):
        """Draw from probabilities (or weights) raised to 1/T, as the function `sample_probs` does.

        Parameters
        ----------
        probs : array_like
            Weights, 0 <= p < inf.
        u : array_like, optional
            The uniforms; without them the generator gives one for each draw.

        Returns
        -------
        int or ndarray of int64, and the log-probability with `return_logprob`
        """
        return self.draw(probs, u, True)


# --- rows of any layout ----------------------------------------------------------------------------------------

# Several arrays walked together over the same rows, in row-major order.
cdef struct Walk:
    int dims
    int operands
    Py_ssize_t shape[MAX_DIMS]
    Py_ssize_t at[MAX_DIMS]
    Py_ssize_t stride[MAX_OPERANDS][MAX_DIMS]
    char *data[MAX_OPERANDS]


cdef size_t walk_over(Walk *w, cnp.ndarray x, int dims) except? 0:
    """Begin a walk over the first `dims` axes of x; returns the number of rows."""
    cdef size_t rows = 1
    cdef int i
    if dims > MAX_DIMS:
        raise ValueError("arrays of more than 64 dimensions are not supported")
    w.dims = dims
    w.operands = 0
    for i in range(dims):
        w.shape[i] = cnp.PyArray_DIM(x, i)
        w.at[i] = 0
        rows *= w.shape[i]
    return rows


cdef int take_along(Walk *w, cnp.ndarray a) noexcept:
    """Walk this array too: its first axes are those of the walk."""
    cdef int k = w.operands, i
    for i in range(w.dims):
        w.stride[k][i] = cnp.PyArray_STRIDE(a, i)
    w.data[k] = <char *>cnp.PyArray_DATA(a)
    w.operands = k + 1
    return k


cdef inline void next_row(Walk *w) noexcept nogil:
    cdef int d = w.dims - 1, k
    while d >= 0:
        w.at[d] += 1
        for k in range(w.operands):
            w.data[k] += w.stride[k][d]
        if w.at[d] < w.shape[d]:
            return
        w.at[d] = 0
        for k in range(w.operands):
            w.data[k] -= w.stride[k][d] * w.shape[d]
        d -= 1


cdef fs_row row_of(cnp.ndarray x, int dtype, bint probs) noexcept:
    return bare_row(NULL, cnp.PyArray_STRIDE(x, cnp.PyArray_NDIM(x) - 1), <fs_dtype>dtype, probs)


cdef inline bint is_constant(cnp.ndarray a) noexcept nogil:
    """One number, broadcast."""
    cdef int i
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, i) != 0 and cnp.PyArray_DIM(a, i) != 1:
            return False
    return True


def transform_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray out, bint log):
    """softmax (or log_softmax) of every row of x into out, of the same dtype; temperature: float64, the rows' shape."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), done, _i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_output to
    cdef fs_status status = FS_OK
    take_along(&w, x)
    take_along(&w, temperature)
    take_along(&w, out)
    to.stride = cnp.PyArray_STRIDE(out, nd - 1)
    to.dtype = <fs_dtype>dtype
    if (not log and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(out)
            and (cnp.PyArray_IS_C_CONTIGUOUS(temperature) or is_constant(temperature))):
        with nogil:
            done = plain_rows(to.dtype, w.data[0], rows, n, <double *>w.data[1],
                              0 if is_constant(temperature) else sizeof(double), w.data[2])
        if done < rows:
            raise MemoryError("no memory for the block summaries of a row")
        return
    with nogil:
        for _i in range(rows):
            row.data = w.data[0]
            to.data = w.data[2]
            if log:
                status = fs_log_softmax(&row, n, (<double *>w.data[1])[0], &to)
            else:
                status = fs_softmax(&row, n, (<double *>w.data[1])[0], &to)
            if status == FS_NO_MEMORY:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def logsumexp_rows(cnp.ndarray x, int dtype, cnp.ndarray temperature, cnp.ndarray result):
    """logsumexp of every row of x into result: float64, C-contiguous, one element a row."""
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef size_t rows = walk_over(&w, x, nd - 1), i
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, False)
    cdef fs_status status = FS_OK
    cdef double *to = <double *>cnp.PyArray_DATA(result)
    take_along(&w, x)
    take_along(&w, temperature)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            status = fs_logsumexp(&row, n, (<double *>w.data[1])[0], &to[i])
            if status == FS_NO_MEMORY:
                break
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")


def sample_rows(cnp.ndarray x, int dtype, bint probs, cnp.ndarray temperature, cnp.ndarray u, size_t k,
                cnp.ndarray mask, bint words, cnp.ndarray bias, cnp.ndarray bias_at, cnp.ndarray index,
                cnp.ndarray logprob, bint stop):
    """k draws from every row of x.

    u, index and logprob (or None): C-contiguous, rows * k elements.  mask (or None): the rows' shape and the
    entries (bool) or the words (int32) last.  bias (or None): float64 likewise, or one-dimensional with
    bias_at.  A row that cannot be drawn from gives -1 and NaN, or ends the call where `stop`.
    Returns (row, why) of the first such row, or None; why is "nan" or "mass".
    """
    cdef Walk w
    cdef int nd = cnp.PyArray_NDIM(x), of_mask = -1, of_bias = -1
    cdef size_t rows = walk_over(&w, x, nd - 1), i, j, bad = 0
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1)
    cdef fs_row row = row_of(x, dtype, probs)
    cdef fs_status status = FS_OK, why = FS_OK
    cdef const double *given = <const double *>cnp.PyArray_DATA(u)
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(index)
    cdef double *log_to = NULL if logprob is None else <double *>cnp.PyArray_DATA(logprob)
    take_along(&w, x)
    take_along(&w, temperature)
    if mask is not None:
        of_mask = take_along(&w, mask)
        row.mask_kind = FS_MASK_WORDS if words else FS_MASK_BYTES
        row.mask_stride = cnp.PyArray_STRIDE(mask, cnp.PyArray_NDIM(mask) - 1)
    if bias_at is not None:
        row.bias = <const double *>cnp.PyArray_DATA(bias)
        row.bias_at = <const int64_t *>cnp.PyArray_DATA(bias_at)
        row.bias_count = cnp.PyArray_DIM(bias_at, 0)
    elif bias is not None:
        of_bias = take_along(&w, bias)
        row.bias_stride = cnp.PyArray_STRIDE(bias, cnp.PyArray_NDIM(bias) - 1)
    with nogil:
        for i in range(rows):
            row.data = w.data[0]
            if of_mask >= 0:
                row.mask = w.data[of_mask]
            if of_bias >= 0:
                row.bias = <const double *>w.data[of_bias]
            status = fs_sample(&row, n, (<double *>w.data[1])[0], k, given + i * k, to + i * k,
                               NULL if log_to == NULL else log_to + i * k)
            if status == FS_NO_MEMORY:
                break
            if status != FS_OK:
                if why == FS_OK:
                    why = status
                    bad = i
                if stop:
                    break
                for j in range(i * k, i * k + k):
                    to[j] = -1
                    if log_to != NULL:
                        log_to[j] = NAN
            next_row(&w)
    if status == FS_NO_MEMORY:
        raise MemoryError("no memory for the block summaries of a row")
    if why == FS_OK:
        return None
    return bad, "nan" if why == FS_NAN else "mass"


def _time_kernel(cnp.ndarray x, double temperature, size_t repeats):
    """Nanoseconds a call of the C kernel for softmax of x in place takes, by itself (bench/)."""
    cdef int nd = cnp.PyArray_NDIM(x)
    cdef fs_dtype dtype = dtype_of(cnp.PyArray_TYPE(x))
    if not is_plain(x) or repeats == 0:
        raise ValueError("x must be a plain array and repeats positive")
    cdef size_t n = cnp.PyArray_DIM(x, nd - 1), _i
    cdef size_t rows = cnp.PyArray_SIZE(x) // n
    cdef void *data = cnp.PyArray_DATA(x)
    from time import perf_counter_ns

    start = perf_counter_ns()
    with nogil:
        for _i in range(repeats):
            plain_rows(dtype, data, rows, n, &temperature, 0, data)
    return (perf_counter_ns() - start) / repeats

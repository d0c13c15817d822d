# Arguments as they can be taken without running any of the caller's code: arrays of the kept dtypes, numbers of
# Python and of NumPy.  A function that cannot take an argument returns that, and raises nothing: Python converts it
# (_args/arrays.py), or says what is wrong with it.
#
# Filter parameters: `given_filters` collects those that are given, _args/filters.py checks them and makes records of
# them, `filters_in` reads a record.

from numpy import floating as _NumPyFloating, integer as _NumPyInteger

cdef extern from "base/fp_environment.h" nogil:
    ctypedef unsigned fs_environment
    fs_environment fs_enter()
    void fs_leave(fs_environment saved)

# From how many entries on rows are done without the GIL, about 3.5 microseconds: less is won than its hand-over costs.
cdef enum:
    RELEASE_GIL_AT = 1 << 14
    RELEASE_GIL_AT_ONE = 20000  # of one row, which takes less time for each


# NumPy's number for bfloat16, which ml_dtypes adds at run time; -1: not met yet.
cdef int bfloat16_number = -1


def register_bfloat16(int number):
    """Take arrays whose dtype has this number as bfloat16."""
    global bfloat16_number
    bfloat16_number = number


cdef inline bint is_usable(object x) noexcept:
    """Whether x is exactly an ndarray, aligned and in native byte order."""
    return (cnp.PyArray_CheckExact(x) and cnp.PyArray_ISALIGNED(<cnp.ndarray>x)
            and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>x))


cdef inline int row_array(object x) noexcept:
    """The C code of the dtype of an array that has rows, or -1."""
    cdef int kind
    if not is_usable(x) or cnp.PyArray_NDIM(<cnp.ndarray>x) == 0:
        return -1
    kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if kind == cnp.NPY_FLOAT:
        return FS_F32
    if kind == cnp.NPY_DOUBLE:
        return FS_F64
    if kind == cnp.NPY_FLOAT16:
        return FS_F16
    return FS_BF16 if kind == bfloat16_number else -1


cdef inline int row_axis(object axis, int nd) noexcept:
    """The number of the axis, or -1."""
    cdef long at
    if type(axis) is not int:
        return -1
    try:
        at = <long>axis
    except OverflowError:
        return -1
    if at < 0:
        at += nd
    return <int>at if 0 <= at < nd else -1


cdef inline size_t size_of(fs_dtype dtype) noexcept nogil:
    """Bytes of an entry."""
    return 4 if dtype == FS_F32 else 8 if dtype == FS_F64 else 2


cpdef bint as_flag(object value, str name) except -1:
    """Whether a value counts as true; arrays do not."""
    if value is True or value is False:
        return value is True
    try:
        return bool(value)
    except Exception:
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}") from None


cdef inline bint is_number(object value, double *number) noexcept:
    """Whether value is a real number of Python or NumPy, not a bool; which one."""
    if type(value) is float:
        number[0] = <double>value
    elif type(value) is int or isinstance(value, _NumPyFloating) or isinstance(value, _NumPyInteger):
        try:
            number[0] = <double>value
        except OverflowError:
            return False
    else:
        return False
    return True


cdef inline object array_of_numbers(object x):
    """What NumPy makes of a list or tuple of floats and ints, as float64; anything else as it is."""
    return array_of_list(x) if type(x) is list or type(x) is tuple else x


cdef object array_of_list(object numbers):
    """The same of a list or tuple; itself where it is empty, or holds others."""
    cdef cnp.npy_intp n = len(numbers), i = 0
    cdef cnp.ndarray a
    cdef double *to
    if n == 0:
        return numbers
    a = <cnp.ndarray>cnp.PyArray_EMPTY(1, &n, cnp.NPY_DOUBLE, 0)
    to = <double *>cnp.PyArray_DATA(a)
    for each in numbers:
        if i == n:  # another thread has appended to it
            return numbers
        if type(each) is float:
            to[i] = <double>each
        elif type(each) is int:
            try:
                to[i] = <double>each
            except OverflowError:
                return numbers
        else:
            return numbers
        i += 1
    return a if i == n else numbers


cpdef cnp.ndarray cast(cnp.ndarray a, object dtype):
    """A copy of the numbers of an array in another dtype: rounded to nearest, whatever mode the caller has set."""
    cdef fs_environment saved = fs_enter()
    try:
        return a.astype(dtype)
    finally:
        fs_leave(saved)


cdef cnp.ndarray doubles_of(object value):
    """A float64 copy, C-contiguous, of an array of real numbers; None: it cannot be taken as it is.

    A copy, so that nobody changes it once it has been checked.
    """
    cdef fs_environment saved
    cdef int kind
    if not is_usable(value):
        return None
    kind = cnp.PyArray_TYPE(<cnp.ndarray>value)
    if kind == cnp.NPY_DOUBLE:
        return <cnp.ndarray>cnp.PyArray_NewCopy(<cnp.ndarray>value, cnp.NPY_CORDER)
    if kind == cnp.NPY_FLOAT or kind == cnp.NPY_FLOAT16 or cnp.PyTypeNum_ISINTEGER(kind):
        saved = fs_enter()
        try:
            return <cnp.ndarray>cnp.PyArray_FROMANY(value, cnp.NPY_DOUBLE, 0, 0,
                                                    cnp.NPY_ARRAY_CARRAY | cnp.NPY_ARRAY_FORCECAST)
        finally:
            fs_leave(saved)
    return None


cdef cnp.ndarray temperature_of(object temperature, double *number, bint prepared):
    """An array of temperatures, or None and one number; -1: they cannot be taken as they are."""
    cdef cnp.ndarray t
    cdef const double *value
    cdef Py_ssize_t i
    if is_number(temperature, number):
        if not is_not_negative(number[0]):
            number[0] = -1.0
        return None
    number[0] = -1.0
    if prepared:
        t = <cnp.ndarray?>temperature
    else:
        t = doubles_of(temperature)
        if t is None:
            return None
        value = <const double *>cnp.PyArray_DATA(t)
        for i in range(cnp.PyArray_SIZE(t)):
            if not is_not_negative(value[i]):
                return None
    if cnp.PyArray_NDIM(t) == 0:
        number[0] = (<const double *>cnp.PyArray_DATA(t))[0]
        return None
    return t


cdef extern from *:
    """
    /* By its bits: where subnormal numbers are flushed to zero, -5e-324 >= 0 is true.  -0.0 is zero. */
    static inline int fs_is_not_negative(double a)
    {
        uint64_t bits;
        memcpy(&bits, &a, sizeof bits);
        return bits <= UINT64_C(0x7ff0000000000000) || bits == UINT64_C(0x8000000000000000);
    }
    """
    bint is_not_negative "fs_is_not_negative"(double a) nogil


cdef extern from "numpy/arrayobject.h":
    object PyArray_NewLikeArray(cnp.ndarray prototype, cnp.NPY_ORDER order, cnp.PyArray_Descr *dtype, int subok)
    object PyArray_Scalar(void *data, cnp.PyArray_Descr *dtype, object base)


cdef inline cnp.ndarray new_array(int dims, cnp.npy_intp *shape, cnp.ndarray like):
    """A new array with the dtype of another."""
    return <cnp.ndarray>cnp.PyArray_EMPTY(dims, shape, cnp.PyArray_TYPE(like), 0)


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return True


cdef inline void bounds_of(cnp.ndarray a, char **first, char **past) noexcept:
    """Where the memory of an array that is not empty begins and ends."""
    cdef int i
    cdef Py_ssize_t reach
    first[0] = past[0] = <char *>cnp.PyArray_DATA(a)
    past[0] += cnp.PyArray_ITEMSIZE(a)
    for i in range(cnp.PyArray_NDIM(a)):
        reach = cnp.PyArray_STRIDE(a, i) * (cnp.PyArray_DIM(a, i) - 1)
        if reach < 0:
            first[0] += reach
        else:
            past[0] += reach


cdef inline bint is_apart_or_in_place(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two arrays of one shape share no memory, or have every element in the same place."""
    cdef char *first_a
    cdef char *past_a
    cdef char *first_b
    cdef char *past_b
    cdef int i
    cdef bint in_place = cnp.PyArray_DATA(a) == cnp.PyArray_DATA(b)
    for i in range(cnp.PyArray_NDIM(a)):
        in_place = in_place and cnp.PyArray_STRIDE(a, i) == cnp.PyArray_STRIDE(b, i)
    if in_place or cnp.PyArray_SIZE(a) == 0:
        return True
    bounds_of(a, &first_a, &past_a)
    bounds_of(b, &first_b, &past_b)
    return past_a <= first_b or past_b <= first_a


cpdef bint is_spread_out(cnp.ndarray a) noexcept:
    """Whether each stride, from the least on, passes all that lies before it: no two elements share memory then."""
    cdef Py_ssize_t stride[MAX_DIMS]
    cdef Py_ssize_t length[MAX_DIMS]
    cdef Py_ssize_t step, reach = cnp.PyArray_ITEMSIZE(a)
    cdef int i, j, count = 0
    if cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_SIZE(a) == 0:
        return True
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) == 1:
            continue
        step = cnp.PyArray_STRIDE(a, i)
        step = -step if step < 0 else step
        j = count
        while j > 0 and stride[j - 1] > step:
            stride[j] = stride[j - 1]
            length[j] = length[j - 1]
            j -= 1
        stride[j] = step
        length[j] = cnp.PyArray_DIM(a, i)
        count += 1
    for i in range(count):
        if stride[i] < reach:
            return False
        reach += stride[i] * (length[i] - 1)
    return True


cdef cnp.ndarray result_like(cnp.ndarray a, object out):
    """Where a result like a goes: `out`, or a new array; None: `out` cannot be taken as it is."""
    cdef cnp.ndarray b
    if out is None:
        if cnp.PyArray_IS_C_CONTIGUOUS(a):
            return new_array(cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), a)
        return <cnp.ndarray>PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, NULL, 0)
    if not is_usable(out):
        return None
    b = <cnp.ndarray>out
    if (cnp.PyArray_TYPE(b) != cnp.PyArray_TYPE(a) or not cnp.PyArray_CHKFLAGS(b, cnp.NPY_ARRAY_WRITEABLE)
            or not same_shape(a, b) or not is_apart_or_in_place(a, b) or not is_spread_out(b)):
        return None
    return b


cdef inline bint are_uniforms(object u, cnp.npy_intp count):
    """Whether u is a contiguous float64 array of `count` elements."""
    return (cnp.PyArray_SIZE(<cnp.ndarray?>u) == count and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>u)
            and cnp.PyArray_TYPE(<cnp.ndarray>u) == cnp.NPY_DOUBLE)


cdef extern from "numpy/random/bitgen.h" nogil:  # from `cimport numpy.random` Cython would import it with this module
    ctypedef struct bitgen_t:
        void *state
        double (*next_double)(void *state)


cdef bitgen_t *bitgen_of(bit_generator) except NULL:
    """The C functions and the state of a NumPy bit generator, which must be kept alive."""
    return <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


def are_scalars(dict parameters):
    """Whether each value is None, exactly a bool, int or float, or a tuple of int or str: the key of a cache."""
    for value in parameters.values():
        if type(value) is tuple:
            for one in <tuple>value:
                if not (type(one) is int or type(one) is str):
                    return False
        elif not (value is None or type(value) is float or type(value) is int or type(value) is bool):
            return False
    return True


# --- filters ---

cdef inline dict with_given(dict parameters, str name, value):
    """Add a parameter unless it is None; the dict is made for the first one."""
    if value is None:
        return parameters
    if isinstance(value, _NumPyFloating) or isinstance(value, _NumPyInteger):
        value = value.item()  # a number of NumPy is as good a key of a cache
    if parameters is None:
        return {name: value}
    parameters[name] = value
    return parameters


def given_filters(top_k=None, top_p=None, min_p=None, top_a=None, p_less=False, typical_p=None, top_h=None,
                  top_n_sigma=None, epsilon_cutoff=None, eta_cutoff=None, xtc_threshold=None, xtc_probability=None,
                  dynatemp_range=None, dynatemp_exponent=1.0, smoothing_factor=None, smoothing_curve=1.0,
                  min_tokens_to_keep=1, temperature_last=False, order=None, keep=None):
    """The parameters that are neither None nor their default, by name; None if there are none.

    PARAMETERS of _args/filters.py says what they are, and their order.  Here they are only collected: a compiled
    function takes arguments in a fraction of the time that a dict of all of them costs, and most calls have no filter.
    """
    cdef dict given = None
    given = with_given(given, "top_k", top_k)
    given = with_given(given, "top_p", top_p)
    given = with_given(given, "min_p", min_p)
    given = with_given(given, "top_a", top_a)
    if p_less is not False:
        given = with_given(given, "p_less", p_less)
    given = with_given(given, "typical_p", typical_p)
    given = with_given(given, "top_h", top_h)
    given = with_given(given, "top_n_sigma", top_n_sigma)
    given = with_given(given, "epsilon_cutoff", epsilon_cutoff)
    given = with_given(given, "eta_cutoff", eta_cutoff)
    given = with_given(given, "xtc_threshold", xtc_threshold)
    given = with_given(given, "xtc_probability", xtc_probability)
    given = with_given(given, "dynatemp_range", dynatemp_range)
    if not (type(dynatemp_exponent) is float and dynatemp_exponent == 1.0):
        given = with_given(given, "dynatemp_exponent", dynatemp_exponent)
    given = with_given(given, "smoothing_factor", smoothing_factor)
    if not (type(smoothing_curve) is float and smoothing_curve == 1.0):
        given = with_given(given, "smoothing_curve", smoothing_curve)
    if not (type(min_tokens_to_keep) is int and min_tokens_to_keep == 1):
        given = with_given(given, "min_tokens_to_keep", min_tokens_to_keep)
    if temperature_last is not False:
        given = with_given(given, "temperature_last", temperature_last)
    given = with_given(given, "order", order)
    given = with_given(given, "keep", keep)
    return given


cdef int check_row_length(size_t n) except -1:
    """Raise for a row of n entries whose entries the filters cannot number."""
    if fs_scratch_size(n) == 0:
        raise ValueError(f"a row of {n} entries is too long for filters and ranking: at most 2**32 - 1024")
    return 0


cdef const fs_filters *filters_in(cnp.ndarray record) except NULL:
    """The one record in a structured array of _args/filters.py."""
    if cnp.PyArray_ITEMSIZE(record) != sizeof(fs_filters) or cnp.PyArray_SIZE(record) != 1:
        raise ValueError("filters must be one record of _args/filters.py")
    return <const fs_filters *>cnp.PyArray_DATA(record)


cdef inline fs_indices indices_in(cnp.ndarray given) noexcept:
    """Contiguous int64, different and ascending; None: no index."""
    cdef fs_indices indices
    indices.index = NULL
    indices.count = 0
    if given is not None:
        indices.index = <const int64_t *>cnp.PyArray_DATA(given)
        indices.count = cnp.PyArray_DIM(given, 0)
    return indices

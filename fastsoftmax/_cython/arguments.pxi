# Arguments as a loop passes them: what the fast path accepts.  A *plain* array is a contiguous, aligned array of
# float16, float32 or float64 in native byte order.  No other argument raises here: it takes the general path.
#
# Filter parameters: `given_filters` collects those that are given, _args/filters.py checks them and makes records of
# them, `filters_in` reads a record.

# Work above about 8 microseconds runs without the GIL: entries.
cdef enum:
    RELEASE_GIL_AT = 1 << 14


cdef inline bint is_plain(object x) noexcept:
    """Whether x is a plain array of at least one dimension and at least one entry in each row."""
    if not cnp.PyArray_CheckExact(x):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    cdef int kind = cnp.PyArray_TYPE(a), nd = cnp.PyArray_NDIM(a)
    return ((kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE or kind == cnp.NPY_FLOAT16) and nd >= 1
            and cnp.PyArray_CHKFLAGS(a, cnp.NPY_ARRAY_CARRAY_RO) and cnp.PyArray_ISNOTSWAPPED(a)
            and cnp.PyArray_DIM(a, nd - 1) > 0)


cdef inline bint is_plain_like(object out, cnp.ndarray a) noexcept:
    """Whether `out` is plain, writable, of the dtype and shape of the plain array a, and shares no memory with it."""
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
    cdef char *data_of_a = <char *>cnp.PyArray_DATA(a)
    cdef char *data_of_b = <char *>cnp.PyArray_DATA(b)
    cdef Py_ssize_t size = cnp.PyArray_NBYTES(a)
    return data_of_a + size <= data_of_b or data_of_b + size <= data_of_a


cdef inline fs_dtype dtype_of(int kind) noexcept nogil:
    """The C code of the dtype of a plain array."""
    return FS_F32 if kind == cnp.NPY_FLOAT else FS_F64 if kind == cnp.NPY_DOUBLE else FS_F16


cdef inline size_t size_of(fs_dtype dtype) noexcept nogil:
    """Bytes of an entry."""
    return 4 if dtype == FS_F32 else 8 if dtype == FS_F64 else 2


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


cdef inline bint are_uniforms(object u, cnp.npy_intp count):
    """Whether u is a contiguous float64 array of `count` elements."""
    return (cnp.PyArray_SIZE(<cnp.ndarray?>u) == count and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>u)
            and cnp.PyArray_TYPE(<cnp.ndarray>u) == cnp.NPY_DOUBLE)


cdef bitgen_t *bitgen_of(bit_generator) except NULL:
    """The C functions and the state of a NumPy bit generator, which must be kept alive."""
    return <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")


def are_scalars(dict parameters):
    """Whether each value is None or exactly a bool, int or float: such values can be the key of a cache."""
    for value in parameters.values():
        if not (value is None or type(value) is float or type(value) is int or type(value) is bool):
            return False
    return True


# --- filters ---

cdef inline dict with_given(dict parameters, str name, value):
    """Add a parameter unless it is None; the dict is made for the first one."""
    if value is None:
        return parameters
    if parameters is None:
        return {name: value}
    parameters[name] = value
    return parameters


def given_filters(*, top_k=None, top_p=None, min_p=None, typical_p=None, top_n_sigma=None, epsilon_cutoff=None,
                  eta_cutoff=None, xtc_threshold=None, xtc_probability=None, dynatemp_range=None,
                  dynatemp_exponent=1.0, min_tokens_to_keep=1, temperature_last=False):
    """The parameters that are neither None nor their default, by name; None if there are none.

    PARAMETERS of _args/filters.py says what they are.  Here they are only collected: a compiled function takes keyword
    arguments in a fraction of the time that a dict of all of them costs, and most calls have no filter.
    """
    cdef dict given = None
    given = with_given(given, "top_k", top_k)
    given = with_given(given, "top_p", top_p)
    given = with_given(given, "min_p", min_p)
    given = with_given(given, "typical_p", typical_p)
    given = with_given(given, "top_n_sigma", top_n_sigma)
    given = with_given(given, "epsilon_cutoff", epsilon_cutoff)
    given = with_given(given, "eta_cutoff", eta_cutoff)
    given = with_given(given, "xtc_threshold", xtc_threshold)
    given = with_given(given, "xtc_probability", xtc_probability)
    given = with_given(given, "dynatemp_range", dynatemp_range)
    if not (type(dynatemp_exponent) is float and dynatemp_exponent == 1.0):
        given = with_given(given, "dynatemp_exponent", dynatemp_exponent)
    if not (type(min_tokens_to_keep) is int and min_tokens_to_keep == 1):
        given = with_given(given, "min_tokens_to_keep", min_tokens_to_keep)
    if temperature_last is not False:
        given = with_given(given, "temperature_last", temperature_last)
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

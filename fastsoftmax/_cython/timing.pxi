# How long single C calls take, without Python around them: for bench/ and the tests of the C API.

from time import perf_counter_ns as _perf_counter_ns


def _time_kernel(cnp.ndarray x, double temperature, size_t repeats):
    """Nanoseconds for one softmax of the plain array x, in place, by the C kernel alone."""
    if not is_plain(x) or repeats == 0:
        raise ValueError("x must be a plain array and repeats positive")
    cdef fs_dtype dtype = dtype_of(cnp.PyArray_TYPE(x))
    cdef size_t n = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1), _i
    cdef size_t rows = cnp.PyArray_SIZE(x) // n
    cdef void *data = cnp.PyArray_DATA(x)
    start = _perf_counter_ns()
    with nogil:
        for _i in range(repeats):
            softmax_contiguous_rows(dtype, data, rows, n, &temperature, 0, data)
    return (_perf_counter_ns() - start) / repeats


ctypedef int (*softmax_type)(const float *x, size_t n, double temperature, float *out) noexcept nogil
ctypedef int64_t (*draw_type)(const float *x, size_t n, double temperature, double u) noexcept nogil


cdef void *exported(name) except NULL:
    """The address that other modules get for this function of _core.pxd."""
    capsule = globals()["__pyx_capi__"][name]
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


def _time_c_api(cnp.ndarray x, double temperature, size_t repeats, bint draws, bint exports):
    """Nanoseconds for one draw (or softmax, in place) of one float32 row, by the exported or by the C function."""
    if not is_plain(x) or cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT or cnp.PyArray_NDIM(x) != 1 or repeats == 0:
        raise ValueError("x must be one plain row of float32 and repeats positive")
    cdef softmax_type softmax = <softmax_type>exported("softmax_f32")
    cdef draw_type draw = <draw_type>exported("draw_f32")
    cdef size_t n = cnp.PyArray_DIM(x, 0), _i
    cdef float *row = <float *>cnp.PyArray_DATA(x)
    start = _perf_counter_ns()
    with nogil:
        if draws and exports:
            for _i in range(repeats):
                draw(row, n, temperature, 0.5)
        elif draws:
            for _i in range(repeats):
                fs_draw_f32(row, n, temperature, 0.5)
        elif exports:
            for _i in range(repeats):
                softmax(row, n, temperature, row)
        else:
            for _i in range(repeats):
                fs_softmax_f32(row, n, temperature, row)
    return (_perf_counter_ns() - start) / repeats

# How long a call of the C API takes, without Python around it: for bench/ and the tests.

from time import perf_counter_ns as _perf_counter_ns


ctypedef int (*softmax_type)(const float *x, size_t n, double temperature, float *out) noexcept nogil
ctypedef int64_t (*draw_type)(const float *x, size_t n, double temperature, double u) noexcept nogil


cdef void *exported(name) except NULL:
    """The address that other modules get for this function of _core.pxd."""
    capsule = globals()["__pyx_capi__"][name]
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


def _time_c_api(cnp.ndarray x, double temperature, size_t repeats, bint draws, bint exports):
    """Nanoseconds for one draw (or softmax, in place) of one float32 row, by the exported or by the C function."""
    if row_array(x) != FS_F32 or cnp.PyArray_NDIM(x) != 1 or not cnp.PyArray_IS_C_CONTIGUOUS(x) or repeats == 0:
        raise ValueError("x must be one contiguous row of float32 and repeats positive")
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

# What a Sampler holds or is called with for one row: which masks, biases and numbers its loop takes as they are, and
# the mask and the bias that two of them make.

cdef inline bint is_numpy_integer(object value) noexcept:
    return isinstance(value, _NumPyInteger)


cdef inline bint read_number(object value, double past, double *number):
    """Read a real number if 0 <= value < past, or value = past = inf; whether it was."""
    if not is_number(value, number):
        return False
    return is_not_negative(number[0]) and (number[0] < past or past == INFINITY)


cdef inline bint is_row(object x) noexcept:
    """Whether x is an array of one row, which has entries."""
    return row_array(x) >= 0 and cnp.PyArray_NDIM(<cnp.ndarray>x) == 1 and cnp.PyArray_DIM(<cnp.ndarray>x, 0) > 0


cdef inline bint is_vector(object x, int kind, size_t length) noexcept:
    """Whether x is an aligned array of this type in native byte order, of the shape (length,)."""
    if not is_usable(x):
        return False
    cdef cnp.ndarray a = <cnp.ndarray>x
    return (cnp.PyArray_TYPE(a) == kind and cnp.PyArray_NDIM(a) == 1
            and <size_t>cnp.PyArray_DIM(a, 0) == length)


cdef inline fs_mask_kind kind_of_mask(object mask, size_t n) noexcept:
    """How to read a mask for one row of n entries; FS_MASK_NONE: it is left to the general path."""
    if is_vector(mask, cnp.NPY_BOOL, n):
        return FS_MASK_BYTES
    if is_vector(mask, cnp.NPY_INT32, (n + 31) // 32) or is_vector(mask, cnp.NPY_UINT32, (n + 31) // 32):
        return FS_MASK_WORDS
    return FS_MASK_NONE


cdef inline int64_t last_of(cnp.ndarray ascending) noexcept:
    """The last of contiguous int64, or -1."""
    cdef cnp.npy_intp count = cnp.PyArray_DIM(ascending, 0)
    return (<int64_t *>cnp.PyArray_DATA(ascending))[count - 1] if count else -1


cdef cnp.ndarray both_masks(cnp.ndarray a, cnp.ndarray b, fs_mask_kind kind):
    """What two masks of one kind and length allow."""
    cdef cnp.npy_intp i, count = cnp.PyArray_DIM(a, 0)
    cdef cnp.ndarray both = <cnp.ndarray>cnp.PyArray_EMPTY(
        1, &count, cnp.NPY_BOOL if kind == FS_MASK_BYTES else cnp.NPY_UINT32, 0)
    cdef const char *of_a = <const char *>cnp.PyArray_DATA(a)
    cdef const char *of_b = <const char *>cnp.PyArray_DATA(b)
    cdef ptrdiff_t stride_a = cnp.PyArray_STRIDE(a, 0), stride_b = cnp.PyArray_STRIDE(b, 0)
    cdef char *bytes_out = <char *>cnp.PyArray_DATA(both)
    cdef uint32_t *words_out = <uint32_t *>bytes_out
    if kind == FS_MASK_BYTES:
        for i in range(count):
            bytes_out[i] = of_a[i * stride_a] != 0 and of_b[i * stride_b] != 0
    else:
        for i in range(count):
            words_out[i] = (<const uint32_t *>(of_a + i * stride_a))[0] & (<const uint32_t *>(of_b + i * stride_b))[0]
    return both


cdef cnp.ndarray sum_of_biases(cnp.ndarray a, cnp.ndarray b):
    """a (or None) and b, of one length: float64, b also float32."""
    cdef cnp.npy_intp i, count = cnp.PyArray_DIM(b, 0)
    cdef cnp.ndarray total = <cnp.ndarray>cnp.PyArray_EMPTY(1, &count, cnp.NPY_DOUBLE, 0)
    cdef double *out = <double *>cnp.PyArray_DATA(total)
    cdef bint narrow = cnp.PyArray_TYPE(b) == cnp.NPY_FLOAT
    cdef const char *of_b = <const char *>cnp.PyArray_DATA(b)
    cdef ptrdiff_t stride_b = cnp.PyArray_STRIDE(b, 0)
    for i in range(count):
        if narrow:
            out[i] = (<const float *>(of_b + i * stride_b))[0]
        else:
            out[i] = (<const double *>(of_b + i * stride_b))[0]
    if a is not None:
        of_b = <const char *>cnp.PyArray_DATA(a)
        stride_b = cnp.PyArray_STRIDE(a, 0)
        for i in range(count):
            out[i] = (<const double *>(of_b + i * stride_b))[0] + out[i]
    return total

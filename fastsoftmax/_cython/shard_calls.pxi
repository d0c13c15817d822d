# summarize and sample_from_summary of arguments that can be taken as they are: arrays of a kept dtype with the entries
# last, numbers, a mask of bools.  None, with nothing done, for others: _sharding/api.py converts these, or says what is
# wrong with them, and calls what these functions call.  A decode loop makes both calls for each token.

cdef int shard_array(x, mask) except -2:
    """The C code of the dtype of x, or -1 where x or the mask cannot be taken as they are."""
    cdef int code = row_array(x)
    cdef cnp.ndarray a
    if code < 0:
        return -1
    a = <cnp.ndarray>x
    if cnp.PyArray_SIZE(a) == 0:
        return -1
    if mask is not None and not (is_usable(mask) and cnp.PyArray_TYPE(<cnp.ndarray>mask) == cnp.NPY_BOOL
                                 and same_shape(a, <cnp.ndarray>mask)):
        return -1
    return code


cdef inline bint has_shape(cnp.ndarray a, int dims, const cnp.npy_intp *shape) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(a) != dims:
        return False
    for i in range(dims):
        if cnp.PyArray_DIM(a, i) != shape[i]:
            return False
    return True


def summarised(x, temperature, offset, mask, bias, bint logsumexp):
    """The bytes of the summary of a shard."""
    cdef int code = shard_array(x, mask), dims
    cdef cnp.ndarray a, t
    cdef double number
    cdef double *value
    cdef Py_ssize_t i
    cdef bint in_double = False
    if code < 0 or bias is not None or type(offset) is not int or not 0 <= offset < 1 << 60:
        return None
    a = <cnp.ndarray>x
    dims = cnp.PyArray_NDIM(a) - 1
    t = temperature_of(temperature, &number, False)
    if t is None:
        t = <cnp.ndarray>cnp.PyArray_EMPTY(dims, cnp.PyArray_DIMS(a), cnp.NPY_DOUBLE, 0)
        value = <double *>cnp.PyArray_DATA(t)
        for i in range(cnp.PyArray_SIZE(t)):
            value[i] = number
    elif not has_shape(t, dims, cnp.PyArray_DIMS(a)):
        return None
    value = <double *>cnp.PyArray_DATA(t)
    for i in range(cnp.PyArray_SIZE(t)):
        if not is_summarised_at(value[i]):
            return None
        in_double = in_double or fs_needs_double(<fs_dtype>code, value[i])
    return summarise(a, code, t, mask, False, None, None, offset, logsumexp, in_double)


cdef bint can_be_cut_at(const View *v, size_t cut) noexcept nogil:
    """Whether the summary has the entries of the block that a cut divides, if it divides one."""
    cdef size_t before
    if cut % v.block == 0 or cut == <size_t>v.span[1]:
        return True
    return piece_with(v, <int64_t>(cut // v.block * v.block), &before) < v.pieces


def drawn_in_shard(x, SummaryBase s, offset, u, mask, bint with_logprob):
    """One draw from every row: index and logprob (or None) where it falls in the shard, and the first row whose entries
    are not those that were summarised, or -1."""
    cdef int code = shard_array(x, mask), dims, i
    cdef cnp.ndarray a, uniforms, location, index, logprob = None, t, normaliser
    cdef cnp.npy_intp bytes_of[1]
    cdef View *v = &s.view
    cdef size_t r, first, n
    if code != <int>v.dtype or s.normaliser is None or type(offset) is not int or not 0 <= offset < 1 << 60:
        return None
    a = <cnp.ndarray>x
    dims = cnp.PyArray_NDIM(a) - 1
    if dims != v.axes:
        return None
    for i in range(dims):
        if cnp.PyArray_DIM(a, i) != v.shape[i]:
            return None
    first, n = offset, cnp.PyArray_DIM(a, dims)
    if first + n > <size_t>v.span[1] or not can_be_cut_at(v, first) or not can_be_cut_at(v, first + n):
        return None
    if isinstance(u, float):
        if dims:
            return None
        uniforms = <cnp.ndarray>cnp.PyArray_EMPTY(0, NULL, cnp.NPY_DOUBLE, 0)
        (<double *>cnp.PyArray_DATA(uniforms))[0] = u
    else:
        uniforms = doubles_of(u)
        if uniforms is None or not has_shape(uniforms, dims, cnp.PyArray_DIMS(a)):
            return None
    if not are_in_unit_interval(<const double *>cnp.PyArray_DATA(uniforms), v.rows):
        return None
    for r in range(v.rows):
        if normaliser_at(s, r).status != FS_OK:
            return None
    bytes_of[0] = v.rows * sizeof(fs_location)
    location = <cnp.ndarray>cnp.PyArray_EMPTY(1, bytes_of, cnp.NPY_UINT8, 0)
    locate_draws(s, 1, uniforms, location)
    index = <cnp.ndarray>cnp.PyArray_EMPTY(dims, cnp.PyArray_DIMS(a), cnp.NPY_INT64, 0)
    if with_logprob:
        logprob = <cnp.ndarray>cnp.PyArray_EMPTY(dims, cnp.PyArray_DIMS(a), cnp.NPY_DOUBLE, 0)
    t = <cnp.ndarray>cnp.PyArray_EMPTY(dims, cnp.PyArray_DIMS(a), cnp.NPY_DOUBLE, 0)
    memcpy(cnp.PyArray_DATA(t), v.temperature, v.rows * sizeof(double))
    bytes_of[0] = v.rows * sizeof(fs_normaliser)
    normaliser = <cnp.ndarray>cnp.PyArray_EMPTY(1, bytes_of, cnp.NPY_UINT8, 0)
    memcpy(cnp.PyArray_DATA(normaliser), normaliser_at(s, 0), bytes_of[0])
    changed = resolve_rows(a, code, first, <size_t>v.span[1], t, mask, False, None, None, normaliser, 1, location,
                           index, logprob)
    return index, logprob, changed

# Masks of integers: 0 and 1 in the shape of the row, as bool.

cdef extern from *:
    """
    /* Integers as bytes; whether all of them are 0 or 1. */
    #define FS_BYTES_OF(type)                                                                                     \
        do {                                                                                                      \
            const type *from = (const type *)data;                                                                \
            type seen = 0;                                                                                        \
            for (size_t i = 0; i < count; i++) {                                                                  \
                seen |= from[i];                                                                                  \
                to[i] = (uint8_t)from[i];                                                                         \
            }                                                                                                     \
            return seen <= 1;                                                                                     \
        } while (0)

    static int fs_bytes_of(const void *data, size_t count, size_t size, uint8_t *to)
    {
        switch (size) {
        case 1: FS_BYTES_OF(uint8_t);
        case 2: FS_BYTES_OF(uint16_t);
        case 4: FS_BYTES_OF(uint32_t);
        default: FS_BYTES_OF(uint64_t);
        }
    }
    """
    bint bytes_of "fs_bytes_of"(const void *data, size_t count, size_t size, uint8_t *to) nogil


def bools_of_integers(cnp.ndarray mask):
    """A C-contiguous bool array of an aligned array of native integers that are 0 and 1; None: there are others."""
    cdef cnp.ndarray bools = <cnp.ndarray>cnp.PyArray_EMPTY(
        cnp.PyArray_NDIM(mask), cnp.PyArray_DIMS(mask), cnp.NPY_BOOL, 0)
    if not cnp.PyArray_IS_C_CONTIGUOUS(mask):
        mask = <cnp.ndarray>cnp.PyArray_NewCopy(mask, cnp.NPY_CORDER)
    if bytes_of(cnp.PyArray_DATA(mask), cnp.PyArray_SIZE(mask), cnp.PyArray_ITEMSIZE(mask),
                <uint8_t *>cnp.PyArray_DATA(bools)):
        return bools
    return None


cdef inline bint is_of_integers(object mask) noexcept:
    """Whether a mask can be taken as it is, and is of integers."""
    return is_usable(mask) and cnp.PyTypeNum_ISINTEGER(cnp.PyArray_TYPE(<cnp.ndarray>mask))


cdef inline object mask_as_bools(object mask, cnp.ndarray a, int axis):
    """A mask of integers in the shape of a as bool; the mask itself where it is another, or words for the rows of a."""
    cdef cnp.ndarray m
    if not is_of_integers(mask):
        return mask
    m = <cnp.ndarray>mask
    # One word and one entry: then it is the word.
    if not same_shape(a, m) or (cnp.PyArray_ITEMSIZE(m) == 4 and cnp.PyArray_DIM(a, axis) <= 1):
        return mask
    bools = bools_of_integers(m)
    return mask if bools is None else bools

# Tensors of other libraries as arrays, through DLPack: without a copy, bfloat16 included, which numpy.from_dlpack does
# not accept.
#
# A tensor comes from the C functions of its type, where the type has them (DLPack 1.3; torch from 2.10 on), or else in
# the capsule that its method `__dlpack__` returns.  Either hands over a managed tensor: the array's base owns it, and
# calls its deleter.
#
# References: DLPack, "Python Specification for DLPack", and dlpack.h, whose structs these are.

from cpython.pycapsule cimport PyCapsule_IsValid, PyCapsule_SetName

cdef extern from *:
    """
    typedef struct {
        void *data;
        int32_t device_type, device_id;
        int32_t ndim;
        uint8_t code, bits;
        uint16_t lanes;
        int64_t *shape, *strides;
        uint64_t byte_offset;
    } fs_dl_tensor;

    typedef struct fs_dl_managed {
        fs_dl_tensor tensor;
        void *context;
        void (*deleter)(struct fs_dl_managed *);
    } fs_dl_managed;

    typedef struct fs_dl_versioned {
        uint32_t major, minor;
        void *context;
        void (*deleter)(struct fs_dl_versioned *);
        uint64_t flags;
        fs_dl_tensor tensor;
    } fs_dl_versioned;

    typedef struct fs_dl_exchange {
        uint32_t major, minor;
        struct fs_dl_exchange *previous; /* of an older version */
        void *allocate;
        int (*from_object)(void *object, fs_dl_versioned **);
    } fs_dl_exchange;
    """
    ctypedef struct fs_dl_tensor:
        void *data
        int device_type, ndim, code, bits, lanes
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset

    ctypedef struct fs_dl_managed:
        fs_dl_tensor tensor
        void (*deleter)(fs_dl_managed *) noexcept

    ctypedef struct fs_dl_versioned:
        uint32_t major
        void (*deleter)(fs_dl_versioned *) noexcept
        uint64_t flags
        fs_dl_tensor tensor

    ctypedef struct fs_dl_exchange:
        uint32_t major
        fs_dl_exchange *previous
        int (*from_object)(void *object, fs_dl_versioned **) noexcept

cdef extern from "numpy/arrayobject.h":
    object PyArray_New(type subtype, int nd, cnp.npy_intp *dims, int number, cnp.npy_intp *strides, void *data,
                       int itemsize, int flags, void *obj)

cdef extern from "Python.h":
    void PyErr_Clear()

cdef enum:
    DLPACK_MAJOR = 1
    # Flags of a versioned tensor: it must not be written to; it is a copy, where what is written would be lost.
    DL_READ_ONLY = 1
    DL_IS_COPIED = 2

cdef object DLPACK_VERSION = (DLPACK_MAJOR, 0)


cdef class ManagedTensor:
    """A tensor that was handed over: one of the two, or none."""
    cdef fs_dl_versioned *versioned
    cdef fs_dl_managed *unversioned

    def __dealloc__(self):
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)
        if self.unversioned != NULL and self.unversioned.deleter != NULL:
            self.unversioned.deleter(self.unversioned)


cdef inline bint is_host(int device) noexcept:
    """Whether a device is CPU memory: of the CPU itself, or pinned for CUDA or ROCm."""
    return device == 1 or device == 3 or device == 11


cdef object unreadable(str name, object why):
    return TypeError(f"{name} cannot be read through DLPack: {why}")


cdef bint has_negative_bit(object x) except -1:
    """Whether x is a torch tensor whose memory holds the negatives of its entries, which DLPack does not tell."""
    is_negative = getattr(x, "is_neg", None)
    return is_negative is not None and is_negative() is True


cdef ManagedTensor from_c_functions(object x):
    """The tensor x from the C functions of its type; None: there are none, or `__dlpack__` must say what is wrong.

    The functions must be the type's own: a subclass may mean something else by its memory.  They look neither at the
    autograd of torch nor at its negative bit.
    """
    cdef fs_dl_exchange *api
    cdef ManagedTensor tensor
    capsule = type(x).__dict__.get("__dlpack_c_exchange_api__")
    if capsule is None or not PyCapsule_IsValid(capsule, "dlpack_exchange_api"):
        return None
    api = <fs_dl_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
    while api != NULL and api.major != DLPACK_MAJOR:
        api = api.previous
    if api == NULL or getattr(x, "requires_grad", False) is not False or has_negative_bit(x):
        return None
    tensor = ManagedTensor.__new__(ManagedTensor)
    if api.from_object(<void *>x, &tensor.versioned) != 0:
        PyErr_Clear()
        tensor.versioned = NULL
        return None
    return tensor


cdef ManagedTensor from_capsule(object x, str name):
    """The tensor x from its methods, the DLPack protocol."""
    cdef ManagedTensor tensor
    if getattr(x, "__dlpack_device__", None) is None:
        if any(kind.__name__ == "Tracer" for kind in type(x).__mro__):
            raise TypeError(f"{name} is traced by JAX (in jit, grad or vmap) and has no values yet: take softmax, "
                            "log_softmax, logsumexp and sample from fastsoftmax.integrations.jax; call others outside "
                            "of it, or by jax.pure_callback")
        raise unreadable(name, f"a {type(x).__name__} has no __dlpack_device__")
    if not is_host(x.__dlpack_device__()[0]):
        raise TypeError(f"{name} is not in CPU memory; copy it there first")
    if has_negative_bit(x):
        raise unreadable(name, f"its negative bit is set; pass {name}.resolve_neg()")
    try:
        try:
            capsule = x.__dlpack__(max_version=DLPACK_VERSION)
        except TypeError:  # from before there were versions
            capsule = x.__dlpack__()
    except (BufferError, RuntimeError, TypeError) as error:
        raise unreadable(name, error) from error
    tensor = ManagedTensor.__new__(ManagedTensor)
    # A capsule with its new name no longer owns the tensor.
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        tensor.versioned = <fs_dl_versioned *>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        PyCapsule_SetName(capsule, "used_dltensor_versioned")
    elif PyCapsule_IsValid(capsule, "dltensor"):
        tensor.unversioned = <fs_dl_managed *>PyCapsule_GetPointer(capsule, "dltensor")
        PyCapsule_SetName(capsule, "used_dltensor")
    else:
        raise unreadable(name, "__dlpack__ did not return the capsule of a tensor")
    return tensor


cdef int bfloat16_type(str name) except -1:
    """NumPy's number for bfloat16, the dtype of ml_dtypes."""
    if bfloat16_number < 0:
        try:
            from ml_dtypes import bfloat16
        except ModuleNotFoundError:
            raise TypeError(f"{name} is bfloat16, which NumPy lacks without ml_dtypes: pip install ml_dtypes") from None
        register_bfloat16(_dtype(bfloat16).num)
    return bfloat16_number


cdef int type_of_tensor(const fs_dl_tensor *t, str name) except -1:
    """NumPy's number for the dtype of a tensor; -1 with an error: NumPy has none."""
    cdef int kind = t.code << 8 | t.bits
    if t.lanes == 1:
        if kind == 0x220:
            return cnp.NPY_FLOAT32
        if kind == 0x240:
            return cnp.NPY_FLOAT64
        if kind == 0x210:
            return cnp.NPY_FLOAT16
        if kind == 0x410:
            return bfloat16_type(name)
        if kind == 0x608:
            return cnp.NPY_BOOL
        if kind == 0x008:
            return cnp.NPY_INT8
        if kind == 0x010:
            return cnp.NPY_INT16
        if kind == 0x020:
            return cnp.NPY_INT32
        if kind == 0x040:
            return cnp.NPY_INT64
        if kind == 0x108:
            return cnp.NPY_UINT8
        if kind == 0x110:
            return cnp.NPY_UINT16
        if kind == 0x120:
            return cnp.NPY_UINT32
        if kind == 0x140:
            return cnp.NPY_UINT64
        if kind == 0x540:
            return cnp.NPY_COMPLEX64
        if kind == 0x580:
            return cnp.NPY_COMPLEX128
    raise unreadable(name, "NumPy has no such dtype")


cdef cnp.ndarray array_over(ManagedTensor tensor, str name):
    """The array over the memory of a tensor, which it owns from here on.

    Read-only where the tensor says so, and where it has no version, and so cannot say it.
    """
    cdef fs_dl_tensor *t
    cdef cnp.npy_intp shape[MAX_DIMS]
    cdef cnp.npy_intp strides[MAX_DIMS]
    cdef cnp.npy_intp step
    cdef cnp.ndarray a
    cdef bint empty = False, writeable = False
    cdef int i, number, itemsize
    if tensor.versioned != NULL:
        if tensor.versioned.major != DLPACK_MAJOR:
            raise unreadable(name, f"it is of version {tensor.versioned.major}, not {DLPACK_MAJOR}")
        t = &tensor.versioned.tensor
        writeable = tensor.versioned.flags & (DL_READ_ONLY | DL_IS_COPIED) == 0
    else:
        t = &tensor.unversioned.tensor
    if not is_host(t.device_type):
        raise TypeError(f"{name} is not in CPU memory; copy it there first")
    if not 0 <= t.ndim <= MAX_DIMS:
        raise unreadable(name, f"it has {t.ndim} dimensions")
    number = type_of_tensor(t, name)
    itemsize = t.bits // 8
    step = itemsize
    for i in reversed(range(t.ndim)):
        shape[i] = t.shape[i]
        strides[i] = step if t.strides == NULL else t.strides[i] * itemsize
        step *= shape[i]
        empty |= shape[i] == 0
    if empty:
        return <cnp.ndarray>cnp.PyArray_EMPTY(t.ndim, shape, number, 0)
    if t.data == NULL:
        raise unreadable(name, "it has no memory")
    a = <cnp.ndarray>PyArray_New(cnp.ndarray, t.ndim, shape, number, strides, <char *>t.data + t.byte_offset, itemsize,
                                 cnp.NPY_ARRAY_WRITEABLE if writeable else 0, NULL)
    cnp.set_array_base(a, tensor)
    return a


def array_from_dlpack(x, str name):
    """The tensor x, which must be in CPU memory, as an array, without a copy."""
    cdef ManagedTensor tensor = from_c_functions(x)
    if tensor is None:
        tensor = from_capsule(x, name)
    return array_over(tensor, name)


cdef inline object array_or_same(object x, str name):
    """The array of a tensor whose type has C functions for that, which run none of the caller's code; else x itself."""
    cdef ManagedTensor tensor
    if x is None or cnp.PyArray_Check(x):
        return x
    tensor = from_c_functions(x)
    return x if tensor is None else array_over(tensor, name)


cdef inline object row_or_same(object x, str name):
    """The same of a tensor, and of a list or tuple of numbers."""
    return array_or_same(array_of_numbers(x), name)


cdef inline object array_or_other(object x, str name):
    """The array of a tensor; x itself if it is no tensor."""
    if x is None or cnp.PyArray_Check(x) or cnp.PyArray_CheckScalar(x) or not hasattr(x, "__dlpack__"):
        return x
    return array_from_dlpack(x, name)

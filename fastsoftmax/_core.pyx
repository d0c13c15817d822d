# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The typed layer: arrays to rows to the C kernels.

Two doors.  _cython/plain.pxi takes what a loop passes (a contiguous float array, the last axis, one temperature) and
answers None for anything else.  _cython/rows.pxi and _cython/decoding.pxi take any layout, prepared by _args/arrays.py: the
entries along the last axis, everything else broadcast to the rows.  Nothing is validated below this line but what a
kernel could not survive.  Compiled code of others comes in by _cython/c_api.pxi.
"""

cimport cython
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.string cimport memcpy
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint16_t, uint64_t
from libc.stddef cimport ptrdiff_t, size_t

cimport numpy as cnp
from numpy.random cimport bitgen_t

from fastsoftmax._cython.kernels cimport *
from fastsoftmax._cython.thread_pool cimport (
    fs_parallel_for, fs_atomic_min, fs_atomic_load, fs_set_num_threads, fs_set_interrupt_callback, fs_was_interrupted, fs_thread_scratch, fs_get_num_threads, fs_interrupt_callback,
)

cnp.import_array()

# Work above about 8 microseconds runs without the GIL: entries.
cdef enum:
    RELEASE_AT = 1 << 14
    MAX_DIMS = 64
    MAX_OPERANDS = 8


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


def all_same(tuple these, tuple those):
    """Whether two tuples of one length hold the very same objects."""
    cdef Py_ssize_t i
    for i in range(len(these)):
        if these[i] is not those[i]:
            return False
    return True


def are_scalars(tuple values):
    """Whether each is None or exactly a bool, int or float: then it can be a key of a cache."""
    for value in values:
        if not (value is None or type(value) is float or type(value) is int or type(value) is bool):
            return False
    return True


include "_cython/parallel.pxi"


# --- keyed uniforms ----------------------------------------------------------------------------------------------

cdef struct Keyed:
    uint64_t seed
    const uint64_t *key
    uint64_t step
    uint64_t stream
    double *to
    Outcome outcome


cdef void keyed_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Keyed *f = <Keyed *>job
    fs_keyed_uniforms(f.seed, f.key + first, past - first, f.step, f.stream, f.to + first)


def keyed_into(uint64_t seed, cnp.ndarray keys, uint64_t step, uint64_t stream, cnp.ndarray u):
    """Fill u (float64) with the uniforms of keys (uint64); both C-contiguous and of one size."""
    cdef Keyed f
    f.seed = seed
    f.key = <const uint64_t *>cnp.PyArray_DATA(keys)
    f.step = step
    f.stream = stream
    f.to = <double *>cnp.PyArray_DATA(u)
    run_rows(keyed_task, &f, &f.outcome, cnp.PyArray_SIZE(keys), 16, False)


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


cdef inline size_t size_of(fs_dtype dtype) noexcept nogil:
    return 4 if dtype == FS_F32 else 8 if dtype == FS_F64 else 2


cdef int check_row_length(size_t n) except -1:
    """What the filters can number: there is scratch for a row of n entries."""
    if fs_scratch_size(n) == 0:
        raise ValueError(f"rows of {n} entries are too long for this: 2**32 - 1024 at most")
    return 0


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


include "_cython/plain.pxi"
include "_cython/sampler.pxi"
include "_cython/rows.pxi"
include "_cython/decoding.pxi"
include "_cython/c_api.pxi"
include "_cython/shards.pxi"
include "_cython/categorical.pxi"


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

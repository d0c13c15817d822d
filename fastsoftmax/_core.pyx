# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, freethreading_compatible=True
"""The compiled part: from NumPy arrays to rows, and from rows to the C kernels (csrc/fastsoftmax.h).

Each operation has one typed entry (_cython/softmax.pxi, draws.pxi, sampler.pxi).  It takes any array of a kept
dtype, any axis and strides, numbers of any kind and one parameter a row, as they are; for anything else it returns
None, Python makes such arrays of it (_args/arrays.py), and calls the same entry.  The other operations take arrays
that Python has prepared.

Python says what is wrong with an argument.  Here is checked only what could make a kernel read or write outside of an
array.

The included files are one C module and one namespace: the chosen instruction set, the threads and their memory are
static in it.  Each begins with what it is for and what it expects.  In their order:

    config        instruction sets, compiler, number of threads
    parallel      rows in chunks, for threads and Ctrl-C
    arguments     which arguments can be taken as they are; filters as arguments
    masks         masks of integers
    keyed         uniforms by seed and key
    rows          rows of arrays of any layout; truncation
    dlpack        tensors of other libraries as arrays
    softmax       softmax, log_softmax, logsumexp, softmax_probs, entropy
    measures      log-probabilities of given entries, divergences
    draws         draws from every row
    segments      rows of different lengths in one array
    one_draw      masks and biases of one row, as a Sampler holds and takes them
    sampler       Sampler: one index after another
    decoding      ranking, draws without replacement, penalties, drafts
    tree          drafts of several candidates a position
    categorical   many draws from one row
    summary       the bytes of a summary of shards: the format, and what was read
    summary_object  the same as an object, and the row of one that is whole
    summarise     the summary of a shard
    combine       the summary of several shards
    shards        the rows of all shards, and the results of each
    shard_calls   the calls of a decode loop, whose arguments are taken as they are
    c_api         the functions of _core.pxd
    timing        times of single C calls, for bench/
"""

cimport cython
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.string cimport memcpy
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stddef cimport ptrdiff_t, size_t

cimport numpy as cnp
from numpy import dtype as _dtype

from fastsoftmax._cython.kernels cimport *
from fastsoftmax._cython.thread_pool cimport (
    fs_atomic_load, fs_atomic_min, fs_get_num_threads, fs_interrupt_callback, fs_parallel_for,
    fs_set_interrupt_callback, fs_set_num_threads, fs_thread_scratch, fs_was_interrupted,
)

cnp.import_array()

include "_cython/config.pxi"
include "_cython/parallel.pxi"
include "_cython/arguments.pxi"
include "_cython/masks.pxi"
include "_cython/keyed.pxi"
include "_cython/rows.pxi"
include "_cython/dlpack.pxi"
include "_cython/softmax.pxi"
include "_cython/measures.pxi"
include "_cython/draws.pxi"
include "_cython/segments.pxi"
include "_cython/one_draw.pxi"
include "_cython/sampler.pxi"
include "_cython/decoding.pxi"
include "_cython/tree.pxi"
include "_cython/categorical.pxi"
include "_cython/summary.pxi"
include "_cython/summary_object.pxi"
include "_cython/summarise.pxi"
include "_cython/combine.pxi"
include "_cython/shards.pxi"
include "_cython/shard_calls.pxi"
include "_cython/c_api.pxi"
include "_cython/timing.pxi"

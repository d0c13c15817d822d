"""The C API as ctypes functions, which Numba compiles to direct calls.

Each function of ``fastsoftmax/_core.pxd`` is a ctypes function here.  A pointer is passed as an address,
``x.ctypes.data``, in Python and in functions compiled by Numba: the address of a C-contiguous array of the type in the
function's name, which is not checked.  The other arguments are numbers.  The module works without Numba too.

Examples
--------
>>> import numpy as np
>>> from fastsoftmax.integrations.numba import draw_f64
>>> logits = np.array([2.0, 1.0, 0.0])
>>> draw_f64(logits.ctypes.data, logits.size, 0.7, 0.9)  # temperature 0.7, u = 0.9
1
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Rows
from .._args.filters import PARAMETERS, RECORD, as_filters, no_filters

if TYPE_CHECKING:
    from .._types import Filters

_TYPES = {
    "double": ctypes.c_double,
    "int": ctypes.c_int,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "uint64_t": ctypes.c_uint64,
    "void": None,
}


def _type_of(name: str) -> Any:
    return ctypes.c_void_p if name.endswith("*") else _TYPES[name]


def _function(name: str) -> Any:
    """The function that _core exports under this name; the name of its capsule is its type, in C."""
    capsule = ctypes.py_object(_core.__pyx_capi__[name])
    get_name, get_pointer = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(capsule)
    returned, arguments = re.fullmatch(r"(\w+) \((.*)\)", signature.decode()).groups()  # type: ignore[union-attr]
    taken = [] if arguments == "void" else [_type_of(argument) for argument in arguments.split(", ")]
    return ctypes.CFUNCTYPE(_type_of(returned), *taken)(get_pointer(capsule, signature))


softmax_f32: Any = _function("softmax_f32")
softmax_f64: Any = _function("softmax_f64")
log_softmax_f32: Any = _function("log_softmax_f32")
log_softmax_f64: Any = _function("log_softmax_f64")
logsumexp_f32: Any = _function("logsumexp_f32")
logsumexp_f64: Any = _function("logsumexp_f64")
entropy_f32: Any = _function("entropy_f32")
entropy_f64: Any = _function("entropy_f64")
draw_f32: Any = _function("draw_f32")
draw_f64: Any = _function("draw_f64")
draw_probs_f32: Any = _function("draw_probs_f32")
draw_probs_f64: Any = _function("draw_probs_f64")
draw_many_f32: Any = _function("draw_many_f32")
draw_many_f64: Any = _function("draw_many_f64")
draw_many_probs_f32: Any = _function("draw_many_probs_f32")
draw_many_probs_f64: Any = _function("draw_many_probs_f64")
draw_filtered_f32: Any = _function("draw_filtered_f32")
draw_filtered_f64: Any = _function("draw_filtered_f64")
softmax_rows_f32: Any = _function("softmax_rows_f32")
softmax_rows_f64: Any = _function("softmax_rows_f64")
log_softmax_rows_f32: Any = _function("log_softmax_rows_f32")
log_softmax_rows_f64: Any = _function("log_softmax_rows_f64")
logsumexp_rows_f32: Any = _function("logsumexp_rows_f32")
logsumexp_rows_f64: Any = _function("logsumexp_rows_f64")
draw_rows_f32: Any = _function("draw_rows_f32")
draw_rows_f64: Any = _function("draw_rows_f64")
scratch_size: Any = _function("scratch_size")
keyed_uniform: Any = _function("keyed_uniform")
keyed_uniforms: Any = _function("keyed_uniforms")
abi_version: Any = _function("abi_version")


def filters(**parameters: Unpack[Filters]) -> NDArray[np.void]:
    """The record of filter parameters, checked, that ``draw_filtered_f32`` and ``draw_filtered_f64`` read.

    Parameters
    ----------
    **parameters
        Filters with the names and ranges of `fastsoftmax.sample` (``top_k=50, top_p=0.95``), one value each; the others
        are off.

    Returns
    -------
    ndarray of one record
        Pass ``filters(...).ctypes.data``.  Its fields may be changed: ``record["top_p"] = 0.9``.

    Raises
    ------
    TypeError
        For a name that is not a filter, or a value that is not one number.
    ValueError
        For a value out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.integrations.numba import draw_filtered_f64, filters, scratch_size
    >>> logits = np.array([2.0, 1.0, 0.0])
    >>> of_two, scratch = filters(top_k=2), np.empty(scratch_size(logits.size), np.uint8)
    >>> addresses = logits.ctypes.data, of_two.ctypes.data, scratch.ctypes.data
    >>> draw_filtered_f64(addresses[0], logits.size, 1.0, addresses[1], 1.0, 0.999, addresses[2])  # coin 1, u = 0.999
    1
    """
    named: Mapping[str, Any] = parameters
    unknown = named.keys() - PARAMETERS.keys()
    if unknown:
        raise TypeError(f"{min(unknown)} is not a filter; there are: {', '.join(PARAMETERS)}")
    if named.get("keep") is not None:
        raise TypeError("keep is no part of a record; use fastsoftmax.sample")
    for name, value in named.items():
        if name != "order" and np.ndim(value):
            raise TypeError(f"{name} must be one value here, not an array; make a record for each row")
    given = as_filters(named)
    record = np.empty(1, RECORD)
    record[:] = no_filters(Rows((1,), -1, "filters")) if given is None else given.record
    return record

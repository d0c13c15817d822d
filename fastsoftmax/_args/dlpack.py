"""Tensors of other libraries through DLPack, bfloat16 included, which numpy.from_dlpack does not accept.

References
----------
DLPack, "Python Specification for DLPack": the layout of DLTensor and the names of the capsules.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

_CPU, _BFLOAT = 1, 4


class _Device(ctypes.Structure):
    _fields_ = (("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


# A function object of its own: others may set argtypes on the shared one of ctypes.pythonapi.
_pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _bfloat16_bits(capsule: Any) -> NDArray[np.uint16] | None:
    """The bits of the bfloat16 tensor in an unversioned capsule; None for any other dtype.

    The capsule is not consumed, and so owns the memory; the base of the array keeps it alive.
    """
    tensor = ctypes.cast(_pointer_in(capsule, b"dltensor"), ctypes.POINTER(_Tensor)).contents
    if (tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes) != (_BFLOAT, 16, 1):
        return None
    shape = tuple(tensor.shape[: tensor.ndim])
    if math.prod(shape) == 0:
        return np.empty(shape, np.uint16)
    first = (ctypes.c_uint16 * 1).from_address(tensor.data + tensor.byte_offset)
    first.capsule = capsule  # type: ignore[attr-defined]
    steps = tensor.strides[: tensor.ndim] if tensor.strides else [s // 2 for s in np.empty(shape, np.uint16).strides]
    return as_strided(np.frombuffer(memoryview(first), np.uint16), shape, tuple(2 * step for step in steps))


def array_from_dlpack(x: Any, name: str) -> NDArray[Any]:
    """The tensor x, which must be in CPU memory, as an array, without a copy."""
    if x.__dlpack_device__()[0] != _CPU:
        raise TypeError(f"{name} is not in CPU memory; copy it there first")
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError) as error:
        try:
            bits = _bfloat16_bits(x.__dlpack__())
        except Exception:
            bits = None
        if bits is None:
            raise TypeError(f"{name} cannot be read through DLPack: {error}") from error
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        raise TypeError(f"{name} is bfloat16, which NumPy lacks without ml_dtypes: pip install ml_dtypes") from None
    return bits.view(ml_dtypes.bfloat16)

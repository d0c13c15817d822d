"""What compiled JAX programs call for integrations/jax.py: one handler of XLA's foreign function interface, in ctypes.

XLA hands over the memory of operands and results as it is.  The handler makes NumPy arrays of it, and the functions for
arrays write into the result.  One handler serves all functions: what is static (the function, its axis, …) is text in
the attribute `call`, what is an array stands among the operands, in the order of the names in that text.

XLA calls it on a thread of its own; ctypes takes the GIL for it, and the kernels release it again.  Nothing of JAX may
be called from here: its threads may all be waiting for this one.

References: xla/ffi/api/c_api.h of OpenXLA, whose structs these are.  A handler states the version of the interface for
which it was made, and XLA refuses it where it no longer supports that one.
"""

from __future__ import annotations

import ctypes
import functools
import json
import math
from collections.abc import Callable, Mapping
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

import ml_dtypes
import numpy as np

from .. import _sampling, _softmax

Array = np.ndarray[Any, Any]

TARGET = "fastsoftmax_on_cpu"
_VERSION = (0, 1)
_CANCELLED, _INVALID_ARGUMENT = 1, 3

# XLA_FFI_DataType
_DTYPES = {
    1: np.dtype(np.bool_),
    2: np.dtype(np.int8),
    3: np.dtype(np.int16),
    4: np.dtype(np.int32),
    5: np.dtype(np.int64),
    6: np.dtype(np.uint8),
    7: np.dtype(np.uint16),
    8: np.dtype(np.uint32),
    9: np.dtype(np.uint64),
    10: np.dtype(np.float16),
    11: np.dtype(np.float32),
    12: np.dtype(np.float64),
    16: np.dtype(ml_dtypes.bfloat16),
}


class _Version(Structure):
    _fields_ = [("struct_size", c_size_t), ("extensions", c_void_p), ("major", c_int), ("minor", c_int)]


class _Metadata(Structure):
    _fields_ = [("struct_size", c_size_t), ("version", _Version)]


class _Extension(Structure):
    """An extension of a call; the only kind there is asks for the handler's version."""

    _fields_ = [("struct_size", c_size_t), ("kind", c_int), ("next", c_void_p), ("metadata", POINTER(_Metadata))]


class _Buffer(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extensions", c_void_p),
        ("dtype", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("dims", POINTER(c_int64)),
    ]


class _Buffers(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extensions", c_void_p),
        ("size", c_int64),
        ("types", c_void_p),
        ("each", POINTER(POINTER(_Buffer))),
    ]


class _Text(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class _Attributes(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extensions", c_void_p),
        ("size", c_int64),
        ("types", c_void_p),
        ("names", c_void_p),
        ("each", POINTER(POINTER(_Text))),
    ]


class _Error(Structure):
    _fields_ = [("struct_size", c_size_t), ("extensions", c_void_p), ("message", c_char_p), ("code", c_int)]


class _Api(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extensions", c_void_p),
        ("version", _Version),
        ("internal", c_void_p),
        ("create_error", ctypes.CFUNCTYPE(c_void_p, POINTER(_Error))),
    ]


class _Frame(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("extensions", POINTER(_Extension)),
        ("api", POINTER(_Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("operands", _Buffers),
        ("results", _Buffers),
        ("attributes", _Attributes),
    ]


def _array(buffer: Any) -> Array:
    """The array over the memory of a buffer, for the time of the call."""
    b = buffer.contents
    shape = tuple(b.dims[: b.rank])
    dtype = _DTYPES[b.dtype]
    size = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, (ctypes.c_char * size).from_address(b.data) if size else None)


def _spread(x: Array, rows: tuple[int, ...], axis: int | tuple[int, ...]) -> Array:
    """x with its other axes as long as those of the rows: jax.vmap leaves an axis that it adds at length 1."""
    if x.ndim == 1:
        return x
    axes = (axis,) if isinstance(axis, int) else axis
    lengths = iter(rows)
    shape = tuple(n if i - x.ndim in axes else next(lengths) for i, n in enumerate(x.shape))
    return x if x.shape == shape else np.broadcast_to(x, shape)


def uniforms_of_bits(bits: Array) -> Array:
    """Uniforms in [0, 1) of 53 bits, from pairs of uint32 along the last axis: the first 27 and 26 bits of each."""
    high, low = bits[..., 0] >> np.uint32(5), bits[..., 1] >> np.uint32(6)
    return (high * 2.0**26 + low) * 2.0**-53


def words_of_doubles(u: Array) -> Array:
    """float64 as pairs of uint32 words along one more axis, in the order of this machine."""
    return np.array(u, np.float64, order="C")[..., None].view(np.uint32)


def words_of_integers(integers: Array) -> Array:
    """The same of integers of 64 bits, modulo 2**64."""
    wide = np.uint64 if integers.dtype.kind == "u" else np.int64
    return np.array(integers, wide, order="C")[..., None].view(np.uint32)


def _doubles_of_words(words: Array) -> Array:
    return words.view(np.float64)[..., 0]


def _integers_of_words(words: Array) -> Array:
    return words.view(np.uint64)[..., 0]


# What an operand of that name becomes, and the argument that it is.
_WORDS: Mapping[str, tuple[str, Callable[[Array], Array]]] = {
    "temperature words": ("temperature", _doubles_of_words),
    "u bits": ("u", uniforms_of_bits),
    "u words": ("u", _doubles_of_words),
    "xtc_u bits": ("xtc_u", uniforms_of_bits),
    "xtc_u words": ("xtc_u", _doubles_of_words),
    "seed words": ("seed", _integers_of_words),
    "keys words": ("keys", _integers_of_words),
    "step words": ("step", _integers_of_words),
}


@functools.lru_cache(maxsize=1024)
def _read(text: bytes) -> tuple[Callable[..., None], list[str], dict[str, Any]]:
    call = json.loads(text)
    axes = tuple(call["axes"])
    call["axis"] = axes if len(axes) > 1 else axes[0]
    del call["axes"]
    return _RUN[call.pop("function")], call.pop("operands"), call


def _transform(function: Callable[..., Array], results: list[Array], *, x: Array, axis: Any, **given: Any) -> None:
    (out,) = results
    function(x if x.shape == out.shape else np.broadcast_to(x, out.shape), axis=axis, out=out, **given)


def _logsumexp(results: list[Array], *, x: Array, axis: Any, **given: Any) -> None:
    (out,) = results
    out[...] = _softmax.logsumexp(_spread(x, out.shape, axis), axis=axis, **given)


def _sample(results: list[Array], *, logits: Array, axis: Any, size: list[int], **given: Any) -> None:
    index = results[0]
    rows = index.shape[: index.ndim - len(size)]
    return_logprob = len(results) > 1
    for name in given.keys() & {"seed", "keys", "step"}:  # of which jax.vmap leaves axes at length 1, too
        a = given[name]
        given[name] = np.broadcast_to(a, rows) if name == "keys" or a.size > 1 else a.item()
    drawn: Any = _sampling.sample(
        _spread(logits, rows, axis), axis=axis, size=tuple(size) or None, return_logprob=return_logprob, **given
    )
    for result, values in zip(results, drawn if return_logprob else (drawn,), strict=True):
        result[...] = values


_RUN: Mapping[str, Callable[..., None]] = {
    "softmax": functools.partial(_transform, _softmax.softmax),
    "log_softmax": functools.partial(_transform, _softmax.log_softmax),
    "logsumexp": _logsumexp,
    "sample": _sample,
}


def _handle(frame: Any) -> int | None:
    """A call by XLA; an error as XLA's, or None."""
    f = frame.contents
    if f.extensions:
        version = f.extensions.contents.metadata.contents.version
        version.major, version.minor = _VERSION
        return None
    try:
        text = f.attributes.each[0].contents
        run, names, static = _read(ctypes.string_at(text.data, text.size))
        operands, results = f.operands, f.results
        given = {}
        for i, name in enumerate(names):
            a = _array(operands.each[i])
            if name in _WORDS:
                name, read = _WORDS[name]
                a = read(a)
            given[name] = a.item() if a.size == 1 and name == "temperature" else a
        run([_array(results.each[i]) for i in range(results.size)], **given, **static)
        return None
    except KeyboardInterrupt:
        message, code = "interrupted", _CANCELLED
    except BaseException as error:  # XLA's thread has nobody else to tell
        message, code = str(error) or type(error).__name__, _INVALID_ARGUMENT
    return f.api.contents.create_error(_Error(ctypes.sizeof(_Error), None, message.encode(), code))  # type: ignore[no-any-return]


# XLA keeps the address as long as the process lives.
handler = ctypes.CFUNCTYPE(c_void_p, POINTER(_Frame))(_handle)

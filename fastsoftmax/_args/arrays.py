"""Array arguments as rows of entries: dtypes, axes, broadcasting.

The functions return arrays as the compiled part takes them: the entries along the last axis, parameters checked and
broadcast to the rows.  The logits themselves are not read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import NDArray

from .. import _core
from .lazy import is_lazy, is_lazy_type, why_not

# The dtypes in which results are given, with their codes (fs_dtype in csrc/fastsoftmax.h).
_CODES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
# By NumPy's type number, which is a faster key; bfloat16 has no fixed one.
_CODES_BY_NUMBER = {np.dtype(name).num: code for name, code in _CODES.items() if name != "bfloat16"}
_DTYPES = "float16, bfloat16, float32 or float64 (integers and bool become float64)"

# Entries that are copied at a time where the axes of the rows do not merge: they stay in the second-level cache.
_PIECE = 1 << 17

# Arguments by what they hold, for errors that say what to pass instead.
_BOOLS = ("mask", "where")
_INTEGERS = ("keys", "tokens", "draft_tokens", "lengths", "index", "chosen", "top_k", "min_tokens_to_keep")

# Elements of lists that need no second look.
_NUMBERS = frozenset((float, int, bool))

_LEAST_NORMAL = np.finfo(np.float64).tiny

# Where the rows at hand begin in an array of which they are a chunk: errors name the rows of the whole array.
_first_row: ContextVar[tuple[int, ...]] = ContextVar("first_row", default=())

Axis = int | tuple[int, ...] | None
Array = NDArray[Any]


def as_float64(a: Array) -> NDArray[np.float64]:
    """A copy in float64, without warnings: the caller checks for NaN and infinity."""
    if a.dtype == np.float64:
        return a.astype(np.float64)
    with np.errstate(all="ignore"):
        return _core.cast(a, np.float64)


def dtype_code(dtype: np.dtype[Any]) -> int:
    """The C code of a floating-point dtype."""
    code = _CODES_BY_NUMBER.get(dtype.num)
    return _CODES[dtype.name] if code is None else code


def any_array(x: Any, name: str, masked_by: str | None = None) -> Array:
    """x as an ndarray of any dtype, a view of x's memory where it has any.

    It is always a new array object: nobody who holds x can resize or reshape it during the call.  `masked_by`: the
    argument that says which entries count, for the error of a masked array.
    """
    if isinstance(x, np.ndarray):
        if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array, but its mask is not read: pass {_unmasked(x, name, masked_by)}")
        return x.view(np.ndarray)
    if hasattr(x, "__dlpack__") and not isinstance(x, np.generic):
        return _core.array_from_dlpack(x, name)
    if is_lazy(x):
        raise why_not(x, name)
    kinds = _types_within(x) - _NUMBERS if isinstance(x, list | tuple) else None
    if kinds:  # NumPy would drop a mask, and compute what is lazy, in silence
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            what = f"their data, and ~mask as {masked_by}" if masked_by else "their .filled(...) or .data"
            raise TypeError(f"{name} holds masked arrays, whose masks are not read: pass {what}")
        if any(map(is_lazy_type, kinds)):
            raise TypeError(
                f"{name} holds Dask arrays: pass dask.array.stack({name}), or what dask.compute makes of it"
            )
    try:
        a = np.asarray(x).view(np.ndarray)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if a.dtype.kind == "O" and hasattr(x, "to_numpy"):  # pandas' nullable types, where a value is missing
        kind = "bool" if name in _BOOLS else "int" if name in _INTEGERS else "float, na_value=float('nan')"
        raise TypeError(f"{name} is a {type(x).__name__} that NumPy reads as objects: pass {name}.to_numpy({kind})")
    return _large_integers(a, name) if a.dtype.kind == "O" else a


def _unmasked(x: Array, name: str, masked_by: str | None) -> str:
    """What to pass in place of the masked array x."""
    if masked_by is not None:
        return f"{name}.data, {masked_by}=~{name}.mask"
    if name in ("x", "logits"):
        return f"{name}.filled(-np.inf)" if x.dtype.kind == "f" else f"{name}.astype(float).filled(-np.inf)"
    return f"{name}.filled(0)" if name == "probs" else f"{name}.filled(False)" if name in _BOOLS else f"{name}.data"


def _types_within(x: list[Any] | tuple[Any, ...]) -> set[type]:
    """The types of the elements of nested lists and tuples."""
    types = set(map(type, x))
    if not types <= _NUMBERS:
        for part in x:
            if isinstance(part, list | tuple):
                types |= _types_within(part)
    return types


def _large_integers(a: Array, name: str) -> Array:
    """Numbers of which NumPy made objects, because integers beyond 64 bits are among them, as float64; else a."""
    if not all(type(value) in (int, float) for value in a.flat):
        return a
    if name in _INTEGERS and name != "keys":
        raise ValueError(f"{name} holds an integer beyond 64 bits")
    try:
        return a.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} holds an integer that is too large for a float64 (inf is infinity)") from None


def taken(value: Any, name: str) -> Any:
    """A number, an ndarray as it is, or what a list or tensor holds: no more of the caller's code runs for it.

    First every argument is taken so, and then the arrays are looked at: while one is converted, its ``__array__`` may
    do anything to another, and what has been read of that would no longer be true.
    """
    if isinstance(value, float | int | np.ndarray | np.generic):
        return value
    return any_array(value, name)


def float_array(x: Any, name: str) -> Array:
    """x as an aligned floating-point array in native byte order, without a copy where it is one already."""
    return floats_of(any_array(x, name), name)


def floats_of(a: Array, name: str) -> Array:
    """`float_array` of what `any_array` or `taken` has made an array of."""
    if a.dtype.kind in "biu":
        return _core.cast(a, np.float64)
    if a.dtype.num not in _CODES_BY_NUMBER:
        if a.dtype.name not in _CODES:
            raise TypeError(f"{name} must be {_DTYPES}, not {a.dtype}")
        _core.register_bfloat16(a.dtype.num)
    if not (a.dtype.isnative and a.flags.aligned):
        return a.astype(a.dtype.newbyteorder("="))
    return a


def real_array(value: Any, name: str, wanted: str) -> NDArray[np.float64]:
    """A float64 copy of real numbers of any type, integers of any size included; `wanted`: as an error names them."""
    given = any_array(value, name)
    if given.dtype.kind not in "fiu" and given.dtype.name != "bfloat16":
        raise TypeError(f"{name} must be {wanted}, not {type_of_value(value, given)}")
    return as_float64(given)


def shown(value: Any) -> str:
    """How an error shows a value: an int of thousands of digits is not written out."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an int of {value.bit_length()} bits"
    return repr(value)


def check_axis(axis: Any) -> None:
    """Raise unless it is of the kind of an axis; whether an array has it is another question."""
    parts = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    if not all(isinstance(part, int | np.integer) for part in parts):
        raise TypeError(f"axis must be an int, a tuple of ints or None, not {axis!r}")
    for part in parts:
        if not -(2**31) <= part < 2**31:
            raise np.exceptions.AxisError(f"axis {shown(part)} is out of bounds for every array")


def along_one_axis(a: Array, axis: Any) -> tuple[Array, Any]:
    """The array and the axis of its entries as the compiled entry takes them, where a view is enough for that."""
    if axis is None and a.flags.c_contiguous:
        return a.reshape(-1), -1
    if isinstance(axis, tuple) and len(axis) == 1:
        return a, axis[0]
    return a, axis


class Rows:
    """How the axes of an array divide into those of the rows and those of the entries.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    axis : int, tuple of int or None
        The axes of the entries; None means all axes.  Several axes count as one, in C order.
    name : str
        The argument's name, for errors.
    may_be_empty : bool, default False
        Whether rows may have no entries; else that is a ValueError.
    """

    def __init__(self, shape: tuple[int, ...], axis: Axis, name: str, *, may_be_empty: bool = False) -> None:
        check_axis(axis)
        ndim = max(len(shape), 1)  # a 0-d array is a row of one
        if axis is None:
            axes = tuple(range(ndim))
        elif isinstance(axis, tuple):
            axes = tuple(sorted(normalize_axis_tuple(axis, ndim, "axis")))
        else:
            axes = (normalize_axis_index(axis, ndim),)
        self.array_shape = shape
        full = shape or (1,)
        self.axes = axes
        self.shape = tuple(full[i] for i in range(ndim) if i not in axes)
        self.entries = math.prod(full[i] for i in axes)
        if self.entries == 0 and math.prod(self.shape) > 0 and not may_be_empty:
            raise ValueError(f"{name} has no entries along axis {axis}: nothing to normalise or draw from")

    def split(self, a: Array) -> Array:
        """The array with its entries last, as one axis; a view unless the axes cannot be merged without a copy."""
        moved = self.moved(a)
        return moved if len(self.axes) == 1 else moved.reshape(self.shape + (self.entries,))

    def moved(self, a: Array) -> Array:
        """A view of the array with the axes of its entries last."""
        if not self.array_shape:
            a = a.reshape(1)
        if self.axes == (a.ndim - 1,):
            return a
        return np.moveaxis(a, self.axes, tuple(range(-len(self.axes), 0)))

    def merge(self, a: Array) -> bool:
        """Whether `split` gives a view of the array: its entries are evenly spaced in memory."""
        kept = [i for i in self.axes if a.ndim and a.shape[i] != 1]
        return all(a.strides[i] == a.strides[j] * a.shape[j] for i, j in itertools.pairwise(kept))

    def pieces(self) -> Iterator[tuple[Any, ...]]:
        """Where pieces of some `_PIECE` entries lie among the rows: indices, in row-major order."""
        most, together, axis = max(1, _PIECE // self.entries), 1, len(self.shape)
        while axis and together * self.shape[axis - 1] <= most:
            axis -= 1
            together *= self.shape[axis]
        if axis == 0:
            yield ()
            return
        step = most // together
        for lead in np.ndindex(self.shape[: axis - 1]):
            for start in range(0, self.shape[axis - 1], step):
                yield (*lead, slice(start, start + step))

    def copies(self, a: Array) -> Iterator[tuple[tuple[Any, ...], Array, Array]]:
        """Copies of the rows, piece by piece, each in the same memory: for axes that cannot be merged without a copy.

        Yields the index of a piece, its rows with their entries last, as one axis, and the same in the axes of `moved`.
        """
        moved = self.moved(a)
        memory = np.empty(min(max(_PIECE, self.entries), a.size), a.dtype.newbyteorder("="))
        last = len(self.shape) - 1
        adjacent = last >= 0 and abs(moved.strides[last]) < min(map(abs, moved.strides[last + 1 :]))
        for place in self.pieces():
            piece = moved[place]
            kept = piece.ndim - len(self.axes)  # the axes of its rows
            axes = piece.shape[kept:]
            if adjacent:  # neighbours stay neighbours in memory
                whole = memory[: piece.size].reshape((*piece.shape[: kept - 1], *axes, piece.shape[kept - 1]))
                copy = np.moveaxis(whole, -1, kept - 1)
                rows = np.moveaxis(whole.reshape((*piece.shape[: kept - 1], self.entries, -1)), -1, kept - 1)
            else:
                copy = memory[: piece.size].reshape(piece.shape)
                rows = copy.reshape((*piece.shape[:kept], self.entries))
            copy[...] = piece
            yield place, rows, copy

    def join(self, parts: Array) -> Array:
        """The inverse of split."""
        full = self.array_shape or (1,)
        moved = parts.reshape(self.shape + tuple(full[i] for i in self.axes))
        return np.moveaxis(moved, tuple(range(-len(self.axes), 0)), self.axes).reshape(self.array_shape)

    def keepdims_shape(self) -> tuple[int, ...]:
        return tuple(1 if i in self.axes else n for i, n in enumerate(self.array_shape))

    def broadcast(self, a: Array, name: str) -> Array:
        """A parameter with one value, or one for each row: broadcast to the rows."""
        if a.shape == self.shape:
            return a
        self.check_shape(a.shape, name)
        return np.broadcast_to(a, self.shape)

    def check_shape(self, shape: tuple[int, ...], name: str) -> None:
        """Raise unless a parameter of this shape broadcasts to the rows."""
        if shape in ((), self.shape):
            return
        try:
            fits = np.broadcast_shapes(shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name} of shape {shape} does not broadcast to the rows, whose shape is {self.shape}")

    def name_row(self, flat: int) -> str:
        """How an error names a row, by its number in row-major order."""
        if not self.shape:
            return "the row"
        return f"row {_in_whole_array(np.unravel_index(flat, self.shape))}"


@contextmanager
def rows_begin_at(first: tuple[int, ...]) -> Iterator[None]:
    """Within it, errors count rows from this one: the first of a chunk, by its index in the whole array."""
    token = _first_row.set(first)
    try:
        yield
    finally:
        _first_row.reset(token)


def _in_whole_array(index: tuple[Any, ...]) -> str:
    """How an error shows the index of a row, or of one draw from it."""
    first = _first_row.get()
    whole = tuple(int(i) + n for i, n in itertools.zip_longest(index, first[: len(index)], fillvalue=0))
    return str(whole[0]) if len(whole) == 1 else str(whole)


def temperature_rows(temperature: Any, rows: Rows, name: str = "temperature") -> Array:
    """The temperature of each row: float64, checked, broadcast to the rows."""
    t = real_array(temperature, name, "a real number or an array of them")
    of_rows = rows.broadcast(t, name)
    if ((t >= _LEAST_NORMAL) & (t < np.inf)).all():  # the common case, checked faster
        return of_rows
    good = _between_bits(t, np.inf, inclusive=True)
    if not good.all():
        raise_out_of_range(name, t, good, "zero, positive or inf", rows)
    return of_rows


def raise_out_of_range(name: str, values: Array, good: Array, wanted: str, rows: Rows) -> None:
    """Raise the ValueError of a parameter, one value or one for each row, of which not all are good."""
    rows.check_shape(values.shape, name)
    place = ""
    if values.ndim and math.prod(rows.shape):
        place = f" ({rows.name_row(int(np.argmin(np.broadcast_to(good, rows.shape))))})"
    raise ValueError(f"{name} must be {wanted}; got {values[~good][0]}{place}")


def _between_bits(a: NDArray[np.float64], most: float, inclusive: bool) -> NDArray[np.bool_]:
    """0 <= a <= most (or < most).  Bits are compared: where subnormals are flushed to zero, -5e-324 >= 0 is true."""
    bits = np.asarray(a).view(np.int64)
    limit = int(np.float64(most).view(np.int64)) + inclusive
    good: NDArray[np.bool_] = (bits >= 0) & (bits < limit)
    negative_zero: NDArray[np.bool_] = bits == np.iinfo(np.int64).min
    return good | negative_zero


def type_of_value(value: Any, a: Array) -> str:
    """How an error names the type of a value, which is the array a."""
    return type(value).__name__ if a.ndim == 0 else f"an array of {a.dtype}"


def uniform_rows(u: Any, shape: tuple[int, ...], name: str = "u") -> Array:
    """The uniforms of the draws: float64, checked, broadcast to the shape of the result, contiguous."""
    wide = real_array(u, name, "numbers in [0, 1)")
    good = _between_bits(wide, 1.0, inclusive=False)
    if not good.all():
        fits = wide.ndim and wide.ndim <= len(shape)
        at = np.argwhere(~good)[0] if fits else ()
        place = f" at index {_in_whole_array((*[0] * (len(shape) - wide.ndim), *at))}" if fits else ""
        raise ValueError(f"{name} must be in [0, 1), got {float(wide[~good][0])}{place}")
    try:
        return np.ascontiguousarray(np.broadcast_to(wide, shape)).reshape(shape)
    except ValueError:
        what = "result" if name == "u" else "rows"
        raise ValueError(
            f"{name} of shape {wide.shape} does not broadcast to the {what}, whose shape is {shape}"
        ) from None


def spread_over_rows(name: str, a: Array, rows: Rows) -> Array:
    """A mask or a bias broadcast to the shape of the logits: along their rows, not along the entries of a row."""
    try:
        spread = np.broadcast_to(a, rows.array_shape)
    except ValueError:
        raise ValueError(
            f"{name} of shape {a.shape} does not broadcast to the shape of the logits, {rows.array_shape}"
        ) from None
    shape = rows.array_shape or (1,)
    own = (1,) * (len(shape) - a.ndim) + a.shape
    if any(own[axis] == 1 != shape[axis] for axis in rows.axes):
        meant = tuple(shape[axis] if axis in rows.axes else 1 for axis in range(min(rows.axes), len(shape)))
        raise ValueError(
            f"{name} of shape {a.shape} has no value for each of the {rows.entries} entries of a row: "
            f"it must have the shape {meant}{f' or {shape}' if meant != shape else ''}"
        )
    return rows.split(spread)


def index_rows(index: Any, name: str, rows: Rows) -> Array:
    """One index for each row: int64, checked, broadcast to the rows."""
    given = any_array(index, name)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer indices, not {type_of_value(index, given)}")
    given = given.copy()  # nobody can change it once it has been checked
    spread = rows.broadcast(given, name)
    bad = (spread < 0) | (spread >= rows.entries)
    if bad.any():
        where = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be in [0, {rows.entries}); got {int(spread.flat[where])} for {rows.name_row(where)}"
        )
    return np.broadcast_to(given.astype(np.int64), rows.shape)


def size_shape(size: Any) -> tuple[int, ...]:
    """The trailing shape of the draws from each row."""
    if size is None:
        return ()
    parts = size if isinstance(size, tuple | list) else (size,)
    for part in parts:
        if isinstance(part, bool | np.bool_) or not isinstance(part, int | np.integer):
            raise TypeError(f"size must be an int or a tuple of ints, got {part!r}")
        if part < 0:
            raise ValueError(f"size must not be negative, got {shown(part)}")
    count = math.prod(max(int(part), 1) for part in parts)
    if count >= 2**48:  # more bytes than a process can address
        raise ValueError(f"size must be of less than 2**48 draws from each row, got {shown(count)}")
    return tuple(int(part) for part in parts)

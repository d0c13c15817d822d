"""Candidates: the best entries of each row of a shard, as one buffer."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._args.arrays import Array, shown

if TYPE_CHECKING:
    from .._types import Buffer

# The format: little-endian.  A header, the lengths of the axes of the rows, for each row k values, and then for each
# row k numbers of entries, counted from the offset.  What a row does not have is -inf and NONE.
_MAGIC: Final = b"fscand\x00\x01"
_HEADER: Final = struct.Struct("<8s5q")  # the magic, the code of the dtype, the axes of the rows, k, entries, offset
NUMBER: Final = np.dtype("<u4")
NONE: Final = 0xFFFFFFFF
_DTYPES: Final = ("float32", "float64", "float16", "bfloat16")  # by their codes
# The type of the values of each: that in which its rows are computed.
KINDS: Final = tuple(np.dtype("<f8" if name == "float64" else "<f4") for name in _DTYPES)
MOST_ENTRIES: Final = NONE - 1024  # of a row, as in csrc/filter/workspace.h
_MOST_AXES: Final = 64  # NumPy's


class Candidates:
    """The k best entries of each row of a shard, made by :func:`candidates`.

    It is an immutable buffer whose size follows from the shape of the rows, k and the dtype
    (:func:`candidates_nbytes`), and can be pickled.  Two are equal if they hold the same bits.

    Attributes
    ----------
    offset : int
        The number of the shard's first entry in the whole row.
    entries : int
        The entries of the shard.
    k : int
        How many entries of each row there is room for.
    shape : tuple of int
        The shape of the rows.
    dtype : str
        The name of the logits' dtype.
    values : ndarray of float32 or float64, shape (..., min(k, entries))
        The logits, mask and bias applied, in the order of their indices; float64 for logits of float64.  -inf where a
        row has fewer entries above -inf.  A row with NaN has its first NaN here and nothing else, unless k reaches
        `entries`.
    indices : ndarray of int64, shape (..., min(k, entries))
        Their numbers in the whole row, ascending; -1 where the row has fewer.
    nbytes : int
        The length of the buffer.
    """

    __slots__ = ("offset", "entries", "k", "shape", "dtype", "values", "_numbers", "_buffer")

    offset: int
    entries: int
    k: int
    shape: tuple[int, ...]
    dtype: str
    values: NDArray[Any]
    _numbers: NDArray[np.uint32]
    _buffer: bytes

    def __init__(self) -> None:
        raise TypeError("Candidates are made by candidates() or Candidates.from_bytes()")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Candidates are immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Candidates are immutable: {name} cannot be deleted")

    @property
    def indices(self) -> NDArray[np.int64]:
        return np.where(self._numbers == NONE, -1, self._numbers.astype(np.int64) + self.offset)

    @property
    def nbytes(self) -> int:
        return len(self._buffer)

    def to_bytes(self) -> bytes:
        """The buffer, of :func:`candidates_nbytes` bytes."""
        return self._buffer

    @staticmethod
    def from_bytes(buffer: Buffer) -> Candidates:
        """The Candidates of such a buffer (anything with the buffer protocol), copied and checked."""
        made = parsed(buffer)
        check_entries(made.values, made._numbers, layout_of((made,)))
        return made

    def __repr__(self) -> str:
        rows = f"rows {self.shape}" if self.shape else "one row"
        what = f"the best {min(self.k, self.entries)} of entries {self.offset} to {self.offset + self.entries}"
        return f"<Candidates: {what}: {rows}, {self.dtype}, {self.nbytes} bytes>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidates) and self._buffer == other._buffer

    def __hash__(self) -> int:
        return hash(self._buffer)

    def __reduce__(self) -> tuple[Any, ...]:
        return Candidates.from_bytes, (self._buffer,)


def candidates_nbytes(shape: int | tuple[int, ...], k: int, dtype: DTypeLike) -> int:
    """The bytes of the Candidates of a shard, whatever its length and offset.

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the rows: () for one row.
    k : int
        How many entries of each row.
    dtype : dtype or str
        Of the logits.

    Returns
    -------
    int
        48 bytes, 8 for each axis of the rows, and for each candidate 8, or 12 of float64.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.candidates_nbytes((64,), 50, "float32")
    25656
    """
    shape = tuple(int(length) for length in (shape if isinstance(shape, tuple) else (shape,)))
    if any(length < 0 for length in shape):
        raise ValueError(f"shape must not have negative lengths, got {shape}")
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in _DTYPES:
        raise TypeError(f"dtype must be float16, bfloat16, float32 or float64, not {name}")
    return _size_of(shape, checked_k(k), KINDS[_DTYPES.index(name)])


def _size_of(shape: tuple[int, ...], k: int, kind: np.dtype[Any]) -> int:
    return _HEADER.size + 8 * len(shape) + math.prod(shape) * k * (kind.itemsize + NUMBER.itemsize)


def checked_k(k: Any) -> int:
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer):
        raise TypeError(f"k must be an int, got {k!r}; for a top_k of each row pass the largest of them")
    if not 1 <= k <= MOST_ENTRIES:
        raise ValueError(f"k must be from 1 to {MOST_ENTRIES}, got {shown(k)}")
    return int(k)


class Layout(NamedTuple):
    """The columns of the candidates of shards, one shard after another: of each the offset and the length of its shard,
    whether it is the first of the shard, and whether its shard has sent all entries."""

    offset: NDArray[np.int64]
    entries: NDArray[np.int64]
    is_first: NDArray[np.bool_]
    is_all: NDArray[np.bool_]


def layout_of(shards: Iterable[Candidates]) -> Layout:
    return _layout(tuple((c.offset, c.entries, min(c.k, c.entries), c.k >= c.entries) for c in shards))


@lru_cache(maxsize=64)
def _layout(shards: tuple[tuple[int, int, int, bool], ...]) -> Layout:
    widths = [width for _, _, width, _ in shards]
    is_first = np.zeros(sum(widths), np.bool_)
    is_first[np.cumsum([0, *widths[:-1]])] = True
    offset, entries, _, is_all = zip(*shards, strict=True)
    return Layout(
        np.repeat(np.array(offset, np.int64), widths),
        np.repeat(np.array(entries, np.int64), widths),
        is_first,
        np.repeat(np.array(is_all), widths),
    )


def check_entries(values: NDArray[Any], numbers: NDArray[np.uint32], layout: Layout) -> None:
    """Raise unless the numbers of a row ascend in each shard and lie within it, and what follows them is empty."""
    there = numbers != NONE
    good = bool(np.where(there, numbers < layout.entries, (values == -np.inf) & ~layout.is_all).all())
    ascend = (numbers[..., 1:] > numbers[..., :-1]) | layout.is_first[1:] | ~there[..., 1:]
    if not (good and ascend.all()):
        raise _damaged("the numbers of a row's entries do not ascend within the shard")


def packed(code: int, k: int, entries: int, offset: int, values: Array, numbers: Array) -> Candidates:
    """The Candidates of a shard: `values` of type KINDS[code] and `numbers` of NUMBER, shape (..., k)."""
    shape = values.shape[:-1]
    header = _HEADER.pack(_MAGIC, code, len(shape), k, entries, offset)
    lengths = struct.pack(f"<{len(shape)}q", *shape)
    return _made(b"".join((header, lengths, values.tobytes(), numbers.tobytes())), code, shape, k, entries, offset)


def _made(buffer: bytes, code: int, shape: tuple[int, ...], k: int, entries: int, offset: int) -> Candidates:
    """The Candidates of a buffer with this header, as views of it."""
    kind, start = KINDS[code], _HEADER.size + 8 * len(shape)
    values: Array = np.ndarray((*shape, k), kind, buffer, start)
    numbers: Array = np.ndarray((*shape, k), NUMBER, buffer, start + values.nbytes)
    if k > entries:
        values, numbers = values[..., :entries], numbers[..., :entries]
    made = object.__new__(Candidates)
    parts = (offset, entries, k, shape, _DTYPES[code], values, numbers, buffer)
    for name, value in zip(Candidates.__slots__, parts, strict=True):
        object.__setattr__(made, name, value)
    return made


def parsed(buffer: Any) -> Candidates:
    """The Candidates of a buffer of which `check_entries` has not been called."""
    try:
        data = bytes(memoryview(buffer))
    except TypeError:
        raise TypeError(f"candidates must be bytes, or have the buffer protocol, not {type(buffer).__name__}") from None
    if len(data) < _HEADER.size:
        raise _damaged(f"they are {len(data)} bytes, fewer than the header of {_HEADER.size}")
    magic, code, axes, k, entries, offset = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise _damaged("they do not begin as candidates of this version do")
    if not (
        0 <= code < len(_DTYPES)
        and 0 <= axes < _MOST_AXES
        and 1 <= k <= MOST_ENTRIES
        and 1 <= entries <= MOST_ENTRIES
        and 0 <= offset < 2**62
        and len(data) >= _HEADER.size + 8 * axes
    ):
        raise _damaged("a number in their header is out of range")
    shape = struct.unpack_from(f"<{axes}q", data, _HEADER.size)
    if min(shape, default=0) < 0 or _size_of(shape, k, KINDS[code]) != len(data):
        raise _damaged(f"they are {len(data)} bytes, which is not the size that their header says")
    return _made(data, code, shape, k, entries, offset)


def _damaged(why: str) -> ValueError:
    return ValueError(f"candidates: these bytes are damaged: {why}")

"""Candidates: the k best entries of each row of a shard, from which a filtered draw can be made elsewhere."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code, float_array, shown
from .._args.biases import bias_rows, dense_biases
from .._args.masks import as_bools, mask_rows
from .._sampling import sample

# The format: little-endian.  A header, the lengths of the axes of the rows, for each row k values, and then for each
# row k numbers of entries, counted from the offset.  What a row does not have is -inf and NONE.
_MAGIC: Final = b"fscand\x00\x01"
_HEADER: Final = struct.Struct("<8s5q")  # the magic, the code of the dtype, the axes of the rows, k, entries, offset
_NUMBER: Final = np.dtype("<u4")
NONE: Final = 0xFFFFFFFF
_DTYPES: Final = ("float32", "float64", "float16", "bfloat16")  # by their codes
# The type of the values of each: that in which its rows are computed.
_KINDS: Final = tuple(np.dtype("<f8" if name == "float64" else "<f4") for name in _DTYPES)
_MOST_ENTRIES: Final = NONE - 1024  # of a row, as in csrc/filter/workspace.h
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
    def from_bytes(buffer: Any) -> Candidates:
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


def candidates_nbytes(shape: int | tuple[int, ...], k: int, dtype: Any) -> int:
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
    return _size_of(shape, _checked_k(k), _KINDS[_DTYPES.index(name)])


def candidates(logits_shard: Any, k: int, *, offset: int, mask: Any = None, bias: Any = None) -> Candidates:
    """The k best entries of each row of a shard of the vocabulary, for :func:`sample_from_candidates`.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits of consecutive entries, along the last axis; dtypes and layouts as in :func:`softmax`.  A shard may
        be cut anywhere.
    k : int
        How many: as many as the largest `top_k` of the rows.
    offset : int
        The number of the shard's first entry in the whole row.
    mask, bias : optional
        For this shard, as in :func:`sample`; the indices of a mapping count from the beginning of the shard.

    Returns
    -------
    Candidates
        The first k of the sorted order (by value descending, by index ascending among equal values), in the order of
        their indices; all entries if there are no more than k.

    Raises
    ------
    ValueError
        For k below 1, a negative offset, an empty shard, or shapes that do not fit.
    TypeError
        For k or an offset that is not an int, or data of other dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> c = fastsoftmax.candidates(np.array([0.0, 2.0, 1.0, 2.0, 2.0]), 2, offset=100)
    >>> c.indices, c.values
    (array([101, 103]), array([2., 2.]))
    """
    k = _checked_k(k)
    offset = _checked_offset(offset)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard", may_be_empty=True)
    if not rows.entries:
        raise ValueError("logits_shard has no entries along its last axis")
    if rows.entries > _MOST_ENTRIES:
        raise ValueError(f"logits_shard has {rows.entries} entries, more than {_MOST_ENTRIES}: cut it into more shards")
    a = rows.split(a)
    code = dtype_code(a.dtype)
    if k < rows.entries and a.size:
        values, numbers = _best(a, k, mask, bias, rows, _KINDS[code])
    else:
        values = np.full((*rows.shape, k), -np.inf, _KINDS[code])
        numbers = np.full((*rows.shape, k), NONE, _NUMBER)
        if a.size:
            values[..., : rows.entries] = shard_values(a, mask, bias, rows)
            numbers[..., : rows.entries] = np.arange(rows.entries, dtype=_NUMBER)
    header = _HEADER.pack(_MAGIC, code, len(rows.shape), k, rows.entries, offset)
    lengths = struct.pack(f"<{len(rows.shape)}q", *rows.shape)
    buffer = b"".join((header, lengths, values.tobytes(), numbers.tobytes()))
    return _made(buffer, code, rows.shape, k, rows.entries, offset)


def shard_values(a: Array, mask: Any, bias: Any, rows: Rows) -> NDArray[Any]:
    """The shard with mask and bias applied, in the type that it is computed in."""
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    values = _wide(a)
    if added is not None:
        values = _add_bias(values, _dense(added, added_at, rows))
    if allowed is not None:
        values = np.where(as_bools(allowed, words, rows), values, values.dtype.type(-np.inf))
    return np.asarray(values)


def _dense(added: Array, added_at: NDArray[np.int64] | None, rows: Rows) -> Array:
    """A bias of `bias_rows` with a value for each entry."""
    return added if added_at is None else dense_biases(added, added_at, rows)


def _best(a: Array, k: int, mask: Any, bias: Any, rows: Rows, kind: np.dtype[Any]) -> tuple[Array, Array]:
    """The k best entries of each row by ascending index: values and numbers.

    At a temperature at which all weights are nearly 1, each of the k entries that top_k leaves has one of the uniforms.
    That takes less time than `top_rows`, which sorts them and finds their log-probabilities.
    """
    hot = 2.0**800 if kind.itemsize == 8 else 2.0**80
    u = _middles(k, rows.shape)
    index: NDArray[np.int64] = sample(a, hot, size=k, u=u, mask=mask, bias=bias, top_k=k, on_invalid="flag")
    values = _wide(np.take_along_axis(a, index, -1) if rows.shape else a[index])
    if bias is not None:
        added, added_at = bias_rows(bias, rows)
        if added is not None:
            values = _add_bias(values, np.take_along_axis(_dense(added, added_at, rows), index, -1))
    # k different ones are those that top_k leaves, whatever their weights
    different = index[..., 1:] > index[..., :-1] if k > 1 else index >= 0
    if different.all():
        return values, index.astype(_NUMBER)
    numbers = index.astype(_NUMBER)
    unsure = ~different.all(-1)
    entries = shard_values(a, mask, bias, rows).reshape(-1, rows.entries)[unsure.reshape(-1)]
    values[unsure], numbers[unsure] = _best_of_any(entries, k)
    return values, numbers


@lru_cache(maxsize=8)
def _middles(k: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """For each row the middles of k equal parts of [0, 1)."""
    middles = np.empty((*shape, k))
    middles[...] = (np.arange(k) + 0.5) / k
    middles.flags.writeable = False
    return middles


def _best_of_any(entries: NDArray[Any], k: int) -> tuple[NDArray[Any], NDArray[np.uint32]]:
    """The k best of rows of any entries: NaN, fewer than k above -inf, or numbers as large as no logits are."""
    values: NDArray[Any] = np.full((len(entries), k), -np.inf, entries.dtype)
    numbers = np.full(values.shape, NONE, _NUMBER)
    is_nan = np.isnan(entries)
    with_nan = is_nan.any(-1)
    values[with_nan, 0], numbers[with_nan, 0] = np.nan, is_nan.argmax(-1)[with_nan]
    good = ~with_nan & (entries > -np.inf).any(-1)
    if good.any():
        of_good = np.ascontiguousarray(entries[good])
        index: NDArray[np.int64] = np.empty((len(of_good), k), np.int64)
        _core.top_rows(
            of_good, dtype_code(entries.dtype), np.ones(len(of_good)), k, None, False, None, None, None, index,
            np.empty(index.shape), None,
        )  # fmt: skip
        best = np.take_along_axis(of_good, index, -1)
        index[best == -np.inf] = NONE  # what cannot be drawn is left out
        index.sort(-1)
        there = index < NONE
        values[good] = np.where(there, np.take_along_axis(of_good, np.where(there, index, 0), -1), -np.inf)
        numbers[good] = index
    return values, numbers


def _wide(a: Array) -> NDArray[Any]:
    """Entries in the type that rows of their dtype are computed in."""
    return a if a.dtype.num in (np.dtype(np.float32).num, np.dtype(np.float64).num) else _core.cast(a, np.float32)


def _add_bias(values: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    """Both of float32, where the values are: a finite bias stays finite (fs_narrow_bias in csrc/row/reader.h)."""
    with np.errstate(all="ignore"):
        if values.dtype == np.float32:
            most = float(np.finfo(np.float32).max)
            bias = np.where(np.isinf(bias), bias, np.clip(bias, -most, most)).astype(np.float32)
        return np.asarray(values + bias)


def _size_of(shape: tuple[int, ...], k: int, kind: np.dtype[Any]) -> int:
    return _HEADER.size + 8 * len(shape) + math.prod(shape) * k * (kind.itemsize + _NUMBER.itemsize)


def _checked_k(k: Any) -> int:
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer):
        raise TypeError(f"k must be an int, got {k!r}; for a top_k of each row pass the largest of them")
    if not 1 <= k <= _MOST_ENTRIES:
        raise ValueError(f"k must be from 1 to {_MOST_ENTRIES}, got {shown(k)}")
    return int(k)


def _checked_offset(offset: Any) -> int:
    if isinstance(offset, bool | np.bool_) or not isinstance(offset, int | np.integer):
        raise TypeError(f"offset must be an int, got {offset!r}")
    if not 0 <= offset < 2**62:
        raise ValueError(f"offset must be from 0 to 2**62 - 1, got {shown(int(offset))}")
    return int(offset)


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


def _made(buffer: bytes, code: int, shape: tuple[int, ...], k: int, entries: int, offset: int) -> Candidates:
    """The Candidates of a buffer with this header, as views of it."""
    kind, start = _KINDS[code], _HEADER.size + 8 * len(shape)
    values: Array = np.ndarray((*shape, k), kind, buffer, start)
    numbers: Array = np.ndarray((*shape, k), _NUMBER, buffer, start + values.nbytes)
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
        and 1 <= k <= _MOST_ENTRIES
        and 1 <= entries <= _MOST_ENTRIES
        and 0 <= offset < 2**62
        and len(data) >= _HEADER.size + 8 * axes
    ):
        raise _damaged("a number in their header is out of range")
    shape = struct.unpack_from(f"<{axes}q", data, _HEADER.size)
    if min(shape, default=0) < 0 or _size_of(shape, k, _KINDS[code]) != len(data):
        raise _damaged(f"they are {len(data)} bytes, which is not the size that their header says")
    return _made(data, code, shape, k, entries, offset)


def _damaged(why: str) -> ValueError:
    return ValueError(f"candidates: these bytes are damaged: {why}")

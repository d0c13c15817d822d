"""candidates: the k best entries of each row of a shard, from which a filtered draw can be made elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code, float_array
from .._args.biases import bias_rows, dense_biases
from .._args.masks import as_bools, mask_rows
from .._sampling import sample
from .candidates import KINDS, MOST_ENTRIES, NONE, NUMBER, Candidates, checked_k, packed
from .finishing import checked_offset

if TYPE_CHECKING:
    from .._types import ArrayLike, Bias, Int, Mask


def candidates(
    logits_shard: ArrayLike, k: Int, *, offset: Int, mask: Mask | None = None, bias: Bias | None = None
) -> Candidates:
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
    k = checked_k(k)
    offset = checked_offset(offset)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard", may_be_empty=True)
    if not rows.entries:
        raise ValueError("logits_shard has no entries along its last axis")
    if rows.entries > MOST_ENTRIES:
        raise ValueError(f"logits_shard has {rows.entries} entries, more than {MOST_ENTRIES}: cut it into more shards")
    a = rows.split(a)
    code = dtype_code(a.dtype)
    if k < rows.entries and a.size:
        values, numbers = _best(a, k, mask, bias, rows, KINDS[code])
    else:
        values = np.full((*rows.shape, k), -np.inf, KINDS[code])
        numbers = np.full((*rows.shape, k), NONE, NUMBER)
        if a.size:
            values[..., : rows.entries] = shard_values(a, mask, bias, rows)
            numbers[..., : rows.entries] = np.arange(rows.entries, dtype=NUMBER)
    return packed(code, k, rows.entries, offset, values, numbers)


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
        return values, index.astype(NUMBER)
    numbers = index.astype(NUMBER)
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
    numbers = np.full(values.shape, NONE, NUMBER)
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

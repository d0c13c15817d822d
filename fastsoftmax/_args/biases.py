"""Biases: an array, a mapping from index to value, or a mapping for each row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Rows, real_array, shown, spread_over_rows


def bias_rows(bias: Any, rows: Rows) -> tuple[Array | None, NDArray[np.int64] | None]:
    """The bias with its entries last; or from a mapping, its values and the entries they are for.  None stays None.

    Of a mapping for each row: the values of all rows one after another and then, as many words, the entries they are
    for; and for each row where its own begin, and how many it has.  That array has more than one axis, and only that.
    """
    if bias is None:
        return None, None
    if isinstance(bias, Mapping):
        return pairs_of(bias, rows.entries, "bias")
    if are_biases_of_rows(bias):
        return _pairs_of_rows(bias, rows)
    wide = real_array(bias, "bias", "an array of real numbers or {index: value}")
    return spread_over_rows("bias", wide, rows), None


def pairs_of(bias: Mapping[Any, Any], entries: int, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The values of a mapping and the entries they are for, ascending."""
    keys = list(bias)
    for key in keys:
        if isinstance(key, bool | np.bool_) or not isinstance(key, int | np.integer):
            fix = "; JSON has no others: pass {int(k): v for k, v in bias.items()}" if isinstance(key, str) else ""
            raise TypeError(f"{name}: the keys must be integer indices, got {key!r}{fix}")
        if not 0 <= key < entries:
            raise ValueError(f"{name}: index {shown(key)} is out of range for rows of {entries} entries")
    try:
        pairs = sorted((int(key), float(bias[key])) for key in keys)
    except TypeError:
        raise TypeError(f"{name}: the values must be real numbers") from None
    except OverflowError:
        raise ValueError(f"{name}: a value is too large for a float64 (inf is infinity)") from None
    return np.array([value for _, value in pairs], np.float64), np.array([key for key, _ in pairs], np.int64)


def are_biases_of_rows(bias: Any) -> bool:
    """Whether a bias is a list with a mapping, or None, for each row; of lists, where the rows have several axes."""
    if not isinstance(bias, list | tuple):
        return False
    return not bias or any(one is None or isinstance(one, Mapping) or are_biases_of_rows(one) for one in bias)


def flat_biases(bias: Any, shape: tuple[int, ...]) -> list[Mapping[Any, Any] | None]:
    """The mappings of all rows, in order."""
    if not shape:
        if bias is not None and not isinstance(bias, Mapping):
            raise TypeError(f"bias of each row must be {{index: value}} or None, not {type(bias).__name__}")
        return [bias]
    if not isinstance(bias, list | tuple) or len(bias) != shape[0]:
        given = len(bias) if isinstance(bias, list | tuple) else type(bias).__name__
        raise ValueError(f"bias must have a mapping or None for each of the {shape[0]} rows, not {given}")
    return [one for part in bias for one in flat_biases(part, shape[1:])]


def _pairs_of_rows(bias: Any, rows: Rows) -> tuple[Array | None, NDArray[np.int64] | None]:
    if not rows.shape:
        if not bias:
            return None, None
        raise ValueError("bias is a list of mappings, one for each row, but there is one row: pass its mapping")
    # Copies, so that nobody changes them once they have been counted.
    each = [dict(one) if one else {} for one in flat_biases(bias, rows.shape)]
    pairs = _plain_pairs(each, rows.entries)
    if pairs is None:
        named = [(one, f"bias of {rows.name_row(i)}") for i, one in enumerate(each) if one]
        parts = [pairs_of(one, rows.entries, name) for one, name in named]
        pairs = (np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
    values, places = pairs
    if not values.size:
        return None, None
    spans = np.zeros((len(each), 2), np.int64)
    spans[:, 1] = [len(one) for one in each]
    spans[1:, 0] = np.cumsum(spans[:-1, 1])
    return np.concatenate([values, places.view(np.float64)]), spans.reshape((*rows.shape, 2))


def _plain_pairs(each: list[dict[Any, Any]], entries: int) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """`pairs_of` of all rows, row after row, where all are from ints in range to ints and floats; else None."""
    if not set(map(type, chain.from_iterable(each))) <= {int}:
        return None
    if not set(map(type, chain.from_iterable(one.values() for one in each))) <= {int, float}:
        return None
    try:
        places = np.fromiter(chain.from_iterable(each), np.int64)
        values = np.fromiter(chain.from_iterable(one.values() for one in each), np.float64)
    except OverflowError:
        return None
    if places.size and not 0 <= places.min() <= places.max() < entries:
        return None
    order = np.lexsort((places, np.repeat(np.arange(len(each)), [len(one) for one in each])))
    return values[order], places[order]


def dense_biases(bias: Array, at: NDArray[np.int64], rows: Rows) -> Array:
    """A bias of `bias_rows` that came from mappings, with a value for each entry."""
    dense = np.zeros((*(rows.shape if at.ndim > 1 else ()), rows.entries))
    if at.ndim == 1:
        dense[at] = bias
    else:
        values, places = np.split(bias, 2)
        owner = np.repeat(np.arange(math.prod(rows.shape)), at[..., 1].ravel())
        dense.reshape(-1, rows.entries)[owner, places.view(np.int64)] = values
    return np.broadcast_to(dense, (*rows.shape, rows.entries))

"""Masks: bool, integers 0 and 1 in the shape of the rows, or packed words of 32 entries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import Array, Rows, any_array, spread_over_rows


def mask_rows(mask: Any, rows: Rows) -> tuple[Array | None, bool]:
    """The mask with its entries last, or its words of 32 entries, and whether it is words.  None stays None."""
    if mask is None:
        return None, False
    a = any_array(mask, "mask")
    if a.dtype == np.bool_:
        return spread_over_rows("mask", a, rows), False
    if a.dtype.kind not in "iu":
        raise TypeError(f"mask must be bool (True: allowed), integers 0 and 1, or packed int32 words, not {a.dtype}")
    if a.dtype.itemsize == 4:
        words = rows.shape + ((rows.entries + 31) // 32,)
        if a.ndim and a.shape[-1] == words[-1] and _broadcasts(a.shape, words):
            return np.require(np.broadcast_to(a, words), a.dtype.newbyteorder("="), "A"), True
        if not _broadcasts(a.shape, rows.array_shape):
            raise ValueError(
                f"mask of {a.dtype} must have the shape {words} if it is of packed words, or that of the logits, "
                f"{rows.array_shape}, if it is of 0 and 1; not {a.shape}"
            )
    bools = bools_of(a)
    if bools is None:
        spread = spread_over_rows("mask", a, rows).reshape(-1, rows.entries)
        row, at = np.unravel_index(int(np.argmax((spread != 0) & (spread != 1))), spread.shape)
        raise ValueError(
            f"mask of {a.dtype} must hold 0 and 1 (1: allowed) and nothing else; {rows.name_row(int(row))} has "
            f"{spread[row, at]} at index {at}"
        )
    return spread_over_rows("mask", bools, rows), False


def bools_of(mask: Array) -> NDArray[np.bool_] | None:
    """A mask of integers 0 and 1 as bool; None if it holds others."""
    return _core.bools_of_integers(np.require(mask, mask.dtype.newbyteorder("="), "A"))


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def mask_entries(mask: Array | None, words: bool, rows: Rows, flat: int) -> Array | None:
    """The mask of the row with this number, as one bool for each entry."""
    if mask is None:
        return None
    return as_bools(mask[np.unravel_index(flat, rows.shape)] if rows.shape else mask, words, rows)


def as_bools(mask: Array, words: bool, rows: Rows) -> Array:
    """A mask of `mask_rows`, of all rows or of one, with a bool for each entry."""
    if not words:
        return mask
    octets = np.ascontiguousarray(mask.astype("<u4")).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=rows.entries, bitorder="little").view(np.bool_)

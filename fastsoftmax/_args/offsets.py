"""Offsets of rows that lie one after another in one array, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Rows, any_array, type_of_value


def unchangeable(a: NDArray[np.int64]) -> NDArray[np.int64]:
    """A copy that nobody can make writeable: the compiled part relies on what has been checked."""
    return np.frombuffer(a.tobytes(), np.int64)


def integers(values: Any, name: str) -> NDArray[np.int64]:
    """One-dimensional integers as int64; no values at all may have any dtype."""
    a = any_array(values, name)
    if a.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {a.shape}")
    if a.dtype.kind not in "iu" and a.size:
        raise TypeError(f"{name} must be integers, not {type_of_value(values, a)}")
    if a.dtype.kind == "u" and a.size and a.max() >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {a.max()}")
    return a.astype(np.int64)


def checked_offsets(offsets: Any) -> NDArray[np.int64]:
    a = integers(offsets, "offsets")
    if not a.size:
        raise ValueError("offsets must have one element more than there are rows: [0] for no rows")
    if a[0] != 0:
        raise ValueError(f"offsets must begin with 0, not {a[0]}")
    falls = a[1:] < a[:-1]
    if falls.any():
        row = int(np.argmax(falls))
        raise ValueError(
            f"offsets must not decrease, but row {row} would end at offsets[{row + 1}] = {a[row + 1]}, "
            f"before it begins at offsets[{row}] = {a[row]}"
        )
    return a


class OneOfMany(Rows):
    """One row, which has this number among others."""

    def __init__(self, entries: int, number: int) -> None:
        super().__init__((entries,), -1, "logits")
        self._number = number

    def name_row(self, flat: int) -> str:
        return f"row {self._number}"

"""`where`: which entries of x count, as NumPy's functions take it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array


def where_entries(where: Any, shape: tuple[int, ...], name: str) -> Array | None:
    """`where`, an array or a number by now, as bools of the shape of x, a view; None stays None."""
    if where is None:
        return None
    given = np.asarray(where)
    if given.dtype != np.bool_:
        raise TypeError(f"where must be bool (True: the entry counts), not {given.dtype}")
    if given.ndim == 0 and given:
        return None
    try:
        return np.broadcast_to(given, shape)
    except ValueError:
        raise ValueError(f"where of shape {given.shape} does not broadcast to the shape of {name}, {shape}") from None

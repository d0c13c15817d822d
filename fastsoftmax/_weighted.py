"""logsumexp with a weight for each entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core
from ._args.arrays import Array, Rows, any_array, as_float64, dtype_code, temperature_rows, type_of_value


def weighted_logsumexp(x: Array, temperature: Any, rows: Rows, where: Array | None, b: Any) -> Any:
    """The result, in the shape of the rows; x has been converted, where is None or bools in its shape."""
    given = any_array(b, "b", "where")
    if given.dtype.kind not in "biuf" and given.dtype.name != "bfloat16":
        raise TypeError(f"b must be real numbers, not {type_of_value(b, given)}")
    try:
        weights = np.broadcast_to(as_float64(given), x.shape)
    except ValueError:
        raise ValueError(f"b of shape {given.shape} does not broadcast to the shape of x, {x.shape}") from None
    t = temperature_rows(temperature, rows)
    result = np.full(rows.shape, -np.inf, x.dtype)
    if x.size:
        counts = None if where is None else rows.split(where)
        split = rows.split(weights)
        bad = _core.weighted_sum_rows(rows.split(x), split, dtype_code(x.dtype), t, counts, result)
        if bad >= 0:
            row = split.reshape(-1, rows.entries)[bad]
            wrong = ~((row >= 0) & (row < np.inf))
            if counts is not None:
                wrong &= counts.reshape(-1, rows.entries)[bad]
            entry = int(np.argmax(wrong))
            raise ValueError(
                f"b must be finite and not negative; got {float(row[entry])} at entry {entry} of {rows.name_row(bad)}"
            )
    return result[()]

"""What is wrong with a row that cannot be drawn from, and what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, Axis, Rows, as_float64, float_array
from .biases import bias_rows, dense_biases
from .masks import mask_entries, mask_rows


def raise_invalid(
    values: Any, probs: bool, axis: Axis, mask: Any, bias: Any, number: int, distinct: int | None = None
) -> None:
    """Raise the ValueError of a row that cannot be drawn from, for arguments that have been found good."""
    name = "probs" if probs else "logits"
    a = float_array(values, name)
    rows = Rows(a.shape, axis, name)
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    allowed = mask_entries(allowed, words, rows, number)
    why = None
    if added is not None:
        row = np.array(as_float64(rows.split(a).reshape(-1, rows.entries)[number]))
        with np.errstate(all="ignore"):
            of_rows = added if added_at is None else dense_biases(added, added_at, rows)
            row += of_rows[np.unravel_index(number, rows.shape)] if rows.shape else of_rows
        why = "nan" if np.isnan(row if allowed is None else row[allowed]).any() else None
    raise_invalid_row(a, name, rows, number, why, allowed, None if distinct is None else "fix it", distinct)


def raise_invalid_row(
    a: Array,
    name: str,
    rows: Rows,
    number: int,
    why: str | None,
    allowed: Array | None = None,
    fix: str | None = None,
    distinct: int | None = None,
) -> None:
    """Raise the ValueError of a row that cannot be drawn from: which row, what is wrong, and what to do about it.

    `why` is the word of the compiled part, "nan" or "mass", where it is known; `allowed` is the mask of the row;
    `distinct` is how many different entries were wanted.
    """
    row = as_float64(rows.split(a).reshape(-1, rows.entries)[number])
    if name == "probs":
        bad = ~((row >= 0) & (row < np.inf))
        without_mass = "has no entry above 0 that is allowed"
    else:
        bad = np.isnan(row)
        without_mass = "has no entry above -inf that is allowed"
    if allowed is not None:
        bad &= allowed
    if bad.any():
        entry = int(np.argmax(bad))
        what = f"has {row[entry]} at entry {entry}"
    elif why == "nan":
        what = "becomes NaN where the bias is added"
    elif distinct is not None:
        what, fix = f"has fewer than k = {distinct} entries above -inf that are allowed", "pass a smaller k"
    else:
        what = without_mass
    fix = fix or 'fix it, or pass on_invalid="flag" to get -1 for it'
    raise ValueError(f"{name}: {rows.name_row(number)} {what}; {fix}")

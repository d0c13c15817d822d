"""Arguments that a Sampler holds from draw to draw: checked and copied, and joined with those of a call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Rows, any_array, as_bools, as_float64, bias_rows, mask_rows, temperature_rows
from .keyed import checked_words

# What is kept as it is; anything else may change, and is copied.
NUMBERS = (bool, int, float, np.generic)


def read_only(a: Array) -> Array:
    a.flags.writeable = False
    return a


def checked_temperature(temperature: Any) -> Any:
    """The temperature, an array as a copy; its shape can be checked only with the logits."""
    shape = () if isinstance(temperature, NUMBERS) else any_array(temperature, "temperature").shape
    checked = temperature_rows(temperature, Rows((*shape, 1), -1, "logits"))
    if isinstance(temperature, NUMBERS):
        return temperature
    return read_only(checked.copy()) if shape else float(checked)


def own_mask(mask: Any) -> Array:
    """A mask as a read-only copy; its shape can be checked only with the logits."""
    a = any_array(mask, "mask")
    integers = a.dtype.kind in "iu"
    if integers and a.dtype.itemsize != 4 and ((a == 0) | (a == 1)).all():
        a = a.astype(np.bool_)
    elif a.dtype != np.bool_ and not (integers and a.dtype.itemsize == 4):
        raise TypeError(f"mask must be bool (True: allowed) or packed int32 words, not {a.dtype}")
    if not a.ndim:
        raise ValueError(f"mask must have a value for each entry of a row, shape (n,), not {mask!r}")
    return read_only(np.array(a, a.dtype.newbyteorder("="), order="C"))


def own_words(words: Any) -> Any:
    """Keys, steps or seeds that are checked: a number, or a read-only copy of 64-bit integers."""
    if isinstance(words, int) or not words.ndim:
        return int(words)
    return read_only(np.array(words, np.uint64 if words.dtype.kind == "u" else np.int64, order="C"))


def own_steps(steps: Any) -> NDArray[np.int64]:
    """The steps of the rows as a read-only copy: signed, so that NumPy joins them with other integers."""
    checked = checked_words("steps", steps)
    if isinstance(checked, int) or not checked.ndim:
        raise ValueError(f"steps must have a step for each row, got {steps!r}; set `step` for all rows")
    if checked.size and checked.max() >= 2**62:
        raise ValueError(f"steps must be below 2**62, got {checked.max()}")
    return read_only(np.array(checked, np.int64, order="C"))


def own_bias(bias: Any) -> Array:
    """A bias for each entry as a read-only copy; its shape can be checked only with the logits."""
    a = any_array(bias, "bias")
    if not a.ndim:
        if isinstance(bias, NUMBERS) or a.dtype.kind in "fiu":
            raise ValueError(f"bias must have a value for each entry of a row, shape (n,), not {bias!r}")
        raise TypeError(f"bias must be an array of real numbers or {{index: value}}, not {type(bias).__name__}")
    spread, _ = bias_rows(a, Rows(a.shape if a.size else (1,), -1, "bias"))
    assert spread is not None
    return read_only(np.ascontiguousarray(spread).reshape(a.shape))


def both_masks(made: Array | None, given: Any, rows: Rows) -> Any:
    """What the Sampler's mask and that of the call allow, in the shape that `sample` takes."""
    of_call = None if given is None else any_array(given, "mask")
    if made is None or of_call is None:
        return of_call if made is None else made
    (a, a_words), (b, b_words) = mask_rows(made, rows), mask_rows(of_call, rows)
    assert a is not None and b is not None
    if a_words and b_words:
        return a.view(np.uint32) & b.view(np.uint32)
    return rows.join(as_bools(a, a_words, rows) & as_bools(b, b_words, rows))


def both_biases(made: Any, given: Any, rows: Rows) -> Any:
    """The sum of the Sampler's bias and that of the call, in the shape that `sample` takes."""
    of_call = given if given is None or isinstance(given, Mapping) else any_array(given, "bias")
    if made is None or of_call is None:
        return of_call if made is None else made
    parts = []
    for bias in (made, of_call):
        values, at = bias_rows(bias, rows)
        assert values is not None
        if at is None:
            parts.append(values)
        else:
            dense = np.zeros(rows.entries)
            dense[at] = values
            parts.append(np.broadcast_to(dense, (*rows.shape, rows.entries)))
    with np.errstate(invalid="ignore"):  # inf - inf: an invalid row, which the draw reports
        return rows.join(parts[0] + parts[1])


def bits_rows(name: str, value: Any) -> Any:
    """A parameter of mirostat, checked but for its shape, which can be checked only with the logits."""
    given = any_array(value, name)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a number, or an array of them, got {value!r}")
    wide = as_float64(given)
    good = (wide >= 0.0) & (wide < math.inf)
    if not good.all():
        raise ValueError(f"{name} must be zero or positive, got {wide[~good][0]}")
    return read_only(wide) if wide.ndim else float(wide)

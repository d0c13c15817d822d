"""Arguments that a Sampler holds from draw to draw: checked and copied, and joined with those of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Array, Rows, any_array, real_array, temperature_rows
from .biases import are_biases_of_rows, bias_rows, dense_biases, pairs_of
from .keyed import checked_words
from .masks import as_bools, mask_rows
from .parameters import LARGEST

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
    if not a.ndim and a.dtype.kind in "biu":
        raise ValueError(f"mask must have a value for each entry of a row, shape (n,), not {mask!r}")
    if a.dtype != np.bool_ and not (a.dtype.kind in "iu" and a.dtype.itemsize == 4):
        # Those of 4 bytes may be words, which shows when the length of a row is known.
        of_any, _ = mask_rows(a, Rows(a.shape if a.size else (1,), -1, "mask"))
        assert of_any is not None
        a = of_any.reshape(a.shape)
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


def own_biases(bias: Any, row: tuple[int, ...] = ()) -> Any:
    """A mapping, or in lists one or None for each row: checked but for what the logits decide, and copied."""
    if bias is None:
        return None
    if isinstance(bias, list | tuple):
        return [own_biases(one, (*row, i)) for i, one in enumerate(bias)]
    if not isinstance(bias, Mapping):
        raise TypeError(f"bias of each row must be {{index: value}} or None, not {type(bias).__name__}")
    name = f"bias of row {row[0] if len(row) == 1 else row}" if row else "bias"
    values, at = pairs_of(bias, 2**62, name)
    return dict(zip(at.tolist(), values.tolist(), strict=True))


def copied_bias(bias: Any) -> Any:
    """What may be handed out of a bias that is held: mappings and lists as copies."""
    if isinstance(bias, list):
        return [copied_bias(one) for one in bias]
    return dict(bias) if isinstance(bias, dict) else bias


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
    by_index = isinstance(given, Mapping) or are_biases_of_rows(given)
    of_call = given if given is None or by_index else any_array(given, "bias")
    if made is None or of_call is None:
        return of_call if made is None else made
    parts = []
    for bias in (made, of_call):
        values, at = bias_rows(bias, rows)
        if values is not None:  # else a list of None
            parts.append(values if at is None else dense_biases(values, at, rows))
    if len(parts) < 2:
        return rows.join(parts[0]) if parts else None
    with np.errstate(invalid="ignore"):  # inf - inf: an invalid row, which the draw reports
        return rows.join(parts[0] + parts[1])


def numbers_up_to(most: float, name: str, value: Any) -> Any:
    """Numbers from 0 to `most`, one or one for each row, checked but for their shape, which the logits decide."""
    wide = real_array(value, name, "a number, or an array of them")
    good = (wide >= 0.0) & (wide <= most)
    if not good.all():
        wanted = "zero or positive" if most == LARGEST else f"in [0, {most:g}]"
        raise ValueError(f"{name} must be {wanted}, got {wide[~good][0]}")
    return read_only(wide) if wide.ndim else float(wide)

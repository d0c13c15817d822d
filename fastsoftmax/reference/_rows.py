"""Rows as lists: what each argument means for each row."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Row = Sequence[float]
Rows = Sequence[Sequence[float]]
PerRow = float | Row
Mask = Sequence[bool] | Sequence[int] | Sequence[Sequence[bool]] | Sequence[Sequence[int]]
Bias = Row | Rows | Mapping[int, float]


class SupportsRandom(Protocol):
    """A source of uniforms in [0, 1): ``random.Random``, ``numpy.random.Generator`` and the like."""

    def random(self) -> float: ...


class InvalidRow(ValueError):
    """What is wrong with a row from which nothing can be drawn."""


def as_rows(x: Row | Rows) -> tuple[list[list[float]], bool]:
    """The rows of x, and whether x is itself one row."""
    nested: Any = x
    is_one_row = len(x) == 0 or not isinstance(x[0], Sequence)
    rows = [list(row) for row in ([nested] if is_one_row else nested)]
    if not all(rows):
        raise ValueError("a row must have at least one entry")
    return rows, is_one_row


def each_row(of_row: Callable[[Row, float], Any], x: Row | Rows, temperature: PerRow) -> Any:
    rows, is_one_row = as_rows(x)
    results = [of_row(row, t) for row, t in zip(rows, temperatures(temperature, len(rows)), strict=True)]
    return results[0] if is_one_row else results


def temperatures(temperature: PerRow, rows: int, name: str = "temperature") -> list[float]:
    values: list[float] = broadcast(temperature, (rows,), name)
    for t in values:
        if not t >= 0:
            raise ValueError(f"{name} must be 0 or above, not {t}")
    return values


def broadcast(value: Any, shape: tuple[int, ...], name: str) -> Any:
    """Nested lists of the given shape, by NumPy's rule of trailing dimensions."""
    depth, inner = 0, value
    while isinstance(inner, Sequence) and inner:
        depth, inner = depth + 1, inner[0]
    if depth > len(shape) or (depth == len(shape) > 0 and len(value) not in (1, shape[0])):
        raise ValueError(f"{name} does not broadcast to the shape {shape}")
    if not shape:
        return value
    parts = [value] * shape[0] if depth < len(shape) else list(value) * (shape[0] // len(value))
    return [broadcast(part, shape[1:], name) for part in parts]


def map_nested(function: Callable[[Any], Any], nested: Any) -> Any:
    """The function of every leaf of nested lists."""
    return [map_nested(function, part) for part in nested] if isinstance(nested, list) else function(nested)


def uniforms(u: Any, rng: SupportsRandom | None, shape: tuple[int, ...], name: str = "u") -> Any:
    """u in the given shape, or if it is None one number from rng for each place, in row-major order."""
    if u is not None:
        return map_nested(lambda value: _checked_uniform(value, name), broadcast(u, shape, name))
    # The system's generator has no state that a forked child could share.
    source = random.SystemRandom() if rng is None else rng
    return map_nested(lambda _: source.random(), broadcast(0.0, shape, name))


def not_both(u: Any, rng: SupportsRandom | None) -> None:
    if u is not None and rng is not None:
        raise ValueError("u and rng cannot both be given")


def as_shape(size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if size is None:
        return ()
    return (size,) if isinstance(size, int) else tuple(size)


def as_int(value: Any, name: str) -> int:
    """The integer a value is; a bool or a float is none."""
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{name} must be an integer, not {value!r}")


def allowed_logits(x: Row, mask: Sequence[bool] | None, bias: Row | None) -> Row:
    """The logits after bias and mask: a masked entry is -inf whatever the bias."""
    if bias is not None:
        x = [v + b for v, b in zip(x, bias, strict=True)]
    if mask is not None:
        x = [v if allowed else -math.inf for v, allowed in zip(x, mask, strict=True)]
    return x


def whats_wrong(x: Row) -> str:
    """Why no distribution belongs to the logits x; empty if one does."""
    if any(map(math.isnan, x)):
        return "NaN"
    return "no entry above -inf" if max(x) == -math.inf else ""


def mask_row(mask: Mask | None, i: int, n: int) -> list[bool] | None:
    """Row i of the mask as n booleans."""
    if mask is None:
        return None
    row: Any = mask[i] if isinstance(mask[0], Sequence) else mask
    if not isinstance(row[0], bool):
        words = -(-n // 32)
        if len(row) != words:
            raise ValueError(f"mask must have {n} booleans or {words} 32-bit words in a row")
        row = [bool(word >> bit & 1) for word in row for bit in range(32)][:n]
    if len(row) != n:
        raise ValueError(f"mask must have {n} booleans in a row")
    return list(row)


def bias_row(bias: Bias | None, i: int, n: int) -> list[float] | None:
    """Row i of the bias as n numbers."""
    if bias is None:
        return None
    if isinstance(bias, Mapping):
        if not all(0 <= index < n for index in bias):
            raise ValueError(f"bias has an index outside 0 to {n - 1}")
        return [bias.get(index, 0.0) for index in range(n)]
    row: Any = bias[i] if isinstance(bias[0], Sequence) else bias
    if len(row) != n:
        raise ValueError(f"bias must have {n} entries in a row")
    return list(row)


def _checked_uniform(u: float, name: str) -> float:
    if not 0 <= u < 1:
        raise ValueError(f"{name} must lie in [0, 1), not {u}")
    return u

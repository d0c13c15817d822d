"""The meaning of every public function, in plain Python.

Lists and the standard library only: no NumPy, no speed. A row is a list of numbers, several rows are a
list of such lists. Names, parameters and special values are those of the fast functions; the parameters
that are about arrays (``axis``, ``out``, ``keepdims``) are absent.

Exponents ``(x_i - max x) / temperature`` are formed exactly, as fractions, and a draw compares exact sums
of weights with ``u`` times their total, so what is left of rounding is that of ``math.exp``, ``math.log1p``
and ``math.log``: a few units in the last place of a float64.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any, Protocol, overload

__all__ = ["Sampler", "log_softmax", "logsumexp", "sample", "sample_probs", "softmax"]

Row = Sequence[float]
Rows = Sequence[Sequence[float]]
Mask = Sequence[bool] | Sequence[int] | Sequence[Sequence[bool]] | Sequence[Sequence[int]]
Bias = Row | Rows | Mapping[int, float]
_ToWeights = Callable[
    [Row, float, Sequence[bool] | None, Row | None],
    tuple[Sequence[float], list[float]],
]


class SupportsRandom(Protocol):
    """A source of uniforms in [0, 1): ``random.Random``, ``numpy.random.Generator`` and the like."""

    def random(self) -> float: ...


class _InvalidRow(ValueError):
    """What is wrong with a row from which nothing can be drawn."""


@overload
def softmax(x: Row, temperature: float = 1.0) -> list[float]: ...
@overload
def softmax(x: Rows, temperature: float | Row = 1.0) -> list[list[float]]: ...
def softmax(x: Row | Rows, temperature: float | Row = 1.0) -> list[float] | list[list[float]]:
    """Probabilities ``exp(x_i / temperature) / sum_j exp(x_j / temperature)``.

    Parameters
    ----------
    x : list of float, or list of such rows
        Logits.
    temperature : float in [0, inf], or one per row
        0 shares the probability among the largest entries, infinity among all entries above -inf.

    Returns
    -------
    list of float, or list of such rows
        NaN throughout for a row that holds a NaN or nothing above -inf.

    Raises
    ------
    ValueError
        If a row is empty or a temperature is negative or NaN.

    Examples
    --------
    >>> [round(p, 8) for p in softmax([1.0, 2.0, 3.0], temperature=2.0)]
    [0.18632372, 0.30719589, 0.50648039]
    >>> softmax([[0.0, 5.0, 5.0], [0.0, float("inf"), 0.0]], temperature=[0.0, 1.0])
    [[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]
    """
    probs: list[float] | list[list[float]] = _each_row(_softmax_row, x, temperature)
    return probs


@overload
def log_softmax(x: Row, temperature: float = 1.0) -> list[float]: ...
@overload
def log_softmax(x: Rows, temperature: float | Row = 1.0) -> list[list[float]]: ...
def log_softmax(x: Row | Rows, temperature: float | Row = 1.0) -> list[float] | list[list[float]]:
    """Log-probabilities ``x_i / temperature - log sum_j exp(x_j / temperature)``.

    Parameters
    ----------
    x : list of float, or list of such rows
        Logits.
    temperature : float in [0, inf], or one per row

    Returns
    -------
    list of float, or list of such rows
        The logarithm of `softmax`, accurate near 0 as well.

    Raises
    ------
    ValueError
        If a row is empty or a temperature is negative or NaN.

    Examples
    --------
    >>> log_softmax([0.0, -40.0])
    [-4.248354255291589e-18, -40.0]
    """
    logprobs: list[float] | list[list[float]] = _each_row(_log_softmax_row, x, temperature)
    return logprobs


@overload
def logsumexp(x: Row, temperature: float = 1.0) -> float: ...
@overload
def logsumexp(x: Rows, temperature: float | Row = 1.0) -> list[float]: ...
def logsumexp(x: Row | Rows, temperature: float | Row = 1.0) -> float | list[float]:
    """``log sum_i exp(x_i / temperature)``.

    Parameters
    ----------
    x : list of float, or list of such rows
        Logits.
    temperature : float in [0, inf], or one per row

    Returns
    -------
    float, or list of float
        -inf for a row of -inf, +inf for a row that holds +inf, NaN for a row that holds a NaN.

    Raises
    ------
    ValueError
        If a row is empty or a temperature is negative or NaN.

    Examples
    --------
    >>> logsumexp([0.0, -40.0])
    4.248354255291589e-18
    """
    log_totals: float | list[float] = _each_row(_logsumexp_row, x, temperature)
    return log_totals


def sample(
    logits: Row | Rows,
    temperature: float | Row = 1.0,
    *,
    size: int | tuple[int, ...] | None = None,
    u: Any = None,
    rng: SupportsRandom | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from ``softmax(logits / temperature)``.

    The draw is the smallest index whose cumulative weight exceeds `u` times the total weight.

    Parameters
    ----------
    logits : list of float, or list of such rows
    temperature : float in [0, inf], or one per row
        0 takes the first of the largest entries.
    size : int or tuple of int, optional
        Shape of the draws made from each row; one draw, not in a list, unless given.
    u : float in [0, 1), or lists of them, optional
        The uniforms; broadcast to the shape of the result.
    rng : object with a ``random()`` method, optional
        Where the uniforms come from if `u` is not given: one for each draw, in order.
    mask : list of bool, or list of 32-bit words, or one such list per row, optional
        True, or a set bit (the least significant first), marks an entry that may be drawn.
    bias : list of float, or one such list per row, or {index: value}, optional
        Added to the logits.
    return_logprob : bool
        Return the log-probability of each draw as well.
    on_invalid : {"raise", "flag"}
        What a row that holds a NaN or nothing above -inf does: raise, or give index -1 and log-probability
        NaN.

    Returns
    -------
    int, or lists of int
        Of shape rows + `size`. With `return_logprob`, a pair: the indices and their log-probabilities.

    Raises
    ------
    ValueError
        If an argument is out of range, or for an invalid row, which it names.

    Examples
    --------
    >>> sample([0.0, 1.0, 2.0], u=0.5)
    2
    >>> sample([[0.0, 1.0], [1.0, 0.0]], temperature=[1.0, 0.0], u=[0.1, 0.9], return_logprob=True)
    ([0, 0], [-1.3132616875182228, 0.0])
    """
    if u is not None and rng is not None:
        raise ValueError("u and rng cannot both be given")
    sampler = Sampler(
        temperature, rng=rng, mask=mask, bias=bias, return_logprob=return_logprob, on_invalid=on_invalid
    )
    return sampler._draw(_logits_to_weights, logits, u, _as_shape(size))


def sample_probs(
    probs: Row | Rows,
    temperature: float | Row = 1.0,
    *,
    size: int | tuple[int, ...] | None = None,
    u: Any = None,
    rng: SupportsRandom | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index with probability proportional to ``probs_i ** (1 / temperature)``.

    The same as `sample` of ``log(probs)``; at temperature 1 without bias the weights are exactly `probs`.

    Parameters
    ----------
    probs : list of float, or list of such rows
        Finite, not negative, not all zero; they need not sum to 1.
    temperature, size, u, rng, mask, return_logprob, on_invalid
        As for `sample`.
    bias
        As for `sample`; added to ``log(probs)``.

    Returns
    -------
    int, or lists of int
        As for `sample`.

    Raises
    ------
    ValueError
        As for `sample`. A row is invalid if an entry is negative, NaN or infinite, or all are zero.

    Examples
    --------
    >>> [sample_probs([1, 0, 3], u=u) for u in (0.0, 0.2499, 0.25, 0.9999)]
    [0, 0, 2, 2]
    """
    if u is not None and rng is not None:
        raise ValueError("u and rng cannot both be given")
    sampler = Sampler(
        temperature, rng=rng, mask=mask, bias=bias, return_logprob=return_logprob, on_invalid=on_invalid
    )
    return sampler._draw(_probs_to_weights, probs, u, _as_shape(size))


class Sampler:
    """`sample` with its parameters held, for loops.

    Parameters
    ----------
    temperature : float, or one per row, or a function of the step
        A function is called with `step`, the number of draws already made.
    rng, mask, bias, return_logprob, on_invalid
        As for `sample`.

    Examples
    --------
    >>> sampler = Sampler(temperature=lambda step: 1.0 if step == 0 else 0.0)
    >>> sampler([0.0, 1.0], u=0.25), sampler([0.0, 1.0], u=0.25), sampler.step
    (0, 1, 2)
    """

    def __init__(
        self,
        temperature: float | Row | Callable[[int], float] = 1.0,
        *,
        rng: SupportsRandom | None = None,
        mask: Mask | None = None,
        bias: Bias | None = None,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        if on_invalid not in ("raise", "flag"):
            raise ValueError(f'on_invalid must be "raise" or "flag", not {on_invalid!r}')
        self.temperature = temperature
        self.step = 0
        # The system's generator has no state that a forked child could share.
        self._rng = random.SystemRandom() if rng is None else rng
        self._mask = mask
        self._bias = bias
        self._return_logprob = return_logprob
        self._on_invalid = on_invalid

    def __call__(self, logits: Row | Rows, u: Any = None) -> Any:
        """Draw from logits, as `sample` does, and count the step."""
        return self._draw(_logits_to_weights, logits, u)

    def sample_probs(self, probs: Row | Rows, u: Any = None) -> Any:
        """Draw from probabilities, as `sample_probs` does, and count the step."""
        return self._draw(_probs_to_weights, probs, u)

    def _draw(self, to_weights: _ToWeights, x: Row | Rows, u: Any, size: tuple[int, ...] = ()) -> Any:
        rows, is_one_row = _as_rows(x)
        n = len(rows[0])
        temperature = self.temperature(self.step) if callable(self.temperature) else self.temperature
        temperatures = _temperatures(temperature, len(rows))
        uniforms = self._uniforms(u, (*(() if is_one_row else (len(rows),)), *size))
        pairs = []
        for i, row in enumerate(rows):
            row_uniforms = uniforms if is_one_row else uniforms[i]
            row_mask, row_bias = _mask_row(self._mask, i, n), _bias_row(self._bias, i, n)
            try:
                weights, logprobs = to_weights(row, temperatures[i], row_mask, row_bias)
            except _InvalidRow as wrong:
                if self._on_invalid == "raise":
                    raise ValueError(f"row {i} is invalid: {wrong}") from None
                pairs.append(_map(lambda _: (-1, math.nan), row_uniforms))
            else:
                pairs.append(_map(partial(_draw_pair, weights, logprobs), row_uniforms))
        self.step += 1
        drawn = pairs[0] if is_one_row else pairs
        indices = _map(itemgetter(0), drawn)
        return (indices, _map(itemgetter(1), drawn)) if self._return_logprob else indices

    def _uniforms(self, u: Any, shape: tuple[int, ...]) -> Any:
        if u is None:
            return _map(lambda _: self._rng.random(), _broadcast(0.0, shape, "u"))
        return _map(_checked_uniform, _broadcast(u, shape, "u"))


def _softmax_row(x: Row, temperature: float) -> list[float]:
    if _whats_wrong(x):
        return [math.nan] * len(x)
    weights = _weights(*_limit_row(x, temperature))
    total = math.fsum(weights)
    return [w / total for w in weights]


def _log_softmax_row(x: Row, temperature: float) -> list[float]:
    if _whats_wrong(x):
        return [math.nan] * len(x)
    x, temperature = _limit_row(x, temperature)
    maximum, log_total = max(x), _log_total(x, temperature)
    return [math.fsum((*_exponent(v, maximum, temperature), -log_total)) for v in x]


def _logsumexp_row(x: Row, temperature: float) -> float:
    maximum = max(x)
    if any(map(math.isnan, x)):
        return math.nan
    if math.isinf(maximum):
        return maximum
    log_total = _log_total(*_limit_row(x, temperature))
    if temperature == math.inf:
        return log_total
    if temperature == 0:
        return log_total if maximum == 0 else math.copysign(math.inf, maximum)
    return math.fsum((*_exponent(maximum, 0.0, temperature), log_total))


def _limit_row(x: Row, temperature: float) -> tuple[Row, float]:
    """The ordinary row and temperature with the softmax that x has in the limit."""
    maximum = max(x)
    if temperature == math.inf:
        return [0.0 if v > -math.inf else -math.inf for v in x], 1.0
    if temperature == 0 or maximum == math.inf:
        return [0.0 if v == maximum else -math.inf for v in x], 1.0
    return x, temperature


def _exponent(v: float, maximum: float, temperature: float) -> tuple[float, float]:
    """``(v - maximum) / temperature`` as a float and what its rounding left out."""
    if v == -math.inf:
        return -math.inf, 0.0
    exact = (Fraction(v) - Fraction(maximum)) / Fraction(temperature)
    try:
        nearest = float(exact)
    except OverflowError:
        return (math.inf if exact > 0 else -math.inf), 0.0
    return nearest, float(exact - Fraction(nearest))


def _weights(x: Row, temperature: float) -> list[float]:
    """``exp((x_i - max x) / temperature)``."""
    maximum = max(x)
    exponents = [_exponent(v, maximum, temperature) for v in x]
    return [math.exp(nearest) * (1.0 + rest) for nearest, rest in exponents]


def _log_total(x: Row, temperature: float) -> float:
    """``log sum_i exp((x_i - max x) / temperature)``: one maximal entry is the 1 of log1p."""
    weights = _weights(x, temperature)
    del weights[x.index(max(x))]
    return math.log1p(math.fsum(weights))


def _whats_wrong(x: Row) -> str:
    """Why no distribution belongs to the logits x; empty if one does."""
    if any(map(math.isnan, x)):
        return "NaN"
    return "no entry above -inf" if max(x) == -math.inf else ""


def _logits_to_weights(
    x: Row, temperature: float, mask: Sequence[bool] | None, bias: Row | None
) -> tuple[Sequence[float], list[float]]:
    """The weights a draw from the logits x goes by, and the log-probabilities."""
    if bias is not None:
        x = [v + b for v, b in zip(x, bias, strict=True)]
    if mask is not None:
        x = [v if allowed else -math.inf for v, allowed in zip(x, mask, strict=True)]
    if wrong := _whats_wrong(x):
        raise _InvalidRow(wrong)
    if temperature == 0:
        first = x.index(max(x))
        x, temperature = [0.0 if i == first else -math.inf for i in range(len(x))], 1.0
    x, temperature = _limit_row(x, temperature)
    return _weights(x, temperature), _log_softmax_row(x, temperature)


def _probs_to_weights(
    p: Row, temperature: float, mask: Sequence[bool] | None, bias: Row | None
) -> tuple[Sequence[float], list[float]]:
    """The weights a draw from the probabilities p goes by, and the log-probabilities."""
    if mask is not None:
        p = [v if allowed else 0.0 for v, allowed in zip(p, mask, strict=True)]
    if any(map(math.isnan, p)):
        raise _InvalidRow("NaN")
    if min(p) < 0:
        raise _InvalidRow("a negative probability")
    if max(p) == math.inf:
        raise _InvalidRow("an infinite probability")
    if max(p) == 0:
        raise _InvalidRow("no probability above 0")
    logits = [math.log(v) if v > 0 else -math.inf for v in p]
    weights, logprobs = _logits_to_weights(logits, temperature, mask, bias)
    return (p if temperature == 1 and bias is None else weights), logprobs


def _draw_pair(weights: Sequence[float], logprobs: list[float], u: float) -> tuple[int, float]:
    """The smallest index whose cumulative weight exceeds u times the total, in exact arithmetic."""
    exact = [Fraction(w) for w in weights]
    threshold = Fraction(u) * sum(exact)
    index = next(i for i, cumulative in enumerate(accumulate(exact)) if cumulative > threshold)
    return index, logprobs[index]


def _checked_uniform(u: float) -> float:
    if not 0 <= u < 1:
        raise ValueError(f"u must lie in [0, 1), not {u}")
    return u


def _mask_row(mask: Mask | None, i: int, n: int) -> list[bool] | None:
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


def _bias_row(bias: Bias | None, i: int, n: int) -> list[float] | None:
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


def _each_row(of_row: Callable[[Row, float], Any], x: Row | Rows, temperature: float | Row) -> Any:
    rows, is_one_row = _as_rows(x)
    results = [of_row(row, t) for row, t in zip(rows, _temperatures(temperature, len(rows)), strict=True)]
    return results[0] if is_one_row else results


def _as_rows(x: Row | Rows) -> tuple[list[list[float]], bool]:
    """The rows of x, and whether x is itself one row."""
    nested: Any = x
    is_one_row = len(x) == 0 or not isinstance(x[0], Sequence)
    rows = [list(row) for row in ([nested] if is_one_row else nested)]
    if not all(rows):
        raise ValueError("a row must have at least one entry")
    return rows, is_one_row


def _temperatures(temperature: float | Row, rows: int) -> list[float]:
    temperatures: list[float] = _broadcast(temperature, (rows,), "temperature")
    for t in temperatures:
        if not t >= 0:
            raise ValueError(f"temperature must be 0 or above, not {t}")
    return temperatures


def _as_shape(size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if size is None:
        return ()
    return (size,) if isinstance(size, int) else tuple(size)


def _broadcast(value: Any, shape: tuple[int, ...], name: str) -> Any:
    """Nested lists of the given shape, by NumPy's rule of trailing dimensions."""
    depth, inner = 0, value
    while isinstance(inner, Sequence) and inner:
        depth, inner = depth + 1, inner[0]
    if depth > len(shape) or (depth == len(shape) > 0 and len(value) not in (1, shape[0])):
        raise ValueError(f"{name} does not broadcast to the shape {shape}")
    if not shape:
        return value
    parts = [value] * shape[0] if depth < len(shape) else list(value) * (shape[0] // len(value))
    return [_broadcast(part, shape[1:], name) for part in parts]


def _map(function: Callable[[Any], Any], nested: Any) -> Any:
    return [_map(function, part) for part in nested] if isinstance(nested, list) else function(nested)

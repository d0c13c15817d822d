"""softmax, log_softmax and logsumexp, and the exact exponents and weights they are made of."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import overload

from ._rows import Row, Rows, each_row, whats_wrong


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
    probs: list[float] | list[list[float]] = each_row(_softmax_row, x, temperature)
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
    logprobs: list[float] | list[list[float]] = each_row(log_softmax_row, x, temperature)
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
    log_totals: float | list[float] = each_row(_logsumexp_row, x, temperature)
    return log_totals


def _softmax_row(x: Row, temperature: float) -> list[float]:
    if whats_wrong(x):
        return [math.nan] * len(x)
    weights = _weights(*_limit_row(x, temperature))
    total = math.fsum(weights)
    return [w / total for w in weights]


def log_softmax_row(x: Row, temperature: float) -> list[float]:
    if whats_wrong(x):
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


def split(exact: Fraction) -> tuple[float, float]:
    """An exact exponent as a float and what its rounding left out."""
    try:
        nearest = float(exact)
    except OverflowError:
        return (math.inf if exact > 0 else -math.inf), 0.0
    return nearest, float(exact - Fraction(nearest))


def weight(exact: Fraction) -> float:
    """exp of an exact exponent."""
    nearest, rest = split(exact)
    return math.exp(nearest) * (1.0 + rest)


def _exponent(v: float, maximum: float, temperature: float) -> tuple[float, float]:
    """``(v - maximum) / temperature`` as a float and what its rounding left out."""
    if v == -math.inf:
        return -math.inf, 0.0
    return split((Fraction(v) - Fraction(maximum)) / Fraction(temperature))


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

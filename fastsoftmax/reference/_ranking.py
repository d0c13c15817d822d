"""top_logprobs and sample_without_replacement: the first k of an order."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from ._candidates import Candidates, candidates_of_logits, sorted_order
from ._rows import (
    Bias,
    InvalidRow,
    Mask,
    PerRow,
    Row,
    Rows,
    SupportsRandom,
    allowed_logits,
    as_int,
    as_rows,
    bias_row,
    broadcast,
    mask_row,
    not_both,
    temperatures,
    uniforms,
    whats_wrong,
)
from ._softmax import log_softmax_row


class TopLogprobs(NamedTuple):
    """The most likely entries: ``logprobs`` and ``indices``, and the ``rank`` of the chosen one."""

    logprobs: Any
    indices: Any
    rank: Any


def top_logprobs(
    logits: Row | Rows,
    k: int,
    temperature: PerRow = 1.0,
    *,
    chosen: int | list[int] | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
) -> TopLogprobs:
    """The k most likely entries with their log-probabilities.

    Parameters
    ----------
    logits : list of float, or list of such rows
    k : int, 1 <= k <= entries
    temperature : float in [0, inf], or one per row
    chosen : int, or one per row, optional
        An index whose rank is asked for.
    mask, bias
        As for `sample`.

    Returns
    -------
    TopLogprobs
        `logprobs`, those of `log_softmax`, and `indices`: the first k of the sorted order (value descending, index
        ascending), entries that are -inf included. `rank`: the place of `chosen` in that order, the first being
        1; None unless it is given.

    Raises
    ------
    ValueError
        If an argument is out of range, or a row holds a NaN or nothing above -inf.

    Examples
    --------
    >>> top_logprobs([0.0, 0.0, float("-inf"), 0.0], 2, chosen=3)
    TopLogprobs(logprobs=[-1.0986122886681096, -1.0986122886681096], indices=[0, 1], rank=3)
    """
    rows, is_one_row = as_rows(logits)
    row_temperatures = temperatures(temperature, len(rows))
    chosen_of_rows = broadcast(chosen, (len(rows),), "chosen")
    results = []
    for i, row in enumerate(rows):
        _check_k(k, len(row))
        x = allowed_logits(row, mask_row(mask, i, len(row)), bias_row(bias, i, len(row)))
        if wrong := whats_wrong(x):
            raise ValueError(f"row {i} is invalid: {wrong}")
        order = sorted_order(x)
        logprobs = log_softmax_row(x, row_temperatures[i])
        rank = None if chosen is None else _rank(order, chosen_of_rows[i])
        results.append(TopLogprobs([logprobs[j] for j in order[:k]], order[:k], rank))
    if is_one_row:
        return results[0]
    logprobs_of_rows, indices, ranks = (list(of_rows) for of_rows in zip(*results, strict=True))
    return TopLogprobs(logprobs_of_rows, indices, None if chosen is None else ranks)


def sample_without_replacement(
    logits: Row | Rows,
    k: int,
    temperature: PerRow = 1.0,
    *,
    u: Any = None,
    rng: SupportsRandom | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
) -> Any:
    """Draw k different indices, each from ``softmax(logits / temperature)`` without those drawn before it.

    They are the first k by descending ``x_i / temperature - log(-log(1 - u_i))`` (Gumbel top-k).

    Parameters
    ----------
    logits : list of float, or list of such rows
    k : int, 1 <= k <= entries
    temperature : float in [0, inf], or one per row
        0 takes the sorted order (value descending, index ascending).
    u : float in [0, 1), or lists of them, optional
        One uniform for each entry; broadcast to the shape of `logits`. 0 counts as 2**-54.
    rng : object with a ``random()`` method, optional
        Where the uniforms come from if `u` is not given: one for each entry, in order.
    mask, bias
        As for `sample`.

    Returns
    -------
    list of int, or list of such rows
        In the order they are drawn. Entries that are +inf come first.

    Raises
    ------
    ValueError
        If an argument is out of range, or a row holds a NaN or less than k entries above -inf.

    Examples
    --------
    >>> sample_without_replacement([0.0, 1.0, 2.0], 3, u=[0.5, 0.5, 0.5])
    [2, 1, 0]
    >>> sample_without_replacement([0.0, 1.0, 2.0], 2, u=[0.1, 0.5, 0.9])
    [0, 1]
    """
    not_both(u, rng)
    rows, is_one_row = as_rows(logits)
    row_temperatures = temperatures(temperature, len(rows))
    if len({len(row) for row in rows}) > 1:
        raise ValueError("the rows must have the same number of entries")
    n = len(rows[0])
    _check_k(k, n)
    given = uniforms(u, rng, (n,) if is_one_row else (len(rows), n))
    drawn = []
    for i, row in enumerate(rows):
        try:
            candidates = candidates_of_logits(row, mask_row(mask, i, n), bias_row(bias, i, n))
        except InvalidRow as wrong:
            raise ValueError(f"row {i} is invalid: {wrong}") from None
        if len(candidates) < k:
            raise ValueError(f"row {i} is invalid: {len(candidates)} entries above -inf, fewer than k = {k}")
        drawn.append(_by_race(candidates, row_temperatures[i], given if is_one_row else given[i])[:k])
    return drawn[0] if is_one_row else drawn


def _by_race(c: Candidates, temperature: float, u: Row) -> list[int]:
    """All indices in drawn order: ascending by the exponential time ``-log(1 - u_i)`` over the weight."""
    if temperature == 0:
        return c.indices
    head = c.at(temperature)
    finite = c.take(range(len(head), len(c)))
    keys = [e - _log_time(u[i]) for e, i in zip(head.exponents, head.indices, strict=True)]
    # sorted is stable, so that the lower index comes first.
    order = sorted(sorted(range(len(head)), key=head.indices.__getitem__), key=lambda j: -keys[j])
    drawn = [head.indices[j] for j in order]
    return drawn + (_by_race(finite, temperature, u) if len(finite) else [])


def _log_time(u: float) -> Fraction:
    return Fraction(math.log(-math.log1p(-(u or 2.0**-54))))


def _rank(order: list[int], chosen: int) -> int:
    if not 0 <= as_int(chosen, "chosen") < len(order):
        raise ValueError(f"chosen must be an index from 0 to {len(order) - 1}, not {chosen}")
    return order.index(chosen) + 1


def _check_k(k: int, n: int) -> None:
    if not 1 <= as_int(k, "k") <= n:
        raise ValueError(f"k must lie between 1 and the {n} entries of a row, not {k}")

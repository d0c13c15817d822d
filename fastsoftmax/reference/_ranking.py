"""top_logprobs and sample_without_replacement: the first k of an order."""

import math
from fractions import Fraction
from typing import NamedTuple

from ._candidates import Candidates, allowed, candidates_of, sorted_order
from ._softmax import Bias, Mask, Row, log_softmax


class TopLogprobs(NamedTuple):
    logprobs: list[float]
    indices: list[int]
    rank: int | None


def top_logprobs(
    x: Row, k: int, temperature: float = 1.0, *, chosen: int | None = None, mask: Mask = None, bias: Bias = None
) -> TopLogprobs:
    """The first k entries in the sorted order (value descending, index ascending), with their `log_softmax`.

    `rank` is the place of the index `chosen` in that order, from 1 on.

    Examples
    --------
    >>> top_logprobs([0.0, 0.0, float("-inf"), 0.0], 2, chosen=3)
    TopLogprobs(logprobs=[-1.0986122886681096, -1.0986122886681096], indices=[0, 1], rank=3)
    """
    x = allowed(x, mask, bias)
    candidates_of(x)  # raises if there is no distribution
    order, logprobs = sorted_order(x), log_softmax(x, temperature)
    rank = None if chosen is None else order.index(chosen) + 1
    return TopLogprobs([logprobs[i] for i in order[:k]], order[:k], rank)


def sample_without_replacement(
    x: Row, k: int, temperature: float = 1.0, *, u: Row, mask: Mask = None, bias: Bias = None
) -> list[int]:
    """Draw k different indices, each from ``softmax(x / temperature)`` without those drawn before it.

    They are the first k by descending ``x_i / temperature - log(-log(1 - u_i))`` (Gumbel top-k).

    There is one u in [0, 1) for each entry, and 0 counts as 2**-54. Entries that are +inf come first; at temperature 0
    it is the sorted order. Fewer than k entries above -inf raise a ValueError.

    Examples
    --------
    >>> sample_without_replacement([0.0, 1.0, 2.0], 2, u=[0.1, 0.5, 0.9])
    [0, 1]
    """
    c = candidates_of(allowed(x, mask, bias))
    if len(c) < k:
        raise ValueError(f"the row cannot be drawn from: it has {len(c)} entries above -inf, fewer than k = {k}")
    return by_keys(c, temperature, u)[:k]


def by_keys(c: Candidates, temperature: float, u: Row) -> list[int]:
    """All indices by descending keys, and by ascending index where keys are equal."""
    if temperature == 0:
        return c.indices
    likely = c.at(temperature)
    others = c.take(range(len(likely), len(c)))
    keys = {}
    for e, i in zip(likely.exponents, likely.indices, strict=True):
        keys[i] = e - Fraction(math.log(-math.log1p(-(u[i] or 2.0**-54))))
    return sorted(keys, key=lambda i: (-keys[i], i)) + (by_keys(others, temperature, u) if others.indices else [])

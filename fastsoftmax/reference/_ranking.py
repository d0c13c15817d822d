"""top_logprobs, the first k of an order, and sample_without_replacement, k draws one after another."""

import math
from typing import NamedTuple

from ._candidates import allowed, candidates_of, sorted_order
from ._draw import sample
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
    """Draw k different indices: each is `sample` of the row without those drawn before it, with its own u.

    There are k numbers u in [0, 1). Fewer than k entries above -inf raise a ValueError.

    Examples
    --------
    >>> sample_without_replacement([0.0, 1.0, 2.0], 2, u=[0.1, 0.5])
    [1, 2]
    """
    x = list(allowed(x, mask, bias))
    if (count := len(candidates_of(x))) < k:
        raise ValueError(f"the row cannot be drawn from: it has {count} entries above -inf, fewer than k = {k}")
    drawn: list[int] = []
    for _, one in zip(range(k), u, strict=True):
        drawn.append(sample(x, temperature, u=one))
        x[drawn[-1]] = -math.inf
    return drawn

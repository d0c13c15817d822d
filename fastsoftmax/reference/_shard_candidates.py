"""Filtered draws from a row in shards: from the best entries of each shard.

All results are those of the whole row, as long as its first filter keeps none but candidates; that is not checked here.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate
from typing import Any

from ._candidates import candidates_of, sorted_order
from ._draw import sample
from ._filters import Filters
from ._softmax import Row, weights_of

# Entries of a row by their number.
Candidates = dict[int, float]


def candidates(x: Row, k: int, *, offset: int) -> Candidates:
    """The first k of the sorted order of the shard x, whose first entry is number `offset` of the row.

    Examples
    --------
    >>> candidates([0.0, 2.0, 1.0, 2.0, 2.0], 2, offset=100)
    {101: 2.0, 103: 2.0}
    """
    return {offset + i: x[i] for i in sorted(sorted_order(x)[:k])}


def mass_of_shard(x: Row, candidates: Iterable[Candidates], temperature: float = 1.0) -> Fraction:
    """The weight of the shard x against the largest entry of the row, which is among the candidates.

    Examples
    --------
    >>> mass_of_shard([0.0, 0.0], [{0: 0.0}, {2: 0.0}])
    Fraction(2, 1)
    """
    largest = max(v for shard in candidates for v in shard.values())
    return sum(map(Fraction, weights_of(x, largest, temperature)), Fraction(0))


def sums_of_shard(x: Row) -> list[Fraction]:
    """The number of entries above -inf of the shard x, their sum, and the sum of their squares.

    Examples
    --------
    >>> sums_of_shard([1.0, 2.0, float("-inf")])
    [Fraction(2, 1), Fraction(3, 1), Fraction(5, 1)]
    """
    there = [Fraction(v) for v in x if v > -math.inf]
    return [sum((v**power for v in there), Fraction(0)) for power in (0, 1, 2)]


def sample_from_candidates(
    candidates: Iterable[Candidates], temperature: float = 1.0, *, u: float, mass: Fraction | None = None,
    sums: Row | None = None, return_logprob: bool = False, **filters: Any,
) -> Any:  # fmt: skip
    """`sample` with filters of the whole row, given the candidates of its shards in any order.

    Parameters
    ----------
    mass : Fraction, optional
        That of the whole row, the sum of `mass_of_shard` over its shards, where top_p is the first filter.
    sums : list of Fraction, optional
        Those of `sums_of_shard`, added up over the shards, where top_n_sigma is the first filter.
    **filters
        As for `truncate`; the first of them keeps none but candidates.

    Examples
    --------
    >>> shards = [{0: 3.0, 1: 1.0}, {2: 1.0, 3: 2.0}]
    >>> [sample_from_candidates(shards, top_k=2, u=u) for u in (0.0, 0.74)]
    [0, 3]
    """
    entries = {i: v for shard in candidates for i, v in shard.items()}
    x = [entries.get(i, -math.inf) for i in range(max(entries) + 1)]
    if mass is not None:
        f = Filters(**filters)
        c = candidates_of(x).at(1.0 if f.temperature_last else temperature)
        before = accumulate(c.weights, initial=Fraction(0))
        kept = c.first(max(sum(m < Fraction(f.top_p) * mass for m in before), f.min_tokens_to_keep)).indices
        x = [v if i in kept else -math.inf for i, v in enumerate(x)]
        filters = {**filters, "top_p": 1.0}
    if sums is not None:
        count, total, squares = map(Fraction, sums)
        bound = Fraction(filters.pop("top_n_sigma")) ** 2 * (squares / count - (total / count) ** 2)
        x = [v if v > -math.inf and (Fraction(max(x)) - Fraction(v)) ** 2 <= bound else -math.inf for v in x]
    return sample(x, temperature, u=u, return_logprob=return_logprob, **filters)

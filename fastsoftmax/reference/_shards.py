"""A row in shards: summarize each shard, combine the summaries, and finish every shard from the result.

A summary has the largest entry and the weight of each block of 1,024 entries. All results are those of the whole row.
The log-probability of a draw is that of `log_softmax_from_summary`, and 0 at temperature 0. Apply a mask or a bias to
each shard first.
"""

from collections.abc import Iterable
from fractions import Fraction

from ._candidates import inverse_cdf
from ._softmax import Row, Total, total_of, weights_of

BLOCK = 1024
# The total of each block, by the number of its first entry.
Summary = dict[int, Total]


def summarize(x: Row, temperature: float = 1.0, offset: int = 0) -> Summary:
    """The summary of the shard x, whose first entry is number `offset` of the row, a multiple of 1,024.

    Examples
    --------
    >>> summarize([0.0, -1.0, 0.0], temperature=0.0, offset=2048)
    {2048: Total(largest=0.0, weight=Fraction(2, 1), temperature=0.0)}
    """
    return {offset + i: total_of(x[i : i + BLOCK], temperature) for i in range(0, len(x), BLOCK)}


def combine(summaries: Iterable[Summary]) -> Summary:
    """The summary of several shards of a row, given in any order.

    Examples
    --------
    >>> list(combine([summarize([0.0] * 500, offset=1024), summarize([0.0] * 1024)]))
    [0, 1024]
    """
    return dict(sorted((start, block) for summary in summaries for start, block in summary.items()))


def softmax_from_summary(x: Row, summary: Summary) -> list[float]:
    """The shard x's part of the `softmax` of the whole row.

    Examples
    --------
    >>> softmax_from_summary([0.0], combine([summarize([0.0]), summarize([0.0], offset=1024)]))
    [0.5]
    """
    return whole(summary).softmax(x)


def log_softmax_from_summary(x: Row, summary: Summary) -> list[float]:
    """The shard x's part of the `log_softmax` of the whole row.

    Examples
    --------
    >>> log_softmax_from_summary([0.0, -40.0], summarize([0.0, -40.0]))
    [-4.248354255291589e-18, -40.0]
    """
    return whole(summary).log_softmax(x)


def logsumexp_from_summary(summary: Summary) -> float:
    """`logsumexp` of the whole row.

    Examples
    --------
    >>> logsumexp_from_summary(summarize([0.0, -40.0]))
    4.248354255291589e-18
    """
    return whole(summary).logsumexp()


def locate_draws(summary: Summary, *, u: float) -> int:
    """The number of the first entry of the block in which the draw from the whole row falls.

    Examples
    --------
    >>> locate_draws(summarize([0.0] * 4096), u=0.3)
    1024
    """
    if reason := whole(summary).why_invalid():
        raise ValueError(f"the row cannot be drawn from: {reason}")
    return list(summary)[inverse_cdf(block_weights(summary).values(), u if whole(summary).temperature else 0.0)]


def sample_from_summary(x: Row, summary: Summary, *, offset: int, u: float) -> int:
    """`sample` of the whole row if the draw falls in the shard x, which begins at entry `offset`; -1 if not.

    Examples
    --------
    >>> x = [0.0] * 2048
    >>> [sample_from_summary(x[i : i + 1024], summarize(x), offset=i, u=0.75) for i in (0, 1024)]
    [-1, 1536]
    """
    start = locate_draws(summary, u=u)
    if not offset <= start < offset + len(x):
        return -1
    weights, temperature = block_weights(summary), summary[start].temperature
    before = sum(w for first, w in weights.items() if first < start)
    # u as a share of the weight of this block
    inside = (Fraction(u) * sum(weights.values()) - before) / weights[start] if temperature else 0.0
    block = x[start - offset : start - offset + BLOCK]
    return start + inverse_cdf(map(Fraction, weights_of(block, max(block), temperature)), inside)


def block_weights(summary: Summary) -> dict[int, Fraction]:
    """The weight of each block against the largest entry of the row."""
    blocks = summary.values()
    scales = weights_of([b.largest for b in blocks], max(b.largest for b in blocks), next(iter(blocks)).temperature)
    return {start: Fraction(scale) * b.weight for (start, b), scale in zip(summary.items(), scales, strict=True)}


def whole(summary: Summary) -> Total:
    """The largest entry and the weight of the row."""
    total = total_of([b.largest for b in summary.values()], next(iter(summary.values())).temperature)
    return total if total.why_invalid() else total._replace(weight=sum(block_weights(summary).values(), Fraction(0)))

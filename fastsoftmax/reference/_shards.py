"""A row in shards: summarize each shard, combine the summaries, and finish every shard from the result.

A summary has the largest entry and the weight of each block of 1,024 entries, and the entries of the blocks that a cut
divides. All results are those of the whole row. The log-probability of a draw is that of `log_softmax_from_summary`,
and 0 at temperature 0. Apply a mask or a bias to each shard first.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from ._candidates import inverse_cdf
from ._softmax import Row, Total, total_of, weights_of

BLOCK = 1024


class Summary(NamedTuple):
    """The total of each block by the number of its first entry, and the entries of cut blocks by theirs."""

    temperature: float
    blocks: dict[int, Total]
    entries: dict[int, float]


def summarize(x: Row, temperature: float = 1.0, offset: int = 0) -> Summary:
    """The summary of the shard x, whose first entry is number `offset` of the row.

    Examples
    --------
    >>> summarize([0.0, -1.0], temperature=0.5, offset=2048)
    Summary(temperature=0.5, blocks={}, entries={2048: 0.0, 2049: -1.0})
    """
    starts = range(-(-offset // BLOCK) * BLOCK, offset + len(x) - BLOCK + 1, BLOCK)
    blocks = {start: total_of(x[start - offset : start - offset + BLOCK], temperature) for start in starts}
    cut = {offset + i: entry for i, entry in enumerate(x) if (offset + i) // BLOCK * BLOCK not in blocks}
    return Summary(temperature, blocks, cut)


def combine(summaries: Iterable[Summary]) -> Summary:
    """The summary of several shards of a row, given in any order.

    Examples
    --------
    >>> whole = combine([summarize([0.0] * 500, offset=1500), summarize([0.0] * 1500)])
    >>> list(whole.blocks), len(whole.entries)
    ([0], 976)
    """
    given = list(summaries)
    blocks = {start: total for part in given for start, total in part.blocks.items()}
    return Summary(given[0].temperature, blocks, {i: entry for part in given for i, entry in part.entries.items()})


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
    """Where the draw from the whole row falls: the first entry of its block, or, if that was cut, the drawn entry.

    Examples
    --------
    >>> locate_draws(summarize([0.0] * 4096), u=0.3)
    1024
    """
    if reason := whole(summary).why_invalid():
        raise ValueError(f"the row cannot be drawn from: {reason}")
    weights, temperature = block_weights(summary), summary.temperature
    start = list(weights)[inverse_cdf(weights.values(), u if temperature else 0.0)]
    return start if start in summary.blocks else draw_in_block(cut_block(summary, start), start, summary, u)


def sample_from_summary(x: Row, summary: Summary, *, offset: int, u: float) -> int:
    """`sample` of the whole row if the draw falls in the shard x, which begins at entry `offset`; -1 if not.

    Examples
    --------
    >>> x = [0.0] * 2048
    >>> [sample_from_summary(x[i : i + 1024], summarize(x), offset=i, u=0.75) for i in (0, 1024)]
    [-1, 1536]
    """
    at = locate_draws(summary, u=u)
    if not offset <= at < offset + len(x):
        return -1
    return draw_in_block(x[at - offset : at - offset + BLOCK], at, summary, u) if at in summary.blocks else at


def draw_in_block(block: Row, start: int, summary: Summary, u: float) -> int:
    """The entry of the draw, which falls in this block."""
    weights, temperature = block_weights(summary), summary.temperature
    before = sum(w for first, w in weights.items() if first < start)
    # u as a share of the weight of this block
    inside = (Fraction(u) * sum(weights.values()) - before) / weights[start] if temperature else 0.0
    return start + inverse_cdf(map(Fraction, weights_of(block, max(block), temperature)), inside)


def cut_block(summary: Summary, start: int) -> list[float]:
    """The entries of a block that was cut, or of the last, which may be shorter."""
    return [summary.entries[i] for i in range(start, start + BLOCK) if i in summary.entries]


def blocks_of(summary: Summary) -> dict[int, Total]:
    """The blocks of the whole row, in order."""
    starts = {i // BLOCK * BLOCK for i in summary.entries}
    cut = {start: total_of(cut_block(summary, start), summary.temperature) for start in starts}
    return dict(sorted((summary.blocks | cut).items()))


def block_weights(summary: Summary) -> dict[int, Fraction]:
    """The weight of each block against the largest entry of the row."""
    blocks = blocks_of(summary)
    largest = [b.largest for b in blocks.values()]
    scales = weights_of(largest, max(largest), summary.temperature)
    return {start: Fraction(scale) * b.weight for (start, b), scale in zip(blocks.items(), scales, strict=True)}


def whole(summary: Summary) -> Total:
    """The largest entry and the weight of the row."""
    total = total_of([b.largest for b in blocks_of(summary).values()], summary.temperature)
    return total if total.why_invalid() else total._replace(weight=sum(block_weights(summary).values(), Fraction(0)))

"""Rows in shards: what a shard leaves, what the shards make together, and each shard's part of the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from operator import itemgetter
from typing import Any

from ._blocks import (
    ALIGNMENT,
    Block,
    block_of,
    cumulative_of,
    draw_from,
    exponent_of,
    largest_of,
    log_total_of,
    logsumexp_of,
    whats_wrong_with,
)
from ._candidates import inverse_cdf
from ._drawing import check_on_invalid
from ._rows import (
    Bias,
    Mask,
    PerRow,
    Row,
    Rows,
    allowed_logits,
    as_rows,
    as_shape,
    bias_row,
    map_nested,
    mask_row,
    temperatures,
    uniforms,
)
from ._softmax import split, weight


@dataclass(frozen=True)
class Summary:
    """The blocks of each row, by the number of their first entry, and where each shard ends."""

    spans: tuple[tuple[int, int], ...]
    temperature: tuple[float, ...]
    is_one_row: bool
    blocks: tuple[dict[int, Block], ...]
    logsumexp: bool

    @property
    def offset(self) -> int:
        return self.spans[0][0]

    @property
    def entries(self) -> int:
        return sum(past - first for first, past in self.spans)


def summarize(
    logits_shard: Row | Rows,
    temperature: PerRow = 1.0,
    offset: int = 0,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    logsumexp: bool = True,
) -> Summary:
    """The largest entry of each block and ``sum exp((x_i - largest) / temperature)`` over the others.

    Parameters
    ----------
    logits_shard : list of float, or list of such rows
        Consecutive entries of the vocabulary.
    temperature : float in [0, inf], or one per row
    offset : int
        The number of the first of them, a multiple of 1,024.
    mask, bias
        As for `sample`, of the shard.
    logsumexp : bool
        Whether `logsumexp_from_summary` may be asked.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If the offset is no multiple of 1,024, or a temperature is out of range.

    Examples
    --------
    >>> whole = combine([summarize([0.0] * 1024, offset=1024), summarize([0.0] * 1024)])
    >>> logsumexp_from_summary(whole) == math.log(2048)
    True
    """
    if offset % ALIGNMENT:
        raise ValueError(f"offset must be a multiple of {ALIGNMENT}, not {offset}")
    _, is_one_row = as_rows(logits_shard)
    rows = _allowed(logits_shard, mask, bias)
    row_temperatures = temperatures(temperature, len(rows))
    starts = range(0, len(rows[0]), ALIGNMENT)
    blocks = [
        {offset + start: block_of(x[start : start + ALIGNMENT], t) for start in starts}
        for x, t in zip(rows, row_temperatures, strict=True)
    ]
    span = (offset, offset + len(rows[0]))
    return Summary((span,), tuple(row_temperatures), is_one_row, tuple(blocks), logsumexp)


def combine(summaries: Iterable[Summary], *, entries: int | None = None) -> Summary:
    """The blocks of all of them.

    Parameters
    ----------
    summaries : iterable of Summary
        Of the same rows and temperatures, in any order; no entry in two of them.
    entries : int, optional
        How many entries they must be together, without a gap.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If they do not belong together.

    Examples
    --------
    >>> combine([summarize([0.0] * 1024, offset=1024), summarize([0.0] * 1024)]).spans
    ((0, 2048),)
    """
    parts = list(summaries)
    if len({(part.temperature, part.is_one_row) for part in parts}) != 1:
        raise ValueError("summaries must be at least one, and of the same rows and temperatures")
    spans: list[tuple[int, int]] = []
    for first, past in sorted(span for part in parts for span in part.spans):
        if spans and first < spans[-1][1]:
            raise ValueError(f"entry {first} is in two summaries")
        if spans and spans[-1][1] % ALIGNMENT:
            raise ValueError(f"the shard that ends at {spans[-1][1]} is not the last")
        joins = bool(spans) and first == spans[-1][1]
        spans.append((spans.pop()[0], past) if joins else (first, past))
    if entries is not None and spans != [(0, entries)]:
        raise ValueError(f"the summaries do not cover {entries} entries")
    rows = range(len(parts[0].blocks))
    blocks = tuple({start: b for part in parts for start, b in part.blocks[i].items()} for i in rows)
    logsumexp = all(part.logsumexp for part in parts)
    return Summary(tuple(spans), parts[0].temperature, parts[0].is_one_row, blocks, logsumexp)


def softmax_from_summary(
    logits_shard: Row | Rows, summary: Summary, *, offset: int, mask: Mask | None = None, bias: Bias | None = None
) -> Any:
    """The shard's part of `softmax` of the whole rows.

    Parameters
    ----------
    logits_shard : list of float, or list of such rows
    summary : Summary
        Of the whole rows.
    offset : int
        The number of the shard's first entry.
    mask, bias
        As for `summarize`.

    Returns
    -------
    list of float, or list of such rows

    Raises
    ------
    ValueError
        If the summary has a gap.

    Examples
    --------
    >>> softmax_from_summary([0.0, 0.0], summarize([0.0, 0.0]), offset=0)
    [0.5, 0.5]
    """

    def prob_of(e: Fraction | None, total: float, _: float) -> float:
        return 0.0 if e is None else weight(e) / total

    return _each(_allowed(logits_shard, mask, bias), summary, offset, prob_of)


def log_softmax_from_summary(
    logits_shard: Row | Rows, summary: Summary, *, offset: int, mask: Mask | None = None, bias: Bias | None = None
) -> Any:
    """The shard's part of `log_softmax` of the whole rows.

    Parameters
    ----------
    logits_shard, summary, offset, mask, bias
        As for `softmax_from_summary`.

    Returns
    -------
    list of float, or list of such rows

    Raises
    ------
    ValueError
        If the summary has a gap.

    Examples
    --------
    >>> log_softmax_from_summary([0.0, -40.0], summarize([0.0, -40.0]), offset=0)
    [-4.248354255291589e-18, -40.0]
    """

    def log_of(e: Fraction | None, _: float, log_total: float) -> float:
        return -math.inf if e is None else math.fsum((*split(e), -log_total))

    return _each(_allowed(logits_shard, mask, bias), summary, offset, log_of)


def logsumexp_from_summary(summary: Summary) -> Any:
    """`logsumexp` of the whole rows.

    Parameters
    ----------
    summary : Summary

    Returns
    -------
    float, or list of float

    Raises
    ------
    ValueError
        If the summary has a gap.

    Examples
    --------
    >>> logsumexp_from_summary(summarize([0.0, -40.0]))
    4.248354255291589e-18
    """
    _check_whole(summary)
    if not summary.logsumexp:
        raise ValueError("a shard was summarised with logsumexp=False")
    results = [logsumexp_of(blocks, t) for blocks, t in zip(summary.blocks, summary.temperature, strict=True)]
    return results[0] if summary.is_one_row else results


def locate_draws(
    summary: Summary, *, u: Any, size: int | tuple[int, ...] | None = None, on_invalid: str = "raise"
) -> Any:
    """The first entry of the block in which each draw falls.

    Parameters
    ----------
    summary : Summary
    u : float in [0, 1), or lists of them
        Broadcast to the rows and `size`.
    size : int or tuple of int, optional
    on_invalid : {"raise", "flag"}
        Raise for a row that cannot be drawn from, or give -1.

    Returns
    -------
    int, or lists of int

    Raises
    ------
    ValueError
        If the summary has a gap, or for an invalid row.

    Examples
    --------
    >>> locate_draws(summarize([0.0] * 4096), u=[0.3, 0.99], size=2)
    [1024, 3072]
    """
    _check_whole(summary)
    check_on_invalid(on_invalid)
    shape = () if summary.is_one_row else (len(summary.blocks),)
    drawn_by = uniforms(u, None, (*shape, *as_shape(size)))
    results = []
    for i, (blocks, t) in enumerate(zip(summary.blocks, summary.temperature, strict=True)):
        if wrong := whats_wrong_with(blocks):
            if on_invalid == "raise":
                raise ValueError(f"row {i} is invalid: {wrong}")
            results.append(map_nested(lambda _: -1, drawn_by if summary.is_one_row else drawn_by[i]))
            continue
        starts, cumulative = cumulative_of(blocks, t)

        def start_of(
            v: float, starts: list[int] = starts, cumulative: list[Fraction] = cumulative, t: float = t
        ) -> int:
            return starts[inverse_cdf(cumulative, v if t else 0.0)]

        results.append(map_nested(start_of, drawn_by if summary.is_one_row else drawn_by[i]))
    return results[0] if summary.is_one_row else results


def sample_from_summary(
    logits_shard: Row | Rows,
    summary: Summary,
    *,
    offset: int,
    u: Any,
    size: int | tuple[int, ...] | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """The draws from the whole rows that fall in this shard, and -1 for the others.

    Parameters
    ----------
    logits_shard, summary, offset
        As for `softmax_from_summary`.
    u, size, on_invalid
        As for `locate_draws`.
    mask, bias
        As for `summarize`.
    return_logprob : bool
        Return the log-probabilities too, -inf for the others.

    Returns
    -------
    int, or lists of int
        With `return_logprob`, a pair.

    Raises
    ------
    ValueError
        As for `locate_draws`.

    Examples
    --------
    >>> x = [0.0] * 2048
    >>> [sample_from_summary(x[i : i + 1024], summarize(x), offset=i, u=0.75) for i in (0, 1024)]
    [-1, 1536]
    """
    rows = _allowed(logits_shard, mask, bias)
    located = locate_draws(summary, u=u, size=size, on_invalid=on_invalid)
    shape = () if summary.is_one_row else (len(rows),)
    drawn_by = uniforms(u, None, (*shape, *as_shape(size)))
    results = []
    for i, x in enumerate(rows):
        blocks, t = summary.blocks[i], summary.temperature[i]
        row_u, row_located = (drawn_by, located) if summary.is_one_row else (drawn_by[i], located[i])
        results.append(_map_two(partial(draw_from, x, offset, blocks, t), row_u, row_located))
    drawn = results[0] if summary.is_one_row else results
    index = map_nested(itemgetter(0), drawn)
    return (index, map_nested(itemgetter(1), drawn)) if return_logprob else index


def _map_two(function: Any, a: Any, b: Any) -> Any:
    if isinstance(a, list):
        return [_map_two(function, x, y) for x, y in zip(a, b, strict=True)]
    return function(a, b)


def _allowed(logits_shard: Row | Rows, mask: Mask | None, bias: Bias | None) -> list[Row]:
    """The rows of the shard after mask and bias."""
    rows, _ = as_rows(logits_shard)
    return [
        allowed_logits(row, mask_row(mask, i, len(row)), bias_row(bias, i, len(row))) for i, row in enumerate(rows)
    ]


def _each(
    rows: list[Row],
    summary: Summary,
    offset: int,
    of: Callable[[Fraction | None, float, float], float],
) -> Any:
    """A function of every entry's exponent against the largest, of the total weight, and of its logarithm."""
    _check_whole(summary)
    if offset % ALIGNMENT:
        raise ValueError(f"offset must be a multiple of {ALIGNMENT}, not {offset}")
    results = []
    for x, blocks, t in zip(rows, summary.blocks, summary.temperature, strict=True):
        if whats_wrong_with(blocks):
            results.append([math.nan] * len(x))
            continue
        largest, log_total = largest_of(blocks), log_total_of(blocks, t)
        total = float(cumulative_of(blocks, t)[1][-1])
        results.append([of(exponent_of(v, largest, t), total, log_total) for v in x])
    return results[0] if summary.is_one_row else results


def _check_whole(summary: Summary) -> None:
    if len(summary.spans) != 1 or summary.offset != 0:
        raise ValueError(f"the summary has a gap: it is of entries {summary.spans}")

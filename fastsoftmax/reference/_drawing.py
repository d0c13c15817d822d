"""One way of drawing an index from each row, for sample, sample_probs and Sampler."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

from ._candidates import Candidates, candidates_of_logits, candidates_of_probs
from ._filters import mirostat, survivors
from ._parameters import Filters, RowFilters, toss
from ._rows import (
    Bias,
    InvalidRow,
    Mask,
    PerRow,
    Row,
    Rows,
    SupportsRandom,
    as_rows,
    bias_row,
    broadcast,
    map_nested,
    mask_row,
    temperatures,
    uniforms,
)


def draw_rows(
    values: Row | Rows,
    of_probs: bool,
    temperature: PerRow,
    filters: Filters,
    *,
    mask: Mask | None,
    bias: Bias | None,
    u: Any,
    xtc_u: Any,
    rng: SupportsRandom | None,
    size: tuple[int, ...],
    on_invalid: str,
    mu: PerRow | None = None,
) -> tuple[Any, Any]:
    """The indices drawn, in the shape of the rows and size, and their log-probabilities."""
    check_on_invalid(on_invalid)
    rows, is_one_row = as_rows(values)
    shape = () if is_one_row else (len(rows),)
    row_temperatures = temperatures(temperature, len(rows))
    row_filters = toss(filters.of_rows(len(rows)), xtc_u, u, rng, shape)
    row_mus = [None] * len(rows) if mu is None else broadcast(mu, (len(rows),), "mirostat_mu")
    drawn_by = uniforms(u, rng, (*shape, *size))
    pairs = []
    for i, row in enumerate(rows):
        row_mask, row_bias = mask_row(mask, i, len(row)), bias_row(bias, i, len(row))
        row_uniforms = drawn_by if is_one_row else drawn_by[i]
        try:
            kept = _kept(row, of_probs, row_mask, row_bias, row_temperatures[i], row_filters[i], row_mus[i])
        except InvalidRow as wrong:
            if on_invalid == "raise":
                raise ValueError(f"row {i} is invalid: {wrong}") from None
            pairs.append(map_nested(lambda _: (-1, math.nan), row_uniforms))
        else:
            pairs.append(map_nested(kept.draw, row_uniforms))
    drawn = pairs[0] if is_one_row else pairs
    return map_nested(itemgetter(0), drawn), map_nested(itemgetter(1), drawn)


def check_on_invalid(on_invalid: str) -> None:
    if on_invalid not in ("raise", "flag"):
        raise ValueError(f'on_invalid must be "raise" or "flag", not {on_invalid!r}')


def _kept(
    row: Row,
    of_probs: bool,
    mask: list[bool] | None,
    bias: list[float] | None,
    temperature: float,
    filters: RowFilters,
    mu: float | None,
) -> Candidates:
    if of_probs:
        keep_numbers = temperature == 1 and bias is None and filters.dynatemp_range is None
        candidates = candidates_of_probs(row, mask, bias, keep_numbers)
    else:
        candidates = candidates_of_logits(row, mask, bias)
    kept, _ = survivors(candidates, temperature, filters)
    return kept if mu is None else mirostat(kept, mu)

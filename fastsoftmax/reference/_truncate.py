"""truncate: the kept set of each row."""

from __future__ import annotations

import math
from typing import Any

from ._candidates import candidates_of_logits
from ._filters import survivors
from ._parameters import Filters, RowFilters, toss
from ._rows import (
    Bias,
    Mask,
    PerRow,
    Row,
    Rows,
    SupportsRandom,
    allowed_logits,
    as_rows,
    bias_row,
    mask_row,
    temperatures,
    whats_wrong,
)


def truncate(
    logits: Row | Rows,
    temperature: PerRow = 1.0,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    top_k: int | list[int] | None = None,
    top_p: PerRow | None = None,
    min_p: PerRow | None = None,
    typical_p: PerRow | None = None,
    top_n_sigma: PerRow | None = None,
    epsilon_cutoff: PerRow | None = None,
    eta_cutoff: PerRow | None = None,
    xtc_threshold: PerRow | None = None,
    xtc_probability: PerRow | None = None,
    dynatemp_range: PerRow | None = None,
    dynatemp_exponent: PerRow = 1.0,
    min_tokens_to_keep: int | list[int] = 1,
    temperature_last: bool | list[bool] = False,
    xtc_u: Any = None,
    rng: SupportsRandom | None = None,
) -> Any:
    """Logits over temperature where `sample` may draw, -inf elsewhere.

    ``softmax(truncate(x, t, **filters))`` is the distribution that ``sample(x, t, **filters)`` draws from.

    Parameters
    ----------
    logits : list of float, or list of such rows
    temperature, mask, bias, top_k, ..., temperature_last
        As for `sample`.
    xtc_u : float in [0, 1), or one per row, optional
        XTC's coins.
    rng : object with a ``random()`` method, optional
        Where the coins come from if `xtc_u` is not given and XTC is on: one for each row, in order.

    Returns
    -------
    list of float, or list of such rows
        At temperature 0 and infinity, 0 where kept. Entries that are +inf stay so at a finite temperature, and
        are the only ones kept. NaN throughout for a row that holds a NaN; a row with nothing above -inf stays.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> truncate([1.0, 3.0, 2.0, 3.0], 0.5, top_k=2)
    [-inf, 6.0, -inf, 6.0]
    >>> truncate([[0.0, 0.0, 0.0, 0.0]] * 2, top_p=[0.5, 0.51])
    [[0.0, 0.0, -inf, -inf], [0.0, 0.0, 0.0, -inf]]
    """
    filters = Filters(
        top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p, top_n_sigma=top_n_sigma,
        epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
        xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
        min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last,
    )  # fmt: skip
    rows, is_one_row = as_rows(logits)
    row_temperatures = temperatures(temperature, len(rows))
    row_filters = toss(filters.of_rows(len(rows)), xtc_u, None, rng, () if is_one_row else (len(rows),))
    truncated = []
    for i, row in enumerate(rows):
        row_mask, row_bias = mask_row(mask, i, len(row)), bias_row(bias, i, len(row))
        truncated.append(_truncated(allowed_logits(row, row_mask, row_bias), row_temperatures[i], row_filters[i]))
    return truncated[0] if is_one_row else truncated


def _truncated(x: Row, temperature: float, filters: RowFilters) -> list[float]:
    if wrong := whats_wrong(x):
        return [math.nan if wrong == "NaN" else -math.inf] * len(x)
    kept, temperature = survivors(candidates_of_logits(x, None, None), temperature, filters)
    row = [-math.inf] * len(x)
    for index, v in zip(kept.indices, kept.x, strict=True):
        row[index] = 0.0 if temperature in (0, math.inf) else v / temperature
    return row

"""Whether the first filter of a row has all that it needs in the candidates of the shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._args.arrays import Array, temperature_rows
from .._args.filters import Filters
from .._args.steps import STEPS, checked_order
from .gathered import Gathered, worst_of
from .masses import kept_by_top_p
from .spread import kept_by_top_n_sigma

# The filters that do not decide by candidates, and what of the whole row they need.
_WHOLE_ROW = {
    "top_a": "the mass of all entries",
    "p_less": "the squares of all probabilities, whose sum is rounded in the order of the whole row",
    "typical_p": "the entropy, a sum that is rounded in the order of the whole row",
    "top_h": "the entropy of all entries",
    "epsilon_cutoff": "the mass of all entries",
    "eta_cutoff": "the entropy, a sum that is rounded in the order of the whole row",
    "xtc": "the mass of all entries",
}
_OFF = {"top_p": 1.0, "typical_p": 1.0, "top_h": 1.0}  # of the others 0


def check_first_filters(
    gathered: Gathered, t: Any, given: Mapping[str, Any] | None, filters: Filters | None, mass: Any, sums: Any
) -> dict[str, NDArray[np.int64]]:
    """Raise unless the first filter of every row decides by the candidates as it would by the whole row.

    The result has for top_p and top_n_sigma, where they are the first, the number of entries that they keep; -1 for
    other rows.
    """
    if given is not None and "keep" in given:
        raise ValueError("keep cannot be had from candidates: an index that it brings back may not be among them")
    if filters is None:
        raise ValueError(
            "no filter is on, so the draw is from the whole row: use sample_from_summary, or pass top_k, min_p or top_p"
        )
    if _is_top_k_first(gathered, given, filters):
        return {}
    rows, name_row = gathered.rows, gathered.rows.name_row
    record = filters.rows(rows).reshape(-1)
    t = temperature_rows(t, rows).reshape(-1)
    order = checked_order(given["order"]) if given is not None and "order" in given else STEPS[:-1]
    steps = [step for step in order if step != "temperature"]
    first = _first_steps(record, steps, gathered.entries)
    if "temperature" in order:
        before = first >= order.index("temperature")  # as many steps precede it in `order` as in `steps`
    else:
        before = record["temperature_last"] == 0
    of_all = before & ((record["dynatemp_range"] > 0) | ((record["smoothing_factor"] > 0) & (t > 0) & (t < np.inf)))
    if of_all.any():
        row = int(np.argmax(of_all))
        what = "dynatemp_range" if record["dynatemp_range"][row] > 0 else "smoothing_factor"
        raise ValueError(
            f"{what} needs the whole row where the temperature comes first ({name_row(row)}): pass "
            "temperature_last=True, so that it sees what the filters leave"
        )
    largest = gathered.flat_values.max(-1)
    # At temperature 0 the largest entry is drawn; NaN and rows without mass are found by the draw.
    open_rows = ~(before & (t == 0)) & (largest > -np.inf)
    for number, step in enumerate((*steps, "none")):
        wrong = open_rows & (first == number)
        if step in ("none", *_WHOLE_ROW) and wrong.any():
            row = int(np.argmax(wrong))
            if step == "none":
                raise ValueError(
                    f"no filter is on in {name_row(row)}, which is then drawn from as a whole; pass a top_k"
                )
            raise ValueError(f"{step} needs {_WHOLE_ROW[step]} ({name_row(row)}): put top_k or min_p before it")
    at = np.where(before, t, 1.0)
    least = record["min_tokens_to_keep"]
    by = {step: open_rows & (first == steps.index(step)) if step in steps else open_rows & False for step in _BY}
    _check_count(gathered, by["top_k"], np.maximum(record["top_k"], least), "top_k")
    alike = by["min_p"] & (at == np.inf)
    if alike.any():
        row = int(np.argmax(alike))
        raise ValueError(f"min_p keeps every entry at an infinite temperature ({name_row(row)}): put top_k before it")
    _check_count(gathered, by["min_p"], least, "min_tokens_to_keep")
    _check_min_p(gathered, by["min_p"], largest, at, record["min_p"])
    cut = {}
    for step in ("top_p", "top_n_sigma"):
        if not by[step].any():
            continue
        later = by[step] & _is_on(record, "top_k", gathered.entries)
        if later.any():
            raise ValueError(f"top_k comes after {step} in {name_row(int(np.argmax(later)))}: put top_k before it")
        if step == "top_p":
            changed = by[step] & ((record["dynatemp_range"] > 0) | (record["smoothing_factor"] > 0))
            if changed.any():  # rows of float32 and below are then computed in double
                raise ValueError(
                    "dynatemp_range and smoothing_factor do not go with top_p as the first filter "
                    f"({name_row(int(np.argmax(changed)))}): put top_k before top_p"
                )
            cut[step] = kept_by_top_p(gathered, by[step], largest, at, record[step], least, mass)
        else:
            _check_count(gathered, by[step], least, "min_tokens_to_keep")
            cut[step] = kept_by_top_n_sigma(gathered, by[step], largest, at, record[step], least, sums)
    return cut


_BY = ("top_k", "min_p", "top_p", "top_n_sigma")


def _is_top_k_first(gathered: Gathered, given: Mapping[str, Any] | None, filters: Filters) -> bool:
    """Whether it is seen at a glance that top_k decides first and by these candidates: the usual case, of numbers."""
    record = filters.record
    if record.ndim or given is None or "order" in given:
        return False
    k = int(record["top_k"])
    least = min(c.k for c in gathered.shards if c.k < c.entries)
    return (
        0 < k <= least and int(record["min_tokens_to_keep"]) <= least
        and not record["dynatemp_range"] and not record["smoothing_factor"]
    )  # fmt: skip


def _is_on(record: Array, step: str, entries: int) -> NDArray[np.bool_]:
    if step == "xtc":
        return np.asarray((record["xtc_probability"] > 0) & (record["xtc_threshold"] <= 0.5))
    if step == "top_k":
        return np.asarray((record["top_k"] > 0) & (record["top_k"] < entries))
    return np.asarray(record[step] != _OFF.get(step, 0))


def _first_steps(record: Array, steps: list[str], entries: int) -> NDArray[np.int64]:
    """The place of the first step that is on in each row; len(steps) where there is none."""
    first = np.full(record.shape, len(steps))
    for number in range(len(steps) - 1, -1, -1):
        first = np.where(_is_on(record, steps[number], entries), number, first)
    return first


def _check_count(gathered: Gathered, of_rows: NDArray[np.bool_], wanted: Array, what: str) -> None:
    """Raise where a shard has sent fewer entries than are wanted, and has more."""
    for c in gathered.shards:
        short = of_rows & (wanted > c.k)
        if c.k < c.entries and short.any():
            row = int(np.argmax(short))
            raise ValueError(
                f"{what} is {wanted[row]} in {gathered.rows.name_row(row)}, but the shard at offset {c.offset} has "
                f"sent its {c.k} best entries alone: pass candidates a k of at least {wanted[row]}"
            )


def _check_min_p(gathered: Gathered, of_rows: NDArray[np.bool_], largest: Array, at: Array, min_p: Array) -> None:
    """Raise where a shard may have entries that min_p keeps and that it has not sent."""
    if not of_rows.any():
        return
    with np.errstate(all="ignore"):
        below = at * np.log(min_p)
        # no more than rounding below the bound of the kernels: what is nearer is asked for again
        low = largest + below - 1e-12 * (np.abs(largest) + np.abs(below))
    for worst, c in worst_of(gathered):
        short = of_rows & np.where(largest == np.inf, worst == np.inf, worst >= low)
        if short.any():
            row = int(np.argmax(short))
            raise ValueError(
                f"min_p keeps all of the {c.k} entries that the shard at offset {c.offset} has sent of "
                f"{gathered.rows.name_row(row)}, and perhaps more: pass candidates a larger k, or put top_k before "
                "min_p"
            )

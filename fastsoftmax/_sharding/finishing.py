"""A shard finished from what is known of the whole rows: its probabilities, and the draws that fall in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Result, Rows, dtype_code, float_array, size_shape, uniform_rows
from .._sampling import check_on_invalid
from .summary import ALIGNMENT, DOUBLE_BLOCK, HAS_NAN, LOCATION, OK, Summary, check_whole, normaliser_of


def locations_of(summary: Summary, u: Any, size: Any, on_invalid: str, called: str = "summary") -> Array:
    """A LOCATION for each draw; `called`: what an error names as that which holds the rows."""
    check_summary(summary)
    check_on_invalid(on_invalid)
    trailing = size_shape(size)
    given = uniform_rows(u, summary.shape + trailing)
    normaliser = normaliser_of(summary)
    bad = normaliser["status"] != OK
    if on_invalid == "raise" and bad.any():
        row = int(np.argmax(bad))
        what = "holds NaN" if normaliser["status"].flat[row] == HAS_NAN else "has no entry above -inf that is allowed"
        name = Rows((*summary.shape, 1), -1, "summary").name_row(row)
        raise ValueError(f'{called}: {name} {what}; mend it, or pass on_invalid="flag" to get -1 for it')
    located = np.empty(given.shape, LOCATION)
    _core.locate_rows(
        dtype_code(summary.dtype), summary.temperature, summary._of, summary._wide, normaliser, math.prod(trailing),
        given, located,
    )  # fmt: skip
    return located


def resolve(
    a: Array,
    rows: Rows,
    offset: int,
    temperature: Array,
    beside: tuple[Any, bool, Any, Any],
    normaliser: Array,
    located: Array,
    return_logprob: bool,
    called: str = "logits_shard",
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """The draws of the shard from where they fall; `beside`: its mask and bias as rows."""
    index = np.empty(located.shape, np.int64)
    logprob = np.empty(located.shape, np.float64) if return_logprob else None
    count = math.prod(rows.shape)
    if located.size:
        changed = _core.resolve_rows(
            rows.split(a), dtype_code(a.dtype), offset, temperature, *beside, normaliser, located.size // count,
            located, index, logprob,
        )  # fmt: skip
        _check_unchanged(changed, rows, offset, called)
    return index, logprob


def finish(
    a: Array,
    rows: Rows,
    offset: int,
    temperature: Array,
    beside: tuple[Any, bool, Any, Any],
    normaliser: Array,
    block_max: Array | None,
    out: Any,
    log: bool,
    called: str = "logits_shard",
) -> Any:
    """The shard's part of softmax or log_softmax, from the normaliser of each row."""
    result = Result(a, out, rows)
    if a.size:
        changed = _core.finish_rows(
            rows.split(result.source), dtype_code(a.dtype), temperature, *beside, normaliser, block_max, result.parts,
            log,
        )  # fmt: skip
        _check_unchanged(changed, rows, offset, called)
    return result.finish()


def block_of(dtype: np.dtype[Any]) -> int:
    return DOUBLE_BLOCK if dtype == np.float64 else ALIGNMENT


def checked_offset(offset: Any) -> int:
    if isinstance(offset, bool | np.bool_) or not isinstance(offset, int | np.integer):
        raise TypeError(f"offset must be an int, got {offset!r}")
    first = int(offset)
    if first < 0 or first % ALIGNMENT:
        raise ValueError(f"offset must be a multiple of {ALIGNMENT}, got {first}: shards are cut between blocks")
    if first >= 2**62:
        raise ValueError(f"offset must be below 2**62, got {first}")
    return first


def check_summary(summary: Any) -> None:
    if not isinstance(summary, Summary):
        raise TypeError(f"summary must be a Summary, not {type(summary).__name__}")
    check_whole(summary)


def checked_shard(logits_shard: Any, summary: Any, offset: Any) -> tuple[Array, Rows, int]:
    """The shard as an array that belongs to the summary."""
    check_summary(summary)
    offset = checked_offset(offset)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    if a.dtype != summary.dtype:
        raise TypeError(f"logits_shard is of {a.dtype}, but the summary of {summary.dtype}")
    if rows.shape != summary.shape:
        raise ValueError(f"logits_shard has rows of shape {rows.shape}, but the summary {summary.shape}")
    past, end = offset + rows.entries, summary.spans[-1][1]
    if past > end:
        raise ValueError(f"logits_shard of entries {offset} to {past} reaches beyond the summary, which ends at {end}")
    if past % ALIGNMENT and past != end:
        raise ValueError(
            f"logits_shard of entries {offset} to {past} ends within a block: it must end at a multiple of {ALIGNMENT} "
            f"or at {end}, the end of the row"
        )
    return a, rows, offset


def _check_unchanged(changed: int, rows: Rows, offset: int, called: str) -> None:
    if changed >= 0:
        raise ValueError(
            f"{called}: {rows.name_row(changed)} does not hold what was summarised at offset {offset}; "
            "pass the same logits, mask and bias"
        )

"""The results of a shard, from its logits and the normaliser of the whole rows; and the checks of shard arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code, float_array, shown, size_shape, uniform_rows
from .._args.biases import bias_rows
from .._args.masks import mask_rows
from .._args.result import Result
from .._sampling import check_on_invalid
from .summary import ALIGNMENT, HAS_NAN, LOCATION, OK, Summary, check_whole, known_rows, normaliser_of

# A mask and a bias as rows: the first four arguments of the compiled functions after the temperature.
MaskAndBias = tuple[Array | None, bool, Array | None, NDArray[np.int64] | None]
NO_MASK_AND_BIAS: MaskAndBias = (None, False, None, None)


def mask_and_bias_rows(mask: Any, bias: Any, rows: Rows) -> MaskAndBias:
    return (*mask_rows(mask, rows), *bias_rows(bias, rows))


def locations_of(summary: Summary, u: Any, size: Any, on_invalid: str, name: str = "summary") -> Array:
    """A LOCATION for each draw; an error calls the argument with the rows `name`."""
    check_summary(summary)
    check_on_invalid(on_invalid)
    trailing = size_shape(size)
    given = uniform_rows(u, summary.shape + trailing)
    normaliser = normaliser_of(summary)
    bad = normaliser["status"] != OK
    if on_invalid == "raise" and bad.any():
        row = int(np.argmax(bad))
        what = "holds NaN" if normaliser["status"].flat[row] == HAS_NAN else "has no entry above -inf that is allowed"
        row_name = Rows((*summary.shape, 1), -1, name).name_row(row)
        raise ValueError(f'{name}: {row_name} {what}; fix it, or pass on_invalid="flag" to get -1 for it')
    located = np.empty(given.shape, LOCATION)
    _core.locate_rows(*known_rows(summary), normaliser, math.prod(trailing), given, located)
    return located


def resolve(
    a: Array,
    rows: Rows,
    offset: int,
    temperature: Array,
    mask_and_bias: MaskAndBias,
    normaliser: Array,
    located: Array,
    return_logprob: bool,
    name: str = "logits_shard",
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """The draws that fall in the shard: their indices, and log-probabilities if wanted."""
    index = np.empty(located.shape, np.int64)
    logprob = np.empty(located.shape, np.float64) if return_logprob else None
    count = math.prod(rows.shape)
    if located.size:
        changed = _core.resolve_rows(
            rows.split(a), dtype_code(a.dtype), offset, temperature, *mask_and_bias, normaliser, located.size // count,
            located, index, logprob,
        )  # fmt: skip
        _check_unchanged(changed, rows, offset, name)
    return index, logprob


def finish(
    a: Array,
    rows: Rows,
    offset: int,
    temperature: Array,
    mask_and_bias: MaskAndBias,
    normaliser: Array,
    block_max: Array | None,
    out: Any,
    log: bool,
    name: str = "logits_shard",
) -> Any:
    """The shard's part of softmax or log_softmax, from the normaliser of each row."""
    result = Result(a, out, rows)
    if a.size:
        changed = _core.finish_rows(
            rows.split(result.source), dtype_code(a.dtype), temperature, *mask_and_bias, normaliser, block_max,
            result.parts, log,
        )  # fmt: skip
        _check_unchanged(changed, rows, offset, name)
    return result.finish()


def checked_offset(offset: Any) -> int:
    if isinstance(offset, bool | np.bool_) or not isinstance(offset, int | np.integer):
        raise TypeError(f"offset must be an int, got {offset!r}")
    first = int(offset)
    if first < 0 or first % ALIGNMENT:
        raise ValueError(f"offset must be a multiple of {ALIGNMENT}, got {shown(first)}: cut the shards between blocks")
    if first >= 2**62:
        raise ValueError(f"offset must be below 2**62, got {shown(first)}")
    return first


def check_summary(summary: Any) -> None:
    if not isinstance(summary, Summary):
        raise TypeError(f"summary must be a Summary, not {type(summary).__name__}")
    check_whole(summary)


def checked_shard(logits_shard: Any, summary: Any, offset: Any) -> tuple[Array, Rows, int]:
    """The shard as an array, its rows and its offset; raises where it does not belong to the summary."""
    check_summary(summary)
    offset = checked_offset(offset)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    if a.dtype != summary.dtype:
        raise TypeError(f"logits_shard has dtype {a.dtype}, but the summary is of {summary.dtype}")
    if rows.shape != summary.shape:
        raise ValueError(f"logits_shard has rows of shape {rows.shape}, but the summary has {summary.shape}")
    past, end = offset + rows.entries, summary.spans[-1][1]
    if past > end:
        raise ValueError(f"logits_shard of entries {offset} to {past} reaches beyond the summary, which ends at {end}")
    if past % ALIGNMENT and past != end:
        raise ValueError(
            f"logits_shard of entries {offset} to {past} ends within a block: it must end at a multiple of {ALIGNMENT} "
            f"or at {end}, the end of the row"
        )
    return a, rows, offset


def _check_unchanged(changed: int, rows: Rows, offset: int, name: str) -> None:
    if changed >= 0:
        raise ValueError(
            f"{name}: {rows.name_row(changed)} does not hold what was summarised at offset {offset}; "
            "pass the same logits, mask and bias"
        )

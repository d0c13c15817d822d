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
from .._draws import check_on_invalid
from .summary import HAS_NAN, LOCATION, OK, Summary, as_summary, check_whole, normaliser_of

# Where a shard lies: the number of its first entry, and the entries of the whole row.
Place = tuple[int, int]
# A mask and a bias as rows: the first four arguments of the compiled functions after the temperature.
MaskAndBias = tuple[Array | None, bool, Array | None, NDArray[np.int64] | None]
NO_MASK_AND_BIAS: MaskAndBias = (None, False, None, None)


def mask_and_bias_rows(mask: Any, bias: Any, rows: Rows) -> MaskAndBias:
    return (*mask_rows(mask, rows), *bias_rows(bias, rows))


def locations_of(summary: Summary, u: Any, size: Any, on_invalid: str, name: str = "summary") -> Array:
    """A LOCATION for each draw; an error calls the argument with the rows `name`."""
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
    _core.locate_draws(summary, math.prod(trailing), given, located)
    return located


def resolve(
    a: Array,
    rows: Rows,
    place: Place,
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
            rows.split(a), dtype_code(a.dtype), place[0], place[1], temperature, *mask_and_bias, normaliser,
            located.size // count, located, index, logprob,
        )  # fmt: skip
        check_unchanged(changed, rows.shape, place[0], name)
    return index, logprob


def finish(
    a: Array,
    rows: Rows,
    place: Place,
    temperature: Array,
    mask_and_bias: MaskAndBias,
    normaliser: Array,
    cut_max: Array | None,
    block_max: Array | None,
    out: Any,
    log: bool,
    name: str = "logits_shard",
) -> Any:
    """The shard's part of softmax or log_softmax, from the normaliser of each row and the maxima of its cut blocks."""
    result = Result(a, out, rows)
    if a.size:
        changed = _core.finish_rows(
            rows.split(result.source), dtype_code(a.dtype), place[0], place[1], temperature, *mask_and_bias, normaliser,
            cut_max, block_max, result.parts, log,
        )  # fmt: skip
        check_unchanged(changed, rows.shape, place[0], name)
    return result.finish()


def checked_offset(offset: Any) -> int:
    if isinstance(offset, bool | np.bool_) or not isinstance(offset, int | np.integer):
        raise TypeError(f"offset must be an int, got {offset!r}")
    first = int(offset)
    if not 0 <= first < 2**60:
        raise ValueError(f"offset must be from 0 to 2**60 - 1, got {shown(first)}")
    return first


def whole_summary(summary: Any) -> Summary:
    """The argument `summary`, which is of whole rows."""
    made = as_summary(summary)
    check_whole(made)
    return made


def checked_shard(logits_shard: Any, summary: Summary, offset: Any) -> tuple[Array, Rows, Place]:
    """The shard as an array, its rows and its place; raises where it does not belong to the summary."""
    first = checked_offset(offset)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    if a.dtype != summary.dtype:
        raise TypeError(f"logits_shard has dtype {a.dtype}, but the summary is of {summary.dtype}")
    if rows.shape != summary.shape:
        raise ValueError(f"logits_shard has rows of shape {rows.shape}, but the summary has {summary.shape}")
    past, end = first + rows.entries, summary.spans[-1][1]
    if past > end:
        raise ValueError(f"logits_shard of entries {first} to {past} reaches beyond the summary, which ends at {end}")
    return a, rows, (first, end)


def check_cuts(summary: Summary, rows: Rows, place: Place, block: int) -> None:
    """Raise for a shard that begins or ends within a block of which the summary has no entries: no draw from that block
    can be resolved."""
    first, end = place
    for cut in (first, first + rows.entries):
        start = cut // block * block
        if cut not in (start, end) and not any(piece[0] == start for piece in summary._pieces):
            raise ValueError(
                f"logits_shard of entries {first} to {first + rows.entries} is cut within entries {start} to "
                f"{min(start + block, end)}, where no summarised shard was: cut it where these were, or at multiples "
                f"of {block}"
            )


def check_unchanged(changed: int, shape: tuple[int, ...], offset: int, name: str = "logits_shard") -> None:
    """Raise for the first row of those of this shape, if there is one, whose entries are not those summarised."""
    if changed >= 0:
        raise ValueError(
            f"{name}: {Rows((*shape, 1), -1, name).name_row(changed)} does not hold what was summarised at offset "
            f"{offset}; pass the same logits, mask and bias"
        )

"""The functions that Dask workers call with one chunk, as NumPy arrays.

The entries of a chunk are its last axis.  A parameter of the rows has a last axis of length 1, and so has a result with
one value for each row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .. import _sampling, _softmax
from .._args.arrays import Array, Rows, float_array, temperature_rows
from .._args.keyed import COINS, DRAWS, keyed
from .._args.masks import bools_of
from .._sharding.api import logsumexp_from_summary, summarize_rows
from .._sharding.finishing import NO_MASK_AND_BIAS, Place, finish, locations_of, mask_and_bias_rows, resolve
from .._sharding.summary import LOCATION, NORMALISER, Summary, combine, normaliser_of

# For each row: what a chunk needs to resolve its draw, and the draw that it returns.
DRAW: Final = np.dtype([("normaliser", NORMALISER), ("location", LOCATION)])
DRAWN: Final = np.dtype([("index", "i8"), ("logprob", "f8")])


def _rows_of(value: Any) -> Any:
    """A parameter of the rows without its last axis."""
    return value[..., 0] if getattr(value, "ndim", 0) else value


def _first_row(block_info: Any) -> tuple[int, ...]:
    """Where the rows of the chunk begin in the whole array."""
    return tuple(int(first) for first, _ in block_info[0]["array-location"][:-1])


def _row_numbers(first: tuple[int, ...], shape: tuple[int, ...], whole: tuple[int, ...]) -> NDArray[np.int64]:
    """The numbers of the rows of a chunk, in row-major order over all rows, whose shape is `whole`."""
    numbers = np.zeros(shape, np.int64)
    for axis, (start, length) in enumerate(zip(first, shape, strict=True)):
        along_axis = np.arange(start, start + length, dtype=np.int64) * math.prod(whole[axis + 1 :])
        numbers += along_axis.reshape((length,) + (1,) * (len(shape) - axis - 1))
    return numbers


def bools_of_chunk(mask: Array, block_info: Any = None) -> Array:
    """A mask of integers 0 and 1 as bool; an error says where in the whole array there is another."""
    bools = bools_of(mask)
    if bools is None:
        at = np.argwhere((mask != 0) & (mask != 1))[0]
        first = [start for start, _ in block_info[0]["array-location"]] if block_info else [0] * mask.ndim
        where = ", ".join(str(int(start + i)) for start, i in zip(first, at, strict=True))
        what = f"mask of {mask.dtype} must hold 0 and 1 (1: allowed) and nothing else"
        raise ValueError(f"{what}; it has {mask[tuple(at)]} at ({where})")
    return bools


def _where(first: tuple[int, ...]) -> str:
    """The end of an error that names a row: where the rows of the chunk begin."""
    if not any(first):
        return ""
    return f" (rows counted from row {first[0] if len(first) == 1 else first}, where this chunk begins)"


@contextmanager
def _rows_from(first: tuple[int, ...]) -> Iterator[None]:
    """Add to a ValueError where the rows of the chunk begin."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error}{_where(first)}") from None


def transform_rows(x: Array, temperature: Any, log: bool, block_info: Any = None) -> Any:
    with _rows_from(_first_row(block_info)):
        return (_softmax.log_softmax if log else _softmax.softmax)(x, _rows_of(temperature))


def logsumexp_rows(x: Array, temperature: Any, block_info: Any = None) -> Any:
    with _rows_from(_first_row(block_info)):
        return _softmax.logsumexp(x, _rows_of(temperature), keepdims=True)


def sample_rows(
    x: Array,
    mask: Array | None,
    bias: Array | None,
    *values: Any,
    names: tuple[str, ...],
    fixed: dict[str, Any],
    row_shape: tuple[int, ...],
    seed: int,
    step: int,
    on_invalid: str,
    return_logprob: bool,
    block_info: Any = None,
) -> Array:
    given = fixed | {name: _rows_of(value) for name, value in zip(names, values, strict=True)}
    first, shape = _first_row(block_info), x.shape[:-1]
    if "u" not in given:
        numbers = _row_numbers(first, shape, row_shape)
        given["u"] = keyed(seed, numbers, step, DRAWS)
        if "xtc_threshold" in given and "xtc_u" not in given:
            given["xtc_u"] = keyed(seed, numbers, step, COINS)
    drawn = np.empty(shape, DRAWN)
    with _rows_from(first):
        result = _sampling.sample(
            x, mask=mask, bias=bias, on_invalid=on_invalid, return_logprob=return_logprob, **given
        )
    drawn["index"], drawn["logprob"] = result if return_logprob else (result, np.nan)
    return drawn[..., None]


def summarize_block(
    x: Array,
    temperature: Any,
    mask: Array | None,
    bias: Array | None,
    logsumexp: bool,
    argument: str,
    block_info: Any = None,
) -> Summary:
    """argument: what errors call x; Dask has a use of its own for `name`."""
    offset = int(block_info[0]["array-location"][-1][0])
    with _rows_from(_first_row(block_info)):
        return summarize_rows(x, _rows_of(temperature), offset, mask, bias, logsumexp, argument)


def unchanged(part: Any, axis: Any, keepdims: bool) -> Any:
    return part


def combine_blocks(parts: Any, axis: Any, keepdims: bool) -> Summary:
    return combine(_flat(parts))


def _flat(parts: Any) -> Iterator[Summary]:
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    else:
        yield parts


def normaliser_block(whole: Summary) -> Array:
    return normaliser_of(whole)[..., None]


def logsumexp_block(whole: Summary) -> Array:
    return np.asarray(logsumexp_from_summary(whole))[..., None]


def finish_block(x: Array, temperature: Any, normaliser: Array, log: bool, block_info: Any = None) -> Any:
    norm = np.ascontiguousarray(normaliser[..., 0])
    with _rows_from(_first_row(block_info)):
        a, rows, t, place = _shard(x, "x", temperature, block_info)
        return finish(a, rows, place, t, NO_MASK_AND_BIAS, norm, None, None, None, log, "x")


def locate_block(
    whole: Summary,
    u: Any,
    row_shape: tuple[int, ...],
    seed: int,
    step: int,
    on_invalid: str,
    return_logprob: bool,
    block_info: Any = None,
) -> Array:
    first = _first_row(block_info)
    if u is None:
        u = keyed(seed, _row_numbers(first, whole.shape, row_shape), step, DRAWS)
    else:
        u = _rows_of(u)
    draws = np.empty(whole.shape, DRAW)
    with _rows_from(first):
        draws["location"] = locations_of(whole, u, None, on_invalid, "logits")
    draws["normaliser"] = normaliser_of(whole)
    return draws[..., None]


def resolve_block(
    x: Array,
    temperature: Any,
    draws: Array,
    mask: Array | None,
    bias: Array | None,
    return_logprob: bool,
    block_info: Any = None,
) -> Array:
    norm = np.ascontiguousarray(draws["normaliser"][..., 0])
    with _rows_from(_first_row(block_info)):
        a, rows, t, place = _shard(x, "logits", temperature, block_info)
        mask_and_bias = mask_and_bias_rows(mask, bias, rows)
        location = np.ascontiguousarray(draws["location"][..., 0]).reshape(rows.shape)
        index, logprob = resolve(a, rows, place, t, mask_and_bias, norm, location, return_logprob, "logits")
    drawn = np.empty(rows.shape, DRAWN)
    drawn["index"], drawn["logprob"] = index, np.nan if logprob is None else logprob
    return drawn[..., None]


def _shard(x: Array, name: str, temperature: Any, block_info: Any) -> tuple[Array, Rows, Array, Place]:
    a = float_array(x, name)
    rows = Rows(a.shape, -1, name)
    place = (int(block_info[0]["array-location"][-1][0]), int(block_info[0]["shape"][-1]))
    return a, rows, temperature_rows(_rows_of(temperature), rows), place

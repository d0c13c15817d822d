"""The functions that Dask workers call with one chunk, as NumPy arrays.

The entries of a chunk are its last axis; where the result has no such axis, Dask passes the chunk in a list of one (see
`_only`).  `place` is where the chunk lies in the whole array, a slice for each axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _sampling, _softmax
from .._args.arrays import Array, Rows, float_array, rows_begin_at, temperature_rows
from .._args.keyed import COINS, DRAWS, keyed
from .._args.masks import bools_of
from .._sharding.api import logsumexp_from_summary, summarize_rows
from .._sharding.best import candidates
from .._sharding.candidate_draws import sample_from_candidates
from .._sharding.candidates import Candidates
from .._sharding.finishing import NO_MASK_AND_BIAS, finish, locations_of, mask_and_bias_rows, resolve
from .._sharding.summary import LOCATION, NORMALISER, Summary, combine, cut_maxima_of, normaliser_of

if TYPE_CHECKING:
    from .._types import Method, OnInvalid

Place = tuple[slice, ...]

# A draw with its log-probability.
DRAWN: Final = np.dtype([("index", "i8"), ("logprob", "f8")])


# A block of any dtype and at any temperature begins at a multiple of this.
_LEAST_BLOCK = 512


class Factors(NamedTuple):
    """What chunks of some rows need to finish them.

    Attributes
    ----------
    normaliser : ndarray of NORMALISER
        Of each row.
    starts : ndarray of int64
        Where the blocks begin that a cut may divide, ascending.
    maxima : ndarray of float64, shape (..., len(starts))
        The maxima of these blocks in each row.
    """

    normaliser: Array
    starts: NDArray[np.int64]
    maxima: NDArray[np.float64]

    def cut_maxima(self, first: int, past: int) -> NDArray[np.float64] | None:
        """The maxima of the first and the last block of a chunk; None if neither is cut."""
        wanted = np.array([first, past - 1]) // _LEAST_BLOCK * _LEAST_BLOCK
        is_cut = np.isin(wanted, self.starts)
        if not is_cut.any():
            return None
        maxima = self.maxima[..., np.searchsorted(self.starts, wanted) * is_cut]
        return np.ascontiguousarray(maxima)


def draws_dtype(size: tuple[int, ...]) -> np.dtype[Any]:
    """For each row: what a chunk needs to resolve its draws."""
    return np.dtype([("normaliser", NORMALISER), ("location", LOCATION, size)])


def _first(place: Place) -> tuple[int, ...]:
    return tuple(int(of_axis.start) for of_axis in place)


def row_numbers(place: Place, whole: tuple[int, ...]) -> NDArray[np.int64]:
    """The numbers of the rows of a chunk, in row-major order over all rows, whose shape is `whole`."""
    shape = tuple(int(of_axis.stop - of_axis.start) for of_axis in place)
    numbers = np.zeros(shape, np.int64)
    for axis, (of_axis, length) in enumerate(zip(place, shape, strict=True)):
        along_axis = np.arange(of_axis.start, of_axis.stop, dtype=np.int64) * math.prod(whole[axis + 1 :])
        numbers += along_axis.reshape((length,) + (1,) * (len(shape) - axis - 1))
    return numbers


def keyed_draws(seed: int, keys: Array, step: int, size: tuple[int, ...]) -> NDArray[np.float64]:
    """The uniforms of the draws from each row: those of this step and the steps after it."""
    if not size:
        return keyed(seed, keys, step, DRAWS)
    steps = step + np.arange(math.prod(size), dtype=np.uint64).reshape(size)
    return keyed(seed, keys.reshape(keys.shape + (1,) * len(size)), steps, DRAWS)


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


def transform_rows(x: Array, temperature: Any, place: Place, log: bool) -> Any:
    with rows_begin_at(_first(place[:-1])):
        return (_softmax.log_softmax if log else _softmax.softmax)(x, temperature)


def logsumexp_rows(x: Array, temperature: Any, place: Place) -> Any:
    with rows_begin_at(_first(place)):
        return _softmax.logsumexp(x, temperature, keepdims=True)


def sample_rows(
    x: Array,
    mask: Array | None,
    bias: Array | None,
    place: Place,
    u: Any,
    keys: Any,
    *values: Any,
    names: tuple[str, ...],
    fixed: dict[str, Any],
    row_shape: tuple[int, ...],
    size: tuple[int, ...],
    seed: int,
    step: int,
    method: Method,
    on_invalid: OnInvalid,
    return_logprob: bool,
) -> Any:
    given = fixed | dict(zip(names, values, strict=True))
    if u is None:
        keys = row_numbers(place, row_shape) if keys is None else keys
    if method == "rejection":
        given |= {"seed": seed, "keys": keys, "step": step, "method": method}
    elif u is None:
        u = keyed_draws(seed, keys, step, size)
        if "xtc_threshold" in given and "xtc_u" not in given:
            given["xtc_u"] = keyed(seed, keys, step, COINS)
    with rows_begin_at(_first(place)):
        result: Any = _sampling.sample(
            x,
            u=u,
            size=size or None,
            mask=mask,
            bias=bias,
            on_invalid=on_invalid,
            return_logprob=return_logprob,
            **given,
        )
    return np.expand_dims(_drawn(*result) if return_logprob else np.asarray(result), x.ndim - 1)


def without_entries(result: Any, axis: int, field: str | None) -> Array:
    """One value for each row, or draw, or a field of it, without the axis of entries, which has length 1."""
    of_rows: Array = _only(result)
    return np.squeeze(of_rows if field is None else of_rows[field], axis)


def _only(parts: Any) -> Any:
    """A chunk that has come in a list of one for each axis that the result has not."""
    while isinstance(parts, list):
        (parts,) = parts
    return parts


def _drawn(index: Any, logprob: Any) -> Array:
    drawn = np.empty(np.shape(index), DRAWN)
    drawn["index"], drawn["logprob"] = index, logprob
    return drawn


def summarize_block(
    x: Array, temperature: Any, mask: Array | None, bias: Array | None, place: Place, logsumexp: bool, argument: str
) -> Summary:
    """argument: what errors call x; Dask has a use of its own for `name`."""
    *first, offset = _first(place)
    with rows_begin_at(tuple(first)):
        return summarize_rows(x, temperature, offset, mask, bias, logsumexp, argument)


def unchanged(part: Any, axis: Any, keepdims: bool) -> Any:
    return part


def combine_blocks(parts: Any, axis: Any, keepdims: bool) -> Summary:
    return combine(_flat(parts))


def factors_of_blocks(parts: Any, axis: Any, keepdims: bool) -> Factors:
    whole = combine(_flat(parts))
    starts = [start for first, past in whole._pieces for start in range(first, past, _LEAST_BLOCK)]
    maxima = np.empty((*whole.shape, len(starts)))
    for i, start in enumerate(starts):
        maxima[..., i] = cut_maxima_of(whole, start, 1)[..., 0]
    return Factors(normaliser_of(whole), np.array(starts, np.int64), maxima)


def logsumexp_of_blocks(parts: Any, axis: Any, keepdims: bool) -> Array:
    result = np.asarray(logsumexp_from_summary(combine(_flat(parts))))
    return result[..., None] if keepdims else result


def _flat(parts: Any) -> Iterator[Any]:
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    else:
        yield parts


def finish_block(x: Array, temperature: Any, factors: Factors, place: Place, length: int, log: bool) -> Any:
    with rows_begin_at(_first(place[:-1])):
        a, rows, t, offset = _shard(x, "x", temperature, place)
        cut_max = factors.cut_maxima(offset, offset + rows.entries)
        of_row = (offset, length)
        return finish(a, rows, of_row, t, NO_MASK_AND_BIAS, factors.normaliser, cut_max, None, None, log, "x")


def locate_block(
    whole: Summary,
    u: Any,
    keys: Any,
    place: Place,
    row_shape: tuple[int, ...],
    size: tuple[int, ...],
    seed: int,
    step: int,
    on_invalid: OnInvalid,
) -> Array:
    if u is None:
        u = keyed_draws(seed, row_numbers(place, row_shape) if keys is None else keys, step, size)
    draws = np.empty(whole.shape, draws_dtype(size))
    with rows_begin_at(_first(place)):
        draws["location"] = locations_of(whole, _only(u), size, on_invalid, "logits")
    draws["normaliser"] = normaliser_of(whole)
    return draws


def resolve_block(
    x: Array,
    temperature: Any,
    draws: Array,
    mask: Array | None,
    bias: Array | None,
    place: Place,
    length: int,
    return_logprob: bool,
) -> Array:
    """The draws that fall in this chunk, with an axis of entries, of length 1, after those of the rows."""
    with rows_begin_at(_first(place[:-1])):
        a, rows, t, offset = _shard(x, "logits", temperature, place)
        mask_and_bias = mask_and_bias_rows(mask, bias, rows)
        normaliser, location = (np.ascontiguousarray(draws[name]) for name in ("normaliser", "location"))
        # a row of one chunk of a 1-d array: ascontiguousarray gives at least one axis
        normaliser, location = normaliser.reshape(draws.shape), location.reshape(draws["location"].shape)
        index, logprob = resolve(
            a, rows, (offset, length), t, mask_and_bias, normaliser, location, return_logprob, "logits"
        )
    drawn: Array = index if logprob is None else _drawn(index, logprob)
    spread: Array = np.expand_dims(drawn, len(rows.shape))
    return spread


def candidates_block(x: Array, mask: Array | None, bias: Array | None, place: Place, k: int) -> tuple[Candidates, ...]:
    *first, offset = _first(place)
    with rows_begin_at(tuple(first)):
        return (candidates(x, k, offset=offset, mask=mask, bias=bias),)


def gathered_blocks(parts: Any, axis: Any, keepdims: bool) -> tuple[Candidates, ...]:
    return tuple(itertools.chain.from_iterable(_flat(parts)))


def draw_block(
    of_chunks: tuple[Candidates, ...],
    temperature: Any,
    u: Any,
    keys: Any,
    coins: Any,
    place: Place,
    row_shape: tuple[int, ...],
    size: tuple[int, ...],
    seed: int,
    step: int,
    filters: dict[str, Any],
    on_invalid: OnInvalid,
    return_logprob: bool,
) -> Array:
    """The filtered draws from rows, of whose chunks there are the candidates."""
    if u is None:
        keys = row_numbers(place, row_shape) if keys is None else keys
        u = keyed_draws(seed, keys, step, size)
        if coins is None and "xtc_threshold" in filters:
            coins = keyed(seed, keys, step, COINS)
    with rows_begin_at(_first(place)):
        try:
            result: Any = sample_from_candidates(
                of_chunks, temperature, u=u, size=size or None, xtc_u=coins, return_logprob=return_logprob,
                on_invalid=on_invalid, **filters,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(str(error).replace("candidates:", "logits:", 1)) from None
    return _drawn(*result) if return_logprob else np.asarray(result)


def largest_draws(parts: Any, axis: Any, keepdims: bool) -> Array:
    """Of the answers of all chunks the one that is an index; the others are -1, with a log-probability of -inf."""
    first, *others = _flat(parts)
    drawn: Array = first.copy()
    for other in others:
        for name in drawn.dtype.names or (...,):
            np.maximum(drawn[name], other[name], out=drawn[name])
    return drawn


def first_of_entries(parts: Any, axis: Any, keepdims: bool) -> Array:
    """The same, without the axis of entries."""
    drawn = largest_draws(parts, axis, keepdims)
    return drawn.reshape(drawn.shape[: axis[0]] + drawn.shape[axis[0] + 1 :])


def _shard(x: Array, name: str, temperature: Any, place: Place) -> tuple[Array, Rows, Array, int]:
    a = float_array(x, name)
    rows = Rows(a.shape, -1, name)
    return a, rows, temperature_rows(temperature, rows), int(place[-1].start)

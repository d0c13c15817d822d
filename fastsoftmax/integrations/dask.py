"""softmax, log_softmax, logsumexp and sample of Dask arrays: lazy, and the same bits as of NumPy arrays.

A row that lies in one chunk is computed there.  If the vocabulary is split into chunks, each chunk is summarised, the
summaries are combined in a tree, and the normalisers are sent back to the chunks: the logits are not moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np

try:
    import dask.array
except ImportError as error:
    raise ImportError('fastsoftmax.integrations.dask needs Dask: pip install "dask[array]"') from error

from .._args.arrays import size_shape
from .._args.filters import PARAMETERS, Filters, as_filters
from .._args.keyed import as_rejects, checked_word
from .._args.random import as_generator, uniforms
from .._core import as_flag
from .._draws import check_on_invalid
from .._sharding.summary import EXTREME
from . import _dask_chunks as chunks
from ._dask_rows import NOTHING, ChunkedRows, Labelled

if TYPE_CHECKING:
    from .._types import ArrayLike, Dask, DaskArray, IntArrayLike, Mask, Method, Number, OnInvalid, Rng, Size
    from .._types import Filters as FilterOptions

da: Any = dask.array

__all__ = ["log_softmax", "logsumexp", "sample", "softmax"]


def softmax(x: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1) -> Dask:
    """Softmax with temperature of a Dask array along one axis.

    Parameters
    ----------
    x : dask.array.Array
        Logits, chunked in any way; dtypes as in :func:`fastsoftmax.softmax`.
    temperature : float, array_like or dask.array.Array, default 1.0
        T, one number, or one for each row (broadcast to the shape of `x` without `axis`).
    axis : int, default -1
        The axis of the entries.

    Returns
    -------
    dask.array.Array
        With the shape, dtype and chunks of `x`, and the bits of :func:`fastsoftmax.softmax`, whatever the chunks.

    Raises
    ------
    TypeError
        For anything but a Dask array, data of other dtypes, or several axes.
    ValueError
        For chunks of unknown size, a negative or NaN temperature, or an empty axis; where the axis is cut into chunks,
        for a temperature below 2**-900 or above 2**900 that is neither 0 nor inf.

    Notes
    -----
    Nothing is computed here.  An error in numbers that are still to be computed is raised when they are.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastsoftmax
    >>> from fastsoftmax.integrations.dask import softmax
    >>> x = np.random.default_rng(0).normal(size=(4, 5000)).astype(np.float32)
    >>> p = softmax(da.from_array(x, chunks=(2, 1500)), 0.7)
    >>> p.chunks
    ((2, 2), (1500, 1500, 1500, 500))
    >>> bool((p.compute() == fastsoftmax.softmax(x, 0.7)).all())
    True
    """
    result: Dask = _transform(x, temperature, axis, False)
    return result


def log_softmax(x: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1) -> Dask:
    """Logarithm of the softmax of a Dask array along one axis.

    Parameters
    ----------
    x, temperature, axis
        As in :func:`softmax`.

    Returns
    -------
    dask.array.Array
        log p, with the bits of :func:`fastsoftmax.log_softmax`; shape, dtype and chunks as in :func:`softmax`.

    Raises
    ------
    TypeError, ValueError
        As in :func:`softmax`.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastsoftmax.integrations.dask import log_softmax
    >>> log_softmax(da.from_array([0.0, -40.0])).compute()
    array([-4.24835426e-18, -4.00000000e+01])
    """
    result: Dask = _transform(x, temperature, axis, True)
    return result


def logsumexp(
    x: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1, keepdims: bool = False
) -> Dask:
    """Logarithm of the sum of exp(x/T) of a Dask array along one axis.

    Parameters
    ----------
    x, temperature, axis
        As in :func:`softmax`.
    keepdims : bool, default False
        Keep the axis, with length 1.

    Returns
    -------
    dask.array.Array
        In the dtype of `x` and its shape without `axis`, with the bits of :func:`fastsoftmax.logsumexp`.

    Raises
    ------
    TypeError, ValueError
        As in :func:`softmax`.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastsoftmax.integrations.dask import logsumexp
    >>> print(logsumexp(da.zeros((2, 4096), chunks=(1, 1024))).compute())
    [8.31776617 8.31776617]
    """
    rows = ChunkedRows(x, axis, "x", temperature)
    keepdims = as_flag(keepdims, "keepdims") and rows.axis is not None
    if rows.is_split:
        parts = rows.combined(chunks.logsumexp_of_blocks, dtype=rows.dtype, logsumexp=True, keepdims=keepdims)
        result = parts.value
    else:
        result = rows.map(
            chunks.logsumexp_rows, rows.entries, rows.temperature, rows.places_of_rows, dtype=rows.dtype, entries=1
        )
        result = result if keepdims else rows.without_entries(result)
    whole: Dask = rows.restored(result) if keepdims else result
    return whole


# fmt: off
@overload
def sample(
    logits: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1, size: Size | None = None,
    u: ArrayLike | DaskArray | None = None, rng: Rng | None = None, seed: int | None = None,
    keys: IntArrayLike | DaskArray | None = None, step: int = 0, method: Method = "inversion",
    mask: Mask | DaskArray | None = None, bias: ArrayLike | DaskArray | Mapping[int, Number] | None = None,
    xtc_u: ArrayLike | DaskArray | None = None, return_logprob: Literal[False] = False,
    on_invalid: OnInvalid = "raise", **filters: Unpack[FilterOptions]
) -> Dask: ...
@overload
def sample(
    logits: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1, size: Size | None = None,
    u: ArrayLike | DaskArray | None = None, rng: Rng | None = None, seed: int | None = None,
    keys: IntArrayLike | DaskArray | None = None, step: int = 0, method: Method = "inversion",
    mask: Mask | DaskArray | None = None, bias: ArrayLike | DaskArray | Mapping[int, Number] | None = None,
    xtc_u: ArrayLike | DaskArray | None = None, return_logprob: Literal[True],
    on_invalid: OnInvalid = "raise", **filters: Unpack[FilterOptions]
) -> tuple[Dask, Dask]: ...
@overload
def sample(
    logits: Dask, temperature: ArrayLike | DaskArray = 1.0, *, axis: int = -1, size: Size | None = None,
    u: ArrayLike | DaskArray | None = None, rng: Rng | None = None, seed: int | None = None,
    keys: IntArrayLike | DaskArray | None = None, step: int = 0, method: Method = "inversion",
    mask: Mask | DaskArray | None = None, bias: ArrayLike | DaskArray | Mapping[int, Number] | None = None,
    xtc_u: ArrayLike | DaskArray | None = None, return_logprob: bool,
    on_invalid: OnInvalid = "raise", **filters: Unpack[FilterOptions]
) -> Dask | tuple[Dask, Dask]: ...
# fmt: on
def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: int = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
    seed: int | None = None,
    keys: Any = None,
    step: int = 0,
    method: str = "inversion",
    mask: Any = None,
    bias: Any = None,
    xtc_u: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
    **filters: Any,
) -> Any:
    """Draw an index from softmax(logits/T), for every row of a Dask array.

    Parameters
    ----------
    logits : dask.array.Array
        Chunked in any way.
    temperature, axis
        As in :func:`softmax`.
    size : int or tuple of int, optional
        The draws from each row: the shape of the result ends in `size`.
    u : array_like or dask.array.Array, optional
        The uniforms, in [0, 1), broadcast to the shape of the result.
    rng : int, SeedSequence, BitGenerator or Generator, optional
        Where the uniforms come from: those of :func:`fastsoftmax.sample`, taken now and held in memory, 8 bytes a draw.
    seed : int, optional
        Where the uniforms come from: row i, counted in row-major order over the whole array, gets
        ``fastsoftmax.keyed_uniforms(seed, i, step)``.  Without `u`, `rng` and `seed` a seed is taken from fresh
        entropy, now: computing the result again gives the same draws.
    keys : array_like or dask.array.Array of int, optional
        With `seed`: what stands for i, one for each row, such as the ids of requests.
    step : int, default 0
        Which uniform of each row; with `size`, draw j of a row (in row-major order) has that of step + j.
    method : {"inversion", "rejection"}, default "inversion"
        With `seed` and without `size`: as in :func:`fastsoftmax.sample`.  For "rejection" rows cut into chunks are put
        together first.
    mask : array_like or dask.array.Array, optional
        bool or integers 0 and 1, broadcast to the shape of `logits`: True and 1 are allowed.
    bias : array_like or dask.array.Array, optional
        Added to the logits; broadcast to their shape.
    xtc_u : array_like or dask.array.Array, optional
        The coins of XTC, one a row; needed where it is on and `u` is given.
    return_logprob : bool, default False
        Return the log-probabilities as well.
    on_invalid : {"raise", "flag"}, default "raise"
        As in :func:`fastsoftmax.sample`; raised when the rows are computed.
    **filters
        `top_k`, `top_p` and the other filters of :func:`fastsoftmax.sample`; one value, or one for each row.  After a
        `top_k` for all rows, the best k entries of each chunk decide, and only these travel.  Without it the filters
        look at whole rows: rows cut into chunks are put together first, so logits do travel.

    Returns
    -------
    dask.array.Array of int64
        The indices, in the shape of the rows and `size`.
    dask.array.Array of float64
        Only with `return_logprob`.

    Raises
    ------
    TypeError
        As in :func:`softmax`; for a mask of packed words, a bias given as a mapping, or a filter of another name.
    ValueError
        As in :func:`softmax`; more than one of `u`, `rng` and `seed`; u outside [0, 1); `keys` without `seed`.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import fastsoftmax
    >>> from fastsoftmax.integrations.dask import sample
    >>> x = np.random.default_rng(0).normal(size=(6, 4096))
    >>> drawn = sample(da.from_array(x, chunks=(4, 1024)), 0.7, seed=1).compute()
    >>> u = fastsoftmax.keyed_uniforms(1, np.arange(6))
    >>> bool((drawn == fastsoftmax.sample(x, 0.7, u=u)).all())
    True

    Rows with keys of their own draw the same in every batch:

    >>> batch = sample(da.from_array(x[[5, 2]], chunks=(1, 2048)), 0.7, seed=1, keys=[5, 2]).compute()
    >>> bool((batch == drawn[[5, 2]]).all())
    True
    """
    sources = {"u": u, "seed": seed, "rng": rng}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are both given; pass one of u, seed and rng")
    if keys is not None and seed is None:
        raise ValueError("keys need a seed: pass seed=")
    rejects = as_rejects(method)
    if rejects and seed is None:
        raise ValueError("method needs a seed: pass seed=")
    if rejects and size is not None:
        raise ValueError('size cannot be given with method="rejection", which gives one draw for each row')
    check_on_invalid(on_invalid)
    return_logprob = as_flag(return_logprob, "return_logprob")
    trailing = size_shape(size)
    for name in filters:
        if name not in PARAMETERS:
            raise TypeError(f"sample() got an unexpected keyword argument {name!r}")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    seed, step = checked_word("seed", seed), checked_word("step", step)
    if step + math.prod(trailing) > 2**64:
        raise ValueError(f"step must be below 2**64 for each of the {math.prod(trailing)} draws, got {step}")
    filters = {name: value for name, value in filters.items() if value is not None}
    are_known = not any(isinstance(value, da.Array) for value in filters.values())
    checked = as_filters(filters) if are_known else None  # raises for a bad one, before anything is computed
    best = 0 if checked is None else _best_that_decide(checked, filters, temperature)
    best = 0 if rejects else best
    whole = rejects or (not best and (bool(filters) or xtc_u is not None)) or math.prod(trailing) == 0
    rows = ChunkedRows(logits, axis, "logits", temperature, whole)
    if rng is not None:
        if not are_known and xtc_u is None and "xtc_threshold" in filters:
            raise TypeError("rng cannot be given while XTC is a Dask array: pass u and xtc_u, or seed")
        generator = as_generator(rng)
        if xtc_u is None and checked is not None and checked.needs_coin:
            xtc_u = uniforms(generator, rows.shape)
        u = uniforms(generator, rows.shape + trailing)
    draws = NOTHING if u is None else rows.per_row(u, "u", trailing)
    stream: dict[str, Any] = {"row_shape": rows.shape, "size": trailing, "seed": seed, "step": step}
    of_keys = rows.keys(keys)
    mask_and_bias = rows.per_entry(mask, "mask"), rows.per_entry(bias, "bias")
    dtype: Any = chunks.DRAWN if return_logprob else np.dtype(np.int64)
    if rows.is_split and best:
        parts = rows.map(
            chunks.candidates_block, rows.entries, *mask_and_bias, rows.places, dtype=object, entries=1, k=best
        )
        gathered = rows.reduced(parts, chunks.gathered_blocks, chunks.gathered_blocks, object)
        coins = NOTHING if xtc_u is None else rows.per_row(xtc_u, "xtc_u")
        drawn = rows.map(
            chunks.draw_block, Labelled(gathered, rows.labels), rows.temperature, draws, of_keys, coins,
            rows.places_of_rows, dtype=dtype, draws=trailing, filters=filters, on_invalid=on_invalid,
            return_logprob=return_logprob, **stream,
        )  # fmt: skip
    elif rows.is_split:
        located = rows.map(
            chunks.locate_block, rows.combined(chunks.combine_blocks, *mask_and_bias), draws, of_keys,
            rows.places_of_rows, dtype=chunks.draws_dtype(trailing), on_invalid=on_invalid, **stream,
        )  # fmt: skip
        answers = rows.map(
            chunks.resolve_block, rows.entries, rows.temperature, Labelled(located, rows.labels), *mask_and_bias,
            rows.places, dtype=dtype, entries=1, draws=trailing, length=rows.rows.entries,
            return_logprob=return_logprob,
        )  # fmt: skip
        drawn = rows.reduced(answers, chunks.largest_draws, chunks.first_of_entries, dtype)
    else:
        fixed = {name: filters.pop(name) for name in ("order", "keep") if name in filters}  # the same for all rows
        if xtc_u is not None:
            filters["xtc_u"] = xtc_u
        of_rows = {name: rows.per_row(value, name) for name, value in filters.items()} | {
            "temperature": rows.temperature
        }
        drawn = rows.map(
            chunks.sample_rows, rows.entries, *mask_and_bias, rows.places_of_rows, draws, of_keys, *of_rows.values(),
            dtype=dtype, entries=1, draws=trailing, names=tuple(of_rows), fixed=fixed, on_invalid=on_invalid,
            return_logprob=return_logprob, method=method, **stream,
        )  # fmt: skip
        if return_logprob:
            return tuple(rows.without_entries(drawn, trailing, field) for field in ("index", "logprob"))
        return rows.without_entries(drawn, trailing)
    return (drawn["index"], drawn["logprob"]) if return_logprob else drawn


def _best_that_decide(checked: Filters, filters: Mapping[str, Any], temperature: Any) -> int:
    """How many entries of each chunk decide a draw, if its first filter is a top_k for all rows; 0: whole rows do."""
    record = checked.record
    if record.ndim or "order" in filters or "keep" in filters or isinstance(temperature, da.Array):
        return 0
    if not record["top_k"] or record["dynatemp_range"] or record["smoothing_factor"]:
        return 0
    t = np.asarray(temperature)
    if t.dtype.kind not in "fiu" or not ((t == 0) | (t == np.inf) | ((t >= 1 / EXTREME) & (t <= EXTREME))).all():
        return 0
    return max(int(record["top_k"]), int(record["min_tokens_to_keep"]))


def _transform(x: Any, temperature: Any, axis: Any, log: bool) -> Any:
    rows = ChunkedRows(x, axis, "x", temperature)
    entries = rows.chunks[-1]
    if rows.is_split:
        result = rows.map(
            chunks.finish_block, rows.entries, rows.temperature,
            rows.combined(chunks.factors_of_blocks), rows.places, dtype=rows.dtype, entries=entries,
            length=rows.rows.entries, log=log,
        )  # fmt: skip
    else:
        result = rows.map(
            chunks.transform_rows, rows.entries, rows.temperature, rows.places, dtype=rows.dtype, entries=entries,
            log=log,
        )  # fmt: skip
    return rows.restored(result)

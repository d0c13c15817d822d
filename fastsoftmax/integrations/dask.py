"""softmax, log_softmax, logsumexp and sample of Dask arrays: lazy, and the same bits as of NumPy arrays.

A row that lies in one chunk is computed there.  If the vocabulary is split into chunks, each chunk is summarised, the
summaries are combined in a tree, and the normalisers are sent back to the chunks: the logits are never moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np

try:
    import dask.array
except ImportError as error:
    raise ImportError('fastsoftmax.integrations.dask needs Dask: pip install "dask[array]"') from error

from .._args.arrays import Rows, float_array, temperature_rows, uniform_rows
from .._args.biases import are_biases_of_rows
from .._args.filters import PARAMETERS, as_filters
from .._args.keyed import checked_word
from .._sampling import check_on_invalid
from .._sharding.api import check_has_summary
from .._sharding.summary import NORMALISER
from . import _dask_chunks as chunks

da: Any = dask.array

__all__ = ["log_softmax", "logsumexp", "sample", "softmax"]


def softmax(x: Any, temperature: Any = 1.0, *, axis: int = -1) -> Any:
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
        With the shape, dtype and chunks of `x`; if `axis` has several chunks, their bounds are moved to multiples of
        1,024.  The bits are those of :func:`fastsoftmax.softmax`, whatever the chunks.

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
    ((2, 2), (1024, 2048, 1024, 904))
    >>> bool((p.compute() == fastsoftmax.softmax(x, 0.7)).all())
    True
    """
    return _transform(x, temperature, axis, False)


def log_softmax(x: Any, temperature: Any = 1.0, *, axis: int = -1) -> Any:
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
    return _transform(x, temperature, axis, True)


def logsumexp(x: Any, temperature: Any = 1.0, *, axis: int = -1, keepdims: bool = False) -> Any:
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
    rows = _Chunked(x, axis, "x", temperature)
    if rows.is_split:
        result = rows.map(chunks.logsumexp_block, rows.summary(logsumexp=True), dtype=rows.dtype, entries=1)
    else:
        result = rows.map(chunks.logsumexp_rows, rows.entries, rows.temperature, dtype=rows.dtype, entries=1)
    return rows.restored(result) if keepdims and rows.axis is not None else result[..., 0]


def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: int = -1,
    u: Any = None,
    seed: int | None = None,
    step: int = 0,
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
    u : array_like or dask.array.Array, optional
        The uniforms, in [0, 1), broadcast to the rows.
    seed : int, optional
        Where the uniforms come from if `u` is not given: row i, counted in row-major order over the whole array, gets
        ``fastsoftmax.keyed_uniforms(seed, i, step)``.  None takes a seed from fresh entropy, now: computing the result
        again gives the same draws.
    step : int, default 0
        Which uniform of each row.
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
        `top_k`, `top_p` and the other filters of :func:`fastsoftmax.sample`; one value, or one for each row.  They look
        at whole rows: rows cut into chunks are put together first, so logits do travel.

    Returns
    -------
    dask.array.Array of int64
        The indices, in the shape of the rows.
    dask.array.Array of float64
        Only with `return_logprob`.

    Raises
    ------
    TypeError
        As in :func:`softmax`; for a mask of packed words, a bias given as a mapping, or a filter of another name.
    ValueError
        As in :func:`softmax`; `u` together with `seed`; u outside [0, 1).

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
    """
    if u is not None and seed is not None:
        raise ValueError("u and seed are both given; pass either the uniforms or a seed")
    check_on_invalid(on_invalid)
    for name in filters:
        if name not in PARAMETERS:
            raise TypeError(f"sample() got an unexpected keyword argument {name!r}")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    seed, step = checked_word("seed", seed), checked_word("step", step)
    filters = {name: value for name, value in filters.items() if value is not None}
    if not any(isinstance(value, da.Array) for value in filters.values()):
        as_filters(filters)  # raises for a bad one, before anything is computed
    rows = _Chunked(logits, axis, "logits", temperature, whole=bool(filters) or xtc_u is not None)
    static = {"seed": seed, "step": step, "on_invalid": on_invalid, "return_logprob": bool(return_logprob)}
    arrays = {"temperature": rows.temperature}
    fixed = {name: filters.pop(name) for name in ("order", "keep") if name in filters}  # the same for all rows
    given = {"u": u, "xtc_u": xtc_u, **filters}
    for name, value in given.items():
        if value is not None:
            arrays[name] = rows.per_row(value, name)
    for name, value in {"mask": mask, "bias": bias}.items():
        if value is not None:
            arrays[name] = rows.per_entry(value, name)
    mask_and_bias = [arrays.pop(name, None) for name in ("mask", "bias")]
    if rows.is_split:
        whole = rows.summary(*mask_and_bias)
        draws = rows.map(
            chunks.locate_block, whole, arrays.get("u"), dtype=chunks.DRAW, entries=1, row_shape=rows.shape, **static
        )
        drawn = rows.map(
            chunks.resolve_block, rows.entries, rows.temperature, draws, *mask_and_bias, dtype=chunks.DRAWN, entries=1,
            return_logprob=static["return_logprob"],
        )  # fmt: skip
        index, logprob = _largest(drawn["index"], -1), _largest(drawn["logprob"], -np.inf)
    else:
        drawn = rows.map(
            chunks.sample_rows, rows.entries, *mask_and_bias, *arrays.values(), dtype=chunks.DRAWN, entries=1,
            names=tuple(arrays), fixed=fixed, row_shape=rows.shape, **static,
        )[..., 0]  # fmt: skip
        index, logprob = drawn["index"], drawn["logprob"]
    return (index, logprob) if return_logprob else index


def _largest(answers: Any, least: Any) -> Any:
    """The maximum of the answers of the chunks of a row; there may be chunks without rows."""
    largest = partial(np.max, initial=least)
    meta = np.empty((0,) * (answers.ndim - 1), answers.dtype)
    return da.reduction(answers, largest, largest, axis=-1, dtype=answers.dtype, meta=meta)


def _transform(x: Any, temperature: Any, axis: int, log: bool) -> Any:
    rows = _Chunked(x, axis, "x", temperature)
    if rows.is_split:
        normaliser = rows.map(chunks.normaliser_block, rows.summary(), dtype=NORMALISER, entries=1)
        result = rows.map(chunks.finish_block, rows.entries, rows.temperature, normaliser, dtype=rows.dtype, log=log)
    else:
        result = rows.map(chunks.transform_rows, rows.entries, rows.temperature, dtype=rows.dtype, log=log)
    return rows.restored(result)


class _Chunked:
    """A Dask array as rows: the entries last, in chunks that can be shards, and parameters in the same chunks."""

    def __init__(self, x: Any, axis: Any, name: str, temperature: Any, whole: bool = False) -> None:
        if not isinstance(x, da.Array):
            raise TypeError(
                f"{name} must be a Dask array, not {type(x).__name__}; pass dask.array.from_array({name}), or call "
                "the function of fastsoftmax itself"
            )
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise TypeError(f"axis must be one int for a Dask array, got {axis!r}; reshape several axes into one")
        _check_known(x, name)
        self.name = name
        self.dtype = float_array(np.empty(0, x.dtype), name).dtype
        self.rows = Rows(x.shape, int(axis), name)
        self.axis: int | None = self.rows.axes[0] if x.ndim else None
        self.shape = self.rows.shape
        entries = self._entries_last(x) if x.ndim else x.reshape(1)
        if whole or math.prod(self.shape) == 0:
            entries = entries.rechunk({-1: -1})
        self.entries = entries.rechunk({-1: _between_blocks(entries.chunks[-1])})
        self.is_split = self.entries.numblocks[-1] > 1
        if not isinstance(temperature, da.Array):
            temperature = np.asarray(temperature_rows(temperature, self.rows))
            if self.is_split:
                check_has_summary(temperature, self.rows)
            if temperature.size and (temperature == temperature.flat[0]).all():
                temperature = temperature.flat[0]
        self.temperature = self.per_row(temperature, "temperature")

    def per_row(self, value: Any, name: str) -> Any:
        """A parameter of the rows: a number, or a Dask array in their chunks with a last axis of length 1."""
        _check_known(value, name)
        if not isinstance(value, da.Array):
            if name in ("u", "xtc_u"):
                uniform_rows(value, self.shape, name)
            value = np.asarray(value)
            if value.ndim == 0:
                return value[()]
        spread = self._spread(value, self.shape, name)
        return self._in_chunks(spread)[..., None]

    def per_entry(self, value: Any, name: str) -> Any:
        """A parameter of the entries: a Dask array that broadcasts to them."""
        _check_known(value, name)
        if not isinstance(value, da.Array):
            if isinstance(value, Mapping) or (name == "bias" and are_biases_of_rows(value)):
                raise TypeError(f"{name} must be an array for a Dask array, not a {type(value).__name__} of mappings")
            value = np.asarray(value)
        if name == "mask" and value.dtype != np.bool_:
            if value.dtype.kind not in "iu":
                raise TypeError(f"mask must be bool or integers 0 and 1 for a Dask array, not {value.dtype}")
            if isinstance(value, da.Array):
                value = value.map_blocks(chunks.bools_of_chunk, meta=np.empty((0,) * value.ndim, np.bool_))
            else:
                value = chunks.bools_of_chunk(value)
        full = self.rows.array_shape or (1,)
        return self._in_chunks(self._entries_last(self._spread(value, full, name)))

    def _entries_last(self, a: Any) -> Any:
        return a if self.axis in (None, a.ndim - 1) else da.moveaxis(a, self.axis, -1)

    def _spread(self, value: Any, shape: tuple[int, ...], name: str) -> Any:
        """`value` with as many axes as `shape`, those of length 1 as they are; as a Dask array."""
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{name} of shape {value.shape} does not broadcast to the shape {shape}")
        value = value if isinstance(value, da.Array) else da.from_array(value, chunks=-1)
        return value.reshape((1,) * (len(shape) - value.ndim) + value.shape)

    def _in_chunks(self, spread: Any) -> Any:
        """Rechunk like the entries, except axes of length 1."""
        sizes = [size if n > 1 else -1 for size, n in zip(self.entries.chunks, spread.shape, strict=False)]
        return spread.rechunk(dict(enumerate(sizes)))

    def map(self, function: Any, *arguments: Any, dtype: Any, entries: int | None = None, **static: Any) -> Any:
        """Call the function for each chunk; `entries`: the length of the last axis of its result, if it is another."""
        count = next(a for a in arguments if isinstance(a, da.Array)).numblocks[-1]
        last = self.entries.chunks[-1] if entries is None else (entries,) * count
        return da.map_blocks(
            function, *arguments, dtype=dtype, meta=np.empty((0,) * self.entries.ndim, dtype),
            chunks=(*self.entries.chunks[:-1], last), **static,
        )  # fmt: skip

    def summary(self, mask: Any = None, bias: Any = None, logsumexp: bool = False) -> Any:
        """A Summary of the whole rows for each chunk of rows, combined in a tree from those of the chunks."""
        parts = self.map(
            chunks.summarize_block, self.entries, self.temperature, mask, bias, dtype=object, entries=1,
            logsumexp=logsumexp, argument=self.name,
        )  # fmt: skip
        return da.reduction(
            parts, chunks.unchanged, chunks.combine_blocks, combine=chunks.combine_blocks, axis=-1, keepdims=True,
            dtype=object, concatenate=False, split_every=16, meta=np.empty((0,) * self.entries.ndim, object),
        )  # fmt: skip

    def restored(self, result: Any) -> Any:
        """The result with its axes where x had them."""
        if self.axis is None:
            return result.reshape(())
        return result if self.axis == result.ndim - 1 else da.moveaxis(result, -1, self.axis)


def _check_known(value: Any, name: str) -> None:
    if isinstance(value, da.Array) and any(math.isnan(size) for sizes in value.chunks for size in sizes):
        raise ValueError(f"{name} has chunks of unknown size; call {name}.compute_chunk_sizes() first")


# The bounds of chunks are multiples of this.
ALIGNMENT: Final = 1024


def _between_blocks(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The chunks of the vocabulary with each bound moved to the nearest multiple of ALIGNMENT."""
    total = sum(sizes)
    cuts = {(int(cut) + ALIGNMENT // 2) // ALIGNMENT * ALIGNMENT for cut in np.cumsum(sizes[:-1])}
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < total), total]
    return tuple(past - first for first, past in zip(bounds[:-1], bounds[1:], strict=True))

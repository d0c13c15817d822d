"""A Dask array as rows in chunks, the parameters of the rows in the same chunks, and functions called with each chunk.

Every array has labels for its axes, as in `dask.array.blockwise`: the rows are axes 0, 1, ..., the entries ENTRIES, the
draws from a row DRAWS, DRAWS + 1, ...
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import dask.array
import numpy as np
from dask.layers import ArraySliceDep

from .._args.arrays import Rows, float_array, temperature_rows, uniform_rows
from .._args.biases import are_biases_of_rows
from .._args.keyed import integer_keys
from .._sharding.api import check_has_summary
from . import _dask_chunks as chunks

da: Any = dask.array

ENTRIES: Final = 100
DRAWS: Final = 101

# The summaries, or answers of chunks, that one task combines.
_TOGETHER = 16


class Labelled(NamedTuple):
    """An argument of the functions of chunks: a Dask array and the labels of its axes, or a value for all (None)."""

    value: Any
    labels: tuple[int, ...] | None = None


NOTHING: Final = Labelled(None)


class ChunkedRows:
    """A Dask array as rows: the entries last, in the chunks of the array; and parameters in the same chunks."""

    def __init__(self, x: Any, axis: Any, name: str, temperature: Any, whole: bool = False) -> None:
        if not isinstance(x, da.Array):
            raise TypeError(
                f"{name} must be a Dask array, not {type(x).__name__}; pass dask.array.from_array({name}), or call "
                "the function of fastsoftmax itself"
            )
        if x.ndim < 2 and axis is None:
            axis = -1
        if isinstance(axis, tuple) and len(axis) == 1:
            (axis,) = axis
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise TypeError(f"axis must be one int for a Dask array, got {axis!r}; reshape several axes into one")
        _check_known(x, name)
        self.name = name
        self.dtype = float_array(np.empty(0, x.dtype), name).dtype
        self.rows = Rows(x.shape, int(axis), name)
        self.axis: int | None = self.rows.axes[0] if x.ndim else None
        self.shape = self.rows.shape
        self.labels = tuple(range(len(self.shape)))
        entries = self._entries_last(x) if x.ndim else x.reshape(1)
        if whole or math.prod(self.shape) == 0:
            entries = entries.rechunk({-1: -1})
        if self.rows.entries and 0 in entries.chunks[-1]:  # an empty chunk has no summary
            entries = entries.rechunk({-1: tuple(n for n in entries.chunks[-1] if n)})
        self.chunks = entries.chunks
        self.entries = Labelled(entries, (*self.labels, ENTRIES))
        self.is_split = entries.numblocks[-1] > 1
        if not isinstance(temperature, da.Array):
            temperature = np.asarray(temperature_rows(temperature, self.rows))
            if self.is_split:
                check_has_summary(temperature, self.rows)
            if temperature.size and (temperature == temperature.flat[0]).all():
                temperature = temperature.flat[0]
        self.temperature = self.per_row(temperature, "temperature")

    @property
    def places(self) -> Labelled:
        """Where a chunk of the entries lies in the whole array: a slice for each axis of the rows and the entries."""
        return Labelled(ArraySliceDep(self.chunks), self.entries.labels)

    @property
    def places_of_rows(self) -> Labelled:
        """The same without the entries."""
        return Labelled(ArraySliceDep(self.chunks[:-1]), self.labels)

    def per_row(self, value: Any, name: str, size: tuple[int, ...] = ()) -> Labelled:
        """A parameter with one value, or one for each row; or one for each draw, if there are several from a row."""
        _check_known(value, name)
        shape = self.shape + size
        if not isinstance(value, da.Array):
            if name in ("u", "xtc_u"):
                uniform_rows(value, shape, name)
            value = np.asarray(value)
            if value.ndim == 0:
                return Labelled(value[()])
        labels = (*self.labels, *range(DRAWS, DRAWS + len(size)))
        return self._in_chunks(self._spread(value, shape, name), labels)

    def keys(self, value: Any) -> Labelled:
        """Integers, one for each row."""
        if value is None:
            return NOTHING
        _check_known(value, "keys")
        if not isinstance(value, da.Array):
            value = integer_keys(value)
        elif value.dtype.kind not in "iu":
            raise TypeError(f"keys must be integers, not {value.dtype}")
        if value.shape != self.shape:
            raise ValueError(f"keys must have the shape of the rows, {self.shape}, not {value.shape}")
        return self.per_row(value, "keys")

    def per_entry(self, value: Any, name: str) -> Labelled:
        """A parameter of the entries: a Dask array that broadcasts to them along the rows."""
        if value is None:
            return NOTHING
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
        spread = self._entries_last(self._spread(value, full, name))
        if spread.shape[-1] != self.rows.entries:
            raise ValueError(
                f"{name} of shape {value.shape} has no value for each of the {self.rows.entries} entries of a row"
            )
        return self._in_chunks(spread, (*self.labels, ENTRIES))

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

    def _in_chunks(self, spread: Any, labels: tuple[int, ...]) -> Labelled:
        """In chunks of the rows and entries, except axes of length 1; the draws from a row stay together."""
        own = dict(zip((*self.labels, ENTRIES), self.chunks, strict=True))
        sizes = [own.get(label, -1) if n > 1 else -1 for label, n in zip(labels, spread.shape, strict=True)]
        return Labelled(spread.rechunk(dict(enumerate(sizes))), labels)

    def map(
        self,
        function: Any,
        *arguments: Labelled,
        dtype: Any,
        entries: Any = None,
        draws: tuple[int, ...] = (),
        **static: Any,
    ) -> Any:
        """Call the function with each chunk of the arguments.

        Parameters
        ----------
        entries : int or tuple of int, optional
            The length of the result's axis of entries, in each chunk; without it the result has none.  An argument with
            axes that the result has not is passed in a list of one chunk, and Dask does not fuse its task with this.
        draws : tuple of int
            The lengths of the result's axes for the draws from a row.
        """
        labels, sizes = self.labels, dict(zip(self.labels, self.chunks[:-1], strict=True))
        if entries is not None:
            labels = (*labels, ENTRIES)
            sizes[ENTRIES] = (entries,) * len(self.chunks[-1]) if isinstance(entries, int) else entries
        for label, n in enumerate(draws, DRAWS):
            labels, sizes[label] = (*labels, label), (n,)
        known = {label for argument in arguments for label in argument.labels or ()}
        return da.blockwise(
            function, labels, *(part for argument in arguments for part in argument), dtype=dtype,
            meta=np.empty((0,) * len(labels), dtype), align_arrays=False,
            adjust_chunks={label: sizes[label] for label in labels if label in known},
            new_axes={label: sizes[label] for label in labels if label not in known}, **static,
        )  # fmt: skip

    def combined(
        self,
        aggregate: Any,
        mask: Labelled = NOTHING,
        bias: Labelled = NOTHING,
        *,
        dtype: Any = object,
        logsumexp: bool = False,
        keepdims: bool = False,
    ) -> Labelled:
        """What `aggregate` makes of the summaries of a chunk of rows, which are combined in a tree on the way."""
        parts = self.map(
            chunks.summarize_block, self.entries, self.temperature, mask, bias, self.places, dtype=object, entries=1,
            logsumexp=logsumexp, argument=self.name,
        )  # fmt: skip
        result = self.reduced(parts, chunks.combine_blocks, aggregate, dtype, keepdims=keepdims)
        return Labelled(result, (*self.labels, ENTRIES) if keepdims else self.labels)

    def reduced(self, parts: Any, combine: Any, aggregate: Any, dtype: Any, keepdims: bool = False) -> Any:
        """What chunks of entries answer, as one answer for each row, in a tree."""
        meta = np.empty((0,) * (parts.ndim - (not keepdims)), dtype)
        return da.reduction(
            parts, chunks.unchanged, aggregate, combine=combine, axis=len(self.shape), keepdims=keepdims, dtype=dtype,
            concatenate=False, split_every=_TOGETHER, meta=meta,
        )  # fmt: skip

    def without_entries(self, result: Any, draws: tuple[int, ...] = (), field: str | None = None) -> Any:
        """The result of `map` with entries=1, or a field of it, without that axis; `draws` as given to `map`."""
        labels = (*self.labels, ENTRIES, *range(DRAWS, DRAWS + len(draws)))
        return self.map(
            chunks.without_entries, Labelled(result, labels), draws=draws, axis=len(self.shape), field=field,
            dtype=result.dtype if field is None else result.dtype[field],
        )  # fmt: skip

    def restored(self, result: Any) -> Any:
        """The result with its axes where x had them."""
        if self.axis is None:
            return result.reshape(())
        return result if self.axis == result.ndim - 1 else da.moveaxis(result, -1, self.axis)


def _check_known(value: Any, name: str) -> None:
    if isinstance(value, da.Array) and any(math.isnan(size) for sizes in value.chunks for size in sizes):
        raise ValueError(f"{name} has chunks of unknown size; call {name}.compute_chunk_sizes() first")

"""The candidates of all shards, as rows of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._args.arrays import Rows
from .candidates import Candidates, Layout, check_entries, layout_of, parsed


class Gathered(NamedTuple):
    """The candidates of all shards of rows.

    Attributes
    ----------
    values : ndarray of float32 or float64, shape (..., n)
        By ascending index.  Where they are not all entries of the row, the last is -inf: then a top_k below the length
        of the row is below n.
    numbers : ndarray of uint32
        Their numbers in their shards; of the last value there is none.
    layout : Layout
        Of the numbers.
    entries : int
        The length of the whole row.
    shards : list of Candidates
        In order.
    rows : Rows
        The names of the rows, for errors.
    """

    values: NDArray[Any]
    numbers: NDArray[np.uint32]
    layout: Layout
    entries: int
    shards: list[Candidates]
    rows: Rows

    @property
    def is_whole(self) -> bool:
        return bool(self.values.shape[-1] == self.numbers.shape[-1])

    @property
    def flat_values(self) -> NDArray[Any]:
        """The values with one axis for all rows."""
        return self.values.reshape(-1, self.values.shape[-1])

    def indices(self, at: Any) -> NDArray[np.int64]:
        """The numbers in the whole row of the candidates at these places, of any shape after that of the rows."""
        if not np.size(at):
            return np.asarray(at, np.int64)
        flat = np.asarray(at).reshape(math.prod(self.rows.shape), -1)
        numbers = np.take_along_axis(self.numbers.reshape(len(flat), -1), flat, -1)
        return np.asarray((numbers + self.layout.offset[flat]).reshape(np.shape(at)))


def gathered_from(candidates: Any, entries: Any = None) -> Gathered:
    """The candidates of all shards, given in any order, as rows."""
    if isinstance(candidates, Candidates) or _is_buffer(candidates):
        candidates = [candidates]
    if not isinstance(candidates, Iterable):
        raise TypeError(f"candidates must be those of all shards, in a list, not {type(candidates).__name__}")
    given = list(candidates)
    shards = [c if isinstance(c, Candidates) else parsed(c) for c in given]
    if not shards:
        raise ValueError("candidates: there are none; pass those of all shards")
    shards.sort(key=attrgetter("offset"))
    first, at = shards[0], 0
    for c in shards:
        if c.dtype != first.dtype or c.shape != first.shape:
            raise ValueError(
                f"candidates: those at offsets {first.offset} and {c.offset} are of rows of shape {first.shape} and "
                f"{c.shape}, {first.dtype} and {c.dtype}; pass those of the same rows"
            )
        if c.offset != at:
            what = f"entries {at} to {c.offset} are missing" if c.offset > at else f"entry {c.offset} is in two of them"
            raise ValueError(f"candidates: {what}; pass those of every shard, once")
        at += c.entries
    if entries is not None and at != entries:
        raise ValueError(f"candidates: they are of {at} entries, not {entries}; pass those of every shard")
    values = [c.values for c in shards]
    if any(c.k < c.entries for c in shards):
        values.append(np.full((*first.shape, 1), -np.inf, first.values.dtype))
    rows = Rows((*first.shape, 1), -1, "candidates")
    numbers = np.concatenate([c._numbers for c in shards], -1)
    gathered = Gathered(np.concatenate(values, -1), numbers, layout_of(shards), at, shards, rows)
    if any(not isinstance(c, Candidates) for c in given):
        check_entries(gathered.values[..., : numbers.shape[-1]], numbers, gathered.layout)
    return gathered


def _is_buffer(value: Any) -> bool:
    """Whether it is the buffer of one shard; an array of two axes, as a collective fills it, has one in each row."""
    return isinstance(value, bytes | bytearray | memoryview | np.ndarray) and (
        not isinstance(value, memoryview | np.ndarray) or value.ndim == 1
    )


def certain_places(gathered: Gathered, values: NDArray[Any]) -> NDArray[np.int64]:
    """How many of these candidates in their sorted order are certain to be the first of the whole row: up to the first
    that is the last of its shard."""
    certain = np.full(len(values), values.shape[-1])
    past = 0
    for c in gathered.shards:
        first, past = past, past + c.values.shape[-1]
        if c.k < c.entries:
            last = values[:, first:past].min(-1, keepdims=True)
            place = (values > last).sum(-1) + (values[:, :past] == last).sum(-1)
            certain = np.where(last[:, 0] > -np.inf, np.minimum(certain, place), certain)
    return certain


def worst_of(gathered: Gathered) -> list[tuple[NDArray[np.float64], Candidates]]:
    """The least candidate of each row that a shard has sent, and the shard; of shards that have sent less than all."""
    flat = len(gathered.flat_values)
    return [(c.values.reshape(flat, -1).min(-1).astype(np.float64), c) for c in gathered.shards if c.k < c.entries]

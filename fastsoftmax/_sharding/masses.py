"""The mass of rows in shards: integers that add up to those by which top_p decides for the whole row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, any_array, dtype_code, float_array, temperature_rows
from .api import check_within
from .best import shard_values
from .finishing import NO_MASK_AND_BIAS, finish
from .gathered import Gathered, certain_places, gathered_from
from .summary import EXTREME, NORMALISER, OK

if TYPE_CHECKING:
    from .._types import ArrayLike, Bias, CandidatesLike, Indices, Mask, OneRow, SeveralRows, UnknownRows

# Temperatures at which rows of float32 and below are computed in float32.
_EXTREME_F32 = 2.0**90
# The entries whose weights are added up at a time: they stay in the second-level cache.
_TOGETHER = 1 << 17
_BITS_OF_2_52 = int(np.float64(2.0**52).view(np.int64))


# fmt: off
@overload
def mass_of_shard(
    logits_shard: UnknownRows, candidates: CandidatesLike, temperature: ArrayLike = 1.0, *,
    mask: Mask | None = None, bias: Bias | None = None
) -> int | Indices: ...
@overload
def mass_of_shard(
    logits_shard: OneRow, candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, mask: Mask | None = None,
    bias: Bias | None = None
) -> int: ...
@overload
def mass_of_shard(
    logits_shard: SeveralRows, candidates: CandidatesLike, temperature: ArrayLike = 1.0, *,
    mask: Mask | None = None, bias: Bias | None = None
) -> Indices: ...
@overload
def mass_of_shard(
    logits_shard: ArrayLike, candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, mask: Mask | None = None,
    bias: Bias | None = None
) -> int | Indices: ...
# fmt: on
def mass_of_shard(
    logits_shard: Any, candidates: Any, temperature: Any = 1.0, *, mask: Any = None, bias: Any = None
) -> Any:
    """The weight of a shard as an integer, in the unit of the whole row: what top_p needs of the entries not sent.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits of any part of the row: the parts together must be the row.
    candidates : list of Candidates or of their buffers
        Those of every shard, in any order: they tell the largest entry and the length of the row.
    temperature : float or array_like, default 1.0
        That at which top_p sees the row: 1 with ``temperature_last=True``.  0, inf, or from 2**-90 to 2**90 (float64:
        2**-900 to 2**900).
    mask, bias : optional
        What :func:`candidates` was given for this shard.

    Returns
    -------
    int or ndarray of int64
        In the shape of the rows.  The sum over all shards, which is below 2**62 and the same in any order, is the
        `mass` of :func:`sample_from_candidates`.  0 for a row that cannot be drawn from.

    Raises
    ------
    ValueError
        For a temperature out of range, shapes that do not fit, an entry above the largest candidate.
    TypeError
        For data of other dtypes.

    Notes
    -----
    The integers are those by which top_p decides: round(w 2**51) of the weights w against the largest entry, and one
    bit less for each doubling of the row beyond 1,024 entries.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> shards = [fastsoftmax.candidates(x[i : i + 500], 100, offset=i) for i in (0, 500)]
    >>> mass = sum(fastsoftmax.mass_of_shard(x[i : i + 500], shards) for i in (0, 500))
    >>> fastsoftmax.sample_from_candidates(shards, top_p=0.3, mass=mass, u=0.5)
    424
    >>> fastsoftmax.sample(x, top_p=0.3, u=0.5)
    424
    """
    gathered = gathered_from(candidates)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    if rows.shape != gathered.rows.shape or a.dtype.name != gathered.shards[0].dtype:
        raise ValueError(
            f"logits_shard has rows of shape {rows.shape} of {a.dtype}, but the candidates are of "
            f"{gathered.rows.shape} and {gathered.shards[0].dtype}"
        )
    t = temperature_rows(temperature, rows).reshape(-1)
    _check_temperature(t, a.dtype.name, rows)
    values = shard_values(rows.split(a), mask, bias, rows).reshape(-1, rows.entries)
    largest = gathered.flat_values.max(-1)
    above = values.max(-1) > largest
    if above.any():
        raise ValueError(
            f"logits_shard: {rows.name_row(int(np.argmax(above)))} has an entry above the largest candidate; pass the "
            "same logits, mask and bias"
        )
    mass: NDArray[np.int64] = np.empty(len(values), np.int64)
    step = max(1, _TOGETHER // rows.entries)
    for first in range(0, len(values), step):
        part = slice(first, first + step)
        integers = integer_weights(values[part], largest[part], t[part], gathered.entries)
        mass[part] = integers.sum((1, 2), out=mass[part])
    return mass.reshape(rows.shape) if rows.shape else int(mass[0])


def _check_temperature(t: Array, dtype: str, rows: Rows) -> None:
    most = EXTREME if dtype == "float64" else _EXTREME_F32
    check_within(t, rows, most, "where top_p is the first filter")


def integer_weights(values: NDArray[Any], largest: Array, t: Array, entries: int) -> NDArray[np.int64]:
    """The weights by which the filters of a row of so many entries decide (csrc/filter/mass-inl.h).

    They have the shape (rows, blocks, entries of a block), with zeros after the last entry.
    """
    down = 0
    while (entries - 1) >> down >= 1024:
        down += 1
    formula = (t > 0) & (t < np.inf) & (np.abs(largest) < np.inf)
    if not formula.all():  # at a limit all entries that count have the weight 1; NaN is not drawn from
        of_row, one = largest[:, None], values.dtype.type(0.0)
        counted = np.where((t == np.inf)[:, None], values > -np.inf, values == of_row) & (of_row > -np.inf)
        values = np.where(formula[:, None], values, np.where(counted, one, values.dtype.type(-np.inf)))
        largest, t = np.where(formula, largest, one), np.where(formula, t, 1.0)
    rounded = np.multiply(_weights(values, largest, t), 2.0 ** (51 - down), dtype=np.float64)
    rounded += 2.0**52  # rounds to an integer, which is then in the low bits
    integers: NDArray[np.int64] = rounded.view(np.int64)
    integers -= _BITS_OF_2_52
    return integers


def _weights(values: NDArray[Any], largest: Array, t: Array) -> NDArray[Any]:
    """The weights of entries against the largest of their row: the numerators of softmax, in blocks.

    They depend on the largest entry of their block, so every block gets that of the row as its last.
    """
    count, entries = values.shape
    block = _core.shard_block(dtype_code(values.dtype)) - 1
    blocks = -(-entries // block)
    full = entries // block * block
    x = np.empty((count, blocks, block + 1), values.dtype)
    x[:, : full // block, :block] = values[:, :full].reshape(count, -1, block)
    if full < entries:
        x[:, -1, : entries - full] = values[:, full:]
        x[:, -1, entries - full :] = -np.inf
    x[..., block] = largest[:, None]
    total_of_1 = np.zeros(count, NORMALISER)
    total_of_1["max"], total_of_1["total"], total_of_1["status"] = largest, 1.0, OK
    flat = x.reshape(count, -1)
    rows = Rows(flat.shape, -1, "logits_shard")
    place, of_rows = (0, rows.entries), np.ascontiguousarray(t)
    finish(flat, rows, place, of_rows, NO_MASK_AND_BIAS, total_of_1, None, None, flat, False)
    return x[..., :block]


def kept_by_top_p(
    gathered: Gathered, of_rows: NDArray[np.bool_], largest: Array, at: Array, top_p: Array, least: Array, mass: Any
) -> NDArray[np.int64]:
    """How many entries top_p keeps of each of these rows; -1 for the others."""
    if mass is None:
        raise ValueError(
            f"top_p needs the mass of the whole row ({gathered.rows.name_row(int(np.argmax(of_rows)))}): pass the sum "
            "of mass_of_shard over all shards as mass, or put top_k before top_p"
        )
    total = any_array(mass, "mass")
    if total.dtype.kind not in "iu":
        raise TypeError(f"mass must be integers, the sum of mass_of_shard over all shards, not {total.dtype}")
    gathered.rows.check_shape(total.shape, "mass")
    total = np.broadcast_to(total, gathered.rows.shape).reshape(-1)
    _check_temperature(np.where(of_rows, at, 1.0), gathered.shards[0].dtype, gathered.rows)
    kept = np.full(len(of_rows), -1)
    number = np.flatnonzero(of_rows)
    values = gathered.flat_values[number]
    descending = np.ascontiguousarray(np.sort(values, -1)[:, ::-1])
    integers = integer_weights(descending, largest[number], at[number], gathered.entries)
    sums = np.cumsum(integers.reshape(len(number), -1)[:, : values.shape[-1]], -1)
    # beside +inf nothing else is there, but at an infinite temperature
    beside = (largest[number] == np.inf) & (at[number] < np.inf)
    there = np.where(beside[:, None], values == np.inf, values > -np.inf).sum(-1)
    last = certain_places(gathered, values)
    for j, row in enumerate(number):
        name = gathered.rows.name_row(int(row))
        of_row = int(total[row])
        numerator, denominator = float(top_p[row]).as_integer_ratio()
        target = max(-((-numerator * of_row) // denominator), 1)
        reached = int(sums[j, -1]) >= target
        if of_row < int(sums[j, -1]):
            raise ValueError(
                f"mass of {name} is {of_row}, less than the candidates alone have: pass the "
                "sum of mass_of_shard over all shards, at the temperature that top_p sees"
            )
        count = int(np.searchsorted(sums[j], target)) + 1
        if reached and count < least[row]:
            if least[row] >= there[j]:
                raise ValueError(
                    f"min_tokens_to_keep leaves all that {name} has, which is then drawn from "
                    "as a whole: put top_k before top_p"
                )
            count = int(least[row])
        if not reached or min(count, int(there[j])) > last[j]:
            raise ValueError(
                f"top_p keeps more entries of {name} than the candidates are certain to have: "
                "pass candidates a larger k, or put top_k before top_p"
            )
        kept[row] = count
    return kept

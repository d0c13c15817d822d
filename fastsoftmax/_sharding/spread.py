"""The standard deviation of rows in shards, for top_n_sigma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._args.arrays import Array, Rows, float_array, real_array
from .best import shard_values
from .gathered import Gathered, worst_of

if TYPE_CHECKING:
    from .._types import ArrayLike, Bias, Mask


def sums_of_shard(
    logits_shard: ArrayLike, *, mask: Mask | None = None, bias: Bias | None = None
) -> NDArray[np.float64]:
    """The number of the entries of a shard, their sum and that of their squares, which top_n_sigma needs.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits of any part of the row: the parts together must be the row.
    mask, bias : optional
        What :func:`candidates` was given for this shard.

    Returns
    -------
    ndarray of float64, shape (..., 3)
        Of the entries above -inf of each row.  The sum over all shards is the `sums` of :func:`sample_from_candidates`.

    Raises
    ------
    ValueError
        For shapes that do not fit.
    TypeError
        For data of other dtypes.

    Notes
    -----
    The sums of the kernels are rounded in another order, so the standard deviation is known to some 1e-11 of the
    logits.  An entry that is as close to the bound cannot be decided, which is an error.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> shards = [fastsoftmax.candidates(x[i : i + 500], 100, offset=i) for i in (0, 500)]
    >>> sums = sum(fastsoftmax.sums_of_shard(x[i : i + 500]) for i in (0, 500))
    >>> fastsoftmax.sample_from_candidates(shards, top_n_sigma=1.0, sums=sums, u=0.5)
    424
    >>> fastsoftmax.sample(x, top_n_sigma=1.0, u=0.5)
    424
    """
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    values = shard_values(rows.split(a), mask, bias, rows)
    sums = np.empty((*rows.shape, 3))
    with np.errstate(all="ignore"):
        there = values > -np.inf
        wide = np.where(there, values, 0.0).astype(np.float64)
        sums[..., 0] = there.sum(-1)
        sums[..., 1] = wide.sum(-1)
        sums[..., 2] = np.square(wide, out=wide).sum(-1)
    return sums


def kept_by_top_n_sigma(
    gathered: Gathered, of_rows: NDArray[np.bool_], largest: Array, at: Array, n: Array, least: Array, sums: Any
) -> NDArray[np.int64]:
    """How many entries top_n_sigma keeps of each of these rows; -1 for the others."""
    rows = gathered.rows
    if sums is None:
        raise ValueError(
            f"top_n_sigma needs the sums of the whole row ({rows.name_row(int(np.argmax(of_rows)))}): pass the sum of "
            "sums_of_shard over all shards as sums, or put top_k before top_n_sigma"
        )
    given = real_array(sums, "sums", "an array of real numbers")
    if given.shape != (*rows.shape, 3):
        raise ValueError(f"sums must have the shape {(*rows.shape, 3)}, that of sums_of_shard, not {given.shape}")
    count, total, squares = given.reshape(-1, 3).T
    endless = largest == np.inf
    if (of_rows & endless & (at == np.inf)).any():
        raise ValueError("top_n_sigma of a row with +inf at an infinite temperature needs the whole row")
    largest = largest.astype(np.float64)
    with np.errstate(all="ignore"):
        mean, square = total / count, squares / count
        off = (1e-15 * count + 1e-13) * square  # more than all roundings, here and in the kernels
        variance = square - mean * mean
        most = n * np.sqrt(variance + off)
        slack = 1e-14 * (np.abs(largest) + most)
        low = largest - most - slack
        high = largest - n * np.sqrt(np.maximum(variance - off, 0.0)) + slack
    broken = of_rows & ~endless & ~((count >= 1) & (variance >= -off) & (most < np.inf))
    if broken.any():
        raise ValueError(
            f"sums of {rows.name_row(int(np.argmax(broken)))} have no standard deviation, or one that is out of range: "
            "pass the sum of sums_of_shard over all shards, or put top_k before top_n_sigma"
        )
    low[endless] = high[endless] = np.inf
    for worst, c in worst_of(gathered):
        short = of_rows & (worst >= low)
        if short.any():
            raise ValueError(
                f"top_n_sigma keeps all of the {c.k} entries that the shard at offset {c.offset} has sent of "
                f"{rows.name_row(int(np.argmax(short)))}, and perhaps more: pass candidates a larger k, or put top_k "
                "before top_n_sigma"
            )
    values = gathered.flat_values
    is_largest = values == values.max(-1, keepdims=True)
    kept = ((values >= high[:, None]) | is_largest).sum(-1)
    unsure = of_rows & (((values >= low[:, None]) | is_largest).sum(-1) != kept)
    if unsure.any():
        raise ValueError(
            f"top_n_sigma cannot be decided for {rows.name_row(int(np.argmax(unsure)))}: an entry is as far from the "
            "largest as the bound, but for rounding; put top_k before top_n_sigma"
        )
    return np.where(of_rows, np.maximum(kept, least), -1)

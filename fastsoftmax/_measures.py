"""entropy, log_prob and kl_divergence of the distributions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import (
    Array,
    Axis,
    Rows,
    any_array,
    dtype_code,
    floats_of,
    spread_over_rows,
    taken,
    temperature_rows,
    type_of_value,
)
from ._args.where import where_entries
from ._softmax import reduced, taken_with_where, temperature_at

if TYPE_CHECKING:
    from ._types import (
        ArrayLike,
        BecomesFloat64,
        BoolArrayLike,
        Float,
        FloatsOfOneRow,
        FloatsOfSeveralRows,
        FloatsOfUnknownRows,
        Int,
        IntArrayLike,
        Logprobs,
        OneRow,
        OneRowOfFloat64,
        Real,
        SeveralRows,
        UnknownRows,
    )


# fmt: off
@overload
def entropy(
    x: FloatsOfUnknownRows[Float], temperature: ArrayLike = 1.0, *, axis: int = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None
) -> Float | NDArray[Float]: ...
@overload
def entropy(
    x: FloatsOfOneRow[Float], temperature: ArrayLike = 1.0, *, axis: int | None = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None
) -> Float: ...
@overload
def entropy(
    x: FloatsOfSeveralRows[Float], temperature: ArrayLike = 1.0, *, axis: int = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None
) -> NDArray[Float]: ...
@overload
def entropy(
    x: OneRowOfFloat64[Real], temperature: ArrayLike = 1.0, *, axis: int | None = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None
) -> np.float64: ...
@overload
def entropy(
    x: NDArray[Float], temperature: ArrayLike = 1.0, *, axis: None, keepdims: Literal[False] = False,
    where: BoolArrayLike | None = None
) -> Float: ...
@overload
def entropy(
    x: NDArray[Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: Literal[True],
    where: BoolArrayLike | None = None
) -> NDArray[Float]: ...
@overload
def entropy(
    x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: Literal[True],
    where: BoolArrayLike | None = None
) -> NDArray[np.float64]: ...
@overload
def entropy(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: bool = False,
    where: BoolArrayLike | None = None
) -> Any: ...
# fmt: on
def entropy(x: Any, temperature: Any = 1.0, *, axis: Axis = -1, keepdims: bool = False, where: Any = None) -> Any:
    """Entropy of softmax(x/T) along `axis`, in nats.

    Parameters
    ----------
    x : array_like
        Logits.  Dtypes and layouts as in :func:`softmax`.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.
    axis : int, tuple of int or None, default -1
        The axis of the entries; None is the whole array.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.
    where : array_like of bool, optional
        Which entries count, broadcast to the shape of `x`; the others are as -inf.

    Returns
    -------
    ndarray or scalar
        In the dtype of `x`, the shape of `x` without `axis`.  NaN for a row with NaN, or with nothing above -inf.  At
        T = 0, or with entries of +inf, log k for the k entries that share the probability.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Notes
    -----
    .. math:: H = -\\sum_i p_i \\log p_i
              = \\log \\sum_i w_i + \\sum_i w_i \\delta_i / \\sum_i w_i,
              \\quad \\delta_i = (x_{max} - x_i)/T, \\; w_i = e^{-\\delta_i}

    No term of the second form is negative, so that nothing cancels, and the logarithm is that of :func:`logsumexp`: the
    relative error is small even where one entry has nearly all the probability and the entropy is tiny.  The row is
    read once, and nothing of its size is written.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [0.0, -40.0, -np.inf]])
    >>> fastsoftmax.entropy(x)
    array([1.09861229e+00, 8.32395582e-01, 1.74182524e-16])
    """
    return reduced(x, temperature, axis, keepdims, where, _core.ENTROPY, np.nan)


# fmt: off
@overload
def log_prob(
    x: UnknownRows, index: Int, temperature: ArrayLike = 1.0, *, axis: int = -1, where: BoolArrayLike | None = None
) -> np.float64 | Logprobs: ...
@overload
def log_prob(
    x: OneRow, index: Int, temperature: ArrayLike = 1.0, *, axis: int | None = -1,
    where: BoolArrayLike | None = None
) -> np.float64: ...
@overload
def log_prob(
    x: SeveralRows, index: IntArrayLike, temperature: ArrayLike = 1.0, *, axis: int = -1,
    where: BoolArrayLike | None = None
) -> Logprobs: ...
@overload
def log_prob(
    x: ArrayLike, index: Sequence[int], temperature: ArrayLike = 1.0, *, axis: Axis = -1,
    where: BoolArrayLike | None = None
) -> Logprobs: ...
@overload
def log_prob(
    x: ArrayLike, index: IntArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1,
    where: BoolArrayLike | None = None
) -> np.float64 | Logprobs: ...
# fmt: on
def log_prob(x: Any, index: Any, temperature: Any = 1.0, *, axis: Axis = -1, where: Any = None) -> Any:
    """Logarithm of the probability of given entries under softmax(x/T), without writing the others.

    Parameters
    ----------
    x, temperature, axis, where
        As in :func:`entropy`.
    index : int or array_like of int
        Entries, 0 <= index < n: one for each row, in the shape of the rows or broadcast to it; or several for each row,
        in the shape of the rows followed by any other axes.

    Returns
    -------
    float or ndarray of float64
        log p in nats, in the shape of the rows, or that of `index` where it has several for each row; -inf for an entry
        that is never drawn.  NaN for a row with NaN, or with nothing above -inf.

    Raises
    ------
    ValueError
        For an index out of range, shapes that do not fit, or as in :func:`softmax`.
    TypeError
        For an index that is not an integer, or as in :func:`softmax`.

    Notes
    -----
    The value is that of ``sample(x, T, return_logprob=True)`` for this index, to the last bit.  At T = 0 that is 0 for
    the first of the largest entries, the one that is drawn, and -inf for the others.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.array([[0.0, 0.0], [0.0, np.log(3.0)]])
    >>> np.exp(fastsoftmax.log_prob(x, [0, 1])).round(4)
    array([0.5 , 0.75])
    >>> np.exp(fastsoftmax.log_prob(x, [[0, 1], [1, 0]])).round(4)
    array([[0.5 , 0.5 ],
           [0.75, 0.25]])
    """
    result = _core.log_prob_rows(x, index, temperature, axis, where)
    if result is not None:
        return result
    index = taken(index, "index")
    a, temperature, where = taken_with_where(x, temperature, where, "x")
    rows = Rows(a.shape, axis, "x", may_be_empty=True)
    t = temperature_rows(temperature, rows)
    where = where_entries(where, a.shape, "x")
    places = _indices(index, rows)
    counts = None if where is None else rows.split(where)
    if rows.merge(a) or not places.size:
        return _core.log_prob_rows(rows.split(a), places, t, -1, counts, True)
    result = np.empty(places.shape, np.float64)
    for place, copy, _ in rows.copies(a):
        of_copy = None if counts is None else counts[place]
        result[place] = _core.log_prob_rows(copy, places[place], temperature_at(t, place), -1, of_copy, True)
    return result[()]


def _indices(index: Any, rows: Rows) -> NDArray[np.int64]:
    """One index for each row, or several: int64, checked, in the shape of the rows and what follows."""
    given = any_array(index, "index").copy()  # nobody can change it once it has been checked
    if given.dtype.kind not in "iu" and (given.size or not given.ndim):
        raise TypeError(f"index must be integer indices, not {type_of_value(index, given)}")
    several = given.shape[len(rows.shape) :]
    try:
        spread = np.broadcast_to(given, rows.shape + several)
    except ValueError:
        raise ValueError(
            f"index of shape {given.shape} fits no rows of shape {rows.shape}: "
            "it must have their shape, or their shape and further axes"
        ) from None
    bad = (spread < 0) | (spread >= rows.entries)
    if bad.any():
        where = np.unravel_index(int(np.argmax(bad)), bad.shape)
        row = int(np.ravel_multi_index(where[: len(rows.shape)], rows.shape)) if rows.shape else 0
        raise ValueError(f"index must be in [0, {rows.entries}); got {int(spread[where])} for {rows.name_row(row)}")
    return np.ascontiguousarray(spread, np.int64).reshape(spread.shape)


# fmt: off
@overload
def kl_divergence(
    x: UnknownRows, y: ArrayLike, temperature: ArrayLike = 1.0, *, axis: int = -1, keepdims: Literal[False] = False,
    where: BoolArrayLike | None = None
) -> np.float64 | Logprobs: ...
@overload
def kl_divergence(
    x: ArrayLike, y: UnknownRows, temperature: ArrayLike = 1.0, *, axis: int = -1, keepdims: Literal[False] = False,
    where: BoolArrayLike | None = None
) -> np.float64 | Logprobs: ...
@overload
def kl_divergence(
    x: OneRow, y: OneRow, temperature: ArrayLike = 1.0, *, axis: int | None = -1, keepdims: Literal[False] = False,
    where: BoolArrayLike | None = None
) -> np.float64: ...
@overload
def kl_divergence(
    x: SeveralRows, y: SeveralRows, temperature: ArrayLike = 1.0, *, axis: int = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None
) -> Logprobs: ...
@overload
def kl_divergence(
    x: ArrayLike, y: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: Literal[True],
    where: BoolArrayLike | None = None
) -> Logprobs: ...
@overload
def kl_divergence(
    x: ArrayLike, y: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: bool = False,
    where: BoolArrayLike | None = None
) -> np.float64 | Logprobs: ...
# fmt: on
def kl_divergence(
    x: Any, y: Any, temperature: Any = 1.0, *, axis: Axis = -1, keepdims: bool = False, where: Any = None
) -> Any:
    """Kullback-Leibler divergence of softmax(x/T) from softmax(y/T) along `axis`, in nats.

    Parameters
    ----------
    x, y : array_like
        Logits of p and of q, broadcast against each other, but not along the entries of a row.  Dtypes and layouts as
        in :func:`softmax`.
    temperature, axis, keepdims, where
        As in :func:`entropy`.  T and `where` apply to both.

    Returns
    -------
    float or ndarray of float64
        At least 0, and exactly 0 where the rows are equal.  +inf where an entry has p > 0 and q = 0; an entry with
        p = 0 adds nothing.  NaN where a row has NaN, or nothing above -inf.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Notes
    -----
    .. math:: D = \\sum_i p_i \\log(p_i / q_i) = \\sum_i p_i (e^{t_i} - 1 - t_i), \\quad t_i = \\log(q_i / p_i)

    No term of the second form is negative, and an error that all t_i share counts by its square alone.  With
    e = 2^-53 and r the largest \\|y - x\\|/T the error is below 16 e D + 4 e (1 + r) sqrt(D): where the rows are nearly
    the same, and D is the square of a small number, the first form would have no correct digit.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.log([0.5, 0.25, 0.25])
    >>> print(fastsoftmax.kl_divergence(x, np.zeros(3)).round(6))
    0.058892
    >>> print(f"{fastsoftmax.kl_divergence([0.0, 0.0], [0.0, 1e-9]):.9g}")
    1.25e-19
    """
    x, y = any_array(x, "x", "where"), any_array(y, "y", "where")
    temperature, where = taken(temperature, "temperature"), None if where is None else taken(where, "where")
    a, b = floats_of(x, "x"), floats_of(y, "y")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"x of shape {a.shape} and y of shape {b.shape} do not fit together") from None
    rows = Rows(shape, axis, "x", may_be_empty=True)
    t = temperature_rows(temperature, rows)
    where = where_entries(where, shape, "x")
    common = _wider(a, b)
    result: Array = np.full(rows.shape, np.nan)  # there is no distribution over nothing
    p, q = (spread_over_rows(name, v.astype(common, copy=False), rows) for name, v in (("x", a), ("y", b)))
    if rows.entries and result.size:
        counts = None if where is None else rows.split(where)
        _core.kl_divergence_rows(p, q, dtype_code(common), t, counts, result)
    return result.reshape(rows.keepdims_shape()) if _core.as_flag(keepdims, "keepdims") else result[()]


def _wider(a: Array, b: Array) -> np.dtype[Any]:
    """The dtype of both, or one in which both can be written."""
    if a.dtype == b.dtype:
        return a.dtype
    return np.dtype(np.float64 if np.float64 in (a.dtype, b.dtype) else np.float32)

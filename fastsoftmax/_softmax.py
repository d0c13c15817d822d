"""softmax, log_softmax, logsumexp and softmax_probs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Array, Axis, Rows, along_one_axis, any_array, floats_of, taken, temperature_rows
from ._args.lazy import is_dask_array, of_dask_array
from ._args.result import Result
from ._args.where import where_entries
from ._weighted import weighted_logsumexp

if TYPE_CHECKING:
    from ._types import (
        ArrayLike,
        BecomesFloat64,
        BoolArrayLike,
        Dask,
        Float,
        Floats,
        FloatsOfOneRow,
        FloatsOfSeveralRows,
        FloatsOfUnknownRows,
        OneRowOfFloat64,
        Out,
        Real,
        Shape,
    )

_SOFTMAX, _LOG_SOFTMAX, _LOGSUMEXP = _core.SOFTMAX, _core.LOG_SOFTMAX, _core.LOGSUMEXP
_SOFTMAX_PROBS = _core.SOFTMAX_PROBS
_transform = _core.transform

# What the integration with Dask has of them.
_OF_DASK_ARRAYS = {_SOFTMAX: "softmax", _LOG_SOFTMAX: "log_softmax"}


# fmt: off
@overload
def softmax(
    x: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> Floats[Shape, Float]: ...
@overload
def softmax(
    x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[np.float64]: ...
@overload
def softmax(
    x: Dask, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None, where: BoolArrayLike | None = None
) -> Dask: ...
@overload
def softmax(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[Any]: ...
@overload
def softmax(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: Out, where: BoolArrayLike | None = None
) -> Out: ...
# fmt: on
def softmax(x: Any, temperature: Any = 1.0, *, axis: Axis = -1, out: Any = None, where: Any = None) -> Any:
    """Softmax with temperature: exp(x/T) divided by its sum along `axis`.

    Parameters
    ----------
    x : array_like
        Logits, any real numbers and infinities.  float16, bfloat16, float32 and float64 keep their dtype;
        integers and bool become float64.  Any layout; CPU tensors with ``__dlpack__`` are read without a copy.
        A Dask array gives a Dask array: :func:`fastsoftmax.integrations.dask.softmax`.
    temperature : float or array_like, default 1.0
        T, in the units of `x`, 0 <= T <= inf; one number, or one for each row (broadcast to the shape of `x`
        without `axis`).  A small T concentrates the probability on the largest entry, a large T spreads it; 0 and inf
        are the limits.
    axis : int, tuple of int or None, default -1
        The axis of the entries; None is the whole array.
    out : array, optional
        Where the result goes: the shape and dtype of the result; ``out=x`` is in place.
    where : array_like of bool, optional
        Which entries count, broadcast to the shape of `x`.  The others are as -inf, even if they are NaN or +inf:
        their result is 0, written to `out` too.

    Returns
    -------
    ndarray
        The probabilities, in the shape and dtype of `x`; `out` itself where it is given.  An entry of -inf has
        probability exactly 0.  A row with NaN, or of nothing but -inf, is NaN.  Where k entries are +inf, each
        has 1/k.

    Raises
    ------
    ValueError
        For a negative or NaN temperature, shapes that do not fit, or an `out` that is read-only or whose elements share
        memory.
    TypeError
        For complex, longdouble, object or string data, an `out` of another dtype, or a `where` that is not bool.

    Notes
    -----
    .. math:: p_i = \\exp(x_i / T) / \\sum_j \\exp(x_j / T)

    float32 results are within 3 units in the last place of this formula for the stored `x` and `temperature`,
    float64 results within 4; float16 and bfloat16 are computed in float32 and rounded once.  The result of a row
    depends on that row and its temperature alone, to the last bit, on every machine.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41, 2021.
    .. [2] Dukhan, M., Ablavatski, A., "Two-pass softmax algorithm", arXiv:2001.04438, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> fastsoftmax.softmax(x, 2).round(4)
    array([0.1863, 0.3072, 0.5065])
    >>> fastsoftmax.softmax(x, 0.5).round(4)
    array([0.0159, 0.1173, 0.8668])
    >>> fastsoftmax.softmax(x, 0)
    array([0., 0., 1.])
    >>> fastsoftmax.softmax(x, where=[True, True, False]).round(4)
    array([0.2689, 0.7311, 0.    ])
    """
    result = _transform(x, temperature, axis, out, _SOFTMAX, where)
    return _converted(x, temperature, axis, out, _SOFTMAX, where) if result is None else result


# fmt: off
@overload
def log_softmax(
    x: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> Floats[Shape, Float]: ...
@overload
def log_softmax(
    x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[np.float64]: ...
@overload
def log_softmax(
    x: Dask, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None, where: BoolArrayLike | None = None
) -> Dask: ...
@overload
def log_softmax(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[Any]: ...
@overload
def log_softmax(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: Out, where: BoolArrayLike | None = None
) -> Out: ...
# fmt: on
def log_softmax(x: Any, temperature: Any = 1.0, *, axis: Axis = -1, out: Any = None, where: Any = None) -> Any:
    """Logarithm of the softmax: x/T minus its log-sum-exp along `axis`.

    Parameters
    ----------
    x, temperature, axis, out, where
        As in :func:`softmax`; the result of an entry that does not count is -inf.

    Returns
    -------
    ndarray
        log p, in nats, in the shape and dtype of `x`; `out` itself where it is given.  -inf where p is 0;
        NaN rows as in :func:`softmax`.  The relative error is small even where p is nearly 1.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Notes
    -----
    .. math:: \\log p_i = (x_i - x_{max})/T - \\log(1 + \\sum_{j \\ne max} \\exp((x_j - x_{max})/T))

    Both terms are at most 0, so nothing cancels; the sum is over all entries but one of the largest [1]_.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and softmax functions",
       IMA Journal of Numerical Analysis 41, 2021.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.log_softmax([0.0, -40.0])
    array([-4.24835426e-18, -4.00000000e+01])
    """
    result = _transform(x, temperature, axis, out, _LOG_SOFTMAX, where)
    return _converted(x, temperature, axis, out, _LOG_SOFTMAX, where) if result is None else result


# fmt: off
@overload
def softmax_probs(
    probs: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> Floats[Shape, Float]: ...
@overload
def softmax_probs(
    probs: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[np.float64]: ...
@overload
def softmax_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    where: BoolArrayLike | None = None
) -> NDArray[Any]: ...
@overload
def softmax_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: Out, where: BoolArrayLike | None = None
) -> Out: ...
# fmt: on
def softmax_probs(probs: Any, temperature: Any = 1.0, *, axis: Axis = -1, out: Any = None, where: Any = None) -> Any:
    """Weights with a temperature: w^(1/T) divided by its sum along `axis`, the distribution of :func:`sample_probs`.

    Parameters
    ----------
    probs : array_like
        Weights w: finite numbers that are not negative, such as probabilities or counts.  They need not sum to 1.
        Dtypes and layouts as in :func:`softmax`.
    temperature, axis, out
        As in :func:`softmax`.  T = 0 shares the probability among the largest weights, T = inf among all above 0.
    where : array_like of bool, optional
        As in :func:`softmax`: the other weights count as 0, whatever they are.

    Returns
    -------
    ndarray
        The probabilities, in the shape of `probs` and its dtype, float64 for integers; `out` itself where it is given.
        A weight of 0 has probability exactly 0.  A row with a negative, NaN or infinite weight, or with none above 0,
        is NaN.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Notes
    -----
    .. math:: p_i = w_i^{1/T} / \\sum_j w_j^{1/T}

    The computation is in float64 and rounded once to the dtype.  At T = 1 no logarithm is taken, and a float64 result
    is within 2 units in the last place.  At other temperatures the relative error is that of :func:`softmax` and
    :math:`|\\log w| \\, 2^{-52} / T`, for the logarithms that are rounded: those of `w_i` and of the weights that
    make the sum.

    Examples
    --------
    Visit counts of a tree search as the target of a policy:

    >>> import numpy as np
    >>> import fastsoftmax
    >>> visits = np.array([30, 0, 10, 60])
    >>> fastsoftmax.softmax_probs(visits)
    array([0.3, 0. , 0.1, 0.6])
    >>> fastsoftmax.softmax_probs(visits, 0.5).round(4)
    array([0.1957, 0.    , 0.0217, 0.7826])
    >>> fastsoftmax.softmax_probs(visits, 0)
    array([0., 0., 0., 1.])
    """
    result = _transform(probs, temperature, axis, out, _SOFTMAX_PROBS, where)
    return _converted(probs, temperature, axis, out, _SOFTMAX_PROBS, where) if result is None else result


# fmt: off
@overload
def logsumexp(
    x: FloatsOfUnknownRows[Float], temperature: ArrayLike = 1.0, *, axis: int = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> Float | NDArray[Float]: ...
@overload
def logsumexp(
    x: FloatsOfOneRow[Float], temperature: ArrayLike = 1.0, *, axis: int | None = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> Float: ...
@overload
def logsumexp(
    x: FloatsOfSeveralRows[Float], temperature: ArrayLike = 1.0, *, axis: int = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> NDArray[Float]: ...
@overload
def logsumexp(
    x: OneRowOfFloat64[Real], temperature: ArrayLike = 1.0, *, axis: int | None = -1,
    keepdims: Literal[False] = False, where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> np.float64: ...
@overload
def logsumexp(
    x: NDArray[Float], temperature: ArrayLike = 1.0, *, axis: None, keepdims: Literal[False] = False,
    where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> Float: ...
@overload
def logsumexp(
    x: NDArray[Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: Literal[True],
    where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> NDArray[Float]: ...
@overload
def logsumexp(
    x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: Literal[True],
    where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> NDArray[np.float64]: ...
@overload
def logsumexp(
    x: Dask, temperature: ArrayLike = 1.0, *, axis: int = -1, keepdims: bool = False,
    where: BoolArrayLike | None = None
) -> Dask: ...
@overload
def logsumexp(
    x: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, keepdims: bool = False,
    where: BoolArrayLike | None = None, b: ArrayLike | None = None
) -> Any: ...
# fmt: on
def logsumexp(
    x: Any, temperature: Any = 1.0, *, axis: Axis = -1, keepdims: bool = False, where: Any = None, b: Any = None
) -> Any:
    """Logarithm of the sum of exp(x/T), or of b exp(x/T), along `axis`.

    Parameters
    ----------
    x, temperature, axis, where
        As in :func:`softmax`.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.
    b : array_like, optional
        Weights, finite and not negative, broadcast to the shape of `x`.  An entry of weight 0 does not count, even if
        it is NaN or +inf.

    Returns
    -------
    ndarray or scalar
        In the dtype of `x`, the shape of `x` without `axis`.  -inf for a row of nothing but -inf, NaN for one
        with NaN, +inf for one with +inf.  At T = 0 the limit: +inf or -inf by the sign of the maximum, log k
        where k entries are the maximum 0.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`; a ValueError for a weight that is negative, NaN or infinite, with its row and entry.

    Notes
    -----
    .. math:: \\log \\sum_j \\exp(x_j / T), \\quad \\log \\sum_j b_j \\exp(x_j / T)

    Accurate near 0 too: the largest entry is left out of the sum, and log1p is taken of the rest.  With `b` the sum is
    computed in float64 for every dtype, with a relative error of 2^-51, so that the result is within 2^-50 of the
    largest of 1, itself and max/T; and with its relative accuracy near 0 where the largest entry is 0 and has weight 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> print(fastsoftmax.logsumexp(np.array([0.0, -40.0])))
    4.248354255291589e-18
    >>> fastsoftmax.logsumexp([0.0, 1.0], b=[3.0, 0.0]).round(4)
    np.float64(1.0986)
    """
    if b is None:
        return reduced(x, temperature, axis, keepdims, where, _LOGSUMEXP, -np.inf)
    x, temperature, where = taken_with_where(x, temperature, where, "x")
    rows = Rows(x.shape, axis, "x", may_be_empty=True)
    result = weighted_logsumexp(x, temperature, rows, where_entries(where, x.shape, "x"), b)
    return result.reshape(rows.keepdims_shape()) if _core.as_flag(keepdims, "keepdims") else result


def reduced(x: Any, temperature: Any, axis: Axis, keepdims: bool, where: Any, operation: int, of_nothing: float) -> Any:
    """One number for each row, by an operation of the compiled entry; that of a row without entries is `of_nothing`."""
    result = _transform(x, temperature, axis, None, operation, where)
    if result is None:
        if operation == _LOGSUMEXP and is_dask_array(x):
            return of_dask_array("logsumexp", x, temperature, axis=axis, keepdims=keepdims, where=where)
        x, temperature, where = taken_with_where(x, temperature, where, "x")
        where = where_entries(where, x.shape, "x")
        result = _along_one_axis(x, temperature, axis, None, operation, where)
    if result is None:
        rows = Rows(x.shape, axis, "x", may_be_empty=True)
        t = temperature_rows(temperature, rows)
        result = np.full(rows.shape, of_nothing, x.dtype)
        counts = rows.split(where) if where is not None else None
        if x.size and rows.merge(x):
            result[...] = _transform(rows.split(x), t, -1, None, operation, counts, True)
        elif x.size:
            for place, copy, _ in rows.copies(x):
                of_copy = None if counts is None else counts[place]
                result[place] = _transform(copy, temperature_at(t, place), -1, None, operation, of_copy, True)
        result = result[()]
    if not _core.as_flag(keepdims, "keepdims"):
        return result
    shape = list(np.shape(x))  # x may still be a list of numbers
    if type(axis) is int and shape:
        shape[axis] = 1
        return result.reshape(shape)
    return result.reshape(Rows(tuple(shape), axis, "x", may_be_empty=True).keepdims_shape())


def taken_with_where(x: Any, temperature: Any, where: Any, name: str) -> tuple[Array, Any, Any]:
    """x as floats, and the others as arrays or numbers; x is looked at when all are taken."""
    x, temperature = any_array(x, name, "where"), taken(temperature, "temperature")
    return floats_of(x, name), temperature, None if where is None else taken(where, "where")


def temperature_at(t: Array, place: Any) -> Array:
    """The temperatures of some of the rows."""
    return t[place] if t.ndim else t


def _along_one_axis(x: Array, temperature: Any, axis: Axis, out: Any, operation: int, where: Array | None) -> Any:
    """The result, or None, where a view of x has its entries along one axis; x has been converted."""
    flat, at = along_one_axis(x, axis)
    return _transform(flat, temperature, at, out, operation, where if where is None else where.reshape(flat.shape))


def _converted(x: Any, temperature: Any, axis: Axis, out: Any, operation: int, where: Any) -> Any:
    """What the compiled entry does not take as it is, as arrays that it takes; Dask arrays to the integration."""
    if operation in _OF_DASK_ARRAYS and is_dask_array(x):
        return of_dask_array(_OF_DASK_ARRAYS[operation], x, temperature, axis=axis, out=out, where=where)
    name = "probs" if operation == _SOFTMAX_PROBS else "x"
    a, temperature, where = taken_with_where(x, temperature, where, name)
    target = None if out is None else any_array(out, "out") if hasattr(out, "__dlpack__") else out
    where = where_entries(where, a.shape, name)
    if (
        target is None or axis is not None or a.ndim == 1
    ):  # often a list, a tensor or an integer is all that was in the way
        result = _along_one_axis(a, temperature, axis, target, operation, where)
        if result is not None:
            return result.reshape(a.shape) if out is None else out
    rows = Rows(a.shape, axis, name, may_be_empty=True)
    t = temperature_rows(temperature, rows)
    result = Result(a, target, rows)
    source, moved = result.source, rows.moved(result.array)
    counts = rows.split(where) if where is not None else None
    if a.size and result.direct and rows.merge(source):
        done = _transform(rows.split(source), t, -1, result.parts, operation, counts, True)
        assert done is not None  # every argument has been prepared
    elif a.size:
        for place, copy, piece in rows.copies(source):
            of_copy = None if counts is None else counts[place]
            _transform(copy, temperature_at(t, place), -1, copy, operation, of_copy, True)
            moved[place] = piece
    return result.array if out is None else out

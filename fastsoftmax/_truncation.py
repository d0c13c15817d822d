"""truncate: the logits after the filters of `sample`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Axis, Rows, dtype_code, float_array, temperature_rows
from ._args.biases import bias_rows
from ._args.filters import as_filters, no_filters
from ._args.masks import mask_rows
from ._args.random import as_generator
from ._args.result import Result
from ._draws import coin_rows

if TYPE_CHECKING:
    from ._types import ArrayLike, BecomesFloat64, Float, Floats, Out, Real, Shape, TruncateOptions


# fmt: off
@overload
def truncate(
    logits: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    **options: Unpack[TruncateOptions]
) -> Floats[Shape, Float]: ...
@overload
def truncate(
    logits: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    **options: Unpack[TruncateOptions]
) -> NDArray[np.float64]: ...
@overload
def truncate(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: None = None,
    **options: Unpack[TruncateOptions]
) -> NDArray[Any]: ...
@overload
def truncate(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, out: Out,
    **options: Unpack[TruncateOptions]
) -> Out: ...
# fmt: on
def truncate(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    mask: Any = None,
    bias: Any = None,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
    top_a: Any = None,
    p_less: Any = False,
    typical_p: Any = None,
    top_h: Any = None,
    top_n_sigma: Any = None,
    epsilon_cutoff: Any = None,
    eta_cutoff: Any = None,
    xtc_threshold: Any = None,
    xtc_probability: Any = None,
    xtc_u: Any = None,
    dynatemp_range: Any = None,
    dynatemp_exponent: Any = 1.0,
    smoothing_factor: Any = None,
    smoothing_curve: Any = 1.0,
    min_tokens_to_keep: Any = 1,
    temperature_last: Any = False,
    order: Any = None,
    keep: Any = None,
    rng: Any = None,
    out: Any = None,
) -> Any:
    """logits/T, with -inf for every entry that the filters drop.

    Parameters
    ----------
    logits : array_like
        Any real numbers; dtypes and layouts as in :func:`softmax`.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.
    axis, mask, bias
        As in :func:`sample`.
    top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold, \
xtc_probability, xtc_u, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep, \
temperature_last, order, keep
        The filters of :func:`sample`, in this order.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where the coins of XTC come from, one double for each row, if it is on and `xtc_u` is not given.
    out : ndarray, optional
        Where the result goes; `logits` itself is in place.

    Returns
    -------
    ndarray
        With the shape of `logits` and the dtype of the result of :func:`softmax`; the quotient is rounded once.

    Raises
    ------
    ValueError
        For a parameter out of range, shapes that do not fit, a read-only `out`.
    TypeError
        For data of other dtypes.

    Notes
    -----
    ``softmax(truncate(x, T, **filters))`` is the distribution that ``sample(x, T, **filters)`` draws from.  At T = 0
    that is one entry, the lowest index of the maximum, which becomes 0; at T = inf every entry that passes becomes 0.
    Where the quotient of the maximum would overflow, the result is (x - max)/T.
    If a row has entries of +inf, only these pass.  A row with NaN becomes NaN; a row of nothing but -inf stays so.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> fastsoftmax.truncate(np.array([1.0, 3.0, 2.0, 0.0]), 0.5, top_k=2)
    array([-inf,   6.,   4., -inf])
    """
    given = _core.given_filters(
        top_k=top_k, top_p=top_p, min_p=min_p, top_a=top_a, p_less=p_less, typical_p=typical_p, top_h=top_h,
        top_n_sigma=top_n_sigma, epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
        xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
        smoothing_factor=smoothing_factor, smoothing_curve=smoothing_curve,
        min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last, order=order, keep=keep,
    )  # fmt: skip
    a = float_array(logits, "logits")
    rows = Rows(a.shape, axis, "logits")
    filters = as_filters(given, rows)
    records = no_filters(rows) if filters is None else filters.rows(rows)
    t = temperature_rows(temperature, rows)
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    result = Result(a, out, rows)
    coins = coin_rows(filters, xtc_u, None, as_generator(rng), rows.shape)
    if math.prod(rows.shape):
        _core.truncate_rows(
            rows.split(result.source), dtype_code(a.dtype), t, allowed, words, added, added_at, records,
            None if filters is None else filters.keep, None if coins is None else np.asarray(coins), result.parts,
        )  # fmt: skip
    return result.finish()

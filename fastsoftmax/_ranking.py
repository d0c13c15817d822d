"""top_logprobs, the most likely entries, and sample_without_replacement, several draws without repeats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Axis, Rows, any_array, dtype_code, float_array, index_rows, shown, temperature_rows
from ._args.biases import bias_rows
from ._args.invalid import raise_invalid_row
from ._args.masks import mask_entries, mask_rows
from ._draws import draw_from

if TYPE_CHECKING:
    from ._types import ArrayLike, Bias, Indices, Int, IntArrayLike, Mask, OneRow, Rng, SeveralRows, UnknownRows


_Rank = TypeVar("_Rank", covariant=True)


class TopLogprobs(NamedTuple, Generic[_Rank]):
    """What :func:`top_logprobs` returns."""

    logprobs: NDArray[np.float64]
    indices: NDArray[np.int64]
    rank: _Rank


# fmt: off
@overload
def top_logprobs(
    logits: ArrayLike, k: Int, temperature: ArrayLike = 1.0, *, axis: Axis = -1, chosen: None = None,
    mask: Mask | None = None, bias: Bias | None = None
) -> TopLogprobs[None]: ...
@overload
def top_logprobs(
    logits: UnknownRows, k: Int, temperature: ArrayLike = 1.0, *, axis: int = -1, chosen: IntArrayLike,
    mask: Mask | None = None, bias: Bias | None = None
) -> TopLogprobs[int | Indices]: ...
@overload
def top_logprobs(
    logits: OneRow, k: Int, temperature: ArrayLike = 1.0, *, axis: int | None = -1, chosen: IntArrayLike,
    mask: Mask | None = None, bias: Bias | None = None
) -> TopLogprobs[int]: ...
@overload
def top_logprobs(
    logits: SeveralRows, k: Int, temperature: ArrayLike = 1.0, *, axis: int = -1, chosen: IntArrayLike,
    mask: Mask | None = None, bias: Bias | None = None
) -> TopLogprobs[Indices]: ...
@overload
def top_logprobs(
    logits: ArrayLike, k: Int, temperature: ArrayLike = 1.0, *, axis: Axis = -1, chosen: IntArrayLike | None = None,
    mask: Mask | None = None, bias: Bias | None = None
) -> TopLogprobs[int | Indices | None]: ...
# fmt: on
def top_logprobs(
    logits: Any,
    k: Int,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    chosen: Any = None,
    mask: Any = None,
    bias: Any = None,
) -> TopLogprobs[Any]:
    """The k most likely entries of every row, their log-probabilities, and the rank of a chosen one.

    Parameters
    ----------
    logits : array_like
        Any real numbers; dtypes and layouts as in :func:`softmax`.
    k : int
        How many, from 1 to the number of entries.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.
    axis, mask, bias
        As in :func:`sample`.
    chosen : int or array_like of int, optional
        An index of each row whose rank is wanted, such as the one drawn.

    Returns
    -------
    logprobs : ndarray of float64
        log p in nats, the largest first, in the shape of the rows and k.
    indices : ndarray of int64
        The entries themselves; equal logits in the order of the index, what cannot be drawn (log p = -inf) last.
    rank : int or ndarray of int64, or None
        The place of `chosen` among all entries: 1 for the most likely.

    Raises
    ------
    ValueError
        For k or `chosen` out of range; a row with NaN or without an entry above -inf; a negative or NaN temperature.
    TypeError
        For data of other dtypes.

    Notes
    -----
    log p is that of :func:`log_softmax` of the row at T, in float64.  The order is that of the logits at every
    temperature.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> top = fastsoftmax.top_logprobs(np.array([0.0, 2.0, 1.0, 2.0]), 2, chosen=2)
    >>> top.logprobs.round(4), top.indices, top.rank
    (array([-0.9176, -0.9176]), array([1, 3]), 3)
    """
    a = float_array(logits, "logits")
    rows = Rows(a.shape, axis, "logits")
    k = _how_many(k, rows)
    t = temperature_rows(temperature, rows)
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    places = index_rows(chosen, "chosen", rows) if chosen is not None else None
    index: NDArray[np.int64] = np.empty((*rows.shape, k), np.int64)
    logprob = np.empty(index.shape, np.float64)
    rank: Any = np.empty(rows.shape, np.int64) if places is not None else None
    if math.prod(rows.shape):
        bad = _core.top_rows(
            rows.split(a), dtype_code(a.dtype), t, k, allowed, words, added, added_at, places, index, logprob, rank
        )
        if bad is not None:
            raise_invalid_row(a, "logits", rows, *bad, mask_entries(allowed, words, rows, bad[0]), "fix it")
    return TopLogprobs(logprob, index, int(rank) if rank is not None and not rows.shape else rank)


def sample_without_replacement(
    logits: ArrayLike,
    k: Int,
    temperature: ArrayLike = 1.0,
    *,
    axis: Axis = -1,
    u: ArrayLike | None = None,
    rng: Rng | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
) -> NDArray[np.int64]:
    """Draw k distinct indices from every row, one after another.

    Parameters
    ----------
    logits : array_like
        Any real numbers; -inf is never drawn.  dtypes and layouts as in :func:`softmax`.
    k : int
        How many, from 1 to the number of entries.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.
    axis, mask, bias
        As in :func:`sample`.
    u : array_like, optional
        Uniforms in [0, 1), one for each draw: broadcast to the shape of the result.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where they come from if `u` is not given: one double a draw, row after row.

    Returns
    -------
    ndarray of int64
        The indices in the order drawn, in the shape of the rows and k.

    Raises
    ------
    ValueError
        Where a row holds NaN or fewer than k entries that can be drawn, by its number; k or `u` out of range; `u`
        together with `rng`; a negative or NaN temperature.
    TypeError
        For data of other dtypes, or a RandomState.

    Notes
    -----
    Draw j is that of :func:`sample` for the uniform u_j from the row without the entries drawn before it, so an entry
    of probability 0 is never drawn.  The first k draws do not depend on how many follow.  At T = 0 they are the sorted
    order; entries of +inf come before all others.

    The row is read once.  Drawing all n entries takes a time proportional to n log n; where nearly every entry is more
    than 1,000 times as likely as all that are left after it, each draw takes a step for every block of 1,024 too.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> fastsoftmax.sample_without_replacement(np.array([0.0, -np.inf, 1.0, 2.0]), 3, rng=1)
    array([3, 2, 0])
    """
    if type(k) is not int or k < 1:
        k = _how_many(k, Rows(float_array(logits, "logits").shape, axis, "logits"))
    drawn: NDArray[np.int64] = draw_from(
        logits, False, temperature, axis, k, u, rng, mask, bias, None, None, False, "raise", True
    )
    return drawn


def _how_many(k: Any, rows: Rows) -> int:
    if isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer):
        raise TypeError(f"k must be an int, got {any_array(k, 'k')!r}")
    if not 1 <= k <= max(rows.entries, 1):
        raise ValueError(f"k must be from 1 to the number of entries, {rows.entries}; got {shown(k)}")
    return int(k)

"""Rows whose vocabulary is in shards: summarise each shard, then get results of a shard from the summary of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code, float_array, temperature_rows
from .finishing import (
    checked_offset,
    checked_shard,
    finish,
    mask_and_bias_rows,
    whole_summary,
)
from .summary import EXTREME, Summary, cut_maxima_of, normaliser_of, summary_of

if TYPE_CHECKING:
    from .._types import (
        ArrayLike,
        BecomesFloat64,
        Bias,
        Float,
        Floats,
        Int,
        Mask,
        Out,
        Real,
        Shape,
        SummaryLike,
    )


def summarize(
    logits_shard: ArrayLike,
    temperature: ArrayLike = 1.0,
    offset: Int = 0,
    *,
    mask: Mask | None = None,
    bias: Bias | None = None,
    logsumexp: bool = False,
) -> Summary:
    """Summarise the rows of one shard of the vocabulary.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits of consecutive entries, along the last axis; dtypes and layouts as in :func:`softmax`.
    temperature : float or array_like, default 1.0
        One number, or one for each row; 0, inf, or from 2**-900 to 2**900.
    offset : int, default 0
        The number of the shard's first entry in the whole vocabulary.  The entries of a block of 1,024 (512 of float64)
        that a cut divides are a part of the Summary: cuts at multiples of 1,024 make it smallest.
    mask : array_like, optional
        bool or integers 0 and 1, broadcast to the shape of the shard, or int32 words, as in :func:`sample`.
    bias : array_like, {index: value} or a list of these, optional
        Added to the logits, as in :func:`sample`; the index counts from the beginning of the shard.
    logsumexp : bool, default False
        Whether :func:`logsumexp_from_summary` will be called.  If so, rows of less than float64 whose largest entry is
        negative are read a second time, in double, and the Summary takes three times the bytes.

    Returns
    -------
    Summary
        To be combined with those of the other shards.

    Raises
    ------
    ValueError
        For an offset out of range, a temperature out of range, an empty shard, or shapes that do not fit.
    TypeError
        For an offset that is not an int, or data of other dtypes.

    Notes
    -----
    A block b of entries is summarised by its maximum m_b and

    .. math:: s_b = \\sum_{i \\in b} 2^{c (x_i - a_b) - N_b}, \\quad c = \\log_2(e) / T

    with an origin (a_b, N_b) that follows from m_b.  The sums of a row are combined in the order of its blocks,
    wherever these were summarised.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32)
    >>> left = fastsoftmax.summarize(x[:, :2500], 0.7)
    >>> right = fastsoftmax.summarize(x[:, 2500:], 0.7, offset=2500)
    >>> right
    <Summary of entries 2500 to 5000: rows (2,), float32, temperature 0.7, 11968 bytes>
    >>> whole = fastsoftmax.combine([right, left], entries=5000)
    >>> p = fastsoftmax.softmax_from_summary(x[:, 2500:], whole, offset=2500)
    >>> bool((p == fastsoftmax.softmax(x, 0.7)[:, 2500:]).all())
    True
    """
    return summarize_rows(logits_shard, temperature, offset, mask, bias, logsumexp, "logits_shard")


def summarize_rows(
    logits_shard: Any, temperature: Any, offset: Any, mask: Any, bias: Any, logsumexp: bool, name: str
) -> Summary:
    """`summarize`; errors call the logits `name`."""
    data = _core.summarised(logits_shard, temperature, offset, mask, bias, bool(logsumexp))
    if data is not None:
        return summary_of(data)
    offset = checked_offset(offset)
    a = float_array(logits_shard, name)
    rows = Rows(a.shape, -1, name)
    if not rows.entries:
        raise ValueError(f"{name} has no entries along its last axis")
    t = temperature_rows(temperature, rows)
    check_has_summary(t, rows)
    mask_and_bias = mask_and_bias_rows(mask, bias, rows)
    code = dtype_code(a.dtype)
    in_double = _core.needs_double(code, np.ascontiguousarray(t))
    return summary_of(_core.summarise(rows.split(a), code, t, *mask_and_bias, offset, bool(logsumexp), in_double))


# fmt: off
@overload
def softmax_from_summary(
    logits_shard: Floats[Shape, Float], summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> Floats[Shape, Float]: ...
@overload
def softmax_from_summary(
    logits_shard: BecomesFloat64[Real], summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> NDArray[np.float64]: ...
@overload
def softmax_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> NDArray[Any]: ...
@overload
def softmax_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: Out
) -> Out: ...
# fmt: on
def softmax_from_summary(
    logits_shard: Any, summary: Any, *, offset: Any, mask: Any = None, bias: Any = None, out: Any = None
) -> Any:
    """The shard's part of the softmax of the whole rows, bit for bit.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits that were summarised at `offset`, or any part of them.
    summary : Summary, bytes-like, or a list of these
        Of the whole row, from :func:`combine`; a list is combined.
    offset : int
        The number of the shard's first entry in the vocabulary.
    mask, bias : optional
        What :func:`summarize` was given for this shard; masked entries have probability 0.
    out : array, optional
        Where the result goes: the shape and dtype of the result; the shard itself is in place.

    Returns
    -------
    ndarray
        The probabilities, in the shape and dtype of `logits_shard`; `out` itself where it is given.

    Raises
    ------
    ValueError
        For a summary with a gap or of other rows, a shard outside of it, or entries that are not those summarised, as
        far as the maxima of their blocks tell (then `out` is partly written).
    TypeError
        For a shard of another dtype than the summary's.

    Examples
    --------
    >>> import fastsoftmax
    >>> whole = fastsoftmax.summarize([1.0, 2.0, 3.0], 2.0)
    >>> fastsoftmax.softmax_from_summary([1.0, 2.0, 3.0], whole, offset=0).round(4)
    array([0.1863, 0.3072, 0.5065])
    """
    return _finish(logits_shard, summary, offset, mask, bias, out, False)


# fmt: off
@overload
def log_softmax_from_summary(
    logits_shard: Floats[Shape, Float], summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> Floats[Shape, Float]: ...
@overload
def log_softmax_from_summary(
    logits_shard: BecomesFloat64[Real], summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> NDArray[np.float64]: ...
@overload
def log_softmax_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: None = None
) -> NDArray[Any]: ...
@overload
def log_softmax_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, mask: Mask | None = None,
    bias: Bias | None = None, out: Out
) -> Out: ...
# fmt: on
def log_softmax_from_summary(
    logits_shard: Any, summary: Any, *, offset: Any, mask: Any = None, bias: Any = None, out: Any = None
) -> Any:
    """The shard's part of the log-softmax of the whole rows, bit for bit.

    Parameters
    ----------
    logits_shard, summary, offset, mask, bias, out
        As in :func:`softmax_from_summary`.

    Returns
    -------
    ndarray
        log p, in nats, in the shape and dtype of `logits_shard`; `out` itself where it is given.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax_from_summary`, but entries that are not those summarised are not detected.

    Examples
    --------
    >>> import fastsoftmax
    >>> whole = fastsoftmax.summarize([0.0, -40.0])
    >>> fastsoftmax.log_softmax_from_summary([0.0, -40.0], whole, offset=0)
    array([-4.24835426e-18, -4.00000000e+01])
    """
    return _finish(logits_shard, summary, offset, mask, bias, out, True)


def logsumexp_from_summary(summary: SummaryLike) -> Any:
    """The log-sum-exp of the whole rows, bit for bit, without the logits.

    Parameters
    ----------
    summary : Summary
        Of the whole row, made with ``logsumexp=True`` throughout.

    Returns
    -------
    ndarray or scalar
        In the dtype of the logits and the shape of the rows; special rows as in :func:`logsumexp`.

    Raises
    ------
    ValueError
        For a summary with a gap, or made without ``logsumexp=True``.

    Examples
    --------
    >>> import fastsoftmax
    >>> print(fastsoftmax.logsumexp_from_summary(fastsoftmax.summarize([0.0, -40.0], logsumexp=True)))
    4.248354255291589e-18
    """
    summary = whole_summary(summary)
    if not summary.logsumexp:
        raise ValueError("summary: a shard was summarised with logsumexp=False; pass logsumexp=True to summarize")
    wide = np.empty(summary.shape, np.float64)
    _core.logsumexp_of_summary(summary, wide)
    with np.errstate(over="ignore", under="ignore"):
        return _core.cast(wide, summary.dtype)[()]


def _finish(logits_shard: Any, summary: Summary, offset: int, mask: Any, bias: Any, out: Any, log: bool) -> Any:
    summary = whole_summary(summary)
    a, rows, place = checked_shard(logits_shard, summary, offset)
    mask_and_bias = mask_and_bias_rows(mask, bias, rows)
    cut_max = block_max = None
    if not log:  # which needs the maximum of the row alone
        first, past, block = place[0], place[0] + rows.entries, _core.shard_block(dtype_code(a.dtype))
        block_max = np.empty((*rows.shape, (past - 1) // block + 1 - first // block))
        _core.block_maxima(summary, first, rows.entries, block_max)
        cut_max = cut_maxima_of(summary, first, rows.entries)
    return finish(
        a, rows, place, summary.temperature, mask_and_bias, normaliser_of(summary), cut_max, block_max, out, log
    )


def check_has_summary(t: Array, rows: Rows) -> None:
    """Raise for a temperature at which rows cannot be summarised block by block."""
    check_within(
        t, rows, EXTREME, "for a shard", ": outside this range the sums depend on the maximum of the whole row"
    )


def check_within(t: Array, rows: Rows, most: float, where: str, why: str = "") -> None:
    """Raise for a temperature that is neither 0 nor inf, nor from 1 / most to `most`, a power of two."""
    bad = (t > 0) & (t < np.inf) & ((t < 1 / most) | (t > most))
    if bad.any():
        row, power = int(np.argmax(bad)), int(np.log2(most))
        raise ValueError(
            f"temperature must be 0, inf, or from 2**-{power} to 2**{power} {where}, got {t.flat[row]} "
            f"({rows.name_row(row)}){why}"
        )

"""Draws from rows whose vocabulary is in shards: where they fall, and those that fall in a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import dtype_code
from .._draws import check_on_invalid
from .finishing import (
    check_cuts,
    check_unchanged,
    checked_shard,
    locations_of,
    mask_and_bias_rows,
    resolve,
    whole_summary,
)
from .summary import normaliser_of

if TYPE_CHECKING:
    from .._types import (
        ArrayLike,
        Bias,
        Indices,
        Int,
        Logprobs,
        Mask,
        OneRow,
        OnInvalid,
        SeveralRows,
        Size,
        SomeDraws,
        SummaryLike,
        UnknownRows,
    )


# fmt: off
@overload
def locate_draws(
    summary: SummaryLike, *, u: ArrayLike, size: SomeDraws, on_invalid: OnInvalid = "raise"
) -> Indices: ...
@overload
def locate_draws(
    summary: SummaryLike, *, u: ArrayLike, size: Size | None = None, on_invalid: OnInvalid = "raise"
) -> int | Indices: ...
# fmt: on
def locate_draws(summary: Any, *, u: Any, size: Any = None, on_invalid: str = "raise") -> Any:
    """Where each draw falls: only the shard with that entry must be asked.

    Parameters
    ----------
    summary : Summary
        Of the whole row.
    u : array_like
        The uniforms, in [0, 1), broadcast to the shape of the rows and `size`.
    size : int or tuple of int, optional
        The draws from each row.
    on_invalid : {"raise", "flag"}, default "raise"
        As in :func:`sample`.

    Returns
    -------
    int or ndarray of int64
        An entry of the shard that the draw is in: the first of the block, or the drawn entry itself where a cut divides
        the block; -1 for a row that cannot be drawn from.

    Raises
    ------
    ValueError
        For a summary with a gap, `u` outside [0, 1), or a row that cannot be drawn from.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> whole = fastsoftmax.summarize(np.zeros((2, 4096), np.float32))
    >>> fastsoftmax.locate_draws(whole, u=[0.3, 0.99])
    array([1024, 3072])
    """
    located = locations_of(whole_summary(summary), u, size, on_invalid)
    entry = np.where(located["entry"] >= 0, located["entry"], located["start"])
    return entry.astype(np.int64) if entry.ndim else int(entry)


# fmt: off
@overload
def sample_from_summary(
    logits_shard: UnknownRows, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[False] = False, mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> int | Indices: ...
@overload
def sample_from_summary(
    logits_shard: UnknownRows, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[True], mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample_from_summary(
    logits_shard: OneRow, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[False] = False, mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> int: ...
@overload
def sample_from_summary(
    logits_shard: OneRow, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[True], mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> tuple[int, float]: ...
@overload
def sample_from_summary(
    logits_shard: SeveralRows, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[False] = False, mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> Indices: ...
@overload
def sample_from_summary(
    logits_shard: SeveralRows, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: None = None,
    return_logprob: Literal[True], mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> tuple[Indices, Logprobs]: ...
@overload
def sample_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: SomeDraws,
    return_logprob: Literal[False] = False, mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> Indices: ...
@overload
def sample_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: SomeDraws,
    return_logprob: Literal[True], mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> tuple[Indices, Logprobs]: ...
@overload
def sample_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: Size | None = None,
    return_logprob: Literal[False] = False, mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> int | Indices: ...
@overload
def sample_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: Size | None = None,
    return_logprob: Literal[True], mask: Mask | None = None, bias: Bias | None = None,
    on_invalid: OnInvalid = "raise"
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample_from_summary(
    logits_shard: ArrayLike, summary: SummaryLike, *, offset: Int, u: ArrayLike, size: Size | None = None,
    return_logprob: bool, mask: Mask | None = None, bias: Bias | None = None, on_invalid: OnInvalid = "raise"
) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
# fmt: on
def sample_from_summary(
    logits_shard: Any,
    summary: Any,
    *,
    offset: Any,
    u: Any,
    size: Any = None,
    mask: Any = None,
    bias: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """The draws from the whole rows that fall in this shard.

    Parameters
    ----------
    logits_shard, summary, offset
        As in :func:`softmax_from_summary`.
    u : array_like
        The uniforms, in [0, 1), broadcast to the shape of the rows and `size`: the same for every shard.
    size : int or tuple of int, optional
        The draws from each row.
    mask, bias : optional
        What :func:`summarize` was given for this shard.
    return_logprob : bool, default False
        Return the log-probabilities as well.
    on_invalid : {"raise", "flag"}, default "raise"
        As in :func:`sample`; every shard raises, or gives -1 and NaN.

    Returns
    -------
    int or ndarray of int64
        The numbers of the entries in the whole vocabulary; -1 for a draw that falls in another shard.  The maximum over
        all shards is the result of ``sample(logits, temperature, u=u)``.
    float or ndarray of float64
        Only with `return_logprob`: log p; -inf for a draw that falls in another shard, so that the maximum over all
        shards is that of :func:`sample` too.

    Raises
    ------
    ValueError
        For a summary with a gap or of other rows, a shard outside of it, or one cut within a block in which no shard
        was cut when it was summarised; `u` outside [0, 1), a row that cannot be drawn from, or entries that are not
        those summarised, as far as the maxima of the blocks tell in which the draws fall.
    TypeError
        For a shard of another dtype than the summary's.

    Notes
    -----
    The summary decides the block of each draw; of the logits, only that block is read.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.zeros((3, 2048))
    >>> whole = fastsoftmax.summarize(x)
    >>> fastsoftmax.sample_from_summary(x[:, :1024], whole, offset=0, u=[0.1, 0.5, 0.9])
    array([204,  -1,  -1])
    >>> fastsoftmax.sample_from_summary(x[:, 1024:], whole, offset=1024, u=[0.1, 0.5, 0.9])
    array([  -1, 1024, 1843])
    """
    check_on_invalid(on_invalid)
    summary = whole_summary(summary)
    if size is None and bias is None:
        drawn = _core.drawn_in_shard(logits_shard, summary, offset, u, mask, bool(return_logprob))
        if drawn is not None:
            index, logprob, changed = drawn
            check_unchanged(changed, summary.shape, offset)
            return _unpacked(index, logprob)
    a, rows, place = checked_shard(logits_shard, summary, offset)
    check_cuts(summary, rows, place, _core.shard_block(dtype_code(a.dtype)))
    located = locations_of(summary, u, size, on_invalid)
    mask_and_bias = mask_and_bias_rows(mask, bias, rows)
    normaliser = normaliser_of(summary)
    index, logprob = resolve(a, rows, place, summary.temperature, mask_and_bias, normaliser, located, return_logprob)
    return _unpacked(index, logprob)


def _unpacked(index: NDArray[np.int64], logprob: NDArray[np.float64] | None) -> Any:
    """Draws as arrays; as numbers if there is one row and one draw."""
    if index.ndim:
        return index if logprob is None else (index, logprob)
    return int(index) if logprob is None else (int(index), float(logprob))

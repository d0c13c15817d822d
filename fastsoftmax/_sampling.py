"""sample and sample_probs: draw an index from each row, filtered or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import (
    Array,
    Axis,
    Rows,
    along_one_axis,
    any_array,
    dtype_code,
    floats_of,
    shown,
    size_shape,
    taken,
    temperature_rows,
    uniform_rows,
)
from ._args.biases import are_biases_of_rows, bias_rows
from ._args.filters import Filters, as_filters, no_filters
from ._args.invalid import raise_invalid
from ._args.lazy import is_dask_array, of_dask_array
from ._args.masks import mask_rows
from ._args.random import as_generator, check_u_or_rng, process_generator, uniforms

# At least this many draws from one row take their uniforms one by one, without an array of them.
_MANY = 256


def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
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
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from softmax(logits/T), for every row.

    Parameters
    ----------
    logits : array_like
        Any real numbers; -inf is never drawn.  dtypes and layouts as in :func:`softmax`.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.  0 takes the lowest index of the maximum, inf draws
        uniformly among the entries above -inf.
    axis : int, tuple of int or None, default -1
        The axis to draw along; the index of several axes is that of the flattened ones, in C order.
    size : int or tuple of int, optional
        The draws from each row: the shape of the result ends in `size`.
    u : array_like, optional
        The uniforms, in [0, 1), broadcast to the shape of the result: the draw is a function of them.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where the uniforms come from if `u` is not given: one double for each draw, in row-major order.  None is
        a generator of the process, seeded from fresh entropy.
    mask : array_like, optional
        bool or integers 0 and 1, broadcast to the shape of `logits`: True and 1 are allowed.  Or int32 words of 32
        entries, the first entry in the lowest bit, with the rows' shape and ceil(n / 32) words last.
    bias : array_like, {index: value} or a list of these, optional
        Added to the logits, before the temperature.  A list has a mapping, or None, for each row.
    top_k : int or array_like, optional
        Keep the k largest logits, exactly k: of equal ones the first.
    top_p : float or array_like, optional
        Keep the most likely entries whose probability before them is below p (nucleus sampling [2]_).
    min_p : float or array_like, optional
        Keep entries of at least min_p times the largest probability.
    top_a : float or array_like, optional
        Keep entries of at least a times the square of the largest probability.
    p_less : bool or array_like, default False
        Keep entries of at least the sum of the squares of all probabilities [5]_.
    typical_p : float or array_like, optional
        Keep the entries whose -log p is closest to the entropy, until they have this probability [3]_.
    top_h : float or array_like, optional
        Keep the most likely entries that together have no more than this share of the entropy [6]_.
    top_n_sigma : float or array_like, optional
        Keep logits within this many standard deviations of the largest.
    epsilon_cutoff, eta_cutoff : float or array_like, optional
        Keep entries of probability epsilon, or min(eta, sqrt(eta) exp(-entropy)), or more [4]_.
    xtc_threshold, xtc_probability : float or array_like, optional
        With this probability, of the entries of at least this probability drop all but the least likely.
    xtc_u : array_like, optional
        The coins of XTC, in [0, 1), one a row; else they come from `rng`, before the uniforms of the draws.
    dynatemp_range, dynatemp_exponent : float or array_like, optional
        Dynamic temperature: between T - range and T + range, by (entropy / log n)**exponent.
    smoothing_factor, smoothing_curve : float or array_like, optional
        Instead of x/T, take -factor (k d**2 + s d**3) right after the temperature: d is the distance from the largest
        x/T, k = (3 - curve)/2 and s = (curve - 1)/2.  The curve is at least 1; it is a parabola at 1 [7]_.
    min_tokens_to_keep : int or array_like, default 1
        What each filter leaves at least.
    temperature_last : bool or array_like, default False
        Let the filters look at temperature 1, and apply the temperature to what they leave.
    order : tuple of str, optional
        The filters by name ("xtc" for XTC) in the order in which they work, instead of that above; every filter that
        is on must be there.  "temperature" says where the temperature comes; without it that is before all of them.
    keep : sequence of int, optional
        Indices that no filter drops, in any row.
    return_logprob : bool, default False
        Return the logarithm of the probability of what was drawn as well, filters included.
    on_invalid : {"raise", "flag"}, default "raise"
        What to do about a row that cannot be drawn from (NaN, or no entry above -inf): raise ValueError, or
        give -1 (and NaN) for it and draw the others.

    Returns
    -------
    int or ndarray of int64
        The indices, in the shape of the rows and `size`; a Python int for one draw from one row.
    float or ndarray of float64
        Only with `return_logprob`: log p, in nats, of each.

    Raises
    ------
    ValueError
        For a row that cannot be drawn from, by its number; a negative or NaN temperature; `u` outside [0, 1);
        `u` together with `rng`; a filter's parameter out of range; shapes that do not fit.
    TypeError
        For data of other dtypes, or a RandomState.

    Notes
    -----
    The draw is the smallest index whose cumulative weight exceeds u times the total (inverse transform sampling
    [1]_), in integers: an entry of probability 0 is never returned, the index is always in range, and an event
    of probability down to 2**-50 keeps it.

    ``sample(x, rng=g)`` equals ``sample(x, u=g.random(shape_of_the_result))``.

    Every filter may have one value for each row.  They are applied in the order above, each to the distribution
    renormalised after the one before; None, and the neutral value, switch one off.

    References
    ----------
    .. [1] Devroye, L., "Non-Uniform Random Variate Generation", Springer, 1986, section III.2.
    .. [2] Holtzman, A. et al., "The Curious Case of Neural Text Degeneration", 2020, arXiv 1904.09751.
    .. [3] Meister, C. et al., "Locally Typical Sampling", 2023, arXiv 2202.00666.
    .. [4] Hewitt, J. et al., "Truncation Sampling as Language Model Desmoothing", 2022, arXiv 2210.15191.
    .. [5] R. Tan et al., "p-less Sampling: A Robust Hyperparameter-Free Approach for LLM Decoding", 2025,
       arXiv 2509.23234.
    .. [6] E. Baghaei Potraghloo et al., "Top-H Decoding: Adapting the Creativity and Coherence with Bounded Entropy in
       Text Generation", 2025, arXiv 2509.02510.
    .. [7] "Quadratic sampling" of text-generation-webui and KoboldCpp, where the parameters have these names.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> logits = np.array([[1.0, 2.0, 3.0], [0.0, -np.inf, 0.0]])
    >>> fastsoftmax.sample(logits, 0.5, u=[0.01, 0.75])
    array([0, 2])
    >>> fastsoftmax.sample(logits[0], 0)
    2
    >>> counts = np.bincount(fastsoftmax.sample(logits[0], 2.0, size=10_000, rng=7))
    >>> fastsoftmax.sample(logits[0], top_k=2, top_p=0.9, size=5, rng=7)
    array([2, 2, 2, 1, 2])
    """
    given = _core.given_filters(
        top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold,
        xtc_probability, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep,
        temperature_last, order, keep,
    )  # fmt: skip
    try:
        return draw_from(
            logits, False, temperature, axis, size, u, rng, mask, bias, given, xtc_u, return_logprob, on_invalid
        )
    except TypeError:
        if not is_dask_array(logits):
            raise
    return of_dask_array(
        "sample", logits, temperature, axis=axis, size=size, u=u, rng=rng, mask=mask, bias=bias, xtc_u=xtc_u,
        return_logprob=return_logprob, on_invalid=on_invalid, **(given or {}),
    )  # fmt: skip


def sample_probs(
    probs: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
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
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from probabilities (or any weights) raised to 1/T, for every row.

    Parameters
    ----------
    probs : array_like
        Weights, 0 <= p < inf; they need not sum to 1.  0 is never drawn, and warns of nothing.
    temperature, axis, size, u, rng, mask, bias, return_logprob, on_invalid
        As in :func:`sample`; `bias` is added to log(probs).
    top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold, \
xtc_probability, xtc_u, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep, \
temperature_last, order, keep
        The filters of :func:`sample`.

    Returns
    -------
    int or ndarray of int64
        The indices, as in :func:`sample`.
    float or ndarray of float64
        Only with `return_logprob`.

    Raises
    ------
    ValueError
        As in :func:`sample`; a row with a negative, NaN or infinite weight, or of zeros only, cannot be drawn
        from.
    TypeError
        As in :func:`sample`.

    Notes
    -----
    .. math:: P(i) = p_i^{1/T} / \\sum_j p_j^{1/T}

    This is ``sample(log(probs), T)``; at T = 1 the weights themselves are summed, so that the boundaries between
    integer weights below 2**51, with a total below 2**61, are exact.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.sample_probs([1, 0, 1, 2], u=[0.0, 0.25, 0.5, 0.999], size=4)
    array([0, 2, 3, 3])
    """
    given = _core.given_filters(
        top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold,
        xtc_probability, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep,
        temperature_last, order, keep,
    )  # fmt: skip
    return draw_from(probs, True, temperature, axis, size, u, rng, mask, bias, given, xtc_u, return_logprob, on_invalid)


def check_on_invalid(on_invalid: Any) -> None:
    if not isinstance(on_invalid, str) or on_invalid not in ("raise", "flag"):
        raise ValueError(f'on_invalid must be "raise" or "flag", got {shown(on_invalid)}')


def coin_rows(filters: Filters | None, xtc_u: Any, u: Any, generator: Any, shape: tuple[int, ...]) -> Any:
    """The coins of XTC, one for each row: given, or drawn before the uniforms of the draws; None where it is off."""
    needs_coin = filters is not None and filters.needs_coin
    if xtc_u is not None:
        coins = uniform_rows(xtc_u, shape, "xtc_u")
        return coins if needs_coin else None
    if not needs_coin:
        return None
    if u is not None:
        raise ValueError("u is given and XTC is on: pass its coins too, one for each row, as xtc_u")
    return np.asarray(uniforms(generator, shape))


def draw_from(
    values: Any,
    probs: bool,
    temperature: Any,
    axis: Axis,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    given: Mapping[str, Any] | None,
    xtc_u: Any,
    return_logprob: bool,
    on_invalid: str,
    distinct: bool = False,
) -> Any:
    """`sample` and `sample_probs`, and without replacement (`distinct`); given: the filters by name."""
    if u is not None:
        check_u_or_rng(u, rng)
    elif rng is None:
        rng = process_generator()
    filters = None if given is None else as_filters(given)
    if xtc_u is None and (filters is None or not (filters.record.ndim or filters.needs_coin)):
        stop = isinstance(on_invalid, str) and on_invalid == "raise"
        if not stop:
            check_on_invalid(on_invalid)
        record, log = None if filters is None else filters.record, return_logprob
        keep = None if filters is None else filters.keep
        drawn = _core.draw(
            values, probs, temperature, axis, size, u, rng, mask, bias, log, stop, record, distinct, keep=keep
        )
        if drawn is None:  # often one argument is all that is in the way
            values, temperature, u, mask, bias = _taken(values, probs, temperature, u, mask, bias)
            rng = None if u is not None else as_generator(rng)
            flat, at = along_one_axis(values, axis)
            trailing = (size,) if distinct else size_shape(size)
            k = math.prod(trailing) if trailing else None
            drawn = _core.draw(
                flat, probs, temperature, at, k, u, rng, mask, bias, log, stop, record, distinct, keep=keep
            )
            if drawn is not None and len(trailing) > 1:
                parts = drawn[0] if log else (drawn[0],)
                shaped = tuple(part.reshape((*part.shape[:-1], *trailing)) for part in parts)
                drawn = shaped if log else shaped[0], drawn[1]
        if drawn is not None:
            if drawn[1] >= 0 and stop:
                raise_invalid(values, probs, axis, mask, bias, drawn[1], size if distinct else None)
            return drawn[0]
    return draw_rows(
        values, probs, temperature, axis, size, u, rng, mask, bias, filters, xtc_u, return_logprob, on_invalid, distinct
    )


def _taken(values: Any, probs: bool, *others: Any) -> tuple[Any, ...]:
    """The values, temperature, u, mask and bias as arrays and numbers; the values are looked at when all are taken."""
    name = "probs" if probs else "logits"
    values = any_array(values, name)
    given = zip(("temperature", "u", "mask", "bias"), others, strict=True)
    kept = [
        x
        if x is None or argument == "bias" and (isinstance(x, Mapping) or are_biases_of_rows(x))
        else taken(x, argument)
        for argument, x in given
    ]
    return floats_of(values, name), *kept


def draw_rows(
    values: Any,
    probs: bool,
    temperature: Any,
    axis: Axis,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    filters: Filters | None,
    xtc_u: Any,
    return_logprob: bool,
    on_invalid: str,
    distinct: bool = False,
    aimed: tuple[Array, Array] | None = None,
) -> Any:
    """What the compiled entry does not take as it is, as arrays that it takes.

    aimed: adaptive_p's aims, one for each row, and what the probabilities of the draws before it go to.
    """
    name = "probs" if probs else "logits"
    xtc_u = None if xtc_u is None else taken(xtc_u, "xtc_u")
    a, temperature, u, mask, bias = _taken(values, probs, temperature, u, mask, bias)
    rows = Rows(a.shape, axis, name, may_be_empty=True)
    if distinct and size > max(rows.entries, 1):
        raise ValueError(f"k must be from 1 to the number of entries, {rows.entries}; got {shown(size)}")
    t = temperature_rows(temperature, rows)
    trailing = size_shape(size)
    shape = rows.shape + trailing
    check_on_invalid(on_invalid)
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    records = filters.rows(rows) if filters is not None else no_filters(rows) if aimed is not None else None
    generator = as_generator(rng) if u is None else None
    coins = coin_rows(filters, xtc_u, u, generator, rows.shape)
    if (
        type(generator) is np.random.Generator
        and not rows.shape
        and records is None
        and not (return_logprob or distinct)
        and math.prod(shape) >= _MANY
    ):
        drawn: NDArray[np.int64] = np.empty(shape, np.int64)
        why = _core.sample_many(
            rows.split(a), dtype_code(a.dtype), probs, float(t), allowed, words, added, added_at,
            generator.bit_generator, drawn,
        )  # fmt: skip
        if why is not None:
            uniforms(generator, shape)  # a row that cannot be drawn from uses up its uniforms like any other
            drawn.fill(-1)
            if on_invalid == "raise":
                raise_invalid(a, probs, axis, mask, bias, 0)
        return drawn
    each = np.asarray(uniforms(generator, shape)) if u is None else uniform_rows(u, shape)
    k = math.prod(trailing)
    if not a.size:
        if math.prod(rows.shape) and on_invalid == "raise":
            fix = "fix it" if distinct else 'fix it, or pass on_invalid="flag" to get -1 for it'
            raise ValueError(f"{name}: {rows.name_row(0)} has no entries; {fix}")
        if not shape:
            return (-1, math.nan) if return_logprob else -1
        index = np.full(shape, -1)
        return (index, np.full(shape, np.nan)) if return_logprob else index
    found = _core.draw(
        rows.split(a), probs, t, -1, k, each.reshape((*rows.shape, k)), None, allowed, added, bool(return_logprob),
        on_invalid == "raise", records, distinct, added_at, coins, True, None if filters is None else filters.keep,
        *(aimed or ()),
    )  # fmt: skip
    assert found is not None  # every argument has been prepared
    result, bad = found
    if bad >= 0 and on_invalid == "raise":
        raise_invalid(a, probs, axis, mask, bias, bad, size if distinct else None)
    index, logprob = result if return_logprob else (result, None)
    if shape:
        index = index.reshape(shape)
        return index if logprob is None else (index, logprob.reshape(shape))
    return int(index[0]) if logprob is None else (int(index[0]), float(logprob[0]))

"""sample and sample_probs: draw an index from each row, filtered or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from . import _core
from ._args.arrays import Axis
from ._args.filters import as_filters
from ._args.keyed import INVERSION, seeded
from ._args.lazy import is_dask_array, of_dask_array
from ._draws import draw_from

if TYPE_CHECKING:
    from ._types import (
        ArrayLike,
        Dask,
        Indices,
        Logprobs,
        OneRow,
        SampleOptions,
        SeveralRows,
        Size,
        SomeDraws,
        UnknownRows,
    )


# fmt: off
@overload
def sample(
    logits: UnknownRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int | Indices: ...
@overload
def sample(
    logits: UnknownRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample(
    logits: OneRow, temperature: ArrayLike = 1.0, *, axis: int | None = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int: ...
@overload
def sample(
    logits: OneRow, temperature: ArrayLike = 1.0, *, axis: int | None = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float]: ...
@overload
def sample(
    logits: SeveralRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> Indices: ...
@overload
def sample(
    logits: SeveralRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[Indices, Logprobs]: ...
@overload
def sample(
    logits: Dask, temperature: ArrayLike = 1.0, *, axis: int = -1, size: Size | None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> Dask: ...
@overload
def sample(
    logits: Dask, temperature: ArrayLike = 1.0, *, axis: int = -1, size: Size | None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[Dask, Dask]: ...
@overload
def sample(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: SomeDraws,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> Indices: ...
@overload
def sample(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: SomeDraws,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[Indices, Logprobs]: ...
@overload
def sample(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int | Indices: ...
@overload
def sample(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample(
    logits: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: bool, **options: Unpack[SampleOptions]
) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
# fmt: on
def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
    seed: Any = None,
    keys: Any = None,
    step: Any = None,
    method: str = INVERSION,
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
    seed : int or array_like of int, optional
        0 <= seed < 2**64, for all rows or one for each: instead of `u` and `rng`, the draw of a row is a function of
        the row, its parameters, the seed, its key and its step alone.  Not together with `size`.
    keys : array_like of int, optional
        With a seed: one for each row, from -2**63 to 2**64 - 1.  Without them a row's key is its number; 0 for all
        where each row has a seed.
    step : int or array_like of int, default 0
        With a seed: 0 <= step < 2**64, for all rows or one for each.
    method : {"inversion", "rejection"}, default "inversion"
        With a seed: "inversion" draws with ``u=keyed_uniforms(seed, keys, step)``.  "rejection" reads as many bits as
        it needs, and draws from 8,192 entries and more for little more than the time of finding the largest [8]_; a
        shorter row, and one in which a filter is on, is drawn from by inversion.
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
        `u` together with `rng`, or one of them with `seed`; `keys`, `step` or a `method` without a seed; a filter's
        parameter out of range; shapes that do not fit.
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
    .. [8] docs/rejection.md has the algorithm and the proof that it is exact; for rejection see Devroye, section II.3.

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
    of_seed = None
    if seed is not None or keys is not None or step is not None or method is not INVERSION:
        if not is_dask_array(logits):  # of which it takes a size too
            of_seed = seeded(u, rng, size, seed, keys, step, method)
    try:
        return draw_from(
            logits, False, temperature, axis, size, u, rng, mask, bias, None if given is None else as_filters(given),
            xtc_u, return_logprob, on_invalid, seeded=of_seed,
        )  # fmt: skip
    except TypeError:
        if not is_dask_array(logits):
            raise
    return of_dask_array(
        "sample", logits, temperature, axis=axis, size=size, u=u, rng=rng, seed=seed, keys=keys,
        step=0 if step is None else step, method=method, mask=mask, bias=bias, xtc_u=xtc_u,
        return_logprob=return_logprob, on_invalid=on_invalid, **(given or {}),
    )  # fmt: skip


# fmt: off
@overload
def sample_probs(
    probs: UnknownRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int | Indices: ...
@overload
def sample_probs(
    probs: UnknownRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample_probs(
    probs: OneRow, temperature: ArrayLike = 1.0, *, axis: int | None = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int: ...
@overload
def sample_probs(
    probs: OneRow, temperature: ArrayLike = 1.0, *, axis: int | None = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float]: ...
@overload
def sample_probs(
    probs: SeveralRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> Indices: ...
@overload
def sample_probs(
    probs: SeveralRows, temperature: ArrayLike = 1.0, *, axis: int = -1, size: None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[Indices, Logprobs]: ...
@overload
def sample_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: SomeDraws,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> Indices: ...
@overload
def sample_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: SomeDraws,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[Indices, Logprobs]: ...
@overload
def sample_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: Literal[False] = False, **options: Unpack[SampleOptions]
) -> int | Indices: ...
@overload
def sample_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: Literal[True], **options: Unpack[SampleOptions]
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample_probs(
    probs: ArrayLike, temperature: ArrayLike = 1.0, *, axis: Axis = -1, size: Size | None = None,
    return_logprob: bool, **options: Unpack[SampleOptions]
) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
# fmt: on
def sample_probs(
    probs: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
    seed: Any = None,
    keys: Any = None,
    step: Any = None,
    method: str = INVERSION,
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
    temperature, axis, size, u, rng, seed, keys, step, method, mask, bias, return_logprob, on_invalid
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
    of_seed = None
    if seed is not None or keys is not None or step is not None or method is not INVERSION:
        of_seed = seeded(u, rng, size, seed, keys, step, method)
    return draw_from(
        probs, True, temperature, axis, size, u, rng, mask, bias, None if given is None else as_filters(given),
        xtc_u, return_logprob, on_invalid, seeded=of_seed,
    )  # fmt: skip

"""sample and sample_probs."""

from __future__ import annotations

from typing import Any

from ._drawing import draw_rows
from ._parameters import Filters
from ._rows import Bias, Mask, PerRow, Row, Rows, SupportsRandom, as_shape, not_both


def sample(
    logits: Row | Rows,
    temperature: PerRow = 1.0,
    *,
    size: int | tuple[int, ...] | None = None,
    u: Any = None,
    rng: SupportsRandom | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
    top_k: int | list[int] | None = None,
    top_p: PerRow | None = None,
    min_p: PerRow | None = None,
    typical_p: PerRow | None = None,
    top_n_sigma: PerRow | None = None,
    epsilon_cutoff: PerRow | None = None,
    eta_cutoff: PerRow | None = None,
    xtc_threshold: PerRow | None = None,
    xtc_probability: PerRow | None = None,
    dynatemp_range: PerRow | None = None,
    dynatemp_exponent: PerRow = 1.0,
    min_tokens_to_keep: int | list[int] = 1,
    temperature_last: bool | list[bool] = False,
    xtc_u: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from ``softmax(logits / temperature)``, or from what the filters leave of it.

    The draw is the smallest index whose cumulative weight exceeds `u` times the total weight.

    Parameters
    ----------
    logits : list of float, or list of such rows
    temperature : float in [0, inf], or one per row
        0 takes the first of the largest entries.
    size : int or tuple of int, optional
        Shape of the draws made from each row; one draw, not in a list, unless given.
    u : float in [0, 1), or lists of them, optional
        The uniforms; broadcast to the shape of the result.
    rng : object with a ``random()`` method, optional
        Where the uniforms come from if `u` is not given: with XTC on one for each row, then one for each draw,
        in order.
    mask : list of bool, or list of 32-bit words, or one such list per row, optional
        True, or a set bit (the least significant first), marks an entry that may be drawn.
    bias : list of float, or one such list per row, or {index: value}, optional
        Added to the logits.
    top_k : int >= 0, or one per row, optional
        Keep the first so many of the sorted order (value descending, index ascending). 0 is off.
    top_p : float in [0, 1], or one per row, optional
        Keep those with less than this share of the mass before them in the sorted order; 0 keeps the first.
    min_p : float in [0, 1], or one per row, optional
        Keep ``p_i >= min_p * max p``.
    typical_p : float in [0, 1], or one per row, optional
        Keep, by ascending ``abs(-log p_i - H)`` with the entropy H, the first that have this share of the mass.
    top_n_sigma : float >= 0, or one per row, optional
        Keep ``x_i >= max x - top_n_sigma * sigma``, sigma being the population standard deviation of the x.
        0 is off.
    epsilon_cutoff : float in [0, 1], or one per row, optional
        Keep ``p_i >= epsilon_cutoff``.
    eta_cutoff : float in [0, 1], or one per row, optional
        Keep ``p_i >= min(eta_cutoff, sqrt(eta_cutoff) * exp(-H))``.
    xtc_threshold, xtc_probability : float in [0, 1], or one per row, optional
        With this probability, of two or more entries of ``p_i >= xtc_threshold`` drop all but the least likely.
        A threshold above 0.5 is off.
    dynatemp_range : float >= 0, or one per row, optional
        The temperature becomes ``T_min + (T_max - T_min) * (H / log n) ** dynatemp_exponent`` between
        ``max(0, temperature - dynatemp_range)`` and ``temperature + dynatemp_range``, H being the entropy at
        temperature 1 of the n entries.
    dynatemp_exponent : float > 0, or one per row
    min_tokens_to_keep : int >= 1, or one per row
        Each filter keeps at least so many of its own order, if there are so many.
    temperature_last : bool, or one per row
        Filter at temperature 1, and apply the temperature to what survives.
    xtc_u : float in [0, 1), or one per row, optional
        XTC's coins: it happens where the coin is less than `xtc_probability`. Needed where XTC is on and `u` is
        given.
    return_logprob : bool
        Return the log-probability of each draw as well, that after the filters.
    on_invalid : {"raise", "flag"}
        What a row that holds a NaN or nothing above -inf does: raise, or give index -1 and log-probability
        NaN.

    Returns
    -------
    int, or lists of int
        Of shape rows + `size`. With `return_logprob`, a pair: the indices and their log-probabilities.

    Raises
    ------
    ValueError
        If an argument is out of range, or for an invalid row, which it names.

    Notes
    -----
    The filters work in the order of the parameters, each on the distribution renormalised after the one before.

    Examples
    --------
    >>> sample([0.0, 1.0, 2.0], u=0.5)
    2
    >>> sample([[0.0, 1.0], [1.0, 0.0]], temperature=[1.0, 0.0], u=[0.1, 0.9], return_logprob=True)
    ([0, 0], [-1.3132616875182228, 0.0])
    >>> sample([0.0, 1.0, 2.0, 1.0], top_k=2, size=3, u=[0.0, 0.26, 0.27])
    [1, 1, 2]
    """
    not_both(u, rng)
    filters = Filters(
        top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p, top_n_sigma=top_n_sigma,
        epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
        xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
        min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last,
    )  # fmt: skip
    drawn = draw_rows(
        logits, False, temperature, filters, mask=mask, bias=bias, u=u, xtc_u=xtc_u, rng=rng, size=as_shape(size),
        on_invalid=on_invalid,
    )  # fmt: skip
    return drawn if return_logprob else drawn[0]


def sample_probs(
    probs: Row | Rows,
    temperature: PerRow = 1.0,
    *,
    size: int | tuple[int, ...] | None = None,
    u: Any = None,
    rng: SupportsRandom | None = None,
    mask: Mask | None = None,
    bias: Bias | None = None,
    top_k: int | list[int] | None = None,
    top_p: PerRow | None = None,
    min_p: PerRow | None = None,
    typical_p: PerRow | None = None,
    top_n_sigma: PerRow | None = None,
    epsilon_cutoff: PerRow | None = None,
    eta_cutoff: PerRow | None = None,
    xtc_threshold: PerRow | None = None,
    xtc_probability: PerRow | None = None,
    dynatemp_range: PerRow | None = None,
    dynatemp_exponent: PerRow = 1.0,
    min_tokens_to_keep: int | list[int] = 1,
    temperature_last: bool | list[bool] = False,
    xtc_u: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index with probability proportional to ``probs_i ** (1 / temperature)``, or from what is left of it.

    The same as `sample` of ``log(probs)``; at temperature 1 without bias and dynamic temperature the weights are
    exactly `probs`, for the filters too.

    Parameters
    ----------
    probs : list of float, or list of such rows
        Finite, not negative, not all zero; they need not sum to 1.
    temperature, size, u, rng, mask, top_k, ..., xtc_u, return_logprob, on_invalid
        As for `sample`.
    bias
        As for `sample`; added to ``log(probs)``.

    Returns
    -------
    int, or lists of int
        As for `sample`.

    Raises
    ------
    ValueError
        As for `sample`. A row is invalid if an entry is negative, NaN or infinite, or all are zero.

    Examples
    --------
    >>> [sample_probs([1, 0, 3], u=u) for u in (0.0, 0.2499, 0.25, 0.9999)]
    [0, 0, 2, 2]
    >>> sample_probs([0.1, 0.2, 0.3, 0.4], top_p=0.7, size=3, u=[0.0, 0.42, 0.43])
    [2, 2, 3]
    """
    not_both(u, rng)
    filters = Filters(
        top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p, top_n_sigma=top_n_sigma,
        epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
        xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
        min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last,
    )  # fmt: skip
    drawn = draw_rows(
        probs, True, temperature, filters, mask=mask, bias=bias, u=u, xtc_u=xtc_u, rng=rng, size=as_shape(size),
        on_invalid=on_invalid,
    )  # fmt: skip
    return drawn if return_logprob else drawn[0]

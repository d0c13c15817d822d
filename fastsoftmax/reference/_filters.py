"""The truncation filters, and truncate.

A filter takes the candidates with their probabilities p, its parameter and the least number to keep; the probabilities
of what it keeps are normalised again. H is the entropy ``-sum p_i log p_i``.
"""

import math
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

from ._candidates import Candidates, allowed, candidates_of, sorted_order
from ._softmax import Bias, Mask, Row, exponent, total_of


@dataclass(frozen=True)
class Filters:
    """The parameters, in the order in which the filters work. The default of each switches it off."""

    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    top_a: float = 0.0
    p_less: bool = False
    typical_p: float = 1.0
    top_h: float = 1.0
    top_n_sigma: float = 0.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0
    xtc_threshold: float = 1.0
    xtc_probability: float = 0.0
    xtc_u: float = 0.0  # the coin: XTC happens if xtc_u < xtc_probability
    mirostat_mu: float = math.inf
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    smoothing_factor: float = 0.0
    smoothing_curve: float = 1.0
    min_tokens_to_keep: int = 1  # of each filter's own order
    temperature_last: bool = False  # filter at temperature 1
    order: tuple[str, ...] = ()  # other than that of ORDER; "temperature" may be anywhere in it
    keep: tuple[int, ...] = ()  # indices that no filter drops
    adaptive_aim: float | None = None  # what adaptive_p aims at in this draw


ORDER = (
    "top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h", "top_n_sigma", "epsilon_cutoff", "eta_cutoff",
    "xtc",
)  # fmt: skip


def truncate(x: Row, temperature: float = 1.0, *, mask: Mask = None, bias: Bias = None, **filters: Any) -> Row:
    """``x_i / temperature`` where `sample` may draw, -inf elsewhere.

    ``softmax(truncate(x, t, **filters))`` is the distribution that ``sample(x, t, **filters)`` draws from. What is kept
    at temperature 0 or infinity is 0. A row that cannot be drawn from is NaN or -inf throughout.

    Parameters
    ----------
    mask, bias : list of bool, list of float, optional
        Where the mask is False, an entry is forbidden; the bias is added to `x`.
    **filters
        The fields of `Filters` (in ``_filters.py``); the function of the same name there says what a filter keeps.

    Examples
    --------
    >>> truncate([1.0, 3.0, 2.0, 3.0], 0.5, top_k=2)
    [-inf, 6.0, -inf, 6.0]
    >>> truncate([0.0, 0.0, 0.0, 0.0], top_p=0.51, mask=[True, False, True, True])
    [0.0, -inf, 0.0, -inf]
    """
    x = allowed(x, mask, bias)
    if (total := total_of(x, temperature)).why_invalid():
        return [total.largest] * len(x)
    c = filtered(candidates_of(x), temperature, Filters(**filters))
    row = [0.0 if c.temperature in (0, math.inf) else v / c.temperature for v in c.x]
    return allowed(row, [i in c.indices for i in range(len(x))], None)


def filtered(c: Candidates, temperature: float, f: Filters) -> Candidates:
    """What the filters keep, at the temperature it is drawn with."""
    order = f.order or ORDER
    if "temperature" not in order:
        order = (*order, "temperature") if f.temperature_last else ("temperature", *order)
    steps = [step for step in order if step == "temperature" or is_on(step, f)]
    if order[0] != "temperature" and len(steps) > 1:
        c = c.at(1.0)
    whole = c
    for step in steps:
        if step == "temperature":
            c = smoothed(c.at(dynamic_temperature(c, temperature, f)), f)
            whole = c if order[0] == "temperature" else whole
        else:
            c = FILTERS[step](c, getattr(f, PARAMETER.get(step, step)), f.min_tokens_to_keep)
    if f.mirostat_mu < math.inf:
        c = mirostat(c, f.mirostat_mu)
    c = c.take_too(i for i in whole.indices if i in f.keep).at(c.temperature)
    return c if f.adaptive_aim is None else adapted(c, Fraction(f.adaptive_aim))


def is_on(step: str, f: Filters) -> bool:
    """Whether a filter may drop anything."""
    if step == "xtc":
        return f.xtc_u < f.xtc_probability and f.xtc_threshold <= 0.5
    return bool(getattr(f, step) != getattr(Filters, step))


def top_k(c: Candidates, k: int, least: int) -> Candidates:
    """The first k of the sorted order (value descending, index ascending)."""
    return c.first(max(k, least))


def top_p(c: Candidates, p: float, least: int) -> Candidates:
    """Those with less than the probability p before them in the sorted order."""
    before = accumulate(c.weights, initial=Fraction(0))
    return c.first(max(sum(mass < Fraction(p) * c.total for mass in before), least))


def min_p(c: Candidates, ratio: float, least: int) -> Candidates:
    """``p_i >= ratio * max p``; for logits ``x_i / T >= max x / T + log ratio``."""
    if c.probs is not None and c.temperature == 1:
        return c.first(max(sum(w >= Fraction(ratio) * c.weights[0] for w in c.weights), least))
    bound = log(ratio)
    return c.first(max(sum(e >= bound for e in c.exponents), least))


def top_a(c: Candidates, a: float, least: int) -> Candidates:
    """``p_i >= a * max p ** 2``."""
    return c.first(max(sum(w * c.total >= Fraction(a) * c.weights[0] ** 2 for w in c.weights), least))


def p_less(c: Candidates, _on: bool, least: int) -> Candidates:
    """``p_i >= sum p_j ** 2``."""
    squares = sum(w**2 for w in c.weights)
    return c.first(max(sum(w * c.total >= squares for w in c.weights), least))


def typical_p(c: Candidates, mass: float, least: int) -> Candidates:
    """By ascending ``abs(-log p_i - H)``, up to and with the first that brings their probability to `mass`."""
    order = sorted(range(len(c)), key=lambda i: abs(c.mean_exponent - c.exponents[i]))
    sums = accumulate(c.weights[i] for i in order)
    return c.take(order[: max(1 + sum(s < Fraction(mass) * c.total for s in sums), least)])


def top_h(c: Candidates, share: float, least: int) -> Candidates:
    """The first of the sorted order whose ``-p_i log p_i`` sum to ``share * H`` at most; one, if it is all the mass."""
    largest = log(c.total / c.weights[0])  # -log of the largest p
    sums = list(accumulate(w * (largest - e) for w, e in zip(c.weights, c.exponents, strict=True)))
    return c.first(max(sum(s <= Fraction(share) * sums[-1] for s in sums) if sums[-1] else 1, least))


def top_n_sigma(c: Candidates, n: float, least: int) -> Candidates:
    """``x_i >= max x - n * sigma``, sigma being the population standard deviation of the x."""
    if c.values[0] == math.inf:
        return c.first(max(c.values.count(math.inf), least))
    x = [Fraction(v) for v in c.values]
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return c.first(max(sum((x[0] - v) ** 2 <= Fraction(n) ** 2 * variance for v in x), least))


def epsilon_cutoff(c: Candidates, epsilon: float, least: int) -> Candidates:
    """``p_i >= epsilon``."""
    return c.first(max(sum(w >= Fraction(epsilon) * c.total for w in c.weights), least))


def eta_cutoff(c: Candidates, eta: float, least: int) -> Candidates:
    """``p_i >= min(eta, sqrt(eta) * exp(-H))``, where ``log p_i + H`` is the exponent less its mean."""
    bound = c.mean_exponent + log(eta) / 2
    reached = (w >= Fraction(eta) * c.total or e >= bound for w, e in zip(c.weights, c.exponents, strict=True))
    return c.first(max(sum(reached), least))


def xtc_threshold(c: Candidates, threshold: float, least: int) -> Candidates:
    """The least likely of those with ``p_i >= threshold`` and all that follow; everything if that is too few."""
    dropped = sum(w >= Fraction(threshold) * c.total for w in c.weights) - 1
    return c if dropped < 1 or len(c) - dropped < least else c.take(range(dropped, len(c)))


FILTERS = {
    "top_k": top_k, "top_p": top_p, "min_p": min_p, "top_a": top_a, "p_less": p_less, "typical_p": typical_p,
    "top_h": top_h, "top_n_sigma": top_n_sigma, "epsilon_cutoff": epsilon_cutoff, "eta_cutoff": eta_cutoff,
    "xtc": xtc_threshold,
}  # fmt: skip
PARAMETER = {"xtc": "xtc_threshold"}  # where it has another name than the filter


def mirostat(c: Candidates, mu: float) -> Candidates:
    """``-log2 p_i <= mu``, and at least the first.

    A `Sampler` begins with ``mu = 2 * mirostat_tau``. After a draw of probability p among what is kept, it subtracts
    ``mirostat_eta * (-log2 p - mirostat_tau)`` from mu.
    """
    return c.first(max(sum(w >= Fraction(0.5 ** max(mu, 0.0)) * c.total for w in c.weights), 1))


def dynamic_temperature(c: Candidates, temperature: float, f: Filters) -> float:
    """``T_min + (T_max - T_min) * (H / log m) ** exponent``, with H at temperature 1 of the m candidates."""
    c = c.at(1.0)
    if f.dynatemp_range == 0 or len(c) < 2 or temperature == math.inf:
        return temperature
    lowest, highest = max(0.0, temperature - f.dynatemp_range), temperature + f.dynatemp_range
    entropy = -c.logprob(c.indices[0]) - float(c.mean_exponent)
    share = min(max(entropy / math.log(len(c)), 0.0), 1.0)  # which rounding could bring out of [0, 1]
    share = math.pow(share, f.dynatemp_exponent)
    if highest == math.inf:
        return 2 * (lowest / 2 + (temperature / 2 + f.dynatemp_range / 2 - lowest / 2) * share)
    return lowest + (highest - lowest) * share


def smoothed(c: Candidates, f: Filters) -> Candidates:
    """``-factor * (k d^2 + s d^3)`` in place of ``x / T``, with ``k = (3 - curve) / 2`` and ``s = (curve - 1) / 2``.

    d is the distance from the largest x / T, and 0 for an entry above that, which a filter has dropped.
    """
    if f.smoothing_factor == 0 or c.temperature in (0, math.inf):
        return c
    curve, most = Fraction(f.smoothing_curve), 2.0**400

    def value(v: float) -> float:
        if math.isinf(distance := -exponent(v, c.values[0], c.temperature)):
            return -math.inf if v < c.values[0] else 0.0
        d = max(Fraction(distance), Fraction(0))
        y = -Fraction(f.smoothing_factor) * (((3 - curve) * d**2 + (curve - 1) * d**3) / 2)
        return float(min(max(y, Fraction(-most)), Fraction(most)))

    x = [value(v) for v in c.x]
    left = set(c.indices)
    return replace(c, indices=[i for i in sorted_order(x) if i in left], x=x, probs=None, temperature=1.0)


def adapted(c: Candidates, aim: Fraction) -> Candidates:
    """Weights ``exp(-10 d^2 / (1 + d))``, where d is ``abs(p_i - aim) / 0.3``; at temperature 0 one is left."""
    x = [-math.inf] * len(c.x)
    for i, weight in zip(c.indices, c.weights, strict=True):
        d = abs(weight / c.total - aim) / Fraction(0.3)
        x[i] = float(-10 * d**2 / (1 + d))
    left = set(c.indices)
    return replace(c, indices=[i for i in sorted_order(x) if i in left], x=x, probs=None, temperature=1.0)


def log(value: float | Fraction) -> Fraction:
    """The logarithm to 60 digits: enough to decide every comparison, as only log 1 equals a fraction."""
    of = Context(prec=60)
    ratio = Fraction(value)
    return Fraction(of.ln(of.divide(Decimal(ratio.numerator), Decimal(ratio.denominator))))

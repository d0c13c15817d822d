"""The truncation filters, one function each, and the order they are applied in.

A filter takes the candidates that the one before it left, with their distribution renormalised, its
parameter and the least number to keep, and gives the candidates it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

from ._candidates import Candidates
from ._parameters import RowFilters


def survivors(candidates: Candidates, temperature: float, filters: RowFilters) -> tuple[Candidates, float]:
    """What the filters of a row keep, at the temperature it is drawn with, and that temperature."""
    on = [(keeps, value) for name, keeps in IN_ORDER.items() if (value := getattr(filters, name)) is not None]
    if not filters.temperature_last:
        temperature = _dynamic_temperature(candidates, temperature, filters)
        candidates = candidates.at(temperature)
    elif on:
        candidates = candidates.at(1.0)
    for keeps, value in on:
        candidates = keeps(candidates, value, filters.min_tokens_to_keep)
    if filters.temperature_last:
        temperature = _dynamic_temperature(candidates, temperature, filters)
        candidates = candidates.at(temperature)
    return candidates, temperature


def top_k(c: Candidates, k: int, keep: int) -> Candidates:
    """The first k."""
    return c.first(max(k, keep))


def top_p(c: Candidates, p: float, keep: int) -> Candidates:
    """Those with less than the share p before them."""
    before = accumulate(c.weights, initial=Fraction(0))
    return c.first(max(sum(mass < Fraction(p) * c.total for mass in before), keep))


def min_p(c: Candidates, ratio: float, keep: int) -> Candidates:
    """p_i >= ratio p_max; for logits x_i / T >= x_max / T + ln ratio."""
    if c.probs is not None:
        return c.first(max(sum(w >= Fraction(ratio) * c.weights[0] for w in c.weights), keep))
    least = _ln(ratio)
    return c.first(max(sum(e >= least for e in c.exponents), keep))


def typical_p(c: Candidates, mass: float, keep: int) -> Candidates:
    """By ascending abs(-ln p_i - H), up to and with the first that brings the mass to the parameter."""
    order = sorted(range(len(c)), key=lambda i: abs(c.mean_exponent - c.exponents[i]))
    brought = accumulate(c.weights[i] for i in order)
    count = 1 + sum(s < Fraction(mass) * c.total for s in brought)
    return c.take(sorted(order[: max(count, keep)]))


def top_n_sigma(c: Candidates, width: float, keep: int) -> Candidates:
    """x_i >= x_max - width sigma, with the population standard deviation of the finite x."""
    if c.x[0] == math.inf:
        return c.first(max(c.x.count(math.inf), keep))
    x = [Fraction(v) for v in c.x]
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return c.first(max(sum((x[0] - v) ** 2 <= Fraction(width) ** 2 * variance for v in x), keep))


def epsilon_cutoff(c: Candidates, epsilon: float, keep: int) -> Candidates:
    """p_i >= epsilon."""
    return c.first(max(sum(w >= Fraction(epsilon) * c.total for w in c.weights), keep))


def eta_cutoff(c: Candidates, epsilon: float, keep: int) -> Candidates:
    """p_i >= min(epsilon, sqrt(epsilon) exp(-H)), where ln p_i + H = exponent_i - mean exponent."""
    least = c.mean_exponent + _ln(epsilon) / 2
    reached = (w >= Fraction(epsilon) * c.total or e >= least for w, e in zip(c.weights, c.exponents, strict=True))
    return c.first(max(sum(reached), keep))


def xtc(c: Candidates, threshold: float, keep: int) -> Candidates:
    """Without those of p_i >= threshold but the least likely of them, unless too few would remain."""
    likely = sum(w >= Fraction(threshold) * c.total for w in c.weights)
    if likely < 2 or len(c) - (likely - 1) < keep:
        return c
    return c.take(range(likely - 1, len(c)))


def mirostat(c: Candidates, mu: float) -> Candidates:
    """-log2 p_i <= mu, and at least the first."""
    try:
        least = Fraction(2.0**-mu)
    except OverflowError:
        return c.first(1)
    return c.first(max(sum(w >= least * c.total for w in c.weights), 1))


IN_ORDER: dict[str, Callable[[Candidates, Any, int], Candidates]] = {
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical_p": typical_p,
    "top_n_sigma": top_n_sigma,
    "epsilon_cutoff": epsilon_cutoff,
    "eta_cutoff": eta_cutoff,
    "xtc_threshold": xtc,
}


def _dynamic_temperature(candidates: Candidates, temperature: float, filters: RowFilters) -> float:
    """T_min + (T_max - T_min) (H / ln n)^exponent over the candidates, whose entropy is that at temperature 1."""
    at_one = candidates.at(1.0)
    if filters.dynatemp_range is None or len(at_one) < 2 or temperature == math.inf:
        return temperature
    lowest, highest = max(0.0, temperature - filters.dynatemp_range), temperature + filters.dynatemp_range
    # Rounding alone could bring the entropy out of [0, ln n].
    share = min(max(at_one.entropy / math.log(len(at_one)), 0.0), 1.0)
    return lowest + (highest - lowest) * math.pow(share, filters.dynatemp_exponent)


def _ln(value: float) -> Fraction:
    """ln to 60 digits: decides each comparison with a fraction, which no ln but that of 1 can be equal to."""
    return Fraction(Context(prec=60).ln(Decimal(value)))

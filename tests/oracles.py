"""Exact answers to compare with: softmax, the draw and the filters in extended precision, errors in ulp.

bench/ measures errors with this file too, so it needs no more than NumPy. NumPy's longdouble carries the answers. Where
it has no more bits than a float64 (MSVC, Apple silicon) the tests that need it are skipped; mpmath checks short rows
everywhere.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import ceil

import numpy as np

try:
    import ml_dtypes
    import pytest
except ImportError:  # in bench/, where only the tests' names DTYPES, needs_longdouble and eps are missing
    pass
else:
    DTYPES = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]
    needs_longdouble = pytest.mark.skipif(
        np.finfo(np.longdouble).nmant < 63, reason="longdouble has no more bits than float64 on this platform"
    )

# The largest uniform below 1 that a double holds in steps of 2^-53, as generators produce them.
LAST_U = 1 - 2.0**-53
GRID_U = np.concatenate([[0.0, 5e-324, 2.0**-60], np.linspace(0, 1, 101)[1:-1], [1 - 2.0**-24, LAST_U]])


def bits(array):
    """The bytes of an array, so that NaN equals NaN and -0 differs from 0."""
    return array.dtype, array.shape, np.ascontiguousarray(array).tobytes()


def eps(dtype):
    """The largest relative spacing of the dtype's normal numbers."""
    return float(ml_dtypes.finfo(dtype).eps)


def ulp(exact, dtype):
    """The spacing of the dtype's numbers at the exact values, subnormal ones included."""
    info = np.finfo(dtype)
    _, exponent = np.frexp(exact)
    return np.ldexp(np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant)


def max_ulp(got, exact):
    """The largest error of the array got, in units in the last place of its dtype."""
    error = np.abs(got.astype(np.longdouble) - exact)
    return float(np.max(error / ulp(exact, got.dtype)))


def _exponents(x, temperature):
    """(x - max x) / temperature along the last axis as an unevaluated sum of two longdoubles.

    One longdouble alone would leave exp with a relative error of 745 x 2^-64, near half an ulp of a float64.
    """
    x = np.asarray(x, dtype=np.longdouble)
    t = np.asarray(temperature, dtype=np.longdouble)
    maximum = x.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # an entry of -inf has no remainder
        difference = x - maximum
        virtual = difference - x
        lost = (x - (difference - virtual)) + (-maximum - virtual)
        quotient = difference / t
        product, product_lost = _two_product(quotient, t)
        remainder = ((difference - product) - product_lost + lost) / t
    return quotient, np.where(np.isneginf(x), 0, remainder)


def _two_product(a, b):
    """a b as a longdouble and its rounding error (Dekker's product)."""
    a_high, b_high = (_high_half(v) for v in (a, b))
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _high_half(v):
    c = v * np.longdouble(2 ** (np.finfo(np.longdouble).nmant // 2 + 1) + 1)
    return c - (c - v)


def softmax(x, temperature=1.0):
    """softmax along the last axis, in longdouble; each row has a finite maximum."""
    high, low = _exponents(x, temperature)
    weights = np.exp(high) * (1 + low)
    return weights / weights.sum(axis=-1, keepdims=True)


def _log_total(x, temperature):
    """log sum exp((x - max x) / temperature), one maximal entry being the 1 of log1p."""
    high, low = _exponents(x, temperature)
    weights = np.exp(high) * (1 + low)
    np.put_along_axis(weights, np.argmax(high, axis=-1, keepdims=True), 0, axis=-1)
    return np.log1p(weights.sum(axis=-1, keepdims=True))


def log_softmax(x, temperature=1.0):
    """log softmax along the last axis, in longdouble; each row has a finite maximum."""
    high, low = _exponents(x, temperature)
    return high + (low - _log_total(x, temperature))


def logsumexp(x, temperature=1.0):
    """log sum exp along the last axis, in longdouble; each row has a finite maximum."""
    x = np.asarray(x, dtype=np.longdouble)
    t = np.asarray(temperature, dtype=np.longdouble)
    return (x.max(axis=-1, keepdims=True) / t + _log_total(x, temperature))[..., 0]


def entropy(x, temperature=1.0):
    """Entropy along the last axis, in longdouble; each row has a finite maximum."""
    high, low = _exponents(x, temperature)
    weights = np.exp(high) * (1 + low)
    terms = np.where(weights > 0, weights * -(high + low), 0)
    return _log_total(x, temperature)[..., 0] + terms.sum(axis=-1) / weights.sum(axis=-1)


def share_tolerance(dtype, n):
    """How far a cumulative share of n entries may lie from exact.

    Weights with relative error e move a share c by 2 e c (1 - c) <= e / 2; the contract bounds e by 3 ulp in
    float32 (which float16 and bfloat16 are computed in) and 4 in float64, an ulp being at most 2^-23 and
    2^-52. Probabilities are kept down to 2^-50, which n entries may add up to n 2^-50.
    """
    weights = 4 * 2.0**-52 if dtype == np.float64 else 3 * 2.0**-23
    return weights / 2 + n * 2.0**-50


def assert_inverts_cdf(indices, weights, u, tolerance):
    """Each index has weight, and u lies in its interval of the cumulative shares, to within the tolerance."""
    weights = np.asarray(weights, dtype=np.longdouble)
    shares = np.concatenate([[0], np.cumsum(weights) / weights.sum()])
    indices = np.asarray(indices)
    assert indices.min() >= 0 and indices.max() < weights.size
    assert (weights[indices] > 0).all(), "an entry of probability zero was drawn"
    assert (shares[indices] <= u + tolerance).all(), "an index above the one whose interval holds u"
    assert (shares[indices + 1] > u - tolerance).all(), "an index below the one whose interval holds u"


# What each filter keeps, by sorting the row. Every decision of a filter is a comparison. Where one is closer to its
# boundary than the tolerance, rounding may decide it either way, and the verdict has every set that is then right. Rows
# whose entries are all equal have masses i/n, which are compared as fractions, without a tolerance.

MOST_ALTERNATIVES = 6
# A dynamic temperature below this comes from an entropy next to 0, which rounding may decide; all of it is greedy.
LEAST_DYNAMIC_TEMPERATURE = 1e-3


def tolerance_of(dtype):
    """How close to its boundary, relative to the mass, a decision may go either way."""
    return 2.0**-40 if dtype == np.float64 else 2.0**-20


@dataclass
class Verdict:
    """The kept sets that are right: one of the alternatives, or any subset of a vague set."""

    alternatives: list = field(default_factory=list)
    vague: list = field(default_factory=list)

    @property
    def sure(self):
        return len(self.alternatives) == 1 and not self.vague

    def allows(self, kept):
        kept = set(np.asarray(kept).tolist())
        return any(kept == one for one in self.alternatives) or any(kept <= most for most in self.vague)

    def add(self, indices, is_vague=False):
        one, others = set(indices.tolist()), self.vague if is_vague else self.alternatives
        if one not in others:
            others.append(one)


@dataclass
class Candidates:
    """The entries still in the set, in sorted order, and what the filters ask of them."""

    indices: np.ndarray
    x: np.ndarray
    temperature: float
    tolerance: float

    @property
    def size(self):
        return self.indices.size

    @cached_property
    def exponents(self):
        """(x - max x) / T in longdouble: 0 for the first, and for all at T = inf."""
        if np.isinf(self.temperature) or np.isposinf(self.x[0]):
            return np.zeros(self.size, np.longdouble)
        return (self.x - self.x[0]) / np.longdouble(self.temperature)

    @property
    def flat(self):
        return not self.exponents.any()

    @cached_property
    def logp(self):
        return self.exponents - np.log(np.exp(self.exponents).sum())

    @property
    def entropy(self):
        p = np.exp(self.logp)
        return -np.sum(p[p > 0] * self.logp[p > 0])

    def take(self, positions):
        return Candidates(self.indices[positions], self.x[positions], self.temperature, self.tolerance)


def candidates(x, temperature, allowed, tolerance):
    """All that the filters choose from: the allowed entries above -inf, only those of +inf if there are any."""
    x = np.asarray(x).astype(np.longdouble)
    allowed = np.ones(x.size, bool) if allowed is None else np.asarray(allowed, bool)
    above = np.flatnonzero(allowed & (x > -np.inf))
    if np.isposinf(x[above]).any() and not np.isinf(temperature):
        above = above[np.isposinf(x[above])]
    if temperature == 0 and above.size:
        above, temperature = above[[np.argmax(x[above])]], 1.0
    indices = above[np.lexsort((above, -x[above]))]
    return Candidates(indices, x[indices], temperature, tolerance)


# A filter takes the candidates, its parameter and the least number to keep, and returns the arrays of positions that
# may be right. More than MOST_ALTERNATIVES of them make the verdict vague.


def _prefixes(c, low, high, keep):
    lengths = {min(max(length, keep, 1), c.size) for length in range(int(low), int(high) + 1)}
    return [np.arange(length) for length in sorted(lengths)]


def _share_of_equals(c, share, keep):
    count = ceil(Fraction(float(share)) * c.size)
    return _prefixes(c, count, count, keep)


def _at_least(c, ratios, keep, slack):
    """The prefix with ratios >= 0, where a ratio is the logarithm of a probability over its threshold."""
    return _prefixes(c, np.count_nonzero(ratios >= slack), np.count_nonzero(ratios >= -slack), keep)


def top_k(c, k, keep):
    return _prefixes(c, k, k, keep)


def top_p(c, p, keep):
    if c.flat:
        return _share_of_equals(c, p, keep)
    before = np.cumsum(np.exp(c.logp)) - np.exp(c.logp)
    low, high = (np.count_nonzero(before < p * (1 + s * c.tolerance)) for s in (-1, 1))
    return _prefixes(c, low, high, keep)


def min_p(c, ratio, keep):
    keep = max(keep, np.count_nonzero(c.exponents == 0))
    return _at_least(c, c.exponents - np.log(np.longdouble(ratio)), keep, c.tolerance)


def top_a(c, a, keep):
    return _at_least(c, c.logp - 2 * c.logp[0] - np.log(np.longdouble(a)), keep, 3 * c.tolerance)


def p_less(c, on, keep):
    keep = max(keep, np.count_nonzero(c.exponents == 0))  # the largest is at least any mean of them
    return _at_least(c, c.logp - np.log(np.sum(np.exp(c.logp) ** 2)), keep, 3 * c.tolerance)


def top_h(c, share, keep):
    if c.flat and c.size > 1:
        count = int(Fraction(float(share)) * c.size)
        return _prefixes(c, count, count, keep)
    if c.entropy < 2.0**-60:  # less than the integers have of it: one entry has all the mass
        return _prefixes(c, 1, 1, keep)
    p = np.exp(c.logp)
    sums = np.cumsum(np.where(p > 0, -p * c.logp, 0))
    # the terms are known to the tolerance, and to the unit of the integers
    slack = c.tolerance * (c.entropy + 1)
    low, high = (np.count_nonzero(sums <= share * c.entropy + s * slack) for s in (-1, 1))
    return _prefixes(c, low, high, keep)


def typical_p(c, mass, keep):
    if c.flat:
        return _share_of_equals(c, mass, keep)
    slack = c.tolerance * (1 + c.entropy)
    p, found = np.exp(c.logp), []
    for shift in (0, -slack, slack):
        order = np.argsort(np.abs(-c.logp - (c.entropy + shift)), kind="stable")
        for share in (mass, mass * (1 - c.tolerance), mass * (1 + c.tolerance)):
            count = np.searchsorted(np.cumsum(p[order]), share) + 1
            found.append(order[: min(max(count, keep), c.size)])
    # Values too close to tell apart, about as far from H as the last one kept: any of them may be the one that stays.
    distance = np.abs(-c.logp - c.entropy)
    near = np.abs(distance - distance[found[0][-1]]) <= 2 * slack
    if (np.diff(np.unique(c.exponents[near])) < 8 * slack).any():
        return [np.arange(c.size)] * (MOST_ALTERNATIVES + 1)
    return list({tuple(np.sort(one).tolist()): np.sort(one) for one in found}.values())


def top_n_sigma(c, width, keep):
    below = c.x[0] - c.x
    sigma = np.sqrt(np.mean((below - below.mean()) ** 2))
    keep = max(keep, np.count_nonzero(below == 0))
    # Spreads below 2^-500 have squares that no double holds.
    slack = width * sigma * c.tolerance + 2.0**-500
    return _at_least(c, width * sigma - below, keep, slack)


def epsilon_cutoff(c, epsilon, keep):
    return _at_least(c, c.logp - np.log(np.longdouble(epsilon)), keep, c.tolerance)


def eta_cutoff(c, epsilon, keep):
    log_epsilon = np.log(np.longdouble(epsilon))
    threshold = min(log_epsilon, log_epsilon / 2 - c.entropy)
    return _at_least(c, c.logp - threshold, keep, c.tolerance * (1 + c.entropy))


def xtc(c, threshold, keep):
    with np.errstate(divide="ignore"):
        ratios = c.logp - np.log(np.longdouble(threshold))
    found = []
    for likely in {np.count_nonzero(ratios >= slack) for slack in (c.tolerance, -c.tolerance)}:
        drop = max(likely - 1, 0)
        found.append(np.arange(drop if c.size - drop >= keep else 0, c.size))
    return found


def mirostat(c, mu):
    """Mirostat v2 with its bound in bits; not one of the keyword filters."""
    return _at_least(c, c.logp / np.log(np.longdouble(2)) + mu, 1, c.tolerance)


# In the order in which they apply, each with the values that keep everything.
FILTERS = {
    "top_k": (top_k, lambda k: k == 0),
    "top_p": (top_p, lambda p: p >= 1),
    "min_p": (min_p, lambda ratio: ratio == 0),
    "top_a": (top_a, lambda a: a == 0),
    "p_less": (p_less, lambda on: not on),
    "typical_p": (typical_p, lambda mass: mass >= 1),
    "top_h": (top_h, lambda share: share >= 1),
    "top_n_sigma": (top_n_sigma, lambda width: width == 0),
    "epsilon_cutoff": (epsilon_cutoff, lambda epsilon: epsilon == 0),
    "eta_cutoff": (eta_cutoff, lambda epsilon: epsilon == 0),
    "xtc_threshold": (xtc, lambda threshold: threshold > 0.5),
}


def dynamic_temperature(c, temperature, width, exponent):
    """The temperature of the candidates, whose entropy is taken at T = 1."""
    if not width or c.size < 2:
        return temperature
    lowest, highest = max(0.0, temperature - width), temperature + width
    at_one = Candidates(c.indices, c.x, 1.0, c.tolerance)
    return float(lowest + (highest - lowest) * (at_one.entropy / np.log(np.longdouble(c.size))) ** exponent)


def kept(
    x,
    temperature=1.0,
    *,
    tolerance,
    allowed=None,
    temperature_last=False,
    min_tokens_to_keep=1,
    dynatemp_range=None,
    dynatemp_exponent=1.0,
    xtc_probability=None,
    xtc_u=None,
    order=None,
    keep=(),
    **filters,
):
    """The verdict on a row that has at least one entry above -inf and no NaN. keep: with a temperature above 0."""
    if dynatemp_range:
        tolerance *= 32  # H is a sum whose error moves every exponent by its share of T
    order = ["xtc_threshold" if name == "xtc" else name for name in order or FILTERS]
    within = "temperature" in order
    hot = candidates(x, 1.0, allowed, tolerance)
    if not (temperature_last or within):
        temperature = dynamic_temperature(hot, temperature, dynatemp_range, dynatemp_exponent)
        if dynatemp_range and temperature < LEAST_DYNAMIC_TEMPERATURE:
            return Verdict(vague=[set(hot.indices.tolist())])
        hot = candidates(x, temperature, allowed, tolerance)
    if xtc_probability is not None and not (xtc_u or 0.0) < xtc_probability:
        filters["xtc_threshold"] = None
    steps = []
    for name in order:
        if name == "temperature":
            steps.append((None, temperature))
        elif filters.get(name) is not None and not FILTERS[name][1](filters[name]):
            steps.append((FILTERS[name][0], filters[name]))
    verdict = Verdict()
    _follow(hot, steps, min_tokens_to_keep, verdict)
    if temperature_last:
        survivors = [hot.take(np.isin(hot.indices, list(one))) for one in verdict.alternatives]
        verdict.alternatives = []
        for c in survivors:
            last = dynamic_temperature(c, temperature, dynatemp_range, dynatemp_exponent)
            doubtful = bool(dynatemp_range) and last < LEAST_DYNAMIC_TEMPERATURE
            if last == 0 or doubtful:
                verdict.add(c.indices[:1])
            if last > 0 or doubtful:
                verdict.add(c.indices)
    kept_too = set(keep) & set(hot.indices.tolist())
    verdict.alternatives = [one | kept_too for one in verdict.alternatives]
    verdict.vague = [most | kept_too for most in verdict.vague]
    return verdict


def _follow(c, steps, keep, verdict):
    if not steps:
        verdict.add(c.indices)
        return
    keeps, value = steps[0]
    if keeps is None:  # the temperature
        c = Candidates(c.indices, c.x, value, c.tolerance) if value else c.take([0])
        return _follow(c, steps[1:], keep, verdict)
    found = keeps(c, value, keep)
    if len(found) > MOST_ALTERNATIVES:
        verdict.add(c.take(max(found, key=len)).indices, is_vague=True)
        return
    for positions in found:
        _follow(c.take(positions), steps[1:], keep, verdict)

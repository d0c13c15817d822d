"""What each filter keeps, by sorting the row in longdouble: the slow way to compare with.

Every decision of a filter is a comparison. Where one is closer to its boundary than the tolerance, the rounding of
an implementation may decide it either way, and the verdict names every set that is then right. Rows whose entries
are all alike have masses i/n, which are compared as fractions, without tolerance.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np

MOST_ALTERNATIVES = 6
# A dynamic temperature below this is that of an entropy next to 0, which rounding may decide; all of it is greedy.
LEAST_DYNAMIC_TEMPERATURE = 1e-3


def tolerance_of(dtype):
    """How close to its boundary, relative to the mass, a decision may be taken either way."""
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
    """The entries still in the set, in sorted order, and what a filter asks of them."""

    indices: np.ndarray
    x: np.ndarray
    temperature: float
    tolerance: float

    @property
    def size(self):
        return self.indices.size

    @property
    def exponents(self):
        """(x - max x) / T in longdouble: 0 for the first, and for all at T = inf."""
        if np.isinf(self.temperature) or np.isposinf(self.x[0]):
            return np.zeros(self.size, np.longdouble)
        return (self.x - self.x[0]) / np.longdouble(self.temperature)

    @property
    def flat(self):
        return not self.exponents.any()

    @property
    def logp(self):
        weights = np.exp(self.exponents)
        return self.exponents - np.log(weights.sum())

    @property
    def entropy(self):
        p = np.exp(self.logp)
        return -np.sum(p[p > 0] * self.logp[p > 0])

    def take(self, positions):
        return Candidates(self.indices[positions], self.x[positions], self.temperature, self.tolerance)


def candidates(x, temperature, allowed, tolerance):
    x = np.asarray(x).astype(np.longdouble)
    allowed = np.ones(x.size, bool) if allowed is None else np.asarray(allowed, bool)
    above = np.flatnonzero(allowed & (x > -np.inf))
    if np.isposinf(x[above]).any() and not np.isinf(temperature):
        above = above[np.isposinf(x[above])]
    if temperature == 0 and above.size:
        above, temperature = above[[np.argmax(x[above])]], 1.0
    indices = above[np.lexsort((above, -x[above]))]
    return Candidates(indices, x[indices], temperature, tolerance)


# Each filter: the candidates, its parameter and the least number to keep give the arrays of positions that may be
# right. A list longer than MOST_ALTERNATIVES is left to the caller.


def _prefixes(c, low, high, keep):
    lengths = {min(max(length, keep, 1), c.size) for length in range(int(low), int(high) + 1)}
    return [np.arange(length) for length in sorted(lengths)]


def top_k(c, k, keep):
    return _prefixes(c, k, k, keep) if k else [np.arange(c.size)]


def top_p(c, p, keep):
    if p >= 1:
        return [np.arange(c.size)]
    if c.flat:
        count = ceil(Fraction(float(p)) * c.size)
        return _prefixes(c, count, count, keep)
    before = np.cumsum(np.exp(c.logp)) - np.exp(c.logp)
    low, high = (np.count_nonzero(before < p * (1 + s * c.tolerance)) for s in (-1, 1))
    return _prefixes(c, low, high, keep)


def _at_least(c, ratios, keep, slack):
    """The prefix with ratios >= 0, where a ratio is the logarithm of a probability over its threshold."""
    return _prefixes(c, np.count_nonzero(ratios >= slack), np.count_nonzero(ratios >= -slack), keep)


def min_p(c, ratio, keep):
    if ratio == 0:
        return [np.arange(c.size)]
    keep = max(keep, np.count_nonzero(c.exponents == 0))
    return _at_least(c, c.exponents - np.log(np.longdouble(ratio)), keep, c.tolerance)


def typical_p(c, mass, keep):
    if mass >= 1:
        return [np.arange(c.size)]
    if c.flat:
        count = ceil(Fraction(float(mass)) * c.size)
        return _prefixes(c, count, count, keep)
    slack = c.tolerance * (1 + c.entropy)
    p, found = np.exp(c.logp), []
    for shift in (0, -slack, slack):
        distance = np.abs(-c.logp - (c.entropy + shift))
        order = np.lexsort((np.arange(c.size), distance))
        for share in (mass, mass * (1 - c.tolerance), mass * (1 + c.tolerance)):
            count = np.searchsorted(np.cumsum(p[order]), share) + 1
            found.append(order[: min(max(count, keep), c.size)])
    # Values too close to tell apart, about as far away as the last one: any of them may be the one that is kept.
    distance = np.abs(-c.logp - c.entropy)
    near = np.abs(distance - distance[found[0][-1]]) <= 2 * slack
    if (np.diff(np.unique(c.exponents[near])) < 8 * slack).any():
        return [np.arange(c.size)] * (MOST_ALTERNATIVES + 1)
    return _distinct(found)


def top_n_sigma(c, width, keep):
    if width == 0:
        return [np.arange(c.size)]
    below = c.x[0] - c.x
    sigma = np.sqrt(np.mean((below - below.mean()) ** 2))
    keep = max(keep, np.count_nonzero(below == 0))
    # Spreads below 2^-500 have squares that are no doubles.
    slack = width * sigma * c.tolerance + 2.0**-500
    low, high = (np.count_nonzero(below <= width * sigma + s * slack) for s in (-1, 1))
    return _prefixes(c, low, high, keep)


def epsilon_cutoff(c, epsilon, keep):
    if epsilon == 0:
        return [np.arange(c.size)]
    return _at_least(c, c.logp - np.log(np.longdouble(epsilon)), keep, c.tolerance)


def eta_cutoff(c, epsilon, keep):
    if epsilon == 0:
        return [np.arange(c.size)]
    log_epsilon = np.log(np.longdouble(epsilon))
    threshold = min(log_epsilon, log_epsilon / 2 - c.entropy)
    return _at_least(c, c.logp - threshold, keep, c.tolerance * (1 + c.entropy))


def xtc(c, threshold, keep):
    if threshold > 0.5:
        return [np.arange(c.size)]
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


def _distinct(positions):
    return list({tuple(np.sort(one).tolist()): np.sort(one) for one in positions}.values())


IN_ORDER = {
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical_p": typical_p,
    "top_n_sigma": top_n_sigma,
    "epsilon_cutoff": epsilon_cutoff,
    "eta_cutoff": eta_cutoff,
    "xtc_threshold": xtc,
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
    **filters,
):
    """The verdict on a row that has at least one entry above -inf and no NaN."""
    if dynatemp_range:
        # H is a sum whose error moves every exponent by its share of T.
        tolerance *= 32
    hot = candidates(x, 1.0, allowed, tolerance)
    if not temperature_last:
        temperature = dynamic_temperature(hot, temperature, dynatemp_range, dynatemp_exponent)
        hot = candidates(x, temperature, allowed, tolerance)
        if dynatemp_range and temperature < LEAST_DYNAMIC_TEMPERATURE:
            return Verdict(vague=[set(candidates(x, 1.0, allowed, tolerance).indices.tolist())])
    if xtc_probability is not None and not (xtc_u or 0.0) < xtc_probability:
        filters["xtc_threshold"] = None
    verdict = Verdict()
    _follow(hot, [name for name in IN_ORDER if filters.get(name) is not None], filters, min_tokens_to_keep, verdict)
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
    return verdict


def _follow(c, names, filters, keep, verdict):
    if not names:
        verdict.add(c.indices)
        return
    found = IN_ORDER[names[0]](c, filters[names[0]], keep)
    if len(found) > MOST_ALTERNATIVES:
        verdict.add(c.take(max(found, key=len)).indices, is_vague=True)
        return
    for positions in found:
        _follow(c.take(positions), names[1:], filters, keep, verdict)

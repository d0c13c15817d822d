"""softmax, log_softmax, logsumexp and softmax_probs, and the exact exponents they are made of."""

import math
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Row = Sequence[float]
Mask = Sequence[bool] | None
Bias = Row | None


def softmax(x: Row, temperature: float = 1.0, *, where: Mask = None) -> list[float]:
    """Probabilities ``exp(x_i / temperature) / sum_j exp(x_j / temperature)``.

    Parameters
    ----------
    x : list of float
        Logits. Entries that are -inf have probability 0; entries that are +inf share all of it. If there is a NaN, or
        nothing above -inf, the result is NaN throughout.
    temperature : float in [0, inf]
        0 shares the probability among the largest entries, infinity among all entries above -inf.
    where : list of bool, optional
        Which entries count; the others are as -inf.

    Examples
    --------
    >>> [round(p, 8) for p in softmax([1.0, 2.0, 3.0], temperature=2.0)]
    [0.18632372, 0.30719589, 0.50648039]
    """
    x = counted(x, where)
    return total_of(x, temperature).softmax(x)


def log_softmax(x: Row, temperature: float = 1.0, *, where: Mask = None) -> list[float]:
    """Log-probabilities ``x_i / temperature - log sum_j exp(x_j / temperature)``, accurate near 0 as well.

    Examples
    --------
    >>> log_softmax([0.0, -40.0])
    [-4.248354255291589e-18, -40.0]
    """
    x = counted(x, where)
    return total_of(x, temperature).log_softmax(x)


def logsumexp(x: Row, temperature: float = 1.0, *, where: Mask = None, b: Row | None = None) -> float:
    """``log sum_i b_i exp(x_i / temperature)``: -inf for a row of -inf, +inf for a row that holds +inf.

    The weights b are 1 unless they are given; an entry of weight 0 does not count, whatever it is.

    Examples
    --------
    >>> logsumexp([0.0, -40.0])
    4.248354255291589e-18
    """
    x = counted(x, where)
    if b is None:
        return total_of(x, temperature).logsumexp()
    pairs = [(v, weight) for v, weight in zip(x, b, strict=True) if weight > 0]
    total = total_of([v for v, _ in pairs], temperature)
    plain = total.logsumexp()
    if not math.isfinite(plain):
        return plain
    shares = softmax([v for v, _ in pairs], temperature)  # of the mean of the weights
    return plain + math.log(math.fsum(p * weight for p, (_, weight) in zip(shares, pairs, strict=True)))


def softmax_probs(p: Row, temperature: float = 1.0, *, where: Mask = None) -> list[float]:
    """Probabilities ``p_i ** (1 / temperature) / sum_j p_j ** (1 / temperature)``, those of `sample_probs`.

    If there is a weight that is negative, NaN or infinite, or none above 0, the result is NaN throughout.

    Examples
    --------
    >>> softmax_probs([1, 0, 3])
    [0.25, 0.0, 0.75]
    """
    p = [v if counts else 0 for v, counts in zip(p, where or [True] * len(p), strict=True)]
    if not (all(0 <= v < math.inf for v in p) and any(p)):
        return [math.nan] * len(p)
    if temperature == 1:
        total = sum(map(Fraction, p))
        return [float(Fraction(v) / total) for v in p]
    if temperature == 0:
        return softmax([float(v == max(p)) for v in p], 0.0)
    return softmax([math.log(v) if v > 0 else -math.inf for v in p], temperature)


def counted(x: Row, where: Mask) -> Row:
    """The row with -inf in the place of what does not count."""
    return x if where is None else [v if counts else -math.inf for v, counts in zip(x, where, strict=True)]


class Total(NamedTuple):
    """The largest of some entries x, NaN if one is, and ``weight = sum exp((x_i - largest) / temperature)``."""

    largest: float
    weight: Fraction
    temperature: float

    def softmax(self, x: Row) -> list[float]:
        if self.why_invalid():
            return [math.nan] * len(x)
        return [w / float(self.weight) for w in weights_of(x, self.largest, self.temperature)]

    def log_softmax(self, x: Row) -> list[float]:
        if self.why_invalid():
            return [math.nan] * len(x)
        log_weight = math.log1p(self.weight - 1)
        return [math.fsum((*split(exponent(v, self.largest, self.temperature)), -log_weight)) for v in x]

    def logsumexp(self) -> float:
        if not math.isfinite(self.largest) or (self.temperature == 0 and self.largest != 0):
            return math.copysign(math.inf, self.largest) + self.largest
        quotient = exponent(self.largest, 0.0, self.temperature)
        return math.fsum((*split(quotient), math.log1p(self.weight - 1)))

    def why_invalid(self) -> str:
        """Why no distribution belongs to the entries; empty if one does."""
        if math.isnan(self.largest):
            return "it holds a NaN"
        return "it has no entry above -inf" if self.largest == -math.inf else ""


def total_of(x: Row, temperature: float) -> Total:
    largest = math.nan if any(map(math.isnan, x)) else max(x, default=-math.inf)
    weights = weights_of(x, largest, temperature) if largest > -math.inf else []
    return Total(largest, sum(map(Fraction, weights), Fraction(0)), temperature)


def exponent(v: float, largest: float, temperature: float) -> Fraction | float:
    """``(v - largest) / temperature`` exactly, and its limit where one of the three is 0 or infinite."""
    if v == largest or (temperature == math.inf and v > -math.inf):
        return Fraction(0)
    if math.isinf(v) or math.isinf(largest) or temperature == 0:
        return -math.inf
    return (Fraction(v) - Fraction(largest)) / Fraction(temperature)


def split(exact: Fraction | float) -> tuple[float, float]:
    """The nearest float, and the exact number minus that float."""
    if not -sys.float_info.max <= exact <= sys.float_info.max:
        return math.inf if exact > 0 else -math.inf, 0.0
    return float(exact), float(exact - Fraction(float(exact)))


def weights_of(x: Row, largest: float, temperature: float) -> list[float]:
    """``exp((x_i - largest) / temperature)``."""
    parts = [split(exponent(v, largest, temperature)) for v in x]
    return [math.exp(nearest) * (1.0 + rest) for nearest, rest in parts]

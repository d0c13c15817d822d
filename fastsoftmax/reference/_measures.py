"""entropy, log_prob and kl_divergence."""

import math
from fractions import Fraction

from ._softmax import Mask, Row, counted, log_softmax, softmax, total_of


def entropy(x: Row, temperature: float = 1.0, *, where: Mask = None) -> float:
    """``-sum_i p_i log p_i`` of the softmax, in nats; NaN where there is none.

    Examples
    --------
    >>> entropy([0.0, 0.0])
    0.6931471805599453
    """
    x = counted(x, where)
    pairs = zip(softmax(x, temperature), log_softmax(x, temperature), strict=True)
    return math.fsum(-p * log_p for p, log_p in pairs if p != 0) if x else math.nan


def log_prob(x: Row, index: int, temperature: float = 1.0, *, where: Mask = None) -> float:
    """The log-probability of an entry, as `sample` returns it: at temperature 0 the first of the largest is certain.

    Examples
    --------
    >>> log_prob([0.0, -40.0], 0)
    -4.248354255291589e-18
    """
    x = counted(x, where)
    if temperature == 0 and not total_of(x, temperature).why_invalid():
        return 0.0 if index == x.index(max(x)) else -math.inf
    return log_softmax(x, temperature)[index]


def kl_divergence(x: Row, y: Row, temperature: float = 1.0, *, where: Mask = None) -> float:
    """``sum_i p_i log(p_i / q_i)`` for the softmax p of x and q of y; +inf where an entry has p > 0 and q = 0.

    Examples
    --------
    >>> round(kl_divergence([0.0, 0.0], [0.0, 1.0]), 12)
    0.120114506958
    """
    x, y = counted(x, where), counted(y, where)
    p, log_p, log_q = softmax(x, temperature), log_softmax(x, temperature), log_softmax(y, temperature)
    if not p or any(map(math.isnan, log_p + log_q)):
        return math.nan
    if any(a > -math.inf and b == -math.inf for a, b in zip(log_p, log_q, strict=True)):
        return math.inf
    terms = [Fraction(v) * (Fraction(a) - Fraction(b)) for v, a, b in zip(p, log_p, log_q, strict=True) if v > 0]
    return float(sum(terms, Fraction(0)))

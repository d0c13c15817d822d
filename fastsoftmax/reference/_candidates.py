"""The entries of a row that may still be drawn, and their distribution."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any

from ._softmax import Bias, Mask, Row, exponent, total_of, weights_of


@dataclass(frozen=True)
class Candidates:
    """Entries of the row x in the sorted order; if it was given as probabilities, they are the weights at T = 1."""

    indices: list[int]
    x: Row
    probs: Row | None = None
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, positions: Iterable[int]) -> "Candidates":
        """The candidates at these positions of the sorted order."""
        return replace(self, indices=[self.indices[i] for i in sorted(positions)])

    def first(self, count: int) -> "Candidates":
        return replace(self, indices=self.indices[:count])

    def take_too(self, indices: Iterable[int]) -> "Candidates":
        """These and the others, which may be candidates already."""
        return replace(self, indices=sorted({*self.indices, *indices}, key=lambda i: (-self.x[i], i)))

    def at(self, temperature: float) -> "Candidates":
        """At another temperature, without those that have no part in the limit of 0, or next to +inf."""
        c = replace(self, temperature=temperature)
        if temperature == 0:
            return c.first(1)
        return c.first(c.values.count(math.inf)) if c.values[0] == math.inf and temperature < math.inf else c

    @cached_property
    def values(self) -> list[float]:
        return [self.x[i] for i in self.indices]

    @cached_property
    def exponents(self) -> list[Fraction]:
        return [Fraction(exponent(v, self.values[0], self.temperature)) for v in self.values]

    @cached_property
    def weights(self) -> list[Fraction]:
        """The probabilities times `total`, as exact numbers."""
        if self.probs is not None and self.temperature == 1:
            return [Fraction(self.probs[i]) for i in self.indices]
        return [Fraction(w) for w in weights_of(self.values, self.values[0], self.temperature)]

    @cached_property
    def total(self) -> Fraction:
        return sum(self.weights, Fraction(0))

    @cached_property
    def mean_exponent(self) -> Fraction:
        """``sum p_i exponent_i``: with the entropy H, ``-log p_i - H = mean_exponent - exponent_i``."""
        return sum((w * e for w, e in zip(self.weights, self.exponents, strict=True)), Fraction(0)) / self.total

    def logprob(self, index: int) -> float:
        return total_of(self.values, self.temperature).log_softmax([self.x[index]])[0]

    def draw(self, u: float, return_logprob: bool) -> Any:
        """The smallest index whose cumulative weight exceeds u times the total, and its log-probability."""
        weights = dict(zip(self.indices, self.weights, strict=True))
        index = sorted(weights)[inverse_cdf([weights[i] for i in sorted(weights)], u)]
        return (index, self.logprob(index)) if return_logprob else index


def inverse_cdf(weights: Iterable[Fraction], u: float | Fraction) -> int:
    """The first place where the cumulative weight exceeds u times the total."""
    cumulative = list(accumulate(weights))
    return bisect_right(cumulative, Fraction(u) * cumulative[-1])


def sorted_order(x: Row) -> list[int]:
    """All indices by value descending, and by index ascending where values are equal."""
    return sorted(range(len(x)), key=lambda i: (-x[i], i))


def allowed(x: Row, mask: Mask, bias: Bias) -> Row:
    """``x_i + bias_i`` where the mask is True, -inf elsewhere."""
    if bias is not None:
        x = [v + b for v, b in zip(x, bias, strict=True)]
    return x if mask is None else [v if m else -math.inf for v, m in zip(x, mask, strict=True)]


def candidates_of(x: Row) -> Candidates:
    """All entries above -inf, at temperature 1."""
    if reason := total_of(x, 1.0).why_invalid():
        raise ValueError(f"the row cannot be drawn from: {reason}")
    return Candidates([i for i in sorted_order(x) if x[i] > -math.inf], x)

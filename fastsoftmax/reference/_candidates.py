"""The entries of a row that may still be drawn, and their distribution."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from ._rows import InvalidRow, Row, allowed_logits, whats_wrong
from ._softmax import split, weight


@dataclass(frozen=True)
class Candidates:
    """Entries above -inf in the sorted order: value descending, index ascending."""

    indices: list[int]
    x: list[float]
    temperature: float = 1.0
    probs: list[float] | None = None
    """The weights themselves, where the row was given as such."""

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, positions: Iterable[int]) -> Candidates:
        """Those at some positions of the sorted order, which are given ascending."""
        chosen = list(positions)
        return replace(
            self,
            indices=[self.indices[i] for i in chosen],
            x=[self.x[i] for i in chosen],
            probs=None if self.probs is None else [self.probs[i] for i in chosen],
        )

    def first(self, count: int) -> Candidates:
        return self.take(range(min(count, len(self))))

    def at(self, temperature: float) -> Candidates:
        """At a temperature. What has no part in the limit (0, or entries +inf) is no candidate any more."""
        if temperature == 0:
            return replace(self.first(1), temperature=1.0)
        at_temperature = replace(self, temperature=temperature)
        if self.x[0] == math.inf and temperature < math.inf:
            return at_temperature.first(self.x.count(math.inf))
        return at_temperature

    @cached_property
    def exponents(self) -> list[Fraction]:
        """``(x_i - max x) / temperature``, exactly; 0 for entries that are alike in the limit."""
        if self.x[0] == math.inf or self.temperature == math.inf:
            return [Fraction(0)] * len(self)
        maximum, temperature = Fraction(self.x[0]), Fraction(self.temperature)
        return [(Fraction(v) - maximum) / temperature for v in self.x]

    @cached_property
    def weights(self) -> list[Fraction]:
        """``exp`` of the exponents, as exact numbers from here on."""
        return [Fraction(w) for w in (map(weight, self.exponents) if self.probs is None else self.probs)]

    @cached_property
    def total(self) -> Fraction:
        return sum(self.weights, Fraction(0))

    @cached_property
    def mean_exponent(self) -> Fraction:
        """``sum p_i exponent_i``, so that ``-log p_i - H = mean_exponent - exponent_i``."""
        return sum((w * e for w, e in zip(self.weights, self.exponents, strict=True)), Fraction(0)) / self.total

    @cached_property
    def _log_total(self) -> float:
        """``log sum exp`` of the exponents: the first of them is the 1 of log1p."""
        return math.log1p(math.fsum(map(weight, self.exponents[1:])))

    @property
    def entropy(self) -> float:
        """H in nats."""
        return self._log_total - float(self.mean_exponent)

    def logprob(self, position: int) -> float:
        return math.fsum((*split(self.exponents[position]), -self._log_total))

    def draw(self, u: float) -> tuple[int, float]:
        """The smallest index whose cumulative weight exceeds u times the total, and its log-probability."""
        order, cumulative = self._in_index_order
        position = order[inverse_cdf(cumulative, u)]
        return self.indices[position], self.logprob(position)

    @cached_property
    def _in_index_order(self) -> tuple[list[int], list[Fraction]]:
        order = sorted(range(len(self)), key=self.indices.__getitem__)
        return order, list(accumulate(self.weights[i] for i in order))


def inverse_cdf(cumulative: Sequence[Fraction], u: float) -> int:
    """The first place whose cumulative weight exceeds u times the last."""
    return bisect_right(cumulative, Fraction(u) * cumulative[-1])


def candidates_of_logits(x: Row, mask: Sequence[bool] | None, bias: Row | None) -> Candidates:
    """The entries above -inf of the logits, at temperature 1."""
    x = allowed_logits(x, mask, bias)
    if wrong := whats_wrong(x):
        raise InvalidRow(wrong)
    indices = sorted_order(x)[: sum(v > -math.inf for v in x)]
    return Candidates(indices, [x[i] for i in indices])


def candidates_of_probs(p: Row, mask: Sequence[bool] | None, bias: Row | None, keep_numbers: bool) -> Candidates:
    """The entries above 0 of the probabilities, at temperature 1: as logits, or the numbers themselves."""
    if mask is not None:
        p = [v if allowed else 0.0 for v, allowed in zip(p, mask, strict=True)]
    if any(map(math.isnan, p)):
        raise InvalidRow("NaN")
    if min(p) < 0:
        raise InvalidRow("a negative probability")
    if max(p) == math.inf:
        raise InvalidRow("an infinite probability")
    if max(p) == 0:
        raise InvalidRow("no probability above 0")
    if not keep_numbers:
        return candidates_of_logits([math.log(v) if v > 0 else -math.inf for v in p], mask, bias)
    indices = sorted_order(p)[: sum(v > 0 for v in p)]
    probs = [p[i] for i in indices]
    return Candidates(indices, [math.log(v) for v in probs], probs=probs)


def sorted_order(x: Row) -> list[int]:
    """The indices of all entries, by value descending and index ascending."""
    return sorted(range(len(x)), key=lambda i: -x[i])

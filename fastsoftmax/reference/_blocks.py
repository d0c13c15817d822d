"""What a block of a shard leaves, and the mass of a row of such blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ._rows import Row
from ._softmax import split, weight

ALIGNMENT = 1024


@dataclass(frozen=True)
class Block:
    """At most 1,024 entries: the largest, and the sum of the weights of the others against it."""

    largest: float
    others: Fraction


def exponent_of(x: float, largest: float, temperature: float) -> Fraction | None:
    """``(x - largest) / temperature``, exactly, in the limit where it has one; None for a weight of 0."""
    if x == largest or (temperature == math.inf and x > -math.inf):
        return Fraction(0)
    if x == -math.inf or largest == math.inf or temperature == 0:
        return None
    return (Fraction(x) - Fraction(largest)) / Fraction(temperature)


def weight_of(x: float, largest: float, temperature: float) -> float:
    exponent = exponent_of(x, largest, temperature)
    return 0.0 if exponent is None else weight(exponent)


def block_of(x: Row, temperature: float) -> Block:
    if any(map(math.isnan, x)):
        return Block(math.nan, Fraction(0))
    largest = max(x)
    if largest == -math.inf:
        return Block(largest, Fraction(0))
    others = list(x)
    others.remove(largest)
    return Block(largest, sum((Fraction(weight_of(v, largest, temperature)) for v in others), Fraction(0)))


def largest_of(blocks: dict[int, Block]) -> float:
    return math.nan if any(math.isnan(b.largest) for b in blocks.values()) else max(b.largest for b in blocks.values())


def whats_wrong_with(blocks: dict[int, Block]) -> str:
    largest = largest_of(blocks)
    return "NaN" if math.isnan(largest) else "no entry above -inf" if largest == -math.inf else ""


def _masses(blocks: dict[int, Block], temperature: float) -> dict[int, Fraction]:
    """The weight of each block against the row's largest entry."""
    largest = largest_of(blocks)
    return {
        start: Fraction(weight_of(b.largest, largest, temperature)) * (1 + b.others)
        for start, b in sorted(blocks.items())
    }


def cumulative_of(blocks: dict[int, Block], temperature: float) -> tuple[list[int], list[Fraction]]:
    starts, cumulative, total = [], [], Fraction(0)
    for start, mass in _masses(blocks, temperature).items():
        total += mass
        starts.append(start)
        cumulative.append(total)
    return starts, cumulative


def log_total_of(blocks: dict[int, Block], temperature: float) -> float:
    """``log sum exp((x_i - largest) / temperature)``: the largest entry is the 1 of log1p."""
    largest = largest_of(blocks)
    return math.log1p(sum(_masses(blocks, temperature).values()) - 1) if largest > -math.inf else -math.inf


def logsumexp_of(blocks: dict[int, Block], temperature: float) -> float:
    largest = largest_of(blocks)
    if not -math.inf < largest < math.inf:
        return largest
    log_total = log_total_of(blocks, temperature)
    if temperature in (0, math.inf):
        return log_total if temperature or largest == 0 else math.copysign(math.inf, largest)
    return math.fsum((*split(Fraction(largest) / Fraction(temperature)), log_total))


def draw_from(x: Row, offset: int, blocks: dict[int, Block], t: float, u: float, start: int) -> tuple[int, float]:
    """The entry and its log-probability, of the block that begins at `start`; -1 and -inf if it is in another shard."""
    if whats_wrong_with(blocks):
        return -1, math.nan
    if not offset <= start < offset + len(x):
        return -1, -math.inf
    largest, (starts, cumulative) = largest_of(blocks), cumulative_of(blocks, t)
    at = starts.index(start)
    mass = cumulative[at - 1] if at else Fraction(0)
    target = Fraction(u if t else 0.0) * cumulative[-1]
    for j in range(start - offset, min(start - offset + ALIGNMENT, len(x))):
        exponent = exponent_of(x[j], largest, t)
        if exponent is not None:
            mass += Fraction(weight(exponent))
            if mass > target:
                log_p = math.fsum((*split(exponent), -log_total_of(blocks, t))) if t else 0.0
                return offset + j, log_p
    raise ValueError("the shard does not hold what was summarised")

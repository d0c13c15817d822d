"""Seeded draws of long rows by rejection: docs/rejection.md."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

from ._keyed import WORD, philox
from ._softmax import Row

FROM = 8192  # shorter rows are drawn from by inversion
STRETCH, COLUMNS, DEEPEST = 1024, 32, 32
LOG2_E = 1.4426950408889634

PROPOSALS, TIES = 2, 3


class Weight(NamedTuple):
    """``value``, relative to the largest weight of the row, is in (2**-(depth + 1), 2**-depth]."""

    value: Fraction
    depth: int


def drawn_by_rejection(x: Row, temperature: float, seed: int, key: int, step: int) -> int:
    """An index drawn from ``softmax(x / temperature)``, for a row that can be drawn from and a temperature above 0."""
    top = max(x)
    if temperature == math.inf or top == math.inf:
        least = math.inf if temperature < math.inf else -math.inf
        x, top, temperature = [0.0 if v > -math.inf and v >= least else -math.inf for v in x], 0.0, 1.0

    def weight(v: float) -> Weight | None:
        if v == -math.inf:
            return None
        exponent = (Fraction(top) - Fraction(v)) / Fraction(temperature)
        return Weight(Fraction(math.exp(-exponent)), math.floor((top - v) * (LOG2_E / temperature)))

    return draw(x, weight, seed, key, step)


def weight_drawn_by_rejection(p: Row, seed: int, key: int, step: int) -> int:
    """An index drawn with probability proportional to p_i, of which nothing is rounded."""
    highest = math.frexp(max(p))[1]

    def weight(v: float) -> Weight | None:
        return Weight(Fraction(v) / Fraction(2) ** highest, highest - math.frexp(v)[1]) if v > 0 else None

    return draw(p, weight, seed, key, step)


def draw(x: Row, weight: Callable[[float], Weight | None], seed: int, key: int, step: int) -> int:
    """The first entry that is accepted."""
    stretches = math.ceil(len(x) / STRETCH)
    envelopes = [
        envelope_of([w for v in x[s * STRETCH : (s + 1) * STRETCH][c::COLUMNS] if (w := weight(v))])
        for s in range(stretches)
        for c in range(COLUMNS)
    ]
    total = sum(envelopes)
    number = 0
    while True:
        for words in pairs(philox_words(seed, key, step, PROPOSALS, number // 2)):
            place, low = divmod(words[0] * total, 2**64)
            if low >= 2**64 % total:  # as many first words for each place
                column = 0
                while place >= envelopes[column]:
                    place -= envelopes[column]
                    column += 1
                s, c = divmod(column, COLUMNS)
                row, leading = divmod(words[1], 2**59)
                index = s * STRETCH + row * COLUMNS + c
                w = weight(x[index]) if index < len(x) else None
                ratio = w.value * 2**DEEPEST / envelopes[column] if w else Fraction(0)
                if is_below(leading, ratio, (seed, key, step, number)):
                    return index
            number += 1


def envelope_of(weights: list[Weight]) -> int:
    """At least 2**DEEPEST times each of the weights, a power of two; 0 where there are none."""
    return 2 ** max(DEEPEST - min(w.depth for w in weights), 0) if weights else 0


def is_below(leading: int, ratio: Fraction, of_draw: tuple[int, int, int, int]) -> bool:
    """Whether a number in [0, 1) is below the ratio; its first 59 bits are `leading`, and there are more."""
    low, width = Fraction(leading, 2**59), Fraction(1, 2**59)
    more = ties(*of_draw)
    while low < ratio < low + width:
        width /= 2**64
        low += next(more) * width
    return low + width <= ratio


def ties(seed: int, key: int, step: int, number: int) -> Iterator[int]:
    """Words for a proposal that the first ones do not decide."""
    part = 0
    while True:
        yield from philox_words(seed, key, step, TIES, number, part)
        part += 1


def philox_words(seed: int, key: int, step: int, stream: int, block: int, part: int = 0) -> tuple[int, int, int, int]:
    """What NumPy gives first after ``Philox(key=[seed, key], counter=[step, stream, block, part])``."""
    count = (stream << 64) + step + 1
    return philox((count & WORD, count >> 64, block, part), (seed, key & WORD))


def pairs(words: tuple[int, int, int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    return words[:2], words[2:]

"""Seeded draws of long rows by rejection: docs/rejection.md."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from ._keyed import WORD, philox
from ._softmax import Row

FROM = 8192  # shorter rows are drawn from by inversion
LOG2_E = 1.4426950408889634

PROPOSALS, TIES = 2, 3


class Sizes(NamedTuple):
    """How a row is laid out, how deep envelopes go, and the bits of a word: tests try every word where they are small.

    A stretch of the row has `rows` rows of `columns` entries, one below the other; rows are a power of two.
    """

    columns: int = 32
    rows: int = 32
    deepest: int = 32
    word: int = 64


SIZES = Sizes()


class Weight(NamedTuple):
    """``value``, relative to the largest weight of the row, is in (2**-(depth + 1), 2**-depth]."""

    value: Fraction
    depth: int


Weights = Sequence[Weight | None]  # of a row; None: an entry that is never drawn


def drawn_by_rejection(x: Row, temperature: float, seed: int, key: int, step: int) -> int:
    """An index drawn from ``softmax(x / temperature)``, for a row that can be drawn from and a temperature above 0."""
    return draw(weights_of_logits(x, temperature), functools.partial(words_of, seed, key, step))


def weight_drawn_by_rejection(p: Row, seed: int, key: int, step: int) -> int:
    """An index drawn with probability proportional to p_i, of which nothing is rounded."""
    return draw(weights_of_probs(p), functools.partial(words_of, seed, key, step))


def weights_of_logits(x: Row, temperature: float) -> Weights:
    top = max(x)
    if temperature == math.inf or top == math.inf:
        least = math.inf if temperature < math.inf else -math.inf
        x, top, temperature = [0.0 if v > -math.inf and v >= least else -math.inf for v in x], 0.0, 1.0

    def weight(v: float) -> Weight | None:
        if v == -math.inf:
            return None
        exponent = (Fraction(top) - Fraction(v)) / Fraction(temperature)
        return Weight(Fraction(math.exp(-exponent)), math.floor((top - v) * (LOG2_E / temperature)))

    return [weight(v) for v in x]


def weights_of_probs(p: Row) -> Weights:
    highest = math.frexp(max(p))[1]
    return [Weight(Fraction(v) / Fraction(2) ** highest, highest - math.frexp(v)[1]) if v > 0 else None for v in p]


def draw(weights: Weights, words: Callable[[int], Iterator[int]], sizes: Sizes = SIZES) -> int:
    """The first entry that is accepted; words(number) are those of a proposal, as many as it takes."""
    envelopes = envelopes_of(weights, sizes)
    number = 0
    while (index := proposed(weights, envelopes, words(number), sizes)) is None:
        number += 1
    return index


def envelopes_of(weights: Weights, sizes: Sizes = SIZES) -> list[int]:
    """At least 2**deepest times each weight of a column, a power of two; 0 where there is none."""
    stretch = sizes.rows * sizes.columns
    depths = [
        [w.depth for w in weights[first : first + stretch][c :: sizes.columns] if w]
        for first in range(0, len(weights), stretch)
        for c in range(sizes.columns)
    ]
    return [2 ** max(sizes.deepest - min(column), 0) if column else 0 for column in depths]


def proposed(weights: Weights, envelopes: Sequence[int], words: Iterator[int], sizes: Sizes = SIZES) -> int | None:
    """The entry that these words propose, or None where it is rejected."""
    place, low = divmod(next(words) * sum(envelopes), 2**sizes.word)
    if low < 2**sizes.word % sum(envelopes):  # without these as many first words have each place
        return None
    column = 0
    while place >= envelopes[column]:
        place -= envelopes[column]
        column += 1
    stretch, c = divmod(column, sizes.columns)
    row, leading = divmod(next(words), 2**sizes.word // sizes.rows)
    index = (stretch * sizes.rows + row) * sizes.columns + c
    weight = weights[index] if index < len(weights) else None
    if weight is None:
        return None
    ratio = weight.value * 2**sizes.deepest / envelopes[column]
    return index if is_below(leading, ratio, words, sizes) else None


def is_below(leading: int, ratio: Fraction, more: Iterator[int], sizes: Sizes = SIZES) -> bool:
    """Whether a number in [0, 1) is below the ratio; `leading` is the first of it, and more words follow."""
    width = Fraction(sizes.rows, 2**sizes.word)
    low = leading * width
    while low < ratio < low + width:
        width /= 2**sizes.word
        low += next(more) * width
    return low + width <= ratio


def words_of(seed: int, key: int, step: int, number: int) -> Iterator[int]:
    """The words of a proposal: two, and then those that decide it where these do not."""
    first = 2 * (number % 2)
    yield from philox_words(seed, key, step, PROPOSALS, number // 2)[first : first + 2]
    part = 0
    while True:
        yield from philox_words(seed, key, step, TIES, number, part)
        part += 1


def philox_words(seed: int, key: int, step: int, stream: int, block: int, part: int = 0) -> tuple[int, int, int, int]:
    """What NumPy gives first after ``Philox(key=[seed, key], counter=[step, stream, block, part])``."""
    count = (stream << 64) + step + 1
    return philox((count & WORD, count >> 64, block, part), (seed, key & WORD))

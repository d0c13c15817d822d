"""The shapes of row that the filters are measured on, and the context that the penalties look at.

A filter that prunes by the maxima of blocks is fast where a few entries stand out, as the logits of a language
model do. The other shapes are here to show that no row is slow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# The standard deviation of a peaked row: the nucleus of 0.95 holds about a hundred of 128,256 entries.
PEAKED = 4.0
BLOCK, SHORT_BLOCK = 1_024, 128
# The smallest vocabulary of the penalties: the ids of longer ones are these, spread out.
LEAST_VOCABULARY = 32_000


def normal(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0.0, spread, n)


def flat(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Standard normal × 0.1: hardly anything may be dropped, and nothing stands out."""
    return rng.normal(0.0, 0.1, n)


def ascending(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Every entry is the largest so far."""
    return np.sort(normal(n, spread, rng))


def descending(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    return ascending(n, spread, rng)[::-1]


def constant(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """All ties: only the index decides."""
    return np.full(n, 1.5)


def two_valued(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Two heaps of ties; at temperature 0.8 the nucleus of 0.95 ends inside the lower one."""
    return rng.integers(0, 2, n).astype(np.float64)


def one_differs(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """One entry with a seventh of the mass among ties."""
    row = np.zeros(n)
    row[n // 2] = 8.0
    return row


def full_blocks(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Against pruning by the maxima of long blocks, and weights that fall as 1/rank.

    The largest entries fill 49 blocks completely, one fewer than top_k 50 asks for: the 50th largest maximum is
    below all of them, and whoever takes what reaches it is left with 49 blocks. The rest is dealt round, so that
    every further block has a maximum near that bound. Every halving of a threshold brings in as much mass as the
    one before, and 0.95 of it needs half the row.
    """
    ranked = -0.8 * np.log1p(np.arange(n, dtype=np.float64))
    full = min(49 * BLOCK, n // 2)
    dealt = ranked[full:]
    whole = dealt.size // BLOCK * BLOCK
    round_robin = dealt[:whole].reshape(BLOCK, -1).T.reshape(-1)
    return np.concatenate([rng.permutation(ranked[:full]), round_robin, dealt[whole:]])


def adversarial(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Against a choice by pivots from an evenly spaced sample, over the whole row: the worst for top_p."""
    return against_pivots(n, rng)


def adversarial_parts(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """The same within 49 short blocks, which with 50 of many ties are all that block maxima leave for top_k 50."""
    row = np.full(n, -1.0)
    row[: 49 * SHORT_BLOCK] = against_pivots(49 * SHORT_BLOCK, rng, lower=50)
    return row


def against_pivots(n: int, rng: np.random.Generator, lower: int = 0) -> np.ndarray:
    """A row that every evenly spaced sample of 64 misjudges, and that halving the range of values hardly divides.

    What the first sample would see is the lowest value of all; of the entries left without it, what the second
    would see is the next lowest; and so on for twelve samples, as in McIlroy's adversary of quicksort. All else
    lies within a few units in the last place, where the first 50 and the first 0.95 of the mass end. For each
    halving of the range one single entry lies just inside the half that stays, so that it is only a half. The first
    sample is taken with `lower` smaller entries at the end.
    """
    row = np.empty(n)
    left = np.arange(n + lower)
    for turn in range(12):
        seen = np.arange(64) * left.size // 64
        row[left[seen]] = 0.5 + turn / 64
        left = np.delete(left, seen)
        left = left[left < n]
    heap = 0x3F80_0000 + 0x12_3456  # the bits of a float a little above 1
    bits = heap + rng.integers(0, 8, left.size, dtype=np.int32)
    single = _just_inside_the_halves(heap)
    bits[rng.choice(left.size, len(single), replace=False)] = single
    row[left] = bits.astype(np.int32).view(np.float32)
    return row


def _just_inside_the_halves(heap: int) -> list[int]:
    """The bits of the floats that keep a range of values around the heap as long as halving allows."""
    low, high = 0x3F40_0000, 0x4000_0000  # 3/4, above all that is seen, and 2
    single = [low, high]
    while high - low > 16:
        middle = (low + high) // 2
        if middle < heap:
            low = middle + 1
            single.append(low)
        else:
            high = middle - 1
            single.append(high)
    return single


def close(n: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Distances from the maximum over sixty powers of two: halving a range of values drops a heap each time.

    A search by value needs as many rounds as there are powers; one by the mean of what is left, more.
    """
    return -np.exp2(rng.uniform(-50.0, 10.0, n))


ROWS: dict[str, Callable[[int, float, np.random.Generator], np.ndarray]] = {
    "normal": normal,
    "flat": flat,
    "ascending": ascending,
    "descending": descending,
    "constant": constant,
    "two-valued": two_valued,
    "one-differs": one_differs,
    "full-blocks": full_blocks,
    "adversarial": adversarial,
    "adversarial-parts": adversarial_parts,
    "close": close,
}


def context(vocabulary: int, length: int = 4_096) -> np.ndarray:
    """Token ids as a text has them: log-uniform, a few of them most of the time, and 16 said before at the end.

    Every vocabulary gets the same context, its ids spread over the whole of it: each token as often, and as
    many cache lines as it can touch.
    """
    rng = np.random.default_rng(7)
    ranks = np.floor(LEAST_VOCABULARY ** rng.random(length)).astype(np.int64) - 1
    ranks[-16:] = ranks[length // 2 : length // 2 + 16]
    return ranks * (vocabulary // LEAST_VOCABULARY)

"""The uniforms of seeded draws: ``Categorical(x, temperature).draw(seed=seed, key=key)`` is `sample` of these."""

from fractions import Fraction

WORD = 2**32 - 1


def seeded_uniform(seed: int, key: int = 0, draw: int = 0) -> Fraction:
    """The uniform of a draw: 160 bits, of which nearly always the first 32 alone decide.

    These are word `draw` of the stream of this seed and key; the others are a block of their own.

    Examples
    --------
    >>> float(seeded_uniform(1, 0, 8))
    0.247401472325186
    >>> from fastsoftmax.reference import sample_probs
    >>> [sample_probs([1, 1, 1, 1, 1, 5], u=seeded_uniform(1, 0, j)) for j in range(10)]
    [5, 5, 5, 5, 5, 5, 4, 5, 2, 5]
    """
    first = stream_block(seed, key, draw // 4)[draw % 4]
    digits = (first, *stream_block(seed, key, 2**63 + draw))
    return sum((Fraction(digit, 2 ** (32 * i)) for i, digit in enumerate(digits, 1)), Fraction(0))


def stream_block(seed: int, key: int, block: int) -> tuple[int, int, int, int]:
    """Four words of the stream of a seed and a key, which is taken modulo 2**64."""
    return philox4x32(words(block) + words(key), words(seed))


def words(number: int) -> tuple[int, int]:
    """The low and the high 32 bits of a number modulo 2**64."""
    return number & WORD, number >> 32 & WORD


def philox4x32(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = second >> 32 ^ b ^ k, second & WORD, first >> 32 ^ d ^ m, first & WORD
        k, m = (k + 0x9E3779B9) & WORD, (m + 0xBB67AE85) & WORD
    return a, b, c, d

"""Uniforms by seed, key and step: the Philox generator as its paper has it."""

WORD = 2**64 - 1


def keyed_uniforms(seed: int, key: int, step: int = 0, *, stream: int = 0) -> float:
    """The first double in [0, 1) of Philox4x64-10 with key (seed, key) and counter (step, stream, 0, 0).

    The key is taken modulo 2**64. Stream 0 is for the draw, stream 1 for XTC's coin.

    Examples
    --------
    >>> keyed_uniforms(7, 3, step=5)
    0.773387051932589
    """
    # NumPy's generator counts up, with a carry, before it gives a block.
    count = (stream << 64) + step + 1
    return (philox((count & WORD, count >> 64, 0, 0), (seed, key & WORD))[0] >> 11) * 2.0**-53


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x64-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
        a, b, c, d = second >> 64 ^ b ^ k, second & WORD, first >> 64 ^ d ^ m, first & WORD
        k, m = (k + 0x9E3779B97F4A7C15) & WORD, (m + 0xBB67AE8584CAA73B) & WORD
    return a, b, c, d

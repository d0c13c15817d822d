"""Uniforms by seed, key and step: the Philox generator as its paper has it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

# What a number is used for.
DRAWS, COINS = 0, 1
_WORD = 2**64 - 1
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_INCREMENTS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B


def keyed_uniforms(seed: int, keys: int | Sequence[Any], step: int = 0) -> Any:
    """One uniform for each key: the first double of Philox4x64-10 with key (seed, key) and counter (step, 0, 0, 0).

    Parameters
    ----------
    seed, step : int
        At least 0 and below 2**64.
    keys : int, or lists of int
        Negative ones count modulo 2**64.

    Returns
    -------
    float, or lists of float
        In [0, 1), in the shape of `keys`.

    Raises
    ------
    ValueError
        If the seed, the step or a key is out of range: keys from -2**63 to 2**64 - 1.
    TypeError
        If a key is no integer.

    Examples
    --------
    >>> keyed_uniforms(7, [3, 1], step=5)
    [0.773387051932589, 0.47200123282368456]
    """
    for name, word in (("seed", seed), ("step", step)):
        if not 0 <= word <= _WORD:
            raise ValueError(f"{name} must be at least 0 and below 2**64, not {word}")
    return keyed(seed, keys, step, DRAWS)


def keyed(seed: int, keys: int | Sequence[Any], step: int, stream: int) -> Any:
    """The same with the counter (step, stream, 0, 0): a stream for each use of a key."""
    if isinstance(keys, Sequence):
        return [keyed(seed, key, step, stream) for key in keys]
    if isinstance(keys, bool):
        raise TypeError(f"keys must be integers, not {keys!r}")
    if not -(2**63) <= operator.index(keys) <= _WORD:
        raise ValueError(f"keys must be from -2**63 to 2**64 - 1, not {keys}")
    # NumPy's generator counts up, with a carry, before it gives a block.
    count = (stream << 64) + step + 1
    first = philox([count & _WORD, count >> 64, 0, 0], (seed, operator.index(keys) & _WORD))[0]
    return (first >> 11) * 2.0**-53


def philox(counter: Sequence[int], key: tuple[int, int]) -> list[int]:
    """Philox4x64-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3."""
    words = list(counter)
    for _ in range(10):
        first, second = _MULTIPLIERS[0] * words[0], _MULTIPLIERS[1] * words[2]
        words = [
            second >> 64 ^ words[1] ^ key[0],
            second & _WORD,
            first >> 64 ^ words[3] ^ key[1],
            first & _WORD,
        ]
        key = ((key[0] + _INCREMENTS[0]) & _WORD, (key[1] + _INCREMENTS[1]) & _WORD)
    return words

"""Uniforms that are a function of a seed, a key and a step: NumPy's Philox, addressed and not counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import any_array

# What of the generator a number is used for: the second word of the counter.
DRAWS, COINS = 0, 1


def keyed_uniforms(seed: int, keys: Any, step: int = 0) -> NDArray[np.float64]:
    """One uniform for each key, the same whatever else is asked for, wherever and in whatever order.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64: the stream of an experiment.
    keys : array_like of int
        What the uniforms are for: requests, particles, rows.  Integers of any type; negative ones count as
        2**64 more.
    step : int, default 0
        0 <= step < 2**64: which uniform of each key.

    Returns
    -------
    ndarray of float64
        In [0, 1), multiples of 2**-53, in the shape of `keys`.

    Raises
    ------
    ValueError
        For a seed or step out of range.
    TypeError
        For keys, a seed or a step that are not integers.

    Notes
    -----
    This is Philox4x64-10 [1]_ with the key (seed, key) and the counter (step, 0, 0, 0): what NumPy gives as
    ``np.random.Generator(np.random.Philox(key=[seed, key], counter=[step, 0, 0, 0])).random()``, to the bit.

    References
    ----------
    .. [1] J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> u = fastsoftmax.keyed_uniforms(7, [3, 1, 2], step=5)
    >>> bool(np.random.Generator(np.random.Philox(key=[7, 1], counter=[5, 0, 0, 0])).random() == u[1])
    True
    >>> fastsoftmax.sample(np.zeros((3, 4)), u=u)
    array([3, 1, 2])
    """
    return keyed(word("seed", seed), keys, word("step", step), DRAWS)[()]


def keyed(seed: int, keys: Any, step: int, stream: int) -> NDArray[np.float64]:
    """The same, of a checked seed and step, for one of the uses above."""
    given = any_array(keys, "keys")
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"keys must be integers, not {given.dtype}")
    wide = np.uint64 if given.dtype.kind == "u" else np.int64  # what is negative is taken modulo 2**64
    words = np.require(given, wide, ["C", "A"]).view(np.uint64)
    u = np.empty(given.shape, np.float64)
    _core.keyed_into(seed, words, step, stream, u)
    return u


def word(name: str, value: Any) -> int:
    """An integer that 64 bits hold, checked."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"{name} must be at least 0 and below 2**64, got {value}")
    return int(value)

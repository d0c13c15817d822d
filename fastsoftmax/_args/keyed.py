"""Uniforms that are a function of a seed, a key and a step: NumPy's Philox, addressed and not counted."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import any_array

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
        2**64 more.  From -2**63 to 2**64 - 1, also where a list holds both ends, for which NumPy has no type.
    step : int, default 0
        0 <= step < 2**64: which uniform of each key.

    Returns
    -------
    ndarray of float64
        In [0, 1), multiples of 2**-53, in the shape of `keys`.

    Raises
    ------
    ValueError
        For a seed, a step or keys out of range.
    TypeError
        For keys, a seed or a step that are not integers.

    Notes
    -----
    This is Philox4x64-10 [1]_ with the key (seed, key) and the counter (step, 0, 0, 0): what NumPy gives as
    ``np.random.Generator(np.random.Philox(key=k, counter=[step, 0, 0, 0])).random()`` with
    ``k = np.array([seed, key], np.uint64)``, to the bit.

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
    given = integer_keys(keys)
    wide = np.uint64 if given.dtype.kind == "u" else np.int64  # what is negative is taken modulo 2**64
    words = np.require(given, wide, ["C", "A"]).view(np.uint64)
    u = np.empty(given.shape, np.float64)
    _core.keyed_into(seed, words, step, stream, u)
    return u


def integer_keys(keys: Any) -> NDArray[Any]:
    """Keys as an array of integers that 64 bits hold."""
    given = any_array(keys, "keys")
    if given.dtype.kind in "iu" or not given.size:
        return given
    # NumPy makes float64 of a list with integers on both sides of 2**63, and objects of larger ones: each for itself.
    if given.dtype.kind != "O" and not (given.dtype.kind == "f" and isinstance(keys, list | tuple)):
        raise TypeError(f"keys must be integers, not {given.dtype}")
    each = given if given.dtype.kind == "O" else np.array(keys, object)
    return np.array([_key_word(key) for key in each.flat], np.uint64).reshape(each.shape)


def _key_word(key: Any) -> int:
    try:
        number = operator.index(key)
    except TypeError:
        number = None
    if number is None or isinstance(key, bool | np.bool_):
        raise TypeError(f"keys must be integers, not {key!r}")
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"keys must be from -2**63 to 2**64 - 1, got {number}")
    return number % 2**64


def word(name: str, value: Any) -> int:
    """An integer that 64 bits hold, checked."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"{name} must be at least 0 and below 2**64, got {value}")
    return int(value)

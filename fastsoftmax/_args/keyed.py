"""keyed_uniforms: uniforms that are a function of a seed, a key and a step, by NumPy's Philox."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import any_array, shown

# What a uniform is for; the second word of the generator's counter.
DRAWS, COINS = 0, 1


def keyed_uniforms(seed: int, keys: Any, step: int = 0) -> NDArray[np.float64]:
    """One uniform for each key, which depends on nothing but the seed, the key and the step.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64; one for each experiment.
    keys : array_like of int
        What the uniforms are for: the ids of requests, particles, rows.  Integers of any type from -2**63 to 2**64 - 1;
        negative ones are taken modulo 2**64.  A list may hold both ends, for which NumPy has no type.
    step : int, default 0
        0 <= step < 2**64; one for each uniform of a key.

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
    return keyed(checked_word("seed", seed), keys, checked_word("step", step), DRAWS)[()]


def keyed(seed: int, keys: Any, step: int, stream: int) -> NDArray[np.float64]:
    """keyed_uniforms with a seed and a step that are checked; `stream` is DRAWS or COINS."""
    given = integer_keys(keys)
    wide = np.uint64 if given.dtype.kind == "u" else np.int64  # a view of int64 as uint64 is modulo 2**64
    words = np.require(given, wide, ["C", "A"]).view(np.uint64)
    u = np.empty(given.shape, np.float64)
    _core.fill_keyed_uniforms(seed, words, step, stream, u)
    return u


def integer_keys(keys: Any) -> NDArray[Any]:
    """Keys as an array of 64-bit integers, signed or not."""
    given = any_array(keys, "keys")
    if given.dtype.kind in "iu" or not given.size:
        return given
    # NumPy makes float64 of a list with integers on both sides of 2**63, and objects of larger ones: look at each key.
    if given.dtype.kind != "O" and not (given.dtype.kind == "f" and isinstance(keys, int | list | tuple)):
        raise TypeError(f"keys must be integers, not {given.dtype}")
    one_by_one = given if given.dtype.kind == "O" else np.array(keys, object)
    return np.array([_key_word(key) for key in one_by_one.flat], np.uint64).reshape(one_by_one.shape)


def _key_word(key: Any) -> int:
    try:
        number = operator.index(key)
    except TypeError:
        number = None
    if number is None or isinstance(key, bool | np.bool_):
        raise TypeError(f"keys must be integers, not {key!r}")
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"keys must be from -2**63 to 2**64 - 1, got {shown(number)}")
    return number % 2**64


def checked_word(name: str, value: Any) -> int:
    """A seed or a step: an int from 0 to 2**64 - 1, checked."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if not 0 <= value < 2**64:
        raise ValueError(f"{name} must be at least 0 and below 2**64, got {shown(value)}")
    return int(value)

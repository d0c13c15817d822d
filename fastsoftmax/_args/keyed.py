"""Seeds, keys and steps: keyed_uniforms, by NumPy's Philox, and what seeded draws of rows are made of."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import any_array, shown

if TYPE_CHECKING:
    from .._types import Int, IntArrayLike

# How a seeded draw is made if nothing else is said; as a default it is recognised by `is`.
INVERSION = "inversion"

# What a uniform is for; the second word of the generator's counter.
DRAWS, COINS = 0, 1


# fmt: off
@overload
def keyed_uniforms(seed: Int, keys: Int, step: Int = 0) -> np.float64: ...
@overload
def keyed_uniforms(seed: IntArrayLike, keys: Sequence[int], step: IntArrayLike = 0) -> NDArray[np.float64]: ...
@overload
def keyed_uniforms(
    seed: IntArrayLike, keys: IntArrayLike, step: IntArrayLike = 0
) -> np.float64 | NDArray[np.float64]: ...
# fmt: on
def keyed_uniforms(seed: Any, keys: Any, step: Any = 0) -> Any:
    """One uniform for each key, which depends on nothing but the seed, the key and the step.

    Parameters
    ----------
    seed : int or array_like of int
        0 <= seed < 2**64; one for each experiment, or one for each key.
    keys : array_like of int
        What the uniforms are for: the ids of requests, particles, rows.  Integers of any type from -2**63 to 2**64 - 1;
        negative ones are taken modulo 2**64.  A list may hold both ends, for which NumPy has no type.
    step : int or array_like of int, default 0
        0 <= step < 2**64; one for each uniform of a key.

    Returns
    -------
    ndarray of float64
        In [0, 1), multiples of 2**-53, in the shape to which `seed`, `keys` and `step` broadcast.

    Raises
    ------
    ValueError
        For a seed, a step or keys out of range, or that do not broadcast.
    TypeError
        For keys, a seed or a step that are not integers.

    Notes
    -----
    This is Philox4x64-10 [1]_ with the key (seed, key) and the counter (step, 0, 0, 0): what NumPy gives as
    ``np.random.Generator(np.random.Philox(key=k, counter=[step, 0, 0, 0])).random()`` with
    ``k = np.array([seed, key], np.uint64)``, to the bit.

    References
    ----------
    .. [1] Salmon, J. et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> u = fastsoftmax.keyed_uniforms(7, [3, 1, 2], step=5)
    >>> bool(np.random.Generator(np.random.Philox(key=[7, 1], counter=[5, 0, 0, 0])).random() == u[1])
    True
    >>> fastsoftmax.sample(np.zeros((3, 4)), u=u)
    array([3, 1, 2])

    Requests of different age, in one call:

    >>> together = fastsoftmax.keyed_uniforms(7, [3, 1, 2], step=[5, 0, 9])
    >>> bool(together[1] == fastsoftmax.keyed_uniforms(7, 1, step=0))
    True
    """
    return keyed(checked_words("seed", seed), integer_keys(keys), checked_words("step", step), DRAWS)[()]


def keyed(seed: Any, keys: NDArray[Any], step: Any, stream: int) -> NDArray[np.float64]:
    """keyed_uniforms of words that are checked; `stream` is DRAWS or COINS."""
    shape, words = _broadcast_words(seed, keys, step)
    u = np.empty(shape, np.float64)
    _core.fill_keyed_uniforms(*words, stream, u)
    return u


def _broadcast_words(seed: Any, keys: NDArray[Any], step: Any) -> tuple[tuple[int, ...], tuple[Any, Any, Any]]:
    """The shape to which they broadcast, and each as an int or contiguous words, one or as many as the shape has."""
    given = _as_words(keys)
    if type(seed) is int and type(step) is int:
        return given.shape, (seed, given, step)
    words = _as_words(seed), given, _as_words(step)
    try:
        shape = np.broadcast_shapes(*(each.shape for each in words))
    except ValueError:
        shapes = "seed of shape {}, keys of shape {} and step of shape {}".format(*(each.shape for each in words))
        raise ValueError(f"{shapes} do not broadcast: pass one for each key, or one for all") from None
    seeds, of_keys, steps = (w if w.size == 1 else np.ascontiguousarray(np.broadcast_to(w, shape)) for w in words)
    return shape, (seeds, of_keys, steps)


class Seeded(NamedTuple):
    """The seed, the keys (None: the numbers of the rows) and the step of seeded draws, one from each row.

    Attributes
    ----------
    rejects : bool
        Long rows are drawn from by rejection.
    steps : str
        What `step` is called in errors.
    """

    seed: Any
    keys: Any
    step: Any
    rejects: bool
    steps: str = "step"

    def of(self, shape: tuple[int, ...]) -> Seeded:
        """The same as words, with keys; raises where there is not one of each for each row, or one for all.

        shape: that of the rows.  The key of a single row may be an int.
        """
        keys = self.keys
        if keys is None:
            if not isinstance(self.seed, int):
                keys = np.zeros(shape, np.int64)
            else:
                keys = np.arange(math.prod(shape)).reshape(shape) if shape else 0
        if not (type(keys) is int and 0 <= keys < 2**64 and not shape):
            keys = integer_keys(keys)
        for name, held in (("keys", keys), ("seed", self.seed), (self.steps, self.step)):
            if not isinstance(held, int):
                check_words_of_rows(name, held.shape, shape)
        seed, keys, step = (each if type(each) is int else _as_words(each) for each in (self.seed, keys, self.step))
        return Seeded(seed, keys, step, self.rejects, self.steps)

    def uniforms(self, stream: int) -> NDArray[np.float64]:
        return keyed(self.seed, self.keys, self.step, stream)


def seeded(u: Any, rng: Any, size: Any, seed: Any, keys: Any, step: Any, method: Any) -> Seeded | None:
    """These arguments of a function that draws, checked; None where there is no seed."""
    if not has_seed(seed, keys, step, method, {"u": u, "rng": rng}, size):
        return None
    words = checked_words("seed", seed), taken_keys(keys), checked_words("step", 0 if step is None else step)
    return Seeded(*words, as_rejects(method))


def has_seed(
    seed: Any, keys: Any, step: Any, method: Any, others: Mapping[str, Any], size: Any, named: str = "size"
) -> bool:
    """Whether there is a seed; raises for what does not go with one, or without one, whatever its value.

    others: what else says where the uniforms come from, by name; named: what `size` is called.
    """
    rejects = as_rejects(method)
    if seed is None:
        for name, value in (("keys", keys), ("step", step), ("method", method if rejects else None)):
            if value is not None:
                raise ValueError(f"{name} needs a seed: pass seed=")
        return False
    for name, value in others.items():
        if value is not None:
            raise ValueError(f"{name} and seed are both given; pass one of them")
    if size is not None:
        raise ValueError(
            f"{named} cannot be given with a seed, which gives one draw for each row: pass "
            "u=keyed_uniforms(seed, keys, steps), with as many keys or steps as there are draws"
        )
    return True


def check_words_of_rows(name: str, given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise where keys, seeds or steps of the given shape are not one for each row; shape: that of the rows."""
    if given != shape:
        one_or = "be one, or " * (name in ("seed", "step"))
        raise ValueError(f"{name} must {one_or}have the shape of the rows, {shape}, not {given}")


def as_rejects(method: Any) -> bool:
    """Whether a method is "rejection"; raises where it is not "inversion" either."""
    if not isinstance(method, str) or method not in ("inversion", "rejection"):
        raise ValueError(f'method must be "inversion" or "rejection", got {shown(method)}')
    return method == "rejection"


def _as_words(integers: Any) -> NDArray[np.uint64]:
    """Checked integers as contiguous uint64, those below 0 modulo 2**64."""
    if type(integers) is int:
        return np.array(integers, np.uint64)
    wide = np.uint64 if integers.dtype.kind == "u" else np.int64  # a view of int64 as uint64 is modulo 2**64
    return np.require(integers, wide, ["C", "A"]).view(np.uint64)


def integer_keys(keys: Any) -> NDArray[Any]:
    """Keys as an array of integers."""
    return _integers(keys, "keys", -(2**63))


def taken_keys(keys: Any) -> Any:
    """Keys as an array, unless they are None, an int or an array of integers: none of these runs code of the caller."""
    if keys is None or type(keys) is int or type(keys) is np.ndarray and keys.dtype.kind in "iu":
        return keys
    return integer_keys(keys)


def checked_words(name: str, value: Any) -> Any:
    """Seeds or steps from 0 to 2**64 - 1, checked: an int, or an array of integers."""
    if type(value) is int and 0 <= value < 2**64:  # the common case, checked faster
        return value
    if isinstance(value, int | np.integer):
        return checked_word(name, value)
    given = _integers(value, name, 0)
    if given.dtype.kind == "i" and given.size and given.min() < 0:
        at = np.unravel_index(int(np.argmax(given < 0)), given.shape)
        where = ", ".join(str(int(i)) for i in at)
        raise ValueError(f"{name} must be at least 0 and below 2**64, got {given[at]} at index {where}")
    return given


def _integers(value: Any, name: str, least: int) -> NDArray[Any]:
    """An array of integers; one that has an integer type may hold integers below `least`."""
    given = any_array(value, name)
    if given.dtype.kind in "iu":
        return given
    if not given.size:
        return given.astype(np.int64)
    # NumPy makes float64 of a list with integers on both sides of 2**63, and objects of larger ones: look at each one.
    if given.dtype.kind != "O" and not (given.dtype.kind == "f" and isinstance(value, int | list | tuple)):
        raise TypeError(f"{name} must be integers, not {given.dtype}")
    one_by_one = given if given.dtype.kind == "O" else np.array(value, object)
    return np.array([_word(each, name, least) for each in one_by_one.flat], np.uint64).reshape(one_by_one.shape)


def _word(value: Any, name: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be integers, not {value!r}")
    if not least <= number < 2**64:
        raise ValueError(f"{name} must be {_range_from(least)}, got {shown(number)}")
    return number % 2**64


def _range_from(least: int) -> str:
    return "from -2**63 to 2**64 - 1" if least else "at least 0 and below 2**64"


def checked_word(name: str, value: Any, least: int = 0) -> int:
    """A seed or a step: an int from 0 to 2**64 - 1, checked; or a key: from -2**63 on, taken modulo 2**64."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if not least <= value < 2**64:
        raise ValueError(f"{name} must be {_range_from(least)}, got {shown(value)}")
    return int(value) % 2**64


def checked_key(name: str, value: Any) -> int:
    """A single key, checked and modulo 2**64."""
    return checked_word(name, value, -(2**63))

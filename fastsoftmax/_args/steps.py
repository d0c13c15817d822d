"""The order of the filters, and indices that an operation leaves alone (`keep`, `exempt`), checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import any_array, type_of_value

# The names of fs_step (csrc/fastsoftmax.h), from 1 on, in the order in which the filters work by default.
STEPS = (
    "top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h", "top_n_sigma", "epsilon_cutoff", "eta_cutoff",
    "xtc", "temperature",
)  # fmt: skip
_NUMBER = {name: number for number, name in enumerate(STEPS, 1)}


def checked_order(order: Any) -> tuple[str, ...]:
    """The order as a tuple of names, each once."""
    if isinstance(order, str) or not isinstance(order, tuple | list):
        raise TypeError(f"order must be a tuple of names, of {', '.join(STEPS)}; got {order!r}")
    unknown = [name for name in order if not isinstance(name, str) or name not in _NUMBER]
    if unknown:
        raise ValueError(f"order has {', '.join(map(repr, unknown))}; what there is to order is {', '.join(STEPS)}")
    twice = [name for name in dict.fromkeys(order) if order.count(name) > 1]
    if twice:
        raise ValueError(f"order has {', '.join(twice)} more than once")
    return tuple(order)


def packed_order(order: tuple[str, ...]) -> int:
    """The numbers of the steps, 4 bits each, the first in the lowest."""
    return sum(_NUMBER[name] << 4 * place for place, name in enumerate(order))


def checked_indices(name: str, indices: Any) -> NDArray[np.int64]:
    """Indices, ascending and each once; whether the rows have them is known only with the rows."""
    given = any_array(indices, name)
    if given.ndim != 1:
        raise ValueError(f"{name} must be a sequence of indices, the same for all rows, not of shape {given.shape}")
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a sequence of ints, not {type_of_value(indices, given)}")
    bad = (given < 0) | (given > np.iinfo(np.int64).max) if given.size else np.zeros(0, np.bool_)
    if bad.any():
        raise ValueError(f"{name} must be indices, from 0; got {given[bad][0]}")
    ascending: NDArray[np.int64] = np.unique(given.astype(np.int64))
    ascending.flags.writeable = False
    return ascending


def check_within(name: str, ascending: NDArray[np.int64], entries: int) -> None:
    """Raise where the rows have no such entry; rows without entries have nothing to check."""
    if ascending.size and entries and ascending[-1] >= entries:
        raise ValueError(f"{name} has {ascending[-1]}, but the rows have entries 0 to {entries - 1}")

"""The argument `rng`, with the meaning of SPEC 7, and the generator of the process.

References
----------
Scientific Python SPEC 7, Seeding pseudo-random number generation.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .. import _core
from .arrays import uniform_rows

_WANTED = "rng must be None, an int, or a SeedSequence, BitGenerator or Generator of NumPy"
_lock = threading.Lock()
_generator: np.random.Generator | None = None


def process_generator() -> np.random.Generator:
    """The generator of this process, seeded from fresh entropy on first use and again in a forked child."""
    global _generator
    generator = _generator
    if generator is None:
        with _lock:
            if _generator is None:
                _generator = np.random.default_rng()
            generator = _generator
    return generator


def _renew_in_child() -> None:
    global _generator, _lock
    _lock = threading.Lock()  # another thread of the parent may have held the old one
    _generator = None
    _core.count_fork()
    _core.set_main_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_child)


def as_generator(rng: Any) -> np.random.Generator:
    """A Generator from None, an int, a SeedSequence, a BitGenerator or a Generator."""
    if rng is None:
        return process_generator()
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, np.random.RandomState):
        raise TypeError("rng must not be a RandomState: use numpy.random.default_rng(seed)")
    if isinstance(rng, bool | str | bytes):
        raise TypeError(f"{_WANTED}, not {rng!r}")
    try:
        return np.random.default_rng(rng)
    except TypeError:
        kind = f"{type(rng).__module__}.{type(rng).__qualname__}".removeprefix("builtins.")
        raise TypeError(f"{_WANTED}, not {kind}; pass what another library's generator draws as u=") from None
    except ValueError as error:
        raise ValueError(f"rng: {error}") from None


def uniforms(rng: Any, shape: tuple[int, ...]) -> Any:
    """One uniform for each draw, in row-major order; a float for the shape ()."""
    generator = as_generator(rng)
    if type(generator) is np.random.Generator:
        return generator.random(shape) if shape else generator.random()
    return uniform_rows(generator.random(shape), shape)  # a subclass may return anything: check it


def check_u_or_rng(u: Any, rng: Any) -> None:
    if u is not None and rng is not None:
        raise ValueError("u and rng are both given; pass either the uniforms or their generator")

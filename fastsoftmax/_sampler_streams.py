"""Where a Sampler's uniforms come from: its generator, or its seed with the keys and the steps of the rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._args.arrays import Rows
from ._args.held import own_steps, own_words, read_only
from ._args.keyed import COINS, DRAWS, checked_word, checked_words, integer_keys, keyed
from ._args.random import as_generator
from ._sampler_calls import Calls, HasLogprob

if TYPE_CHECKING:
    from ._types import IntArrayLike


class Streams(Calls[HasLogprob]):
    """What a Sampler has of them; Sampler has the rest."""

    __slots__ = ()

    def _take_seed(self, seed: Any, keys: Any, steps: Any) -> None:
        if seed is None and not (keys is None and steps is None):
            raise ValueError(f"{'steps' if keys is None else 'keys'} need a Sampler with a seed: pass seed=")
        self._seed = None if seed is None else own_words(checked_words("seed", seed))
        self._keys = self._steps = None  # __init__ may be called again
        self.set_held_words(False)
        self._bind()
        if self._seed is not None:
            self.keys = keys
            self.steps = steps

    def _bind(self) -> None:
        if self._seed is not None:
            self.set_seed(self._seed if isinstance(self._seed, int) else 0)
            self._note_held_words()
        else:
            self.bind(as_generator(self._rng), self._rng is None)

    def _note_held_words(self) -> None:
        self.set_held_words(not (isinstance(self._seed, int) and self._keys is None and self._steps is None))

    def _check_seeded(self, name: str) -> None:
        if self._seed is None:
            raise AttributeError(f"{name} is fixed: a Sampler made without a seed has none; make one with seed=")

    @property
    def seed(self) -> int | NDArray[np.int64] | NDArray[np.uint64] | None:
        return self._seed

    @seed.setter
    def seed(self, seed: IntArrayLike) -> None:
        self._check_seeded("seed")
        self._seed = own_words(checked_words("seed", seed))
        self._bind()

    @property
    def keys(self) -> int | NDArray[np.int64] | NDArray[np.uint64] | None:
        return self._keys

    @keys.setter
    def keys(self, keys: IntArrayLike | None) -> None:
        self._check_seeded("keys")
        self._keys = None if keys is None else own_words(integer_keys(keys))
        self._note_held_words()

    @property
    def steps(self) -> NDArray[np.int64] | None:
        steps = self._steps
        return steps if steps is None else read_only(steps)

    @steps.setter
    def steps(self, steps: IntArrayLike | None) -> None:
        self._check_seeded("steps")
        self._steps = None if steps is None else own_steps(steps)
        self._note_held_words()

    def _keyed(self, rows: Rows, keys: Any, step: Any) -> tuple[Any, Any]:
        """The uniforms and the coins of this step, or these steps, for these keys, or else those that are held."""
        seed: Any = self._seed
        keys = self._keys if keys is None else keys
        if keys is None:
            shape = rows.shape
            keys = np.arange(math.prod(shape)).reshape(shape) if isinstance(seed, int) else np.zeros(shape, np.int64)
        given = integer_keys(keys)
        step = checked_word("step", step) if isinstance(step, int) else step
        for name, held in (("keys", given), ("seed", seed), ("steps", step)):
            if not isinstance(held, int) and held.shape != rows.shape:
                wanted = f"have the shape of the rows, {rows.shape}"
                raise ValueError(f"{name} must {'be one, or ' * (name == 'seed')}{wanted}, not {held.shape}")
        return keyed(seed, given, step, DRAWS), keyed(seed, given, step, COINS)

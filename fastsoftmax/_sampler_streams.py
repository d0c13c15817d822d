"""Where a Sampler's uniforms come from: its generator, or its seed with the keys and the steps of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._args.held import own_steps, own_words, read_only
from ._args.keyed import Seeded, as_rejects, checked_word, checked_words, integer_keys, taken_keys
from ._args.random import as_generator
from ._sampler_calls import Calls, HasLogprob

if TYPE_CHECKING:
    from ._types import IntArrayLike


class Streams(Calls[HasLogprob]):
    """What a Sampler has of them; Sampler has the rest."""

    __slots__ = ()

    def _take_seed(self, seed: Any, keys: Any, steps: Any, method: Any) -> None:
        rejects = as_rejects(method)
        if seed is None and rejects:
            raise ValueError("method needs a Sampler with a seed: pass seed=")
        self.set_method(rejects)
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

    def _seeded(self, keys: Any, step: Any) -> Seeded:
        """What the draws of this step, or these steps, are made of, for these keys, or else those that are held."""
        step = checked_word("step", step) if isinstance(step, int) else step
        keys = self._keys if keys is None else taken_keys(keys)
        return Seeded(self._seed, keys, step, self._method == "rejection", "steps")

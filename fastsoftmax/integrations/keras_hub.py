"""A sampler for KerasHub's `generate`: `causal_lm.compile(sampler=FastSampler(top_p=0.95))`.

The loop is KerasHub's own; the sampler takes the logits of each step and draws by :func:`fastsoftmax.sample`.  It works
on Keras's torch backend, and on JAX through `jax.pure_callback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

try:
    import keras
    import keras_hub
except ImportError as error:
    raise ImportError(
        "fastsoftmax.integrations.keras_hub needs KerasHub and the backend that KERAS_BACKEND names: "
        f"pip install keras-hub, and with it torch or jax ({error})"
    ) from error

from .. import _sampling
from .._args.arrays import shown
from .._args.filters import PARAMETERS, as_filters
from .._args.keyed import INVERSION

if TYPE_CHECKING:
    from .._types import Method

__all__ = ["FastSampler"]

_ONE_ENTRY = np.zeros(1)


@keras.saving.register_keras_serializable(package="fastsoftmax")
class FastSampler(keras_hub.samplers.Sampler):
    """What `causal_lm.compile(sampler=…)` takes, to draw the tokens by this package.

    Parameters
    ----------
    temperature : float, default 1.0
        T, 0 <= T <= inf.
    seed : int, optional
        As KerasHub's samplers have it.  By default one that `keras.utils.set_random_seed` fixes.
    method : {"inversion", "rejection"}, default "inversion"
        How a token is drawn where no filter is on, as in :func:`fastsoftmax.sample`.
    **filters
        `top_k`, `top_p`, `min_p` and the other filters of :func:`fastsoftmax.sample`, one number each; also
        `min_tokens_to_keep`, `temperature_last`, `order` and `keep`.

    Attributes
    ----------
    temperature, method, top_k, top_p, …
        The parameters, None for a filter that is not given.  They may be set, and take effect at the next draw: also
        where `generate` has been compiled by JAX, which freezes those of KerasHub's own samplers.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.sample`, where a parameter is given or set.
    RuntimeError
        In `generate`, on another backend than torch and JAX.

    Notes
    -----
    The tokens of the n-th draw of the sampler are ``fastsoftmax.sample(logits, temperature, seed=seed, step=n)``, whose
    keys are the numbers of the rows: as with KerasHub's samplers, calls of `generate` one after another draw different
    tokens, and begin again with a new sampler of the same seed.  A row that cannot be drawn from is an error.

    `compute_probabilities` returns the logits as they are, and `get_next_token` takes logits.

    Examples
    --------
    >>> import keras_hub
    >>> import numpy as np
    >>> from fastsoftmax.integrations.keras_hub import FastSampler
    >>> backbone = keras_hub.models.GPT2Backbone(50, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16)
    >>> causal_lm = keras_hub.models.GPT2CausalLM(backbone)
    >>> causal_lm.compile(sampler=FastSampler(0.8, top_p=0.95, seed=7))
    >>> ids = np.array([[1, 2, 3, 0, 0, 0]])
    >>> prompt = {"token_ids": ids, "padding_mask": ids > 0}
    >>> causal_lm.generate(prompt, stop_token_ids=None)["token_ids"].shape
    (1, 6)
    """

    def __init__(
        self, temperature: float = 1.0, *, seed: int | None = None, method: Method = "inversion", **filters: Any
    ) -> None:
        unknown = set(filters).difference(PARAMETERS)
        if unknown:
            raise TypeError(f"FastSampler() got an unexpected keyword argument {min(unknown)!r}")
        self._set(temperature, method, filters)
        super().__init__(temperature=temperature)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in PARAMETERS:
            self._set(self._temperature, self._method, {**self._filters, name: value})
        elif name == "temperature":
            self._set(value, self._method, self._filters)
        elif name == "method":
            self._set(self._temperature, value, self._filters)
        elif name.startswith("_") or name in ("seed", "seed_generator"):
            super().__setattr__(name, value)
        else:
            known = ", ".join(("temperature", "method", *PARAMETERS))
            raise AttributeError(f"FastSampler has no parameter {name!r}; it has {known}")

    def __getattr__(self, name: str) -> Any:
        if name in ("temperature", "method"):
            return getattr(self, f"_{name}")
        if name in PARAMETERS:
            return self._filters.get(name)
        raise AttributeError(f"FastSampler has no attribute {name!r}")

    def _set(self, temperature: Any, method: Any, filters: Mapping[str, Any]) -> None:
        """Take the parameters if all of them are valid."""
        given = {name: value for name, value in filters.items() if value is not None}
        checked = as_filters(given)
        if checked is not None and checked.record.ndim:
            name = next(name for name, shape in checked.shapes.items() if shape)
            raise TypeError(f"{name} must be one number for all rows, got {shown(given[name])}")
        _sampling.sample(_ONE_ENTRY, temperature, seed=0, method=method)  # raises for what is no temperature or method
        self._temperature, self._method, self._filters = temperature, method, given

    def compute_probabilities(self, logits: Any) -> Any:
        """The logits: the temperature and the softmax are part of the draw."""
        return logits

    def get_next_token(self, logits: Any) -> Any:
        """The indices drawn from rows of logits, as int32."""
        backend = keras.config.backend()
        if backend == "torch":
            import torch

            state = self.seed_generator.next().cpu().numpy()
            return torch.from_numpy(self._draw(logits.detach().cpu(), state)).to(logits.device)
        if backend == "jax":
            import jax

            shape = jax.ShapeDtypeStruct(logits.shape[:-1], np.int32)
            return jax.pure_callback(self._draw, shape, logits, self.seed_generator.next())
        raise RuntimeError(
            f"FastSampler draws on Keras's torch and jax backends, and this is {backend}: set KERAS_BACKEND before "
            "keras is imported, or compile with one of KerasHub's own samplers"
        )

    def _draw(self, logits: Any, state: Any) -> NDArray[np.int32]:
        """The draw itself; state: the seed, and how many draws there were before."""
        seed, step = (int(word) for word in np.asarray(state))
        words: dict[str, Any] = {"seed": seed, "step": step, "method": self._method}
        drawn: NDArray[np.int64] = _sampling.sample(logits, self._temperature, **words, **self._filters)
        return drawn.astype(np.int32)

    def get_config(self) -> dict[str, Any]:
        method = {} if self._method == INVERSION else {"method": self._method}
        return {**super().get_config(), "seed": self.seed, **method, **self._filters}

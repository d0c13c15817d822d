"""Sampler: one way of drawing, for single calls and for loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ._drawing import check_on_invalid, draw_rows
from ._keyed import COINS, DRAWS, keyed
from ._parameters import Filters, checked
from ._rows import Bias, Mask, PerRow, Row, Rows, SupportsRandom, broadcast, map_nested


class Sampler:
    """`sample` with its parameters held, for loops.

    Parameters
    ----------
    temperature : float, or one per row, or a function of the step
        A function is called with `step`, the number of draws already made.
    rng, mask, bias, top_k, ..., temperature_last, return_logprob, on_invalid
        As for `sample`.
    seed : int, optional
        Instead of `rng`: the uniforms of a call are ``keyed_uniforms(seed, keys, step)``.
    mirostat_tau : float >= 0, or one per row, optional
        Mirostat: the surprise, in bits, that draws are steered to. After all other filters, keep
        ``-log2 p_i <= mirostat_mu``, and at least the first.
    mirostat_eta : float >= 0, or one per row
        After a draw of probability p, `mirostat_mu` falls by ``mirostat_eta * (-log2 p - mirostat_tau)``.

    Attributes
    ----------
    temperature : float, or one per row, or a function of the step
    step : int
        The number of calls made.
    mirostat_mu : float, or list of one per row, or None
        Starts at ``2 * mirostat_tau``.

    Examples
    --------
    >>> sampler = Sampler(temperature=lambda step: 1.0 if step == 0 else 0.0)
    >>> sampler([0.0, 1.0], u=0.25), sampler([0.0, 1.0], u=0.25), sampler.step
    (0, 1, 2)
    >>> sampler = Sampler(mirostat_tau=1.5, mirostat_eta=0.5)
    >>> sampler([0.0, 0.0, 0.0, 0.0], u=0.9), sampler.mirostat_mu
    (3, 2.75)
    """

    def __init__(
        self,
        temperature: PerRow | Callable[[int], PerRow] = 1.0,
        *,
        rng: SupportsRandom | None = None,
        seed: int | None = None,
        mask: Mask | None = None,
        bias: Bias | None = None,
        top_k: int | list[int] | None = None,
        top_p: PerRow | None = None,
        min_p: PerRow | None = None,
        typical_p: PerRow | None = None,
        top_n_sigma: PerRow | None = None,
        epsilon_cutoff: PerRow | None = None,
        eta_cutoff: PerRow | None = None,
        xtc_threshold: PerRow | None = None,
        xtc_probability: PerRow | None = None,
        dynatemp_range: PerRow | None = None,
        dynatemp_exponent: PerRow = 1.0,
        min_tokens_to_keep: int | list[int] = 1,
        temperature_last: bool | list[bool] = False,
        mirostat_tau: PerRow | None = None,
        mirostat_eta: PerRow = 0.1,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        check_on_invalid(on_invalid)
        if rng is not None and seed is not None:
            raise ValueError("rng and seed cannot both be given")
        self._seed = seed
        self._filters = Filters(
            top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p, top_n_sigma=top_n_sigma,
            epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
            xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
            min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last,
        )  # fmt: skip
        self.temperature = temperature
        self.step = 0
        self._tau = None if mirostat_tau is None else checked(mirostat_tau, "mirostat_tau")
        self._eta = checked(mirostat_eta, "mirostat_eta")
        self.mirostat_mu = None if mirostat_tau is None else map_nested(lambda tau: 2.0 * tau, self._tau)
        self._rng = rng
        self._mask = mask
        self._bias = bias
        self._return_logprob = return_logprob
        self._on_invalid = on_invalid

    def __call__(self, logits: Row | Rows, u: Any = None, xtc_u: Any = None, keys: Any = None) -> Any:
        """Draw from logits, as `sample` does, and count the step; `keys`: an int a row, its number unless given."""
        return self._draw(logits, False, u, xtc_u, keys)

    def sample_probs(self, probs: Row | Rows, u: Any = None, xtc_u: Any = None, keys: Any = None) -> Any:
        """Draw from probabilities, as `sample_probs` does, and count the step."""
        return self._draw(probs, True, u, xtc_u, keys)

    def _draw(self, values: Row | Rows, of_probs: bool, u: Any, xtc_u: Any, keys: Any) -> Any:
        if keys is not None and (self._seed is None or u is not None):
            raise ValueError("keys are for a Sampler with a seed, and not beside u")
        if self._seed is not None and u is None:
            if keys is None:
                keys = list(range(len(values))) if isinstance(values[0], Sequence) else 0
            u = keyed(self._seed, keys, self.step, DRAWS)
            xtc_u = keyed(self._seed, keys, self.step, COINS) if xtc_u is None else xtc_u
        temperature = self.temperature(self.step) if callable(self.temperature) else self.temperature
        indices, logprobs = draw_rows(
            values, of_probs, temperature, self._filters, mask=self._mask, bias=self._bias, u=u, xtc_u=xtc_u,
            rng=self._rng, size=(), on_invalid=self._on_invalid, mu=self.mirostat_mu,
        )  # fmt: skip
        if self.mirostat_mu is not None:
            self._steer(logprobs)
        self.step += 1
        return (indices, logprobs) if self._return_logprob else indices

    def _steer(self, logprobs: float | list[float]) -> None:
        """``mu -= eta (-log2 p - tau)``, but where nothing was drawn."""
        of_rows = logprobs if isinstance(logprobs, list) else [logprobs]
        shape = (len(of_rows),)
        steered = [
            mu if math.isnan(logprob) else mu - eta * (-logprob / math.log(2.0) - tau)
            for mu, eta, logprob, tau in zip(
                broadcast(self.mirostat_mu, shape, "mirostat_mu"),
                broadcast(self._eta, shape, "mirostat_eta"),
                of_rows,
                broadcast(self._tau, shape, "mirostat_tau"),
                strict=True,
            )
        ]
        self.mirostat_mu = steered if isinstance(logprobs, list) else steered[0]

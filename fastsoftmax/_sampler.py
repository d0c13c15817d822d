"""Sampler: `sample` in a loop, with the parameters checked once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _core
from ._args.arrays import Axis, Rows, any_array, as_float64, temperature_rows
from ._args.filters import as_filters, with_surprise
from ._args.keyed import COINS, DRAWS, checked_word, integer_keys, keyed
from ._args.random import as_generator
from ._sampling import check_on_invalid, draw_rows


class Sampler(_core.SamplerBase):
    """Draws from softmax(logits/T) in a loop, with the parameters checked once.

    Parameters
    ----------
    temperature : float, array_like or callable, default 1.0
        T, as in :func:`sample`; or a schedule, called with `step` before each draw.
    axis, rng, mask, bias, return_logprob, on_invalid
        As in :func:`sample`.
    seed : int, optional
        Instead of `rng`, 0 <= seed < 2**64: the uniforms are :func:`keyed_uniforms` of this seed, the keys given at
        the call (or else the numbers of the rows) and `step`.
    top_k, top_p, min_p, typical_p, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold, xtc_probability, \
dynatemp_range, dynatemp_exponent, min_tokens_to_keep, temperature_last
        The filters of :func:`sample`.
    mirostat_tau : float or array_like, optional
        Mirostat v2 [1]_: keep the surprise of the drawn index, -log2 p, near this many bits.
    mirostat_eta : float or array_like, default 0.1
        How fast it is corrected, >= 0.

    Attributes
    ----------
    temperature : float, array_like or callable
        May be set between draws.
    step : int
        The number of calls made so far.  May be set; a schedule and the uniforms of a seed go on from there.
    mirostat_mu : float or ndarray of float64, or None without mirostat
        The largest surprise allowed at the next draw, in bits (for each row); 2 tau at first; may be set.

    Raises
    ------
    ValueError, TypeError
        As in :func:`sample`; for the parameters already when the Sampler is made.

    Notes
    -----
    ``sampler(logits)`` is ``sample(logits, temperature, rng=rng, ...)`` with one generator for all calls.  A
    Sampler may be pickled and copied, with the state of its generator; one made without `rng` uses the generator
    of the process.

    With a seed, the step is the only state: ``sampler(logits, keys=ids)`` at step s draws row i with
    ``keyed_uniforms(seed, ids[i], s)``, whatever else is in the batch.

    With mirostat, which comes after the other filters, entries with -log2 p > mu are dropped (one stays), and after
    the draw mu becomes mu - eta (-log2 p_x - tau), where p_x is the probability of the drawn index.

    References
    ----------
    .. [1] S. Basu et al., "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity", 2021,
       arXiv 2007.14966.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> sampler = fastsoftmax.Sampler(temperature=0.8, rng=1)
    >>> logits = np.array([0.0, 1.0, 2.0, 3.0])
    >>> [sampler(logits) for _ in range(5)]
    [3, 3, 2, 3, 3]
    >>> sampler.step
    5
    """

    def __init__(
        self,
        temperature: float | Any | Callable[[int], Any] = 1.0,
        *,
        axis: Axis = -1,
        rng: Any = None,
        seed: int | None = None,
        mask: Any = None,
        bias: Any = None,
        top_k: Any = None,
        top_p: Any = None,
        min_p: Any = None,
        typical_p: Any = None,
        top_n_sigma: Any = None,
        epsilon_cutoff: Any = None,
        eta_cutoff: Any = None,
        xtc_threshold: Any = None,
        xtc_probability: Any = None,
        dynatemp_range: Any = None,
        dynatemp_exponent: Any = 1.0,
        min_tokens_to_keep: Any = 1,
        temperature_last: Any = False,
        mirostat_tau: Any = None,
        mirostat_eta: Any = 0.1,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        check_on_invalid(on_invalid)
        given = _core.given_filters(
            top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p, top_n_sigma=top_n_sigma,
            epsilon_cutoff=epsilon_cutoff, eta_cutoff=eta_cutoff, xtc_threshold=xtc_threshold,
            xtc_probability=xtc_probability, dynatemp_range=dynatemp_range, dynatemp_exponent=dynatemp_exponent,
            min_tokens_to_keep=min_tokens_to_keep, temperature_last=temperature_last,
        )  # fmt: skip
        # Arrays are copied: what is checked here is what is used, and pickled.
        self._given = {
            name: value if isinstance(value, bool | int | float) else np.array(value)
            for name, value in (given or {}).items()
        }
        self._filters = as_filters(self._given)
        if rng is not None and seed is not None:
            raise ValueError("rng and seed are both given; pass one of them")
        self._seed = None if seed is None else checked_word("seed", seed)
        self._rng = rng if rng is None else as_generator(rng)
        self._axis = axis
        self._mask = mask
        self._bias = bias
        self._mirostat_tau = _bits("mirostat_tau", mirostat_tau)
        self._mirostat_eta = _bits("mirostat_eta", mirostat_eta)
        self.mirostat_mu: Any = None if self._mirostat_tau is None else 2.0 * self._mirostat_tau
        self._return_logprob = return_logprob
        self._on_invalid = on_invalid
        plain_rng = self._rng is None or type(self._rng) is np.random.Generator
        self._scalar_loop = (
            plain_rng and axis == -1 and mask is None and bias is None and not return_logprob
            and mirostat_tau is None and (self._filters is None or self._filters.record.ndim == 0)
        )  # fmt: skip
        if self._filters is not None and self._filters.record.ndim == 0:
            self.set_filters(self._filters.record, self._filters.needs_coin)
        else:
            self.set_filters(None, False)  # __init__ may be called again
        self.temperature = temperature
        self.step = 0
        self._bind()

    def _bind(self) -> None:
        if self._seed is not None:
            self.set_seed(self._seed)
        else:
            self.bind(as_generator(self._rng), self._rng is None)

    @property
    def temperature(self) -> Any:
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: Any) -> None:
        if not callable(temperature):
            _check_temperature(temperature)
        self._temperature = temperature
        self.set_temperature(temperature if self._scalar_loop else None)  # a schedule too

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {
            "temperature": self._temperature, "axis": self._axis, "rng": self._rng, "seed": self._seed,
            "mask": self._mask, "bias": self._bias, **self._given, "mirostat_tau": self._mirostat_tau,
            "mirostat_eta": self._mirostat_eta, "return_logprob": self._return_logprob,
            "on_invalid": self._on_invalid,
        }  # fmt: skip
        return _restored, (type(self), arguments, self.step), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self._given.items()]
        stream = f"rng={self._rng!r}" if self._seed is None else f"seed={self._seed}"
        shown = [f"temperature={self._temperature!r}", *given, stream, f"step={self.step}"]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _draw_general(self, values: Any, u: Any, probs: bool, xtc_u: Any, keys: Any) -> Any:
        """The general path: several rows, other arrays, mirostat, or a row that cannot be drawn from."""
        temperature = self._temperature(self.step) if callable(self._temperature) else self._temperature
        rng = self._rng if u is None else None
        filters, tau = self._filters, self._mirostat_tau
        if keys is not None and (self._seed is None or u is not None):
            raise ValueError("keys need a Sampler with a seed, and cannot be combined with u")
        if self._seed is not None or tau is not None:
            values = any_array(values, "probs" if probs else "logits")
            rows = Rows(values.shape, self._axis, "logits")
        if self._seed is not None and u is None:
            u, coins = self._keyed(rows, keys)
            xtc_u = coins if xtc_u is None else xtc_u
        if tau is not None:
            for name, given in (("tau", tau), ("eta", self._mirostat_eta), ("mu", self.mirostat_mu)):
                _check_mirostat(f"mirostat_{name}", given, rows)
            filters = with_surprise(filters, self.mirostat_mu, rows)
        drawn = draw_rows(
            values, probs, temperature, self._axis, None, u, rng, self._mask, self._bias, filters, xtc_u,
            self._return_logprob or tau is not None, self._on_invalid,
        )  # fmt: skip
        if tau is not None:
            self._correct_mirostat(tau, drawn[1])
            drawn = drawn if self._return_logprob else drawn[0]
        self.count()
        if self._seed is None and self._rng is None:
            self._bind()  # the process may be a forked child, which has a new generator
        return drawn

    def _keyed(self, rows: Rows, keys: Any) -> tuple[Any, Any]:
        """The uniforms and the coins of this step, for these keys, or else the numbers of the rows."""
        if keys is None:
            keys = np.arange(math.prod(rows.shape)).reshape(rows.shape)
        given = integer_keys(keys)
        if given.shape != rows.shape:
            raise ValueError(f"keys must have the shape of the rows, {rows.shape}, not {given.shape}")
        assert self._seed is not None
        step = checked_word("step", self.step)
        return keyed(self._seed, given, step, DRAWS), keyed(self._seed, given, step, COINS)

    def _correct_mirostat(self, tau: Any, logprob: Any) -> None:
        """Set mu after a draw; that of a row that could not be drawn from stays."""
        error = -np.asarray(logprob) / math.log(2.0) - tau
        mu = self.mirostat_mu - self._mirostat_eta * np.where(np.isnan(error), 0.0, error)
        self.mirostat_mu = mu if np.ndim(mu) else float(mu)


def _restored(cls: type[Sampler], arguments: dict[str, Any], step: int) -> Sampler:
    sampler = cls.__new__(cls)
    Sampler.__init__(sampler, **arguments)
    sampler.step = step
    return sampler


def _check_temperature(temperature: Any) -> None:
    """Check the values already here; the shape can be checked only with the logits."""
    t = any_array(temperature, "temperature")
    temperature_rows(temperature, Rows((*t.shape, 1), -1, "logits"))


def _check_mirostat(name: str, value: Any, rows: Rows) -> None:
    """Raise unless the value is a number, or one for each row."""
    given = any_array(value, name)
    if given.dtype.kind not in "fiu" or np.isnan(given).any():
        raise ValueError(f"{name} must be a number, or one for each row, got {value!r}")
    if given.shape not in ((), rows.shape):
        raise ValueError(
            f"{name} must be one number, or have the shape of the rows, {rows.shape}, not {given.shape}"
        )


def _bits(name: str, value: Any) -> Any:
    """A parameter of mirostat, checked but for its shape, which can be checked only with the logits."""
    if value is None:
        return None
    given = any_array(value, name)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a number, or an array of them, got {value!r}")
    wide = as_float64(given)
    good = (wide >= 0.0) & (wide < math.inf)
    if not good.all():
        raise ValueError(f"{name} must be zero or positive, got {wide[~good][0]}")
    return wide if wide.ndim else float(wide)

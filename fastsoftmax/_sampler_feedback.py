"""What a Sampler learns from its draws: mirostat's bound of the surprise, and the mean that adaptive_p steers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._args.arrays import Array, Rows, real_array
from ._args.filters import Filters, with_surprise
from ._args.held import numbers_up_to
from ._args.parameters import LARGEST
from ._sampler_calls import HasLogprob
from ._sampler_streams import Streams

if TYPE_CHECKING:
    from ._types import ArrayLike

_MOST_DECAY = 0.99  # llama.cpp's bound: with more, hundreds of draws do not move the mean


class Feedback(Streams[HasLogprob]):
    """What a Sampler has of them; Sampler has the rest."""

    __slots__ = ()

    def _take_feedback(self, tau: Any, eta: Any, target: Any, decay: Any) -> None:
        self._mirostat_tau = self._adaptive_p = None  # __init__ may be called again
        self.mirostat_eta = eta
        self.mirostat_tau = tau
        self.adaptive_p_decay = decay
        self.adaptive_p = target

    def _check_alone(self, name: str, other: str, value: Any) -> None:
        if value is not None and getattr(self, other) is not None:
            raise ValueError(f"{name} and {other} both decide how likely what is drawn is: set {other} to None first")

    @property
    def mirostat_tau(self) -> float | NDArray[np.float64] | None:
        return self._mirostat_tau

    @mirostat_tau.setter
    def mirostat_tau(self, tau: ArrayLike | None) -> None:
        tau = None if tau is None else numbers_up_to(LARGEST, "mirostat_tau", tau)
        self._check_alone("mirostat_tau", "adaptive_p", tau)
        if self._mirostat_tau is None or tau is None:
            self._mu = None if tau is None else 2.0 * tau
        self._mirostat_tau = tau
        self.set_mirostat(tau, self._mirostat_eta)

    @property
    def mirostat_eta(self) -> float | NDArray[np.float64]:
        return self._mirostat_eta

    @mirostat_eta.setter
    def mirostat_eta(self, eta: ArrayLike) -> None:
        self._mirostat_eta = numbers_up_to(LARGEST, "mirostat_eta", eta)
        self.set_mirostat(self._mirostat_tau, self._mirostat_eta)

    @property
    def mirostat_mu(self) -> float | NDArray[np.float64] | None:
        return self._mu

    @mirostat_mu.setter
    def mirostat_mu(self, mu: ArrayLike) -> None:
        if self._mirostat_tau is None:
            raise AttributeError("mirostat_mu cannot be set while mirostat is off: set mirostat_tau first")
        wide = real_array(mu, "mirostat_mu", "a number, or one for each row")
        if np.isnan(wide).any():
            raise ValueError(f"mirostat_mu must be a number, or one for each row, got {mu!r}")
        self._mu = wide if wide.ndim else float(wide)

    @property
    def adaptive_p(self) -> float | NDArray[np.float64] | None:
        return self._adaptive_p

    @adaptive_p.setter
    def adaptive_p(self, target: ArrayLike | None) -> None:
        target = None if target is None else numbers_up_to(1.0, "adaptive_p", target)
        self._check_alone("adaptive_p", "mirostat_tau", target)
        if self._adaptive_p is None or target is None:
            self._mean = target
        self._adaptive_p = target
        self.set_adaptive(target, self._adaptive_p_decay)

    @property
    def adaptive_p_decay(self) -> float | NDArray[np.float64]:
        return self._adaptive_p_decay

    @adaptive_p_decay.setter
    def adaptive_p_decay(self, decay: ArrayLike) -> None:
        self._adaptive_p_decay = numbers_up_to(_MOST_DECAY, "adaptive_p_decay", decay)
        self.set_adaptive(self._adaptive_p, self._adaptive_p_decay)

    @property
    def adaptive_p_mean(self) -> float | NDArray[np.float64] | None:
        return self._mean

    @adaptive_p_mean.setter
    def adaptive_p_mean(self, mean: ArrayLike) -> None:
        if self._adaptive_p is None:
            raise AttributeError("adaptive_p_mean cannot be set while adaptive_p is off: set adaptive_p first")
        self._mean = numbers_up_to(1.0, "adaptive_p_mean", mean)

    def _surprise_filters(self, filters: Filters | None, tau: Any, mu: Any, rows: Rows) -> Filters:
        """The filters, with mirostat's among them."""
        for name, value in (("mirostat_tau", tau), ("mirostat_eta", self._mirostat_eta), ("mirostat_mu", mu)):
            _check_shape(name, value, rows)
        return with_surprise(filters, mu, rows)

    def _learn_surprise(self, tau: Any, mu: Any, logprob: Any) -> None:
        error = -np.asarray(logprob) / math.log(2.0) - tau
        mu = mu - self._mirostat_eta * np.where(np.isnan(error), 0.0, error)  # a row without a draw keeps its mu
        self._mu = mu if np.ndim(mu) else float(mu)

    def _aims(self, target: Any, mean: Any, rows: Rows) -> Array:
        """The probability that each row aims at: as far on the other side of the target as the mean has been off."""
        for name, value in (("", target), ("_decay", self._adaptive_p_decay), ("_mean", mean)):
            _check_shape(f"adaptive_p{name}", value, rows)
        aims = np.clip(2.0 * np.asarray(target) - mean, 0.0, 1.0)
        return np.ascontiguousarray(np.broadcast_to(aims, rows.shape))

    def _learn_mean(self, mean: Any, drawn: Array) -> None:
        drawn = np.where(np.isnan(drawn), mean, drawn)  # a row without a draw keeps its mean
        mean = self._adaptive_p_decay * np.asarray(mean) + (1.0 - np.asarray(self._adaptive_p_decay)) * drawn
        self._mean = mean if np.ndim(mean) else float(mean)


def _check_shape(name: str, value: Any, rows: Rows) -> None:
    if np.shape(value) not in ((), rows.shape):
        raise ValueError(
            f"{name} must be one number, or have the shape of the rows, {rows.shape}, not {np.shape(value)}"
        )

"""Temperature schedules: annealing from exploration to exploitation.

A schedule is a function of the step, for `Sampler` or to be called directly. With ``t = step / steps`` clipped to
[0, 1], it goes from `start` at ``t = 0`` to `end` at ``t = 1`` and stays there, never below `floor`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._types import ArrayLike

__all__ = ["constant", "cosine", "exponential", "linear"]

Steps = Sequence[float] | NDArray[Any]


class Schedule(Protocol):
    """The type of what a Sampler takes as a schedule: any function from the step to the temperature, or one a row."""

    def __call__(self, step: int, /) -> ArrayLike: ...


class ScheduleOfSteps(Protocol):
    """The same of a Sampler with `steps`: a function from the steps of all rows."""

    def __call__(self, step: NDArray[np.int64], /) -> ArrayLike: ...


class _Schedule(ABC):
    """A function from the step to the temperature: a float for a number, an array for an array."""

    @overload
    def __call__(self, step: float) -> float: ...
    @overload
    def __call__(self, step: Steps) -> NDArray[np.float64]: ...
    def __call__(self, step: float | Steps) -> float | NDArray[np.float64]:
        if type(step) is float or type(step) is int:
            return self._at_one(float(step))
        steps = np.asarray(step, dtype=np.float64)
        if np.isnan(steps).any():
            raise ValueError("step must not be NaN")
        # At least 1-d: a number then gets the same bits as in an array.
        temperatures = self._at(np.atleast_1d(steps)).reshape(steps.shape)
        return temperatures if steps.ndim else float(temperatures)

    def _at_one(self, step: float) -> float:
        """The temperature at a number, in a loop: with the bits of an array, without the work for one."""
        if step != step:
            raise ValueError("step must not be NaN")
        return float(self._at(np.array([step]))[0])

    @abstractmethod
    def _at(self, step: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class constant(_Schedule):
    """The same temperature at every step.

    Parameters
    ----------
    value : float in [0, inf]

    Raises
    ------
    ValueError
        If `value` is negative or NaN.

    Examples
    --------
    >>> temperature = constant(0.7)
    >>> temperature(0), temperature(1000)
    (0.7, 0.7)
    """

    value: float

    def __post_init__(self) -> None:
        if not self.value >= 0:
            raise ValueError(f"value must be 0 or above, not {self.value}")

    def _at(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(step.shape, float(self.value))


@dataclass(frozen=True)
class _Annealing(_Schedule):
    """What the schedules between two temperatures have in common."""

    start: float
    end: float
    steps: float
    _: KW_ONLY
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("start", "end", "floor"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and 0 or above, not {value}")
        if not 0 < self.steps < math.inf:
            raise ValueError(f"steps must be finite and above 0, not {self.steps}")

    def _at(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        between = self._between(np.clip(step / self.steps, 0.0, 1.0))
        # The ends are set exactly: the formula would round.
        between = np.where(step <= 0, self.start, np.where(step >= self.steps, self.end, between))
        return np.maximum(between, self.floor)

    def _at_one(self, step: float) -> float:
        if 0.0 < step < self.steps:
            between = float(self._between(np.array([step / float(self.steps)]))[0])
        elif step <= 0.0:
            between = float(self.start)
        elif step >= self.steps:
            between = float(self.end)
        else:
            raise ValueError("step must not be NaN")
        return between if between >= self.floor else float(self.floor)

    @abstractmethod
    def _between(self, t: NDArray[np.float64]) -> NDArray[np.float64]: ...


class linear(_Annealing):
    """Temperature ``start + (end - start) t``, where ``t = step / steps``.

    Parameters
    ----------
    start, end : float in [0, inf)
        Temperatures at step 0 and before, and at step `steps` and after.
    steps : number above 0
    floor : float in [0, inf), optional
        The lowest temperature.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> temperature = linear(1.5, 0.5, steps=4)
    >>> temperature(1)
    1.25
    >>> temperature([-1, 0, 2, 4, 100])
    array([1.5, 1.5, 1. , 0.5, 0.5])
    """

    def _between(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.start + (self.end - self.start) * t


class exponential(_Annealing):
    """Temperature ``start (end / start)^t``, where ``t = step / steps``: a constant ratio from step to step.

    Parameters
    ----------
    start, end : float in (0, inf)
        Temperatures at step 0 and before, and at step `steps` and after.
    steps : number above 0
    floor : float in [0, inf), optional
        The lowest temperature.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> temperature = exponential(8.0, 0.5, steps=4, floor=1.0)
    >>> temperature([0, 1, 2, 3, 4])
    array([8., 4., 2., 1., 1.])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start", "end"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0: there is no ratio to or from 0")

    def _between(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.start ** (1.0 - t) * self.end**t


class cosine(_Annealing):
    """Temperature ``end + (start - end) (1 + cos(pi t)) / 2``, where ``t = step / steps``.

    Level at both ends, steepest in the middle (Loshchilov & Hutter 2017, one period without restarts).

    Parameters
    ----------
    start, end : float in [0, inf)
        Temperatures at step 0 and before, and at step `steps` and after.
    steps : number above 0
    floor : float in [0, inf), optional
        The lowest temperature.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983.

    Examples
    --------
    >>> temperature = cosine(1.0, 0.0, steps=6)
    >>> temperature([0, 2, 3, 4, 6]).round(12)
    array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    """

    def _between(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.end + (self.start - self.end) * (1.0 + np.cos(np.pi * t)) / 2.0

"""sample, sample_probs and Sampler: one way of drawing, by index."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._arrays import (
    Array,
    Axis,
    Rows,
    any_array,
    as_float64,
    bias_rows,
    dtype_code,
    float_array,
    mask_entries,
    mask_rows,
    size_shape,
    temperature_rows,
    uniform_rows,
)
from ._random import as_generator, uniforms


def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
    mask: Any = None,
    bias: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from softmax(logits/T), for every row.

    Parameters
    ----------
    logits : array_like
        Any real numbers; -inf is never drawn.  dtypes and layouts as in :func:`softmax`.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.  0 takes the lowest index of the maximum, inf draws
        uniformly among the entries above -inf.
    axis : int, tuple of int or None, default -1
        The axis to draw along; the index of several axes is that of the flattened ones, in C order.
    size : int or tuple of int, optional
        Draw so many from each row: the result's shape ends in `size`.
    u : array_like, optional
        The uniforms, in [0, 1), broadcast to the shape of the result: the draw is a function of them.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where the uniforms come from if `u` is not given: one double for each draw, in row-major order.  None is
        a generator of the process, seeded from fresh entropy.
    mask : array_like, optional
        bool, broadcast to the shape of `logits`: True is allowed.  Or int32 words of 32 entries, the first
        entry in the lowest bit, with the rows' shape and ceil(n / 32) words last.
    bias : array_like or {index: value}, optional
        Added to the logits, before the temperature.
    return_logprob : bool, default False
        Return the logarithm of the probability of what was drawn as well.
    on_invalid : {"raise", "flag"}, default "raise"
        What to do about a row that cannot be drawn from (NaN, or no entry above -inf): raise ValueError, or
        give -1 (and NaN) for it and draw the others.

    Returns
    -------
    int or ndarray of int64
        The indices, in the shape of the rows and `size`; a Python int for one draw from one row.
    float or ndarray of float64
        Only with `return_logprob`: log p, in nats, of each.

    Raises
    ------
    ValueError
        For a row that cannot be drawn from, by its number; a negative or NaN temperature; `u` outside [0, 1);
        `u` together with `rng`; shapes that do not fit.
    TypeError
        For data of other dtypes, or a RandomState.

    Notes
    -----
    The draw is the smallest index whose cumulative weight exceeds u times the total (inverse transform sampling
    [1]_), in integers: an entry of probability 0 is never returned, the index is always in range, and an event
    of probability down to 2**-50 keeps it.

    ``sample(x, rng=g)`` equals ``sample(x, u=g.random(shape_of_the_result))``.

    References
    ----------
    .. [1] L. Devroye, "Non-Uniform Random Variate Generation", Springer, 1986, section III.2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> logits = np.array([[1.0, 2.0, 3.0], [0.0, -np.inf, 0.0]])
    >>> fastsoftmax.sample(logits, 0.5, u=[0.01, 0.75])
    array([0, 2])
    >>> fastsoftmax.sample(logits[0], 0)
    2
    >>> counts = np.bincount(fastsoftmax.sample(logits[0], 2.0, size=10_000, rng=7))
    """
    if u is not None and rng is not None:
        raise ValueError("u and rng are both given; pass the uniforms or where they come from")
    if mask is None and bias is None and size is None and not return_logprob:
        index = _draw_plain(logits, False, temperature, axis, u, rng, on_invalid)
        if index is not None:
            return index
    return _draw(logits, False, temperature, axis, size, u, rng, mask, bias, return_logprob, on_invalid)


def sample_probs(
    probs: Any,
    temperature: Any = 1.0,
    *,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    rng: Any = None,
    mask: Any = None,
    bias: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """Draw an index from probabilities (or any weights) raised to 1/T, for every row.

    Parameters
    ----------
    probs : array_like
        Weights, 0 <= p < inf; they need not sum to 1.  0 is never drawn, and warns of nothing.
    temperature, axis, size, u, rng, mask, bias, return_logprob, on_invalid
        As in :func:`sample`; `bias` is added to log(probs).

    Returns
    -------
    int or ndarray of int64
        The indices, as in :func:`sample`.
    float or ndarray of float64
        Only with `return_logprob`.

    Raises
    ------
    ValueError
        As in :func:`sample`; a row with a negative, NaN or infinite weight, or of zeros only, cannot be drawn
        from.
    TypeError
        As in :func:`sample`.

    Notes
    -----
    .. math:: P(i) = p_i^{1/T} / \\sum_j p_j^{1/T}

    This is ``sample(log(probs), T)``; at T = 1 the weights themselves are summed, as integers, so that the
    boundaries between integer weights are exact.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.sample_probs([1, 0, 1, 2], u=[0.0, 0.25, 0.5, 0.999], size=4)
    array([0, 2, 3, 3])
    """
    if u is not None and rng is not None:
        raise ValueError("u and rng are both given; pass the uniforms or where they come from")
    if mask is None and bias is None and size is None and not return_logprob:
        index = _draw_plain(probs, True, temperature, axis, u, rng, on_invalid)
        if index is not None:
            return index
    return _draw(probs, True, temperature, axis, size, u, rng, mask, bias, return_logprob, on_invalid)


def _check_on_invalid(on_invalid: Any) -> None:
    if on_invalid not in ("raise", "flag"):
        raise ValueError(f'on_invalid must be "raise" or "flag", got {on_invalid!r}')


def _draw_plain(values: Any, probs: bool, temperature: Any, axis: Axis, u: Any, rng: Any, on_invalid: str) -> Any:
    """What a loop calls: a plain array and one temperature.  None, and no uniform taken, for anything else."""
    if not _core.accepts_plain(values, temperature, axis):
        return None
    _check_on_invalid(on_invalid)
    shape = values.shape[:-1]
    given = uniforms(rng, shape) if u is None else uniform_rows(u, shape)
    index, bad = _core.sample_plain(values, probs, temperature, given if shape else float(given))
    if bad >= 0 and on_invalid == "raise":
        name = "probs" if probs else "logits"
        _refuse(values, name, Rows(values.shape, axis, name), bad, None)
    return index


def _draw(
    values: Any,
    probs: bool,
    temperature: Any,
    axis: Axis,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    return_logprob: bool,
    on_invalid: str,
) -> Any:
    name = "probs" if probs else "logits"
    a = float_array(values, name)
    rows = Rows(a.shape, axis, name)
    t = temperature_rows(temperature, rows)
    trailing = size_shape(size)
    shape = rows.shape + trailing
    _check_on_invalid(on_invalid)
    allowed, words = mask_rows(mask, rows) if mask is not None else (None, False)
    added, added_at = bias_rows(bias, rows) if bias is not None else (None, None)
    given = np.asarray(uniforms(rng, shape)) if u is None else uniform_rows(u, shape)

    index: NDArray[np.int64] = np.empty(shape, np.int64)
    logprob = np.empty(shape, np.float64) if return_logprob else None
    if math.prod(rows.shape):
        bad = _core.sample_rows(
            rows.split(a), dtype_code(a.dtype), probs, t, given, math.prod(trailing),
            allowed, words, added, added_at, index, logprob, on_invalid == "raise",
        )  # fmt: skip
        if bad is not None and on_invalid == "raise":
            _refuse(a, name, rows, bad[0], bad[1], mask_entries(allowed, words, rows, bad[0]))
    if shape:
        return index if logprob is None else (index, logprob)
    return int(index) if logprob is None else (int(index), float(logprob))


def _refuse(a: Array, name: str, rows: Rows, flat: int, why: str | None, allowed: Array | None = None) -> None:
    """Raise the ValueError of a row that cannot be drawn from; `allowed`: the mask of that row."""
    row = as_float64(rows.split(a).reshape(-1, rows.entries)[flat])
    if name == "probs":
        bad = ~((row >= 0) & (row < np.inf))
        nothing = "has no entry above 0 that is allowed"
    else:
        bad = np.isnan(row)
        nothing = "has no entry above -inf that is allowed"
    if allowed is not None:
        bad &= allowed
    if bad.any():
        entry = int(np.argmax(bad))
        what = f"has {row[entry]} at entry {entry}"
    elif why == "nan":
        what = "becomes NaN where the bias is added"
    else:
        what = nothing
    raise ValueError(f'{name}: {rows.name_row(flat)} {what}; mend it, or pass on_invalid="flag" to get -1 for it')


class Sampler(_core.Drawer):
    """Draws from softmax(logits/T) in a loop, with the parameters checked once.

    Parameters
    ----------
    temperature : float, array_like or callable, default 1.0
        T, as in :func:`sample`; or a schedule, called with `step` before each draw.
    axis, rng, mask, bias, return_logprob, on_invalid
        As in :func:`sample`.

    Attributes
    ----------
    temperature : float, array_like or callable
        May be set between draws.
    step : int
        The number of calls made so far; may be set, for a schedule to go on from there.

    Raises
    ------
    ValueError, TypeError
        As in :func:`sample`, for the parameters at once.

    Notes
    -----
    ``sampler(logits)`` is ``sample(logits, temperature, rng=rng, ...)`` with one generator for all calls.  A
    Sampler may be pickled and copied, with the state of its generator; one made without `rng` uses the generator
    of the process.

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
        mask: Any = None,
        bias: Any = None,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        _check_on_invalid(on_invalid)
        self._rng = rng if rng is None else as_generator(rng)
        self._axis = axis
        self._mask = mask
        self._bias = bias
        self._return_logprob = return_logprob
        self._on_invalid = on_invalid
        plain_rng = self._rng is None or type(self._rng) is np.random.Generator
        self._scalar_loop = plain_rng and axis == -1 and mask is None and bias is None and not return_logprob
        self.temperature = temperature
        self._bind()

    def _bind(self) -> None:
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
        arguments = (
            self._temperature, self._axis, self._rng, self._mask, self._bias, self._return_logprob, self._on_invalid,
        )  # fmt: skip
        return _restored, (type(self), arguments, self.step), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(temperature={self._temperature!r}, rng={self._rng!r}, step={self.step})"

    def _draw_general(self, values: Any, u: Any, probs: bool) -> Any:
        """What the compiled loop does not take: schedules, several rows, other arrays, rows that must be refused."""
        temperature = self._temperature(self.step) if callable(self._temperature) else self._temperature
        rng = self._rng if u is None else None
        drawn = _draw(
            values, probs, temperature, self._axis, None, u, rng,
            self._mask, self._bias, self._return_logprob, self._on_invalid,
        )  # fmt: skip
        self.step += 1
        if u is None and self._rng is None:
            self._bind()  # a forked child has a new generator
        return drawn


def _restored(cls: type[Sampler], arguments: tuple[Any, ...], step: int) -> Sampler:
    temperature, axis, rng, mask, bias, return_logprob, on_invalid = arguments
    sampler = cls.__new__(cls)
    Sampler.__init__(
        sampler, temperature, axis=axis, rng=rng, mask=mask, bias=bias, return_logprob=return_logprob,
        on_invalid=on_invalid,
    )  # fmt: skip
    sampler.step = step
    return sampler


def _check_temperature(temperature: Any) -> None:
    """Refuse at once what no call could use; the shape is known only with the logits."""
    t = any_array(temperature, "temperature")
    temperature_rows(temperature, Rows((*t.shape, 1), -1, "logits"))

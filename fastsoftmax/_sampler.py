"""Sampler: `sample` in a loop, with the parameters checked once."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from . import _core, schedules
from ._args.arrays import Axis, Rows, any_array, check_axis
from ._args.biases import are_biases_of_rows, bias_rows
from ._args.filters import UnequalShapes, as_filters, no_filters
from ._args.held import (
    both_biases,
    both_masks,
    checked_temperature,
    copied_bias,
    own_bias,
    own_biases,
    own_mask,
)
from ._args.keyed import checked_word
from ._args.random import as_generator
from ._draws import check_on_invalid, draw_from, draw_rows
from ._sampler_calls import HasLogprob
from ._sampler_feedback import Feedback
from ._sampler_parameters import fixed, held_filter, of_filter, why_not_set

if TYPE_CHECKING:
    from ._sampler_parameters import Fixed, Settable
    from ._types import ArrayLike, Bias, BoolArrayLike, Int, IntArrayLike, Mask, Method, OnInvalid, SamplerOptions, Step
    from .schedules import Schedule, ScheduleOfSteps

# Their temperatures for many steps come in one call, as an array, with the bits that numbers have.
_OF_SCHEDULES = (schedules.constant, schedules.linear, schedules.exponential, schedules.cosine)


class Sampler(Feedback[HasLogprob]):
    """Draws from softmax(logits/T) in a loop, with the parameters checked once.

    Parameters
    ----------
    temperature : float, array_like or callable, default 1.0
        T, as in :func:`sample`; or a schedule, called with `step` before each draw.
    axis, rng, method, return_logprob, on_invalid
        As in :func:`sample`.
    mask, bias : array_like, optional
        As in :func:`sample`, for every draw.  A call may have a mask and a bias besides: an entry may be drawn if both
        masks allow it, and both biases are added.  Each has a value for every entry: nothing is broadcast along these.
    seed : int or array_like of int, optional
        Instead of `rng`, 0 <= seed < 2**64: the uniforms are :func:`keyed_uniforms` of this seed, the keys of the rows
        and `step`.  One for all rows, or one for each.
    keys : int or array_like of int, optional
        With a seed: the key of each row, unless the call gives others.  Without keys they are the numbers of the rows,
        or 0 where each row has its own seed.
    steps : array_like of int, optional
        With a seed: the step of each row, 0 <= step < 2**62, instead of `step`.  Each draw adds 1 to them.
    method : {"inversion", "rejection"}, default "inversion"
        With a seed: how an index is drawn; see :func:`sample`.
    top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold, \
xtc_probability, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep, \
temperature_last, order, keep
        The filters of :func:`sample`.
    mirostat_tau : float or array_like, optional
        Mirostat v2 [1]_: keep the surprise of the drawn index, -log2 p, near this many bits.
    mirostat_eta : float or array_like, default 0.1
        How fast it is corrected, >= 0.
    adaptive_p : float or array_like, optional
        Prefer entries near a probability, so that the mean probability of what is drawn comes near this number, in
        [0, 1]; the last step, after all filters.  Not together with mirostat.
    adaptive_p_decay : float or array_like, default 0.9
        What the mean keeps of itself at each draw, in [0, 0.99].

    Attributes
    ----------
    temperature, mask, bias, mirostat_tau, mirostat_eta, adaptive_p, adaptive_p_decay, and the filters by their names
        What was given, arrays as read-only copies.  Each may be set: it is checked then, and the next draw uses it.
    step : int
        The number of draws made so far: calls, with one row or many.  May be set; a schedule and the uniforms of a
        seed go on from there.
    keys, steps : int or ndarray of int64 or uint64, or None
        The keys, and the steps of the rows at the next draw, as read-only copies.  With a seed both may be set, and
        the seed too: a batch that requests join and leave gets new ones between two draws.
    mirostat_mu : float or ndarray of float64, or None without mirostat
        The largest surprise allowed at the next draw, in bits (for each row); 2 tau at first; may be set.
    adaptive_p_mean : float or ndarray of float64, or None without adaptive_p
        The mean m of the probabilities drawn (in each row); the target at first; may be set.
    seed : int or ndarray, or None
        What was given; may be set where the Sampler was made with one.
    axis, rng, return_logprob, on_invalid
        What was given; fixed.

    Raises
    ------
    ValueError, TypeError
        As in :func:`sample`; for the parameters already when the Sampler is made, or when they are set.
    AttributeError
        For another attribute that is set.

    Notes
    -----
    ``sampler(logits)`` is ``sample(logits, temperature, rng=rng, ...)`` with one generator for all calls.  A
    Sampler may be pickled and copied, with a copy of its generator in the same state: it draws what the original would
    have drawn, and neither affects the other.  One made without `rng` uses the generator of the process, and so do its
    copies.

    Each draw takes the next step, and a schedule is called once for it.  Threads may share a Sampler: no step is taken
    twice.  A draw that raises gives its step back, unless another thread has taken one since.

    A subclass may have attributes of its own: those named in its class, as an attribute, a property or in `__slots__`.

    With a seed, the step is the only state: ``sampler(logits, keys=ids)`` at step s draws row i with
    ``keyed_uniforms(seed, ids[i], s)``, whatever else is in the batch.  With `steps`, s is ``steps[i]``, and a schedule
    is called with all of them, as an array; it may return a temperature for each row.

    With mirostat, which comes after the other filters, entries with -log2 p > mu are dropped (one stays), and after
    the draw mu becomes mu - eta (-log2 p_x - tau), where p_x is the probability of the drawn index.

    With adaptive_p, p being the distribution that the filters leave, the draw is from weights exp(-10 d**2 / (1 + d))
    with d = abs(p_i - a) / 0.3, where a = 2 adaptive_p - m lies as far on the other side of the target (in [0, 1]).
    Then m becomes decay m + (1 - decay) p_x.  This is llama.cpp's sampler of this name.

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

    Requests 7 and 9, of which one has drawn 3 tokens already:

    >>> sampler = fastsoftmax.Sampler(0.8, seed=1, keys=[7, 9], steps=[3, 0])
    >>> sampler(np.stack([logits, logits]))
    array([3, 3])
    >>> sampler.steps
    array([4, 1])
    """

    __slots__ = ("__weakref__",)

    # fmt: off
    @overload
    def __init__(
        self: Sampler[Literal[False]], temperature: ArrayLike | Schedule | ScheduleOfSteps = 1.0, *, axis: int = -1,
        return_logprob: Literal[False] = False, **options: Unpack[SamplerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Sampler[Literal[True]], temperature: ArrayLike | Schedule | ScheduleOfSteps = 1.0, *, axis: int = -1,
        return_logprob: Literal[True], **options: Unpack[SamplerOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Sampler[bool], temperature: ArrayLike | Schedule | ScheduleOfSteps = 1.0, *, axis: Axis = -1,
        return_logprob: bool = False, **options: Unpack[SamplerOptions]
    ) -> None: ...
    # fmt: on
    def __init__(
        self,
        temperature: float | Any | Callable[[int], Any] = 1.0,
        *,
        axis: Axis = -1,
        rng: Any = None,
        seed: Any = None,
        keys: Any = None,
        steps: Any = None,
        method: str = "inversion",
        mask: Any = None,
        bias: Any = None,
        top_k: Any = None,
        top_p: Any = None,
        min_p: Any = None,
        top_a: Any = None,
        p_less: Any = False,
        typical_p: Any = None,
        top_h: Any = None,
        top_n_sigma: Any = None,
        epsilon_cutoff: Any = None,
        eta_cutoff: Any = None,
        xtc_threshold: Any = None,
        xtc_probability: Any = None,
        dynatemp_range: Any = None,
        dynatemp_exponent: Any = 1.0,
        smoothing_factor: Any = None,
        smoothing_curve: Any = 1.0,
        min_tokens_to_keep: Any = 1,
        temperature_last: Any = False,
        order: Any = None,
        keep: Any = None,
        mirostat_tau: Any = None,
        mirostat_eta: Any = 0.1,
        adaptive_p: Any = None,
        adaptive_p_decay: Any = 0.9,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        check_on_invalid(on_invalid)
        check_axis(axis)
        if rng is not None and seed is not None:
            raise ValueError("rng and seed are both given; pass one of them")
        self._rng = rng if rng is None else as_generator(rng)
        self._axis = axis
        self._return_logprob = _core.as_flag(return_logprob, "return_logprob")
        self._on_invalid = on_invalid
        plain_rng = self._rng is None or type(self._rng) is np.random.Generator
        # The axes that mean the only one of a row.
        self.set_ways(plain_rng and axis in (-1, 0, None), self._return_logprob)
        self._use_filters(
            {
                "top_k": top_k, "top_p": top_p, "min_p": min_p, "top_a": top_a, "p_less": p_less,
                "typical_p": typical_p, "top_h": top_h, "top_n_sigma": top_n_sigma,
                "epsilon_cutoff": epsilon_cutoff, "eta_cutoff": eta_cutoff, "xtc_threshold": xtc_threshold,
                "xtc_probability": xtc_probability, "dynatemp_range": dynatemp_range,
                "dynatemp_exponent": dynatemp_exponent, "smoothing_factor": smoothing_factor,
                "smoothing_curve": smoothing_curve, "min_tokens_to_keep": min_tokens_to_keep,
                "temperature_last": temperature_last, "order": order, "keep": keep,
            }
        )  # fmt: skip
        self.mask = mask
        self.bias = bias
        self._take_feedback(mirostat_tau, mirostat_eta, adaptive_p, adaptive_p_decay)
        self.temperature = temperature
        self._take_seed(seed, keys, steps, method)
        self.step = 0

    def _use_filters(self, parameters: Mapping[str, Any], one_by_one: bool = False) -> None:
        given = {name: held_filter(name, value) for name, value in (_core.given_filters(**parameters) or {}).items()}
        try:
            filters = as_filters(given)
        except UnequalShapes as error:
            if not one_by_one:
                raise
            self._given, self._filters = given, error
            self.set_filters(no_filters(Rows((1, 1), -1, "logits")), False, None)  # of rows: the general path
            return
        self._given, self._filters = given, filters
        self.set_filters(
            None if filters is None else filters.record,
            filters is not None and filters.needs_coin,
            None if filters is None else filters.keep,
        )

    axis: Fixed[Axis] = fixed("axis")
    rng: Fixed[np.random.Generator | None] = fixed("rng")
    return_logprob: Fixed[bool] = fixed("return_logprob")
    method: Fixed[Method] = fixed("method")
    on_invalid: Fixed[OnInvalid] = fixed("on_invalid")
    top_k: Settable[IntArrayLike | None] = of_filter("top_k")
    top_p: Settable[ArrayLike | None] = of_filter("top_p")
    min_p: Settable[ArrayLike | None] = of_filter("min_p")
    top_a: Settable[ArrayLike | None] = of_filter("top_a")
    p_less: Settable[BoolArrayLike | None] = of_filter("p_less", False)
    typical_p: Settable[ArrayLike | None] = of_filter("typical_p")
    top_h: Settable[ArrayLike | None] = of_filter("top_h")
    top_n_sigma: Settable[ArrayLike | None] = of_filter("top_n_sigma")
    epsilon_cutoff: Settable[ArrayLike | None] = of_filter("epsilon_cutoff")
    eta_cutoff: Settable[ArrayLike | None] = of_filter("eta_cutoff")
    xtc_threshold: Settable[ArrayLike | None] = of_filter("xtc_threshold")
    xtc_probability: Settable[ArrayLike | None] = of_filter("xtc_probability")
    dynatemp_range: Settable[ArrayLike | None] = of_filter("dynatemp_range")
    dynatemp_exponent: Settable[ArrayLike | None] = of_filter("dynatemp_exponent", 1.0)
    smoothing_factor: Settable[ArrayLike | None] = of_filter("smoothing_factor")
    smoothing_curve: Settable[ArrayLike | None] = of_filter("smoothing_curve", 1.0)
    min_tokens_to_keep: Settable[IntArrayLike | None] = of_filter("min_tokens_to_keep", 1)
    temperature_last: Settable[BoolArrayLike | None] = of_filter("temperature_last", False)
    order: Settable[tuple[Step, ...] | list[Step] | None] = of_filter("order")
    keep: Settable[IntArrayLike | None] = of_filter("keep")

    @property
    def temperature(self) -> Any:
        return self._temperature

    @temperature.setter
    def temperature(self, temperature: ArrayLike | Schedule | ScheduleOfSteps) -> None:
        if not callable(temperature) and not (type(temperature) is float and 0.0 < temperature < math.inf):
            temperature = checked_temperature(temperature)
        self.set_temperature(temperature, type(temperature) in _OF_SCHEDULES)

    @property
    def step(self) -> int:
        return self._step

    @step.setter
    def step(self, step: Int) -> None:
        if self._seed is not None:
            checked_word("step", step)
        elif isinstance(step, bool | np.bool_) or not isinstance(step, int | np.integer):
            raise TypeError(f"step must be an int, got {step!r}")
        self._step = step

    @property
    def mask(self) -> NDArray[Any] | None:
        return self._mask

    @mask.setter
    def mask(self, mask: Mask | None) -> None:
        own = None if mask is None else own_mask(mask)
        self._mask = own
        self.set_mask(own)

    @property
    def bias(self) -> Any:
        return copied_bias(self._bias)

    @bias.setter
    def bias(self, bias: Bias | None) -> None:
        by_index = isinstance(bias, Mapping)
        if by_index or are_biases_of_rows(bias):
            own = own_biases(bias)
            self._bias = own
            # Those of rows: anything of more than one axis is left to the general path.
            self.set_bias(*(bias_rows(own, Rows((2**62,), -1, "logits")) if by_index else (np.zeros((1, 1)), None)))
        else:
            own = None if bias is None else own_bias(bias)
            self._bias = own
            self.set_bias(own, None)

    def _why_not_set(self, name: str) -> str:
        """The error of an attribute that does not exist."""
        return why_not_set(self, name, type(self) is not Sampler)

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self._rng)
        if issubclass(kind, np.random.Generator) and kind is not np.random.Generator and not _reduces_itself(kind):
            raise TypeError(
                f"a Sampler on a {kind.__name__} cannot be copied or pickled: NumPy would make a plain Generator "
                f"of it; give {kind.__name__} a __reduce__ of its own"
            )
        arguments = {
            "temperature": self._temperature, "axis": self._axis, "rng": self._rng, "seed": self._seed,
            "keys": self._keys, "steps": self._steps, "method": self.method, "mask": self._mask, "bias": self._bias,
            **self._given,
            "mirostat_tau": self._mirostat_tau, "mirostat_eta": self._mirostat_eta,
            "adaptive_p": self._adaptive_p, "adaptive_p_decay": self._adaptive_p_decay,
            "return_logprob": self._return_logprob, "on_invalid": self._on_invalid,
        }  # fmt: skip
        # What a subclass adds; the fields of Sampler are not in it.
        return _restored, (type(self), arguments, self.step, self._mu, self._mean), self.__getstate__()

    def __copy__(self) -> Sampler:
        make, (cls, arguments, *state_of_draws), state = self.__reduce__()
        generator = arguments["rng"]
        if generator is not None:
            with generator.bit_generator.lock:  # another thread may be drawing
                arguments["rng"] = copy.deepcopy(generator)
        other: Sampler = make(cls, arguments, *state_of_draws)
        if state is not None:
            other.__setstate__(state)
        return other

    def __setstate__(self, state: Any) -> None:
        of_dict, of_slots = state if isinstance(state, tuple) else (state, None)
        if of_dict:
            self.__dict__.update(of_dict)
        for name, value in (of_slots or {}).items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self._given.items()]
        stream = [f"rng={self._rng!r}"] if self._seed is None else [f"seed={self._seed!r}"]
        stream += ["method='rejection'"] if self.method == "rejection" else []
        stream += [f"{name}={value!r}" for name in ("keys", "steps") if (value := getattr(self, name)) is not None]
        shown = [f"temperature={self._temperature!r}", *given, *stream, f"step={self.step}"]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _draw_general(
        self,
        values: Any,
        u: Any,
        probs: bool,
        xtc_u: Any,
        keys: Any,
        mask: Any,
        bias: Any,
        step: int,
        row_steps: Any,
        temperature: Any,
    ) -> Any:
        """Any draw: several rows, other arrays, or a row that cannot be drawn from; at this step and temperature."""
        rng = self._rng if u is None else None
        filters, tau, mu = self._filters, self._mirostat_tau, self._mu
        if isinstance(filters, UnequalShapes):
            raise UnequalShapes(*filters.args)
        target, mean = self._adaptive_p, self._mean
        if keys is not None and (self._seed is None or u is not None):
            raise ValueError("keys need a Sampler with a seed, and cannot be combined with u")
        seeded = None
        if self._seed is not None and u is None:
            seeded = self._seeded(keys, step if row_steps is None else row_steps)
        given = (tau, target, mask, bias, self._mask, self._bias)
        if any(value is not None for value in given):
            values = any_array(values, "probs" if probs else "logits")
            rows = Rows(values.shape, self._axis, "probs" if probs else "logits", may_be_empty=True)
            mask = both_masks(self._mask, mask, rows)
            bias = both_biases(self._bias, bias, rows)
        if tau is not None:
            filters = self._surprise_filters(filters, tau, mu, rows)
        aimed = None
        if target is not None:
            aims = self._aims(target, mean, rows)
            aimed = aims, np.full(rows.shape, np.nan)
        logprob_too = self._return_logprob or tau is not None
        draw = (
            values, probs, temperature, self._axis, None, u, rng, mask, bias, filters, xtc_u, logprob_too,
            self._on_invalid,
        )  # fmt: skip
        if aimed is None:
            drawn = draw_from(*draw, seeded=seeded)
        else:
            drawn = draw_rows(*draw, aimed=aimed, seeded=seeded)
        if aimed is not None:
            self._learn_mean(mean, aimed[1])
        if tau is not None:
            self._learn_surprise(tau, mu, drawn[1])
            drawn = drawn if self._return_logprob else drawn[0]
        return drawn


def _reduces_itself(kind: type) -> bool:
    """Whether a subclass of Generator says how it is copied: what it inherits forgets the subclass."""
    names = ("__reduce__", "__reduce_ex__")
    return any(getattr(kind, name) is not getattr(np.random.Generator, name) for name in names)


def _restored(cls: type[Sampler], arguments: dict[str, Any], step: int, mu: Any, mean: Any = None) -> Sampler:
    sampler = cls.__new__(cls)
    Sampler.__init__(sampler, **arguments)
    sampler.step = step
    sampler._mu, sampler._mean = mu, mean
    return sampler

"""Sampling for llama-cpp-python: ``attach(llm)``, and the program that uses the `Llama` object stays as it is.

Tokens are then drawn by :class:`fastsoftmax.Sampler` from the logits where llama.cpp has them, without its list of
candidates.  docs/llama_cpp.md says what is taken over and what differs.

Examples
--------
>>> from llama_cpp import Llama
>>> from fastsoftmax.integrations.llama_cpp import attach
>>> llm = attach(Llama("model.gguf", verbose=False))
>>> answer = llm("Once upon a time", max_tokens=20, temperature=0.8, top_p=0.95, seed=7)
>>> answer["usage"]["prompt_tokens"] > 0
True
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

try:
    import llama_cpp
except ImportError as error:
    raise ImportError(
        "fastsoftmax.integrations.llama_cpp needs llama-cpp-python: pip install llama-cpp-python"
    ) from error

from .._penalties import penalize_row, penalties_of_row
from .._sampler import Sampler
from ._llama_cpp_rows import LogitBias, LogitsOfContext, processed, raise_invalid

if TYPE_CHECKING:
    from .._types import Method

__all__ = ["attach", "detach"]

# Of `Llama.sample`: what a Sampler is made of.
_PARAMETERS = ("top_k", "top_p", "min_p", "typical_p", "temp", "mirostat_mode", "mirostat_eta", "mirostat_tau")
# llama.cpp's order; the filters that it does not have come after those it has.
_ORDER: Final = (
    "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "top_a", "p_less", "top_h", "epsilon_cutoff", "eta_cutoff",
    "xtc", "temperature",
)  # fmt: skip
_OWN = ("top_k", "typical_p", "top_p", "min_p", "temperature", "temperature_last", "order")
_MORE = tuple(name for name in inspect.signature(Sampler).parameters if name in _ORDER and name not in _OWN) + (
    "xtc_threshold", "xtc_probability", "dynatemp_range", "dynatemp_exponent", "smoothing_factor", "smoothing_curve",
    "min_tokens_to_keep", "keep", "adaptive_p", "adaptive_p_decay",
)  # fmt: skip


def attach(llm: Any, *, seed: int | None = None, method: Method = "inversion", **filters: Any) -> Any:
    """Let a `Llama` object draw its tokens by this package, until :func:`detach`.

    Parameters
    ----------
    llm : llama_cpp.Llama
        Its `sample`, `generate`, `create_completion` and `reset` are replaced, of this object alone.
    seed : int, optional
        0 <= seed < 2**32 - 1, the same as ``llm.set_seed(seed)``.  By default the seed of the object stays; the one it
        has if it was given none means a new seed for each run.
    method : {"inversion", "rejection"}, default "inversion"
        How a token is drawn where no filter is on, as in :class:`fastsoftmax.Sampler`.
    **filters
        What `Llama.sample` has no argument for, for every draw with filters: `top_n_sigma`, `xtc_threshold`,
        `xtc_probability`, `dynatemp_range`, `dynatemp_exponent`, `smoothing_factor`, `smoothing_curve`, `adaptive_p`,
        `adaptive_p_decay`, `min_tokens_to_keep`, `keep`, `top_a`, `p_less`, `top_h`, `epsilon_cutoff` and `eta_cutoff`
        of :class:`fastsoftmax.Sampler`.

    Returns
    -------
    llama_cpp.Llama
        `llm` itself.

    Raises
    ------
    TypeError
        If `llm` is no `Llama`, for other filters, and for a seed that is no int.
    ValueError
        For a seed, a method or a filter out of range, and if `llm` has a `sample` (or another of the four) of its own.
        In `sample` and what calls it: for a row that cannot be drawn from, and for parameters out of range.

    Notes
    -----
    With a grammar, and with `mirostat_mode` 1, tokens are drawn by llama.cpp as before.

    A run begins with `generate`, which `create_completion` calls too, and with `reset`.  Penalties look at the last
    `llm.last_n_tokens_size` tokens drawn in the run, and token number s of it is drawn with the seed, the key 0 and the
    step s: by inversion with the uniform ``keyed_uniforms(seed, 0, s)``.  Attached again, the object takes the new
    arguments and begins a run.

    Examples
    --------
    >>> from llama_cpp import Llama
    >>> from fastsoftmax.integrations.llama_cpp import attach
    >>> llm = attach(Llama("model.gguf", verbose=False), seed=7, top_n_sigma=1.5)
    >>> llm.eval([1, 5, 6])
    >>> 0 <= llm.sample(temp=0.8, repeat_penalty=1.1) < llm.n_vocab()
    True
    """
    _check_llama(llm)
    unknown = set(filters).difference(_MORE)
    if unknown:
        raise TypeError(
            f"attach() got an unexpected keyword argument {min(unknown)!r}; it takes "
            f"seed, method and {', '.join(_MORE)}"
            if min(unknown) not in _OWN
            else f"attach() does not take {min(unknown)}: pass it to the call that draws, as ever"
        )
    Sampler(seed=0, method=method, order=_ORDER, **filters)  # checks them
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise TypeError(f"seed must be an int, got {seed!r}")
        if not 0 <= seed < llama_cpp.LLAMA_DEFAULT_SEED:
            raise ValueError(f"seed must be at least 0 and below {llama_cpp.LLAMA_DEFAULT_SEED}, got {seed}")
    own = [name for name in _Attached.REPLACED if name in vars(llm) and not _is_ours(vars(llm)[name])]
    if own:
        raise ValueError(f"llm has {own[0]} set on the object itself, which attach would replace: delete it first")
    if seed is not None:
        llm.set_seed(int(seed))
    vars(llm).update(_Attached(llm, method, filters).methods(llm))
    return llm


def detach(llm: Any) -> Any:
    """Undo :func:`attach`: llama.cpp draws again.

    Parameters
    ----------
    llm : llama_cpp.Llama
        Attached or not.

    Returns
    -------
    llama_cpp.Llama
        `llm` itself.

    Raises
    ------
    TypeError
        If `llm` is no `Llama`.

    Examples
    --------
    >>> from llama_cpp import Llama
    >>> from fastsoftmax.integrations.llama_cpp import attach, detach
    >>> llm = attach(Llama("model.gguf", verbose=False))
    >>> llm = detach(llm)
    """
    _check_llama(llm)
    for name in _Attached.REPLACED:
        if _is_ours(vars(llm).get(name)):
            del vars(llm)[name]
    return llm


def _check_llama(llm: Any) -> None:
    if not isinstance(llm, llama_cpp.Llama):
        raise TypeError(f"llm must be a llama_cpp.Llama, not {type(llm).__name__}")


def _is_ours(method: Any) -> bool:
    return isinstance(getattr(method, "attached", None), _Attached)


class _Attached:
    """What replaces methods of one object, which it does not keep alive."""

    REPLACED = ("sample", "generate", "create_completion", "reset")

    def __init__(self, llm: Any, method: Method, filters: Mapping[str, Any]) -> None:
        self._llm = weakref.ref(llm)
        self._draws_by: Method = method
        self._filters = dict(filters)
        self._logits = LogitsOfContext(llm)
        self._run: _Run | None = None
        self._parameters: inspect.Signature | None = None  # of create_completion

    def methods(self, llm: Any) -> dict[str, Callable[..., Any]]:
        """The methods by name, with the signatures and docstrings of those they replace."""
        return {name: self._method(name, getattr(type(llm), name)) for name in self.REPLACED}

    def _method(self, name: str, stock: Callable[..., Any]) -> Callable[..., Any]:
        ours = getattr(self, f"_{name}")

        @functools.wraps(stock)
        def method(*args: Any, **kwargs: Any) -> Any:
            llm = self._llm()
            if llm is None:
                raise ReferenceError(f"{name}: the Llama object that this method is of is gone")
            return ours(llm, stock, *args, **kwargs)

        del method.__wrapped__  # it has one parameter more
        method.__signature__ = _without_self(stock)  # type: ignore[attr-defined]
        method.attached = self  # type: ignore[attr-defined]
        return method

    def _reset(self, llm: Any, stock: Callable[..., Any]) -> Any:
        self._run = None
        return stock(llm)

    def _generate(self, llm: Any, stock: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[int]:
        self._run = None
        yield from stock(llm, *args, **kwargs)

    def _create_completion(self, llm: Any, stock: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """With `logit_bias` as one more processor in a new list: stock drops both where it is given both."""
        if self._parameters is None:
            self._parameters = inspect.signature(stock)
        given = self._parameters.bind(llm, *args, **kwargs)
        bias = given.arguments.pop("logit_bias", None)
        if bias is not None:
            processors = given.arguments.get("logits_processor") or ()
            given.arguments["logits_processor"] = llama_cpp.LogitsProcessorList(
                [*processors, LogitBias(bias, llm.n_vocab())]
            )
        return stock(*given.args, **given.kwargs)

    def _sample(
        self,
        llm: Any,
        stock: Callable[..., Any],
        top_k: int = 40,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        temp: float = 0.80,
        repeat_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        tfs_z: float = 1.0,
        mirostat_mode: int = 0,
        mirostat_eta: float = 0.1,
        mirostat_tau: float = 5.0,
        penalize_nl: bool = True,
        logits_processor: Iterable[Callable[..., Any]] | None = None,
        grammar: Any = None,
        idx: int | None = None,
    ) -> int:
        if grammar is not None or (mirostat_mode == 1 and temp > 0):
            return stock(  # type: ignore[no-any-return]
                llm, top_k, top_p, min_p, typical_p, temp, repeat_penalty, frequency_penalty, presence_penalty, tfs_z,
                mirostat_mode, mirostat_eta, mirostat_tau, penalize_nl, logits_processor, grammar, idx,
            )  # fmt: skip
        run = self._run
        if run is None:
            run = self._run = _Run(llm, self._draws_by, self._filters)
        run.use(top_k, top_p, min_p, typical_p, temp, mirostat_mode, mirostat_eta, mirostat_tau)
        x = self._logits.row(llm, idx)
        processors = () if logits_processor is None else tuple(logits_processor)
        penalized = repeat_penalty != 1.0 or frequency_penalty != 0.0 or presence_penalty != 0.0
        if not processors and not penalized:
            return run.draw(x)
        run.use_penalties(repeat_penalty, frequency_penalty, presence_penalty)
        ids = llm.input_ids[: llm.n_tokens if idx is None else idx + 1]
        return run.draw_changed(x, processors, ids)


class _Run:
    """The state of one run: what has been drawn, and a Sampler for what comes next."""

    def __init__(self, llm: Any, method: Method, filters: Mapping[str, Any]) -> None:
        seed = llm._seed % 2**32  # what llama.cpp makes of it
        if seed == llama_cpp.LLAMA_DEFAULT_SEED:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        self._seed = seed
        self._method: Method = method
        self._filters = filters
        self._given: tuple[Any, ...] | None = None
        self._sampler: Sampler | None = None
        self._mu: float | NDArray[np.float64] | None = None  # of mirostat, where the Sampler has none
        self._mean: float | NDArray[np.float64] | None = None  # the same of adaptive_p
        self._given_penalties: tuple[float, ...] | None = None
        # The last tokens drawn, not in their order, and how many there are in all.
        self._last = np.zeros(max(llm.last_n_tokens_size, 0), np.int64)
        self._count = 0

    def use(self, *given: Any) -> None:
        """The parameters of the next draw."""
        if given == self._given:
            return
        _check_numbers(zip(_PARAMETERS, given, strict=True))
        top_k, top_p, min_p, typical_p, temp, mode, eta, tau = given
        chosen: dict[str, Any]
        if temp < 0:
            chosen = {}
        elif temp == 0:
            chosen = {"top_k": 1}
        elif mode == 2:
            chosen = {"mirostat_tau": tau, "mirostat_eta": eta}
        else:  # numbers beyond those that switch a filter off do so here too
            chosen = {
                "temperature": temp, "top_k": max(top_k, 0), "top_p": min(max(top_p, 0.0), 1.0),
                "min_p": max(min_p, 0.0), "typical_p": min(max(typical_p, 0.0), 1.0), "order": _ORDER, **self._filters,
            }  # fmt: skip
        before = self._sampler
        self._sampler = Sampler(seed=self._seed, method=self._method, on_invalid="flag", **chosen)
        if before is not None:
            self._sampler.step = before.step
            if before.mirostat_mu is not None:
                self._mu = before.mirostat_mu
            if self._mu is not None and "mirostat_tau" in chosen:
                self._sampler.mirostat_mu = self._mu
            if before.adaptive_p_mean is not None:
                self._mean = before.adaptive_p_mean
            if self._mean is not None and "adaptive_p" in chosen:
                self._sampler.adaptive_p_mean = self._mean
        self._given = given

    def use_penalties(self, *given: float) -> None:
        """The same for the penalties."""
        if given == self._given_penalties:
            return
        named = dict(zip(("repeat_penalty", "frequency_penalty", "presence_penalty"), given, strict=True))
        _check_numbers(named.items())
        repeat, frequency, presence = (float(value) for value in given)
        if not 0 < repeat < math.inf:
            raise ValueError(f"repeat_penalty must be positive and finite; 1 switches it off; got {repeat}")
        for name, value in named.items():
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite; 0 switches it off; got {value}")
        self._penalties = penalties_of_row(repetition=repeat, frequency=frequency, presence=presence)
        self._given_penalties = given

    def draw(self, x: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
        assert self._sampler is not None
        token = self._sampler(x)
        if token < 0:
            raise_invalid(x)
        if self._last.size:
            self._last[self._count % self._last.size] = token
            self._count += 1
        return token

    def draw_changed(self, x: NDArray[np.float32], processors: Sequence[Any], ids: NDArray[np.intc]) -> int:
        """Draw from what processors and penalties make of x, which is in the end as it was."""
        bias = None
        if processors and isinstance(processors[-1], LogitBias):
            *processors, bias = processors
        if processors:  # they may write anywhere
            x = processed(x, processors, ids)
        last = self._last[: self._count].copy()  # the draw changes it
        touched = last if bias is None else np.concatenate([last, bias.tokens])
        before = x[touched]
        try:
            if bias is not None:
                bias.add_to(x)
            penalize_row(x, last, self._penalties)
            return self.draw(x)
        finally:
            x[touched] = before


def _check_numbers(given: Iterable[tuple[str, Any]]) -> None:
    for name, value in given:
        if not isinstance(value, numbers.Real):
            raise TypeError(f"{name} must be a number, got {value!r}")


def _without_self(function: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])

"""The parameters of a Sampler as properties, and what is said of an attribute that it does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

import numpy as np

from ._args.arrays import any_array
from ._args.held import NUMBERS, read_only
from ._args.steps import checked_order

if TYPE_CHECKING:
    _Given = TypeVar("_Given", contravariant=True)
    _Kept = TypeVar("_Kept", covariant=True)

    class Settable(Generic[_Given]):
        """A parameter that may be set, and is then what was given: a number as it is, or a read-only array."""

        def __get__(self, sampler: object, cls: type | None = None, /) -> Any: ...
        def __set__(self, sampler: object, value: _Given, /) -> None: ...

    class Fixed(Generic[_Kept]):
        """A parameter that cannot be changed."""

        def __get__(self, sampler: object, cls: type | None = None, /) -> _Kept: ...
        def __set__(self, sampler: object, value: Never, /) -> None: ...


SETTABLE = [
    "temperature", "step", "mask", "bias", "top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h",
    "top_n_sigma", "epsilon_cutoff", "eta_cutoff", "xtc_threshold", "xtc_probability", "dynatemp_range",
    "dynatemp_exponent", "smoothing_factor", "smoothing_curve", "min_tokens_to_keep", "temperature_last", "order",
    "keep", "mirostat_tau", "mirostat_eta", "mirostat_mu", "adaptive_p", "adaptive_p_decay", "adaptive_p_mean", "seed",
    "keys", "steps",
]  # fmt: skip


def of_filter(name: str, off: Any = None) -> Any:
    """The property of a filter's parameter."""

    def get(self: Any) -> Any:
        return self._given.get(name, off)

    def set_(self: Any, value: Any) -> None:
        self._use_filters({**self._given, name: value}, one_by_one=True)

    return property(get, set_, doc=f"`{name}` of the filters; may be set.")


def held_filter(name: str, value: Any) -> Any:
    """A parameter of the filters as a Sampler keeps it: nobody else can change it."""
    if isinstance(value, NUMBERS):
        return value
    if name == "order":
        return checked_order(value)
    return read_only(np.array(any_array(value, name)))


def fixed(name: str) -> Any:
    """The property of a parameter that cannot be changed."""

    def get(self: Any) -> Any:
        return getattr(self, f"_{name}")

    def set_(self: Any, value: Any) -> None:
        raise AttributeError(f"{name} is fixed when a Sampler is made; make a new one to have another")

    return property(get, set_, doc=f"`{name}` as it was given when the Sampler was made.")


def why_not_set(sampler: Any, name: str, is_subclass: bool) -> str:
    """The error of an attribute that does not exist."""
    import difflib

    close = difflib.get_close_matches(name, SETTABLE, 1, 0.75)
    what = f"did you mean {close[0]}?" if close else f"what can be set is {', '.join(SETTABLE)}"
    if is_subclass:
        what += "; a subclass must name attributes of its own in the class"
    return f"a {type(sampler).__name__} has no attribute {name}: {what}"

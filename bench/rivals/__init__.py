"""How each library is asked for each operation, as its users write it.

Every module has a table {operation: {name: function}}; a function takes the case and returns a Contender. Libraries are
imported inside the functions, so that what is not installed is skipped by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case
from timing import Contender

import fastsoftmax

Builder = Callable[[Case], Contender]


def contender(case: Case, code: str, answer: str | None = None, **fields: Any) -> Contender:
    """A Contender whose expressions may use fastsoftmax, np, t, rng, the options of the case and `names`."""
    common = {"fastsoftmax": fastsoftmax, "np": np, "t": case.temperature, "rng": np.random.default_rng(1)}
    return Contender(code, {**common, **case.options, **fields.pop("names", {})}, answer, **fields)


def call(code: str, answer: str | None = None, **names: Any) -> Builder:
    """The builder of a Contender that needs nothing from the case."""
    return lambda case: contender(case, code, answer, names=names)


def torch_call(code: str, answer: str | None = None) -> Builder:
    return lambda case: with_torch(case, code, answer)


def keywords(case: Case) -> str:
    return "".join(f", {name}={value}" for name, value in case.options.items())


def drawing(call: str, timed: str = "rng=rng", part: str = "", **names: Any) -> Builder:
    """A call of ours with {} for the randomness: timed with a generator, judged one row at a time if timed so.

    `part` picks the indices from an answer of several arrays.
    """

    def build(case: Case) -> Contender:
        at_once = len(case.shape) > 1 or "size" in case.options
        answer = call.format("u=u") + part if at_once else f"[{call.format('u=v')}{part} for v in u]"
        return contender(case, call.format(timed), answer, names=names)

    return build


def with_torch(case: Case, code: str, answer: str | None = None, **fields: Any) -> Contender:
    """A Contender that gets a tensor on the array's own memory."""
    import torch

    torch.set_num_threads(case.threads)
    names = {"torch": torch, **fields.pop("names", {})}
    return contender(case, code, answer, names=names, **{"native": torch.from_numpy, **fields})


def softmax_formula(x: np.ndarray, temperature: Any, axis: Any = -1, exp: Callable[..., Any] = np.exp) -> np.ndarray:
    """The usual lines of NumPy."""
    weights = exp((x - x.max(axis=axis, keepdims=True)) / temperature)
    return np.asarray(weights / weights.sum(axis=axis, keepdims=True))

"""How each library is asked for a million draws from one row. The conventions are those of `rivals`.

many: from the logits (or probabilities) to the draws. categorical: the draws alone, from whatever the library can
make of the row beforehand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from cases import MANY, Case
from errors import exact_softmax
from measure import Contender
from rivals import Builder, Unsupported, from_numpy, load_fastsoftmax, load_torch, softmax_formula

# Enough for a table of bounds in a row of a few thousand entries.
AT_ONCE = 128
MOST_OF_MULTINOMIAL = 1 << 24


def _names(case: Case, **more: Any) -> dict[str, Any]:
    return {"t": case.temperature, "k": MANY, "rng": np.random.default_rng(1), **more}


def many(case: Case, threads: int) -> Contender:
    function = "sample_probs" if case.data == "probs" else "sample"
    code = f"fastsoftmax.{function}(x, t, size={{}})"
    return Contender(
        "fastsoftmax",
        code.format("k, rng=rng"),
        _names(case, fastsoftmax=load_fastsoftmax(threads)),
        with_u=code.format(f"{AT_ONCE}, u=u"),
    )


def _probabilities(x: np.ndarray, temperature: float) -> np.ndarray:
    """Those of a row of logits, in float64."""
    return softmax_formula(x.astype(np.float64), temperature)


def many_choice(case: Case, threads: int) -> Contender:
    names = _names(case, probs=_probabilities)
    code = "rng.choice(x.size, size=k, p=probs(x, t))"
    if case.data == "probs":
        code = "rng.choice(x.size, size=k, p=x / x.sum())"
    return Contender("numpy-choice", code, names)


def many_cdf(case: Case, threads: int) -> Contender:
    """The inverse of the cumulative sum by hand, unsorted uniforms into a sorted array."""
    code = "probs(x, t).cumsum().searchsorted({}, side='right')"
    names = _names(case, probs=_probabilities)
    return Contender(
        "numpy-cdf", code.format("rng.random(k)"), names, note="softmax in float64, cumsum, searchsorted"
    )


def many_torch(case: Case, threads: int) -> Contender:
    if case.longest > MOST_OF_MULTINOMIAL:
        raise Unsupported("torch.multinomial takes 2^24 categories at most")
    code = "torch.multinomial(torch.softmax(x / t, -1), k, replacement=True)"
    if case.data == "probs":
        code = "torch.multinomial(x, k, replacement=True)"
    return Contender("torch", code, _names(case, torch=load_torch(threads)), native=from_numpy)


def categorical(case: Case, threads: int) -> Contender:
    fastsoftmax = load_fastsoftmax(threads)
    return Contender(
        "fastsoftmax",
        "x.draw(k, rng=rng)",
        _names(case),
        note="x = fastsoftmax.Categorical(logits, t)",
        native=lambda array: fastsoftmax.Categorical(array, case.temperature),
        with_u="x.draw(u=u)",
    )


def _prepared(array: np.ndarray, case: Case) -> np.ndarray:
    return exact_softmax(array, case.temperature).astype(np.float64)


def categorical_choice(case: Case, threads: int) -> Contender:
    return Contender(
        "numpy-choice",
        "rng.choice(x.size, size=k, p=x)",
        _names(case),
        note="x = softmax(logits / t)",
        native=lambda array: _prepared(array, case),
    )


def categorical_cdf(case: Case, threads: int) -> Contender:
    return Contender(
        "numpy-cdf",
        "x.searchsorted(rng.random(k), side='right')",
        _names(case),
        note="x = softmax(logits / t).cumsum()",
        native=lambda array: _prepared(array, case).cumsum(),
    )


def categorical_torch(case: Case, threads: int) -> Contender:
    return replace(
        many_torch(case, threads),
        code="torch.multinomial(x, k, replacement=True)",
        note="x = torch.softmax(logits / t)",
        native=lambda array: from_numpy(_prepared(array, case).astype(np.float32)),
    )


MANY_DRAWS: dict[str, Builder] = {
    "fastsoftmax": many,
    "numpy-choice": many_choice,
    "numpy-cdf": many_cdf,
    "torch": many_torch,
}
CATEGORICAL: dict[str, Builder] = {
    "fastsoftmax": categorical,
    "numpy-choice": categorical_choice,
    "numpy-cdf": categorical_cdf,
    "torch": categorical_torch,
}

"""Drawing indices from softmax(x / t): one a row, one by a Sampler, or a million from one row."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import MANY, Case
from timing import Contender

import fastsoftmax

from . import contender, drawing, softmax_formula, with_torch
from .tokens import llama_chain

# Judged with 10,000 draws at once: enough for a table in rows of up to some 10^5 entries.
AT_ONCE = "10_000, u=np.resize(u, 10_000))[:u.size]"


def sampler(case: Case) -> Contender:
    method = "sampler.sample_probs" if case.data == "probs" else "sampler"
    names = {"sampler": fastsoftmax.Sampler(case.temperature, rng=1)}
    return contender(case, f"{method}(x)", f"[{method}(x, u=v) for v in u]", names=names)


def torch(case: Case) -> Contender:
    probs = "x ** (1 / t)" if case.data == "probs" else "torch.softmax(x / t, -1)"
    return with_torch(case, f"torch.multinomial({probs}, 1)")


def numpy_choice(case: Case) -> Contender:
    def powered(probs: np.ndarray, temperature: float) -> Any:
        weights = probs ** (1 / temperature)
        return weights / weights.sum()

    names = {"probs": powered if case.data == "probs" else softmax_formula}
    return contender(case, "rng.choice(x.size, p=probs(x, t))", names=names)


def numpy_cdf(case: Case) -> Contender:
    """The inverse of the cumulative sum: the shortest NumPy can do for one draw."""

    def draw(x: np.ndarray, temperature: float, u: Any) -> Any:
        weights = np.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
        cumulative = weights.cumsum(axis=-1, dtype=np.float64)
        if x.ndim == 1:
            return cumulative.searchsorted(u * cumulative[-1], side="right")
        return (cumulative <= u[:, None] * cumulative[:, -1:]).sum(axis=-1)

    names = {"draw": draw, "rows": None if len(case.shape) == 1 else case.shape[0]}
    return contender(case, "draw(x, t, rng.random(rows))", "draw(x, t, u)", names=names)


def llama_cpp(case: Case) -> Contender:
    """llama.cpp's sampler chain; the copy of the logits into its candidate array is not timed."""
    return llama_chain(case, lambda library: [library.llama_sampler_init_temp(case.temperature)])


def classic(case: Case) -> Contender:
    """The helper of many a character-RNN tutorial. It takes probabilities: those of the logits at t = 1."""

    def helper(probs: Any, temperature: float) -> Any:
        probs = np.asarray(probs).astype("float64")
        scaled = np.log(probs) / temperature
        weights = np.exp(scaled)
        normalised = weights / np.sum(weights)
        counts = np.random.multinomial(1, normalised, 1)
        return np.argmax(counts)

    native = (lambda x: x) if case.data == "probs" else (lambda x: softmax_formula(x, 1.0))
    return contender(case, "helper(x, t)", names={"helper": helper}, native=native)


def float64_probs(x: np.ndarray, temperature: float) -> np.ndarray:
    return softmax_formula(x.astype(np.float64), temperature)


RIVALS = {
    "sample": {
        "fastsoftmax": lambda case: drawing(case, "fastsoftmax.sample(x, t, {})"),
        "torch": torch,
        "numpy-choice": numpy_choice,
        "numpy-cdf": numpy_cdf,
        "numpy-gumbel": lambda case: contender(case, "(x / t + rng.gumbel(size=x.shape)).argmax(-1)"),
        "llama.cpp": llama_cpp,
    },
    "sampler": {"fastsoftmax": sampler, "torch": torch, "numpy-choice": numpy_choice, "classic": classic},
    "many": {
        "fastsoftmax": lambda case: contender(
            case, f"fastsoftmax.sample(x, t, size={MANY}, rng=rng)", f"fastsoftmax.sample(x, t, size={AT_ONCE}"
        ),
        "numpy-choice": lambda case: contender(
            case, f"rng.choice(x.size, size={MANY}, p=probs(x, t))", names={"probs": float64_probs}
        ),
    },
    "categorical": {
        "fastsoftmax": lambda case: contender(
            case,
            f"x.draw({MANY}, rng=rng)",
            f"x.draw({AT_ONCE}",
            native=lambda array: fastsoftmax.Categorical(array, case.temperature),
        ),
        "numpy-choice": lambda case: contender(
            case,
            f"rng.choice(x.size, size={MANY}, p=x)",
            native=lambda array: float64_probs(array, case.temperature),
        ),
    },
}

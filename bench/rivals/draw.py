"""Drawing indices from softmax(x / t): one a row, one by a Sampler, or a million from one row."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import MANY, REJECTED, SEEDED, Case
from timing import Contender

import fastsoftmax

from . import call, contender, drawing, softmax_formula, torch_call, with_torch
from .tokens import draw_llama, draw_vllm

# Judged with 10,000 draws at once: enough for a table in rows of up to some 10^5 entries.
AT_ONCE = "10_000, u=np.resize(u, 10_000))[:u.size]"


def sampler(case: Case) -> Contender:
    names = {"sampler": fastsoftmax.Sampler(case.temperature, rng=1)}
    return contender(case, "sampler.sample_probs(x)", "[sampler.sample_probs(x, u=v) for v in u]", names=names)


def numpy_cdf(case: Case, logits: str = "x", timed: str = "rng.random(rows)", **names: Any) -> Contender:
    """The inverse of the cumulative sum: the shortest NumPy can do for one draw."""

    def draw(x: np.ndarray, temperature: Any, u: Any) -> Any:
        weights = np.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
        cumulative = weights.cumsum(axis=-1, dtype=np.float64)
        if x.ndim == 1:
            return cumulative.searchsorted(u * cumulative[-1], side="right")
        return (cumulative <= u[:, None] * cumulative[:, -1:]).sum(axis=-1)

    names = {"draw": draw, "rows": None if len(case.shape) == 1 else case.shape[0], **names}
    return contender(case, f"draw({logits}, t, {timed})", f"draw({logits}, t, u)", names=names)


def classic(case: Case) -> Contender:
    """The helper of many a character-RNN tutorial."""

    def helper(probs: Any, temperature: float) -> Any:
        probs = np.asarray(probs).astype("float64")
        scaled = np.log(probs) / temperature
        weights = np.exp(scaled)
        normalised = weights / np.sum(weights)
        counts = np.random.multinomial(1, normalised, 1)
        return np.argmax(counts)

    return contender(case, "helper(x, t)", names={"helper": helper})


def powered(probs: np.ndarray, temperature: float) -> Any:
    weights = probs ** (1 / temperature)
    return weights / weights.sum()


def float64_probs(x: np.ndarray, temperature: float) -> np.ndarray:
    return softmax_formula(x.astype(np.float64), temperature)


def categorical(case: Case) -> Contender:
    prepared = lambda x: fastsoftmax.Categorical(x, case.temperature)  # noqa: E731
    return contender(case, f"x.draw({MANY}, rng=rng)", f"x.draw({AT_ONCE}", native=prepared)


def seeded(case: Case) -> Contender:
    prepared = lambda x: fastsoftmax.Categorical(x, case.temperature)  # noqa: E731
    return contender(case, f"x.draw({MANY}, seed=1)", f"x.draw({SEEDED}, seed=1)", native=prepared)


def multinomial_of_probs(case: Case) -> Contender:
    import torch

    prepared = lambda x: torch.from_numpy(float64_probs(x, case.temperature))  # noqa: E731
    return with_torch(case, f"torch.multinomial(x, {MANY}, replacement=True)", native=prepared)


def choice_of_probs(case: Case) -> Contender:
    prepared = lambda x: float64_probs(x, case.temperature)  # noqa: E731
    return contender(case, f"rng.choice(x.size, size={MANY}, p=x)", native=prepared)


RIVALS = {
    "sample": {
        "fastsoftmax": drawing("fastsoftmax.sample(x, t, {})"),
        "torch": torch_call("torch.multinomial(torch.softmax(x / t, -1), 1)"),
        "numpy-choice": call("rng.choice(x.size, p=softmax(x, t))", softmax=softmax_formula),
        "numpy-cdf": numpy_cdf,
        "numpy-gumbel": call("(x / t + rng.gumbel(size=x.shape)).argmax(-1)"),
        "llama.cpp": draw_llama,
        "vllm": draw_vllm,
    },
    "sampler": {
        "fastsoftmax": sampler,
        "torch": torch_call("torch.multinomial(x ** (1 / t), 1)"),
        "numpy-choice": call("rng.choice(x.size, p=powered(x, t))", powered=powered),
        "classic": classic,
    },
    "many": {
        "fastsoftmax": call(
            f"fastsoftmax.sample(x, t, size={MANY}, rng=rng)", f"fastsoftmax.sample(x, t, size={AT_ONCE}"
        ),
        "numpy-choice": call(f"rng.choice(x.size, size={MANY}, p=probs(x, t))", probs=float64_probs),
    },
    "categorical": {"fastsoftmax": categorical, "numpy-choice": choice_of_probs},
    "rejection": {
        "fastsoftmax": call(
            'fastsoftmax.sample(x, t, seed=1, method="rejection")',
            f'[fastsoftmax.sample(x, t, seed=1, step=s, method="rejection") for s in range({REJECTED})]',
        ),
        "fastsoftmax-inversion": call("fastsoftmax.sample(x, t, seed=1)"),
        "max": call("x.max()"),
        "torch": torch_call("torch.multinomial(torch.softmax(x / t, -1), 1)"),
        "numpy-choice": call("rng.choice(x.size, p=probs(x, t))", probs=float64_probs),
    },
    "seeded": {"fastsoftmax": seeded, "numpy-choice": choice_of_probs, "torch": multinomial_of_probs},
}

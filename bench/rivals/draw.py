"""Drawing indices from softmax(x / t): one a row, one by a Sampler, or a million from one row."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from cases import MANY, Case
from timing import Contender

import fastsoftmax

from . import contender, softmax_formula, with_torch
from .tokens import llama_chain

# As many uniforms at once where a million draws are checked: enough for a table in a row of a few thousand entries.
AT_ONCE = 128


def ours(case: Case) -> Contender:
    return contender(case, "fastsoftmax.sample(x, t, rng=rng)", with_u="fastsoftmax.sample(x, t, u=u)")


def sampler(case: Case) -> Contender:
    method = "sampler.sample_probs" if case.data == "probs" else "sampler"
    names = {"sampler": fastsoftmax.Sampler(case.temperature, rng=1)}
    return contender(case, f"{method}(x)", names=names, with_u=f"{method}(x, u=u)")


def torch_multinomial(case: Case) -> Contender:
    probs = "x ** (1 / t)" if case.data == "probs" else "torch.softmax(x / t, -1)"
    return with_torch(case, f"torch.multinomial({probs}, 1)")


def _powered(probs: np.ndarray, temperature: float) -> np.ndarray:
    weights = probs ** (1 / temperature)
    return np.asarray(weights / weights.sum())


def numpy_choice(case: Case) -> Contender:
    names = {"probs": _powered if case.data == "probs" else softmax_formula}
    return contender(case, "rng.choice(x.size, p=probs(x, t))", names=names)


def numpy_cdf(case: Case) -> Contender:
    """The inverse of the cumulative sum: the shortest NumPy can do for one draw."""

    def draw(x: np.ndarray, temperature: float, u: Any) -> Any:
        weights = np.exp((x - x.max(axis=-1, keepdims=True)) / x.dtype.type(temperature))
        cumulative = weights.cumsum(axis=-1, dtype=np.float64)
        if x.ndim == 1:
            return cumulative.searchsorted(u * cumulative[-1], side="right")
        return (cumulative <= np.asarray(u)[:, None] * cumulative[:, -1:]).sum(axis=-1)

    names = {"draw": draw, "rows": None if len(case.shape) == 1 else case.shape[0]}
    return contender(case, "draw(x, t, rng.random(rows))", names=names, with_u="draw(x, t, u)")


@functools.lru_cache(maxsize=2)
def _numba_draw(parallel: bool) -> Any:
    import numba

    span = numba.prange if parallel else range

    @numba.njit(parallel=parallel)
    def draw(x: Any, temperature: Any, u: Any) -> Any:
        chosen = np.empty(x.shape[0], np.int64)
        for row in span(x.shape[0]):
            cumulative = np.cumsum(np.exp((x[row] - x[row].max()) / temperature).astype(np.float64))
            chosen[row] = np.searchsorted(cumulative, u[row] * cumulative[-1], side="right")
        return chosen

    return draw


def numba(case: Case) -> Contender:
    return contender(
        case,
        "draw(x, t, rng.random(len(x)))",
        names={"draw": _numba_draw(case.threads > 1), "t": np.dtype(case.dtype).type(case.temperature)},
        native=lambda array: array.reshape(-1, array.shape[-1]),
        with_u="draw(x, t, np.atleast_1d(u))",
    )


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

    return contender(
        case,
        "helper(x, t)",
        names={"helper": helper},
        native=lambda array: array if case.data == "probs" else softmax_formula(array, 1.0),
    )


def many(case: Case) -> Contender:
    function = "sample_probs" if case.data == "probs" else "sample"
    call = f"fastsoftmax.{function}(x, t, size={{}})"
    return contender(case, call.format(f"{MANY}, rng=rng"), with_u=call.format(f"{AT_ONCE}, u=u"))


def _float64_probs(case: Case) -> Any:
    if case.data == "probs":
        return lambda x, temperature: x / x.sum()
    return lambda x, temperature: softmax_formula(x.astype(np.float64), temperature)


RIVALS = {
    "sample": {
        "fastsoftmax": ours,
        "torch": torch_multinomial,
        "numpy-choice": numpy_choice,
        "numpy-cdf": numpy_cdf,
        "numpy-gumbel": lambda case: contender(case, "(x / t + rng.gumbel(size=x.shape)).argmax(-1)"),
        "llama.cpp": llama_cpp,
        "numba": numba,
    },
    "sampler": {"fastsoftmax": sampler, "torch": torch_multinomial, "numpy-choice": numpy_choice, "classic": classic},
    "many": {
        "fastsoftmax": many,
        "numpy-choice": lambda case: contender(
            case, f"rng.choice(x.size, size={MANY}, p=probs(x, t))", names={"probs": _float64_probs(case)}
        ),
    },
    "categorical": {
        "fastsoftmax": lambda case: contender(
            case,
            f"x.draw({MANY}, rng=rng)",
            native=lambda array: fastsoftmax.Categorical(array, case.temperature),
            with_u="x.draw(u=u)",
        ),
        "numpy-choice": lambda case: contender(
            case,
            f"rng.choice(x.size, size={MANY}, p=x)",
            native=lambda array: _float64_probs(case)(array, case.temperature),
        ),
    },
}

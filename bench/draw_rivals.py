"""How each library is asked to draw an index from softmax(x / t). The conventions are those of `rivals`."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from cases import Case
from errors import exact_softmax
from measure import Contender
from rivals import (
    Builder,
    Unsupported,
    as_rows,
    from_numpy,
    jax_array,
    load_jax,
    load_torch,
    numba_kernels,
    ours,
    softmax_formula,
)


def torch_multinomial(case: Case, threads: int) -> Contender:
    names = {"torch": load_torch(threads), "t": case.temperature}
    code = "torch.multinomial(torch.softmax(x / t, -1), 1)"
    if case.data == "probs":
        code = "torch.multinomial(x ** (1 / t), 1)"
    return Contender("torch", code, names, native=from_numpy)


def torch_exponential(case: Case, threads: int) -> Contender:
    """The race of exponentials, which multinomial runs after checking its input."""
    names = {"torch": load_torch(threads), "t": case.temperature}
    code = "torch.softmax(x / t, -1).div_(torch.empty_like(x).exponential_()).argmax(-1)"
    return Contender("torch-exponential", code, names, native=from_numpy)


def numpy_choice(case: Case, threads: int) -> Contender:
    names = {"softmax": softmax_formula, "t": case.temperature, "rng": np.random.default_rng(1)}
    code = "rng.choice(x.size, p=softmax(x, t))"
    if case.data == "probs":
        names["powered"] = _powered
        code = "rng.choice(x.size, p=powered(x, t))"
    return Contender("numpy-choice", code, names)


def _powered(probs: np.ndarray, temperature: float) -> np.ndarray:
    weights = probs ** (1 / temperature)
    return np.asarray(weights / weights.sum())


def numpy_cdf(case: Case, threads: int) -> Contender:
    """The inverse of the cumulative sum by hand: the shortest thing NumPy can do for one draw."""

    def draw(x: np.ndarray, temperature: float, u: Any) -> Any:
        weights = np.exp((x - x.max(axis=-1, keepdims=True)) / x.dtype.type(temperature))
        cumulative = weights.cumsum(axis=-1, dtype=np.float64)
        if x.ndim == 1:
            return cumulative.searchsorted(u * cumulative[-1], side="right")
        return (cumulative <= np.asarray(u)[:, None] * cumulative[:, -1:]).sum(axis=-1)

    rows = None if len(case.shape) == 1 else case.shape[0]
    names = {"draw": draw, "t": case.temperature, "rng": np.random.default_rng(1), "rows": rows}
    return Contender(
        "numpy-cdf",
        "draw(x, t, rng.random(rows))",
        names,
        note="exp, cumsum in float64, searchsorted",
        with_u="draw(x, t, u)",
    )


def numpy_gumbel(case: Case, threads: int) -> Contender:
    names = {"t": case.temperature, "rng": np.random.default_rng(1)}
    return Contender("numpy-gumbel", "(x / t + rng.gumbel(size=x.shape)).argmax(-1)", names)


def jax_categorical(case: Case, threads: int) -> Contender:
    jax = load_jax()
    temperature = case.temperature

    @jax.jit  # type: ignore[untyped-decorator]
    def step(key: Any, x: Any) -> tuple[Any, Any]:
        key, used = jax.random.split(key)
        return key, jax.random.categorical(used, x / temperature, axis=-1)

    key = jax.random.key(1)

    def categorical(x: Any) -> Any:
        nonlocal key
        key, index = step(key, x)
        return index.block_until_ready()

    return Contender(
        "jax",
        "categorical(x)",
        {"categorical": categorical},
        note="one jitted step: jax.random.split, jax.random.categorical(key, x / t)",
        native=jax_array,
    )


def numba_draw(case: Case, threads: int) -> Contender:
    _, draw = numba_kernels(threads > 1)
    rows = 1 if len(case.shape) == 1 else case.shape[0]
    temperature = np.dtype(case.dtype).type(case.temperature)
    return Contender(
        "numba",
        "draw(x, t, rng.random(rows))",
        {"draw": draw, "t": temperature, "rng": np.random.default_rng(1), "rows": rows, "np": np},
        note="weights and their sum, then the running sum up to u, under @njit",
        native=as_rows,
        with_u="draw(x, t, np.atleast_1d(u))",
    )


class LlamaCandidates:
    """llama.cpp's candidate array (llama_token_data_array) on NumPy memory."""

    def __init__(self, llama_cpp: Any, array: np.ndarray) -> None:
        fields = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        if fields.itemsize != ctypes.sizeof(llama_cpp.llama_token_data):
            raise RuntimeError("llama_token_data does not have the layout id, logit, p")
        self.logits = array
        empty = np.zeros(array.size, fields)
        empty["id"] = np.arange(array.size, dtype=np.int32)
        self.tokens = np.empty_like(empty)
        self._bytes, self._empty_bytes = self.tokens.view(np.uint8), empty.view(np.uint8)
        self.array = llama_cpp.llama_token_data_array()
        self._data = self.tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        self.reference = ctypes.byref(self.array)
        self.refresh(array)

    def refresh(self, array: np.ndarray) -> None:
        # Bytes first and then one field: half the time of three fields, and near that of llama.cpp's loop.
        self._bytes[:] = self._empty_bytes
        self.tokens["logit"] = array
        # XTC drops entries by moving this on.
        self.array.data = self._data
        self.array.size = array.size
        self.array.selected = -1
        self.array.sorted = False

    def drawn(self) -> int:
        return int(self.array.data[self.array.selected].id)

    def left(self) -> np.ndarray:
        """The candidates that a chain has left."""
        moved = ctypes.addressof(self.array.data.contents) - self.tokens.ctypes.data
        first = moved // self.tokens.itemsize
        return self.tokens[first : first + self.array.size]


def llama_chain(llama_cpp: Any, *links: Any) -> Any:
    """A sampler chain of these links, in order."""
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for link in links:
        llama_cpp.llama_sampler_chain_add(chain, link)
    return chain


def llama_cpp_chain(case: Case, threads: int) -> Contender:
    """llama.cpp's own sampler chain; the copy of the logits into its candidate array is not timed."""
    import llama_cpp

    if case.dtype != "float32" or len(case.shape) != 1:
        raise Unsupported("the sampler takes one row of float32")
    chain = llama_chain(
        llama_cpp,
        llama_cpp.llama_sampler_init_temp(case.temperature),
        llama_cpp.llama_sampler_init_dist(1),
    )
    apply = llama_cpp.llama_sampler_apply

    def draw(x: LlamaCandidates) -> int:
        apply(chain, x.reference)
        return x.drawn()

    return Contender(
        "llama.cpp",
        "draw(x)",
        {"draw": draw},
        note="llama_sampler_apply of the chain temp, dist on a ready candidate array",
        native=lambda array: LlamaCandidates(llama_cpp, array),
        refresh=LlamaCandidates.refresh,
    )


def classic_helper(case: Case, threads: int) -> Contender:
    """The helper of many a character-RNN tutorial. It takes probabilities: those of the logits at t = 1."""

    def helper(probs: Any, temperature: float) -> Any:
        probs = np.asarray(probs).astype("float64")
        scaled = np.log(probs) / temperature
        weights = np.exp(scaled)
        normalised = weights / np.sum(weights)
        counts = np.random.multinomial(1, normalised, 1)
        return np.argmax(counts)

    def probabilities(array: np.ndarray) -> np.ndarray:
        return array if case.data == "probs" else exact_softmax(array, 1.0).astype(array.dtype)

    return Contender(
        "classic",
        "helper(x, t)",
        {"helper": helper, "t": case.temperature},
        note="log, divide, exp, normalise, np.random.multinomial, argmax on float64",
        native=probabilities,
    )


DRAW: dict[str, Builder] = {
    "fastsoftmax": ours,
    "torch": torch_multinomial,
    "torch-exponential": torch_exponential,
    "numpy-choice": numpy_choice,
    "numpy-cdf": numpy_cdf,
    "numpy-gumbel": numpy_gumbel,
    "llama.cpp": llama_cpp_chain,
    "jax": jax_categorical,
    "numba": numba_draw,
    "classic": classic_helper,
}

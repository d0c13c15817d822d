"""Choosing the next token: filters, penalties, log-probabilities, drafts.

Everybody draws from the same distribution: temperature first, then the filters. The answer of a filter is the indices
that it draws from, and their weights.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace
from typing import Any

import numpy as np
from cases import Case, context, draft
from timing import Contender

import fastsoftmax

from . import call, contender, keywords, softmax_formula, torch_call, with_torch


def filter_ours(case: Case, code: str = "sampler(x)") -> Contender:
    """fastsoftmax in a loop: the Sampler checks its parameters once."""
    answer = f"(np.arange(x.size), fastsoftmax.softmax(fastsoftmax.truncate(x, t{keywords(case)})))"
    names = {"sampler": fastsoftmax.Sampler(case.temperature, rng=1, **case.options)}
    return contender(case, code, answer, names=names)


def filter_call(case: Case) -> Contender:
    """fastsoftmax in a single call."""
    return filter_ours(case, f"fastsoftmax.sample(x, t, rng=rng{keywords(case)})")


def friendly(case: Case) -> Contender:
    """Our own call on the peaked row, whatever the row of the case."""
    easier = replace(case, name=case.name.replace(f"-{case.row}", ""), row="normal")
    row, mine = easier.input(), filter_ours(easier)
    refresh = lambda native, array: np.copyto(native, row)  # noqa: E731
    return replace(mine, answer=None, native=lambda array: row.copy(), refresh=refresh)


def transformers(case: Case) -> Contender:
    """What `model.generate(do_sample=True)` does with the logits of one step."""
    import torch
    import transformers

    warpers = {
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
        "typical_p": transformers.TypicalLogitsWarper,
    }
    processors = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(case.temperature)])
    processors.extend(warpers[name](value) for name, value in case.options.items())
    probs = "torch.softmax(processors(ids, x), -1)"
    return with_torch(
        case,
        f"torch.multinomial({probs}, 1)",
        f"(np.arange(x.numel()), {probs})",
        names={"processors": processors, "ids": torch.zeros((1, 1024), dtype=torch.long)},
        native=lambda array: torch.from_numpy(array)[None, :],
    )


def filter_torch(case: Case) -> Contender:
    """The shortest idiomatic PyTorch: topk where there is a top_k, else a sort; the draw among what is left."""
    import torch

    options, everything = case.options, torch.arange(case.shape[-1])

    def choose(x: Any) -> tuple[Any, Any]:
        if "min_p" in options:
            weights = torch.softmax(x / case.temperature, -1)
            weights[weights < options["min_p"] * weights.max()] = 0
            return everything, weights
        values, indices = torch.topk(x, options["top_k"]) if "top_k" in options else torch.sort(x, descending=True)
        weights = torch.softmax(values / case.temperature, -1)
        if "top_p" in options:
            weights[weights.cumsum(-1) - weights >= options["top_p"]] = 0
        return indices, weights

    def draw(x: Any) -> Any:
        indices, weights = choose(x)
        return indices[torch.multinomial(weights, 1)]

    return with_torch(case, "draw(x)", "choose(x)", names={"draw": draw, "choose": choose})


def filter_numpy(case: Case) -> Contender:
    """np.partition for top_k, argsort for top_p, comparison for min_p; then the inverse of the cumulative sum."""
    options = case.options

    def choose(x: np.ndarray) -> tuple[Any, Any]:
        indices: Any = slice(None)
        if "top_k" in options:
            place = x.size - options["top_k"]
            indices = np.flatnonzero(x >= np.partition(x, place)[place])
        if "top_p" in options:
            order = np.argsort(-x[indices])
            indices = indices[order] if "top_k" in options else order
        weights = np.exp((x[indices] - x[indices].max()) / case.temperature)
        if "top_p" in options:
            cumulative = weights.cumsum(dtype=np.float64)
            count = int(cumulative.searchsorted(options["top_p"] * cumulative[-1])) + 1
            return indices[:count], weights[:count]
        if "min_p" in options:
            indices = np.flatnonzero(weights >= options["min_p"])
            return indices, weights[indices]
        return indices, weights

    def draw(x: np.ndarray, u: float) -> Any:
        indices, weights = choose(x)
        cumulative = weights.cumsum(dtype=np.float64)
        return indices[cumulative.searchsorted(u * cumulative[-1], side="right")]

    return contender(case, "draw(x, rng.random())", "choose(x)", names={"draw": draw, "choose": choose})


class LlamaCandidates:
    """llama.cpp's candidate array (llama_token_data_array) on NumPy memory."""

    def __init__(self, library: Any, size: int) -> None:
        self.tokens = np.zeros(size, [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self.array = library.llama_token_data_array()
        self.array.data = self.tokens.ctypes.data_as(ctypes.POINTER(library.llama_token_data))
        self.reference = ctypes.byref(self.array)

    def refresh(self, logits: np.ndarray) -> None:
        self.tokens["id"], self.tokens["logit"], self.tokens["p"] = np.arange(logits.size), logits, 0
        self.array.size, self.array.selected, self.array.sorted = logits.size, -1, False

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        left = self.tokens[: self.array.size]
        return left["id"], left["p"]


def llama_chain(case: Case, links: list[Any], code: str, answer: str | None) -> Contender:
    """A sampler chain on the candidate array, which is filled outside the timed part."""
    import llama_cpp

    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for link in links:
        llama_cpp.llama_sampler_chain_add(chain, link)

    def applied(x: LlamaCandidates) -> LlamaCandidates:
        llama_cpp.llama_sampler_apply(chain, x.reference)
        return x

    native = lambda array: LlamaCandidates(llama_cpp, array.size)  # noqa: E731
    names = {"applied": applied}
    return contender(case, code, answer, names=names, native=native, refresh=LlamaCandidates.refresh)


def draw_llama(case: Case) -> Contender:
    """llama.cpp's chain: top_k, temperature, the other filters, dist.

    Its own default has the temperature last, which draws from another distribution. top_k comes first: the
    set is the same, and 50 numbers are divided instead of all.
    """
    import llama_cpp

    make = {
        "top_k": llama_cpp.llama_sampler_init_top_k,
        "top_p": lambda p: llama_cpp.llama_sampler_init_top_p(p, 1),
        "min_p": lambda p: llama_cpp.llama_sampler_init_min_p(p, 1),
        "typical_p": lambda p: llama_cpp.llama_sampler_init_typical(p, 1),
    }
    links = [make[name](value) for name, value in case.options.items()]
    links.insert("top_k" in case.options, llama_cpp.llama_sampler_init_temp(case.temperature))
    links.append(llama_cpp.llama_sampler_init_dist(1))
    answer = "applied(x).kept()" if case.operation == "filter" else None
    return llama_chain(case, links, "applied(x).array.data[x.array.selected].id", answer)


def vllm_names(case: Case) -> dict[str, Any]:
    """vLLM's sampler after its temperature, and its arguments: no generators for single requests, top_k, top_p."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    import torch
    from vllm.platforms import current_platform
    from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler, apply_top_k_top_p

    if not current_platform.is_cpu():
        raise ImportError("this vLLM is not built for a CPU")
    current_platform.import_kernels()
    top_k, top_p = (case.options.get(name) for name in ("top_k", "top_p"))
    return {
        "sampler": TopKTopPSampler(),
        "apply_top_k_top_p": apply_top_k_top_p,
        "generators": {},
        "k": None if top_k is None else torch.tensor([top_k], dtype=torch.int32),
        "p": None if top_p is None else torch.tensor([top_p]),
    }


def draw_vllm(case: Case) -> Contender:
    """A step of vLLM on a CPU, for a batch. It divides the logits in place and adds Gumbel noise to what is left."""
    import torch

    return with_torch(
        case,
        "sampler(x.div_(t), generators, k, p)[0]",
        "(np.arange(x.numel()), torch.softmax(apply_top_k_top_p(x / t, k, p), -1))" if case.options else None,
        names=vllm_names(case),
        native=lambda array: torch.from_numpy(array).reshape(-1, array.shape[-1]),
    )


def penalize(case: Case) -> Contender:
    code = f"fastsoftmax.penalize(x, tokens{keywords(case)}, out=x)"
    return contender(case, code, code, names={"tokens": context()})


def penalize_numpy(case: Case) -> Contender:
    repetition, frequency, presence = case.options.values()

    def penalized(x: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        ids, counts = np.unique(tokens, return_counts=True)
        seen = x[ids]
        seen = np.where(seen <= 0, seen * repetition, seen / repetition)
        x[ids] = seen - (counts * frequency + presence)
        return x

    names = {"penalized": penalized, "tokens": context()}
    return contender(case, "penalized(x, tokens)", "penalized(x, tokens)", names=names)


def penalize_llama(case: Case) -> Contender:
    """llama.cpp's penalties look at every candidate."""
    import llama_cpp

    tokens = context()
    link = llama_cpp.llama_sampler_init_penalties(case.shape[-1], tokens.size, *case.options.values())
    for token in tokens.tolist():
        llama_cpp.llama_sampler_accept(link, token)
    return llama_chain(case, [link], "applied(x)", "applied(x).tokens['logit']")


def corrected(p: Any, q: Any, u: Any, tokens: np.ndarray) -> tuple[int, Any]:
    """How many drafted tokens are accepted, and the weights of the next, for arrays of NumPy and of PyTorch."""
    places = np.arange(tokens.size)
    rejected = (u * q[places, tokens] >= p[places, tokens]).tolist()
    accepted = [*rejected, True].index(True)
    return accepted, p[accepted] if accepted == tokens.size else (p[accepted] - q[accepted]).clip(0)


def verify_numpy(case: Case) -> Contender:
    logits, tokens = draft(case)

    def verify(x: np.ndarray, t: float, u: np.ndarray) -> tuple[int, int]:
        accepted, weights = corrected(softmax_formula(x, t), softmax_formula(logits, t), u[:-1], tokens)
        cumulative = weights.cumsum(dtype=np.float64)
        return accepted, int(cumulative.searchsorted(u[-1] * cumulative[-1], side="right"))

    code = f"verify(x, t, rng.random({len(tokens) + 1}))"
    return contender(case, code, "verify(x, t, u)", names={"verify": verify})


def verify_torch(case: Case) -> Contender:
    import torch

    logits, tokens = draft(case)
    drafted = torch.from_numpy(logits)

    def verify(x: Any, t: float) -> tuple[int, Any]:
        p, q = torch.softmax(x / t, -1), torch.softmax(drafted / t, -1)
        accepted, weights = corrected(p, q, torch.rand(len(tokens)), tokens)
        return accepted, torch.multinomial(weights, 1)

    return with_torch(case, "verify(x, t)", names={"verify": verify})


def top_logprobs_numpy(case: Case) -> Contender:
    def top(x: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        logprobs = np.log(softmax_formula(x, temperature))
        indices = np.argpartition(-logprobs, case.options["k"])[: case.options["k"]]
        indices = indices[np.argsort(-logprobs[indices])]
        return logprobs[indices], indices

    return contender(case, "top(x, t)", "top(x, t)[1]", names={"top": top})


def verify_draft(case: Case) -> Contender:
    names = dict(zip(("draft", "tokens"), draft(case), strict=True))
    return call(f"{VERIFY}, rng=rng)", f"{VERIFY}, u=u)", **names)(case)


VERIFY = "fastsoftmax.verify_draft(x, draft, tokens, t"
TOP, TORCH_TOP = "fastsoftmax.top_logprobs(x, k, t)", "torch.log_softmax(x / t, -1).topk(k)"
RIVALS = {
    "filter": {
        "fastsoftmax": filter_ours,
        "fastsoftmax-call": filter_call,
        "fastsoftmax-friendly": friendly,
        "transformers": transformers,
        "torch": filter_torch,
        "numpy": filter_numpy,
        "numpy-max": call("x.max()"),
        "llama.cpp": draw_llama,
        "vllm": draw_vllm,
    },
    "penalize": {"fastsoftmax": penalize, "llama.cpp": penalize_llama, "numpy": penalize_numpy},
    "top-logprobs": {
        "fastsoftmax": call(TOP, f"{TOP}[1]"),
        "torch": torch_call(TORCH_TOP, f"{TORCH_TOP}[1]"),
        "numpy": top_logprobs_numpy,
    },
    "verify-draft": {"fastsoftmax": verify_draft, "torch": verify_torch, "numpy": verify_numpy},
}

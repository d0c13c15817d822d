"""How each library is asked for what surrounds the draw: penalties, log-probabilities, batches, speculation.

The conventions are those of `rivals`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from cases import DRAFT_SPREAD, DRAFTED, Case, batch_requests, least_vocabulary
from draw_rivals import LlamaCandidates, llama_chain
from filter_rivals import keywords
from measure import Contender
from rivals import Builder, Unsupported, from_numpy, load_fastsoftmax, load_torch, softmax_formula
from rows import context


def batch(case: Case, threads: int) -> Contender:
    """Eight requests with parameters of their own in one call."""
    fastsoftmax = load_fastsoftmax(threads)
    requests = batch_requests()
    columns = {name: [request[name] for request in requests] for name in requests[0]}

    def survivors(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = fastsoftmax.truncate(x, **columns)
        indices = np.flatnonzero(kept > -np.inf)
        return indices, fastsoftmax.softmax(kept).reshape(-1)[indices]

    return Contender(
        "fastsoftmax",
        "sampler(x)",
        {"sampler": fastsoftmax.Sampler(**columns, rng=1)},
        note="sampler = fastsoftmax.Sampler(temperature, top_k=, top_p=, min_p=), a value of each for every row",
        with_u="sampler(x, u=u)",
        survivors=survivors,
    )


def batch_singles(case: Case, threads: int) -> Contender:
    """The same eight requests, each by a Sampler of its own."""
    fastsoftmax = load_fastsoftmax(threads)
    return Contender(
        "fastsoftmax-singles",
        "[sampler(row) for sampler, row in zip(samplers, x)]",
        {"samplers": [fastsoftmax.Sampler(**request, rng=1) for request in batch_requests()]},
        note="a Sampler for every row",
        with_u="[sampler(row, u=v) for sampler, row, v in zip(samplers, x, u)]",
    )


def penalize(case: Case, threads: int) -> Contender:
    """fastsoftmax's penalties in place."""
    names = {"fastsoftmax": load_fastsoftmax(threads), "tokens": context(case.longest)}
    code = f"fastsoftmax.penalize(x, tokens, {keywords(case)}, out=x)"
    return Contender("fastsoftmax", code, names, note="tokens: 4,096 of int64")


def penalize_least(case: Case, threads: int) -> Contender:
    """Our own penalties of the same context, at the smallest vocabulary."""
    least = least_vocabulary(case)
    row = least.input(case.seed)
    return replace(
        penalize(least, threads),
        name="fastsoftmax-least",
        note=f"the same context at a vocabulary of {row.size:,}",
        native=lambda array: row.copy(),
        refresh=lambda native, array: np.copyto(native, row),
    )


def penalize_numpy(case: Case, threads: int) -> Contender:
    parameters = case.parameters
    if "dry_multiplier" in parameters:
        raise Unsupported("NumPy by hand has no DRY")

    def penalized(x: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        ids, counts = np.unique(tokens, return_counts=True)
        seen = x[ids]
        seen = np.where(seen <= 0, seen * parameters["repetition"], seen / parameters["repetition"])
        x[ids] = seen - (counts * parameters["frequency"] + parameters["presence"])
        return x

    names = {"penalized": penalized, "tokens": context(case.longest)}
    return Contender("numpy", "penalized(x, tokens)", names, note="np.unique with counts, gather, scatter")


def penalize_llama_cpp(case: Case, threads: int) -> Contender:
    """llama.cpp's penalties on a ready candidate array: they look at every candidate."""
    import llama_cpp

    parameters, tokens = case.parameters, context(case.longest)
    if "dry_multiplier" in parameters:
        raise Unsupported("llama.cpp's DRY wants a model's vocabulary")
    values = (parameters["repetition"], parameters["frequency"], parameters["presence"])
    init = llama_cpp.llama_sampler_init_penalties
    # Some versions take the size of the vocabulary first.
    first = (case.longest, tokens.size) if len(init.argtypes) == 5 else (tokens.size,)
    chain = llama_chain(llama_cpp, init(*first, *values))
    for token in tokens.tolist():
        llama_cpp.llama_sampler_accept(chain, token)
    apply = llama_cpp.llama_sampler_apply

    def penalized(x: LlamaCandidates) -> LlamaCandidates:
        apply(chain, x.reference)
        return x

    return Contender(
        "llama.cpp",
        "penalized(x)",
        {"penalized": penalized},
        note="llama_sampler_apply of penalties on a ready candidate array, the context accepted beforehand",
        native=lambda array: LlamaCandidates(llama_cpp, array),
        refresh=LlamaCandidates.refresh,
        result=lambda x: x.tokens["logit"].copy(),
    )


def _stacked(pair: Any) -> np.ndarray:
    """Log-probabilities and indices as one float64 array."""
    return np.stack([np.asarray(part, np.float64) for part in pair[:2]])


def top_logprobs(case: Case, threads: int) -> Contender:
    names = {"fastsoftmax": load_fastsoftmax(threads), "t": case.temperature}
    code = f"fastsoftmax.top_logprobs(x, {case.parameters['k']}, t)"
    return Contender("fastsoftmax", code, names, result=_stacked)


def top_logprobs_torch(case: Case, threads: int) -> Contender:
    names = {"torch": load_torch(threads), "t": case.temperature}
    code = f"torch.log_softmax(x / t, -1).topk({case.parameters['k']})"
    return Contender("torch", code, names, native=from_numpy, result=_stacked)


def top_logprobs_numpy(case: Case, threads: int) -> Contender:
    k = int(case.parameters["k"])

    def top(x: np.ndarray, temperature: Any) -> tuple[np.ndarray, np.ndarray]:
        scaled = x / temperature
        peak = scaled.max()
        first = np.argpartition(scaled, x.size - k)[-k:]
        first = first[np.argsort(-scaled[first])]
        return scaled[first] - peak - np.log(np.exp(scaled - peak).sum()), first

    names = {"top": top, "t": np.float32(case.temperature)}
    note = "argpartition, argsort of what it finds, log of the sum of exp"
    return Contender("numpy", "top(x, t)", names, note=note, result=_stacked)


def without_replacement(case: Case, threads: int) -> Contender:
    names = {"fastsoftmax": load_fastsoftmax(threads), "t": case.temperature, "rng": np.random.default_rng(1)}
    call = f"fastsoftmax.sample_without_replacement(x, {case.parameters['k']}, t, {{}})"
    return Contender(
        "fastsoftmax", call.format("rng=rng"), names, with_u=call.format("u=u"), u_shape=(case.longest,)
    )


def without_replacement_torch(case: Case, threads: int) -> Contender:
    names = {"torch": load_torch(threads), "t": case.temperature}
    code = f"torch.multinomial(torch.softmax(x / t, -1), {case.parameters['k']})"
    return Contender("torch", code, names, native=from_numpy)


def without_replacement_numpy_gumbel(case: Case, threads: int) -> Contender:
    k = int(case.parameters["k"])

    def draw(x: np.ndarray, temperature: Any, gumbel: np.ndarray) -> np.ndarray:
        keys = x / temperature + gumbel
        first = np.argpartition(keys, x.size - k)[-k:]
        return np.asarray(first[np.argsort(-keys[first])])

    names = {"draw": draw, "t": case.temperature, "rng": np.random.default_rng(1)}
    return Contender("numpy-gumbel", "draw(x, t, rng.gumbel(size=x.size))", names, note="the largest by argpartition")


def without_replacement_numpy_choice(case: Case, threads: int) -> Contender:
    names = {"softmax": softmax_formula, "t": case.temperature, "rng": np.random.default_rng(1)}
    code = f"rng.choice(x.size, {case.parameters['k']}, replace=False, p=softmax(x, t), shuffle=False)"
    return Contender("numpy-choice", code, names)


def draft_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The draft model's logits and the tokens drawn from them: a model like the target, but not the same."""
    rng = np.random.default_rng(5)
    target = case.input(case.seed).astype(np.float64)[:DRAFTED]
    logits = (target + rng.normal(0.0, DRAFT_SPREAD, target.shape)).astype(np.float32)
    probs = [softmax_formula(row.astype(np.float64), case.temperature) for row in logits]
    tokens = [rng.choice(row.size, p=row) for row in probs]
    return logits, np.asarray(tokens, np.int64)


def verify_draft(case: Case, threads: int) -> Contender:
    draft, tokens = draft_of(case)
    names = {
        "fastsoftmax": load_fastsoftmax(threads),
        "draft": draft,
        "tokens": tokens,
        "t": case.temperature,
        "rng": np.random.default_rng(1),
    }
    call = "fastsoftmax.verify_draft(x, draft, tokens, t, {})"
    return Contender(
        "fastsoftmax", call.format("rng=rng"), names, with_u=call.format("u=u"), u_shape=(DRAFTED + 1,)
    )


def verify_draft_torch(case: Case, threads: int) -> Contender:
    """The rule of speculative decoding in PyTorch, one softmax for all positions."""
    torch = load_torch(threads)
    draft, tokens = map(torch.from_numpy, draft_of(case))
    places = torch.arange(DRAFTED)

    def verify(x: Any, temperature: float) -> tuple[int, int]:
        p, q = torch.softmax(x / temperature, -1), torch.softmax(draft / temperature, -1)
        ratio = p[places, tokens] / q[places, tokens]
        refused = (torch.rand(DRAFTED) >= ratio).nonzero()
        if len(refused) == 0:
            return DRAFTED, int(torch.multinomial(p[DRAFTED], 1))
        accepted = int(refused[0, 0])
        return accepted, int(torch.multinomial((p[accepted] - q[accepted]).clamp_(min=0), 1))

    names = {"verify": verify, "t": case.temperature}
    note = "softmax of both, ratios, the first refused, multinomial of max(p − q, 0)"
    return Contender("torch", "verify(x, t)", names, note=note, native=from_numpy)


def verify_draft_numpy(case: Case, threads: int) -> Contender:
    draft, tokens = draft_of(case)
    places = np.arange(DRAFTED)

    def verify(x: np.ndarray, temperature: float, u: np.ndarray) -> tuple[int, int]:
        p, q = softmax_formula(x, temperature), softmax_formula(draft, temperature)
        refused = u[:-1] * q[places, tokens] >= p[places, tokens]
        accepted = int(refused.argmax()) if refused.any() else DRAFTED
        weights = p[accepted]
        if accepted < DRAFTED:
            weights = np.maximum(weights - q[accepted], 0)
        cumulative = weights.cumsum(dtype=np.float64)
        return accepted, int(cumulative.searchsorted(u[-1] * cumulative[-1], side="right"))

    names = {"verify": verify, "t": case.temperature, "rng": np.random.default_rng(1)}
    return Contender(
        "numpy",
        f"verify(x, t, rng.random({DRAFTED + 1}))",
        names,
        note="softmax of both, ratios, the first refused, cumsum and searchsorted",
        with_u="verify(x, t, u)",
        u_shape=(DRAFTED + 1,),
    )


BATCHES: dict[str, Builder] = {"fastsoftmax": batch, "fastsoftmax-singles": batch_singles}
PENALIZE: dict[str, Builder] = {
    "fastsoftmax": penalize,
    "fastsoftmax-least": penalize_least,
    "llama.cpp": penalize_llama_cpp,
    "numpy": penalize_numpy,
}
TOP_LOGPROBS: dict[str, Builder] = {
    "fastsoftmax": top_logprobs,
    "torch": top_logprobs_torch,
    "numpy": top_logprobs_numpy,
}
WITHOUT_REPLACEMENT: dict[str, Builder] = {
    "fastsoftmax": without_replacement,
    "torch": without_replacement_torch,
    "numpy-gumbel": without_replacement_numpy_gumbel,
    "numpy-choice": without_replacement_numpy_choice,
}
VERIFY_DRAFT: dict[str, Builder] = {
    "fastsoftmax": verify_draft,
    "torch": verify_draft_torch,
    "numpy": verify_draft_numpy,
}

"""How each library is asked to draw from what the filters leave. The conventions are those of `rivals`.

All draw from the same distribution: temperature first, then the filters in the order of the case. Each tells its
`survivors`, which are judged; what is timed makes the draw from the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, friendly
from draw_rivals import LlamaCandidates, llama_chain
from measure import Contender
from rivals import Builder, Unsupported, from_numpy, load_fastsoftmax, load_torch

Chosen = tuple[Any, Any]


def ours(case: Case, threads: int) -> Contender:
    """fastsoftmax in a loop: the parameters are checked once, by the Sampler."""
    fastsoftmax = load_fastsoftmax(threads)
    coin = {"xtc_u": 0.0} if "xtc_threshold" in case.parameters else {}

    def survivors(x: np.ndarray) -> Chosen:
        kept = fastsoftmax.truncate(x, case.temperature, **case.parameters, **coin)
        indices = np.flatnonzero(kept > -np.inf)
        return indices, fastsoftmax.softmax(kept)[indices]

    return Contender(
        "fastsoftmax",
        "sampler(x)",
        {"sampler": fastsoftmax.Sampler(case.temperature, rng=1, **case.parameters)},
        note=f"sampler = fastsoftmax.Sampler(t, rng=rng, {keywords(case)})",
        with_u=f"sampler(x, u=u{', xtc_u=0.0' if coin else ''})",
        survivors=survivors,
    )


def ours_call(case: Case, threads: int) -> Contender:
    """fastsoftmax in a single call."""
    names = {"fastsoftmax": load_fastsoftmax(threads), "t": case.temperature, "rng": np.random.default_rng(1)}
    coin = ", xtc_u=0.0" if "xtc_threshold" in case.parameters else ""
    call = f"fastsoftmax.sample(x, t, {{}}, {keywords(case)})"
    return Contender(
        "fastsoftmax-call",
        call.format("rng=rng"),
        names,
        with_u=call.format(f"u=u{coin}"),
        survivors=ours(case, threads).survivors,
    )


def ours_friendly(case: Case, threads: int) -> Contender:
    """Our own draw from the peaked row, whatever the case's row is."""
    row = friendly(case).input(case.seed)
    mine = ours(case, threads)
    return Contender(
        "fastsoftmax-friendly",
        mine.code,
        mine.names,
        note="the same Sampler on a peaked row",
        native=lambda array: row.copy(),
        refresh=lambda native, array: np.copyto(native, row),
    )


def keywords(case: Case) -> str:
    return ", ".join(f"{name}={value}" for name, value in case.parameters.items())


def transformers_pipeline(case: Case, threads: int) -> Contender:
    """What `model.generate(do_sample=True)` does with the logits of one step."""
    torch = load_torch(threads)
    import transformers

    warpers = {
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
        "typical_p": transformers.TypicalLogitsWarper,
    }
    _only(case, warpers, "transformers")
    processors = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(case.temperature)])
    processors.extend(warpers[name](value) for name, value in case.parameters.items())
    ids = torch.zeros((1, 1024), dtype=torch.long)

    def survivors(x: Any) -> Chosen:
        scores = processors(ids, x)
        indices = (scores[0] > -torch.inf).nonzero()[:, 0]
        return indices.numpy(), torch.softmax(scores, -1)[0, indices].numpy()

    return Contender(
        "transformers",
        "torch.multinomial(torch.softmax(processors(ids, x), -1), 1)",
        {"torch": torch, "processors": processors, "ids": ids},
        note=f"processors: {', '.join(type(one).__name__ for one in processors)}; x has a batch of one",
        native=lambda array: from_numpy(array)[None, :],
        survivors=survivors,
    )


def torch_by_hand(case: Case, threads: int) -> Contender:
    """The shortest idiomatic PyTorch: topk where there is a top_k, else a sort; the draw among what is left."""
    torch = load_torch(threads)
    choose, note = _torch_choice(torch, case)

    def draw(x: Any) -> Any:
        indices, weights = choose(x)
        return indices[torch.multinomial(weights, 1)]

    def survivors(x: Any) -> Chosen:
        indices, weights = choose(x)
        kept = weights > 0
        return indices[kept].numpy(), (weights[kept] / weights.sum()).numpy()

    names = {"draw": draw, "t": case.temperature}
    return Contender("torch", "draw(x)", names, note=note, native=from_numpy, survivors=survivors)


def _torch_choice(torch: Any, case: Case) -> tuple[Callable[[Any], Chosen], str]:
    temperature, k, p = case.temperature, case.parameters.get("top_k"), case.parameters.get("top_p")
    _only(case, ("top_k", "top_p", "min_p"), "PyTorch by hand")

    def by_rank(x: Any) -> Chosen:
        values, indices = torch.topk(x, k) if k else torch.sort(x, descending=True)
        weights = torch.softmax(values / temperature, -1)
        if p:
            weights[weights.cumsum(-1) - weights >= p] = 0
        return indices, weights

    everything = torch.arange(case.longest)

    def by_threshold(x: Any) -> Chosen:
        weights = torch.softmax(x / temperature, -1)
        weights[weights < case.parameters["min_p"] * weights.max()] = 0
        return everything, weights

    if "min_p" in case.parameters:
        return by_threshold, "softmax, what is below min_p × its maximum set to 0, multinomial"
    first = "topk" if k else "sort"
    cut = ", cumsum, what is beyond set to 0" if p else ""
    return by_rank, f"{first}, softmax of the values{cut}, multinomial, index"


def numpy_by_hand(case: Case, threads: int) -> Contender:
    """np.partition for top_k, argsort for top_p, comparison for min_p; then the inverse of the cumulative sum."""
    _only(case, ("top_k", "top_p", "min_p"), "NumPy by hand")
    parameters = case.parameters
    temperature = np.float32(case.temperature)

    def choose(x: np.ndarray) -> Chosen:
        if "min_p" in parameters:
            weights = np.exp((x - x.max()) / temperature)
            kept = np.flatnonzero(weights >= parameters["min_p"])
            return kept, weights[kept]
        indices = np.arange(x.size)
        if "top_k" in parameters:
            place = x.size - int(parameters["top_k"])
            indices = np.flatnonzero(x >= np.partition(x, place)[place])
        if "top_p" in parameters:
            indices = indices[np.argsort(-x[indices])]
        weights = np.exp((x[indices] - x[indices].max()) / temperature)
        if "top_p" in parameters:
            cumulative = weights.cumsum(dtype=np.float64)
            count = int(cumulative.searchsorted(parameters["top_p"] * cumulative[-1])) + 1
            indices, weights = indices[:count], weights[:count]
        return indices, weights

    def draw(x: np.ndarray, u: float) -> Any:
        indices, weights = choose(x)
        cumulative = weights.cumsum(dtype=np.float64)
        return indices[cumulative.searchsorted(u * cumulative[-1], side="right")]

    def survivors(x: np.ndarray) -> Chosen:
        indices, weights = choose(x)
        return indices, weights / weights.sum(dtype=np.float64)

    return Contender(
        "numpy",
        "draw(x, rng.random())",
        {"draw": draw, "rng": np.random.default_rng(1)},
        note="partition (top_k), argsort and cumsum (top_p), exp, cumsum, searchsorted",
        survivors=survivors,
    )


def numpy_max(case: Case, threads: int) -> Contender:
    """The least that anyone has to do: read the row once."""
    return Contender("numpy-max", "x.max()", note="draws nothing: the time of one read")


def llama_cpp_filters(case: Case, threads: int, copy: bool = False) -> Contender:
    """llama.cpp's chain: top_k, temperature, the other filters, dist. `copy`: its candidate array filled in time.

    llama.cpp's own default has the temperature last; here it comes before whatever depends on it, so that the
    chain draws from the distribution that everybody draws from. Its loop that fills the array is C++; what
    NumPy does here in its place takes about a third longer, and no goal is about it.
    """
    import llama_cpp

    filters = {
        "top_k": lambda value: llama_cpp.llama_sampler_init_top_k(int(value)),
        "top_p": lambda value: llama_cpp.llama_sampler_init_top_p(value, 1),
        "min_p": lambda value: llama_cpp.llama_sampler_init_min_p(value, 1),
        "typical_p": lambda value: llama_cpp.llama_sampler_init_typical(value, 1),
        "top_n_sigma": lambda value: llama_cpp.llama_sampler_init_top_n_sigma(value),
        "xtc_threshold": lambda value: llama_cpp.llama_sampler_init_xtc(
            case.parameters["xtc_probability"], value, 1, 1
        ),
    }
    given = {name: value for name, value in case.parameters.items() if name != "xtc_probability"}
    _only(case, (*filters, "xtc_probability"), "llama.cpp")
    before = [filters[name](value) for name, value in given.items() if name == "top_k"]
    after = [filters[name](value) for name, value in given.items() if name != "top_k"]
    chain = llama_chain(
        llama_cpp,
        *before,
        llama_cpp.llama_sampler_init_temp(case.temperature),
        *after,
        llama_cpp.llama_sampler_init_dist(1),
    )
    apply = llama_cpp.llama_sampler_apply

    def draw(x: LlamaCandidates) -> int:
        apply(chain, x.reference)
        return x.drawn()

    def fill_and_draw(x: LlamaCandidates) -> int:
        x.refresh(x.logits)
        return draw(x)

    def survivors(x: LlamaCandidates) -> Chosen:
        draw(x)
        left = x.left()
        # top_n_sigma leaves what it drops, with a logit of −inf.
        left = left[left["p"] > 0]
        return left["id"], left["p"] / left["p"].sum(dtype=np.float64)

    with_copy = {"code": "fill_and_draw(x)", "names": {"fill_and_draw": fill_and_draw}}
    without = {"code": "draw(x)", "names": {"draw": draw}, "refresh": LlamaCandidates.refresh}
    filled = "with the filling of the candidate array" if copy else "on a ready candidate array"
    return Contender(
        "llama.cpp-copy" if copy else "llama.cpp",
        note=f"llama_sampler_apply of the chain {', '.join(_links(given))} {filled}",
        native=lambda array: LlamaCandidates(llama_cpp, array),
        survivors=survivors,
        **(with_copy if copy else without),
    )


def _links(given: dict[str, float]) -> list[str]:
    first = [name for name in given if name == "top_k"]
    return [*first, "temp", *(name for name in given if name != "top_k"), "dist"]


def llama_cpp_with_copy(case: Case, threads: int) -> Contender:
    return llama_cpp_filters(case, threads, copy=True)


def _only(case: Case, known: Any, library: str) -> None:
    """Unsupported unless the case asks for nothing but the `known` filters."""
    for name in case.parameters:
        if name not in known:
            raise Unsupported(f"{library} has no {name}")


FILTER: dict[str, Builder] = {
    "fastsoftmax": ours,
    "fastsoftmax-call": ours_call,
    "fastsoftmax-friendly": ours_friendly,
    "transformers": transformers_pipeline,
    "torch": torch_by_hand,
    "numpy": numpy_by_hand,
    "numpy-max": numpy_max,
    "llama.cpp": llama_cpp_filters,
    "llama.cpp-copy": llama_cpp_with_copy,
}

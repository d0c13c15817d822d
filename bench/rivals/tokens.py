"""Choosing the next token: filters, penalties, log-probabilities, drafts.

Everybody draws from the same distribution: temperature first, then the filters. Each has `survivors`, the kept set that
its timed draw is made from.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from cases import Case, context, draft
from timing import Contender

import fastsoftmax

from . import Unsupported, contender, from_numpy, load_torch, softmax_formula, with_torch

Chosen = tuple[Any, Any]


def only(case: Case, known: Iterable[str], library: str) -> None:
    """Raise Unsupported if the case has parameters other than the known ones."""
    for name in case.options:
        if name not in known:
            raise Unsupported(f"{library} has no {name}")


def filter_sampler(case: Case) -> Contender:
    """fastsoftmax in a loop: the Sampler checks its parameters once."""
    coin = {"xtc_u": 0.0} if "xtc_threshold" in case.options else {}

    def survivors(x: np.ndarray) -> Chosen:
        kept = fastsoftmax.truncate(x, case.temperature, **case.options, **coin)
        indices = np.flatnonzero(kept > -np.inf)
        return indices, fastsoftmax.softmax(kept)[indices]

    return contender(
        case,
        "sampler(x)",
        names={"sampler": fastsoftmax.Sampler(case.temperature, rng=1, **case.options)},
        with_u=f"sampler(x, u=u{', xtc_u=0.0' if coin else ''})",
        survivors=survivors,
    )


def filter_call(case: Case) -> Contender:
    """fastsoftmax in a single call."""
    coin = ", xtc_u=0.0" if "xtc_threshold" in case.options else ""
    call = f"fastsoftmax.sample(x, t, {{}}{case.keywords})"
    with_u = call.format(f"u=u{coin}")
    return contender(case, call.format("rng=rng"), with_u=with_u, survivors=filter_sampler(case).survivors)


def friendly(case: Case) -> Contender:
    """Our own call on the peaked row or at the smallest vocabulary, whatever the input of the case."""
    easier = case.friendly()
    row, mine = easier.input(), (penalize if case.operation == "penalize" else filter_sampler)(easier)
    return replace(
        mine,
        native=lambda array: row.copy(),
        refresh=lambda native, array: np.copyto(native, row),
        with_u=None,
        survivors=None,
    )


def transformers(case: Case) -> Contender:
    """What `model.generate(do_sample=True)` does with the logits of one step."""
    torch = load_torch(case)
    import transformers

    warpers = {
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
        "typical_p": transformers.TypicalLogitsWarper,
    }
    only(case, warpers, "transformers")
    processors = transformers.LogitsProcessorList([transformers.TemperatureLogitsWarper(case.temperature)])
    processors.extend(warpers[name](value) for name, value in case.options.items())
    ids = torch.zeros((1, 1024), dtype=torch.long)

    def survivors(x: Any) -> Chosen:
        scores = processors(ids, x)
        indices = (scores[0] > -torch.inf).nonzero()[:, 0]
        return indices.numpy(), torch.softmax(scores, -1)[0, indices].numpy()

    return with_torch(
        case,
        "torch.multinomial(torch.softmax(processors(ids, x), -1), 1)",
        names={"processors": processors, "ids": ids},
        native=lambda array: from_numpy(array)[None, :],
        survivors=survivors,
    )


def filter_torch(case: Case) -> Contender:
    """The shortest idiomatic PyTorch: topk where there is a top_k, else a sort; the draw among what is left."""
    torch, options = load_torch(case), case.options
    only(case, ("top_k", "top_p", "min_p"), "PyTorch by hand")
    everything = torch.arange(case.shape[-1])

    def choose(x: Any) -> Chosen:
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

    return with_torch(case, "draw(x)", names={"draw": draw}, survivors=normalised(choose))


def normalised(choose: Callable[[Any], Chosen]) -> Callable[[Any], Chosen]:
    """The indices of positive weights, and their probabilities."""

    def survivors(x: Any) -> Chosen:
        indices, weights = (np.asarray(part) for part in choose(x))
        return indices[weights > 0], weights[weights > 0] / weights.sum(dtype=np.float64)

    return survivors


def filter_numpy(case: Case) -> Contender:
    """np.partition for top_k, argsort for top_p, comparison for min_p; then the inverse of the cumulative sum."""
    only(case, ("top_k", "top_p", "min_p"), "NumPy by hand")
    options, temperature = case.options, np.float32(case.temperature)

    def choose(x: np.ndarray) -> Chosen:
        if "min_p" in options:
            weights = np.exp((x - x.max()) / temperature)
            kept = np.flatnonzero(weights >= options["min_p"])
            return kept, weights[kept]
        indices = np.arange(x.size)
        if "top_k" in options:
            place = x.size - options["top_k"]
            indices = np.flatnonzero(x >= np.partition(x, place)[place])
        if "top_p" in options:
            indices = indices[np.argsort(-x[indices])]
        weights = np.exp((x[indices] - x[indices].max()) / temperature)
        if "top_p" in options:
            cumulative = weights.cumsum(dtype=np.float64)
            count = int(cumulative.searchsorted(options["top_p"] * cumulative[-1])) + 1
            indices, weights = indices[:count], weights[:count]
        return indices, weights

    def draw(x: np.ndarray, u: float) -> Any:
        indices, weights = choose(x)
        cumulative = weights.cumsum(dtype=np.float64)
        return indices[cumulative.searchsorted(u * cumulative[-1], side="right")]

    return contender(case, "draw(x, rng.random())", names={"draw": draw}, survivors=normalised(choose))


class LlamaCandidates:
    """llama.cpp's candidate array (llama_token_data_array) on NumPy memory."""

    def __init__(self, library: Any, array: np.ndarray) -> None:
        fields = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        if fields.itemsize != ctypes.sizeof(library.llama_token_data):
            raise RuntimeError("llama_token_data does not have the layout id, logit, p")
        empty = np.zeros(array.size, fields)
        empty["id"] = np.arange(array.size, dtype=np.int32)
        self.tokens = np.empty_like(empty)
        self._bytes, self._empty_bytes = self.tokens.view(np.uint8), empty.view(np.uint8)
        self.array = library.llama_token_data_array()
        self._data = self.tokens.ctypes.data_as(ctypes.POINTER(library.llama_token_data))
        self.reference = ctypes.byref(self.array)
        self.refresh(array)

    def refresh(self, array: np.ndarray) -> None:
        # Bytes first and then one field: half the time of three fields, and near that of llama.cpp's loop.
        self._bytes[:] = self._empty_bytes
        self.tokens["logit"] = array
        # XTC drops entries by moving `data` on.
        self.array.data, self.array.size = self._data, array.size
        self.array.selected, self.array.sorted = -1, False

    def left(self) -> np.ndarray:
        """The candidates that a chain leaves."""
        moved = ctypes.addressof(self.array.data.contents) - self.tokens.ctypes.data
        return self.tokens[moved // self.tokens.itemsize :][: self.array.size]


def llama_chain(case: Case, links: Callable[[Any], list[Any]]) -> Contender:
    """A draw by a sampler chain of these links and dist; the candidate array is filled outside the timed part."""
    import llama_cpp

    if case.dtype != "float32" or len(case.shape) != 1:
        raise Unsupported("the sampler takes one row of float32")
    chain = _chain(llama_cpp, [*links(llama_cpp), llama_cpp.llama_sampler_init_dist(1)])
    apply = llama_cpp.llama_sampler_apply

    def draw(x: LlamaCandidates) -> int:
        apply(chain, x.reference)
        return int(x.array.data[x.array.selected].id)

    def survivors(x: LlamaCandidates) -> Chosen:
        draw(x)
        left = x.left()
        left = left[left["p"] > 0]  # top_n_sigma leaves what it drops, with a logit of −inf
        return left["id"], left["p"] / left["p"].sum(dtype=np.float64)

    return contender(
        case,
        "draw(x)",
        names={"draw": draw},
        native=lambda array: LlamaCandidates(llama_cpp, array),
        refresh=LlamaCandidates.refresh,
        survivors=survivors if case.operation == "filter" else None,
    )


def _chain(library: Any, links: list[Any]) -> Any:
    chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
    for link in links:
        library.llama_sampler_chain_add(chain, link)
    return chain


def filter_llama(case: Case) -> Contender:
    """llama.cpp's chain: top_k, temperature, the other filters, dist.

    Its own default has the temperature last, which draws from another distribution. top_k comes first: the
    set is the same, and 50 numbers are divided instead of all.
    """
    known = ("top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc_threshold", "xtc_probability")
    only(case, known, "llama.cpp")
    given = {name: value for name, value in case.options.items() if name != "xtc_probability"}

    def links(library: Any) -> list[Any]:
        make = {
            "top_k": library.llama_sampler_init_top_k,
            "top_p": lambda p: library.llama_sampler_init_top_p(p, 1),
            "min_p": lambda p: library.llama_sampler_init_min_p(p, 1),
            "typical_p": lambda p: library.llama_sampler_init_typical(p, 1),
            "top_n_sigma": library.llama_sampler_init_top_n_sigma,
            "xtc_threshold": lambda t: library.llama_sampler_init_xtc(case.options["xtc_probability"], t, 1, 1),
        }
        made = [make[name](value) for name, value in given.items()]
        made.insert("top_k" in given, library.llama_sampler_init_temp(case.temperature))
        return made

    return llama_chain(case, links)


def penalize(case: Case) -> Contender:
    names = {"tokens": context(case.shape[-1])}
    code = f"fastsoftmax.penalize(x, tokens{case.keywords}, out=x)"
    return contender(case, code, names=names)


def penalize_numpy(case: Case) -> Contender:
    only(case, ("repetition", "frequency", "presence"), "NumPy by hand")
    repetition, frequency, presence = case.options.values()

    def penalized(x: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        ids, counts = np.unique(tokens, return_counts=True)
        seen = x[ids]
        seen = np.where(seen <= 0, seen * repetition, seen / repetition)
        x[ids] = seen - (counts * frequency + presence)
        return x

    names = {"penalized": penalized, "tokens": context(case.shape[-1])}
    return contender(case, "penalized(x, tokens)", names=names)


def penalize_llama(case: Case) -> Contender:
    """llama.cpp's penalties look at every candidate."""
    import llama_cpp

    only(case, ("repetition", "frequency", "presence"), "llama.cpp without a model")
    init, tokens = llama_cpp.llama_sampler_init_penalties, context(case.shape[-1])
    # Some versions take the size of the vocabulary first.
    first = (case.shape[-1], tokens.size) if len(init.argtypes) == 5 else (tokens.size,)
    chain = _chain(llama_cpp, [init(*first, *case.options.values())])
    for token in tokens.tolist():
        llama_cpp.llama_sampler_accept(chain, token)

    def penalized(x: LlamaCandidates) -> LlamaCandidates:
        llama_cpp.llama_sampler_apply(chain, x.reference)
        return x

    return contender(
        case,
        "penalized(x)",
        names={"penalized": penalized},
        native=lambda array: LlamaCandidates(llama_cpp, array),
        refresh=LlamaCandidates.refresh,
        result=lambda x: x.tokens["logit"].copy(),
    )


def _stacked(pair: Any) -> np.ndarray:
    """Log-probabilities and indices as one float64 array."""
    return np.stack([np.asarray(part, np.float64) for part in pair[:2]])


def without_replacement(case: Case) -> Contender:
    call = f"fastsoftmax.sample_without_replacement(x, {case.options['k']}, t, {{}})"
    return contender(case, call.format("rng=rng"), with_u=call.format("u=u"))


def verify_draft(case: Case) -> Contender:
    names = dict(zip(("draft", "tokens"), draft(case), strict=True))
    call = "fastsoftmax.verify_draft(x, draft, tokens, t, {})"
    return contender(case, call.format("rng=rng"), names=names, with_u=call.format("u=u"))


def verify_numpy(case: Case) -> Contender:
    logits, tokens = draft(case)
    places = np.arange(tokens.size)

    def verify(x: np.ndarray, temperature: float, u: np.ndarray) -> tuple[int, int]:
        p, q = softmax_formula(x, temperature), softmax_formula(logits, temperature)
        rejected = u[:-1] * q[places, tokens] >= p[places, tokens]
        accepted = int(rejected.argmax()) if rejected.any() else tokens.size
        weights = p[accepted] if accepted == tokens.size else np.maximum(p[accepted] - q[accepted], 0)
        cumulative = weights.cumsum(dtype=np.float64)
        return accepted, int(cumulative.searchsorted(u[-1] * cumulative[-1], side="right"))

    code = f"verify(x, t, rng.random({len(tokens) + 1}))"
    return contender(case, code, names={"verify": verify}, with_u="verify(x, t, u)")


RIVALS = {
    "filter": {
        "fastsoftmax": filter_sampler,
        "fastsoftmax-call": filter_call,
        "fastsoftmax-friendly": friendly,
        "transformers": transformers,
        "torch": filter_torch,
        "numpy": filter_numpy,
        "numpy-max": lambda case: contender(case, "x.max()"),
        "llama.cpp": filter_llama,
    },
    "penalize": {
        "fastsoftmax": penalize,
        "fastsoftmax-least": friendly,
        "llama.cpp": penalize_llama,
        "numpy": penalize_numpy,
    },
    "top-logprobs": {
        "fastsoftmax": lambda case: contender(
            case, f"fastsoftmax.top_logprobs(x, {case.options['k']}, t)", result=_stacked
        ),
        "torch": lambda case: with_torch(
            case, f"torch.log_softmax(x / t, -1).topk({case.options['k']})", result=_stacked
        ),
    },
    "without-replacement": {
        "fastsoftmax": without_replacement,
        "torch": lambda case: with_torch(case, f"torch.multinomial(torch.softmax(x / t, -1), {case.options['k']})"),
    },
    "verify-draft": {"fastsoftmax": verify_draft, "numpy": verify_numpy},
}

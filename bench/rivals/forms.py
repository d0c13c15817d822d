"""Every form of a call: other axes, dtypes and layouts, a temperature for each row, masks, biases, log-probabilities.

In a statement `temperatures` has one number for each row (rivals find them in `t`, as a column), `allowed` is a mask
and `forbidden` its opposite, `added` a bias, `given` one uniform for each draw.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case
from timing import Contender

import fastsoftmax

from . import Builder, call, contender, drawing, keywords, softmax_formula, with_torch
from .draw import numpy_cdf
from .softmax import jax, mkl, onnxruntime, openvino, scipy, tract
from .tokens import vllm_names


def spaced(array: np.ndarray) -> np.ndarray:
    """The same numbers, as every other entry of an array twice as wide."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def segmented_softmax(x: np.ndarray, temperature: float, segments: fastsoftmax.SegmentedRows) -> np.ndarray:
    """NumPy's lines for rows of different lengths, none of which is empty."""
    starts, lengths = segments.offsets[:-1], segments.lengths
    weights = np.exp((x - np.repeat(np.maximum.reduceat(x, starts), lengths)) / temperature)
    return np.asarray(weights / np.repeat(np.add.reduceat(weights, starts), lengths))


def scattered_softmax(x: Any, temperature: float, ids: Any, rows: int) -> Any:
    """PyTorch's, as torch_geometric has it."""
    largest = x.new_full((rows,), -np.inf).scatter_reduce(0, ids, x, "amax")
    weights = ((x - largest[ids]) / temperature).exp()
    return weights / x.new_zeros(rows).index_add(0, ids, weights)[ids]


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "strided": spaced,
    "list": np.ndarray.tolist,
    "segments": np.ravel,
}
# How a form is written: in an argument of ours, in the logits of NumPy and of PyTorch.
OURS = {"mask": ", mask=allowed", "bias": ", bias={{3: 1.0}}", "logprob": ", return_logprob=True"}
NUMPY = {"list": "np.array(x)", "mask": "np.where(allowed, x, -np.inf)", "bias": "(x + added)"}
TORCH = {
    "list": "torch.tensor(x, dtype=torch.float64)",
    "mask": "x.masked_fill(forbidden, -torch.inf)",
    "bias": "(x + added)",
}


def fields_of(case: Case) -> dict[str, Any]:
    """The names that statements on NumPy arrays use besides x, and the layout of x."""
    draws, t, added = case.options.get("size") or case.shape[:-1] or None, case.temperatures(), case.added()
    names = {
        "t": np.float32(t) if case.form == "np.float32" else t,
        "temperatures": np.ravel(t),
        "added": added,
        "allowed": np.isfinite(added),
        "forbidden": np.isinf(added),
        "given": np.random.default_rng(3).random(draws),
        "rows": draws,
        "chosen": case.chosen(),
        "softmax": softmax_formula,
    }
    if case.form == "segments":
        names["segments"] = fastsoftmax.SegmentedRows.from_lengths(np.full(case.shape[0], case.shape[1]))
        names["segmented_softmax"] = segmented_softmax
        names["ids"] = np.repeat(np.arange(case.shape[0]), case.shape[1])
    return {"names": names, **({"native": LAYOUTS[case.form]} if case.form in LAYOUTS else {})}


def temperature(case: Case) -> str:
    return "temperatures" if case.form == "temperatures" else "t"


def ours(case: Case, name: str) -> Contender:
    owner = "segments" if case.form == "segments" else "fastsoftmax"
    code = f"{owner}.{name}(x, {temperature(case)}{keywords(case)})"
    return contender(case, code, code, **fields_of(case))


def numpy(case: Case) -> Contender:
    code = f"softmax({NUMPY.get(case.form, 'x')}, t{keywords(case)})"
    if case.form == "segments":
        code = "segmented_softmax(x, t, segments)"
    return contender(case, code, code, **fields_of(case))


def scipy_function(case: Case, name: str) -> Contender:
    return scipy(case, name, f"{NUMPY.get(case.form, 'x')} / t", **fields_of(case))


def torch(case: Case, code: str, judged: bool = False, **names: Any) -> Contender:
    """A statement of PyTorch with {x} for the logits of the form; the arrays that it names become tensors."""
    import torch

    fields = fields_of(case)
    tensors = {key: torch.from_numpy(value) for key, value in fields["names"].items() if isinstance(value, np.ndarray)}
    arranged = LAYOUTS.get(case.form, np.asarray)
    native = arranged if case.form == "list" else lambda array: torch.from_numpy(arranged(array))
    code = code.format(x=TORCH.get(case.form, "x"))
    return with_torch(case, code, code if judged else None, names={**tensors, **names}, native=native)


def torch_function(case: Case, name: str) -> Contender:
    """Along one axis, or along axes 1 and 3 of four, which PyTorch takes as one only after a transposition."""
    axis = case.options.get("axis", -1)
    if case.form == "segments":
        return torch(case, f"scattered_softmax(x, t, ids, {case.shape[0]})", True, scattered_softmax=scattered_softmax)
    joined = f"torch.{name}({{x}}.transpose(1, 2).flatten(2) / t, -1).unflatten(2, x.shape[1::2]).transpose(1, 2)"
    return torch(case, f"torch.{name}({{x}} / t, {axis})" if isinstance(axis, int) else joined, judged=True)


def functions(name: str, graph: str = "") -> dict[str, Builder]:
    """softmax, log_softmax or logsumexp of each library; `graph` is what ONNX calls it."""
    by_name = {
        "fastsoftmax": ours,
        "torch": torch_function,
        "openvino": openvino,
        "scipy": scipy_function,
        "jax": jax,
    }
    found: dict[str, Builder] = {library: functools.partial(build, name=name) for library, build in by_name.items()}
    of_graph = {library.__name__: functools.partial(library, name=graph) for library in (onnxruntime, tract)}
    return {**found, **of_graph, "numpy": numpy, "mkl": mkl}


def torch_distribution(case: Case, method: str) -> Contender:
    """entropy() or log_prob(value) of torch's Categorical, which normalises its logits when it is made."""
    import torch as library

    return torch(
        case, f"Categorical(logits={{x}} / t).{method}", judged=True, Categorical=library.distributions.Categorical
    )


def log_prob(case: Case) -> Contender:
    code = "fastsoftmax.log_prob(x, chosen, t)"
    return contender(case, code, code, **fields_of(case))


def sample(case: Case) -> Contender:
    call = f"fastsoftmax.sample(x, {temperature(case)}{keywords(case)}{OURS.get(case.form, '')}, {{}})"
    part = "[0]" if case.form == "logprob" else ""
    return drawing(call, "u=given" if case.form == "u" else "rng=rng", part, **fields_of(case)["names"])(case)


def sampler(case: Case) -> Contender:
    names = {**fields_of(case)["names"], "sampler": fastsoftmax.Sampler(case.temperature, rng=1)}
    answer = "[sampler(x, mask=allowed, u=v) for v in u]"
    return contender(case, "sampler(x, mask=allowed)", answer, names=names)


def torch_draw(case: Case) -> Contender:
    count = f"{case.options['size']}, replacement=True" if "size" in case.options else "1"
    return torch(case, f"torch.multinomial(torch.softmax({{x}} / t, -1), {count})")


def vllm_draw(case: Case) -> Contender:
    return torch(case, "sampler({x}.div_(t), generators, k, p)[0]", **vllm_names(case))


def torch_logprob(case: Case) -> Contender:
    import torch as library

    def draw(x: Any, t: float) -> tuple[Any, Any]:
        logprobs = library.log_softmax(x / t, -1)
        index = library.multinomial(logprobs.exp(), 1)
        return index, logprobs.gather(-1, index)

    return torch(case, "draw(x, t)", draw=draw)


def numpy_draw(case: Case) -> Contender:
    uniforms = "given" if case.form == "u" else "rng.random(rows)"
    return numpy_cdf(case, NUMPY.get(case.form, "x"), uniforms, **fields_of(case)["names"])


def without_replacement(case: Case) -> Contender:
    ours = f"fastsoftmax.sample_without_replacement(x, {case.options['k']}, t"
    return contender(case, f"{ours}, rng=rng)", f"{ours}, u=u)")


_DRAWS: dict[str, Builder] = {
    "torch": lambda case: torch_logprob(case) if case.form == "logprob" else torch_draw(case),
    "numpy": numpy_draw,
    "vllm": vllm_draw,
}
RIVALS: dict[str, dict[str, Builder]] = {
    "forms-softmax": functions("softmax", "Softmax"),
    "forms-log_softmax": functions("log_softmax", "LogSoftmax"),
    "forms-logsumexp": functions("logsumexp"),
    "forms-entropy": {
        "fastsoftmax": functools.partial(ours, name="entropy"),
        "torch": functools.partial(torch_distribution, method="entropy()"),
    },
    "forms-log_prob": {
        "fastsoftmax": log_prob,
        "torch": functools.partial(torch_distribution, method="log_prob(chosen)"),
    },
    "forms-sample": {"fastsoftmax": sample, **_DRAWS},
    "forms-sampler": {"fastsoftmax": sampler, **_DRAWS},
    "forms-without-replacement": {
        "fastsoftmax": without_replacement,
        "torch": lambda case: torch(case, "torch.multinomial(torch.softmax(x / t, -1), k)"),
        "numpy": call("rng.choice(x.size, k, replace=False, p=softmax(x, t))", softmax=softmax_formula),
    },
}

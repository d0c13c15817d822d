"""What is measured: a table of cases, their inputs, and what is expected of them (GOALS)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Exact in float32, so that no library loses accuracy by rounding the temperature.
T, T_TOKENS = float(np.float32(0.7)), float(np.float32(0.8))
# Standard deviations of the logits; with PEAKED a nucleus of 0.95 has about a hundred of 128,256 entries.
SPREAD, PEAKED = 3.0, 4.0
VOCABULARIES = (32_000, 65_536, 128_256)
VOCABULARY = VOCABULARIES[-1]
ONE_ROW = (10, 64, 256, 1_024, 4_096, 16_384, *VOCABULARIES, 1_048_576)
SHORT = (10, 64, 256)
BLOCKS = ((4_096, 4), (4_096, 16), (4_096, 64), (64, 256))
BATCHES = ((4_096, 6), (4_096, 64), (32, 32_000))
MANY, MANY_ROWS = 1_000_000, (10, 100, 1_000, 10_000, 100_000, 1_000_000)
SEEDED, REJECTED = 1_000, 5  # draws of a seed that are judged; those by rejection are slow in the reference


@dataclass
class Case:
    """One operation on one input, and the rivals that do the same. README.md explains the operations."""

    name: str
    operation: str
    shape: tuple[int, ...]
    rivals: list[str]
    dtype: str = "float32"
    data: str = "logits"
    temperature: float = T
    row: str = "normal"
    form: str = ""
    spread: float = SPREAD
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 1

    def input(self) -> np.ndarray:
        """The same array whichever other cases are measured."""
        rng = np.random.default_rng([0, zlib.crc32(self.name.encode())])
        if self.row != "normal":
            return ROWS[self.row](self.shape[-1], rng).astype(self.dtype)
        values = rng.normal(0.0, self.spread, self.shape)
        if self.data == "probs":
            values = np.exp(values)
            values /= values.sum(axis=-1, keepdims=True)
        return np.asarray(values, self.dtype)

    def temperatures(self) -> Any:
        """T; with one for each row, a column of them, which float32 holds exactly."""
        if self.form != "temperatures":
            return self.temperature
        return np.linspace(0.5, 1.5, self.shape[0], dtype=np.float32)[:, None]

    def added(self) -> np.ndarray:
        """What the form adds to a row of logits: its bias, or -inf where its mask forbids an entry."""
        place = np.arange(self.shape[-1])
        if self.form == "mask":
            return np.where(place % 4 == 3, np.float32(-np.inf), np.float32(0))
        return np.asarray((place == 3) & (self.form == "bias"), np.float32)

    def chosen(self) -> np.ndarray:
        """An entry of each row."""
        return np.random.default_rng(4).integers(0, max(self.shape[-1], 1), self.shape[:-1])


def _case(operation: str, shape: tuple[int, ...], rivals: str, kind: str = "", **fields: Any) -> Case:
    dtype = fields.get("dtype", "float32").replace("float", "f")
    name = "-".join(filter(None, [operation, kind, dtype, "x".join(map(str, shape))]))
    return Case(name, operation, shape, rivals.split(), **fields)


def all_cases() -> list[Case]:
    """Every case, in the order of the results."""
    others = "numpy jax"
    without_onednn = f"torch onnxruntime scipy mkl {others}"
    softmax, draw = f"fastsoftmax-new onednn openvino tract {without_onednn}", "torch vllm numpy-cdf numpy-gumbel"
    shapes = [*((n,) for n in ONE_ROW), *((32, n) for n in VOCABULARIES), *BLOCKS]
    cases = [_case("softmax", shape, softmax) for shape in shapes]
    cases += [_case("softmax", shape, without_onednn, dtype="float64") for shape in ((VOCABULARY,), (4_096, 16))]
    cases += [_case("sample", (n,), f"{draw} numpy-choice llama.cpp") for n in ONE_ROW]
    cases += [_case("sample", (4_096, n), draw) for n in (16, 64, 256)]
    rivals, probs = "classic numpy-choice torch", {"dtype": "float64", "data": "probs"}
    cases += [_case("sampler", (n,), rivals, "probs", **probs) for n in SHORT]
    for operation in ("overhead", "c-api-softmax", "c-api-draw"):
        cases += [_case(operation, (n,), "fastsoftmax-kernel") for n in SHORT]
    cases.append(_case("accuracy", (), f"{without_onednn} onednn openvino tract"))
    cases.append(_case("accuracy", (), without_onednn, dtype="float64"))
    cases += [_case("many", (n,), "numpy-choice") for n in MANY_ROWS]
    cases += [_case("categorical", (n,), "numpy-choice") for n in MANY_ROWS[:4]]
    cases += [_case("seeded", (n,), "numpy-choice torch") for n in MANY_ROWS[:4]]
    cases += [_case("rejection", (n,), "fastsoftmax-inversion max torch numpy-choice") for n in VOCABULARIES[1:]]
    for operation in ("threads-softmax", "threads-sample"):
        shapes = [(64, 256), (4_096, 16), (VOCABULARY,), (32, 4_096), (8, 32_000), (32, VOCABULARY), (4_096, 4_096)]
        cases += [_case(operation, shape, "fastsoftmax-alone") for shape in shapes]
    return cases + token_cases() + form_cases()


def token_cases() -> list[Case]:
    """Choosing the next token: filters on several rows, then what else a decoding loop does."""

    def case(operation: str, kind: str, rivals: str, *shape: int, row: str = "normal", **options: Any) -> Case:
        common = {"temperature": T_TOKENS, "spread": PEAKED, "row": row, "options": options}
        return _case(operation, shape or (VOCABULARY,), rivals, kind, **common)

    few = "fastsoftmax-call llama.cpp"
    every = f"{few} transformers torch numpy"
    cases = [
        case("filter", "top_k", f"{every} vllm numpy-max", top_k=50),
        case("filter", "top_k-top_p", f"{every} vllm", top_k=50, top_p=0.95),
        case("filter", "top_p", f"{every} vllm", top_p=0.95),
        case("filter", "min_p", every, min_p=0.05),
        case("filter", "typical_p", f"{few} transformers", typical_p=0.95),
    ]
    for option in ({"top_k": 50}, {"top_p": 0.95}):
        for row in ROWS:
            kind = f"{next(iter(option))}-{row}"
            rivals = every if kind in ("top_p-flat", "top_p-constant") else ""
            cases.append(case("filter", kind, f"fastsoftmax-friendly {rivals}", row=row, **option))
    cases.append(case("penalize", "", "llama.cpp numpy", repetition=1.1, frequency=0.1, presence=0.1))
    cases.append(case("top-logprobs", "", "torch numpy", k=20))
    cases.append(case("verify-draft", "", "torch numpy", 5, VOCABULARY))
    return cases


def form_cases() -> list[Case]:
    """The ways of asking, each beside the rivals that can be asked the same."""

    def case(operation: str, form: str, rivals: str, shape: tuple[int, ...], **fields: Any) -> Case:
        axis = fields.get("options", {}).get("axis", ())
        kind = "_".join(map(str, [form, *np.atleast_1d(axis)]))
        return _case(f"forms-{operation}", shape, rivals, kind, form=form, **fields)

    logs, softmax = "torch onnxruntime openvino tract scipy jax", _LIBRARIES

    def along(shape: tuple[int, ...], axis: Any, rivals: str = softmax) -> Case:
        return case("softmax", "axis", rivals, shape, options={"axis": axis})

    cases = []
    for shape in ((64,), *BATCHES):
        draw = "torch numpy vllm" if len(shape) > 1 else "torch numpy"
        cases.append(case("softmax", "", softmax, shape))
        cases.append(case("log_softmax", "", logs, shape))
        cases.append(case("logsumexp", "", "torch scipy jax", shape))
        cases += [case(name, "", "torch", shape) for name in ("entropy", "log_prob")]
        cases += [case("sample", form, draw, shape) for form in ("", "u", "mask", "bias")]
        cases.append(case("sample", "logprob", "torch", shape))
    for shape in BATCHES:
        cases += [along(shape, 0), along(shape[::-1], 0)]
        cases += [case(name, "temperatures", "torch scipy jax", shape) for name in ("softmax", "log_softmax")]
        cases.append(case("sample", "temperatures", "torch numpy vllm", shape))
        cases.append(case("softmax", "", "torch tract scipy jax", shape, dtype="float16"))
        cases.append(case("softmax", "strided", "torch scipy numpy", shape))
    cases.append(case("softmax", "segments", "torch numpy", BATCHES[0]))
    cases += [along((64,), 0), case("softmax", "", softmax, (8, 12, 128, 128)), along((8, 12, 128, 128), 1)]
    cases.append(along((8, 12, 128, 128), (1, 3), "torch mkl scipy numpy jax"))
    plain, draw = "torch scipy numpy", "torch numpy"
    cases += [case("softmax", "np.float32", plain, (64,)), case("softmax", "list", plain, (64,), dtype="float64")]
    cases += [case("softmax", "", plain, shape) for shape in ((1,), (0, 64))]
    cases += [case("sample", "size", draw, (64,), options={"size": 5}), case("sampler", "mask", draw, (64,))]
    for k, n in ((5, 32_000), (50, VOCABULARY)):
        cases.append(case("without-replacement", "", draw, (n,), options={"k": k}))
    return cases


def context() -> np.ndarray:
    """4,096 token ids as in a text: log-uniform."""
    return np.floor(VOCABULARY ** np.random.default_rng(7).random(4_096)).astype(np.int64) - 1


def draft(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a draft model, which differ from the target's by normal noise, and tokens drawn from them."""
    rng, target = np.random.default_rng(5), case.input()[:-1]
    logits = (target + rng.normal(0.0, 1.0, target.shape)).astype(np.float32)
    return logits, (logits / case.temperature + rng.gumbel(size=logits.shape)).argmax(axis=-1)


def full_blocks(n: int, rng: np.random.Generator) -> np.ndarray:
    """Against pruning by block maxima: the largest entries fill 49 blocks of 1,024, one fewer than top_k 50 asks for.

    The other entries are dealt round, so that every further block has a maximum near the same bound; weights fall as
    1/rank, so 0.95 of the mass needs half the row.
    """
    ranked = -0.8 * np.log1p(np.arange(n, dtype=np.float64))
    full = min(49 * 1_024, n // 2)
    whole = (n - full) // 1_024 * 1_024
    dealt = ranked[full : full + whole].reshape(1_024, -1).T.reshape(-1)
    return np.concatenate([rng.permutation(ranked[:full]), dealt, ranked[full + whole :]])


# Shapes of row that are hard for some way of filtering; close: distances from the maximum over 60 powers of two.
ROWS = {
    "flat": lambda n, rng: rng.normal(0.0, 0.1, n),
    "ascending": lambda n, rng: np.sort(rng.normal(0.0, PEAKED, n)),
    "descending": lambda n, rng: np.sort(rng.normal(0.0, PEAKED, n))[::-1],
    "constant": lambda n, rng: np.full(n, 1.5),
    "two-valued": lambda n, rng: rng.integers(0, 2, n).astype(np.float64),
    "one-differs": lambda n, rng: np.where(np.arange(n) == n // 2, 8.0, 0.0),
    "close": lambda n, rng: -np.exp2(rng.uniform(-50.0, 10.0, n)),
    "full-blocks": full_blocks,
}

_LONG = "(32000|65536|128256)"
_BLOCKS = "|".join("x".join(map(str, shape)) for shape in BLOCKS)
_HARD = "|".join(ROWS)
_LIBRARIES = "torch onnxruntime openvino tract mkl scipy numpy jax"
# Case (a regular expression), contender, what is bounded, bound. ratio: theirs / ours at least; times: ours / theirs at
# most; difference: ours − theirs in ns at most; each: ns a draw at most; ulp, wrong answers: at most. The first line
# that fits counts.
GOALS: tuple[tuple[str, str, str, float], ...] = (
    (f"softmax-f32-{_LONG}", "torch", "ratio", 3.0),
    (f"softmax-f32-{_LONG}", "onnxruntime", "ratio", 2.5),
    (f"softmax-f32-{_LONG}", "scipy", "ratio", 5.0),
    (f"softmax-f32-32x{_LONG}", "onednn", "ratio", 1.8),
    ("softmax-f32-4096x4", "torch", "ratio", 6.0),
    ("softmax-f32-4096x16", "torch", "ratio", 2.0),
    ("softmax-f32-(4096x64|64x256)", "torch", "ratio", 3.0),
    (f"softmax-f32-({_BLOCKS})", "scipy", "ratio", 8.0),
    (f"softmax-f32-({_BLOCKS})", "onnxruntime", "ratio", 2.0),
    ("softmax-f32-(10|64|256)", "torch", "ratio", 5.0),
    (f"sample-f32-{_LONG}", "torch", "ratio", 120.0),
    (f"sample-f32-{_LONG}", "numpy-choice", "ratio", 40.0),
    (f"sample-f32-{_LONG}", "llama.cpp", "ratio", 6.0),
    ("sample-f32-4096x16", "torch", "ratio", 25.0),
    ("sample-f32-4096x64", "torch", "ratio", 30.0),
    ("sample-f32-4096x256", "torch", "ratio", 40.0),
    ("sampler-probs-f64-.*", "classic", "ratio", 18.0),
    ("many-.*", "fastsoftmax", "each", 15.0),
    ("categorical-.*", "fastsoftmax", "each", 3.0),
    ("categorical-.*", "numpy-choice", "ratio", 10.0),
    ("seeded-.*", "fastsoftmax", "each", 1.5),
    ("seeded-.*", "numpy-choice", "ratio", 10.0),
    ("rejection-.*", "max", "times", 2.5),
    ("rejection-.*", "numpy-choice", "ratio", 40.0),
    ("rejection-.*", "torch", "ratio", 120.0),
    ("overhead-.*", "fastsoftmax-kernel", "difference", 150.0),
    ("c-api-.*", "fastsoftmax-kernel", "times", 1.05),
    ("accuracy-f32", "fastsoftmax", "ulp", 3.0),
    ("accuracy-f64", "fastsoftmax", "ulp", 4.0),
    ("filter-top_k-f32.*", "transformers", "ratio", 200.0),
    ("filter-top_k-f32.*", "llama.cpp", "ratio", 5.0),
    ("filter-top_k-f32.*", "numpy-max", "times", 1.7),
    ("filter-top_k-top_p-f32.*", "transformers", "ratio", 350.0),
    ("filter-top_p-f32.*", "transformers", "ratio", 300.0),
    ("filter-top_p-f32.*", "llama.cpp", "ratio", 40.0),
    ("filter-min_p-f32.*", "transformers", "ratio", 200.0),
    ("filter-top_p-(flat|constant)-.*", "transformers", "ratio", 15.0),
    (f"filter-top_k-({_HARD})-.*", "fastsoftmax-friendly", "times", 3.0),
    (f"filter-top_p-({_HARD})-.*", "fastsoftmax-friendly", "times", 6.0),
    ("threads-.*-(32x128256|4096x4096)", "fastsoftmax-alone", "ratio", 1.8),
    ("threads-.*", "fastsoftmax-alone", "ratio", 0.95),
    ("(filter|top-logprobs|forms-(sample|sampler|without-replacement)|verify-draft)-.*", "fastsoftmax", "wrong", 0.0),
    ("forms-.*", "fastsoftmax", "ulp", 3.0),
    *(("forms-.*", rival, "ratio", 1.0) for rival in f"{_LIBRARIES} vllm".split()),
)

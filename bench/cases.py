"""What is measured: which operation, on which shapes, from which data. Goals refer to the names of cases."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from rows import LEAST_VOCABULARY, PEAKED, ROWS

# Exact in float32, so that no library is charged for rounding the temperature.
TEMPERATURE = float(np.float32(0.7))
FILTER_TEMPERATURE = float(np.float32(0.8))
# The standard deviation of a language model's logits, roughly.
SPREAD = 3.0

VOCABULARIES = (32_000, 65_536, 128_256)
VOCABULARY = VOCABULARIES[-1]
ONE_ROW = (10, 64, 256, 1_024, 4_096, 16_384, *VOCABULARIES, 1_048_576)
ONE_CALL = (10, 64, 256)
# So many draws from one row, of these lengths.
MANY = 1_000_000
MANY_DRAWS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
PREPARED = MANY_DRAWS[:4]
SHORT_ROWS = ((4_096, 4), (4_096, 16), (4_096, 64), (64, 256))

SOFTMAX_RIVALS = (
    "fastsoftmax-new",
    "torch",
    "torch-out",
    "onnxruntime",
    "onnxruntime-bound",
    "onednn",
    "onednn-notemp",
    "scipy",
    "numpy",
    "numpy-out",
    "jax",
    "numba",
)
HALF_RIVALS = ("torch", "onnxruntime", "scipy", "numpy", "jax")
SAMPLE_ROW_RIVALS = (
    "torch",
    "torch-exponential",
    "numpy-choice",
    "numpy-cdf",
    "numpy-gumbel",
    "llama.cpp",
    "jax",
    "numba",
)
SAMPLE_BATCH_RIVALS = ("torch", "torch-exponential", "numpy-cdf", "numpy-gumbel", "jax", "numba")
SAMPLER_RIVALS = ("classic", "numpy-choice", "torch")
MANY_RIVALS = ("torch", "numpy-choice", "numpy-cdf")
ACCURACY_RIVALS = ("torch", "onnxruntime", "onednn", "scipy", "numpy", "jax", "numba")

TOP_K: dict[str, float] = {"top_k": 50}
TOP_P: dict[str, float] = {"top_p": 0.95}
FILTER_RIVALS = ("fastsoftmax-call", "transformers", "torch", "llama.cpp", "llama.cpp-copy", "numpy")
# What PyTorch and NumPy have no few lines for.
RARE_FILTER_RIVALS = ("fastsoftmax-call", "llama.cpp", "llama.cpp-copy")
SHAPES = (
    "flat",
    "ascending",
    "descending",
    "constant",
    "two-valued",
    "one-differs",
    "close",
    "full-blocks",
    "adversarial",
    "adversarial-parts",
)
# The shapes on which the others are measured as well.
FLAT = ("flat", "constant")

PENALTY_VOCABULARIES = (LEAST_VOCABULARY, VOCABULARY, 1_000_000)
PENALTIES = {"repetition": 1.1, "frequency": 0.1, "presence": 0.1}
DRY = {"dry_multiplier": 0.8, "dry_base": 1.75, "dry_allowed_length": 2}

# A serving batch: temperature, top_k, top_p and min_p of each request, neutral where it names none.
BATCH = (
    (0.8, 50, 1.0, 0.0),
    (1.0, 0, 0.95, 0.0),
    (0.7, 20, 0.9, 0.0),
    (0.6, 0, 1.0, 0.05),
    (1.2, 100, 1.0, 0.02),
    (0.8, 40, 0.95, 0.05),
    (0.9, 0, 0.8, 0.0),
    (1.0, 50, 1.0, 0.1),
)
TOP_LOGPROBS = 20
WITHOUT_REPLACEMENT = 50
DRAFTED = 4
# The standard deviation of the difference between the draft's logits and the target's.
DRAFT_SPREAD = 1.0

# Questions that one thread answers: a single row, or a single call.
ONE_THREAD = (
    "overhead",
    "door-softmax",
    "door-draw",
    "accuracy",
    "many",
    "categorical",
    "filter",
    "penalize",
    "top-logprobs",
    "without-replacement",
    "verify-draft",
)


# And one that a single thread has nothing to say to.
SHARED = ("threads-softmax", "threads-sample")
SHARED_SHAPES = ((64, 256), (4_096, 16), (VOCABULARY,), (32, 4_096), (8, 32_000), (32, VOCABULARY), (4_096, 4_096))
# Of these, those that take more than two milliseconds on one thread.
LONG_CALLS = ("32x128256", "4096x4096")


@dataclass(frozen=True)
class Case:
    """One line of `--list`: an operation on an input of a shape, and those it is compared with.

    `operation` is softmax, sample, sampler (one draw through a Sampler), many (a million draws from one row),
    categorical (the same from a row prepared beforehand), overhead (a call less its kernel), door-softmax and
    door-draw (a call from compiled code beside its kernel), accuracy (no timing), filter (one draw from what the
    filters leave), batch (the same, every row with its own parameters), penalize, top-logprobs, without-replacement,
    verify-draft, threads-softmax or threads-sample (on all threads, beside one). `data` says whether the input holds
    logits or probabilities, `row` what shape they have, `options` are parameters of ours by name, `seed` is that of
    the run, for a builder that needs more of the input than `x`.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    rivals: tuple[str, ...]
    dtype: str = "float32"
    data: str = "logits"
    temperature: float = TEMPERATURE
    row: str = "normal"
    spread: float = SPREAD
    options: tuple[tuple[str, float], ...] = ()
    seed: int = 0

    @property
    def parameters(self) -> dict[str, float]:
        """The options as keyword arguments."""
        return dict(self.options)

    @property
    def longest(self) -> int:
        """The length of a row, 0 where the case has a grid of its own."""
        return self.shape[-1] if self.shape else 0

    def input(self, seed: int) -> np.ndarray:
        """The same array for the same seed, whatever other cases are measured."""
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        if self.row != "normal":
            return ROWS[self.row](self.longest, self.spread, rng).astype(numpy_dtype(self.dtype))
        logits = rng.normal(0.0, self.spread, self.shape)
        if self.data == "probs":
            weights = np.exp(logits)
            return np.asarray(weights / weights.sum(axis=-1, keepdims=True), numpy_dtype(self.dtype))
        return logits.astype(numpy_dtype(self.dtype))


def numpy_dtype(name: str) -> np.dtype[Any]:
    """A dtype by name, bfloat16 from ml_dtypes (ImportError where it is not installed)."""
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


def short(dtype: str) -> str:
    """float32 → f32, bfloat16 → bf16."""
    return dtype.replace("float", "f")


def _case(operation: str, shape: tuple[int, ...], rivals: tuple[str, ...], **options: Any) -> Case:
    dtype = short(options.get("dtype", "float32"))
    data = "-probs" if options.get("data") == "probs" else ""
    name = f"{operation}{data}-{dtype}-{'x'.join(map(str, shape))}"
    return Case(name, operation, shape, rivals, **options)


def all_cases() -> list[Case]:
    """Every case, in the order of the tables."""
    cases = [_case("softmax", (n,), SOFTMAX_RIVALS) for n in ONE_ROW]
    cases += [_case("softmax", (32, n), SOFTMAX_RIVALS) for n in VOCABULARIES]
    cases += [_case("softmax", shape, SOFTMAX_RIVALS) for shape in SHORT_ROWS]
    for dtype in ("float64", "float16", "bfloat16"):
        rivals = SOFTMAX_RIVALS if dtype == "float64" else HALF_RIVALS
        cases += [_case("softmax", shape, rivals, dtype=dtype) for shape in ((128_256,), (4_096, 16))]
    cases += [_case("sample", (n,), SAMPLE_ROW_RIVALS) for n in ONE_ROW]
    cases += [_case("sample", (4_096, n), SAMPLE_BATCH_RIVALS) for n in (16, 64, 256)]
    for data in ("logits", "probs"):
        cases += [_case("sampler", (n,), SAMPLER_RIVALS, dtype="float64", data=data) for n in ONE_CALL]
    cases += [_case("overhead", (n,), ()) for n in ONE_CALL]
    cases += [_case(f"door-{what}", (n,), ("fastsoftmax-kernel",)) for what in ("softmax", "draw") for n in ONE_CALL]
    cases += [
        Case(f"accuracy-{short(dtype)}", "accuracy", (), ACCURACY_RIVALS, dtype=dtype)
        for dtype in ("float32", "float64")
    ]
    cases += [_case(operation, shape, ("fastsoftmax-alone",)) for operation in SHARED for shape in SHARED_SHAPES]
    return cases + many_cases() + filter_cases() + token_cases()


def many_cases() -> list[Case]:
    """A million draws from one row: from the logits on, from probabilities, and from what is prepared."""
    cases = [_case("many", (n,), MANY_RIVALS) for n in MANY_DRAWS]
    cases += [_case("many", (n,), ("numpy-choice",), dtype="float64") for n in MANY_DRAWS]
    probs: dict[str, Any] = {"dtype": "float64", "data": "probs", "temperature": 1.0}
    cases += [_case("many", (n,), ("numpy-choice",), **probs) for n in MANY_DRAWS]
    return cases + [_case("categorical", (n,), MANY_RIVALS) for n in PREPARED]


def filter_cases() -> list[Case]:
    """One draw from what the filters leave of a row: against the others, then on every shape of row."""

    def case(name: str, filters: dict[str, float], rivals: tuple[str, ...], **options: Any) -> Case:
        return _logits_case("filter", name, (VOCABULARY,), rivals, filters, **options)

    cases = [
        case("top_k", TOP_K, (*FILTER_RIVALS, "numpy-max")),
        case("top_k-top_p", {**TOP_K, **TOP_P}, FILTER_RIVALS),
        case("top_p", TOP_P, FILTER_RIVALS),
        case("top_p-normal3", TOP_P, FILTER_RIVALS, spread=3.0),
        case("min_p", {"min_p": 0.05}, FILTER_RIVALS),
        case("typical_p", {"typical_p": 0.95}, ("transformers", *RARE_FILTER_RIVALS)),
        case("top_n_sigma", {"top_n_sigma": 1.0}, RARE_FILTER_RIVALS),
        case("xtc", {"xtc_threshold": 0.05, "xtc_probability": 1.0}, RARE_FILTER_RIVALS),
    ]
    for name, filters in (("top_k", TOP_K), ("top_p", TOP_P)):
        for row in SHAPES:
            others = FILTER_RIVALS if name == "top_p" and row in FLAT else ()
            cases.append(case(f"{name}-{row}", filters, ("fastsoftmax-friendly", *others), row=row))
    return cases


def token_cases() -> list[Case]:
    """What a decoding loop does around the draw."""
    singles = ("fastsoftmax-singles",)
    cases = [_logits_case("batch", "", (len(BATCH), VOCABULARY), singles)]
    for name, more in (("", {}), ("dry", DRY)):
        for n in PENALTY_VOCABULARIES:
            rivals = () if name else ("llama.cpp", "numpy")
            if n > LEAST_VOCABULARY:
                rivals = ("fastsoftmax-least", *rivals)
            cases.append(_logits_case("penalize", name, (n,), rivals, {**PENALTIES, **more}))
    row, draft = (VOCABULARY,), (DRAFTED + 1, VOCABULARY)
    cases.append(_logits_case("top-logprobs", "", row, ("torch", "numpy"), {"k": TOP_LOGPROBS}))
    cases.append(
        _logits_case(
            "without-replacement", "", row, ("torch", "numpy-gumbel", "numpy-choice"), {"k": WITHOUT_REPLACEMENT}
        )
    )
    cases.append(_logits_case("verify-draft", "", draft, ("torch", "numpy"), {"K": DRAFTED}))
    return cases


def _logits_case(
    operation: str,
    name: str,
    shape: tuple[int, ...],
    rivals: tuple[str, ...],
    parameters: dict[str, float] | None = None,
    spread: float = PEAKED,
    **options: Any,
) -> Case:
    """A case of the decoding loop, at its temperature and on a peaked row if nothing else is said."""
    parts = (operation, name, "f32", "x".join(map(str, shape)))
    return Case(
        "-".join(part for part in parts if part),
        operation,
        shape,
        rivals,
        temperature=FILTER_TEMPERATURE,
        spread=spread,
        options=tuple((parameters or {}).items()),
        **options,
    )


def batch_requests() -> list[dict[str, float]]:
    """The parameters of each row of the batch, by name."""
    return [dict(zip(("temperature", "top_k", "top_p", "min_p"), values, strict=True)) for values in BATCH]


def friendly(case: Case) -> Case:
    """The same filters on the peaked row, beside which the time on another shape is seen."""
    return next(
        other
        for other in filter_cases()
        if other.options == case.options and (other.row, other.spread) == ("normal", PEAKED)
    )


def least_vocabulary(case: Case) -> Case:
    """The same penalties at the smallest vocabulary."""
    return next(
        other
        for other in token_cases()
        if other.options == case.options and other.operation == "penalize" and other.longest == LEAST_VOCABULARY
    )


def select(cases: list[Case], patterns: list[str]) -> list[Case]:
    """The cases that a pattern names: exactly if there is such a case, else as a glob or a part of names."""
    names = {case.name for case in cases}

    def matches(name: str, pattern: str) -> bool:
        return name == pattern if pattern in names else pattern in name or fnmatchcase(name, pattern)

    return [
        case for case in cases if not patterns or any(matches(case.name, pattern) for pattern in patterns)
    ]


@dataclass(frozen=True)
class AccuracyPoint:
    """One input of the accuracy grid. `spread` says how the logits lie around the offset.

    normal: standard deviation SPREAD, so a small temperature leaves one entry.
    scaled: x − offset uniform over 80 temperatures, so every entry keeps a weight whatever the temperature.
    """

    n: int
    offset: float
    temperature: float
    spread: str

    def input(self, dtype: str, seed: int) -> np.ndarray:
        key = zlib.crc32(repr(self).encode())
        rng = np.random.default_rng([seed, key])
        if self.spread == "normal":
            around = rng.normal(0.0, SPREAD, self.n)
        else:
            around = self.temperature * rng.uniform(-80.0, 0.0, self.n)
        return (self.offset + around).astype(numpy_dtype(dtype))


def accuracy_grid(largest_n: int) -> list[AccuracyPoint]:
    """Offsets 0 to 1e4, temperatures 1e-3 to 30 (each exact in float32), n to `largest_n`."""
    return [
        AccuracyPoint(n, offset, float(np.float32(temperature)), spread)
        for n in (2, 10, 100, 1_000, 32_000, 1 << 20)
        if n <= largest_n
        for offset in (0.0, 1.0, -100.0, 1e4)
        for temperature in (1e-3, 0.03, 0.7, 1.0, 30.0)
        for spread in ("normal", "scaled")
    ]

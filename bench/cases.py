"""What is measured: which operation, on which shapes, from which data. Goals refer to the names of cases."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

# Exact in float32, so that no library is charged for rounding the temperature.
TEMPERATURE = float(np.float32(0.7))
# The standard deviation of a language model's logits, roughly.
SPREAD = 3.0

VOCABULARIES = (32_000, 65_536, 128_256)
ONE_ROW = (10, 64, 256, 1_024, 4_096, 16_384, *VOCABULARIES, 1_048_576)
ONE_CALL = (10, 64, 256)
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
ACCURACY_RIVALS = ("torch", "onnxruntime", "onednn", "scipy", "numpy", "jax", "numba")


@dataclass(frozen=True)
class Case:
    """One line of `--list`: an operation on an input of a shape, and those it is compared with.

    `operation` is softmax, sample, sampler (one draw through a Sampler), overhead (a call less its kernel) or
    accuracy (no timing). `data` says whether the input holds logits or probabilities.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    rivals: tuple[str, ...]
    dtype: str = "float32"
    data: str = "logits"
    temperature: float = TEMPERATURE

    @property
    def longest(self) -> int:
        """The length of a row, 0 where the case has a grid of its own."""
        return self.shape[-1] if self.shape else 0

    def input(self, seed: int) -> np.ndarray:
        """The same array for the same seed, whatever other cases are measured."""
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        logits = rng.normal(0.0, SPREAD, self.shape)
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
    cases += [
        Case(f"accuracy-{short(dtype)}", "accuracy", (), ACCURACY_RIVALS, dtype=dtype)
        for dtype in ("float32", "float64")
    ]
    return cases


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

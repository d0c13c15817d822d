"""Prints one digest of results through Python, the same for every instruction set, layout and order of the rows."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np

import fastsoftmax

LENGTHS = (1, 2, 3, 7, 16, 31, 64, 100, 512, 1000, 1024, 1025, 5000, 40_000, 300_000)
TEMPERATURES = (0.0, 0.05, 0.7, 1.0, 30.0, np.inf)
FILTERS = (
    {"top_k": 40},
    {"top_p": 0.9},
    {"top_k": 60, "top_p": 0.95, "min_p": 0.01, "temperature_last": True},
    {"typical_p": 0.8, "min_tokens_to_keep": 2},
    {"top_n_sigma": 1.5, "epsilon_cutoff": 1e-5, "eta_cutoff": 1e-4},
    {"xtc_threshold": 0.05, "xtc_probability": 0.5, "dynatemp_range": 0.2},
)

Arrangement = Callable[[np.ndarray], np.ndarray]


def strided(x: np.ndarray) -> np.ndarray:
    wide = np.zeros((*x.shape, 3), x.dtype)
    wide[..., 1] = x
    return wide[..., 1]


ARRANGEMENTS: dict[str, Arrangement] = {
    "contiguous": np.ascontiguousarray,
    "strided": strided,
    "columns": np.asfortranarray,
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
}


def plain_results(x: np.ndarray, u: np.ndarray) -> Iterator[np.ndarray]:
    for temperature in TEMPERATURES:
        yield fastsoftmax.softmax(x, temperature)
        yield fastsoftmax.log_softmax(x, temperature)
        yield np.asarray(fastsoftmax.logsumexp(x, temperature))
        yield fastsoftmax.sample(x, temperature, u=u)
    yield fastsoftmax.sample_probs(abs(x), u=u)


def filtered_results(x: np.ndarray, u: np.ndarray, temperature: np.ndarray) -> Iterator[np.ndarray]:
    for filters in FILTERS:
        coins = {"xtc_u": u[::-1]} if "xtc_threshold" in filters else {}
        yield fastsoftmax.truncate(x, temperature, **filters, **coins)
        yield from fastsoftmax.sample(x, temperature, u=u, return_logprob=True, **filters, **coins)
        yield fastsoftmax.sample_probs(abs(x), u=u, **filters, **coins)


def token_results(
    x: np.ndarray, u: np.ndarray, uniforms: np.ndarray, tokens: np.ndarray
) -> Iterator[np.ndarray]:
    k = min(x.shape[-1], 20)
    first = fastsoftmax.top_logprobs(x, k, 0.7, chosen=tokens[:, 0])
    yield from (first.logprobs, first.indices, first.rank)
    yield fastsoftmax.sample_without_replacement(x, k, 0.7, u=uniforms)
    yield fastsoftmax.penalize(x, tokens, repetition=1.2, frequency=0.1, presence=0.2, dry_multiplier=0.8)
    both = np.stack([x, x], axis=1)
    yield from fastsoftmax.verify_draft(
        both, both[:, :1] * np.float16(0.5), tokens[:, :1], u=np.stack([u, u], axis=1)
    )


def shard_results(x: np.ndarray, u: np.ndarray) -> Iterator[np.ndarray]:
    """Of rows cut into shards, the last of which is summarised first; the same as in one piece."""
    n = x.shape[-1]
    bounds = [0, *range(1024, n, 3072), n]
    shards = [slice(first, past) for first, past in zip(bounds[:-1], bounds[1:], strict=True)]
    whole = fastsoftmax.combine([fastsoftmax.summarize(x[:, s], 0.7, s.start) for s in shards[::-1]], entries=n)
    parts = [fastsoftmax.softmax_from_summary(x[:, s], whole, offset=s.start) for s in shards]
    drawn = [fastsoftmax.sample_from_summary(x[:, s], whole, offset=s.start, u=u) for s in shards]
    yield from (np.concatenate(parts, -1), np.max(drawn, axis=0), np.asarray(fastsoftmax.logsumexp_from_summary(whole)))


def digest(arrange: Arrangement, order: int) -> str:
    """A hash of what the functions give for rows of many lengths and dtypes, laid out and ordered as asked."""
    state = hashlib.sha256()
    rng = np.random.default_rng(1)
    for n in LENGTHS:
        x = rng.normal(0, 8, (3 if n > 1025 else 20, n))
        u = rng.random(len(x))
        uniforms = rng.random(x.shape)
        temperature = rng.uniform(0.5, 1.5, len(x))
        tokens = rng.integers(0, min(n, 9), (len(x), 50))
        for dtype in (np.float16, np.float32, np.float64):
            rows = arrange(x.astype(dtype)[::order])
            results = [
                *plain_results(rows, u[::order]),
                *shard_results(rows, u[::order]),
                *(filtered_results(rows, u[::order], temperature[::order]) if n < 100_000 else ()),
                *token_results(rows, u[::order], uniforms[::order], tokens[::order]),
            ]
            for result in results:
                state.update(result[::order].tobytes())
    return state.hexdigest()


def main() -> int:
    """Each instruction set in a process of its own; 1 if they differ."""
    if "FASTSOFTMAX_ISA" in os.environ:
        for name, arrange in ARRANGEMENTS.items():
            last_row_first = name == "strided"
            print(digest(arrange, order=-1 if last_row_first else 1))
        return 0
    found = set()
    for name in fastsoftmax.show_config("dicts")["isa"]["available"]:
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        lines = subprocess.run(
            [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for arrangement, line in zip(ARRANGEMENTS, lines, strict=True):
            print(f"{name:8} {arrangement:12} {line}")
        found.update(lines)
    return int(len(found) != 1)


if __name__ == "__main__":
    sys.exit(main())

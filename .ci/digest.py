"""Prints one digest of results through Python: the same for every instruction set, layout, order and number of threads,
for rows one by one, for vocabularies in shards and for Dask's chunks.

    python .ci/digest.py [--all]

--all takes all lengths and rows; without it some, which are a digest of their own.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

import fastsoftmax

ALL_LENGTHS = (1, 2, 3, 7, 16, 31, 64, 100, 512, 1000, 1024, 1025, 5000, 40_000, 300_000)
SOME_LENGTHS = (1, 3, 31, 64, 100, 1000, 1025, 5000, 40_000)
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


# How softmax, log_softmax, logsumexp and a draw are computed: in one call, in shards of a number of entries, or in Dask
# chunks of a number of rows and entries.
How = int | tuple[int, int] | None
ANYWHERE = -1  # shards of any number of entries


class Way(NamedTuple):
    """One of the ways that must not matter."""

    arrange: Arrangement = np.ascontiguousarray
    threads: int = 1
    how: How = None
    order: str = "as it is"
    row_by_row: bool = False


WAYS = {
    "contiguous": Way(),
    "strided": Way(strided, threads=2, how=1024, order="backwards"),
    "columns": Way(np.asfortranarray, threads=3, how=3072),
    "shards of 100": Way(threads=2, how=100),
    "shards cut anywhere": Way(strided, threads=3, how=ANYWHERE),
    "entries backwards": Way(lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1], threads=4, how=65_536),
    "rows shuffled": Way(threads=5, how=(7, 2000), order="shuffled"),
    "row by row": Way(threads=6, row_by_row=True),
    "whole rows in chunks": Way(threads=7, how=(3, -1)),
    "vocabulary in chunks": Way(threads=8, how=(100, 4096)),
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
        coins = {"xtc_u": u * 7 % 1} if "xtc_threshold" in filters else {}
        yield fastsoftmax.truncate(x, temperature, **filters, **coins)
        yield from fastsoftmax.sample(x, temperature, u=u, return_logprob=True, **filters, **coins)
        yield fastsoftmax.sample_probs(abs(x), u=u, **filters, **coins)


def token_results(x: np.ndarray, u: np.ndarray, uniforms: np.ndarray, tokens: np.ndarray) -> Iterator[np.ndarray]:
    k = min(x.shape[-1], 20)
    first = fastsoftmax.top_logprobs(x, k, 0.7, chosen=tokens[:, 0])
    yield from (first.logprobs, first.indices, first.rank)
    yield fastsoftmax.sample_without_replacement(x, k, 0.7, u=uniforms)
    yield fastsoftmax.penalize(x, tokens, repetition=1.2, frequency=0.1, presence=0.2, dry_multiplier=0.8)
    both = np.stack([x, x], axis=1)
    yield from fastsoftmax.verify_draft(both, both[:, :1] * np.float16(0.5), tokens[:, :1], u=np.stack([u, u], axis=1))


def in_shards(x: np.ndarray, u: np.ndarray, entries: int) -> Iterator[np.ndarray]:
    """Results of rows cut into shards, whose summaries travel as bytes; the last one arrives first.

    entries: of a shard; ANYWHERE: 1 to 64 shards, cut at random.
    """
    n = x.shape[-1]
    if entries == ANYWHERE:
        rng = np.random.default_rng(n)
        cuts = sorted(set(rng.integers(1, max(n, 2), rng.integers(64)).tolist()) - {n})
        bounds = [0, *cuts, n]
    else:
        bounds = [*range(0, n, entries), n]
    shards = [slice(first, past) for first, past in zip(bounds[:-1], bounds[1:], strict=True)]
    parts = [fastsoftmax.summarize(x[:, s], 0.7, s.start, logsumexp=True).to_bytes() for s in shards]
    whole = fastsoftmax.combine(parts[::-1], entries=n)
    for function in (fastsoftmax.softmax_from_summary, fastsoftmax.log_softmax_from_summary):
        yield np.concatenate([function(x[:, s], whole, offset=s.start) for s in shards], -1)
    yield np.asarray(fastsoftmax.logsumexp_from_summary(whole))
    yield np.max([fastsoftmax.sample_from_summary(x[:, s], whole, offset=s.start, u=u) for s in shards], axis=0)


def in_chunks(x: np.ndarray, u: np.ndarray, chunks: tuple[int, int]) -> Iterator[np.ndarray]:
    import dask.array

    from fastsoftmax.integrations import dask as on_dask

    lazy = dask.array.from_array(x, chunks=chunks)
    wanted = (
        on_dask.softmax(lazy, 0.7),
        on_dask.log_softmax(lazy, 0.7),
        on_dask.logsumexp(lazy, 0.7),
        on_dask.sample(lazy, 0.7, u=u),
    )
    yield from dask.compute(*wanted, scheduler="threads")


def basic_results(x: np.ndarray, u: np.ndarray, how: How) -> Iterator[np.ndarray]:
    """softmax, log_softmax, logsumexp and a draw of each row, in one call, in shards or in chunks."""
    if isinstance(how, tuple):
        yield from in_chunks(x, u, how)
    elif how:
        yield from in_shards(x, u, how)
    else:
        yield from (fastsoftmax.softmax(x, 0.7), fastsoftmax.log_softmax(x, 0.7))
        yield from (np.asarray(fastsoftmax.logsumexp(x, 0.7)), fastsoftmax.sample(x, 0.7, u=u))


def all_results(
    x: np.ndarray, u: np.ndarray, uniforms: np.ndarray, temperature: np.ndarray, tokens: np.ndarray, how: How
) -> list[np.ndarray]:
    filtered = filtered_results(x, u, temperature) if x.shape[-1] < 100_000 else ()
    return [*basic_results(x, u, how), *plain_results(x, u), *filtered, *token_results(x, u, uniforms, tokens)]


def digest(way: Way, all_of_them: bool) -> str:
    """A hash of the functions' results for rows of many lengths and dtypes."""
    state = hashlib.sha256()
    rng = np.random.default_rng(1)
    fastsoftmax.set_num_threads(way.threads)
    for n in ALL_LENGTHS if all_of_them else SOME_LENGTHS:
        x = rng.normal(0, 8, (3 if n > 1025 else 20 if all_of_them else 7, n))
        rows = len(x)
        inputs = (
            rng.random(rows), rng.random((rows, min(n, 20))), rng.uniform(0.5, 1.5, rows),
            rng.integers(0, min(n, 9), (rows, 50)),
        )  # fmt: skip
        order = np.arange(rows)
        if way.order != "as it is":
            order = order[::-1] if way.order == "backwards" else np.random.default_rng(n).permutation(rows)
        back = np.argsort(order)
        for dtype in (np.float16, np.float32, np.float64):
            arranged = way.arrange(x.astype(dtype)[order])
            ordered = [values[order] for values in inputs]
            if way.row_by_row:
                each = [
                    all_results(arranged[i : i + 1], *(values[i : i + 1] for values in ordered), way.how)
                    for i in range(rows)
                ]
                results = [np.concatenate(parts) for parts in zip(*each, strict=True)]
            else:
                results = all_results(arranged, *ordered, way.how)
            for result in results:
                state.update(result[back].tobytes())
    return state.hexdigest()


def main() -> int:
    """Each instruction set in a process of its own; 1 if they differ."""
    all_of_them = "--all" in sys.argv[1:]
    if "FASTSOFTMAX_ISA" in os.environ:
        for way in WAYS.values():
            print(digest(way, all_of_them), flush=True)
        return 0
    found = set()
    for name in fastsoftmax.show_config("dicts")["isa"]["available"]:
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        lines = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:]], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for way, line in zip(WAYS, lines, strict=True):
            print(f"{name:8} {way:22} {line}")
        found.update(lines)
    return int(len(found) != 1)


if __name__ == "__main__":
    sys.exit(main())

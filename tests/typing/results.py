"""What calls return, to a type checker and when they are run.

mypy and pyright check every `assert_type` here.  test_typing.py runs the functions too, with an `assert_type` that
compares the value with the type.
"""

# pyright: strict

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import fastsoftmax as fs
from fastsoftmax import schedules

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# A Python list, arrays of one and of two dimensions, and arrays that are known to be arrays only.
listed = [0.0, 1.0, 2.0]
integers = [0, 1, 2]
nested = [[0.0, 1.0], [2.0, 3.0]]
row = np.zeros(4)
row32 = np.zeros(4, np.float32)
row16 = np.zeros(4, np.float16)
whole = np.zeros(4, np.int32)
rows = np.zeros((2, 4))
rows32 = np.zeros((2, 4), np.float32)
cube = np.zeros((2, 3, 4), np.float32)
some: F32 = np.zeros((2, 4), np.float32)
some64: F64 = np.zeros(4)
some_ints: NDArray[np.int16] = np.zeros((2, 4), np.int16)
flag: bool = bool(np.ones(1).all())
pair: tuple[int, ...] = (2, 2)


def softmax_and_its_kin() -> None:
    assert_type(fs.softmax(row), np.ndarray[tuple[int], np.dtype[np.float64]])
    assert_type(fs.softmax(row32, 0.7), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(fs.softmax(row16, axis=0), np.ndarray[tuple[int], np.dtype[np.float16]])
    assert_type(fs.softmax(rows32, [0.5, 1.0]), np.ndarray[tuple[int, int], np.dtype[np.float32]])
    assert_type(fs.softmax(some, axis=None), F32)
    assert_type(fs.softmax(whole), F64)
    assert_type(fs.softmax(some_ints), F64)
    assert_type(fs.softmax(listed, where=[True, False, True]), F64)
    assert_type(fs.softmax(integers), F64)
    assert_type(fs.softmax(nested), F64)
    assert_type(fs.softmax((1, 2.5)), F64)
    assert_type(fs.softmax([row32, row32]), NDArray[Any])
    assert_type(fs.softmax(np.float32(1.0)), NDArray[Any])
    out = np.empty(4, np.float32)
    assert_type(fs.softmax(row32, out=out), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(fs.log_softmax(rows), np.ndarray[tuple[int, int], np.dtype[np.float64]])
    assert_type(fs.log_softmax(some, out=np.empty_like(some)), F32)
    assert_type(fs.log_softmax(integers), F64)
    assert_type(fs.softmax_probs(some), F32)
    assert_type(fs.softmax_probs([30, 0, 10], 0.5), F64)
    assert_type(fs.truncate(rows32, 0.8, top_k=2, top_p=0.9), np.ndarray[tuple[int, int], np.dtype[np.float32]])
    assert_type(fs.truncate(listed, order=("top_p", "top_k"), top_p=0.9, top_k=2), F64)
    assert_type(fs.truncate(some, min_p=0.1, out=np.empty_like(some)), F32)
    assert_type(fs.penalize(row32, [0, 1], repetition=1.2), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(fs.penalize(rows, [[0, 1], [2]], dry_multiplier=0.8), np.ndarray[tuple[int, int], np.dtype[np.float64]])
    assert_type(fs.penalize(integers, []), F64)


def one_number_a_row() -> None:
    assert_type(fs.logsumexp(row), np.float64)
    assert_type(fs.logsumexp(row32, 0.7, b=[1.0, 1.0, 2.0, 0.0]), np.float32)
    assert_type(fs.logsumexp(row16), np.float16)
    assert_type(fs.logsumexp(rows32), F32)
    assert_type(fs.logsumexp(cube, axis=1), F32)
    assert_type(fs.logsumexp(some), np.float32 | F32)
    assert_type(fs.logsumexp(some64), np.float64 | F64)
    assert_type(fs.logsumexp(some, axis=None), np.float32)
    assert_type(fs.logsumexp(some, keepdims=True), F32)
    assert_type(fs.logsumexp(listed), np.float64)
    assert_type(fs.logsumexp(whole), np.float64)
    assert_type(fs.logsumexp(integers, keepdims=True), F64)
    assert_type(fs.entropy(row32), np.float32)
    assert_type(fs.entropy(rows), F64)
    assert_type(fs.entropy(listed), np.float64)
    assert_type(fs.entropy(some, 2.0), np.float32 | F32)
    assert_type(fs.log_prob(row32, 1), np.float64)
    assert_type(fs.log_prob(listed, 1), np.float64)
    assert_type(fs.log_prob(rows32, [0, 1]), F64)
    assert_type(fs.log_prob(listed, [0, 1]), F64)
    assert_type(fs.log_prob(some, 1), np.float64 | F64)
    assert_type(fs.kl_divergence(row, row32), np.float64)
    assert_type(fs.kl_divergence(listed, [1.0, 1.0, 0.0]), np.float64)
    assert_type(fs.kl_divergence(rows, rows32), F64)
    assert_type(fs.kl_divergence(some, rows), np.float64 | F64)
    assert_type(fs.kl_divergence(row, some64), np.float64 | F64)
    assert_type(fs.kl_divergence(some, some, keepdims=True), F64)


def draws() -> None:
    assert_type(fs.sample(row, rng=1), int)
    assert_type(fs.sample(row32, 0.8, top_k=2, top_p=0.9, rng=np.random.default_rng(1)), int)
    assert_type(fs.sample(listed, u=0.5), int)
    assert_type(fs.sample(integers, bias={0: 1.5}, mask=[1, 1, 0]), int)
    assert_type(fs.sample(some.reshape(-1)), int)
    assert_type(fs.sample(row, axis=None), int)
    assert_type(fs.sample(rows32), I64)
    assert_type(fs.sample(cube, axis=1, min_p=[0.1, 0.2, 0.3, 0.4]), I64)
    assert_type(fs.sample(nested, on_invalid="flag"), I64)
    assert_type(fs.sample(some), int | I64)
    assert_type(fs.sample(some64), int | I64)
    assert_type(fs.sample(row, size=3), I64)
    assert_type(fs.sample(some, size=(2, 3), xtc_threshold=0.1, xtc_probability=0.5), I64)
    assert_type(fs.sample(some, size=pair), int | I64)
    assert_type(fs.sample(row, size=()), int | I64)
    assert_type(fs.sample(row, return_logprob=True), tuple[int, float])
    assert_type(fs.sample(rows, return_logprob=True), tuple[I64, F64])
    assert_type(fs.sample(listed, size=2, return_logprob=True), tuple[I64, F64])
    assert_type(fs.sample(some, return_logprob=True), tuple[int, float] | tuple[I64, F64])
    assert_type(fs.sample_probs([1, 0, 3]), int)
    assert_type(fs.sample_probs(rows32 + 1, keep=[0], top_a=0.1), I64)
    assert_type(fs.sample_probs(row + 1, return_logprob=True), tuple[int, float])
    assert_type(fs.sample_without_replacement(some, 2), I64)
    assert_type(fs.top_logprobs(some, 2), fs.TopLogprobs[None])
    assert_type(fs.top_logprobs(row, 2, chosen=1), fs.TopLogprobs[int])
    assert_type(fs.top_logprobs(rows, 2, chosen=[0, 1]), fs.TopLogprobs[I64])
    top = fs.top_logprobs(some, 2, chosen=1)
    assert_type(top.rank, int | I64)
    assert_type(top.logprobs, F64)
    assert_type(top.indices, I64)
    assert_type(fs.keyed_uniforms(7, 3), np.float64)
    assert_type(fs.keyed_uniforms(7, [1, 2], step=3), F64)
    assert_type(fs.keyed_uniforms(7, np.arange(3)), np.float64 | F64)


def of_one_distribution() -> None:
    die = fs.Categorical(probs=[1, 1, 1, 5])
    assert_type(die.draw(), int)
    assert_type(die.draw(10, rng=1), I64)
    assert_type(die.draw(seed=1), int)
    assert_type(die.draw(10, seed=1, key=np.int64(2)), I64)
    assert_type(die.draw((2, 2)), I64)
    assert_type(die.draw(pair), int | I64)
    assert_type(die.log_prob(3), float)
    assert_type(die.log_prob([0, 3]), F64)
    assert_type(die.log_prob(np.arange(2)), float | F64)
    assert_type(die.temperature, float)
    assert_type(len(fs.Categorical(row32, 0.7)), int)


def samplers() -> None:
    sampler = fs.Sampler(0.8, rng=1, top_k=3)
    assert_type(sampler, fs.Sampler[Literal[False]])
    assert_type(sampler(row32), int)
    assert_type(sampler(listed), int)
    assert_type(sampler(rows32), I64)
    assert_type(sampler(some), int | I64)
    assert_type(sampler.sample_probs([0.5, 0.5, 0.0]), int)
    with_logprob = fs.Sampler(schedules.linear(2.0, 0.5, steps=10), seed=1, return_logprob=True)
    assert_type(with_logprob(row32), tuple[int, float])
    assert_type(with_logprob(rows32, keys=[4, 5]), tuple[I64, F64])
    assert_type(with_logprob(some), tuple[int, float] | tuple[I64, F64])
    assert_type(with_logprob.sample_probs(rows32 + 1, mask=[True, True, False, True]), tuple[I64, F64])
    of_all = fs.Sampler(axis=None, return_logprob=flag)
    assert_type(of_all, fs.Sampler[bool])
    assert_type(of_all(rows), int | I64 | tuple[int, float] | tuple[I64, F64])
    assert_type(sampler.step, int)
    assert_type(sampler.on_invalid, Literal["raise", "flag"])
    assert_type(sampler.return_logprob, bool)
    assert_type(sampler.rng, np.random.Generator | None)
    assert_type(sampler.mask, NDArray[Any] | None)
    assert_type(with_logprob.seed, int | I64 | NDArray[np.uint64] | None)
    assert_type(with_logprob.steps, I64 | None)
    assert_type(fs.Sampler(mirostat_tau=3.0).mirostat_mu, float | F64 | None)
    sampler.temperature = 0.5
    sampler.temperature = cooling
    sampler.top_k = None
    sampler.top_p = np.full(2, 0.9)
    sampler.bias = {3: -1.0}
    fs.Sampler(of_steps, seed=1, steps=[0, 4])(rows)
    assert_type(schedules.cosine(1.0, 0.1, steps=5)(3), float)
    assert_type(schedules.constant(1.0)([0, 1]), F64)


def cooling(step: int) -> float:
    return 1.0 / (1 + step)


def of_steps(step: NDArray[np.int64]) -> NDArray[np.float64]:
    temperatures: NDArray[np.float64] = np.exp(-0.1 * step)
    return temperatures


def rows_of_different_lengths() -> None:
    segments = fs.SegmentedRows([0, 1, 4])
    assert_type(segments.softmax(row32), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(segments.log_softmax(integers + [1]), F64)
    assert_type(segments.softmax(row, out=np.empty(4)), np.ndarray[tuple[int], np.dtype[np.float64]])
    assert_type(segments.logsumexp(row32), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(segments.logsumexp(integers + [1]), np.ndarray[tuple[int], np.dtype[np.float64]])
    assert_type(segments.sample(row, rng=1), np.ndarray[tuple[int], np.dtype[np.int64]])
    index, logprob = segments.sample(row, rng=1, flat=True, return_logprob=True)
    assert_type(index, np.ndarray[tuple[int], np.dtype[np.int64]])
    assert_type(logprob, np.ndarray[tuple[int], np.dtype[np.float64]])
    assert_type(segments.offsets, I64)
    assert_type(fs.SegmentedRows.from_lengths([1, 3]).lengths, I64)


def drafts() -> None:
    target, draft = np.zeros((3, 4)), np.zeros((2, 4), np.float32)
    batch = np.zeros((5, 3, 4))
    assert_type(fs.verify_draft(target, draft, [0, 1], rng=1), fs.DraftVerdict[int])
    assert_type(fs.verify_draft(batch, None, np.zeros((5, 2), np.int64)), fs.DraftVerdict[I64])
    verdict = fs.verify_draft(some, some[:1], [0])
    assert_type(verdict.accepted, int | I64)
    accepted, token = fs.verify_draft(nested, None, [0])
    assert_type(accepted, int)
    assert_type(token, int)
    tree = fs.verify_tree(target, None, [0, 1], [-1, 0], u=[0.1, 0.2, 0.3])
    assert_type(tree, fs.TreeVerdict[int])
    assert_type(tree.path, I64)


def shards() -> None:
    summary = fs.summarize(row32, 0.7, logsumexp=True)
    assert_type(summary, fs.Summary)
    assert_type(fs.combine([summary.to_bytes()], entries=4), fs.Summary)
    assert_type(summary.spans, tuple[tuple[int, int], ...])
    assert_type(summary.temperature, F64)
    assert_type(fs.summary_nbytes((), 4, "float32"), int)
    assert_type(fs.softmax_from_summary(row32, summary, offset=0), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(fs.log_softmax_from_summary(row32, [summary], offset=0), np.ndarray[tuple[int], np.dtype[np.float32]])
    assert_type(fs.logsumexp_from_summary(summary), Any)
    assert_type(fs.locate_draws(summary, u=0.5), int | I64)
    assert_type(fs.locate_draws(summary, u=0.5, size=2), I64)
    assert_type(fs.sample_from_summary(row32, summary, offset=0, u=0.5), int)
    assert_type(fs.sample_from_summary(row32, summary, offset=0, u=0.5, size=2, return_logprob=True), tuple[I64, F64])
    of_rows = fs.summarize(rows32)
    assert_type(fs.sample_from_summary(rows32, of_rows, offset=0, u=[0.1, 0.9]), I64)
    assert_type(fs.sample_from_summary(some, of_rows, offset=0, u=0.5), int | I64)
    best = fs.candidates(row32, 2, offset=0)
    assert_type(best, fs.Candidates)
    assert_type(best.values, NDArray[Any])
    assert_type(fs.candidates_nbytes((), 2, np.float32), int)
    assert_type(fs.mass_of_shard(row32, [best]), int)
    assert_type(fs.mass_of_shard(rows32, [fs.candidates(rows32, 2, offset=0)]), I64)
    assert_type(fs.sums_of_shard(row32), F64)
    assert_type(fs.sample_from_candidates([best], u=0.5, top_k=2), int | I64)
    assert_type(fs.sample_from_candidates([best], u=0.5, top_k=2, size=3), I64)
    assert_type(fs.sample_from_candidates([best], u=0.5, top_k=2, size=3, return_logprob=True), tuple[I64, F64])


def configuration() -> None:
    assert_type(fs.get_num_threads(), int)
    assert_type(fs.set_num_threads("auto"), int)
    assert_type(fs.show_config("dicts"), dict[str, Any])
    assert_type(fs.get_include(), str)
    assert_type(fs.__version__, str)


def sequences() -> None:
    of_sequence(listed)
    of_sequence(np.zeros(3).tolist())
    of_sequence(array("f", listed))


def of_sequence(sequence: Sequence[float]) -> None:
    """Of which only that is known: an array.array gives float32."""
    assert_type(fs.sample(sequence), int)
    assert_type(fs.softmax(sequence), NDArray[Any])


def what_a_flag_decides() -> None:
    """`return_logprob` that is known only when the program runs."""
    assert_type(fs.sample(row, return_logprob=flag, size=pair), int | I64 | tuple[int, float] | tuple[I64, F64])

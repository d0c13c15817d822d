"""How wrong an answer is, measured against tests/oracles.py and returned as the `error` of a row of the results.

A softmax is judged in units in the last place (ulp), a draw by the total variation between its distribution and the
exact one, a filter by its kept set, everything else by the number of wrong answers. A judge also says what is plainly
wrong with a contender, which is then not timed.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import SPREAD, Case, context, draft, numpy_dtype
from timing import Contender

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import oracles  # noqa: E402

# Stored bits of the mantissa, and the exponent of the smallest normal number.
FORMATS = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}
Error = dict[str, Any]
Verdict = tuple[Error, str | None]
Judge = Callable[[Contender, float], Verdict]

# Of a large batch this many entries are judged, whole rows from the first on.
MOST_JUDGED = 1 << 22
# Bins of a distribution: few enough that a few hundred draws fill them; fewer where one draw takes long.
BINS, BINS_OF_A_LONG_ROW, LONG_ROW = 32, 4, 1 << 17
BISECTIONS, WANTED_DRAWS, LEAST_DRAWS = 54, 50_000, 100
# Frequencies that are this many times as far off as chance alone expects are plainly wrong: more than six standard
# deviations even where there are only two bins.
TIMES_CHANCE = 8
# A kept set whose size, or probabilities, are off by more than this part are plainly wrong; so are more wrong answers.
GROSS = 0.01


def exact_softmax(x: np.ndarray, temperature: float) -> np.ndarray:
    """oracles.softmax, some rows at a time to save memory."""
    rows = x.reshape(-1, x.shape[-1])
    parts = np.array_split(rows, max(1, min(len(rows), x.size >> 18)))
    return np.concatenate([oracles.softmax(part, temperature) for part in parts]).reshape(x.shape)


def ulp_error(got: np.ndarray, exact: np.ndarray, dtype: np.dtype[Any]) -> Error:
    """The largest error where the exact value is a normal number, and in units of the smallest number elsewhere."""
    bits, least = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}[
        dtype.name
    ]
    exponents = np.where(exact > 0, np.frexp(exact)[1] - 1, least - 1)
    ulp = np.ldexp(np.ones_like(exact), np.maximum(exponents, least) - bits)
    error = np.abs(got.astype(exact.dtype) - exact) / ulp
    error, normal = np.where(np.isnan(error), np.inf, error), exponents >= least
    largest = [float(error[where].max(initial=0.0)) for where in (normal, ~normal)]
    return {"kind": "ulp", "max_ulp": largest[0], "max_ulp_subnormal": largest[1]}


def softmax_judge(case: Case, source: np.ndarray) -> Judge:
    """A softmax off by a fiftieth of the largest entry is plainly wrong: bfloat16 has a precision of 1/128."""
    rows = source.reshape(-1, source.shape[-1])[: max(1, MOST_JUDGED // source.shape[-1])]
    exact = exact_softmax(rows, case.temperature)

    def judge(contender: Contender, seconds: float) -> Verdict:
        got = contender.evaluate(source)
        if got.shape != source.shape:
            return {}, f"result has shape {got.shape}, expected {source.shape}"
        got = got.reshape(-1, source.shape[-1])[: len(rows)]
        distance = float(np.abs(got.astype(exact.dtype) - exact).max())
        if not distance <= 0.02 * exact.max():
            return {}, f"result is off by {distance:.3g}"
        return ulp_error(got, exact, source.dtype), None

    return judge


def draw_judge(case: Case, source: np.ndarray) -> Judge:
    """Draws from a row whose first, middle and last entry have probability 0."""
    row = source.reshape(-1, source.shape[-1])[0].copy()
    row[[0, row.size // 2, -1]] = 0.0 if case.data == "probs" else -np.inf
    with np.errstate(divide="ignore"):
        exact = exact_softmax(np.log(row) if case.data == "probs" else row, case.temperature)
    array = np.ascontiguousarray(np.broadcast_to(row, source.shape))

    def judge(contender: Contender, seconds: float) -> Verdict:
        with np.errstate(divide="ignore"):
            if contender.with_u is not None:
                return boundary_error(draws_at(contender, array), exact)
            return frequency_error(collect(contender.on(array), WANTED_DRAWS, seconds), exact)

    return judge


def collect(draw: Callable[[], np.ndarray], wanted: int, seconds: float) -> np.ndarray:
    """Drawn indices, until there are enough or the time is up."""
    draw()  # compiles, where there is something to compile
    deadline, found, count = time.perf_counter() + seconds, [], 0
    while count < wanted and (count < LEAST_DRAWS or time.perf_counter() < deadline):
        found.append(np.asarray(draw()).reshape(-1))
        count += found[-1].size
    return np.concatenate(found)


def draws_at(contender: Contender, array: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The index drawn at each of some uniforms: a call for each, or in a batch a row for each."""
    draw = contender.on(array)

    def index_at(u: np.ndarray) -> np.ndarray:
        if array.ndim == 1:
            return np.asarray([draw(value).reshape(-1)[0] for value in u.tolist()], np.int64)
        padded = np.resize(u, -(-u.size // len(array)) * len(array)).reshape(-1, len(array))
        return np.concatenate([draw(part) for part in padded])[: u.size]

    return index_at


def bins_of(probs: np.ndarray) -> np.ndarray:
    """A bin number for each index: neighbours share a bin until it has its part of the mass."""
    count = BINS if probs.size <= LONG_ROW else BINS_OF_A_LONG_ROW
    middle = np.cumsum(probs) - probs / 2
    return np.unique(np.minimum((middle * count).astype(np.int64), count - 1), return_inverse=True)[1]


def boundary_error(index_at: Callable[[np.ndarray], np.ndarray], probs: np.ndarray) -> Verdict:
    """The exact distance of a draw that is monotone in its uniform: bisection finds the u at which each bin ends."""
    bins = bins_of(probs)
    last_of_bin = np.flatnonzero(np.diff(bins, append=bins[-1] + 1))[:-1]
    below, above = np.zeros(last_of_bin.size), np.ones(last_of_bin.size)
    largest = np.nextafter(1.0, 0.0)
    zero_drawn = bool((probs[index_at(np.array([0.0, largest]))] == 0).any())
    for _ in range(BISECTIONS):
        middle = np.minimum((below + above) / 2, largest)
        drawn = index_at(middle)
        zero_drawn |= bool((probs[drawn] == 0).any())
        beyond = drawn > last_of_bin
        above, below = np.where(beyond, middle, above), np.where(beyond, below, middle)
    share = np.zeros(bins[-1] + 1, probs.dtype)
    np.add.at(share, bins, probs)
    distance = 0.5 * float(np.abs(np.diff(np.concatenate([[0.0], above, [1.0]])) - share).sum())
    gross = f"probabilities are off by {distance:.1e} in total variation" if distance > 1e-3 else None
    return _draw_error(distance, 0.0, 0, zero_drawn), gross


def frequency_error(indices: np.ndarray, probs: np.ndarray) -> Verdict:
    """The distance of drawn frequencies from the probabilities, and what chance alone would show."""
    if indices.size == 0 or indices.min() < 0 or indices.max() >= probs.size:
        return {}, "draws an index out of range"
    bins, draws = bins_of(probs), indices.size
    share = np.bincount(bins, weights=probs.astype(np.float64))
    counts = np.bincount(bins[indices], minlength=share.size)
    noise = 0.5 * float(np.sqrt(2 * share * (1 - share) / (math.pi * draws)).sum())
    distance = 0.5 * float(np.abs(counts / draws - share).sum())
    gross = (
        f"drawn frequencies are off by {distance:.1e}, chance {noise:.1e}" if distance > TIMES_CHANCE * noise else None
    )
    return _draw_error(distance, noise, draws, bool((probs[indices] == 0).any())), gross


def _draw_error(distance: float, noise: float, draws: int, zero_drawn: bool) -> Error:
    found = {"kind": "draw", "total_variation": distance, "noise": noise, "draws": draws}
    return {**found, "zero_drawn": zero_drawn}


def kept_sets(x: np.ndarray, temperature: float, options: dict[str, Any]) -> list[np.ndarray]:
    """The exact probabilities after the filters, for each kept set that is right; XTC counts as happening."""
    coin = {"xtc_u": 0.0} if "xtc_threshold" in options else {}
    verdict = oracles.kept(x, temperature, tolerance=oracles.tolerance_of(x.dtype), **options, **coin)
    found = []
    for kept in verdict.alternatives or verdict.vague:
        indices = np.sort(np.fromiter(kept, np.int64))
        found.append(np.zeros(x.size, np.longdouble))
        found[-1][indices] = oracles.softmax(x[indices], temperature)
    return found


def filter_judge(case: Case, source: np.ndarray) -> Judge:
    """Entries wrongly kept and dropped, compared with the nearest right set, and the distance of the probabilities."""
    right = kept_sets(source, case.temperature, case.options)

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.survivors is None:
            return {}, None
        indices, probs = contender.survivors(contender.prepared(source))
        found = np.zeros(source.size)
        found[indices] = probs
        kept = np.isin(np.arange(source.size), indices)
        exact = min(right, key=lambda probs: int((kept != (probs > 0)).sum()))
        count, distance = int((exact > 0).sum()), 0.5 * float(np.abs(found - exact).sum())
        wrong = [int((kept & (exact == 0)).sum()), int((~kept & (exact > 0)).sum())]
        error = {"kind": "filter", "kept": count, "wrongly_kept": wrong[0], "wrongly_dropped": wrong[1]}
        error.update(total_variation=distance, outside=0)
        # Libraries differ in which of equal entries they keep; the size of the set and its mass are no matter of taste.
        if abs(int(kept.sum()) - count) > 1 + GROSS * count:
            return error, f"keeps {int(kept.sum())} entries instead of {count}"
        if not 0.5 * float(np.abs(np.sort(found) - np.sort(exact)).sum()) <= GROSS:
            return error, f"probabilities are off by {distance:.1e} in total variation"
        if contender.with_u is None:
            return error, None
        drawn, gross = boundary_error(draws_at(contender, source), exact)
        return {**error, "total_variation": drawn["total_variation"], "outside": int(drawn["zero_drawn"])}, gross

    return judge


def answers_judge(source: np.ndarray, what: str, answer: Any, uniforms: np.ndarray) -> Judge:
    """Whole answers at given uniforms; a contender that takes none is not judged.

    Float32 rounds an answer over now and then, a wrong rule gets many wrong: more than a hundredth is plainly wrong.
    """
    right = np.array([answer(u) for u in uniforms])

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.with_u is None:
            return {}, None
        draw = contender.on(source)
        wrong = int((np.stack([draw(u) for u in uniforms]) != right).any(axis=1).sum())
        gross = f"{wrong} of {len(right)} {what} are wrong" if wrong > GROSS * len(right) else None
        return {"kind": "count", "wrong": wrong, "of": len(right), "what": what}, gross

    return judge


def inverse(probs: np.ndarray, u: float) -> int:
    """The smallest index whose cumulative weight exceeds u × total."""
    cumulative = np.cumsum(probs)
    return int(cumulative.searchsorted(u * cumulative[-1], side="right"))


def without_replacement_judge(case: Case, source: np.ndarray) -> Judge:
    """The order of x / t − log(−log(1 − u)), largest first."""

    def answer(u: np.ndarray) -> np.ndarray:
        keys = source.astype(np.longdouble) / case.temperature - np.log(-np.log1p(-u.astype(np.longdouble)))
        return np.argsort(-keys, kind="stable")[: case.options["k"]]

    return answers_judge(source, "orders", answer, np.random.default_rng(2).random((8, source.size)))


def verify_judge(case: Case, source: np.ndarray) -> Judge:
    """The number of tokens accepted, and the corrected or additional token."""
    logits, tokens = draft(case)
    target, drafted = exact_softmax(source, case.temperature), exact_softmax(logits, case.temperature)
    places = np.arange(tokens.size)
    p, q = target[places, tokens], drafted[places, tokens]

    def answer(u: np.ndarray) -> tuple[int, int]:
        rejected = u[:-1] * q >= p
        accepted = int(rejected.argmax()) if rejected.any() else tokens.size
        weights = target[accepted] if accepted == tokens.size else np.maximum(target[accepted] - drafted[accepted], 0)
        return accepted, inverse(weights, u[-1])

    return answers_judge(source, "verdicts", answer, np.random.default_rng(2).random((100, len(source))))


def penalize_judge(case: Case, source: np.ndarray) -> Judge:
    """The penalised logits in ulp."""
    ids, counts = np.unique(context(source.size), return_counts=True)
    repetition, frequency, presence = case.options.values()
    exact = source.astype(np.float64)
    seen = np.where(exact[ids] <= 0, exact[ids] * repetition, exact[ids] / repetition)
    exact[ids] = seen - counts * frequency - presence
    sign, size = np.where(exact < 0, -1, 1), np.abs(exact)

    def judge(contender: Contender, seconds: float) -> Verdict:
        got = contender.evaluate(source)
        if got.size != source.size:
            return {}, None  # ours at the smallest vocabulary
        distance = float((np.abs(got - exact) / np.maximum(size, 1)).max())
        gross = None if distance <= 1e-3 else f"result is off by {distance:.3g}"
        return ulp_error(got * sign, size, source.dtype), gross

    return judge


def logprobs_judge(case: Case, source: np.ndarray) -> Judge:
    """Wrong places of the sorted order, and the largest error of a log-probability."""
    order = np.argsort(-source, kind="stable")[: case.options["k"]]
    logprobs = oracles.log_softmax(source, case.temperature)[order]

    def judge(contender: Contender, seconds: float) -> Verdict:
        values, indices = contender.evaluate(source)
        distance, wrong = float(np.abs(values - logprobs).max()), int((indices != order).sum())
        error = {"kind": "count", "wrong": wrong, "of": order.size, "what": "places", "max_error": distance}
        return error, None if distance <= 1e-3 else f"log-probabilities are off by {distance:.3g}"

    return judge


def judge_of(case: Case, source: np.ndarray) -> Judge:
    """What measures the errors of the contenders on this input; the exact answers are worked out once."""
    if case.operation in ("softmax", "threads-softmax"):
        return softmax_judge(case, source)
    if case.operation.startswith(("overhead", "c-api")):
        return lambda contender, seconds: ({}, None)
    others = {
        "filter": filter_judge,
        "penalize": penalize_judge,
        "top-logprobs": logprobs_judge,
        "without-replacement": without_replacement_judge,
        "verify-draft": verify_judge,
    }
    return others.get(case.operation, draw_judge)(case, source)


def grid(dtype: str, seed: int, longest: int) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """The inputs of the accuracy cases. normal: standard deviation 3; scaled: uniform over 80 temperatures."""
    for n in (2, 10, 100, 1_000, 32_000, 1 << 20):
        for offset in (0.0, 1.0, -100.0, 1e4):
            for temperature in map(float, np.float32([1e-3, 0.03, 0.7, 1.0, 30.0])):
                rng = np.random.default_rng([seed, n, int(abs(offset))])
                if n > longest:
                    return
                normal, scaled = rng.normal(0.0, SPREAD, n), temperature * rng.uniform(-80.0, 0.0, n)
                for spread, around in (("normal", normal), ("scaled", scaled)):
                    point = {"n": n, "offset": offset, "temperature": temperature, "spread": spread}
                    yield point, (offset + around).astype(numpy_dtype(dtype))


def worst_errors(case: Case, builders: dict[str, Any], longest: int) -> dict[str, dict[str, Any] | Exception]:
    """The largest error of each contender over the grid, or the exception that ended it."""
    found: dict[str, Any] = {
        name: {"error": {"kind": "ulp", "max_ulp": 0.0, "max_ulp_subnormal": 0.0}} for name in builders
    }
    for point, source in grid(case.dtype, case.seed, longest):
        exact = exact_softmax(source, point["temperature"])
        for name, build in builders.items():
            if isinstance(found[name], Exception):
                continue
            try:
                contender = build(replace(case, shape=(point["n"],), temperature=point["temperature"]))
                with np.errstate(all="ignore"):
                    error = ulp_error(contender.evaluate(source), exact, source.dtype)
            except Exception as failure:
                found[name] = failure
                continue
            worst, subnormal = found[name]["error"], error["max_ulp_subnormal"]
            if error["max_ulp"] >= worst["max_ulp"]:
                worst.update(max_ulp=error["max_ulp"], worst=point)
            worst["max_ulp_subnormal"] = max(worst["max_ulp_subnormal"], subnormal)
            found[name]["code"] = contender.code
    return found

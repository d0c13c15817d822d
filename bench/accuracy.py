"""How wrong an answer is, compared with tests/oracles.py: the `error` of a row of the results.

A softmax is judged in units in the last place (ulp), a draw by the total variation between its distribution and the
exact one, a filter by its kept set, everything else by the number of wrong answers. A judge puts what is plainly wrong
with a contender under "gross"; that contender is not timed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import REJECTED, SEEDED, SPREAD, Case, context, draft
from timing import Contender

from fastsoftmax.reference._rejection import drawn_by_rejection
from fastsoftmax.reference._seeded import seeded_uniform

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import oracles  # noqa: E402

Error = dict[str, Any]
Judge = Callable[[Contender], Error]

MOST_JUDGED = 1 << 22  # entries of a batch, whole rows from the first on
TOGETHER = 1 << 18  # entries whose exact values are computed at once, in whole rows
# Plainly wrong: a tenth of the digits of a float32, a total variation of a thousandth, a hundredth of the answers.
GROSS_ULP, GROSS_DISTANCE, GROSS_PART = 1e5, 1e-3, 0.01
# Each halving of [0, 1) gives a bit; the last uniform below 1 has 53.
BISECTIONS = 53


def exact_rows(x: np.ndarray, temperature: Any, function: Callable[..., Any] = oracles.softmax) -> np.ndarray:
    """The exact values of the rows of x; a temperature for each stands in a column."""
    rows = x.reshape(-1, x.shape[-1])
    column = np.broadcast_to(temperature, (len(rows), 1))
    step = max(1, TOGETHER // rows.shape[-1])
    starts = range(0, max(len(rows), 1), step)
    return np.concatenate([function(rows[start:][:step], column[start:][:step]) for start in starts])


def rows_along(array: np.ndarray, axis: Any) -> np.ndarray:
    """The rows along one or several axes as a matrix."""
    axes = np.atleast_1d(axis) % array.ndim
    entries = math.prod(array.shape[one] for one in axes)
    return np.moveaxis(array, axes, range(-len(axes), 0)).reshape(-1, entries)


def softmax_judge(case: Case, source: np.ndarray) -> Judge:
    """A softmax, or its logarithm or that of its sum, along the axes of the case."""
    name, axis = case.operation.removeprefix("forms-"), case.options.get("axis", -1)
    logarithm = name in ("log_softmax", "logsumexp")
    rows = rows_along(source, axis)
    rows = rows[: max(1, MOST_JUDGED // rows.shape[-1])]
    exact = exact_rows(rows, case.temperatures(), getattr(oracles, name) if logarithm else oracles.softmax)
    # Next to 0 a logarithm that others take as a difference has no digits left, and is still a usual answer.
    return ulp_judge(source, exact, axis, math.inf if logarithm else GROSS_ULP)


def measure_judge(case: Case, source: np.ndarray) -> Judge:
    """The entropy, or the log-probabilities of the entries that the case names."""
    rows = source.reshape(-1, source.shape[-1])
    rows = rows[: max(1, MOST_JUDGED // rows.shape[-1])]
    if case.operation == "forms-entropy":
        exact = exact_rows(rows, case.temperatures(), oracles.entropy)
    else:
        logs = exact_rows(rows, case.temperatures(), oracles.log_softmax)
        exact = logs[np.arange(len(rows)), case.chosen().reshape(-1)[: len(rows)]]
    return ulp_judge(source, exact, most=math.inf)


def penalize_judge(case: Case, source: np.ndarray) -> Judge:
    ids, counts = np.unique(context(), return_counts=True)
    repetition, frequency, presence = case.options.values()
    exact = source.astype(np.longdouble)
    seen = np.where(exact[ids] <= 0, exact[ids] * repetition, exact[ids] / repetition)
    exact[ids] = seen - counts * frequency - presence
    return ulp_judge(source, exact[None])


def ulp_judge(source: np.ndarray, exact: np.ndarray, axis: Any = -1, most: float = GROSS_ULP) -> Judge:
    """The largest error where the exact value is a normal number; beyond `most` it is gross."""
    normal = np.abs(exact) >= np.finfo(source.dtype).tiny

    def judge(contender: Contender) -> Error:
        got = np.asarray(contender.on(source)(), source.dtype)
        got = rows_along(got.reshape(source.shape), axis) if exact.ndim > 1 else got.reshape(-1)
        worst = oracles.max_ulp(got[: len(exact)][normal], exact[normal]) if normal.any() else 0.0
        error = {"kind": "ulp", "max_ulp": math.inf if math.isnan(worst) else worst}
        return error if worst <= most else {**error, "gross": f"result is off by {worst:.3g} ulp"}

    return judge


def draw_judge(case: Case, source: np.ndarray) -> Judge:
    """Draws from a row whose first, middle and last entry have probability 0."""
    row = source.reshape(-1, source.shape[-1])[0].copy()
    row[[0, row.size // 2, -1]] = 0.0 if case.data == "probs" else -np.inf
    with np.errstate(divide="ignore"):
        probs = oracles.softmax(np.log(row) if case.data == "probs" else row, case.temperature)
    return lambda contender: boundary_error(contender, row, probs, source.ndim > 1)


def boundary_error(contender: Contender, row: np.ndarray, probs: np.ndarray, batch: bool = False) -> Error:
    """Bisection finds the uniform at which each bin of the distribution ends; a draw is monotone in its uniform.

    Neighbours share a bin until it has its part of the mass; a long row has few bins, because a draw takes long.
    """
    count = min(65, max(4, (1 << 20) // probs.size))
    middle = np.cumsum(probs) - probs / 2
    bins = np.unique(np.minimum((middle * count).astype(np.int64), count - 1), return_inverse=True)[1]
    last_of_bin = np.flatnonzero(np.diff(bins))
    shares = np.add.reduceat(probs, np.concatenate([[0], last_of_bin + 1]))
    draw = contender.on(np.tile(row, (last_of_bin.size, 1)) if batch else row)
    below, above = np.zeros(last_of_bin.size), np.ones(last_of_bin.size)
    drawn = [draw(below), draw(above * oracles.LAST_U)]
    for _ in range(BISECTIONS):
        u = (below + above) / 2
        drawn.append(draw(u))
        beyond = np.asarray(drawn[-1]).reshape(-1) > last_of_bin
        above, below = np.where(beyond, u, above), np.where(beyond, below, u)
    distance = 0.5 * float(np.abs(np.diff(np.concatenate([[0.0], above, [1.0]])) - shares).sum())
    error: Error = {"kind": "draw", "total_variation": distance}
    if (probs[np.asarray(drawn).reshape(-1)] == 0).any():
        error["gross"] = "draws an entry of probability 0"
    elif distance > GROSS_DISTANCE:
        error["gross"] = f"probabilities are off by {distance:.1e} in total variation"
    return error


def indices_judge(case: Case, source: np.ndarray) -> Judge:
    """A draw from every row, or several from one, with the mask, the bias or the temperatures of the case."""
    cumulative = np.cumsum(exact_rows(source + case.added(), case.temperatures()), axis=-1)
    cumulative = cumulative if source.ndim > 1 else cumulative[0]
    shape = (case.options.get("size", 500),) if source.ndim == 1 else source.shape[:-1]

    def exact(u: np.ndarray) -> Any:
        return (cumulative <= u[..., None] * cumulative[..., -1:]).sum(axis=-1)

    return answers_judge(source, np.random.default_rng(2).random((4, *shape)), exact)


def filter_judge(case: Case, source: np.ndarray) -> Judge:
    """Entries wrongly kept and dropped, compared with the nearest right set, and the distance of the probabilities."""
    tolerance = oracles.tolerance_of(source.dtype)
    verdict = oracles.kept(source, case.temperature, tolerance=tolerance, **case.options)
    right = []
    for indices in map(list, verdict.alternatives or verdict.vague):
        right.append(np.zeros(source.size, np.longdouble))
        right[-1][indices] = oracles.softmax(source[indices], case.temperature)

    def judge(contender: Contender) -> Error:
        indices, weights = (np.asarray(part).reshape(-1) for part in contender.on(source)())
        found = np.zeros(source.size)
        found[indices] = weights / weights.sum(dtype=np.float64)
        exact = min(right, key=lambda probs: int(((found > 0) != (probs > 0)).sum()))
        wrong = int(((found > 0) & (exact == 0)).sum()), int(((found == 0) & (exact > 0)).sum())
        size, distance = int((exact > 0).sum()), 0.5 * float(np.abs(found - exact).sum())
        error = {"kind": "filter", "kept": size, "wrongly_kept": wrong[0], "wrongly_dropped": wrong[1]}
        error["total_variation"] = distance
        # Libraries differ in which of equal entries they keep, but not in how many, or in their mass.
        if abs(wrong[0] - wrong[1]) > 1 + GROSS_PART * size:
            error["gross"] = f"keeps {size + wrong[0] - wrong[1]} entries instead of {size}"
        elif not 0.5 * float(np.abs(np.sort(found) - np.sort(exact)).sum()) <= GROSS_PART:
            error["gross"] = f"probabilities are off by {distance:.1e} in total variation"
        return error

    return judge


def answers_judge(source: np.ndarray, uniforms: Collection[Any], exact: Callable[[Any], Any]) -> Judge:
    """Wrong numbers in the answers at given uniforms; a float32 may round one over now and then."""
    right = np.array([exact(u) for u in uniforms])

    def judge(contender: Contender) -> Error:
        answer = contender.on(source)
        wrong = int((np.stack([np.asarray(answer(u)) for u in uniforms]) != right).sum())
        error = {"kind": "count", "wrong": wrong, "of": right.size}
        return error if wrong <= GROSS_PART * right.size else {**error, "gross": f"{wrong} of {right.size} are wrong"}

    return judge


def logprobs_judge(case: Case, source: np.ndarray) -> Judge:
    """The indices of the largest, ties by index."""
    return answers_judge(source, [None], lambda u: np.argsort(-source, kind="stable")[: case.options["k"]])


def without_replacement_judge(case: Case, source: np.ndarray) -> Judge:
    """Each draw by the inverse CDF of what is left."""

    def exact(u: np.ndarray) -> np.ndarray:
        weights, drawn = exact_rows(source, case.temperature)[0].copy(), []
        for one in u:
            cumulative = np.cumsum(weights)
            drawn.append(int(cumulative.searchsorted(one * cumulative[-1], side="right")))
            weights[drawn[-1]] = 0
        return np.array(drawn)

    return answers_judge(source, np.random.default_rng(2).random((8, case.options["k"])), exact)


def verify_judge(case: Case, source: np.ndarray) -> Judge:
    """The number of tokens accepted, and the corrected or additional token."""
    logits, tokens = draft(case)
    target, drafted = exact_rows(source, case.temperature), exact_rows(logits, case.temperature)
    places = np.arange(tokens.size)
    p, q = target[places, tokens], drafted[places, tokens]

    def exact(u: np.ndarray) -> tuple[int, int]:
        accepted = int(np.append(u[:-1] * q >= p, True).argmax())
        weights = target[accepted] if accepted == tokens.size else np.maximum(target[accepted] - drafted[accepted], 0)
        cumulative = np.cumsum(weights)
        return accepted, int(cumulative.searchsorted(u[-1] * cumulative[-1], side="right"))

    return answers_judge(source, np.random.default_rng(2).random((100, len(source))), exact)


def seeded_judge(case: Case, source: np.ndarray) -> Judge:
    """The first draws of seed 1, where the reference has their uniforms."""
    u = np.array([float(seeded_uniform(1, 0, j)) for j in range(SEEDED)])
    cumulative = np.cumsum(exact_rows(source, case.temperature))
    return answers_judge(source, [None], lambda _: cumulative.searchsorted(u * cumulative[-1], side="right"))


def rejection_judge(case: Case, source: np.ndarray) -> Judge:
    """The draws of seed 1 at the first steps, by the reference."""
    row = source.tolist()
    right = [drawn_by_rejection(row, case.temperature, 1, 0, step) for step in range(REJECTED)]
    return answers_judge(source, [None], lambda _: right)


JUDGES = {
    **dict.fromkeys(("softmax", "overhead", "c-api-softmax", "threads-softmax"), softmax_judge),
    **dict.fromkeys(("forms-softmax", "forms-log_softmax", "forms-logsumexp"), softmax_judge),
    **dict.fromkeys(("forms-entropy", "forms-log_prob"), measure_judge),
    **dict.fromkeys(("forms-sample", "forms-sampler"), indices_judge),
    **dict.fromkeys(("sample", "sampler", "many", "categorical", "c-api-draw", "threads-sample"), draw_judge),
    "seeded": seeded_judge,
    "rejection": rejection_judge,
    "filter": filter_judge,
    "penalize": penalize_judge,
    "top-logprobs": logprobs_judge,
    "forms-without-replacement": without_replacement_judge,
    "verify-draft": verify_judge,
}


def grid(case: Case, quick: bool) -> Iterator[tuple[Case, np.ndarray, dict[str, Any]]]:
    """The softmaxes of an accuracy case. normal: standard deviation 3; scaled: uniform over 80 temperatures."""
    for n in (2, 10, 100, 1_000, 32_000, 1 << 20)[: 3 if quick else 6]:
        for offset in (0.0, 1.0, -100.0, 1e4):
            for temperature in map(float, np.float32([1e-3, 0.03, 0.7, 1.0, 30.0])):
                rng = np.random.default_rng([0, n, int(abs(offset))])
                normal, scaled = rng.normal(0.0, SPREAD, n), temperature * rng.uniform(-80.0, 0.0, n)
                for spread, around in (("normal", normal), ("scaled", scaled)):
                    point = replace(case, operation="softmax", shape=(n,), temperature=temperature)
                    where = {"n": n, "offset": offset, "temperature": temperature, "spread": spread}
                    yield point, (offset + around).astype(case.dtype), where

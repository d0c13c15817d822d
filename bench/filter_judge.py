"""Are the filters, the penalties and the verdicts right: every contender against sorting in float64.

Each judge takes a case and its input, works out the exact answer once, and returns a function that judges one
contender within some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, batch_requests
from errors import boundary_error, collect_draws, frequency_error, ulp_error
from judge import Judge, Verdict, drawn_at_uniforms
from measure import Contender, repeated
from rows import context
from sorting_oracle import Speculation, drawn_at, filtered_softmax, gumbel_order, penalized, sorted_logprobs
from token_rivals import draft_of

# A contender whose set is off by more than this part, or whose probabilities are by this much, is not timed.
GROSS = 0.01
# Draws of a contender that takes no uniform: enough to see it leave its own set.
FEW_DRAWS = 10
GRID = 64
REPETITIONS = 8
VERDICTS = 100


def filter_judge(case: Case, source: np.ndarray) -> Judge:
    """Entries wrongly kept and dropped, and how far the probabilities are from the exact ones."""
    exact = filtered_softmax(source, case.temperature, case.parameters)

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.survivors is None:
            return {}, None
        error, gross = set_error(contender, source, exact)
        if contender.with_u is not None:
            drawn = boundary_error(drawn_at_uniforms(contender, source), exact)
            error["total_variation"] = drawn.total_variation
            error["outside"] = int(drawn.zero_drawn)
            return error, gross or drawn.gross()
        # The generators are seeded, so the same draws are judged in every run of as many.
        indices = collect_draws(repeated(contender, source), FEW_DRAWS, 0.0, least=FEW_DRAWS)
        error.update(draws=int(indices.size), outside=int((exact[indices] == 0).sum()))
        return error, gross

    return judge


def set_error(contender: Contender, source: np.ndarray, exact: np.ndarray) -> Verdict:
    """The contender's survivors and their probabilities against the exact ones, over one row or a batch."""
    if contender.survivors is None:
        raise ValueError(f"{contender.name} does not tell its survivors")
    flat = exact.reshape(-1)
    indices, probs = contender.survivors(contender.prepared(source))
    kept = np.zeros(flat.size, bool)
    kept[indices] = True
    found = np.zeros(flat.size)
    found[indices] = probs
    rows = exact.size // exact.shape[-1]
    right = flat > 0
    error = {
        "kind": "filter",
        "kept": int(right.sum()),
        "wrongly_kept": int((kept & ~right).sum()),
        "wrongly_dropped": int((right & ~kept).sum()),
        "total_variation": 0.5 * float(np.abs(found - flat).sum()) / rows,
        "draws": 0,
        "outside": 0,
    }
    # Which of equal entries stay is a matter of taste to many; how many, and with what mass, is not.
    if abs(int(kept.sum()) - error["kept"]) > 1 + GROSS * error["kept"]:
        return error, f"keeps {int(kept.sum())} entries instead of {error['kept']}"
    distance = 0.5 * float(np.abs(np.sort(found) - np.sort(flat)).sum()) / rows
    if not distance <= GROSS:
        return error, f"probabilities are off by {distance:.1e} in total variation"
    return error, None


def batch_judge(case: Case, source: np.ndarray) -> Judge:
    """The draws of every row at some uniforms; and its set, where the contender tells it."""
    exact = []
    for row, request in zip(source, batch_requests(), strict=True):
        exact.append(filtered_softmax(row, request.pop("temperature"), request))
    uniforms = np.random.default_rng(2).random((GRID, len(exact)))
    right = np.stack([drawn_at(probs, uniforms[:, row]) for row, probs in enumerate(exact)], axis=1)

    def judge(contender: Contender, seconds: float) -> Verdict:
        draw = repeated(contender, source)
        wrong = int((np.stack([draw(u) for u in uniforms]) != right).sum())
        error = count_error(wrong, right.size, "draws")
        if contender.survivors is None:
            return error, _any_wrong(error)
        found, gross = set_error(contender, source, np.stack(exact))
        sets = {key: found[key] for key in ("kept", "wrongly_kept", "wrongly_dropped")}
        return {**error, **sets}, gross or _any_wrong(error)

    return judge


def count_error(wrong: int, total: int, what: str, **more: Any) -> dict[str, Any]:
    """How many of the answers are wrong."""
    return {"kind": "count", "wrong": wrong, "of": total, "what": what, **more}


def _any_wrong(error: dict[str, Any]) -> str | None:
    return f"{error['wrong']} of {error['of']} {error['what']} are wrong" if error["wrong"] else None


def penalize_judge(case: Case, source: np.ndarray) -> Judge:
    """The error of the penalised logits in units in the last place."""
    exact = penalized(source, context(case.longest), case.parameters)
    scale = np.abs(exact)

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.name == "fastsoftmax-least":
            return {}, None
        got = contender.evaluate(source)
        # Of the magnitudes, so that the sign is part of the distance.
        error = ulp_error(got * np.where(exact < 0, -1, 1), scale, source.dtype).as_dict()
        distance = float((np.abs(got - exact) / np.maximum(scale, 1.0)).max())
        return error, None if distance <= 1e-3 else f"result is off by {distance:.3g}"

    return judge


def logprobs_judge(case: Case, source: np.ndarray) -> Judge:
    """Wrong places of the sorted order, and the largest error of a log-probability."""
    logprobs, order = sorted_logprobs(source, int(case.parameters["k"]), case.temperature)

    def judge(contender: Contender, seconds: float) -> Verdict:
        values, indices = contender.evaluate(source)
        distance = float(np.abs(values - logprobs).max())
        error = count_error(int((indices != order).sum()), order.size, "places", max_error=distance)
        return error, None if distance <= 1e-3 else f"log-probabilities are off by {distance:.3g}"

    return judge


def without_replacement_judge(case: Case, source: np.ndarray) -> Judge:
    """At given uniforms every place; else that no index comes twice, and how often each comes first."""
    k = int(case.parameters["k"])
    probs = filtered_softmax(source, case.temperature, {})
    uniforms = np.random.default_rng(2).random((REPETITIONS, source.size))
    right = np.stack([gumbel_order(source, k, case.temperature, u) for u in uniforms])

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.with_u is not None:
            draw = repeated(contender, source)
            wrong = int((np.stack([draw(u) for u in uniforms]) != right).sum())
            error = count_error(wrong, right.size, "places")
            return error, _any_wrong(error)
        drawn = collect_draws(repeated(contender, source), 50_000 * k, seconds, least=FEW_DRAWS * k)
        drawn = drawn.reshape(-1, k)
        if (np.diff(np.sort(drawn)) == 0).any():
            return {}, "draws an index twice"
        found = frequency_error(drawn[:, 0], probs)
        return found.as_dict(), found.gross()

    return judge


def verify_judge(case: Case, source: np.ndarray) -> Judge:
    """At given uniforms every verdict; else how often each number of tokens is accepted."""
    draft, tokens = draft_of(case)
    exact = Speculation(source, draft, tokens, case.temperature)
    uniforms = np.random.default_rng(2).random((VERDICTS, len(source)))
    right = np.array([exact.verdict(u) for u in uniforms])

    def judge(contender: Contender, seconds: float) -> Verdict:
        if contender.with_u is not None:
            draw = repeated(contender, source)
            wrong = int((np.stack([draw(u) for u in uniforms]) != right).any(axis=1).sum())
            error = count_error(wrong, len(right), "verdicts")
            # Float32 softmaxes round a verdict over now and then; a wrong rule gets many wrong.
            return error, _any_wrong(error) if wrong > GROSS * VERDICTS else None
        verdicts: list[int] = []
        draw, deadline = repeated(contender, source), time.perf_counter() + seconds
        while len(verdicts) < FEW_DRAWS or time.perf_counter() < deadline:
            verdicts.append(int(draw()[0]))
        found = frequency_error(np.asarray(verdicts), exact.accepted_probs())
        return found.as_dict(), found.gross()

    return judge


FILTER_JUDGES: dict[str, Callable[[Case, np.ndarray], Judge]] = {
    "filter": filter_judge,
    "batch": batch_judge,
    "penalize": penalize_judge,
    "top-logprobs": logprobs_judge,
    "without-replacement": without_replacement_judge,
    "verify-draft": verify_judge,
}

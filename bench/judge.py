"""Is a contender right, and how right: asked before it is timed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

import numpy as np
from cases import AccuracyPoint, Case
from errors import (
    DrawError,
    boundary_error,
    collect_draws,
    exact_softmax,
    frequency_error,
    gross_softmax_error,
    ulp_error,
)
from measure import Contender, repeated
from rivals import SOFTMAX, refusal

# Enough for a noise of about 0.01 in the total variation; where draws are dear, the time limit decides.
WANTED_DRAWS = 50_000
DIGEST_DRAWS = 64

Verdict = tuple[dict[str, Any], str | None]
Judge = Callable[[Contender, float], Verdict]


def judge_softmax(contender: Contender, source: np.ndarray, exact: np.ndarray) -> Verdict:
    """The error of a softmax, and what is plainly wrong with it (None if nothing is)."""
    got = contender.evaluate(source)
    gross = gross_softmax_error(got, exact)
    if gross is not None:
        return {}, gross
    return ulp_error(got, exact, source.dtype).as_dict(), None


def judge_draw(contender: Contender, case: Case, source: np.ndarray, seconds: float) -> Verdict:
    """The error of a draw on a row in which the first, the middle and the last entry have probability 0."""
    row = source.reshape(-1, source.shape[-1])[0].copy()
    row[[0, row.size // 2, -1]] = 0.0 if case.data == "probs" else -np.inf
    with np.errstate(divide="ignore"):
        logits = np.log(row) if case.data == "probs" else row
        probs = exact_softmax(logits, case.temperature)
        array = np.ascontiguousarray(np.broadcast_to(row, source.shape))
        error = _draw_error(contender, array, probs, seconds)
    return error.as_dict(), error.gross()


def _draw_error(contender: Contender, array: np.ndarray, probs: np.ndarray, seconds: float) -> DrawError:
    if contender.with_u is not None:
        return boundary_error(drawn_at_uniforms(contender, array), probs)
    return frequency_error(collect_draws(repeated(contender, array), WANTED_DRAWS, seconds), probs)


def drawn_at_uniforms(contender: Contender, array: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The index drawn at each of some uniforms: a call for each, or in a batch a row for each."""
    if contender.with_u is None:
        raise ValueError(f"{contender.name} takes no uniform")
    draw = repeated(contender, array)

    def index_at(u: np.ndarray) -> np.ndarray:
        if array.ndim == 1:
            return np.asarray([draw(value).reshape(-1)[0] for value in u.tolist()], np.int64)
        found = np.empty(u.size, np.int64)
        for start in range(0, u.size, len(array)):
            chunk = u[start : start + len(array)]
            padded = np.concatenate([chunk, np.zeros(len(array) - chunk.size)])
            found[start : start + chunk.size] = draw(padded)[: chunk.size]
        return found

    return index_at


def digest(contender: Contender, source: np.ndarray) -> str:
    """A hash of what the contender answers: equal on every machine and instruction set if the bits are."""
    if contender.with_u is None:
        result = contender.evaluate(source)
    elif contender.u_shape is not None:
        result = repeated(contender, source)(np.random.default_rng(3).random(contender.u_shape))
    else:
        result = drawn_at_uniforms(contender, source)(np.arange(DIGEST_DRAWS) / DIGEST_DRAWS)
    return hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest()[:16]


class AccuracyOf:
    """The largest error of one contender over an accuracy grid, and where it was met."""

    def __init__(self, name: str, case: Case, threads: int) -> None:
        self._name = name
        self._case = case
        self._threads = threads
        self._contender = lru_cache(maxsize=1)(self._build)
        self._row: dict[str, Any] = {"contender": name, "status": "ok"}
        self._error: dict[str, Any] = {"kind": "ulp", "max_ulp": 0.0, "max_ulp_subnormal": 0.0}

    def _build(self, n: int, temperature: float) -> Contender:
        return SOFTMAX[self._name](replace(self._case, shape=(n,), temperature=temperature), self._threads)

    def add(self, point: AccuracyPoint, source: np.ndarray, exact: np.ndarray) -> None:
        """Take one input into account; a contender that failed is not asked again."""
        if self._row["status"] != "ok":
            return
        try:
            contender = self._contender(point.n, point.temperature)
            with np.errstate(all="ignore"):
                found = ulp_error(contender.evaluate(source), exact, source.dtype)
        except Exception as failure:
            self._row.update(refusal(failure))
            return
        self._row.update(code=contender.code, note=contender.note)
        if found.max_ulp >= self._error["max_ulp"]:
            self._error.update(max_ulp=found.max_ulp, oracle=found.oracle, worst=asdict(point))
        self._error["max_ulp_subnormal"] = max(self._error["max_ulp_subnormal"], found.max_ulp_subnormal)

    def row(self) -> dict[str, Any]:
        """The row of the results."""
        return {**self._row, "error": self._error} if self._row["status"] == "ok" else self._row

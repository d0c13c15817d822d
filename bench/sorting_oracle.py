"""What the filters, penalties and verdicts must give, in float64 and by sorting: slow, and easy to check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from errors import exact_softmax

Filters = Mapping[str, float]
NEUTRAL = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}


def filtered_softmax(x: np.ndarray, temperature: float, filters: Filters) -> np.ndarray:
    """softmax(x / temperature) of one row after the filters, each on what the one before has left.

    XTC counts as happening: the benchmark asks for it with probability 1.
    """
    order = np.argsort(-x.astype(np.float64), kind="stable")
    for name, value in filters.items():
        if name == "xtc_probability" or value == NEUTRAL.get(name):
            continue
        kept = x[order].astype(np.float64)
        probs = exact_softmax(x[order], temperature)
        order = order[KEEPS[name](kept, probs, value)]
    filtered = np.zeros(x.size)
    filtered[order] = exact_softmax(x[order], temperature)
    return filtered


def _top_k(x: np.ndarray, probs: np.ndarray, k: float) -> np.ndarray:
    return np.asarray(np.arange(x.size) < k)


def _top_p(x: np.ndarray, probs: np.ndarray, p: float) -> np.ndarray:
    return np.asarray((np.cumsum(probs) - probs < p) | (np.arange(x.size) == 0))


def _min_p(x: np.ndarray, probs: np.ndarray, p: float) -> np.ndarray:
    return np.asarray(probs >= p * probs[0])


def _typical_p(x: np.ndarray, probs: np.ndarray, p: float) -> np.ndarray:
    surprise = -np.log(probs, where=probs > 0, out=np.full(probs.size, -np.inf))
    entropy = float((probs * surprise)[probs > 0].sum())
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    kept = np.zeros(probs.size, bool)
    kept[order[: 1 + int(np.searchsorted(np.cumsum(probs[order]), p))]] = True
    return kept


def _top_n_sigma(x: np.ndarray, probs: np.ndarray, n: float) -> np.ndarray:
    return np.asarray(x >= x[0] - n * x[np.isfinite(x)].std())


def _xtc(x: np.ndarray, probs: np.ndarray, threshold: float) -> np.ndarray:
    likely = int((probs >= threshold).sum())
    return np.asarray(np.arange(x.size) >= likely - 1)


# Each takes the sorted values and probabilities of what is left, and says which of them stay.
KEEPS = {
    "top_k": _top_k,
    "top_p": _top_p,
    "min_p": _min_p,
    "typical_p": _typical_p,
    "top_n_sigma": _top_n_sigma,
    "xtc_threshold": _xtc,
}


def drawn_at(probs: np.ndarray, u: np.ndarray | float) -> np.ndarray:
    """The smallest index whose cumulative weight exceeds u × total."""
    cumulative = np.cumsum(probs)
    return np.asarray(cumulative.searchsorted(np.asarray(u) * cumulative[-1], side="right"))


def penalized(x: np.ndarray, tokens: np.ndarray, parameters: Filters) -> np.ndarray:
    """The penalised row in float64."""
    result = x.astype(np.float64)
    ids, counts = np.unique(tokens, return_counts=True)
    seen = result[ids]
    repetition = parameters.get("repetition", 1.0)
    seen = np.where(seen <= 0, seen * repetition, seen / repetition)
    result[ids] = seen - counts * parameters.get("frequency", 0.0) - parameters.get("presence", 0.0)
    if "dry_multiplier" in parameters:
        allowed = parameters["dry_allowed_length"]
        for token, length in repeated_suffixes(tokens).items():
            if length >= allowed:
                base = parameters["dry_base"]
                result[token] -= parameters["dry_multiplier"] * base ** (length - allowed)
    return result


def repeated_suffixes(tokens: np.ndarray) -> dict[int, int]:
    """For each token, the length of the longest suffix of the context that occurred before, followed by it."""
    said = tokens.tolist()
    longest: dict[int, int] = {}
    for end in range(1, len(said)):
        length = 0
        while length < end and said[end - 1 - length] == said[-1 - length]:
            length += 1
        if length:
            longest[said[end]] = max(longest.get(said[end], 0), length)
    return longest


def sorted_logprobs(x: np.ndarray, k: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The first k of the sorted order: their logarithms of probability, and their indices."""
    scaled = x.astype(np.float64) / temperature
    peak = scaled.max()
    order = np.argsort(-x.astype(np.float64), kind="stable")[:k]
    return scaled[order] - peak - np.log(np.exp(scaled - peak).sum()), order


def gumbel_order(x: np.ndarray, k: int, temperature: float, u: np.ndarray) -> np.ndarray:
    """The k indices drawn one after another, none twice: the largest x / temperature − log(−log1p(−u))."""
    waits = -np.log1p(-np.where(u == 0, 2.0**-54, u))
    keys = x.astype(np.float64) / temperature - np.log(waits)
    return np.argsort(-keys, kind="stable")[:k]


class Speculation:
    """What verify_draft must answer, for one row of target and draft."""

    def __init__(self, target: np.ndarray, draft: np.ndarray, tokens: np.ndarray, temperature: float) -> None:
        self._target = exact_softmax(target, temperature)
        self._draft = exact_softmax(draft, temperature)
        self._tokens = tokens
        places = np.arange(tokens.size)
        self._p = self._target[places, tokens]
        self._q = self._draft[places, tokens]

    def verdict(self, u: np.ndarray) -> tuple[int, int]:
        """The number of tokens accepted, and the corrected or bonus token."""
        rejected = u[:-1] * self._q >= self._p
        accepted = int(rejected.argmax()) if rejected.any() else self._tokens.size
        weights = self._target[accepted]
        if accepted < self._tokens.size:
            weights = np.maximum(weights - self._draft[accepted], 0.0)
        return accepted, int(drawn_at(weights, u[-1]))

    def accepted_probs(self) -> np.ndarray:
        """The probability of each number of accepted tokens."""
        accept = np.minimum(1.0, self._p / self._q)
        reached = np.concatenate([[1.0], np.cumprod(accept)])
        return np.asarray(reached * np.append(1 - accept, 1.0))

"""Three measures of a written text: its entropy, the fraction of known words, the fraction of repeats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsoftmax import softmax, truncate
from fastsoftmax.demo.model import CharModel, Float32s
from fastsoftmax.demo.writing import rows_along

_WORD = re.compile(r"[^\W\d_]+")

ROWS_AT_ONCE = 1024


def entropy_bits(
    rows: Iterable[Float32s],
    temperature: float | npt.NDArray[np.float64],
    filters: Mapping[str, Any] | None = None,
) -> float:
    """Mean entropy in bits of the distributions drawn from: softmax(row / temperature), one row a draw.

    Parameters
    ----------
    rows : iterable of float32 arrays
        The logits at each step.
    temperature : float or array of float64, one a row
        The temperature of the draws.
    filters : mapping, optional
        The filters of the draws, as keyword arguments of `truncate`.

    Examples
    --------
    >>> import numpy as np
    >>> fair_coin = np.float32([3, 3])
    >>> entropy_bits([fair_coin, fair_coin], 1.0)
    1.0
    """
    steps, total = 0, 0.0
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS_AT_ONCE)):
        at = temperature if isinstance(temperature, float) else temperature[steps : steps + len(batch)]
        if filters:
            probs = softmax(truncate(np.stack(batch), at, **filters))
        else:
            probs = softmax(np.stack(batch), at)
        # 0 log 0 is 0 in an entropy.
        logs = np.log2(probs, where=probs > 0, out=np.zeros_like(probs))
        total -= float(np.sum(probs * logs, dtype=np.float64))
        steps += len(batch)
    return total / steps if steps else float("nan")


def words(text: str) -> list[str]:
    """The runs of letters in a text, casefolded, without one at the very end, which may be incomplete.

    Examples
    --------
    >>> words("The __init__ method of 3 cla")
    ['the', 'init', 'method', 'of']
    """
    return [match[0].casefold() for match in _WORD.finditer(text) if match.end() < len(text)]


def known_words(text: str, vocabulary: set[str]) -> float:
    """The fraction of the words of `text` that are in `vocabulary`; NaN if there are no words."""
    written = words(text)
    return sum(word in vocabulary for word in written) / len(written) if written else float("nan")


def repeated_ngrams(text: str, n: int = 10) -> float:
    """The fraction of the n-grams of symbols in `text` that occurred earlier in it; NaN if there are none.

    Examples
    --------
    >>> repeated_ngrams("abcabca", n=3)
    0.4
    """
    count = len(text) - n + 1
    return 1 - len({text[i : i + n] for i in range(count)}) / count if count > 0 else float("nan")


@dataclass(frozen=True)
class Measures:
    """The measures of a written text."""

    entropy: float
    """mean over the symbols, in bits"""
    known: float
    """fraction of the words that occur in the source text"""
    repeated: float
    """fraction of the 10-grams that occurred earlier in the written text"""

    def __str__(self) -> str:
        return (
            f"entropy {self.entropy:.2f} bits per symbol"
            f"   words in the source {_percent(self.known)}   repeated 10-grams {_percent(self.repeated)}"
        )


def measure(
    model: CharModel,
    vocabulary: set[str],
    symbols: list[int],
    state: int,
    temperature: float | npt.NDArray[np.float64],
    filters: Mapping[str, Any] | None = None,
) -> Measures:
    """Measure the text of `symbols`, the first of which was drawn in `state`."""
    text = "".join(model.alphabet[symbol] for symbol in symbols)
    return Measures(
        entropy_bits(rows_along(model.logits, model.advance, symbols, state), temperature, filters),
        known_words(text, vocabulary),
        repeated_ngrams(text),
    )


def _percent(fraction: float) -> str:
    return "–" if np.isnan(fraction) else f"{100 * fraction:.1f} %"

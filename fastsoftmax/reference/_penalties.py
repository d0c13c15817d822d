"""penalize: repetition, frequency and presence penalties, and DRY."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ._parameters import checked
from ._rows import PerRow, Row, Rows, as_int, as_rows, broadcast

Breaker = tuple[int, ...]


def penalize(
    logits: Row | Rows,
    tokens: Sequence[int] | Sequence[Sequence[int]],
    *,
    lengths: int | Sequence[int] | None = None,
    repetition: PerRow = 1.0,
    frequency: PerRow = 0.0,
    presence: PerRow = 0.0,
    dry_multiplier: PerRow = 0.0,
    dry_base: PerRow = 1.75,
    dry_allowed_length: int | Sequence[int] = 2,
    dry_penalty_last_n: int | Sequence[int] | None = None,
    dry_sequence_breakers: Sequence[int | Sequence[int]] = (),
) -> Any:
    """Logits less what the tokens seen so far take from them.

    For each token t of the context, in this order::

        x_t = x_t * repetition if x_t <= 0 else x_t / repetition
        x_t -= count_t * frequency + presence
        x_t -= dry_multiplier * dry_base ** (m_t - dry_allowed_length)    if m_t >= dry_allowed_length

    where m_t is the length of the longest suffix of the context that occurred in it before, followed by t.

    Parameters
    ----------
    logits : list of float, or list of such rows
    tokens : list of int, or one such list per row
        The context, oldest first; indices of the row.
    lengths : int, or one per row, optional
        How many of the row's tokens there are; what follows is padding. All of them unless given.
    repetition : float > 0, or one per row
    frequency, presence : float, or one per row
    dry_multiplier : float >= 0, or one per row
        0 switches DRY off.
    dry_base : float >= 1, or one per row
    dry_allowed_length : int >= 1, or one per row
    dry_penalty_last_n : int >= 0, or one per row, optional
        DRY looks at the last so many tokens only; at all of them unless given.
    dry_sequence_breakers : list of int or of tuples of int
        The suffix begins after the last complete occurrence of any of these. DRY never penalises a breaker that
        is one token.

    Returns
    -------
    list of float, or list of such rows
        What is infinite or NaN stays, and what is finite stays finite.

    Raises
    ------
    ValueError
        If an argument is out of range, or a token is no index of its row.

    Examples
    --------
    >>> penalize([2.0, -2.0, 3.0], [0, 1, 0], repetition=2.0, frequency=0.25)
    [0.5, -4.25, 3.0]

    The last two tokens, 1 and 2, occurred before, followed by 3:

    >>> penalize([0.0, 0.0, 0.0, 0.0], [1, 2, 3, 1, 2], dry_multiplier=0.5, dry_base=2.0, dry_allowed_length=1)
    [0.0, 0.0, 0.0, -1.0]
    """
    rows, is_one_row = as_rows(logits)
    contexts = _contexts(tokens, lengths, rows, is_one_row)
    given = {
        "repetition": repetition,
        "frequency": frequency,
        "presence": presence,
        "dry_multiplier": dry_multiplier,
        "dry_base": dry_base,
        "dry_allowed_length": dry_allowed_length,
        "dry_penalty_last_n": max(map(len, contexts)) if dry_penalty_last_n is None else dry_penalty_last_n,
    }
    per_row = [broadcast(checked(value, name), (len(rows),), name) for name, value in given.items()]
    breakers = [_breaker(one) for one in dry_sequence_breakers]
    penalized = []
    for row, context, r, f, q, multiplier, base, allowed, last_n in zip(rows, contexts, *per_row, strict=True):
        matched: dict[int, int] = {}
        if multiplier:
            matched = longest_repeats(context[max(len(context) - last_n, 0) :], breakers)
        new = [float(v) for v in row]
        for t, count in Counter(context).items():
            if math.isfinite(row[t]):
                new[t] = _finite(row[t] * r if row[t] <= 0 else row[t] / r)
                new[t] = _finite(new[t] - (count * f + q))
                if matched.get(t, 0) >= allowed:
                    new[t] = _finite(new[t] - multiplier * _power(base, matched[t] - allowed))
        penalized.append(new)
    return penalized[0] if is_one_row else penalized


def longest_repeats(context: Sequence[int], breakers: Sequence[Breaker]) -> dict[int, int]:
    """For each token of the context, the length of the longest suffix that occurred before, followed by it."""
    limit = _since_breaker(context, breakers)
    longest: dict[int, int] = {}
    for j, t in enumerate(context):
        length = 0
        while length < min(j, limit) and context[j - 1 - length] == context[-1 - length]:
            length += 1
        longest[t] = max(length, longest.get(t, 0))
    return {t: length for t, length in longest.items() if (t,) not in breakers}


def _since_breaker(context: Sequence[int], breakers: Sequence[Breaker]) -> int:
    """How many tokens follow the last complete occurrence of any breaker."""
    for end in range(len(context), 0, -1):
        if any(tuple(context[max(end - len(one), 0) : end]) == one for one in breakers):
            return len(context) - end
    return len(context)


def _breaker(one: int | Sequence[int]) -> Breaker:
    tokens = tuple(as_int(t, "dry_sequence_breakers") for t in (one if isinstance(one, Sequence) else [one]))
    if not tokens:
        raise ValueError("dry_sequence_breakers has a breaker of no tokens")
    return tokens


def _contexts(tokens: Any, lengths: Any, rows: list[list[float]], is_one_row: bool) -> list[list[int]]:
    """The tokens of each row, without padding."""
    given = [tokens] if is_one_row else list(tokens)
    if len(given) != len(rows):
        raise ValueError(f"tokens must be {len(rows)} lists, one for each row, not {len(given)}")
    if lengths is None:
        lengths = [len(context) for context in given]
    contexts = []
    counts = broadcast(checked(lengths, "lengths"), (len(rows),), "lengths")
    for i, (row, context, count) in enumerate(zip(rows, given, counts, strict=True)):
        if count > len(context):
            raise ValueError(f"lengths: row {i} has {len(context)} tokens, not {count}")
        contexts.append([as_int(t, "tokens") for t in context[:count]])
        for position, t in enumerate(contexts[-1]):
            if not 0 <= t < len(row):
                raise ValueError(f"tokens: row {i} has {t} at position {position}, outside 0 to {len(row) - 1}")
    return contexts


def _finite(value: float) -> float:
    """The value, or the finite number it overflowed past."""
    largest = sys.float_info.max
    return min(max(value, -largest), largest)


def _power(base: float, exponent: int) -> float:
    try:
        return float(base) ** exponent
    except OverflowError:
        return math.inf

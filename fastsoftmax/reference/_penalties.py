"""penalize: repetition, frequency and presence penalties, and DRY."""

import math
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from ._softmax import Row


def penalize(
    x: Row, tokens: Sequence[int], *, repetition: float = 1.0, frequency: float = 0.0, presence: float = 0.0,
    dry_multiplier: float = 0.0, dry_base: float = 1.75, dry_allowed_length: int = 2,
    dry_penalty_last_n: int = -1, last_n: int = -1, dry_sequence_breakers: Sequence[tuple[int, ...]] = (),
    exempt: Sequence[int] = (),
) -> list[float]:  # fmt: skip
    """Logits less what the tokens seen so far take from them.

    For each token t of the context, in this order::

        x_t = x_t * repetition if x_t <= 0 else x_t / repetition         if count_t > 0
        x_t -= count_t * frequency + presence                            if count_t > 0
        x_t -= dry_multiplier * dry_base ** (m_t - dry_allowed_length)    if m_t >= dry_allowed_length

    where count_t says how often t is among the last `last_n` tokens (-1: among all of them), and m_t is the length of
    the longest suffix of the context that occurred in it before, followed by t. What is infinite or NaN stays, and what
    is finite stays finite.

    Parameters
    ----------
    tokens : list of int
        The context, oldest first; indices of the row.
    dry_penalty_last_n : int
        DRY looks at this number of the last tokens; -1: at all of them.
    dry_sequence_breakers : list of tuples of int
        The suffix begins after the last complete occurrence of any of these. A token that is one of them alone is
        never penalised by DRY.
    exempt : list of int
        Tokens whose logits stay as they are.

    Examples
    --------
    >>> penalize([2.0, -2.0, 3.0], [0, 1, 0], repetition=2.0, frequency=0.25)
    [0.5, -4.25, 3.0]
    >>> # The last two tokens, 1 and 2, occurred before, followed by 3.
    >>> penalize([0.0, 0.0, 0.0, 0.0], [1, 2, 3, 1, 2], dry_multiplier=0.5, dry_base=2.0, dry_allowed_length=1)
    [0.0, 0.0, 0.0, -1.0]
    """
    counts = Counter(last(tokens, last_n))
    repeats = longest_repeats(last(tokens, dry_penalty_last_n), dry_sequence_breakers)
    penalized = [float(v) for v in x]
    for t in set(tokens):
        if math.isfinite(x[t]) and t not in exempt:
            v = float(x[t])
            if t in counts:
                v = finite(v * repetition if v <= 0 else v / repetition)
                v = finite(v - (counts[t] * frequency + presence))
            if dry_multiplier and repeats.get(t, 0) >= dry_allowed_length:
                repeated = Fraction(dry_base) ** (repeats[t] - dry_allowed_length)
                v = finite(Fraction(v) - Fraction(dry_multiplier) * repeated)
            penalized[t] = v
    return penalized


def last(tokens: Sequence[int], n: int) -> Sequence[int]:
    """The last n tokens; all of them if n is -1."""
    return tokens if n < 0 else tokens[max(len(tokens) - n, 0) :]


def longest_repeats(context: Sequence[int], breakers: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """For each token of the context, the length of the longest suffix that occurred before, followed by it."""
    ends = [e for e in range(1, len(context) + 1) for b in breakers if tuple(context[max(e - len(b), 0) : e]) == b]
    limit = len(context) - max(ends, default=0)
    longest: dict[int, int] = {}
    for j, t in enumerate(context):
        length = 0
        while length < min(j, limit) and context[j - 1 - length] == context[-1 - length]:
            length += 1
        longest[t] = max(length, longest.get(t, 0))
    return {t: length for t, length in longest.items() if (t,) not in breakers}


def finite(value: float | Fraction) -> float:
    """The value, or the largest finite number of its sign."""
    return float(min(max(value, -sys.float_info.max), sys.float_info.max))

"""verify_draft: speculative decoding's rule for drafted tokens."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

from ._candidates import candidates_of_logits, inverse_cdf
from ._rows import InvalidRow, PerRow, Row, Rows, SupportsRandom, as_int, not_both, temperatures, uniforms


class DraftVerdict(NamedTuple):
    """How many drafted tokens are ``accepted``, and the ``token`` that follows them."""

    accepted: Any
    token: Any


def verify_draft(
    target_logits: Rows | Sequence[Rows],
    draft_logits: Rows | Sequence[Rows] | None,
    tokens: Sequence[int] | Sequence[Sequence[int]],
    temperature: PerRow = 1.0,
    *,
    draft_temperature: PerRow | None = None,
    u: Any = None,
    rng: SupportsRandom | None = None,
) -> DraftVerdict:
    """Accept drafted tokens, and draw one more, so that all are distributed as the target's own.

    With p the target's and q the draft's probability, token j is accepted if ``u_j * q(token) < p(token)``. At the
    first that is not, the token is drawn from ``max(p - q, 0)`` normalised (from p where that is 0 everywhere); if
    all are accepted, from p of the last position.

    Parameters
    ----------
    target_logits : list of K + 1 rows, or a list of such lists
    draft_logits : list of K rows, or a list of such lists, or None
        None means that the draft had no choice: q is 1 at its token.
    tokens : list of K int, or a list of such lists
        The drafted tokens. K may be 0.
    temperature : float in [0, inf], or one per list
    draft_temperature : float in [0, inf], or one per list, optional
        The same as `temperature` unless given.
    u : list of K + 1 floats in [0, 1), or a list of such lists, optional
        One for each token, and the last for the draw.
    rng : object with a ``random()`` method, optional
        Where the uniforms come from if `u` is not given: K + 1 for each list, in order.

    Returns
    -------
    DraftVerdict
        `accepted`, how many tokens of the draft stay, and `token`, the one that follows them; each an int, or a
        list of one per list.

    Raises
    ------
    ValueError
        If an argument is out of range, or a row, which is named, holds a NaN or nothing above -inf.

    References
    ----------
    Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from Transformers via Speculative Decoding", 2023.

    Examples
    --------
    >>> target, draft = [[0.0, 0.0], [0.0, 9.0]], [[0.0, 1.0]]
    >>> verify_draft(target, draft, [1], u=[0.6, 0.5]), verify_draft(target, draft, [1], u=[0.7, 0.5])
    (DraftVerdict(accepted=1, token=1), DraftVerdict(accepted=0, token=0))
    """
    not_both(u, rng)
    nested: Any = target_logits
    if not len(nested) or not len(nested[0]):
        raise ValueError("target_logits must have at least one row, of at least one entry")
    is_batch = isinstance(nested[0][0], Sequence)
    targets: list[Any] = list(nested) if is_batch else [nested]
    contexts: list[Any] = list(tokens) if is_batch else [tokens]
    drafts: list[Any] = [None] * len(targets) if draft_logits is None else list(draft_logits)
    if draft_logits is not None and not is_batch:
        drafts = [drafts]
    _check_shapes(targets, drafts, contexts)
    target_temperatures = temperatures(temperature, len(targets))
    draft_temperatures = target_temperatures
    if draft_temperature is not None:
        draft_temperatures = temperatures(draft_temperature, len(targets), "draft_temperature")
    shape = (len(targets), len(targets[0]))
    given = uniforms(u, rng, shape if is_batch else shape[1:])
    verdicts = []
    for i, (target, draft, context) in enumerate(zip(targets, drafts, contexts, strict=True)):
        list_name = f" of list {i}" if is_batch else ""
        p = [
            _distribution(row, target_temperatures[i], f"target_logits: row {j}{list_name}")
            for j, row in enumerate(target)
        ]
        if draft is None:
            q = [[Fraction(index == t) for index in range(len(p[0]))] for t in context]
        else:
            q = [
                _distribution(row, draft_temperatures[i], f"draft_logits: row {j}{list_name}")
                for j, row in enumerate(draft)
            ]
        verdicts.append(_verdict(p, q, context, given[i] if is_batch else given))
    if not is_batch:
        return verdicts[0]
    return DraftVerdict([v.accepted for v in verdicts], [v.token for v in verdicts])


def _verdict(p: list[list[Fraction]], q: list[list[Fraction]], tokens: Sequence[int], u: Row) -> DraftVerdict:
    """The rule for one list of tokens."""
    for j, t in enumerate(tokens):
        if not Fraction(u[j]) * q[j][t] < p[j][t]:
            residual = [max(a - b, Fraction(0)) for a, b in zip(p[j], q[j], strict=True)]
            return DraftVerdict(j, _drawn(residual if any(residual) else p[j], u[-1]))
    return DraftVerdict(len(tokens), _drawn(p[-1], u[-1]))


def _drawn(weights: list[Fraction], u: float) -> int:
    return inverse_cdf(list(accumulate(weights)), u)


def _distribution(x: Row, temperature: float, name: str) -> list[Fraction]:
    """The probabilities a draw from the logits goes by."""
    try:
        candidates = candidates_of_logits(x, None, None).at(temperature)
    except InvalidRow as wrong:
        raise ValueError(f"{name} is invalid: {wrong}") from None
    p = [Fraction(0)] * len(x)
    for index, w in zip(candidates.indices, candidates.weights, strict=True):
        p[index] = w / candidates.total
    return p


def _check_shapes(targets: list[Any], drafts: list[Any], contexts: list[Any]) -> None:
    k, n = len(targets[0]) - 1, len(targets[0][0])
    if not len(contexts) == len(drafts) == len(targets):
        raise ValueError("target_logits, draft_logits and tokens must have the same number of lists")
    for target, draft, context in zip(targets, drafts, contexts, strict=True):
        if len(context) != k:
            raise ValueError(f"tokens must be {k}, one fewer than the rows of target_logits, not {len(context)}")
        if len(target) != k + 1 or any(len(row) != n for row in target):
            raise ValueError(f"target_logits must have {k + 1} rows of {n} entries")
        if draft is not None and (len(draft) != k or any(len(row) != n for row in draft)):
            raise ValueError(f"draft_logits must have {k} rows of {n} entries")
        for j, t in enumerate(context):
            if not 0 <= as_int(t, "tokens") < n:
                raise ValueError(f"tokens: {t} at position {j} is outside 0 to {n - 1}")

"""verify_draft: Leviathan, Kalman & Matias, "Fast Inference from Transformers via Speculative Decoding", 2023."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from ._candidates import candidates_of, inverse_cdf
from ._softmax import Row


class DraftVerdict(NamedTuple):
    accepted: int
    token: int


def verify_draft(
    target_logits: Sequence[Row], draft_logits: Sequence[Row] | None, tokens: Sequence[int], temperature: float = 1.0,
    *, draft_temperature: float | None = None, u: Row,
) -> DraftVerdict:  # fmt: skip
    """How many of K drafted tokens to accept, and the token after them: all are then distributed as the target's own.

    With p the target's and q the draft's probabilities at position j, token t is accepted if ``u_j * q_t < p_t``. The
    first that is not is replaced by a draw from ``max(p - q, 0)``, normalised, or from p if that is 0 everywhere. If
    all are accepted, the token after them is drawn from p of the last position.

    Parameters
    ----------
    target_logits, draft_logits : list of K + 1 rows, and of K rows
        The draft's may be None, if it had no choice: q is 1 at its token.
    temperature, draft_temperature : float in [0, inf]
        That of p, and that of q if it is another.
    u : list of K + 1 float in [0, 1)
        One for each token, and the last for the draw.

    Examples
    --------
    >>> target, draft = [[0.0, 0.0], [0.0, 9.0]], [[0.0, 1.0]]
    >>> verify_draft(target, draft, [1], u=[0.6, 0.5]), verify_draft(target, draft, [1], u=[0.7, 0.5])
    (DraftVerdict(accepted=1, token=1), DraftVerdict(accepted=0, token=0))
    """
    ps = [probabilities(x, temperature) for x in target_logits]
    if draft_logits is None:
        qs = [[Fraction(i == t) for i in range(len(ps[0]))] for t in tokens]
    else:
        qs = [probabilities(x, temperature if draft_temperature is None else draft_temperature) for x in draft_logits]
    for j, (p, q, t) in enumerate(zip(ps[:-1], qs, tokens, strict=True)):
        if not Fraction(u[j]) * q[t] < p[t]:
            residual = [max(a - b, Fraction(0)) for a, b in zip(p, q, strict=True)]
            return DraftVerdict(j, inverse_cdf(residual if any(residual) else p, u[-1]))
    return DraftVerdict(len(tokens), inverse_cdf(ps[-1], u[-1]))


def probabilities(x: Row, temperature: float) -> list[Fraction]:
    """Those that `sample` goes by: at temperature 0, 1 at the first of the largest entries."""
    c = candidates_of(x).at(temperature)
    p = [Fraction(0)] * len(x)
    for i, w in zip(c.indices, c.weights, strict=True):
        p[i] = w / c.total
    return p

"""verify_tree: several drafted candidates for a position, by recursive rejection.

Miao et al., "SpecInfer", 2024, with replacement; Jeon et al., "Recursive Speculative Decoding", 2024, without.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from ._candidates import inverse_cdf
from ._drafts import probabilities
from ._softmax import Row

Distribution = list[Fraction]


class TreeVerdict(NamedTuple):
    accepted: int
    path: list[int]
    token: int


def verify_tree(
    target_logits: Sequence[Row], draft_logits: Sequence[Row] | None, tokens: Sequence[int], parents: Sequence[int],
    temperature: float = 1.0, *, draft_temperature: float | None = None, replacement: bool = False, u: Row,
) -> TreeVerdict:  # fmt: skip
    """Which path of a tree of K drafted tokens is accepted, and the token after it: distributed as the target's own.

    Begin at the context. At each node, p is the target's and q the draft's distribution of what follows it, and its
    children are tried in their order: child i with token t is accepted if ``u_i * q_t < p_t``, and the same goes on
    there. If not, p becomes ``max(p - q, 0)``, and q loses t unless drawn with replacement; both are normalised. If no
    child is left, the token is drawn from p.

    Parameters
    ----------
    target_logits, draft_logits : list of K + 1 rows
        After the context, and after each node. The draft's may be None, if it had no choice: q is 1 at each candidate.
    parents : list of K int
        The node that each node follows, -1 for the context; smaller than its own number.
    replacement : bool
        Whether the children of a node were drawn with replacement.
    u : list of K + 1 float in [0, 1)
        One for each node, and the last for the draw.

    Examples
    --------
    >>> verify_tree([[0.0, 0.0, 0.0]] * 3, [[0.0, 9.0, 8.0]] * 3, [1, 2], [-1, -1], u=[0.9, 0.1, 0.5])
    TreeVerdict(accepted=1, path=[1], token=1)
    """
    at, path = -1, list[int]()
    while True:
        p = probabilities(target_logits[at + 1], temperature)
        q = None
        if draft_logits is not None:
            q = probabilities(draft_logits[at + 1], temperature if draft_temperature is None else draft_temperature)
        for child in [i for i, parent in enumerate(parents) if parent == at]:
            if Fraction(u[child]) < acceptance(p, q, tokens[child]):
                path.append(child)
                break
            p, q = rejected(p, q, tokens[child], replacement)
        else:
            return TreeVerdict(len(path), path, inverse_cdf(p, u[-1]))
        at = path[-1]


def acceptance(p: Distribution, q: Distribution | None, token: int) -> Fraction:
    """With which probability a candidate from q is accepted as a draw from p."""
    of_draft = Fraction(1) if q is None else q[token]
    return min(p[token] / of_draft, Fraction(1)) if of_draft else Fraction(p[token] > 0)


def rejected(
    p: Distribution, q: Distribution | None, token: int, replacement: bool
) -> tuple[Distribution, Distribution | None]:
    """The distributions for the next candidate."""
    drafted = [Fraction(i == token) for i in range(len(p))] if q is None else q
    rest = [max(a - b, Fraction(0)) for a, b in zip(p, drafted, strict=True)]
    if q is not None and not replacement:
        q = normalised([Fraction(0) if i == token else b for i, b in enumerate(q)])
    return normalised(rest) if any(rest) else p, q


def normalised(weights: Distribution) -> Distribution:
    total = sum(weights)
    return [w / total for w in weights] if total else weights

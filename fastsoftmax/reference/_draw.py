"""sample and sample_probs."""

import math
from typing import Any

from ._candidates import Candidates, allowed, candidates_of, sorted_order
from ._filters import Filters, filtered
from ._softmax import Bias, Mask, Row


def sample(
    x: Row, temperature: float = 1.0, *, u: float, mask: Mask = None, bias: Bias = None,
    return_logprob: bool = False, **filters: Any,
) -> Any:  # fmt: skip
    """Draw an index from ``softmax(x / temperature)``, or from what the filters keep of it.

    It is the smallest index whose cumulative weight exceeds `u`, in [0, 1), times the total weight; at temperature 0 it
    is the first of the largest entries. With `return_logprob` it is the pair of the index and its log-probability.

    Parameters
    ----------
    mask, bias, **filters
        As for `truncate`.

    Examples
    --------
    >>> [sample([0.0, 1.0, 2.0, 1.0], top_k=2, u=u) for u in (0.0, 0.26, 0.27)]
    [1, 1, 2]
    >>> sample([0.0, 1.0], u=0.1, return_logprob=True)
    (0, -1.3132616875182228)
    """
    c = candidates_of(allowed(x, mask, bias))
    return filtered(c, temperature, Filters(**filters)).draw(u, return_logprob)


def sample_probs(
    p: Row, temperature: float = 1.0, *, u: float, mask: Mask = None, bias: Bias = None,
    return_logprob: bool = False, **filters: Any,
) -> Any:  # fmt: skip
    """Draw an index with probability proportional to ``p_i ** (1 / temperature)``, or from what the filters keep.

    The same as `sample` of ``log(p)``, to which the bias is added; but without a bias the weights at temperature 1 are
    exactly `p`, for the filters too.

    Examples
    --------
    >>> [sample_probs([1, 0, 3], u=u) for u in (0.0, 0.2499, 0.25, 0.9999)]
    [0, 0, 2, 2]
    """
    if mask is not None:
        p = [v if m else 0.0 for v, m in zip(p, mask, strict=True)]
    if not (all(0 <= v < math.inf for v in p) and any(p)):
        raise ValueError("the row cannot be drawn from: probabilities are finite, not negative, and not all 0")
    x = [math.log(v) if v > 0 else -math.inf for v in p]
    c = candidates_of(allowed(x, mask, bias))
    if bias is None:
        c = Candidates([i for i in sorted_order(p) if p[i] > 0], x, p)
    return filtered(c, temperature, Filters(**filters)).draw(u, return_logprob)

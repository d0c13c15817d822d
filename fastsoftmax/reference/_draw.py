"""sample and sample_probs."""

import math
from typing import Any

from ._candidates import Candidates, allowed, candidates_of, sorted_order
from ._filters import ORDER, Filters, filtered, is_on
from ._keyed import keyed_uniforms
from ._rejection import FROM, drawn_by_rejection, weight_drawn_by_rejection
from ._softmax import Bias, Mask, Row


def sample(
    x: Row, temperature: float = 1.0, *, u: float | None = None, seed: int | None = None, key: int = 0, step: int = 0,
    method: str = "inversion", mask: Mask = None, bias: Bias = None, return_logprob: bool = False, **filters: Any,
) -> Any:  # fmt: skip
    """Draw an index from ``softmax(x / temperature)``, or from what the filters keep of it.

    It is the smallest index whose cumulative weight exceeds `u`, in [0, 1), times the total weight; at temperature 0 it
    is the first of the largest entries. With `return_logprob` it is the pair of the index and its log-probability.

    Parameters
    ----------
    seed, key, step, method
        Instead of `u`: that of `keyed_uniforms`, or a draw by rejection from a row of 8,192 entries and more, if no
        filter is on.
    mask, bias, **filters
        As for `truncate`.

    Examples
    --------
    >>> [sample([0.0, 1.0, 2.0, 1.0], top_k=2, u=u) for u in (0.0, 0.26, 0.27)]
    [1, 1, 2]
    >>> sample([0.0, 1.0], u=0.1, return_logprob=True)
    (0, -1.3132616875182228)
    >>> sample([0.0] * 10_000, seed=7, key=3), sample([0.0] * 10_000, seed=7, key=3, method="rejection")
    (4821, 7388)
    """
    x, f = allowed(x, mask, bias), Filters(**filters)
    c = filtered(candidates_of(x), temperature, f)
    if seed is not None and method == "rejection" and serves(len(x), temperature, f):
        index = drawn_by_rejection(x, temperature, seed, key, step)
        return (index, c.logprob(index)) if return_logprob else index
    return c.draw(uniform_of(u, seed, key, step), return_logprob)


def sample_probs(
    p: Row, temperature: float = 1.0, *, u: float | None = None, seed: int | None = None, key: int = 0, step: int = 0,
    method: str = "inversion", mask: Mask = None, bias: Bias = None, return_logprob: bool = False, **filters: Any,
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
    logits, f = allowed(x, mask, bias), Filters(**filters)
    c = candidates_of(logits)
    if bias is None:
        c = Candidates([i for i in sorted_order(p) if p[i] > 0], x, p)
    c = filtered(c, temperature, f)
    if seed is not None and method == "rejection" and serves(len(p), temperature, f):
        if bias is None and temperature == 1:
            index = weight_drawn_by_rejection(p, seed, key, step)
        else:
            index = drawn_by_rejection(logits, temperature, seed, key, step)
        return (index, c.logprob(index)) if return_logprob else index
    return c.draw(uniform_of(u, seed, key, step), return_logprob)


def uniform_of(u: float | None, seed: int | None, key: int, step: int) -> float:
    if u is None:
        assert seed is not None, "u or a seed"
        return keyed_uniforms(seed, key, step)
    return u


def serves(n: int, temperature: float, f: Filters) -> bool:
    """Whether an index of n entries is drawn by rejection."""
    on = [step for step in ORDER if is_on(step, f) and not (step == "top_k" and f.top_k >= n)]
    others = f.mirostat_mu < math.inf or f.dynatemp_range > 0 or f.smoothing_factor > 0 or f.adaptive_aim is not None
    return n >= FROM and temperature > 0 and not on and not others

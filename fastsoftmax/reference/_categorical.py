"""Categorical: one row, for many draws."""

from __future__ import annotations

import math
from typing import Any

from ._candidates import candidates_of_logits, candidates_of_probs
from ._rows import (
    Bias,
    InvalidRow,
    Mask,
    Row,
    SupportsRandom,
    as_int,
    as_rows,
    as_shape,
    bias_row,
    map_nested,
    mask_row,
    not_both,
    temperatures,
    uniforms,
)


class Categorical:
    """The distribution ``softmax(logits / temperature)`` of one row.

    Parameters
    ----------
    logits : list of float, optional
        Either this or `probs`.
    temperature : float in [0, inf]
    probs : list of float, optional
        Weights: the distribution is ``probs_i ** (1 / temperature)``, normalised.
    mask, bias
        As for `sample`, of this row.

    Raises
    ------
    ValueError
        If an argument is out of range, or the row is invalid.

    Examples
    --------
    >>> die = Categorical(probs=[1, 1, 1, 1, 1, 5])
    >>> die.draw(3, u=[0.0, 0.49, 0.5])
    [0, 4, 5]
    >>> die.log_prob(5) == math.log(0.5)
    True
    >>> len(die)
    6
    """

    def __init__(
        self,
        logits: Row | None = None,
        temperature: float = 1.0,
        *,
        probs: Row | None = None,
        mask: Mask | None = None,
        bias: Bias | None = None,
    ) -> None:
        given = logits if probs is None else probs
        if given is None or (logits is not None and probs is not None):
            raise ValueError("one of logits and probs must be given")
        (row, *_), is_one_row = as_rows(given)
        if not is_one_row:
            raise ValueError(f"{'probs' if logits is None else 'logits'} must be one row")
        (temperature,) = temperatures(temperature, 1)
        self._entries = len(row)
        row_mask, row_bias = mask_row(mask, 0, len(row)), bias_row(bias, 0, len(row))
        try:
            if probs is None:
                candidates = candidates_of_logits(row, row_mask, row_bias)
            else:
                keep_numbers = temperature == 1 and row_bias is None
                candidates = candidates_of_probs(row, row_mask, row_bias, keep_numbers)
        except InvalidRow as wrong:
            raise ValueError(f"the row is invalid: {wrong}") from None
        self._candidates = candidates.at(temperature)

    def __len__(self) -> int:
        return self._entries

    def draw(
        self, size: int | tuple[int, ...] | None = None, *, u: Any = None, rng: SupportsRandom | None = None
    ) -> Any:
        """The smallest index whose cumulative weight exceeds `u` times the total weight; `size` as for `sample`."""
        not_both(u, rng)
        return map_nested(lambda one: self._candidates.draw(one)[0], uniforms(u, rng, as_shape(size)))

    def log_prob(self, index: Any) -> Any:
        """The log-probability of an entry, or of lists of them."""
        return map_nested(self._log_prob, index)

    def _log_prob(self, index: int) -> float:
        if not 0 <= as_int(index, "index") < self._entries:
            raise ValueError(f"index must be 0 or above and below {self._entries}, not {index}")
        if index not in self._candidates.indices:
            return -math.inf
        return self._candidates.logprob(self._candidates.indices.index(index))

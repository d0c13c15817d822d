"""The loop that writes text: row, draw, next state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastsoftmax.demo.model import Float32s

Rows = Callable[[int], Float32s]
"""From a state to the row to draw from: the model's `logits` or `probs`."""

Advance = Callable[[int, int], int]
"""From a state and a symbol to the next state."""

Draw = Callable[[Float32s], int]
"""From a row to a symbol."""


def write(rows: Rows, advance: Advance, draw: Draw, length: int, state: int = 0) -> tuple[list[int], int]:
    """Draw `length` symbols one after the other, beginning in `state`; returns them and the state after them."""
    symbols = []
    for _ in range(length):
        symbol = draw(rows(state))
        state = advance(state, symbol)
        symbols.append(symbol)
    return symbols, state


def rows_along(rows: Rows, advance: Advance, symbols: list[int], state: int = 0) -> Iterator[Float32s]:
    """The row that each of `symbols` was drawn from, when the first was drawn in `state`."""
    for symbol in symbols:
        yield rows(state)
        state = advance(state, symbol)

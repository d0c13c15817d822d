"""A character model of order k with interpolated back-off, learned by counting.

The probability of symbol a after the context c, by absolute discounting (H. Ney, U. Essen and R. Kneser,
"On structuring probabilistic dependences in stochastic language modelling", Computer Speech & Language 8
(1994) 1-38):

    p(a | c) = (max(count(ca) - d, 0) + d * distinct(c) * p(a | c')) / count(c)

where c' is c without its first symbol, distinct(c) the number of different symbols seen after c, and d the
discount. The empty context mixes in the uniform distribution the same way, so every symbol has some mass
everywhere (in float32 less than the smallest number becomes 0).

The contexts that occur often enough are *states*, numbered from 0, the empty context. Each symbol of a text takes two
table look-ups and one draw: `logits(state)`, the draw, `advance(state, symbol)`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]

# With these, text in the style of the documentation is readable at temperature 1, repeats itself near 0 and turns to
# noise at 1.5; with a longer context the model copies whole sentences at every temperature.
ORDER = 5
DISCOUNT = 0.75

# Most contexts occur once, followed by a single symbol: the shorter context serves for them.
MIN_COUNT = 2

# The most numbers in the cached rows (128 MiB of float32); when they are full the cache is emptied.
CACHED_NUMBERS = 2**25


class CharModel:
    """Probabilities of the next symbol given the last `order` symbols.

    Parameters
    ----------
    text : str
        What to learn from, longer than `order`.
    order : int, default 5
        Length of the longest context, at least 0.
    progress : callable, optional
        Called after each context length is counted, `order` + 1 times in all.

    Attributes
    ----------
    order : int
    alphabet : str
        The different symbols of the text by code point; symbol i is ``alphabet[i]``.
    states : int
        The number of states.

    Raises
    ------
    ValueError
        If `order` is negative or the text is not longer than it.

    Examples
    --------
    >>> model = CharModel("abracadabra abracadabra", order=3)
    >>> model.alphabet
    ' abcdr'
    >>> state = model.state_after("abr")
    >>> model.alphabet[int(model.probs(state).argmax())]
    'a'
    """

    def __init__(self, text: str, order: int = ORDER, progress: Callable[[], None] | None = None) -> None:
        if order < 0:
            raise ValueError(f"order must be at least 0, not {order}")
        if len(text) <= order:
            raise ValueError(f"{len(text)} symbols of text are too few: order {order} needs {order + 1}")
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        alphabet, inverse = np.unique(points, return_inverse=True)
        self.order = order
        self.alphabet: str = "".join(map(chr, alphabet.tolist()))
        self._symbols = {character: symbol for symbol, character in enumerate(self.alphabet)}
        self._learn(inverse.astype(np.int64), progress)
        self._empty_cache()

    def _learn(self, symbols: Int64s, progress: Callable[[], None] | None) -> None:
        """Number the contexts, shortest first, and count what follows each."""
        width = len(self.alphabet)
        # state[i]: the state of the context of the current length just before symbol i, -1 if it has none.
        state: Int64s = np.zeros(len(symbols), dtype=np.int64)
        context_keys: list[Int64s] = []
        suffixes: list[Int64s] = [np.zeros(1, dtype=np.int64)]
        successor_keys: list[Int64s] = []
        successor_counts: list[Int64s] = []
        self.states: int = 1
        for length in range(self.order + 1):
            if length:
                # The key of a context is the state of all but its last symbol, and that symbol: at any order a
                # pair of small integers, where a number made of all its symbols would overflow 64 bits.
                shorter = state
                key = np.full_like(shorter, -1)
                key[1:] = np.where(shorter[:-1] >= 0, shorter[:-1] * width + symbols[:-1], -1)
                keys, first, inverse, counts = np.unique(
                    key, return_index=True, return_inverse=True, return_counts=True
                )
                keep = (counts >= MIN_COUNT) & (keys >= 0)
                state = np.where(keep, self.states - 1 + np.cumsum(keep), -1)[inverse]
                context_keys.append(keys[keep])
                suffixes.append(shorter[first[keep]])
                self.states += int(np.count_nonzero(keep))
            kept = state >= 0
            keys, counts = np.unique(state[kept] * width + symbols[kept], return_counts=True)
            successor_keys.append(keys)
            successor_counts.append(counts)
            if progress is not None:
                progress()
        followed, self._successors = np.divmod(np.concatenate(successor_keys), width)
        self._counts = np.concatenate(successor_counts)
        self._starts: list[int] = np.searchsorted(followed, np.arange(self.states + 1)).tolist()
        self._suffixes: list[int] = np.concatenate(suffixes).tolist()
        longer: list[int] = np.concatenate(context_keys).tolist() if context_keys else []
        self._longer = dict(zip(longer, range(1, self.states), strict=True))

    def probs(self, state: int) -> Float32s:
        """The probabilities of all symbols in a state: float32, read-only, cached."""
        row = self._probs[state]
        return row if row is not None else self._make_probs(state)

    def logits(self, state: int) -> Float32s:
        """The natural logarithms of `probs`, cached too."""
        row = self._logits[state]
        return row if row is not None else self._make_logits(state)

    def _make_probs(self, state: int) -> Float32s:
        begin, end = self._starts[state], self._starts[state + 1]
        counts = self._counts[begin:end]
        backoff = self.probs(self._suffixes[state]) if state else np.float32(1 / len(self.alphabet))
        total = counts.sum()
        row = np.full(len(self.alphabet), DISCOUNT * len(counts) / total, dtype=np.float32)
        row *= backoff
        row[self._successors[begin:end]] += (counts - DISCOUNT) / total
        self._cache(self._probs, state, row)
        return row

    def _make_logits(self, state: int) -> Float32s:
        with np.errstate(divide="ignore"):
            row = np.log(self.probs(state))
        self._cache(self._logits, state, row)
        return row

    def _cache(self, rows: list[Float32s | None], state: int, row: Float32s) -> None:
        row.flags.writeable = False
        if self._cached_numbers + row.size > CACHED_NUMBERS:
            self._empty_cache()
            return
        rows[state] = row
        self._cached_numbers += row.size

    def _empty_cache(self) -> None:
        self._probs: list[Float32s | None] = [None] * self.states
        self._logits: list[Float32s | None] = [None] * self.states
        self._cached_numbers = 0

    def advance(self, state: int, symbol: int) -> int:
        """The state after `symbol`: that of the longest context that has one."""
        width = len(self.alphabet)
        while True:
            longer = self._longer.get(state * width + symbol)
            if longer is not None:
                return longer
            if state == 0:
                return 0
            state = self._suffixes[state]

    def state_after(self, text: str) -> int:
        """The state after `text`; a symbol that the model has never seen leads back to the empty context."""
        state = 0
        for character in text:
            symbol = self._symbols.get(character)
            state = 0 if symbol is None else self.advance(state, symbol)
        return state

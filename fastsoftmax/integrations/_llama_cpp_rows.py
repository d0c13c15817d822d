"""The logits of a llama.cpp context as an array, and what changes them before the draw."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import llama_cpp
import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]


class LogitsOfContext:
    """Rows of llama.cpp's output buffer, without a copy; valid until the next evaluation."""

    def __init__(self, llm: Any) -> None:
        self._type = ctypes.c_float * llm.n_vocab()
        self._address = 0
        self._row: Row = np.empty(0, np.float32)

    def row(self, llm: Any, idx: int | None) -> Row:
        """The logits after the token at `idx`, which counts from the beginning of the context; by default the last."""
        context, count = llm.ctx, llm.n_tokens
        if not context:
            raise RuntimeError("the Llama object is closed")
        if count <= 0:
            raise RuntimeError("there are no logits to sample from: call llm.eval(tokens) first")
        pointer = llama_cpp.llama_get_logits_ith(context, -1 if idx is None else idx - count)
        if not pointer:
            where = "the last token" if idx is None else f"the token at idx={idx} of {count}"
            raise RuntimeError(
                f"the context has no logits after {where}: evaluate it, with logits_all=True if it is not the last, "
                "and not with embedding=True"
            )
        address = ctypes.addressof(pointer.contents)
        if address != self._address:  # where the buffer is hardly ever changes
            self._row = np.frombuffer(self._type.from_address(address), np.float32)
            self._address = address
        return self._row


class LogitBias:
    """`logit_bias` as a processor: numbers that are added to the logits of some tokens."""

    def __init__(self, bias: Mapping[Any, Any], entries: int) -> None:
        if not isinstance(bias, Mapping):
            raise TypeError(f"logit_bias must be a mapping of tokens to numbers, got {type(bias).__name__}")
        try:
            added = {int(token): float(value) for token, value in bias.items()}
        except (TypeError, ValueError):
            raise TypeError(f"logit_bias must have tokens as keys and numbers as values, got {bias!r}") from None
        for token, value in added.items():
            if not 0 <= token < entries:
                raise ValueError(f"logit_bias has token {token}, but the vocabulary has 0 to {entries - 1}")
            if np.isnan(value):
                raise ValueError(f"logit_bias of token {token} is NaN; -inf forbids a token")
        self.tokens = np.array(list(added), np.int64)
        self._values = np.array(list(added.values()), np.float32)

    def add_to(self, x: Row) -> None:
        x[self.tokens] += self._values

    def __call__(self, input_ids: NDArray[np.intc], scores: Row) -> Row:
        self.add_to(scores)
        return scores


def processed(x: Row, processors: Iterable[Callable[..., Any]], ids: NDArray[np.intc]) -> Row:
    """What the processors make of a copy of x, one after another."""
    row = x.copy()
    for i, processor in enumerate(processors):
        given = processor(ids, row)
        if given is row:
            continue
        result = np.asarray(given)
        if result.shape != row.shape or result.dtype.kind not in "fiu":
            what = f"{result.dtype} of shape {result.shape}" if result.dtype != object else type(given).__name__
            raise ValueError(f"logits_processor {i} returned {what}; it must return {row.size} scores")
        row[:] = result
    return row


def raise_invalid(x: Row) -> NoReturn:
    """Say why nothing can be drawn from x."""
    nan = np.isnan(x)
    what = f"NaN at token {nan.argmax()}" if nan.any() else "nothing above -inf"
    raise ValueError(
        f"the logits of the next token have {what}, so none can be drawn: look at what the model, logit_bias and "
        "logits_processor make of them"
    )

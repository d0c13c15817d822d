"""Time two ways of doing the same thing, call by call in turn, and say by what factor they differ.

A machine's speed drifts: clocks, caches and other programs change within a second. Two timings taken one after the
other share that drift, and their quotient is free of it. So `compare` takes pairs (ours, theirs) and reports the median
of the pairs' quotients with its quartiles, never a quotient of medians.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Reading the clock twice takes about 0.06 µs: half a percent of the shortest bundle.
BUNDLE_NS, MOST_CALLS, MOST_BYTES = 10_000, 1_000, 1 << 20
LEAST_PAIRS, MOST_PAIRS = 5, 4_000
ALIGNMENT = 64


@dataclass
class Contender:
    """One way of doing a case.

    `code` is an expression in `x`, the input, and `names`; it is compiled into the timed loop as it stands. `answer` is
    the expression whose value is judged, which may also use uniforms `u`; without it the contender is not judged.
    `native` turns an array into what the library takes; where that is a copy which `code` overwrites,
    `refresh(native, array)` fills it again. `timer(array, calls)`, if given, measures in place of the loop and returns
    nanoseconds a call.
    """

    code: str
    names: dict[str, Any] = field(default_factory=dict)
    answer: str | None = None
    native: Callable[[np.ndarray], Any] = lambda array: array
    refresh: Callable[[Any, np.ndarray], None] = lambda native, array: None
    timer: Callable[[np.ndarray, int], float] | None = None

    def on(self, array: np.ndarray) -> Callable[..., Any]:
        """A function of the uniforms that answers for a copy of `array`."""
        native = self.native(aligned_copies(array, 1)[0])

        def call(u: Any = None) -> Any:
            self.refresh(native, array)
            return eval(str(self.answer), {**self.names, "x": native, "u": u})

        return call


def aligned_copies(source: np.ndarray, count: int) -> list[np.ndarray]:
    """`count` copies of `source`, each of which begins on a cache line."""
    stride = -(-source.nbytes // ALIGNMENT) * ALIGNMENT
    raw = np.zeros(stride * count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    parts = [raw[start + i * stride :][: source.nbytes] for i in range(count)]
    copies = [part.view(source.dtype).reshape(source.shape) for part in parts]
    for copy in copies:
        copy[...] = source
    return copies


class Bundle:
    """`size` calls of a contender, each on its own copy of the input.

    The copies are written anew before every bundle, outside the timed part: an operation in place always meets the same
    logits, and both sides meet them in the same state of the cache.
    """

    def __init__(self, contender: Contender, source: np.ndarray, size: int) -> None:
        self._contender, self._source, self._size = contender, source, size
        self._arrays = aligned_copies(source, size)
        self._natives = [contender.native(array) for array in self._arrays]
        namespace = dict(contender.names)
        exec(f"def loop(copies):\n    for x in copies:\n        {contender.code}\n", namespace)
        self._loop = namespace["loop"]

    def time(self) -> float:
        """Nanoseconds a call, over one bundle."""
        for array, native in zip(self._arrays, self._natives, strict=True):
            np.copyto(array, self._source)
            self._contender.refresh(native, self._source)
        if self._contender.timer is not None:
            return self._contender.timer(self._arrays[0], self._size)
        start = time.perf_counter_ns()
        self._loop(self._natives)
        return (time.perf_counter_ns() - start) / self._size


def compare(ours: Contender, theirs: Contender, source: np.ndarray, seconds: float) -> dict[str, float]:
    """Time two contenders in turn, in bundles of the same number of calls. A ratio above 1: ours is faster."""
    rough = []
    for contender in (ours, theirs):
        single = Bundle(contender, source, 1)
        single.time()  # compiles and allocates
        rough.append(min(single.time() for _ in range(5)))
    # Long enough for the clock, and few enough calls for the copies to stay in the cache.
    wanted = math.ceil(BUNDLE_NS / max(min(rough), 1.0))
    size = max(1, min(wanted, MOST_CALLS, MOST_BYTES // max(source.nbytes, 1)))
    sides = Bundle(ours, source, size), Bundle(theirs, source, size)
    for side in sides:
        side.time()
    return summarise(alternate(sides[0].time, sides[1].time, seconds))


def alternate(ours: Callable[[], float], theirs: Callable[[], float], seconds: float) -> list[tuple[float, float]]:
    """Pairs (ours, theirs) until the time is up; each side goes first in every other pair."""
    pairs: list[tuple[float, float]] = []
    deadline = time.perf_counter() + seconds
    gc.disable()
    try:
        while len(pairs) < MOST_PAIRS and (len(pairs) < LEAST_PAIRS or time.perf_counter() < deadline):
            if len(pairs) % 2:
                second = theirs()
                pairs.append((ours(), second))
            else:
                pairs.append((ours(), theirs()))
    finally:
        gc.enable()
    return pairs


def summarise(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Medians of the pairs' times, quotients and differences, and the quartiles of the quotients."""
    ours, theirs = np.asarray(pairs, np.float64).T
    q1, ratio, q3 = np.percentile(theirs / ours, [25, 50, 75]).tolist()
    times = {"ns": theirs, "ours_ns": ours, "difference_ns": ours - theirs}
    medians = {name: float(np.median(values)) for name, values in times.items()}
    return {**medians, "ratio": ratio, "ratio_q1": q1, "ratio_q3": q3, "pairs": len(pairs)}

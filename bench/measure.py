"""Time two ways of doing the same thing, call by call in turn, and say by what factor they differ.

A machine's speed drifts: clocks, caches and neighbours change within a second. Two timings taken one after
the other share that drift, and their quotient is free of it. `alternate` therefore takes pairs (ours,
theirs), and `summarise` reports the median of the pairs' quotients with its quartiles, never a quotient of
medians.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Reading the clock twice costs about 0.06 µs, so a bundle of this length is off by half a percent at most.
LEAST_BUNDLE_NS = 10_000
LARGEST_BUNDLE = 1_000
LARGEST_BUNDLE_BYTES = 1 << 20
LEAST_PAIRS = 5
MOST_PAIRS = 4_000
ALIGNMENT = 64


@dataclass
class Contender:
    """One way of doing a case: the statement that is timed, and everything it needs.

    `code` is an expression in `x`, the input; it is compiled into the timed loop as it stands, so what the
    results show is what ran. `native` turns the NumPy array into what the library wants; where it shares the
    array's memory, refreshing the array refreshes it, and where it does not but `code` overwrites it,
    `refresh(native, array)` must. `with_u` is the same draw as `code` from given uniforms `u`: of the shape
    `u_shape`, or where that is None one a row. `survivors` gives, for a native input, the indices that a draw is
    made from and their probabilities as the contender computes them.
    """

    name: str
    code: str
    names: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    native: Callable[[np.ndarray], Any] = lambda array: array
    result: Callable[[Any], np.ndarray] = np.asarray
    refresh: Callable[[Any, np.ndarray], None] | None = None
    with_u: str | None = None
    u_shape: tuple[int, ...] | None = None
    survivors: Callable[[Any], tuple[np.ndarray, np.ndarray]] | None = None

    def evaluate(self, array: np.ndarray) -> np.ndarray:
        """The result of one call on a copy of `array`."""
        return self.result(eval(self.code, {**self.names, "x": self.prepared(array)}))

    def prepared(self, array: np.ndarray) -> Any:
        """A copy of `array` as the library wants it."""
        native = self.native(aligned_copies(array, 1)[0])
        if self.refresh is not None:
            self.refresh(native, array)
        return native


def repeated(contender: Contender, array: np.ndarray) -> Callable[..., np.ndarray]:
    """The contender's result for one copy of `array`, call after call.

    Where the contender takes its uniforms, the call takes them: `call(u)`, else `call()`.
    """
    native = contender.prepared(array)
    code = compile(contender.with_u or contender.code, contender.name, "eval")
    names = {**contender.names, "x": native}

    def call(u: Any = None) -> np.ndarray:
        if contender.refresh is not None:
            contender.refresh(native, array)
        return contender.result(eval(code, {**names, "u": u}))

    return call


@dataclass(frozen=True)
class Timing:
    """What the pairs say. Times are medians in nanoseconds a call; a ratio above 1 means ours is faster."""

    ours_ns: float
    theirs_ns: float
    ratio: float
    ratio_q1: float
    ratio_q3: float
    difference_ns: float
    pairs: int
    bundle: int


def aligned_copies(source: np.ndarray, count: int) -> list[np.ndarray]:
    """`count` copies of `source`, each beginning on a cache line."""
    stride = -(-source.nbytes // ALIGNMENT) * ALIGNMENT
    raw = np.zeros(stride * count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    copies = []
    for index in range(count):
        begin = start + index * stride
        copy = raw[begin : begin + source.nbytes].view(source.dtype).reshape(source.shape)
        copy[...] = source
        copies.append(copy)
    return copies


class Bundle:
    """`size` calls of a contender, each on its own copy of the input.

    The copies are written anew before every bundle, outside the timed part: an operation in place then always
    meets the same logits, and both sides meet them in the same state of the cache.
    """

    def __init__(self, contender: Contender, source: np.ndarray, size: int) -> None:
        self.size = size
        self._source = source
        self._arrays = aligned_copies(source, size)
        self._natives = [contender.native(array) for array in self._arrays]
        self._refresh = contender.refresh
        self._loop = compile_loop(contender.code, contender.names)

    def time(self) -> float:
        """Nanoseconds a call, over one bundle."""
        for array in self._arrays:
            np.copyto(array, self._source)
        if self._refresh is not None:
            for native in self._natives:
                self._refresh(native, self._source)
        natives, loop = self._natives, self._loop
        start = time.perf_counter_ns()
        loop(natives)
        return (time.perf_counter_ns() - start) / self.size


def compile_loop(code: str, names: dict[str, Any]) -> Callable[[list[Any]], None]:
    """A function that runs `code` for each x of a list, with no call of its own around it."""
    namespace = dict(names)
    exec(f"def loop(copies):\n    for x in copies:\n        {code}\n", namespace)
    loop: Callable[[list[Any]], None] = namespace["loop"]
    return loop


def bundle_size(fastest_call_ns: float, input_bytes: int) -> int:
    """Calls in a bundle: long enough for the clock, small enough that the copies stay in cache."""
    wanted = math.ceil(LEAST_BUNDLE_NS / max(fastest_call_ns, 1.0))
    return max(1, min(wanted, LARGEST_BUNDLE, LARGEST_BUNDLE_BYTES // max(input_bytes, 1)))


def rough_call_ns(contender: Contender, source: np.ndarray, calls: int = 5) -> float:
    """The least of a few single calls, after one that pays for compilation and allocation."""
    bundle = Bundle(contender, source, 1)
    bundle.time()
    return min(bundle.time() for _ in range(calls))


Timer = Callable[[], float]


def alternate(ours: Timer, theirs: Timer, seconds: float) -> list[tuple[float, float]]:
    """Pairs (ours, theirs) of timings until `seconds` have passed, the first of a pair taking turns."""
    pairs: list[tuple[float, float]] = []
    deadline = time.perf_counter() + seconds
    collecting = gc.isenabled()
    gc.disable()
    try:
        while len(pairs) < MOST_PAIRS and (len(pairs) < LEAST_PAIRS or time.perf_counter() < deadline):
            if len(pairs) % 2:
                second = theirs()
                pairs.append((ours(), second))
            else:
                first = ours()
                pairs.append((first, theirs()))
    finally:
        if collecting:
            gc.enable()
    return pairs


def summarise(pairs: Sequence[tuple[float, float]], bundle: int = 1) -> Timing:
    """Medians of the pairs' times, quotients and differences."""
    ours, theirs = np.asarray(pairs, np.float64).T
    q1, median, q3 = np.percentile(theirs / ours, [25, 50, 75])
    return Timing(
        ours_ns=float(np.median(ours)),
        theirs_ns=float(np.median(theirs)),
        ratio=float(median),
        ratio_q1=float(q1),
        ratio_q3=float(q3),
        difference_ns=float(np.median(ours - theirs)),
        pairs=len(pairs),
        bundle=bundle,
    )


def compare(ours: Contender, theirs: Contender, source: np.ndarray, seconds: float) -> Timing:
    """Time two contenders on the same input, in bundles of the same number of calls."""
    fastest = min(rough_call_ns(ours, source), rough_call_ns(theirs, source))
    size = bundle_size(fastest, source.nbytes)
    bundles = Bundle(ours, source, size), Bundle(theirs, source, size)
    for bundle in bundles:
        bundle.time()
    return summarise(alternate(bundles[0].time, bundles[1].time, seconds), size)


def alone(contender: Contender, source: np.ndarray, seconds: float) -> float:
    """Median nanoseconds a call, where there is nobody to compare with."""
    bundle = Bundle(contender, source, bundle_size(rough_call_ns(contender, source), source.nbytes))
    return summarise(alternate(bundle.time, bundle.time, seconds), bundle.size).ours_ns

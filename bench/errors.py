"""How wrong a result is: a softmax in units in the last place, a draw in total variation from the exact one.

The oracle is computed with more digits than the result has, from the stored inputs and temperature.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

EXTENDED = np.finfo(np.longdouble).nmant >= 63

# Bins of the distribution: few enough that a few hundred draws fill them, and fewer yet where finding the end
# of one costs 54 draws from a very long row.
BINS, BINS_OF_A_LONG_ROW, LONG_ROW = 32, 4, 1 << 17
LEAST_DRAWS = 100
# A sound sampler fails the test once in a billion runs.
FALSE_ALARM = 1e-9
BISECTIONS = 54


def exact_softmax(x: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(x / temperature) along the last axis, with an error far below one ulp of x's dtype.

    Up to float32, float64 is enough: x − max is exact in it, and the quotient's rounding moves the
    exponential by at most 104 · 2^-53 where the result is not 0. For float64 the quotient is taken as the sum
    of two doubles and the exponential in the 64-bit mantissa of an extended double.
    """
    x64 = x.astype(np.float64)
    peak = x64.max(axis=-1, keepdims=True)
    if x.dtype != np.float64 or not EXTENDED:
        weights = np.exp((x64 - peak) / temperature)
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
    shifted, rounding = _two_sum(x64, -peak)
    high = shifted / temperature
    product, product_error = _two_product(high, temperature)
    # An entry of −inf, or one so low that the quotient overflows, has weight 0: no remainder to carry.
    with np.errstate(invalid="ignore", over="ignore"):
        remainder = (shifted - product) - product_error + rounding
        low = np.nan_to_num(remainder / temperature, posinf=0.0, neginf=0.0)
    extended = np.exp(high.astype(np.longdouble)) * (1 + low.astype(np.longdouble))
    return np.asarray(extended / extended.sum(axis=-1, keepdims=True))


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b as a double and its rounding error (Knuth)."""
    total = a + b
    with np.errstate(invalid="ignore"):
        part = total - a
        error = (a - (total - part)) + (b - part)
    return total, np.nan_to_num(error, nan=0.0)


def _two_product(a: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """a · b as a double and its rounding error (Dekker, with Veltkamp's splitting)."""
    product = a * b
    with np.errstate(invalid="ignore", over="ignore"):
        a_high = a * 134217729.0
        a_high = a_high - (a_high - a)
        b_high = b * 134217729.0
        b_high = b_high - (b_high - b)
        a_low, b_low = a - a_high, b - b_high
        error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, np.nan_to_num(error, nan=0.0)


@dataclass(frozen=True)
class UlpError:
    """The largest error of a softmax. `max_ulp` is over the results whose exact value is a normal number.

    `max_ulp_subnormal` is over the others, in units of the smallest number there is: a library that flushes
    them to zero is wrong by up to 2^23 of these units in float32, and by less than 2^-126 in the value.
    """

    max_ulp: float
    max_ulp_subnormal: float
    oracle: str
    kind: str = "ulp"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ulp_error(got: np.ndarray, exact: np.ndarray, dtype: np.dtype[Any]) -> UlpError:
    """Compare `got` of type `dtype` with `exact`; NaN counts as infinitely wrong."""
    mantissa_bits, least_exponent = _format(dtype)
    # frexp gives a mantissa in [1/2, 1), hence the − 1; the exponent it gives for 0 means nothing.
    exponents = np.where(exact > 0, np.frexp(exact)[1] - 1, least_exponent - 1)
    normal = exponents >= least_exponent
    ulp = np.ldexp(np.ones_like(exact), np.maximum(exponents, least_exponent) - mantissa_bits)
    error = np.abs(got.astype(exact.dtype) - exact) / ulp
    error = np.where(np.isnan(error), np.inf, error)
    return UlpError(
        max_ulp=float(error[normal].max(initial=0.0)),
        max_ulp_subnormal=float(error[~normal].max(initial=0.0)),
        oracle=str(exact.dtype),
    )


def _format(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Stored mantissa bits and the exponent of the smallest normal number."""
    formats = {"float16": (10, -14), "bfloat16": (7, -126), "float32": (23, -126), "float64": (52, -1022)}
    return formats[dtype.name]


def gross_softmax_error(got: np.ndarray, exact: np.ndarray) -> str | None:
    """What is plainly wrong with a softmax, or None.

    One part in 50 of the largest entry passes: bfloat16 has a precision of 1/128.
    """
    if got.shape != exact.shape:
        return f"result has shape {got.shape}, expected {exact.shape}"
    distance = np.abs(got.astype(exact.dtype) - exact).max()
    if not distance <= 0.02 * exact.max():
        return f"result is off by {float(distance):.3g}"
    return None


@dataclass(frozen=True)
class DrawError:
    """How far the drawn distribution is from the exact one.

    With `draws` 0 the probability of every bin was found by bisection in u: `total_variation` is then the
    exact distance. Otherwise it is measured from that many draws, `noise` is what a perfect sampler would
    show, and `p_value` is that of a chi-square test.
    """

    total_variation: float
    noise: float
    draws: int
    p_value: float | None
    zero_drawn: bool
    kind: str = "draw"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def gross(self) -> str | None:
        """What is plainly wrong with the draw, or None; a drawn entry of probability 0 has its own column."""
        if self.p_value is not None and self.p_value < FALSE_ALARM:
            return f"drawn frequencies disagree with the distribution (p = {self.p_value:.1e})"
        if self.draws == 0 and self.total_variation > 1e-3:
            return f"probabilities are off by {self.total_variation:.1e} in total variation"
        return None


def equal_mass_bins(probs: np.ndarray) -> np.ndarray:
    """A bin number for each index: neighbours share a bin until it holds its part of the mass."""
    count = BINS if probs.size <= LONG_ROW else BINS_OF_A_LONG_ROW
    middle = np.cumsum(probs) - probs / 2
    _, bins = np.unique(np.minimum((middle * count).astype(np.int64), count - 1), return_inverse=True)
    return np.asarray(bins)


def frequency_error(indices: np.ndarray, probs: np.ndarray) -> DrawError:
    """Judge drawn `indices` against `probs` (float64 or longer, summing to 1)."""
    if indices.size == 0 or indices.min() < 0 or indices.max() >= probs.size:
        return DrawError(1.0, 0.0, indices.size, 0.0, zero_drawn=False)
    bins = equal_mass_bins(probs)
    share = np.bincount(bins, weights=probs.astype(np.float64))
    counts = np.bincount(bins[indices], minlength=share.size)
    draws = indices.size
    noise = 0.5 * float(np.sqrt(2 * share * (1 - share) / (math.pi * draws)).sum())
    # A bin of entries of probability 0 has nothing to expect; what falls into it is reported as zero_drawn.
    likely = share > 0
    expected = share[likely] * draws
    statistic = float(((counts[likely] - expected) ** 2 / expected).sum())
    return DrawError(
        total_variation=0.5 * float(np.abs(counts / draws - share).sum()),
        noise=noise,
        draws=draws,
        p_value=chi_square_tail(statistic, int(likely.sum()) - 1),
        zero_drawn=bool((probs[indices] == 0).any()),
    )


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(chi-square ≥ statistic), by the Wilson-Hilferty cube root: good to a few percent of its logarithm."""
    if freedom < 1:
        return 1.0
    spread = 2 / (9 * freedom)
    return 0.5 * math.erfc(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))


def collect_draws(
    draw: Callable[[], np.ndarray], wanted: int, seconds: float, least: int = LEAST_DRAWS
) -> np.ndarray:
    """Indices drawn by calling `draw` until there are enough, or the time is up and there are `least`."""
    draw()  # compiles, where there is something to compile
    deadline = time.perf_counter() + seconds
    found: list[np.ndarray] = []
    count = 0
    while count < wanted and (count < least or time.perf_counter() < deadline):
        found.append(np.asarray(draw()).reshape(-1))
        count += found[-1].size
    return np.concatenate(found)


def boundary_error(index_at: Callable[[np.ndarray], np.ndarray], probs: np.ndarray) -> DrawError:
    """The exact distance of a draw that takes its uniform: find by bisection the u at which each bin ends.

    `index_at(u)` gives the index drawn for each uniform. The draw must be monotone in u.
    """
    bins = equal_mass_bins(probs)
    last_of_bin = np.flatnonzero(np.diff(bins, append=bins[-1] + 1))[:-1]
    below, above = np.zeros(last_of_bin.size), np.ones(last_of_bin.size)
    largest_uniform = np.nextafter(1.0, 0.0)
    extremes = index_at(np.array([0.0, largest_uniform]))
    zero_drawn = bool((probs[extremes] == 0).any())
    for _ in range(BISECTIONS):
        middle = np.minimum((below + above) / 2, largest_uniform)
        drawn = index_at(middle)
        zero_drawn |= bool((probs[drawn] == 0).any())
        beyond = drawn > last_of_bin
        above = np.where(beyond, middle, above)
        below = np.where(beyond, below, middle)
    ends = np.concatenate([[0.0], above, [1.0]])
    share = np.zeros(bins[-1] + 1, probs.dtype)
    np.add.at(share, bins, probs)
    distance = 0.5 * float(np.abs(np.diff(ends) - share).sum())
    return DrawError(distance, 0.0, 0, None, zero_drawn)

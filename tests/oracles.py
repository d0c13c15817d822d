"""Answers to compare with: softmax and the draw in extended precision, and errors in ulp.

NumPy's longdouble carries the vectorised oracle; where it has no more than a float64's bits (MSVC, Apple
silicon) the tests that need it are skipped, and mpmath checks the short rows everywhere.
"""

import ml_dtypes
import numpy as np
import pytest

DTYPES = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]

needs_longdouble = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="longdouble has no more bits than float64 on this platform"
)

# The largest uniform below 1 that a double holds in steps of 2^-53, as generators produce them.
LAST_U = 1 - 2.0**-53
GRID_U = np.concatenate([[0.0, 5e-324, 2.0**-60], np.linspace(0, 1, 101)[1:-1], [1 - 2.0**-24, LAST_U]])


def bits(array):
    """The bytes of an array, so that NaN equals NaN and -0 differs from 0."""
    return array.dtype, array.shape, np.ascontiguousarray(array).tobytes()


def eps(dtype):
    """The largest relative spacing of the dtype's normal numbers."""
    return float(ml_dtypes.finfo(dtype).eps)


def ulp(exact, dtype):
    """The spacing of the dtype's numbers at the exact values, subnormal ones included."""
    info = np.finfo(dtype)
    _, exponent = np.frexp(exact)
    return np.ldexp(np.longdouble(1), np.maximum(exponent - 1, info.minexp) - info.nmant)


def max_ulp(got, exact):
    """The largest error of the array got, in units in the last place of its dtype."""
    error = np.abs(got.astype(np.longdouble) - exact)
    return float(np.max(error / ulp(exact, got.dtype)))


def _exponents(x, temperature):
    """(x - max x) / temperature along the last axis as an unevaluated sum of two longdoubles.

    One longdouble alone would leave exp with a relative error of 745 x 2^-64, near half an ulp of a float64.
    """
    x = np.asarray(x, dtype=np.longdouble)
    t = np.asarray(temperature, dtype=np.longdouble)
    maximum = x.max(axis=-1, keepdims=True)
    difference = x - maximum
    virtual = difference - x
    lost = (x - (difference - virtual)) + (-maximum - virtual)
    quotient = difference / t
    product, product_lost = _two_product(quotient, t)
    return quotient, ((difference - product) - product_lost + lost) / t


def _two_product(a, b):
    """a b as a longdouble and its rounding error (Dekker's product; 2^32 + 1 halves 64 bits)."""
    a_high, b_high = (_high_half(v) for v in (a, b))
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _high_half(v):
    c = v * np.longdouble(2**32 + 1)
    return c - (c - v)


def softmax(x, temperature=1.0):
    """softmax of finite rows along the last axis, in longdouble."""
    high, low = _exponents(x, temperature)
    weights = np.exp(high) * (1 + low)
    return weights / weights.sum(axis=-1, keepdims=True)


def _log_total(x, temperature):
    """log sum exp((x - max x) / temperature), one maximal entry being the 1 of log1p."""
    high, low = _exponents(x, temperature)
    weights = np.exp(high) * (1 + low)
    np.put_along_axis(weights, np.argmax(high, axis=-1, keepdims=True), 0, axis=-1)
    return np.log1p(weights.sum(axis=-1, keepdims=True))


def log_softmax(x, temperature=1.0):
    """log softmax of finite rows along the last axis, in longdouble."""
    high, low = _exponents(x, temperature)
    return high + (low - _log_total(x, temperature))


def logsumexp(x, temperature=1.0):
    """log sum exp of finite rows along the last axis, in longdouble."""
    x = np.asarray(x, dtype=np.longdouble)
    t = np.asarray(temperature, dtype=np.longdouble)
    return (x.max(axis=-1, keepdims=True) / t + _log_total(x, temperature))[..., 0]


def share_tolerance(dtype, n):
    """How far a cumulative share of n entries may lie from exact.

    Weights with relative error e move a share c by 2 e c (1 - c) <= e / 2; the contract bounds e by 3 ulp in
    float32 (which float16 and bfloat16 are computed in) and 4 in float64, an ulp being at most 2^-23 and
    2^-52. Probabilities are kept down to 2^-50, which n entries may add up to n 2^-50.
    """
    weights = 4 * 2.0**-52 if dtype == np.float64 else 3 * 2.0**-23
    return weights / 2 + n * 2.0**-50


def assert_inverts_cdf(indices, weights, u, tolerance):
    """Each index has weight, and u lies in its interval of the cumulative shares, to within the tolerance."""
    weights = np.asarray(weights, dtype=np.longdouble)
    shares = np.concatenate([[0], np.cumsum(weights) / weights.sum()])
    indices = np.asarray(indices)
    assert indices.min() >= 0 and indices.max() < weights.size
    assert (weights[indices] > 0).all(), "an entry of probability zero was drawn"
    assert (shares[indices] <= u + tolerance).all(), "an index above the one whose interval holds u"
    assert (shares[indices + 1] > u - tolerance).all(), "an index below the one whose interval holds u"

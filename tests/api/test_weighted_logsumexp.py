"""b= of logsumexp: a weight for each entry."""

import mpmath
import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs
from fastsoftmax import reference


def exact(x, b, temperature):
    with mpmath.workdps(400):
        t = mpmath.mpf(float(temperature))
        terms = [mpmath.mpf(float(w)) * mpmath.exp(mpmath.mpf(float(v)) / t) for v, w in zip(x, b, strict=True) if w]
        return mpmath.log(mpmath.fsum(terms))


@pytest.mark.parametrize("temperature", [1e-3, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("n", [1, 2, 9, 70])
def test_results_are_within_their_bound(temperature, n, rng):
    for offset in (0.0, -300.0, 1e4):
        for spread in (1.0, 100.0):
            x = offset + rng.normal(size=n) * spread * temperature
            for b in (rng.random(n), rng.integers(0, 3, n), np.exp(rng.uniform(-600, 600, n)), np.ones(n)):
                b = np.where(np.arange(n) == 0, 1e-300 if b.max() > 1e100 else 1.0, b)
                got, e = fs.logsumexp(x, temperature, b=b), exact(x, b, temperature)
                size = max(1, abs(float(e)), abs(x.max() / temperature))
                assert abs(mpmath.mpf(float(got)) - e) <= 2.0**-50 * size


def test_results_near_0_keep_their_relative_accuracy():
    for x, b in (([0.0, -40.0], [1, 3]), ([0.0, -700.0], [1, 1e-5]), ([0.0, -40.0, np.nan], [1, 1, 0])):
        counted = [(v, w) for v, w in zip(x, b, strict=True) if w]
        e = exact(*zip(*counted, strict=True), 1.0)
        assert abs(mpmath.mpf(float(fs.logsumexp(x, b=b))) - e) <= max(2.0**-51 * e, 5e-324)
    assert fs.logsumexp([0.0, 0.0], b=[0.5, 0.5]) == 0


def test_weights_beyond_each_other():
    for x, b in (
        ([0.0, -2000.0], [1e-300, 1e300]),
        ([0.0, 1000.0], [1e308, 5e-324]),
        ([0.0, 0.0], [1.7e308, 1.7e308]),
        ([0.0, -1.0], [5e-324, 1e-323]),
        ([1e308, -1e308], [1.0, 1.0]),
    ):
        assert fs.logsumexp(x, b=b) == pytest.approx(float(exact(x, b, 1.0)), rel=4e-16)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 0.5, 1.0, 1e300, np.inf])
def test_it_is_the_reference_in_every_dtype(dtype, temperature, rng):
    x = rng.integers(-4, 5, (30, 12)).astype(dtype)
    x[3], x[4, 2], x[5, 3] = -np.inf, np.inf, np.nan
    x[6:12] = np.minimum(x[6:12], 0)
    b = rng.integers(0, 4, (30, 12))
    b[:, 0] = 1
    b[4, 2] = b[5, 3] = 0
    got = fs.logsumexp(x, temperature, b=b)
    assert got.dtype == dtype
    pairs = zip(x.astype(float).tolist(), b.tolist(), strict=True)
    expected = [reference.logsumexp(row, temperature, b=w) for row, w in pairs]
    close = {"float64": 1e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 1e-2}[dtype.name]
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(
            got.astype(float), np.array(expected).astype(dtype).astype(float), rtol=close, atol=close
        )
    b[4, 2] = b[5, 3] = 2
    assert fs.logsumexp(x, temperature, b=b)[4] == np.inf and np.isnan(fs.logsumexp(x, temperature, b=b)[5])


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2), None])
def test_axes_where_and_broadcasting(axis, rng):
    x, where = rng.normal(size=(3, 4, 5)), rng.random((3, 4, 5)) < 0.7
    for shape in ((), (1,), (5,), (4, 1), (3, 1, 1), (3, 4, 5)):
        b = rng.random(shape) + 0.1
        full = np.broadcast_to(b, x.shape)
        with np.errstate(divide="ignore"):
            expected = np.log(np.sum(full * np.exp(x) * where, axis=axis))
        got = fs.logsumexp(x, axis=axis, b=b, where=where)
        np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)
        assert bits(fs.logsumexp(np.asfortranarray(x), axis=axis, b=full.copy(), where=where)) == bits(got)
        kept = fs.logsumexp(x, axis=axis, b=b, where=where, keepdims=True)
        assert kept.shape == np.sum(x, axis=axis, keepdims=True).shape
    assert fs.logsumexp([0.0, np.nan], b=[2.0, -1.0], where=[True, False]) == np.log(2)


def test_what_is_no_weight_is_an_error():
    x = np.zeros((2, 3))
    for bad in (-1.0, -5e-324, np.nan, np.inf):
        b = np.ones((2, 3))
        b[1, 2] = bad
        with pytest.raises(ValueError, match=f"b must be finite and not negative; got {bad} at entry 2 of row 1"):
            fs.logsumexp(x, b=b)
    with pytest.raises(ValueError, match=r"b of shape \(2,\) does not broadcast to the shape of x, \(2, 3\)"):
        fs.logsumexp(x, b=[1, 2])
    with pytest.raises(TypeError, match="b must be real numbers"):
        fs.logsumexp(x, b=[1j, 0, 0])
    with pytest.raises(TypeError, match="b is a masked array"):
        fs.logsumexp(x, b=np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False]))
    with pytest.raises(ValueError, match="temperature must be"):
        fs.logsumexp(x, -1.0, b=1)
    assert (fs.logsumexp(x, b=0) == -np.inf).all() and (fs.logsumexp(np.zeros((2, 0)), b=1) == -np.inf).all()
    assert fs.logsumexp(np.zeros((0, 3)), b=1).shape == (0,)
    assert fs.logsumexp(1.0, b=2) == pytest.approx(1 + np.log(2))
    assert fs.logsumexp([True, False], b=[True, True]) == pytest.approx(np.log(1 + np.e))


def test_scipy_agrees(rng):
    special = pytest.importorskip("scipy.special")
    x, b = rng.normal(size=(200, 30)) * 10, rng.random((200, 30)) * (rng.random((200, 30)) < 0.7)
    b[:, 0] = 1
    np.testing.assert_allclose(fs.logsumexp(x, b=b), special.logsumexp(x, axis=-1, b=b), rtol=1e-13, atol=1e-14)
    assert fs.logsumexp([np.inf, 0.0], b=[0, 1]) == special.logsumexp([np.inf, 0.0], b=[0, 1]) == 0

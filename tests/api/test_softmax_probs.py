"""softmax_probs: w^(1/T) over its sum, the distribution that sample_probs draws from."""

import mpmath
import numpy as np
import pytest
from oracles import DTYPES, bits

import fastsoftmax as fs
from fastsoftmax import reference

VISITS = np.array([30, 0, 10, 60])


def exact(w, temperature):
    with mpmath.workdps(60):
        powers = [mpmath.mpf(float(v)) ** (1 / mpmath.mpf(temperature)) if v else mpmath.mpf(0) for v in w]
        total = mpmath.fsum(powers)
        return [p / total for p in powers]


def relative_errors(got, w, temperature):
    with mpmath.workdps(60):
        return [float(abs(mpmath.mpf(float(g)) - e) / e) for g, e in zip(got, exact(w, temperature), strict=True) if e]


def test_counts_of_visits_become_a_target():
    np.testing.assert_array_equal(fs.softmax_probs(VISITS), [0.3, 0, 0.1, 0.6])
    np.testing.assert_allclose(fs.softmax_probs(VISITS, 0.5), np.array([9, 0, 1, 36]) / 46, rtol=1e-15)
    np.testing.assert_array_equal(fs.softmax_probs(VISITS, 0), [0, 0, 0, 1])
    np.testing.assert_array_equal(fs.softmax_probs(VISITS, np.inf), [1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 33, 64, 511, 512, 513, 1025, 40_000])
@pytest.mark.parametrize("kind", ["counts", "uniform", "wide", "tiny", "huge"])
def test_at_temperature_one_results_are_within_two_ulp(n, kind, rng):
    w = {
        "counts": lambda: rng.integers(0, 800, n).astype(float),
        "uniform": lambda: rng.random(n),
        "wide": lambda: np.exp(rng.uniform(-700, 700, n)),
        "tiny": lambda: rng.integers(0, 9, n) * 5e-324,
        "huge": lambda: rng.uniform(0, 1.7e308, n),
    }[kind]()
    w[-1] = max(w.max(), 5e-324)
    got = fs.softmax_probs(w)
    if n > 2000:
        got, w = got, w.astype(np.longdouble) * 2.0**-500 * 2.0**-500 if kind == "huge" else w.astype(np.longdouble)
        np.testing.assert_allclose(got.astype(np.longdouble), w / w.sum(), rtol=2 * 2.0**-52, atol=5e-324)
        return
    shares = exact(w, 1)
    for g, e in zip(got, shares, strict=True):
        with mpmath.workdps(60):
            assert abs(mpmath.mpf(float(g)) - e) <= max(2 * mpmath.mpf(2) ** -52 * e, mpmath.mpf(5e-324))


@pytest.mark.parametrize("temperature", [0.01, 0.05, 0.25, 0.5, 2.0, 30.0])
def test_at_other_temperatures_the_logarithms_are_rounded(temperature, rng):
    for w in (rng.integers(1, 800, 60), rng.integers(1, 2**62, 300), np.exp(rng.uniform(-600, 600, 100))):
        got = fs.softmax_probs(w, temperature)
        got, whole = got[got > 1e-300], w[got > 1e-300]
        assert got.sum() == pytest.approx(1, abs=1e-12)
        w = whole  # what is left out has less than 1e-297 of the sum
        bound = 4 * 2.0**-52 + 2 * np.abs(np.log(w.astype(float))).max() * 2.0**-52 / temperature
        assert max(relative_errors(got, w, temperature)) <= bound


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.5, np.inf])
@pytest.mark.parametrize("n", [1, 5, 16, 64, 65, 700])
def test_it_is_the_reference_in_every_dtype(dtype, n, temperature, rng):
    w = rng.integers(0, 30, (4, n)).astype(dtype)
    w[:, rng.integers(n)] = 30
    got = fs.softmax_probs(w, temperature)
    assert got.dtype == dtype and got.shape == w.shape
    expected = np.array([reference.softmax_probs(row.astype(float).tolist(), temperature) for row in w])
    eps = {"float64": 2.0**-46, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype.name]
    np.testing.assert_allclose(got.astype(float), expected, rtol=eps, atol=2.0**-24 if dtype.name == "float16" else 0)
    assert ((got == 0) >= (w == 0)).all()


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 2.0])
def test_it_is_the_distribution_that_sample_probs_draws_from(temperature, rng):
    w = rng.integers(0, 500, 40)
    p = fs.softmax_probs(w, temperature)
    index, logprob = fs.sample_probs(w, temperature, u=rng.random(2000), size=2000, return_logprob=True)
    np.testing.assert_allclose(np.exp(logprob), p[index], rtol=1e-12)
    u = (np.arange(5000) + 0.5) / 5000
    shares = np.bincount(fs.sample_probs(w, temperature, u=u, size=5000), minlength=40) / 5000
    assert np.abs(shares - p).max() <= 1 / 5000 + 1e-12


def test_integers_beyond_the_doubles_are_those_of_sample_probs():
    w = np.array([2**63 - 1, 2**62, 0], np.int64)
    np.testing.assert_array_equal(fs.softmax_probs(w), [2 / 3, 1 / 3, 0])
    np.testing.assert_array_equal(fs.softmax_probs(np.array([2**64 - 1, 0], np.uint64), 0.5), [1, 0])
    assert fs.softmax_probs(np.array([True, False, True])).tolist() == [0.5, 0, 0.5]
    np.testing.assert_array_equal(fs.softmax_probs([1, 3]), [0.25, 0.75])
    np.testing.assert_array_equal(fs.softmax_probs([2**70, 2**70]), [0.5, 0.5])


def test_at_temperature_zero_weights_with_equal_logarithms_differ():
    w = np.array([2.0**53, 2.0**53 - 1, 2.0**53])
    assert np.log(w[0]) == np.log(w[1])
    np.testing.assert_array_equal(fs.softmax_probs(w, 0), [0.5, 0, 0.5])
    long = np.tile(w, 1000)
    np.testing.assert_array_equal(fs.softmax_probs(long, 0), np.tile([1 / 2000, 0, 1 / 2000], 1000))


@pytest.mark.parametrize("bad", [-1.0, -5e-324, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0, np.inf])
def test_a_row_that_is_no_distribution_is_nan_and_others_are_not(bad, temperature, rng):
    for n in (3, 600, 5000):
        w = rng.random((3, n))
        alone = fs.softmax_probs(w[[0, 2]], temperature)
        w[1, n // 2] = bad
        got = fs.softmax_probs(w, temperature)
        assert np.isnan(got[1]).all()
        assert bits(got[[0, 2]]) == bits(alone)
        w[1] = 0
        assert np.isnan(fs.softmax_probs(w, temperature)[1]).all()


def test_zeros_are_silent_and_have_no_sign():
    with np.errstate(all="raise"):
        for temperature in (0, 0.5, 1, 2, np.inf):
            got = fs.softmax_probs(np.array([0.0, -0.0, 3.0, 1.0]), temperature)
            assert (got[:2] == 0).all() and not np.signbit(got).any()


@pytest.mark.parametrize("temperature", [0.0, 0.4, 1.0])
def test_layouts_out_and_axes_do_not_matter(dtype, temperature, rng):
    w = rng.integers(0, 9, (5, 6, 70)).astype(dtype)
    w[..., 0] = 1
    expected = fs.softmax_probs(w, temperature)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        moved = np.ascontiguousarray(w.transpose(order))
        axis = order.index(2)
        assert bits(np.moveaxis(fs.softmax_probs(moved, temperature, axis=axis), axis, -1)) == bits(
            np.moveaxis(expected.transpose(order), axis, -1)
        )
    assert bits(fs.softmax_probs(w[::-1, :, ::-1], temperature)) == bits(expected[::-1, :, ::-1])
    swapped = w.astype(dtype.newbyteorder()) if dtype.name != "bfloat16" else w
    assert bits(np.ascontiguousarray(fs.softmax_probs(swapped, temperature), dtype)) == bits(expected)
    mine = w.copy()
    assert fs.softmax_probs(mine, temperature, out=mine) is mine and bits(mine) == bits(expected)
    strided = np.zeros((5, 6, 140), dtype)[..., ::2]
    assert fs.softmax_probs(w, temperature, out=strided) is strided and bits(strided) == bits(expected)
    both = fs.softmax_probs(w, temperature, axis=(0, 2))
    whole = np.moveaxis(w, 1, 0).reshape(6, -1)
    assert bits(np.moveaxis(both, 1, 0).reshape(6, -1)) == bits(fs.softmax_probs(whole, temperature))


def test_long_rows_in_place_at_any_number_of_threads(rng):
    w = rng.random(700_000)
    expected = [fs.softmax_probs(w, t) for t in (0.0, 0.5, 1.0)]
    threads = fs.get_num_threads()
    try:
        fs.set_num_threads(4)
        for t, e in zip((0.0, 0.5, 1.0), expected, strict=True):
            mine = w.copy()
            assert bits(fs.softmax_probs(mine, t, out=mine)) == bits(e)
    finally:
        fs.set_num_threads(threads)
    np.testing.assert_allclose(expected[2], (w / w.sum(dtype=np.longdouble)).astype(float), rtol=4e-16)


def test_one_temperature_a_row_and_a_where():
    w = np.array([[1.0, 3.0, 4.0]] * 3)
    t = np.array([1.0, 0.5, 0.0])
    expected = [[1 / 8, 3 / 8, 1 / 2], [1 / 26, 9 / 26, 16 / 26], [0, 0, 1]]
    np.testing.assert_allclose(fs.softmax_probs(w, t), expected, rtol=1e-15)
    w[:, 2] = np.nan
    np.testing.assert_array_equal(fs.softmax_probs(w, t, where=[True, True, False])[0], [0.25, 0.75, 0])
    np.testing.assert_array_equal(fs.softmax_probs(w, t, where=[True, True, False])[2], [0, 1, 0])


def test_errors_name_the_argument():
    for bad, error in (
        ("abc", "probs must be"),
        ([1j], "probs must be"),
        ([[1], [1, 2]], "probs is not a rectangular"),
    ):
        with pytest.raises((TypeError, ValueError), match=error):
            fs.softmax_probs(bad)
    with pytest.raises(TypeError, match="probs is a masked array.*where=~probs.mask"):
        fs.softmax_probs(np.ma.masked_array([1.0, 2.0], [True, False]))
    for temperature in (-1.0, np.nan, [1.0, -1.0]):
        with pytest.raises(ValueError, match="temperature must be"):
            fs.softmax_probs(np.ones((2, 3)), temperature)
    assert fs.softmax_probs(np.ones((2, 0))).shape == (2, 0)
    assert fs.softmax_probs(np.ones((0, 2))).shape == (0, 2)
    assert fs.softmax_probs(3.0) == 1.0
    assert [dtype.name for dtype in DTYPES] == [fs.softmax_probs(np.ones(2, dtype)).dtype.name for dtype in DTYPES]

"""Quadratic smoothing: what takes the place of x/T, for the filters, the draw and `truncate`."""

import math

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = np.inf, np.nan
X = np.array([1.0, 3.0, 2.0, 0.0])


def webui(x, temperature, factor, curve):
    """The transform as it is written where it comes from, less the largest quotient."""
    d = x / temperature - np.max(x / temperature)
    return -((3 - curve) / 2) * factor * d**2 + ((curve - 1) / 2) * factor * d**3


def test_the_largest_becomes_zero_and_the_others_minus_a_parabola():
    np.testing.assert_array_equal(fs.truncate(X, smoothing_factor=0.5), [-2.0, 0.0, -0.5, -4.5])
    assert not np.signbit(fs.truncate(X, smoothing_factor=0.5)[1])
    np.testing.assert_array_equal(fs.truncate(X, 0.5, smoothing_factor=0.5), [-8.0, 0.0, -2.0, -18.0])
    np.testing.assert_array_equal(fs.truncate(X, smoothing_factor=0.5, smoothing_curve=3.0), [-4.0, 0.0, -0.5, -13.5])
    np.testing.assert_array_equal(fs.truncate(X, smoothing_curve=7.0), X)
    np.testing.assert_array_equal(fs.truncate(X, smoothing_factor=0), X)


@pytest.mark.parametrize("curve", [1.0, 2.5, 3.0, 4.5, 9.0])
@pytest.mark.parametrize("factor", [0.03, 0.23, 1.7])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_it_is_the_transform_of_the_programs_that_have_it(curve, factor, dtype, rng):
    x = (2 * rng.normal(size=(5, 300))).astype(dtype)
    for row in x:
        got = fs.truncate(row, 0.8, smoothing_factor=factor, smoothing_curve=curve)
        expected = webui(row.astype(float), 0.8, factor, curve)
        assert got.dtype == dtype
        fits = np.abs(expected) < np.finfo(dtype).max
        np.testing.assert_allclose(got[fits], expected[fits], rtol=2 * np.finfo(dtype).eps, atol=1e-7)
        assert np.isfinite(got).all()


@pytest.mark.parametrize(
    "filters",
    [{}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.7}, {"top_n_sigma": 1.0}, {"keep": (0, 3)},
     {"top_k": 2, "keep": (1, 30)}, {"dynatemp_range": 0.5}, {"dynatemp_range": 0.5, "temperature_last": True},
     {"top_k": 9, "top_p": 0.8, "temperature_last": True}, {"xtc_threshold": 0.1, "xtc_probability": 1.0, "xtc_u": 0.0},
     {"xtc_threshold": 0.1, "xtc_probability": 1.0, "xtc_u": 0.0, "temperature_last": True, "keep": (0, 1, 2)},
     {"min_p": 0.05, "top_k": 12, "order": ("min_p", "temperature", "top_k")}, {"top_k": 7, "order": ("top_k",)},
     {"top_k": 7, "order": ("top_k",), "temperature_last": True}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("curve", [1.0, 2.0, 6.0])
def test_with_filters_as_the_reference(filters, curve, rng):
    x = rng.normal(size=(5, 35)) * 2
    x[:, 7] = -INF
    for temperature in (0.3, 1.0, 2.5):
        given = {"smoothing_factor": 0.4, "smoothing_curve": curve, **filters}
        got = fs.truncate(x, temperature, **given)
        expected = np.array([reference.truncate(row.tolist(), temperature, **given) for row in x])
        np.testing.assert_array_equal(got > -INF, expected > -INF)
        np.testing.assert_allclose(got, expected, rtol=1e-13)
        u = rng.random(5)
        np.testing.assert_array_equal(
            fs.sample(x, temperature, u=u, **given), reference_rows.sample(x, temperature, u=u, **given)
        )


def test_draws_are_those_of_the_softmax_of_the_smoothed_row(rng):
    x = 3 * rng.normal(size=(3, 2000)).astype(np.float32)
    given = {"smoothing_factor": 0.2, "smoothing_curve": 1.5}
    p = fs.softmax(fs.truncate(x.astype(float), 0.9, **given))
    index, logprob = fs.sample(x, 0.9, u=rng.random((3, 50)), size=50, return_logprob=True, **given)
    np.testing.assert_allclose(logprob, np.log(np.take_along_axis(p, index, 1)), rtol=1e-12)
    probs = fs.sample_probs([0.7, 0.2, 0.1], u=0.99, return_logprob=True, **given)
    assert probs == pytest.approx(reference.sample_probs([0.7, 0.2, 0.1], u=0.99, return_logprob=True, **given))


def test_limits():
    given = {"smoothing_factor": 0.5}
    for last in (False, True):
        np.testing.assert_array_equal(fs.truncate(X, 0.0, temperature_last=last, **given), [-INF, 0, -INF, -INF])
        np.testing.assert_array_equal(fs.truncate(X, INF, temperature_last=last, **given), np.zeros(4))
        assert fs.sample(X, 0.0, u=0.99, temperature_last=last, **given) == 1
        assert fs.sample(X, INF, u=0.99, temperature_last=last, **given) == 3
    np.testing.assert_array_equal(fs.truncate([INF, 1.0, INF], **given), [0.0, -INF, 0.0])
    assert fs.sample([INF, 1.0, INF], u=0.9, **given) == 2
    np.testing.assert_array_equal(fs.truncate([-INF, -INF], **given), [-INF, -INF])
    assert np.isnan(fs.truncate([1.0, NAN], **given)).all()
    # finite stays finite, and may be drawn where nothing else is left
    for dtype in (np.float16, np.float32, np.float64):
        for temperature in (1e-300, 1.0, 1e300):
            got = fs.truncate(np.array([-6e4, 0.0, 6e4], dtype), temperature, smoothing_factor=1e300, smoothing_curve=2)
            assert np.isfinite(got).all() and got[0] <= got[1] <= got[2] == 0
    assert fs.sample([-1e308, 1e308], u=0.999, smoothing_factor=1e308, smoothing_curve=1e308) == 1


def test_a_curve_above_three_may_prefer_what_is_near_the_largest():
    got = fs.truncate([0.0, 0.2], smoothing_factor=2.0, smoothing_curve=7.0)
    np.testing.assert_allclose(got, [2.0 * (2 * 0.04 - 3 * 0.008), 0.0], rtol=1e-14)
    assert fs.truncate([0.0, 0.2], smoothing_factor=2.0, smoothing_curve=7.0, top_k=1)[1] == -INF


def test_a_value_for_each_row_and_a_sampler(rng):
    x = rng.normal(size=(4, 30))
    factors, curves = np.array([0.0, 0.1, 1.0, 3.0]), np.array([1.0, 2.0, 1.0, 4.0])
    got = fs.truncate(x, smoothing_factor=factors, smoothing_curve=curves)
    for row, f, c, y in zip(x, factors, curves, got, strict=True):
        np.testing.assert_array_equal(y, fs.truncate(row, smoothing_factor=f, smoothing_curve=c))
    sampler = fs.Sampler(smoothing_factor=0.3, smoothing_curve=2.0, seed=4)
    assert (sampler.smoothing_factor, sampler.smoothing_curve) == (0.3, 2.0)
    u = fs.keyed_uniforms(4, 0, 0)
    assert sampler(x[0]) == fs.sample(x[0], u=u, smoothing_factor=0.3, smoothing_curve=2.0)
    sampler.smoothing_factor = None
    assert sampler(x[0]) == fs.sample(x[0], u=fs.keyed_uniforms(4, 0, 1))


@pytest.mark.parametrize(
    ("given", "error", "what"),
    [({"smoothing_factor": -0.1}, ValueError, "smoothing_factor must be zero or positive"),
     ({"smoothing_factor": NAN}, ValueError, "smoothing_factor"),
     ({"smoothing_factor": INF}, ValueError, "smoothing_factor"),
     ({"smoothing_factor": "1"}, TypeError, "smoothing_factor"),
     ({"smoothing_factor": 1.0, "smoothing_curve": 0.9}, ValueError, "smoothing_curve must be at least 1"),
     ({"smoothing_factor": 1.0, "smoothing_curve": NAN}, ValueError, "smoothing_curve"),
     ({"smoothing_factor": [0.1, 0.2]}, ValueError, "smoothing_factor")],
    ids=str,
)  # fmt: skip
def test_errors_name_the_parameter(given, error, what):
    for function in (fs.truncate, fs.sample, fs.sample_probs):
        with pytest.raises(error, match=what):
            function(X, **given)


def test_the_mean_over_many_draws_is_the_distribution():
    counts = np.bincount(fs.sample(X, smoothing_factor=0.3, size=40_000, rng=3), minlength=4)
    p = fs.softmax(webui(X, 1.0, 0.3, 1.0))
    assert sum((counts - 40_000 * p) ** 2 / (40_000 * p)) < 40 and math.isclose(p.sum(), 1.0)

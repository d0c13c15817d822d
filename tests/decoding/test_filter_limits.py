"""Filters where entries, temperatures, quotients or deviations leave the range of the doubles."""

import itertools

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax import reference

INF = np.inf
ROWS = [
    [3, 2, 1],
    [1, 3, 2],
    [-1, -3, -2],
    [0, -1, -2, -3],
    [INF, 1, 2, 3],
    [0, INF, INF, 1],
    [0, 0, 0],
    [-1, -2, -INF],
    [5],
]
SCALES = [1e-290, 1e-200, 1e-160, 1.0, 1e150, 1e290]
TEMPERATURES = [1e-310, 1e-300, 1e-200, 1.0, 1e200, 1e300, 1e308, INF]
FILTERS = [
    {"top_k": 1},
    {"top_k": 2},
    {"top_p": 0.5},
    {"top_p": 0.5, "min_tokens_to_keep": 2},
    {"top_k": 2, "top_p": 0.9},
    {"min_p": 0.3},
    {"top_n_sigma": 1.0},
    {"top_n_sigma": 10.0},
    {"epsilon_cutoff": 0.2},
    {"eta_cutoff": 0.1},
    {"dynatemp_range": 0.5},
    {"dynatemp_range": 1e308, "top_k": 3},
]


def scaled(row, scale):
    return [x * scale if abs(x) < INF else x for x in row]


def kept_by_reference(x, temperature, **filters):
    """The entries that pass; of those that do, quotients beyond the doubles are -inf in the reference."""
    if temperature < 1.0 and not filters.get(
        "dynatemp_range"
    ):  # the order is that of the entries, whatever the quotients
        small = max(abs(v) for v in x if abs(v) < INF) / 1e300
        if small > temperature:
            temperature = small
    return [v > -INF for v in reference.truncate(x, temperature, **filters)]


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: " ".join(f"{name}={value}" for name, value in f.items()))
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_what_is_kept_does_not_depend_on_the_range_of_the_doubles(filters, last):
    for row, scale, temperature in itertools.product(ROWS, SCALES, TEMPERATURES):
        x = scaled(row, scale)
        left = fs.truncate(np.array(x), temperature, **filters, temperature_last=last)
        expected = kept_by_reference(x, temperature, **filters, temperature_last=last)
        assert not np.isnan(left).any()
        assert (left > -INF).tolist() == expected, (x, temperature, left)


def test_the_largest_are_kept_at_temperatures_that_lose_them():
    assert np.flatnonzero(np.isfinite(fs.truncate(np.array([1, 3, 2]) * 1e-290, 1e300, top_k=1))).tolist() == [1]
    assert np.isfinite(fs.truncate([-2e100, -1e100, 0.0], 1e-300, top_k=2)).tolist() == [False, True, True]
    for temperature in (1e-300, 1e-3, 1.0, 1e300, INF):
        for k in (1, 2, 3):
            x = np.array([-1e100, 2.0, -2e100, 1.0])
            order = np.argsort(-x)[:k]
            assert set(np.flatnonzero(fs.truncate(x, temperature, top_k=k) > -INF)) == set(order)


def test_infinity_takes_all_where_filters_see_temperature_one():
    x = [INF, 1.0, 2.0, 3.0]
    for keep in (1, 2, 4):
        for filters in ({"top_p": 0.5}, {"min_p": 0.1}, {"top_k": 3}, {"epsilon_cutoff": 0.1}):
            left = fs.truncate(x, INF, **filters, temperature_last=True, min_tokens_to_keep=keep)
            assert left.tolist() == [0.0, -INF, -INF, -INF]
            drawn = fs.sample(x, INF, **filters, temperature_last=True, min_tokens_to_keep=keep, size=9, rng=1)
            assert not drawn.any()


def test_deviations_as_small_and_as_large_as_doubles_are():
    for scale in (1e-300, 1e-200, 1e-155, 1e-100, 1.0, 1e100, 1e155, 1e300):
        x = np.array([3.0, 2.0, 1.0, 0.0]) * scale
        assert (fs.truncate(x, scale, top_n_sigma=0.5) > -INF).tolist() == [True, False, False, False]
        assert (fs.truncate(x, scale, top_n_sigma=1.0) > -INF).tolist() == [True, True, False, False]
        assert (fs.truncate(x, scale, top_n_sigma=10.0) > -INF).all()
    assert (fs.truncate(np.full(5, 1e300), top_n_sigma=1e-3) > -INF).all()
    assert (fs.truncate(np.full(5, 1e-300), top_n_sigma=1e-3) > -INF).all()


def test_dynamic_temperature_beyond_the_doubles():
    x = np.array([3.0, 2.0, 1.0, 0.0])
    index, logprob = fs.sample(
        x,
        1e308,
        dynatemp_range=1e308,
        dynatemp_exponent=1e308,
        top_k=3,
        size=3,
        u=[0.1, 0.6, 0.99],
        return_logprob=True,
    )
    assert index.tolist() == [0, 0, 0] and logprob.tolist() == [
        0.0,
        0.0,
        0.0,
    ]  # H / log m to this power is 0, and so is T
    index, logprob = fs.sample(
        np.zeros(4), 1e308, dynatemp_range=1e308, size=4, u=[0.0, 0.3, 0.6, 0.99], return_logprob=True
    )
    assert index.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(logprob, -np.log(4), rtol=1e-15)

"""Axes and rows: any axis, a tuple of them, the whole array, and parameters given by row."""

import numpy as np
import pytest
import scipy.special
from oracles import bits

import fastsoftmax as fs
from fastsoftmax._args import arrays

FUNCTIONS = [fs.softmax, fs.log_softmax, fs.logsumexp]
# SciPy's own rounding is the larger part: some 50 ulp of results near 1, absolute where they are near 0.
OF_SCIPY = {"rtol": 1e-14, "atol": 1e-14}


def by_name(function):
    return function.__name__


def scipy_of(function):
    return getattr(scipy.special, function.__name__)


def as_rows(x, axis):
    """x with the given axes, in order, as one last axis."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = sorted(a % x.ndim for a in axes)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    return np.ascontiguousarray(moved).reshape(*moved.shape[: x.ndim - len(axes)], -1)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3, (0,), (0, 1), (1, 2), (-1, 0), (0, 1, 2), None])
@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
def test_axis_means_what_it_means_in_scipy(function, axis, rng):
    x = 3 * rng.normal(size=(4, 5, 6))
    expected = scipy_of(function)(x, axis=axis)
    result = function(x, axis=axis)
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, **OF_SCIPY)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), (1, 2), None])
@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
def test_axis_gives_the_bits_of_the_same_rows_laid_out_last(function, axis, dtype, rng):
    x = (3 * rng.normal(size=(6, 30, 7))).astype(dtype)
    result = np.asarray(function(x, 0.8, axis=axis))
    result = result if function is fs.logsumexp else as_rows(result, axis)
    assert bits(result) == bits(np.asarray(function(as_rows(x, axis), 0.8)))


@pytest.mark.parametrize("piece", [1, 100, 1 << 17])
@pytest.mark.parametrize("order", ["C", "F", "one row axis innermost"])
@pytest.mark.parametrize("axis", [(0, 2), (1, 3), (0, 3), (0, 1, 3), (0, 2, 3)])
def test_axes_that_do_not_merge_are_done_in_pieces_of_any_size(axis, order, piece, dtype, rng, monkeypatch):
    monkeypatch.setattr(arrays, "_PIECE", piece)
    x = (3 * rng.normal(size=(3, 4, 5, 6))).astype(dtype)
    x = x.swapaxes(0, 1).copy().swapaxes(0, 1) if order.startswith("one") else np.array(x, order=order)
    before = x.copy()
    rows = as_rows(x, axis)
    t = rng.uniform(0.5, 2.0, rows.shape[:-1])
    for temperature in (0.8, t):
        assert bits(fs.logsumexp(x, temperature, axis=axis)) == bits(fs.logsumexp(rows, temperature))
        for function in (fs.softmax, fs.log_softmax):
            expected = bits(function(rows, temperature))
            assert bits(as_rows(function(x, temperature, axis=axis), axis)) == expected
            swapped = np.empty(x.shape, x.dtype.newbyteorder())
            assert function(x, temperature, axis=axis, out=swapped) is swapped
            assert bits(as_rows(swapped.astype(dtype), axis)) == expected
            assert bits(x) == bits(before)
            function(x, temperature, axis=axis, out=x)
            assert bits(as_rows(x, axis)) == expected
            x[...] = before


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), (1, 2), None])
def test_draw_along_an_axis_is_the_draw_from_the_same_rows_laid_out_last(axis, dtype, rng):
    x = rng.normal(size=(6, 30, 7)).astype(dtype)
    rows = as_rows(x, axis)
    u = rng.random(rows.shape[:-1])
    for sample, numbers in ((fs.sample, x), (fs.sample_probs, np.abs(x))):
        drawn = sample(numbers, 0.8, axis=axis, u=u)
        assert np.shape(drawn) == rows.shape[:-1]
        np.testing.assert_array_equal(drawn, sample(as_rows(numbers, axis), 0.8, u=u))


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2), (0, 1, 2), None])
def test_keepdims_keeps_the_reduced_axes_with_size_one(axis, dtype, rng):
    x = rng.normal(size=(4, 5, 6)).astype(dtype)
    kept = fs.logsumexp(x, axis=axis, keepdims=True)
    assert kept.shape == np.sum(x.astype(float), axis=axis, keepdims=True).shape
    dropped = np.asarray(fs.logsumexp(x, axis=axis))
    assert bits(kept.reshape(dropped.shape)) == bits(dropped)


def test_zero_dimensional_input_is_a_row_of_one(dtype):
    x = np.array(3.0, dtype)
    assert np.shape(fs.softmax(x)) == () and fs.softmax(x) == 1
    assert np.shape(fs.log_softmax(x)) == () and fs.log_softmax(x) == 0
    assert np.shape(fs.logsumexp(x)) == () and fs.logsumexp(x) == 3
    assert fs.sample(x) == 0 and fs.sample_probs(x) == 0
    assert fs.sample(x, size=3).tolist() == [0, 0, 0]


def test_row_of_one_has_probability_one(dtype):
    x = np.array([[-1000.0], [0.0], [1000.0]], dtype)
    for temperature in (0.0, 1e-3, 1.0, np.inf):
        assert (fs.softmax(x, temperature) == 1).all()
        assert (fs.log_softmax(x, temperature) == 0).all()
        assert (fs.sample(x, temperature) == 0).all()


@pytest.mark.parametrize("axis", [2, -3, (0, 2), 100])
def test_axis_out_of_range_raises_axis_error(axis):
    for function in (*FUNCTIONS, fs.sample, fs.sample_probs):
        with pytest.raises(np.exceptions.AxisError):
            function(np.ones((2, 3)), axis=axis)


def test_repeated_axis_raises_value_error():
    for function in (*FUNCTIONS, fs.sample, fs.sample_probs):
        with pytest.raises(ValueError):
            function(np.ones((2, 3)), axis=(0, 0))


# Parameters by row


@pytest.mark.parametrize(
    "axis, shapes",
    [
        (-1, [(), (1,), (4,), (3, 4), (3, 1), (1, 4), (1, 1)]),
        (1, [(), (5,), (3, 5), (3, 1), (1, 5)]),
        (0, [(), (5,), (4, 5), (4, 1)]),
        ((0, 2), [(), (4,), (1,)]),
        (None, [()]),
    ],
)
def test_temperature_broadcasts_against_the_rows(axis, shapes, rng):
    x = rng.normal(size=(3, 4, 5))
    rows = as_rows(x, axis)
    for shape in shapes:
        temperature = rng.uniform(0.1, 3.0, size=shape)
        of_each = np.broadcast_to(temperature, rows.shape[:-1])
        u = rng.random(rows.shape[:-1])
        for function in FUNCTIONS:
            result = np.asarray(function(x, temperature, axis=axis))
            result = result if function is fs.logsumexp else as_rows(result, axis)
            for row in np.ndindex(of_each.shape):
                assert bits(np.asarray(result[row])) == bits(np.asarray(function(rows[row], of_each[row])))
        drawn = np.asarray(fs.sample(x, temperature, axis=axis, u=u))
        for row in np.ndindex(of_each.shape):
            assert drawn[row] == fs.sample(rows[row], of_each[row], u=u[row])


def test_temperature_by_row_may_be_a_list_or_of_any_real_dtype(rng):
    x = rng.normal(size=(3, 4))
    expected = bits(fs.softmax(x, np.array([1.0, 2.0, 4.0])))
    for temperature in ([1, 2, 4], np.array([1, 2, 4], np.int32), np.array([1, 2, 4], np.float16)):
        assert bits(fs.softmax(x, temperature)) == expected


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 4), (3, 1, 1), (0,)])
def test_temperature_that_does_not_broadcast_raises_value_error(shape):
    for function in (*FUNCTIONS, fs.sample, fs.sample_probs):
        with pytest.raises(ValueError):
            function(np.ones((3, 4)), np.ones(shape))


def test_special_temperatures_may_be_mixed_in_one_batch(dtype):
    x = np.array([[1.0, 2.0, 2.0]] * 4, dtype)
    p = fs.softmax(x, np.array([0.0, 1.0, np.inf, 0.5]))
    for row, temperature in enumerate([0.0, 1.0, np.inf, 0.5]):
        assert bits(p[row]) == bits(fs.softmax(x[row], temperature))


# No rows


def test_zero_rows_give_an_empty_result(dtype):
    x = np.empty((0, 5), dtype)
    assert fs.softmax(x).shape == fs.log_softmax(x).shape == (0, 5)
    assert fs.logsumexp(x).shape == (0,)
    assert fs.logsumexp(x, keepdims=True).shape == (0, 1)
    for sample in (fs.sample, fs.sample_probs):
        drawn = sample(x)
        assert drawn.shape == (0,) and drawn.dtype == np.int64
        assert sample(x, size=3).shape == (0, 3)
        drawn, logprobs = sample(x, return_logprob=True)
        assert drawn.shape == logprobs.shape == (0,) and logprobs.dtype == np.float64
    assert fs.softmax(np.empty((3, 0, 5), dtype)).shape == (3, 0, 5)
    assert fs.softmax(np.empty((5, 0), dtype), axis=0).shape == (5, 0)


def test_zero_rows_use_no_uniform():
    generator, untouched = np.random.default_rng(3), np.random.default_rng(3)
    fs.sample(np.empty((0, 5)), rng=generator)
    assert generator.bit_generator.state == untouched.bit_generator.state

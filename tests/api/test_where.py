"""where= of softmax, log_softmax and logsumexp: entries outside count as -inf, whatever they are."""

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs
from fastsoftmax import reference

FUNCTIONS = [fs.softmax, fs.log_softmax, fs.logsumexp]
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)


def spoiled(x, where, rng):
    """x with NaN, +inf, -inf and other numbers where it does not count, and with -inf there."""
    bad = np.array([np.nan, np.inf, -np.inf, 60000.0, -60000.0], x.dtype)[rng.integers(0, 5, x.shape)]
    return np.where(where, x, bad), np.where(where, x, np.array(-np.inf, x.dtype))


@each_function
@pytest.mark.parametrize("temperature", [0.0, 1e-30, 0.7, 1.0, 1e30, np.inf])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 64, 65, 300, 1025, 5000])
def test_entries_outside_are_as_minus_infinity(function, temperature, n, dtype, rng):
    x = rng.normal(size=(40, n)).astype(dtype)
    where = rng.random((40, n)) < 0.6
    where[3] = False  # nothing is left
    given, expected = spoiled(x, where, rng)
    got = function(given, temperature, where=where)
    assert bits(got) == bits(function(expected, temperature))
    outside = {"softmax": 0.0, "log_softmax": -np.inf}.get(function.__name__)
    if outside is not None:
        assert np.isnan(got[3]).all()
        good = where.any(axis=1)
        assert (got[good].astype(float)[~where[good]] == outside).all()
    else:
        assert got[3] == -np.inf


@each_function
def test_it_is_the_reference(function, rng):
    named = getattr(reference, function.__name__)
    x, where = rng.normal(size=(20, 9)) * 5, rng.random((20, 9)) < 0.5
    where[:, 4] = True
    for temperature in (0.0, 0.3, 2.0, np.inf):
        expected = [named(row.tolist(), temperature, where=w.tolist()) for row, w in zip(x, where, strict=True)]
        np.testing.assert_allclose(function(x, temperature, where=where), expected, rtol=1e-14)


@each_function
@pytest.mark.parametrize("shape", [(), (1,), (6,), (5, 1), (1, 6), (5, 6), (4, 1, 1), (4, 5, 1), (1, 5, 6), (4, 1, 6)])
@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2), (2, 1), None])
def test_it_is_broadcast_as_numpy_does(function, shape, axis, rng):
    x = rng.normal(size=(4, 5, 6))
    where = rng.random(shape) < 0.7
    full = np.broadcast_to(where, x.shape)
    got = function(x, axis=axis, where=where)
    assert bits(got) == bits(function(np.where(full, x, -np.inf), axis=axis))
    assert bits(function(x, axis=axis, where=full.copy())) == bits(got)
    assert bits(function(x, axis=axis, where=where.tolist())) == bits(got)
    if function is fs.logsumexp:
        kept = fs.logsumexp(x, axis=axis, where=where, keepdims=True)
        assert bits(kept.reshape(np.shape(got))) == bits(np.asarray(got))


def test_a_column_turns_whole_rows_off(rng):
    x = rng.normal(size=(5, 70)).astype(np.float32)
    on = np.array([[True], [False], [True], [True], [False]])
    got = fs.softmax(x, where=on)
    assert bits(got[on[:, 0]]) == bits(fs.softmax(x[on[:, 0]])) and np.isnan(got[~on[:, 0]]).all()
    assert (fs.logsumexp(x, where=on)[~on[:, 0]] == -np.inf).all()


@pytest.mark.parametrize("function", FUNCTIONS[:2], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [7, 64, 100, 1500])
def test_out_is_written_outside_too(function, n, dtype, rng):
    x = rng.normal(size=(20, n)).astype(dtype)
    where = rng.random((20, n)) < 0.5
    expected = function(x, where=where)
    for out in (np.full_like(x, 7), np.full((n, 20), 7, dtype).T, np.full((20, 2 * n), 7, dtype)[:, ::2]):
        assert function(x, where=where, out=out) is out and bits(out) == bits(expected)
    mine = x.copy()
    assert bits(function(mine, where=where, out=mine)) == bits(expected)
    both = np.concatenate([x, x], axis=1)
    function(both[:, :n], where=where, out=both[:, 3 : n + 3])  # overlaps
    assert bits(both[:, 3 : n + 3]) == bits(expected)


@each_function
def test_layouts_of_x_and_where_do_not_matter(function, dtype, rng):
    for n in (5, 40, 200, 3000):
        x, where = rng.normal(size=(18, n)).astype(dtype), rng.random((18, n)) < 0.5
        expected = bits(function(x, where=where))
        for a in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x[::-1, ::-1].copy()[::-1, ::-1]):
            for w in (where, np.asfortranarray(where), where[::-1, ::-1].copy()[::-1, ::-1]):
                assert bits(function(a, where=w)) == expected
        t = rng.uniform(0.1, 3, 18)
        rows = [function(x[i], t[i], where=where[i]) for i in range(18)]
        assert bits(function(x, t, where=where)) == bits(np.array(rows, dtype))


@each_function
def test_what_is_no_where_is_an_error(function):
    x = np.zeros((2, 3))
    for bad in ([1, 0, 1], np.ones(3, np.uint8), 1, 1.0, "yes"):
        with pytest.raises(TypeError, match="where must be bool"):
            function(x, where=bad)
    for shape in ((2,), (3, 2), (1, 2, 3), (0,)):
        with pytest.raises(ValueError, match=r"where of shape .* does not broadcast to the shape of x, \(2, 3\)"):
            function(x, where=np.ones(shape, bool))
    with pytest.raises(TypeError, match="x is a masked array, but its mask is not read: pass x.data, where=~x.mask"):
        function(np.ma.masked_array([1.0, 2.0], [True, False]))
    with pytest.raises(TypeError, match="x holds masked arrays.*~mask as where"):
        function([np.ma.masked_array([1.0, 2.0], [True, False])])


@each_function
def test_nothing_and_everything(function, rng):
    x = rng.normal(size=(3, 4))
    assert bits(function(x, where=True)) == bits(function(x)) == bits(function(x, where=None))
    assert bits(function(x, where=False)) == bits(function(np.full((3, 4), -np.inf)))
    assert function(np.ones((2, 0)), where=np.ones((2, 0), bool)).shape == function(np.ones((2, 0))).shape
    assert function(np.ones((0, 2)), where=[True, False]).shape == function(np.ones((0, 2))).shape
    assert function(2.0, where=True) == function(2.0)
    assert bits(np.asarray(function(2.0, where=False))) == bits(np.asarray(function(-np.inf)))


def test_a_large_row_is_read_by_all_threads_alike(rng):
    x, where = rng.normal(size=600_000).astype(np.float32), rng.random(600_000) < 0.5
    expected = np.where(where, x, np.float32(-np.inf))
    for function in FUNCTIONS:
        assert bits(np.asarray(function(x, where=where))) == bits(np.asarray(function(expected)))


def test_jax_agrees(rng):
    jax = pytest.importorskip("jax")
    x, where = rng.normal(size=(200, 30)).astype(np.float32), rng.random((200, 30)) < 0.4
    where[:, 0] = True
    np.testing.assert_allclose(fs.softmax(x, where=where), jax.nn.softmax(x, where=where), rtol=2e-6)
    np.testing.assert_allclose(
        fs.logsumexp(x, where=where), jax.nn.logsumexp(x, axis=-1, where=where), rtol=2e-6, atol=2e-7
    )

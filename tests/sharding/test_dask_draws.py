"""Draws from Dask arrays: keys, several draws from a row, and the streams of NumPy's functions."""

import numpy as np
import pytest

import fastsoftmax as fs

da = pytest.importorskip("dask.array")
import dask  # noqa: E402

from fastsoftmax._args.keyed import COINS, keyed  # noqa: E402
from fastsoftmax.integrations import dask as fd  # noqa: E402

SHAPE = (3, 4, 2500)
CHUNKINGS = [(2, 3, -1), (2, 3, 1024), (1, 4, 700)]
SIZES = [None, 1, 5, (2, 3), 0, (2, 0)]


@pytest.fixture(autouse=True)
def one_thread():
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def x(rng):
    return (2 * rng.normal(size=SHAPE)).astype(np.float32)


def trailing(size):
    return () if size is None else size if isinstance(size, tuple) else (size,)


def assert_same(got, expected):
    assert got.shape == np.shape(expected)
    computed = got.compute()
    assert computed.dtype == np.int64 and computed.tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_size_draws_from_each_row_what_numpy_draws(chunks, size, x, rng):
    lazy, u = da.from_array(x, chunks=chunks), rng.random((3, 4, *trailing(size)))
    index, logprob = fs.sample(x, 0.7, u=u, size=size, return_logprob=True)
    for given in (u, da.from_array(u, chunks=1 if u.size else -1)):
        got = fd.sample(lazy, 0.7, u=given, size=size, return_logprob=True)
        assert_same(got[0], index)
        assert got[1].compute().tobytes() == logprob.tobytes()
        assert_same(fd.sample(lazy, 0.7, u=given, size=size), index)
        assert_same(fd.sample(lazy, 0.7, u=given, size=size, top_k=50), fs.sample(x, 0.7, u=u, size=size, top_k=50))
    if size == 5:
        assert_same(fd.sample(lazy, 0.7, u=u[0, 0], size=size), fs.sample(x, 0.7, u=u[0, 0], size=size))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_keys_and_steps_say_which_uniforms(chunks, size, x, rng):
    lazy, keys = da.from_array(x, chunks=chunks), rng.integers(-5, 2**60, (3, 4))
    shape = trailing(size)
    steps = 4 + np.arange(np.prod(shape, dtype=int)).reshape(shape)
    u = fs.keyed_uniforms(9, keys.reshape(3, 4, *[1] * len(shape)), steps)
    expected = fs.sample(x, 0.7, u=u, size=size)
    for given in (keys, keys.tolist(), da.from_array(keys, chunks=1)):
        assert_same(fd.sample(lazy, 0.7, seed=9, keys=given, step=4, size=size), expected)


@pytest.mark.parametrize("chunks", [(4, -1), (4, 1000)], ids=str)
@pytest.mark.parametrize("filters", [{}, {"xtc_threshold": 0.01, "xtc_probability": 0.5}], ids=str)
def test_a_batch_cut_from_a_larger_one_draws_the_same_with_the_same_keys(chunks, filters, x):
    rows, ids = x.reshape(12, -1), np.arange(100, 112)
    drawn = fd.sample(da.from_array(rows, chunks=chunks), 0.9, seed=3, keys=ids, size=2, **filters).compute()
    sampler = fs.Sampler(0.9, seed=3, **filters)
    assert drawn[:, 0].tolist() == sampler(rows, keys=ids).tolist()  # and the second has the uniform of the next step
    for part in (np.array([7]), np.array([11, 2, 5]), np.arange(3, 9)):
        batch = da.from_array(rows[part], chunks=(2, 999))
        assert_same(fd.sample(batch, 0.9, seed=3, keys=ids[part], size=2, **filters), drawn[part])


def test_several_draws_are_those_of_the_steps_one_after_another(x):
    lazy = da.from_array(x, chunks=(2, 3, 1000))
    together = fd.sample(lazy, seed=5, step=10, size=4).compute()
    for i in range(4):
        assert_same(fd.sample(lazy, seed=5, step=10 + i), together[..., i])


@pytest.mark.parametrize("size", [None, 3], ids=str)
@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_rng_is_the_stream_of_numpy(chunks, size, x):
    lazy = da.from_array(x, chunks=chunks)
    g, h = np.random.default_rng(7), np.random.default_rng(7)
    for filters in ({}, {"top_p": 0.9}, {"xtc_threshold": 0.01, "xtc_probability": 0.5}):
        assert_same(fd.sample(lazy, 0.7, rng=g, size=size, **filters), fs.sample(x, 0.7, rng=h, size=size, **filters))
    assert g.bit_generator.state == h.bit_generator.state
    assert_same(fd.sample(lazy, rng=7), fs.sample(x, rng=7))


def test_invalid_rows_are_flagged_in_all_their_draws(x):
    x[2, 1, 2000] = np.nan
    expected = fs.sample(x, u=0.25, size=2, on_invalid="flag", return_logprob=True)
    for chunks in CHUNKINGS:
        index, logprob = fd.sample(
            da.from_array(x, chunks=chunks), u=0.25, size=2, on_invalid="flag", return_logprob=True
        )
        assert_same(index, expected[0])
        assert np.array_equal(logprob.compute(), expected[1], equal_nan=True)


def test_wrong_keys_and_sizes_are_named(x):
    lazy, keys = da.from_array(x, chunks=(2, 3, 1000)), np.arange(12).reshape(3, 4)
    for error, message, given in (
        (ValueError, "^keys need a seed", {"keys": keys}),
        (ValueError, "^keys need a seed", {"keys": keys, "u": 0.5}),
        (ValueError, r"^keys must have the shape of the rows, \(3, 4\), not \(4,\)", {"keys": keys[0], "seed": 1}),
        (TypeError, "^keys must be integers, not float64", {"keys": keys / 2, "seed": 1}),
        (TypeError, "^keys must be integers, not float64", {"keys": da.from_array(keys / 2), "seed": 1}),
        (ValueError, "^size must not be negative", {"size": -1, "seed": 1}),
        (TypeError, "^size must be an int", {"size": 2.0, "seed": 1}),
        (ValueError, r"^u of shape \(3, 4\) does not broadcast", {"size": 5, "u": keys / 12}),
        (ValueError, "^step must be below", {"size": 5, "seed": 1, "step": 2**64 - 4}),
        (ValueError, "^u and rng are both given", {"u": 0.5, "rng": 1}),
        (TypeError, "RandomState", {"rng": np.random.RandomState(1)}),
    ):
        with pytest.raises(error, match=message):
            fd.sample(lazy, **given)
    assert fd.sample(lazy, size=4, seed=1, step=2**64 - 4).compute().shape == (3, 4, 4)


@pytest.mark.parametrize("filters", [
    {"top_k": 20}, {"top_k": 5, "min_tokens_to_keep": 9}, {"top_k": 40, "top_p": 0.9, "min_p": 0.01},
    {"top_k": 30, "top_p": 0.8, "temperature_last": True}, {"top_k": 50, "xtc_threshold": 0.05, "xtc_probability": 0.5},
    {"top_k": 9000},
])  # fmt: skip
def test_after_top_k_the_best_of_each_chunk_decide(filters, dtype, rng):
    x = (3 * rng.normal(size=(5, 4000))).astype(dtype)
    mask, bias = rng.random((5, 4000)) < 0.8, rng.normal(size=4000)
    numbers = np.arange(5)
    u = fs.keyed_uniforms(3, numbers)
    coins = {"xtc_u": keyed(3, numbers, 0, COINS)} if "xtc_threshold" in filters else {}
    for chunks in ((2, 1000), (3, 999), (5, (1, 1, 1500, 2498))):
        lazy = da.from_array(x, chunks=chunks)
        for temperature in (0.7, np.array([0.0, 0.5, 1.0, 2.0, np.inf])):
            how = {"mask": mask, "bias": bias, "return_logprob": True, **filters}
            got = dask.compute(*fd.sample(lazy, temperature, seed=3, **how), scheduler="threads")
            expected = fs.sample(x, temperature, u=u, **coins, **how)
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_array_equal(a, b)
        several = fd.sample(lazy, 0.7, seed=3, size=3, **filters).compute(scheduler="threads")
        many = fs.keyed_uniforms(3, np.repeat(numbers[:, None], 3, 1), np.arange(3, dtype=np.uint64))
        np.testing.assert_array_equal(several, fs.sample(x, 0.7, u=many, size=3, **coins, **filters))


def test_after_top_k_no_logits_travel():
    lazy = da.zeros((4, 10_000), chunks=(2, 2500))
    for how, moves in (({"top_k": 5, "top_p": 0.9}, False), ({"top_p": 0.9}, True), ({"top_k": [5, 6, 7, 8]}, True)):
        drawn = fd.sample(lazy, 0.7, seed=1, **how)
        layers = drawn.__dask_graph__().layers
        assert any("rechunk" in name for name in layers) == moves


def test_a_bad_row_after_top_k_is_named_in_the_whole_array():
    x = np.zeros((6, 3000))
    x[4, 2000] = np.nan
    drawn = fd.sample(da.from_array(x, chunks=(3, 1000)), seed=1, top_k=5)
    with pytest.raises(ValueError, match=r"^logits: row 4 has nan at entry 2000"):
        drawn.compute(scheduler="threads")
    flagged = fd.sample(da.from_array(x, chunks=(3, 1000)), seed=1, top_k=5, on_invalid="flag")
    assert (flagged.compute(scheduler="threads") < 0).tolist() == [False] * 4 + [True, False]


@pytest.mark.parametrize("chunks", [(2, 9000), (1, 4096), (3, 1000)], ids=str)
def test_draws_by_rejection_are_those_of_arrays(chunks, rng):
    x = (2 * rng.normal(size=(3, 9000))).astype(np.float32)
    lazy, keys = da.from_array(x, chunks=chunks), np.array([9, 2, 5])
    given = {"seed": 3, "step": 4, "method": "rejection"}
    assert_same(fd.sample(lazy, 0.7, **given), fs.sample(x, 0.7, **given))
    assert_same(fs.sample(lazy, 0.7, keys=keys, **given), fs.sample(x, 0.7, keys=keys, **given))
    assert_same(fd.sample(lazy, 0.7, top_k=9000, **given), fs.sample(x, 0.7, **given))
    for wrong in ({"method": "rejection"}, {"seed": 1, "method": "rejection", "size": 2}, {"method": "alias"}):
        with pytest.raises(ValueError, match="seed|size|method must be"):
            fd.sample(lazy, **wrong)

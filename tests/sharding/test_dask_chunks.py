"""Any chunks at all: the bits of whole rows, the chunks of x, and no more tasks than a log-sum-exp by formula needs."""

import numpy as np
import pytest
from breadth import cases
from oracles import DTYPES
from rows_in_shards import KINDS, LENGTHS, make

import fastsoftmax as fs

da = pytest.importorskip("dask.array")
import dask  # noqa: E402

from fastsoftmax.integrations import dask as fd  # noqa: E402


def ragged(n, rng):
    """Some chunks of n entries, of very different lengths."""
    cuts = np.unique(rng.integers(1, n, size=rng.integers(1, 12))) if n > 1 else []
    return tuple(int(size) for size in np.diff([0, *cuts, n]))


def assert_bits(got, expected):
    got = np.asarray(got)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert got.tobytes() == expected.tobytes()


def assert_whole(x, temperature, lazy):
    """All functions give the bytes of NumPy's, in the chunks of x."""
    u = np.random.default_rng(x.size).random((*x.shape[:-1], 3))
    softmax, log_softmax = fd.softmax(lazy, temperature), fd.log_softmax(lazy, temperature)
    assert softmax.chunks == log_softmax.chunks == lazy.chunks
    drawn = fd.sample(lazy, temperature, u=u, size=3, return_logprob=True, on_invalid="flag")
    assert drawn[0].chunks == (*lazy.chunks[:-1], (3,))
    results = dask.compute(softmax, log_softmax, fd.logsumexp(lazy, temperature), *drawn, scheduler="sync")
    expected = (
        fs.softmax(x, temperature),
        fs.log_softmax(x, temperature),
        np.asarray(fs.logsumexp(x, temperature)),
        *fs.sample(x, temperature, u=u, size=3, return_logprob=True, on_invalid="flag"),
    )
    for got, wanted in zip(results, expected, strict=True):
        assert_bits(got, wanted)


@pytest.mark.parametrize("case", range(cases(40)))
def test_ragged_chunks_give_the_bits_of_whole_rows(case):
    rng = np.random.default_rng(case)
    n, kind, dtype = int(rng.choice(LENGTHS)), KINDS[case % len(KINDS)], DTYPES[case % len(DTYPES)]
    x = make(kind, (5, n), dtype, rng)
    temperature = float(rng.choice([0.0, 2.0**-100, 0.7, 1.0, 2.0**100, np.inf]))
    assert_whole(x, temperature, da.from_array(x, chunks=(ragged(5, rng), ragged(n, rng))))


@pytest.mark.parametrize("size", [1, 7, 513])
def test_chunks_down_to_one_entry(size, rng):
    x = make("normal", (2, 1100), np.dtype(np.float32), rng)
    x[1] *= 50
    temperature = np.array([0.7, 2.0**-100])  # the second row has blocks of another length
    assert_whole(x, temperature, da.from_array(x, chunks=(2, size)))


def test_masks_and_biases_in_ragged_chunks(rng):
    x, bias = rng.normal(size=(4, 3000)).astype(np.float32), rng.normal(size=3000)
    mask = rng.random((4, 3000)) < 0.3
    lazy = da.from_array(x, chunks=((1, 3), (1, 999, 25, 1975)))
    u = fs.keyed_uniforms(1, np.arange(4))
    drawn = fd.sample(lazy, seed=1, mask=mask, bias=da.from_array(bias, chunks=100))
    assert_bits(drawn.compute(scheduler="sync"), fs.sample(x, u=u, mask=mask, bias=bias))


def test_an_empty_chunk_of_entries_has_nothing_to_add(rng):
    x = rng.normal(size=(3, 2000))
    lazy = da.from_array(x, chunks=((3,), (700, 0, 1300)))
    assert_bits(fd.softmax(lazy).compute(scheduler="sync"), fs.softmax(x))
    assert_bits(fd.logsumexp(lazy).compute(scheduler="sync"), fs.logsumexp(x))


def formula(x):
    largest = x.max(axis=-1, keepdims=True)
    return da.log(da.exp(x - largest).sum(axis=-1, keepdims=True)) + largest


def tasks(*collections):
    """How many the scheduler is given for them together."""
    return len({key for collection in dask.optimize(*collections) for key in dict(collection.__dask_graph__())})


@pytest.mark.parametrize("chunks", [(1, -1), (-1, 1000), (20, 1000)], ids=str)
def test_many_chunks_cost_no_more_tasks_than_a_logsumexp_by_formula(chunks):
    x = da.zeros((200, 200_000), chunks=chunks)
    most = tasks(formula(x))
    assert tasks(fd.logsumexp(x)) < most / 2
    assert tasks(fd.softmax(x)) < most
    assert tasks(fd.sample(x, seed=1)) < most
    assert tasks(*fd.sample(x, seed=1, size=5, return_logprob=True)) < most

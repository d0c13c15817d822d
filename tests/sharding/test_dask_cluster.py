"""A cluster of processes: the same bytes, also where a worker is killed or the array is larger than its memory."""

import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest

import fastsoftmax as fs

pytest.importorskip("distributed")
import dask.array as da  # noqa: E402
from distributed import Client, LocalCluster, wait  # noqa: E402

from fastsoftmax.integrations import dask as fd  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="SIGKILL needs POSIX")]

MEMORY = 400 * 2**20  # bytes of each worker, of which an idle one takes about a third


def logits(first_row, rows, first, entries):
    """Numbers that are a function of their place, cheap to make: a chunk of an array that is nowhere whole."""
    row = np.arange(first_row, first_row + rows, dtype=np.uint32)[:, None]
    mixed = np.arange(first, first + entries, dtype=np.uint32)[None, :] * np.uint32(2654435761)
    mixed = (mixed ^ (row * np.uint32(40503))) * np.uint32(2246822519)
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(12 / 2**24)


def lazy_logits(shape, chunks, delay=0.0):
    def chunk(block_info=None):
        (row, past_row), (first, past) = block_info[None]["array-location"]
        time.sleep(delay)
        return make(row, past_row - row, first, past - first)

    make = logits
    make.__module__ = "__main__"  # sent to the workers by value: they cannot import this file
    shape_of_chunks = da.core.normalize_chunks(chunks, shape)
    return da.map_blocks(chunk, chunks=shape_of_chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))


@contextmanager
def three_workers():
    cluster = LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, memory_limit=MEMORY, dashboard_address=":0", silence_logs=50
    )
    with cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def client():
    with three_workers() as client:
        yield client


@pytest.fixture
def own_client():
    """A cluster for one test, after which it may not have all of its workers for a while."""
    with three_workers() as client:
        yield client


def test_several_processes_give_the_bytes_of_one(client):
    x = logits(0, 8, 0, 20_000)
    lazy = lazy_logits(x.shape, (3, 3000))
    u = fs.keyed_uniforms(3, np.arange(8))
    assert len(set(client.run(os.getpid).values())) == 3
    assert fd.softmax(lazy, 0.7).compute().tobytes() == fs.softmax(x, 0.7).tobytes()
    assert fd.logsumexp(lazy, 0.7).compute().tobytes() == fs.logsumexp(x, 0.7).tobytes()
    assert fd.sample(lazy, 0.7, seed=3).compute().tolist() == fs.sample(x, 0.7, u=u).tolist()
    drawn = fd.sample(lazy, 0.7, seed=3, top_k=50, top_p=0.9).compute()
    assert drawn.tolist() == fs.sample(x, 0.7, u=u, top_k=50, top_p=0.9).tolist()


@pytest.mark.parametrize("what, width", [("softmax", 4096), ("sample", 4096), ("softmax", 4097), ("sample", 4001)])
def test_a_killed_worker_changes_nothing(own_client, what, width):
    client = own_client
    rows, n = 24, 40_960
    x = logits(0, rows, 0, n)
    lazy = lazy_logits(x.shape, (4, width), delay=0.05)  # 60 chunks or more: a second and more on three workers
    if what == "softmax":
        result, expected = fd.softmax(lazy, 0.7), fs.softmax(x, 0.7)
    else:
        u = fs.keyed_uniforms(9, np.arange(rows))
        result, expected = fd.sample(lazy, 0.7, seed=9), fs.sample(x, 0.7, u=u)
    client.wait_for_workers(3, timeout=60)
    before = client.run(os.getpid)
    future = client.compute(result)
    deadline = time.monotonic() + 60
    victim = None
    while victim is None and time.monotonic() < deadline:  # until somebody holds something that would be lost
        assert not future.done()
        held = {address: len(keys) for address, keys in client.has_what().items()}
        victim = max(held, key=held.__getitem__) if max(held.values(), default=0) >= 3 else None
        time.sleep(0.01)
    assert victim is not None and not future.done()
    os.kill(before[victim], signal.SIGKILL)
    assert future.result(timeout=120).tobytes() == expected.tobytes()
    client.wait_for_workers(3, timeout=60)
    after = client.run(os.getpid)
    assert before[victim] not in after.values() and len(set(after.values())) == 3


@pytest.mark.parametrize("width", [16_384, 16_000])
def test_an_array_larger_than_a_workers_memory(client, width):
    rows, n = 1024, 131_072
    lazy = lazy_logits((rows, n), (64, width))
    assert lazy.nbytes > MEMORY  # 512 MiB
    client.wait_for_workers(3, timeout=60)
    before = client.run(os.getpid)
    index, log_total = client.compute([fd.sample(lazy, 0.3, seed=5, step=7), fd.logsumexp(lazy, 0.3)])
    wait([index, log_total], timeout=300)
    drawn, totals = index.result(), log_total.result()
    assert client.run(os.getpid) == before  # nobody ran out of memory on the way
    for first in range(0, rows, 64):
        x = logits(first, 64, 0, n)
        here = slice(first, first + 64)
        u = fs.keyed_uniforms(5, np.arange(first, first + 64), 7)
        assert drawn[here].tolist() == fs.sample(x, 0.3, u=u).tolist()
        assert totals[here].tobytes() == fs.logsumexp(x, 0.3).tobytes()

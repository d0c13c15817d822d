"""Four processes with a shard each give the bytes that one has of the whole rows."""

import multiprocessing

import numpy as np
import pytest
import shard_process
from oracles import DTYPES
from rows_in_shards import assert_same, bounds

import fastsoftmax as fs


@pytest.mark.parametrize("n, cuts", [(12_825, (3206, 6412, 9618)), (1025, (1, 1000, 1024))])
def test_four_processes_give_the_bytes_of_one(n, cuts):
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    for first, past in bounds(n, cuts):
        here, there = context.Pipe()
        process = context.Process(target=shard_process.work, args=(there, DTYPES, n, first, past))
        process.start()
        there.close()
        connections.append(here)
        processes.append(process)
    for dtype in DTYPES:
        sent = [connection.recv_bytes() for connection in connections]
        for connection in connections:
            connection.send(len(sent))
            for part in reversed(sent):
                connection.send_bytes(part)
        probs, logs, sums, drawn = zip(*(connection.recv() for connection in connections), strict=True)
        x, temperature = shard_process.rows(dtype, n), shard_process.TEMPERATURE
        assert_same(np.concatenate(probs, -1), fs.softmax(x, temperature))
        assert_same(np.concatenate(logs, -1), fs.log_softmax(x, temperature))
        for each in sums:
            assert_same(each, fs.logsumexp(x, temperature))
        index, logprob = fs.sample(x, temperature, u=fs.keyed_uniforms(5, np.arange(4)), return_logprob=True)
        assert_same(np.max([part[0] for part in drawn], 0), index)
        assert_same(np.max([part[1] for part in drawn], 0), logprob)
    for process in processes:
        process.join()
        assert process.exitcode == 0

"""One of several processes, each of which has a shard of the same rows and talks to the others in bytes."""

import numpy as np

import fastsoftmax as fs

TEMPERATURE = 0.7


def rows(dtype, n):
    """The rows that all processes know; each uses its own columns of them."""
    return (3 * np.random.default_rng(11).normal(size=(4, n))).astype(dtype)


def work(connection, dtypes, n, first, past):
    """For each dtype, send the bytes of the shard's summary, receive those of all, and send the shard's results."""
    for dtype in dtypes:
        shard = rows(dtype, n)[:, first:past]
        connection.send_bytes(fs.summarize(shard, TEMPERATURE, first, logsumexp=True).to_bytes())
        gathered = [connection.recv_bytes() for _ in range(connection.recv())]
        u = fs.keyed_uniforms(5, np.arange(4))
        connection.send(
            (
                fs.softmax_from_summary(shard, gathered, offset=first),
                fs.log_softmax_from_summary(shard, gathered, offset=first),
                fs.logsumexp_from_summary(gathered),
                fs.sample_from_summary(shard, gathered, offset=first, u=u, return_logprob=True),
            )
        )

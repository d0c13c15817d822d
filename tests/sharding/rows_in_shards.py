"""Rows of every kind, where they may be cut into shards, and what all shards together must give."""

import numpy as np
from oracles import LAST_U

import fastsoftmax as fs

INF, NAN = np.inf, np.nan
TEMPERATURES = [0.0, 2.0**-900, 2.0**-100, 1e-3, 0.7, 1.0, 30.0, 2.0**100, 2.0**900, INF]
KINDS = [
    "normal", "wide", "some -inf", "some +inf", "NaN", "all -inf", "log-probabilities", "sure", "equal", "integers",
]  # fmt: skip
# Around the lengths of a block, in one and in several.
LENGTHS = [1, 2, 63, 64, 65, 300, 511, 512, 513, 1023, 1024, 1025, 1536, 2048, 2049, 5000]
US = np.array([0.0, LAST_U, 2.0**-60, 0.5, 0.123456789])


def make(kind, shape, dtype, rng):
    x = rng.normal(size=shape)
    if kind == "wide":
        x *= 1000.0
    elif kind == "some -inf":
        x[rng.random(shape) < 0.5] = -INF
    elif kind == "some +inf":
        x[rng.random(shape) < 0.002] = INF
    elif kind == "NaN":
        x[rng.random(shape) < 0.0005] = NAN
    elif kind == "all -inf":
        x[...] = -INF
    elif kind == "log-probabilities":
        x = fs.log_softmax(x)
    elif kind == "sure":
        x[..., shape[-1] // 2] = 25.0
    elif kind == "equal":
        x[...] = x.flat[0]
    elif kind == "integers":
        x = np.round(x)
    return x.astype(dtype)


def bounds(n, cuts):
    edges = [0, *sorted({c for c in cuts if 0 < c < n}), n]
    return list(zip(edges[:-1], edges[1:], strict=True))


def every_cut(n):
    return bounds(n, range(1024, n, 1024))


def summaries(x, temperature, shards, *, logsumexp=True, **operands):
    return [fs.summarize(x[..., a:b], temperature, a, logsumexp=logsumexp, **operands) for a, b in shards]


def assert_same(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def assert_whole(x, temperature, shards, summary):
    """All that is made of the shards has the bytes of what is made of the rows."""

    def each(function, **arguments):
        return [function(x[..., a:b], summary, offset=a, **arguments) for a, b in shards]

    assert_same(np.concatenate(each(fs.softmax_from_summary), -1), fs.softmax(x, temperature))
    assert_same(np.concatenate(each(fs.log_softmax_from_summary), -1), fs.log_softmax(x, temperature))
    assert_same(fs.logsumexp_from_summary(summary), fs.logsumexp(x, temperature))
    how = {"u": US, "size": US.size, "return_logprob": True, "on_invalid": "flag"}
    index, logprob = fs.sample(x, temperature, **how)
    drawn = each(fs.sample_from_summary, **how)
    assert_same(np.max([part[0] for part in drawn], 0), index)
    assert_same(np.max([part[1] for part in drawn], 0), logprob)

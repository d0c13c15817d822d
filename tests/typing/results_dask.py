"""The same as results.py, of Dask arrays, which stay Dask arrays."""

from __future__ import annotations

from typing import assert_type

import dask.array as da

import fastsoftmax as fs
import fastsoftmax.integrations.dask as fsd

logits: da.Array = da.zeros((2, 4), chunks=2)  # type: ignore[no-untyped-call,unused-ignore]


def dask_arrays() -> None:
    assert_type(fs.softmax(logits, 0.5), da.Array)
    assert_type(fs.log_softmax(logits), da.Array)
    assert_type(fs.logsumexp(logits), da.Array)
    assert_type(fs.sample(logits, top_k=2, rng=1), da.Array)
    assert_type(fs.sample(logits, size=3, rng=1, return_logprob=True), tuple[da.Array, da.Array])
    assert_type(fsd.softmax(logits), da.Array)
    assert_type(fsd.logsumexp(logits, keepdims=True), da.Array)
    assert_type(fsd.sample(logits, seed=1, keys=[3, 4], min_p=0.1), da.Array)
    assert_type(fsd.sample(logits, seed=1, return_logprob=True), tuple[da.Array, da.Array])

"""A rounding mode that the calling thread has set changes no result, in no dtype, also where Python narrows or adds."""

import ctypes
import platform
import sys

import numpy as np
import pytest

import fastsoftmax as fs

# FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO of x86-64 and of AArch64.
MODES = {"x86_64": (0x400, 0x800, 0xC00), "aarch64": (0x800000, 0x400000, 0xC00000)}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in MODES, reason="sets the mode by the C library of Linux"
)


def results(x, short, temperatures, u):
    """Every function whose result is a floating-point number, by way."""
    weights = np.abs(x)
    parts = [fs.summarize(x[:, :1000], logsumexp=True), fs.summarize(x[:, 1000:], offset=1000, logsumexp=True)]
    summary = fs.combine(parts)
    few = fs.Categorical(x[0], 0.7)
    return [
        fs.softmax(x, 0.7), fs.log_softmax(x, 0.7), fs.logsumexp(x, 0.7), [fs.logsumexp(row, 0.7) for row in x],
        fs.logsumexp(x, temperatures), fs.logsumexp(short, 0.7), fs.softmax(short, 0.7), fs.log_softmax(short, 0.7),
        fs.logsumexp(np.asfortranarray(x), 0.7, axis=0), fs.softmax(x.T, 0.7),
        fs.logsumexp(x[None, :, ::-2], axis=(0, 2)),
        *fs.sample(x, 0.7, u=u, return_logprob=True), *fs.sample(x, 0.7, u=u, return_logprob=True, top_p=0.9),
        *fs.sample_probs(weights, 0.7, u=u, return_logprob=True), fs.truncate(x, 0.7, top_p=0.9),
        fs.penalize(x, [[1, 2]] * len(x), repetition=1.3, presence=0.3), fs.top_logprobs(x, 3, 0.7).logprobs,
        few.log_prob(np.arange(5)), fs.logsumexp_from_summary(summary), fs.softmax_from_summary(x, summary, offset=0),
        fs.softmax([2**60 + 1, 2**60]), fs.softmax(short, np.full(40, 2**60 + 1)), fs.logsumexp([2**60 + 1]),
        fs.log_softmax_from_summary(x, summary, offset=0),
        *fs.sample_from_summary(x, summary, offset=0, u=u, return_logprob=True),
    ]  # fmt: skip


def test_a_rounding_mode_changes_nothing(dtype, rng):
    arguments = (
        rng.normal(0, 4, (9, 1500)).astype(dtype), rng.normal(0, 4, (40, 6)).astype(dtype), rng.uniform(0.5, 2, 9),
        rng.random(9),
    )  # fmt: skip
    wanted = results(*arguments)
    libm = ctypes.CDLL("libm.so.6")
    for mode in MODES[platform.machine()]:
        assert libm.fesetround(mode) == 0
        try:
            found = results(*arguments)
            quotients = (np.array([1.0, -1.0, 1.0, -1.0]) / np.array([3.0, 3.0, 10.0, 10.0])).tolist()
        finally:
            libm.fesetround(0)
        assert quotients != [1 / 3, -1 / 3, 1 / 10, -1 / 10]  # the mode was on
        for a, b in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(a, b)

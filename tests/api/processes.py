"""Threads and processes of the tests: programs that run in an interpreter of their own."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import fastsoftmax as fs

posix = pytest.mark.skipif(os.name != "posix", reason="threads, signals and forks of POSIX")


def in_a_process(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def digest_of_rows(times):
    """What calls that are worth sharing give, in this process; each time the same."""
    rng = np.random.default_rng(3)
    x, u = rng.normal(0, 3, (400, 2000)).astype(np.float32), rng.random(400)
    digests = set()
    for _ in range(times):
        state = hashlib.sha256(fs.softmax(x, 0.7).tobytes())
        state.update(fs.sample(x, 0.7, u=u, top_p=0.9).tobytes())
        digests.add(state.hexdigest())
    (digest,) = digests
    return digest

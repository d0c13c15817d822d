"""Prints one digest of results through Python, the same for every instruction set that this machine has."""

import hashlib
import os
import subprocess
import sys

import numpy as np

import fastsoftmax


def digest() -> str:
    """A hash of what the functions give for rows of many lengths, dtypes and temperatures."""
    state = hashlib.sha256()
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 7, 16, 31, 64, 100, 512, 1000, 1024, 1025, 5000, 70_000, 300_000):
        x = rng.normal(0, 8, (3 if n > 5000 else 40, n))
        u = rng.random(len(x))
        for dtype in (np.float16, np.float32, np.float64):
            for temperature in (0.0, 0.05, 0.7, 1.0, 30.0, np.inf):
                row = x.astype(dtype)
                state.update(fastsoftmax.softmax(row, temperature).tobytes())
                state.update(fastsoftmax.log_softmax(row, temperature).tobytes())
                state.update(np.asarray(fastsoftmax.logsumexp(row, temperature)).tobytes())
                state.update(fastsoftmax.sample(row, temperature, u=u).tobytes())
            state.update(fastsoftmax.sample_probs(abs(row), u=u).tobytes())
    return state.hexdigest()


def main() -> int:
    """Each instruction set in a process of its own; 1 if they differ."""
    if "FASTSOFTMAX_ISA" in os.environ:
        print(digest())
        return 0
    found = {}
    for name in fastsoftmax.show_config("dicts")["isa"]["available"]:
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        found[name] = subprocess.run(
            [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        print(f"{name:8} {found[name]}")
    return int(len(set(found.values())) != 1)


if __name__ == "__main__":
    sys.exit(main())

"""The tests of the Keras integration on every other backend that is installed: a process has one, fixed at import."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

keras = pytest.importorskip("keras")


@pytest.fixture(autouse=True)
def _seeded():  # the tests are seeded in their own process
    pass


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch", "numpy"])
def test_on_backend(backend):
    if backend == keras.backend.backend():
        pytest.skip("the tests run on this backend in this process")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    here = Path(__file__).parent
    # NumPy trains no model
    chosen = ["-k", "values or argmax or axes or no_rows or no_warning or clone or draws"] if backend == "numpy" else []
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(here / "test_keras.py"), *chosen],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=here.parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout

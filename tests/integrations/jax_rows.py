"""What the tests of JAX share: rows, their comparison, and x64 for one test."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

both_widths = pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])


@pytest.fixture(autouse=True)
def width(request):
    """x64 for the test, where it asks for it by a parameter; to be imported."""
    parameters = getattr(request.node, "callspec", None)
    wanted = bool(parameters and parameters.params.get("x64", False))
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", wanted)
    yield
    jax.config.update("jax_enable_x64", before)


def normal(*shape, dtype=np.float32):
    return jnp.asarray(np.random.default_rng(math.prod(shape)).normal(0, 3, shape), dtype)


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64))


def close(a, b, scale=1.0):
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-6 * scale, atol=1e-6 * scale)

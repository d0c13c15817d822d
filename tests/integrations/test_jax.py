"""integrations/jax.py beside the functions for arrays, jax.nn and finite differences; inside JAX's transformations."""

import math
import re
import types

import numpy as np
import pytest

import fastsoftmax as fs

jax = pytest.importorskip("jax")
jnp = jax.numpy
from jax_rows import both_widths, close, normal, same, width  # noqa: E402, F401

import fastsoftmax.integrations.jax as fsj  # noqa: E402
from fastsoftmax.integrations import _jax_calls as calls  # noqa: E402
from fastsoftmax.integrations import _jax_devices as devices  # noqa: E402

FUNCTIONS = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "logsumexp": jax.nn.logsumexp}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


# Values


@each_function
@both_widths
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_values_are_those_of_arrays(name, x64, dtype, jit):
    if dtype == "float64" and not x64:
        pytest.skip("no float64 without x64")
    function = getattr(fsj, name)
    for shape, axis in [
        ((64,), -1),
        ((3, 5), 0),
        ((2, 3, 4), 1),
        ((2, 3, 4), (0, 2)),
        ((2, 3), None),
        ((), -1),
        ((4, 0), 0),
    ]:
        x = normal(*shape, dtype=dtype)
        for t in (0.7,) if jit else (0.7, 0, math.inf, 1e-3):
            call = lambda x, t=t, axis=axis: function(x, t, axis=axis)  # noqa: E731
            got = (jax.jit(call) if jit else call)(x)
            wanted = getattr(fs, name)(np.asarray(x), t, axis=axis)
            assert got.dtype == x.dtype and got.shape == np.shape(wanted)
            same(got, wanted)


@each_function
def test_a_temperature_for_each_row(name):
    function, x, t = getattr(fsj, name), normal(3, 5), jnp.array([0.0, 0.5, jnp.inf])
    same(function(x, t), getattr(fs, name)(np.asarray(x), np.asarray(t)))
    same(
        jax.jit(lambda x, t: function(x.T, t, axis=0))(x, t), getattr(fs, name)(np.asarray(x.T), np.asarray(t), axis=0)
    )
    same(function(x, jnp.bfloat16(0.5)), function(x, 0.5))
    same(function(x, jnp.array([[2]])[0]), function(x, 2))


def test_a_number_stays_a_double_and_compiles_nothing_again():
    x = normal(8)
    size = calls.transform._cache_size()
    results = [fsj.softmax(x, t) for t in (0.1, 0.3, np.float32(0.1), 7)]
    assert calls.transform._cache_size() <= size + 1
    for got, t in zip(results, (0.1, 0.3, float(np.float32(0.1)), 7.0), strict=True):
        same(got, fs.softmax(np.asarray(x), t))


@each_function
def test_entries_that_do_not_count(name):
    x, where = normal(4, 6).at[1, 2].set(jnp.nan), jnp.ones((4, 6), bool).at[1, 2].set(False).at[3].set(False)
    for mask in (where, where[1], jnp.array([[True], [False], [True], [True]])):
        got = jax.jit(lambda x, m: getattr(fsj, name)(x, 0.5, where=m))(x, mask)
        same(got, getattr(fs, name)(np.asarray(x), 0.5, where=np.asarray(mask)))


def test_keepdims():
    x = normal(2, 3, 4)
    assert fsj.logsumexp(x, axis=1, keepdims=True).shape == (2, 1, 4)
    assert fsj.logsumexp(x, axis=None, keepdims=True).shape == (1, 1, 1)
    assert fsj.logsumexp(x[0, 0, 0], keepdims=True).shape == ()
    same(fsj.logsumexp(x, axis=1, keepdims=True)[:, 0], fsj.logsumexp(x, axis=1))


def test_what_is_not_an_array_of_jax_is_taken():
    same(fsj.softmax([1, 2, 3]), fs.softmax(np.float32([1, 2, 3])))
    same(fsj.softmax(np.float32([1, 2, 3]), 0.5), fs.softmax(np.float32([1, 2, 3]), 0.5))
    assert fsj.softmax(jnp.arange(3)).dtype == jnp.float32
    assert fsj.softmax(2.0) == 1
    same(jax.jit(lambda a: fsj.softmax([a, a]))(1.0), [0.5, 0.5])


# Derivatives


@each_function
@pytest.mark.parametrize(
    "x64, axis, t_shape",
    [(False, -1, ()), (True, -1, (4,)), (True, 0, (5,)), (False, 0, (1,)), (True, (0, 1), ())],
    ids=str,
)
def test_first_and_second_derivatives_are_those_of_jax(name, x64, axis, t_shape):
    dtype = jnp.float64 if x64 else jnp.float32
    x = normal(4, 5, dtype=dtype)
    t = jnp.asarray(np.random.default_rng(1).uniform(0.5, 2, t_shape), dtype)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=getattr(fsj, name)(x, axis=axis).shape), dtype)
    rows = fsj.logsumexp(x, axis=axis).shape

    def ours(x, t):
        return jnp.sum(getattr(fsj, name)(x, t, axis=axis) * weights)

    def theirs(x, t):
        wide = jnp.expand_dims(jnp.broadcast_to(t, rows), axis)
        return jnp.sum(FUNCTIONS[name](x / wide, axis=axis) * weights)

    for derivative in (jax.grad, jax.hessian):
        both = [jax.tree.leaves(jax.jit(derivative(function, (0, 1)))(x, t)) for function in (ours, theirs)]
        for a, b in zip(*both, strict=True):
            assert a.dtype == b.dtype
            close(a, b, 1e-5 if x64 else 30)
    change = (jnp.ones_like(x), jnp.full_like(t, 0.5))
    close(jax.jvp(ours, (x, t), change)[1], jax.jvp(theirs, (x, t), change)[1], 1e-5 if x64 else 30)


@pytest.mark.parametrize("x64", [True])
@each_function
def test_derivatives_are_those_of_finite_differences(name, x64):
    check = pytest.importorskip("jax.test_util").check_grads
    function = jax.jit(getattr(fsj, name))
    check(function, (normal(3, 4, dtype=jnp.float64), jnp.array([0.5, 1.0, 2.0])), order=2)


@each_function
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_of_short_dtypes(name, dtype):
    x = normal(3, 30, dtype=dtype)
    grad = jax.grad(lambda x, t: getattr(fsj, name)(x, t)[0].sum().astype(jnp.float32), (0, 1))(x, jnp.float32(0.5))
    wide = jax.grad(lambda x, t: FUNCTIONS[name](x / t, -1)[0].sum(), (0, 1))(x.astype(jnp.float32), jnp.float32(0.5))
    assert grad[0].dtype == x.dtype and grad[1].dtype == jnp.float32
    for a, b in zip(grad, wide, strict=True):
        np.testing.assert_allclose(np.asarray(a, float), b, rtol=0.05, atol=0.05)


@each_function
def test_a_gradient_where_entries_are_infinite_or_do_not_count(name):
    x = jnp.array([[0.5, -jnp.inf, 1.0], [jnp.nan, 2.0, 1.0]])
    where = jnp.array([[True, True, True], [False, True, True]])
    function = lambda x, t: jnp.where(where & (x > -jnp.inf), getattr(fsj, name)(x, t, where=where), 0).sum()  # noqa: E731
    if name == "logsumexp":
        function = lambda x, t: fsj.logsumexp(x, t, where=where).sum()  # noqa: E731
    of_x, of_t = jax.grad(function, (0, 1))(x, jnp.float32(0.7))
    assert jnp.isfinite(of_x).all() and jnp.isfinite(of_t)
    assert of_x[1, 0] == 0
    # the same as of the entries that are left
    left = lambda t: sum(getattr(fsj, name)(row, t).sum() for row in (jnp.array([0.5, 1.0]), jnp.array([2.0, 1.0])))  # noqa: E731
    close(of_t, jax.grad(left)(jnp.float32(0.7)))


def test_the_gradient_of_the_temperature_keeps_its_digits_far_from_zero():
    x, t = jnp.array([0.0, 1.0, 3.0]), jnp.float32(0.7)
    for function in (fsj.softmax, fsj.log_softmax):
        near, far = (jax.grad(lambda t, x=x: function(x, t)[0])(t) for x in (x, x + 2**20))  # noqa: B023
        close(near, far)


def test_a_row_of_which_nothing_counts_adds_nothing_to_the_gradient_of_logsumexp():
    where = jnp.array([[True, True], [False, False]])
    grad = jax.grad(lambda x: jnp.where(where[:, 0], fsj.logsumexp(x, where=where), 0).sum())(jnp.zeros((2, 2)))
    same(grad, [[0.5, 0.5], [0, 0]])


@each_function
@pytest.mark.parametrize("t", [0.0, math.inf])
def test_gradients_at_the_limits_are_zero(name, t):
    grads = jax.grad(lambda x, t: getattr(fsj, name)(x, t).ravel()[0], (0, 1))(jnp.array([1.0, 2.0]), jnp.float32(t))
    if name == "log_softmax" and t == 0:
        assert grads[1] == 0
    assert all((np.asarray(g) == 0).all() for g in grads)


# Transformations


@each_function
def test_vmap(name):
    function = getattr(fsj, name)
    x, t = normal(3, 4, 5), jnp.array([0.5, 1.0, 2.0])
    rows = jnp.arange(1.0, 5.0)
    out_axes = 1 if name != "logsumexp" else 0
    got = {
        "both": jax.vmap(function)(x, t),
        "x": jax.vmap(lambda a: function(a, 0.5, axis=0), 1, out_axes)(x),
        "t": jax.vmap(lambda b: function(x[0], b))(t),
        "rows": jax.vmap(lambda a: function(a, rows))(x),
        "twice": jax.vmap(jax.vmap(lambda a: function(a, 0.5, axis=None)))(x),
        "where": jax.vmap(lambda a, w: function(a, where=w), (0, None))(x, jnp.array([True, False, True, True, True])),
        "numbers": jax.vmap(lambda a: function(a, 0.5))(x[0, 0]),
    }
    for i in range(3):
        same(got["both"][i], function(x[i], t[i]))
        same(got["t"][i], function(x[0], t[i]))
        same(got["rows"][i], function(x[i], rows))
        same(got["where"][i], function(x[i], where=jnp.array([True, False, True, True, True])))
    same(got["x"], function(x, 0.5, axis=0))
    same(got["twice"], function(x, 0.5))
    same(got["numbers"], [float(function(v, 0.5)) for v in x[0, 0]])


def test_vmap_of_a_gradient_and_jit_of_both():
    x, t = normal(6, 5), jnp.linspace(0.5, 2, 6)
    loss = lambda x, t: fsj.log_softmax(x, t)[1] + fsj.logsumexp(x, t)  # noqa: E731
    got = jax.jit(jax.vmap(jax.grad(loss, (0, 1))))(x, t)
    for i in range(6):
        for a, b in zip(got, jax.grad(loss, (0, 1))(x[i], t[i]), strict=True):
            close(a[i], b)


def test_scan_cond_remat_and_while():
    x, key = normal(50), jax.random.key(3)

    def step(key, t):
        key, now = jax.random.split(key)
        return key, fsj.sample(x, t, key=now, top_k=10)

    temperatures = jnp.linspace(2.0, 0.1, 7)
    _, drawn = jax.jit(lambda key: jax.lax.scan(step, key, temperatures))(key)
    for t, index in zip(temperatures, drawn, strict=True):
        key, now = jax.random.split(key)
        assert index == fs.sample(np.asarray(x), float(t), u=fsj.uniforms(now), top_k=10)
    same(jax.lax.cond(True, lambda: fsj.softmax(x), lambda: x), fsj.softmax(x))
    same(jax.grad(jax.checkpoint(lambda x: fsj.softmax(x)[0]))(x), jax.grad(lambda x: fsj.softmax(x)[0])(x))
    assert (
        jax.jit(lambda x: jax.lax.while_loop(lambda i: i < 3, lambda i: i + 1 + 0 * fsj.sample(x, 0.0, u=0.5), 0))(x)
        == 3
    )


# Devices

ON_ANOTHER_DEVICE = {
    "softmax": lambda x: fsj.softmax(x, 0.5),
    "log_softmax": jax.grad(lambda x: fsj.log_softmax(x)[0, 0]),
    "logsumexp": lambda x: jax.vmap(fsj.logsumexp)(x),
    "sample": lambda x: jax.lax.scan(lambda key, row: (key, fsj.sample(row, key=key, top_k=2)), jax.random.key(0), x),
}


@pytest.mark.parametrize("platforms", [("cuda",), ("tpu",), ("cpu", "rocm")], ids=str)
@pytest.mark.parametrize("name", ON_ANOTHER_DEVICE)
def test_a_call_for_another_device_says_what_to_do(name, platforms):
    traced = jax.jit(ON_ANOTHER_DEVICE[name]).trace(normal(3, 4))
    says = f"{name} of fastsoftmax.integrations.jax computes on the CPU, and JAX runs this call on '{platforms[-1]}'"
    for _ in range(2):  # nothing of the first attempt is kept
        with pytest.raises(TypeError, match=re.escape(says) + ".*jax.device_put.*jax.default_device"):
            traced.lower(lowering_platforms=platforms)
    assert "fastsoftmax_on_cpu_only" not in traced.lower(lowering_platforms=("cpu",)).as_text()


def test_an_array_on_another_device_says_what_to_do_without_jit():
    class OnCuda:
        def devices(self):
            return [types.SimpleNamespace(platform="cuda")]

    x = normal(3, 4)
    assert devices.on_cpu(x, "softmax") is x
    with pytest.raises(TypeError, match="JAX runs this call on 'cuda'.*jax.device_put"):
        devices._run(OnCuda(), function="softmax")
    with jax.disable_jit():
        same(fsj.softmax(x, 0.5), fs.softmax(np.asarray(x), 0.5))

"""integrations/jax.py beside the functions for arrays, jax.nn and finite differences; inside JAX's transformations."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fastsoftmax as fs

jax = pytest.importorskip("jax")
jnp = jax.numpy
import fastsoftmax.integrations.jax as fsj  # noqa: E402
from fastsoftmax.integrations import _jax_calls as calls  # noqa: E402

FUNCTIONS = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax, "logsumexp": jax.nn.logsumexp}
each_function = pytest.mark.parametrize("name", FUNCTIONS)
both_widths = pytest.mark.parametrize("x64", [False, True], ids=["x32", "x64"])
RuntimeError_ = jax.errors.JaxRuntimeError


@pytest.fixture(autouse=True)
def _seeded():
    """In place of that of conftest.py: nothing here needs PyTorch."""


@pytest.fixture(autouse=True)
def width(request):
    """x64 for the test, where it asks for it by a parameter."""
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


def close(a, b, scale=1.0):
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-6 * scale, atol=1e-6 * scale)


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


# Draws


@both_widths
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_a_draw_is_that_of_arrays(x64, jit):
    x, rng = normal(30, 50), np.random.default_rng(1)
    mask, bias = rng.random((30, 50)) < 0.8, rng.normal(size=(30, 50)).astype(np.float32)
    u = rng.random(30)
    for options in (
        {}, {"mask": mask}, {"mask": mask.astype(np.int8)}, {"bias": bias}, {"top_p": 0.9, "bias": bias[:1]},
        {"top_k": np.arange(30)}, {"min_p": 0.1, "temperature_last": True, "min_tokens_to_keep": 3}, {"p_less": True},
        {"order": ("min_p", "top_k"), "min_p": np.float32(0.25), "top_k": 5, "keep": [3]},
        {"mask": np.packbits(np.pad(mask, ((0, 0), (0, 14))), axis=-1, bitorder="little").view(np.int32)},
    ):  # fmt: skip
        wanted = fs.sample(np.asarray(x), 0.7, u=u, return_logprob=True, **options)
        call = lambda x, w: fsj.sample(x, 0.7, u=w, return_logprob=True, **options)  # noqa: B023, E731
        got = (jax.jit(call) if jit else call)(x, fsj.words(u))
        assert got[0].dtype == (jnp.int64 if x64 else jnp.int32) and got[1].dtype == (
            jnp.float64 if x64 else jnp.float32
        )
        same(got[0], wanted[0])
        same(got[1], wanted[1] if x64 else wanted[1].astype(np.float32))
    same(fsj.sample(x.T, 0.7, u=u, axis=0), fs.sample(np.asarray(x), 0.7, u=u))
    if x64:
        same(jax.jit(lambda x, u: fsj.sample(x, 0.7, u=u))(x, u), fs.sample(np.asarray(x), 0.7, u=u))


@both_widths
def test_a_key_gives_the_same_53_bits_with_x64_and_without(x64):
    key = jax.random.key(5)
    u = fsj.uniforms(key, (1000,))
    high, low = np.asarray(jax.random.bits(key, (1000, 2), jnp.uint32), np.uint64).T
    same(u, ((high >> np.uint64(5)) << np.uint64(26) | low >> np.uint64(6)) / 2**53)
    assert u.dtype == np.float64 and (u < 1).all() and (u * 2**53 % 2 == 1).any()
    x = normal(1000, 20)
    same(fsj.sample(x, key=key), fs.sample(np.asarray(x), u=u))
    same(
        jax.jit(lambda k: fsj.sample(x[0], key=k, size=(4, 3)))(key),
        fs.sample(np.asarray(x[0]), size=(4, 3), u=fsj.uniforms(key, (4, 3))),
    )
    legacy = jax.random.PRNGKey(5)
    same(fsj.sample(x, key=legacy), fsj.sample(x, key=key))


def test_uniforms_reach_both_ends():
    ends = np.array([[0, 0], [2**32 - 1, 2**32 - 1]], np.uint32)
    from fastsoftmax.integrations._jax_ffi import uniforms_of_bits

    same(uniforms_of_bits(ends), [0, 1 - 2**-53])


def test_an_event_of_which_float32_uniforms_know_nothing_keeps_its_probability():
    x = jnp.array([0.0, 30 * math.log(0.5)])  # p = 2**-30 of the second
    u = np.array([1 - 2**-31, 1 - 2**-29])
    same(jax.jit(lambda w: fsj.sample(x, u=w, size=2))(fsj.words(u)), [1, 0])


def test_vmap_over_keys_temperatures_and_logits():
    x, keys = normal(4, 6, 20), jax.random.split(jax.random.key(0), 4)
    batch = jax.vmap(lambda x, k: fsj.sample(x, 0.7, key=k, top_k=5))(x, keys)
    one_x = jax.vmap(lambda k, t: fsj.sample(x[0], t, key=k, size=3))(keys, jnp.arange(4.0))
    mask = np.random.default_rng(0).random(20) < 0.5
    masked = jax.vmap(lambda k: fsj.sample(x[0], key=k, mask=mask, top_p=jnp.full(6, 0.5)))(keys)
    for i in range(4):
        same(batch[i], fsj.sample(x[i], 0.7, key=keys[i], top_k=5))
        same(one_x[i], fsj.sample(x[0], float(i), key=keys[i], size=3))
        same(masked[i], fsj.sample(x[0], key=keys[i], mask=mask, top_p=0.5))


def test_draws_in_a_loss_have_no_gradient_and_do_not_disturb_others():
    x, key = normal(8, 5), jax.random.key(1)

    def loss(x, t):
        index = fsj.sample(x, t, key=key)
        return jnp.take_along_axis(fsj.log_softmax(x, t), index[:, None], 1).sum()

    of_x, of_t = jax.jit(jax.grad(loss, (0, 1)))(x, jnp.float32(0.7))
    index = fsj.sample(x, jnp.float32(0.7), key=key)
    close(of_x, (jax.nn.one_hot(index, 5) - fsj.softmax(x, jnp.float32(0.7))) / 0.7, 10)
    assert jnp.isfinite(of_t)


def test_the_gradient_of_a_logprob_is_an_error_that_says_what_to_take():
    with pytest.raises(TypeError, match=r"log-probability of a draw .* log_softmax"):
        jax.grad(lambda x: fsj.sample(x, u=0.5, return_logprob=True)[1])(normal(5))
    recorded = jax.grad(lambda x: fsj.sample(jax.lax.stop_gradient(x), u=0.5, return_logprob=True)[1] + x[0])(normal(5))
    same(recorded, [1, 0, 0, 0, 0])


def test_xtc_takes_its_coins_from_the_key_folded():
    x, key = jnp.zeros((500, 10)), jax.random.key(4)
    xtc = {"xtc_threshold": 0.05, "xtc_probability": 0.5}
    coins = fsj.uniforms(jax.random.fold_in(key, 1), 500)
    wanted = fs.sample(np.asarray(x), u=fsj.uniforms(key, 500), xtc_u=coins, **xtc)
    same(jax.jit(lambda k: fsj.sample(x, key=k, **xtc))(key), wanted)
    same(fsj.sample(x, u=fsj.uniforms(key, 500), xtc_u=coins, **xtc), wanted)


def test_frequencies_are_the_probabilities():
    x = jnp.array([0.0, 1.0, 2.0, -jnp.inf])
    drawn = np.bincount(fsj.sample(x, 1.5, key=jax.random.key(0), size=200_000), minlength=4) / 200_000
    assert abs(drawn - np.asarray(fsj.softmax(x, 1.5))).max() < 0.006 and drawn[3] == 0  # five standard deviations


def test_rows_that_cannot_be_drawn_from():
    x = jnp.array([[jnp.nan, 0.0], [0.0, -jnp.inf], [-jnp.inf, -jnp.inf]])
    index, logprob = jax.jit(lambda x: fsj.sample(x, u=0.5, on_invalid="flag", return_logprob=True))(x)
    same(index, [-1, 0, -1])
    assert jnp.isnan(logprob[0]) and logprob[1] == 0
    for function in (fsj.sample, jax.jit(lambda x, u: fsj.sample(x, u=u))):
        with pytest.raises(RuntimeError_, match=r"logits: row 0 has nan at entry 0.*on_invalid"):
            jax.block_until_ready(function(x, u=0.5))
    with pytest.raises(RuntimeError_, match=r"logits: row \(1, 2\)"):
        jax.block_until_ready(
            jax.vmap(lambda x: fsj.sample(x, u=0.5))(jnp.stack([x * 0 + 1, x])[:, [1, 1, 2]].at[0].set(0))
        )


# Errors


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: fsj.softmax(x, -1.0), ValueError, "temperature must be .*-1"),
        (lambda x: fsj.softmax(x, math.nan), ValueError, "temperature .*nan"),
        (lambda x: fsj.softmax(x, 10**400), ValueError, "temperature"),
        (lambda x: fsj.softmax(x, "warm"), TypeError, "temperature: .*warm"),
        (lambda x: fsj.softmax(x, jnp.array([1j])), TypeError, "temperature must be a real"),
        (lambda x: fsj.softmax(x, jnp.ones(3)), ValueError, r"temperature of shape \(3,\) .* the rows"),
        (lambda x: fsj.softmax("warm"), TypeError, "x: .*warm"),
        (lambda x: fsj.softmax(np.ma.masked_array([1.0], [True])), TypeError, "x is a masked array"),
        (lambda x: fsj.softmax(x, axis=2), IndexError, "axis 2 is out of bounds"),
        (lambda x: fsj.softmax(x + 1j), TypeError, "x must be of real numbers"),
        (lambda x: fsj.softmax(x.astype(jnp.float8_e4m3fn)), TypeError, "x must be .* 16, 32 or 64 bits, not float8"),
        (lambda x: fsj.softmax(x, where=jnp.ones(3)), TypeError, "where must be bool"),
        (lambda x: fsj.softmax(x, where=jnp.ones(4, bool)), ValueError, r"where of shape \(4,\) .* x"),
        (lambda x: fsj.sample(x), ValueError, "pass either key"),
        (lambda x: fsj.sample(x, key=jax.random.key(0), u=0.5), ValueError, "pass either key"),
        (lambda x: fsj.sample(x, key=3), TypeError, "key must be one key of jax.random"),
        (lambda x: fsj.sample(x, key=jax.random.split(jax.random.key(0))), ValueError, "key must be one key of jax"),
        (lambda x: fsj.sample(x, u="half"), TypeError, "u: .*half"),
        (lambda x: fsj.sample(x, u=0.5, mask=jnp.ones(5, bool)), ValueError, r"mask of shape \(5,\) .* logits"),
        (lambda x: fsj.sample(x, u=0.5, bias=jnp.ones(5)), ValueError, r"bias of shape \(5,\) .* logits"),
        (lambda x: jax.jit(lambda k: fsj.sample(x, u=0.5, keep=k))(jnp.ones(1, int)), TypeError, "keep must be known"),
        (lambda x: fsj.sample(x, u=0.5, top_q=3), TypeError, "unexpected keyword argument 'top_q'"),
        (lambda x: fsj.sample(x, u=0.5, top_p=2.0), ValueError, "top_p"),
        (lambda x: fsj.sample(x, u=0.5, top_p=jnp.ones(3)), ValueError, r"top_p of shape \(3,\)"),
        (lambda x: fsj.sample(x, u=jnp.ones(3)), ValueError, r"u of shape \(3,\) .* the result"),
        (lambda x: fsj.sample(x, u=jnp.zeros(2, jnp.uint32) [:1]), ValueError, "u of uint32 must be words"),
        (lambda x: fsj.sample(x, u=jnp.zeros(2, int)), TypeError, r"u must be float64, or words\(u\)"),
        (lambda x: fsj.sample(x, u=0.5, xtc_threshold=0.1, xtc_probability=0.5), ValueError, "xtc_u"),
        (lambda x: fsj.sample(x, u=0.5, bias={0: 1.0}), TypeError, "bias must be an array here"),
        (lambda x: fsj.sample(x, u=0.5, size=-1), ValueError, "size must not be negative"),
        (lambda x: fsj.sample(x, u=0.5, on_invalid="ignore"), ValueError, "on_invalid"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_what_is_known_while_tracing_is_an_ordinary_error(call, error, words, jit):
    with pytest.raises(error, match=words):
        (jax.jit(call) if jit else call)(normal(2, 3))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda x: fsj.softmax(x, jnp.array([1.0, -1.0])), "temperature must be .*-1.0 .row 1"),
        (lambda x: fsj.sample(x, u=1.0), r"u must be .*1\.0"),
        (lambda x: fsj.sample(x, u=jnp.array([0.5, -0.5])), "u must be"),
        (lambda x: fsj.sample(x, u=0.5, top_p=jnp.array([0.5, 2.0])), "top_p"),
        (lambda x: fsj.sample(x, u=0.5, mask=jnp.array([[1, 2, 0]] * 2)), "mask"),
        (lambda x: fsj.sample(x, u=0.5, mask=jnp.ones((2, 1), bool)), "mask"),
        (lambda x: fsj.sample(x, u=0.5, mask=jnp.zeros((2, 3), bool)), "logits: row 0 has no entry"),
        (lambda x: fsj.sample(x[:, :0], u=0.5), "no entries"),
    ],
)
def test_what_is_known_only_when_it_runs_has_the_same_sentence(call, words):
    with pytest.raises(RuntimeError_, match=words):
        jax.block_until_ready(call(normal(2, 3)))
    same(fsj.softmax(normal(4)), fs.softmax(np.asarray(normal(4))))  # and nothing is broken after it


@pytest.mark.parametrize("function", [fs.softmax, fs.log_softmax, fs.logsumexp, fs.sample])
def test_a_traced_value_in_the_functions_for_arrays_names_this_module(function):
    with pytest.raises(TypeError, match=r"is traced by JAX .* fastsoftmax\.integrations\.jax"):
        jax.jit(function)(normal(3))


# Processes of their own


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_rows_on_several_devices():
    code = """
import jax, numpy as np, fastsoftmax as fs, fastsoftmax.integrations.jax as fsj
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
mesh = Mesh(np.array(jax.devices()), ("rows",))
x = np.random.default_rng(0).normal(size=(8, 1000)).astype(np.float32)
spread = jax.device_put(x, NamedSharding(mesh, P("rows")))
u = fsj.words(np.random.default_rng(1).random(8))
print((np.asarray(jax.jit(lambda x: fsj.softmax(x, 0.5))(spread)) == fs.softmax(x, 0.5)).all())
try:
    from jax import shard_map
except ImportError:
    from jax.experimental.shard_map import shard_map
mapped = shard_map(lambda x, u: fsj.sample(x, u=u), mesh=mesh, in_specs=P("rows"), out_specs=P("rows"))
print((np.asarray(jax.jit(mapped)(spread, u)) == fs.sample(x, u=u.view(float)[:, 0])).all(), jax.device_count())
"""
    assert run(code, XLA_FLAGS="--xla_force_host_platform_device_count=4") == ["True", "True", "4"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot be kept to one processor here")
def test_one_processor_does_not_wait_for_itself():
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import jax, fastsoftmax.integrations.jax as fsj
f = jax.jit(lambda x: fsj.softmax(x * 1.5, 0.5).sum() + fsj.logsumexp(x + 1).sum())
print([f(jax.numpy.ones((2000, 3000)) * i).item() > 0 for i in range(5)].count(True))
pending = f(jax.numpy.ones((2000, 3000)))  # and the process ends while it is computed
"""
    assert run(code) == ["5"]

"""Draws of integrations/jax.py beside those for arrays; its errors; what needs a process of its own."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fastsoftmax as fs

jax = pytest.importorskip("jax")
jnp = jax.numpy
from jax_rows import both_widths, close, normal, same, width  # noqa: E402, F401

import fastsoftmax.integrations.jax as fsj  # noqa: E402

RuntimeError_ = jax.errors.JaxRuntimeError


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


REJECTED = 9000  # entries of a row that is drawn from by rejection


@both_widths
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("n", [50, REJECTED])
def test_a_seeded_draw_is_that_of_arrays(x64, jit, n):
    x = normal(4, n)
    unsigned = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    for words in (
        {"seed": 7},
        {"seed": 2**64 - 1, "step": 2**64 - 1, "keys": [5, -1, 2**62, 0]},
        {"seed": np.uint64(2**63), "keys": [-1, 2**64 - 1, 0, 0], "step": np.int8(3)},
        {"seed": unsigned, "keys": unsigned, "step": unsigned},
        {"seed": unsigned, "step": [1, 2, 3, 4]},
    ):
        for options in ({}, {"top_k": 20}, {"xtc_threshold": 0.001, "xtc_probability": 0.5}, {"temperature": 0.0}):
            for method in ("inversion", "rejection"):
                call = lambda x: fsj.sample(x, **{"temperature": 0.7} | options, method=method, **words)  # noqa: B023, E731
                wanted = fs.sample(np.asarray(x), **{"temperature": 0.7} | options, method=method, **words)
                same((jax.jit(call) if jit else call)(x), wanted)
    drawn = fsj.sample(x.T, axis=0, seed=7, method="rejection", return_logprob=True)
    wanted = fs.sample(np.asarray(x), seed=7, method="rejection", return_logprob=True)
    same(drawn[0], wanted[0])
    same(drawn[1], wanted[1] if x64 else wanted[1].astype(np.float32))


@both_widths
def test_traced_words_are_those_of_arrays_and_a_step_compiles_nothing_again(x64):
    x, traces = normal(4, REJECTED), []

    @jax.jit
    def drawn(x, seed, keys, step):
        traces.append(step)
        return fsj.sample(x, 0.7, seed=seed, keys=keys, step=step, method="rejection")

    given = {"seed": jnp.arange(4), "keys": jnp.array([3, -1, 2, 0])}
    for step in range(3):
        wanted = {name: np.asarray(value) for name, value in given.items()} | {"step": step, "method": "rejection"}
        same(drawn(x, *given.values(), step), fs.sample(np.asarray(x), 0.7, **wanted))
    assert len(traces) == 1
    by_one_seed = jax.jit(lambda x, s: fsj.sample(x, seed=s, step=s, method="rejection"))(x, jnp.uint32(9))
    same(by_one_seed, fs.sample(np.asarray(x), seed=9, step=9, method="rejection"))
    _, scanned = jax.lax.scan(lambda c, step: (c, fsj.sample(x[0], seed=7, keys=5, step=step)), 0, jnp.arange(6))
    same(scanned, [fs.sample(np.asarray(x[0]), seed=7, keys=5, step=step) for step in range(6)])
    before = fsj.draw._cache_size()
    for step in range(3):
        fsj.sample(x, seed=step, step=step)
    assert fsj.draw._cache_size() <= before + 1


def test_vmap_over_seeds_keys_steps_and_logits():
    x = normal(3, 2, REJECTED)
    keys, steps = jnp.array([[3, 4], [-5, 6], [7, 8]]), jnp.arange(3)
    words = {"seed": 7, "method": "rejection"}
    each = jax.vmap(lambda x, k, s: fsj.sample(x, 0.7, keys=k, step=s, **words))(x, keys, steps)
    by_default = jax.vmap(lambda x: fsj.sample(x, 0.7, **words))(x)
    seeds = jax.vmap(lambda s: fsj.sample(x[0], 0.7, seed=s, method="rejection"))(steps)
    rows = jax.vmap(lambda x: fsj.sample(x, 0.7, **words))(x[:, 0])
    for i in range(3):
        same(each[i], fs.sample(np.asarray(x[i]), 0.7, keys=np.asarray(keys[i]), step=i, **words))
        same(by_default[i], fs.sample(np.asarray(x[i]), 0.7, **words))
        same(seeds[i], fs.sample(np.asarray(x[0]), 0.7, seed=i, method="rejection"))
        same(rows[i], fs.sample(np.asarray(x[i, 0]), 0.7, **words))


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
        (lambda x: fsj.sample(x, key=jax.random.key(0), seed=1), ValueError, "key and seed are both given"),
        (lambda x: fsj.sample(x, u=0.5, seed=1), ValueError, "u and seed are both given"),
        (lambda x: fsj.sample(x, key=jax.random.key(0), method="rejection"), ValueError, "method needs a seed"),
        (lambda x: fsj.sample(x, key=jax.random.key(0), keys=[1, 2]), ValueError, "keys needs a seed"),
        (lambda x: fsj.sample(x, u=0.5, step=1), ValueError, "step needs a seed"),
        (lambda x: fsj.sample(x, seed=1, size=3), ValueError, "size cannot be given with a seed"),
        (lambda x: fsj.sample(x, seed=1, method="alias"), ValueError, 'method must be "inversion" or "rejection"'),
        (lambda x: fsj.sample(x, seed=-1), ValueError, "seed must be at least 0"),
        (lambda x: fsj.sample(x, seed=[1, 2, 3]), ValueError, r"seed must be one, or have .* \(2,\), not \(3,\)"),
        (lambda x: fsj.sample(x, seed=1, keys=3), ValueError, r"keys must have .*, \(2,\), not \(\)"),
        (lambda x: fsj.sample(x, seed=1, keys=jnp.arange(3)), ValueError, "keys must have the shape of the rows"),
        (lambda x: fsj.sample(x, seed=1.5), TypeError, "seed must be integers"),
        (lambda x: fsj.sample(x, seed=True), TypeError, "seed must be an int"),
        (lambda x: fsj.sample(x, seed=1, step=jnp.ones(2)), TypeError, "step must be integers"),
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
        (lambda x: fsj.sample(x, seed=jnp.array([1, -1])), "seed must be at least 0 .* got -1 at index 1"),
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

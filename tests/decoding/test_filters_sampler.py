"""Sampler with filters draws what sample draws; mirostat keeps its state there."""

import copy
import pickle

import numpy as np
import oracles
import pytest
from oracles import assert_inverts_cdf, bits, needs_longdouble

import fastsoftmax as fs

INF = np.inf
X = 3 * np.random.default_rng(2).normal(size=(40, 30))
U = np.random.default_rng(1).random(40)
COINS = np.random.default_rng(3).random(40)
XTC = {"xtc_threshold": 0.1, "xtc_probability": 0.5}


# Sampler is sample


@pytest.mark.parametrize(
    "parameters",
    [
        {"top_k": 5},
        {"top_p": 0.8, "min_p": 0.05},
        {"top_k": np.arange(40), "top_p": np.linspace(0, 1, 40)},
        {"typical_p": 0.4, "temperature": 0.3},
        {"top_n_sigma": 1.0, "mask": np.arange(30) % 3 > 0},
        {"epsilon_cutoff": 0.05, "bias": {3: 2.0}},
        {"eta_cutoff": 0.05, "min_tokens_to_keep": 2},
        {"dynatemp_range": 0.5, "dynatemp_exponent": 0.5, "top_p": 0.9},
        {"temperature": np.linspace(0, 3, 40), "temperature_last": True, "top_p": 0.7},
        {"top_p": None, "top_k": None},
    ],
    ids=lambda parameters: "+".join(parameters),
)
def test_sampler_draws_what_sample_draws(parameters, dtype):
    x = X.astype(dtype)
    p = np.abs(x)
    sampler = fs.Sampler(**parameters)
    for _ in range(2):
        assert bits(sampler(x, U)) == bits(fs.sample(x, u=U, **parameters))
        assert bits(sampler.sample_probs(p, U)) == bits(fs.sample_probs(p, u=U, **parameters))
    assert sampler.step == 4


def test_sampler_takes_coins_or_draws_them():
    sampler = fs.Sampler(0.8, rng=7, **XTC)
    assert bits(sampler(X, U, COINS)) == bits(fs.sample(X, 0.8, u=U, xtc_u=COINS, **XTC))
    assert bits(sampler(X, u=U, xtc_u=COINS)) == bits(fs.sample(X, 0.8, u=U, xtc_u=COINS, **XTC))
    same = np.random.default_rng(7)
    for x in (X, X[:5], X):
        assert bits(sampler(x)) == bits(fs.sample(x, 0.8, rng=same, **XTC))
    p = np.abs(X)
    assert bits(sampler.sample_probs(p, U, COINS)) == bits(fs.sample_probs(p, 0.8, u=U, xtc_u=COINS, **XTC))


def test_sampler_returns_logprobs_of_the_kept():
    sampler = fs.Sampler(0.7, top_k=3, return_logprob=True)
    for got, want in zip(sampler(X, U), fs.sample(X, 0.7, u=U, top_k=3, return_logprob=True), strict=True):
        assert bits(got) == bits(want)


def test_sampler_filters_along_another_axis():
    sampler = fs.Sampler(0.7, axis=0, top_p=0.6)
    assert bits(sampler(np.ascontiguousarray(X.T), U)) == bits(fs.sample(X, 0.7, u=U, top_p=0.6))


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_go_on_alike(remake):
    sampler = fs.Sampler(0.7, rng=5, top_k=9, top_p=0.9, min_tokens_to_keep=2, **XTC)
    sampler(X)
    other = remake(sampler)
    state = copy.deepcopy(sampler)
    assert bits(other(X, U, COINS)) == bits(state(X, U, COINS))
    assert other.step == sampler.step + 1 == 2
    assert bits(remake(sampler)(X)) == bits(copy.deepcopy(state)(X))


# Mirostat


def surprise(logprob):
    return -np.asarray(logprob) / np.log(2)


def test_mirostat_starts_at_twice_tau():
    sampler = fs.Sampler(mirostat_tau=3.0)
    assert sampler.mirostat_mu == 6.0 and isinstance(sampler.mirostat_mu, float)


@needs_longdouble
@pytest.mark.parametrize("filters", [{}, {"top_k": 20}, {"min_p": 0.01, "top_p": 0.95}, {"temperature_last": True}])
@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_mirostat_keeps_draws_and_learns(filters, narrow, rng):
    tau, eta, temperature = 2.5, 0.3, 1.3
    sampler = fs.Sampler(temperature, mirostat_tau=tau, mirostat_eta=eta, return_logprob=True, rng=3, **filters)
    tolerance = oracles.tolerance_of(np.dtype(narrow))
    for _ in range(60):
        x = (3 * rng.normal(size=200)).astype(narrow)
        u, mu = float(rng.random()), sampler.mirostat_mu
        index, logprob = sampler(x, u)
        kept = np.flatnonzero(fs.truncate(x, temperature, **filters) > -INF)
        mask = np.zeros(200, bool)
        mask[kept] = True
        left = oracles.candidates(x, temperature, mask, tolerance)
        possible = [left.take(positions).indices for positions in oracles.mirostat(left, mu)]
        assert any(index in one for one in possible)
        if len(possible) == 1:
            (one,) = possible
            one = np.sort(one)
            weights = np.zeros(200, np.longdouble)
            weights[one] = oracles.softmax(x[one], temperature)
            assert_inverts_cdf([index], weights, np.array([u]), 2.0**-19)
            np.testing.assert_allclose(np.exp(logprob), float(weights[index]), rtol=2.0**-18)
        np.testing.assert_allclose(sampler.mirostat_mu, mu - eta * (surprise(logprob) - tau), rtol=0, atol=1e-9)


def test_mirostat_always_keeps_the_likeliest():
    sampler = fs.Sampler(mirostat_tau=0.1, mirostat_eta=0.5, return_logprob=True)
    sampler.mirostat_mu = -5.0
    # Nothing has a surprise of at most -5 bits; the one that stays is certain, and mu rises by eta tau.
    assert sampler([0.0, 0.5, 0.0], 0.99) == (1, 0.0)
    assert sampler.mirostat_mu == pytest.approx(-4.95, abs=1e-12)


def test_mirostat_bounds_the_surprise_in_bits():
    p = [0.5, 0.25, 0.125, 0.125]
    sampler = fs.Sampler(mirostat_tau=1.0, mirostat_eta=0.0)
    for mu, last in ((0.5, 0), (1.5, 0), (2.5, 1), (3.5, 3)):
        sampler.mirostat_mu = mu
        assert sampler.sample_probs(p, np.nextafter(1, 0)) == last


def test_mirostat_holds_the_surprise_near_tau(rng):
    x = -1.1 * np.log(np.arange(1, 5001))
    sampler = fs.Sampler(mirostat_tau=4.0, mirostat_eta=0.1, rng=1, return_logprob=True)
    surprises = [surprise(sampler(rng.permutation(x))[1]) for _ in range(3000)]
    # The mean surprise differs from tau by (mu_0 - mu_end) / (eta steps) exactly.
    expected = 4.0 + (8.0 - sampler.mirostat_mu) / (0.1 * 3000)
    np.testing.assert_allclose(np.mean(surprises), expected, rtol=1e-9)
    assert abs(np.mean(surprises) - 4.0) < 0.2


def test_mirostat_follows_each_row_of_a_batch(dtype, rng):
    x = (3 * rng.normal(size=(20, 6, 50))).astype(dtype)
    u = rng.random((20, 6))
    top_k = np.arange(10, 34, 4)
    batch = fs.Sampler(0.9, mirostat_tau=2.0, mirostat_eta=0.2, top_k=top_k)
    alone = [fs.Sampler(0.9, mirostat_tau=2.0, mirostat_eta=0.2, top_k=k) for k in top_k]
    for rows, uniforms in zip(x, u, strict=True):
        expected = [one(row, v) for one, row, v in zip(alone, rows, uniforms, strict=True)]
        assert batch(rows, uniforms).tolist() == expected
        np.testing.assert_array_equal(batch.mirostat_mu, [one.mirostat_mu for one in alone])
    assert np.shape(batch.mirostat_mu) == (6,)


def test_mirostat_state_of_a_scalar_tau_grows_to_the_rows(rng):
    sampler = fs.Sampler(mirostat_tau=2.0)
    sampler(rng.normal(size=(3, 40)), [0.1, 0.5, 0.9])
    assert np.shape(sampler.mirostat_mu) == (3,)
    sampler.mirostat_mu = 4.0
    sampler(rng.normal(size=40), 0.5)
    assert np.shape(sampler.mirostat_mu) == ()


@pytest.mark.parametrize("remake", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_carry_mirostat_along(remake, rng):
    x, u = 3 * rng.normal(size=(10, 50)), rng.random(10)
    sampler = fs.Sampler(mirostat_tau=2.0, mirostat_eta=0.4)
    for row, v in zip(x[:5], u[:5], strict=True):
        sampler(row, v)
    other, before = remake(sampler), sampler.mirostat_mu
    assert other.mirostat_mu == before
    drawn = [sampler(row, v) for row, v in zip(x[5:], u[5:], strict=True)]
    # A copy has a state of its own.
    assert other.mirostat_mu == before
    assert [other(row, v) for row, v in zip(x[5:], u[5:], strict=True)] == drawn
    assert other.mirostat_mu == sampler.mirostat_mu


def test_mirostat_of_a_flagged_row_waits(rng):
    x = rng.normal(size=(3, 20))
    x[1] = np.nan
    sampler = fs.Sampler(mirostat_tau=2.0, on_invalid="flag")
    assert sampler(x, 0.5)[1] == -1
    assert sampler.mirostat_mu[1] == 4.0 and np.isfinite(sampler.mirostat_mu).all()


def test_mirostat_learns_nothing_from_a_call_that_fails(rng):
    sampler = fs.Sampler(mirostat_tau=2.0)
    for bad in (np.full((3, 20), np.nan), np.full(20, -INF)):
        with pytest.raises(ValueError):
            sampler(bad)
    assert sampler.mirostat_mu == 4.0


@pytest.mark.parametrize("bad", [-1.0, np.nan, INF])
@pytest.mark.parametrize("name", ["mirostat_tau", "mirostat_eta"])
def test_bad_mirostat_parameters_raise_value_error(name, bad):
    with pytest.raises(ValueError, match=name):
        fs.Sampler(**({"mirostat_tau": 2.0} | {name: bad}))


def test_parameters_of_rows_are_set_one_by_one_for_another_batch(rng):
    x = 3 * rng.normal(size=(3, 40))
    sampler = fs.Sampler(top_k=[3, 5], top_p=[0.9, 0.8], min_p=[0.01, 0.02], seed=3)
    sampler(x[:2])
    sampler.top_k, sampler.top_p = [3, 5, 7], [0.9, 0.8, 0.7]
    step = sampler.step
    with pytest.raises(ValueError, match=r"top_k \(3,\), top_p \(3,\), min_p \(2,\)"):
        sampler(x)
    with pytest.raises(ValueError, match="min_p"):
        sampler(x[0])
    with pytest.raises(ValueError, match="min_p must be in"):
        sampler.min_p = [0.01, 0.02, 3.0]
    assert sampler.step == step and sampler.min_p.tolist() == [0.01, 0.02]
    sampler.min_p = [0.01, 0.02, 0.03]
    u = fs.keyed_uniforms(3, [0, 1, 2], step)
    expected = fs.sample(x, u=u, top_k=[3, 5, 7], top_p=[0.9, 0.8, 0.7], min_p=[0.01, 0.02, 0.03])
    np.testing.assert_array_equal(sampler(x), expected)
    sampler.top_k = sampler.top_p = sampler.min_p = None
    assert sampler(x[0]) == fs.sample(x[0], u=fs.keyed_uniforms(3, 0, step + 1))
    with pytest.raises(ValueError, match="do not broadcast"):
        fs.Sampler(top_k=[3, 5], top_p=[0.9, 0.8, 0.7])

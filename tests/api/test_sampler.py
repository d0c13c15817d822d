"""Sampler: sample with its parameters held, a step counter and a temperature that may follow it."""

import copy
import pickle

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs

U = np.random.default_rng(1).random(40)
X = np.random.default_rng(2).exponential(size=(40, 30))
MASK = np.arange(30) % 3 > 0


def halving(step):
    return 2.0**-step


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"temperature": 0.3},
        {"temperature": 0.0},
        {"temperature": np.inf},
        {"temperature": np.linspace(0.1, 3, 40)},
        {"mask": MASK},
        {"bias": {3: 1.5, 9: -0.5}},
        {"bias": np.arange(30) / 8},
        {"mask": MASK, "bias": {4: 2.0}, "temperature": 0.5},
    ],
    ids=str,
)
def test_sampler_draws_what_sample_draws(parameters, dtype):
    x = X.astype(dtype)
    sampler = fs.Sampler(**parameters)
    assert bits(sampler(x, U)) == bits(fs.sample(x, u=U, **parameters))
    assert bits(sampler(x, u=U)) == bits(fs.sample(x, u=U, **parameters))
    assert bits(sampler.sample_probs(x, U)) == bits(fs.sample_probs(x, u=U, **parameters))


def test_sampler_keeps_axis_and_return_logprob():
    x = np.ascontiguousarray(X.T)
    sampler = fs.Sampler(0.7, axis=0, return_logprob=True)
    expected = fs.sample(X, 0.7, u=U, return_logprob=True)
    for got, want in zip(sampler(x, U), expected, strict=True):
        assert bits(got) == bits(want)


def test_sampler_keeps_on_invalid():
    x = X.copy()
    x[7] = np.nan
    assert fs.Sampler(on_invalid="flag")(x, U)[7] == -1
    with pytest.raises(ValueError, match=r"row\D*\b7\b"):
        fs.Sampler()(x, U)


def test_one_row_gives_a_python_int():
    sampler = fs.Sampler()
    assert type(sampler(X[0])) is int and type(sampler.sample_probs(X[0])) is int
    index, logprob = fs.Sampler(return_logprob=True)(X[0])
    assert type(index) is int and isinstance(logprob, float)


def test_one_sampler_takes_rows_of_any_length_dtype_and_batch():
    sampler = fs.Sampler(0.5)
    for x in (X, X[0], X[:3, :5], X.astype(np.float32), X.reshape(4, 10, 30), [1.0, 2.0], X):
        u = np.random.default_rng(3).random(np.shape(x)[:-1])
        np.testing.assert_array_equal(sampler(x, u), fs.sample(x, 0.5, u=u))


def test_rng_goes_on_from_call_to_call():
    for make in (lambda: 9, lambda: np.random.SeedSequence(9), lambda: np.random.default_rng(9)):
        sampler, same = fs.Sampler(0.5, rng=make()), np.random.default_rng(make())
        for x in (X, X[0], X[:5], X[0]):
            np.testing.assert_array_equal(sampler(x), fs.sample(x, 0.5, u=same.random(x.shape[:-1])))


def test_a_given_generator_is_used_itself():
    generator, same = np.random.default_rng(9), np.random.default_rng(9)
    sampler = fs.Sampler(rng=generator)
    sampler(X)
    sampler.sample_probs(X[0])
    same.random(41)
    assert generator.bit_generator.state == same.bit_generator.state


def test_without_rng_samplers_draw_anew():
    first, second = (fs.Sampler() for _ in range(2))
    x = np.zeros((30, 1000))
    # The false-alarm rate is 1000^-30.
    assert first(x).tolist() != second(x).tolist() != first(x).tolist()


# Steps


def test_step_counts_the_calls_made():
    sampler = fs.Sampler()
    assert sampler.step == 0
    sampler(X)
    sampler.sample_probs(X)
    sampler(X[0], 0.5)
    assert sampler.step == 3 and type(sampler.step) is int


def test_temperature_follows_the_step():
    sampler = fs.Sampler(halving)
    for step in range(5):
        assert bits(sampler(X, U)) == bits(fs.sample(X, halving(step), u=U))
    assert bits(sampler.sample_probs(X, U)) == bits(fs.sample_probs(X, halving(5), u=U))


@pytest.mark.parametrize("name", ["linear", "exponential", "cosine"])
def test_sampler_follows_a_schedule(name):
    schedule = getattr(fs.schedules, name)(2.0, 0.25, 4)
    sampler = fs.Sampler(schedule)
    for step in range(7):
        assert bits(sampler(X, U)) == bits(fs.sample(X, schedule(step), u=U))


def test_schedule_may_give_a_temperature_for_each_row():
    by_row = np.linspace(0.1, 3, 40)
    sampler = fs.Sampler(lambda step: by_row / (1 + step))
    for step in range(3):
        assert bits(sampler(X, U)) == bits(fs.sample(X, by_row / (1 + step), u=U))


def test_step_can_be_set():
    sampler = fs.Sampler(halving)
    sampler.step = 3
    assert bits(sampler(X, U)) == bits(fs.sample(X, halving(3), u=U))
    assert sampler.step == 4
    sampler.step = 0
    assert bits(sampler(X, U)) == bits(fs.sample(X, halving(0), u=U))


def test_temperature_can_be_set_between_calls():
    sampler = fs.Sampler(0.5)
    sampler(X, U)
    for temperature in (2.0, 0.0, np.linspace(0.1, 3, 40), halving):
        sampler.temperature = temperature
        assert np.all(sampler.temperature == temperature)
        now = temperature(sampler.step) if callable(temperature) else temperature
        assert bits(sampler(X, U)) == bits(fs.sample(X, now, u=U))


# Pickling


def test_pickled_sampler_goes_on_where_it_was():
    schedule = fs.schedules.linear(2.0, 0.1, 10)
    sampler = fs.Sampler(schedule, rng=4, mask=MASK, bias={1: 0.5}, return_logprob=True)
    sampler(X)
    for same in (pickle.loads(pickle.dumps(sampler)), copy.deepcopy(sampler)):
        assert same.step == 1
        ahead = copy.deepcopy(sampler)
        for _ in range(3):
            got, expected = same(X), ahead(X)
            assert bits(got[0]) == bits(expected[0]) and bits(got[1]) == bits(expected[1])


def test_pickled_sampler_without_rng_draws_anew():
    sampler = fs.Sampler(0.5)
    same = pickle.loads(pickle.dumps(sampler))
    x = np.zeros((30, 1000))
    assert bits(same(X, U)) == bits(sampler(X, U))
    # The false-alarm rate is 1000^-30.
    assert same(x).tolist() != sampler(x).tolist()


def test_a_sampler_made_again_is_a_new_one():
    sampler = fs.Sampler(seed=1, top_k=1)
    sampler(X[0])
    sampler.__init__(rng=3)
    other = fs.Sampler(rng=3)
    assert sampler.step == 0
    assert [sampler(X[0]) for _ in range(20)] == [other(X[0]) for _ in range(20)]
    sampler.__init__(seed=1)
    assert sampler(X[0]) == fs.Sampler(seed=1)(X[0])


def test_a_pickle_does_not_change_what_is_shown():
    for sampler in (fs.Sampler(seed=1), fs.Sampler(seed=1, top_k=np.array([1, 2]), dynatemp_exponent=2.0)):
        assert repr(pickle.loads(pickle.dumps(sampler))) == repr(sampler)
    assert "dynatemp_exponent" not in repr(pickle.loads(pickle.dumps(fs.Sampler(seed=1))))


# Bad arguments


@pytest.mark.parametrize("temperature", [-1.0, np.nan, [1.0, -1.0]])
def test_bad_temperature_raises_value_error_when_it_is_given(temperature):
    with pytest.raises(ValueError, match="temperature"):
        fs.Sampler(temperature)
    sampler = fs.Sampler()
    with pytest.raises(ValueError, match="temperature"):
        sampler.temperature = temperature
    assert sampler.temperature == 1.0


def test_bad_temperature_of_a_schedule_raises_value_error_when_it_comes():
    sampler = fs.Sampler(lambda step: 1.0 - step)
    sampler(X, U)
    sampler(X, U)
    with pytest.raises(ValueError, match="temperature"):
        sampler(X, U)


def test_bad_rng_and_on_invalid_raise_when_they_are_given():
    with pytest.raises(TypeError, match="default_rng|Generator"):
        fs.Sampler(rng=np.random.RandomState(1))
    with pytest.raises(TypeError):
        fs.Sampler(rng="seed")
    with pytest.raises(ValueError, match="on_invalid"):
        fs.Sampler(on_invalid="ignore")


@pytest.mark.parametrize("u", [-0.1, 1.0, np.nan])
def test_u_outside_zero_to_one_raises_value_error(u):
    sampler = fs.Sampler()
    for draw in (sampler, sampler.sample_probs):
        with pytest.raises(ValueError, match=r"\bu\b"):
            draw(X[0], u)


def test_parameters_are_keywords_but_for_temperature():
    with pytest.raises(TypeError):
        fs.Sampler(1.0, -1)

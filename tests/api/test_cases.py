"""The cases the package began with, by their numbers in SEMANTICS (the Keras layer, case 5, has its own)."""

import numpy as np
import pytest
from scipy.stats import chi2

import fastsoftmax as fs

# A network's probabilities over 60 characters: float32, from float32 logits.
LOGITS = np.random.default_rng(1).normal(size=(500, 60)).astype(np.float32) * 2
EXPONENTIALS = np.exp(LOGITS)
NETWORK = EXPONENTIALS / EXPONENTIALS.sum(axis=1, keepdims=True, dtype=np.float32)


def classic_probabilities(a, temperature):
    """The helper of the character RNN up to its draw, in float64."""
    with np.errstate(divide="ignore"):
        a = np.exp(np.log(np.asarray(a, float)) / temperature)
    return a / a.sum()


def assert_drawn_with(drawn, probs):
    """Pearson's chi-square; false alarms: 1e-9."""
    expected = probs * drawn.size
    possible = expected > 0
    observed = np.bincount(drawn, minlength=probs.size)
    assert (observed[~possible] == 0).all()
    statistic = np.sum((observed - expected)[possible] ** 2 / expected[possible])
    assert statistic < chi2.isf(1e-9, max(possible.sum() - 1, 1))


# 1. softmax with temperature


@pytest.mark.parametrize(
    "temperature, expected",
    [
        (2, [0.18632372, 0.30719589, 0.50648039]),
        (1, [0.09003057, 0.24472847, 0.66524096]),
        (0.5, [0.01587624, 0.11731043, 0.86681333]),
    ],
)
def test_case_1_softmax_of_1_2_3(temperature, expected):
    # Printed with eight decimals: half a unit of the last, and 3 ulp in float32.
    np.testing.assert_allclose(fs.softmax([1, 2, 3], temperature), expected, rtol=0, atol=5.1e-9)
    float32 = fs.softmax(np.array([1, 2, 3], np.float32), temperature)
    np.testing.assert_allclose(float32, expected, rtol=3 * 2.0**-23, atol=5.1e-9)


def test_case_1_larger_temperature_is_smoother_and_smaller_is_sharper():
    p = fs.softmax(np.tile([1.0, 2.0, 3.0], (6, 1)), np.array([0.1, 0.5, 1.0, 2.0, 10.0, 100.0]))
    assert (np.diff(p[:, 2]) < 0).all() and (np.diff(p[:, 0]) > 0).all()
    np.testing.assert_allclose(p[-1], 1 / 3, atol=0.01)


# 2. the character-RNN helper


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 1.5])
def test_case_2_sample_probs_draws_what_the_classic_helper_draws(temperature):
    for a in (NETWORK[0], [0.1, 0.0, 0.6, 0.3]):
        drawn = fs.sample_probs(a, temperature, size=2**17, rng=2)
        assert_drawn_with(drawn, classic_probabilities(a, temperature))


def test_case_2_log_of_zero_is_silent():
    with np.errstate(all="raise"):  # Warnings are errors in every test; this makes NumPy's flags errors too.
        assert fs.sample_probs(np.array([0, 1, 0], np.float32), 0.5) == 1


def test_case_2_probabilities_above_one_in_sum_do_not_fail():
    sums = NETWORK.astype(float).sum(axis=1)
    assert (sums > 1 + 1e-12).any()  # Where Generator.multinomial is known to raise.
    drawn = fs.sample_probs(NETWORK, rng=3)
    assert drawn.min() >= 0 and drawn.max() < 60


@pytest.mark.parametrize("temperature", [1e-2, 1e-4, 1e-30, 1e-300, 5e-324])
def test_case_2_very_small_temperature_gives_the_most_likely_character(temperature):
    # The two largest are at least 50 temperatures apart: all others together have less than e^-45.
    a = np.array([0.2, 0.1, 0.5, 0.2], np.float32)
    u = (np.arange(100) + 0.5) / 100
    assert (fs.sample_probs(a, temperature, size=100, u=u) == 2).all()
    second, first = np.partition(LOGITS, -2, axis=1)[:, -2:].T
    clear = NETWORK[first - second > 0.5]
    drawn = fs.sample_probs(clear, temperature, u=0.5)
    np.testing.assert_array_equal(drawn, clear.argmax(axis=1))


# 3. its simplification


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0, 4.0])
def test_case_3_powers_are_the_same_distribution(temperature):
    a = np.array([0.1, 0.2, 0.05, 0.4, 0.25])
    powers = a ** (1 / temperature)
    np.testing.assert_allclose(fs.softmax(np.log(a), temperature), powers / powers.sum(), rtol=1e-14)
    u = (np.arange(1000) + 0.5) / 1000
    expected = np.searchsorted(np.cumsum(powers / powers.sum()), u, side="right")
    # No boundary lies within rounding of these uniforms.
    np.testing.assert_array_equal(fs.sample_probs(a, temperature, size=1000, u=u), expected)


# 4. rng.choice


def test_case_4_choice_makes_the_same_draws_at_temperature_one():
    # Both invert the cumulative distribution, with one double for each draw.
    a = NETWORK[0].astype(float)
    a /= a.sum()
    expected = np.random.default_rng(4).choice(len(a), p=a, size=5000)
    np.testing.assert_array_equal(fs.sample_probs(a, size=5000, rng=4), expected)


def test_case_4_works_for_two_dimensional_probabilities():
    generator = np.random.default_rng(5)
    probs = NETWORK.astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    expected = [generator.choice(60, p=row) for row in probs]
    np.testing.assert_array_equal(fs.sample_probs(probs, rng=5), expected)


# 6. what temperature does


def test_case_6_temperature_zero_is_exactly_the_most_likely():
    np.testing.assert_array_equal(fs.sample(LOGITS, 0.0), LOGITS.argmax(axis=1))
    np.testing.assert_array_equal(fs.softmax(LOGITS, 0.0).argmax(axis=1), LOGITS.argmax(axis=1))


def test_case_6_temperature_one_is_the_models_own_distribution():
    assert_drawn_with(fs.sample(LOGITS[0], size=2**17, rng=6), np.exp(oracle_log_probs(LOGITS[0])))


def test_case_6_larger_temperature_is_more_diverse_and_makes_more_mistakes():
    entropies, mistakes = [], []
    u = np.random.default_rng(7).random(500)
    for temperature in (0.1, 0.5, 1.0, 1.5, 5.0):
        logp = fs.log_softmax(LOGITS.astype(float), temperature)
        entropies.append(-(np.exp(logp) * logp).sum())
        mistakes.append((fs.sample(LOGITS, temperature, u=u) != LOGITS.argmax(axis=1)).mean())
    assert (np.diff(entropies) > 0).all() and (np.diff(mistakes) > 0).all()


# 7. annealing


def test_case_7_falling_temperature_goes_from_exploration_to_exploitation():
    values = np.array([0.0, 0.1, 0.2, 0.3])
    sampler = fs.Sampler(fs.schedules.linear(5.0, 0.0, 1000), rng=8)
    actions = np.array([sampler(values) for _ in range(2000)])
    explored, settling = (actions[:300] == 3).mean(), (actions[900:1000] == 3).mean()
    # At temperatures 5 to 3.5 the best of four has a share of 0.26: 300 draws stay below 0.5 but for 1e-15.
    assert set(actions[:300].tolist()) == {0, 1, 2, 3} and explored < 0.5
    assert settling > explored
    assert (actions[1000:] == 3).all()


def oracle_log_probs(x):
    x = x.astype(float)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())

"""The draw is exact: every bin boundary by enumeration, entries of probability zero, and statistics.

Each check is a function of a draw, ``draw(weights, u) -> indices``, so that the last tests can show that it
catches the wrong variants it is for.
"""

from fractions import Fraction

import numpy as np
import oracles
import pytest
from oracles import DTYPES, LAST_U, assert_inverts_cdf, needs_longdouble, share_tolerance
from scipy.stats import chi2

import fastsoftmax as fs

BLOCK = 1024


def sample_probs(weights, u):
    return fs.sample_probs(weights, size=u.size, u=u)


def around(boundaries):
    """Doubles at, just below and just above the given shares, as far as they lie in [0, 1)."""
    u = np.concatenate([np.nextafter(boundaries, 0), boundaries, np.nextafter(boundaries, 1), [0.0, LAST_U]])
    return np.unique(u[(u >= 0) & (u < 1)])


def exact_indices(weights, u):
    """The smallest index whose cumulative weight exceeds u times the total, in integers throughout."""
    cumulative = np.cumsum([int(w) for w in weights], dtype=object)
    # cumulative > u total, both sides times the power of two that makes u an integer.
    thresholds = []
    for numerator, denominator in (Fraction(v).as_integer_ratio() for v in u.tolist()):
        thresholds.append(numerator * cumulative[-1] // denominator)
    return np.searchsorted(cumulative, thresholds, side="right")


def check_every_boundary(draw, weights):
    """Integer weights: at, below and above every boundary the index is the exact one."""
    total = sum(int(w) for w in weights)
    boundaries = np.array([float(Fraction(int(c), total)) for c in np.cumsum(weights, dtype=np.int64)])
    u = around(np.unique(boundaries))
    np.testing.assert_array_equal(draw(weights, u), exact_indices(weights, u))


def check_zero_is_never_drawn(draw, weights):
    """Weights with zeros: near every boundary, and at both ends, an entry of weight zero is not returned."""
    u = around(np.cumsum(weights, dtype=float) / np.sum(weights, dtype=float))
    drawn = draw(weights, u)
    assert drawn.min() >= 0 and drawn.max() < weights.size
    assert (weights[drawn] > 0).all()


def check_frequencies(draw, probs, seed, count=2**19):
    """Pearson's chi-square of as many draws against the probabilities; false alarms: 1e-9."""
    drawn = draw(probs, np.random.default_rng(seed).random(count))
    observed = np.bincount(drawn, minlength=probs.size)
    expected = probs * (count / probs.sum())
    statistic = np.sum((observed - expected) ** 2 / expected)
    assert statistic < chi2.isf(1e-9, probs.size - 1)


def integers_of_total(total, n, rng):
    """n integers, about a quarter of them 0, that sum to the total."""
    share = rng.exponential(size=n) * (rng.random(n) < 0.75)
    share[n // 2] += 1
    weights = np.floor(share / share.sum() * total).astype(np.int64)
    weights[rng.integers(n)] += total - weights.sum()
    return weights


# Enumeration


@pytest.mark.parametrize("total", [2**k for k in range(6)])
def test_every_small_row_of_integers_is_drawn_exactly(total):
    # All rows of three integers with this dyadic total: every boundary is a double.
    for first in range(total + 1):
        for second in range(total + 1 - first):
            check_every_boundary(sample_probs, np.array([first, second, total - first - second], float))


@pytest.mark.parametrize("total", [3, 7, 10])
def test_boundaries_that_are_not_doubles_are_resolved_exactly(total):
    for first in range(total + 1):
        for second in range(total + 1 - first):
            check_every_boundary(sample_probs, np.array([first, second, total - first - second], float))


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 63, 64, 65, 1000, 1023, 1024, 1025, 2048, 3000, 5000])
@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_every_boundary_of_integer_weights_is_exact(n, narrow, rng):
    check_every_boundary(sample_probs, integers_of_total(2**20, n, rng).astype(narrow))


@pytest.mark.parametrize("n", [2, 60, 1025, 3000])
def test_every_boundary_is_exact_where_the_total_exceeds_float32(n, rng):
    weights = rng.integers(2**24, size=n)
    weights[rng.random(n) < 0.25] = 0
    weights[0] = 2**24 - 1
    for narrow in (np.float32, np.float64):
        check_every_boundary(sample_probs, weights.astype(narrow))


@pytest.mark.parametrize("n", [2, 3, 17, 60, 300, 513, 1025, 2000])
def test_every_boundary_is_exact_below_2_to_the_51_with_a_total_below_2_to_the_61(n, rng):
    weights = rng.integers(2**50 if n > 1025 else 2**51, size=n)
    weights[rng.random(n) < 0.4] = rng.integers(3)
    weights[rng.integers(n)] = 2**51 - 1
    assert sum(weights.tolist()) < 2**61
    check_every_boundary(sample_probs, weights.astype(float))
    one_by_one = np.vectorize(lambda w, u: fs.sample_probs(w, u=u), signature="(n),()->()")
    check_every_boundary(one_by_one, weights[:60].astype(float))


@pytest.mark.parametrize("dtype", DTYPES[2:], ids=lambda d: d.name)
def test_every_boundary_of_16_bit_weights_is_exact(dtype, rng):
    for n in (3, 60, 1025, 3000):
        weights = rng.integers(129, size=n)
        weights[n - 1] = 128
        check_every_boundary(sample_probs, weights.astype(dtype))


@pytest.mark.parametrize("power", [-1040, -140, -40, 40, 900])
def test_scaling_the_weights_by_a_power_of_two_changes_nothing(power, rng):
    weights = integers_of_total(2**20, 1500, rng).astype(float)
    u = around(np.cumsum(weights) / 2**20)
    np.testing.assert_array_equal(sample_probs(np.ldexp(weights, power), u), exact_indices(weights, u))


def test_equal_logits_are_drawn_exactly(dtype):
    for n in (1, 2, 8, 64, 1024, 4096):
        x = np.full(n, 1.25, dtype)
        u = around(np.arange(n) / n)
        for temperature in (0.3, 1.0, 30.0):
            drawn = fs.sample(x, temperature, size=u.size, u=u)
            np.testing.assert_array_equal(drawn, np.floor(u * n).astype(int))


def test_an_event_of_probability_2_to_minus_50_keeps_its_probability():
    common = 2.0**50 - 1
    assert sample_probs(np.array([1, common]), np.array([0, 2.0**-51, 2.0**-50])).tolist() == [0, 0, 1]
    assert sample_probs(np.array([common, 1]), np.array([1 - 2.0**-49, 1 - 2.0**-50])).tolist() == [0, 1]
    # From logits the weight is rounded: half and twice the probability are on either side of it.
    rare = -50 * np.log(2)
    assert fs.sample([rare, 0.0], size=2, u=[2.0**-51, 2.0**-49]).tolist() == [0, 1]
    assert fs.sample([0.0, rare], size=2, u=[1 - 2.0**-49, 1 - 2.0**-51]).tolist() == [0, 1]


def test_uniforms_finer_than_float32_are_told_apart():
    # Each lies 2^-44 below its boundary, and on it once rounded to float32.
    x = np.zeros(2**14)
    u = (np.arange(2**14) + 1 - 2.0**-30) / 2**14
    assert fs.sample(x, size=u.size, u=u).tolist() == list(range(2**14))


# Draws from logits against the exact cumulative shares


@needs_longdouble
@pytest.mark.parametrize("n", [1, 2, 7, 64, 1000, 1024, 1025, 5000, 2**17])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_index_is_the_one_whose_share_holds_u(dtype, n, temperature, rng):
    x = (3 * rng.normal(size=n)).astype(dtype)
    x[rng.random(n) < 0.1] = -np.inf
    x[n // 2] = 1
    with np.errstate(invalid="ignore"):
        below = x.astype(np.longdouble) - x.max().astype(np.longdouble)
        weights = np.exp(below / np.longdouble(temperature))
    shares = (np.cumsum(weights) / weights.sum()).astype(float)
    chosen = shares if n <= 5000 else rng.choice(shares, 2000)
    u = np.concatenate([around(chosen), rng.random(2000)])
    drawn = fs.sample(x, temperature, size=u.size, u=u)
    assert_inverts_cdf(drawn, weights, u, share_tolerance(dtype, n))


@needs_longdouble
@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0])
def test_probabilities_at_a_temperature_are_drawn_as_their_powers(dtype, temperature, rng):
    p = rng.exponential(size=1500).astype(dtype)
    p[::5] = 0
    weights = p.astype(np.longdouble) ** (1 / np.longdouble(temperature))
    u = rng.random(4000)
    drawn = fs.sample_probs(p, temperature, size=u.size, u=u)
    # Logarithms below 16 are rounded to 2^-50; temperature 1/4 makes that 2^-48.
    assert_inverts_cdf(drawn, weights, u, share_tolerance(dtype, 1500) + 2.0**-48)


def test_larger_u_never_gives_a_smaller_index(dtype, rng):
    for n in (10, 5000):
        u = np.sort(rng.random(5000))
        assert (np.diff(fs.sample(rng.normal(size=n).astype(dtype), 0.5, size=u.size, u=u)) >= 0).all()


# Entries of probability zero


@pytest.mark.parametrize("n", [2, 16, 65, 1024, 1500, 4000])
def test_zero_probability_is_never_drawn(dtype, n, rng):
    for _ in range(5):
        weights = rng.exponential(size=n).astype(dtype)
        weights[rng.random(n) < 0.6] = 0
        weights[rng.integers(n)] = 1
        check_zero_is_never_drawn(sample_probs, weights)


@pytest.mark.parametrize("n", [2, 16, 65, 1024, 1500, 4000])
def test_masked_logits_are_never_drawn_near_any_boundary(dtype, n, rng):
    def sample(weights, u):
        with np.errstate(divide="ignore"):
            return fs.sample(np.log(weights), size=u.size, u=u)

    for _ in range(5):
        weights = rng.exponential(size=n).astype(dtype)
        weights[rng.random(n) < 0.6] = 0
        weights[rng.integers(n)] = 1
        check_zero_is_never_drawn(sample, weights)


@pytest.mark.parametrize("n", [1, 2, 17, 1024, 1025, 5000])
def test_single_possible_entry_is_drawn_whatever_u_is(dtype, n):
    u = np.array([0.0, 5e-324, 0.25, 0.5, 0.75, LAST_U])
    for place in {0, n // 2, n - 1}:
        weights = np.zeros(n, dtype)
        weights[place] = 1
        assert (sample_probs(weights, u) == place).all()


# Statistics


@pytest.mark.parametrize("n, seed", [(2, 1), (10, 2), (257, 3), (3000, 4)])
def test_frequencies_are_the_probabilities(dtype, n, seed):
    x = np.random.default_rng(seed).normal(size=n).astype(dtype)
    for temperature in (0.5, 1.0, 2.0):
        probs = oracles.softmax(x, temperature).astype(float)
        check_frequencies(lambda _, u, t=temperature: fs.sample(x, t, size=u.size, u=u), probs, seed)
    check_frequencies(sample_probs, np.exp(x).astype(float), seed)


def test_frequencies_are_the_probabilities_through_a_generator():
    x = np.random.default_rng(6).normal(size=(40, 12))
    probs = oracles.softmax(x).astype(float)
    drawn = fs.sample(x, size=2**16, rng=7)
    observed = np.stack([np.bincount(row, minlength=12) for row in drawn])
    statistic = np.sum((observed - 2**16 * probs) ** 2 / (2**16 * probs))
    assert statistic < chi2.isf(1e-9, 40 * 11)


# The checks catch what they are for


def side_left(weights, u):
    """Takes the smallest index whose cumulative weight reaches u times the total: zero entries are hit."""
    cumulative = np.cumsum(weights, dtype=float)
    return np.searchsorted(cumulative, u * cumulative[-1], side="left")


def float32_uniform(weights, u):
    """Rounds the uniform to float32."""
    cumulative = np.cumsum(weights, dtype=float)
    drawn = np.searchsorted(cumulative, u.astype(np.float32).astype(float) * cumulative[-1], side="right")
    return np.minimum(drawn, weights.size - 1)


def dropped_last_block(weights, u):
    """Leaves out the last, incomplete block."""
    whole = weights[: weights.size // BLOCK * BLOCK]
    cumulative = np.cumsum(whole, dtype=float)
    return np.searchsorted(cumulative, u * cumulative[-1], side="right")


@pytest.mark.parametrize("wrong", [side_left, float32_uniform, dropped_last_block], ids=lambda f: f.__name__)
def test_enumeration_catches_a_wrong_variant(wrong, rng):
    with pytest.raises(AssertionError):
        check_every_boundary(wrong, integers_of_total(2**20, 2 * BLOCK + 100, rng).astype(float))


def test_zero_check_catches_side_left():
    with pytest.raises(AssertionError):
        check_zero_is_never_drawn(side_left, np.array([0.0, 1.0, 0.0, 1.0]))


def test_chi_square_catches_a_dropped_last_block(rng):
    with pytest.raises(AssertionError):
        check_frequencies(dropped_last_block, rng.exponential(size=2 * BLOCK + 100), seed=5)


@needs_longdouble
@pytest.mark.parametrize("wrong", [float32_uniform, dropped_last_block], ids=lambda f: f.__name__)
def test_share_check_catches_a_wrong_variant(wrong, rng):
    weights = rng.exponential(size=2 * BLOCK + 100)
    u = np.cumsum(weights) / weights.sum() - 2.0**-35
    with pytest.raises(AssertionError):
        assert_inverts_cdf(wrong(weights, u), weights, u, share_tolerance(np.dtype(float), weights.size))

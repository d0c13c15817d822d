"""sample_without_replacement: k distinct indices, each drawn as `sample` draws from those left."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from oracles import GRID_U, LAST_U, bits
from scipy.stats import chi2

import fastsoftmax as fs

INF, NAN = np.inf, np.nan

# At this temperature an integer logit x has exactly the weight 2^x.
BINARY = math.log2(math.e)


def drawn_by_sample(x, temperature, u):
    left, drawn = np.ones(len(x), bool), []
    for one in u:
        drawn.append(fs.sample(x, temperature, u=one, mask=left))
        left[drawn[-1]] = False
    return drawn


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 0.3, 1.0, 2.5, 1e-40, INF])
@pytest.mark.parametrize("n", [1, 7, 300, 1024, 1025, 5000])
def test_each_draw_is_a_sample_of_what_is_left(n, temperature, dtype, rng):
    for scale, infinite in ((1.0, 0.0), (10.0, 0.0), (3.0, 0.01)):
        x = (scale * rng.normal(size=n)).astype(dtype)
        x[rng.random(n) < 0.1] = -INF
        x[rng.random(n) < infinite] = INF
        x[0] = 1.0
        u = rng.random(min((x > -INF).sum(), 30))
        got = fs.sample_without_replacement(x, u.size, temperature, u=u)
        assert got.dtype == np.int64 and got.tolist() == drawn_by_sample(x, temperature, u)


@pytest.mark.parametrize("n", [1, 30, 1024, 4000])
def test_the_first_draw_is_that_of_sample_for_every_uniform(n, dtype, rng):
    x = (5 * rng.normal(size=n)).astype(dtype)
    for temperature in (0.2, 1.0):
        for u in GRID_U:
            first = fs.sample(x, temperature, u=u)
            assert fs.sample_without_replacement(x, 1, temperature, u=u).tolist() == [first]
            assert fs.sample_without_replacement(x, min(n, 3), temperature, u=u)[0] == first


# Exact boundaries


def just_below(fraction):
    """The largest double below a fraction."""
    nearest = float(fraction)
    return nearest if Fraction(nearest) < fraction else math.nextafter(nearest, -1)


def test_every_order_has_exactly_its_share_of_the_uniforms(dtype):
    """For each order of three of five entries, the uniforms that give it: all from one fraction up to another."""
    powers = (0, 3, 1, 1, -2)
    for place, n in (((0, 1, 2, 3, 4), 5), ((3, 700, 1024, 2047, 2999), 3000)):
        x = np.full(n, -INF, dtype)
        x[list(place)] = powers
        share = Fraction(0)
        for order in permutations(range(5), 3):
            lowest, highest, product = [], [], Fraction(1)
            for j, i in enumerate(order):
                left = [a for a in range(5) if a not in order[:j]]
                total = sum(Fraction(2) ** powers[a] for a in left)
                before, weight = sum(Fraction(2) ** powers[a] for a in left if a < i), Fraction(2) ** powers[i]
                lowest.append(just_below(before / total) if before else -1.0)
                highest.append(just_below((before + weight) / total))
                product *= weight / total
            share += product
            wanted = [place[i] for i in order]
            first = [math.nextafter(below, 2) if below >= 0 else 0.0 for below in lowest]
            for u in (first, highest):
                assert fs.sample_without_replacement(x, 3, BINARY, u=u).tolist() == wanted
            for j in range(3):
                if lowest[j] >= 0:
                    u = [*first[:j], lowest[j], *first[j + 1 :]]
                    assert fs.sample_without_replacement(x, 3, BINARY, u=u)[j] < wanted[j]
        assert share == 1


def test_at_infinite_temperature_all_that_is_left_is_equally_likely(dtype, rng):
    x = rng.normal(size=2100).astype(dtype)
    x[rng.random(2100) < 0.3] = -INF
    x[7], left, u = INF, np.flatnonzero(x > -INF).tolist(), rng.random(2100)
    left = np.flatnonzero(x > -INF).tolist()
    got = fs.sample_without_replacement(x, len(left), INF, u=u[: len(left)])
    assert got.tolist() == [left.pop(math.floor(Fraction(one) * len(left))) for one in u[: len(left)]]


# What is left may be arbitrarily unlikely


@pytest.mark.parametrize("n", [50, 1024, 3000])
def test_nothing_is_decided_by_underflow(n, dtype, rng):
    order = rng.permutation(n)
    x = np.empty(n, dtype)
    x[order] = -np.arange(n, dtype=float)
    got = fs.sample_without_replacement(x, n, 0.01, u=rng.random(n))
    if np.unique(x).size == n:  # bfloat16 and float16 have fewer numbers
        np.testing.assert_array_equal(got, order)
    assert (np.diff(x[got].astype(float)) <= 0).all()


def test_soft_masks_and_forced_tokens_leave_the_others_as_they_are(dtype):
    least = float(np.finfo(dtype).min if dtype.kind == "f" else -3.38e38)
    for n in (10, 3000):
        x = np.full(n, least, dtype)
        x[n // 2] = 0.0
        for i in (0, 1, n // 2 - 1, n - 2):
            got = fs.sample_without_replacement(x, 2, u=[0.5, (i + 0.5) / (n - 1)])
            assert got.tolist() == [n // 2, i + (i >= n // 2)]
    share = np.e**2 / (1 + np.e**2)  # of entry 1, once entry 2 is drawn
    for u, second in ((1 - share - 1e-6, 0), (1 - share + 1e-6, 1)):
        got = fs.sample_without_replacement(np.array([0.0, 2.0, 0.0], dtype), 2, bias={2: 1e30}, u=[0.5, u])
        assert got.tolist() == [2, second]


def test_extreme_temperatures():
    draw = fs.sample_without_replacement
    assert draw([0.0, 1, 2, 3], 3, 1e-310, u=0.5).tolist() == [3, 2, 1]
    assert draw([3.0, 1e-300, 2e-300], 3, 1e-310, u=0.5).tolist() == [0, 2, 1]
    # Within 1e-310 of each other the weights are ordinary.
    x = np.array([0.0, 2.0, 1.0]) * 1e-310
    for u in np.random.default_rng(1).random((20, 3)):
        assert draw(x, 3, 1e-310, u=u).tolist() == draw([0.0, 2.0, 1.0], 3, u=u).tolist()
    # Beyond them only equal entries are drawn at random.
    x = [1e200, 2e200, 1e200, -1e200, -1.5e308, 0.0, INF]
    assert draw(x, 7, 1e-310, u=[0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3]).tolist() == [6, 1, 0, 2, 5, 3, 4]
    assert draw(x, 4, 1e-310, u=[0.5, 0.5, 0.7, 0.3]).tolist() == [6, 1, 2, 0]
    x = [1.7e308, -1.7e308, 0.0]  # about 1, -1 and 0
    for u in np.random.default_rng(2).random((20, 3)):
        assert draw(x, 3, 1.7e308, u=u).tolist() == draw([1.0, -1.0, 0.0], 3, u=u).tolist()


def test_an_entry_of_probability_zero_is_never_drawn(dtype):
    for n in (6, 2500):
        x = np.full(n, -INF, dtype)
        x[[1, n - 2]] = 0.0, 3.0
        for u in ([0.0, LAST_U], [LAST_U, LAST_U], [LAST_U, 0.0], [5e-324, 0.0]):
            assert sorted(fs.sample_without_replacement(x, 2, u=u).tolist()) == [1, n - 2]


def test_k_of_n_is_an_order_of_all(dtype, rng):
    for n, scale in ((40, 1), (1500, 1), (1500, 100)):
        x = (scale * rng.normal(size=(3, n))).astype(dtype)
        got = fs.sample_without_replacement(x, n, rng=1)
        np.testing.assert_array_equal(np.sort(got), np.tile(np.arange(n), (3, 1)))


def test_the_first_k_do_not_depend_on_k(dtype, rng):
    x, u = (2 * rng.normal(size=3000)).astype(dtype), rng.random(3000)
    whole = fs.sample_without_replacement(x, 3000, 0.8, u=u)
    for k in (1, 2, 50, 1500):
        np.testing.assert_array_equal(fs.sample_without_replacement(x, k, 0.8, u=u[:k]), whole[:k])


# Distribution


def one_after_another(p):
    """The probability of every order of len(order) distinct indices."""

    def of(order):
        left, product = 1.0, 1.0
        for i in order:
            product *= p[i] / left
            left -= p[i]
        return product

    return of


def assert_as_often_as(expected, observed):
    """Chi-square; false alarms: 1e-9."""
    assert observed.sum() == pytest.approx(expected.sum())
    assert np.sum((observed - expected) ** 2 / expected) < chi2.isf(1e-9, len(expected) - 1)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("temperature", [0.7, 1.0, INF])
def test_orders_come_as_often_as_when_drawn_one_after_another(k, temperature, dtype):
    count = 2**17
    x = np.array([0.0, 1.0, -0.5, 2.0], dtype)
    p = fs.softmax(x.astype(float), temperature)
    drawn = fs.sample_without_replacement(np.tile(x, (count, 1)), k, temperature, rng=42)
    codes = drawn @ 4 ** np.arange(k)
    orders = list(permutations(range(4), k))
    expected = count * np.array([one_after_another(p)(order) for order in orders])
    observed = np.array([np.count_nonzero(codes == order @ 4 ** np.arange(k)) for order in map(np.array, orders)])
    assert_as_often_as(expected, observed)


def test_second_draws_of_a_long_row_come_as_often_as_they_should(dtype, rng):
    count, n, groups = 2**14, 2500, 25
    x = rng.normal(size=n).astype(dtype)
    x[[5, 1200, 2400]] = 6.0, 7.0, 5.5  # a third of the distribution
    p = fs.softmax(x.astype(float))
    second = p * (np.sum(p / (1 - p)) - p / (1 - p))
    drawn = fs.sample_without_replacement(np.broadcast_to(x, (count, n)), 2, rng=8)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    for j, probability in enumerate((p, second)):
        expected = count * np.add.reduceat(probability, np.arange(0, n, n // groups))
        assert_as_often_as(expected, np.bincount(drawn[:, j] // (n // groups), minlength=groups))


def test_the_last_of_equally_likely_orders_is_any(dtype):
    count = 2**14
    drawn = fs.sample_without_replacement(np.zeros((count, 7), dtype), 7, rng=11)
    for j in range(7):
        assert_as_often_as(np.full(7, count / 7), np.bincount(drawn[:, j], minlength=7))
    inversions = sum((drawn[:, a] > drawn[:, b]).astype(int) for a in range(7) for b in range(a + 1, 7))
    # Mean n (n - 1) / 4 and variance n (n - 1) (2 n + 5) / 72 of a random permutation; six standard deviations.
    assert abs(inversions.mean() - 10.5) < 6 * math.sqrt(7 * 6 * 19 / 72 / count)


def test_plus_infinity_comes_first_uniformly(dtype):
    count = 30_000
    x = np.tile(np.array([0.0, INF, 1.0, INF, -INF], dtype), (count, 1))
    drawn = fs.sample_without_replacement(x, 4, rng=3)
    assert (np.sort(drawn[:, :2], axis=1) == [1, 3]).all()
    # Six standard deviations of a half, and of e / (1 + e).
    assert abs(np.mean(drawn[:, 0] == 1) - 0.5) < 6 * 0.5 / np.sqrt(count)
    share = np.e / (1 + np.e)
    assert abs(np.mean(drawn[:, 2] == 2) - share) < 6 * np.sqrt(share * (1 - share) / count)


def test_temperature_zero_is_the_sorted_order(dtype):
    x = np.array([1.0, 3.0, -INF, 3.0, 2.0], dtype)
    assert fs.sample_without_replacement(x, 4, 0.0, rng=1).tolist() == [1, 3, 4, 0]
    assert fs.sample_without_replacement(x, 2, 0.0, u=LAST_U).tolist() == [1, 3]


# Uniforms, mask, bias, shapes


def test_generator_gives_what_its_uniforms_give(dtype, rng):
    for shape in ((9,), (3, 9), (2, 3, 700)):
        x = rng.normal(size=shape).astype(dtype)
        for mask in (None, np.ones(x.shape[-1], bool)):
            generator, same = np.random.default_rng(5), np.random.default_rng(5)
            got = fs.sample_without_replacement(x, 3, 0.8, mask=mask, rng=generator)
            assert got.shape == (*shape[:-1], 3)
            assert bits(got) == bits(fs.sample_without_replacement(x, 3, 0.8, u=same.random(got.shape)))
            assert generator.random() == same.random()


def test_masked_entries_are_never_drawn(rng):
    x, mask, u = rng.normal(size=(200, 20)), np.arange(20) % 3 > 0, rng.random((200, 13))
    got = fs.sample_without_replacement(x, 13, mask=mask, u=u)
    assert mask[got].all()
    np.testing.assert_array_equal(got, fs.sample_without_replacement(np.where(mask, x, -INF), 13, u=u))
    words = np.array([sum(1 << i for i in range(20) if mask[i])], np.int32)
    np.testing.assert_array_equal(got, fs.sample_without_replacement(x, 13, mask=words, u=u))
    bias = rng.normal(size=20)
    np.testing.assert_array_equal(
        fs.sample_without_replacement(x, 5, 0.6, bias=bias, u=u[:, :5]),
        fs.sample_without_replacement(x + bias, 5, 0.6, u=u[:, :5]),
    )


def test_a_masked_row_that_reaches_its_limit_stays_masked():
    x, mask = np.array([INF, 0.0, INF, 5.0, INF, 1.0]), np.array([True, True, False, False, True, True])
    words = np.array([0b110011], np.int32)
    for allowed in (mask, words):
        got = fs.sample_without_replacement(x, 4, mask=allowed, u=[0.9, 0.0, 0.9, 0.0])
        assert got.tolist() == [4, 0, 5, 1]
        with pytest.raises(ValueError, match="k = 5"):
            fs.sample_without_replacement(x, 5, mask=allowed, u=0.5)


def test_rows_do_not_know_of_each_other(dtype, rng):
    x, u = (2 * rng.normal(size=(3, 4, 1600))).astype(dtype), rng.random((3, 4, 6))
    temperature = rng.uniform(0.2, 2, size=4)
    whole = fs.sample_without_replacement(x, 6, temperature, u=u)
    moved = fs.sample_without_replacement(np.moveaxis(x, -1, 0), 6, temperature, axis=0, u=u)
    assert bits(moved) == bits(whole)
    assert bits(fs.sample_without_replacement(x[..., ::-1].copy()[..., ::-1], 6, temperature, u=u)) == bits(whole)
    for i in range(3):
        for j in range(4):
            assert bits(fs.sample_without_replacement(x[i, j], 6, temperature[j], u=u[i, j])) == bits(whole[i, j])
            assert bits(fs.sample_without_replacement(x[i, j], 6, float(temperature[j]), u=u[i, j])) == bits(
                whole[i, j]
            )
    common = fs.sample_without_replacement(x, 6, temperature, u=u[0, 0])
    assert bits(common[2, 1]) == bits(fs.sample_without_replacement(x[2, 1], 6, temperature[1], u=u[0, 0]))


def test_too_few_entries_or_nan_raise_value_error_with_the_row(dtype):
    x = np.zeros((3, 4), dtype)
    x[1, :2] = -INF
    assert fs.sample_without_replacement(x, 2, rng=1).shape == (3, 2)
    for temperature in (1.0, 0.0, INF, 1e-310):
        with pytest.raises(ValueError, match=r"row\D*\b1\b.*k = 3"):
            fs.sample_without_replacement(x, 3, temperature)
    x[1], x[2, 0] = 0.0, NAN
    for mask in (None, np.ones(x.shape[-1], bool)):
        with pytest.raises(ValueError, match=r"row\D*\b2\b.*nan"):
            fs.sample_without_replacement(x, 1, mask=mask)
    for row in ([-INF] * 4, [INF, -INF, -INF, -INF], [INF, 0.0, -INF, -INF]):
        with pytest.raises(ValueError, match="fewer than k = 3"):
            fs.sample_without_replacement(np.array(row, dtype), 3)


def test_bad_arguments_are_named():
    x = np.zeros((3, 4))
    for k in (0, -1, 5):
        with pytest.raises(ValueError, match=r"\bk\b"):
            fs.sample_without_replacement(x, k)
    for k in (1.5, "1", True, None):
        with pytest.raises(TypeError, match=r"\bk\b"):
            fs.sample_without_replacement(x, k)
    for u in (1.0, -0.1, NAN, np.zeros(3), np.zeros((3, 4))):
        for mask in (None, np.ones(x.shape[-1], bool)):
            with pytest.raises(ValueError, match=r"\bu\b"):
                fs.sample_without_replacement(x, 2, u=u, mask=mask)
    with pytest.raises(ValueError, match=r"u.*rng|rng.*u"):
        fs.sample_without_replacement(x, 1, u=0.5, rng=1)
    with pytest.raises(ValueError, match="temperature"):
        fs.sample_without_replacement(x, 1, -1.0)

"""sample_without_replacement: k distinct indices, as if drawn one after another."""

from itertools import permutations

import numpy as np
import pytest
from oracles import LAST_U, bits, needs_longdouble
from scipy.stats import chi2

import fastsoftmax as fs

INF, NAN = np.inf, np.nan


def gumbel_keys(x, temperature, u):
    """x / T - log E with E = -log1p(-u), where u = 0 counts as 2^-54."""
    x, u = np.asarray(x).astype(np.longdouble), np.asarray(u).astype(np.longdouble)
    u = np.where(u == 0, np.longdouble(2) ** -54, u)
    scaled = np.where(x > -INF, 0, x) if np.isinf(temperature) else x / np.longdouble(temperature)
    return scaled - np.log(-np.log1p(-u))


@needs_longdouble
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, INF])
@pytest.mark.parametrize("n", [1, 7, 300, 5000, 20_000])
def test_entries_come_in_descending_order_of_their_keys(n, temperature, dtype, rng):
    x = (2 * rng.normal(size=n)).astype(dtype)
    x[rng.random(n) < 0.1] = -INF
    x[0] = 1.0
    for u in (rng.random(n), np.round(rng.random(n), 1), rng.random(n) * 1e-12):
        keys = gumbel_keys(x, temperature, np.where(u == 1, LAST_U, u))
        order = np.argsort(-keys, kind="stable")[: max((x > -INF).sum() // 2, 1)]
        got = fs.sample_without_replacement(x, order.size, temperature, u=np.where(u == 1, LAST_U, u))
        assert got.dtype == np.int64 and got.shape == order.shape
        assert len(set(got.tolist())) == got.size
        # The keys of what came are those of the order, to within the rounding of x / T and two logarithms.
        slack = 2.0**-45 if dtype == np.float64 else 2.0**-18
        np.testing.assert_allclose(keys[got].astype(float), keys[order].astype(float), rtol=slack, atol=slack)


def test_a_uniform_of_zero_counts_as_two_to_the_minus_54():
    # log 2^-54 = -37.43: the entry with u = 0 wins by just that.
    assert fs.sample_without_replacement([0.0, 37.0], 1, u=[0.0, 1 - np.exp(-1)]).tolist() == [0]
    assert fs.sample_without_replacement([0.0, 37.9], 1, u=[0.0, 1 - np.exp(-1)]).tolist() == [1]
    assert fs.sample_without_replacement([0.0, 0.0], 1, u=[0.0, 1e-300]).tolist() == [1]
    assert sorted(fs.sample_without_replacement([0.0] * 3, 3, u=0.0).tolist()) == [0, 1, 2]


def test_small_uniforms_keep_the_tail():
    # 1 - u is 1 for all of them; log1p(-u) tells them apart.
    u = np.array([3e-17, 2e-17, 1e-300, 1e-17])
    assert fs.sample_without_replacement(np.zeros(4), 4, u=u).tolist() == [2, 3, 1, 0]


def test_k_of_n_is_an_order_of_all(dtype, rng):
    x = rng.normal(size=(5, 40)).astype(dtype)
    got = fs.sample_without_replacement(x, 40, rng=1)
    np.testing.assert_array_equal(np.sort(got), np.tile(np.arange(40), (5, 1)))


def test_the_first_k_do_not_depend_on_k(dtype, rng):
    x, u = (2 * rng.normal(size=3000)).astype(dtype), rng.random(3000)
    whole = fs.sample_without_replacement(x, 3000, 0.8, u=u)
    for k in (1, 2, 50, 1500):
        np.testing.assert_array_equal(fs.sample_without_replacement(x, k, 0.8, u=u), whole[:k])


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


@pytest.mark.parametrize("k", [1, 2, 3])
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
    assert observed.sum() == count
    # False alarms: 1e-9.
    assert np.sum((observed - expected) ** 2 / expected) < chi2.isf(1e-9, len(orders) - 1)


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
        generator, same = np.random.default_rng(5), np.random.default_rng(5)
        got = fs.sample_without_replacement(x, 3, 0.8, rng=generator)
        assert got.shape == (*shape[:-1], 3)
        assert bits(got) == bits(fs.sample_without_replacement(x, 3, 0.8, u=same.random(shape)))
        assert generator.random() == same.random()


def test_masked_entries_are_never_drawn(rng):
    x, mask, u = rng.normal(size=(200, 20)), np.arange(20) % 3 > 0, rng.random((200, 20))
    got = fs.sample_without_replacement(x, 13, mask=mask, u=u)
    assert mask[got].all()
    np.testing.assert_array_equal(got, fs.sample_without_replacement(np.where(mask, x, -INF), 13, u=u))
    bias = rng.normal(size=20)
    np.testing.assert_array_equal(
        fs.sample_without_replacement(x, 5, 0.6, bias=bias, u=u), fs.sample_without_replacement(x + bias, 5, 0.6, u=u)
    )


def test_rows_do_not_know_of_each_other(dtype, rng):
    x, u = (2 * rng.normal(size=(3, 4, 600))).astype(dtype), rng.random((3, 4, 600))
    temperature = rng.uniform(0.2, 2, size=4)
    whole = fs.sample_without_replacement(x, 6, temperature, u=u)
    moved = fs.sample_without_replacement(np.moveaxis(x, -1, 0), 6, temperature, axis=0, u=np.moveaxis(u, -1, 0))
    assert bits(moved) == bits(whole)
    for i in range(3):
        for j in range(4):
            assert bits(fs.sample_without_replacement(x[i, j], 6, temperature[j], u=u[i, j])) == bits(whole[i, j])
    common = fs.sample_without_replacement(x, 6, temperature, u=u[0, 0])
    assert bits(common[2, 1]) == bits(fs.sample_without_replacement(x[2, 1], 6, temperature[1], u=u[0, 0]))


def test_too_few_entries_or_nan_raise_value_error_with_the_row():
    x = np.zeros((3, 4))
    x[1, :2] = -INF
    assert fs.sample_without_replacement(x, 2, rng=1).shape == (3, 2)
    with pytest.raises(ValueError, match=r"row\D*\b1\b"):
        fs.sample_without_replacement(x, 3)
    x[1], x[2, 0] = 0.0, NAN
    with pytest.raises(ValueError, match=r"row\D*\b2\b"):
        fs.sample_without_replacement(x, 1)
    with pytest.raises(ValueError):
        fs.sample_without_replacement(np.full(4, -INF), 1)


def test_bad_arguments_are_named():
    x = np.zeros((3, 4))
    for k in (0, -1, 5):
        with pytest.raises(ValueError, match=r"\bk\b"):
            fs.sample_without_replacement(x, k)
    for k in (1.5, "1", True, None):
        with pytest.raises(TypeError, match=r"\bk\b"):
            fs.sample_without_replacement(x, k)
    for u in (1.0, -0.1, NAN, np.zeros(3)):
        with pytest.raises(ValueError, match=r"\bu\b"):
            fs.sample_without_replacement(x, 1, u=u)
    with pytest.raises(ValueError, match=r"u.*rng|rng.*u"):
        fs.sample_without_replacement(x, 1, u=0.5, rng=1)
    with pytest.raises(ValueError, match="temperature"):
        fs.sample_without_replacement(x, 1, -1.0)

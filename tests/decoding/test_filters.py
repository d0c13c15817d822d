"""What each filter keeps, on rows short enough to check by hand."""

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs

INF, NAN = np.inf, np.nan
# log p of these give p back to within rounding, far from every boundary used below.
FOUR = np.log([0.1, 0.2, 0.3, 0.4])
NEUTRAL = [
    {"top_k": 0},
    {"top_k": 6},
    {"top_k": 2**40},
    {"top_p": 1.0},
    {"top_p": 1},
    {"min_p": 0.0},
    {"typical_p": 1.0},
    {"top_n_sigma": 0.0},
    {"epsilon_cutoff": 0.0},
    {"eta_cutoff": 0.0},
    {"xtc_threshold": 0.51, "xtc_probability": 1.0},
    {"xtc_threshold": 0.1, "xtc_probability": 0.0},
    {"dynatemp_range": 0.0, "dynatemp_exponent": 3.0},
    {"min_tokens_to_keep": 4},
    {"temperature_last": True},
]
NAMES = ["top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "epsilon_cutoff", "eta_cutoff", "xtc_threshold",
         "xtc_probability", "dynatemp_range"]  # fmt: skip


def kept(x, temperature=1.0, **filters):
    return np.flatnonzero(fs.truncate(x, temperature, **filters) > -INF).tolist()


def kept_of_probs(p, **filters):
    """The indices that sample_probs ever draws: fine enough a grid finds every entry of these short rows."""
    u = np.arange(4096) / 4096
    extra = {"xtc_u": 0.0} if "xtc_threshold" in filters else {}
    return np.unique(fs.sample_probs(p, size=u.size, u=u, **extra, **filters)).tolist()


# One filter at a time


@pytest.mark.parametrize(
    "x, k, expected",
    [
        ([1.0, 3.0, 2.0], 1, [1]),
        ([1.0, 3.0, 2.0], 2, [1, 2]),
        ([1.0, 3.0, 3.0, 3.0, 2.0], 2, [1, 2]),
        ([1.0, 3.0, 3.0, 3.0, 2.0], 4, [1, 2, 3, 4]),
        ([0.0, -0.0, 0.0, -0.0], 2, [0, 1]),
        ([5.0] * 7, 3, [0, 1, 2]),
        ([-INF, 1.0, -INF, 0.0], 3, [1, 3]),
        ([2.0], 1, [0]),
    ],
)
def test_top_k_keeps_exactly_the_first_k_of_the_sorted_order(x, k, expected):
    assert kept(x, top_k=k) == expected


@pytest.mark.parametrize(
    "p, expected",
    [(0.0, [3]), (1e-300, [3]), (0.39, [3]), (0.41, [2, 3]), (0.69, [2, 3]), (0.71, [1, 2, 3]), (0.91, [0, 1, 2, 3])],
)
def test_top_p_keeps_an_entry_iff_the_mass_before_it_is_below_p(p, expected):
    assert kept(FOUR, top_p=p) == expected


def test_top_p_takes_ties_in_index_order():
    assert kept([0.0] * 4, top_p=0.5) == [0, 1]
    assert kept([0.0] * 4, top_p=0.51) == [0, 1, 2]
    assert kept([0.0, 1.0, 1.0, 1.0], top_p=0.5) == [1, 2]


@pytest.mark.parametrize(
    "ratio, expected",
    [(0.24, [0, 1, 2, 3]), (0.26, [1, 2, 3]), (0.49, [1, 2, 3]), (0.51, [2, 3]), (0.76, [3]), (1.0, [3])],
)
def test_min_p_keeps_what_has_that_share_of_the_largest(ratio, expected):
    assert kept(FOUR, min_p=ratio) == expected


def test_min_p_of_one_keeps_all_that_are_largest():
    assert kept([2.0, 1.0, 2.0, 2.0], min_p=1.0) == [0, 2, 3]


@pytest.mark.parametrize(
    "p, mass, expected",
    [
        # H = 0.168, -log p = 0.030 and 4.6: the likely entry is the typical one.
        ([0.97, 0.01, 0.01, 0.01], 0.5, [0]),
        ([0.97, 0.01, 0.01, 0.01], 0.975, [0, 1]),
        # H = 1.332, -log p = 0.916 and 1.609: the likely entry is the least typical.
        ([0.4, 0.2, 0.2, 0.2], 0.0, [1]),
        ([0.4, 0.2, 0.2, 0.2], 0.1, [1]),
        ([0.4, 0.2, 0.2, 0.2], 0.35, [1, 2]),
        ([0.4, 0.2, 0.2, 0.2], 0.5, [1, 2, 3]),
        ([0.4, 0.2, 0.2, 0.2], 0.7, [0, 1, 2, 3]),
    ],
)
def test_typical_p_keeps_the_entries_nearest_to_the_entropy(p, mass, expected):
    assert kept(np.log(p), typical_p=mass) == expected
    assert kept_of_probs(p, typical_p=mass) == expected


def test_typical_p_does_not_count_entries_of_probability_zero():
    assert kept([-INF, 0.0, 0.0, -INF], typical_p=0.6) == [1, 2]
    assert kept([0.0, -1e30, 0.0], typical_p=0.9) == [0, 2]


def test_top_n_sigma_counts_standard_deviations_below_the_largest():
    # Mean 2, population standard deviation sqrt(2): thresholds 4 - 1.41 n.
    x = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [kept(x, top_n_sigma=n)[0] for n in (0.1, 0.75, 1.0, 1.42, 2.2, 3.0)] == [4, 3, 3, 2, 1, 0]
    # Entries of -inf have no part in the deviation, nor has the temperature.
    assert kept([-INF, *x, -INF], 0.01, top_n_sigma=1.42) == [3, 4, 5]
    assert kept([7.0, 7.0, 7.0], top_n_sigma=0.5) == [0, 1, 2]


def test_epsilon_cutoff_keeps_what_is_as_likely():
    assert [kept(FOUR, epsilon_cutoff=e) for e in (0.05, 0.15, 0.35, 0.45, 1.0)] == [
        [0, 1, 2, 3], [1, 2, 3], [3], [3], [3]]  # fmt: skip


def test_eta_cutoff_is_the_smaller_of_epsilon_and_its_root_times_exp_of_minus_the_entropy():
    # H = 1.2799, exp(-H) = 0.278: the root decides where eps > 0.0773.
    assert kept(FOUR, eta_cutoff=0.05) == [0, 1, 2, 3]
    assert kept(FOUR, eta_cutoff=0.16) == [1, 2, 3]  # 0.4 · 0.278 = 0.111
    assert kept(FOUR, eta_cutoff=0.99) == [2, 3]  # 0.995 · 0.278 = 0.277
    # H = 0: epsilon alone.
    assert kept([0.0, -50.0], eta_cutoff=1e-30) == [0, 1]
    assert kept([0.0, -50.0], eta_cutoff=1e-20) == [0]


def test_xtc_drops_all_but_the_least_likely_of_the_likely():
    def happens(threshold):
        return kept(FOUR, xtc_threshold=threshold, xtc_probability=1.0, xtc_u=0.9)

    assert [happens(t) for t in (0.05, 0.15, 0.25, 0.35, 0.45, 0.5)] == [
        [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]  # fmt: skip
    # Of equally likely ones the last index is the least likely.
    assert kept([0.0] * 3, xtc_threshold=0.3, xtc_probability=1.0, xtc_u=0.0) == [2]
    assert kept([0.0] * 3, xtc_threshold=0.4, xtc_probability=1.0, xtc_u=0.0) == [0, 1, 2]


@pytest.mark.parametrize(
    "probability, happens", [(0.25, False), (np.nextafter(0.25, 1), True), (0.2, False), (1, True)]
)
def test_xtc_happens_iff_its_coin_is_below_the_probability(probability, happens):
    assert (kept(FOUR, xtc_threshold=0.15, xtc_probability=probability, xtc_u=0.25) == [0, 1]) == happens


# min_tokens_to_keep


@pytest.mark.parametrize("m", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(
    "filters",
    [
        {"top_k": 1},
        {"top_p": 0.0},
        {"min_p": 1.0},
        {"top_n_sigma": 0.01},
        {"epsilon_cutoff": 0.9},
        {"eta_cutoff": 0.9999, "top_p": 0.01},
    ],
    ids=str,
)
def test_filters_leave_at_least_so_many_of_the_sorted_order(filters, m):
    assert kept(FOUR, min_tokens_to_keep=m, **filters) == [3, 2, 1, 0][:m][::-1]


def test_typical_p_leaves_at_least_so_many_of_its_own_order():
    x = np.log([0.4, 0.2, 0.2, 0.2])
    assert [kept(x, typical_p=0.0, min_tokens_to_keep=m) for m in (1, 2, 3, 4)] == [
        [1], [1, 2], [1, 2, 3], [0, 1, 2, 3]]  # fmt: skip


def test_xtc_does_nothing_where_fewer_would_remain():
    xtc = {"xtc_threshold": 0.15, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, min_tokens_to_keep=2, **xtc) == [0, 1]
    assert kept(FOUR, min_tokens_to_keep=3, **xtc) == [0, 1, 2, 3]


def test_no_filter_brings_back_what_is_masked_or_dropped():
    assert kept([5.0, 1.0, -INF, 0.0], mask=[False, True, True, True], top_k=1, min_tokens_to_keep=4) == [1, 3]
    xtc = {"xtc_threshold": 0.3, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, top_k=2, min_tokens_to_keep=1, **xtc) == [2]


# Off


@pytest.mark.parametrize("neutral", NEUTRAL, ids=str)
def test_neutral_values_give_the_bits_of_no_filter(neutral, dtype, rng):
    x = (3 * rng.normal(size=(50, 6))).astype(dtype)
    u, xtc_u = rng.random(50), rng.random(50)
    coin = {"xtc_u": xtc_u} if "xtc_threshold" in neutral else {}
    assert bits(fs.truncate(x, 0.7, **neutral, **coin)) == bits(fs.truncate(x, 0.7))
    for got, want in zip(
        fs.sample(x, 0.7, u=u, return_logprob=True, **neutral, **coin),
        fs.sample(x, 0.7, u=u, return_logprob=True),
        strict=True,
    ):
        assert bits(got) == bits(want)
    p = np.abs(x)
    assert bits(fs.sample_probs(p, u=u, **neutral, **coin)) == bits(fs.sample_probs(p, u=u))


def test_none_gives_the_bits_of_no_filter(dtype, rng):
    x = rng.normal(size=(50, 6)).astype(dtype)
    u = rng.random(50)
    off = dict.fromkeys(NAMES)
    assert bits(fs.truncate(x, **off)) == bits(fs.truncate(x))
    assert bits(fs.sample(x, u=u, **off)) == bits(fs.sample(x, u=u))
    assert bits(fs.Sampler(**off)(x, u)) == bits(fs.sample(x, u=u))


# Several together


def test_each_filter_works_on_what_the_one_before_left():
    # top_k leaves 3/7 and 4/7; without it, 0.5 would be reached after 0.4 and 0.3.
    assert kept(FOUR, top_k=2, top_p=0.5) == [3]
    assert kept(FOUR, top_p=0.5) == [2, 3]
    # top_p leaves 4/7 and 3/7, which XTC both finds likely; epsilon finds 3/7 too small.
    xtc = {"xtc_threshold": 0.42, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, top_p=0.6, **xtc) == [2]
    assert kept(FOUR, top_p=0.6, epsilon_cutoff=0.43, **xtc) == [3]
    # sigma of (log 0.3, log 0.4) is 0.144, of all four 0.52.
    assert kept(FOUR, top_n_sigma=1.0) == [2, 3]
    assert kept(FOUR, top_k=2, top_n_sigma=1.0) == [3]


def test_filters_see_the_temperature_unless_it_comes_last():
    # At T = 1/2 the probabilities are 1/30, 4/30, 9/30, 16/30.
    assert kept(FOUR, 0.5, top_p=0.5) == [3]
    assert kept(FOUR, 0.5, top_p=0.5, temperature_last=True) == [2, 3]
    np.testing.assert_allclose(
        fs.softmax(fs.truncate(FOUR, 0.5, top_p=0.5, temperature_last=True)), [0, 0, 9 / 25, 16 / 25], rtol=1e-14
    )
    xtc = {"xtc_threshold": 0.35, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, 2.0, min_p=0.6, temperature_last=True, **xtc) == [2]
    assert kept(FOUR, 2.0, min_p=0.6, **xtc) == [1, 2, 3]
    assert kept(FOUR, 0.0, temperature_last=True, **xtc) == [3]
    assert kept(FOUR, 0.0, temperature_last=True, **xtc | {"xtc_threshold": 0.25}) == [2]


# Dynamic temperature


@pytest.mark.parametrize("exponent", [1.0, 0.5, 2.0])
def test_dynamic_temperature_follows_the_entropy(exponent):
    share = (1.2798542258336676 / np.log(4)) ** exponent
    for temperature, width in ((1.0, 0.4), (0.5, 2.0)):
        low, high = max(0.0, temperature - width), temperature + width
        expected = FOUR / (low + (high - low) * share)
        got = fs.truncate(FOUR, temperature, dynatemp_range=width, dynatemp_exponent=exponent)
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_dynamic_temperature_comes_before_the_filters_or_after_them():
    # The two that top_k leaves are alike, so that T = 1 + 0.5.
    x = np.array([2.0, 2.0, 1.0, 0.0])
    after = fs.truncate(x, top_k=2, dynatemp_range=0.5, temperature_last=True)
    np.testing.assert_allclose(after, [2 / 1.5, 2 / 1.5, -INF, -INF], rtol=1e-14)
    before = fs.truncate(x, top_k=2, dynatemp_range=0.5)
    entropy = -np.sum(fs.softmax(x) * fs.log_softmax(x))
    np.testing.assert_allclose(before[0], 2 / (0.5 + entropy / np.log(4)), rtol=1e-13)
    assert kept([0.0, 0.0, 0.0, 0.0, -1.0], dynatemp_range=0.5, min_p=0.9) == [0, 1, 2, 3]


def test_dynamic_temperature_of_fewer_than_two_entries_is_the_temperature():
    np.testing.assert_array_equal(fs.truncate([3.0, -INF], 0.7, dynatemp_range=0.5), [3 / 0.7, -INF])
    last = {"dynatemp_range": 0.5, "temperature_last": True}
    np.testing.assert_array_equal(fs.truncate([3.0, 1.0], 0.7, top_k=1, **last), [3 / 0.7, -INF])


# sample_probs decides on the numbers themselves


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({"top_p": 0.5}, [0]),
        ({"top_p": np.nextafter(0.5, 1)}, [0, 1]),
        ({"top_p": 0.75}, [0, 1]),
        ({"top_p": np.nextafter(0.75, 1)}, [0, 1, 2]),
        ({"min_p": 0.5}, [0, 1, 2]),
        ({"min_p": np.nextafter(0.5, 1)}, [0]),
        ({"epsilon_cutoff": 0.25}, [0, 1, 2]),
        ({"epsilon_cutoff": np.nextafter(0.25, 1)}, [0]),
        ({"xtc_threshold": 0.25, "xtc_probability": 1.0}, [2]),
        ({"xtc_threshold": np.nextafter(0.25, 1), "xtc_probability": 1.0}, [0, 1, 2]),
        # H = 1.5 log 2, so that all are equally far from it: the sorted order decides.
        ({"typical_p": 0.5}, [0]),
        # Its order is known through logarithms only, and so is its mass: to about 1e-14.
            ({"typical_p": 0.5 + 1e-12}, [0, 1]),
        ({"typical_p": 0.75}, [0, 1]),
        ({"top_k": 2, "top_p": 0.6}, [0]),
        # 2/3 of what top_k left, which no double is: 0.6667 > 2/3.
        ({"top_k": 2, "top_p": 0.6667}, [0, 1]),
    ],
    ids=str,
)
def test_natural_probabilities_are_decided_exactly(filters, expected):
    for scale in (1.0, 2.0**-40, 2.0**30):
        for narrow in (np.float32, np.float64):
            assert kept_of_probs(np.array([0.5, 0.25, 0.25], narrow) * narrow(scale), **filters) == expected
    assert kept_of_probs([0.0, 0.5, 0.0, 0.25, 0.25], **filters) == [[1, 3, 4][i] for i in expected]


def test_counts_are_decided_exactly():
    # 9 of 10 against the double next to 0.9, which is above it.
    assert kept_of_probs([6, 3, 1], top_p=0.9) == [0, 1, 2]
    assert kept_of_probs([6, 3, 1], top_p=np.nextafter(0.9, 0)) == [0, 1]
    # The double next to 0.7 is below it.
    assert kept_of_probs([4, 3, 2, 1], top_p=0.7) == [0, 1]
    assert kept_of_probs([4, 3, 2, 1], top_p=np.nextafter(0.7, 1)) == [0, 1, 2]


# One value a row

BY_ROW = {
    "top_k": [0, 3, 1, 0, 5, 2, 0, 40],
    "top_p": [1.0, 0.9, 0.5, 0.8, 1.0, 0.0, 0.3, 0.95],
    "min_p": [0.0, 0.0, 0.1, 0.02, 0.5, 0.0, 0.0, 0.01],
    "typical_p": [1.0, 1.0, 0.5, 1.0, 0.2, 0.9, 1.0, 1.0],
    "top_n_sigma": [0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 3.0, 0.5],
    "epsilon_cutoff": [0.0, 0.01, 0.0, 0.2, 0.0, 0.0, 0.03, 0.0],
    "eta_cutoff": [0.1, 0.0, 0.0, 0.3, 0.0, 0.01, 0.0, 0.0],
    "xtc_threshold": [0.1, 0.6, 0.2, 0.3, 0.05, 0.1, 0.1, 0.1],
    "xtc_probability": [1.0, 1.0, 0.0, 0.5, 0.7, 0.5, 0.5, 0.9],
    "dynatemp_range": [0.0, 0.2, 0.0, 0.0, 1.5, 0.0, 0.0, 0.3],
    "dynatemp_exponent": [1.0, 1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 2.0],
    "min_tokens_to_keep": [1, 2, 1, 3, 1, 5, 1, 1],
    "temperature_last": [False, True, False, True, True, False, True, False],
}


@pytest.mark.parametrize("names", [[name] for name in NAMES[:7]] + [sorted(BY_ROW)], ids=len)
@pytest.mark.parametrize("rows", [(8,), (2, 4)], ids=str)
def test_every_parameter_may_differ_from_row_to_row(names, rows, dtype, rng):
    x = (2 * rng.normal(size=(8, 30))).astype(dtype)
    temperature, xtc_u, u = rng.uniform(0.3, 2, size=8), rng.random(8), rng.random(8)
    coin = {"xtc_u": xtc_u} if "xtc_threshold" in names else {}
    mixed = {name: np.reshape(BY_ROW[name], rows) for name in names}
    shaped = {name: value.reshape(rows) for name, value in coin.items()}
    together = fs.truncate(x.reshape(*rows, 30), temperature.reshape(rows), **mixed, **shaped).reshape(8, 30)
    drawn = fs.sample(x.reshape(*rows, 30), temperature.reshape(rows), u=u.reshape(rows), **mixed, **shaped).reshape(8)
    for i in range(8):
        alone = {name: BY_ROW[name][i] for name in names} | {name: value[i] for name, value in coin.items()}
        assert bits(fs.truncate(x[i], temperature[i], **alone)) == bits(together[i])
        assert fs.sample(x[i], temperature[i], u=u[i], **alone) == drawn[i]


def test_parameters_broadcast_to_the_rows(rng):
    x = rng.normal(size=(2, 3, 20))
    by_column = fs.truncate(x, top_k=[1, 2, 3], top_p=[[0.9], [0.5]])
    for i in range(2):
        for j in range(3):
            assert bits(by_column[i, j]) == bits(fs.truncate(x[i, j], top_k=j + 1, top_p=[0.9, 0.5][i]))

"""The reference's filters against their formulas in 60 digits and on exact ties."""

import math
import random
from fractions import Fraction

import mpmath
import pytest
from oracles import LAST_U

from fastsoftmax import reference

INF, NAN = math.inf, math.nan
FLAT, FOUR = [0.0] * 8, [math.log(v) for v in (0.1, 0.2, 0.3, 0.4)]
FILTERS = (
    "top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h", "top_n_sigma", "epsilon_cutoff", "eta_cutoff",
    "xtc_threshold",
)  # fmt: skip


def kept(x, temperature=1.0, **parameters):
    return [i for i, v in enumerate(reference.truncate(x, temperature, **parameters)) if v > -INF]


def kept_probs(p, **parameters):
    """What sample_probs can draw: each entry's own place in the cumulative sums is tried, and just beside it."""
    total = Fraction(sum(map(Fraction, p)))
    shares = [float(sum(map(Fraction, p[:i])) / total) for i in range(len(p))]
    grid = [u for share in shares for u in (share, math.nextafter(share, 1.0))] + [i / 512 for i in range(512)]
    return sorted({reference.sample_probs(p, u=u, **parameters) for u in grid})


# Literal formulas


def literally_kept(x, temperature, name, value):
    """The kept set of one filter by its definition, in 60 digits."""
    with mpmath.workdps(60):
        order = sorted(range(len(x)), key=lambda i: (-x[i], i))
        weights = {i: mpmath.exp((mpmath.mpf(x[i]) - max(x)) / temperature) for i in order}
        total = mpmath.fsum(weights.values())
        p = {i: w / total for i, w in weights.items()}
        entropy = -mpmath.fsum(q * mpmath.log(q) for q in p.values())
        if name == "top_k":
            return set(order[:value])
        if name == "top_p":
            return {i for j, i in enumerate(order) if mpmath.fsum(p[k] for k in order[:j]) < value}
        if name == "min_p":
            return {i for i in order if p[i] >= value * p[order[0]]}
        if name == "top_a":
            return {i for i in order if p[i] >= value * p[order[0]] ** 2}
        if name == "p_less":
            return {i for i in order if p[i] >= mpmath.fsum(q**2 for q in p.values())}
        if name == "top_h":
            terms = [-p[i] * mpmath.log(p[i]) for i in order]
            reached = [mpmath.fsum(terms[: j + 1]) <= value * entropy for j in range(len(order))]
            return {order[0], *(i for i, within in zip(order, reached, strict=True) if within)}
        if name == "typical_p":
            order = sorted(order, key=lambda i: abs(-mpmath.log(p[i]) - entropy))
            masses = [mpmath.fsum(p[k] for k in order[: j + 1]) for j in range(len(order))]
            return set(order[: 1 + sum(mass < value for mass in masses)])
        if name == "top_n_sigma":
            mean = mpmath.fsum(x) / len(x)
            sigma = mpmath.sqrt(mpmath.fsum((v - mean) ** 2 for v in x) / len(x))
            return {i for i in order if x[i] >= max(x) - value * sigma}
        if name == "epsilon_cutoff":
            return {i for i in order if p[i] >= value} or {order[0]}
        if name == "eta_cutoff":
            least = min(mpmath.mpf(value), mpmath.sqrt(value) * mpmath.exp(-entropy))
            return {i for i in order if p[i] >= least} or {order[0]}
        likely = [i for i in order if p[i] >= value]
        return set(order) - set(likely[:-1])


def random_value(source, name):
    value = source.random() ** source.choice([1, 2, 4])
    return {
        "top_k": source.randint(1, 30),
        "p_less": True,
        "top_n_sigma": 3 * value,
        "epsilon_cutoff": value / 10,
        "xtc_threshold": value / 2,
    }.get(name, value)


@pytest.mark.parametrize("name", FILTERS)
def test_reference_filters_keep_what_their_formulas_say(name):
    # Random parameters: none of these decisions is closer to its boundary than the float64 rounding of exp.
    source = random.Random(8)
    for _ in range(60):
        n = source.choice([2, 3, 10, 40])
        x = [source.gauss(0, source.choice([0.3, 3.0])) for _ in range(n)]
        x = [source.choice(x) for _ in x] if source.random() < 0.3 else x
        value, temperature = random_value(source, name), source.choice([1.0, 0.7, 3.0])
        sure = {"xtc_probability": 1.0, "xtc_u": 0.5} if name == "xtc_threshold" else {}
        expected = literally_kept(x, temperature, name, value)
        assert set(kept(x, temperature, **{name: value}, **sure)) == expected


def test_reference_dynamic_temperature_is_its_formula():
    source = random.Random(3)
    for exponent in (0.5, 1.0, 2.0):
        x = [source.gauss(0, 2) for _ in range(9)]
        with mpmath.workdps(60):
            weights = [mpmath.exp(v) for v in x]
            p = [w / mpmath.fsum(weights) for w in weights]
            share = -mpmath.fsum(q * mpmath.log(q) for q in p) / mpmath.log(9)
            lowest, highest = mpmath.mpf("0.25"), mpmath.mpf("1.25")
            expected = [float(v / (lowest + (highest - lowest) * share**exponent)) for v in x]
        got = reference.truncate(x, 0.75, dynatemp_range=0.5, dynatemp_exponent=exponent)
        assert got == pytest.approx(expected, rel=1e-14)


# Ties and limits


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 10, 49, 100])
def test_reference_decides_flat_rows_exactly(n):
    x = [1.5] * n
    for i in range(1, n):
        # A double below i/n keeps i entries, one above it keeps i + 1.
        count = i + (Fraction(i / n) > Fraction(i, n))
        assert len(kept(x, top_p=i / n)) == count
        assert kept(x, typical_p=i / n) == list(range(count))
    everything = list(range(n))
    assert kept(x, eta_cutoff=1.0) == kept(x, min_p=1.0) == kept(x, top_n_sigma=5e-324) == everything
    assert len(kept(x, epsilon_cutoff=1 / n)) == (n if Fraction(1 / n) <= Fraction(1, n) else 1)


def test_reference_breaks_ties_by_index():
    x = [1.0, 2.0, 2.0, 0.0, 2.0]
    assert kept(x, top_k=2) == kept(x, top_p=0.5) == [1, 2]
    assert kept(x, min_p=1.0) == [1, 2, 4]
    assert kept(x, top_k=4) == [0, 1, 2, 4]
    assert kept(x, 0.0) == [1]


def test_reference_top_n_sigma_is_exact_at_its_boundary():
    # The standard deviation of as many a as b is half their distance.
    x = [0.1, 0.7] * 5
    assert len(kept(x, top_n_sigma=2.0)) == 10
    assert kept(x, top_n_sigma=math.nextafter(2.0, 0.0)) == [1, 3, 5, 7, 9]


def test_reference_filters_work_on_the_numbers_of_probabilities():
    assert kept_probs([3, 1, 2, 4], top_p=0.7) == [0, 3]
    assert kept_probs([3, 1, 2, 4], top_p=math.nextafter(0.7, 1.0)) == [0, 2, 3]
    assert kept_probs([3, 1, 2, 4], min_p=0.5) == [0, 2, 3]
    assert kept_probs([1, 1, 2, 4], epsilon_cutoff=0.125) == [0, 1, 2, 3]
    assert kept_probs([1, 1, 2, 4], epsilon_cutoff=math.nextafter(0.125, 1.0)) == [2, 3]
    assert kept_probs([1, 1], xtc_threshold=0.5, xtc_probability=1.0, xtc_u=0.0) == [1]
    # These have the same logarithm.
    close = [0.1, math.nextafter(0.1, 1.0)]
    assert kept_probs(close, top_k=1) == [1] and math.log(close[0]) == math.log(close[1])


@pytest.mark.parametrize(
    "parameters, expected",
    [
        # llama.cpp, tests/test-sampling.cpp
        ({"top_k": 3}, [1, 2, 3]),
        ({"top_p": 0.0}, [3]),
        ({"top_p": 0.8}, [1, 2, 3]),
        ({"min_p": 0.24}, [0, 1, 2, 3]),
        ({"min_p": 0.26}, [1, 2, 3]),
        ({"min_p": 0.76}, [3]),
        ({"top_n_sigma": 1.0}, [2, 3]),
        ({"top_n_sigma": 3.0}, [0, 1, 2, 3]),
        ({"xtc_threshold": 0.09, "xtc_probability": 0.99, "xtc_u": 0.0}, [0]),
        ({"xtc_threshold": 0.19, "xtc_probability": 0.99, "xtc_u": 0.0}, [0, 1]),
        ({"xtc_threshold": 0.39, "xtc_probability": 0.99, "xtc_u": 0.0}, [0, 1, 2, 3]),
        # off
        ({"top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1, "top_n_sigma": 0}, [0, 1, 2, 3]),
        ({"epsilon_cutoff": 0, "eta_cutoff": 0, "dynatemp_range": 0}, [0, 1, 2, 3]),
        ({"xtc_threshold": 0.09, "xtc_probability": 0.5, "xtc_u": 0.5}, [0, 1, 2, 3]),
        ({"xtc_threshold": 0.51, "xtc_probability": 1.0, "xtc_u": 0.0}, [0, 1, 2, 3]),
        # the first of the order alone
        ({"typical_p": 0.0}, [2]),
        ({"epsilon_cutoff": 1.0}, [3]),
    ],
    ids=str,
)
def test_reference_filters_of_four_entries(parameters, expected):
    assert kept(FOUR, **parameters) == expected


def test_reference_keeps_min_tokens_of_each_filters_own_order():
    for parameters in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"epsilon_cutoff": 1.0}, {"eta_cutoff": 0.9}):
        assert kept(FOUR, 0.1, min_tokens_to_keep=3, **parameters) == [1, 2, 3]
        assert kept(FOUR, 0.1, min_tokens_to_keep=9, **parameters) == [0, 1, 2, 3]
    assert kept([math.log(v) for v in (0.4, 0.2, 0.2, 0.2)], typical_p=0.0, min_tokens_to_keep=2) == [1, 2]
    xtc = {"xtc_threshold": 0.19, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, min_tokens_to_keep=2, **xtc) == [0, 1]
    assert kept(FOUR, min_tokens_to_keep=3, **xtc) == [0, 1, 2, 3]
    # Nothing comes back that is masked or was dropped before.
    assert kept([0.0, 1.0, -INF, 2.0], mask=[True, True, True, False], top_k=1, min_tokens_to_keep=4) == [0, 1]
    assert kept(FOUR, top_k=2, top_p=0.0, min_tokens_to_keep=2) == [2, 3]


def test_reference_filters_work_one_after_another_on_what_is_left():
    # 0.4 / 0.7 of the mass is in the first of the two that top_k leaves.
    assert kept(FOUR, top_k=2, top_p=0.5) == [3] and kept(FOUR, top_p=0.5) == [2, 3]
    # XTC drops the maximum; what was 1e-400 of it is everything then.
    assert kept([0.0, -1000.0], xtc_threshold=0.0, xtc_probability=1.0, xtc_u=0.0) == [1]
    drawn = reference.sample(
        [0.0, -1000.0], u=0.5, xtc_threshold=0.0, xtc_probability=1.0, xtc_u=0.0, return_logprob=True
    )
    assert drawn == (1, 0.0)


def test_reference_temperature_last_filters_at_temperature_1():
    for temperature in (0.01, 0.5, 7.0, INF):
        assert kept(FOUR, temperature, min_p=0.49, temperature_last=True) == [1, 2, 3]
    assert kept(FOUR, 0.0, temperature_last=True, xtc_threshold=0.09, xtc_probability=1.0, xtc_u=0.0) == [0]
    assert reference.truncate([2.0, 1.0, 0.0], 0.5, top_k=2, temperature_last=True) == [4.0, 2.0, -INF]
    # The dynamic temperature sees the survivors: two equal ones have all the entropy there is.
    one = reference.truncate([3.0, 3.0, 0.0, 1.0], 1.0, top_k=2, temperature_last=True, dynatemp_range=0.5)
    assert one == [2.0, 2.0, -INF, -INF]
    assert reference.truncate([3.0, 0.0], 2.0, top_k=1, temperature_last=True, dynatemp_range=0.5)[0] == 1.5


def test_reference_truncate_of_special_values():
    truncate = reference.truncate
    assert truncate([1.0, 3.0, 3.0], 0.0) == [-INF, 0.0, -INF]
    assert truncate([1.0, 3.0, -INF], INF) == [0.0, 0.0, -INF]
    assert truncate([1.0, INF, INF, -INF], 0.5, top_k=3) == [-INF, INF, INF, -INF]
    assert truncate([1.0, INF, -INF], INF) == [0.0, 0.0, -INF]
    assert truncate([INF, 0.0, 1.0], INF, min_p=1.0) == [0.0, 0.0, 0.0]
    assert truncate([INF, 0.0, INF], 0.0) == [0.0, -INF, -INF]
    assert truncate([-INF, -INF], top_k=1) == [-INF, -INF]
    assert all(map(math.isnan, truncate([0.0, NAN], 0.0, top_k=1)))
    assert truncate([0.0, NAN], mask=[True, False]) == [0.0, -INF]
    assert truncate([1.0, 2.0], INF, dynatemp_range=1.0) == [0.0, 0.0]
    assert truncate([3, 4], 2.0, top_k=2, bias=[0.5, 0.0]) == [1.75, 2.0]


# Drawing


def test_reference_draws_from_the_softmax_of_what_truncate_leaves():
    source = random.Random(6)
    for _ in range(40):
        x = [source.gauss(0, 2) for _ in range(12)]
        parameters = {name: random_value(source, name) for name in source.sample(FILTERS[:-1], 3)}
        parameters |= {"temperature_last": source.random() < 0.5}
        temperature = source.choice([0.5, 1.0, 2.0])
        p = reference.softmax(reference.truncate(x, temperature, **parameters))
        shares = [math.fsum(p[:i]) for i in range(13)]
        for i in range(12):
            if p[i] > 0:
                middle = (shares[i] + shares[i + 1]) / 2
                index, logprob = reference.sample(x, temperature, u=middle, return_logprob=True, **parameters)
                assert index == i
                assert logprob == pytest.approx(math.log(p[i]), rel=1e-13, abs=1e-15)


def test_reference_never_draws_outside_the_kept_set():
    x = [0.0, 5.0, 1.0, 5.0, 2.0]
    for u in (0.0, 0.5, LAST_U):
        assert reference.sample(x, u=u, top_k=2) in (1, 3)
        assert reference.sample_probs([5, 0, 1, 3], u=u, top_k=2) in (0, 3)


def test_reference_mirostat_keeps_a_bounded_surprise():
    # Those of at least 2^-2 stay, and draws are from what stays.
    drawn = reference.sample(FOUR, u=0.0, mirostat_mu=2.0, return_logprob=True)
    assert drawn == (2, pytest.approx(math.log(3 / 7), rel=1e-14))
    assert reference.sample(FOUR, u=0.0, mirostat_mu=-5.0, return_logprob=True) == (3, 0.0)
    assert reference.sample(FOUR, u=0.0, mirostat_mu=1e9) == 0


def test_reference_mirostat_comes_after_the_temperature():
    # The entry of 0.2 has -log2 p of 2.3 at temperature 1, and with 0.04 / 0.3 a surprise of 2.9 at 0.5.
    for last in (False, True):
        assert reference.sample(FOUR, 1.0, u=0.0, mirostat_mu=2.4, temperature_last=last) == 1
        assert reference.sample(FOUR, 0.5, u=0.0, mirostat_mu=2.4, temperature_last=last) == 2


def test_reference_rejects_parameters_that_there_are_not():
    with pytest.raises(TypeError, match="top_q"):
        reference.truncate(FOUR, top_q=1)

"""Kept sets against plain sorting in longdouble, on thousands of rows of every shape.

A decision closer to its boundary than the accuracy of the weights (2^-20 of the mass in float32 and float16,
2^-40 in float64) may go either way; such rows are counted, and must stay rare. Masses that are exactly tied are
decided exactly.
"""

from fractions import Fraction
from math import ceil

import numpy as np
import oracles
import pytest
from breadth import cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import needs_longdouble

import fastsoftmax as fs
from fastsoftmax._args.steps import STEPS

pytestmark = needs_longdouble

FLOATS = [np.float32, np.float64, np.float16]
by_name = {"ids": lambda t: t.__name__}


def spread(n, rng):
    return rng.normal(size=n) * 10 ** rng.uniform(-1, 1.5)


def ties(n, rng):
    return np.round(rng.normal(size=n) * rng.uniform(0.5, 4))


def halves(n, rng):
    return np.round(2 * rng.normal(size=n)) / 2 + rng.choice([0.0, 100.0, -1000.0])


def constant(n, rng):
    return np.full(n, rng.choice([0.0, -3.7, 1e30, -1e30, 1e-310, 5.5]))


def two_values(n, rng):
    return np.where(rng.random(n) < rng.random(), 1.0, 1.0 - rng.exponential())


def all_but_one(n, rng):
    x = np.zeros(n)
    x[rng.integers(n)] = rng.choice([-5.0, 3.0, 12.0, 1e-3, 1e30])
    return x


def ascending(n, rng):
    return np.sort(spread(n, rng))


def descending(n, rng):
    return ascending(n, rng)[::-1]


def extremes(n, rng):
    return rng.choice([1e30, -1e30, 0.0, 1.0, -1.0, 1e-40, -5e-324, 3.25, 700.0, -700.0], size=n)


def subnormal(n, rng):
    return rng.integers(-3, 4, size=n) * 1e-41


def heavy_tail(n, rng):
    return -rng.uniform(0.8, 1.5) * np.log(1.0 + rng.permutation(n))


def with_minus_inf(n, rng):
    x = ties(n, rng) if rng.random() < 0.5 else spread(n, rng)
    x[rng.random(n) < 0.3] = -np.inf
    x[rng.integers(n)] = 0.5
    return x


ROWS = [spread, spread, heavy_tail, ties, halves, constant, two_values, all_but_one, ascending, descending,
        extremes, subnormal, with_minus_inf]  # fmt: skip


def stored(row, dtype):
    """The row as the dtype holds it; float16 clips what it cannot hold."""
    limit = float(np.finfo(dtype).max)
    return np.where(np.isfinite(row), np.clip(row, -limit, limit), row).astype(dtype)


def random_temperature(rng):
    return float(rng.choice([1.0, 1.0, 0.8, 10 ** rng.uniform(-3, 3)]))


def random_length(rng, most=5000):
    return int(most ** rng.uniform(0, 1))


RANDOM = {
    "top_k": lambda n, rng: {"top_k": int(rng.choice([1, 2, 3, 40, max(n - 1, 1), n, n + 5, rng.integers(n + 1)]))},
    "top_p": lambda n, rng: {
        "top_p": float(rng.choice([rng.random(), 0.9, 0.95, 0.5, 0.0, 1.0, 1e-6, 0.999, rng.integers(n + 1) / n]))
    },
    "min_p": lambda n, rng: {"min_p": float(rng.choice([10 ** rng.uniform(-6, 0), 0.05, 0.5, 1.0, 0.0, 1e-100]))},
    "top_a": lambda n, rng: {"top_a": float(rng.choice([10 ** rng.uniform(-6, 0), 0.2, 1.0, 0.0, 1e-100]))},
    "p_less": lambda n, rng: {"p_less": True},
    "top_h": lambda n, rng: {"top_h": float(rng.choice([rng.random(), 0.4, 0.9, 0.0, 1.0, 0.999]))},
    "typical_p": lambda n, rng: {"typical_p": float(rng.choice([rng.random(), 0.9, 0.2, 0.0, 1.0, 0.5]))},
    "top_n_sigma": lambda n, rng: {"top_n_sigma": float(rng.choice([rng.uniform(0, 4), 1.0, 1.3, 0.0, 100.0]))},
    "epsilon_cutoff": lambda n, rng: {
        "epsilon_cutoff": float(rng.choice([10 ** rng.uniform(-6, -0.1), 3e-4, 0.0, 1e-100, 0.7]))
    },
    "eta_cutoff": lambda n, rng: {
        "eta_cutoff": float(rng.choice([10 ** rng.uniform(-6, -0.1), 2e-3, 0.0, 1e-100, 0.7]))
    },
    "xtc": lambda n, rng: {
        "xtc_threshold": float(rng.choice([10 ** rng.uniform(-4, -0.3), 0.1, 0.5, 0.51])),
        "xtc_probability": 0.5,
        "xtc_u": float(rng.choice([0.0, 0.2, 0.49, 0.5, 0.9])),
    },
    "keep": lambda n, rng: {"min_tokens_to_keep": int(rng.choice([1, 2, 5, 50]))},
    "exempt": lambda n, rng: {"keep": rng.integers(n, size=rng.integers(1, 4)).tolist()},
    "order": lambda n, rng: {"order": tuple(rng.permutation(STEPS if rng.random() < 0.5 else STEPS[:-1]).tolist())},
    "last": lambda n, rng: {"temperature_last": True},
    "dynatemp": lambda n, rng: {
        "dynatemp_range": float(rng.choice([0.3, 0.9, 5.0])),
        "dynatemp_exponent": float(rng.choice([1.0, 1.0, 0.5, 2.0])),
    },
}
FILTERS = ["top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h", "top_n_sigma", "epsilon_cutoff",
           "eta_cutoff", "xtc"]  # fmt: skip


def assert_keeps(x, temperature, parameters, allowed=None):
    """fs.truncate keeps a set that the oracle allows. Returns whether the oracle had only one to offer."""
    verdict = oracles.kept(x, temperature, allowed=allowed, tolerance=oracles.tolerance_of(x.dtype), **parameters)
    result = fs.truncate(x, temperature, mask=allowed, **parameters)
    assert not np.isnan(result).any()
    kept = np.flatnonzero(result > -np.inf)
    assert verdict.allows(kept), (x.dtype, x.tolist()[:40], temperature, parameters, kept.tolist()[:40])
    return verdict.sure


def check_many(dtype, parameter_names, seed, rows, most=5000, unsure=0.04):
    """As many random rows with these parameters; the share of rows with a decision at its boundary is bounded."""
    rng = np.random.default_rng(seed)
    undecided, rows = 0, cases(rows)
    for number in range(rows):
        n = random_length(rng, most)
        x = stored(ROWS[number % len(ROWS)](n, rng), dtype)
        allowed = None
        if rng.random() < 0.2:
            allowed = rng.random(n) < 0.6
            allowed[np.argmax(x)] = True
        # 1e30 / 1e-3 and the like stay within the dtype; float16 overflows below T = 1.
        temperature = max(random_temperature(rng), 1.0 if dtype == np.float16 else 0.0)
        names = parameter_names(rng)
        parameters = {k: v for name in names for k, v in RANDOM[name](n, rng).items()}
        undecided += not assert_keeps(x, temperature, parameters, allowed)
    assert undecided <= unsure * rows


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_one_filter_keeps_what_sorting_keeps(dtype, name):
    # typical_p has two boundaries, that of its order and that of the mass; nearly flat rows are at that of p_less, and
    # those whose entropy is nearly 0 at those of top_h.
    unsure = {"typical_p": 0.1, "p_less": 0.2, "top_h": 0.1}.get(name, 0.03)
    check_many(dtype, lambda rng: [name], seed=FILTERS.index(name), rows=160, unsure=unsure)


@pytest.mark.parametrize("name", FILTERS)
def test_one_filter_keeps_at_least_the_minimum_of_its_order(name):
    check_many(
        np.float32, lambda rng: [name, "keep"], seed=50, rows=100, most=300, unsure=0.2 if name == "p_less" else 0.1
    )


@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_filters_in_a_row_keep_what_sorting_keeps(dtype):
    def several(rng):
        chosen = rng.choice([*FILTERS, "keep", "last"], size=rng.integers(2, 6), replace=False)
        return sorted(chosen.tolist())

    check_many(dtype, several, seed=60, rows=500, most=1500, unsure=0.06)


@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_filters_in_any_order_with_entries_never_dropped_keep_what_sorting_keeps(dtype):
    def several(rng):
        chosen = rng.choice([*FILTERS, "keep"], size=rng.integers(2, 5), replace=False).tolist()
        return sorted(chosen) + [name for name in ("order", "exempt") if rng.random() < 0.7]

    check_many(dtype, several, seed=65, rows=500, most=1500, unsure=0.06)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], **by_name)
def test_dynamic_temperature_and_filters_keep_what_sorting_keeps(dtype):
    def several(rng):
        return ["dynatemp", *rng.choice([*FILTERS, "keep", "last"], size=2, replace=False).tolist()]

    check_many(dtype, several, seed=70, rows=250, most=1000, unsure=0.06)


@pytest.mark.parametrize("n, dtype", [(40_000, np.float64), (128_256, np.float32)])
def test_vocabularies_keep_what_sorting_keeps(dtype, n, rng):
    parameter_sets = [
        {"top_k": 50},
        {"top_k": 50, "top_p": 0.95},
        {"top_p": 0.95},
        {"min_p": 0.05},
        {"typical_p": 0.6},
        {"top_a": 0.1},
        {"p_less": True},
        {"top_h": 0.4},
        {"top_p": 0.9, "min_p": 0.1, "order": ("min_p", "temperature", "top_p"), "keep": [0, n - 1]},
        {"top_n_sigma": 1.5, "epsilon_cutoff": 1e-5},
        {"eta_cutoff": 3e-4, "xtc_threshold": 0.01, "xtc_probability": 1.0, "xtc_u": 0.5},
    ]
    makers = [spread, heavy_tail, ties, descending, constant, two_values, all_but_one]
    for i, parameters in enumerate(parameter_sets):
        assert_keeps(stored(makers[i % len(makers)](n, rng), dtype), 0.8, parameters)
        assert_keeps(stored(3 * rng.normal(size=n), dtype), 0.8, parameters)


# Decisions as close to their boundary as the accuracy allows


def boundary(name, c, rng):
    """The value of the parameter at which a random entry of the candidates is just kept; None if there is none."""
    i = int(rng.integers(1, c.size))
    p = np.exp(c.logp)
    if name == "top_p":
        return p[:i].sum()
    if name == "min_p":
        return np.exp(c.exponents[i])
    if name == "typical_p":
        return np.cumsum(p[np.argsort(np.abs(c.logp + c.entropy), kind="stable")])[i - 1]
    if name == "top_a":
        return p[i] / p[0] ** 2
    if name == "top_h":
        return np.cumsum(-p * c.logp)[i] / c.entropy
    if name == "top_n_sigma":
        return (c.x[0] - c.x[i]) / np.std(c.x)
    if name == "eta_cutoff":
        # min(e, sqrt(e) / exp H) = p, solved for e.
        return max(p[i], (p[i] * np.exp(c.entropy)) ** 2)
    return p[i]


@pytest.mark.parametrize("name", [name for name in FILTERS[1:] if name != "p_less"])
@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_values_next_to_a_boundary_are_decided_right(dtype, name):
    rng = np.random.default_rng(80)
    sure = 0
    for number in range(cases(120)):
        n, temperature = 2 + random_length(rng, 2000), float(rng.choice([0.7, 1.0, 2.5]))
        x = stored([spread, heavy_tail, ties, two_values, with_minus_inf][number % 5](n, rng), dtype)
        c = oracles.candidates(x, temperature, None, oracles.tolerance_of(dtype))
        if c.size < 2 or c.flat:
            continue
        value = boundary(name, c, rng) * (1 + rng.choice([-4, 4]) * c.tolerance * (1 + c.entropy))
        if not 0 < value < (np.inf if name == "top_n_sigma" else 0.5 if name == "xtc" else 1):
            continue
        value = float(value)
        parameters = {"xtc_threshold": value, "xtc_probability": 1.0, "xtc_u": 0.0} if name == "xtc" else {name: value}
        sure += assert_keeps(x, temperature, parameters)
    assert sure > cases(40)


# Hypothesis: short rows, with everything at once

values = st.integers(-6, 6).map(lambda i: i / 2) | st.sampled_from([-np.inf, 1e30, -1e30, 1e-40, 0.0])


@given(
    x=st.lists(values, min_size=1, max_size=24),
    dtype=st.sampled_from(FLOATS[:2]),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 3.0, np.inf]),
    names=st.lists(st.sampled_from([*FILTERS, "keep", "last"]), unique=True, max_size=5),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, derandomize=True, max_examples=cases(150))
def test_short_rows_keep_what_sorting_keeps(x, dtype, temperature, names, seed):
    rng = np.random.default_rng(seed)
    row = stored(np.array(x), dtype)
    allowed = rng.random(row.size) < 0.8 if seed % 3 == 0 else None
    assume((row[slice(None) if allowed is None else allowed] > -np.inf).any())
    parameters = {k: v for name in names for k, v in RANDOM[name](row.size, rng).items()}
    assert_keeps(row, temperature, parameters, allowed)


# Exact ties of mass


def around(p):
    return [v for v in (np.nextafter(p, 0), p, np.nextafter(p, 2)) if 0 < v < 1]


@pytest.mark.parametrize("n", [2, 3, 7, 49, 64, 1000, 1025, 128_256])
@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_flat_rows_are_cut_exactly(dtype, n, rng):
    x = np.full(n, -2.5, dtype)
    for k in {1, 2, n // 3, n // 2, n - 1, int(rng.integers(1, n))}:
        for p in around(k / n):
            count = max(ceil(Fraction(float(p)) * n), 1)
            for name in ("top_p", "typical_p"):
                for temperature in (0.7, np.inf):
                    kept = np.flatnonzero(fs.truncate(x, temperature, **{name: p}) > -np.inf)
                    np.testing.assert_array_equal(kept, np.arange(count), err_msg=f"{name}={p!r}")
            most = max(int(Fraction(float(p)) * n), 1)
            np.testing.assert_array_equal(np.flatnonzero(fs.truncate(x, 0.7, top_h=p) > -np.inf), np.arange(most))
    assert (fs.truncate(x, 0.7, p_less=True, top_a=1.0) > -np.inf).all()


@pytest.mark.parametrize("n", [5, 63, 1000, 9000])
@pytest.mark.parametrize("dtype", FLOATS, **by_name)
def test_flat_rows_with_holes_are_cut_exactly(dtype, n, rng):
    x = np.where(rng.random(n) < 0.4, -np.inf, 7.0).astype(dtype)
    x[-1] = 7.0
    finite = np.flatnonzero(x > -np.inf)
    for p in around(rng.integers(1, finite.size + 1) / finite.size) + [0.5, 0.1, 0.9]:
        kept = np.flatnonzero(fs.truncate(x, 0.3, top_p=p) > -np.inf)
        np.testing.assert_array_equal(kept, finite[: ceil(Fraction(float(p)) * finite.size)])


@pytest.mark.parametrize("k", [3, 10, 700])
def test_rows_that_a_filter_left_flat_are_cut_exactly(k):
    x = np.repeat([2.0, 1.0], 1000).astype(np.float32)
    for p in around((k // 2) / k):
        kept = np.flatnonzero(fs.truncate(x, top_k=k, top_p=p) > -np.inf)
        np.testing.assert_array_equal(kept, np.arange(ceil(Fraction(float(p)) * k)))


def kept_of_counts(counts, **filters):
    """The indices that sample_probs ever draws from counts that sum to less than 600."""
    u = (np.arange(600) + 0.5) / 600
    return np.unique(fs.sample_probs(counts, size=600, u=u, **filters)).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64], **by_name)
def test_counts_are_cut_exactly(dtype, rng):
    # Shares of counts are fractions, which are compared with the doubles at, below and above them.
    for _ in range(cases(200)):
        counts = rng.integers(0, 12, size=rng.integers(2, 9))
        counts[rng.integers(counts.size)] += 1
        total = int(counts.sum())
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        before = np.cumsum(counts[order]) - counts[order]
        for p in around(rng.integers(1, total) / total if total > 1 else 0.5):
            expected = [i for i, s in zip(order, before, strict=True) if Fraction(int(s), total) < Fraction(float(p))]
            assert kept_of_counts(counts.astype(dtype), top_p=p) == sorted(expected), (counts, p)
        for name, whole in (("min_p", int(counts.max())), ("epsilon_cutoff", total)):
            for value in around(rng.choice(counts[order]) / whole):
                expected = [i for i in order if Fraction(int(counts[i]), whole) >= Fraction(float(value))]
                kept = kept_of_counts(counts.astype(dtype), **{name: value})
                assert kept == sorted(expected or [order[0]]), (counts, name, value)
        a = float(rng.choice([1.0, 0.5, 0.25, 0.75]))
        expected = [i for i in order if counts[i] * total >= Fraction(a) * int(counts.max()) ** 2]
        assert kept_of_counts(counts.astype(dtype), top_a=a) == sorted(expected), (counts, a)
        expected = [i for i in order if counts[i] * total >= int((counts**2).sum())]
        assert kept_of_counts(counts.astype(dtype), p_less=True) == sorted(expected), counts

"""The reference itself against mpmath, and the fast functions against the reference."""

import ast
import doctest
import inspect
import math
import pkgutil
import random
import sys
from importlib import import_module

import mpmath
import numpy as np
import pytest
import reference_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import LAST_U, share_tolerance

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = math.inf, math.nan
FILES = [import_module(f"{reference.__name__}.{file.name}") for file in pkgutil.iter_modules(reference.__path__)]

finite = st.floats(-1e4, 1e4, allow_subnormal=False)
temperatures = st.floats(1e-3, 30.0)
uniforms = st.floats(0.0, 1.0, exclude_max=True)
rows = st.lists(finite, min_size=1, max_size=40)


def mp_softmax(x, temperature):
    """softmax, log_softmax and logsumexp of a finite row in 60 digits."""
    with mpmath.workdps(60):
        maximum, t = mpmath.mpf(max(x)), mpmath.mpf(temperature)
        below = [(mpmath.mpf(v) - maximum) / t for v in x]
        # One maximal entry is the 1 of log1p.
        others = sorted(below)[:-1]
        log_total = mpmath.log1p(mpmath.fsum(map(mpmath.exp, others)))
        logp = [v - log_total for v in below]
        return [mpmath.exp(v) for v in logp], logp, maximum / t + log_total


def relative_error(got, exact):
    with mpmath.workdps(60):
        if abs(exact) < 1e-300:
            return float(abs(got - exact) / mpmath.mpf("1e-300"))
        return float(abs((got - exact) / exact))


# Two roundings of exp and one division, or as many of log1p and a sum.
FEW_ULP = 4 * 2.0**-52


# The reference


@pytest.mark.parametrize("temperature", [1e-3, 0.3, 1.0, 1.7, 30.0])
def test_reference_formulas_agree_with_mpmath(temperature):
    source = random.Random(5)
    for n in (1, 2, 3, 10, 50):
        for spread in (0.1, 1.0, 30.0):
            for offset in (0.0, 1e4, -300.0):
                x = [source.gauss(0, spread * temperature) + offset for _ in range(n)]
                p, logp, log_total = mp_softmax(x, temperature)
                assert max(map(relative_error, reference.softmax(x, temperature), p)) < FEW_ULP
                assert max(map(relative_error, reference.log_softmax(x, temperature), logp)) < FEW_ULP
                if abs(log_total) > max(x) / temperature / 2:
                    assert relative_error(reference.logsumexp(x, temperature), log_total) < FEW_ULP


def test_reference_is_accurate_near_zero():
    assert reference.logsumexp([0.0, -40.0]) == 4.248354255291589e-18
    assert reference.log_softmax([0.0, -40.0]) == [-4.248354255291589e-18, -40.0]


def test_reference_takes_any_floats_without_overflow():
    largest = 1.7976931348623157e308
    assert reference.softmax([largest, -largest], 5e-324) == [1.0, 0.0]
    assert reference.log_softmax([largest, -largest]) == [0.0, -INF]
    assert reference.logsumexp([largest, largest], 0.5) == INF
    odds = math.e / (1 + math.e)
    assert reference.softmax([5e-324, 0.0], 5e-324) == pytest.approx([odds, 1 - odds], rel=1e-15)


@pytest.mark.parametrize(
    "temperature, expected",
    [
        (2.0, [0.18632372, 0.30719589, 0.50648039]),
        (1.0, [0.09003057, 0.24472847, 0.66524096]),
        (0.5, [0.01587624, 0.11731043, 0.86681333]),
    ],
)
def test_reference_gives_the_numbers_the_package_began_with(temperature, expected):
    # Printed with eight decimals.
    assert reference.softmax([1, 2, 3], temperature) == pytest.approx(expected, abs=5.1e-9, rel=0)


def test_reference_softmax_of_special_values():
    softmax = reference.softmax
    assert softmax([-INF, 0.0, 0.0]) == [0.0, 0.5, 0.5]
    assert softmax([INF, 0.0, INF, -INF]) == [0.5, 0.0, 0.5, 0.0]
    assert softmax([1.0, 3.0, 3.0], 0.0) == [0.0, 0.5, 0.5]
    assert softmax([1.0, INF, -INF, -9.0], INF) == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], rel=1e-15)
    for x in ([-INF, -INF], [NAN, INF], [0.0, NAN]):
        for temperature in (0.0, 1.0, INF):
            assert all(map(math.isnan, softmax(x, temperature)))


def test_reference_logsumexp_of_special_values():
    logsumexp = reference.logsumexp
    assert logsumexp([-INF, -INF]) == -INF
    assert logsumexp([INF, -INF]) == logsumexp([INF, 1.0], INF) == INF
    assert math.isnan(logsumexp([NAN, INF]))
    assert [logsumexp([x, x - 1], 0.0) for x in (2.0, 0.0, -2.0)] == [INF, 0.0, -INF]
    assert logsumexp([1.0, -INF, 3.0], INF) == pytest.approx(math.log(2), rel=1e-15)


def test_reference_draw_is_the_smallest_index_whose_cumulative_weight_exceeds_u_times_the_total():
    weights = [1, 0, 2, 0, 0, 5]
    below = [math.nextafter(b, 0) for b in (0.125, 0.375, 1.0)]
    assert [reference.sample_probs(weights, u=u) for u in (0.0, 0.125, 0.375, LAST_U)] == [0, 2, 5, 5]
    assert [reference.sample_probs(weights, u=u) for u in below] == [0, 2, 5]


def test_reference_draw_of_special_rows():
    sample, sample_probs = reference.sample, reference.sample_probs
    assert sample([1.0, 3.0, 3.0], 0.0, u=0.9, return_logprob=True) == (1, 0.0)
    assert [sample([0.0, INF, INF], u=u) for u in (0.49, 0.5)] == [1, 2]
    assert [sample([0.0, -INF, 9.0], INF, u=u) for u in (0.49, 0.5)] == [0, 2]
    for x, reason in (([NAN, 1.0], "NaN"), ([-INF, -INF], "no entry above -inf")):
        with pytest.raises(ValueError, match=reason):
            sample(x, u=0.5)
    for p in ([0.0, 0.0], [-0.5, 1.0], [NAN, 1.0], [INF, 1.0]):
        with pytest.raises(ValueError, match="probabilities are"):
            sample_probs(p, u=0.5)


def test_reference_mask_and_bias():
    sample = reference.sample
    x = [0.0] * 40
    only_35 = [i == 35 for i in range(40)]
    assert sample(x, mask=only_35, u=0.0) == 35 and sample(x, mask=[not m for m in only_35], u=0.0) == 0
    assert sample(x, bias=[INF if i == 7 else 0.0 for i in range(40)], u=0.9) == 7
    assert reference.sample_probs([1, 1], bias=[-math.log(3), 0.0], u=0.26) == 1
    assert reference.sample_probs([NAN, 1, -1], mask=[False, True, False], u=0.26) == 1


def test_the_rows_of_a_batch_are_single_calls_of_the_reference():
    """That the adapter asks what the fast functions are asked."""
    x = [[0.0] * 40, [0.0] * 40]
    assert reference_rows.sample(x, mask=[[0, 1 << 3], [-(2**31), 0]], u=0.9).tolist() == [35, 31]
    assert reference_rows.sample(x, bias={7: INF}, u=[[0.1, 0.9], [0.2, 0.3]], size=2).tolist() == [[7, 7], [7, 7]]
    assert reference_rows.sample(x, [1.0, 0.0], u=[0.99, 0.99]).tolist() == [39, 0]
    assert reference_rows.truncate([[1, 2], [3, 4]], [1.0, 2.0], top_k=[1, 2]).tolist() == [[-INF, 2.0], [1.5, 2.0]]


CLASSES = ("Candidates", "DraftVerdict", "Summary", "TopLogprobs")  # that functions make, not callers
# What a fast function has for arrays, batches and other memories, and the names of one row and one key.
OF_ARRAYS = {"axis", "out", "keepdims", "size", "rng", "on_invalid", "lengths", "entries", "logsumexp"}
OF_ARRAYS |= {"x", "logits", "logits_shard", "probs", "keys"}
OF_ONE_ROW = {"x", "p", "key", "stream", "mirostat_mu", "adaptive_aim"}


def parameters_of(function):
    given = dict(inspect.signature(function).parameters)
    if given.pop("filters", None):
        given |= inspect.signature(reference._filters.Filters).parameters
    return {name: parameter.default for name, parameter in given.items()}


@pytest.mark.parametrize("name", [name for name in reference.__all__ if name not in CLASSES])
def test_reference_has_the_public_names_and_their_parameters(name):
    fast, slow = (parameters_of(getattr(module, name)) for module in (fs, reference))
    # A shard's mask and bias are applied to it before, and its entries are looked at without their numbers.
    shards = "summar" in name or name in ("candidates", "mass_of_shard", "sums_of_shard")
    of_shards = {"mask", "bias", "offset", "return_logprob"} if shards else set()
    assert slow.keys() - fast.keys() <= OF_ONE_ROW and fast.keys() - slow.keys() <= OF_ARRAYS | of_shards
    for parameter in fast.keys() & slow.keys() - {"u", "xtc_u"}:
        # None switches a filter off, and so does the reference's default.
        assert fast[parameter] is None or fast[parameter] == slow[parameter]


def test_reference_exports_the_public_names_only():
    of_arrays = {
        "__version__", "candidates_nbytes", "get_include", "get_num_threads", "reference", "schedules",
        "set_num_threads", "show_config", "summary_nbytes",
    }  # fmt: skip
    # Which are sample with some of its arguments held, or functions of one row for each of many.
    held = {"Categorical", "Sampler", "SegmentedRows"}
    assert set(reference.__all__) == set(fs.__all__) - of_arrays - held
    assert {name for name in dir(reference) if not name.startswith("_")} == set(reference.__all__)
    for name in ("DraftVerdict", "TopLogprobs"):
        assert getattr(reference, name)._fields == getattr(fs, name)._fields


def test_reference_imports_the_standard_library_only():
    imported = set()
    for file in FILES:
        for node in ast.walk(ast.parse(inspect.getsource(file))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert imported <= set(sys.stdlib_module_names) | {"__future__", "collections.abc"}


def test_reference_examples_run():
    results = [doctest.testmod(file) for file in FILES]
    assert sum(r.attempted for r in results) > 15 and sum(r.failed for r in results) == 0


# The fast functions against the reference

OF_FAST = {np.float32: 4 * 2.0**-23, np.float64: 8 * 2.0**-52}
TINY = {np.float32: 2.0**-126 * OF_FAST[np.float32], np.float64: 2.0**-1022 * OF_FAST[np.float64]}
both_dtypes = pytest.mark.parametrize("dtype", OF_FAST, ids=lambda t: t.__name__)


def stored(x, dtype):
    """The row in the dtype, and the numbers that are stored in it as a list."""
    row = np.array(x, dtype)
    return row, row.tolist()


@both_dtypes
@given(x=rows, temperature=temperatures)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_fast_softmax_agrees_with_the_reference(dtype, x, temperature):
    row, numbers = stored(x, dtype)
    # Contract 2, rounded up to cover the reference's own error.
    close = {"rtol": OF_FAST[dtype], "atol": TINY[dtype]}
    np.testing.assert_allclose(fs.softmax(row, temperature), reference.softmax(numbers, temperature), **close)
    logp = reference.log_softmax(numbers, temperature)
    np.testing.assert_allclose(fs.log_softmax(row, temperature), logp, **close)
    # Where max / temperature and the rest cancel, the error is that of the terms.
    close["atol"] += abs(max(numbers)) / temperature * OF_FAST[dtype]
    log_total = reference.logsumexp(numbers, temperature)
    np.testing.assert_allclose(fs.logsumexp(row, temperature), log_total, **close)


special = st.sampled_from([INF, -INF, NAN, 0.0, -0.0, 1.0, 1.0, -5.0])
special_temperatures = st.sampled_from([0.0, INF, 1e-3, 1.0, 30.0])


@both_dtypes
@given(x=st.lists(special, min_size=1, max_size=20), temperature=special_temperatures)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_fast_functions_agree_with_the_reference_on_special_values(dtype, x, temperature):
    row, numbers = stored(x, dtype)
    for name in ("softmax", "log_softmax", "logsumexp"):
        expected = getattr(reference, name)(numbers, temperature)
        np.testing.assert_allclose(getattr(fs, name)(row, temperature), expected, rtol=OF_FAST[dtype], atol=TINY[dtype])
    for u in (0.0, 0.37, LAST_U):
        expected = reference_rows.sample(numbers, temperature, u=u, on_invalid="flag", return_logprob=True)
        index, logprob = fs.sample(row, temperature, u=u, on_invalid="flag", return_logprob=True)
        assert index == expected[0]
        np.testing.assert_allclose(logprob, expected[1], rtol=OF_FAST[dtype], atol=OF_FAST[dtype])


def bracket(draw, u, tolerance):
    """The draws at u less and plus the tolerance, between which a draw lies: the index never falls with u."""
    return draw(max(u - tolerance, 0.0)), draw(min(u + tolerance, LAST_U))


@both_dtypes
@given(
    x=rows,
    temperature=temperatures | special_temperatures,
    u=uniforms,
    seed=st.integers(0, 2**32),
    with_mask=st.booleans(),
    with_bias=st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_fast_draw_agrees_with_the_reference(dtype, x, temperature, u, seed, with_mask, with_bias):
    row, numbers = stored([round(v) for v in x], dtype)
    source = random.Random(seed)
    parameters = {}
    if with_mask:
        parameters["mask"] = [source.random() < 0.7 for _ in x]
    if with_bias:
        parameters["bias"] = {i: float(source.randint(-8, 8)) for i in range(0, len(x), 2)}

    def draw(v):
        return reference_rows.sample(numbers, temperature, u=v, on_invalid="flag", **parameters)

    low, high = bracket(draw, u, share_tolerance(row.dtype, len(x)))
    assert low <= fs.sample(row, temperature, u=u, on_invalid="flag", **parameters) <= high


@both_dtypes
@given(
    p=st.lists(st.floats(0, 1e6, width=32) | st.just(0.0), min_size=1, max_size=40),
    temperature=st.floats(0.25, 30.0) | st.sampled_from([0.0, 1.0, INF]),
    u=uniforms,
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_fast_draw_from_probabilities_agrees_with_the_reference(dtype, p, temperature, u):
    row, numbers = stored(p, dtype)

    def draw(v):
        return reference_rows.sample_probs(numbers, temperature, u=v, on_invalid="flag")

    # Logarithms to 104 in size are rounded to 2^-47, and four times that at temperature 1/4.
    low, high = bracket(draw, u, share_tolerance(row.dtype, len(p)) + 2.0**-45)
    assert low <= fs.sample_probs(row, temperature, u=u, on_invalid="flag") <= high


@given(weights=st.lists(st.integers(0, 2**20), min_size=1, max_size=40), u=uniforms)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_fast_draw_from_integer_weights_is_the_reference_exactly(weights, u):
    expected = reference_rows.sample_probs(weights, u=u, on_invalid="flag")
    assert fs.sample_probs(weights, u=u, on_invalid="flag") == expected
    assert fs.sample_probs(np.array(weights, np.float32), u=u, on_invalid="flag") == expected


def test_fast_batches_agree_with_the_reference_row_by_row(rng):
    x = rng.normal(size=(30, 50))
    temperature = rng.uniform(0.2, 2, size=30)
    u = rng.random(30)
    drawn, logprobs = fs.sample(x, temperature, u=u, return_logprob=True)
    expected = reference_rows.sample(x, temperature, u=u, return_logprob=True)
    # These uniforms lie far enough from every boundary.
    np.testing.assert_array_equal(drawn, expected[0])
    np.testing.assert_allclose(logprobs, expected[1], rtol=8 * 2.0**-52, atol=8 * 2.0**-52)
    np.testing.assert_allclose(fs.softmax(x, temperature), reference_rows.softmax(x, temperature), rtol=8 * 2.0**-52)


def test_fast_sampler_is_sample_of_the_reference_at_the_temperature_of_the_step(rng):
    x = rng.normal(size=(20, 30))
    u = rng.random(20)
    schedule = fs.schedules.linear(2.0, 0.0, 15)
    fast = fs.Sampler(schedule)
    for step, (row, v) in enumerate(zip(x, u, strict=True)):
        assert fast(row, v) == reference.sample(row.tolist(), schedule(step), u=float(v))
    assert fast.step == 20

"""Contract 2: float32 within 3 ulp of the exact result for the stored numbers, float64 within 4.

Long rows are compared with longdouble arithmetic (its own error is below 0.01 ulp of a float64), short ones
with mpmath.
"""

import mpmath
import numpy as np
import oracles
import pytest
from oracles import max_ulp, needs_longdouble, ulp

import fastsoftmax as fs

TEMPERATURES = [1e-3, 0.01, 0.1, 0.3, 0.7, 1.0, 1.3, 3.0, 10.0, 30.0]
LENGTHS = [1, 2, 3, 7, 15, 16, 17, 31, 64, 65, 127, 500, 1000, 1023, 1024, 1025, 2047, 3000]
LIMIT = {np.dtype(np.float32): 3, np.dtype(np.float64): 4}

wide = pytest.mark.parametrize("dtype", LIMIT, ids=lambda d: d.name)


def rows_of_every_kind(rng, n, temperature, dtype):
    """Rows of n logits: narrow, as wide as the dtype's exp can tell apart, ties, steps, offsets to 1e4."""
    reach = 100 if dtype == np.float32 else 740
    rows = [
        rng.normal(size=n),
        rng.normal(size=n) * temperature * reach / 4,
        rng.uniform(-reach, 0, size=n) * temperature,
        np.linspace(-1, 1, n) * temperature * 8,
        np.round(rng.normal(size=n) * 4),
        np.zeros(n),
    ]
    rows += [rng.normal(size=n) * 3 * temperature + offset for offset in (-1e4, -300.0, 17.25, 700.0, 1e4)]
    return np.array(rows).astype(dtype)


def error_of_softmax(x, temperature):
    return max_ulp(fs.softmax(x, temperature), oracles.softmax(x, temperature))


def error_of_log_softmax(x, temperature):
    return max_ulp(fs.log_softmax(x, temperature), oracles.log_softmax(x, temperature))


def error_of_logsumexp(x, temperature):
    """In ulps of the larger of the result and max / temperature, for where these cancel."""
    exact = oracles.logsumexp(x, temperature)
    maximum = x.max(axis=-1).astype(np.longdouble) / np.longdouble(temperature)
    error = np.abs(fs.logsumexp(x, temperature).astype(np.longdouble) - exact)
    return float(np.max(error / ulp(np.maximum(np.abs(exact), np.abs(maximum)), x.dtype)))


each_error = pytest.mark.parametrize(
    "error_of", [error_of_softmax, error_of_log_softmax, error_of_logsumexp], ids=lambda f: f.__name__[9:]
)


@needs_longdouble
@wide
@each_error
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_results_are_within_their_ulps_of_exact(error_of, dtype, temperature, rng):
    worst = max(error_of(rows_of_every_kind(rng, n, temperature, dtype), temperature) for n in LENGTHS)
    assert worst <= LIMIT[dtype]


@needs_longdouble
@wide
@each_error
@pytest.mark.parametrize("n, temperature", [(2**15, 0.3), (2**15, 30.0), (2**18 + 5, 0.7)])
def test_long_rows_are_within_their_ulps_of_exact(error_of, dtype, n, temperature, rng):
    kinds = rows_of_every_kind(rng, n, temperature, dtype)
    # Of the longest, a wide one, a flat one and one at offset 1e4; one at a time, to bound the memory.
    chosen = kinds if n <= 2**15 else kinds[[1, 5, -1]]
    assert max(error_of(row[None], temperature) for row in chosen) <= LIMIT[dtype]


@needs_longdouble
@wide
def test_every_row_is_accurate_at_its_own_temperature(dtype, rng):
    temperature = np.exp(rng.uniform(np.log(1e-3), np.log(30), size=(300, 1)))
    x = (rng.normal(size=(300, 700)) * 4 * temperature + rng.uniform(-1e4, 1e4, size=(300, 1))).astype(dtype)
    p = fs.softmax(x, temperature[:, 0])
    assert max_ulp(p, oracles.softmax(x, temperature)) <= LIMIT[dtype]


@needs_longdouble
@wide
def test_probabilities_in_the_subnormal_range_are_within_their_ulps(dtype):
    lowest = np.log(np.finfo(dtype).smallest_subnormal.astype(np.float64))
    x = np.append(np.linspace(lowest - 1, lowest + 20, 4000), 0.0).astype(dtype)
    assert max_ulp(fs.softmax(x), oracles.softmax(x)) <= LIMIT[dtype]


@needs_longdouble
@wide
def test_numbers_near_the_ends_of_the_range_are_within_their_ulps(dtype):
    largest = np.finfo(dtype).max
    x = np.array(
        [
            [largest, -largest, 0.0, largest],
            [largest, np.nextafter(largest, dtype.type(0)), 1.0, -1.0],
            [-largest, -largest, -largest, -largest],
            [np.finfo(dtype).smallest_subnormal, 0.0, -0.0, np.finfo(dtype).tiny],
        ],
        dtype,
    )
    for temperature in (1e-3, 1.0, 30.0, float(largest)):
        assert max_ulp(fs.softmax(x, temperature), oracles.softmax(x, temperature)) <= LIMIT[dtype]


@wide
@pytest.mark.parametrize("n", [1, 5, 64, 1000, 1025, 2**18])
def test_float32_probabilities_sum_to_one_within_2_to_minus_22(dtype, n, rng):
    for temperature in (1e-3, 0.5, 1.0, 30.0):
        p = fs.softmax((5 * rng.normal(size=n)).astype(dtype), temperature)
        # Summed in float64, whose own rounding of 2^20 terms (pairwise) is below 2^-46.
        assert abs(p.sum(dtype=np.float64) - 1) <= (2.0**-22 if dtype == np.float32 else 2.0**-44)


# Against mpmath, on any platform


def exact_rows(x, temperature):
    """softmax, log_softmax and logsumexp of one row, in 120 digits; one maximal entry is the 1 of log1p."""
    with mpmath.workdps(120):
        t = mpmath.mpf(float(temperature))
        maximum = mpmath.mpf(float(x.max()))
        below = [(mpmath.mpf(float(v)) - maximum) / t for v in x]
        others = below[: x.argmax()] + below[x.argmax() + 1 :]
        log_total = mpmath.log1p(mpmath.fsum(map(mpmath.exp, others)))
        logp = [v - log_total for v in below]
        return [mpmath.exp(v) for v in logp], logp, maximum / t + log_total


def ulps_of(got, exact):
    """The error of one number of the dtype of got, in its ulps."""
    info = np.finfo(got.dtype)
    with mpmath.workdps(120):
        _, exponent = mpmath.frexp(exact)
        spacing = mpmath.ldexp(1, max(int(exponent) - 1, info.minexp) - info.nmant)
        return float(abs(mpmath.mpf(float(got)) - exact) / spacing)


@wide
@pytest.mark.parametrize("temperature", [1e-3, 0.3, 1.0, 1.7, 30.0])
def test_short_rows_are_within_their_ulps_of_mpmath(dtype, temperature, rng):
    for n in (1, 2, 5, 20):
        for x in rows_of_every_kind(rng, n, temperature, dtype):
            p, logp, log_total = exact_rows(x, temperature)
            assert max(map(ulps_of, fs.softmax(x, temperature), p)) <= LIMIT[dtype]
            assert max(map(ulps_of, fs.log_softmax(x, temperature), logp)) <= LIMIT[dtype]
            if all(abs(log_total) >= abs(v) / temperature for v in x.tolist()):
                assert ulps_of(fs.logsumexp(x, temperature), log_total) <= LIMIT[dtype]


@pytest.mark.parametrize(
    "x, temperature",
    [
        ([0.0, -40.0], 1.0),
        ([0.0, -80.0], 2.0),
        ([0.0, -20.0], 0.5),
        ([-40.0, 0.0, -41.0, -700.0], 1.0),
        ([0.0, -0.125], 0.001),
        ([0.0] + [-50.0] * 3000, 1.0),
        ([-45.0] * 1500 + [0.0] + [-44.0] * 1500, 1.0),
    ],
    ids=str,
)
@wide
def test_results_near_zero_keep_their_relative_accuracy(x, temperature, dtype):
    row = np.array(x, dtype)
    _, logp, log_total = exact_rows(row, temperature)
    assert abs(log_total) < 1e-8
    assert ulps_of(fs.logsumexp(row, temperature), log_total) <= LIMIT[dtype]
    likeliest = int(row.argmax())
    assert ulps_of(fs.log_softmax(row, temperature)[likeliest], logp[likeliest]) <= LIMIT[dtype]


def test_logsumexp_near_zero_is_the_number_semantics_gives():
    assert fs.logsumexp([0.0, -40.0]) == 4.248354255291589e-18
    assert fs.log_softmax([0.0, -40.0])[0] == -4.248354255291589e-18


@wide
def test_logsumexp_of_a_maximum_above_the_rest_is_that_maximum(dtype):
    for maximum in (-1e4, -1.0, 1e-30, 0.5, 1e4):
        x = np.array([maximum, -np.inf, maximum - 1e4], dtype)
        assert fs.logsumexp(x) == x[0]


@needs_longdouble
@wide
def test_short_rows_that_one_entry_dominates_are_accurate(dtype):
    # The rounding of a plain sum shows here, and only in many rows: 3.6 ulp once in 300,000 of them.
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(40_000, 64)) * 5).astype(dtype)
    temperature = 0.699999988079071
    assert max_ulp(fs.softmax(x, temperature), oracles.softmax(x, temperature)) <= LIMIT[dtype]


def dominated_rows(rng, count, n, dtype):
    """Rows with maximum 0 at any place, whose other entries together weigh from a subnormal number to about 1."""
    reach = 100 if dtype == np.float32 else 740
    total = -rng.uniform(0, 1, (count, 1)) ** 3 * (reach - np.log(n))
    spread = rng.choice([0.0, 1e-3, 1.0, 5.0], (count, 1))
    x = np.minimum(total - np.log(n) + spread * rng.normal(size=(count, n)), -1e-3)
    x[np.arange(count), rng.integers(n, size=count)] = 0
    return x.astype(dtype)


@needs_longdouble
@wide
@pytest.mark.parametrize(
    "count, n",
    [(2000, 2), (2000, 6), (2000, 16), (2000, 64), (1000, 65), (300, 512), (300, 513), (100, 1500), (30, 10_240),
     (8, 65_536), (6, 128_256), (3, 2**20)],
)  # fmt: skip
def test_what_a_dominant_entry_leaves_is_accurate_at_any_length(count, n, dtype, rng):
    x = dominated_rows(rng, count, n, dtype)
    exact = oracles.logsumexp(x)
    assert max_ulp(fs.logsumexp(x), exact) <= LIMIT[dtype]
    assert max_ulp(fs.log_softmax(x), oracles.log_softmax(x)) <= LIMIT[dtype]
    # float64 whatever the row is; of the likeliest entry, the negative of the same number
    _, drawn = fs.sample(x, u=np.full(count, 0.5), return_logprob=True)
    of_top = fs.top_logprobs(x, 1).logprobs[:, 0]
    likeliest = exact < np.log(2.0)
    bound = 4 if dtype == np.float64 else 3 * 2**29
    for logprob in (of_top, drawn[likeliest]):
        assert max_ulp(logprob, -exact[likeliest] if logprob is not of_top else -exact) <= bound


@needs_longdouble
@pytest.mark.parametrize("n", [2, 65, 66, 600, 5000, 70_000])
def test_the_rest_is_accurate_down_to_subnormal_sums(n):
    x = np.full(n, -745.838)
    x[0] = 0
    rest = (n - 1) * np.exp(np.longdouble(-745.838))
    assert abs(np.longdouble(fs.logsumexp(x)) - rest) <= 4 * 2.0**-1074
    assert abs(np.longdouble(fs.log_softmax(x)[0]) + rest) <= 4 * 2.0**-1074
    assert n < 65 or fs.logsumexp(x) > 0

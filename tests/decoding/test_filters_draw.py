"""Drawing with filters: only what is kept, by inverse CDF, and nothing but the row's own numbers decides."""

import threading

import numpy as np
import oracles
import pytest
from oracles import DTYPES, GRID_U, LAST_U, assert_inverts_cdf, bits, needs_longdouble, share_tolerance

import fastsoftmax as fs

INF = np.inf
XTC = {"xtc_threshold": 0.02, "xtc_probability": 0.5}
CASES = [
    {"top_k": 1},
    {"top_k": 7},
    {"top_p": 0.9},
    {"top_k": 40, "top_p": 0.8},
    {"min_p": 0.1},
    {"typical_p": 0.5},
    {"top_n_sigma": 1.5},
    {"epsilon_cutoff": 0.01},
    {"eta_cutoff": 0.02},
    {"dynatemp_range": 0.4, "top_p": 0.95},
    {"top_p": 0.9, "min_p": 0.02, "temperature_last": True},
    {"xtc_threshold": 0.02, "xtc_probability": 1.0, "top_k": 60},
    {"top_k": 100, "typical_p": 0.9, "top_n_sigma": 3.0, "epsilon_cutoff": 1e-4, "min_tokens_to_keep": 3},
]
cases = pytest.mark.parametrize("filters", CASES, ids=lambda f: "+".join(f))


def coin(filters, value=0.0):
    return {"xtc_u": value} if "xtc_threshold" in filters else {}


# Only what is kept


@cases
@pytest.mark.parametrize("n", [3, 60, 1500, 9000])
def test_nothing_outside_the_kept_set_is_ever_drawn(filters, n, dtype, rng):
    x = (3 * rng.normal(size=n)).astype(dtype)
    x[rng.random(n) < 0.2] = -INF
    x[n // 2] = 1.0
    kept = fs.truncate(x, 0.8, **filters, **coin(filters)) > -INF
    u = np.unique(np.concatenate([GRID_U, rng.random(500), [np.nextafter(1, 0)]]))
    drawn = fs.sample(x, 0.8, size=u.size, u=u, **filters, **coin(filters))
    assert kept[drawn].all()
    assert (np.diff(drawn) >= 0).all()
    assert kept[: drawn[0]].sum() == kept[drawn[-1] + 1 :].sum() == 0 or n > 60


@needs_longdouble
@cases
@pytest.mark.parametrize("n", [5, 300, 4000])
@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_draw_is_the_inverse_cdf_of_the_kept(filters, n, narrow, rng):
    x = (3 * rng.normal(size=n)).astype(narrow)
    truncated = fs.truncate(x, 0.8, **filters, **coin(filters))
    kept = truncated > -INF
    # The temperature that was used: dynamic temperature has its own.
    temperature = 0.8
    if "dynatemp_range" in filters:
        temperature = float(np.median(x[kept].astype(float) / truncated[kept]))
    weights = np.zeros(n, np.longdouble)
    weights[kept] = oracles.softmax(x[kept], temperature)
    u = np.unique(np.concatenate([GRID_U, rng.random(300)]))
    drawn = fs.sample(x, 0.8, size=u.size, u=u, **filters, **coin(filters))
    tolerance = share_tolerance(x.dtype, n)
    if "dynatemp_range" in filters:
        tolerance *= 64
    assert_inverts_cdf(drawn, weights, u, tolerance)


@needs_longdouble
@cases
@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_logprob_is_that_of_the_distribution_drawn_from(filters, narrow, rng):
    x = (3 * rng.normal(size=(40, 500))).astype(narrow)
    u = rng.random(40)
    drawn, logprobs = fs.sample(x, 0.8, u=u, return_logprob=True, **filters, **coin(filters))
    assert bits(drawn) == bits(fs.sample(x, 0.8, u=u, **filters, **coin(filters)))
    for row, index, logprob in zip(x, drawn, logprobs, strict=True):
        truncated = fs.truncate(row, 0.8, **filters, **coin(filters))
        if "dynatemp_range" in filters:
            expected = fs.log_softmax(truncated.astype(float))[index]
        else:
            kept = np.flatnonzero(truncated > -INF)
            expected = oracles.log_softmax(row[kept], 0.8)[np.searchsorted(kept, index)]
        np.testing.assert_allclose(logprob, float(expected), rtol=1e-5, atol=1e-6 if narrow == np.float32 else 1e-13)


def test_all_draws_of_a_row_come_from_one_kept_set(dtype, rng):
    x = (3 * rng.normal(size=(4, 300))).astype(dtype)
    u = rng.random((4, 5000))
    together = fs.sample(x, size=5000, u=u, top_p=0.9, min_p=0.01)
    for k in (1, 3, 200):
        assert bits(fs.sample(x, size=k, u=u[:, :k], top_p=0.9, min_p=0.01)) == bits(together[:, :k])
    # One coin a row: a row whose coin says yes never draws its likeliest entry.
    p = np.tile([0.5, 0.3, 0.1, 0.1], (2, 1))
    drawn = fs.sample_probs(p, size=400, u=rng.random((2, 400)), xtc_threshold=0.2, xtc_probability=0.5,
                            xtc_u=[0.4, 0.6])  # fmt: skip
    assert [np.unique(row).tolist() for row in drawn] == [[1, 2, 3], [0, 1, 2, 3]]


def test_sample_probs_is_sample_of_the_logarithms(rng):
    p = rng.dirichlet(np.ones(200), size=50)
    u = rng.random(50)
    for filters in CASES:
        for temperature in (1.0, 0.6):
            from_probs = fs.sample_probs(p, temperature, u=u, **filters, **coin(filters))
            from_logits = fs.sample(np.log(p), temperature, u=u, **filters, **coin(filters))
            # log rounds: a boundary within 1e-13 of u or of a filter may fall the other way in one row of 1e10.
            np.testing.assert_array_equal(from_probs, from_logits)


# Rows that cannot be drawn from


def test_invalid_rows_are_named_or_flagged(rng):
    x = rng.normal(size=(5, 20))
    x[2], x[4, 3] = -INF, np.nan
    for filters in ({"top_k": 3}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.5}):
        with pytest.raises(ValueError, match=r"row\D*\b2\b"):
            fs.sample(x, **filters)
        drawn, logprobs = fs.sample(x, u=0.3, on_invalid="flag", return_logprob=True, **filters)
        assert (drawn[[2, 4]] == -1).all() and np.isnan(logprobs[[2, 4]]).all()
        for i in (0, 1, 3):
            assert drawn[i] == fs.sample(x[i], u=0.3, **filters)


# Nothing but the row decides


@cases
def test_result_of_a_row_does_not_depend_on_batch_or_row_order(filters, dtype, rng):
    for n in (6, 700, 5000):
        x = (3 * rng.normal(size=(13, n))).astype(dtype)
        temperature, u, coins = rng.uniform(0.3, 2, size=13), rng.random(13), rng.random(13)
        order = rng.permutation(13)
        drawn = fs.sample(x, temperature, u=u, **filters, **coin(filters, coins))
        again = fs.sample(x[order], temperature[order], u=u[order], **filters, **coin(filters, coins[order]))
        assert bits(again) == bits(drawn[order])
        truncated = fs.truncate(x, temperature, **filters, **coin(filters, coins))
        for i in range(13):
            alone = filters | coin(filters, coins[i])
            assert fs.sample(x[i], temperature[i], u=u[i], **alone) == drawn[i]
            assert bits(fs.truncate(x[i], temperature[i], **alone)) == bits(truncated[i])


class Exporter:
    """An array of another library: nothing but the two methods of the DLPack protocol."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **keywords):
        return self._array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def misaligned(x):
    raw = np.empty(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


LAYOUTS = {
    "strided": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
    "negative strides": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "fortran": np.asfortranarray,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "misaligned": misaligned,
    "read-only": read_only,
    "dlpack": Exporter,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("narrow", [np.float32, np.float64, np.float16])
def test_layout_does_not_matter(layout, narrow, rng):
    for n in (9, 2500):
        x = (3 * rng.normal(size=(6, n))).astype(narrow)
        u = rng.random(6)
        other = LAYOUTS[layout](x)
        for filters in CASES:
            every = filters | coin(filters)
            assert bits(fs.sample(other, 0.8, u=u, **every)) == bits(fs.sample(x, 0.8, u=u, **every))
            assert bits(fs.truncate(other, 0.8, **every)) == bits(fs.truncate(x, 0.8, **every))


@pytest.mark.parametrize("sixteen", DTYPES[2:], ids=lambda d: d.name)
def test_16_bit_rows_are_drawn_as_their_float32_values(sixteen, rng):
    x = (3 * rng.normal(size=(60, 400))).astype(sixteen)
    u = rng.random(60)
    for filters in CASES:
        every = filters | coin(filters)
        assert bits(fs.sample(x, 0.8, u=u, **every)) == bits(fs.sample(x.astype(np.float32), 0.8, u=u, **every))


def test_threads_of_the_caller_get_what_one_thread_gets(rng):
    x = (3 * rng.normal(size=(8, 5, 6000))).astype(np.float32)
    u = rng.random((8, 40, 5))
    expected = [[fs.sample(x[t], 0.8, u=v, **CASES[j % 11]) for j, v in enumerate(u[t])] for t in range(8)]
    results, barrier = [None] * 8, threading.Barrier(8)

    def draw(t):
        barrier.wait()
        results[t] = [fs.sample(x[t], 0.8, u=v, **CASES[j % 11]) for j, v in enumerate(u[t])]

    threads = [threading.Thread(target=draw, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, want in zip(results, expected, strict=True):
        assert [bits(a) for a in got] == [bits(b) for b in want]


# Streams


@pytest.mark.parametrize("size", [None, 4, (2, 3)])
def test_one_uniform_for_each_draw_in_order(size, rng):
    x = rng.normal(size=(3, 2, 50))
    shape = () if size is None else (size,) if isinstance(size, int) else size
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    drawn = fs.sample(x, size=size, rng=generator, top_k=9, top_p=0.8)
    assert bits(drawn) == bits(fs.sample(x, size=size, u=same.random((3, 2, *shape)), top_k=9, top_p=0.8))
    assert generator.random() == same.random()


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("probability", [0.5, [[0.0], [0.0], [0.7]]], ids=["scalar", "one row"])
def test_coins_of_all_rows_come_before_the_draws(size, probability, rng):
    x = rng.normal(size=(3, 2, 50))
    xtc = {"xtc_threshold": 0.02, "xtc_probability": probability}
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    drawn = fs.sample(x, size=size, rng=generator, **xtc)
    coins = same.random((3, 2))
    u = same.random((3, 2) if size is None else (3, 2, size))
    assert bits(drawn) == bits(fs.sample(x, size=size, u=u, xtc_u=coins, **xtc))
    assert generator.random() == same.random()
    # truncate takes the coins alone.
    generator, same = np.random.default_rng(6), np.random.default_rng(6)
    assert bits(fs.truncate(x, rng=generator, **xtc)) == bits(fs.truncate(x, xtc_u=same.random((3, 2)), **xtc))
    assert generator.random() == same.random()


def test_without_xtc_no_coin_is_taken(rng):
    x = rng.normal(size=(3, 50))
    for off in ({"xtc_threshold": 0.6, "xtc_probability": 1.0}, {"xtc_threshold": 0.1, "xtc_probability": 0.0}):
        generator, same = np.random.default_rng(5), np.random.default_rng(5)
        assert bits(fs.sample(x, rng=generator, **off)) == bits(fs.sample(x, u=same.random(3)))
        fs.truncate(x, rng=generator, **off)
        assert generator.random() == same.random()


def test_xtc_happens_as_often_as_it_should():
    p = np.tile([0.6, 0.4], (100_000, 1))
    drawn = fs.sample_probs(p, rng=11, xtc_threshold=0.3, xtc_probability=0.25)
    # Entry 0: 0.75 · 0.6. Six standard deviations: a false alarm in 5e8 seeds.
    assert abs(np.mean(drawn == 0) - 0.45) < 6 * np.sqrt(0.45 * 0.55 / 100_000)


def test_last_uniform_reaches_the_last_kept_entry(dtype):
    x = np.array([0.0, 1.0, 1.0, 1.0, -1.0], dtype)
    assert fs.sample(x, u=LAST_U, top_k=2) == 2
    assert fs.sample(x, u=0.0, top_k=2) == 1
    assert fs.sample(x, u=[0.0, LAST_U], size=2, top_p=0.99).tolist() == [0, 4]

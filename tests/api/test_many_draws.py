"""size=k: a draw never depends on how many are made with it, and every one is that of the exact inverse."""

import numpy as np
import pytest
from oracles import DTYPES, LAST_U

import fastsoftmax as fs

# A few draws are made without the table of bounds that many have; see fs_guide_pays in csrc/draw/guide_table.h.
FEW = 63


def a_few_at_a_time(draw, u):
    parts = [draw(u[i : i + FEW]) for i in range(0, u.size, FEW)]
    return np.concatenate(parts)


def assert_never_depends_on_how_many(draw, u):
    np.testing.assert_array_equal(draw(u), a_few_at_a_time(draw, u))


def awkward_uniforms(cumulative, rng, count=4000):
    """Near the bounds to the last bit and to 32 bits, at the ends, and anywhere."""
    bounds = rng.permutation(cumulative)[: count // 10]
    cut = np.floor(bounds * 2.0**32) / 2.0**32
    u = np.concatenate(
        [
            bounds, np.nextafter(bounds, 0), np.nextafter(bounds, 1), cut, np.nextafter(cut, 0), cut + 2.0**-32,
            [0.0, 5e-324, 2.0**-1030, 2.0**-40, 2.0**-33, LAST_U, 1 - 2.0**-33, 0.5, 0.25], rng.random(count),
        ]
    )  # fmt: skip
    return u[(u >= 0) & (u < 1)]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("n", [1, 2, 10, 511, 512, 513, 1000, 1024, 1025, 5000, 70_000])
def test_a_draw_never_depends_on_how_many_are_made(n, dtype, rng):
    x = (2 * rng.standard_normal(n)).astype(dtype)
    p = np.exp(x.astype(float))
    cumulative = np.cumsum(p) / p.sum()
    u = awkward_uniforms(cumulative, rng)
    assert_never_depends_on_how_many(lambda u: fs.sample(x, 0.7, size=u.size, u=u), u)
    assert_never_depends_on_how_many(lambda u: fs.sample(x, size=u.size, u=u), u)
    assert_never_depends_on_how_many(lambda u: fs.sample_probs(p.astype(dtype), size=u.size, u=u), u)
    assert_never_depends_on_how_many(lambda u: fs.sample_probs(p.astype(dtype), 1.5, size=u.size, u=u), u)


def test_many_draws_are_those_of_one_at_a_time(rng):
    x = rng.standard_normal(3000).astype(np.float32)
    u = rng.random(2000)
    assert fs.sample(x, size=2000, u=u).tolist() == [fs.sample(x, u=one) for one in u.tolist()]


@pytest.mark.parametrize("n", [3, 700, 1025, 20_000])
def test_integer_weights_are_inverted_exactly(n, rng):
    weights = rng.integers(0, 50, n)
    weights[-1] += 2**24 - weights.sum()  # then most bounds are uniforms themselves
    cumulative = np.cumsum(weights)
    u = awkward_uniforms(cumulative / 2**24, rng)
    expected = np.searchsorted(cumulative, np.floor(u * 2**24).astype(np.int64), side="right")
    np.testing.assert_array_equal(fs.sample_probs(weights.astype(float), size=u.size, u=u), expected)


@pytest.mark.parametrize("n", [2, 64, 1024, 4096, 2**16])
def test_equal_weights_are_inverted_exactly_where_every_uniform_is_a_bound(n):
    u = np.arange(2**17) / 2**17
    expected = (u * n).astype(np.int64)
    np.testing.assert_array_equal(fs.sample(np.zeros(n, np.float32), size=u.size, u=u), expected)
    np.testing.assert_array_equal(fs.sample_probs(np.ones(n), size=u.size, u=u), expected)


@pytest.mark.parametrize("n", [10, 1000, 3000])
def test_zero_probability_is_never_drawn_among_many(n, rng):
    x = rng.standard_normal(n)
    x[rng.random(n) < 0.7] = -np.inf
    x[[0, n - 1]] = -np.inf
    x[n // 2] = 0.0
    p = np.exp(x)
    u = awkward_uniforms(np.cumsum(p) / p.sum(), rng)
    assert (x[fs.sample(x, size=u.size, u=u)] > -np.inf).all()
    assert (p[fs.sample_probs(p, size=u.size, u=u)] > 0).all()


def test_events_of_two_to_the_minus_50_keep_their_probability():
    p = np.full(2000, 2.0**-50)
    p[1000] = 1.0
    u = np.arange(1000) * 2.0**-50 * (1 + 2.0**-20)
    drawn = fs.sample_probs(p, size=1000, u=u)
    np.testing.assert_array_equal(drawn, np.arange(1000))
    x = np.log(p)
    np.testing.assert_array_equal(
        fs.sample(x, size=1000, u=u), a_few_at_a_time(lambda u: fs.sample(x, size=u.size, u=u), u)
    )


@pytest.mark.parametrize("shape", ["one", "first", "last", "steep", "geometric", "crowds"])
@pytest.mark.parametrize("n", [50, 1500, 30_000])
def test_rows_of_any_shape(shape, n, rng):
    i = np.arange(n)
    x = {
        "one": np.where(i == n // 3, 0.0, -800.0),
        "first": np.where(i == 0, 0.0, -30.0),
        "last": np.where(i == n - 1, 0.0, -30.0),
        "steep": -3.0 * (i % 300),
        "geometric": -0.02 * i,
        "crowds": np.where(i % 64 == 0, 0.0, -9.0),
    }[shape]
    p = np.exp(x)
    u = awkward_uniforms(np.cumsum(p) / p.sum(), rng)
    for dtype in (np.float32, np.float64):
        narrow_x, narrow_p = x.astype(dtype), p.astype(dtype)
        assert_never_depends_on_how_many(lambda u, x=narrow_x: fs.sample(x, size=u.size, u=u), u)
        assert_never_depends_on_how_many(lambda u, p=narrow_p: fs.sample_probs(p, size=u.size, u=u), u)


@pytest.mark.parametrize("temperature", [0, 1e-300, 1e300, np.inf])
def test_temperatures_at_their_limits(temperature, rng):
    x = rng.standard_normal(1500)
    u = awkward_uniforms(np.arange(1, 1501) / 1500, rng)
    assert_never_depends_on_how_many(lambda u: fs.sample(x, temperature, size=u.size, u=u), u)
    x[[3, 700]] = np.inf
    assert_never_depends_on_how_many(lambda u: fs.sample(x, temperature, size=u.size, u=u), u)


def test_mask_bias_rows_and_axis(rng):
    x = rng.standard_normal((1100, 3)).astype(np.float32)
    mask, bias = rng.random((1100, 3)) < 0.5, rng.standard_normal((1100, 3))
    u = rng.random((3, 2000))
    drawn = fs.sample(x, axis=0, size=2000, u=u, mask=mask, bias=bias)
    for row in range(3):
        again = a_few_at_a_time(
            lambda u, row=row: fs.sample(x[:, row], size=u.size, u=u, mask=mask[:, row], bias=bias[:, row]), u[row]
        )
        np.testing.assert_array_equal(drawn[row], again)


@pytest.mark.parametrize("filters", [{"top_k": 50}, {"top_p": 0.9}, {"min_p": 0.01}, {"typical_p": 0.9}], ids=str)
def test_draws_after_filters_agree_too(filters, rng):
    x = rng.standard_normal(5000).astype(np.float32)
    u = np.concatenate([rng.random(3000), np.arange(64) / 64])
    assert_never_depends_on_how_many(lambda u: fs.sample(x, size=u.size, u=u, **filters), u)


def test_log_probabilities_of_many_draws(rng):
    x = rng.standard_normal(1500)
    index, logprob = fs.sample(x, size=3000, rng=1, return_logprob=True)
    np.testing.assert_allclose(logprob, fs.log_softmax(x)[index], rtol=1e-13)  # a few ulp of either


def test_a_generator_gives_one_double_a_draw(rng):
    x = rng.standard_normal(1500)
    g, h = np.random.default_rng(5), np.random.default_rng(5)
    np.testing.assert_array_equal(fs.sample(x, size=(40, 50), rng=g), fs.sample(x, size=(40, 50), u=h.random((40, 50))))
    assert g.random() == h.random()


@pytest.mark.parametrize("size", [1, 255, 256, 1000, (5, 700)])
@pytest.mark.parametrize(
    "arguments", [{}, {"temperature": 0}, {"temperature": np.inf}, {"mask": True}, {"bias": True}], ids=str
)
def test_uniforms_of_a_generator_are_those_it_writes_down(size, arguments, rng):
    x = rng.standard_normal(1300)[::2]
    arguments = {
        **arguments,
        **({"mask": rng.random(650) < 0.5} if "mask" in arguments else {}),
        **({"bias": rng.standard_normal(650)[::-1]} if "bias" in arguments else {}),
    }
    for draw, row in ((fs.sample, x), (fs.sample_probs, np.abs(x)), (fs.sample, x.astype(np.float16))):
        g, h = np.random.default_rng(5), np.random.default_rng(5)
        np.testing.assert_array_equal(
            draw(row, size=size, rng=g, **arguments), draw(row, size=size, u=h.random(size), **arguments)
        )
        assert g.random() == h.random()


@pytest.mark.parametrize("size", [3, 1000])
def test_a_row_that_cannot_be_drawn_from_takes_its_uniforms_all_the_same(size):
    x = np.full(20, -np.inf)
    g, h = np.random.default_rng(5), np.random.default_rng(5)
    assert (fs.sample(x, size=size, rng=g, on_invalid="flag") == -1).all()
    with pytest.raises(ValueError, match="no entry above -inf"):
        fs.sample(x, size=size, rng=g)
    h.random(2 * size)
    assert g.random() == h.random()


def test_an_invalid_row_is_rejected_and_flagged_as_ever():
    x = np.zeros((2, 1500))
    x[1] = -np.inf
    with pytest.raises(ValueError, match="row 1"):
        fs.sample(x, size=1000)
    drawn = fs.sample(x, size=1000, on_invalid="flag")
    assert (drawn[0] >= 0).all() and (drawn[1] == -1).all()


def test_shares_are_the_probabilities(rng):
    p = rng.random(300)
    drawn = fs.sample_probs(p, size=2**20, rng=3)
    expected = p / p.sum() * 2**20
    # chi-square of 299 degrees of freedom: false alarms 1e-9
    statistic = ((np.bincount(drawn, minlength=300) - expected) ** 2 / expected).sum()
    assert statistic < 463.0


def test_systematic_resampling_gives_every_weight_its_whole_part(rng):
    weights = rng.random(1000)
    k = 5000
    u = (rng.random() + np.arange(k)) / k
    counts = np.bincount(fs.sample_probs(weights, size=k, u=u), minlength=1000)
    share = weights / weights.sum() * k
    assert (counts >= np.floor(share - 1e-6)).all() and (counts <= np.ceil(share + 1e-6)).all()


def test_the_inverse_is_monotone(rng):
    x = rng.standard_normal(4000).astype(np.float32)
    drawn = fs.sample(x, size=100_000, u=np.sort(rng.random(100_000)))
    assert (np.diff(drawn) >= 0).all()

"""entropy, log_prob and kl_divergence against exact values, the reference, and other libraries."""

import mpmath
import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs
from fastsoftmax import reference

TEMPERATURES = [1e-3, 0.05, 0.3, 1.0, 2.5, 30.0]
LENGTHS = [1, 2, 3, 8, 17, 31, 32, 33, 64, 65, 512, 513, 1025, 2100]
# The largest relative error of an entropy: 3 units in the last place of float32, 4 of float64.
MOST = {np.dtype(np.float32): 3 * 2.0**-23, np.dtype(np.float64): 4 * 2.0**-52}
wide = pytest.mark.parametrize("dtype", MOST, ids=lambda d: d.name)


def exact_entropy(x, temperature):
    with mpmath.workdps(40):
        t, top = mpmath.mpf(float(temperature)), mpmath.mpf(float(x.max()))
        others = np.delete(x, x.argmax())
        deltas = [(top - mpmath.mpf(float(v))) / t for v in others if v > -np.inf]
        weights = [mpmath.exp(-d) for d in deltas]
        rest = mpmath.fsum(weights)
        return mpmath.log1p(rest) + mpmath.fdot(weights, deltas) / (1 + rest)


def exact_divergence(x, y, temperature):
    with mpmath.workdps(60):
        p, q = ([mpmath.mpf(float(v)) / mpmath.mpf(float(temperature)) for v in row] for row in (x, y))
        lp, lq = (mpmath.log(mpmath.fsum(map(mpmath.exp, row))) for row in (p, q))
        exact = mpmath.fsum(mpmath.exp(a - lp) * ((a - lp) - (b - lq)) for a, b in zip(p, q, strict=True))
        return max(exact, mpmath.mpf(0))


def rows_of_every_kind(rng, n, temperature, dtype):
    reach = 80 if dtype == np.float32 else 600
    rows = [
        rng.normal(size=n),
        rng.normal(size=n) * temperature * reach / 4,
        np.linspace(-1, 1, n) * temperature * 8,
        np.round(rng.normal(size=n) * 2),
        np.zeros(n),
        rng.normal(size=n) * 3 * temperature - 300,
        rng.normal(size=n) * 3 * temperature + 1e4,
        np.where(np.arange(n) == n // 2, 0, -rng.uniform(20, 40, n) * temperature),  # one entry dominates
        np.where(np.arange(n) == n // 3, 5, -rng.uniform(1.1, 1.15, n) * reach * temperature + 5),
        np.where(rng.random(n) < 0.7, -np.inf, rng.normal(size=n)),
    ]
    rows[-1][0] = 0
    return np.array(rows).astype(dtype)


@wide
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_entropy_keeps_its_relative_accuracy_however_small_it_is(dtype, temperature, rng):
    for n in LENGTHS:
        x = rows_of_every_kind(rng, n, temperature, dtype)
        got = fs.entropy(x, temperature)
        assert got.dtype == dtype and got.shape == (len(x),)
        for g, row in zip(got, x, strict=True):
            exact = exact_entropy(row, temperature)
            least = float(np.finfo(dtype).smallest_subnormal)
            assert abs(mpmath.mpf(float(g)) - exact) <= max(MOST[dtype] * exact, 2 * least), (n, row)


@wide
def test_entropy_of_long_rows(dtype, rng):
    for n in (2**15, 2**18 + 5, 600_000):
        for scale in (0.1, 5.0, 60.0):
            x = (rng.normal(size=n) * scale).astype(dtype)
            delta = x.max() - x.astype(np.longdouble)
            w = np.exp(-delta)
            exact = np.log1p(w.sum() - 1) + (w * delta).sum() / w.sum()
            assert abs(fs.entropy(x) - exact) <= MOST[dtype] * exact


@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-30, 0.7, 1.0, 1e30, 1e300, np.inf])
@pytest.mark.parametrize("kind", ["plain", "ties", "inf", "nan", "nothing", "some"])
def test_limits_are_those_of_the_reference(kind, temperature, dtype, rng):
    for n in (1, 3, 20, 70):
        x = rng.integers(-3, 4, (18, n)).astype(dtype)
        if kind == "plain":
            x += rng.normal(size=x.shape).astype(dtype)
        else:
            value = {"ties": 3.0, "inf": np.inf, "nan": np.nan, "nothing": -np.inf, "some": -np.inf}[kind]
            x[:, :: 1 if kind == "nothing" else 2] = value
        if kind == "some":
            x[:, 0] = 1
        index = rng.integers(0, n, 18)
        y = x[rng.permutation(18)]
        close = {"float32": 1e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 1e-2}[dtype.name]
        rows = x.astype(float).tolist()
        expected = [reference.entropy(row, temperature) for row in rows]
        np.testing.assert_allclose(fs.entropy(x, temperature).astype(float), expected, rtol=close)
        expected = [reference.log_prob(row, i, temperature) for row, i in zip(rows, index.tolist(), strict=True)]
        np.testing.assert_allclose(fs.log_prob(x, index, temperature), expected, rtol=1e-6, atol=1e-7)
        others = y.astype(float).tolist()
        expected = [reference.kl_divergence(row, other, temperature) for row, other in zip(rows, others, strict=True)]
        np.testing.assert_allclose(fs.kl_divergence(x, y, temperature), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 0.01, 0.7, 1.0, 40.0, np.inf])
@pytest.mark.parametrize("n", [1, 5, 16, 17, 33, 64, 65, 300, 1025, 5000])
def test_log_prob_is_that_of_the_draw_to_the_last_bit(n, temperature, dtype, rng):
    x = (rng.normal(size=(37, n)) * 4).astype(dtype)
    where = rng.random((37, n)) < 0.8
    where[:, n // 2] = True
    u = rng.random(37)
    index, expected = fs.sample(x, temperature, u=u, return_logprob=True)
    assert bits(fs.log_prob(x, index, temperature)) == bits(expected)
    index, expected = fs.sample(x, temperature, u=u, mask=where, return_logprob=True)
    assert bits(fs.log_prob(x, index, temperature, where=where)) == bits(expected)
    index, expected = fs.sample(x, temperature, size=5, u=rng.random((37, 5)), return_logprob=True)
    assert bits(fs.log_prob(x, index, temperature)) == bits(expected)
    assert bits(fs.log_prob(x, index[:, 0], temperature)) == bits(np.ascontiguousarray(expected[:, 0]))
    moved = np.ascontiguousarray(x.T)
    assert bits(fs.log_prob(moved, index, temperature, axis=0)) == bits(expected)
    assert fs.log_prob(x[0], int(index[0, 0]), temperature) == expected[0, 0]
    alone = fs.Categorical(x[1], temperature).log_prob(index[1])
    assert bits(fs.log_prob(x[1], index[1], temperature)) == bits(alone)


def test_log_prob_is_finite_wherever_log_p_is():
    x = np.array([-1.5e308, 1.5e308])
    for t in (2.0, 1e10, 1e200, 1e300):
        with mpmath.workdps(50):
            exact = float(2 * mpmath.mpf(-1.5e308) / mpmath.mpf(t))
        for row in (x, np.concatenate([x, np.full(600, -1.5e308)])):
            assert fs.log_prob(row, 0, t) == pytest.approx(exact, rel=1e-14)
            assert fs.Categorical(row, t).log_prob(0) == fs.log_prob(row, 0, t)
            assert fs.top_logprobs(row, 2, t).logprobs[1] == fs.log_prob(row, 0, t)
        many = np.tile(x, (40, 1))
        assert (fs.log_prob(many, np.zeros(40, int), t) == fs.log_prob(x, 0, t)).all()
        assert (fs.log_prob(np.asfortranarray(many), np.zeros(40, int), t) == fs.log_prob(x, 0, t)).all()
    assert fs.log_prob(x, 0, 1.0) == -np.inf


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-8, 1e-4, 0.1, 1.0, 20.0])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_divergence_is_accurate_where_rows_are_nearly_the_same(distance, temperature, rng):
    e = 2.0**-53
    for n in (1, 2, 5, 30, 600):
        x = rng.normal(size=n) * 3
        for offset in (0.0, 1.0, -300.0):
            y = x + rng.normal(size=n) * distance + offset
            got, exact = fs.kl_divergence(x, y, temperature), exact_divergence(x, y, temperature)
            r = np.abs(y - x).max() / temperature
            assert got >= 0
            bound = 16 * e * exact + 4 * e * (1 + r) * mpmath.sqrt(exact) + (4 * e * (1 + r)) ** 2
            assert abs(mpmath.mpf(float(got)) - exact) <= bound, (n, offset)
        assert fs.kl_divergence(x, x, temperature) == 0


def test_divergence_of_float32_is_computed_in_double(rng):
    x = rng.normal(size=50).astype(np.float32)
    y = np.nextafter(x, np.float32(9))
    got = fs.kl_divergence(x, y)
    assert got.dtype == np.float64
    assert got == pytest.approx(float(exact_divergence(x, y, 1.0)), rel=1e-6)
    assert fs.kl_divergence(x, y.astype(float)) == fs.kl_divergence(x.astype(float), y.astype(float))
    assert fs.kl_divergence(x.astype(np.float16), y) == fs.kl_divergence(x.astype(np.float16).astype(np.float32), y)


def test_divergence_where_an_entry_is_missing():
    inf = np.inf
    assert fs.kl_divergence([0.0, 0.0], [0.0, -inf]) == inf
    assert fs.kl_divergence([0.0, -inf], [0.0, 0.0]) == pytest.approx(np.log(2), rel=1e-15)
    assert fs.kl_divergence([0.0, -inf], [0.0, -inf]) == 0
    assert fs.kl_divergence([0.0, -2000.0], [0.0, -inf]) == inf  # p is too small for a double, but above 0
    assert fs.kl_divergence([0.0, -2000.0], [0.0, -1.0]) == pytest.approx(np.log1p(np.exp(-1)), rel=1e-14)
    assert fs.kl_divergence([0.0, -1.0], [0.0, -2000.0]) == pytest.approx(
        2000 / (1 + np.e) - float(exact_entropy(np.array([0.0, -1.0]), 1)), rel=1e-13
    )
    assert np.isnan(fs.kl_divergence([0.0, np.nan], [0.0, 0.0]))
    assert np.isnan(fs.kl_divergence([0.0, 0.0], [-inf, -inf]))
    assert fs.kl_divergence([0.0, np.nan, 1.0], [0.0, 1.0, 1.0], where=[True, False, True]) == 0
    assert fs.kl_divergence([1.0, 1.0, 0.0], [1.0, 1.0, 1.0], 0) == pytest.approx(np.log(3 / 2), rel=1e-15)
    assert fs.kl_divergence([inf, 0.0], [0.0, 0.0]) == pytest.approx(np.log(2), rel=1e-15)
    assert fs.kl_divergence([0.0, 0.0], [inf, 0.0]) == inf


@pytest.mark.parametrize("n", [1, 4, 16, 17, 64, 65, 1500])
def test_layouts_axes_and_batches_do_not_matter(n, dtype, rng):
    x = (rng.normal(size=(3, 20, n)) * 5).astype(dtype)
    x[1, 3] = np.nan
    x[2, 4] = -np.inf
    y, t = x[:, ::-1].copy(), rng.uniform(0.1, 3, (3, 20))
    where = rng.random(x.shape) < 0.7
    index = rng.integers(0, n, (3, 20))
    for call in (
        lambda a, axis, w, **o: fs.entropy(a, o.get("t", 1.3), axis=axis, where=w),
        lambda a, axis, w, **o: fs.log_prob(a, o.get("index", index), o.get("t", 1.3), axis=axis, where=w),
        lambda a, axis, w, **o: fs.kl_divergence(
            a, np.moveaxis(o.get("y", y), -1, axis) if axis >= 0 else o.get("y", y), o.get("t", 1.3), axis=axis, where=w
        ),
    ):
        expected = call(x, -1, where)
        assert bits(call(x[:, :, ::-1].copy()[:, :, ::-1], -1, where)) == bits(expected)
        assert bits(call(np.asfortranarray(x), -1, np.asfortranarray(where))) == bits(expected)
        for axis in (0, 1):
            moved = np.ascontiguousarray(np.moveaxis(x, -1, axis))
            assert bits(call(moved, axis, np.moveaxis(where, -1, axis))) == bits(expected)
        rows = [
            call(x[i, j], -1, where[i, j], t=t[i, j], index=index[i, j], y=y[i, j]) for i in range(3) for j in range(20)
        ]
        assert bits(np.array(rows, expected.dtype).reshape(3, 20)) == bits(call(x, -1, where, t=t))
    both = fs.entropy(x, axis=(0, 2))
    assert bits(both) == bits(fs.entropy(np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(20, -1)))
    assert fs.entropy(x, axis=(0, 2), keepdims=True).shape == (1, 20, 1)
    assert fs.kl_divergence(x, y, axis=(0, 2), keepdims=True).shape == (1, 20, 1)
    flat = np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(20, -1)
    places = rng.integers(0, 3 * n, (20, 4))
    assert bits(fs.log_prob(x, places, axis=(0, 2))) == bits(fs.log_prob(flat, places))
    assert bits(fs.log_prob(np.asfortranarray(x), places, axis=(0, 2))) == bits(fs.log_prob(flat, places))


def test_threads_do_not_matter(rng):
    x, y = rng.normal(size=(2, 700_000))
    threads = fs.get_num_threads()
    try:
        fs.set_num_threads(1)
        one = fs.entropy(x), fs.log_prob(x, [0, 699_999]), fs.kl_divergence(x, y), fs.entropy(x.reshape(7000, 100))
        fs.set_num_threads(4)
        four = fs.entropy(x), fs.log_prob(x, [0, 699_999]), fs.kl_divergence(x, y), fs.entropy(x.reshape(7000, 100))
    finally:
        fs.set_num_threads(threads)
    assert [bits(np.asarray(a)) for a in one] == [bits(np.asarray(a)) for a in four]


def test_shapes_of_index():
    x = np.zeros((2, 3, 4))
    assert fs.log_prob(x, 1).shape == (2, 3)
    assert fs.log_prob(x, [0, 1, 2]).shape == (2, 3)
    assert fs.log_prob(x, np.zeros((2, 3), np.uint8)).shape == (2, 3)
    assert fs.log_prob(x, np.zeros((2, 3, 5), int)).shape == (2, 3, 5)
    assert fs.log_prob(x, np.zeros((1, 3, 5, 1), int)).shape == (2, 3, 5, 1)
    assert fs.log_prob(x, np.zeros((2, 3, 0), int)).shape == (2, 3, 0)
    assert fs.log_prob(x[0, 0], np.zeros((2, 2), int)).shape == (2, 2)
    assert fs.log_prob(np.zeros((0, 4)), []).shape == (0,)
    assert fs.log_prob(2.0, 0) == 0
    assert isinstance(fs.log_prob(x[0, 0], 3), float)
    for shape in ((4,), (3, 2), (2, 4, 5), (3, 3, 1)):
        with pytest.raises(ValueError, match="index of shape .* fits no rows of shape"):
            fs.log_prob(x, np.zeros(shape, int))


def test_errors_name_the_argument_and_the_row():
    x = np.zeros((2, 3))
    for bad in (3, -1, 2**63 - 1):
        with pytest.raises(ValueError, match=rf"index must be in \[0, 3\); got {bad} for row 1"):
            fs.log_prob(x, [0, bad])
    with pytest.raises(ValueError, match=r"got 18446744073709551615 for row 0"):
        fs.log_prob(x, np.full(2, 2**64 - 1, np.uint64))
    with pytest.raises(ValueError, match=r"index must be in \[0, 0\); got 0 for row 0"):
        fs.log_prob(np.zeros((2, 0)), 0)
    for bad in (0.0, [0.0, 1.0], True, [True, False], "a", None):
        with pytest.raises(TypeError, match="index must be integer"):
            fs.log_prob(x, bad)
    for bad in (2**70, -(2**64), [0, 2**70]):
        with pytest.raises(ValueError, match="index holds an integer beyond 64 bits"):
            fs.log_prob(x, bad)
    with pytest.raises(ValueError, match="x of shape .* and y of shape"):
        fs.kl_divergence(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="y of shape .* has no value for each of the 3 entries"):
        fs.kl_divergence(np.zeros((2, 3)), np.zeros((2, 1)))
    for function in (
        fs.entropy,
        lambda *a, **o: fs.log_prob(a[0], 0, *a[1:], **o),
        lambda *a, **o: fs.kl_divergence(a[0], *a, **o),
    ):
        with pytest.raises(ValueError, match="temperature must be"):
            function(x, -1.0)
        with pytest.raises(TypeError, match="x must be"):
            function([1j])
        with pytest.raises(TypeError, match="x is a masked array.*where=~x.mask"):
            function(np.ma.masked_array([1.0, 2.0], [True, False]))
        with pytest.raises(TypeError, match="where must be bool"):
            function(x, where=[1, 0, 1])
        with pytest.raises(np.exceptions.AxisError):
            function(x, axis=2)
        assert function(np.zeros((0, 3))).shape == (0,)
    assert (
        np.isnan(fs.entropy(np.zeros((2, 0)))).all()
        and np.isnan(fs.kl_divergence(np.zeros((2, 0)), np.zeros((2, 0)))).all()
    )
    assert fs.entropy([1, 1]) == fs.entropy(np.array([1.0, 1.0], ">f8")) == np.log(2)
    assert fs.kl_divergence(np.zeros((4, 1, 3)), np.zeros((2, 3))).shape == (4, 2)


def test_scipy_agrees(rng):
    special, stats = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.stats")
    x, y = rng.normal(size=(2, 300, 20)) * 3
    p, q = special.softmax(x, axis=-1), special.softmax(y, axis=-1)
    np.testing.assert_allclose(fs.entropy(x), stats.entropy(p, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(fs.kl_divergence(x, y), stats.entropy(p, q, axis=-1), rtol=1e-11)


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    x, y = torch.from_numpy(rng.normal(size=(2, 300, 20)) * 3)
    index = torch.from_numpy(rng.integers(0, 20, 300))
    p, q = torch.distributions.Categorical(logits=x), torch.distributions.Categorical(logits=y)
    np.testing.assert_allclose(fs.entropy(x), p.entropy(), rtol=1e-12)
    np.testing.assert_allclose(fs.log_prob(x, index), p.log_prob(index), rtol=1e-12)
    np.testing.assert_allclose(fs.kl_divergence(x, y), torch.distributions.kl_divergence(p, q), rtol=1e-11)

"""Categorical: the draws of sample and sample_probs, from a row prepared once."""

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int64]
CASES = [
    {},
    {"temperature": 0.3},
    {"temperature": 0},
    {"temperature": np.inf},
    {"temperature": 1e-310},
    {"mask": "bytes"},
    {"mask": "words", "temperature": 2},
    {"bias": "array"},
    {"bias": "mapping", "mask": "bytes"},
]


def arguments_of(case, n, rng):
    case = dict(case)
    if case.get("mask") == "bytes":
        case["mask"] = rng.random(n) < 0.6
        case["mask"][0] = True
    elif case.get("mask") == "words":
        case["mask"] = rng.integers(1, 2**31, (n + 31) // 32).astype(np.int32) | 1
    if case.get("bias") == "array":
        case["bias"] = rng.standard_normal(n)
    elif case.get("bias") == "mapping":
        case["bias"] = {0: 1.5, n - 1: -2.0}
    return case


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("n", [1, 10, 1000, 1025, 5000])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_draws_are_those_of_sample(dtype, n, case, rng):
    x = (3 * rng.standard_normal(n)).astype(dtype)
    p = np.abs(x)
    p[0] = 1
    case = arguments_of(case, n, rng)
    u = np.concatenate([rng.random(2000), np.arange(64) / 64, [1 - 2.0**-53, 5e-324]])
    for one, draw in (
        (fs.Categorical(x, **case), lambda **kw: fs.sample(x, **case, **kw)),
        (fs.Categorical(probs=p, **case), lambda **kw: fs.sample_probs(p, **case, **kw)),
    ):
        expected, logprob = draw(size=u.size, u=u, return_logprob=True)
        np.testing.assert_array_equal(one.draw(u.size, u=u), expected)
        np.testing.assert_array_equal(one.log_prob(expected), logprob)
        assert len(one) == n


def test_size_and_types_are_those_of_sample(rng):
    x = rng.standard_normal(20)
    one = fs.Categorical(x)
    for size in (None, 0, 1, 5, (), (2, 3), (0, 4)):
        got, expected = one.draw(size, rng=3), fs.sample(x, size=size, rng=3)
        assert type(got) is type(expected)
        np.testing.assert_array_equal(got, expected)
    assert type(one.draw(u=0.5)) is int
    assert one.draw((2, 2), u=0.5).tolist() == np.full((2, 2), one.draw(u=0.5)).tolist()
    assert type(one.log_prob(3)) is float
    assert one.log_prob([]).shape == (0,)
    assert one.log_prob(np.zeros((2, 3), np.uint8)).shape == (2, 3)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("n", [7, 3000, 6000])
@pytest.mark.parametrize("temperature", [0, 1])
def test_a_generator_gives_what_it_gives_sample(kind, n, temperature, rng):
    x = rng.standard_normal(n)
    one = fs.Categorical(x, temperature)
    g, h = np.random.Generator(kind(4)), np.random.Generator(kind(4))
    for size in (None, 1, 511, 512, 513, (3, 700), None):
        np.testing.assert_array_equal(one.draw(size, rng=g), fs.sample(x, temperature, size=size, rng=h))
    assert g.random() == h.random()


def test_rng_may_be_what_it_may_be_for_sample(rng):
    x = rng.standard_normal(20)
    one = fs.Categorical(x)

    class Reversed(np.random.Generator):
        def random(self, *args, **kwargs):
            return 1.0 - np.nextafter(0, 1) - super().random(*args, **kwargs) * 0.5

    for make in (
        lambda: 5,
        lambda: np.random.SeedSequence(5),
        lambda: np.random.PCG64(5),
        lambda: Reversed(np.random.PCG64(5)),
    ):
        for size in (None, 1000):
            np.testing.assert_array_equal(one.draw(size, rng=make()), fs.sample(x, size=size, rng=make()))
    assert 0 <= one.draw() < 20
    with pytest.raises(TypeError, match="RandomState"):
        one.draw(rng=np.random.RandomState(1))


def test_it_keeps_a_copy(rng):
    x, mask, bias = rng.standard_normal(2000), rng.random(2000) < 0.5, rng.standard_normal(2000)
    one = fs.Categorical(x, mask=mask, bias=bias)
    u = np.concatenate([rng.random(5000), np.arange(4096) / 4096])
    before, logprob = one.draw(u.size, u=u), one.log_prob(np.arange(2000))
    x[:], mask[:], bias[:] = np.nan, False, np.nan
    np.testing.assert_array_equal(one.draw(u.size, u=u), before)
    np.testing.assert_array_equal(one.log_prob(np.arange(2000)), logprob)


def test_it_cannot_be_changed():
    one = fs.Categorical([0.0, 1.0])
    with pytest.raises(AttributeError):
        one.temperature = 2.0
    with pytest.raises(AttributeError):
        one.anything = 1
    with pytest.raises(ValueError, match="once"):
        one.__init__([1.0, 0.0])
    with pytest.raises(ValueError):
        one._values[0] = 1.0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pickles_and_copies_draw_the_same(case, rng):
    x = rng.standard_normal(1500).astype(np.float32)
    case = arguments_of(case, 1500, rng)
    u = rng.random(500)
    for one in (fs.Categorical(x, **case), fs.Categorical(probs=np.exp(x), **case)):
        for again in (copy.copy(one), copy.deepcopy(one), *(pickle.loads(pickle.dumps(one, p)) for p in range(2, 6))):
            np.testing.assert_array_equal(again.draw(500, u=u), one.draw(500, u=u))
            np.testing.assert_array_equal(again.log_prob(np.arange(1500)), one.log_prob(np.arange(1500)))
            assert repr(again) == repr(one)


def test_repr_says_what_it_is():
    assert repr(fs.Categorical([1.0, 2.0], 0.5)) == "<Categorical: 2 float64 logits, temperature 0.5>"
    one = fs.Categorical(probs=np.ones(40, np.float32), mask=np.array([-1, 1], np.int32), bias={3: 1.0})
    assert repr(one) == "<Categorical: 40 float32 probs, temperature 1.0, masked, biased>"
    assert repr(fs.Categorical.__new__(fs.Categorical)) == "<Categorical: not prepared>"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "one of logits and probs"),
        ({"logits": [1.0], "probs": [1.0]}, ValueError, "one of logits and probs"),
        ({"logits": 1.0}, ValueError, "one row"),
        ({"logits": [[1.0, 2.0]]}, ValueError, r"one row, of shape \(n,\), not \(1, 2\)"),
        ({"logits": []}, ValueError, "no entries"),
        ({"logits": [1.0, np.nan]}, ValueError, "logits: the row has nan at entry 1; fix it$"),
        ({"logits": [-np.inf, -np.inf]}, ValueError, "no entry above -inf"),
        ({"logits": [0.0, 1.0], "mask": [False, False]}, ValueError, "allowed"),
        ({"logits": [np.inf, 0.0], "bias": [-np.inf, 0.0]}, ValueError, "bias"),
        ({"probs": [0.5, -1.0]}, ValueError, "probs: the row has -1.0 at entry 1"),
        ({"probs": [0.0, 0.0]}, ValueError, "no entry above 0"),
        ({"probs": [0.0, 0.0], "temperature": 0}, ValueError, "no entry above 0"),
        ({"logits": [1.0], "temperature": -1.0}, ValueError, "temperature"),
        ({"logits": [1.0], "temperature": np.nan}, ValueError, "temperature"),
        ({"logits": [1.0], "temperature": [1.0, 2.0]}, ValueError, "temperature"),
        ({"logits": [1.0], "temperature": "hot"}, TypeError, "temperature"),
        ({"logits": ["a"]}, TypeError, "logits"),
        ({"logits": [1j]}, TypeError, "logits"),
        ({"logits": [1.0, 2.0], "mask": [True]}, ValueError, "mask of shape"),
        ({"logits": [1.0, 2.0], "mask": [True] * 3}, ValueError, "mask"),
        ({"logits": [1.0, 2.0], "bias": {2: 1.0}}, ValueError, "bias"),
    ],
)
def test_bad_rows_are_rejected(arguments, error, match):
    with pytest.raises(error, match=match):
        fs.Categorical(**arguments)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda c: c.draw(u=0.5, rng=1), ValueError, "u and rng"),
        (lambda c: c.draw(u=[0.5, 0.5]), ValueError, "u of shape"),
        (lambda c: c.draw(3, u=[0.5, 0.5]), ValueError, "u of shape"),
        (lambda c: c.draw(2, u=[0.5, 1.0]), ValueError, "u must be in"),
        (lambda c: c.draw(u=np.nan), ValueError, "u must be in"),
        (lambda c: c.draw(-1), ValueError, "size"),
        (lambda c: c.draw(1.5), TypeError, "size"),
        (lambda c: c.draw(rng="x"), TypeError, "rng"),
        (lambda c: c.log_prob(3), ValueError, r"index must be in \[0, 3\), got 3"),
        (lambda c: c.log_prob([0, -1]), ValueError, "index"),
        (lambda c: c.log_prob(0.5), TypeError, "index"),
    ],
)
def test_bad_calls_are_rejected(call, error, match):
    with pytest.raises(error, match=match):
        call(fs.Categorical([0.0, 1.0, 2.0]))


def test_a_rejected_draw_takes_nothing_from_the_generator():
    g = np.random.default_rng(1)
    with pytest.raises(ValueError):
        fs.Categorical([0.0, 1.0]).draw(-3, rng=g)
    assert g.random() == np.random.default_rng(1).random()


def test_what_was_never_prepared_draws_nothing():
    one = fs.Categorical.__new__(fs.Categorical)
    for call in (lambda: one.draw(), lambda: one.draw(3), lambda: one.draw(3, u=0.5), lambda: one.log_prob([])):
        with pytest.raises(ValueError):
            call()


def test_a_row_too_long_is_rejected():
    with pytest.raises(ValueError, match="2\\*\\*26"):
        fs.Categorical(np.zeros(2**26 + 1, np.float16))


def test_threads_draw_at_once_from_one_and_from_one_generator(rng):
    one = fs.Categorical(rng.standard_normal(3000))
    u = rng.random(20_000)
    expected = one.draw(u.size, u=u)
    generator = np.random.default_rng(9)
    drawn, wrong = [], []

    def run():
        for _ in range(5):
            if not np.array_equal(one.draw(u.size, u=u), expected):
                wrong.append(1)
            drawn.append(one.draw(1000, rng=generator))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    # each call has a stretch of the stream to itself, in some order
    stream = one.draw((30, 1000), rng=np.random.default_rng(9))
    assert sorted(map(tuple, stream.tolist())) == sorted(tuple(part.tolist()) for part in drawn)


@pytest.mark.parametrize("temperature", [0, 0.5, 1, np.inf])
def test_it_draws_as_the_reference_does(temperature, rng):
    x = (2 * rng.standard_normal(40)).round(3)
    p = np.abs(x)
    mask = rng.random(40) < 0.7
    mask[0] = True
    u = rng.random((3, 20))
    for sample, row, logits, more in (
        (reference_rows.sample, {"logits": x}, x, {}),
        (reference_rows.sample_probs, {"probs": p}, np.log(p), {}),
        (reference_rows.sample, {"logits": x}, np.where(mask, x, -np.inf), {"mask": mask, "bias": {1: 0.5}}),
    ):
        fast = fs.Categorical(temperature=temperature, **row, **more)
        drawn, logprobs = sample(*row.values(), temperature, u=u, size=u.shape, return_logprob=True, **more)
        np.testing.assert_array_equal(fast.draw((3, 20), u=u), drawn)
        np.testing.assert_allclose(fast.log_prob(drawn), logprobs, rtol=1e-13)
        expected = reference_rows.log_softmax(logits + np.eye(40)[1] * 0.5 * bool(more), temperature)
        np.testing.assert_allclose(fast.log_prob(range(40)), expected, rtol=1e-13)


def test_what_was_not_prepared_says_so():
    empty = fs.Categorical.__new__(fs.Categorical)
    calls = (lambda: empty.draw(u=0.5), lambda: empty.draw(rng=1), lambda: empty.draw(3), lambda: empty.log_prob(0))
    for call in calls:
        with pytest.raises(ValueError, match="no row has been prepared"):
            call()

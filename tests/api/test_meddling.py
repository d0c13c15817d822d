"""Arguments that change while they are read, and other things that must not crash or go unnoticed."""

import gc
import threading

import numpy as np
import pytest

import fastsoftmax as fs


class Reshaping:
    """An argument that gives an array another shape when it is looked at."""

    def __init__(self, array, value):
        self.array, self.value = array, value

    def __array__(self, dtype=None, copy=None):
        self.array.shape = self.array.shape[::-1]
        return np.asarray(self.value)


CALLS = {
    "sample temperature": lambda x: fs.sample(x, Reshaping(x, 1.0), top_k=1),
    "sample u": lambda x: fs.sample(x, u=Reshaping(x, [0.5]), size=1, mask=np.ones(1000, bool)),
    "sample mask": lambda x: fs.sample(x, mask=Reshaping(x, True)),
    "Sampler u": lambda x: fs.Sampler(top_k=3)(x, u=Reshaping(x, [0.5])),
    "truncate xtc_u": lambda x: fs.truncate(
        x, xtc_threshold=0.1, xtc_probability=1.0, xtc_u=Reshaping(x, [0.5]), out=x
    ),
    "top_logprobs bias": lambda x: fs.top_logprobs(x, 3, bias=Reshaping(x, 0.0)),
    "sample_without_replacement u": lambda x: fs.sample_without_replacement(x, 3, u=Reshaping(x, 0.5)),
    "penalize frequency": lambda x: fs.penalize(x, [[1, 2]], frequency=Reshaping(x, 1.0), out=x),
    "softmax temperature": lambda x: fs.softmax(x, Reshaping(x, 1.0)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_array_may_change_its_shape_during_the_call(call):
    x = np.zeros((1, 1000), np.float32)
    try:
        call(x)
    except (ValueError, TypeError):
        pass  # either is fine, as long as the memory read is that of the array
    assert x.size == 1000


def test_tokens_that_change_after_they_were_checked_are_not_used():
    x, tokens, stop = np.zeros(100), np.full(2000, 5), threading.Event()

    def meddle():
        while not stop.is_set():
            tokens[...] = 10**13
            tokens[...] = 5

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        for _ in range(300):
            for call in (
                lambda: fs.penalize(x, tokens, frequency=1e-3, out=x),
                lambda: fs.top_logprobs(np.zeros((2000, 4)), 1, chosen=tokens),
            ):
                try:
                    call()
                except ValueError:
                    pass
    finally:
        stop.set()
        thread.join()
    assert np.isfinite(x).all() and (x[np.arange(100) != 5] == 0).all()


def test_a_draw_inside_a_draw_has_scratch_of_its_own():
    long, short = np.zeros(400_000, np.float32), np.zeros(20_000, np.float32)
    outer, inner = fs.Sampler(top_p=0.9, seed=3), fs.Sampler(top_p=0.9, seed=4)
    expected = outer(short)

    class Drawing:
        def __del__(self):
            inner(long)

    threshold = gc.get_threshold()
    try:
        gc.set_threshold(1)
        for _ in range(20):
            waste = Drawing()
            waste.itself = waste
            del waste
            outer.step = 0
            assert outer(short) == expected
    finally:
        gc.set_threshold(*threshold)


def test_a_masked_array_is_rejected_as_its_mask_would_be_lost():
    x = np.ma.masked_array([1.0, 2.0, 3.0], [0, 0, 1])
    for call in (fs.sample, fs.softmax, fs.truncate):
        with pytest.raises(TypeError, match="masked"):
            call(x)


def test_breakers_may_be_an_array_or_a_set_and_nothing_else():
    x, context = np.zeros(5), [0, 2, 0, 2, 0, 2]
    expected = fs.penalize(x, context, dry_multiplier=1.0, dry_sequence_breakers=[2])
    assert not expected.any()
    for breakers in (np.array([2]), np.array([2, 4]), {2}, (2,), [np.int64(2)], [[2]]):
        got = fs.penalize(x, context, dry_multiplier=1.0, dry_sequence_breakers=breakers)
        np.testing.assert_array_equal(got, expected)
    for breakers in (0, "a", None, 1.5):
        with pytest.raises(TypeError, match="dry_sequence_breakers"):
            fs.penalize(x, context, dry_multiplier=1.0, dry_sequence_breakers=breakers)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_truncate_has_the_distribution_of_the_draw_where_quotients_overflow(dtype):
    most = float(np.finfo(dtype).max)
    for x in ([0.9 * most, 0.8 * most, 0.0], [-0.8 * most, -0.9 * most, -most], [most, -most, most]):
        x = np.array(x, dtype)
        for filters in ({}, {"top_k": 2}):
            left = fs.truncate(x, 0.1, **filters)
            assert not np.isnan(left).any() and not np.isposinf(left).any()
            assert np.isfinite(left).sum() == filters.get("top_k", 3)
            drawn = {fs.sample(x, 0.1, u=u, **filters) for u in (0.0, 0.3, 0.6, 0.999)}
            assert drawn == set(np.flatnonzero(fs.softmax(left)))


def test_penalties_of_any_size_leave_numbers():
    x = fs.penalize(np.array([1e10, -1e10, 1.0]), [0, 0, 1], repetition=1e-300, frequency=1e308)
    assert np.isfinite(x).all() and x[2] == 1.0


@pytest.mark.parametrize("mu", [np.nan, None, "a", [1.0, np.nan]])
def test_a_mu_that_is_no_number_is_rejected(mu):
    sampler = fs.Sampler(mirostat_tau=3.0)
    with pytest.raises((TypeError, ValueError), match="mirostat_mu"):
        sampler.mirostat_mu = mu
    assert sampler.mirostat_mu == 6.0
    sampler.mirostat_mu = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"mirostat_mu.*\(2,\)"):
        sampler(np.zeros(4))


def test_a_sampler_keeps_its_own_parameters():
    import pickle

    top_p = np.array([0.5, 0.6])
    sampler = fs.Sampler(top_p=top_p, seed=1)
    top_p[:] = -5
    logits = np.random.default_rng(0).standard_normal((2, 30))
    expected = sampler(logits)
    sampler.step = 0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler))(logits), expected)
    assert "top_p=array" in repr(sampler)


def test_contexts_and_breakers_take_linear_time():
    """Whatever the tokens are, and as a list as well."""
    from time import perf_counter

    x, tokens = np.zeros(200_000), np.arange(50_000) * 4
    start = perf_counter()
    fs.penalize(x, tokens, dry_multiplier=1.0, dry_sequence_breakers=range(1, 5000), out=x)
    fs.penalize(x, tokens.tolist(), repetition=1.1, out=x)
    assert perf_counter() - start < 1.0

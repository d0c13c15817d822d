"""The draw: a pure function of logits, parameters and uniforms, and where the uniforms come from."""

import multiprocessing
import threading
import tracemalloc

import numpy as np
import oracles
import pytest
from oracles import LAST_U, bits, needs_longdouble

import fastsoftmax as fs

BOTH = pytest.mark.parametrize("sample", [fs.sample, fs.sample_probs], ids=["sample", "sample_probs"])
BIT_GENERATORS = [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937]


def positive_rows(rng, *shape, dtype=np.float64):
    """Numbers that are valid as logits and as probabilities alike."""
    return rng.exponential(size=shape).astype(dtype)


# Purity: rng= is u=


@BOTH
@pytest.mark.parametrize("bit_generator", BIT_GENERATORS, ids=lambda b: b.__name__)
@pytest.mark.parametrize("shape", [(7,), (1, 7), (20, 7), (3, 4, 1500)])
@pytest.mark.parametrize("size", [None, 1, 5, (2, 3), 0])
def test_generator_gives_what_its_uniforms_give(sample, bit_generator, shape, size, rng):
    x = positive_rows(rng, *shape)
    count = () if size is None else (size,) if isinstance(size, int) else size
    generator, same = (np.random.Generator(bit_generator(7)) for _ in range(2))
    by_rng = sample(x, 0.9, size=size, rng=generator)
    by_u = sample(x, 0.9, size=size, u=same.random(shape[:-1] + count))
    np.testing.assert_array_equal(by_rng, by_u)
    # A second call goes on where the first stopped: one double for each draw, no more and no less.
    assert generator.random() == same.random()


@BOTH
def test_generator_gives_what_its_uniforms_give_along_another_axis(sample, rng):
    x = positive_rows(rng, 3, 9, 4)
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    np.testing.assert_array_equal(sample(x, axis=1, rng=generator), sample(x, axis=1, u=same.random((3, 4))))


def test_a_half_used_32_bit_output_stays_in_the_generator(rng):
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    for g in (generator, same):
        g.integers(2**32, dtype=np.uint32)
    fs.sample(positive_rows(rng, 6, 9), rng=generator)
    same.random(6)
    assert generator.bit_generator.state == same.bit_generator.state


def test_rows_that_need_no_uniform_still_consume_one(rng):
    x = positive_rows(rng, 5, 9)
    flagged = x.copy()
    flagged[1] = np.nan
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    fs.sample(x, 0.0, rng=generator)
    same.random(5)
    fs.sample(flagged, rng=generator, on_invalid="flag")
    same.random(5)
    assert generator.bit_generator.state == same.bit_generator.state


def test_same_uniform_gives_the_same_draw_again(dtype, rng):
    x = positive_rows(rng, 20, 100, dtype=dtype)
    u = rng.random(20)
    assert bits(fs.sample(x, 0.7, u=u)) == bits(fs.sample(x, 0.7, u=u))


# Independence of everything else


@pytest.mark.parametrize("n", [4, 60, 1500, 9000])
def test_result_of_a_row_does_not_depend_on_batch_or_row_order(dtype, n, rng):
    x = (3 * rng.normal(size=(23, n))).astype(dtype)
    temperature = rng.uniform(0.1, 3, size=23)
    u = rng.random(23)
    order = rng.permutation(23)
    p, drawn = fs.softmax(x, temperature), fs.sample(x, temperature, u=u)
    from_weights = fs.sample_probs(p, u=u)
    assert bits(fs.softmax(x[order], temperature[order])) == bits(p[order])
    assert bits(fs.sample(x[order], temperature[order], u=u[order])) == bits(drawn[order])
    assert bits(fs.sample_probs(p[order], u=u[order])) == bits(from_weights[order])
    for i in range(23):
        assert bits(fs.softmax(x[i], temperature[i])) == bits(p[i])
        assert fs.sample(x[i], temperature[i], u=u[i]) == drawn[i]
        assert fs.sample_probs(p[i], u=u[i]) == from_weights[i]


def test_draw_j_does_not_depend_on_how_many_are_made(dtype, rng):
    for n in (5, 3000):
        x = (3 * rng.normal(size=n)).astype(dtype)
        u = rng.random(20_000)
        draws = fs.sample(x, size=u.size, u=u)
        for k in (1, 2, 17, 300):
            assert bits(fs.sample(x, size=k, u=u[:k])) == bits(draws[:k])
        for j in (0, 5, 19_999):
            assert fs.sample(x, u=u[j]) == draws[j]


def test_return_logprob_does_not_change_the_draw(dtype, rng):
    x = (3 * rng.normal(size=(50, 1200))).astype(dtype)
    u = rng.random(50)
    assert bits(fs.sample(x, 0.7, u=u, return_logprob=True)[0]) == bits(fs.sample(x, 0.7, u=u))


# Shapes


def test_one_row_gives_a_python_int_and_float():
    for sample in (fs.sample, fs.sample_probs):
        assert type(sample([1.0, 2.0])) is int
        index, logprob = sample([1.0, 2.0], return_logprob=True)
        assert type(index) is int and isinstance(logprob, float)


@BOTH
@pytest.mark.parametrize("rows", [(), (1,), (5,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("size", [1, 4, (4,), (2, 3), 0, (0, 2)])
def test_result_is_int64_of_shape_rows_plus_size(sample, rows, size, rng):
    x = positive_rows(rng, *rows, 6)
    shape = rows + (size if isinstance(size, tuple) else (size,))
    drawn, logprobs = sample(x, size=size, return_logprob=True)
    assert drawn.shape == logprobs.shape == shape
    assert drawn.dtype == np.int64 and logprobs.dtype == np.float64
    if rows:
        assert sample(x).shape == rows and sample(x).dtype == np.int64


@pytest.mark.parametrize("size", [-1, (2, -1)])
def test_negative_size_raises_value_error(size):
    with pytest.raises(ValueError):
        fs.sample([1.0, 2.0], size=size)


def test_u_broadcasts_to_the_shape_of_the_result(rng):
    x = positive_rows(rng, 3, 4, 6)
    shapes_by_size = {None: [(), (1,), (4,), (3, 1), (3, 4)], 5: [(), (5,), (4, 1), (3, 1, 1), (3, 4, 5)]}
    for size, shapes in shapes_by_size.items():
        shape = (3, 4) if size is None else (3, 4, size)
        for u_shape in shapes:
            u = rng.random(u_shape)
            full = np.broadcast_to(u, shape)
            assert bits(fs.sample(x, size=size, u=u)) == bits(fs.sample(x, size=size, u=full.copy()))


@BOTH
def test_u_of_a_shape_that_does_not_broadcast_raises_value_error(sample):
    for rows, size, shape in [((3,), None, (4,)), ((3,), None, (3, 1)), ((), None, (2,)), ((3,), 5, (3,))]:
        with pytest.raises(ValueError):
            sample(np.ones((*rows, 6)), size=size, u=np.full(shape, 0.5))


# Uniforms


@BOTH
@pytest.mark.parametrize("u", [-5e-324, -0.5, 1.0, 1.5, np.inf, -np.inf, np.nan])
def test_u_outside_zero_to_one_raises_value_error(sample, u):
    for x, uniforms in [([1.0, 2.0], u), (np.ones((3, 2)), [0.5, 0.5, u]), ([1.0, 2.0], np.float64(u))]:
        with pytest.raises(ValueError, match=r"\bu\b"):
            sample(x, u=uniforms)


@BOTH
def test_u_may_be_any_double_from_zero_to_just_below_one(sample):
    assert [sample([1.0, 1.0], u=u) for u in (0.0, -0.0, 5e-324, LAST_U)] == [0, 0, 0, 1]
    assert sample(np.ones((2, 2)), u=[0, 0]).tolist() == [0, 0]


@BOTH
def test_u_and_rng_together_raise_value_error(sample):
    with pytest.raises(ValueError, match="u.*rng|rng.*u"):
        sample([1.0, 2.0], u=0.5, rng=np.random.default_rng(1))
    with pytest.raises(ValueError):
        sample([1.0, 2.0], u=0.5, rng=1)


# rng kinds (SPEC 7)


@BOTH
def test_rng_takes_what_default_rng_takes(sample, rng):
    x = positive_rows(rng, 50, 9)
    for make in (
        lambda: 5,
        lambda: np.int64(5),
        lambda: np.random.SeedSequence(5),
        lambda: np.random.PCG64(5),
        lambda: np.random.Philox(5),
        lambda: np.random.default_rng(5),
    ):
        expected = sample(x, u=np.random.default_rng(make()).random(50))
        assert bits(sample(x, rng=make())) == bits(expected)


@BOTH
def test_bit_generator_and_generator_go_on_from_call_to_call(sample, rng):
    x = positive_rows(rng, 50, 9)
    for make in (np.random.PCG64, np.random.default_rng):
        source, same = make(5), np.random.default_rng(make(5))
        for _ in range(3):
            assert bits(sample(x, rng=source)) == bits(sample(x, u=same.random(50)))


@BOTH
def test_random_state_raises_type_error_that_names_the_replacement(sample):
    with pytest.raises(TypeError, match="default_rng|Generator"):
        sample([1.0, 2.0], rng=np.random.RandomState(1))


@BOTH
@pytest.mark.parametrize("wrong", ["seed", 1.5, object(), np.random.random])
def test_other_rng_raises(sample, wrong):
    with pytest.raises((TypeError, ValueError)):  # Whichever default_rng raises.
        sample([1.0, 2.0], rng=wrong)


@BOTH
def test_negative_seed_raises_value_error(sample):
    with pytest.raises(ValueError):
        sample([1.0, 2.0], rng=-1)


@BOTH
def test_without_u_or_rng_every_call_draws_anew(sample):
    x = np.ones(1000)
    first, second = sample(x, size=30), sample(x, size=30)
    # The false-alarm rate is 1000^-30.
    assert first.tolist() != second.tolist()


def _put_default_draws(queue):
    queue.put(fs.sample(np.ones(1000), size=30).tolist())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_children_do_not_share_the_default_stream():
    fs.sample(np.ones(1000))  # The parent's generator exists before the fork.
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    children = [context.Process(target=_put_default_draws, args=(queue,)) for _ in range(3)]
    for child in children:
        child.start()
    streams = [queue.get() for _ in children]
    for child in children:
        child.join()
    streams.append(fs.sample(np.ones(1000), size=30).tolist())
    # Two independent streams agree in all 30 draws with probability 1000^-30.
    assert len({tuple(stream) for stream in streams}) == len(streams)


def test_generator_shared_by_threads_is_used_under_its_lock():
    threads, calls, rows = 4, 200, 50
    x = np.zeros((rows, 1024))  # The index shows the first 10 bits of its uniform.
    generator, same = np.random.default_rng(11), np.random.default_rng(11)
    drawn = [[] for _ in range(threads)]
    start = threading.Barrier(threads)

    def work(mine):
        start.wait()
        for _ in range(calls):
            mine.extend(fs.sample(x, rng=generator).tolist())

    workers = [threading.Thread(target=work, args=(mine,)) for mine in drawn]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    expected = np.floor(same.random(threads * calls * rows) * 1024).astype(int)
    assert sorted(sum(drawn, [])) == sorted(expected.tolist())
    assert generator.bit_generator.state == same.bit_generator.state


# Log-probabilities


@needs_longdouble
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_logprob_is_the_log_of_the_probability_it_was_drawn_with(dtype, temperature, rng):
    x = (3 * rng.normal(size=(60, 1300))).astype(dtype)
    drawn, logprobs = fs.sample(x, temperature, u=rng.random(60), return_logprob=True)
    exact = np.take_along_axis(oracles.log_softmax(x, temperature), drawn[:, None], axis=-1)[:, 0]
    assert logprobs.dtype == np.float64
    # A weight within 3 ulp of float32 (4 of float64) has its logarithm within as much, absolutely.
    weight_error = 8 * 2.0**-52 if dtype == np.float64 else 6 * 2.0**-23
    np.testing.assert_allclose(logprobs, exact.astype(float), rtol=4 * 2.0**-52, atol=weight_error)


def test_logprob_of_probabilities_is_normalised(dtype):
    p = np.array([1, 3, 0, 4], dtype)
    _, logprobs = fs.sample_probs(p, size=3, u=[0.0, 0.3, 0.6], return_logprob=True)
    weight_error = 8 * 2.0**-52 if dtype == np.float64 else 6 * 2.0**-23
    np.testing.assert_allclose(logprobs, np.log([1 / 8, 3 / 8, 4 / 8]), rtol=0, atol=weight_error)


def test_logprob_keeps_its_relative_accuracy_near_zero():
    index, logprob = fs.sample([0.0, -40.0], u=0.5, return_logprob=True)
    assert index == 0
    np.testing.assert_allclose(logprob, -4.248354255291589e-18, rtol=8 * 2.0**-52)


# One read


def test_one_draw_allocates_nothing_of_size_n(rng):
    n = 1_000_000
    x = rng.normal(size=n).astype(np.float32)
    fs.sample(x, u=0.5)
    tracemalloc.start()
    fs.sample(x, 0.7, u=0.5, return_logprob=True)
    fs.sample_probs(np.abs(x, out=x), u=0.5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n / 8  # Less than a bit for each entry.

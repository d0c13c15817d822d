"""The draw: a pure function of logits, parameters and uniforms, and where the uniforms come from."""

import multiprocessing
import threading
import tracemalloc

import numpy as np
import oracles
import pytest
from oracles import GRID_U, LAST_U, assert_inverts_cdf, bits, needs_longdouble, share_tolerance

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


# mask and bias

# Logarithms, and their sums with a bias, are rounded where their size is below 16: to 2^-50, each, and twice
# that at temperature 1/2.
LOGARITHM = 4 * 2.0**-50


def packed(mask):
    """Boolean rows as int32 words, least significant bit first."""
    n = mask.shape[-1]
    padded = np.zeros((*mask.shape[:-1], -(-n // 32) * 32), bool)
    padded[..., :n] = mask
    return np.packbits(padded, axis=-1, bitorder="little").view("<i4").astype(np.int32)


@BOTH
@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 100, 1023, 1024, 1025, 3000])
def test_masked_entries_are_never_drawn(sample, n, dtype, rng):
    x = positive_rows(rng, 40, n, dtype=dtype) + dtype.type(0.125)
    mask = rng.random((40, n)) < 0.3
    mask[np.arange(40), rng.integers(n, size=40)] = True
    for u in (0.0, LAST_U, rng.random(40)):
        drawn = sample(x, u=u, mask=mask)
        assert mask[np.arange(40), drawn].all()


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 100, 1023, 1024, 1025, 3000])
def test_mask_is_the_same_as_a_weight_of_zero(n, dtype, rng):
    x = positive_rows(rng, 40, n, dtype=dtype) + dtype.type(0.125)
    mask = rng.random((40, n)) < 0.5
    mask[:, n // 2] = True
    u = rng.random(40)
    as_logits = fs.sample(np.where(mask, x, dtype.type(-np.inf)), 0.9, u=u, return_logprob=True)
    as_probs = fs.sample_probs(np.where(mask, x, dtype.type(0)), 0.9, u=u, return_logprob=True)
    for form in (mask, packed(mask)):
        for got, expected in (
            (fs.sample(x, 0.9, u=u, mask=form, return_logprob=True), as_logits),
            (fs.sample_probs(x, 0.9, u=u, mask=form, return_logprob=True), as_probs),
        ):
            assert bits(got[0]) == bits(expected[0]) and bits(got[1]) == bits(expected[1])


@BOTH
def test_mask_broadcasts_against_the_rows(sample, rng):
    x = positive_rows(rng, 3, 4, 70)
    u = rng.random((3, 4))
    for shape in [(70,), (1, 70), (4, 70), (3, 1, 70), (3, 4, 70)]:
        mask = rng.random(shape) < 0.5
        expected = sample(x, u=u, mask=np.broadcast_to(mask, x.shape).copy())
        assert bits(sample(x, u=u, mask=mask)) == bits(expected)
        assert bits(sample(x, u=u, mask=packed(mask))) == bits(expected)


@BOTH
def test_bits_beyond_the_row_mean_nothing(sample, rng):
    words = packed(np.ones(40, bool))
    full = np.full(2, -1, np.int32)
    u = rng.random(100)
    x = positive_rows(rng, 100, 40)
    assert words.tolist() == [-1, 255]
    assert bits(sample(x, u=u, mask=full)) == bits(sample(x, u=u, mask=words)) == bits(sample(x, u=u))


@BOTH
def test_row_with_everything_masked_is_invalid(sample):
    mask = np.ones((3, 5), bool)
    mask[1] = False
    for form in (mask, packed(mask)):
        with pytest.raises(ValueError, match=r"row\D*\b1\b"):
            sample(np.ones((3, 5)), mask=form)
        flagged, logprobs = sample(np.ones((3, 5)), u=0.0, mask=form, return_logprob=True, on_invalid="flag")
        assert flagged.tolist() == [0, -1, 0] and np.isnan(logprobs[1])


def test_masked_infinite_logit_counts_nothing():
    drawn = fs.sample([0.0, np.inf, 0.0], size=GRID_U.size, u=GRID_U, mask=[True, False, True])
    assert set(drawn.tolist()) == {0, 2}


@BOTH
def test_masked_maximum_is_not_taken_at_temperature_zero(sample):
    assert sample([1.0, 3.0, 2.0], 0.0, mask=[True, False, True]) == 2


@BOTH
def test_mask_of_the_wrong_shape_or_dtype_raises(sample):
    x = np.ones((3, 40))
    for shape in [(39,), (41,), (2, 40), (3, 3, 40)]:
        with pytest.raises(ValueError, match="mask"):
            sample(x, mask=np.ones(shape, bool))
    for words in (1, 3):
        with pytest.raises(ValueError, match="mask"):
            sample(x, mask=np.ones(words, np.int32))
    for other in (np.float64, np.complex128):
        with pytest.raises((TypeError, ValueError), match="mask"):
            sample(x, mask=np.ones(40, other))


def test_bias_is_added_to_the_logits(dtype, rng):
    # Quarters, so that the sum is exact in every dtype.
    x = (np.round(8 * rng.normal(size=(40, 60))) / 4).astype(dtype)
    bias = (np.round(8 * rng.normal(size=60)) / 4).astype(dtype)
    u = rng.random(40)
    expected = fs.sample(x + bias, 0.9, u=u, return_logprob=True)
    full = np.broadcast_to(bias, x.shape).copy()
    for form in (bias, full, bias.astype(float), dict(enumerate(bias.tolist()))):
        got = fs.sample(x, 0.9, u=u, bias=form, return_logprob=True)
        assert bits(got[0]) == bits(expected[0])
        # The sum may be made in float64 or in the dtype of x: the weights agree to within their 3 ulp.
        np.testing.assert_allclose(got[1], expected[1], rtol=4e-7)


def test_bias_of_minus_inf_forbids_and_inf_forces(rng):
    x = rng.normal(size=50)
    u = rng.random(200)
    forbidden = fs.sample(x, size=200, u=u, bias={3: -np.inf, 7: -np.inf})
    without = x.copy()
    without[[3, 7]] = -np.inf
    assert bits(forbidden) == bits(fs.sample(without, size=200, u=u))
    assert (fs.sample(x, size=200, u=u, bias={9: np.inf}) == 9).all()


def test_bias_given_by_index_leaves_the_other_entries_alone(dtype, rng):
    x = (np.round(8 * rng.normal(size=(30, 2000))) / 4).astype(dtype)
    u = rng.random(30)
    biased = x.copy()
    biased[:, [0, 1500, 1999]] += np.array([0.5, 2.25, -1.0], dtype)
    given = fs.sample(x, u=u, bias={1500: 2.25, 0: 0.5, 1999: -1.0})
    assert bits(given) == bits(fs.sample(biased, u=u))
    assert bits(fs.sample(x, u=u, bias={})) == bits(fs.sample(x, u=u))


@needs_longdouble
def test_bias_is_added_to_the_logarithm_of_probabilities(rng):
    p = rng.random(300)
    p[::7] = 0
    bias = rng.normal(size=300)
    u = rng.random(2000)
    for temperature in (0.5, 1.0, 2.0):
        biased = p.astype(np.longdouble) * np.exp(bias.astype(np.longdouble))
        expected = biased ** (1 / np.longdouble(temperature))
        drawn = fs.sample_probs(p, temperature, size=u.size, u=u, bias=bias)
        assert_inverts_cdf(drawn, expected, u, share_tolerance(p.dtype, 300) + LOGARITHM)


def test_mask_is_applied_together_with_bias(rng):
    x = rng.normal(size=(30, 20))
    mask = np.arange(20) % 2 == 0
    drawn = fs.sample(x, u=rng.random(30), mask=mask, bias={1: 100.0, 2: 50.0})
    assert (drawn == 2).all()


@BOTH
def test_bias_of_the_wrong_shape_or_index_raises(sample):
    x = np.ones((3, 5))
    for bias in (np.ones(4), np.ones((2, 5)), np.ones((3, 1, 5))):
        with pytest.raises(ValueError, match="bias"):
            sample(x, bias=bias)
    with pytest.raises((ValueError, IndexError), match="bias"):
        sample(x, bias={5: 1.0})


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

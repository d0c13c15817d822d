"""top_logprobs: the first k of the sorted order with their log-probabilities, and the rank of a chosen index."""

import ml_dtypes
import numpy as np
import oracles
import pytest
from oracles import bits, needs_longdouble

import fastsoftmax as fs

INF, NAN = np.inf, np.nan


def sorted_order(x):
    """Value descending, index ascending."""
    return np.lexsort((np.arange(x.size), -x.astype(np.float64)))


def assert_accurate(got, exact, dtype):
    """Contract 2 of softmax, for log p: relative near 0, and otherwise that of x / T and log Σ."""
    slack = 4 * 2.0**-52 if dtype == np.float64 else 3 * 2.0**-23
    np.testing.assert_allclose(got, exact.astype(float), rtol=slack, atol=0)


@needs_longdouble
@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("n, k", [(1, 1), (5, 3), (5, 5), (700, 20), (5000, 5000), (9000, 1), (40_000, 64)])
def test_first_k_with_their_log_probabilities(n, k, temperature, dtype, rng):
    for scale in (0.1, 3):
        x = (scale * rng.normal(size=n)).astype(dtype)
        logprobs, indices, rank = fs.top_logprobs(x, k, temperature)
        order = sorted_order(x)[:k]
        assert logprobs.dtype == np.float64 and indices.dtype == np.int64 and rank is None
        np.testing.assert_array_equal(indices, order)
        assert_accurate(logprobs, oracles.log_softmax(x.astype(np.longdouble), temperature)[order], dtype)


def test_ties_are_in_index_order(dtype):
    x = np.array([1.0, 2.0, 1.0, 2.0, 2.0, -0.0, 0.0], dtype)
    assert fs.top_logprobs(x, 7).indices.tolist() == [1, 3, 4, 0, 2, 5, 6]
    assert fs.top_logprobs(x, 2).indices.tolist() == [1, 3]
    assert fs.top_logprobs(np.zeros(3000, dtype), 40).indices.tolist() == list(range(40))


def test_result_is_a_named_tuple(rng):
    result = fs.top_logprobs(rng.normal(size=(2, 3, 20)), 4, chosen=[[0, 1, 2], [3, 4, 5]])
    assert type(result).__name__ == "TopLogprobs" and result._fields == ("logprobs", "indices", "rank")
    assert result.logprobs.shape == result.indices.shape == (2, 3, 4)
    assert result.rank.shape == (2, 3) and result.rank.dtype == np.int64


@pytest.mark.parametrize("n", [1, 2, 60, 3000, 20_000])
def test_rank_is_the_place_in_the_sorted_order(n, dtype, rng):
    x = np.round(2 * rng.normal(size=n), 1).astype(dtype)
    place = np.empty(n, np.int64)
    place[sorted_order(x)] = np.arange(1, n + 1)
    for chosen in {0, n - 1, n // 2, int(rng.integers(n)), int(np.argmax(x)), int(np.argmin(x))}:
        rank = fs.top_logprobs(x, 1, 0.7, chosen=chosen).rank
        assert type(rank) is int and rank == place[chosen]


def test_rank_and_order_do_not_depend_on_the_temperature(rng):
    x = np.round(rng.normal(size=(30, 50)), 1)
    chosen = rng.integers(50, size=30)
    first = fs.top_logprobs(x, 9, chosen=chosen)
    for temperature in (0.0, 1e-3, 40.0, INF, rng.uniform(0.1, 2, size=30)):
        other = fs.top_logprobs(x, 9, temperature, chosen=chosen)
        assert bits(other.indices) == bits(first.indices) and bits(other.rank) == bits(first.rank)


def test_temperature_zero_and_infinity_are_limits(dtype):
    x = np.array([1.0, 3.0, -INF, 3.0, 2.0], dtype)
    logprobs, indices, _ = fs.top_logprobs(x, 5, 0.0)
    assert indices.tolist() == [1, 3, 4, 0, 2]
    np.testing.assert_allclose(logprobs, [-np.log(2), -np.log(2), -INF, -INF, -INF], rtol=1e-7)
    logprobs, indices, _ = fs.top_logprobs(x, 5, INF)
    assert indices.tolist() == [1, 3, 4, 0, 2]
    np.testing.assert_allclose(logprobs, [-np.log(4)] * 4 + [-INF], rtol=1e-7)


def test_entries_of_plus_infinity_share_the_probability(dtype):
    x = np.array([1.0, INF, -INF, INF], dtype)
    logprobs, indices, rank = fs.top_logprobs(x, 4, chosen=0)
    assert indices.tolist() == [1, 3, 0, 2] and rank == 3
    np.testing.assert_allclose(logprobs, [-np.log(2), -np.log(2), -INF, -INF], rtol=1e-7)


def test_entries_without_mass_follow_in_index_order(dtype):
    x = np.array([-INF, 1.0, -INF, 2.0, -INF], dtype)
    logprobs, indices, rank = fs.top_logprobs(x, 5, chosen=2)
    assert indices.tolist() == [3, 1, 0, 2, 4] and rank == 4
    assert (logprobs[2:] == -INF).all() and (logprobs[:2] > -INF).all()
    masked = fs.top_logprobs([9.0, 1.0, NAN, 2.0, 8.0], 5, mask=[False, True, False, True, False], chosen=0)
    assert masked.indices.tolist() == [3, 1, 0, 2, 4] and masked.rank == 3
    np.testing.assert_allclose(masked.logprobs[:2], fs.log_softmax([2.0, 1.0]), rtol=1e-14)


def test_mask_and_bias(rng):
    x = rng.normal(size=(4, 40))
    mask, bias = rng.random((4, 40)) < 0.7, rng.normal(size=40)
    got = fs.top_logprobs(x, 3, 0.6, mask=mask, bias=bias)
    want = fs.top_logprobs(np.where(mask, x + bias, -INF), 3, 0.6)
    for a, b in zip(got[:2], want[:2], strict=True):
        assert bits(a) == bits(b)
    assert fs.top_logprobs(x[0], 1, bias={17: 90.0}).indices.tolist() == [17]


def test_rows_do_not_know_of_each_other(dtype, rng):
    x = (2 * rng.normal(size=(3, 4, 900))).astype(dtype)
    temperature, chosen = rng.uniform(0.2, 2, size=(3, 1)), rng.integers(900, size=4)
    whole = fs.top_logprobs(x, 8, temperature, chosen=chosen)
    moved = fs.top_logprobs(np.moveaxis(x, -1, 0), 8, temperature, axis=0, chosen=chosen)
    for a, b in zip(whole, moved, strict=True):
        assert bits(a) == bits(b)
    for i in range(3):
        for j in range(4):
            alone = fs.top_logprobs(x[i, j], 8, temperature[i, 0], chosen=int(chosen[j]))
            assert bits(alone.logprobs) == bits(whole.logprobs[i, j])
            assert bits(alone.indices) == bits(whole.indices[i, j])
            assert alone.rank == whole.rank[i, j]


@pytest.mark.parametrize("narrow", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_layout_does_not_matter(narrow, rng):
    x = (2 * rng.normal(size=(4, 900))).astype(narrow)
    want = fs.top_logprobs(x, 8, 0.7, chosen=5)
    read_only = x.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(x), x[::-1, ::-1].copy()[::-1, ::-1], np.repeat(x, 2, axis=1)[:, ::2], read_only):
        for a, b in zip(fs.top_logprobs(other, 8, 0.7, chosen=5), want, strict=True):
            assert bits(a) == bits(b)


def test_rows_without_a_distribution_are_named():
    for bad in (NAN, -INF):
        x = np.zeros((3, 4))
        x[1] = bad
        with pytest.raises(ValueError, match=r"row\D*\b1\b"):
            fs.top_logprobs(x, 2)


@pytest.mark.parametrize("k", [0, -1, 5, 2**40])
def test_k_out_of_range_raises_value_error(k):
    with pytest.raises(ValueError, match=r"\bk\b"):
        fs.top_logprobs(np.zeros(4), k)


@pytest.mark.parametrize("k", [1.5, "2", True, None, [1, 2]])
def test_k_that_is_no_int_raises_type_error(k):
    with pytest.raises(TypeError, match=r"\bk\b"):
        fs.top_logprobs(np.zeros(4), k)


def test_chosen_out_of_range_raises_value_error():
    for chosen in (-1, 4, [0, 1, 4], [0, -1, 2]):
        with pytest.raises(ValueError, match="chosen"):
            fs.top_logprobs(np.zeros((3, 4)), 1, chosen=chosen)
    with pytest.raises(ValueError, match="chosen"):
        fs.top_logprobs(np.zeros((3, 4)), 1, chosen=[0, 1])
    with pytest.raises(TypeError, match="chosen"):
        fs.top_logprobs(np.zeros(4), 1, chosen=1.5)


@pytest.mark.parametrize("temperature", [2.0, 10.0, 1e6, 1e250])
def test_log_p_is_finite_where_the_difference_overflows_but_not_its_quotient(temperature):
    largest = np.finfo(np.float64).max
    x = np.array([largest, -largest, 0.0])
    wanted = fs.log_softmax(x, temperature)
    assert np.isfinite(wanted).all()
    top = fs.top_logprobs(x, 3, temperature)
    np.testing.assert_allclose(top.logprobs, wanted[top.indices], rtol=1e-15)
    np.testing.assert_array_equal(fs.Categorical(x, temperature).log_prob([0, 1, 2])[top.indices], top.logprobs)
    summary = fs.summarize(x, temperature)
    np.testing.assert_array_equal(fs.log_softmax_from_summary(x, summary, offset=0), wanted)

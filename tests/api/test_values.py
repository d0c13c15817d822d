"""Each row of the value table in every dtype: what special numbers mean."""

import numpy as np
import pytest
from oracles import DTYPES, GRID_U, LAST_U, bits, eps

import fastsoftmax as fs

INF, NAN = np.inf, np.nan
BAD_LOGITS = {"NaN": [0.0, NAN, 1.0], "all -inf": [-INF, -INF, -INF], "NaN and inf": [INF, NAN, -INF]}
BAD_PROBS = {
    "negative": ([0.5, -0.25, 0.75], "negative|-0.25"),
    "NaN": ([0.5, NAN, 0.5], "(?i)nan"),
    "inf": ([0.5, INF, 0.5], "(?i)inf"),
    "zero": ([0.0, 0.0, 0.0], r"(?i)zero|\b0\b"),
}


def draw_all(sample, row, **parameters):
    """The set of indices that a row gives over the whole range of uniforms."""
    return set(sample(row, size=GRID_U.size, u=GRID_U, **parameters).tolist())


# -inf entries


@pytest.mark.parametrize("temperature", [0.25, 1.0, 30.0])
def test_minus_inf_entry_has_probability_exactly_zero(dtype, temperature):
    x = np.array([-INF, 1.0, -INF, 2.0, 3.0, -INF], dtype)
    alone = np.array([1.0, 2.0, 3.0], dtype)
    p = fs.softmax(x, temperature)
    assert (p[[0, 2, 5]] == 0).all() and not np.signbit(p).any()
    np.testing.assert_allclose(
        p[[1, 3, 4]].astype(float),
        fs.softmax(alone, temperature).astype(float),
        rtol=8 * eps(dtype),  # Both are within 4 ulp of the same exact value.
    )


def test_minus_inf_entry_has_log_probability_minus_inf(dtype):
    logp = fs.log_softmax(np.array([-INF, 0.0, -INF, 0.0], dtype))
    assert logp[0] == logp[2] == -INF
    np.testing.assert_allclose(logp[[1, 3]].astype(float), -np.log(2), rtol=4 * eps(dtype))


def test_minus_inf_entry_adds_nothing_to_logsumexp(dtype):
    assert fs.logsumexp(np.array([-INF, 2.0, -INF], dtype)) == 2.0
    np.testing.assert_allclose(
        float(fs.logsumexp(np.array([1.0, -INF, 1.0], dtype))), 1 + np.log(2), rtol=4 * eps(dtype)
    )


def test_minus_inf_entry_is_never_drawn(dtype):
    x = np.array([-INF, 1.0, -INF, 2.0, 1.5, -INF], dtype)
    for temperature in (0.0, 0.5, 1.0, 30.0, INF):
        allowed = {3} if temperature == 0 else {1, 3, 4}
        assert draw_all(fs.sample, x, temperature=temperature) == allowed


def test_zero_probability_is_silent_and_never_drawn(dtype):
    p = np.array([0.0, 0.25, 0.0, 0.5, 0.25, 0.0], dtype)
    with np.errstate(all="raise"):
        for temperature in (0.0, 0.5, 1.0, 30.0, INF):
            allowed = {3} if temperature == 0 else {1, 3, 4}
            assert draw_all(fs.sample_probs, p, temperature=temperature) == allowed


def test_negative_zero_is_a_probability_of_zero(dtype):
    assert draw_all(fs.sample_probs, np.array([-0.0, 1.0, -0.0], dtype)) == {1}


# All -inf


@pytest.mark.parametrize("temperature", [0.0, 1.0, INF])
def test_row_of_minus_inf_gives_nan_probabilities(dtype, temperature):
    x = np.array([[0.0, 1.0], [-INF, -INF]], dtype)
    for function in (fs.softmax, fs.log_softmax):
        result = function(x, temperature)
        assert np.isnan(result[1]).all() and not np.isnan(result[0]).any()


@pytest.mark.parametrize("temperature", [0.0, 1.0, INF])
def test_row_of_minus_inf_has_logsumexp_minus_inf(dtype, temperature):
    assert fs.logsumexp(np.array([-INF, -INF], dtype), temperature) == -INF


# Empty rows


def test_rows_without_entries_have_the_sum_of_nothing(dtype):
    for shape, axis, rows in [
        ((0,), -1, ()),
        ((3, 0), -1, (3,)),
        ((0, 3), 0, (3,)),
        ((0, 2, 3), (0, 2), (2,)),
        ((2, 0), None, ()),
    ]:
        x = np.empty(shape, dtype)
        for temperature in (0.0, 0.7, INF):
            total = fs.logsumexp(x, temperature, axis=axis)
            assert np.shape(total) == rows and total.dtype == dtype and (total == -INF).all()
            kept = fs.logsumexp(x, temperature, axis=axis, keepdims=True)
            assert kept.ndim == x.ndim and kept.size == np.size(total) and (kept == -INF).all()
            for function in (fs.softmax, fs.log_softmax):
                result = function(x, temperature, axis=axis)
                assert result.shape == shape and result.dtype == dtype
                assert function(x, temperature, axis=axis, out=x) is x


def test_reductions_compose_over_empty_parts(dtype):
    x = np.array([1.0, 2.0, 4.0], dtype)
    parts = np.stack([fs.logsumexp(x), fs.logsumexp(x[:0])])
    assert fs.logsumexp(parts) == fs.logsumexp(x)


def test_nothing_is_drawn_from_a_row_without_entries(dtype):
    for draw in (fs.sample, fs.sample_probs, fs.Sampler(rng=0)):
        for shape, where in (((0,), "the row"), ((3, 0), "row 0"), ((2, 3, 0), "row [(]0, 0[)]")):
            with pytest.raises(ValueError, match=f"{where} has no entries; fix it, or pass on_invalid"):
                draw(np.empty(shape, dtype))
    assert fs.sample(np.empty(0, dtype), on_invalid="flag") == -1
    index, logprob = fs.sample(np.empty((2, 0), dtype), size=3, on_invalid="flag", return_logprob=True)
    assert (index == -1).all() and index.shape == (2, 3) and np.isnan(logprob).all()
    assert fs.Sampler(rng=0, on_invalid="flag")(np.empty((2, 0), dtype)).tolist() == [-1, -1]
    ahead, behind = np.random.default_rng(1), np.random.default_rng(1)
    fs.sample(np.empty((2, 0), dtype), rng=ahead, on_invalid="flag")
    assert behind.random(3)[2] == ahead.random()


# +inf entries


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 1.0, 30.0])
def test_k_infinite_entries_share_the_probability(dtype, temperature):
    for k in (1, 2, 3):
        x = np.array([0.0, -INF, 5.0, -3.0] + [INF] * k, dtype)
        expected = np.array([0.0] * 4 + [1.0 / k] * k)
        np.testing.assert_array_equal(fs.softmax(x, temperature), expected.astype(dtype))


def test_k_infinite_entries_have_log_probability_minus_log_k(dtype):
    for k in (1, 2, 3):
        logp = fs.log_softmax(np.array([0.0, -INF] + [INF] * k, dtype))
        assert (logp[:2] == -INF).all()
        np.testing.assert_allclose(logp[2:].astype(float), -np.log(k), rtol=4 * eps(dtype))


def test_infinite_entry_has_logsumexp_inf(dtype):
    for temperature in (0.0, 0.5, 1.0):
        assert fs.logsumexp(np.array([1.0, INF, -INF], dtype), temperature) == INF


def test_draw_is_uniform_among_infinite_entries(dtype):
    x = np.array([0.0, INF, -INF, INF, 9.0, INF, INF], dtype)
    u = np.array([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.9999])
    indices, logprobs = fs.sample(x, size=u.size, u=u, return_logprob=True)
    assert indices.tolist() == [1, 1, 3, 3, 5, 5, 6, 6]
    np.testing.assert_allclose(logprobs, -np.log(4), rtol=2.0**-51)


# NaN


@pytest.mark.parametrize("temperature", [0.0, 1.0, INF])
@pytest.mark.parametrize("others", [[0.0, 1.0], [INF, 1.0], [-INF, -INF]], ids=["finite", "inf", "minus inf"])
def test_nan_wins_over_everything(dtype, others, temperature):
    for place in range(3):
        x = np.insert(np.array(others, dtype), place, NAN)
        assert np.isnan(fs.softmax(x, temperature)).all()
        assert np.isnan(fs.log_softmax(x, temperature)).all()
        assert np.isnan(fs.logsumexp(x, temperature))
        assert fs.sample(x, temperature, u=0.5, on_invalid="flag") == -1


@pytest.mark.parametrize("n", [1, 15, 16, 17, 64, 1023, 1025, 5000])
def test_nan_is_found_wherever_it_stands_in_a_long_row(n):
    for dtype in DTYPES[:2]:
        for place in {0, n // 2, n - 1}:
            x = np.zeros(n, dtype)
            x[place] = NAN
            assert np.isnan(fs.softmax(x)).all()
            assert np.isnan(fs.logsumexp(x))
            assert fs.sample(x, u=0.0, on_invalid="flag") == -1


def test_nan_row_leaves_the_other_rows_alone(dtype, rng):
    x = rng.normal(size=(5, 40)).astype(dtype)
    spoilt = x.copy()
    spoilt[3, 17] = NAN
    others = [0, 1, 2, 4]
    for function in (fs.softmax, fs.log_softmax, fs.logsumexp):
        assert bits(function(spoilt)[others]) == bits(function(x)[others])


# Temperature 0


def test_temperature_zero_shares_among_the_maximal_entries(dtype):
    x = np.array([[1.0, 3.0, 3.0, -INF], [2.0, 1.0, 0.0, -1.0], [-5.0, -5.0, -5.0, -5.0]], dtype)
    expected = np.array([[0, 0.5, 0.5, 0], [1, 0, 0, 0], [0.25] * 4]).astype(dtype)
    np.testing.assert_array_equal(fs.softmax(x, 0.0), expected)


def test_temperature_zero_log_probabilities_are_the_limit(dtype):
    logp = fs.log_softmax(np.array([1.0, 3.0, 2.0, 3.0], dtype), 0.0)
    assert logp[0] == logp[2] == -INF
    np.testing.assert_allclose(logp[[1, 3]].astype(float), -np.log(2), rtol=4 * eps(dtype))


def test_temperature_zero_logsumexp_is_the_limit(dtype):
    x = np.array([[1.0, 0.5], [-1.0, -2.0], [0.0, -1.0]], dtype)
    np.testing.assert_array_equal(fs.logsumexp(x, 0.0), [INF, -INF, 0.0])


def test_temperature_zero_draws_the_lowest_index_of_the_maximum(dtype):
    x = np.array([1.0, 3.0, 2.0, 3.0], dtype)
    assert draw_all(fs.sample, x, temperature=0.0) == {1}
    assert draw_all(fs.sample, np.array([0.0, INF, INF], dtype), temperature=0.0) == {1}
    assert draw_all(fs.sample_probs, np.array([0.125, 0.5, 0.25, 0.5], dtype), temperature=0.0) == {1}
    assert fs.sample(x, 0.0, u=LAST_U, return_logprob=True) == (1, 0.0)
    assert fs.sample_probs(np.exp2(x), 0.0, u=LAST_U, return_logprob=True) == (1, 0.0)


def test_temperature_zero_is_the_maximum_of_a_long_row(rng):
    for dtype in DTYPES[:2]:
        x = rng.normal(size=(4, 5000)).astype(dtype)
        x[2, 1500] = x[2, 4100] = 9.0
        x[3] = -7.0
        np.testing.assert_array_equal(fs.sample(x, 0.0), x.argmax(axis=1))
        np.testing.assert_array_equal(fs.sample_probs(np.exp(x), 0.0), np.exp(x).argmax(axis=1))


# Temperature infinity


def test_infinite_temperature_is_uniform_over_entries_above_minus_inf(dtype):
    x = np.array([5.0, -INF, INF, -100.0, 0.0], dtype)
    np.testing.assert_array_equal(fs.softmax(x, INF), np.array([0.25, 0, 0.25, 0.25, 0.25], dtype))
    np.testing.assert_allclose(fs.log_softmax(x, INF)[[0, 2, 3, 4]].astype(float), -np.log(4), rtol=4 * eps(dtype))
    assert fs.log_softmax(x, INF)[1] == -INF


def test_infinite_temperature_logsumexp_is_log_of_the_count(dtype):
    x = np.array([5.0, -INF, -100.0, 0.0], dtype)
    np.testing.assert_allclose(float(fs.logsumexp(x, INF)), np.log(3), rtol=4 * eps(dtype))


def test_infinite_temperature_draws_uniformly(dtype):
    u = np.array([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 0.9999])
    expected = [0, 0, 2, 2, 3, 3, 4, 4]
    indices, logprobs = fs.sample(
        np.array([5.0, -INF, INF, -100.0, 0.0], dtype), INF, size=u.size, u=u, return_logprob=True
    )
    assert indices.tolist() == expected
    np.testing.assert_allclose(logprobs, -np.log(4), rtol=2.0**-51)
    p = np.array([0.5, 0.0, 2.0, 0.001, 1.0], dtype)
    assert fs.sample_probs(p, INF, size=u.size, u=u).tolist() == expected


# Temperatures out of range


@pytest.mark.parametrize("temperature", [-1.0, -INF, NAN, -5e-324])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sample", "sample_probs"])
def test_negative_or_nan_temperature_raises_value_error(name, temperature):
    with pytest.raises(ValueError, match="temperature"):
        getattr(fs, name)(np.ones((2, 3)), temperature)
    with pytest.raises(ValueError, match="temperature"):
        getattr(fs, name)(np.ones((2, 3)), np.array([1.0, temperature]))


@pytest.mark.parametrize("function", [fs.softmax, fs.log_softmax], ids=["softmax", "log_softmax"])
def test_nothing_is_written_when_a_temperature_is_out_of_range(dtype, function):
    x = np.ones((3, 4), dtype)
    out = np.full((3, 4), 7, dtype)
    with pytest.raises(ValueError):
        function(x, np.array([1.0, 1.0, -1.0]), out=out)
    with pytest.raises(ValueError):
        function(x, np.array([1.0, 1.0, NAN]), out=x)
    assert (out == 7).all() and (x == 1).all()


def test_no_uniform_is_used_when_a_temperature_is_out_of_range():
    generator, untouched = np.random.default_rng(3), np.random.default_rng(3)
    with pytest.raises(ValueError):
        fs.sample(np.ones((2, 3)), np.array([1.0, -1.0]), rng=generator)
    assert generator.bit_generator.state == untouched.bit_generator.state


# Probabilities as input


def test_unnormalised_weights_are_welcome(dtype):
    small, large = np.array([1, 0, 3], dtype), np.array([256, 0, 768], dtype)
    u = np.array([0.0, 0.2499, 0.25, 0.9999])
    for p in (small, large, small / dtype.type(256)):
        assert fs.sample_probs(p, size=u.size, u=u).tolist() == [0, 0, 2, 2]


def test_float32_probabilities_that_sum_to_more_than_one_are_welcome():
    p = np.full(10, np.float32(0.1))
    assert p.astype(float).sum() > 1
    assert fs.sample_probs(p, u=LAST_U) == 9


def test_largest_and_smallest_numbers_are_weights_like_any_other():
    for dtype in (np.float32, np.float64):
        largest, smallest = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
        u = np.array([0.0, 0.2499, 0.25, 0.5, 0.9999])
        for weight in (largest, smallest):
            p = np.array([weight] * 4, dtype)
            assert fs.sample_probs(p, size=u.size, u=u).tolist() == [0, 0, 1, 2, 3]


# Invalid rows


@pytest.mark.parametrize("kind", BAD_LOGITS)
def test_invalid_logits_raise_and_name_the_first_such_row(dtype, kind):
    x = np.ones((9, 3), dtype)
    x[5] = x[7] = np.array(BAD_LOGITS[kind], dtype)
    with pytest.raises(ValueError, match=r"row\D*\b5\b") as error:
        fs.sample(x)
    assert ("nan" in str(error.value).lower()) == ("NaN" in kind)
    with pytest.raises(ValueError):
        fs.sample(x[5])


@pytest.mark.parametrize("kind", BAD_PROBS)
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, INF])
def test_invalid_probabilities_raise_and_name_the_first_such_row(dtype, kind, temperature):
    bad, wrong = BAD_PROBS[kind]
    p = np.ones((9, 3), dtype)
    p[5] = p[7] = np.array(bad, dtype)
    with pytest.raises(ValueError, match=r"row\D*\b5\b") as error:
        fs.sample_probs(p, temperature)
    error.match(wrong)
    with pytest.raises(ValueError):
        fs.sample_probs(p[5], temperature)


@pytest.mark.parametrize("kind", [*BAD_LOGITS, *BAD_PROBS])
def test_flagged_row_gives_minus_one_and_leaves_the_others_alone(dtype, kind, rng):
    is_logits = kind in BAD_LOGITS
    sample = fs.sample if is_logits else fs.sample_probs
    x = np.abs(rng.normal(size=(9, 3))).astype(dtype)
    u = rng.random(9)
    expected, expected_logprobs = sample(x, u=u, return_logprob=True)
    x[5] = np.array(BAD_LOGITS[kind] if is_logits else BAD_PROBS[kind][0], dtype)
    expected[5], expected_logprobs[5] = -1, NAN
    indices, logprobs = sample(x, u=u, return_logprob=True, on_invalid="flag")
    assert bits(indices) == bits(expected)
    np.testing.assert_array_equal(logprobs, expected_logprobs)


@pytest.mark.parametrize("sample", [fs.sample, fs.sample_probs], ids=["sample", "sample_probs"])
def test_on_invalid_takes_nothing_but_raise_and_flag(sample):
    with pytest.raises(ValueError, match="on_invalid"):
        sample([1.0, 2.0], on_invalid="ignore")

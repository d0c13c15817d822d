"""penalize: repetition, frequency and presence of tokens seen, and DRY of what would continue a repetition."""

import time

import ml_dtypes
import numpy as np
import pytest
import reference_rows
from breadth import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DTYPES, bits

import fastsoftmax as fs

INF, NAN = np.inf, np.nan


def longest_repeats(context, breakers=(), last_n=None):
    """For each token, the length of the longest suffix of the context that occurred before, followed by it.

    By trying every occurrence. The suffix begins after the last complete occurrence of a breaker.
    """
    context = list(context)
    if last_n is not None:
        context = context[max(len(context) - last_n, 0) :]
    breakers = [(b,) if isinstance(b, int) else tuple(b) for b in breakers]
    end = len(context)
    starts = [i + len(b) for b in breakers for i in range(end - len(b) + 1) if tuple(context[i : i + len(b)]) == b]
    longest = end - max(starts, default=0)
    found = {}
    for j in range(1, end):
        m = 0
        while m < min(j, longest) and context[j - 1 - m] == context[end - 1 - m]:
            m += 1
        found[context[j]] = max(found.get(context[j], 0), m)
    for b in breakers:
        if len(b) == 1:
            found.pop(b[0], None)
    return found


def penalized(x, context, *, repetition=1.0, frequency=0.0, presence=0.0, dry_multiplier=0.0, dry_base=1.75,
              dry_allowed_length=2, dry_penalty_last_n=None, dry_sequence_breakers=()):  # fmt: skip
    """One row by the formulas, in float64."""
    x = np.asarray(x, float).copy()
    context = [int(t) for t in context]
    for t in set(context):
        if np.isfinite(x[t]):
            x[t] = x[t] * repetition if x[t] <= 0 else x[t] / repetition
            x[t] -= context.count(t) * frequency + presence
    if dry_multiplier:
        for t, m in longest_repeats(context, dry_sequence_breakers, dry_penalty_last_n).items():
            if np.isfinite(x[t]) and m >= dry_allowed_length:
                x[t] -= dry_multiplier * dry_base ** (m - dry_allowed_length)
    return x


def assert_close(got, expected):
    """One rounding to the dtype, of a result whose own roundings are those of five float64 operations."""
    info = ml_dtypes.finfo(got.dtype)
    expected = np.clip(expected, float(info.min), float(info.max), out=expected, where=np.isfinite(expected))
    slack = 0.51 * float(info.eps) + 5 * 2.0**-52
    np.testing.assert_allclose(got.astype(float), expected, rtol=slack, atol=max(1e-14, float(info.tiny)))


# Repetition, frequency, presence


def test_repetition_penalty_divides_what_is_positive_and_multiplies_the_rest():
    x = [2.0, -2.0, 0.0, 3.0]
    np.testing.assert_array_equal(fs.penalize(x, [0, 1, 2, 0], repetition=4.0), [0.5, -8.0, 0.0, 3.0])
    np.testing.assert_array_equal(fs.penalize(x, [0, 1], repetition=0.5), [4.0, -1.0, 0.0, 3.0])


def test_frequency_counts_and_presence_does_not():
    x = np.zeros(4)
    np.testing.assert_array_equal(fs.penalize(x, [1, 3, 3, 3], frequency=0.5), [0, -0.5, 0, -1.5])
    np.testing.assert_array_equal(fs.penalize(x, [1, 3, 3, 3], presence=0.5), [0, -0.5, 0, -0.5])
    np.testing.assert_array_equal(fs.penalize(x, [1, 3, 3], frequency=-0.5, presence=0.25), [0, 0.25, 0, 0.75])


def test_repetition_comes_before_frequency_presence_and_dry():
    x = [8.0, -1.0, 8.0]
    got = fs.penalize(x, [0, 1, 0], repetition=2.0, frequency=1.0, presence=0.5, dry_multiplier=3.0,
                      dry_allowed_length=1)  # fmt: skip
    # 1 followed the only repeat, of length one.
    np.testing.assert_array_equal(got, [8 / 2 - 2 - 0.5, -1 * 2 - 1 - 0.5 - 3, 8])


def test_neutral_parameters_and_empty_contexts_change_nothing(dtype, rng):
    x = rng.normal(size=(3, 20)).astype(dtype)
    assert bits(fs.penalize(x, rng.integers(20, size=(3, 50)))) == bits(x)
    assert bits(fs.penalize(x, [[], [], []], repetition=2.0, frequency=1.0, dry_multiplier=1.0)) == bits(x)
    assert bits(fs.penalize(x[0], [], repetition=2.0)) == bits(x[0])
    assert bits(fs.penalize(x[0], np.array([], np.int64), presence=2.0)) == bits(x[0])


def test_a_token_changes_by_its_own_logit_and_the_context_alone(rng):
    x, tokens = rng.normal(size=50), rng.integers(50, size=80)
    settings_ = {"repetition": 1.3, "frequency": 0.2, "presence": 0.1, "dry_multiplier": 0.8, "dry_allowed_length": 1}
    whole = fs.penalize(x, tokens, **settings_)
    for t in (3, 20, 41):
        other = rng.normal(size=50)
        other[t] = x[t]
        assert fs.penalize(other, tokens, **settings_)[t] == whole[t]


def test_infinite_and_nan_logits_stay_what_they_are(dtype):
    x = np.array([INF, -INF, NAN, 1.0], dtype)
    got = fs.penalize(x, [0, 1, 2] * 5, repetition=3.0, frequency=1.0, presence=1.0, dry_multiplier=1e300)
    assert bits(got) == bits(x)


def test_finite_logits_stay_finite(dtype):
    least = float(ml_dtypes.finfo(dtype).min)
    x = np.array([0.0, least, -least, 1.0], dtype)
    long = [0, 1, 2, 3] * 3000
    got = fs.penalize(x, long, dry_multiplier=1.0, dry_base=1e6).astype(float)
    # 0 follows the repeat of 11,996 tokens; the others repeat nothing.
    assert got.tolist() == [least, least, -least, 1.0]
    got = fs.penalize(x, [0, 1, 2, 3], repetition=1e9, frequency=1.0)
    assert np.isfinite(got.astype(float)).all() and float(got[1]) == least
    got = fs.penalize(x, [0, 1, 2, 3], repetition=1e-9)
    assert np.isfinite(got.astype(float)).all() and float(got[2]) == -least


# DRY


@pytest.mark.parametrize(
    "context, repeats",
    [
        ([0, 1, 2, 0, 1], {2: 2, 1: 0, 0: 0}),
        ([7, 7, 7, 7], {7: 3}),
        ([1, 2, 3, 1, 2, 4, 1, 2], {3: 2, 4: 2, 1: 0, 2: 0}),
        ([5, 1, 2, 9, 1, 2, 8, 5, 1, 2], {9: 3, 8: 2, 1: 0, 2: 0, 5: 0}),
        ([1], {}),
        ([], {}),
    ],
)
def test_the_brute_force_finds_the_longest_repeat(context, repeats):
    assert longest_repeats(context) == repeats


def test_dry_grows_with_the_length_of_the_repeat():
    context = [5, 1, 2, 9, 1, 2, 8, 5, 1, 2]
    got = fs.penalize(np.zeros(10), context, dry_multiplier=0.8, dry_base=3.0, dry_allowed_length=2)
    expected = np.zeros(10)
    expected[9], expected[8] = -0.8 * 3, -0.8
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    got = fs.penalize(np.zeros(10), context, dry_multiplier=0.8, dry_base=3.0, dry_allowed_length=3)
    np.testing.assert_allclose(got[[8, 9]], [0, -0.8], rtol=1e-15)
    assert not fs.penalize(np.zeros(10), context, dry_multiplier=0.8, dry_allowed_length=4).any()


def test_dry_looks_no_further_back_than_the_window():
    context = [0, 1, 2, 3, 0, 1]
    for last_n, penalty in ((None, -1), (6, -1), (100, -1), (5, 0), (1, 0)):
        got = fs.penalize(np.zeros(5), context, dry_multiplier=1.0, dry_penalty_last_n=last_n)
        assert got.tolist() == [0, 0, penalty, 0, 0]
    # The other penalties look at everything, unless they have a window of their own.
    got = fs.penalize(np.zeros(5), context, presence=1.0, dry_multiplier=1.0, dry_penalty_last_n=2)
    assert got.tolist() == [-1, -1, -1, -1, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_repetition_frequency_and_presence_look_at_the_last_n_tokens(dtype):
    x = np.random.default_rng(4).normal(size=8).astype(dtype)
    context = [0, 1, 2, 2, 1, 3, 3, 3]
    several = {"repetition": 1.5, "frequency": 0.25, "presence": 0.5}
    for last_n in range(12):
        got = fs.penalize(x, context, last_n=last_n, **several)
        assert bits(got) == bits(fs.penalize(x, context[max(len(context) - last_n, 0) :], **several))
    for last_n in (None, -1, 8, 2**70):
        assert bits(fs.penalize(x, context, last_n=last_n, **several)) == bits(fs.penalize(x, context, **several))
    assert bits(fs.penalize(x, context, last_n=0, **several)) == bits(x)


def test_the_two_windows_are_independent():
    context = [0, 1, 2, 3, 0, 1]
    dry = {"dry_multiplier": 1.0, "presence": 1.0}
    assert fs.penalize(np.zeros(5), context, last_n=1, **dry).tolist() == [0, -1, -1, 0, 0]
    assert fs.penalize(np.zeros(5), context, last_n=1, dry_penalty_last_n=5, **dry).tolist() == [0, -1, 0, 0, 0]
    assert fs.penalize(np.zeros(5), context, last_n=0, dry_penalty_last_n=-1, **dry).tolist() == [0, 0, -1, 0, 0]


def test_windows_of_ragged_contexts_end_where_each_context_ends():
    x = np.zeros((3, 4))
    ragged, padded = [[0, 1, 1, 2], [3], []], np.array([[0, 1, 1, 2, -9], [3, 0, 0, 0, 0], [9, 9, 9, 9, 9]])
    for last_n, expected in (
        (2, [[0, -1, -1, 0], [0, 0, 0, -1], [0] * 4]),
        ([1, 0, 5], [[0, 0, -1, 0], [0] * 4, [0] * 4]),
        (np.array([3, -1, 0], np.int8), [[0, -2, -1, 0], [0, 0, 0, -1], [0] * 4]),
    ):
        assert fs.penalize(x, ragged, frequency=1.0, last_n=last_n).tolist() == expected
        assert fs.penalize(x, padded, lengths=[4, 1, 0], frequency=1.0, last_n=last_n).tolist() == expected


def test_dry_counts_what_follows_the_last_breaker():
    context = [0, 1, 3, 4, 0, 1]
    dry = {"dry_multiplier": 1.0, "dry_base": 2.0, "dry_allowed_length": 1}
    assert fs.penalize(np.zeros(5), context, **dry).tolist() == [0, 0, 0, -2, 0]
    # 3 is a breaker itself: never penalised.
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=(3,), **dry).tolist() == [0] * 5
    # Only the 1 follows the breaker 0, which does not hide what the 1 repeats.
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=[0], **dry).tolist() == [0, 0, 0, -1, 0]
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=[1], **dry).tolist() == [0] * 5
    # A longer breaker counts only where it is complete.
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=[(4, 0)], **dry).tolist() == [0, 0, 0, -1, 0]
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=[(4, 1)], **dry).tolist() == [0, 0, 0, -2, 0]
    assert fs.penalize(np.zeros(5), context, dry_sequence_breakers=[(1, 3, 4), 2], **dry).tolist() == [0, 0, 0, -2, 0]


breakers = st.lists(st.integers(0, 4) | st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), max_size=3)


@given(
    context=st.lists(st.integers(0, 4), max_size=60),
    breakers=breakers | st.just([]),
    last_n=st.none() | st.integers(1, 70),
    allowed=st.integers(1, 4),
)
@settings(deadline=None, derandomize=True, max_examples=cases(300))
def test_dry_agrees_with_trying_every_occurrence(context, breakers, last_n, allowed):
    dry = {"dry_multiplier": 1.5, "dry_base": 1.25, "dry_allowed_length": allowed, "dry_penalty_last_n": last_n,
           "dry_sequence_breakers": breakers}  # fmt: skip
    x = np.arange(6) - 2.5
    assert_close(fs.penalize(x, context, **dry), penalized(x, context, **dry))


def test_dry_agrees_on_long_contexts(rng):
    for alphabet, length in ((2, 400), (3, 1000), (40, 3000)):
        context = rng.integers(alphabet, size=length)
        context = np.concatenate([context, context[100:230], context[40:90]])
        for breaking in ((), (1,), [(0, 1, 1)]):
            dry = {"dry_multiplier": 0.7, "dry_base": 1.01, "dry_sequence_breakers": breaking}
            x = rng.normal(size=alphabet)
            assert_close(fs.penalize(x, context, **dry), penalized(x, context, **dry))


@pytest.mark.parametrize(
    "context",
    [
        np.zeros(20_000, np.int64),
        np.arange(20_000) % 2,
        np.r_[np.zeros(10_000, np.int64), 1, np.zeros(9_999, np.int64)],
        np.arange(20_000) % 5_000,
    ],
    ids=["equal", "alternating", "two runs", "periodic"],
)
def test_dry_takes_linear_time(context):
    x = np.zeros(5_000, np.float32)
    start = time.perf_counter()
    fs.penalize(x, context, dry_multiplier=1.0)
    # Twenty thousand steps take a millisecond, their square takes seconds.
    assert time.perf_counter() - start < 0.3


# Random rows, batches, dtypes, out=


def random_parameters(rows, rng):
    return {
        "repetition": rng.uniform(0.5, 2, size=rows),
        "frequency": rng.uniform(-1, 1, size=rows),
        "presence": rng.uniform(-1, 1, size=rows),
        "dry_multiplier": rng.choice([0, 0.5, 2], size=rows),
        "dry_base": rng.uniform(1, 2, size=rows),
        "dry_allowed_length": rng.integers(1, 4, size=rows),
    }


def test_ragged_and_padded_batches_agree_with_single_rows(dtype, rng):
    x = rng.normal(size=(30, 12)).astype(dtype)
    lengths = rng.integers(0, 40, size=30)
    contexts = [rng.integers(12, size=length) for length in lengths]
    padded = np.full((30, 40), -7)
    for i, context in enumerate(contexts):
        padded[i, : lengths[i]] = context
    each = random_parameters(30, rng)
    ragged = fs.penalize(x, contexts, **each)
    assert ragged.dtype == dtype
    assert bits(fs.penalize(x, [c.tolist() for c in contexts], **each)) == bits(ragged)
    assert bits(fs.penalize(x, padded, lengths=lengths, **each)) == bits(ragged)
    assert bits(fs.penalize(x, padded.astype(np.int16), lengths=lengths.tolist(), **each)) == bits(ragged)
    for i in range(30):
        own = {name: value[i] for name, value in each.items()}
        assert bits(fs.penalize(x[i], contexts[i], **own)) == bits(ragged[i])
        assert_close(ragged[i], penalized(x[i], contexts[i], **own))


def test_batches_of_several_axes_and_any_axis(rng):
    x, tokens = rng.normal(size=(3, 4, 15)), rng.integers(15, size=(3, 4, 25))
    parameters = {"repetition": rng.uniform(0.5, 2, size=(3, 1)), "frequency": [0.0, 0.1, 0.2, 0.3]}
    whole = fs.penalize(x, tokens, **parameters)
    for i in range(3):
        for j in range(4):
            own = {"repetition": parameters["repetition"][i, 0], "frequency": parameters["frequency"][j]}
            assert bits(fs.penalize(x[i, j], tokens[i, j], **own)) == bits(whole[i, j])
    moved = fs.penalize(np.moveaxis(x, -1, 1), tokens, axis=1, **parameters)
    assert bits(np.moveaxis(moved, 1, -1)) == bits(whole)
    lengths = rng.integers(26, size=(3, 4))
    by_length = fs.penalize(x, tokens, lengths=lengths, presence=1.0)
    assert bits(by_length[2, 1]) == bits(fs.penalize(x[2, 1], tokens[2, 1, : lengths[2, 1]], presence=1.0))


def test_integer_logits_become_float64():
    got = fs.penalize([4, -4, 1], [0, 1], repetition=2.0)
    assert got.dtype == np.float64 and got.tolist() == [2.0, -8.0, 1.0]


def test_in_place_and_out_give_the_bits_of_a_fresh_result(dtype, rng):
    x = rng.normal(size=(6, 300)).astype(dtype)
    tokens = rng.integers(300, size=(6, 90))
    parameters = {"repetition": 1.2, "presence": 0.3, "dry_multiplier": 1.0, "dry_allowed_length": 1}
    before = x.copy()
    expected = fs.penalize(x, tokens, **parameters)
    assert bits(x) == bits(before)
    for out in (np.empty_like(x), np.empty((300, 6), dtype).T, np.empty((6, 600), dtype)[:, ::-2]):
        assert fs.penalize(x, tokens, out=out, **parameters) is out
        np.testing.assert_array_equal(out, expected)
    assert fs.penalize(x, tokens, out=x, **parameters) is x
    assert bits(x) == bits(expected)
    wide = np.zeros((6, 600), dtype)
    wide[:, ::2] = before
    fs.penalize(wide[:, ::2], tokens, out=wide[:, ::2], **parameters)
    np.testing.assert_array_equal(wide[:, ::2], expected)
    assert not wide[:, 1::2].any()


# exempt


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_exempt_tokens_stay_as_they_are(dtype, rng):
    x = rng.normal(size=(6, 12)).astype(dtype)
    tokens = rng.integers(12, size=(6, 30))
    given = {"repetition": 1.3, "frequency": 0.2, "presence": 0.1, "dry_multiplier": 0.7, "dry_allowed_length": 1}
    expected = fs.penalize(x, tokens, **given)
    expected[:, [2, 11]] = x[:, [2, 11]]
    for exempt in ([2, 11], (11, 2, 2), np.array([2, 11], np.int8)):
        np.testing.assert_array_equal(fs.penalize(x, tokens, exempt=exempt, **given), expected)
    own = np.asfortranarray(x[::-1])  # the entries lie apart
    fs.penalize(own, tokens[::-1], exempt=[2, 11], out=own, **given)
    np.testing.assert_array_equal(own, expected[::-1])
    np.testing.assert_array_equal(fs.penalize(x, tokens, exempt=[], **given), fs.penalize(x, tokens, **given))
    if dtype == np.float64:
        by_reference = reference_rows.penalize(x, tokens.tolist(), exempt=(2, 11), **given)
        np.testing.assert_allclose(by_reference, expected, rtol=1e-14)


@pytest.mark.parametrize(
    "exempt, error, match",
    [([3], ValueError, "3.*0 to 2"), ([-1], ValueError, "-1"), (1, ValueError, "sequence"), ([0.5], TypeError, "ints")],
)
def test_bad_exempt_tokens_raise_and_nothing_is_written(exempt, error, match):
    out = np.full(3, 7.0)
    with pytest.raises(error, match=f"exempt.*{match}"):
        fs.penalize([1.0, 2.0, 3.0], [0], repetition=2.0, exempt=exempt, out=out)
    assert (out == 7.0).all()

"""truncate: what it writes where an entry is kept, rows that are no distributions, dtypes, axes and out=."""

import numpy as np
import pytest
from oracles import DTYPES, bits

import fastsoftmax as fs

INF, NAN = np.inf, np.nan


def divided(x, temperature):
    """x / T in float64, rounded once to the dtype of x."""
    return (x.astype(np.float64) / temperature).astype(x.dtype)


# What is written


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7, 30.0])
@pytest.mark.parametrize("narrow", [np.float32, np.float64, np.float16])
def test_kept_entries_are_divided_in_float64_and_rounded_once(narrow, temperature, rng):
    x = (4 * rng.normal(size=(5, 700))).astype(narrow)
    for filters in ({}, {"top_k": 40}, {"top_p": 0.9}, {"min_p": 0.01}, {"typical_p": 0.5}):
        result = fs.truncate(x, temperature, **filters)
        kept = result > -INF
        assert result.dtype == narrow and (kept.sum(axis=1) > 0).all()
        np.testing.assert_array_equal(result[kept], divided(x, temperature)[kept])


def test_at_temperature_one_kept_entries_stay_what_they_are(dtype, rng):
    x = (4 * rng.normal(size=(5, 700))).astype(dtype)
    result = fs.truncate(x, top_k=40)
    kept = result > -INF
    assert (kept.sum(axis=1) == 40).all()
    np.testing.assert_array_equal(result[kept], x[kept])


def test_without_filters_nothing_is_dropped(dtype, rng):
    x = rng.normal(size=(5, 100)).astype(dtype)
    assert bits(fs.truncate(x)) == bits(x)


def test_mask_and_bias_come_first(rng):
    x = rng.normal(size=60)
    mask = rng.random(60) < 0.5
    expected = np.where(mask, x, -INF)
    np.testing.assert_array_equal(fs.truncate(x, 2.0, mask=mask), expected / 2)
    words = np.packbits(np.r_[mask, np.zeros(4, bool)], bitorder="little").view(np.int32)
    np.testing.assert_array_equal(fs.truncate(x, 2.0, mask=words), expected / 2)
    bias = {3: 40.0, 7: 50.0}
    np.testing.assert_array_equal(np.flatnonzero(fs.truncate(x, top_k=2, bias=bias) > -INF), [3, 7])
    np.testing.assert_array_equal(fs.truncate(x, top_k=2, bias=bias)[[3, 7]], x[[3, 7]] + [40, 50])
    # A masked NaN is no part of the row.
    np.testing.assert_array_equal(fs.truncate([NAN, 1.0], top_p=0.5, mask=[False, True]), [-INF, 1.0])


@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_softmax_of_truncate_is_the_distribution_drawn_from(narrow, rng):
    x = (3 * rng.normal(size=200)).astype(narrow)
    u = (np.arange(2000) + 0.5) / 2000
    for filters in ({"top_k": 7}, {"top_p": 0.8}, {"typical_p": 0.6, "temperature_last": True}, {"min_p": 0.1}):
        p = fs.softmax(fs.truncate(x, 0.7, **filters).astype(np.float64))
        index, logprob = fs.sample(x, 0.7, size=2000, u=u, return_logprob=True, **filters)
        # x / T rounded to float32 moves an exponent of size 20 by 2^-20.
        np.testing.assert_allclose(np.exp(logprob), p[index], rtol=2.0**-18 if narrow == np.float32 else 1e-13)
        frequencies = np.bincount(index, minlength=200) / 2000
        np.testing.assert_allclose(frequencies, p, atol=1 / 2000)


# Special rows


@pytest.mark.parametrize("filters", [{}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.9}], ids=str)
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, INF])
def test_rows_without_a_distribution(filters, temperature, dtype):
    x = np.array([[1.0, NAN, 2.0], [-INF, -INF, -INF], [0.0, 0.0, 0.0], [NAN, INF, -INF]], dtype)
    result = fs.truncate(x, temperature, **filters)
    assert np.isnan(result[[0, 3]]).all()
    assert (result[1] == -INF).all()
    assert bits(result[2]) == bits(fs.truncate(x[2], temperature, **filters))


@pytest.mark.parametrize(
    "filters",
    [{}, {"top_k": 2}, {"top_p": 0.9}, {"min_p": 0.1}, {"typical_p": 0.9}, {"epsilon_cutoff": 0.1},
     {"top_n_sigma": 1.0}, {"eta_cutoff": 0.1}, {"min_tokens_to_keep": 3, "top_k": 1}, {"temperature_last": True}],
    ids=str,
)  # fmt: skip
def test_temperature_zero_keeps_the_lowest_index_of_the_maximum(filters, dtype):
    x = np.array([[1.0, 3.0, 3.0, 2.0], [-INF, -2.0, -INF, -2.0]], dtype)
    np.testing.assert_array_equal(fs.truncate(x, 0.0, **filters), [[-INF, 0, -INF, -INF]] * 2)


def test_infinite_temperature_makes_the_kept_alike_and_keeps_their_order(dtype):
    x = np.array([1.0, 3.0, -INF, 2.0, 3.0], dtype)
    np.testing.assert_array_equal(fs.truncate(x, INF), [0, 0, -INF, 0, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, top_k=3), [-INF, 0, -INF, 0, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, top_p=0.5), [-INF, 0, -INF, -INF, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, min_p=1.0), [0, 0, -INF, 0, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, min_p=0.5, temperature_last=True), [-INF, 0, -INF, -INF, 0])


def test_entries_of_plus_infinity_are_the_only_ones_kept(dtype):
    x = np.array([1.0, INF, -INF, INF, INF], dtype)
    np.testing.assert_array_equal(fs.truncate(x, 0.5), [-INF, INF, -INF, INF, INF])
    np.testing.assert_array_equal(fs.truncate(x, top_k=2), [-INF, INF, -INF, INF, -INF])
    np.testing.assert_array_equal(fs.truncate(x, top_p=0.5), [-INF, INF, -INF, INF, -INF])
    np.testing.assert_array_equal(fs.truncate(x, min_p=0.5), [-INF, INF, -INF, INF, INF])
    np.testing.assert_array_equal(fs.truncate(x, 0.0), [-INF, 0, -INF, -INF, -INF])
    np.testing.assert_array_equal(fs.truncate(x, INF), [0, 0, -INF, 0, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, top_k=4), [0, 0, -INF, 0, 0])
    np.testing.assert_array_equal(fs.truncate(x, INF, top_k=2), [-INF, 0, -INF, 0, -INF])


def test_probabilities_below_every_float_keep_their_order():
    x = np.array([0.0, -1e5, -2e5, -3e5], np.float32)
    np.testing.assert_array_equal(fs.truncate(x, top_k=3), [0, -1e5, -2e5, -INF])
    np.testing.assert_array_equal(fs.truncate(x, top_p=0.5, min_tokens_to_keep=2), [0, -1e5, -INF, -INF])
    # exp(-200) and exp(-300) are no float32, and are still told apart.
    x = np.array([0.0, -200.0, -300.0], np.float32)
    for name in ("min_p", "epsilon_cutoff"):
        np.testing.assert_array_equal(fs.truncate(x, **{name: 1e-100}), [0, -200, -INF])


# Shapes, dtypes, out=


@pytest.mark.parametrize("shape, axis", [((6, 50), 0), ((3, 50, 4), 1), ((3, 4, 50), (0, 2)), ((5, 7), None)])
def test_any_axis_gives_what_the_last_axis_gives(shape, axis, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    axes = tuple(range(len(shape))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    rows = [i for i in range(len(shape)) if i not in axes]
    flat = x.transpose(*rows, *axes).reshape(*[shape[i] for i in rows], -1)
    result = fs.truncate(x, 0.8, axis=axis, top_p=0.7)
    assert result.shape == shape
    moved = result.transpose(*rows, *axes).reshape(flat.shape)
    assert bits(moved) == bits(fs.truncate(flat, 0.8, top_p=0.7))


def test_integers_and_lists_become_float64():
    for x in ([1, 2, 3], np.array([1, 2, 3], np.int8), (1.0, 2.0, 3.0)):
        result = fs.truncate(x, 2.0, top_k=2)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, [-INF, 1.0, 1.5])


@pytest.mark.parametrize("other", [np.ones(3, np.longdouble), np.ones(3, complex), np.array(["a"])])
def test_other_dtypes_raise_type_error(other):
    with pytest.raises(TypeError):
        fs.truncate(other, top_k=1)


FILTERED = {"top_k": 9, "top_p": 0.9}


def test_out_is_filled_and_returned(dtype, rng):
    x = rng.normal(size=(4, 60)).astype(dtype)
    expected = fs.truncate(x, 0.5, **FILTERED)
    for out in (np.empty_like(x), np.empty((60, 4), dtype).T, np.empty((4, 120), dtype)[:, ::-2]):
        assert fs.truncate(x, 0.5, out=out, **FILTERED) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("n", [7, 1500, 20_000])
def test_in_place_gives_the_bits_of_a_fresh_result(n, dtype, rng):
    x = (3 * rng.normal(size=(2, n))).astype(dtype)
    for filters in (FILTERED, {"top_p": 0.999}, {"min_p": 0.01, "temperature_last": True}):
        own = x.copy()
        assert fs.truncate(own, 0.7, out=own, **filters) is own
        assert bits(own) == bits(fs.truncate(x, 0.7, **filters))


@pytest.mark.parametrize("shift", [1, 16, 640])
def test_partial_overlap_gives_what_a_copy_would(shift, dtype, rng):
    buffer = (3 * rng.normal(size=1500 + shift)).astype(dtype)
    x, out = buffer[:-shift], buffer[shift:]
    expected = fs.truncate(x.copy(), **FILTERED)
    fs.truncate(x, out=out, **FILTERED)
    assert bits(out) == bits(expected)


def test_wrong_out_is_rejected_and_left_alone():
    x = np.ones((2, 3), np.float32)
    read_only = np.full((2, 3), 7, np.float32)
    read_only.flags.writeable = False
    for out, error in ((read_only, ValueError), (np.full((3, 2), 7, np.float32), ValueError),
                       (np.full((2, 3), 7, np.float64), TypeError), ([[7] * 3] * 2, TypeError)):  # fmt: skip
        with pytest.raises(error):
            fs.truncate(x, top_k=1, out=out)
        assert (np.asarray(out) == 7).all()


@pytest.mark.parametrize("sixteen", DTYPES[2:], ids=lambda d: d.name)
def test_16_bit_rows_keep_what_their_float32_values_keep(sixteen, rng):
    x = (3 * rng.normal(size=(20, 500))).astype(sixteen)
    for filters in ({"top_p": 0.9}, {"min_p": 0.05}, {"typical_p": 0.5}, {"top_n_sigma": 1.2}):
        wide = fs.truncate(x.astype(np.float32), 0.8, **filters)
        np.testing.assert_array_equal(fs.truncate(x, 0.8, **filters) > -INF, wide > -INF)


def test_a_half_quotient_is_rounded_once():
    """Through float it would be rounded twice, and wrong in one of 16,000 entries."""
    rng = np.random.default_rng(3)
    for temperature in rng.uniform(0.1, 5, 60):
        x = rng.standard_normal(3000).astype(np.float16)
        exact = (x.astype(np.float64) / temperature).astype(np.float16)
        np.testing.assert_array_equal(fs.truncate(x, temperature), exact)
        left = fs.truncate(x, temperature, top_k=2000)
        np.testing.assert_array_equal(left[left > -INF], exact[left > -INF])

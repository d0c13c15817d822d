"""Masks and biases of a draw: what they forbid and add, however they are given."""

import numpy as np
import pytest
from oracles import GRID_U, LAST_U, assert_inverts_cdf, bits, needs_longdouble, share_tolerance

import fastsoftmax as fs

BOTH = pytest.mark.parametrize("sample", [fs.sample, fs.sample_probs], ids=["sample", "sample_probs"])
BIT_GENERATORS = [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937]


def positive_rows(rng, *shape, dtype=np.float64):
    """Numbers that are valid as logits and as probabilities alike."""
    return rng.exponential(size=shape).astype(dtype)


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
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(5, 1, 7), (1, 4, 7), (4, 7), (5, 4, 1), (1, 7), (4, 1), (7,), (1, 1, 1), (1,)])
def test_masks_and_biases_broadcast_along_every_axis(sample, axis, shape, rng):
    x = positive_rows(rng, 5, 4, 7, dtype=np.float32)
    u = rng.random(np.delete(x.shape, axis))
    mask, bias = np.ones(shape, bool), rng.normal(size=shape)
    mask.flat[1:] = rng.random(mask.size - 1) < 0.8
    given = {"u": u, "axis": axis, "on_invalid": "flag"}
    full = {"mask": np.broadcast_to(mask, x.shape).copy(), "bias": np.broadcast_to(bias, x.shape).copy()}
    for value in ({"mask": mask}, {"bias": bias}, {"mask": mask, "bias": bias}):
        if ((1,) * (3 - len(shape)) + shape)[axis] == 1:
            with pytest.raises(ValueError, match="has no value for each of the"):
                sample(x, **given, **value)
            continue
        np.testing.assert_array_equal(sample(x, **given, **value), sample(x, **given, **{k: full[k] for k in value}))


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

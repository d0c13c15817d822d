"""Masks of integers 0 and 1 in the shape of the rows: gymnasium's and OpenSpiel's, wherever a mask is taken."""

import numpy as np
import pytest
import reference_rows
from oracles import bits

import fastsoftmax as fs

RNG = np.random.default_rng(8)
X = RNG.normal(size=(7, 70))
U = RNG.random(7)
MASK = RNG.random((7, 70)) < 0.6
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i2", ">i4", ">u8"]
LAYOUTS = {
    "as it is": lambda m: m, "reversed": lambda m: m[::-1, ::-1].copy()[::-1, ::-1], "columns": np.asfortranarray,
    "strided": lambda m: np.repeat(m, 3, axis=-1)[..., ::3], "one row": lambda m: m[:1], "a row": lambda m: m[0],
    "list": lambda m: m.tolist(), "read-only": lambda m: np.frombuffer(m.tobytes(), m.dtype).reshape(m.shape),
}  # fmt: skip
CALLS = {
    "sample": lambda m: fs.sample(X, 0.8, u=U, mask=m, return_logprob=True),
    "size": lambda m: fs.sample(X, 0.8, u=U[:5], size=5, mask=m),
    "filters": lambda m: fs.sample(X, 0.8, u=U, mask=m, top_p=0.8, top_k=20),
    "float16": lambda m: fs.sample(X.astype(np.float16), 0.8, u=U, mask=m),
    "probs": lambda m: fs.sample_probs(np.exp(X), u=U, mask=m),
    "truncate": lambda m: fs.truncate(X, mask=m, top_k=9),
    "top_logprobs": lambda m: fs.top_logprobs(X, 5, mask=m),
    "without": lambda m: fs.sample_without_replacement(X, 3, u=np.broadcast_to(U[:, None], (7, 3)), mask=m),
    "Sampler": lambda m: fs.Sampler(0.8, mask=m)(X, U),
    "Sampler's call": lambda m: fs.Sampler(0.8)(X, U, mask=m),
    "both": lambda m: fs.Sampler(0.8, mask=m)(X, U, mask=MASK),
    "shards": lambda m: fs.logsumexp_from_summary(fs.summarize(X, mask=m, logsumexp=True)),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_draws_are_those_of_the_bool_mask(dtype, layout):
    mask = LAYOUTS[layout](MASK.astype(dtype))
    of_bool = np.array(mask).astype(bool)
    assert bits(fs.sample(X, u=U, mask=mask)) == bits(fs.sample(X, u=U, mask=of_bool))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint64])
def test_every_function_takes_them(call, dtype):
    for mask in (MASK, MASK[0]):
        got, expected = CALLS[call](mask.astype(dtype)), CALLS[call](mask)
        for a, b in zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]:
            assert (a is b is None) or bits(a) == bits(b)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_one_row_in_the_loop_of_a_sampler(dtype):
    for mask in MASK:
        sampler, held = fs.Sampler(0.8), fs.Sampler(0.8, mask=mask.astype(dtype))
        for x, u in zip(X, U, strict=True):
            expected = fs.sample(x, 0.8, u=u, mask=mask)
            assert sampler(x, u, mask=mask.astype(dtype)) == held(x, u) == expected
            assert held(x, u, mask=MASK[0]) == fs.sample(x, 0.8, u=u, mask=mask & MASK[0])
    prepared = fs.Categorical(X[0], 0.8, mask=MASK[0].astype(dtype))
    assert prepared.draw(7, u=U).tolist() == fs.sample(X[0], 0.8, size=7, u=U, mask=MASK[0]).tolist()


@pytest.mark.parametrize("axis", [0, 1, (0, 2), None])
def test_any_axis(axis):
    x, mask = X.reshape(7, 7, 10), MASK.reshape(7, 7, 10)
    u = RNG.random(np.shape(np.sum(x, axis=axis)))
    for dtype in (np.int8, np.int32, np.int64):
        got = fs.sample(x, axis=axis, u=u, mask=mask.astype(dtype))
        np.testing.assert_array_equal(got, fs.sample(x, axis=axis, u=u, mask=mask))


def test_the_reference_takes_them_too():
    x, mask = X[:3, :6], np.array([[0, 1, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], np.int8)
    expected = [
        fs.reference.sample(row.tolist(), mask=m.tolist(), u=float(u)) for row, m, u in zip(x, mask, U[:3], strict=True)
    ]
    np.testing.assert_array_equal(fs.sample(x, u=U[:3], mask=mask), expected)
    np.testing.assert_array_equal(reference_rows.sample(x, u=U[:3], mask=mask.astype(bool)), expected)


@pytest.mark.parametrize("value", [2, -1, 255, 3])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_any_other_integer_is_an_error_with_its_row_and_index(value, dtype):
    if not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        value = 7
    mask = MASK.astype(dtype)
    mask[3, 65] = value
    mask[5, 0] = value
    for call in CALLS.values():
        with pytest.raises(
            ValueError, match=rf"mask of {np.dtype(dtype)} must hold 0 and 1.*row 3 has {value} at index 65"
        ):
            call(mask)
    with pytest.raises(ValueError, match=rf"the row has {value} at index 65"):
        fs.sample(X[0], mask=mask[3])
    with pytest.raises(ValueError, match=rf"has {value} at index 65"):
        fs.Sampler(mask=mask[3])(X[0])
    if np.dtype(dtype).itemsize != 4:  # these may be words
        with pytest.raises(ValueError, match=rf"row 3 has {value} at index 65"):
            fs.Sampler(mask=mask)
    mask[5, 0] = 0
    with pytest.raises(ValueError, match=rf"row 65 has {value} at index 3"):
        fs.sample(X, axis=0, mask=mask)


def test_what_may_be_words_and_what_is_a_mask():
    """int32 in the shape of the words are words; where n is 1 both have one shape."""
    x = np.zeros((2, 2))
    assert fs.sample(x, 0.0, mask=np.array([[2], [1]], np.int32)).tolist() == [1, 0]  # words
    assert fs.sample(x, 0.0, mask=np.array([[0, 1], [1, 0]], np.int32)).tolist() == [1, 0]
    assert fs.sample(np.zeros((2, 1)), mask=np.array([[1], [3]], np.int32)).tolist() == [0, 0]  # words: bit 0
    assert fs.sample([0.0], mask=np.array([0], np.int8), on_invalid="flag") == -1
    assert fs.Sampler()([0.0], mask=np.array([3], np.int32)) == 0
    with pytest.raises(ValueError, match="must hold 0 and 1"):
        fs.sample([0.0], mask=np.array([3], np.int8))
    with pytest.raises(
        ValueError, match=r"mask of int32 must have the shape \(7, 3\) .*words.*\(7, 70\).*not \(7, 4\)"
    ):
        fs.sample(X, mask=np.ones((7, 4), np.int32))
    with pytest.raises(ValueError, match=r"mask of shape \(1,\) has no value for each of the 70 entries"):
        fs.sample(X, mask=np.ones(1, np.int8))
    for bad in (np.ones(70), np.ones(70, complex), ["a"] * 70, np.ones(70, object)):
        with pytest.raises(TypeError, match="mask must be bool .*integers 0 and 1"):
            fs.sample(X, mask=bad)
    assert fs.sample(np.zeros((0, 5)), mask=np.ones((0, 5), np.int8)).shape == (0,)
    assert fs.sample(np.zeros((2, 0)), mask=np.ones((2, 0), np.int8), on_invalid="flag").tolist() == [-1, -1]

"""Arguments that hide something: masks that would be dropped, values spread over a row, memory that is used twice."""

import numpy as np
import pytest

import fastsoftmax as fs

MASKED = np.ma.masked_array([0.5, 0.25, 0.75], [0, 1, 0])
X = np.zeros((3, 3))
WHERE = {
    "x": [fs.softmax, fs.log_softmax, fs.logsumexp],
    "logits": [fs.sample, fs.truncate, fs.penalize, fs.top_logprobs, fs.sample_without_replacement, fs.summarize],
    "probs": [fs.sample_probs],
}
CALLS = {
    **{
        f"{function.__name__}-{name}": lambda value, function=function: function(
            value, *{fs.penalize: ([1],), fs.top_logprobs: (1,), fs.sample_without_replacement: (1,)}.get(function, ())
        )
        for name, functions in WHERE.items()
        for function in functions
    },
    "Categorical": fs.Categorical,
    "Sampler": lambda value: fs.Sampler(rng=0)(value),
    "temperature of softmax": lambda value: fs.softmax(X, value),
    "temperature of sample": lambda value: fs.sample(X, value, rng=0),
    "u": lambda value: fs.sample(X, u=value),
    "mask": lambda value: fs.sample(X, mask=value, rng=0),
    "bias": lambda value: fs.sample(X, bias=value, rng=0),
    "top_k": lambda value: fs.sample(X, top_k=value, rng=0),
    "top_p": lambda value: fs.sample(X, top_p=value, rng=0),
    "xtc_u": lambda value: fs.sample(X, xtc_threshold=0.1, xtc_probability=0.5, xtc_u=value, rng=0),
    "top_p of a Sampler": lambda value: fs.Sampler(top_p=value),
    "mask of a Sampler": lambda value: fs.Sampler(mask=value),
    "bias of a Sampler": lambda value: fs.Sampler(bias=value),
    "chosen": lambda value: fs.top_logprobs(X, 1, chosen=value),
    "context": lambda value: fs.penalize(X[0], value, repetition=1.1),
    "target_logits": lambda value: fs.verify_draft(value, None, [0, 1], rng=0),
    "draft_logits": lambda value: fs.verify_draft(X, value, [0, 1], rng=0),
    "tokens": lambda value: fs.verify_draft(np.zeros((4, 3)), None, value, rng=0),
    "keys": lambda value: fs.keyed_uniforms(1, value),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_masked_arrays_are_refused_whatever_holds_them(call):
    for value in (MASKED, [MASKED, MASKED], (MASKED,), [[MASKED], [MASKED]], [0.5, np.ma.masked]):
        with pytest.raises(TypeError, match="mask"):
            call(value)


def test_lists_of_arrays_without_a_mask_are_taken():
    rows = [np.array([0.0, 1.0]), [2.0, np.float32(3)]]
    np.testing.assert_array_equal(fs.softmax(rows), fs.softmax(np.array([[0.0, 1.0], [2.0, 3.0]])))


class Labelled:
    """As pandas' Series: a labelled array."""

    def __array__(self, dtype=None, copy=None):
        return np.array([5.0])


@pytest.mark.parametrize(
    "bias, shape, axis",
    [
        (np.array([5.0]), (6,), -1),
        (5.0, (6,), -1),
        (Labelled(), (6,), -1),
        (np.zeros((2, 1)), (2, 6), -1),
        (np.zeros(6), (2, 6), 0),
        (np.zeros((1, 6)), (2, 6), 0),
        (np.zeros((2, 1, 4)), (2, 3, 4), (1, 2)),
        (np.zeros(1), (2, 6), None),
    ],
)
def test_mask_and_bias_are_not_spread_over_the_entries_of_a_row(bias, shape, axis):
    for name, function in (("bias", fs.sample), ("bias", fs.sample_probs), ("bias", fs.truncate)):
        with pytest.raises(
            ValueError, match=f"{name} of shape .* has no value for each of the .* it must have the shape"
        ):
            function(np.ones(shape), 0.0, axis=axis, bias=bias)
    mask = np.ones(np.shape(np.asarray(bias)), bool)
    for function in (fs.sample, fs.sample_probs, fs.truncate):
        with pytest.raises(ValueError, match="mask of shape .* has no value for each of the"):
            function(np.ones(shape), axis=axis, mask=mask)
    with pytest.raises(ValueError, match="bias of shape"):
        fs.Sampler(axis=axis, rng=0)(np.ones(shape), bias=bias)


def test_mask_and_bias_of_rows_of_one_entry_have_one_value():
    assert fs.sample(np.zeros((3, 1)), mask=np.array([True]), bias=np.array([1.0]), rng=0).tolist() == [0, 0, 0]


def windows(shape, strides):
    return np.lib.stride_tricks.as_strided(np.zeros(64)[24:], shape, strides)


@pytest.mark.parametrize(
    "out",
    [
        windows((2, 5), (8, 0)),
        windows((2, 5), (0, 8)),
        windows((2, 5), (8, 8)),
        windows((2, 5), (16, 8)),
        windows((2, 5), (32, 16)),
        windows((2, 5), (-8, 8))[:, ::-1],
    ],
    ids=["a value a row", "one row", "sliding by one", "sliding by two", "every other, by two", "backwards"],
)
def test_out_whose_elements_share_memory_is_refused(out):
    x = np.arange(10.0).reshape(2, 5)
    before = out.copy()
    for call in (
        lambda: fs.softmax(x, out=out),
        lambda: fs.log_softmax(x, axis=0, out=out),
        lambda: fs.softmax(x, axis=None, out=out),
        lambda: fs.truncate(x, top_k=2, out=out),
        lambda: fs.penalize(x, [[1], [2]], out=out),
        lambda: fs.softmax_from_summary(x, fs.summarize(x), offset=0, out=out),
    ):
        with pytest.raises(ValueError, match="out has elements that share memory"):
            call()
        assert (out == before).all()


@pytest.mark.parametrize("strides", [(40, 8), (8, 16), (8, 24), (-40, 8), (24, 16), (40, 24)])
def test_out_with_any_other_strides_is_filled(strides):
    out = windows((2, 5), strides)
    x = np.random.default_rng(1).normal(size=(2, 5))
    assert fs.softmax(x, out=out) is out
    np.testing.assert_array_equal(out, fs.softmax(x))


@pytest.mark.parametrize("axis", ["a", 1.0, (0, "a"), [0], b"0"])
def test_axis_of_another_kind_is_named(axis):
    calls = (fs.softmax, fs.logsumexp, fs.sample, fs.truncate, lambda x, axis: fs.Sampler(axis=axis))
    for call in calls:
        with pytest.raises(TypeError, match="axis must be an int, a tuple of ints or None"):
            call(X, axis=axis)

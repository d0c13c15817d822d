"""Errors name the argument, and what they advise works."""

import numpy as np
import pytest

import fastsoftmax as fs

X = np.array([1.0, 2.0, 3.0])
HUGE = 10**5000  # more digits than Python converts to text


def named(call):
    """The first word of the error of a call, without the call's own quotes."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    words = str(caught.value)
    assert "Exceeds the limit" not in words and "truth value" not in words and len(words) < 300
    return words.split()[0].rstrip(":")


@pytest.mark.parametrize("huge", [10**400, HUGE, -HUGE], ids=["400 digits", "5000", "negative"])
@pytest.mark.parametrize(
    ("name", "call"),
    {
        "x": lambda v: fs.softmax([v, 0]),
        "logits": lambda v: fs.sample([v, 0]),
        "temperature": lambda v: fs.softmax(X, v),
        "temperature ": lambda v: fs.softmax([X, X], [[v], [1]]),
        "axis": lambda v: fs.softmax(X, axis=v),
        "axis ": lambda v: fs.logsumexp(X, axis=(0, v)),
        "axis  ": lambda v: fs.sample(X, axis=v),
        "size": lambda v: fs.sample(X, size=v),
        "size ": lambda v: fs.sample_probs(X, size=(2, v)),
        "u": lambda v: fs.sample(X, u=v),
        "bias": lambda v: fs.sample(X, bias={0: v}),
        "bias ": lambda v: fs.sample(X, bias={v: 0}),
        "bias  ": lambda v: fs.truncate(X, bias=[v, 0, 0]),
        "top_p": lambda v: fs.sample(X, top_p=v),
        "min_p": lambda v: fs.truncate(X, min_p=v),
        "dynatemp_range": lambda v: fs.Sampler(dynatemp_range=v),
        "mirostat_tau": lambda v: fs.Sampler(mirostat_tau=v),
        "k": lambda v: fs.top_logprobs(X, v),
        "k ": lambda v: fs.sample_without_replacement(X, v),
        "chosen": lambda v: fs.top_logprobs(X, 1, chosen=v),
        "index": lambda v: fs.log_prob(X, v),
        "b": lambda v: fs.logsumexp(X, b=[v, 1, 1]),
        "probs": lambda v: fs.softmax_probs([v, 1]),
        "top_a": lambda v: fs.sample(X, top_a=v),
        "keep": lambda v: fs.truncate(X, top_k=1, keep=[v]),
        "last_n": lambda v: fs.penalize(X, [1], last_n=-abs(v)),
        "seed ": lambda v: fs.keyed_uniforms([v, 1], 1, 1),
        "steps": lambda v: fs.Sampler(seed=1, steps=[v]),
        "offsets": lambda v: fs.SegmentedRows([0, v]),
        "parents": lambda v: fs.verify_tree(np.zeros((2, 3)), None, [1], [v], u=[0.5, 0.5]),
        "seed": lambda v: fs.keyed_uniforms(v, 1, 1),
        "keys": lambda v: fs.keyed_uniforms(1, [v], 1),
        "step": lambda v: fs.keyed_uniforms(1, 1, v),
        "tokens": lambda v: fs.penalize(X, [v]),
        "on_invalid": lambda v: fs.sample(X, on_invalid=v),
        "n": lambda v: fs.set_num_threads(v),
        "offset": lambda v: fs.sample_from_summary(X, fs.combine([fs.summarize(X)]), offset=v, u=0.5),
    }.items(),
)  # fmt: skip
def test_an_integer_beyond_every_type_is_an_error_that_names_its_argument(name, call, huge):
    assert named(lambda: call(huge)) == name.strip()


def test_integers_beyond_64_bits_are_numbers_where_a_double_holds_them():
    assert fs.softmax([2**70, 2**70]).tolist() == [0.5, 0.5]
    assert fs.softmax(X, 2**80).tolist() == fs.softmax(X, 2.0**80).tolist()
    assert fs.sample_probs([2**100, 0, 2**100], u=0.5) == 2
    assert fs.sample(X, u=0.5, dynatemp_range=2**80) == fs.sample(X, u=0.5, dynatemp_range=2.0**80)
    assert fs.sample(X, u=0.5, bias=[2**70, 0, 0]) == 0
    assert fs.truncate(X, top_k=10**400).tolist() == X.tolist()


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array(["raise", "flag"])])
@pytest.mark.parametrize(
    ("name", "call"),
    {
        "on_invalid": lambda v: fs.sample(X, on_invalid=v),
        "on_invalid ": lambda v: fs.sample_probs(X, on_invalid=v),
        "on_invalid  ": lambda v: fs.Sampler(on_invalid=v),
        "return_logprob": lambda v: fs.sample(X, return_logprob=v),
        "return_logprob ": lambda v: fs.Sampler(return_logprob=v),
        "keepdims": lambda v: fs.logsumexp(X, keepdims=v),
        "keepdims ": lambda v: fs.logsumexp(X, b=X, keepdims=v),
        "keepdims  ": lambda v: fs.entropy(X, keepdims=v),
        "keepdims   ": lambda v: fs.kl_divergence(X, X, keepdims=v),
        "temperature_last": lambda v: fs.sample(X, temperature_last=v, top_k=1),
    }.items(),
)
def test_an_array_where_a_word_or_a_flag_is_meant_is_an_error_that_names_its_argument(name, call, value):
    assert named(lambda: call(value)) == name.strip()


def advised(call, **values):
    """The result of a call with what its error advises to pass; `values`: by the argument's name."""
    with pytest.raises(TypeError, match=": pass ") as caught:
        call(**values)
    (name,) = values
    advice = str(caught.value).partition(": pass ")[2]
    exec(f"result = call({name}={advice})", scope := {"call": call, "np": np, **values})
    return scope["result"]


def test_the_advice_for_masked_arrays_works_in_every_function():
    masked = np.ma.masked_array(X, [False, True, False])
    left = np.where(masked.mask, -np.inf, X)
    for function in (fs.softmax, fs.log_softmax, fs.logsumexp):
        np.testing.assert_array_equal(advised(function, x=masked), function(left))
    for each in (masked, masked.astype(int)):
        assert advised(lambda logits: fs.sample(logits, u=0.9), logits=each) == fs.sample(left, u=0.9)
        assert advised(lambda probs: fs.sample_probs(probs, u=0.2), probs=each) == fs.sample_probs([1, 0, 3], u=0.2)
        np.testing.assert_array_equal(advised(lambda logits: fs.penalize(logits, []), logits=each), left)
    allowed = np.ma.masked_array([True, True, True], [False, False, True])
    assert advised(lambda mask: fs.sample(X, mask=mask, u=0.99), mask=allowed) == 1


class Nullable:
    """A column as pandas' nullable types are: objects to NumPy where a value is missing, `to_numpy` to convert it."""

    def __init__(self, *values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, object)

    def to_numpy(self, dtype, na_value=None):
        return np.array([na_value if value is None else value for value in self.values], dtype)


def test_the_advice_for_columns_that_numpy_reads_as_objects_works():
    result = advised(fs.softmax, x=Nullable(1.0, 2.0))
    np.testing.assert_array_equal(result, fs.softmax(X[:2]))
    assert np.isnan(advised(fs.softmax, x=Nullable(1.0, None))).all()
    mask = Nullable(True, False, False)
    assert advised(lambda mask: fs.sample(X, mask=mask, u=0.9), mask=mask) == 0
    tokens = Nullable(0, 1)
    np.testing.assert_array_equal(
        advised(lambda tokens: fs.penalize(X, tokens, repetition=2.0), tokens=tokens),
        fs.penalize(X, [0, 1], repetition=2.0),
    )


class Tracer:
    """A value as JAX traces it: it has the method of a tensor, but not what the method needs."""

    def __dlpack__(self, **_):
        raise AssertionError("called")


@pytest.mark.parametrize(
    "call", [fs.softmax, fs.sample, fs.Sampler(), lambda t: fs.softmax(X, t), lambda m: fs.sample(X, mask=m)]
)
def test_a_traced_value_is_called_that(call):
    with pytest.raises(TypeError, match=r"^(x|logits|temperature|mask) is traced by JAX .*integrations\.jax; .*pure"):
        call(Tracer())


def test_a_tracer_of_jax_is_called_that():
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError, match=r"^x is traced by JAX .* jax\.pure_callback"):
        jax.jit(fs.softmax)(X)


def test_a_generator_of_another_library_is_called_by_its_full_name():
    torch = pytest.importorskip("torch")
    for call in (lambda rng: fs.sample(X, rng=rng), lambda rng: fs.Sampler(rng=rng)):
        with pytest.raises(TypeError, match=r"Generator of NumPy, not torch\..*Generator; pass .* u="):
            call(torch.Generator())

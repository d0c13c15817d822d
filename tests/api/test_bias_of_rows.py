"""A mapping {index: value} for each row: the logit_bias of every request of a batch."""

import copy
import pickle
from types import MappingProxyType

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs

RNG = np.random.default_rng(5)
N = 1500
X = RNG.normal(size=(6, N)).astype(np.float32)
U = RNG.random(6)
BIAS = [
    {3: 2.5, 1499: 1.0, 700: -np.inf},
    None,
    {},
    {0: -1},
    {int(i): float(i % 7) for i in range(0, N, 5)},
    {1: np.inf},
]
DENSE = np.zeros((6, N))
for row, of_row in zip(DENSE, BIAS, strict=True):
    for index, value in (of_row or {}).items():
        row[index] = value
CALLS = {
    "sample": lambda x, b: fs.sample(x, 0.8, u=U, bias=b, return_logprob=True),
    "size": lambda x, b: fs.sample(x, 0.8, u=U[:5], size=5, bias=b),
    "filters": lambda x, b: fs.sample(x, 0.8, u=U, bias=b, top_p=0.8, top_k=20),
    "masked": lambda x, b: fs.sample(x, 0.8, u=U, bias=b, mask=np.arange(x.shape[-1]) % 3 > 0),
    "probs": lambda x, b: fs.sample_probs(np.exp(x.astype(float)), u=U, bias=b),
    "many": lambda x, b: fs.sample(x, [0.5, 1, 2, 3, 0, np.inf], rng=1, size=300, bias=b),
    "truncate": lambda x, b: fs.truncate(x, bias=b, top_k=9),
    "top_logprobs": lambda x, b: fs.top_logprobs(x, 3, bias=b),
    "without": lambda x, b: fs.sample_without_replacement(x, 3, u=np.broadcast_to(U[:, None], (6, 3)), bias=b),
    "Sampler": lambda x, b: fs.Sampler(0.8, bias=b)(x, U),
    "Sampler's call": lambda x, b: fs.Sampler(0.8)(x, U, bias=b),
    "shards": lambda x, b: fs.logsumexp_from_summary(fs.summarize(x, bias=b, logsumexp=True)),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("n", [3, 40, N])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_it_is_the_array_with_these_values(call, n, dtype):
    x = X[:, :n].astype(dtype)
    bias = [None if one is None else {i: v for i, v in one.items() if i < n} for one in BIAS]
    for layout in (x, np.asfortranarray(x), x[:, ::-1].copy()[:, ::-1]):
        got, expected = CALLS[call](layout, bias), CALLS[call](layout, DENSE[:, :n])
        for a, b in zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]:
            assert (a is b is None) or bits(a) == bits(b)


def test_shards_have_the_bits_of_the_whole_row():
    whole = fs.softmax(X + DENSE.astype(np.float32))
    parts, at = (X[:, :1024], X[:, 1024:]), (0, 1024)
    biases = [
        [
            None if one is None else {i - start: v for i, v in one.items() if start <= i < start + p.shape[1]}
            for one in BIAS
        ]
        for p, start in zip(parts, at, strict=True)
    ]
    summary = fs.combine([fs.summarize(p, offset=s, bias=b) for p, s, b in zip(parts, at, biases, strict=True)])
    got = [fs.softmax_from_summary(p, summary, offset=s, bias=b) for p, s, b in zip(parts, at, biases, strict=True)]
    assert bits(np.concatenate(got, axis=1)) == bits(whole)
    drawn = [
        fs.sample_from_summary(p, summary, offset=s, bias=b, u=U) for p, s, b in zip(parts, at, biases, strict=True)
    ]
    assert np.max(drawn, axis=0).tolist() == fs.sample(X, u=U, bias=BIAS).tolist()


def test_rows_along_any_axes():
    turned = fs.sample(X.T, 0.7, axis=0, u=U, bias=BIAS)
    assert turned.tolist() == fs.sample(X, 0.7, u=U, bias=DENSE).tolist()
    x, nested = X.reshape(2, 3, N), [BIAS[:3], tuple(BIAS[3:])]
    assert fs.sample(x, u=U.reshape(2, 3), bias=nested).ravel().tolist() == fs.sample(X, u=U, bias=BIAS).tolist()
    assert (
        fs.sample(X, u=U, bias=[MappingProxyType(b or {}) for b in BIAS]).tolist()
        == fs.sample(X, u=U, bias=BIAS).tolist()
    )
    assert fs.sample(X, u=U, bias=[None] * 6).tolist() == fs.sample(X, u=U).tolist()
    assert fs.sample(X[:0], bias=[]).shape == (0,)


@pytest.mark.parametrize("threads", [1, 4])
def test_threads(threads):
    before = fs.get_num_threads()
    x, bias = np.tile(X, (60, 1)), BIAS * 60
    fs.set_num_threads(threads)
    try:
        assert bits(fs.truncate(x, bias=bias, top_p=0.5)) == bits(
            np.tile(fs.truncate(X, bias=DENSE, top_p=0.5), (60, 1))
        )
        assert bits(fs.sample(x, u=0.3, bias=bias)) == bits(np.tile(fs.sample(X, u=0.3, bias=DENSE), 60))
    finally:
        fs.set_num_threads(before)


def test_a_sampler_holds_copies_and_adds_those_of_a_call():
    given = [dict(one) if one is not None else None for one in BIAS]
    sampler = fs.Sampler(bias=given)
    given[0][3] = 99.0
    sampler.bias[0][3] = 99.0
    assert sampler.bias == BIAS
    expected = fs.sample(X, u=U, bias=DENSE)
    for same in (sampler, copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert bits(same(X, U)) == bits(expected)
    one = np.linspace(0, 1, N)
    for added in (one, {4: 2.0}, [{4: 2.0}] * 6):
        dense = np.zeros((6, N)) + (one if added is one else np.eye(1, N, 4) * 2.0)
        assert bits(sampler(X, U, bias=added)) == bits(fs.sample(X, u=U, bias=DENSE + dense))
    sampler.bias = {4: 2.0}
    assert bits(sampler(X, U, bias=BIAS)) == bits(fs.sample(X, u=U, bias=DENSE + np.eye(1, N, 4) * 2.0))
    assert sampler(X[0], 0.5) == fs.sample(X[0], u=0.5, bias={4: 2.0})
    sampler.bias = [None] * 6
    assert bits(sampler(X, U)) == bits(fs.sample(X, u=U))


@pytest.mark.parametrize("bias, error, match", [
    ([{1: 1.0}] * 5, ValueError, "bias must have a mapping or None for each of the 6 rows, not 5"),
    ([[{}] * 3] * 2, ValueError, "bias must have a mapping or None for each of the 6 rows, not 2"),
    ([{1: 1.0}] + [{N: 0.0}] * 5, ValueError, f"bias of row 1: index {N} is out of range"),
    ([None] * 5 + [{-1: 0.0}], ValueError, "bias of row 5: index -1"),
    ([None] * 5 + [{1: "a"}], (TypeError, ValueError), "bias of row 5|could not convert"),
    ([None] * 5 + [{1: None}], TypeError, "bias of row 5: the values must be real"),
    ([None] * 5 + [{True: 1.0}], TypeError, "bias of row 5: the keys must be integer"),
    ([None] * 5 + [3.0], TypeError, "bias of each row must be .*not float"),
    ([None] * 5 + [{"7": 1.0}], TypeError, r"bias of row 5.*got '7'.*\{int\(k\): v for k, v in"),
    ({"50": -100}, TypeError, r"bias: the keys must be integer.*'50'.*\{int\(k\): v for k, v in bias.items"),
])  # fmt: skip
def test_bad_ones_are_named(bias, error, match):
    for call in CALLS.values():
        with pytest.raises(error, match=match):
            call(X, bias)
    if error is TypeError:
        with pytest.raises(error, match=match.replace("bias of row 5:? ?", "")[:20] if "row 5" in match else match):
            fs.Sampler(bias=bias)


def test_one_row_takes_its_mapping():
    with pytest.raises(ValueError, match="there is one row: pass its mapping"):
        fs.sample(X[0], bias=[{1: 1.0}])
    with pytest.raises(ValueError, match="there is one row: pass its mapping"):
        fs.Categorical(X[0], bias=[{1: 1.0}])
    for bad in ({"50": -100}, {"a": 1}):
        with pytest.raises(TypeError, match="JSON"):
            fs.Categorical(X[0], bias=bad)


def test_what_becomes_nan_is_named():
    x = X.copy()
    x[4, 2] = np.inf
    with pytest.raises(ValueError, match="row 4 becomes NaN where the bias is added"):
        fs.sample(x, bias=[None] * 4 + [{2: -np.inf}, None])

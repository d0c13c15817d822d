"""Arrays that cannot be written to, as Ray, mmap and other processes hand them out: every function reads them."""

import numpy as np
import pytest
from oracles import DTYPES

import fastsoftmax as fs


def read_only(a):
    """Over memory that is read-only by itself, not an array with its flag cleared."""
    a = np.asarray(a)
    made = np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape)
    assert not made.flags.writeable
    return made


def same(got, expected):
    if isinstance(expected, fs.Summary):
        return got == expected
    if isinstance(expected, tuple):
        return all(map(same, got, expected))
    return np.asarray(got).tobytes() == np.asarray(expected).tobytes()


def calls(of):
    """Every public function that takes arrays, each array made by `of`; and its name."""
    rng = np.random.default_rng(5)
    floats = rng.normal(size=(4, 300))
    for dtype in DTYPES:
        x, t, u = of(floats.astype(dtype)), of(np.linspace(0.5, 2, 4)), of(rng.random(4))
        mask, words = of(rng.random((4, 300)) < 0.5), of(rng.integers(1, 2**31, (4, 10)).astype(np.int32))
        weights, index = of(np.abs(floats).astype(dtype)), of(np.array([3, 1, 4, 1]))
        bias = of(rng.normal(size=300))
        for name in ("softmax", "log_softmax", "logsumexp", "entropy"):
            yield name, getattr(fs, name)(x, t), getattr(fs, name)(x, t, axis=-1, where=mask)
        yield "softmax_probs", fs.softmax_probs(weights, t)
        yield "logsumexp", fs.logsumexp(x, b=weights)
        yield "log_prob", fs.log_prob(x, index, t)
        yield "kl_divergence", fs.kl_divergence(x, of(floats[::-1].astype(dtype)), t)
        yield "sample", fs.sample(x, t, u=u, mask=mask, bias=bias), fs.sample(x, u=u, mask=words, return_logprob=True)
        yield "sample", fs.sample(x, t, u=u, top_k=of(np.array([1, 2, 3, 4])), top_p=t / 4, keep=index)
        yield "sample_probs", fs.sample_probs(weights, t, u=u, min_p=0.01)
        yield "sample_without_replacement", fs.sample_without_replacement(x, 2, u=of(rng.random((4, 2))))
        yield "truncate", fs.truncate(x, t, top_k=5)
        yield "penalize", fs.penalize(x, of(np.array([[1, 2, 1]] * 4)), repetition=1.2, dry_multiplier=0.5)
        yield "top_logprobs", tuple(fs.top_logprobs(x, 3, chosen=index))
        yield "Sampler", fs.Sampler(t, seed=1, mask=mask, bias=bias, keys=index)(x)
        yield "Categorical", fs.Categorical(x[0]).draw(4, u=u), fs.Categorical(probs=weights[0]).log_prob(index)
        yield "SegmentedRows", fs.SegmentedRows(of(np.array([0, 100, 300]))).softmax(x[0])
        yield "keyed_uniforms", fs.keyed_uniforms(index, index, index)
        made = fs.summarize(x, t, mask=mask, bias=bias)
        yield "summarize", made
        yield "softmax_from_summary", fs.softmax_from_summary(x, made, offset=0, mask=mask, bias=bias)
        yield "sample_from_summary", fs.sample_from_summary(x, made, offset=0, u=u, mask=mask, bias=bias)
        pair = of(floats[:, :200].reshape(2, 2, 200).astype(dtype))
        yield "verify_draft", tuple(fs.verify_draft(pair, None, of(np.array([[1], [2]])), u=of(np.full((2, 2), 0.3))))
        parents = of(np.array([-1, 0, 0]))
        yield "verify_tree", tuple(fs.verify_tree(x, None, of(np.array([1, 2, 3])), parents, u=u))


def test_every_function_takes_them_and_leaves_them_as_they_are():
    kept = []

    def keep(a):
        made = read_only(a)
        kept.append((made, made.tobytes()))
        return made

    for (name, *got), (_, *expected) in zip(calls(keep), calls(np.array), strict=True):
        assert all(map(same, got, expected)), name
    assert kept and all(made.tobytes() == before for made, before in kept)


def test_out_has_to_be_an_array_of_ones_own():
    x = read_only(np.random.default_rng(0).normal(size=(3, 10)))
    for function in (fs.softmax, fs.log_softmax, fs.softmax_probs):
        with pytest.raises(ValueError, match="^out is read-only: pass a writeable array"):
            function(x, out=x)
    for call in (lambda: fs.penalize(x, [[1]] * 3, repetition=2, out=x), lambda: fs.truncate(x, top_k=2, out=x)):
        with pytest.raises(ValueError, match="^out is read-only"):
            call()
    out = np.empty_like(x)
    assert fs.softmax(x, out=out) is out and same(out, fs.softmax(x))

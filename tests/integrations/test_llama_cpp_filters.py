"""The filters and penalties beside llama.cpp's own samplers on random rows.

It has none that is p_less, top_a, top_h, epsilon_cutoff or eta_cutoff.
"""

import itertools

import numpy as np
import oracles
import pytest
from oracles import needs_longdouble

import fastsoftmax as fs

llama_cpp = pytest.importorskip("llama_cpp")
from llama_cpp_chain import apply, chain  # noqa: E402

SIZES = (6, 100, 700, 3000)
ROWS = 30  # of each size
FILTERS = {
    "top_k": (llama_cpp.llama_sampler_init_top_k, [1, 3, 50, 400]),
    "top_p": (lambda p, least=1: llama_cpp.llama_sampler_init_top_p(p, least), [0.0, 0.1, 0.5, 0.9, 0.99]),
    "min_p": (lambda p, least=1: llama_cpp.llama_sampler_init_min_p(p, least), [0.001, 0.05, 0.3, 1.0]),
    "typical_p": (lambda p, least=1: llama_cpp.llama_sampler_init_typical(p, least), [0.2, 0.5, 0.9, 0.99]),
    "top_n_sigma": (llama_cpp.llama_sampler_init_top_n_sigma, [0.5, 1.0, 2.5]),
    "xtc_threshold": (lambda t, least=1: llama_cpp.llama_sampler_init_xtc(1.0, t, least, 1), [0.01, 0.1, 0.5]),
}
HAVE_LEAST = ("top_p", "min_p", "typical_p", "xtc_threshold")
XTC = {"xtc_probability": 1.0, "xtc_u": 0.0}


def rows(rng, spread=3.0):
    return [(spread * rng.normal(size=n)).astype(np.float32) for n in SIZES for _ in range(ROWS)]


def kept_here(x, temperature=1.0, **filters):
    return set(np.flatnonzero(fs.truncate(x, temperature, **filters) > -np.inf).tolist())


def with_coin(filters):
    return filters | XTC if filters.get("xtc_threshold") is not None else filters


def differing(given, made, least):
    """How many of the rows are kept otherwise; each of them must be one that rounding in float32 decides."""
    close = 0
    for x in given:
        filters = with_coin(made | least)
        ours = kept_here(x, **filters)
        name, value = next(iter(made.items()))
        theirs = apply(FILTERS[name][0](value, *least.values()), x).kept
        if ours == theirs:
            continue
        verdict = oracles.kept(x, tolerance=1e-4, **filters)
        rounded = not verdict.sure and verdict.allows(ours) and verdict.allows(theirs)
        if name == "typical_p":  # its order is by the distance from an entropy summed in float32
            rounded |= oracles.softmax(x)[list(ours ^ theirs)].sum() < 3e-4
        assert rounded, (name, value, x.size)
        close += 1
    return close


@needs_longdouble
@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_the_same(name, rng):
    total = close = 0
    for value in FILTERS[name][1]:
        for least in [{}, {"min_tokens_to_keep": 4}] if name in HAVE_LEAST else [{}]:
            given = rows(rng)
            total, close = total + len(given), close + differing(given, {name: value}, least)
    assert close <= 0.02 * total


def test_ties_of_top_k_are_as_many_but_others(rng):
    for x in rows(rng):
        x = np.round(x)
        for k in (1, 3, 50):
            theirs = apply(llama_cpp.llama_sampler_init_top_k(k), x).kept
            ours = kept_here(x, top_k=k)
            assert len(ours) == len(theirs) == min(k, x.size)
            assert sorted(x[list(ours)]) == sorted(x[list(theirs)])


@needs_longdouble
def test_a_whole_chain_keeps_the_same(rng):
    # The order of llama.cpp's tools. top_k comes before what counts candidates: top_n_sigma leaves them in its list.
    order = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature")
    close, settings = 0, list(itertools.product([0.95, 1.0], [0.9, 1.0], [0.02, 0.1], [0.1, 0.6]))
    for typical, top_p, min_p, threshold in settings:
        for x in rows(rng)[::6]:
            k = max(2, x.size // 10)
            made = {"top_n_sigma": 3.0, "top_k": k, "typical_p": typical, "top_p": top_p, "min_p": min_p}
            samplers = [FILTERS[name][0](value) for name, value in made.items()]
            samplers += [FILTERS["xtc_threshold"][0](threshold), llama_cpp.llama_sampler_init_temp(0.7)]
            left = apply(chain(*samplers, llama_cpp.llama_sampler_init_dist(1)), x)
            made |= {"xtc_threshold": threshold, "order": order, **XTC}
            ours = kept_here(x, 0.7, **made)
            if ours != left.kept:
                verdict = oracles.kept(x, 0.7, tolerance=1e-4, **made)
                assert not verdict.sure and verdict.allows(ours) and verdict.allows(left.kept)
                close += 1
            else:
                p = fs.softmax(fs.truncate(x, 0.7, **made))
                np.testing.assert_allclose(p[left.ids], left.probs, rtol=1e-5, atol=1e-7)
    assert close <= 0.02 * len(settings) * len(SIZES) * ROWS / 6


@pytest.mark.parametrize("width, exponent", [(0.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.5, 2.0)])
def test_dynamic_temperatures_are_the_same(width, exponent, rng):
    for x in rows(rng):
        left = apply(chain(llama_cpp.llama_sampler_init_temp_ext(1.2, width, exponent)), x)
        p = fs.softmax(fs.truncate(x, 1.2, dynatemp_range=width, dynatemp_exponent=exponent))
        np.testing.assert_allclose(fs.softmax(left.logits), p, rtol=2e-4, atol=1e-7)  # its entropy is in float32


@pytest.mark.parametrize("target, decay", [(0.1, 0.9), (0.3, 0.5), (0.6, 0.99), (0.0, 0.0), (1.0, 0.9)])
def test_adaptive_p_is_the_same(target, decay, rng):
    theirs = llama_cpp.llama_sampler_init_adaptive_p(target, decay, 1)
    ours = fs.Sampler(adaptive_p=target, adaptive_p_decay=decay, return_logprob=True)
    for x in rows(rng, spread=2.0):
        left = apply(theirs, x)
        u = left.probs[: left.drawn].sum(dtype=float) + left.probs[left.drawn] / 2
        index, logprob = ours(x, u / left.probs.sum(dtype=float))
        assert index == left.drawn
        np.testing.assert_allclose(np.exp(logprob), left.probs[index], rtol=1e-4)  # its mean is in float32
        llama_cpp.llama_sampler_accept(theirs, index)


@pytest.mark.parametrize("repeat, frequency, presence", [(1.3, 0, 0), (0.7, 0, 0), (1, 0.3, 0.7), (1.1, -0.2, 0.4)])
@pytest.mark.parametrize("last", [0, 3, 64])
def test_penalties_are_the_same(repeat, frequency, presence, last, rng):
    for x in rows(rng):
        context = rng.integers(0, x.size, 20)
        sampler = llama_cpp.llama_sampler_init_penalties(x.size, last, repeat, frequency, presence)
        for token in context.tolist():
            llama_cpp.llama_sampler_accept(sampler, token)
        ours = fs.penalize(x, context, last_n=last, repetition=repeat, frequency=frequency, presence=presence)
        np.testing.assert_allclose(ours, apply(sampler, x).logits, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("allowed, last", [(1, 40), (2, 40), (2, 12), (4, 40)])
def test_dry_is_the_same(llm, allowed, last, rng):
    n = llm.n_vocab()
    for _ in range(40):
        x = (3 * rng.normal(size=n)).astype(np.float32)
        context = rng.integers(5, 8, 30)  # of three tokens, so that much repeats
        sampler = llama_cpp.llama_sampler_init_dry(llm._model.vocab, 0.8, 1.75, allowed, last, None, 0)
        for token in context.tolist():
            llama_cpp.llama_sampler_accept(sampler, token)
        dry = {"dry_multiplier": 0.8, "dry_base": 1.75, "dry_allowed_length": allowed, "dry_penalty_last_n": last}
        np.testing.assert_allclose(fs.penalize(x, context, **dry), apply(sampler, x).logits, rtol=1e-5)


def test_biases_are_the_same(rng):
    for x in rows(rng):
        bias = {int(i): float(b) for i, b in zip(rng.permutation(x.size)[:5], 9 * rng.normal(size=5), strict=True)}
        bias[next(iter(bias))] = -np.inf
        array = (llama_cpp.llama_logit_bias * len(bias))(*(llama_cpp.llama_logit_bias(*pair) for pair in bias.items()))
        theirs = apply(llama_cpp.llama_sampler_init_logit_bias(x.size, len(bias), array), x).logits
        np.testing.assert_array_equal(fs.truncate(x, bias=bias), theirs)

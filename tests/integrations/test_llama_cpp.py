"""attach: what a Llama object draws, beside its own sampling: kept sets, the likeliest tokens, and the distribution."""

import itertools
import math

import numpy as np
import oracles
import pytest
from oracles import needs_longdouble

import fastsoftmax as fs

llama_cpp = pytest.importorskip("llama_cpp")
pytest.importorskip("gguf")
from llama_cpp_chain import apply  # noqa: E402
from llama_cpp_models import ENTRIES, PROMPT, evaluated, logits  # noqa: E402

from fastsoftmax.integrations.llama_cpp import attach, detach  # noqa: E402

OFF = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "temp": 1.0}
SETTINGS = {
    "default": {},
    "nothing": OFF,
    "hot": OFF | {"temp": 3.0},
    "top_k": OFF | {"top_k": 7},
    "top_p": OFF | {"top_p": 0.8, "temp": 0.5},
    "min_p": OFF | {"min_p": 0.1, "temp": 2.0},
    "typical_p": OFF | {"typical_p": 0.6},
    "all": {"top_k": 30, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9, "temp": 1.3},
    "beyond": {"top_k": -1, "top_p": 2.0, "min_p": -1.0, "typical_p": 3.0, "temp": 0.7},
    "one": OFF | {"top_p": 0.0},
    "mirostat": {"mirostat_mode": 2, "mirostat_tau": 2.0},
    "without": OFF | {"temp": -1.0},
}
each_setting = pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)


def stock_left(llm, given, row):
    """What llama-cpp-python's own chain, the draw at its end, leaves of the row."""
    made = llm._init_sampler(**given)  # frees the chain when it is gone
    return apply(made.sampler, row)


def drawn(llm, row, count, **given):
    attach(evaluated(llm, row), seed=3)
    return np.array([llm.sample(**given) for _ in range(count)])


def rows_of(rng, count):
    return [(4 * rng.normal(size=ENTRIES)).astype(np.float32) for _ in range(count)]


# The distribution


@needs_longdouble
@each_setting
def test_kept_tokens_are_those_of_its_own_chain(llm, given, rng):
    close = 0
    for row in rows_of(rng, 40):
        attach(evaluated(llm, row), seed=3)
        llm.sample(**given)
        sampler = vars(llm)["sample"].attached._run._sampler
        names = ("temperature", "top_k", "top_p", "min_p", "typical_p", "order")
        filters = {name: getattr(sampler, name) for name in names}
        if sampler.mirostat_tau is not None:  # mu was 2 tau
            filters = {"temperature": 1.0, "epsilon_cutoff": 2.0 ** (-2 * given["mirostat_tau"])}
        ours = set(np.flatnonzero(fs.truncate(row, **filters) > -np.inf).tolist())
        theirs = stock_left(llm, given, row).kept
        if ours != theirs:
            verdict = oracles.kept(row, tolerance=1e-4, **filters)
            assert not verdict.sure and verdict.allows(ours) and verdict.allows(theirs)
            close += 1
    assert close <= 2


@each_setting
def test_draws_have_the_distribution_of_its_own_chain(llm, given, rng):
    row, count = rows_of(rng, 1)[0], 40_000
    left = stock_left(llm, given, row)
    if "mirostat_mode" in given:  # its mu moves with every draw
        given = given | {"mirostat_eta": 0.0}
    found = np.bincount(drawn(llm, row, count, **given), minlength=ENTRIES)
    expected = np.zeros(ENTRIES)
    expected[left.ids] = count * left.probs.astype(float) / left.probs.sum()
    rare = expected < 10
    groups = [(found[~rare], expected[~rare]), (found[rare].sum(keepdims=True), expected[rare].sum(keepdims=True))]
    o, e = (np.concatenate(each) for each in zip(*groups, strict=True))
    o, e = o[e > 0], e[e > 0]
    assert found[expected == 0].sum() == 0
    # A chi-square variable of f degrees exceeds f + 2 sqrt(f t) + 2 t with probability exp(-t) at most, here 1e-9
    freedom, t = e.size - 1, 9 * math.log(10)
    assert ((o - e) ** 2 / e).sum() <= freedom + 2 * math.sqrt(freedom * t) + 2 * t


def test_mirostat_corrects_its_limit_as_llama_cpp_does(llm, rng):
    given = {"mirostat_mode": 2, "mirostat_tau": 3.0, "mirostat_eta": 0.4}
    certain = np.full(ENTRIES, -100, np.float32)
    certain[9] = 100
    row = rows_of(rng, 1)[0]
    made = llm._init_sampler(**given)
    attach(evaluated(llm, certain), seed=3)
    sizes = set()
    for _ in range(6):  # a token of no surprise, and the limit rises by tau eta
        logits(llm)[:] = certain
        assert llm.sample(**given) == apply(made.sampler, certain).drawn == 9
        sampler = vars(llm)["sample"].attached._run._sampler
        ours = fs.truncate(row, epsilon_cutoff=2.0**-sampler.mirostat_mu) > -np.inf
        other = stock_left(llm, given | {"mirostat_tau": sampler.mirostat_mu / 2}, row)
        assert set(np.flatnonzero(ours).tolist()) == other.kept
        sizes.add(ours.sum())
    assert sampler.mirostat_mu == pytest.approx(6 + 6 * 0.4 * 3) and len(sizes) > 3


def test_mirostat_keeps_its_limit_when_parameters_change(llm):
    certain = np.full(ENTRIES, -100, np.float32)
    certain[9] = 100
    attach(evaluated(llm, certain), seed=3)
    for temp, eta in ((1.0, 0.5), (1.0, 0.25), (0.0, 1.0), (2.0, 1.0)):
        assert llm.sample(mirostat_mode=2, mirostat_tau=4.0, mirostat_eta=eta, temp=temp) == 9
    # What is drawn has no surprise: 8 + 2 + 1, and 4 once more, as nothing is corrected at temperature 0.
    assert vars(llm)["sample"].attached._run._sampler.mirostat_mu == pytest.approx(15)


def test_adaptive_p_keeps_its_mean_when_parameters_change(llm):
    certain = np.full(ENTRIES, -100, np.float32)
    certain[9] = 100
    attach(evaluated(llm, certain), seed=3, adaptive_p=0.5, adaptive_p_decay=0.5)
    for temp, top_k in ((1.0, 5), (1.0, 1), (0.0, 5), (2.0, 1)):
        llm.sample(temp=temp, top_k=top_k, min_p=0.5)
    # What is drawn has probability 1: 0.75, 0.875, and 0.9375, as nothing is learnt at temperature 0.
    assert vars(llm)["sample"].attached._run._sampler.adaptive_p_mean == pytest.approx(0.9375)


@pytest.mark.parametrize(
    "given", [{"temp": 0.0}, {"top_k": 1}, {"top_p": 0.0}, {"temp": 0.0, "mirostat_mode": 2}], ids=str
)
def test_the_likeliest_token_is_its_own_choice(llm, given, rng):
    for row in rows_of(rng, 20):
        evaluated(llm, row)
        expected = detach(llm).sample(**given)
        attach(llm, seed=3)
        assert [llm.sample(**given) for _ in range(3)] == [expected] * 3


def test_the_first_of_equal_tokens_is_taken_at_temperature_zero(llm):
    row = np.zeros(ENTRIES, np.float32)
    row[[40, 17, 300]] = 5
    evaluated(llm, row)
    assert detach(llm).sample(temp=0.0) == attach(llm).sample(temp=0.0) == 17


@pytest.mark.parametrize(
    "filters",
    [{"top_n_sigma": 1.0}, {"p_less": True}, {"xtc_threshold": 0.1, "xtc_probability": 1.0}, {"keep": [2]},
     {"smoothing_factor": 0.2}, {"adaptive_p": 0.15, "adaptive_p_decay": 0.7}],
    ids=str,
)  # fmt: skip
def test_filters_that_it_has_no_argument_for(llm, filters, rng):
    row = rows_of(rng, 1)[0]
    attach(evaluated(llm, row), seed=3, **filters)
    order = ("top_n_sigma", "top_k", "p_less", "xtc", "temperature")
    sampler = fs.Sampler(0.8, seed=3, top_k=40, order=order, **filters)
    got = [llm.sample(top_p=1.0, min_p=0.0) for _ in range(200)]
    assert got == [sampler(row) for _ in range(200)]
    assert all(llm.sample(temp=0.0, **other) == row.argmax() for other in ({}, {"mirostat_mode": 2}))


# Penalties, biases, processors

PENALTIES = [
    {"repeat_penalty": 2.0},
    {"frequency_penalty": 0.7},
    {"presence_penalty": 4.0},
    {"repeat_penalty": 1.5, "frequency_penalty": -0.1, "presence_penalty": 8.0},
]


@pytest.mark.parametrize("last", [64, 5, 0])
@pytest.mark.parametrize("penalties", PENALTIES, ids=str)
def test_penalized_likeliest_text_is_that_of_its_own_chain(llm, penalties, last):
    llm.last_n_tokens_size = last
    texts = []
    for switch in (detach, attach):
        switch(llm).reset()
        texts.append(list(itertools.islice(llm.generate(PROMPT, temp=0.0, **penalties), 60)))
    assert texts[0] == texts[1]
    llm.reset()
    plain = list(itertools.islice(llm.generate(PROMPT, temp=0.0), 60))
    assert last == 5 or (plain == texts[0]) == (last == 0)


def test_logits_of_the_context_are_as_they_were(llm, rng):
    row = rows_of(rng, 1)[0]
    llm.last_n_tokens_size = 3
    attach(evaluated(llm, row), seed=3)

    def harsh(ids, scores):
        scores[:] = 0
        return scores

    for _ in range(10):
        llm.sample(repeat_penalty=1.5, frequency_penalty=1.0)
        llm.sample(logits_processor=[harsh], repeat_penalty=1.5)
        with pytest.raises(ValueError, match="min_p"):
            llm.sample(repeat_penalty=1.5, min_p=2.0)
    assert logits(llm).tobytes() == row.tobytes()


def complete(llm, **given):
    """The tokens of a completion, as its processors see them."""
    llm.reset()
    seen = []

    def watch(ids, scores):
        seen.append(ids[len(PROMPT) :].tolist())
        return scores

    processors = [*given.pop("logits_processor", ()), watch]
    llm.create_completion(
        PROMPT, max_tokens=6, seed=3, logits_processor=llama_cpp.LogitsProcessorList(processors), **given
    )
    return seen[-1]


def test_a_bias_and_a_processor_both_work(llm):
    attach(llm)

    def forbid(ids, scores):
        scores[300] = -math.inf
        return scores

    assert complete(llm, logit_bias={300: 100.0, 301: 50.0}) == [300] * 5
    assert complete(llm, logit_bias={300: 100.0, "301": 50.0}, logits_processor=[forbid]) == [301] * 5
    assert complete(llm, logit_bias={300: math.inf}, temperature=0.0) == [300] * 5
    processors = llama_cpp.LogitsProcessorList([forbid])
    llm.create_completion(PROMPT, max_tokens=2, logit_bias={301: 50.0}, logits_processor=processors)
    assert processors == [forbid]


def test_a_bias_alone_is_added_in_place_and_taken_back(llm):
    attach(llm).reset()
    llm.create_completion(PROMPT, max_tokens=5, logit_bias={300: math.inf, 301: -1.0}, repeat_penalty=1.1)
    with_bias = logits(llm).copy()
    llm.reset()
    llm.eval([*PROMPT, 300, 300, 300, 300])  # the last of five is not evaluated
    np.testing.assert_allclose(logits(llm), with_bias, rtol=1e-4, atol=1e-4)


def test_a_biased_likeliest_text_is_that_of_its_own_chain(llm):
    bias = {i: float(i % 7) for i in range(3, 300, 2)}
    texts = []
    for switch in (detach, attach):
        switch(llm).reset()
        done = llm.create_completion(PROMPT, max_tokens=30, temperature=0.0, logit_bias=bias, repeat_penalty=1.2)
        texts.append(done["choices"][0]["text"])
    assert texts[0] == texts[1]


def test_processors_see_the_context_and_may_return_another_array(llm, rng):
    row, seen = rows_of(rng, 1)[0], []
    attach(evaluated(llm, row), seed=3)

    def only(ids, scores):
        seen.append((ids.tolist(), scores.dtype, scores.copy()))
        return np.where(np.arange(scores.size) == 12, 1, -1000)

    assert llm.sample(logits_processor=llama_cpp.LogitsProcessorList([only])) == 12
    ((ids, dtype, scores),) = seen
    assert ids == PROMPT and dtype == np.float32 and (scores == row).all()

"""attach: the calls of a Llama object work as before, seeds repeat texts, and bad input is an error."""

import contextlib
import doctest
import gc
import inspect
import io
import itertools
import re
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest

import fastsoftmax as fs

llama_cpp = pytest.importorskip("llama_cpp")
pytest.importorskip("gguf")
from llama_cpp_models import ENTRIES, PROMPT, evaluated, load, logits, write  # noqa: E402

import fastsoftmax.integrations.llama_cpp as fsl  # noqa: E402
from fastsoftmax.integrations.llama_cpp import attach, detach  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "llama_cpp.md"
REPLACED = {"sample", "generate", "create_completion", "reset"}
LETTERS = llama_cpp.LlamaGrammar.from_string('root ::= ("a" | "b") "c" ("a" | "b")', verbose=False)


def text(llm, **given):
    llm.reset()
    return llm.create_completion(PROMPT, **{"max_tokens": 20, **given})["choices"][0]["text"]


def tokens(llm, count=20, **given):
    llm.reset()
    return list(itertools.islice(llm.generate(PROMPT, **given), count))


# Calls


def test_all_calls_write_the_same_text(llm):
    attach(llm)
    expected = text(llm, seed=5)
    llm.reset()
    assert llm(PROMPT, max_tokens=20, seed=5)["choices"][0]["text"] == expected
    llm.reset()
    stream = llm.create_completion(PROMPT, max_tokens=20, seed=5, stream=True)
    assert "".join(part["choices"][0]["text"] for part in stream) == expected
    llm.reset()
    llm.set_seed(5)
    written = list(itertools.islice(llm.generate(PROMPT), 20))
    until_eos = list(itertools.takewhile(lambda token: token != llm.token_eos(), written))
    assert llm.detokenize(until_eos, prev_tokens=PROMPT).decode(errors="ignore") == expected


def test_chat_and_cached_prompts_draw_with_the_seed(llm):
    attach(llm)
    question = [{"role": "user", "content": "b1 c2"}]
    settings = {"max_tokens": 8, "temperature": 2.0, "top_k": 0, "top_p": 1.0}
    answers = [llm.create_chat_completion(question, seed=seed, **settings) for seed in (1, 1, 2)]
    first, again, other = (answer["choices"][0]["message"]["content"] for answer in answers)
    assert first == again != other


def test_greedy_calls_are_those_of_llama_cpp(llm):
    texts = [text(switch(llm), temperature=0.0) for switch in (detach, attach, detach)]
    assert len(set(texts)) == 1
    attach(llm)
    seen = []

    def stop(ids, scores):
        seen.append(len(ids))
        return len(ids) == len(PROMPT) + 2

    llm.reset()
    done = llm.create_completion(PROMPT, max_tokens=20, stopping_criteria=llama_cpp.StoppingCriteriaList([stop]))
    assert done["usage"]["completion_tokens"] == 2 and seen[:3] == [4, 5, 6]


def test_logprobs_and_drafts_work(gguf_path):
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

    prompt = [1, *[5, 6, 7, 8] * 4]
    written = []
    for draft in (None, LlamaPromptLookupDecoding(max_ngram_size=2, num_pred_tokens=3)):
        with contextlib.closing(load(gguf_path, logits_all=True, draft_model=draft)) as llm:
            attach(llm)
            done = llm.create_completion(prompt, max_tokens=12, seed=3, logprobs=2, logit_bias={5: 9.0, 6: 9.0})
            chosen = done["choices"][0]["logprobs"]
            assert len(chosen["token_logprobs"]) == 12 and all(p <= 0 for p in chosen["token_logprobs"])
            written.append(done["choices"][0]["text"])
    assert written[0] == written[1]


def test_a_grammar_is_left_to_llama_cpp(llm):
    plain = [text(switch(llm), seed=4, grammar=LETTERS) for switch in (detach, attach)]
    assert plain[0] == plain[1] and plain[0] in ("aca", "acb", "bca", "bcb")
    biased = text(llm, seed=4, grammar=LETTERS, logit_bias={3 + ord("a"): -100.0})
    assert biased == "bcb"
    assert text(llm, seed=4, mirostat_mode=1) == text(detach(llm), seed=4, mirostat_mode=1)


# Seeds


def test_seeds_repeat_and_others_differ(llm):
    attach(llm, seed=7)
    first = tokens(llm)
    assert tokens(llm) == first
    llm.set_seed(8)
    assert tokens(llm) != first
    assert tokens(attach(llm, seed=7)) == first
    completions = [text(llm) for _ in range(2)]  # each takes a seed from the one before
    llm.set_seed(7)
    assert [text(llm) for _ in range(2)] == completions and len(set(completions)) == 2


def test_the_uniforms_are_keyed_by_seed_and_step(llm, rng):
    row = (4 * rng.normal(size=ENTRIES)).astype(np.float32)
    attach(evaluated(llm, row), seed=7)
    got = [llm.sample(top_k=0, top_p=1.0, min_p=0.0, temp=t) for t in (1.0, 0.5, 2.0, 1.0)]
    expected = [fs.sample(row, t, u=fs.keyed_uniforms(7, 0, step)) for step, t in enumerate((1.0, 0.5, 2.0, 1.0))]
    assert got == expected


def test_draws_by_rejection_are_those_of_sample(tmp_path, rng):
    row = (4 * rng.normal(size=9000)).astype(np.float32)
    words = {"seed": 7, "keys": 0, "method": "rejection"}
    with contextlib.closing(load(write(tmp_path, entries=row.size))) as llm:
        attach(evaluated(llm, row), seed=7, method="rejection")
        off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
        got = [llm.sample(**off, temp=t) for t in (1.0, 0.5, 2.0)]
        assert got == [fs.sample(row, t, step=step, **words) for step, t in enumerate((1.0, 0.5, 2.0))]
        assert llm.sample(temp=-1.0) == fs.sample(row, step=3, **words)  # no filters, and no temperature
        assert llm.sample(**off | {"top_k": 50}, temp=1.0) == fs.sample(row, top_k=50, u=fs.keyed_uniforms(7, 0, 4))
        attach(evaluated(llm, row), method="inversion")  # begins a run
        assert llm.sample(**off, temp=1.0) == fs.sample(row, u=fs.keyed_uniforms(7, 0))
        detach(llm)


def test_without_a_seed_runs_differ(llm):
    attach(llm)
    assert len({tuple(tokens(llm)) for _ in range(3)}) == 3


def test_a_loop_of_ones_own_begins_a_run_at_reset(llm):
    attach(llm, seed=7)

    def loop():
        llm.reset()
        llm.eval(PROMPT)
        written = []
        for _ in range(20):
            written.append(llm.sample(repeat_penalty=2.0))
            llm.eval(written[-1:])
        return written

    first = loop()
    assert loop() == first == tokens(llm, repeat_penalty=2.0)


# Attached or not


def test_detach_leaves_nothing_behind(llm):
    before = dict(vars(llm))
    assert detach(llm) is llm
    assert attach(attach(llm)) is llm
    assert vars(llm).keys() - before.keys() == REPLACED
    for name in REPLACED:
        stock = inspect.signature(getattr(type(llm), name))
        assert [*inspect.signature(getattr(llm, name)).parameters] == [*stock.parameters][1:]
        assert getattr(llm, name).__doc__ == getattr(type(llm), name).__doc__
    assert detach(llm) is llm and not vars(llm).keys() & REPLACED


def test_an_attached_object_is_freed_when_it_is_no_longer_used(gguf_path):
    llm = attach(load(gguf_path), seed=1)
    tokens(llm, 2)
    gone, sample = weakref.ref(llm), llm.sample
    gc.disable()
    try:
        del llm
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(ReferenceError, match="sample"):
        sample()


def test_only_this_object_is_attached(llm, gguf_path):
    attach(llm)
    with contextlib.closing(load(gguf_path)) as other:
        assert not vars(other).keys() & REPLACED
        attach(other, seed=1)
        detach(llm)
        assert vars(other).keys() >= REPLACED


# Bad input


@pytest.mark.parametrize(
    "given, kind, says",
    [
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**32 - 1}, ValueError, "seed"),
        ({"seed": 1.5}, TypeError, "seed"),
        ({"seed": True}, TypeError, "seed"),
        ({"method": "alias"}, ValueError, "method"),
        ({"top_k": 4}, TypeError, "top_k: pass it to the call"),
        ({"temperature": 4}, TypeError, "temperature: pass it to the call"),
        ({"tok_p": 0.4}, TypeError, "tok_p"),
        ({"rng": 3}, TypeError, "rng"),
        ({"top_n_sigma": -1.0}, ValueError, "top_n_sigma"),
        ({"xtc_threshold": 0.1}, ValueError, "xtc_probability"),
    ],
    ids=str,
)
def test_attach_refuses(llm, given, kind, says):
    attach(llm, seed=3)
    kept = vars(llm)["sample"]
    with pytest.raises(kind, match=says):
        attach(llm, **given)
    assert vars(llm)["sample"] is kept


def test_attach_wants_a_llama_without_methods_of_its_own(llm, monkeypatch):
    for function in (attach, detach):
        with pytest.raises(TypeError, match="llama_cpp.Llama, not str"):
            function("model.gguf")
    monkeypatch.setattr(llm, "generate", print, raising=False)
    with pytest.raises(ValueError, match="generate"):
        attach(llm)
    assert vars(llm)["generate"] is print and "sample" not in vars(llm)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"temp": np.nan}, "temperature"),
        ({"min_p": 1.5}, "min_p"),
        ({"top_p": np.nan}, "top_p"),
        ({"typical_p": np.nan}, "typical_p"),
        ({"repeat_penalty": 0.0}, "repeat_penalty"),
        ({"repeat_penalty": np.nan}, "repeat_penalty"),
        ({"frequency_penalty": np.inf}, "frequency_penalty"),
        ({"presence_penalty": np.nan}, "presence_penalty"),
        ({"mirostat_mode": 2, "mirostat_tau": np.nan}, "mirostat_tau"),
        ({"logits_processor": [lambda ids, scores: scores[:3]]}, "logits_processor 0 returned float32 of shape"),
        ({"logits_processor": [lambda ids, scores: None]}, "logits_processor 0 returned NoneType"),
        ({"logits_processor": [lambda ids, scores: scores * np.nan]}, "NaN"),
    ],
    ids=str,
)
def test_sample_refuses(llm, given, says):
    attach(evaluated(llm, np.zeros(ENTRIES)), seed=3)
    with pytest.raises(ValueError, match=says):
        llm.sample(**given)
    assert 0 <= llm.sample() < ENTRIES


@pytest.mark.parametrize("name", ["temp", "top_k", "top_p", "min_p", "typical_p", "mirostat_mode", "repeat_penalty"])
@pytest.mark.parametrize("value", [None, "1", [0.5]], ids=str)
def test_parameters_are_numbers(llm, name, value):
    attach(evaluated(llm, np.zeros(ENTRIES)), seed=3)
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        llm.sample(**{name: value})


def test_parameters_may_be_numbers_of_numpy(llm):
    attach(evaluated(llm, np.zeros(ENTRIES)), seed=3)
    given = {"temp": np.float32(0.5), "top_k": np.int64(9), "top_p": np.float64(0.5), "repeat_penalty": np.float32(1.5)}
    assert 0 <= llm.sample(**given) < 9


def test_an_error_of_a_processor_is_raised(llm):
    attach(llm)

    def broken(ids, scores):
        scores[:] = 3.0
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        llm.create_completion(PROMPT, max_tokens=3, logits_processor=llama_cpp.LogitsProcessorList([broken]))
    assert logits(llm).std() > 1


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("temp", [0.0, 0.8, -1.0, np.inf])
def test_a_row_that_cannot_be_drawn_from_is_an_error(llm, bad, temp):
    attach(evaluated(llm, np.full(ENTRIES, bad, np.float32)))
    with pytest.raises(ValueError, match="NaN at token 0" if np.isnan(bad) else "nothing above"):
        llm.sample(temp=temp)


@pytest.mark.parametrize(
    "bias, kind, says",
    [
        ({ENTRIES: 1.0}, ValueError, f"token {ENTRIES}"),
        ({-1: 1.0}, ValueError, "token -1"),
        ({5: np.nan}, ValueError, "token 5"),
        ({"five": 1.0}, TypeError, "five"),
        ({5: None}, TypeError, "logit_bias"),
        ([5, 1.0], TypeError, "list"),
    ],
    ids=str,
)
def test_a_bias_is_checked_before_anything_is_evaluated(llm, bias, kind, says):
    attach(llm).reset()
    with pytest.raises(kind, match=says):
        llm.create_completion(PROMPT, logit_bias=bias)
    assert llm.n_tokens == 0


def test_sampling_needs_logits(llm, gguf_path):
    attach(llm).reset()
    with pytest.raises(RuntimeError, match="eval"):
        llm.sample()
    evaluated(llm, np.zeros(ENTRIES))
    with pytest.raises(RuntimeError, match="idx=1 of 4"):
        llm.sample(idx=1)
    with contextlib.closing(load(gguf_path)) as other:
        attach(other).eval(PROMPT)
    with pytest.raises(RuntimeError, match="closed"):
        other.sample()


def test_limits_of_the_temperature(llm):
    row = np.full(ENTRIES, -np.inf, np.float32)
    row[[3, 9]] = [1.0, 5.0]
    attach(evaluated(llm, row), seed=1)
    assert {llm.sample(temp=1e-30) for _ in range(20)} == {9}
    assert {llm.sample(temp=np.inf, min_p=0.0, top_p=1.0) for _ in range(40)} == {3, 9}
    logits(llm)[:] = 0
    assert len({llm.sample(top_k=0, min_p=0.0, top_p=1.0) for _ in range(200)}) > 100


# What is written about it


@pytest.fixture
def model_in_folder(gguf_path, tmp_path, monkeypatch):
    shutil.copy(gguf_path, tmp_path / "model.gguf")
    monkeypatch.chdir(tmp_path)


def test_examples_of_the_page_run(model_in_folder):
    blocks = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, {})
        assert printed.getvalue().splitlines() == re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)


def test_examples_in_docstrings_run(model_in_folder):
    failed, tried = doctest.testmod(fsl)
    assert not failed and tried >= 10

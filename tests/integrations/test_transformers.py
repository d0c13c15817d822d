"""FastSampling in `generate`, beside transformers' own sampling: for the same tokens, and by the distribution."""

import copy
import doctest
import math

import numpy as np
import pytest

import fastsoftmax as fs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tiny_models import EOS, PAD, VOCABULARY, generate, prompts, spread  # noqa: E402

import fastsoftmax.integrations.transformers as fst  # noqa: E402
from fastsoftmax.integrations.transformers import FastSampling  # noqa: E402

HAS_TOP_H = hasattr(transformers.generation.logits_process, "TopHLogitsWarper")


class Scripted:
    """In place of torch.multinomial: the tokens that are to be drawn, one step after another."""

    def __init__(self, tokens):
        self._columns = iter(tokens.T)

    def __call__(self, probs, num_samples):
        return next(self._columns).unsqueeze(1)


def check_beside_stock(model, ids, monkeypatch, source=None, **kwargs):
    """Scores, logits and sequences are those of transformers' own loop where it draws the same tokens."""
    wanted = {"return_dict_in_generate": True, "output_scores": True, "output_logits": True}
    ours = generate(model, ids, source or FastSampling(seed=7), **kwargs, **wanted)
    steps = len(ours.scores)
    with monkeypatch.context() as patched:
        patched.setattr(torch, "multinomial", Scripted(ours.sequences[:, -steps:]))
        theirs = generate(model, ids, **kwargs, **wanted)
    assert torch.equal(ours.sequences, theirs.sequences)
    assert type(ours) is type(theirs) and ours.keys() == theirs.keys()
    assert len(theirs.scores) == len(theirs.logits) == len(ours.logits) == steps
    for mine, stock in zip(ours.logits, theirs.logits, strict=True):
        assert torch.equal(mine, stock)
    for mine, stock in zip(ours.scores, theirs.scores, strict=True):
        assert mine.dtype == stock.dtype == torch.float32
        assert torch.equal(mine == -math.inf, stock == -math.inf)
        torch.testing.assert_close(mine, stock, rtol=1e-5, atol=1e-5)
    for normalize in (True, False):
        mine, stock = (
            model.compute_transition_scores(each.sequences, each.scores, normalize_logits=normalize)
            for each in (ours, theirs)
        )
        torch.testing.assert_close(mine, stock, rtol=1e-4, atol=1e-5)
    return ours


# What generate was given, and what comes out

FILTERS = {
    "nothing": {},
    "default": {"top_k": 50},
    "temperature": {"temperature": 0.7},
    "hot": {"temperature": 3.0, "top_p": 0.5},
    "top_k": {"top_k": 5},
    "top_p": {"temperature": 0.8, "top_p": 0.95},
    "min_p": {"min_p": 0.05},
    "typical_p": {"typical_p": 0.6},
    "epsilon": {"epsilon_cutoff": 0.02},
    "eta": {"eta_cutoff": 0.3},
    "many": {"temperature": 1.5, "top_k": 20, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.9, "epsilon_cutoff": 1e-3},
}
if HAS_TOP_H:
    FILTERS["top_h"] = {"top_h": 0.6, "temperature": 1.3}
    FILTERS["top_h_top_k"] = {"top_h": 0.9, "top_k": 3}

each_filter = pytest.mark.parametrize("given", FILTERS.values(), ids=FILTERS)


def test_parameters_of_rows_serve_one_row_too():
    x = torch.tensor([[0.0, 3.0, 2.0, 1.0]])
    one = np.ones(1, int)
    of_rows = ({"top_k": one}, {"temperature": torch.tensor([0.0])}, {"top_p": 0.0 * one}, {"keep": [1]})
    for given in of_rows:
        processor = FastSampling(seed=3).as_processor(**{"top_k": 1, **given})
        assert processor(torch.tensor([[5, 6]]), x).argmax().item() == 1


@pytest.mark.parametrize("seed", [7, [7], None])
def test_one_row_is_drawn_as_in_a_batch(seed):
    x = 3 * torch.randn(1, 50)
    for given in ({}, {"top_p": 0.9, "temperature": 0.7}, {"xtc_threshold": 0.05, "xtc_probability": 0.5}):
        ones, rows = (
            FastSampling(seed=seed, keys=None if seed is None else [5]).as_processor(**given) for _ in range(2)
        )
        rows._of_rows = True  # the way of a batch
        for step in range(20):
            ids = torch.zeros(1, 3 + step, dtype=torch.int64)
            torch.manual_seed(step)
            one = ones(ids, x)
            torch.manual_seed(step)
            assert torch.equal(one, rows(ids, x))


@each_filter
def test_scores_are_those_of_stock_sampling(given, llama, monkeypatch):
    check_beside_stock(llama, prompts(3), monkeypatch, **given)


@each_filter
def test_frequencies_are_those_of_the_stock_probabilities(given, llama):
    scipy_stats = pytest.importorskip("scipy.stats")
    count = 20_000
    ids = prompts(1)
    one = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_scores": True}
    p = generate(llama, ids, **given, **one).scores[0][0].double().softmax(-1).numpy()
    drawn = generate(llama, ids, FastSampling(), **given, max_new_tokens=1, num_return_sequences=count)[:, -1]
    counts = np.bincount(drawn, minlength=VOCABULARY)
    assert not counts[p == 0].any()
    expected = count * p
    rare = expected < 5  # together they are one entry
    seen = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    seen, wanted = seen[wanted > 0], wanted[wanted > 0]
    statistic = ((seen - wanted) ** 2 / wanted).sum()
    assert len(wanted) == 1 or scipy_stats.chi2.sf(statistic, len(wanted) - 1) > 1e-9


def test_draws_are_those_of_sample(llama):
    settings = {"temperature": 0.8, "top_k": 30, "top_p": 0.9}
    ours = generate(
        llama, prompts(3), FastSampling(seed=7, keys=[4, 5, 2**64 - 1]), **settings, output_logits=True,
        return_dict_in_generate=True, eos_token_id=None,
    )  # fmt: skip
    for step, logits in enumerate(ours.logits):
        u = fs.keyed_uniforms(7, [4, 5, 2**64 - 1], step)
        wanted = fs.sample(logits, 0.8, top_k=30, top_p=0.9, u=u)
        np.testing.assert_array_equal(ours.sequences[:, 4 + step], wanted)


def only_even(batch, sent):
    return list(range(EOS, VOCABULARY, 2)) if len(sent) % 2 else list(range(2, VOCABULARY, 2))


FEATURES = {
    "num_return_sequences": {"num_return_sequences": 3},
    "eos list": {"eos_token_id": [EOS, *range(10, 40)], "max_new_tokens": 12},
    "min_new_tokens": {"min_new_tokens": 4, "eos_token_id": [EOS, *range(10, 60)]},
    "repetition_penalty": {"repetition_penalty": 3.0, "max_new_tokens": 12},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 1, "max_new_tokens": 12},
    "bad_words_ids": {"bad_words_ids": [[i] for i in range(5, 60)]},
    "prefix_allowed_tokens_fn": {"prefix_allowed_tokens_fn": only_even},
    "suppress_tokens": {"suppress_tokens": list(range(2, 50))},
    "sequence_bias": {"sequence_bias": {(9,): 20.0}},
    "forced_eos_token_id": {"forced_eos_token_id": EOS},
    "static cache": {"cache_implementation": "static"},
    "no cache": {"use_cache": False},
    "renormalize_logits": {"renormalize_logits": True},
    "remove_invalid_values": {"remove_invalid_values": True},
    "guidance_scale": {"guidance_scale": 1.5},
    "watermarking": {"watermarking_config": {"greenlist_ratio": 0.3, "bias": 5.0}},
}


@pytest.mark.parametrize("given", FEATURES.values(), ids=FEATURES)
def test_everything_else_stays_as_it_is(given, llama, monkeypatch):
    given = dict(given)
    if "watermarking_config" in given:
        given["watermarking_config"] = transformers.WatermarkingConfig(**given["watermarking_config"])
    check_beside_stock(llama, prompts(), monkeypatch, temperature=0.9, top_p=0.9, **given)


def test_padding_on_the_left(llama, monkeypatch):
    ids = prompts(3, 6)
    mask = torch.ones_like(ids)
    for row, padding in enumerate((0, 4, 2)):
        ids[row, :padding], mask[row, :padding] = PAD, 0
    check_beside_stock(llama, ids, monkeypatch, attention_mask=mask, top_p=0.9, repetition_penalty=1.5)


def test_a_prompt_of_embeddings(llama):
    embeddings = llama.get_input_embeddings()(prompts())
    settings = {"do_sample": True, "top_k": 0, "max_new_tokens": 3, "custom_generate": FastSampling(seed=7)}
    written = llama.generate(inputs_embeds=embeddings, attention_mask=torch.ones(2, 4), **settings)
    assert torch.equal(written, generate(llama, prompts(), FastSampling(seed=7), max_new_tokens=3)[:, 4:])


def test_bfloat16(monkeypatch, llama):
    model = copy.deepcopy(llama).to(torch.bfloat16)
    check_beside_stock(model, prompts(), monkeypatch, temperature=0.8, min_p=0.03)


def test_gpt2(monkeypatch):
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_layer=1, n_head=2, n_embd=16, n_positions=32, bos_token_id=PAD, eos_token_id=EOS,
        pad_token_id=PAD,
    )  # fmt: skip
    check_beside_stock(spread(transformers.GPT2LMHeadModel(config)), prompts(), monkeypatch, top_p=0.9)


def test_encoder_and_decoder(t5, monkeypatch):
    settings = {"temperature": 0.8, "top_p": 0.9}
    ours = check_beside_stock(t5, prompts(), monkeypatch, **settings, num_return_sequences=2)
    assert ours.sequences.shape == (4, 7)
    for step, logits in enumerate(ours.logits):
        drawn = fs.sample(logits, 0.8, top_p=0.9, u=fs.keyed_uniforms(7, range(4), step))
        is_over = (ours.sequences[:, 1 : step + 1] == EOS).any(1).numpy()
        np.testing.assert_array_equal(ours.sequences[:, 1 + step], np.where(is_over, PAD, drawn))


def test_a_processor_of_the_user_comes_before_the_warpers(llama, monkeypatch):
    class Shift(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            return scores + torch.arange(VOCABULARY) / 8

    processors = transformers.LogitsProcessorList([Shift()])
    check_beside_stock(llama, prompts(), monkeypatch, logits_processor=processors, top_p=0.8)


def test_attentions_and_hidden_states_are_there(llama):
    output = generate(
        llama, prompts(), FastSampling(), output_attentions=False, output_hidden_states=True,
        return_dict_in_generate=True, max_new_tokens=3,
    )  # fmt: skip
    assert output.scores is None and len(output.hidden_states) == 3


def test_criteria_see_the_scores(llama):
    class Sees(transformers.StoppingCriteria):
        def __init__(self):
            self.finite = []

        def __call__(self, input_ids, scores, **kwargs):
            self.finite.append(int((scores[-1][0] > -math.inf).sum()))
            return torch.zeros(input_ids.shape[0], dtype=torch.bool)

    sees = Sees()
    output = generate(
        llama, prompts(), FastSampling(seed=7), top_k=9, return_dict_in_generate=True, output_scores=True,
        stopping_criteria=transformers.StoppingCriteriaList([sees]), eos_token_id=None,
    )  # fmt: skip
    assert sees.finite == [9] * 6 == [int((each[0] > -math.inf).sum()) for each in output.scores]


def test_configurations_stay_as_they_are(llama):
    config = transformers.GenerationConfig(do_sample=True, top_p=0.9, max_new_tokens=2, pad_token_id=PAD)
    before, of_model = config.to_dict(), llama.generation_config.to_dict()
    written = llama.generate(prompts(), generation_config=config, custom_generate=FastSampling())
    assert written.shape == (2, 6)
    assert config.to_dict() == before and llama.generation_config.to_dict() == of_model


# What generate does not hand on


class Collects(transformers.generation.streamers.BaseStreamer):
    def __init__(self):
        self.seen = []

    def put(self, value):
        self.seen.append(value.tolist())

    def end(self):
        self.seen.append("end")


def test_a_streamer_gets_the_prompt_the_tokens_and_the_end(llama):
    streamer = Collects()
    ids = prompts(1)
    written = generate(llama, ids, FastSampling(seed=7), streamer=streamer)
    assert streamer.seen == [ids.tolist(), *([token] for token in written[0, 4:].tolist()), "end"]


def test_a_callable_around_it_keeps_the_streamer(llama):
    streamer = Collects()
    generate(llama, prompts(1), lambda *args, **kwargs: FastSampling(seed=7)(*args, **kwargs), streamer=streamer)
    assert len(streamer.seen) == 8 and streamer.seen[-1] == "end"


@pytest.mark.parametrize("given", [None, True, False])
def test_synced_gpus(given, llama, monkeypatch):
    seen = []
    monkeypatch.setattr(type(llama), "_sample", lambda self, ids, **kwargs: seen.append(kwargs["synced_gpus"]) or ids)
    generate(llama, prompts(), FastSampling(), synced_gpus=given)
    assert seen == [bool(given)]


@pytest.fixture(scope="module")
def tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    words = {"abcdef": 0, **{f"<{i}>": i for i in range(1, VOCABULARY)}}  # stop strings need the first
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<1>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<1>", pad_token="abcdef")


def test_stop_strings(llama, tokenizer):
    ids = prompts(1)
    whole = generate(llama, ids, FastSampling(seed=7), eos_token_id=None)[0]
    stop = tokenizer.convert_ids_to_tokens(whole[6:7].tolist())
    source = FastSampling(seed=7, stop_strings=stop, tokenizer=tokenizer)
    assert generate(llama, ids, source, eos_token_id=None)[0].tolist() == whole[:7].tolist()


def test_a_pipeline_hands_it_on(llama, tokenizer):
    pipe = transformers.pipeline("text-generation", model=llama, tokenizer=tokenizer)
    settings = {"do_sample": True, "max_new_tokens": 5, "return_tensors": True}
    written = pipe("<5> <6>", **settings, custom_generate=FastSampling(seed=7))
    wanted = generate(llama, torch.tensor([[5, 6]]), FastSampling(seed=7), max_new_tokens=5, top_k=50)
    assert written[0]["generated_token_ids"] == wanted[0].tolist()


# Errors


@pytest.mark.parametrize(
    "given, words",
    [
        ({"do_sample": False}, "do_sample=False nothing is drawn"),
        ({"num_beams": 2}, "pass num_beams=1"),
        ({"num_beams": 2, "do_sample": False}, "pass num_beams=1"),
        ({"do_sample": False, "penalty_alpha": 0.6, "top_k": 4}, "contrastive search does not draw"),
        ({"prompt_lookup_num_tokens": 3}, "assisted decoding"),
        ({"dola_layers": "low"}, "dola_layers"),
    ],
    ids=str,
)
def test_other_modes_are_refused_by_name(given, words, llama):
    with pytest.raises(ValueError, match=f"FastSampling: .*{words}.*, or leave custom_generate out"):
        generate(llama, prompts(1), FastSampling(), **given)


def test_an_assistant_model_is_refused(llama):
    with pytest.raises(ValueError, match="assisted decoding"):
        generate(llama, prompts(1), FastSampling(), assistant_model=llama)


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="keys need a seed"):
        FastSampling(keys=[1])
    with pytest.raises(ValueError, match="seed and generator"):
        FastSampling(1, generator=torch.Generator())
    with pytest.raises(ValueError, match="stop_strings need the tokenizer"):
        FastSampling(stop_strings="x")
    with pytest.raises(ValueError, match="seed must be at least 0"):
        FastSampling(-1)
    with pytest.raises(TypeError, match="keys must be integers"):
        FastSampling(1, keys=[0.5])
    with pytest.raises(TypeError, match="unexpected keyword argument 'top_q'"):
        FastSampling().as_processor(top_q=1)


@pytest.mark.parametrize("given", [{"seed": 7, "keys": [1, 2]}, {"seed": [1, 2]}], ids=str)
def test_keys_and_seeds_are_one_for_each_row(given, llama):
    with pytest.raises(ValueError, match=r"of shape \(2,\) for 6 rows; pass one for each row that is generated"):
        generate(llama, prompts(2), FastSampling(**given), num_return_sequences=3)


def test_a_row_that_cannot_be_drawn_from():
    x = torch.zeros(2, 4)
    x[1, 2] = math.nan
    with pytest.raises(ValueError, match="row 1"):
        FastSampling().as_processor()(torch.zeros(2, 2).long(), x)


def test_examples_in_docstrings_run():
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    found = [test for test in doctest.DocTestFinder().find(fst) if test.examples]
    assert len(found) == 2
    assert sum(runner.run(test).failed for test in found) == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_tokens_by_rejection_are_those_of_sample(rows):
    scores, ids = torch.randn(rows, 9000, dtype=torch.float64).float() * 3, torch.ones(rows, 2, dtype=torch.int64)
    keys = np.arange(40, 40 + rows)
    source = FastSampling(seed=7, keys=keys, method="rejection")
    processor, filtered = source.as_processor(temperature=0.8), source.as_processor(temperature=0.8, top_k=5)
    for step in range(3):
        words = {"seed": 7, "keys": keys, "step": step}
        ids = torch.ones(rows, 2 + step, dtype=torch.int64)
        tokens = processor(ids, scores).argmax(-1).numpy()
        np.testing.assert_array_equal(tokens, fs.sample(scores.numpy(), 0.8, method="rejection", **words))
        tokens = filtered(ids, scores).argmax(-1).numpy()
        np.testing.assert_array_equal(tokens, fs.sample(scores.numpy(), 0.8, top_k=5, **words))
    for wrong in ({"method": "rejection"}, {"seed": 1, "method": "alias"}):
        with pytest.raises(ValueError, match="method"):
            FastSampling(**wrong)

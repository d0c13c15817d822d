"""integrations/transformers.py beside transformers' own sampling, for the same tokens and by the distribution."""

import copy
import doctest
import math

import numpy as np
import pytest

import fastsoftmax as fs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
import fastsoftmax.integrations.transformers as fst  # noqa: E402
from fastsoftmax.integrations.transformers import FastSampling  # noqa: E402

VOCABULARY, PAD, EOS = 64, 0, 1
HAS_TOP_H = hasattr(transformers.generation.logits_process, "TopHLogitsWarper")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(20)


def spread(model):
    """Random weights give nearly flat distributions: make them far from flat."""
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(60)
    return model.eval()


@pytest.fixture(scope="module")
def llama():
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    return spread(transformers.LlamaForCausalLM(config))


@pytest.fixture(scope="module")
def t5():
    torch.manual_seed(2)
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=PAD,
        eos_token_id=EOS, decoder_start_token_id=PAD, tie_word_embeddings=False,
    )  # fmt: skip
    return spread(transformers.T5ForConditionalGeneration(config))


def prompts(rows=2, length=4):
    return torch.randint(3, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(3))


def generate(model, ids, source=None, **kwargs):
    """By FastSampling, or by transformers alone where there is none."""
    settings = {"do_sample": True, "top_k": 0, "max_new_tokens": 6, "attention_mask": torch.ones_like(ids), **kwargs}
    if source is not None:
        settings["custom_generate"] = source
    return model.generate(ids, **settings)


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


# Randomness


def test_tokens_of_a_request_are_the_same_alone_and_in_any_batch(llama):
    ids = prompts(4)
    settings = {"top_p": 0.9, "eos_token_id": None}
    together = generate(llama, ids, FastSampling(seed=7, keys=[30, 10, 20, 40]), **settings)
    order = torch.tensor([2, 0])
    assert torch.equal(generate(llama, ids[order], FastSampling(seed=7, keys=[20, 30]), **settings), together[order])
    assert torch.equal(generate(llama, ids[1:2], FastSampling(seed=7, keys=10), **settings), together[1:2])
    shorter = generate(llama, ids[1:2], FastSampling(seed=7, keys=[10]), **settings, num_return_sequences=1)
    assert torch.equal(shorter, together[1:2])


def test_keys_are_the_rows_by_default_and_seeds_may_be_many(llama):
    ids = prompts(3)
    written = generate(llama, ids, FastSampling(seed=7))
    assert torch.equal(written, generate(llama, ids, FastSampling(seed=7, keys=range(3))))
    many = generate(llama, ids, FastSampling(seed=[5, 6, 7]))
    assert torch.equal(many, generate(llama, ids, FastSampling(seed=[5, 6, 7], keys=[0, 0, 0])))
    assert torch.equal(many, generate(llama, ids, FastSampling(seed=np.array([5, 6, 7]), keys=torch.zeros(3).long())))


def test_sequences_of_one_prompt_have_keys_of_their_own(llama):
    settings = {"num_return_sequences": 3, "eos_token_id": None}
    written = generate(llama, prompts(2), FastSampling(seed=7, keys=np.arange(6).reshape(2, 3)), **settings)
    assert torch.equal(written, generate(llama, prompts(2), FastSampling(seed=7), **settings))
    assert len(written.unique(dim=0)) == 6


def test_keys_and_seeds_are_copied(llama):
    seeds, keys = np.arange(2), np.arange(2)
    source = FastSampling(seed=seeds, keys=keys)
    before = generate(llama, prompts(), source)
    seeds += 1
    keys += 1
    assert torch.equal(generate(llama, prompts(), source), before)


def test_a_seed_leaves_the_generator_alone_and_none_takes_it(llama):
    state = torch.get_rng_state()
    first = generate(llama, prompts(), FastSampling(seed=7))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, generate(llama, prompts(), FastSampling(seed=7)))
    torch.manual_seed(5)
    written = generate(llama, prompts(), FastSampling(), eos_token_id=None)
    torch.manual_seed(5)
    logits = generate(llama, prompts(), FastSampling(), eos_token_id=None, output_logits=True,
        return_dict_in_generate=True).logits  # fmt: skip
    assert not torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    for step, each in enumerate(logits):
        u = torch.rand(2, dtype=torch.float64).numpy()
        np.testing.assert_array_equal(written[:, 4 + step], fs.sample(each, u=u))


def test_a_generator_of_ones_own(llama):
    state = torch.get_rng_state()
    written = generate(llama, prompts(), FastSampling(generator=torch.Generator().manual_seed(5)))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(written, generate(llama, prompts(), FastSampling()))


# The chain


def chain(*names_and_numbers):
    made = []
    for name, *arguments in names_and_numbers:
        arguments, keywords = [a for a in arguments if not isinstance(a, dict)], arguments[-1:]
        keywords = keywords[0] if keywords and isinstance(keywords[0], dict) else {}
        made.append(getattr(transformers.generation.logits_process, name)(*arguments, **keywords))
    return made


T, K, P, M = "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper"


@pytest.mark.parametrize(
    "warpers, stages",
    [
        ([], 1),
        ([(K, 20), (T, 2.0)], 1),
        ([(P, 0.8), (T, 2.0), (M, 0.1), (K, 5)], 1),
        ([(T, 0.5), (T, 3.0)], 2),
        ([(K, 20), (P, 0.5), (K, 3)], 2),
        ([(T, 2.0), (P, 0.1, {"min_tokens_to_keep": 4}), (M, 0.9, {"min_tokens_to_keep": 4})], 1),
        ([(P, 0.9, {"min_tokens_to_keep": 5}), (T, 2.0), (M, 0.9), (T, 0.5)], 2),
        ([("TypicalLogitsWarper", 0.5), ("TypicalLogitsWarper", 0.3, {"min_tokens_to_keep": 3})], 2),
        ([("EpsilonLogitsWarper", 0.2), ("EtaLogitsWarper", 0.5, {"min_tokens_to_keep": 2}), (T, 0.5)], 2),
    ],
    ids=str,
)
def test_any_order_of_the_warpers(warpers, stages):
    x = 3 * torch.randn(20, 100)
    made = chain(*warpers)
    stock, fused, normalized = fst._split(made)
    assert stock == [] and len(fused) == stages and not normalized
    recorded = []
    fst._Draw(FastSampling(), fused, recorded)(torch.zeros(20, 1).long(), x)
    wanted = transformers.LogitsProcessorList(made)(None, x)
    assert torch.equal(recorded[0] > -math.inf, wanted > -math.inf)
    torch.testing.assert_close(recorded[0], wanted)


def test_what_is_unknown_stays_with_all_before_it():
    class Other(transformers.TopPLogitsWarper):
        pass

    known = chain((T, 2.0), (K, 5))
    for unknown in (Other(0.9), transformers.TopPLogitsWarper(0.9, filter_value=-100.0), lambda ids, x: x):
        for tail in ([], chain((M, 0.1))):
            stock, fused, _ = fst._split([*known, unknown, *tail])
            assert stock == [*known, unknown]
            assert fused == ([{"min_p": 0.1, "min_tokens_to_keep": 1, "order": ("min_p",)}] if tail else [{}])


def test_normalisation_at_the_end_is_no_obstacle():
    normalisation = transformers.generation.logits_process.LogitNormalization()
    assert fst._split([*chain((K, 5)), normalisation])[::2] == ([], True)
    assert fst._split([normalisation, *chain((K, 5))])[::2] == ([normalisation], False)


# The processor


def test_the_processor_in_a_greedy_loop_writes_the_same(llama):
    processor = FastSampling(seed=7).as_processor(temperature=0.8, top_p=0.9)
    processors = transformers.LogitsProcessorList([processor])
    written = llama.generate(
        prompts(), do_sample=False, max_new_tokens=6, logits_processor=processors, attention_mask=torch.ones(2, 4)
    )
    wanted = generate(llama, prompts(), FastSampling(seed=7), temperature=0.8, top_p=0.9)
    assert torch.equal(written, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_the_row_of_the_processor(dtype):
    x = torch.randn(3, 40).to(dtype)
    before = x.clone()
    row = FastSampling(seed=7).as_processor(0.5, top_k=9)(torch.zeros(3, 2).long(), x)
    wanted = fs.sample(x.double(), 0.5, top_k=9, u=fs.keyed_uniforms(7, range(3)))
    np.testing.assert_array_equal(row.argmax(-1), wanted)
    assert row.dtype == dtype and row.shape == x.shape and torch.equal(x, before)
    assert (row == -math.inf).sum() == 3 * 39 and (row == 0).sum() == 3


def test_coins_of_xtc_are_those_of_a_sampler():
    x = torch.randn(50, 20)
    xtc = {"xtc_threshold": 0.05, "xtc_probability": 0.5}
    row = FastSampling(seed=7).as_processor(**xtc)(torch.zeros(50, 2).long(), x)
    np.testing.assert_array_equal(row.argmax(-1), fs.Sampler(seed=7, **xtc)(x))


def test_rows_of_the_processor_may_be_kept():
    processor = FastSampling(seed=7).as_processor()
    rows = [processor(torch.zeros(1, length).long(), torch.zeros(1, 1000)) for length in (3, 4, 5)]
    assert len({int(row.argmax()) for row in rows}) == 3


def test_the_processor_takes_arrays():
    x = torch.randn(2, 20)
    row = FastSampling(seed=7).as_processor(torch.tensor([0.0, 1.0]), top_k=[3, 1])(torch.zeros(2, 2).long(), x)
    assert torch.equal(row.argmax(-1), x.argmax(-1))


def test_a_processor_serves_one_run():
    processor = FastSampling(seed=7).as_processor()
    x = torch.zeros(1, 4)
    processor(torch.zeros(1, 5).long(), x)
    processor(torch.zeros(1, 6).long(), x)
    with pytest.raises(ValueError, match="serves one run"):
        processor(torch.zeros(1, 5).long(), x)
    unseeded = FastSampling().as_processor()
    for length in (5, 5, 3):
        unseeded(torch.zeros(1, length).long(), x)


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

"""What FastSampling draws with, which part of a chain of processors it takes over, and the processor that it makes."""

import math

import numpy as np
import pytest

import fastsoftmax as fs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from tiny_models import generate, prompts  # noqa: E402

import fastsoftmax.integrations.transformers as fst  # noqa: E402
from fastsoftmax.integrations.transformers import FastSampling  # noqa: E402

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

"""Models of transformers with random weights, small enough to make for a test, and `generate` as the tests call it."""

import torch
import transformers

VOCABULARY, PAD, EOS = 64, 0, 1


def spread(model):
    """Random weights give nearly flat distributions: make them far from flat."""
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(60)
    return model.eval()


def make_llama():
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    return spread(transformers.LlamaForCausalLM(config))


def make_t5():
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

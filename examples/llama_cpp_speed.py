"""llama-cpp-python's own sampling and this package's, in turn on one object: tokens a second, and the texts.

    python examples/llama_cpp_speed.py --entries 128256
    python examples/llama_cpp_speed.py --model model.gguf

Without a model, one layer of a llama with random weights is written, with a vocabulary of any size: it costs little,
so that what is measured is mostly the choice of the token.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama

from fastsoftmax.integrations.llama_cpp import attach, detach

SETTINGS = {
    "greedy": {"temp": 0.0},
    "default": {},
    "top_p alone": {"top_k": 0, "min_p": 0.0},
    "no filter": {"top_k": 0, "top_p": 1.0, "min_p": 0.0},
    "penalties": {"repeat_penalty": 1.1, "frequency_penalty": 0.1},
    "typical_p": {"top_k": 0, "typical_p": 0.9},
    "mirostat": {"mirostat_mode": 2},
}
PROMPT = [1, 5, 6, 7]
BYTES = [gguf.TokenType.BYTE] * 256


def write_llama(path, entries=320, width=32, spread=4.0, context=512, seed=1):
    """Write one layer of a llama whose logits have about the standard deviation `spread`; returns the path.

    The vocabulary is that of SentencePiece: <unk>, <s>, </s>, 256 bytes, and made-up words.
    """
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(width // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(entries)
    writer.add_tokenizer_model("llama")
    words = [f"\u2581{chr(97 + i % 26)}{i}" for i in range(entries - 259)]
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *words])
    writer.add_token_scores([-float(i) for i in range(entries)])
    special = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_token_types([*special, *BYTES, *[gguf.TokenType.NORMAL] * len(words)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    matrices = {"token_embd": (entries, 1.0), "output": (entries, spread / width**0.5)}
    matrices |= {f"blk.0.{name}": (width, width**-0.5) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
    matrices |= {f"blk.0.{name}": (width, width**-0.5) for name in ("ffn_gate", "ffn_up", "ffn_down")}
    for name, (rows, scale) in matrices.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, scale, (rows, width)).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def seconds_a_token(llm, count, settings):
    """The time of a token after the first, and the tokens."""
    llm.reset()
    llm.set_seed(7)
    tokens = llm.generate(PROMPT, **settings)
    written = [next(tokens)]
    start = time.perf_counter()
    written += itertools.islice(tokens, count - 1)
    return (time.perf_counter() - start) / (count - 1), tuple(written)


def seconds_of_the_model(llm, count):
    """The time of an evaluation of one token, without a choice."""
    llm.reset()
    llm.eval(PROMPT)
    start = time.perf_counter()
    for _ in range(count):
        llm.eval([5])
    return (time.perf_counter() - start) / count


def compare(llm, count, repeats, settings):
    """Medians of both, measured in turn, and what they have written."""
    times, texts = ([], []), ([], [])
    for _ in range(repeats):
        for way, switch in enumerate((detach, attach)):
            taken, text = seconds_a_token(switch(llm), count, settings)
            times[way].append(taken)
            texts[way].append(text)
    return [statistics.median(each) for each in times], texts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="a GGUF file (default: random weights)")
    parser.add_argument(
        "--entries", type=int, default=4096, help="its vocabulary without a model (default: %(default)s)"
    )
    parser.add_argument("--tokens", type=int, default=20, help="tokens a text (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="texts of each kind (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or write_llama(Path(folder) / "random.gguf", arguments.entries)
        llm = Llama(path, n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)
        model = statistics.median(seconds_of_the_model(llm, arguments.tokens) for _ in range(arguments.repeats))
        print(f"vocabulary {llm.n_vocab()}, tokens a second; the model alone {1 / model:.0f}")
        print(f"{'':>12}{'llama.cpp':>12}{'fastsoftmax':>12}")
        same = True
        for name, settings in SETTINGS.items():
            (stock, ours), texts = compare(llm, arguments.tokens, arguments.repeats, settings)
            print(f"{name:>12}{1 / stock:>12.0f}{1 / ours:>12.0f}")
            same &= len(set(texts[1])) == 1
            same &= name != "greedy" or texts[0] == texts[1]
        llm.close()
    print("The likeliest text is the same, and a seed repeats its text." if same else "Some texts differ.")


if __name__ == "__main__":
    main()

"""The loop of docs/loops/onnxruntime_genai.md beside onnxruntime-genai's generator, with a model of random weights."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax as fs

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
og = pytest.importorskip("onnxruntime_genai")
pytest.importorskip("onnx_ir")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "loops" / "onnxruntime_genai.md"
ENTRIES = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the folder "model", as the library's own builder makes it."""
    folder = tmp_path_factory.mktemp("genai")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=ENTRIES, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, bos_token_id=1, eos_token_id=2, pad_token_id=0, max_position_embeddings=128,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    model.lm_head.weight.data.mul_(30)
    model.save_pretrained(folder / "source")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"t{i}": i for i in range(ENTRIES)}, unk_token="t3"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="t2").save_pretrained(folder / "source")
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-m", "none", "-i", "source", "-o", "model"]
    command += ["-p", "fp32", "-e", "cpu", "-c", "cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_loop_of_the_page_draws_from_the_generators_logits(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (block,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    loop = {}
    exec(block, loop)  # noqa: S102
    params = og.GeneratorParams(loop["model"])
    params.set_search_options(max_length=40)
    generator = og.Generator(loop["model"], params)
    generator.append_tokens(loop["prompt"])
    assert len(loop["text"]) == 37 or loop["text"][-1] == loop["end_of_sequence"]
    for step, token in enumerate(loop["text"]):
        logits = generator.get_logits()
        assert logits.shape == (1, 1, ENTRIES)
        assert token == fs.sample(logits[0, -1], 0.8, top_p=0.95, u=fs.keyed_uniforms(7, 0, step))
        if step < 36:
            generator.append_tokens([token])


def test_the_benchmark_measures_every_way_of_choosing(folder):
    script = Path(__file__).resolve().parents[2] / "bench" / "genai_beside.py"
    command = [sys.executable, str(script), str(folder / "model"), "--tokens", "5"]
    done = subprocess.run(
        command, cwd=script.parents[1], env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    table = [line.split("|") for line in done.stdout.splitlines()[3:]]
    assert [line[1].strip() for line in table] == [
        "greedy",
        "no filter",
        "top_k 50",
        "top_p 0.95",
        "top_k 50, top_p 0.95",
    ]
    assert all(float(cell.split()[0]) > 0 for line in table for cell in line[2:-1])

"""Every example runs: the scripts, the code blocks of the documentation, and the examples in docstrings."""

from __future__ import annotations

import code
import contextlib
import doctest
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax as fs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", ROOT / "csrc" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a block or a script may need; skipped where missing.
OTHERS = ["torch", "transformers", "keras", "keras_hub", "llama_cpp", "onnxruntime", "numba", "dask", "ray", "jax"]
OTHERS += ["gymnasium", "onnx", "xarray", "pandas", "scipy", "sklearn", "pyspiel", "particles"]
OTHERS += ["xgrammar", "llguidance", "joblib"]
EXPECTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)\)")
TEST_NAMED = re.compile(r"`(tests/[\w/]+\.\w+)`")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks() -> list[pytest.param]:
    found = []
    for page in PAGES:
        for i, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            needs = [name for name in OTHERS if re.search(rf"^(import|from) {name}\b", block, re.MULTILINE)]
            found.append(pytest.param(block, needs, id=f"{name_of(page)}-{i}"))
    return found


def paste(text: str) -> tuple[str, str]:
    """What a fresh interpreter prints, and complains of, when the lines are entered one by one."""
    out, complaints = io.StringIO(), io.StringIO()
    console = code.InteractiveConsole({"__name__": "__main__"})
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
        unfinished = False
        for line in [*text.splitlines(), ""]:
            unfinished = console.push(line)
    assert not unfinished
    return out.getvalue(), complaints.getvalue()


@pytest.mark.parametrize("block, needs", blocks())
def test_code_block_can_be_pasted_and_prints_what_it_says(block: str, needs: list[str]) -> None:
    for name in needs:
        pytest.importorskip(name)
    if "ray" in needs:  # it writes of all it does to stderr, and warns of its own settings
        done = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=300)
        printed, complaints = done.stdout, done.stderr if done.returncode else ""
    else:
        printed, complaints = paste(block)
    assert complaints == ""
    expected = EXPECTED.findall(block)
    if expected:
        assert printed.splitlines() == expected


def test_readme_has_code_blocks() -> None:
    assert len(BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))) >= 4


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_link_to_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if "://" not in link and not (page.parent / link).exists()]
    missing += [test for test in TEST_NAMED.findall(text) if not (ROOT / test).exists()]
    # The pictures are drawn from a measurement and are not part of a source distribution.
    assert [link for link in missing if not link.endswith(".svg")] == []


def test_map_of_the_kernels_names_every_file() -> None:
    text = (ROOT / "csrc" / "README.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`(\w[\w/-]*\.[ch])`", text) if not name.startswith("tests/")}
    assert named == {path.relative_to(ROOT / "csrc").as_posix() for path in (ROOT / "csrc").rglob("*.[ch]")}


# The scripts: each ends with a line that says whether it got where it wanted.


@pytest.mark.parametrize(
    "name, end",
    [
        ("boltzmann_exploration", "The greedy path takes 8 steps; the shortest possible takes 8."),
        ("char_rnn_helper", "The new helper drew the most likely character every time."),
        ("dask_vocabulary", "The pieces drew what the whole rows draw."),
        (
            "decoding_loop",
            "The penalties halt the repeats, the surprise is near its target, the initials spell draws.",
        ),
        ("fork_server", "40 of 40 requests have the text that they have without the server."),
        ("graph_attention", '5000 walkers are at 155 nodes after 20 steps'),
        ("jax_policy", "Both learn to balance the pole."),
        ("keras_char_rnn", "The loss falls, and the entropy rises with the temperature."),
        ("llama_cpp_speed", "The likeliest text is the same, and a seed repeats its text."),
        ("numba_gibbs", "The sampler finds the exact means."),
        ("particle_filter", "Systematic resampling has the smaller error of the two."),
        ("tensor_parallel", "Every process drew the tokens of the whole rows."),
        ("ray_actors", "Batches of 64 and of 7 drew the same."),
        ("torch_policy", "Both learn to balance the pole."),
        ("text_temperature", "Entropy rises with the temperature."),
    ],
)
def test_example_script_gets_where_it_wants(
    name: str, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for needed in OTHERS:
        if name.startswith(needed):
            pytest.importorskip(needed)
    if name == "llama_cpp_speed":
        pytest.importorskip("gguf")
    if name == "tensor_parallel":
        pytest.importorskip("torch.distributed")
    if name == "ray_actors":  # Ray warns of its own settings
        script = [sys.executable, str(ROOT / "examples" / "ray_actors.py")]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
        assert done.stdout.splitlines()[-1] == end
        return
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == end


def test_processes_of_mpi_draw_the_same_too() -> None:
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if mpiexec is None:
        pytest.skip("mpiexec is not installed")
    command = [mpiexec, "-n", "4", sys.executable, str(ROOT / "examples" / "tensor_parallel.py"), "--mpi"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Every process drew the tokens of the whole rows."


def test_every_example_script_is_tested() -> None:
    scripts = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert scripts == {
        "boltzmann_exploration",
        "char_rnn_helper",
        "dask_vocabulary",
        "decoding_loop",
        "fork_server",
        "graph_attention",
        "jax_policy",
        "keras_char_rnn",
        "llama_cpp_speed",
        "numba_gibbs",
        "particle_filter",
        "tensor_parallel",
        "ray_actors",
        "text_temperature",
        "torch_policy",
    }


@pytest.mark.parametrize(
    "name",
    [
        "softmax",
        "log_softmax",
        "logsumexp",
        "softmax_probs",
        "entropy",
        "log_prob",
        "kl_divergence",
        "sample",
        "sample_probs",
        "Sampler",
        "show_config",
        "truncate",
        "penalize",
        "top_logprobs",
        "sample_without_replacement",
        "verify_draft",
        "verify_tree",
        "keyed_uniforms",
        "SegmentedRows",
        "Categorical",
        "get_include",
        "summarize",
        "combine",
        "softmax_from_summary",
        "log_softmax_from_summary",
        "logsumexp_from_summary",
        "locate_draws",
        "sample_from_summary",
        "candidates",
        "candidates_nbytes",
        "mass_of_shard",
        "sample_from_candidates",
        "sums_of_shard",
    ],
)
def test_docstring_examples_run(name: str) -> None:
    tests = doctest.DocTestFinder().find(getattr(fs, name), name, globs={})
    assert any(test.examples for test in tests)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert sum(runner.run(test).failed for test in tests) == 0

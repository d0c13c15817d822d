"""Generating, plotting, and the command as a process: pipes, signals, terminals, and no traceback for any input."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from breadth import cases
from commands import ROOT, TEXT, command, complaint, interruptible, run, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastsoftmax


class TestGenerate:
    def test_the_same_seed_writes_the_same(self, save) -> None:  # type: ignore[no-untyped-def]
        argv = ["generate", "--text", save("a.txt", TEXT), "--length", 50, "--seed", 1, "--order", 2]
        first = run(*argv)
        assert len(text_of(first)) == 51 and first.out == run(*argv).out
        assert set(text_of(first)) <= set(TEXT) - {"\r"}
        assert "entropy" in first.err and first.err.count("\n") == 1
        assert run(*argv, "-q").err == ""

    def test_text_from_standard_input_to_a_file(self, tmp_path: Path) -> None:
        outcome = run(
            "generate", "--text", "-", "-o", tmp_path / "o", "--length", 9, stdin=TEXT.encode()
        )
        assert text_of(outcome) == "" and len((tmp_path / "o").read_text("utf-8")) == 10

    def test_start_is_written_first_and_gone_on_from(self, save) -> None:  # type: ignore[no-untyped-def]
        path = save("a.txt", "abcdefgh" * 10)
        assert (
            text_of(run("generate", "--text", path, "-t", 0, "--start", "☃bcd", "--length", 4))
            == "☃bcdefgh\n"
        )

    def test_start_may_look_like_a_number(self, save) -> None:  # type: ignore[no-untyped-def]
        path = save("a.txt", "abcdefgh" * 10)
        assert text_of(run("generate", "--text", path, "--start", "-1", "--length", 1)).startswith("-1")

    def test_several_temperatures_have_headings(self, save) -> None:  # type: ignore[no-untyped-def]
        out = text_of(run("generate", "--text", save("a.txt", "ab" * 10), "-t", "0,1", "--length", 5))
        assert out.startswith("temperature 0.0\n\n") and "\n\ntemperature 1.0\n\n" in out

    @pytest.mark.parametrize("kind", ["linear", "exponential", "cosine"])
    def test_annealing_is_the_schedule_over_the_whole_text(self, kind: str) -> None:
        argv = ["generate", "--length", 300, "--seed", 4]
        assert (
            run(*argv, "--anneal", f"{kind}:1.5:0.2").out == run(*argv, "--anneal", f"{kind}:1.5:0.2:300").out
        )
        assert run(*argv, "--anneal", f"{kind}:0.5:0.5").out == run(*argv, "-t", "0.5").out
        assert run(*argv, "--anneal", "constant:0.5").out == run(*argv, "-t", "0.5").out

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"", "0 symbols"),
            (b"abc", "3 symbols"),
            (b"caf\xe9 au lait", "0xe9 at offset 3"),
            (b"\x80", "offset 0"),
        ],
    )
    def test_a_text_that_cannot_be_learned(self, save, content: bytes, what: str) -> None:  # type: ignore[no-untyped-def]
        path = save("a.txt", content)
        error = complaint(run("generate", "--text", path), 1)
        assert str(path) in error and what in error


class TestPlot:
    @pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.PDF", b"%PDF")])
    @pytest.mark.parametrize("count", [1, 3, 40, 1000])
    def test_writes_a_picture(self, tmp_path: Path, name: str, magic: bytes, count: int) -> None:
        pytest.importorskip("matplotlib")
        logits = " ".join(map(str, np.random.default_rng(0).normal(0, 3, count))).encode()
        outcome = run("plot", "-t", "0,0.1,1,2,inf", "-o", tmp_path / name, stdin=logits)
        assert text_of(outcome) == f"{tmp_path / name}\n"
        assert (tmp_path / name).read_bytes().startswith(magic)

    def test_says_so_where_matplotlib_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("matplotlib", "matplotlib.figure"):
            monkeypatch.setitem(sys.modules, name, None)
        assert "fastsoftmax[demo]" in complaint(run("plot", 1, 2), 1)


def test_version_and_info_and_help() -> None:
    version = fastsoftmax.__version__
    assert text_of(run("--version")) == f"fastsoftmax {version}\n"
    assert version in text_of(run("info"))
    for argv in ([], ["demo"], ["generate"], ["softmax"], ["sample"], ["truncate"], ["plot"], ["bench"], ["info"]):
        assert "usage: fastsoftmax" in text_of(run(*argv, "--help"))


def test_without_a_command_it_is_the_main_job() -> None:
    out = text_of(run("--length", "100", "--order", "2", "--seed", "1"))
    assert "temperature 0.2" in out and "rng.choice" in out


def test_a_terminal_has_a_progress_bar_and_standard_output_none_of_it() -> None:
    pytest.importorskip("rich")
    outcome = run("generate", "--length", "5", "-t", "0", "--seed", "0", "-q", terminal=True)
    assert "learning" in outcome.err and outcome.out == run("generate", "--length", 5, "-t", 0, "-q").out


def test_rich_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    outcome = run("generate", "--length", "5", "-q", terminal=True)
    assert (outcome.status, outcome.err) == (0, "")


@settings(max_examples=cases(80), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.binary(max_size=60), st.text("0123456789.,-+einfa# \n\r\t", max_size=60).map(str.encode)),
    st.sampled_from(["softmax", "sample", "truncate"]),
)
def test_no_bytes_bring_out_a_traceback(data: bytes, name: str) -> None:
    outcome = run(name, stdin=data)
    if outcome.status:
        complaint(outcome, 1)


# sitecustomize.py: send SIGINT when `module` is about to be imported.
INTERRUPTER = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""

TOKENS = (
    "1 -1 -t 0 inf -inf nan --axis none --log --format json --seed 3 --size --u 0.5 --probs --digits -- - é "
    "1,2 -1e5 -t=3 -q --length --start --anneal linear:1:0.5 --row -h --top-k --top-p --typical-p "
    "--temperature-last --filter xtc_u=0 xtc_threshold=0.1,xtc_probability=1 top_n_sigma=1"
).split()


@settings(max_examples=cases(80), deadline=None)
@given(
    st.sampled_from(["softmax", "sample", "truncate", "generate", "plot", "info"]),
    st.lists(st.sampled_from(TOKENS), max_size=6),
)
def test_no_arguments_bring_out_a_traceback(tmp_path_factory, name: str, tokens: list[str]) -> None:  # type: ignore[no-untyped-def]
    output = ["-o", str(tmp_path_factory.getbasetemp() / "a.svg")] if name == "plot" else []
    outcome = run(name, *output, *tokens, stdin=b"1 2 3\n")
    assert outcome.status in (0, 1, 2)
    if outcome.status:
        complaint(outcome, outcome.status)


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
class TestProcess:
    """What only a process of its own shows."""

    def test_a_closed_pipe_ends_quietly(self) -> None:
        for arguments in ("generate --length 300000", "softmax --format json 1 2", "--length 1000"):
            with subprocess.Popen(
                command(*arguments.split()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
            ) as process:
                assert process.stdout and process.stderr
                process.stdout.close()
                assert process.stderr.read() == b""
                assert process.wait(60) == 0

    @pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
    def test_an_interrupt_ends_quietly(self) -> None:
        with subprocess.Popen(
            command("generate", "--length", "100000000"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            preexec_fn=interruptible,
        ) as process:
            assert process.stdout and process.stderr
            process.stdout.read(4096)
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.stderr.read() == b""
            assert process.wait(60) == 130

    @pytest.mark.parametrize("how", ["module", "script"])
    def test_an_interrupt_of_the_imports_ends_quietly(self, tmp_path: Path, how: str) -> None:
        """As soon as each module is being imported: the process kills itself, as Ctrl-C would."""
        script = tmp_path / "fastsoftmax"  # as pip writes it
        script.write_text("import sys\nfrom fastsoftmax.__main__ import main\nsys.exit(main())\n")
        for module in ("numpy", "numpy._core._multiarray_umath", "fastsoftmax._core", "fastsoftmax.cli", "argparse"):
            (tmp_path / "sitecustomize.py").write_text(INTERRUPTER.format(module=module))
            result = subprocess.run(
                command("info") if how == "module" else [sys.executable, str(script), "info"],
                capture_output=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
                preexec_fn=interruptible,
                check=False,
            )
            assert (result.returncode, result.stderr, result.stdout) == (-signal.SIGINT, b"", b""), module

    def test_an_interrupt_of_other_imports_is_python_s(self, tmp_path: Path) -> None:
        (tmp_path / "sitecustomize.py").write_text(INTERRUPTER.format(module="fastsoftmax.reference"))
        code = "try:\n import fastsoftmax\nexcept KeyboardInterrupt:\n print('mine')"
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            preexec_fn=interruptible,
            check=True,
        )
        assert result.stdout == b"mine\n"

    def test_interrupts_at_any_moment_end_quietly(self) -> None:
        """From the first of our lines on: before it, Python itself says where it was interrupted."""
        for milliseconds in range(30, 300, 30):
            with subprocess.Popen(
                command("generate", "--length", "100000000", "-q", "-o", os.devnull),
                stderr=subprocess.PIPE,
                cwd=ROOT,
                env=os.environ | {"PYTHONVERBOSE": "1"},
                preexec_fn=interruptible,
            ) as process:
                assert process.stderr
                for line in process.stderr:  # PYTHONVERBOSE names every module
                    if b"fastsoftmax._interrupts'" in line and line.startswith(b"import"):
                        break
                ended = threading.Timer(milliseconds / 1000, process.send_signal, [signal.SIGINT])
                ended.start()
                said = process.stderr.read()
                assert process.wait(60) in (130, -signal.SIGINT)
                assert b"Traceback" not in said and b"KeyboardInterrupt" not in said

    def test_a_terminal_is_told_what_is_waited_for(self, save) -> None:  # type: ignore[no-untyped-def]
        for argv, what in ((["softmax"], b"numbers"), (["generate", "-q", "--text", "-", "--length", "3"], b"text")):
            ours, theirs = os.openpty()
            with subprocess.Popen(
                command(*argv), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
            ) as process:
                os.close(theirs)
                assert process.stderr and process.stdout
                prompt = process.stderr.readline()  # before anything is typed
                os.write(ours, b"0 0 0 0\n\x04")
                out = process.stdout.read()
                assert process.stderr.read() == b"" and process.wait(60) == 0
                os.close(ours)
            assert what in prompt and b"Ctrl-D" in prompt
            assert out == b"0.25 0.25 0.25 0.25\n" if argv == ["softmax"] else len(out) == 4

    def test_nobody_is_told_where_no_terminal_is_read(self) -> None:
        ours, theirs = os.openpty()  # only standard error
        result = subprocess.run(command("softmax"), input=b"1 1\n", stdout=subprocess.PIPE, stderr=theirs, cwd=ROOT)
        assert result.stdout == b"0.5 0.5\n" and select.select([ours], [], [], 0)[0] == []
        os.close(theirs)
        os.close(ours)

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [("fastsoftmax so", {"softmax"}), ("fastsoftmax sample --top-", {"--top-k", "--top-p"}),
         ("fastsoftmax softmax --format ", {"text", "npy", "json"})],
    )  # fmt: skip
    def test_the_shell_completes_commands_and_options(self, tmp_path: Path, typed: str, offered: set[str]) -> None:
        pytest.importorskip("argcomplete")
        asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words")}
        environment = os.environ | asked | {"COMP_LINE": typed, "COMP_POINT": str(len(typed))}
        subprocess.run(command(), env=environment, cwd=ROOT, check=True, capture_output=True)
        assert set((tmp_path / "words").read_text().replace(" ", "").split("\n")) == offered

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_told(self) -> None:
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                command("softmax", "1", "2"), stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False
            )
        assert result.returncode == 1
        assert result.stderr.startswith(b"fastsoftmax: standard output: ") and result.stderr.count(b"\n") == 1

    def test_a_stream_that_is_closed(self) -> None:
        result = subprocess.run(
            ["sh", "-c", '"$@" <&-', "sh", *command("softmax")], capture_output=True, cwd=ROOT, check=False
        )
        assert (result.returncode, result.stderr) == (1, b"fastsoftmax: standard input: closed\n")

    def test_a_terminal_without_unicode_shows_escapes(self, save) -> None:  # type: ignore[no-untyped-def]
        result = subprocess.run(
            command("generate", "-q", "--length", "3", "--text", str(save("a.txt", "日本語" * 5)), "-t", "0"),
            capture_output=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONIOENCODING": "ascii"},
            check=True,
        )
        assert b"\\u65e5" in result.stdout

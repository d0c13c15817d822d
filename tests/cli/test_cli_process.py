"""Generating, plotting, and the command as a process: pipes, signals, terminals, and no traceback for any input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
    @pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
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
    for argv in ([], ["demo"], ["generate"], ["softmax"], ["sample"], ["truncate"], ["plot"], ["info"]):
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

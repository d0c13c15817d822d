"""The command line: what it prints, how it fails, and that nothing it is given brings out a traceback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastsoftmax
from fastsoftmax.cli import main

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    status: int
    out: bytes
    err: str


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*argv: object, stdin: bytes = b"", terminal: bool = False) -> Outcome:
    """The command in this process, its standard streams in memory; `terminal` is about standard error."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    err = Terminal() if terminal else io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            status = main([str(argument) for argument in argv])
        except SystemExit as end:
            status = int(end.code or 0)
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return Outcome(status, out.buffer.getvalue(), err.getvalue())


def text_of(outcome: Outcome) -> str:
    assert outcome.status == 0, outcome.err
    return outcome.out.decode()


def complaint(outcome: Outcome, status: int) -> str:
    """The one line with which a command was refused."""
    assert outcome.status == status
    assert outcome.err.startswith("fastsoftmax") and outcome.err.count("\n") == 1
    return outcome.err


def interruptible() -> None:
    """Run in the child: a background job of a shell, as of a CI, inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "fastsoftmax", *argv]


@pytest.fixture
def save(tmp_path: Path):  # type: ignore[no-untyped-def]
    def to_file(name: str, content: object) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            np.save(path, content, allow_pickle=True)
        return path

    return to_file


class TestSoftmax:
    def test_the_example_of_the_readme(self) -> None:
        assert text_of(run("softmax", "-t", "2", stdin=b"1 2 3\n")) == "0.186 0.307 0.506\n"

    @pytest.mark.parametrize(
        ("temperature", "line"),
        [
            ("1", "0.09003057 0.24472847 0.66524096"),
            ("0.5", "0.01587624 0.11731043 0.86681333"),
            ("0", "0 0 1"),
        ],
    )
    def test_numbers_in_the_arguments(self, temperature: str, line: str) -> None:
        digits = [
            float(number)
            for number in text_of(run("softmax", 1, 2, 3, "-t", temperature, "--digits", 8)).split()
        ]
        np.testing.assert_allclose(digits, [float(number) for number in line.split()], rtol=1e-6)

    def test_negative_numbers_are_not_options(self) -> None:
        assert text_of(run("softmax", "-1", "-1e5", "-inf", "-1.0")) == "0.5 0 0 0.5\n"
        assert text_of(run("softmax", "-1,-inf", "-1")) == "0.5 0 0.5\n"

    def test_temperature_inf_is_uniform_over_entries_above_minus_inf(self) -> None:
        assert text_of(run("softmax", "5", "-inf", "1", "-t", "inf")) == "0.5 0 0.5\n"

    def test_rows_are_lines(self) -> None:
        assert text_of(run("softmax", stdin=b"0 0\n\n# a comment\n0, 0 # another\n")) == "0.5 0.5\n0.5 0.5\n"

    def test_axis(self) -> None:
        assert text_of(run("softmax", "--axis", 0, stdin=b"1\n1\n")) == "0.5\n0.5\n"
        assert text_of(run("softmax", "--axis", "none", stdin=b"1 1\n1 1\n")) == "0.25 0.25\n0.25 0.25\n"

    def test_log(self) -> None:
        assert text_of(run("softmax", 0, 0, "-inf", "--log")) == "-0.693 -0.693 -inf\n"

    @pytest.mark.parametrize("content", ["\ufeff1 2\r\n2 1\r\n", "1,2\n2,1", "1\t2\r2\t1\r"])
    def test_byte_order_mark_and_line_ends_and_separators(self, save, content: str) -> None:  # type: ignore[no-untyped-def]
        assert text_of(run("softmax", save("a.txt", content))) == "0.269 0.731\n0.731 0.269\n"

    def test_nan_has_a_defined_answer(self) -> None:
        assert text_of(run("softmax", "1", "nan")) == "nan nan\n"

    def test_a_float32_npy_stays_float32(self, save, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
        assert text_of(run("softmax", save("a.npy", logits), "-t", "0.7", "-o", tmp_path / "b.npy")) == ""
        result = np.load(tmp_path / "b.npy")
        np.testing.assert_array_equal(result, fastsoftmax.softmax(logits, 0.7))
        assert result.dtype == np.float32

    def test_npy_through_standard_streams(self) -> None:
        outcome = run("softmax", 1, 2, 3, "--format", "npy")
        assert outcome.status == 0
        assert json.loads(text_of(run("softmax", "-", "--format", "json", stdin=outcome.out)))

    def test_three_axes_are_matrices_with_an_empty_line_between(self, save) -> None:  # type: ignore[no-untyped-def]
        assert text_of(run("softmax", save("a.npy", np.zeros((2, 1, 2))))) == "0.5 0.5\n\n0.5 0.5\n"

    def test_json_is_exact_and_valid_also_without_finite_numbers(self) -> None:
        assert json.loads(text_of(run("softmax", 1, 2, 3, "--format", "json"))) == list(
            fastsoftmax.softmax(np.array([1.0, 2, 3]))
        )
        out = text_of(run("softmax", "0", "-inf", "--log", "--format", "json"))
        assert json.loads(out, parse_constant=pytest.fail) == [0.0, "-Infinity"]
        out = text_of(run("softmax", "nan", "--format", "json"))
        assert json.loads(out, parse_constant=pytest.fail) == ["NaN"]

    def test_the_name_of_the_output_decides_the_format(self, tmp_path: Path) -> None:
        run("softmax", 0, 0, "-o", tmp_path / "a.json")
        assert json.loads((tmp_path / "a.json").read_text()) == [0.5, 0.5]
        run("softmax", 0, 0, "-o", tmp_path / "a.json", "--format", "text")
        assert (tmp_path / "a.json").read_bytes() == b"0.5 0.5\n"

    def test_no_rows_give_no_lines(self, save) -> None:  # type: ignore[no-untyped-def]
        assert text_of(run("softmax", save("a.npy", np.zeros((0, 3))))) == ""


class TestSample:
    def test_the_draw_is_that_of_the_library(self) -> None:
        logits = np.array([1.0, 2, 3, 0])
        expected = fastsoftmax.sample(logits, 0.7, size=20, rng=3)
        printed = text_of(run("sample", 1, 2, 3, 0, "-t", "0.7", "--size", 20, "--seed", 3))
        assert printed.split() == list(map(str, expected))
        assert printed.count("\n") == 1

    def test_a_line_for_each_row(self) -> None:
        assert text_of(run("sample", "-t", "0", stdin=b"1 2\n2 1\n")) == "1\n0\n"
        assert text_of(run("sample", "-t", "0", "--size", "2", stdin=b"1 2\n2 1\n")) == "1 1\n0 0\n"

    def test_given_uniforms(self) -> None:
        assert (
            text_of(run("sample", "--probs", 1, 2, 1, "--size", 4, "--u", "0,0.25,0.7,0.75")) == "0 1 1 2\n"
        )
        assert text_of(run("sample", "--probs", 1, 2, 1, "--u", "0.5")) == "1\n"

    def test_zero_probability_is_silent(self) -> None:
        outcome = run("sample", "--probs", 0, 1, 0)
        assert (text_of(outcome), outcome.err) == ("1\n", "")

    def test_formats(self, tmp_path: Path) -> None:
        assert json.loads(text_of(run("sample", 1, "--format", "json", "--size", 2))) == [0, 0]
        assert json.loads(text_of(run("sample", 1, "--format", "json"))) == 0
        assert json.loads(text_of(run("sample", "--format", "json", stdin=b"1\n1\n"))) == [0, 0]
        run("sample", 1, "--size", 2, "-o", tmp_path / "a.npy")
        assert np.load(tmp_path / "a.npy").tolist() == [0, 0]

    def test_a_row_that_cannot_be_drawn_from_is_told_by_its_line(self, save) -> None:  # type: ignore[no-untyped-def]
        path = save("a.txt", "# logits\n1 2\n\n1 nan\n")
        assert f"{path}, line 4: " in complaint(run("sample", path), 1)
        assert "arguments: " in complaint(run("sample", "--probs", 1, -1), 1)


class TestFilters:
    def test_the_draw_is_that_of_the_library(self) -> None:
        logits, argv = np.array([1.0, 2, 3, 0]), ["sample", 1, 2, 3, 0, "--size", 20, "--seed", 3, "-t", "2"]
        for options, filters in (
            (["--top-k", 2], {"top_k": 2}),
            (["--top-p", "0.7"], {"top_p": 0.7}),
            (["--min-p", "0.5", "--temperature-last"], {"min_p": 0.5, "temperature_last": True}),
            (["--typical-p", "0.3", "--min-tokens-to-keep", 2], {"typical_p": 0.3, "min_tokens_to_keep": 2}),
            (["--filter", "top_n_sigma=1"], {"top_n_sigma": 1.0}),
            (["--filter", "epsilon-cutoff=0.2", "--filter", "eta_cutoff=1"], {"epsilon_cutoff": 0.2, "eta_cutoff": 1}),
            (["--filter", "xtc_threshold=0.1,xtc_probability=0.5"], {"xtc_threshold": 0.1, "xtc_probability": 0.5}),
            (["--filter", "dynatemp_range=1,dynatemp_exponent=2"], {"dynatemp_range": 1.0, "dynatemp_exponent": 2.0}),
        ):
            expected = fastsoftmax.sample(logits, 2.0, size=20, rng=3, **filters)
            assert text_of(run(*argv, *options)).split() == list(map(str, expected)), options

    def test_probabilities_are_filtered_too(self) -> None:
        argv = ["sample", "--probs", 1, 2, 1, "--size", 4, "--u", "0,0.25,0.7,0.75"]
        assert text_of(run(*argv, "--top-k", 2)) == "0 0 1 1\n"

    def test_given_uniforms_and_coin(self) -> None:
        argv = ["sample", 3, 2, 1, "--u", "0", "--filter"]
        assert text_of(run(*argv, "xtc_threshold=0.1,xtc_probability=0.5,xtc_u=0.4")) == "1\n"
        assert text_of(run(*argv, "xtc_threshold=0.1,xtc_probability=0.5,xtc_u=0.5")) == "0\n"

    def test_truncate_writes_logits_that_softmax_reads(self) -> None:
        truncated = run("truncate", 3, 2, 1, 0, "--top-p", "0.8", "-t", "0.5")
        assert text_of(truncated) == "6 -inf -inf -inf\n"
        truncated = run("truncate", 3, 2, 1, 0, "--top-p", "0.8", "--digits", 17)
        assert text_of(truncated) == "3 2 -inf -inf\n"
        assert text_of(run("softmax", stdin=truncated.out)) == "0.731 0.269 0 0\n"

    def test_truncate_keeps_shape_and_dtype(self, save, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
        run("truncate", save("a.npy", logits), "--top-k", 2, "--axis", 1, "-o", tmp_path / "b.npy")
        result = np.load(tmp_path / "b.npy")
        np.testing.assert_array_equal(result, fastsoftmax.truncate(logits, top_k=2, axis=1))
        assert result.dtype == np.float32

    def test_the_seed_of_truncate_is_that_of_the_coins(self) -> None:
        rows, xtc = b"3 2 1\n" * 20, ["--filter", "xtc_threshold=0.1,xtc_probability=0.5"]
        lines = text_of(run("truncate", *xtc, "--seed", 5, stdin=rows)).splitlines()
        coins = np.random.default_rng(5).random(20)
        assert lines == ["-inf 2 1" if coin < 0.5 else "3 2 1" for coin in coins]

    def test_the_text_is_drawn_from_what_they_leave(self, save) -> None:  # type: ignore[no-untyped-def]
        argv = ["generate", "--text", save("a.txt", TestGenerate.TEXT), "--length", 40, "--seed", 1]
        greedy = run(*argv, "-t", 0)
        for options in (["--top-k", 1], ["--top-p", 0], ["--min-p", 1]):
            outcome = run(*argv, *options)
            assert outcome.out == greedy.out and "entropy 0.00 bits" in outcome.err


class TestBadData:
    @pytest.mark.parametrize(
        ("content", "where"),
        [
            ("", "no numbers"),
            ("\n# nothing\n", "no numbers"),
            ("1 2\n1 two\n", "line 2, column 3: 'two' is not a number"),
            ("1 2 3\n\n1 2\n", "line 3: 2 numbers where line 1 has 3"),
            ("1,,2\n", "line 1, column 3: a number is missing"),
            (",1\n", "line 1, column 1: a number is missing"),
            ("1,2,\n", "line 1: a number is missing"),
            ("1 1e999\n", "line 1, column 3: beyond"),
            ("9" * 5000, "line 1, column 1: beyond"),
            (b"1 2\n3 \xff\n", "byte 0xff at offset 6"),
            ("1 2".encode("utf-16"), "offset 0"),
            (b"PK\x03\x04abc", "zip archive"),
            (b"1 2\x00\n", "line 1, column 3"),
            (b"\x93NUMPY", "a.npy: "),
            (np.array([1, None], dtype=object), "allow_pickle"),
            (np.array(["a"]), "a.npy: "),
            (np.array([1j]), "a.npy: "),
            (np.zeros(2, dtype=[("a", "f4")]), "a.npy: "),
            (np.zeros((2, 0)), "a.npy: "),
        ],
    )
    def test_is_told_with_its_place(self, save, content: object, where: str) -> None:  # type: ignore[no-untyped-def]
        path = save("a.npy", content)
        for name in ("softmax", "sample", "truncate", "plot"):
            error = complaint(run(name, path), 1)
            assert str(path) in error and where in error

    def test_a_truncated_or_damaged_npy(self, save) -> None:  # type: ignore[no-untyped-def]
        whole = save("a.npy", np.zeros((2, 3))).read_bytes()
        assert "43 of 48 bytes" in complaint(run("softmax", save("b.npy", whole[:-5])), 1)
        huge = whole.replace(b"(2, 3), }", b"(2000000000000, 3), }").replace(b" " * 12, b"", 1)
        assert "bytes" in complaint(run("softmax", save("b.npy", huge)), 1)
        for damaged in (
            whole[:20],
            whole.replace(b"(2, 3)", b"((((((", 1),
            whole.replace(b"(2, 3)", b"(-2,3)", 1),
        ):
            complaint(run("softmax", save("b.npy", damaged)), 1)

    def test_files_that_are_not_there_or_not_files(self, tmp_path: Path) -> None:
        assert "neither a number nor a file" in complaint(run("softmax", "missing"), 1)
        assert "missing: No such file" in complaint(run("generate", "--text", "missing"), 1)
        assert str(tmp_path) in complaint(run("softmax", tmp_path), 1)
        assert "'x' is not a number" in complaint(run("softmax", "1", "x"), 1)

    @pytest.mark.parametrize("argv", [["softmax", "1"], ["generate", "--length", "5"], ["plot", "1"]])
    def test_an_output_that_cannot_be_written(self, tmp_path: Path, argv: list[str]) -> None:
        path = tmp_path / "missing" / "a.png"
        assert str(path) in complaint(run(*argv, "-o", path), 1)

    def test_an_axis_out_of_range(self) -> None:
        assert "axis 5" in complaint(run("softmax", 1, 2, "--axis", 5), 1)

    def test_nothing_to_plot(self) -> None:
        assert "no distribution" in complaint(run("plot", "nan"), 1)
        assert "no row 1" in complaint(run("plot", 1, 2, "--row", 1), 1)


class TestBadUsage:
    @pytest.mark.parametrize(
        "argv",
        [
            "nonsense",
            "--nonsense",
            "-t 2",
            "--seed",
            "info x",
            "softmax 1 -t nan",
            "softmax 1 -t -1",
            "softmax 1 -t -inf",
            "softmax 1 -t x",
            "softmax 1 -t",
            "softmax 1 --axis x",
            "softmax 1 --digits 0",
            "softmax 1 --format xml",
            "softmax 1 --frob",
            "sample 1 --u 1",
            "sample 1 --u -0.1",
            "sample 1 --u nan",
            "sample 1 --u 0.5 --seed 1",
            "sample 1 --seed -1",
            "sample 1 --size 0",
            "sample 1 --top-k -1",
            "sample 1 --top-k 1.5",
            "sample 1 --top-p 1.1",
            "sample 1 --top-p nan",
            "sample 1 --min-p -0.1",
            "sample 1 --typical-p x",
            "sample 1 --min-tokens-to-keep 0",
            "sample 1 --filter top_k=1",
            "sample 1 --filter top_n_sigma",
            "sample 1 --filter top_n_sigma=-1",
            "sample 1 --filter top_n_sigma=1,",
            "sample 1 --filter xtc_threshold=0.1",
            "sample 1 --filter xtc_threshold=0.1,xtc_probability=0.5,xtc_u=1",
            "sample 1 --filter xtc_threshold=0.1,xtc_probability=0.5 --u 0.5",
            "truncate 1 --top-p 2",
            "truncate 1 --u 0.5",
            "softmax 1 --top-k 1",
            "generate --top-p 2",
            "demo --length 0",
            "generate --length 0",
            "generate --length -1",
            "generate --order 99",
            "generate -t 1 --anneal linear:1:0",
            "generate --anneal linear",
            "generate --anneal linear:1:-1",
            "generate --anneal linear:1:inf",
            "generate --anneal exponential:1:0",
            "generate --anneal cosine:1:0:0",
            "generate --anneal constant:nan",
            "generate --anneal square:1:0",
            "generate -t 1,,2",
            "plot 1 -o a.pdf",
            "plot 1 -t 1,1,1,1,1,1,1,1,1,1,1,1,1",
        ],
    )
    def test_is_one_line_and_status_2(self, argv: str) -> None:
        complaint(run(*argv.split()), 2)


class TestGenerate:
    TEXT = "Zażółć gęślą jaźń — 日本語のテキスト 😀\r\n" * 30

    def test_the_same_seed_writes_the_same(self, save) -> None:  # type: ignore[no-untyped-def]
        argv = ["generate", "--text", save("a.txt", self.TEXT), "--length", 50, "--seed", 1, "--order", 2]
        first = run(*argv)
        assert len(text_of(first)) == 51 and first.out == run(*argv).out
        assert set(text_of(first)) <= set(self.TEXT) - {"\r"}
        assert "entropy" in first.err and first.err.count("\n") == 1
        assert run(*argv, "-q").err == ""

    def test_text_from_standard_input_to_a_file(self, tmp_path: Path) -> None:
        outcome = run(
            "generate", "--text", "-", "-o", tmp_path / "o", "--length", 9, stdin=self.TEXT.encode()
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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@settings(max_examples=300, deadline=None)
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
        for argv in (["generate", "--length", "1000000"], ["softmax", "--format", "json", "1", "2"], []):
            with subprocess.Popen(
                command(*argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
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

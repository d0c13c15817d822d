"""The command line: what it prints, how it fails, and that nothing it is given brings out a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from breadth import cases
from commands import TEXT, complaint, run, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastsoftmax
from fastsoftmax.cli import reading


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
            float(number) for number in text_of(run("softmax", 1, 2, 3, "-t", temperature, "--digits", 8)).split()
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


FIELDS = st.sampled_from("1 -2.5 inf -Inf nan 1e999 1_0 0x1 x .5 5. 1e-999 \u0663 1\0 9e9#".split())
GAPS = st.sampled_from([" ", ",", ", ", "\t", "\x0b", "\u2003", ",,", ""])
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", " # inf\n", ",\n", " \n", ""])


@settings(max_examples=cases(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(FIELDS, min_size=1, max_size=3), GAPS, ENDS), max_size=4))
def test_the_fast_reader_takes_no_text_for_other_numbers_than_the_exact_one(save, monkeypatch, rows) -> None:  # type: ignore[no-untyped-def]
    path = save("a.txt", "".join(gap.join(fields) + end for fields, gap, end in rows))

    def read() -> object:
        return [run("softmax", path, "--log", "--digits", 17), run("softmax", "-", "--log", stdin=path.read_bytes())]

    fast = read()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_loadtxt", lambda *args: None)
        assert fast == read()


@pytest.mark.parametrize("content", ["1 2\n3 -inf\n", "# a\n\n1, 2 # b\n3, 4", "\ufeff1\r\n2\r\n", "1\t2"])
def test_ordinary_text_is_read_by_numpy(save, monkeypatch, content: str) -> None:  # type: ignore[no-untyped-def]
    """Our own reader takes 7 times as long, and more."""
    monkeypatch.setattr(reading, "_parse_line", lambda *args: pytest.fail("number by number"))
    path = save("a.txt", content)
    assert text_of(run("softmax", path)) == text_of(run("softmax", stdin=path.read_bytes()))


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
        assert text_of(run("sample", "--probs", 1, 2, 1, "--size", 4, "--u", "0,0.25,0.7,0.75")) == "0 1 1 2\n"
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
            (["--p-less", "--keep", "0,3"], {"p_less": True, "keep": [0, 3]}),
            (
                ["--filter", "top_a=0.5,top_h=0.9", "--order", "top-h,temperature,top_a"],
                {"top_a": 0.5, "top_h": 0.9, "order": ("top_h", "temperature", "top_a")},
            ),
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
        argv = ["generate", "--text", save("a.txt", TEXT), "--length", 40, "--seed", 1]
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
        ],
    )
    def test_is_told_with_its_place(self, save, content: object, where: str) -> None:  # type: ignore[no-untyped-def]
        path = save("a.npy", content)
        for name in ("softmax", "sample", "truncate", "plot"):
            error = complaint(run(name, path), 1)
            assert str(path) in error and where in error

    def test_rows_without_entries_have_no_draw(self, save) -> None:  # type: ignore[no-untyped-def]
        path = save("a.npy", np.zeros((2, 0)))
        assert run("softmax", path).out == b"\n\n"
        for name in ("sample", "truncate", "plot"):
            assert str(path) in complaint(run(name, path), 1)

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
            "plot 1 -o a.gif",
            "bench --plot a.gif",
            "bench --seconds 0",
            "bench --seconds x",
            "bench --filter no-such-case",
            "bench 1",
            "plot 1 -t 1,1,1,1,1,1,1,1,1,1,1,1,1",
        ],
    )
    def test_is_one_line_and_status_2(self, argv: str) -> None:
        complaint(run(*argv.split()), 2)

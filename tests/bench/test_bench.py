"""The benchmark's promises: statistics, errors, JSON, the figures and plots made from it, and that it runs."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
if not (BENCH / "results").is_dir():
    pytest.skip("the measurements are part of a checkout only", allow_module_level=True)
sys.path.insert(0, str(BENCH))

import accuracy  # noqa: E402
import cases  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import timing  # noqa: E402
from rivals import contender  # noqa: E402

import fastsoftmax  # noqa: E402

MEASURED = BENCH / "results" / "2026-11-20-zen5-avx512.json"
FORMS = BENCH / "results" / "2026-11-28-zen3-avx2-forms.json"
QUICK_FORMS = run.selected(["forms-"], 1, quick=True)
ONE_OF_EACH = {case.operation: case for case in reversed(cases.all_cases())}


def test_the_figures_of_the_readme_come_from_the_json(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    for measured in (MEASURED, FORMS):
        assert report.main([str(measured), "--readme", str(readme)]) == 0
    assert readme.read_text(encoding="utf-8") == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_plots_are_the_same_bytes_each_time_and_say_what_was_measured(tmp_path):
    for folder in ("one", "two"):
        assert plot.main([str(MEASURED), "--out", str(tmp_path / folder)]) == 0
    for name, words in (
        ("time", ("PyTorch", "NumPy cumsum", "10 µs", "100,000")),
        ("ratios", ("3.11×", "225 ulp", "fastsoftmax 20.3 µs", "with a new array")),
        ("filters", ("277×", "0 of 174 wrong", "full-blocks", "7.09×", "in one call")),
    ):
        picture = (tmp_path / "one" / f"{name}.svg").read_bytes()
        assert picture == (tmp_path / "two" / f"{name}.svg").read_bytes()
        assert all(word in picture.decode() for word in (*words, "AMD EPYC (AVX-512), GCC 12.2.0, one thread"))


def test_a_ratio_is_the_median_of_the_pairs_ratios_whatever_the_drift():
    pairs = [(10.0, 20.0)] * 4 + [(30.0, 60.0)] * 5
    found = timing.summarise([*pairs, (1000.0, 20.0), (10.0, 2000.0)])
    assert (found["ratio"], found["ratio_q1"], found["ratio_q3"], found["pairs"]) == (2.0, 2.0, 2.0, 11)


def test_each_side_goes_first_in_every_other_pair_and_meets_its_original_input():
    order = []

    def spoil(x, side):
        order.append((side, float(x[0])))
        x[:] = -1.0

    sides = [timing.Contender(f"f(x, {side})", {"f": spoil}) for side in (0, 1)]
    bundles = [timing.Bundle(side, np.array([7.0, 8.0]), 1) for side in sides]
    assert len(timing.alternate(bundles[0].time, bundles[1].time, 1e-9)) == timing.LEAST_PAIRS
    assert order[:4] == [(0, 7.0), (1, 7.0), (1, 7.0), (0, 7.0)]


def test_a_known_error_of_a_softmax_is_measured():
    exact = np.array([[0.75, 0.25, 2.0**-130]], np.longdouble)
    for got, error in (([0.75 + 2 * 2.0**-24, 0.25, 0.0], 2.0), ([0.75, np.nan, 0.0], np.inf)):
        judge = accuracy.ulp_judge(np.zeros(3, np.float32), exact)
        found = judge(timing.Contender("", {"got": np.array(got, np.float32)}, "got"))
        assert found["max_ulp"] == error and ("gross" in found) == (error == np.inf)


@pytest.mark.parametrize(("moved", "side", "gross"), [(0.0, "right", False), (1e-5, "right", False),
                                                      (0.01, "right", True), (0.0, "left", True)])  # fmt: skip
def test_a_known_error_of_a_draw_is_measured(moved, side, gross):
    """Bisection finds the exact distance; searchsorted from the left returns an entry of probability 0 at u = 0."""
    probs = np.array([0.0, 0.5, 0.25, 0.0, 0.25])
    drawn = (probs + [0, moved, -moved, 0, 0]).cumsum()
    told = timing.Contender("", {"drawn": drawn, "side": side}, "drawn.searchsorted(u, side=side)")
    error = accuracy.boundary_error(told, probs, probs)
    assert error["total_variation"] == pytest.approx(moved, abs=1e-12) and ("gross" in error) == gross


def test_wrong_entries_of_a_filter_are_counted_and_gross_ones_are_named():
    x = np.log(np.array([0.4, 0.3, 0.2, 0.1])).astype(np.float32)
    judge = accuracy.filter_judge(replace(ONE_OF_EACH["filter"], temperature=1.0, options={"top_k": 3}), x)
    for indices, weights, wrong, gross in (
        ([0, 1, 2], [4.0, 3.0, 2.0], (0, 0), False),
        ([0, 1, 3], [4.0, 3.0, 2.0], (1, 1), False),
        ([0, 1, 2, 3], [4.0, 3.0, 2.0, 0.0], (0, 0), False),
        ([0], [1.0], (0, 2), True),
        ([0, 1, 2], [0.3, 0.3, 0.4], (0, 0), True),
    ):
        error = judge(timing.Contender("", {"told": (np.array(indices), np.array(weights))}, "told"))
        assert (error["wrongly_kept"], error["wrongly_dropped"]) == wrong and ("gross" in error) == gross


@pytest.fixture
def threads():
    """The number of threads stays what it was."""
    before = fastsoftmax.get_num_threads()
    yield
    fastsoftmax.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("operation", sorted(ONE_OF_EACH))
def test_a_case_of_each_kind_gives_the_documented_rows(operation):
    case = ONE_OF_EACH[operation]
    case = replace(case, threads=2) if operation.startswith("threads") else case
    rows = run.measure(case, ["numpy", "numpy-cdf", "numpy-choice", "fastsoftmax-kernel"], 0.01, quick=True)
    assert rows[0]["contender"] == "fastsoftmax"
    for row in json.loads(json.dumps(rows)):
        assert row["status"] == "ok", row
        assert {"case", "operation", "shape", "dtype", "temperature", "threads", "code"} <= row.keys()
        assert "ns" in row or operation == "accuracy"
        assert ("ratio" in row) == (row["contender"] != "fastsoftmax" and operation != "accuracy")
        assert row["contender"] != "fastsoftmax" or report.wrong_answers(row["error"]) == 0
    assert report.table(rows).startswith(case.name)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "case", [case for case in QUICK_FORMS if np.prod(case.shape) < 1e5], ids=lambda case: case.name
)
def test_every_form_is_asked_of_us_and_of_numpy_and_judged_right(case):
    for row in run.measure(case, ["numpy"], 1e-4):
        assert row["status"] == "ok", row
        if row["error"]:  # rng.choice takes no uniforms
            most = 4 if row["contender"] == "fastsoftmax" else 500
            assert report.wrong_answers(row["error"]) == 0 and row["error"].get("max_ulp", 0) <= most


@pytest.mark.parametrize(
    ("form", "row"),
    [("mask", [-np.inf if place % 4 == 3 else place / 4 for place in range(8)]), ("bias", [0, 0, 0, 1, 0, 0, 0, 0])],
)
def test_the_answer_of_a_draw_is_judged_with_its_mask_or_bias(form, row):
    case = cases.Case("", "forms-sample", (8,), [], form=form, temperature=1.0)
    x = np.arange(8, dtype=np.float32) / 4 if form == "mask" else np.zeros(8, np.float32)
    judge = accuracy.indices_judge(case, x)
    cumulative = np.exp(row).cumsum() / np.exp(row).sum()
    told = {"cumulative": cumulative, "side": "right"}
    right = judge(timing.Contender("", told, "cumulative.searchsorted(u, side=side)"))
    assert (right["wrong"], right["of"]) == (0, 2000)
    ignoring = {"cumulative": np.exp(x).cumsum() / np.exp(x).sum(), "side": "right"}
    assert judge(timing.Contender("", ignoring, "cumulative.searchsorted(u, side=side)"))["gross"]


def test_rows_along_axes_are_those_that_numpy_sums_over():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for axis in (0, 1, -1, (1, 3), (0, 2)):
        np.testing.assert_array_equal(accuracy.rows_along(x, axis).sum(axis=1), x.sum(axis=axis).ravel())


def form_row(case, contender_name, code="f(x)", **fields):
    common = {"operation": "forms-softmax", "form": "", "dtype": "float32", "shape": [4, 8], "threads": 1, "ns": 1500.0}
    error = {"kind": "ulp", "max_ulp": 1234.5}
    return {"case": case, "contender": contender_name, "status": "ok", "code": code, "error": error, **common, **fields}


def test_the_table_of_forms_begins_with_the_slowest_and_names_versions_errors_and_what_is_slower():
    found = {
        **report.load(MEASURED),
        "versions": {"torch": "9.8.7+cpu", "scipy": "1.2.3"},
        "rows": [
            form_row("fast", "fastsoftmax", "fastsoftmax.softmax(x, t)"),
            form_row("fast", "torch", ratio=3.0),
            form_row("slow", "fastsoftmax", "fastsoftmax.softmax(x, t)", shape=[2_000], dtype="float16"),
            form_row("slow", "torch", ratio=2.0, error={}),
            form_row("slow", "scipy", ratio=0.5),
            form_row("same", "fastsoftmax", "fastsoftmax.softmax(x, t)", shape=[1], form="strided"),
            form_row("same", "torch", ratio=1.0),
            form_row("same", "scipy", status="failing", why="wrong", ratio=0.1),
            form_row("better", "fastsoftmax", "fastsoftmax.softmax(x, t)", shape=[3]),
            form_row("better", "torch", ratio=9.0),
        ],
    }
    note, _, table = report.forms(found).partition("\n\n")
    assert "A rival is faster in 1 of 4 cases. The slowest form is first." in note
    assert table.splitlines() == [
        "| form | fastsoftmax | PyTorch 9.8.7 | SciPy 1.2.3 |",
        "|---|---|---|---|",
        "| `softmax(x, t)`, float16, 2,000 | 1.5 µs (1,234 ulp) | 2× | **0.5×: we are slower** (1,234 ulp) |",
        "| `softmax(x, t)`, every other entry of an array, 1 | 1.5 µs (1,234 ulp) | 1× (1,234 ulp) | – |",
        "| `softmax(x, t)`, 4 × 8 | 1.5 µs (1,234 ulp) | 3× (1,234 ulp) | – |",
        "| `softmax(x, t)`, 3 | 1.5 µs (1,234 ulp) | 9× (1,234 ulp) | – |",
    ]
    brief = report.forms(found, brief=True)
    assert "4 × 8" in brief and "softmax(x, t)`, 3 |" not in brief and "worst shape" in brief
    assert brief in report.rewritten("a\n<!-- forms -->\nold\n<!-- /forms -->\nb\n", found)
    assert report.forms(report.load(MEASURED)) == "" and "0.5×" in report.closing(found)


def test_missing_failing_and_wrong_rivals_are_named_and_not_timed(monkeypatch):
    def missing(case):
        raise ModuleNotFoundError("No module named 'scipy'")

    wrong = lambda case: contender(case, "f(x)", "f(x)", names={"f": lambda x: np.full_like(x, 1 / x.size)})  # noqa: E731
    monkeypatch.setitem(run.RIVALS["softmax"], "scipy", missing)
    monkeypatch.setitem(run.RIVALS["softmax"], "torch", lambda case: 1 / 0)
    monkeypatch.setitem(run.RIVALS["softmax"], "numpy", wrong)
    rows = run.measure(ONE_OF_EACH["softmax"], ["scipy", "torch", "numpy"], 0.01)
    found = {row["contender"]: row["status"] for row in rows}
    assert found == {"fastsoftmax": "ok", "scipy": "skipped", "torch": "error", "numpy": "failing"}
    assert [row["contender"] for row in rows if "ns" in row] == ["fastsoftmax"]
    assert "skipped: scipy (No module named 'scipy')" in report.summary(rows)


def test_goals_are_about_cases_and_rivals_that_are_measured_and_stand_in_the_table():
    every = [(case.name, name) for case in cases.all_cases() for name in (*case.rivals, "fastsoftmax")]
    for pattern, contender_name, *_ in cases.GOALS:
        assert any(name == contender_name and re.fullmatch(pattern, case) for case, name in every), pattern
    row = {"case": "softmax-f32-64", "contender": "torch", "status": "ok", "ns": 8.0, "code": "f(x)", "ratio": 4.0}
    assert "≥ 5× MISSED" in report.table([{**row, "ratio_q1": 3.0, "ratio_q3": 5.0}])
    assert "≥ 5× met" in report.table([{**row, "ratio": 6.0, "ratio_q1": 3.0, "ratio_q3": 5.0}])


def test_the_command_line_runs_and_rejects_what_it_cannot_measure(tmp_path):
    def command(*arguments):
        line = [sys.executable, str(BENCH / "run.py"), "--quick", "--seconds", "0.01", *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)

    environment = {**run.os.environ, "PYTHONPATH": str(ROOT)}
    path = tmp_path / "results.json"
    done = command("--filter", "softmax-f32-64", "--rivals", "numpy", "--json", str(path))
    assert done.returncode == 0, done.stderr
    assert "softmax-f32-64" in done.stdout and f"written to {path}" in done.stdout
    assert {row["contender"] for row in report.load(path)["rows"]} == {"fastsoftmax", "numpy"}
    for arguments in (["--filter", "no-such-case"], ["--threads", "0"], ["--seconds", "0"]):
        assert command(*arguments).returncode == 2

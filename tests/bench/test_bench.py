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

RESULTS = sorted((BENCH / "results").glob("*.json"))
MEASURED = BENCH / "results" / "2026-11-29-zen5-avx512.json"
QUICK_FORMS = run.selected(["forms-"], 1, quick=True)
ONE_OF_EACH = {case.operation: case for case in reversed(cases.all_cases())}


def test_the_figures_of_the_readme_come_from_the_json(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    assert report.main([*map(str, RESULTS), "--readme", str(readme)]) == 0
    assert readme.read_text(encoding="utf-8") == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_plots_are_the_same_bytes_each_time_and_say_what_was_measured(tmp_path):
    for folder in ("one", "two"):
        assert plot.main([str(MEASURED), "--out", str(tmp_path / folder)]) == 0
    rows = json.loads(MEASURED.read_text(encoding="utf-8"))["rows"]
    row = {(each["case"], each["contender"]): each for each in rows}
    torch, ours = (row["softmax-f32-128256", who] for who in ("torch", "fastsoftmax"))
    transformers = row["filter-top_p-f32-128256", "transformers"]
    hardest = min(each["ratio"] for each in rows if each["contender"] == "fastsoftmax-friendly")
    softmax = (
        f"{torch['ratio']:.3g}×",
        f"{torch['error']['max_ulp']:.0f} ulp",
        f"fastsoftmax {ours['ns'] / 1e3:.3g} µs",
    )
    filters = (f"{transformers['ratio']:.3g}×", f"{1 / hardest:.3g}×")
    for name, words in (
        ("time", ("PyTorch", "NumPy cumsum", "10 µs", "100,000")),
        ("ratios", (*softmax, "with a new array")),
        ("filters", (*filters, "0 of 174 wrong", "full-blocks", "in one call")),
    ):
        picture = (tmp_path / "one" / f"{name}.svg").read_bytes()
        assert picture == (tmp_path / "two" / f"{name}.svg").read_bytes()
        assert all(word in picture.decode() for word in (*words, "AMD EPYC, Zen 5 (AVX-512), GCC 12.2.0, one thread"))


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
    assert "0.5×" in report.closing(found)
    assert report.forms({**found, "rows": []}) == ""


def machine(core, isa, *rows, forced=None):
    known = report.load(MEASURED)
    return {
        **known,
        "machine": {"cpu": "a CPU", "core": core},
        "config": {**known["config"], "isa": {"chosen": isa, "forced": forced}},
        "versions": {"torch": "9.8.7+cpu", "scipy": "1.2.3"},
        "rows": rows,
    }


def test_machines_side_by_side_show_each_form_on_its_worst_shape_and_who_is_worst():
    ours = {"code": "fastsoftmax.softmax(x, t)", "error": {"kind": "ulp", "max_ulp": 1.5}}
    strided = {**ours, "form": "strided"}
    one = machine(
        "Zen 3",
        "avx2",
        form_row("small", "fastsoftmax", **ours),
        form_row("small", "torch", ratio=3.0),
        form_row("small", "scipy", ratio=9.0),
        form_row("large", "fastsoftmax", **{**ours, "error": {"kind": "ulp", "max_ulp": 2.25}}),
        form_row("large", "scipy", ratio=2.0, error={"kind": "ulp", "max_ulp": 30.0}),
        form_row("large", "fastsoftmax-new", ratio=0.1),
        form_row("strided", "fastsoftmax", **strided),
        form_row("strided", "torch", ratio=0.84, shape=[7]),
    )
    other = machine(
        "Zen 5",
        "avx512",
        form_row("small", "fastsoftmax", **ours),
        form_row("small", "torch", ratio=0.5),
        form_row("softmax-f32-64", "fastsoftmax", operation="softmax", **ours),
        form_row("softmax-f32-64", "scipy", ratio=4.0, operation="softmax"),
        form_row("threads-softmax", "fastsoftmax", operation="threads-softmax", **ours),
        form_row("threads-softmax", "fastsoftmax-alone", ratio=0.01, operation="threads-softmax"),
    )
    text = report.machines([one, other])
    flat = " ".join(text.split())
    assert "Zen 3 (AVX2)**, 2026-" in flat and "ahead in 2 of 3 cases" in flat
    assert "2 times as long in the median, 0.84 times at worst (PyTorch: `softmax(x, t)`, every other entry" in flat
    assert "Worst of all: `softmax(x, t)` on Zen 5 (AVX-512), 4 × 8: the fastest rival takes 0.5 times as long." in flat
    assert "Not measured yet: Zen 4." in flat
    assert text.splitlines()[-7:] == [
        "| | our error | Zen 3 (AVX2) | Zen 5 (AVX-512) |",
        "|---|---|---|---|",
        "| `softmax(x, t)` | 2.2 ulp | 2× SciPy (30 ulp) | **0.5× PyTorch (1,234 ulp): 4 × 8** |",
        "| `softmax(x, t)`, every other entry of an array | 1.5 ulp | **0.84× PyTorch (1,234 ulp): 7** | – |",
        "| softmax in place | 1.5 ulp | – | 4× SciPy (1,234 ulp) |",
        "",
        "Rivals on Zen 3 (AVX2) and Zen 5 (AVX-512): PyTorch 9.8.7, SciPy 1.2.3.",
    ]
    assert "forced" not in text.lower() and "left out" not in text
    every = report.machines([one, other, machine("Zen 4", "avx2", *other["rows"], forced="avx2")], most=3)
    assert "| Zen 4 (AVX2 forced) |" in every and "Not measured" not in every
    assert "forced it is so for us" in " ".join(every.split())
    assert "left out: 1." in every and "in place" not in every.split("| our error |")[1]


@pytest.mark.parametrize(
    ("known", "core"),
    [(("AuthenticAMD", 25, 1), "Zen 3"), (("AuthenticAMD", 25, 0x50), "Zen 3"), (("AuthenticAMD", 25, 0x11), "Zen 4"),
     (("AuthenticAMD", 25, 0x61), "Zen 4"), (("AuthenticAMD", 26, 2), "Zen 5"), (("AuthenticAMD", 23, 49), ""),
     (("GenuineIntel", 6, 143), "")],
)  # fmt: skip
def test_the_core_of_a_cpu_is_told_by_its_numbers(known, core):
    keys = ("vendor_id", "cpu family", "model")
    assert report.core_of({key: str(value) for key, value in zip(keys, known, strict=True)}) == core
    assert report.core_of({}) == ""


def test_a_saved_document_is_small_and_loses_nothing_but_digits(tmp_path):
    row = {**report.USUAL, **form_row("a", "torch", form="mask", temperature=1 / 3, ratio=1.23456, options={"axis": 0})}
    path = tmp_path / "results.json"
    path.write_text(report.saved({"date": "now", "rows": [row, row]}), encoding="utf-8")
    rounded = {**row, "ratio": 1.235, "error": {"kind": "ulp", "max_ulp": 1234.0}}
    assert report.load(path) == {"date": "now", "rows": [rounded, rounded]}
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 10 and '"dtype"' not in text


@pytest.mark.parametrize(
    ("rival", "module"),
    [(name, name) for name in ("torch", "onnxruntime", "openvino", "tract", "scipy", "jax")] + [("mkl", "mkl_umath")],
)
def test_a_library_that_is_installed_has_the_same_softmax(rival, module):
    pytest.importorskip(module)
    for name in ("softmax-f32-64x256", "forms-softmax-axis_0-f32-4096x6"):
        case = next(case for case in cases.all_cases() if case.name == name)
        row = run.measure(case, [rival], 1e-4)[1]
        assert row["status"] == "ok" and row["error"]["max_ulp"] < 1000, row


@pytest.mark.filterwarnings("ignore:.*jit.*:DeprecationWarning", "ignore::ResourceWarning")  # of vLLM, when imported
@pytest.mark.parametrize(("rival", "module"), [("vllm", "vllm"), ("llama.cpp", "llama_cpp"), ("torch", "torch")])
@pytest.mark.parametrize("options", [{"top_k": 50}, {"top_p": 0.95}, {"top_k": 50, "top_p": 0.95}], ids="-".join)
def test_a_sampler_that_is_installed_keeps_the_same_set(rival, module, options):
    pytest.importorskip(module)
    rows = run.measure(replace(ONE_OF_EACH["filter"], shape=(4_096,), options=options), [rival], 1e-4)
    assert [row["contender"] for row in rows] == ["fastsoftmax", rival]
    assert all(row["status"] == "ok" and report.wrong_answers(row["error"]) == 0 for row in rows), rows


@pytest.mark.filterwarnings("ignore:.*jit.*:DeprecationWarning", "ignore::ResourceWarning")  # of vLLM, when imported
@pytest.mark.parametrize(("rival", "module"), [("vllm", "vllm"), ("torch", "torch"), ("numpy-gumbel", "numpy")])
def test_a_draw_that_takes_no_uniforms_has_the_frequencies_of_the_softmax(rival, module):
    """Of 100,000 rows with a fixed seed where there is one; an error of the temperature of 5 % would be 20 sigma."""
    pytest.importorskip(module)
    case = replace(ONE_OF_EACH["sample"], shape=(100_000, 4), temperature=0.7)
    asked, rows = run.RIVALS["sample"][rival](case), np.tile(np.float32([0.0, 0.5, 1.0, -0.5]), (100_000, 1))
    drawn = np.asarray(eval(asked.code, {**asked.names, "x": asked.native(rows.copy())})).ravel()
    frequencies = np.bincount(drawn, minlength=4) / drawn.size
    probs = np.exp(rows[0] / 0.7) / np.exp(rows[0] / 0.7).sum()
    assert (np.abs(frequencies - probs) < 6.5 * np.sqrt(probs * (1 - probs) / 1e5)).all()  # false alarm: 1e-9


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

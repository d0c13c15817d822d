"""The benchmark's own promises: its statistics, its errors, its schema, its plots, and that it runs."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
if not BENCH.is_dir():
    pytest.skip("the benchmark is part of a checkout only", allow_module_level=True)
sys.path.insert(0, str(BENCH))

import cases  # noqa: E402
import drawing  # noqa: E402
import errors  # noqa: E402
import filter_judge  # noqa: E402
import goals  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import rivals  # noqa: E402
import run  # noqa: E402
import sorting_oracle  # noqa: E402
import token_rivals  # noqa: E402
import worker  # noqa: E402


def a_row(case: str, contender: str, ratio: float | None = None, **more: Any) -> dict[str, Any]:
    """A row as the worker writes it."""
    found = {one.name: one for one in cases.all_cases()}[case]
    row: dict[str, Any] = {
        "case": case,
        "operation": found.operation,
        "shape": list(found.shape),
        "dtype": found.dtype,
        "data": found.data,
        "temperature": found.temperature,
        "row": found.row,
        "spread": found.spread,
        "options": found.parameters,
        "threads": 1,
        "isa": "avx2",
        "contender": contender,
        "status": "ok",
        "code": "f(x)",
        "note": "",
        "ns": 100.0 * (ratio or 1.0),
        "error": {"kind": "ulp", "max_ulp": 1.5, "max_ulp_subnormal": 0.0, "oracle": "float64"},
        **more,
    }
    if ratio is not None:
        row.update(ratio=ratio, ratio_q1=0.9 * ratio, ratio_q3=1.1 * ratio)
    return row


def kept(wrongly: int = 0, dropped: int = 0) -> dict[str, Any]:
    """The error of a contender that draws from 174 entries."""
    return {
        "kind": "filter",
        "kept": 174,
        "wrongly_kept": wrongly,
        "wrongly_dropped": dropped,
        "total_variation": 1e-7,
        "draws": 0,
        "outside": 0,
    }


@pytest.fixture
def document() -> dict[str, Any]:
    """A small results document."""
    drawn = {
        "kind": "draw",
        "total_variation": 1e-9,
        "noise": 0.0,
        "draws": 0,
        "p_value": None,
        "zero_drawn": False,
    }
    rows = [
        a_row("softmax-f32-64", "fastsoftmax"),
        a_row("softmax-f32-64", "torch", 8.0),
        a_row("softmax-f32-128256", "fastsoftmax", ns=17_000.0),
        a_row("softmax-f32-128256", "torch", 3.5, ns=60_000.0),
        a_row("sample-f32-128256", "fastsoftmax", ns=13_000.0, error=drawn),
        a_row("sample-f32-128256", "numpy-cdf", 30.0, ns=400_000.0, error=drawn),
        a_row("filter-top_p-f32-128256", "fastsoftmax", ns=30_000.0, error=kept()),
        a_row("filter-top_p-f32-128256", "transformers", 300.0, error=kept(3, 14)),
        a_row("filter-top_p-ascending-f32-128256", "fastsoftmax", ns=60_000.0, error=kept()),
        a_row("filter-top_p-ascending-f32-128256", "fastsoftmax-friendly", 0.5, ns=30_000.0, error={}),
    ]
    return {
        "schema": report.SCHEMA,
        "date": "2030-01-02T03:04:05+00:00",
        "machine": {"cpu": "A <CPU> & more"},
        "config": {"isa": {"chosen": "avx2", "available": ["avx2"], "forced": False}},
        "versions": {"python": "3.11"},
        "settings": {},
        "skipped": [],
        "rows": rows,
        "goals": [goal.measure(rows) for goal in goals.all_goals()],
    }


# Statistics


def test_the_ratio_is_the_median_of_the_pairs_ratios_whatever_the_drift() -> None:
    """The machine slows down threefold halfway, in the middle of the pairs; each pair still has ratio 2."""
    pairs = [(10.0, 20.0)] * 4 + [(30.0, 60.0)] * 5
    timing = measure.summarise(pairs, bundle=7)
    assert (timing.ratio, timing.ratio_q1, timing.ratio_q3) == (2.0, 2.0, 2.0)
    assert (timing.pairs, timing.bundle) == (9, 7)
    # One timing disturbed on each side moves neither the median nor the quartiles.
    disturbed = measure.summarise([*pairs, (1000.0, 20.0), (10.0, 2000.0)])
    assert (disturbed.ratio, disturbed.ratio_q1, disturbed.ratio_q3) == (2.0, 2.0, 2.0)


def test_the_difference_is_the_median_of_the_pairs_differences() -> None:
    timing = measure.summarise([(130.0, 100.0), (260.0, 230.0), (131.0, 100.0)])
    assert timing.difference_ns == 30.0
    assert (timing.ours_ns, timing.theirs_ns) == (131.0, 100.0)


def test_both_sides_take_turns_in_going_first() -> None:
    order: list[str] = []

    def timer(name: str, time: float) -> measure.Timer:
        def timed() -> float:
            order.append(name)
            return time

        return timed

    pairs = measure.alternate(timer("ours", 1.0), timer("theirs", 3.0), seconds=1e-9)
    assert pairs == [(1.0, 3.0)] * measure.LEAST_PAIRS
    assert order[:4] == ["ours", "theirs", "theirs", "ours"]


def test_a_bundle_is_long_enough_for_the_clock_and_stays_in_cache() -> None:
    assert measure.bundle_size(100.0, 64) == 100
    assert measure.bundle_size(50_000.0, 64) == 1
    assert measure.bundle_size(0.0, 64) == measure.LARGEST_BUNDLE
    assert measure.bundle_size(1_000.0, 1 << 19) == 2
    assert measure.bundle_size(1_000.0, 1 << 30) == 1


def test_every_call_in_place_meets_the_original_input() -> None:
    seen: list[float] = []

    def spoil(x: np.ndarray) -> None:
        seen.append(float(x[0]))
        x[:] = -1.0

    bundle = measure.Bundle(measure.Contender("spoiler", "f(x)", {"f": spoil}), np.array([7.0, 8.0]), 3)
    assert bundle.time() > 0
    assert bundle.time() > 0
    assert seen == [7.0] * 6


def test_copies_begin_on_a_cache_line() -> None:
    for copy in measure.aligned_copies(np.arange(10, dtype=np.float32), 5):
        assert copy.ctypes.data % measure.ALIGNMENT == 0
        assert copy.tolist() == list(range(10))


# Errors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("offset", "temperature"), [(0.0, 0.75), (1e4, 2.0**-9), (-50.0, 30.0)])
def test_the_oracle_agrees_with_fifty_digits(dtype: str, offset: float, temperature: float) -> None:
    """To 0.01 ulp of the dtype, a hundredth of what it is used to judge."""
    if dtype == "float64" and not errors.EXTENDED:
        pytest.skip("no number longer than float64 here: errors are then known to about an ulp")
    x = (offset + np.random.default_rng(3).normal(0, 3, 40)).astype(dtype)
    with mpmath.workdps(50):
        weights = [mpmath.exp((mpmath.mpf(float(v)) - float(x.max())) / mpmath.mpf(temperature)) for v in x]
        total = mpmath.fsum(weights)
        found = errors.exact_softmax(x, temperature)
        precision = mpmath.mpf(2) ** (-24 if dtype == "float32" else -53)
        for value, weight in zip(found, weights, strict=True):
            head = float(value)
            exact = weight / total
            distance = abs(mpmath.mpf(head) + float(value - head) - exact)
            assert distance <= 0.01 * precision * exact + mpmath.mpf(2) ** -1080


def test_an_error_is_counted_in_ulps_of_the_exact_value() -> None:
    exact = np.array([0.75, 0.25])
    # Two ulps above 0.75, and half an ulp below 0.25, where the spacing halves.
    got = np.array([0.75 + 2 * 2.0**-24, np.nextafter(np.float32(0.25), np.float32(0))], np.float32)
    error = errors.ulp_error(got, exact, np.dtype(np.float32))
    assert error.max_ulp == 2.0
    assert errors.ulp_error(got * np.nan, exact, np.dtype(np.float32)).max_ulp == np.inf


def test_results_below_the_normal_numbers_are_counted_apart() -> None:
    exact = np.array([1.0, 2.0**-130, 0.0])
    error = errors.ulp_error(np.array([1.0, 0.0, 0.0], np.float32), exact, np.dtype(np.float32))
    assert (error.max_ulp, error.max_ulp_subnormal) == (0.0, 2.0**19)


def test_a_plainly_wrong_softmax_is_named() -> None:
    exact = np.array([0.5, 0.3, 0.2])
    assert errors.gross_softmax_error(exact.astype(np.float32), exact) is None
    assert errors.gross_softmax_error(exact[::-1].copy(), exact) is not None
    assert errors.gross_softmax_error(np.full(3, np.nan), exact) is not None
    assert errors.gross_softmax_error(exact[:2], exact) is not None


def test_frequencies_tell_a_right_sampler_from_a_wrong_one() -> None:
    """Seed fixed; a right sampler fails at 1e-9, and a million draws show half a percent of moved mass."""
    rng = np.random.default_rng(11)
    probs = np.array([0.0, 0.4, 0.3, 0.2, 0.1])
    right = errors.frequency_error(rng.choice(5, size=1_000_000, p=probs), probs)
    assert right.gross() is None
    assert right.total_variation < 4 * right.noise
    wrong = errors.frequency_error(rng.choice(5, size=1_000_000, p=[0.0, 0.395, 0.305, 0.2, 0.1]), probs)
    assert wrong.gross() is not None
    assert not wrong.zero_drawn
    assert errors.frequency_error(np.array([1, 2, 0]), probs).zero_drawn
    assert errors.frequency_error(np.array([1, 5]), probs).gross() is not None


def inverse_cdf(probs: np.ndarray, side: Any, dtype: Any) -> Any:
    cumulative = probs.cumsum(dtype=dtype)
    return lambda u: cumulative.searchsorted((u * cumulative[-1]).astype(dtype), side=side)


def test_bisection_finds_the_exact_distance_of_a_draw_from_its_uniform() -> None:
    probs = np.array([0.0, 0.5, 0.25, 0.0, 0.125, 0.125])
    exact = errors.boundary_error(inverse_cdf(probs, "right", np.float64), probs)
    assert exact.total_variation <= 1e-15
    assert not exact.zero_drawn
    moved = probs + [0.0, 0.01, -0.01, 0.0, 0.0, 0.0]
    shifted = errors.boundary_error(inverse_cdf(moved, "right", np.float64), probs)
    assert shifted.total_variation == pytest.approx(0.01, abs=1e-12)
    assert shifted.gross() is not None


def test_bisection_catches_an_entry_of_probability_zero() -> None:
    """searchsorted from the left returns entry 0 at u = 0."""
    probs = np.array([0.0, 0.5, 0.25, 0.25])
    assert errors.boundary_error(inverse_cdf(probs, "left", np.float64), probs).zero_drawn


@pytest.mark.parametrize(("statistic", "freedom", "tail"), [(18.307, 10, 0.05), (44.985, 31, 0.05)])
def test_the_chi_square_tail_agrees_with_the_tables(statistic: float, freedom: int, tail: float) -> None:
    """Within a tenth, which is plenty for a limit of 1e-9."""
    assert errors.chi_square_tail(statistic, freedom) == pytest.approx(tail, rel=0.1)
    assert errors.chi_square_tail(10.0 * statistic, freedom) < 1e-12


# Cases and goals


def test_names_are_unique_and_inputs_reproducible() -> None:
    every = cases.all_cases()
    assert len({case.name for case in every}) == len(every)
    case = next(case for case in every if case.name == "softmax-f32-64")
    assert np.array_equal(case.input(5), case.input(5))
    assert not np.array_equal(case.input(5), case.input(6))
    assert np.float32(cases.TEMPERATURE) == cases.TEMPERATURE


def test_a_filter_is_a_name_a_part_or_a_glob() -> None:
    every = cases.all_cases()
    assert [case.name for case in cases.select(every, ["softmax-f32-10"])] == ["softmax-f32-10"]
    assert {case.operation for case in cases.select(every, ["accuracy-"])} == {"accuracy"}
    assert [case.shape for case in cases.select(every, ["sample-*-4096x?6"])] == [(4096, 16)]
    assert cases.select(every, []) == every


def test_every_goal_is_about_cases_and_rivals_that_are_measured() -> None:
    by_name = {case.name: case for case in cases.all_cases()}
    for goal in goals.all_goals():
        for pattern in goal.cases:
            found = [case for name, case in by_name.items() if fnmatchcase(name, pattern)]
            assert found, goal
            assert not goal.rival or all(goal.rival in case.rivals for case in found), goal


def test_a_goal_is_judged_by_its_worst_case() -> None:
    goal = goals.Goal("fast", "ratio", 3.0, ("softmax-f32-10", "softmax-f32-64"), "torch")
    rows = [a_row("softmax-f32-10", "torch", 9.0), a_row("softmax-f32-64", "torch", 2.5)]
    verdict = goal.measure(rows)
    assert (verdict["measured"], verdict["worst"], verdict["verdict"]) == (2.5, "softmax-f32-64", "missed")
    partial = goal.measure(rows[:1])
    assert (partial["verdict"], partial["complete"]) == ("met", False)
    assert goal.measure([])["verdict"] == "not measured"
    many_threads = [{**row, "threads": 2} for row in rows]
    assert goal.measure(many_threads)["verdict"] == "not measured"


def test_upper_bounds_are_judged_by_the_largest_value() -> None:
    overhead = goals.Goal("overhead", "ns", 150.0, ("overhead-f32-10", "overhead-f32-64"))
    rows = [
        a_row("overhead-f32-10", "fastsoftmax", difference_ns=120.0),
        a_row("overhead-f32-64", "fastsoftmax", difference_ns=160.0),
    ]
    assert overhead.measure(rows)["verdict"] == "missed"
    error = goals.Goal("error", "ulp", 3.0, ("accuracy-f32",))
    assert error.measure([a_row("accuracy-f32", "fastsoftmax")])["verdict"] == "met"
    assert error.measure([a_row("accuracy-f32", "torch")])["verdict"] == "not measured"


def test_two_instruction_sets_are_compared_through_the_rivals() -> None:
    before = [a_row("softmax-f32-64", "fastsoftmax", digest="aa"), a_row("softmax-f32-64", "torch", 10.0)]
    slower = [a_row("softmax-f32-64", "fastsoftmax", digest="ab"), a_row("softmax-f32-64", "torch", 4.0)]
    speed, ahead, bits = goals.against_baseline(slower, before)
    assert (speed["measured"], speed["verdict"]) == (0.4, "missed")
    assert (ahead["measured"], ahead["verdict"]) == (4.0, "met")
    assert (bits["worst"], bits["verdict"]) == ("softmax-f32-64", "missed")
    assert [row["verdict"] for row in goals.against_baseline(before, before)] == ["met"] * 3
    assert [row["verdict"] for row in goals.against_baseline([], before)] == ["not measured"] * 3


def test_our_time_beside_another_of_ours_has_an_upper_bound() -> None:
    names = ("filter-top_p-ascending-f32-128256", "filter-top_p-flat-f32-128256")
    goal = goals.Goal("any row", "times", 3.0, names, "fastsoftmax-friendly")
    rows = [a_row(names[0], "fastsoftmax-friendly", 0.5), a_row(names[1], "fastsoftmax-friendly", 0.25)]
    verdict = goal.measure(rows)
    assert (verdict["measured"], verdict["worst"], verdict["verdict"]) == (4.0, names[1], "missed")
    assert goal.measure(rows[:1])["verdict"] == "met"


def test_wrong_answers_of_ours_miss_their_goal_even_where_nothing_is_timed() -> None:
    name = "filter-top_p-f32-128256"
    goal = goals.Goal("right", "wrong", 0.0, (name,))
    assert goal.measure([a_row(name, "fastsoftmax", error=kept())])["verdict"] == "met"
    refused = a_row(name, "fastsoftmax", error=kept(1, 2), status="failing", why="keeps too much")
    assert (goal.measure([refused])["measured"], goal.measure([refused])["verdict"]) == (3.0, "missed")


def test_our_other_forms_are_no_rivals_to_be_ahead_of() -> None:
    name = "filter-top_p-ascending-f32-128256"
    rows = [a_row(name, "fastsoftmax"), a_row(name, "fastsoftmax-friendly", 0.2)]
    assert goals.against_baseline(rows, rows)[1]["verdict"] == "not measured"


# What is left behind


def test_a_results_document_is_recognised(document: dict[str, Any], tmp_path: Path) -> None:
    assert report.problems(document) == []
    assert report.problems({**document, "schema": 0})
    assert report.problems({key: value for key, value in document.items() if key != "versions"})
    broken = json.loads(json.dumps(document))
    del broken["rows"][2]["isa"]
    assert report.problems(broken) == ["row 2 has no isa"]
    path = tmp_path / "broken.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"broken\.json"):
        report.load(path)


def test_speed_and_error_stand_in_one_line(document: dict[str, Any]) -> None:
    line = next(line for line in report.speed_table(document["rows"]).splitlines() if "torch" in line)
    assert "8.00×" in line
    assert "1.5 ulp" in line


def test_filters_have_a_table_of_wrong_entries_and_one_of_shapes(document: dict[str, Any]) -> None:
    compared = report.filter_table(document["rows"])
    line = next(line for line in compared.splitlines() if "transformers" in line)
    assert "300.00×" in line
    assert "+3 −14 wrong of 174" in line
    assert "ascending" not in compared
    line = report.shapes_table(document["rows"]).splitlines()[1]
    assert line.split()[:5] == ["top_p=0.95", "ascending", "60", "µs", "2.00×"]
    assert "filter-" not in report.speed_table(document["rows"])
    assert report.readable_error(filter_judge.count_error(2, 20, "places", max_error=1e-6)) == (
        "2 of 20 places wrong, 1.0e-06 off"
    )


def test_what_was_not_measured_is_named_once(document: dict[str, Any]) -> None:
    missing = {"status": "skipped", "why": "No module named 'jax'"}
    rows = [{**a_row(name, "jax"), **missing} for name in ("softmax-f32-64", "softmax-f32-10")]
    assert (
        report.skipped_lines(rows) == "skipped: jax (No module named 'jax') in softmax-f32-64, softmax-f32-10"
    )


def test_plots_are_drawn_from_the_json_alone(document: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert plot.main([str(path), "--out", str(tmp_path / "plots")]) == 0
    for name, words in (
        ("time", {"PyTorch", "NumPy cumsum", "fastsoftmax", "10 µs", "100,000"}),
        ("ratios", {"3.5×", "30×", "1.5 ulp", "tv 1e-09", "fastsoftmax 17 µs"}),
        ("filters", {"300×", "17 wrong of 174", "ascending", "60 µs, 2.0×", "a peaked row: 30 µs"}),
    ):
        tree = ElementTree.parse(tmp_path / "plots" / f"{name}.svg")
        written = {element.text for element in tree.iter() if element.tag.endswith("text")}
        assert words <= written
        assert "A <CPU> & more, avx2, one thread, 2030-01-02" in written


def test_a_plot_of_what_was_not_measured_is_refused(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert plot.main([str(path), "--threads", "64"]) == 1
    assert "not drawn" in capsys.readouterr().err


def test_labels_are_moved_apart_and_keep_their_order() -> None:
    placed = drawing.spread([50.0, 10.0, 11.0, 52.0], 15, 0, 100)
    ordered = sorted(placed)
    assert all(second - first >= 14.9 for first, second in zip(ordered, ordered[1:], strict=False))
    assert placed[1] < placed[2] < placed[0] < placed[3]


# Running


def settings(*filters: str, **options: Any) -> worker.Settings:
    return worker.Settings(seconds=0.01, filters=list(filters), **options)


def collected(asked: worker.Settings) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    worker.measure_cases(asked, rows.append)
    return rows


def test_a_wrong_rival_is_reported_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def uniform(case: cases.Case, threads: int) -> measure.Contender:
        return measure.Contender("numpy", "f(x)", {"f": lambda x: np.full_like(x, 1 / x.size)})

    monkeypatch.setitem(rivals.SOFTMAX, "numpy", uniform)
    row = next(
        row for row in collected(settings("softmax-f32-10", rivals=["numpy"])) if row["contender"] == "numpy"
    )
    assert row["status"] == "failing"
    assert "ratio" not in row


def test_a_missing_and_a_failing_library_are_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(case: cases.Case, threads: int) -> measure.Contender:
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    def failing(case: cases.Case, threads: int) -> measure.Contender:
        raise RuntimeError("no such device\nand more")

    monkeypatch.setitem(rivals.SOFTMAX, "scipy", missing)
    monkeypatch.setitem(rivals.SOFTMAX, "numpy", failing)
    rows = collected(settings("softmax-f32-10", rivals=["scipy", "numpy"]))
    found = {row["contender"]: (row["status"], row.get("why")) for row in rows}
    assert found["scipy"] == ("skipped", "No module named 'scipy'")
    assert found["numpy"] == ("error", "RuntimeError: no such device")
    assert found["fastsoftmax"][0] == "ok"


def test_draws_and_overhead_are_measured() -> None:
    rows = collected(
        settings("sample-f32-64", "sampler-probs-f64-10", "overhead-f32-10", rivals=["numpy-cdf", "classic"])
    )
    found = {(row["case"], row["contender"]): row for row in rows}
    ours = found["sample-f32-64", "fastsoftmax"]
    assert ours["error"]["draws"] == 0
    assert ours["error"]["total_variation"] < 1e-6
    assert not ours["error"]["zero_drawn"]
    for rival in (("sample-f32-64", "numpy-cdf"), ("sampler-probs-f64-10", "classic")):
        assert found[rival]["status"] == "ok", found[rival]
        assert found[rival]["ratio"] > 0
    assert found["overhead-f32-10", "fastsoftmax"]["status"] == "ok"


def test_the_door_is_measured_beside_its_kernel() -> None:
    rows = collected(settings("door-softmax-f32-10", "door-draw-f32-10"))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    goal = next(goal for goal in goals.all_goals() if "door-draw-f32-10" in goal.cases)
    measured = goal.measure([{**row, "threads": 1} for row in rows])
    assert measured["verdict"] in ("met", "missed") and 0.5 < measured["measured"] < 2.0


def test_choosing_the_next_token_is_measured_and_right() -> None:
    names = (
        "filter-top_k-f32-128256",
        "filter-top_p-constant-f32-128256",
        "filter-xtc-f32-128256",
        "batch-f32-8x128256",
        "penalize-dry-f32-32000",
        "penalize-f32-128256",
        "top-logprobs-f32-128256",
        "without-replacement-f32-128256",
        "verify-draft-f32-5x128256",
    )
    beside = ["numpy", "fastsoftmax-call", "fastsoftmax-friendly", "fastsoftmax-least", "fastsoftmax-singles"]
    rows = collected(settings(*names, rivals=beside))
    assert {row["case"] for row in rows} == set(names)
    for row in rows:
        assert row["status"] == "ok", row
        if row["contender"] == "fastsoftmax":
            assert sum(row["error"].get(key, 0) for key in goals.WRONG) == 0, row
            assert row["error"].get("total_variation", 0.0) < 1e-6, row
            assert row["error"].get("max_ulp", 0.0) <= 1.0, row
        else:
            assert row["ratio"] > 0, row
    assert [row for row in collected(settings("filter-top_k-f32", threads=2)) if row] == []


def test_the_draft_belongs_to_the_target_of_the_same_seed() -> None:
    case = next(case for case in cases.all_cases() if case.operation == "verify-draft")
    for seed in (0, 1):
        seeded = replace(case, seed=seed)
        draft, tokens = token_rivals.draft_of(seeded)
        exact = sorting_oracle.Speculation(seeded.input(seed), draft, tokens, case.temperature)
        probs = exact.accepted_probs()
        assert probs.sum() == pytest.approx(1.0)
        assert probs[1:].sum() > 0.1


def test_the_accuracy_grid_is_measured() -> None:
    rows = collected(settings("accuracy-f32", rivals=["numpy"], largest_n=100))
    errors_found = {row["contender"]: row["error"]["max_ulp"] for row in rows}
    assert errors_found["fastsoftmax"] <= 3.0
    # The plain formula loses its digits at small temperatures: the grid must show it.
    assert errors_found["numpy"] > 10.0


def test_the_command_line_writes_json_and_judges_goals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.json"
    arguments = ["--filter", "softmax-f32-64", "--rivals", "numpy", "--seconds", "0.01"]
    assert run.main([*arguments, "--threads", "1", "--json", str(path)]) == 0
    document = report.load(path)
    assert {row["contender"] for row in document["rows"]} == {"fastsoftmax", "numpy"}
    assert len(document["goals"]) == len(goals.all_goals())
    printed = capsys.readouterr().out
    assert "softmax-f32-64" in printed
    assert "not measured" in printed
    assert run.main([*arguments, "--threads", "1", "--json", str(path), "--baseline", str(path)]) == 0
    assert "same bits as the baseline" in capsys.readouterr().out


def test_bad_usage_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["--filter", "no-such-case"],
        ["--threads", "0"],
        ["--threads", "x"],
        ["--seconds", "-1"],
    ):
        with pytest.raises(SystemExit) as refused:
            run.main(arguments)
        assert refused.value.code == 2
    assert run.main(["--list", "--filter", "accuracy-"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("accuracy-f32")

"""Measure fastsoftmax against whatever is installed: speed and error in one row.

python bench/run.py                          everything, on one thread
python bench/run.py --quick --filter softmax-f32
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import re
import sys
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import accuracy
import numpy as np
import report
from cases import Case, all_cases
from rivals import draw, forms, softmax, tokens
from timing import compare

import fastsoftmax

RIVALS: dict[str, dict[str, Any]] = {**softmax.RIVALS, **draw.RIVALS, **tokens.RIVALS, **forms.RIVALS}
# What a quick run leaves out: most lengths, large batches, most shapes of row.
SLOW = r".*-(65536|10|100|256|1024|16384|10{4,6}|1048576|32x.*|4096x(64|256)|32000x32|8x12x.*)|filter-top_[kp]-.*-f32.*"

Row = dict[str, Any]


def options() -> argparse.ArgumentParser:
    """Every option, with its default."""
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--threads", type=int, default=1, metavar="N", help="number of threads (1)")
    add("--filter", action="append", metavar="NAME", help="only cases with this in their names, a glob; repeatable")
    add("--rivals", type=lambda text: text.split(","), metavar="A,B", help="only these rivals")
    add("--seconds", type=float, metavar="S", help="time for each rival (0.5)")
    add("--quick", action="store_true", help="fewer cases, 0.02 seconds for each rival")
    add("--json", type=Path, metavar="FILE", help="where the results go (bench/results/<date>-<isa>.json)")
    add("--plot", metavar="FILE", help="draw the ratios of all cases: .png, .svg or .pdf")
    add("--list", action="store_true", help="print the cases and their rivals, measure nothing")
    return parser


def limit_threads(count: int) -> None:
    """For the libraries that read their number of threads when they are imported, which has not happened yet."""
    for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(count)
    os.environ.update(JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")
    fastsoftmax.set_num_threads(count)
    if count == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX takes its number of threads from this


def selected(patterns: list[str] | None, threads: int, quick: bool) -> list[Case]:
    """The cases that were asked for, without those that say nothing on one thread or are too slow for a quick run."""
    cases = [
        case
        for case in all_cases()
        if any(fnmatchcase(case.name, f"*{pattern}*") for pattern in patterns or [""])
        and not (quick and re.fullmatch(SLOW, case.name))
        and not (threads == 1 and case.operation.startswith("threads"))
    ]
    return [replace(case, threads=threads) for case in cases]


def measure(case: Case, rivals: list[str] | None, seconds: float, quick: bool = False) -> list[Row]:
    """A row of results for fastsoftmax and one for each rival."""
    names = ["fastsoftmax", *(name for name in case.rivals if rivals is None or name in rivals)]
    builders = {name: RIVALS[case.operation][name] for name in names}
    if case.operation == "accuracy":
        rows = worst_rows(case, builders, quick)
    else:
        rows = rows_of(case, builders, case.input(), seconds)
    known = {key: value for key, value in asdict(case).items() if key not in ("name", "rivals")}
    return [{"case": case.name, **known, **row} for row in rows]


def rows_of(case: Case, builders: dict[str, Any], source: np.ndarray, seconds: float) -> list[Row]:
    """Errors first, then speed, if there are seconds for it; what is plainly wrong is not timed."""
    judge, ours = accuracy.JUDGES[case.operation](case, source), None
    rows: list[Row] = []
    for name, build in builders.items():
        row: Row = {"contender": name, "status": "ok"}
        try:
            contender = build(case)
            row["code"] = contender.code
            row["error"] = judge(contender) if contender.answer else {}
            gross = row["error"].pop("gross", "")
            if gross and seconds:
                row.update(status="failing", why=gross)
            elif name == "fastsoftmax":
                ours = contender
            elif seconds and ours:
                row.update(compare(ours, contender, source, seconds))
        except Exception as failure:
            why = (str(failure).splitlines() or [""])[0][:200]
            skipped = isinstance(failure, ImportError)
            row["status"] = "skipped" if skipped else "error"
            row["why"] = why if skipped else f"{type(failure).__name__}: {why}"
        rows.append(row)
    if seconds and ours:
        # Next to a fast rival ours finds other caches than next to a slow one: its time is the middle of its medians.
        times = sorted(row["ours_ns"] for row in rows if "ours_ns" in row)
        rows[0]["ns"] = times[len(times) // 2] if times else compare(ours, ours, source, seconds)["ns"]
    return rows


def worst_rows(case: Case, builders: dict[str, Any], quick: bool) -> list[Row]:
    """The largest error of each contender over the grid; a contender that fails once is not asked again."""
    worst: dict[str, Row] = {}
    for point, source, where in accuracy.grid(case, quick):
        left = {name: build for name, build in builders.items() if worst.get(name, {}).get("status", "ok") == "ok"}
        with np.errstate(all="ignore"):
            for row in rows_of(point, left, source, seconds=0):
                best = worst.setdefault(row["contender"], row)
                if row["status"] != "ok" or row["error"]["max_ulp"] >= best["error"]["max_ulp"]:
                    worst[row["contender"]] = row
                    row.get("error", {})["worst"] = where
    return list(worst.values())


def run(asked: argparse.Namespace) -> None:
    """Measure what was asked for and show it; ValueError if that cannot be."""
    seconds = (0.02 if asked.quick else 0.5) if asked.seconds is None else asked.seconds
    if asked.threads < 1 or not 0 < seconds < math.inf:
        raise ValueError("--threads and --seconds must be positive")
    cases = selected(asked.filter, asked.threads, asked.quick)
    if not cases:
        raise ValueError(f"no case fits {asked.filter} on --threads {asked.threads}; --list shows them")
    if asked.list:
        print("\n".join(f"{case.name:40} {' '.join(case.rivals)}".rstrip() for case in cases))
        return
    if asked.plot:
        import plot
    limit_threads(asked.threads)
    document = report.document({**vars(asked), "seconds": seconds, "json": None})
    print(report.heading(document), end="\n\n")
    report.show_header()
    for case in cases:
        rows = measure(case, asked.rivals, seconds, asked.quick)
        document["rows"] += rows
        if asked.json:
            # Written after every case, so that a library that takes the process down loses no results.
            asked.json.write_text(report.saved(document), encoding="utf-8")
        report.show(rows)
    report.show_closing(document)
    if asked.plot:
        plot.overview(document, asked.plot)
    for path in filter(None, (asked.json, asked.plot)):
        print(f"written to {path}")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = options()
    asked = parser.parse_args(arguments)
    if not asked.json and not asked.list:
        isa = fastsoftmax.show_config(mode="dicts")["isa"]["chosen"]
        asked.json = Path(__file__).parent / "results" / f"{datetime.date.today()}-{isa}.json"
        asked.json.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(asked)
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

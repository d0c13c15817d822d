"""Measure fastsoftmax against whatever is installed: speed and error in one row.

python bench/run.py                          everything, on one thread
python bench/run.py --quick --filter softmax-f32
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import accuracy
import report
from cases import Case, all_cases, select
from rivals import Unsupported, draw, softmax, tokens
from timing import Contender, compare

import fastsoftmax

RIVALS: dict[str, dict[str, Any]] = {**softmax.RIVALS, **draw.RIVALS, **tokens.RIVALS}
SHARED = ("threads-softmax", "threads-sample")
# What a quick run leaves out: most lengths, large batches, most shapes of row.
SLOW = r".*-(65536|10|100|256|1024|16384|10{4,6}|1048576|32x.*|4096x(64|256))|filter-top_[kp]-.*-f32.*"


def options() -> argparse.ArgumentParser:
    """Every option, with its default."""
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--threads", type=threads, default=1, metavar="N", help="number of threads, or all; the default is 1")
    add(
        "--filter",
        action="append",
        default=[],
        metavar="NAME",
        help="only this case, or those whose names contain this or match it as a glob; repeatable",
    )
    add("--rivals", type=lambda text: text.split(","), default=[], metavar="A,B", help="only these rivals")
    add("--accuracy", action="store_true", help="only the largest errors over a grid: --filter accuracy-")
    add("--seconds", type=positive, metavar="S", help="time for a case, shared by its rivals (2)")
    add("--quick", action="store_true", help="fewer cases, 0.05 seconds each")
    add("--seed", type=int, default=0, help="seed of the inputs (0)")
    add("--json", type=Path, metavar="FILE", help="where the results go (bench/results/<date>-<isa>.json)")
    add("--list", action="store_true", help="print the cases and their rivals, measure nothing")
    return parser


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def threads(text: str) -> int:
    count = report.usable_cpus() if text == "all" else int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of threads")
    return count


def limit_threads(count: int) -> None:
    """For the libraries that read their number of threads when they are imported, which has not happened yet."""
    for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(count)
    os.environ.update(JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")
    fastsoftmax.set_num_threads(count)
    if count == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX takes its number of threads from this


def suits(case: Case, count: int, quick: bool) -> bool:
    """Whether a case says anything on this number of threads, and whether it belongs to a quick run."""
    if quick and re.fullmatch(SLOW, case.name):
        return False
    if count == 1:
        return case.operation not in SHARED
    return case.operation in (*SHARED, "softmax", "sample")


def measure(case: Case, rivals: list[str], seconds: float, longest: int = 1 << 20) -> Iterator[dict[str, Any]]:
    """A row of results for fastsoftmax and one for each rival."""
    known = {
        **{
            key: getattr(case, key) for key in ("operation", "dtype", "data", "temperature", "row", "spread", "options")
        },
        **{"case": case.name, "shape": list(case.shape), "threads": case.threads, "isa": report.isa()},
    }
    names = [name for name in case.rivals if not rivals or name in rivals]
    builders = {name: RIVALS[case.operation][name] for name in ("fastsoftmax", *names)}
    rows = accuracy_rows(case, builders, longest) if case.operation == "accuracy" else None
    for row in rows or speed_rows(case, builders, seconds):
        yield {**known, **row}


def accuracy_rows(case: Case, builders: dict[str, Any], longest: int) -> Iterator[dict[str, Any]]:
    for name, found in accuracy.worst_errors(case, builders, longest).items():
        yield {"contender": name, **(failed(found) if isinstance(found, Exception) else {"status": "ok", **found})}


def speed_rows(case: Case, builders: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
    """Errors first, then speed; what is plainly wrong is not timed."""
    share = seconds / max(len(builders) - 1, 3)
    judged: dict[str, Contender] = {}
    rows: dict[str, dict[str, Any]] = {name: {"contender": name} for name in builders}
    try:
        source = case.input()
        judge = accuracy.judge_of(case, source)
    except ImportError as failure:
        yield {"contender": "fastsoftmax", **failed(failure)}
        return
    for name, row in rows.items():
        try:
            contender = builders[name](case)
            row["code"] = contender.code
            row["error"], gross = judge(contender, share)
            row.update({"status": "failing", "why": gross} if gross else {"status": "ok"})
            if not gross:
                judged[name] = contender
                if name != "fastsoftmax":
                    row.update(compare(judged["fastsoftmax"], contender, source, share))
        except Exception as failure:
            row.update(failed(failure))
        if "fastsoftmax" not in judged:
            break
    mine = rows["fastsoftmax"]
    if "fastsoftmax" not in judged:
        yield mine
        return
    # Next to a fast rival ours finds other caches than next to a slow one: the table has the middle one of its medians.
    times = sorted(row["ours_ns"] for row in rows.values() if "ours_ns" in row)
    if not times:
        times = [compare(judged["fastsoftmax"], judged["fastsoftmax"], source, share)["ns"]]
    mine["ns"] = times[len(times) // 2]
    yield from rows.values()


def failed(failure: Exception) -> dict[str, Any]:
    """The status of a library that is not installed, cannot do this, or fails."""
    why = (str(failure).splitlines() or [""])[0][:200]
    if isinstance(failure, ImportError):
        return {"status": "skipped", "why": why}
    if isinstance(failure, Unsupported):
        return {"status": "unsupported", "why": why}
    return {"status": "error", "why": f"{type(failure).__name__}: {why}"}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = options()
    asked = parser.parse_args(arguments)
    patterns = asked.filter + (["accuracy-"] if asked.accuracy else [])
    selected = [case for case in select(all_cases(), patterns) if suits(case, asked.threads, asked.quick)]
    if not selected:
        parser.error(f"no case fits {', '.join(patterns)} on --threads {asked.threads}; --list shows them")
    if asked.list:
        print("\n".join(f"{case.name:40} {' '.join(case.rivals)}".rstrip() for case in selected))
        return 0
    limit_threads(asked.threads)
    seconds = asked.seconds or (0.05 if asked.quick else 2.0)
    settings = {"threads": [asked.threads], "seconds": seconds, "seed": asked.seed, "quick": asked.quick}
    document = report.document({**settings, "filters": patterns, "rivals": asked.rivals})
    path = asked.json or Path(__file__).parent / "results" / f"{datetime.date.today()}-{report.isa()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"{report.heading(document)}\n\n{report.HEADER}")
    for case in selected:
        case = replace(case, threads=asked.threads, seed=asked.seed)
        rows = list(measure(case, asked.rivals, seconds, 100 if asked.quick else 1 << 20))
        document["rows"] += rows
        # Written after every case, so that a library that takes the process down loses no results.
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(report.table(rows), flush=True)
    print(f"\n{report.summary(document['rows'])}\n\nwritten to {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

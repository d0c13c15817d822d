"""Measure fastsoftmax against whatever is installed: speed and error in one row.

python bench/run.py                          everything, on one thread and then on all
python bench/run.py --quick --filter softmax-f32
FASTSOFTMAX_ISA=avx2 python bench/run.py --baseline bench/results/FILE.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import report
from cases import all_cases, select
from goals import against_baseline, all_goals
from worker import Settings, environment

import fastsoftmax

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Every knob, with its default."""
    options = argparse.ArgumentParser(
        prog="bench/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--threads",
        default="1,all",
        help="numbers of threads with commas between; all = every usable CPU; a process for each (1,all)",
    )
    options.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME",
        help="only this case, or those whose name contains this or matches it as a glob; repeatable",
    )
    options.add_argument(
        "--rivals", type=lambda text: text.split(","), default=[], metavar="A,B", help="only these rivals"
    )
    options.add_argument(
        "--accuracy", action="store_true", help="the accuracy table alone: --filter accuracy-"
    )
    options.add_argument("--seconds", type=positive, help="timing for each case, shared by its rivals (2)")
    options.add_argument("--quick", action="store_true", help="0.3 seconds a case, rows up to 2^17")
    options.add_argument("--seed", type=int, default=0, help="of the inputs (0)")
    options.add_argument(
        "--json", type=Path, metavar="FILE", help="results (bench/results/<date>-<isa>.json)"
    )
    options.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="compare speed and bits with an earlier run on this machine",
    )
    options.add_argument(
        "--no-pin", action="store_true", help="do not stay on one CPU when measuring one thread"
    )
    options.add_argument("--list", action="store_true", help="print the names of the selected cases and stop")
    return options


def positive(text: str) -> float:
    """An argparse type."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def thread_counts(text: str) -> list[int]:
    """'1,all' as numbers, each once; ValueError for anything else."""
    counts: list[int] = []
    for part in text.split(","):
        count = report.usable_cpus() if part.strip() == "all" else int(part)
        if count < 1:
            raise ValueError(f"{count} threads")
        if count not in counts:
            counts.append(count)
    return counts


def run_worker(settings: Settings) -> tuple[list[dict[str, Any]], int]:
    """The rows a worker process wrote, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rows.jsonl"
        output.touch()
        command = [sys.executable, str(HERE / "worker.py"), json.dumps(asdict(settings)), str(output)]
        code = subprocess.run(command, env=environment(settings.threads), check=False).returncode
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()], code


def show(document: dict[str, Any]) -> None:
    """The tables, on standard output."""
    rows = document["rows"]
    isa = document["config"]["isa"]["chosen"]
    print(
        f"{document['machine']['cpu']}, {isa}, "
        + ", ".join(f"{k} {v}" for k, v in document["versions"].items())
    )
    for text in (
        report.speed_table(rows),
        report.filter_table(rows),
        report.shapes_table(rows),
        report.overhead_table(rows),
        report.accuracy_table(rows),
        report.skipped_lines(rows),
        report.goals_table(document["goals"]),
    ):
        if text:
            print(f"\n{text}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 if a measuring process broke off."""
    options = parser()
    asked = options.parse_args(arguments)
    filters = asked.filter + (["accuracy-"] if asked.accuracy else [])
    selected = select(all_cases(), filters)
    if not selected:
        options.error(f"no case matches {', '.join(filters)}; --list shows them")
    if asked.list:
        print("\n".join(f"{case.name:40} {' '.join(case.rivals)}".rstrip() for case in selected))
        return 0
    try:
        counts = thread_counts(asked.threads)
    except ValueError as error:
        options.error(f"--threads: {error}")
    baseline = report.load(asked.baseline) if asked.baseline else None

    config = fastsoftmax.show_config(mode="dicts")
    rows: list[dict[str, Any]] = []
    broken = 0
    for count in counts:
        settings = Settings(
            threads=count,
            pin=not asked.no_pin,
            seconds=asked.seconds or (0.3 if asked.quick else 2.0),
            seed=asked.seed,
            filters=filters,
            rivals=asked.rivals,
            largest_n=1 << 17 if asked.quick else 1 << 20,
        )
        found, code = run_worker(settings)
        rows += found
        if code:
            last = f" after {found[-1]['case']}" if found else ""
            print(f"the measurement on {count} threads broke off{last} (exit code {code})", file=sys.stderr)
            broken = 1

    goals = [goal.measure(rows) for goal in all_goals()]
    if baseline is not None:
        goals += against_baseline(rows, baseline["rows"])
    now = datetime.datetime.now(datetime.UTC)
    document = {
        "schema": report.SCHEMA,
        "date": now.isoformat(timespec="seconds"),
        "machine": report.machine(),
        "config": config,
        "versions": report.versions(),
        "settings": {
            "threads": counts,
            "pinned": settings.pin,
            "seconds": settings.seconds,
            "seed": settings.seed,
            "filters": filters,
            "rivals": asked.rivals,
            "largest_n": settings.largest_n,
        },
        "skipped": report.skipped(rows),
        "rows": rows,
        "goals": goals,
    }
    path = asked.json or HERE / "results" / f"{now:%Y-%m-%d}-{config['isa']['chosen']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(document)
    print(f"\nwritten to {path}")
    return broken


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        # The reader has seen enough; without this, Python would complain once more while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)

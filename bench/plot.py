"""Draw the results of run.py: time against length, the ratios with their errors, the filters.

    python bench/plot.py bench/results/FILE.json [--out docs]

Nothing but the JSON is read, and the same JSON gives the same bytes. The ground is transparent and the colours have the
same contrast on white and on a dark page, because a README is read on both.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report import TOKEN_TABLE, brief_error, load, measured_on, readable_error, readable_time

Row = Mapping[str, Any]
INK, OURS = "#757c85", "#e8491d"
# Name in the pictures and colour of each contender that is drawn; ours appears in its fastest and its slowest form.
STYLE = {
    "fastsoftmax": ("fastsoftmax", OURS),
    "fastsoftmax-new": ("with a new array", OURS),
    "fastsoftmax-call": ("in one call", OURS),
    "torch": ("PyTorch", "#b06a10"),
    "onnxruntime": ("ONNX Runtime", "#2f81d7"),
    "onednn": ("oneDNN", "#6f75e0"),
    "openvino": ("OpenVINO", "#3f7fb0"),
    "tract": ("tract", "#a6602f"),
    "mkl": ("oneMKL", "#4b7d8c"),
    "scipy": ("SciPy", "#1d9380"),
    "numpy": ("NumPy", "#8a62d0"),
    "numpy-choice": ("NumPy choice", "#8a62d0"),
    "numpy-cdf": ("NumPy cumsum", "#c2559d"),
    "numpy-gumbel": ("NumPy Gumbel", "#9c7a55"),
    "llama.cpp": ("llama.cpp", "#2f81d7"),
    "classic": ("RNN helper", "#1d9380"),
    "jax": ("JAX", "#5f8f28"),
    "numba": ("Numba", "#94801a"),
    "vllm": ("vLLM", "#c23b3b"),
    "transformers": ("transformers", "#c2559d"),
}
RATIOS = (
    {
        "softmax-f32-128256": "softmax of 128,256",
        "softmax-f32-32x128256": "softmax of 32 × 128,256",
        "softmax-f32-4096x64": "softmax of 4,096 × 64",
    },
    {
        "softmax-f32-64": "softmax of 64",
        "sample-f32-128256": "one draw from 128,256",
        "sample-f32-4096x64": "draws from 4,096 × 64",
        "sampler-probs-f64-64": "one draw from 64",
    },
)
COLUMNS = (("top_k", "top_k-top_p", "min_p"), ("top_p", "top_p-flat", "typical_p"))
FILTERS = [
    {case: TOKEN_TABLE[2][case] for case in (f"filter-{kind}-f32-128256" for kind in kinds)} for kinds in COLUMNS
]
PANELS = {"softmax": "softmax(x / t) of one row of float32", "sample": "one draw from softmax(x / t)"}
TIMES = (60, 8e7)  # nanoseconds on the axis of the time chart
WIDTH, LINE = 8.8, 0.185  # inches; a line of text
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
RC = {"svg.hashsalt": "fastsoftmax", "svg.fonttype": "none", "font.size": 9, **dict.fromkeys(INKED, INK)}


def figure(height: float, document: Row, title: str = "") -> Figure:
    """A figure with its title at the top and the machine at its foot."""
    drawn = Figure(figsize=(WIDTH, height))
    drawn.text(0.008, 1 - 0.08 / height, title, va="top", size=11)
    drawn.text(0.008, 0.06 / height, measured_on(document), size=8, va="bottom")
    return drawn


def panel(drawn: Figure, left: float, width: float, top: float, height: float, **limits: Any) -> Axes:
    """Axes without a frame; `left` and `width` are parts of the figure, `top` and `height` inches from its top."""
    total = drawn.get_figheight()
    axes = drawn.add_axes((left, 1 - (top + height) / total, width, height / total))
    axes.spines[:].set_visible(False)
    axes.set(xscale="log", **limits)
    axes.minorticks_off()
    axes.tick_params(length=0, labelsize=8)
    return axes


def column(drawn: Figure, number: int, top: float, lines: Sequence[Any], low: float, high: float) -> Axes:
    """One of two columns of bars, a line of text for each of the lines."""
    limits = {"xlim": (low, high), "ylim": (len(lines) - 0.5, -0.5), "xticks": [], "yticks": []}
    return panel(drawn, 0.135 + 0.505 * number, 0.235, top, LINE * len(lines), **limits)


def grouped(rows: Sequence[Row], columns: Sequence[Mapping[str, str]]) -> list[list[tuple[str, Row | None]]]:
    """The lines of each column: the heading of a case, the other contenders from the fastest on, an empty line."""
    found = []
    for labels in columns:
        lines: list[tuple[str, Row | None]] = []
        for case, label in labels.items():
            of_case = {row["contender"]: row for row in rows if row["case"] == case and row["contender"] in STYLE}
            others = sorted((row for row in of_case.values() if "ratio" in row), key=lambda row: row["ratio"])
            if others:
                mine = of_case["fastsoftmax"]
                heading = f"{label}: fastsoftmax {readable_time(mine['ns'])}, {brief_error(mine['error'])}"
                lines += [(heading, None), *((row["contender"], row) for row in others), ("", None)]
        found.append(lines[:-1])
    return found


def bar(axes: Axes, y: int, label: str, ratio: float, end: float, colour: str, note: str, ours: bool) -> None:
    """One line: the label, a bar from 1× on, the ratio behind `end`, and a note at the right."""
    at, small = axes.get_yaxis_transform(), {"va": "center", "size": 8}
    fill = {"facecolor": "none", "edgecolor": colour} if ours else {"color": colour}
    axes.barh(y, ratio - 1, 0.66, left=1, **fill)
    axes.plot([1, 1], [y - 0.5, y + 0.5], color=INK, lw=1)
    axes.text(-0.03, y, label, transform=at, ha="right", va="center", color=OURS if ours else INK)
    offset = {"xytext": (4, 0), "textcoords": "offset points"}
    axes.annotate(f"{ratio:.3g}×", (max(end, 1), y), va="center", weight="bold", **offset)
    axes.text(1.49, y, note, transform=at, ha="right", **small)


def bars(drawn: Figure, columns: Sequence[Sequence[tuple[str, Row | None]]], top: float) -> None:
    """Two columns of bars, with the quartiles of each ratio as a line across its end."""
    most = max(row["ratio_q3"] for lines in columns for _, row in lines if row) ** 1.3
    for number, lines in enumerate(columns):
        axes = column(drawn, number, top, lines, 0.8, most)
        for y, (name, row) in enumerate(lines):
            if row is None:
                axes.text(-0.54, y, name, transform=axes.get_yaxis_transform(), va="center", weight="bold")
                continue
            label, colour = STYLE[name]
            end = max(row["ratio"], row["ratio_q3"])
            bar(axes, y, label, row["ratio"], end, colour, readable_error(row["error"]), colour == OURS)
            axes.plot([row["ratio_q1"], row["ratio_q3"]], [y, y], color=INK, lw=1.5, solid_capstyle="butt")


def ratio_chart(document: Row, rows: Sequence[Row]) -> Figure:
    """How many times as long the others take, with quartiles and errors."""
    columns = grouped(rows, RATIOS)
    title = "How many times as long the others take, and the largest errors (log scale; tv: total variation)"
    drawn = figure(0.7 + LINE * max(map(len, columns)), document, title)
    bars(drawn, columns, 0.4)
    return drawn


def filter_chart(document: Row, rows: Sequence[Row]) -> Figure:
    """The ratios of a draw through filters, and below them our time on every shape of row, the slowest first."""
    shapes: dict[str, list[tuple[float, Row]]] = {}
    mine = {row["case"]: row for row in rows if row["contender"] == "fastsoftmax"}
    for row in rows:
        if row["contender"] == "fastsoftmax-friendly":
            kind = " ".join(f"{name} {value:g}" for name, value in row["options"].items())
            shapes.setdefault(kind, []).append((1 / row["ratio"], mine[row["case"]]))
    columns = grouped(rows, FILTERS)
    above, below = (LINE * max(map(len, part), default=0) for part in (columns, shapes.values()))
    title = "One draw from 128,256 logits through filters: how many times as long the others take (log scale)"
    drawn = figure(1.4 + above + below, document, title)
    bars(drawn, columns, 0.4)
    title = "fastsoftmax by shape of row: how many times as long as for a row with a few large entries"
    drawn.text(0.008, 1 - (0.64 + above) / drawn.get_figheight(), title, va="center", size=11)
    for number, (kind, lines) in enumerate(shapes.items()):
        axes = column(drawn, number, 1.06 + above, lines, 0.6, 20)
        axes.text(-0.54, -1, kind, transform=axes.get_yaxis_transform(), va="center", weight="bold")
        for y, (times, row) in enumerate(sorted(lines, key=lambda line: -line[0])):
            bar(axes, y, row["row"], times, times, OURS, readable_time(row["ns"]), ours=False)
    return drawn


def time_chart(document: Row, rows: Sequence[Row]) -> Figure:
    """Time of a call against the length of the row, both axes logarithmic, every curve labelled at its end."""
    drawn = figure(4.5, document)
    ticks = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]
    for number, (operation, title) in enumerate(PANELS.items()):
        curves: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            one_row = row["operation"] == operation and len(row["shape"]) == 1 and row["dtype"] == "float32"
            if one_row and row["contender"] in STYLE and "ns" in row:
                curves.setdefault(row["contender"], []).append((row["shape"][0], row["ns"]))
        axes = panel(drawn, 0.075 + 0.49 * number, 0.29, 0.35, 3.6, yscale="log", xlim=(8, 1.2e6), ylim=TIMES)
        axes.set_xticks([10, 1_000, 100_000], ["10", "1,000", "100,000"])
        axes.set_yticks(ticks, map(readable_time, ticks))
        axes.minorticks_off()
        axes.grid(color=INK, alpha=0.2, lw=0.7)
        axes.set_title(title, size=10, loc="left")
        axes.set_xlabel("length of the row", size=8)
        names = sorted(curves, key=lambda name: curves[name][-1][1])
        for name, place in zip(names, spread([curves[name][-1][1] for name in names]), strict=True):
            label, colour = STYLE[name]
            ours, dash = name == "fastsoftmax", "--" if name == "fastsoftmax-new" else "-"
            width, size, weight = (2.6, 4, "bold") if ours else (1.2, 2.2, "normal")
            axes.plot(
                *zip(*curves[name], strict=True), dash, color=colour, lw=width, marker="o", ms=size, zorder=2 + ours
            )
            link = {"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)}
            where = {"xytext": (1.06, place), "textcoords": axes.transAxes, "annotation_clip": False}
            text = {"va": "center", "color": colour, "weight": weight}
            axes.annotate(label, curves[name][-1], arrowprops=link, **where, **text)
    return drawn


def overview(document: Row, path: str) -> None:
    """Write a picture of every ratio that was measured: a line for each case, a dot for each rival."""
    ratios = [row for row in document["rows"] if "ratio" in row and row["contender"] in STYLE]
    cases = list(dict.fromkeys(row["case"] for row in ratios))
    names = [name for name in STYLE if any(row["contender"] == name for row in ratios)]
    with matplotlib.rc_context(RC):
        drawn = figure(1.7 + LINE * len(cases), document, "How many times as long the others take (log scale)")
        axes = panel(drawn, 0.34, 0.63, 0.85, LINE * max(1, len(cases)), ylim=(max(1, len(cases)) - 0.5, -0.5))
        axes.grid(color=INK, alpha=0.2, lw=0.7)
        axes.axvline(1, color=INK, lw=1)
        axes.set_yticks(range(len(cases)), cases)
        axes.xaxis.set_major_formatter(lambda ratio, _: f"{ratio:g}×")
        for name in names:
            label, colour = STYLE[name]
            of_name = [(row["ratio"], cases.index(row["case"])) for row in ratios if row["contender"] == name]
            # Ours in another form is a ring; one of two rivals with the same colour is a square.
            fill = "none" if colour == OURS else colour
            marker = "s" if name in ("numpy-choice", "llama.cpp", "classic", "transformers") else "o"
            dots = {"s": 26, "marker": marker, "facecolors": fill, "edgecolors": colour}
            axes.scatter(*zip(*of_name, strict=True), **dots, label=label, zorder=3)
        drawn.legend(ncols=6, frameon=False, loc="upper left", bbox_to_anchor=(0, 1 - 0.3 / drawn.get_figheight()))
        drawn.savefig(path, dpi=150, facecolor="white")


def spread(ends: Sequence[float]) -> list[float]:
    """Heights for labels next to these times, in parts of the axis, moved apart so that none overlap."""
    low, high = map(math.log, TIMES)
    places = [(math.log(end) - low) / (high - low) for end in ends]
    for _ in range(200):
        for index in range(len(places) - 1):
            overlap = 0.047 - (places[index + 1] - places[index])
            if overlap > 0:
                places[index] -= overlap / 2
                places[index + 1] += overlap / 2
    return places


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/plot.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="the JSON that run.py wrote")
    parser.add_argument("--out", type=Path, help="folder for the SVG files (that of the JSON)")
    asked = parser.parse_args(arguments)
    document, folder = load(asked.results), asked.out or asked.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in document["rows"] if row["status"] == "ok" and row["threads"] == 1]
    with matplotlib.rc_context(RC):
        for name, chart in (("time", time_chart), ("ratios", ratio_chart), ("filters", filter_chart)):
            drawn = chart(document, rows)
            drawn.savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draw the results of run.py: time against length, the ratios with their errors, the filters.

    python bench/plot.py bench/results/FILE.json [--out docs] [--threads 1]

Nothing but the JSON is read, and the same JSON gives the same bytes. The ground is transparent and the colours have the
same contrast on white and on a dark page, because a README is read on both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report import load, measured_on, readable_time

Row = Mapping[str, Any]
INK, OURS = "#757c85", "#e8491d"
# Name in the pictures and colour of each contender that is drawn; ours appears in its fastest and its slowest form.
STYLE = {
    "fastsoftmax": ("fastsoftmax", OURS),
    "fastsoftmax-new": ("ours, new array", OURS),
    "fastsoftmax-call": ("ours, one call", OURS),
    "torch": ("PyTorch", "#b06a10"),
    "onnxruntime": ("ONNX Runtime", "#2f81d7"),
    "onednn": ("oneDNN", "#6f75e0"),
    "scipy": ("SciPy", "#1d9380"),
    "numpy": ("NumPy", "#8a62d0"),
    "numpy-choice": ("NumPy choice", "#8a62d0"),
    "numpy-cdf": ("NumPy cumsum", "#c2559d"),
    "numpy-gumbel": ("NumPy Gumbel", "#9c7a55"),
    "llama.cpp": ("llama.cpp", "#2f81d7"),
    "classic": ("RNN helper", "#1d9380"),
    "jax": ("JAX", "#5f8f28"),
    "numba": ("Numba", "#94801a"),
    "transformers": ("transformers", "#c2559d"),
}
RATIOS = (
    {
        "softmax-f32-128256": "softmax of 128,256",
        "softmax-f32-32x128256": "softmax of 32 × 128,256",
        "softmax-f32-4096x64": "softmax of 4,096 × 64",
        "softmax-f32-64": "softmax of 64",
    },
    {
        "sample-f32-128256": "one draw from 128,256",
        "sample-f32-4096x64": "a draw from each of 4,096 × 64",
        "sampler-probs-f64-64": "Sampler, one draw from 64",
    },
)
FILTERS = (
    {
        "filter-top_k-f32-128256": "top_k 50",
        "filter-top_k-top_p-f32-128256": "top_k 50, top_p 0.95",
        "filter-min_p-f32-128256": "min_p 0.05",
    },
    {
        "filter-top_p-f32-128256": "top_p 0.95",
        "filter-top_p-flat-f32-128256": "top_p 0.95 of a flat row",
        "filter-typical_p-f32-128256": "typical_p 0.95",
    },
)
WIDTH, LINE = 8.6, 0.185  # inches; a line of text
RC = {
    "svg.hashsalt": "fastsoftmax",
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def figure(height: float, document: Row, threads: int) -> Figure:
    """A figure with the machine at its foot."""
    drawn = Figure(figsize=(WIDTH, height))
    drawn.text(0.01, 0.06 / height, measured_on(document, threads), size=8, va="bottom")
    return drawn


def panel(drawn: Figure, left: float, width: float, top: float, height: float) -> Axes:
    """Axes without a frame; `left` and `width` are parts of the figure, `top` and `height` inches from its top."""
    total = drawn.get_figheight()
    axes = drawn.add_axes((left, 1 - (top + height) / total, width, height / total), facecolor="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.minorticks_off()
    return axes


def brief(error: Row | None) -> str:
    """An error in a few characters."""
    if not error:
        return ""
    if error["kind"] == "ulp":
        return f"{error['max_ulp']:.2g} ulp" if error["max_ulp"] < 100 else f"{error['max_ulp']:.0f} ulp"
    if error["kind"] == "filter":
        return f"{error['wrongly_kept'] + error['wrongly_dropped']} of {error['kept']:,} wrong"
    return ("" if error["draws"] else f"tv {error['total_variation']:.0e}") + (" draws p = 0" if error["zero_drawn"] else "")


def bars(drawn: Figure, rows: Sequence[Row], groups: Sequence[Mapping[str, str]], top: float) -> float:
    """Two columns of bars from 1× on, a group for each case; returns their height in inches."""
    found = {(row["case"], row["contender"]): row for row in rows}
    columns = []
    for labels in groups:
        lines: list[tuple[str, Row | None]] = []
        for case, label in labels.items():
            others = [row for (name, who), row in found.items() if name == case and who in STYLE and "ratio" in row]
            if others:
                mine = found[case, "fastsoftmax"]
                heading = f"{label}: {readable_time(mine['ns'])}"
                lines += [(", ".join(filter(None, [heading, brief(mine["error"])])), None)]
                lines += [(row["contender"], row) for row in sorted(others, key=lambda row: row["ratio"])]
                lines += [("", None)]
        columns.append(lines[:-1])
    most, height = max(row["ratio_q3"] for lines in columns for _, row in lines if row), LINE * max(map(len, columns))
    for number, lines in enumerate(columns):
        axes = panel(drawn, 0.115 + 0.5 * number, 0.27, top, LINE * len(lines))
        axes.set(xscale="log", xlim=(0.8, most * 1.1), ylim=(len(lines) - 0.5, -0.5), xticks=[], yticks=[])
        for y, (name, row) in enumerate(lines):
            if row is None:
                axes.text(-0.4, y, name, transform=axes.get_yaxis_transform(), va="center", weight="bold", color=OURS)
                continue
            label, colour = STYLE[name]
            style = {"facecolor": "none", "edgecolor": colour} if colour == OURS else {"color": colour}
            axes.barh(y, row["ratio"] - 1, 0.66, left=1, **style)
            axes.plot([row["ratio_q1"], row["ratio_q3"]], [y, y], color=INK, lw=1.5, solid_capstyle="butt")
            axes.text(-0.03, y, label, transform=axes.get_yaxis_transform(), ha="right", va="center")
            end = max(row["ratio"], row["ratio_q3"], 1)
            axes.annotate(f"{row['ratio']:.3g}×", (end, y), (4, 0), textcoords="offset points", va="center", weight="bold")
            axes.text(1.43, y, brief(row["error"]), transform=axes.get_yaxis_transform(), ha="right", va="center", size=8)
        for y in (y for y, (_, row) in enumerate(lines) if row):
            axes.plot([1, 1], [y - 0.5, y + 0.5], color=INK, lw=1)
    return height


def ratio_chart(document: Row, rows: Sequence[Row], threads: int) -> Figure:
    """How many times as long the others take, with quartiles and errors."""
    found = {row["case"] for row in rows}
    count = [sum(1 + sum(1 for row in rows if row["case"] == case and row["contender"] in STYLE and "ratio" in row) + 1 for case in labels if case in found) for labels in RATIOS]
    drawn = figure(0.4 + LINE * max(count) + 0.2, document, threads)
    drawn.text(0.01, 1 - 0.06 / drawn.get_figheight(), "How many times as long the others take, and their errors", va="top", size=11)
    bars(drawn, rows, RATIOS, 0.4)
    return drawn


def filter_chart(document: Row, rows: Sequence[Row], threads: int) -> Figure:
    """The ratios of a draw through filters, and below them our time on every shape of row."""
    panels: dict[str, list[tuple[Row, float]]] = {}
    mine = {row["case"]: row for row in rows if row["contender"] == "fastsoftmax"}
    for row in rows:
        if row["contender"] == "fastsoftmax-friendly" and row["case"] in mine:
            kind = " ".join(f"{name} {value:g}" for name, value in row["options"].items())
            panels.setdefault(kind, []).append((mine[row["case"]], 1 / row["ratio"]))
    above = LINE * max(sum(2 + sum(row["case"] == case and row["contender"] in STYLE and "ratio" in row for row in rows) for case in labels) for labels in FILTERS)
    below = LINE * max(map(len, panels.values()), default=0)
    drawn = figure(0.4 + above + 0.65 + below + 0.3, document, threads)
    height = drawn.get_figheight()
    drawn.text(0.01, 1 - 0.06 / height, "One draw from 128,256 logits through filters: how many times as long the others take", va="top", size=11)
    bars(drawn, rows, FILTERS, 0.4)
    title = "Our time by shape of row, and how many times that of a row with a few large entries"
    drawn.text(0.01, 1 - (0.5 + above) / height, title, va="center", size=11)
    for number, (kind, shapes) in enumerate(panels.items()):
        shapes = sorted(shapes, key=lambda pair: -pair[1])
        axes = panel(drawn, 0.135 + 0.5 * number, 0.25, 0.85 + above, LINE * len(shapes))
        axes.set(xscale="log", xlim=(0.3, 10), ylim=(len(shapes) - 0.5, -0.5), xticks=[], yticks=[])
        for y, (row, times) in enumerate(shapes):
            axes.barh(y, times - 1, 0.66, left=1, color=OURS)
            axes.text(-0.03, y, row["row"], transform=axes.get_yaxis_transform(), ha="right", va="center")
            axes.annotate(f"{times:.2g}×", (max(times, 1), y), (4, 0), textcoords="offset points", va="center", weight="bold")
            axes.text(1.43, y, readable_time(row["ns"]), transform=axes.get_yaxis_transform(), ha="right", va="center", size=8)
        axes.axvline(1, color=INK, lw=1)
        axes.set_title(kind, size=9, weight="bold", color=OURS, loc="left", x=-0.43, pad=4)
    return drawn


def time_chart(document: Row, rows: Sequence[Row], threads: int) -> Figure:
    """Time of a call against the length of the row, both axes logarithmic, every curve labelled at its end."""
    drawn = figure(4.3, document, threads)
    titles = {"softmax": "softmax(x / t) of one row of float32", "sample": "one draw from softmax(x / t)"}
    for number, (operation, title) in enumerate(titles.items()):
        curves: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            one_row = row["operation"] == operation and len(row["shape"]) == 1 and row["dtype"] == "float32"
            if one_row and row["contender"] in STYLE and "ns" in row:
                curves.setdefault(row["contender"], []).append((row["shape"][0], row["ns"]))
        axes = panel(drawn, 0.075 + 0.485 * number, 0.295, 0.42, 3.3)
        axes.set(xscale="log", yscale="log", xlim=(8, 1.2e6), ylim=(60, 3e8))
        axes.set_xticks([10, 1_000, 100_000], ["10", "1,000", "100,000"])
        axes.set_yticks([1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8], map(readable_time, [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8]))
        axes.grid(color=INK, alpha=0.2, lw=0.7)
        axes.set_title(title, size=10, loc="left")
        axes.set_xlabel("length of the row", size=8)
        ends = sorted((points[-1][1], name) for name, points in curves.items() if points.sort() is None)
        places = spread([end for end, _ in ends])
        for (end, name), place in zip(ends, places, strict=True):
            label, colour = STYLE[name]
            ours = {"lw": 2.6, "marker": "o", "ms": 4, "zorder": 3} if name == "fastsoftmax" else {"lw": 1.2, "marker": "o", "ms": 2.2}
            dashes = "--" if colour == OURS and name != "fastsoftmax" else "-"
            axes.plot(*zip(*curves[name], strict=True), dashes, color=colour, **ours)
            axes.annotate(label, (curves[name][-1][0], end), (1.05, place), textcoords=axes.transAxes, va="center", color=colour,
                          weight="bold" if name == "fastsoftmax" else "normal", annotation_clip=False,
                          arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)})
    return drawn


def spread(ends: Sequence[float]) -> list[float]:
    """Heights for labels next to these times, in parts of the axis, moved apart so that none overlap."""
    import math

    low, high = math.log(60), math.log(3e8)
    places = [(math.log(end) - low) / (high - low) for end in ends]
    for _ in range(200):
        for index in range(len(places) - 1):
            overlap = 0.052 - (places[index + 1] - places[index])
            if overlap > 0:
                places[index] -= overlap / 2
                places[index + 1] += overlap / 2
    return places


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/plot.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="the JSON that run.py wrote")
    parser.add_argument("--out", type=Path, help="folder for the SVG files (that of the JSON)")
    parser.add_argument("--threads", type=int, default=1, help="which number of threads (1)")
    asked = parser.parse_args(arguments)
    document, folder = load(asked.results), asked.out or asked.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in document["rows"] if row["status"] == "ok" and row["threads"] == asked.threads]
    with matplotlib.rc_context(RC):
        for name, chart in (("time", time_chart), ("ratios", ratio_chart), ("filters", filter_chart)):
            chart(document, rows, asked.threads).savefig(folder / f"{name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draw the results of run.py as two SVG files: time against n, and the ratios with their errors.

    python bench/plot.py bench/results/FILE.json [--out FOLDER] [--threads 1]

Nothing but the JSON is read and nothing but Python is needed. The colours have the same contrast on white and
on a dark page, and the ground is transparent: a README is read on both, and an SVG cannot know on which.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from report import load, readable_error, readable_time

Row = Mapping[str, Any]

# Relative luminance near 0.19, where black and white ground are equally far (4.4 : 1).
INK = "#757c85"
RULE = "#757c85"
COLOURS = {
    "fastsoftmax": "#e8491d",
    "torch": "#b06a10",
    "onnxruntime": "#2f81d7",
    "onednn": "#6f75e0",
    "scipy": "#1d9380",
    "numpy": "#8a62d0",
    "numpy-choice": "#8a62d0",
    "numpy-cdf": "#c2559d",
    "numpy-gumbel": "#9c7a55",
    "llama.cpp": "#2f81d7",
    "classic": "#1d9380",
    "jax": "#5f8f28",
    "numba": "#94801a",
}
LABELS = {
    "fastsoftmax": "fastsoftmax",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "onednn": "oneDNN",
    "scipy": "SciPy",
    "numpy": "NumPy",
    "numpy-choice": "NumPy choice",
    "numpy-cdf": "NumPy cumsum",
    "numpy-gumbel": "NumPy Gumbel",
    "classic": "classic helper",
    "jax": "JAX",
    "numba": "Numba",
}
PANELS = {"softmax": "softmax(x / t), one row of float32", "sample": "one draw from softmax(x / t)"}
GROUPS = {
    "softmax-f32-128256": "softmax, 128,256",
    "softmax-f32-32x128256": "softmax, 32 × 128,256",
    "softmax-f32-4096x64": "softmax, 4,096 × 64",
    "softmax-f32-64": "softmax, 64",
    "sample-f32-128256": "one draw, 128,256",
    "sample-f32-4096x64": "4,096 draws, × 64",
    "sampler-probs-f64-64": "Sampler, 64",
}
STYLE = (
    f"text{{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:{INK}}}"
    ".title{font-size:14px;font-weight:600}.ours{font-weight:700}.small{font-size:11px}"
)


class Drawing:
    """An SVG file in the making."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._size = width, height
        self._title = title
        self._parts: list[str] = []

    def element(self, tag: str, content: str = "", **attributes: str | float) -> None:
        """Add an element; an underscore in a name stands for a hyphen, and numbers keep one decimal."""
        written = []
        for name, value in attributes.items():
            text = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
            written.append(f"{name.strip('_').replace('_', '-')}={quoteattr(text)}")
        start = f"<{tag} {' '.join(written)}"
        self._parts.append(f"{start}/>" if not content else f"{start}>{escape(content)}</{tag}>")

    def text(self, x: float, y: float, content: str, **attributes: str | float) -> None:
        self.element("text", content, x=x, y=y, **attributes)

    def rule(self, x1: float, y1: float, x2: float, y2: float, opacity: str = "0.25") -> None:
        self.element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=RULE, stroke_opacity=opacity)

    def __str__(self) -> str:
        width, height = self._size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" role="img">'
        )
        lines = [head, f"<title>{escape(self._title)}</title>", f"<style>{STYLE}</style>", *self._parts]
        return "\n".join([*lines, "</svg>"]) + "\n"


class LogScale:
    """Positions on a logarithmic axis."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high
        self._origin = math.log10(low)
        self._start = start
        self._slope = (end - start) / (math.log10(high) - self._origin)

    def __call__(self, value: float) -> float:
        return self._start + self._slope * (math.log10(value) - self._origin)

    def decades(self) -> list[float]:
        """The powers of ten on the axis."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**exponent for exponent in range(first, last + 1)]


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The positions moved as little as needed to lie `gap` apart within [low, high], in their order."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [positions[index] for index in order]
    for _ in range(200):
        for index in range(len(placed) - 1):
            overlap = gap - (placed[index + 1] - placed[index])
            if overlap > 0:
                placed[index] -= overlap / 2
                placed[index + 1] += overlap / 2
        placed = [min(max(position, low), high) for position in placed]
    result = [0.0] * len(positions)
    for index, position in zip(order, placed, strict=True):
        result[index] = position
    return result


def curves(rows: Iterable[Row], operation: str, threads: int) -> dict[str, list[tuple[int, float]]]:
    """(n, nanoseconds) of every contender of a panel, over the cases of one float32 row."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        one_row = len(row["shape"]) == 1 and row["dtype"] == "float32" and row["operation"] == operation
        known = row["contender"] in COLOURS
        if one_row and known and row["threads"] == threads and row["status"] == "ok" and "ns" in row:
            found.setdefault(row["contender"], []).append((row["shape"][0], row["ns"]))
    return {name: sorted(points) for name, points in found.items()}


def caption(document: Row, threads: int) -> str:
    """On what it was measured."""
    isa = document["config"]["isa"]["chosen"]
    on = "one thread" if threads == 1 else f"{threads} threads"
    return f"{document['machine']['cpu']}, {isa}, {on}, {document['date'][:10]}"


def time_chart(document: Row, threads: int = 1) -> str:
    """Time of a call against the length of the row, both axes logarithmic."""
    panels = {name: curves(document["rows"], name, threads) for name in PANELS}
    panels = {name: lines for name, lines in panels.items() if lines}
    points = [point for lines in panels.values() for line in lines.values() for point in line]
    if not points:
        raise ValueError(f"no case of one float32 row was measured on {threads} threads")
    left, plot_width, label_width, top, plot_height = 58, 300, 112, 44, 300
    panel_width = plot_width + label_width
    width, height = left + len(panels) * panel_width + (len(panels) - 1) * 26, top + plot_height + 62
    drawing = Drawing(width, height, "Time of a call against the length of the row")
    longest, least, most = max(p[0] for p in points), min(p[1] for p in points), max(p[1] for p in points)
    shortest = min(p[0] for p in points)
    times = LogScale(least / 1.5, most * 1.5, top + plot_height, top)
    for number, (name, lines) in enumerate(panels.items()):
        start = left + number * (panel_width + 26)
        lengths = LogScale(shortest / 1.2, longest * 1.2, start, start + plot_width)
        drawing.text(start, 22, PANELS[name], class_="title")
        for decade in times.decades():
            drawing.rule(start, times(decade), start + plot_width, times(decade))
            if number == 0:
                y = times(decade) + 4
                drawing.text(start - 8, y, readable_time(decade), text_anchor="end", class_="small")
        for decade in lengths.decades():
            x = lengths(decade)
            drawing.rule(x, top, x, top + plot_height, opacity="0.12")
            label = f"{decade:,.0f}"
            drawing.text(x, top + plot_height + 18, label, text_anchor="middle", class_="small")
        middle = start + plot_width / 2
        drawing.text(middle, top + plot_height + 36, "n", text_anchor="middle", font_style="italic")
        _draw_lines(drawing, lines, lengths, times, start + plot_width + 10, (top, top + plot_height))
    drawing.text(left, height - 6, caption(document, threads), class_="small")
    return str(drawing)


def _draw_lines(
    drawing: Drawing,
    lines: Mapping[str, list[tuple[int, float]]],
    lengths: LogScale,
    times: LogScale,
    label_x: float,
    span: tuple[float, float],
) -> None:
    """The curves, ours last and on top, each with its name at its right end."""
    names = sorted(lines, key=lambda name: name == "fastsoftmax")
    ends = [times(lines[name][-1][1]) for name in names]
    places = spread(ends, 15, span[0] + 4, span[1] - 2)
    for name, end, place in zip(names, ends, places, strict=True):
        ours = name == "fastsoftmax"
        colour = COLOURS[name]
        points = [(lengths(n), times(time)) for n, time in lines[name]]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        drawing.element("path", d=path, fill="none", stroke=colour, stroke_width=3.0 if ours else 1.6)
        for x, y in points:
            drawing.element("circle", cx=x, cy=y, r=3.2 if ours else 2.2, fill=colour)
        link = f"M{points[-1][0] + 4:.1f} {end:.1f}L{label_x - 3:.1f} {place:.1f}"
        drawing.element("path", d=link, fill="none", stroke=colour, stroke_opacity="0.5")
        style = f"fill:{colour}"
        drawing.text(label_x, place + 4, LABELS.get(name, name), style=style, class_="ours" if ours else "")


def ratio_chart(document: Row, threads: int = 1) -> str:
    """How many times as long the others take, with quartiles, and the error of each beside it."""
    groups = []
    for case, label in GROUPS.items():
        rows = [r for r in document["rows"] if r["case"] == case and r["threads"] == threads]
        mine = [r for r in rows if r["contender"] == "fastsoftmax" and r["status"] == "ok"]
        others = [r for r in rows if "ratio" in r and r["contender"] in COLOURS]
        if mine and others:
            groups.append((label, mine[0], sorted(others, key=lambda r: r["ratio"])))
    if not groups:
        raise ValueError(f"none of {', '.join(GROUPS)} was measured on {threads} threads")
    line, heading, left, plot_width, width = 19, 30, 150, 430, 760
    height = 62 + sum(heading + line * len(rows) for _, _, rows in groups) + 26
    drawing = Drawing(width, height, "How many times as long the others take")
    ratios = [r for _, _, rows in groups for r in rows]
    low = min([0.8, *(r["ratio_q1"] / 1.1 for r in ratios)])
    scale = LogScale(low, max([10.0, *(r["ratio_q3"] for r in ratios)]) * 1.1, left, left + plot_width)
    drawing.text(8, 22, "How many times as long the others take, and how wrong each is", class_="title")
    drawing.text(width - 8, 46, "error", text_anchor="end", class_="small")
    bottom = height - 30
    for decade in scale.decades():
        drawing.rule(scale(decade), 52, scale(decade), bottom)
        drawing.text(scale(decade), 46, f"{decade:g}×", text_anchor="middle", class_="small")
    drawing.rule(scale(1), 52, scale(1), bottom, opacity="1")
    y = 62.0
    for label, mine, rows in groups:
        drawing.text(8, y + 14, label, class_="ours")
        style = f"fill:{COLOURS['fastsoftmax']}"
        drawing.text(
            scale(1) + 8, y + 14, f"fastsoftmax {readable_time(mine['ns'])}", style=style, class_="ours"
        )
        error = brief_error(mine["error"])
        drawing.text(width - 8, y + 14, error, text_anchor="end", style=style, class_="ours")
        y += heading - 8
        for row in rows:
            _draw_bar(drawing, row, scale, y)
            drawing.text(left - 10, y + 12, LABELS.get(row["contender"], row["contender"]), text_anchor="end")
            drawing.text(width - 8, y + 12, brief_error(row["error"]), text_anchor="end")
            y += line
        y += 8
    drawing.text(8, height - 8, caption(document, threads), class_="small")
    return str(drawing)


def _draw_bar(drawing: Drawing, row: Row, scale: LogScale, y: float) -> None:
    """A bar from 1× to the ratio, the quartiles as a line across its end."""
    start, end = sorted((scale(1), scale(row["ratio"])))
    colour, length = COLOURS[row["contender"]], max(end - start, 0.5)
    drawing.element("rect", x=start, y=y + 3, width=length, height=11, rx=2.0, fill=colour)
    x1, x2 = scale(row["ratio_q1"]), scale(row["ratio_q3"])
    drawing.element("line", x1=x1, x2=x2, y1=y + 8.5, y2=y + 8.5, stroke=INK, stroke_width=2.0)
    drawing.text(max(end, x2) + 8, y + 12, f"{row['ratio']:.3g}×")


def brief_error(error: Row) -> str:
    """The error without the number of draws it was found from."""
    if error["kind"] == "draw":
        figure = f"tv {error['total_variation']:.1g}" if error["draws"] == 0 else "tv within chance"
        return figure + (", draws p = 0" if error["zero_drawn"] else "")
    return readable_error(error)


def main(arguments: list[str] | None = None) -> int:
    """Write time.svg and ratios.svg."""
    options = argparse.ArgumentParser(prog="bench/plot.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("results", type=Path, help="the JSON that run.py wrote")
    options.add_argument("--out", type=Path, help="folder for time.svg and ratios.svg (that of the JSON)")
    options.add_argument(
        "--threads", type=int, default=1, help="which of the measured numbers of threads (1)"
    )
    asked = options.parse_args(arguments)
    document = load(asked.results)
    folder = asked.out or asked.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in (("time", time_chart), ("ratios", ratio_chart)):
        try:
            picture = chart(document, asked.threads)
        except ValueError as error:
            print(f"{name}.svg not drawn: {error}", file=sys.stderr)
            return 1
        path = folder / f"{name}.svg"
        path.write_text(picture, encoding="utf-8")
        print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The parts that the plots are made of: an SVG file, a logarithmic axis, bars of ratios with their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from report import readable_error, readable_time

Row = Mapping[str, Any]
# A label, our row of the case, and those of the others.
Group = tuple[str, Row, list[Row]]

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
    "transformers": "#c2559d",
    "llama.cpp-copy": "#6f75e0",
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
    "llama.cpp-copy": "llama.cpp, copy",
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


def caption(document: Row, threads: int) -> str:
    """On what it was measured."""
    isa = document["config"]["isa"]["chosen"]
    on = "one thread" if threads == 1 else f"{threads} threads"
    return f"{document['machine']['cpu']}, {isa}, {on}, {document['date'][:10]}"


RATIO_WIDTH, _LINE, _HEADING, _LEFT, _PLOT_WIDTH = 760, 19, 30, 150, 430


def ratio_groups(rows: Sequence[Row], labels: Mapping[str, str], threads: int) -> list[Group]:
    """The measured cases among the labelled ones, the others in the order of their ratios."""
    groups = []
    for case, label in labels.items():
        of_case = [r for r in rows if r["case"] == case and r["threads"] == threads]
        mine = [r for r in of_case if r["contender"] == "fastsoftmax" and r["status"] == "ok"]
        others = [r for r in of_case if "ratio" in r and r["contender"] in COLOURS]
        if mine and others:
            groups.append((label, mine[0], sorted(others, key=lambda r: r["ratio"])))
    return groups


def ratio_height(groups: Sequence[Group]) -> int:
    """The height of the bars of these groups, with the axis above them."""
    return 62 + sum(_HEADING + _LINE * len(rows) for _, _, rows in groups)


def draw_ratios(drawing: Drawing, groups: Sequence[Group]) -> None:
    """Bars from 1× on, ours as the heading of each group, the errors at the right."""
    ratios = [r for _, _, rows in groups for r in rows]
    low = min([0.8, *(r["ratio_q1"] / 1.1 for r in ratios)])
    scale = LogScale(low, max([10.0, *(r["ratio_q3"] for r in ratios)]) * 1.1, _LEFT, _LEFT + _PLOT_WIDTH)
    drawing.text(RATIO_WIDTH - 8, 46, "error", text_anchor="end", class_="small")
    bottom = ratio_height(groups) - 4
    for decade in scale.decades():
        drawing.rule(scale(decade), 52, scale(decade), bottom)
        drawing.text(scale(decade), 46, f"{decade:g}×", text_anchor="middle", class_="small")
    drawing.rule(scale(1), 52, scale(1), bottom, opacity="1")
    style = f"fill:{COLOURS['fastsoftmax']}"
    y = 62.0
    for label, mine, rows in groups:
        drawing.text(8, y + 14, label, class_="ours")
        time = f"fastsoftmax {readable_time(mine['ns'])}"
        drawing.text(scale(1) + 8, y + 14, time, style=style, class_="ours")
        error = brief_error(mine["error"])
        drawing.text(RATIO_WIDTH - 8, y + 14, error, text_anchor="end", style=style, class_="ours")
        y += _HEADING - 8
        for row in rows:
            _draw_bar(drawing, row, scale, y)
            name = str(row["contender"])
            drawing.text(_LEFT - 10, y + 12, LABELS.get(name, name), text_anchor="end")
            drawing.text(RATIO_WIDTH - 8, y + 12, brief_error(row["error"]), text_anchor="end")
            y += _LINE
        y += 8


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
    if error["kind"] == "filter":
        return f"{error['wrongly_kept'] + error['wrongly_dropped']} wrong of {error['kept']:,}"
    return readable_error(error)

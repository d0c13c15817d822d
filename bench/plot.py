"""Draw the results of run.py as SVG files: time against n, the ratios with their errors, the filters.

    python bench/plot.py bench/results/FILE.json [--out FOLDER] [--threads 1]

Nothing but the JSON is read and nothing but Python is needed. The colours have the same contrast on white and
on a dark page, and the ground is transparent: a README is read on both, and an SVG cannot know on which.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from drawing import (
    COLOURS,
    LABELS,
    RATIO_WIDTH,
    Drawing,
    LogScale,
    Row,
    caption,
    draw_ratios,
    ratio_groups,
    ratio_height,
    spread,
)
from report import filter_name, load, readable_time, shapes

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
FILTER_GROUPS = {
    "filter-top_k-f32-128256": "top_k 50",
    "filter-top_k-top_p-f32-128256": "top_k 50, top_p 0.95",
    "filter-top_p-f32-128256": "top_p 0.95",
    "filter-top_p-normal3-f32-128256": "top_p 0.95, spread 3",
    "filter-top_p-flat-f32-128256": "top_p 0.95, flat row",
    "filter-min_p-f32-128256": "min_p 0.05",
    "filter-typical_p-f32-128256": "typical_p 0.95",
}
SHAPE_PANELS = {"top_k=50": "top_k 50", "top_p=0.95": "top_p 0.95"}


def curves(rows: Iterable[Row], operation: str, threads: int) -> dict[str, list[tuple[int, float]]]:
    """(n, nanoseconds) of every contender of a panel, over the cases of one float32 row."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        one_row = len(row["shape"]) == 1 and row["dtype"] == "float32" and row["operation"] == operation
        known = row["contender"] in COLOURS
        if one_row and known and row["threads"] == threads and row["status"] == "ok" and "ns" in row:
            found.setdefault(row["contender"], []).append((row["shape"][0], row["ns"]))
    return {name: sorted(points) for name, points in found.items()}


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
    groups = ratio_groups(document["rows"], GROUPS, threads)
    if not groups:
        raise ValueError(f"none of {', '.join(GROUPS)} was measured on {threads} threads")
    height = ratio_height(groups) + 26
    drawing = Drawing(RATIO_WIDTH, height, "How many times as long the others take")
    drawing.text(8, 22, "How many times as long the others take, and how wrong each is", class_="title")
    draw_ratios(drawing, groups)
    drawing.text(8, height - 8, caption(document, threads), class_="small")
    return str(drawing)


def filter_chart(document: Row, threads: int = 1) -> str:
    """The ratios of a draw through the filters, and below them our time on every shape of row."""
    groups = ratio_groups(document["rows"], FILTER_GROUPS, threads)
    if not groups:
        raise ValueError(f"none of {', '.join(FILTER_GROUPS)} was measured on {threads} threads")
    measured = shapes([row for row in document["rows"] if row["threads"] == threads])
    panels = {name: [pair for pair in measured if filter_name(pair[0]) == name] for name in SHAPE_PANELS}
    panels = {name: pairs for name, pairs in panels.items() if pairs}
    below = ratio_height(groups) + 10
    height = below + 26
    if panels:
        height += 40 + 19 * max(map(len, panels.values()))
    drawing = Drawing(RATIO_WIDTH, height, "Choosing the next token")
    title = "One draw from 128,256 logits: how many times as long the others take"
    drawing.text(8, 22, title, class_="title")
    draw_ratios(drawing, groups)
    for number, (name, pairs) in enumerate(panels.items()):
        left = 8.0 + number * RATIO_WIDTH / 2
        drawing.text(left, below + 14, f"{SHAPE_PANELS[name]}: our time by shape of row", class_="title")
        _draw_shapes(drawing, pairs, left, below + 24)
    drawing.text(8, height - 8, caption(document, threads), class_="small")
    return str(drawing)


def _draw_shapes(drawing: Drawing, pairs: Sequence[tuple[Row, Row]], left: float, top: float) -> None:
    """A bar for each shape, from the time of the peaked row to its own, both on a logarithmic axis."""
    times = [1 / beside["ratio"] for _, beside in pairs]
    peaked = sorted(beside["ns"] for _, beside in pairs)[len(pairs) // 2]
    start = left + 116
    scale = LogScale(min(0.5, *times) / 1.1, max(3.0, *times), start, start + 130)
    for number, ((mine, _), multiple) in enumerate(zip(pairs, times, strict=True)):
        y = top + 19 * number
        drawing.text(start - 8, y + 12, mine["row"], text_anchor="end")
        x1, x2 = sorted((scale(1), scale(multiple)))
        length = max(x2 - x1, 0.5)
        drawing.element("rect", x=x1, y=y + 3, width=length, height=11, rx=2.0, fill=COLOURS["fastsoftmax"])
        drawing.text(x2 + 8, y + 12, f"{readable_time(mine['ns'])}, {multiple:.1f}×")
    bottom = top + 19 * len(pairs)
    drawing.rule(scale(1), top, scale(1), bottom, opacity="1")
    label = f"a peaked row: {readable_time(peaked)}"
    drawing.text(scale(1), bottom + 10, label, text_anchor="middle", class_="small")


def main(arguments: list[str] | None = None) -> int:
    """Write time.svg, ratios.svg and filters.svg; 1 if nothing could be drawn."""
    options = argparse.ArgumentParser(prog="bench/plot.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("results", type=Path, help="the JSON that run.py wrote")
    options.add_argument("--out", type=Path, help="folder for the SVG files (that of the JSON)")
    options.add_argument(
        "--threads", type=int, default=1, help="which of the measured numbers of threads (1)"
    )
    asked = options.parse_args(arguments)
    document = load(asked.results)
    folder = asked.out or asked.results.parent
    folder.mkdir(parents=True, exist_ok=True)
    drawn = 0
    for name, chart in (("time", time_chart), ("ratios", ratio_chart), ("filters", filter_chart)):
        try:
            picture = chart(document, asked.threads)
        except ValueError as error:
            print(f"{name}.svg not drawn: {error}", file=sys.stderr)
            continue
        path = folder / f"{name}.svg"
        path.write_text(picture, encoding="utf-8")
        print(f"written to {path}")
        drawn += 1
    return 0 if drawn else 1


if __name__ == "__main__":
    sys.exit(main())

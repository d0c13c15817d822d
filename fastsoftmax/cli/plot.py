"""The command plot: one row of logits, its softmax at several temperatures, as a picture."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastsoftmax import softmax
from fastsoftmax.cli.errors import DataError
from fastsoftmax.cli.reading import read_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float64s = npt.NDArray[np.float64]

# More bars than this cannot be told apart in a panel: a longer row is plotted by rank.
MOST_BARS = 60
MOST_COLUMNS = 4
MOST_TEMPERATURES = 12
PICTURES = ".png, .svg or .pdf"

# Smaller probabilities are not shown: an axis down to 1e-300 would squeeze the others together.
LEAST_SHOWN = 1e-12

INK = "#333333"


def run_plot(arguments: argparse.Namespace) -> None:
    """``fastsoftmax plot``."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DataError(
            "plot needs matplotlib, which is not installed: pip install 'fastsoftmax[demo]'"
        ) from None
    row, place = _read_row(arguments)
    try:
        probs = [np.asarray(softmax(row, at), dtype=np.float64) for at in arguments.temperature]
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: {error}") from None
    if np.isnan(probs).any():
        raise DataError(f"{place}: no distribution to plot: the row has NaN, or no entry above -inf")
    figure = Figure(layout="constrained", facecolor="white")
    if len(row) <= MOST_BARS:
        _draw_bars(figure, probs, arguments.temperature)
    else:
        _draw_ranks(figure, probs, arguments.temperature)
    figure.savefig(arguments.output, dpi=150)
    print(arguments.output)


def _read_row(arguments: argparse.Namespace) -> tuple[npt.NDArray[Any], str]:
    numbers = read_numbers(arguments.numbers)
    if numbers.array.size == 0:
        raise DataError(f"{numbers.source}: no numbers")
    array = np.atleast_1d(numbers.array)
    rows = array.reshape(-1, array.shape[-1])
    if arguments.row >= len(rows):
        raise DataError(f"{numbers.source}: no row {arguments.row}: the rows are 0 to {len(rows) - 1}")
    return rows[arguments.row], numbers.place(arguments.row)


def _colors(count: int) -> list[Any]:
    """From cold to hot."""
    from matplotlib import colormaps

    return [colormaps["plasma"](0.05 + 0.75 * i / max(1, count - 1)) for i in range(count)]


def _draw_bars(figure: Figure, probs: list[Float64s], temperatures: list[float]) -> None:
    """A panel for each temperature, all to one scale."""
    count, entries = len(probs), len(probs[0])
    lines = math.ceil(count / MOST_COLUMNS)
    columns = math.ceil(count / lines)
    figure.set_size_inches(max(5.0, 3.0 * columns), 0.4 + 2.6 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, row, temperature, color in zip(panels, probs, temperatures, _colors(count), strict=False):
        bars = axes.bar(np.arange(entries), row, width=0.8, color=color)
        if entries <= 6:
            axes.bar_label(bars, [f"{p:.3g}" for p in row], padding=2, fontsize=8, color=INK)
        axes.set_title(f"temperature {temperature:g}", fontsize=11, color=INK)
        axes.set_xlim(-0.7, entries - 0.3)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        _plain(axes)
    panels[0].set_ylim(0, 1.1 * max(float(row.max()) for row in probs))
    for axes in panels[count:]:
        axes.set_visible(False)
    figure.supxlabel("entry", fontsize=10, color=INK)
    figure.supylabel("probability", fontsize=10, color=INK)


def _draw_ranks(figure: Figure, probs: list[Float64s], temperatures: list[float]) -> None:
    """Probability by rank, a curve for each temperature, both scales logarithmic."""
    figure.set_size_inches(7.5, 4.8)
    axes = figure.subplots()
    for row, temperature, color in zip(probs, temperatures, _colors(len(probs)), strict=True):
        ranked = np.sort(row)[::-1]
        shown = ranked[ranked >= LEAST_SHOWN]
        marker = "o" if len(shown) == 1 else None
        ranks = np.arange(1, len(shown) + 1)
        axes.loglog(ranks, shown, color=color, linewidth=2, marker=marker, label=f"{temperature:g}")
    axes.set_xlabel(f"rank among {len(probs[0]):,} entries", color=INK)
    axes.set_ylabel("probability", color=INK)
    axes.legend(title="temperature", frameon=False)
    axes.grid(axis="x", color="#eeeeee")
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)

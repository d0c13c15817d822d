"""main_job: learn, write, measure, race, and the report of it."""

from __future__ import annotations

import textwrap
from time import perf_counter

from fastsoftmax import Sampler
from fastsoftmax.demo.measures import measure, words
from fastsoftmax.demo.model import CharModel
from fastsoftmax.demo.progress import progress_bar
from fastsoftmax.demo.race import ROUNDS, Result, race
from fastsoftmax.demo.writing import write

TEMPERATURES = (0.2, 0.5, 1.0, 1.5)
RACE_TEMPERATURE = 0.5
LINES_SHOWN = 4
WIDTH = 96


def main_job(source: str, name: str, seed: int, length: int, order: int) -> str:
    """Learn a text, write text at four temperatures, time three ways to draw, and report.

    Parameters
    ----------
    source : str
        The text to learn.
    name : str
        Its name in the report.
    seed : int
        Seed of every generator; the same seed gives the same texts from the same source.
    length : int
        Symbols written and measured at each temperature.
    order : int
        Order of the model.

    Returns
    -------
    str
        The report, lines of less than 100 characters.
    """
    vocabulary = set(words(source))
    with progress_bar(order + 2 + len(TEMPERATURES) + ROUNDS) as advance:
        begin = perf_counter()
        model = CharModel(source, order, lambda: advance("learning"))
        for state in range(model.states):
            model.logits(state)
        learned = perf_counter() - begin
        advance("learning")
        paragraphs = [
            "What temperature does: a character model learns a text and writes on by itself.",
            f"Learned in {learned:.1f} s from {name}:\n"
            f"{len(source):,} symbols, {len(model.alphabet)} different; "
            f"order {order}; {model.states:,} contexts.\n"
            f"It writes {length:,} symbols at each temperature: the same symbols whenever the seed ({seed})\n"
            "and the version of Python, with its topics, are the same.",
        ]
        start = model.state_after("\n")
        for temperature in TEMPERATURES:
            symbols, _ = write(model.logits, model.advance, Sampler(temperature, rng=seed), length, start)
            measures = measure(model, vocabulary, symbols, start, temperature)
            excerpt = _excerpt("".join(model.alphabet[symbol] for symbol in symbols))
            paragraphs.append(f"temperature {temperature}   {measures}\n{excerpt}")
            advance("writing")
        results = race(model, RACE_TEMPERATURE, seed, progress=lambda: advance("racing"))
    return "\n\n".join([*paragraphs, _race_table(results, len(model.alphabet))])


def _excerpt(text: str) -> str:
    lines = [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, WIDTH - 4)]
    return textwrap.indent("\n".join(lines[:LINES_SHOWN]), "    ")


def _race_table(results: list[Result], symbols: int) -> str:
    lines = [
        f"This very loop at temperature {RACE_TEMPERATURE}: three ways to draw from {symbols} probabilities,",
        f"measured just now, on one thread, taking turns; medians of {ROUNDS} rounds.\n",
        "                        whole loop (model's look-ups + draw)      the draw alone",
        "                         symbols/s    µs/symbol   times ours     µs/draw  times ours",
    ]
    for result in results:
        lines.append(
            f"{result.name:<22}{1 / result.loop_seconds:>12,.0f}{result.loop_seconds * 1e6:>13.2f}"
            f"{result.loop_ratio:>13.1f}{result.draw_seconds * 1e6:>12.2f}{result.draw_ratio:>12.1f}"
        )
    lines += [
        "\nSampler draws from the model's logits, the others from its probabilities: one look-up either way.",
        "The helper casts to float64: without that multinomial stops with an error wherever float32",
        "probabilities sum to more than 1. Its warnings about the logarithm of 0 are silenced.",
    ]
    return "\n".join(lines)

"""The commands that write text: demo and generate."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TextIO

import numpy as np

from fastsoftmax import Sampler
from fastsoftmax.cli.errors import DataError
from fastsoftmax.cli.reading import STDIN, read_bytes
from fastsoftmax.demo.corpus import decode, documentation
from fastsoftmax.demo.measures import measure, words
from fastsoftmax.demo.model import CharModel
from fastsoftmax.demo.progress import progress_bar
from fastsoftmax.demo.report import main_job
from fastsoftmax.demo.writing import write

Temperature = float | Callable[[Any], Any]

# Symbols in one write: few enough to watch the text grow, and to notice a closed pipe.
AT_ONCE = 4096


def run_demo(arguments: argparse.Namespace) -> None:
    """``fastsoftmax demo``, and ``fastsoftmax`` alone."""
    name = f"the documentation topics of Python {platform.python_version()}"
    print(main_job(_documentation(), name, arguments.seed, arguments.length, arguments.order))


def run_generate(arguments: argparse.Namespace) -> None:
    """``fastsoftmax generate``."""
    source = _documentation() if arguments.text is None else _read_text(arguments.text)
    with progress_bar(arguments.order + 1) as advance:
        try:
            model = CharModel(source, arguments.order, lambda: advance("learning"))
        except ValueError as error:
            raise DataError(f"{_shown(arguments.text)}: {error}") from None
    vocabulary = set() if arguments.quiet else set(words(source))
    temperatures: list[Temperature] = arguments.temperature
    if arguments.anneal is not None:
        temperatures = [arguments.anneal(arguments.length)]
    with ExitStack() as stack:
        output: TextIO = sys.stdout
        if arguments.output is not None:
            # surrogateescape: bytes of --start that are not UTF-8 are written unchanged.
            output = stack.enter_context(
                open(arguments.output, "w", encoding="utf-8", errors="surrogateescape", newline="\n")
            )
        for index, temperature in enumerate(temperatures):
            if len(temperatures) > 1:
                output.write(f"{chr(10) if index else ''}temperature {temperature}\n\n")
            # Without --start a text begins like a line of the source.
            start = model.state_after("\n" + arguments.start)
            output.write(arguments.start)
            sampler = Sampler(temperature, rng=arguments.seed, **arguments.filters)
            symbols = _write_out(model, sampler, start, arguments.length, output)
            if not arguments.quiet and sys.stderr is not None:
                at = temperature(np.arange(arguments.length)) if callable(temperature) else temperature
                print(measure(model, vocabulary, symbols, start, at, arguments.filters), file=sys.stderr)


def _write_out(model: CharModel, sampler: Sampler, state: int, length: int, output: TextIO) -> list[int]:
    """Write `length` symbols and a newline as they are drawn."""
    symbols: list[int] = []
    while len(symbols) < length:
        at_once = min(AT_ONCE, length - len(symbols))
        more, state = write(model.logits, model.advance, sampler, at_once, state)
        output.write("".join(model.alphabet[symbol] for symbol in more))
        output.flush()
        symbols += more
    output.write("\n")
    output.flush()
    return symbols


def _documentation() -> str:
    try:
        return documentation()
    except ImportError:
        raise DataError("this Python has no documentation topics (pydoc_data): use generate --text FILE") from None


def _read_text(name: str) -> str:
    try:
        return decode(read_bytes(name, "the text to learn"))
    except ValueError as error:
        raise DataError(f"{_shown(name)}: {error}") from None


def _shown(name: str | None) -> str:
    return STDIN if name == "-" else str(name)

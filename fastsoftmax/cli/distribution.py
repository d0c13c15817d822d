"""The commands on numbers: softmax, sample and truncate."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastsoftmax import log_softmax, sample, sample_probs, softmax, truncate
from fastsoftmax.cli.errors import DataError
from fastsoftmax.cli.reading import Numbers, read_numbers
from fastsoftmax.cli.writing import format_for, write_array


def run_softmax(arguments: argparse.Namespace) -> None:
    """``fastsoftmax softmax``."""
    numbers = read_numbers(arguments.numbers)
    function = log_softmax if arguments.log else softmax
    try:
        result = function(numbers.array, arguments.temperature, axis=arguments.axis)
    except (ValueError, TypeError) as error:
        raise DataError(f"{numbers.source}: {error}") from None
    write_array(result, _format(arguments), arguments.output, arguments.digits)


def run_sample(arguments: argparse.Namespace) -> None:
    """``fastsoftmax sample``."""
    numbers = read_numbers(arguments.numbers)
    try:
        result = np.asarray(_draw(numbers, arguments, "raise"))
    except (ValueError, TypeError) as error:
        # The advice after the semicolon is for callers of the function.
        reason = str(error).partition(";")[0]
        raise DataError(f"{_place_of_bad_row(numbers, arguments)}: {reason}") from None
    in_text = _format(arguments) == "text"
    # In text the draws of a row are on one line.
    by_line = result[..., np.newaxis] if in_text and arguments.size is None else result
    write_array(by_line, _format(arguments), arguments.output)


def run_truncate(arguments: argparse.Namespace) -> None:
    """``fastsoftmax truncate``."""
    numbers = read_numbers(arguments.numbers)
    try:
        result = truncate(
            numbers.array, arguments.temperature, axis=arguments.axis, rng=arguments.seed, **arguments.filters
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{numbers.source}: {error}") from None
    write_array(result, _format(arguments), arguments.output, arguments.digits)


def _draw(numbers: Numbers, arguments: argparse.Namespace, on_invalid: str) -> Any:
    function: Any = sample_probs if arguments.probs else sample
    return function(
        numbers.array,
        arguments.temperature,
        axis=arguments.axis,
        size=arguments.size,
        u=arguments.u,
        rng=arguments.seed,
        on_invalid=on_invalid,
        **arguments.filters,
    )


def _place_of_bad_row(numbers: Numbers, arguments: argparse.Namespace) -> str:
    """The line of the first row that cannot be drawn from; the source if the error is another one."""
    rows_are_lines = numbers.text is not None and arguments.axis in (-1, 1)
    try:
        drawn = np.asarray(_draw(numbers, arguments, "flag")) if rows_are_lines else np.zeros(1)
    except (ValueError, TypeError):
        return numbers.source
    flagged = drawn.reshape(len(drawn), -1)
    bad = np.flatnonzero(flagged[:, 0] < 0)
    return numbers.place(int(bad[0])) if len(bad) else numbers.source


def _format(arguments: argparse.Namespace) -> str:
    return arguments.format or format_for(arguments.output)

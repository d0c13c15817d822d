"""The commands, their options, and the parsing of both."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fastsoftmax import __version__, schedules
from fastsoftmax._args.filters import PARAMETERS, as_filters
from fastsoftmax._args.steps import STEPS
from fastsoftmax.cli.bench import run_bench
from fastsoftmax.cli.distribution import run_sample, run_softmax, run_truncate
from fastsoftmax.cli.info import run_info
from fastsoftmax.cli.plot import MOST_TEMPERATURES, PICTURES, run_plot
from fastsoftmax.cli.reading import is_numbers
from fastsoftmax.cli.text import run_demo, run_generate
from fastsoftmax.cli.writing import DIGITS, FORMATS
from fastsoftmax.demo.model import ORDER

Run = Callable[[argparse.Namespace], None]
Schedule = schedules.constant | schedules.linear | schedules.exponential | schedules.cosine

ANNEALINGS: dict[str, Callable[[float, float, float], Schedule]] = {
    "linear": schedules.linear,
    "exponential": schedules.exponential,
    "cosine": schedules.cosine,
}

DEFAULT_COMMAND = "demo"

# Filters with an option of their own; --filter sets the others, and XTC's coin.
COMMON_FILTERS = (
    "top_k", "top_p", "min_p", "p_less", "typical_p", "min_tokens_to_keep", "temperature_last", "keep",
)  # fmt: skip
OTHER_FILTERS = (*(name for name in PARAMETERS if name not in (*COMMON_FILTERS, "order")), "xtc_u")

# Options whose value is text, even if it looks like a number.
TAKE_TEXT = frozenset({"--start", "--text", "-o", "--output", "--json", "--plot"})

NUMBERS_HELP = "numbers (one row), or a file: .npy, or text with a row on each line (default: standard input)"


def parse(argv: Sequence[str]) -> tuple[Run, argparse.Namespace]:
    """The command to run and its arguments; exits with status 2 if they are wrong."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what a word may be completed to
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = parser.parse_args(_with_command(_protect_numbers(argv)))
    try:
        arguments.filters = _filters_of(arguments)
    except ValueError as error:
        arguments.usage_error(str(error))
    return arguments.run, arguments


def _with_command(argv: list[str]) -> list[str]:
    """Insert the default command where there is none."""
    if argv and (not argv[0].startswith("-") or argv[0] in ("-h", "--help", "--version")):
        return argv
    return [DEFAULT_COMMAND, *argv]


def _protect_numbers(argv: Sequence[str]) -> list[str]:
    """Keep argparse from taking -1e5 and -inf for options: put a blank in front of them."""
    return [
        f" {argument}" if argument.startswith("-") and is_numbers(argument) and before not in TAKE_TEXT else argument
        for before, argument in zip(["", *argv], argv, strict=False)
    ]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fastsoftmax",
        allow_abbrev=False,
        description="Softmax with temperature, and drawing from it. Without a command, demo.",
        epilog="Exit status: 0 done, 1 bad data, 2 bad usage, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"fastsoftmax {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True, parser_class=_Parser)

    def add(name: str, run: Run, help: str) -> argparse.ArgumentParser:
        description = f"{help[0].upper()}{help[1:]}."
        command = commands.add_parser(name, help=help, description=description, allow_abbrev=False)
        command.set_defaults(run=run, usage_error=command.error)
        return command

    demo = add(DEFAULT_COMMAND, run_demo, "the main job: a character model writes text at four temperatures")
    demo.add_argument("--seed", type=_at_least(0), default=0, help="seed of the generators (default 0)")
    demo.add_argument(
        "--length", type=_at_least(1), default=4000, help="symbols at each temperature (default %(default)s)"
    )
    _add_order(demo)

    generate = add("generate", run_generate, "write text like a given one")
    generate.add_argument(
        "--text", metavar="FILE", help="UTF-8 text to learn, - for standard input (default: that of demo)"
    )
    how = generate.add_mutually_exclusive_group()
    how.add_argument(
        "-t",
        "--temperature",
        type=_temperatures,
        default=[1.0],
        metavar="T[,T...]",
        help="one or more temperatures (default 1)",
    )
    how.add_argument(
        "--anneal",
        type=_schedule,
        metavar="KIND:START:END[:STEPS]",
        help="change the temperature from symbol to symbol: linear, exponential or cosine from START to END "
        "over STEPS symbols (default: all); or constant:VALUE",
    )
    _add_nucleus(generate)
    generate.add_argument("--length", type=_at_least(1), default=500, help="symbols to write (default 500)")
    generate.add_argument("--seed", type=_at_least(0), help="seed, to write the same text again")
    generate.add_argument("--start", default="", metavar="TEXT", help="text to continue")
    _add_order(generate)
    generate.add_argument("-o", "--output", type=_output, metavar="FILE", help="write to FILE, not to standard output")
    generate.add_argument("-q", "--quiet", action="store_true", help="no measures on standard error")

    softmax = add("softmax", run_softmax, "probabilities from logits, row by row")
    _add_numbers(softmax)
    softmax.add_argument("--log", action="store_true", help="their logarithms instead")
    _add_digits(softmax)

    sample = add("sample", run_sample, "indices drawn from the softmax of logits, row by row")
    _add_numbers(sample)
    sample.add_argument("--probs", action="store_true", help="the numbers are probabilities, not logits")
    sample.add_argument("--size", type=_at_least(1), help="draws from each row (default: one)")
    randomness = sample.add_mutually_exclusive_group()
    randomness.add_argument("--seed", type=_at_least(0), help="seed, to get the same draws again")
    randomness.add_argument("--u", type=_uniforms, metavar="U[,U...]", help="uniforms in [0, 1) to draw with")
    _add_filters(sample)

    truncate = add("truncate", run_truncate, "logits divided by the temperature, -inf for those that the filters drop")
    _add_numbers(truncate)
    _add_digits(truncate)
    truncate.add_argument("--seed", type=_at_least(0), help="seed of the coins of XTC")
    _add_filters(truncate)

    plot = add("plot", run_plot, "a picture of the softmax of logits at several temperatures")
    plot.add_argument("numbers", nargs="*", metavar="NUMBER|FILE", help=NUMBERS_HELP)
    plot.add_argument(
        "-t",
        "--temperature",
        type=_few_temperatures,
        default=[0.2, 0.5, 1.0, 2.0],
        metavar="T[,T...]",
        help=f"up to {MOST_TEMPERATURES} temperatures (default 0.2,0.5,1,2)",
    )
    plot.add_argument("--row", type=_at_least(0), default=0, help="which row, from 0 (default 0)")
    plot.add_argument(
        "-o",
        "--output",
        type=_picture,
        default="softmax.png",
        metavar="FILE",
        help=f"{PICTURES} (default %(default)s)",
    )

    bench = add("bench", run_bench, "the quick benchmark: fastsoftmax beside the libraries installed here")
    bench.add_argument(
        "--filter", dest="cases", action="append", metavar="NAME", help="only cases with this in their names"
    )
    bench.add_argument(
        "--rivals", type=lambda text: text.split(","), metavar="A[,B...]", help="only these rivals (default: all)"
    )
    bench.add_argument("--seconds", type=_number, metavar="S", help="time for each rival in each case (default 0.02)")
    bench.add_argument("--list", action="store_true", help="list the cases and their rivals, measure nothing")
    bench.add_argument("--plot", type=_picture, metavar="FILE", help=f"draw the ratios: {PICTURES}")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")

    add("info", run_info, "version, instruction sets found and chosen")
    return parser


def _add_order(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--order", type=_at_least(0, 32), default=ORDER, help=f"longest context in symbols (default {ORDER})"
    )


def _add_digits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--digits",
        type=_at_least(1, 17),
        default=DIGITS,
        help="significant digits in text, 1 to 17 (default %(default)s)",
    )


def _add_nucleus(command: argparse._ActionsContainer) -> None:
    """The most common filters."""
    command.add_argument("--top-k", type=_at_least(0), metavar="K", help="keep the K most likely (0: all)")
    command.add_argument(
        "--top-p", type=_number, metavar="P", help="keep the most likely until their probability is P (1: all)"
    )
    command.add_argument(
        "--min-p", type=_number, metavar="P", help="keep symbols with at least P times the largest probability (0: all)"
    )


def _add_filters(command: argparse.ArgumentParser) -> None:
    filters = command.add_argument_group("filters", "Applied in the order of docs/semantics/filters.md.")
    _add_nucleus(filters)
    filters.add_argument(
        "--typical-p", type=_number, metavar="P", help="keep the most typical until their probability is P"
    )
    filters.add_argument(
        "--p-less", action="store_const", const=True, help="keep what is as likely as that two draws are equal"
    )
    filters.add_argument(
        "--min-tokens-to-keep", type=_at_least(1), metavar="N", help="each filter keeps at least N (default 1)"
    )
    filters.add_argument(
        "--temperature-last",
        action="store_const",
        const=True,
        help="filter at temperature 1, then apply the temperature",
    )
    filters.add_argument(
        "--order",
        dest="filter_order",
        type=_names,
        metavar="NAME[,...]",
        help=f"the order of the filters, of {', '.join(STEPS)}",
    )
    filters.add_argument("--keep", type=_indices, metavar="I[,...]", help="indices that no filter drops")
    filters.add_argument(
        "--filter",
        type=_settings,
        action="append",
        default=[],
        metavar="NAME=VALUE[,...]",
        help=f"other filters: {', '.join(OTHER_FILTERS)}",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().replace("-", "_") for name in text.split(",") if name.strip())


def _indices(text: str) -> tuple[int, ...]:
    return tuple(map(_at_least(0), text.split(",")))


def _settings(text: str) -> dict[str, float]:
    """The value of --filter: filters by name."""
    settings = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if name not in OTHER_FILTERS:
            raise argparse.ArgumentTypeError(f"{part.strip()!r} is not the NAME=VALUE of a filter")
        settings[name] = _number(value)
    return settings


def _filters_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The filters given on the command line, as keyword arguments of `sample`."""
    filters = {name: vars(arguments)[name] for name in COMMON_FILTERS if vars(arguments).get(name) is not None}
    for settings in vars(arguments).get("filter", []):
        filters |= settings
    if vars(arguments).get("filter_order") is not None:  # --order of other commands is that of the model
        filters["order"] = arguments.filter_order
    coin = filters.pop("xtc_u", None)
    checked = as_filters(filters)
    if coin is not None:
        if not 0 <= coin < 1:
            raise ValueError(f"xtc_u must be in [0, 1); got {coin}")
        return filters | {"xtc_u": coin}
    if checked is not None and checked.needs_coin and vars(arguments).get("u") is not None:
        raise ValueError("--u is given and XTC is on: give its coin too, --filter xtc_u=U")
    return filters


def _add_numbers(command: argparse.ArgumentParser) -> None:
    command.add_argument("numbers", nargs="*", metavar="NUMBER|FILE", help=NUMBERS_HELP)
    command.add_argument(
        "-t", "--temperature", type=_temperature, default=1.0, metavar="T", help="0 to inf (default 1)"
    )
    command.add_argument(
        "--axis", type=_axis, default=-1, help="axis of the entries; none: the whole array (default -1)"
    )
    command.add_argument(
        "--format", choices=FORMATS, help="format of the result (default: by the suffix of -o, or text)"
    )
    command.add_argument("-o", "--output", type=_output, metavar="FILE", help="write to FILE, not to standard output")


def _at_least(least: int, most: int | None = None) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text.strip()!r} is not a whole number {bounds}")
        return number

    return whole_number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text.strip()!r} is not a number") from None


def _temperature(text: str) -> float:
    number = _number(text)
    if math.isnan(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text.strip()!r} is not a temperature: a number from 0 to inf")
    return number


def _temperatures(text: str) -> list[float]:
    return list(map(_temperature, text.split(",")))


def _few_temperatures(text: str) -> list[float]:
    temperatures = _temperatures(text)
    if len(temperatures) > MOST_TEMPERATURES:
        raise argparse.ArgumentTypeError(f"{len(temperatures)} temperatures are too many: at most {MOST_TEMPERATURES}")
    return temperatures


def _uniforms(text: str) -> list[float] | float:
    uniforms = list(map(_number, text.split(",")))
    for number in uniforms:
        if not 0 <= number < 1:
            raise argparse.ArgumentTypeError(f"{number!r} is not in [0, 1)")
    return uniforms if len(uniforms) > 1 else uniforms[0]


def _axis(text: str) -> int | None:
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor none") from None


def _output(text: str) -> str | None:
    return None if text == "-" else text


def _picture(text: str) -> str:
    if not text.lower().endswith((".png", ".svg", ".pdf")):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {PICTURES}")
    return text


def _schedule(text: str) -> Callable[[int], Schedule]:
    """The value of --anneal: a function from the number of steps to the schedule."""
    kind, *fields = text.split(":")
    try:
        if kind == "constant" and len(fields) == 1:
            constant = schedules.constant(_temperature(fields[0]))
            return lambda steps: constant
        if kind in ANNEALINGS and len(fields) in (2, 3):
            make = ANNEALINGS[kind]
            start, end = map(_temperature, fields[:2])
            given = _at_least(1)(fields[2]) if len(fields) == 3 else None
            make(start, end, given or 1)
            return lambda steps: make(start, end, given or steps)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a schedule such as linear:1.5:0.2, linear:1.5:0.2:1000 or constant:1"
    )

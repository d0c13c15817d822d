"""Read numbers from arguments, standard input, text files and .npy files."""

from __future__ import annotations

import io
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsoftmax.cli.errors import DataError
from fastsoftmax.demo.corpus import decode

STDIN = "standard input"

_NPY_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = b"PK\x03\x04"

_TOKEN = re.compile(r"[^\s,]+|,")

# NumPy would open a file of one of these suffixes as compressed.
_COMPRESSED = (".gz", ".bz2", ".xz")


@dataclass(frozen=True)
class Numbers:
    """An array and where it came from."""

    array: npt.NDArray[Any]
    source: str
    text: Callable[[], str] | None = None
    """where the source is text: that text"""

    def place(self, row: int) -> str:
        """How an error names the place of a row."""
        if self.text is None:
            return self.source
        lines = [number for number, _ in _lines_with_numbers(self.text())]
        return f"{self.source}, line {lines[row]}"


def read_numbers(arguments: Sequence[str]) -> Numbers:
    """The numbers in the arguments, or in the file that they name; without arguments, in standard input.

    Numbers in the arguments are one row (1-D); a text has a row on each line (2-D, also with one line); a
    .npy file has its own shape.
    """
    if not arguments or list(arguments) == ["-"]:
        return _parse(read_bytes("-", "numbers, a row on each line"), STDIN)
    if all(map(is_numbers, arguments)):
        return Numbers(np.array(_parse_line(",".join(arguments), "arguments")), "arguments")
    if len(arguments) > 1:
        wrong = next(argument for argument in arguments if not is_numbers(argument))
        raise DataError(f"arguments: {wrong!r} is not a number (give numbers, or one file)")
    name = arguments[0]
    try:
        return _load_text_file(name) or _parse(read_bytes(name), name)
    except FileNotFoundError:
        raise DataError(f"{name!r} is neither a number nor a file") from None


def is_numbers(text: str) -> bool:
    """Whether `text` is a number, or several separated by commas."""
    try:
        return bool([float(field) for field in text.split(",")])
    except ValueError:
        return False


def read_bytes(name: str, what: str = "") -> bytes:
    """All of a file, or of standard input for ``-``; a terminal is told that `what` is expected there."""
    if name != "-":
        with open(name, "rb") as file:
            return file.read()
    if sys.stdin is None:
        raise DataError(f"{STDIN}: closed")
    if sys.stdin.isatty() and sys.stderr is not None:
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        print(f"fastsoftmax: type {what}; {end} ends the input", file=sys.stderr, flush=True)
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise DataError(f"{STDIN}: {error.strerror}") from None


def _parse(data: bytes, source: str) -> Numbers:
    if data.startswith(_NPY_MAGIC):
        return Numbers(_parse_npy(data, source), source)
    if data.startswith(_ZIP_MAGIC):
        raise DataError(f"{source}: a zip archive; give one array (.npy), not an archive of them (.npz)")
    try:
        text = decode(data)
    except ValueError as error:
        raise DataError(f"{source}: neither .npy nor text ({error})") from None
    lines = text.split("\n")
    array = _loadtxt(lines, lines, lambda: data)
    if array is None:
        array = _parse_text(text, source)
    return Numbers(array, source, lambda: text)


def _load_text_file(name: str) -> Numbers | None:
    """The numbers in a file, which NumPy reads in pieces; None where it takes `_parse` to say what is wrong."""
    if not os.path.isfile(name) or name.lower().endswith(_COMPRESSED):
        return None
    with open(name, "rb") as file:
        head = file.read(1 << 16)
        if head.startswith((_NPY_MAGIC, _ZIP_MAGIC)):
            return None
    first_lines = head.decode("utf-8", "replace").splitlines()
    # An absolute path, as NumPy would look for one with :// in the network.
    array = _loadtxt(os.path.abspath(name), first_lines, lambda: read_bytes(name))
    return None if array is None else Numbers(array, name, lambda: decode(read_bytes(name)))


def _loadtxt(
    source: str | list[str], first_lines: Sequence[str], data: Callable[[], bytes]
) -> npt.NDArray[np.float64] | None:
    """The rows by NumPy's reader; None unless they are those of `_parse_text`, which takes 7 to 15 times as long."""
    first = next((line for line in first_lines if _content(line)), "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no numbers at all
            array = np.loadtxt(source, delimiter="," if "," in first else None, ndmin=2, encoding="utf-8-sig")
    except (ValueError, UserWarning):
        return None
    # NumPy takes what is beyond the range for infinite.
    infinite = int(np.isinf(array).sum())
    if infinite and (b"#" in data() or data().lower().count(b"inf") != infinite):
        return None
    return array


def _content(line: str) -> str:
    """A line without its comment; empty if nothing else is in it."""
    content = line.partition("#")[0]
    return content if content.strip() else ""


def _lines_with_numbers(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, from 1 on."""
    return ((number, content) for number, line in enumerate(text.split("\n"), 1) if (content := _content(line)))


def _parse_text(text: str, source: str) -> npt.NDArray[np.float64]:
    """Every notation, and every error with its line and its column."""
    rows: list[list[float]] = []
    first = 0
    for number, content in _lines_with_numbers(text):
        row = _parse_line(content, f"{source}, line {number}")
        first = first or number
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{source}, line {number}: {len(row)} numbers where line {first} has {len(rows[0])}")
        rows.append(row)
    if not rows:
        raise DataError(f"{source}: no numbers")
    return np.array(rows)


def _parse_line(line: str, place: str) -> list[float]:
    """Numbers separated by blanks or by one comma."""
    numbers: list[float] = []
    expected = False
    for token in _TOKEN.finditer(line):
        here = f"{place}, column {token.start() + 1}"
        if token[0] != ",":
            numbers.append(_parse_number(token[0], here))
        elif expected or not numbers:
            raise DataError(f"{here}: a number is missing before the comma")
        expected = token[0] == ","
    if expected:
        raise DataError(f"{place}: a number is missing after the last comma")
    return numbers


def _parse_number(text: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise DataError(f"{place}: {shown!r} is not a number") from None
    if math.isinf(number) and "inf" not in text.lower():
        raise DataError(f"{place}: beyond the range of a 64-bit float (write inf for infinity)")
    return number


def _parse_npy(data: bytes, source: str) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
        # Compare before anything is allocated: a damaged header may give any size.
        held, needed = len(data) - stream.tell(), math.prod(shape) * dtype.itemsize
        if held < needed and not dtype.hasobject:
            raise DataError(f"{source}: truncated: {held} of {needed} bytes of data")
        stream.seek(0)
        array: npt.NDArray[Any] = np.load(stream, allow_pickle=False)
    except DataError:
        raise
    except Exception as error:
        # NumPy parses the header as Python source, which raises many kinds of errors for a damaged one.
        raise DataError(f"{source}: not a readable .npy file ({error})") from None
    return array

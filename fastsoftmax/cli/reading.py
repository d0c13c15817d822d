"""Read numbers from arguments, standard input, text files and .npy files."""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Numbers:
    """An array and where it came from."""

    array: npt.NDArray[Any]
    source: str
    lines: Sequence[int] | None = None
    """the line of each row, where the source is text"""

    def place(self, row: int) -> str:
        """How an error names the place of a row."""
        return self.source if self.lines is None else f"{self.source}, line {self.lines[row]}"


def read_numbers(arguments: Sequence[str]) -> Numbers:
    """The numbers in the arguments, or in the file that they name; without arguments, in standard input.

    Numbers in the arguments are one row (1-D); a text has a row on each line (2-D, also with one line); a
    .npy file has its own shape.
    """
    if not arguments or list(arguments) == ["-"]:
        return _parse(read_bytes("-"), STDIN)
    if all(map(is_numbers, arguments)):
        return Numbers(np.array(_parse_line(",".join(arguments), "arguments")), "arguments")
    if len(arguments) > 1:
        wrong = next(argument for argument in arguments if not is_numbers(argument))
        raise DataError(f"arguments: {wrong!r} is not a number (give numbers, or one file)")
    try:
        return _parse(read_bytes(arguments[0]), arguments[0])
    except FileNotFoundError:
        raise DataError(f"{arguments[0]!r} is neither a number nor a file") from None


def is_numbers(text: str) -> bool:
    """Whether `text` is a number, or several separated by commas."""
    try:
        return bool([float(field) for field in text.split(",")])
    except ValueError:
        return False


def read_bytes(name: str) -> bytes:
    """All of a file, or of standard input for ``-``."""
    if name != "-":
        with open(name, "rb") as file:
            return file.read()
    if sys.stdin is None:
        raise DataError(f"{STDIN}: closed")
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
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.partition("#")[0]
        if not content.strip():
            continue
        row = _parse_line(content, f"{source}, line {number}")
        if rows and len(row) != len(rows[0]):
            raise DataError(
                f"{source}, line {number}: {len(row)} numbers where line {lines[0]} has {len(rows[0])}"
            )
        rows.append(row)
        lines.append(number)
    if not rows:
        raise DataError(f"{source}: no numbers")
    return Numbers(np.array(rows), source, lines)


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

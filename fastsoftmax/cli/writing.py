"""Write arrays as text, .npy or JSON."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

FORMATS = ("text", "npy", "json")
DIGITS = 3


def format_for(path: str | None) -> str:
    """The format by the suffix of a file: npy or json; otherwise text."""
    suffix = "" if path is None else path.lower().rpartition(".")[2]
    return suffix if suffix in ("npy", "json") else "text"


def write_array(array: npt.NDArray[Any], format: str, path: str | None, digits: int = DIGITS) -> None:
    """Write to a file, or to standard output without one.

    Parameters
    ----------
    array : numeric ndarray
    format : {"text", "npy", "json"}
    path : str or None
    digits : int, default 3
        Significant digits in text; .npy and JSON are exact.
    """
    if format == "npy":
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        data = stream.getvalue()
    elif format == "json":
        numbers = array.tolist() if np.isfinite(array).all() else _json_value(array.tolist())
        data = (json.dumps(numbers, allow_nan=False) + "\n").encode()
    else:
        data = "".join(f"{line}\n" for line in _text_lines(array, digits)).encode()
    write_bytes(data, path)


def write_bytes(data: bytes, path: str | None) -> None:
    """Write to a file, or to standard output without one."""
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        with open(path, "wb") as file:
            file.write(data)


def _text_lines(array: npt.NDArray[Any], digits: int) -> Iterator[str]:
    """Rows as lines; an empty line between matrices, two between stacks of them, and so on."""
    if array.ndim > 2:
        for index, part in enumerate(array):
            if index:
                yield from [""] * (array.ndim - 2)
            yield from _text_lines(part, digits)
    else:
        matrix = np.atleast_2d(array)
        # One format for a line takes half the time of one for a number.
        line = " ".join([f"%.{digits}g" if array.dtype.kind == "f" else "%d"] * matrix.shape[1])
        yield from (line % tuple(row) for row in matrix.tolist())


def _json_value(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become strings, which Python's float() reads as numbers."""
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value

"""The parameters of the truncation filters: checked, and laid out as the kernels read them.

A scalar is one record, an array a record for each row; a parameter that is None has the value that switches its
filter off.  What each filter keeps: docs/semantics.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import Array, Rows, any_array, as_float64

# fs_filters of csrc/fastsoftmax.h, every field of 8 bytes, with the value that switches the filter off.
_FIELDS: dict[str, tuple[type, Any]] = {
    "top_k": (np.int64, 0),
    "top_p": (np.float64, 1.0),
    "min_p": (np.float64, 0.0),
    "typical_p": (np.float64, 1.0),
    "top_n_sigma": (np.float64, 0.0),
    "epsilon_cutoff": (np.float64, 0.0),
    "eta_cutoff": (np.float64, 0.0),
    "xtc_threshold": (np.float64, 1.0),
    "xtc_probability": (np.float64, 0.0),
    "surprise": (np.float64, math.inf),
    "dynatemp_range": (np.float64, 0.0),
    "dynatemp_exponent": (np.float64, 1.0),
    "min_tokens_to_keep": (np.int64, 1),
    "temperature_last": (np.int64, 0),
}
# The parameters as users give them, and what they are unless given: these very objects.
NAMES = tuple(name for name in _FIELDS if name != "surprise")
UNIT = 1.0
OFF = (None,) * 10 + (UNIT, 1, False)
RECORD = np.dtype([(name, kind) for name, (kind, _) in _FIELDS.items()])

# least, most, and what the error calls the range
_RANGES: dict[str, tuple[float, float, str]] = {
    "top_p": (0.0, 1.0, "in [0, 1]; 1 or None switches it off"),
    "min_p": (0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "typical_p": (0.0, 1.0, "in [0, 1]; 1 or None switches it off"),
    "top_n_sigma": (0.0, np.finfo(np.float64).max, "zero or positive; 0 or None switches it off"),
    "epsilon_cutoff": (0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "eta_cutoff": (0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "xtc_threshold": (0.0, 1.0, "in [0, 1]; above 0.5 it switches XTC off"),
    "xtc_probability": (0.0, 1.0, "in [0, 1]; 0 or None switches XTC off"),
    "dynatemp_range": (0.0, np.finfo(np.float64).max, "zero or positive; 0 or None switches it off"),
    "dynatemp_exponent": (np.finfo(np.float64).smallest_subnormal, np.finfo(np.float64).max, "positive"),
}
_LEAST_COUNT = {"top_k": 0, "min_tokens_to_keep": 1}


class Filters(NamedTuple):
    """Checked parameters.

    Attributes
    ----------
    record : ndarray of RECORD
        One, or one for each row where a parameter is an array; its shape broadcasts to the rows.
    tosses : bool
        XTC is on in some row: every row takes a coin.
    shapes : dict
        The shape of each parameter given, for errors.
    """

    record: NDArray[Any]
    tosses: bool
    shapes: Mapping[str, tuple[int, ...]]

    def rows(self, rows: Rows) -> Array:
        """The record of each row."""
        for name, shape in self.shapes.items():
            _check_shape(name, shape, rows)
        return self.record if self.record.shape == rows.shape else np.broadcast_to(self.record, rows.shape)


def as_filters(given: tuple[Any, ...], rows: Rows | None = None) -> Filters | None:
    """The filters that are on, or None.

    Parameters
    ----------
    given : tuple
        The parameters, in the order of NAMES; None is what switches a filter off.
    rows : Rows, optional
        What array parameters must broadcast to, so that an error can name one.
    """
    if _core.are_scalars(given):
        return _of_scalars(*given)
    return _switched_on({name: _column(name, v, rows) for name, v in zip(NAMES, given, strict=True) if v is not None})


@lru_cache(maxsize=256, typed=True)  # typed: True is not 1
def _of_scalars(*given: Any) -> Filters | None:
    return _switched_on({name: _column(name, v, None) for name, v in zip(NAMES, given, strict=True) if v is not None})


def no_filters(rows: Rows) -> Array:
    """A record for each row with all of them off."""
    return np.broadcast_to(_laid_out({}), rows.shape)


def with_surprise(filters: Filters | None, most: Any, rows: Rows) -> Filters:
    """The same, and no entry with -log2 p above `most`, for each row."""
    record = np.array(no_filters(rows) if filters is None else filters.rows(rows))
    record["surprise"] = most
    return Filters(record, filters is not None and filters.tosses, {})


def _laid_out(columns: Mapping[str, Array]) -> NDArray[Any]:
    """Records of these parameters and the neutral values of the others."""
    for one, other in (("xtc_threshold", "xtc_probability"), ("xtc_probability", "xtc_threshold")):
        if one in columns and other not in columns:
            raise ValueError(f"{one} is given without {other}; XTC needs both")
    try:
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise ValueError(f"the shapes of the filters' parameters do not go together: {shapes}") from None
    record = np.empty(shape, RECORD)
    for name, (_, off) in _FIELDS.items():
        record[name] = columns.get(name, off)
    return record


def _switched_on(columns: Mapping[str, Array]) -> Filters | None:
    """The filters of these parameters, or None where all are off and nothing has a shape to be checked."""
    record = _laid_out(columns)
    record.flags.writeable = False
    tosses = bool(np.any((record["xtc_probability"] > 0) & (record["xtc_threshold"] <= 0.5)))
    shapes = {name: column.shape for name, column in columns.items()}
    return Filters(record, tosses, shapes) if record.ndim or tosses or _any_on(record) else None


def _any_on(record: Array) -> bool:
    """Whether a filter, or the dynamic temperature, is on in some row."""
    idle = ("xtc_threshold", "xtc_probability", "dynatemp_exponent", "min_tokens_to_keep", "temperature_last")
    return any(bool(np.any(record[name] != off)) for name, (_, off) in _FIELDS.items() if name not in idle)


def _column(name: str, value: Any, rows: Rows | None) -> Array:
    """One parameter, checked."""
    if name == "temperature_last":
        column = any_array(value, name)
        if column.dtype != np.bool_:
            raise TypeError(f"temperature_last must be True or False, got {value!r}")
    elif name in _LEAST_COUNT:
        column = _counts(name, value, rows)
    elif name == "surprise":
        return as_float64(any_array(value, name))
    else:
        column = _numbers(name, value, rows)
    if rows is not None:
        _check_shape(name, column.shape, rows)
    return column


def _check_shape(name: str, shape: tuple[int, ...], rows: Rows) -> None:
    if shape in ((), rows.shape):
        return
    try:
        fits = np.broadcast_shapes(shape, rows.shape) == rows.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} of shape {shape} does not broadcast to the rows, whose shape is {rows.shape}")


def _counts(name: str, value: Any, rows: Rows | None) -> Array:
    column = any_array(value, name).copy()  # nobody can change it once it has been checked
    if column.dtype.kind == "O" and column.ndim == 0 and isinstance(value, int):
        column = np.array(min(max(value, -1), 2**62))  # an int of any size: more than a row has is all of it
    if column.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an int or an array of ints, got {_shown(value)}")
    least = _LEAST_COUNT[name]
    hint = "; 0 or None switches it off" if name == "top_k" else ""
    _check(name, column, column >= least, f"at least {least}{hint}", rows)
    return np.minimum(column, 2**62).astype(np.int64)


def _numbers(name: str, value: Any, rows: Rows | None) -> Array:
    given = any_array(value, name)
    if given.dtype.kind not in "fiu" and given.dtype.name != "bfloat16":
        raise TypeError(f"{name} must be a number or an array of numbers, got {_shown(value)}")
    column = as_float64(given)
    least, most, meaning = _RANGES[name]
    _check(name, column, (column >= least) & (column <= most), meaning, rows)
    return column


def _check(name: str, column: Array, good: Array, meaning: str, rows: Rows | None) -> None:
    if good.all():
        return
    value = column[~good][0]
    place = ""
    if column.ndim:
        if rows is None:  # not known yet: as if there were one for each
            rows = Rows((*column.shape, 1), -1, name)
        _check_shape(name, column.shape, rows)
        place = f" ({rows.name_row(int(np.argmin(np.broadcast_to(good, rows.shape))))})"
    raise ValueError(f"{name} must be {meaning}; got {value}{place}")


def _shown(value: Any) -> str:
    return repr(value) if np.ndim(value) == 0 else f"an array of {np.asarray(value).dtype}"

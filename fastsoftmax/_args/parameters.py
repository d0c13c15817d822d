"""Numeric parameters of an operation: what each may be, and the check of a value."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from .arrays import Array, Rows, any_array, raise_out_of_range, real_array, type_of_value

LARGEST = float(np.finfo(np.float64).max)
# Counts above this are this: more than any row or context has, and room to add.
_LARGEST_COUNT = 2**62


class Parameter(NamedTuple):
    """One number, or one for each row.

    Attributes
    ----------
    kind : {"number", "count", "flag"}
        A real number, an integer, or a bool; stored in 8 bytes as float64, int64, int64.
    off : float or int
        What is stored where the parameter is not given.
    least, most : float
        The range of a number or a count, both included.
    wanted : str
        How an error goes on after "... must be".
    """

    kind: Literal["number", "count", "flag"]
    off: float
    least: float = 0.0
    most: float = math.inf
    wanted: str = ""

    @property
    def dtype(self) -> type[np.float64] | type[np.int64]:
        return np.float64 if self.kind == "number" else np.int64


def checked_column(name: str, parameter: Parameter, value: Any, rows: Rows | None) -> Array:
    """A value for the parameter, checked: a number, or an array that broadcasts to the rows (None: not known yet)."""
    if parameter.kind == "count" and type(value) is int:
        value = min(max(value, -2), _LARGEST_COUNT)  # -2 is as wrong as any below
    given = any_array(value, name)
    if parameter.kind == "flag":
        if given.dtype != np.bool_:
            raise TypeError(f"{name} must be True or False, or an array of them, not {type_of_value(value, given)}")
        column = given
    elif parameter.kind == "count":
        column = given.copy()  # nobody can change it once it has been checked
        if column.dtype.kind not in "iu":
            raise TypeError(f"{name} must be an int or an array of ints, not {type_of_value(value, given)}")
    else:
        column = real_array(value, name, "a number or an array of numbers")
    if parameter.kind != "flag":
        good = (column >= parameter.least) & (column <= parameter.most)
        if not good.all():
            raise_out_of_range(name, column, good, parameter.wanted, rows or Rows((*column.shape, 1), -1, name))
    if rows is not None:
        rows.check_shape(column.shape, name)
    if parameter.kind != "count":
        return column
    return np.minimum(column, min(_LARGEST_COUNT, np.iinfo(column.dtype).max)).astype(np.int64)

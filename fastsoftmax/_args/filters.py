"""The parameters of the truncation filters: checked, and as the records that the kernels read.

PARAMETERS is the one list of them.  The public functions spell them out, keep those that are given as a mapping
(`_core.given_filters`), and pass that on.  What each filter keeps: docs/semantics/filters.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .arrays import Array, Rows
from .parameters import LARGEST, Parameter, checked_column
from .steps import check_within, checked_indices, checked_order, packed_order

# In the order of fs_filters (csrc/fastsoftmax.h).  Given as None, a parameter is off.
_FIELDS = {
    "top_k": Parameter("count", 0, 0, math.inf, "at least 0; 0 or None switches it off"),
    "top_p": Parameter("number", 1.0, 0.0, 1.0, "in [0, 1]; 1 or None switches it off"),
    "min_p": Parameter("number", 0.0, 0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "top_a": Parameter("number", 0.0, 0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "p_less": Parameter("flag", 0),
    "typical_p": Parameter("number", 1.0, 0.0, 1.0, "in [0, 1]; 1 or None switches it off"),
    "top_h": Parameter("number", 1.0, 0.0, 1.0, "in [0, 1]; 1 or None switches it off"),
    "top_n_sigma": Parameter("number", 0.0, 0.0, LARGEST, "zero or positive; 0 or None switches it off"),
    "epsilon_cutoff": Parameter("number", 0.0, 0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "eta_cutoff": Parameter("number", 0.0, 0.0, 1.0, "in [0, 1]; 0 or None switches it off"),
    "xtc_threshold": Parameter("number", 1.0, 0.0, 1.0, "in [0, 1]; above 0.5 it switches XTC off"),
    "xtc_probability": Parameter("number", 0.0, 0.0, 1.0, "in [0, 1]; 0 or None switches XTC off"),
    # no parameter of users: the limit of mirostat (with_surprise)
    "surprise": Parameter("number", math.inf),
    "dynatemp_range": Parameter("number", 0.0, 0.0, LARGEST, "zero or positive; 0 or None switches it off"),
    "dynatemp_exponent": Parameter("number", 1.0, math.ulp(0.0), LARGEST, "positive"),
    "smoothing_factor": Parameter("number", 0.0, 0.0, LARGEST, "zero or positive; 0 or None switches it off"),
    "smoothing_curve": Parameter("number", 1.0, 1.0, LARGEST, "at least 1"),
    "min_tokens_to_keep": Parameter("count", 1, 1, math.inf, "at least 1"),
    "temperature_last": Parameter("flag", 0),
    # of the user a tuple of names, here a number (steps.py)
    "order": Parameter("count", 0),
}
# `keep` is no field of a record: it is the same for all rows.
PARAMETERS: Mapping[str, Parameter] = {
    **{name: field for name, field in _FIELDS.items() if name != "surprise"},
    "keep": Parameter("count", 0),
}
RECORD = np.dtype([(name, field.dtype) for name, field in _FIELDS.items()])

# Parameters that change nothing unless another one is on; XTC is on or off by both of its own (needs_coin).
_MODIFIERS = (
    "xtc_threshold", "xtc_probability", "dynatemp_exponent", "smoothing_curve", "min_tokens_to_keep",
    "temperature_last", "order",
)  # fmt: skip
# Filters that `order` must name if they are on, besides XTC: all fields that are neither modifiers nor of these.
_UNORDERED = ("surprise", "dynatemp_range", "smoothing_factor")


class UnequalShapes(ValueError):
    """Parameters for different numbers of rows.  A Sampler raises it when it draws: they are set one by one."""


class Filters(NamedTuple):
    """Checked parameters.

    Attributes
    ----------
    record : ndarray of RECORD
        One, or one for each row where a parameter is an array; its shape broadcasts to the rows.
    needs_coin : bool
        XTC is on in some row: every row takes a coin.
    shapes : dict
        The shape of each parameter given, for errors.
    keep : ndarray of int64, optional
        The entries of every row that no filter drops, ascending.
    """

    record: NDArray[Any]
    needs_coin: bool
    shapes: Mapping[str, tuple[int, ...]]
    keep: NDArray[np.int64] | None = None

    def rows(self, rows: Rows) -> Array:
        """The record of each row; raises where `keep` has an entry that the rows have not."""
        if self.keep is not None:
            check_within("keep", self.keep, rows.entries)
        if self.record.shape == rows.shape:
            return self.record
        for name, shape in self.shapes.items():
            rows.check_shape(shape, name)
        return np.broadcast_to(self.record, rows.shape)


def as_filters(given: Mapping[str, Any] | None, rows: Rows | None = None) -> Filters | None:
    """The filters that are on, or None.

    Parameters
    ----------
    given : dict, optional
        Parameters by their names in PARAMETERS.
    rows : Rows, optional
        What array parameters must broadcast to, so that an error can name a row.
    """
    if not given:
        return None
    if _core.are_scalars(given):
        return _from_scalars(**given)
    return _checked(given, rows)


@lru_cache(maxsize=256, typed=True)  # typed: True is not 1
def _from_scalars(**given: Any) -> Filters | None:
    return _checked(given, None)


def no_filters(rows: Rows) -> Array:
    """A record for each row with every filter off."""
    return np.broadcast_to(_record_of({}), rows.shape)


def with_surprise(filters: Filters | None, most: Any, rows: Rows) -> Filters:
    """The same filters, and none of the entries with -log2 p above `most`, a number or one for each row."""
    record = np.array(no_filters(rows) if filters is None else filters.rows(rows))
    record["surprise"] = most
    if filters is None:
        return Filters(record, False, {})
    return filters._replace(record=record, shapes={})


def _checked(parameters: Mapping[str, Any], rows: Rows | None) -> Filters | None:
    given = {name: value for name, value in parameters.items() if value is not None}
    order = checked_order(given.pop("order")) if "order" in given else None
    keep = checked_indices("keep", given.pop("keep")) if "keep" in given else None
    columns = {name: checked_column(name, PARAMETERS[name], value, rows) for name, value in given.items()}
    for one, other in (("xtc_threshold", "xtc_probability"), ("xtc_probability", "xtc_threshold")):
        if one in columns and other not in columns:
            raise ValueError(f"{one} is given without {other}; XTC needs both")
    record = _record_of(columns)
    needs_coin = bool(np.any((record["xtc_probability"] > 0) & (record["xtc_threshold"] <= 0.5)))
    if order is not None:
        _set_order(record, order, needs_coin)
    record.flags.writeable = False
    keep = None if keep is None or not keep.size else keep
    if record.ndim or needs_coin or keep is not None or _any_on(record):
        return Filters(record, needs_coin, {name: column.shape for name, column in columns.items()}, keep)
    return None


def _set_order(record: Array, order: tuple[str, ...], needs_coin: bool) -> None:
    """Apply the filters in this order; raises where one that is on has no place in it."""
    on = [name for name in _FIELDS if name not in (*_MODIFIERS, *_UNORDERED) and _is_on(record, name)]
    missing = [name for name in (*on, *(["xtc"] if needs_coin else [])) if name not in order]
    if missing:
        raise ValueError(f"order must name every filter that is on: {', '.join(missing)} is missing")
    if "temperature" in order:
        if record["temperature_last"].any():
            raise ValueError("order says where the temperature comes: leave temperature_last out")
        # First and last it has ways of its own, which serve any temperature.
        record["temperature_last"] = order[-1] == "temperature" != order[0]
        if order[0] == "temperature" or order[-1] == "temperature":
            order = tuple(name for name in order if name != "temperature")
    record["order"] = packed_order(order)


def _record_of(columns: Mapping[str, Array]) -> NDArray[Any]:
    """One record, or an array of them, of these parameters; the others are off."""
    try:
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise UnequalShapes(f"the shapes of the filters' parameters do not broadcast to one shape: {shapes}") from None
    record = np.empty(shape, RECORD)
    for name, field in _FIELDS.items():
        record[name] = columns.get(name, field.off)
    return record


def _any_on(record: Array) -> bool:
    """Whether a filter, or the dynamic temperature, is on in some row."""
    return any(_is_on(record, name) for name in _FIELDS if name not in _MODIFIERS)


def _is_on(record: Array, name: str) -> bool:
    return bool(np.any(record[name] != _FIELDS[name].off))

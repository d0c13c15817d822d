"""Where a result goes: the argument `out`, or a new array; overlap of input and output."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .. import _core
from .arrays import Array, Rows, any_array
from .lazy import is_dask_array


def _shares_memory(a: Array) -> bool:
    """Whether two elements of an array that is not spread out do share memory."""
    if any(step == 0 < n - 1 for step, n in zip(a.strides, a.shape, strict=True)):
        return True
    places: Array = np.zeros(1, np.intp)
    for step, n in zip(a.strides, a.shape, strict=True):
        places = np.add.outer(places, step * np.arange(n)).reshape(-1)
    return bool((np.diff(np.sort(places)) < a.itemsize).any())


class Result:
    """Where a result with the shape and dtype of x goes: `out`, or a new array.

    Attributes
    ----------
    source : ndarray
        x to be read from: a copy where x and `out` share memory, unless they are the same elements in the same places.
    direct : bool
        Whether there is a view of the result with the entries last (`parts`).  Where there is none (byte order,
        alignment, axes that do not merge), `parts` is a buffer that `finish` copies.
    """

    def __init__(self, x: Array, given: Any, rows: Rows) -> None:
        self.given = given
        self.rows = rows
        self.source = x
        if given is None:
            self.array: Array = np.empty_like(x, subok=False)
        else:
            self.array = self._checked(given, x)
            if np.may_share_memory(x, self.array) and not self._in_place(x):
                self.source = x.copy()
        fits = self.array.dtype.isnative and self.array.flags.aligned
        self.direct = fits and rows.merge(self.array) and _core.is_spread_out(self.array)

    @functools.cached_property
    def parts(self) -> Array:
        """Where the rows of the result are to be written, their entries last."""
        if self.direct:
            return self.rows.split(self.array)
        return np.empty((*self.rows.shape, self.rows.entries), self.source.dtype)

    @staticmethod
    def _checked(given: Any, x: Array) -> Array:
        if not isinstance(given, np.ndarray) and not hasattr(given, "__dlpack__"):
            what = "a Dask array" if is_dask_array(given) else type(given).__name__
            raise TypeError(f"out must be an array, not {what}")
        out = any_array(given, "out")
        if out.shape != x.shape:
            raise ValueError(f"out has shape {out.shape}, but must have the shape of the result, {x.shape}")
        if out.dtype.newbyteorder("=") != x.dtype:
            raise TypeError(f"out has dtype {out.dtype}, but must have the dtype of the result, {x.dtype}")
        if not out.flags.writeable:
            raise ValueError("out is read-only: pass a writeable array")
        if not _core.is_spread_out(out) and _shares_memory(out):
            raise ValueError("out has elements that share memory, so it cannot hold the result: pass another array")
        return out

    def _in_place(self, x: Array) -> bool:
        return x.__array_interface__["data"][0] == self.array.__array_interface__["data"][0] and (
            x.strides == self.array.strides
        )

    def fill(self, source: Array) -> None:
        """Copy the entries of `source` to where the result goes, unless they are there already."""
        if not self.direct or not self._in_place(source):
            self.parts[...] = self.rows.split(source)

    def finish(self) -> Any:
        """The result, copied from the buffer where there is one."""
        if not self.direct:
            self.array[...] = self.rows.join(self.parts)
        return self.array if self.given is None else self.given

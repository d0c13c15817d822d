"""Dask's collections among the arguments, recognised without importing Dask.

NumPy would compute all of one into memory without a word.  A function that works chunk by chunk hands it to the
integration; for any other it is an error.
"""

from __future__ import annotations

import importlib
from typing import Any

# Where the classes of Dask's own collections are defined.
_DASK = ("dask", "dask_expr")


def is_lazy_type(kind: type) -> bool:
    return hasattr(kind, "__dask_graph__")


def is_lazy(value: Any) -> bool:
    """Whether a value is a Dask collection, or holds one as xarray's arrays may."""
    kind = type(value)
    if not is_lazy_type(kind):
        return False
    # A DataFrame would optimise its whole graph to answer.
    return kind.__module__.partition(".")[0] in _DASK or value.__dask_graph__() is not None


def is_dask_array(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "Array" and kind.__module__.startswith("dask.array.")


def why_not(value: Any, name: str) -> TypeError:
    """The error of a Dask collection that has been given as this argument of a function of arrays."""
    kind = type(value).__name__
    what, instead = f"a {kind} of Dask", ""
    if is_dask_array(value):
        what = "a Dask array"
    elif hasattr(value, "to_dask_array"):
        instead = f"; {name}.to_dask_array(lengths=True) is such an array"
    elif is_dask_array(getattr(value, "data", None)):
        what, instead = f"a {kind} of Dask chunks", f"; {name}.data is such an array"
    return TypeError(
        f"{name} is {what}, which would be computed into memory as a whole: pass {name}.compute(). Chunk by chunk "
        f"there are softmax, log_softmax, logsumexp and sample of Dask arrays (fastsoftmax.integrations.dask){instead}"
    )


def of_dask_array(function: str, *arguments: Any, out: Any = None, where: Any = None, **options: Any) -> Any:
    """The integration's function of this name; `out` and `where` are those of NumPy's functions."""
    if out is not None:
        raise TypeError("out cannot be given for a Dask array, which is computed later: use the result")
    if where is not None:
        raise TypeError("where cannot be given for a Dask array x: pass dask.array.where(where, x, -numpy.inf) as x")
    return getattr(importlib.import_module("fastsoftmax.integrations.dask"), function)(*arguments, **options)

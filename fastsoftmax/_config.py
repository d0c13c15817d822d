"""Which instruction set is in use, and how to see it."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, overload

import numpy as np

from . import _core

__version__ = "0.1.0"

_VARIABLE = "FASTSOFTMAX_ISA"


def choose_instruction_set() -> str | None:
    """Take the one that FASTSOFTMAX_ISA names, else the best one; the name that was asked for."""
    name = os.environ.get(_VARIABLE, "").strip().lower() or None
    if not _core.choose(name):
        raise ImportError(
            f"{_VARIABLE}={name} is not available on this machine; available: {', '.join(_core.available())}"
        )
    return name


_forced = choose_instruction_set()


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Say what was found on this machine and what is in use.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print it, or return it as a dictionary.

    Returns
    -------
    dict or None
        ``version``, ``numpy``, ``python``, ``machine``, ``isa`` (``chosen``, ``available``, ``forced``),
        ``threads``.

    Raises
    ------
    ValueError
        For another mode.

    Notes
    -----
    The environment variable ``FASTSOFTMAX_ISA`` (``scalar``, ``avx2``, ``avx512`` or ``neon``), read at import,
    forces an instruction set.  Results do not depend on it; only speed does.

    Examples
    --------
    >>> import fastsoftmax
    >>> config = fastsoftmax.show_config(mode="dicts")
    >>> config["isa"]["chosen"] in config["isa"]["available"]
    True
    """
    config: dict[str, Any] = {
        "version": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "compiler": _core.COMPILER,
        "isa": {"chosen": _core.chosen(), "available": _core.available(), "forced": _forced},
        "threads": 1,
    }
    if mode == "dicts":
        return config
    if mode != "stdout":
        raise ValueError(f'mode must be "stdout" or "dicts", got {mode!r}')
    isa = config["isa"]
    why = f"forced by {_VARIABLE}" if _forced else "the best one here"
    print(f"fastsoftmax      {config['version']}")
    print(f"numpy            {config['numpy']}")
    print(f"python           {config['python']} on {config['machine']}")
    print(f"compiler         {config['compiler']}")
    print(f"instruction set  {isa['chosen']} ({why}; available: {', '.join(isa['available'])})")
    print(f"threads          {config['threads']}")
    return None

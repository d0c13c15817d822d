"""Instruction set and number of threads: chosen at import, shown by show_config; the number can be set."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, overload

import numpy as np

from . import _core

__version__ = "0.1.0"

_ISA_VARIABLE = "FASTSOFTMAX_ISA"
_THREADS_VARIABLE = "FASTSOFTMAX_NUM_THREADS"
_MOST_THREADS = 1024


def choose_instruction_set() -> str | None:
    """Use the one that FASTSOFTMAX_ISA names, else the best one; returns that name, or None."""
    name = os.environ.get(_ISA_VARIABLE, "").strip().lower() or None
    if not _core.choose_instruction_set(name):
        raise ImportError(
            f"{_ISA_VARIABLE}={name} is not available on this machine; "
            f"available: {', '.join(_core.available_instruction_sets())}"
        )
    return name


_forced = choose_instruction_set()


def choose_threads() -> None:
    """Use the number that FASTSOFTMAX_NUM_THREADS gives, else one."""
    given = os.environ.get(_THREADS_VARIABLE, "").strip()
    if not given:
        return
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _MOST_THREADS:
        raise ImportError(f"{_THREADS_VARIABLE}={given} must be a whole number from 1 to {_MOST_THREADS}")
    _core.set_num_threads(int(given))


choose_threads()


def set_num_threads(n: int) -> int:
    """Set the number of threads that share the work of a call, the calling one included.

    Parameters
    ----------
    n : int
        1 <= n <= 1024.  1, the default, keeps every call in the thread that makes it.  For a whole process:
        ``FASTSOFTMAX_NUM_THREADS``, read at import.

    Returns
    -------
    int
        The number before, so that it can be restored.

    Raises
    ------
    ValueError
        For a number out of range.
    TypeError
        If it is not an int.

    See Also
    --------
    get_num_threads

    Notes
    -----
    The number of threads does not change any result, to the last bit.  The rows of a call are shared among the threads,
    and so are the blocks of a single long row, unless it is filtered.  A call begins alone and wakes the others only if
    about a tenth of a millisecond of work is left, so short calls take no longer than with one thread.  There is one
    thread pool for the process: the threads start when they are first needed, sleep between calls, and are started
    again in a forked child.  If several threads of the caller compute at the same time, one of them has the pool and
    the others work alone.  On Windows every call uses one thread.

    Examples
    --------
    >>> import fastsoftmax
    >>> before = fastsoftmax.set_num_threads(2)
    >>> fastsoftmax.set_num_threads(before)
    2
    """
    if isinstance(n, bool | np.bool_) or not isinstance(n, int | np.integer):
        raise TypeError(f"n must be an int, got {n!r}")
    if not 1 <= n <= _MOST_THREADS:
        raise ValueError(f"n must be from 1 to {_MOST_THREADS}, got {n}")
    return _core.set_num_threads(int(n))


def get_num_threads() -> int:
    """The number of threads that share the work of a call, the calling one included.

    Returns
    -------
    int
        1 unless :func:`set_num_threads` or ``FASTSOFTMAX_NUM_THREADS`` has said otherwise.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.get_num_threads()
    1
    """
    return _core.get_num_threads()


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show what was found on this machine and what is in use.

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
    forces an instruction set, ``FASTSOFTMAX_NUM_THREADS`` sets the number of threads.  They change the speed, and no
    result.

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
        "isa": {
            "chosen": _core.chosen_instruction_set(),
            "available": _core.available_instruction_sets(),
            "forced": _forced,
        },
        "threads": _core.get_num_threads(),
    }
    if mode == "dicts":
        return config
    if mode != "stdout":
        raise ValueError(f'mode must be "stdout" or "dicts", got {mode!r}')
    isa = config["isa"]
    why = f"forced by {_ISA_VARIABLE}" if _forced else "the best one here"
    print(f"fastsoftmax      {config['version']}")
    print(f"numpy            {config['numpy']}")
    print(f"python           {config['python']} on {config['machine']}")
    print(f"compiler         {config['compiler']}")
    print(f"instruction set  {isa['chosen']} ({why}; available: {', '.join(isa['available'])})")
    print(f"threads          {config['threads']}")
    return None

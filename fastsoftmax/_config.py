"""Which instruction set and how many threads are in use, and how to see and choose them."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, overload

import numpy as np

from . import _core

__version__ = "0.1.0"

_VARIABLE = "FASTSOFTMAX_ISA"
_THREADS = "FASTSOFTMAX_NUM_THREADS"
_MOST_THREADS = 1024


def choose_instruction_set() -> str | None:
    """Take the one that FASTSOFTMAX_ISA names, else the best one; the name that was asked for."""
    name = os.environ.get(_VARIABLE, "").strip().lower() or None
    if not _core.choose(name):
        raise ImportError(
            f"{_VARIABLE}={name} is not available on this machine; available: {', '.join(_core.available())}"
        )
    return name


_forced = choose_instruction_set()


def choose_threads() -> None:
    """Take the number that FASTSOFTMAX_NUM_THREADS gives, else one."""
    given = os.environ.get(_THREADS, "").strip()
    if not given:
        return
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _MOST_THREADS:
        raise ImportError(f"{_THREADS}={given} must be a whole number from 1 to {_MOST_THREADS}")
    _core.set_threads(int(given))


choose_threads()


def set_num_threads(n: int) -> int:
    """Let each call share its work among so many threads, its own included.

    Parameters
    ----------
    n : int
        1 <= n <= 1024.  1, the default, keeps every call in the thread that makes it.  For a whole process:
        ``FASTSOFTMAX_NUM_THREADS``, read at import.

    Returns
    -------
    int
        The number before, so that it can be put back.

    Raises
    ------
    ValueError
        For a number out of range.
    TypeError
        For what is not an int.

    See Also
    --------
    get_num_threads

    Notes
    -----
    Results do not depend on it, to the last bit.  Rows are shared, and a single long row by its blocks (through filters
    a row is done by one thread).  A call begins alone and asks others only where some tenth of a millisecond of work
    is left, so short calls cost what they cost without.  The threads are made when first needed, belong to the
    process, sleep between calls, and are made anew in a forked child.  There is one team: where several threads of
    the caller's own compute at the same time, one of them has it and the others work alone.  On Windows calls stay
    with one thread.

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
    return _core.set_threads(int(n))


def get_num_threads() -> int:
    """The number of threads a call may use, its own included.

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
    return _core.threads()


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
    forces an instruction set, ``FASTSOFTMAX_NUM_THREADS`` sets the number of threads.  Results do not depend on them;
    only speed does.

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
        "threads": _core.threads(),
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

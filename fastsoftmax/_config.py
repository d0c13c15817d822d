"""Instruction set and number of threads: chosen at import, shown by show_config; the number can be set."""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, overload

import numpy as np

from . import _core
from ._args.arrays import shown
from ._processors import usable_processors

__version__ = "0.2.0"

_ISA_VARIABLE = "FASTSOFTMAX_ISA"
_THREADS_VARIABLE = "FASTSOFTMAX_NUM_THREADS"
_OPENMP_VARIABLE = "OMP_NUM_THREADS"
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


def automatic_threads() -> tuple[int, str]:
    """The number of threads for "auto", and where it comes from.

    Our own variable must make sense.  OpenMP's belongs to others, who report what is wrong with it: a value that says
    nothing to us is passed over.
    """
    own = os.environ.get(_THREADS_VARIABLE, "").strip()
    if own and own.lower() != "auto":
        if not own.isascii() or not own.isdigit() or not 1 <= int(own) <= _MOST_THREADS:
            raise ValueError(f'{_THREADS_VARIABLE}={own} must be a whole number from 1 to {_MOST_THREADS}, or "auto"')
        return int(own), _THREADS_VARIABLE
    openmp = os.environ.get(_OPENMP_VARIABLE, "").partition(",")[0].strip()  # a list has a number for each level
    if openmp.isascii() and openmp.isdigit() and 0 < len(openmp.lstrip("0")) < 10:
        return min(int(openmp), _MOST_THREADS), _OPENMP_VARIABLE
    return min(usable_processors(), _MOST_THREADS), "the processors of this process"


_threads_from: str


def choose_threads() -> int:
    """Use the number of threads that "auto" stands for; returns the number before."""
    global _threads_from
    number, _threads_from = automatic_threads()
    return _core.set_num_threads(number)


try:
    choose_threads()
except ValueError as error:
    raise ImportError(str(error)) from None


def set_num_threads(n: int | Literal["auto"]) -> int:
    """Set the number of threads that share the work of a call, the calling one included.

    Parameters
    ----------
    n : int or "auto"
        1 <= n <= 1024.  1 keeps every call in the thread that makes it.  "auto", the default, is the number in the
        environment variable ``FASTSOFTMAX_NUM_THREADS``, else in ``OMP_NUM_THREADS`` (of a list, the first one), else
        the number of processors that this process may use: its affinity, and the quota of its control groups.

    Returns
    -------
    int
        The number before, so that it can be restored.

    Raises
    ------
    ValueError
        For a number out of range, also in ``FASTSOFTMAX_NUM_THREADS``; at import that is an ImportError.
    TypeError
        If it is neither an int nor "auto".

    See Also
    --------
    get_num_threads

    Notes
    -----
    The number of threads does not change any result, to the last bit.  The rows of a call are shared among the threads,
    and so are the blocks of a single long row, unless it is filtered.  A call begins alone and wakes the others only if
    about a tenth of a millisecond of work is left, so short calls take no longer than with one thread; where the other
    processors are busy, so that sharing costs more than it saves, calls stay alone for a while.  There is one thread
    pool for the process: the threads start when they are first needed, sleep between calls, and are started again in a
    forked child, which keeps the number.  Threads of the caller that compute at the same time count among the n.

    A process that is started, not forked, has "auto", whatever is set here: the workers of a pool take the number by
    ``initializer=fastsoftmax.set_num_threads, initargs=(n,)``, or from the environment.

    What "auto" finds is determined when it is set, and at import.  A value of ``OMP_NUM_THREADS`` that is no positive
    number is passed over.

    Examples
    --------
    >>> import fastsoftmax
    >>> before = fastsoftmax.set_num_threads(2)
    >>> fastsoftmax.set_num_threads("auto")
    2
    """
    global _threads_from
    if isinstance(n, str) and n == "auto":
        return choose_threads()
    if isinstance(n, bool | np.bool_) or not isinstance(n, int | np.integer):
        raise TypeError(f'n must be an int or "auto", got {n!r}')
    if not 1 <= n <= _MOST_THREADS:
        raise ValueError(f"n must be from 1 to {_MOST_THREADS}, got {shown(n)}")
    _threads_from = "set_num_threads"
    return _core.set_num_threads(int(n))


def get_num_threads() -> int:
    """The number of threads that share the work of a call, the calling one included.

    Returns
    -------
    int
        What :func:`set_num_threads` has set, or what its "auto" has found at import.

    Examples
    --------
    >>> import fastsoftmax
    >>> before = fastsoftmax.set_num_threads(2)
    >>> fastsoftmax.get_num_threads()
    2
    >>> fastsoftmax.set_num_threads("auto")
    2
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
        ``threads``, ``threads_from``.

    Raises
    ------
    ValueError
        For another mode.

    Notes
    -----
    The environment variable ``FASTSOFTMAX_ISA`` (``scalar``, ``avx2``, ``avx512`` or ``neon``), read at import,
    forces an instruction set; for ``FASTSOFTMAX_NUM_THREADS`` see :func:`set_num_threads`.  They change the speed,
    and no result.

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
        "threads_from": _threads_from,
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
    print(f"threads          {config['threads']} ({config['threads_from']})")
    return None

"""The command line: ``python -m fastsoftmax``, also installed as ``fastsoftmax``.

Exit status: 0 done (also if the reader of a pipe closes it), 1 bad data, 2 bad usage, 130 interrupted.
An error is one line on standard error: where, and what is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from fastsoftmax._interrupts import raise_at_interrupt
from fastsoftmax.cli.arguments import parse
from fastsoftmax.cli.errors import DataError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `argv` is ``sys.argv[1:]`` unless given."""
    output = None
    try:
        raise_at_interrupt()
        _prepare_streams()
        run, arguments = parse(sys.argv[1:] if argv is None else argv)
        output = getattr(arguments, "output", None)
        run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    except KeyboardInterrupt:
        _silence_stdout()
        return 130
    except DataError as error:
        return _fail(str(error))
    except OSError as error:
        _silence_stdout()
        return _fail(f"{error.filename or output or 'standard output'}: {error.strerror or error}")
    except MemoryError:
        return _fail("not enough memory")
    return 0


def _prepare_streams() -> None:
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    # Write an escape sequence for a character that the terminal cannot show.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Keep the interpreter from failing when it flushes a closed or full output at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _fail(message: str) -> int:
    if sys.stderr is not None:
        print(f"fastsoftmax: {' '.join(message.split())}", file=sys.stderr)
    return 1

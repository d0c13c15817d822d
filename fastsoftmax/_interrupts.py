"""Ctrl-C while the command line still imports: the process ends at once, without a traceback."""

from __future__ import annotations

import os
import sys


def is_command_line() -> bool:
    """Whether the interpreter was started with ``-m fastsoftmax`` or with the installed command."""
    program = sys.orig_argv[-len(sys.argv) :][:1]  # between the interpreter's own options and the arguments
    return bool(program) and os.path.basename(program[0]) in ("fastsoftmax", "-mfastsoftmax", "fastsoftmax.exe")


def end_at_interrupt() -> None:
    """As the system does it. Python would raise an exception in the middle of an import."""
    import signal

    # Where it is ignored, as in the background of a shell, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_at_interrupt() -> None:
    """KeyboardInterrupt again."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)

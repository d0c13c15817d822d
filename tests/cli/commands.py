"""The command line within this process: what it prints, and the one line in which it complains."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fastsoftmax.cli import main

ROOT = Path(__file__).parents[2]

TEXT = "Zażółć gęślą jaźń — 日本語のテキスト 😀\r\n" * 30


class Outcome(NamedTuple):
    status: int
    out: bytes
    err: str


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*argv: object, stdin: bytes = b"", terminal: bool = False) -> Outcome:
    """The command in this process, its standard streams in memory; `terminal` is about standard error."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    err = Terminal() if terminal else io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            status = main([str(argument) for argument in argv])
        except SystemExit as end:
            status = int(end.code or 0)
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return Outcome(status, out.buffer.getvalue(), err.getvalue())


def text_of(outcome: Outcome) -> str:
    assert outcome.status == 0, outcome.err
    return outcome.out.decode()


def complaint(outcome: Outcome, status: int) -> str:
    """The one line with which a command was rejected."""
    assert outcome.status == status
    assert outcome.err.startswith("fastsoftmax") and outcome.err.count("\n") == 1
    return outcome.err


def interruptible() -> None:
    """Run in the child: a background job of a shell, as of a CI, inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "fastsoftmax", *argv]

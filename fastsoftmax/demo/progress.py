"""A progress bar on a terminal, if rich is installed; otherwise nothing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function to call `total` times with the current activity; the bar disappears at the end."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not on_terminal or importlib.util.find_spec("rich") is None:
        yield lambda doing: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # Drawn only when it advances: a thread that redraws it would disturb the timings. rich would redirect standard
    # output to the console of the bar.
    with Progress(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total)

        def advance(doing: str) -> None:
            bar.update(task, advance=1, description=doing, refresh=True)

        yield advance

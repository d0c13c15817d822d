"""A progress bar on a terminal, by rich where it is installed; nothing anywhere else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with what is being done, `total` times in all; the bar leaves no trace."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not on_terminal or importlib.util.find_spec("rich") is None:
        yield lambda doing: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # Drawn only when it advances: a thread that draws in between would disturb the race. Standard output is
    # left alone: rich would send it to the bar's console.
    with Progress(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total)

        def advance(doing: str) -> None:
            bar.update(task, advance=1, description=doing, refresh=True)

        yield advance

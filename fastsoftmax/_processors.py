"""How many processors this process may use: its affinity, and the quota of its control groups (Linux)."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def usable_processors(root: str = "/") -> int:
    """The processors that this process may run on, at most as many as its control groups grant it time for, rounded up.

    `root` is where /proc and /sys are found.
    """
    count = _scheduled_processors()
    for quota in _quotas(Path(root)):
        count = min(count, math.ceil(quota))
    return max(count, 1)


def _scheduled_processors() -> int:
    if sys.platform == "win32":
        return _processors_of_windows()
    if hasattr(os, "process_cpu_count"):  # Python 3.13, which has options to set it
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processors_of_windows() -> int:
    """All processors, or those that the process is confined to.

    The masks are those of one group of up to 64 processors, of which a process that is not confined may use several.
    """
    every: int = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    import ctypes

    on_windows: Any = ctypes
    kernel = on_windows.WinDLL("kernel32")
    mine, all_ = ctypes.c_size_t(), ctypes.c_size_t()
    this = ctypes.c_void_p(kernel.GetCurrentProcess())
    if not kernel.GetProcessAffinityMask(this, ctypes.byref(mine), ctypes.byref(all_)) or mine.value == all_.value:
        return every
    return min(every, mine.value.bit_count())


def _quotas(root: Path) -> Iterator[float]:
    """The processors' worth of time that each control group above this process grants, where it has a limit."""
    mounted = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:  # version 2, alone or beside version 1
            for folder in _folders(mounted, path), _folders(mounted / "unified", path):
                for group in folder:
                    yield from _quota(_read(group / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for group in _folders(mounted / "cpu", path):
                yield from _quota(
                    [*_read(group / "cpu.cfs_quota_us").split(), *_read(group / "cpu.cfs_period_us").split()]
                )


def _folders(mounted: Path, path: str) -> Iterator[Path]:
    """The folders of a control group and of those above it.

    In a container the path may be that of the host, of which only the last folder is there, as the top one.
    """
    parts = [part for part in path.split("/") if part]
    for depth in range(len(parts), -1, -1):
        yield mounted.joinpath(*parts[:depth])


def _quota(words: list[str]) -> Iterator[float]:
    """Time over period; nothing for "max", -1, or what is not there."""
    try:
        time, period = (int(word) for word in words)
    except ValueError:
        return
    if time > 0 and period > 0:
        yield time / period


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

"""Threads within a call: ours on all of them beside ours on one, in one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cases import Case
from measure import Contender
from rivals import Builder, Unsupported, load_fastsoftmax, ours


def _on(count: int, fastsoftmax: Any) -> Callable[..., Any]:
    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        fastsoftmax.set_num_threads(count)
        return function(*args, **kwargs)

    return call


def _contender(case: Case, name: str, count: int) -> Contender:
    base = ours(replace(case, operation=case.operation.removeprefix("threads-")), count)

    def through(code: str) -> str:
        return code.replace("(", ", ", 1).join(("on(", ""))

    return replace(
        base,
        name=name,
        code=through(base.code),
        names={**base.names, "on": _on(count, load_fastsoftmax(count))},
        note=f"on(f, ...): set_num_threads({count}), then f(...)",
        with_u=base.with_u and through(base.with_u),
    )


def on_all(case: Case, threads: int) -> Contender:
    if threads == 1:
        raise Unsupported("one thread has nobody to share with")
    return _contender(case, "fastsoftmax", threads)


def on_one(case: Case, threads: int) -> Contender:
    return _contender(case, "fastsoftmax-alone", 1)


THREADS: dict[str, Builder] = {"fastsoftmax": on_all, "fastsoftmax-alone": on_one}

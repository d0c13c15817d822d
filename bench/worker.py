"""Measure the selected cases on one number of threads: the process in which ours and theirs alternate.

`run.py` starts one of these for each number of threads, because OpenMP, JAX and Numba fix theirs when they
start. Rows are written as JSON lines while they come, so that a library that brings the process down does not
take the results before it along.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from cases import ONE_THREAD, SHARED, Case, accuracy_grid, all_cases, select
from draw_rivals import DRAW
from errors import exact_softmax
from filter_judge import FILTER_JUDGES
from filter_rivals import FILTER
from judge import AccuracyOf, Judge, digest, judge_draw, judge_softmax
from many_rivals import CATEGORICAL, MANY_DRAWS
from measure import Bundle, Contender, alone, alternate, bundle_size, compare, rough_call_ns, summarise
from rivals import SOFTMAX, Builder, ours, refusal
from thread_rivals import THREADS
from token_rivals import BATCHES, PENALIZE, TOP_LOGPROBS, VERIFY_DRAFT, WITHOUT_REPLACEMENT

import fastsoftmax

Emit = Callable[[dict[str, Any]], None]

BUILDERS: dict[str, dict[str, Builder]] = {
    "softmax": SOFTMAX,
    "sample": DRAW,
    "sampler": DRAW,
    "many": MANY_DRAWS,
    "categorical": CATEGORICAL,
    "threads-softmax": THREADS,
    "threads-sample": THREADS,
    "filter": FILTER,
    "batch": BATCHES,
    "penalize": PENALIZE,
    "top-logprobs": TOP_LOGPROBS,
    "without-replacement": WITHOUT_REPLACEMENT,
    "verify-draft": VERIFY_DRAFT,
}


@dataclass(frozen=True)
class Settings:
    """What `run.py` was asked for, without what concerns only its output."""

    threads: int = 1
    pin: bool = True
    seconds: float = 2.0
    seed: int = 0
    filters: list[str] = field(default_factory=list)
    rivals: list[str] = field(default_factory=list)
    largest_n: int = 1 << 20


def environment(threads: int) -> dict[str, str]:
    """This process's environment, with the number of threads for every library that reads it there.

    The module path goes along: the worker has to measure the fastsoftmax that this process has imported.
    """
    count = str(threads)
    limits = {f"{name}_NUM_THREADS": count for name in ("OMP", "MKL", "OPENBLAS", "NUMBA", "FASTSOFTMAX")}
    quiet = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, **limits, "VECLIB_MAXIMUM_THREADS": count, **quiet, "PYTHONPATH": path}


def pin_to_one_cpu() -> None:
    """Stay on one CPU, where the system can: JAX counts those it may use, and a move costs a cold cache."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measure_cases(settings: Settings, emit: Emit) -> None:
    """Measure every selected case, passing each row to `emit` as soon as it is known."""
    selected = [case for case in select(all_cases(), settings.filters) if case.longest <= settings.largest_n]
    elsewhere = ONE_THREAD if settings.threads > 1 else SHARED
    selected = [case for case in selected if case.operation not in elsewhere]
    for case in with_progress(selected, settings.threads):
        for row in measure_case(replace(case, seed=settings.seed), settings):
            emit({**describe(case, settings), **row})


def describe(case: Case, settings: Settings) -> dict[str, Any]:
    return {
        "case": case.name,
        "operation": case.operation,
        "shape": list(case.shape),
        "dtype": case.dtype,
        "data": case.data,
        "temperature": case.temperature,
        "row": case.row,
        "spread": case.spread,
        "options": case.parameters,
        "threads": settings.threads,
        "isa": fastsoftmax.show_config(mode="dicts")["isa"]["chosen"],
    }


def measure_case(case: Case, settings: Settings) -> Iterator[dict[str, Any]]:
    if case.operation == "accuracy":
        yield from measure_accuracy(case, settings)
    elif case.operation == "overhead":
        yield measure_overhead(case, settings)
    elif case.operation.startswith("door-"):
        yield measure_door(case, settings)
    else:
        yield from measure_speed(case, settings)


def measure_speed(case: Case, settings: Settings) -> Iterator[dict[str, Any]]:
    """One row for ours and one for each rival: error first, then speed, and no speed for a wrong result."""
    builders = BUILDERS[case.operation]
    rivals = [name for name in case.rivals if not settings.rivals or name in settings.rivals]
    # What is compared with ourselves alone is settled sooner than its time is up.
    share = settings.seconds / max(len(rivals), 3)
    try:
        source = case.input(settings.seed)
    except ImportError as error:
        yield {"contender": "fastsoftmax", "status": "skipped", "why": str(error)}
        return
    judge = judge_of(case, source)

    def judged(name: str) -> tuple[Contender | None, dict[str, Any]]:
        row: dict[str, Any] = {"contender": name}
        try:
            contender = builders[name](case, settings.threads)
            row.update(code=contender.code, note=contender.note)
            error, gross = judge(contender, share)
        except Exception as failure:
            return None, {**row, **refusal(failure)}
        if gross is not None:
            return None, {**row, "error": error, "status": "failing", "why": gross}
        return contender, {**row, "error": error, "status": "ok"}

    mine, our_row = judged("fastsoftmax")
    if mine is None:
        yield our_row
        return
    our_row["digest"] = digest(mine, source)
    rows, our_times = [], []
    for name in rivals:
        theirs, row = judged(name)
        if theirs is not None:
            try:
                timing = asdict(compare(mine, theirs, source, share))
            except Exception as failure:
                row.update(refusal(failure))
            else:
                our_times.append(timing["ours_ns"])
                row.update(ns=timing.pop("theirs_ns"), **timing)
        rows.append(row)
    # Beside a fast rival and beside a slow one ours runs in different company; the table shows the middle.
    our_row["ns"] = sorted(our_times)[len(our_times) // 2] if our_times else alone(mine, source, share)
    yield our_row
    yield from rows


def judge_of(case: Case, source: np.ndarray) -> Judge:
    """What says whether a contender's answers to this input are right; the exact ones are worked out once."""
    if case.operation in ("softmax", "threads-softmax"):
        exact = exact_softmax(source, case.temperature)
        return lambda contender, seconds: judge_softmax(contender, source, exact)
    if case.operation in FILTER_JUDGES:
        return FILTER_JUDGES[case.operation](case, source)
    return lambda contender, seconds: judge_draw(contender, case, source, seconds)


def measure_overhead(case: Case, settings: Settings) -> dict[str, Any]:
    """What a call costs beyond its C kernel."""
    row: dict[str, Any] = {"contender": "fastsoftmax"}
    time_kernel = getattr(getattr(fastsoftmax, "_core", None), "_time_kernel", None)
    if time_kernel is None:
        return {**row, "status": "skipped", "why": "fastsoftmax._core._time_kernel is not there"}
    source = case.input(settings.seed)
    contender = ours(case, settings.threads)
    size = bundle_size(rough_call_ns(contender, source), source.nbytes)
    bundle = Bundle(contender, source, size)
    scratch = source.copy()

    def kernel() -> float:
        return float(time_kernel(scratch, case.temperature, size))

    timing = summarise(alternate(bundle.time, kernel, settings.seconds), size)
    return {
        **row,
        "code": contender.code,
        "status": "ok",
        "ns": timing.ours_ns,
        "kernel_ns": timing.theirs_ns,
        "difference_ns": timing.difference_ns,
        "pairs": timing.pairs,
        "bundle": size,
    }


def measure_door(case: Case, settings: Settings) -> dict[str, Any]:
    """What a call from compiled code costs beyond its C kernel."""
    source = case.input(settings.seed)
    draws = case.operation == "door-draw"
    size = 10_000

    def timer(through: bool) -> Callable[[], float]:
        row = source.copy()
        return lambda: float(fastsoftmax._core._time_door(row, case.temperature, size, draws, through))

    timing = summarise(alternate(timer(True), timer(False), settings.seconds), size)
    return {
        "contender": "fastsoftmax-kernel",
        "code": "fs_draw_f32" if draws else "fs_softmax_f32",
        "status": "ok",
        "ns": timing.ours_ns,
        "kernel_ns": timing.theirs_ns,
        "difference_ns": timing.difference_ns,
        "ratio": timing.ratio,
        "pairs": timing.pairs,
        "bundle": size,
    }


def measure_accuracy(case: Case, settings: Settings) -> Iterator[dict[str, Any]]:
    """One row for each contender: the largest error over the grid."""
    rivals = [name for name in case.rivals if not settings.rivals or name in settings.rivals]
    contenders = [AccuracyOf(name, case, settings.threads) for name in ("fastsoftmax", *rivals)]
    for point in accuracy_grid(settings.largest_n):
        source = point.input(case.dtype, settings.seed)
        exact = exact_softmax(source, point.temperature)
        for contender in contenders:
            contender.add(point, source, exact)
    for contender in contenders:
        yield contender.row()


def with_progress(cases: list[Case], threads: int) -> Iterator[Case]:
    """The cases one by one, with a bar on standard error if rich is installed, else with a line for each."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        for case in cases:
            print(f"{case.name} ({threads} threads)", file=sys.stderr, flush=True)
            yield case
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A thread that redraws the bar would run in the middle of a timing.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(task, description=f"{case.name}, {threads} threads", refresh=True)
            yield case
            progress.advance(task)


def main(arguments: list[str]) -> int:
    """`worker.py SETTINGS OUTPUT`: settings as JSON, rows appended to the file OUTPUT."""
    settings = Settings(**json.loads(arguments[0]))
    if settings.pin and settings.threads == 1:
        pin_to_one_cpu()
    with open(arguments[1], "a", encoding="utf-8") as output:

        def emit(row: dict[str, Any]) -> None:
            output.write(json.dumps(row) + "\n")
            output.flush()

        measure_cases(settings, emit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

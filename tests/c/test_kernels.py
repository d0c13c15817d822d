"""The C kernels without Python: builds csrc/ and the programs of tests/c and runs them.

programs.py has the kinds of run and the sample of each program's cases that each of them takes.  CC names the
compiler; what a machine lacks (a compiler, qemu-user, a cross compiler, node) skips the tests that need it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from programs import FLAGS_OF_HEADERS, KINDS, LIBRARY, NOTHING, ONE_SET, OWN_POOL, RUNS, SET_FLAGS, SETS_OF_KIND, Run
from toolchains import CC, CSRC, NATIVE, THREADED, Builder, passes

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})"),
    pytest.mark.skipif(os.name != "posix", reason="the C tests need POSIX"),
]


def digests(output: str) -> set[str]:
    """Of each set, of which a program that makes any prints a line."""
    return set(re.findall(r"^digest (?:\w+ )?(\w+)$", output, re.MULTILINE))


def built(builder: Builder, run: Run) -> Path:
    name, link, toolchain = run.program.name, run.program.link, run.toolchain
    if link == LIBRARY:
        return builder.with_library(name, toolchain)
    if link == OWN_POOL:
        return builder.with_its_own_pool(name, toolchain)
    if link == NOTHING:
        return builder.program(name, toolchain, *FLAGS_OF_HEADERS[run.variant])
    assert link == ONE_SET
    sets = SETS_OF_KIND.get(run.kind) or passes(NATIVE, builder.with_library("sets", NATIVE)).split()
    if run.variant not in sets:
        pytest.skip(f"this machine has no {run.variant}")
    return builder.with_kernels(name, toolchain, *flags_of_set(run.variant))


def flags_of_set(name: str) -> list[str]:
    return [f'-DSET="isa_{name}.c"', f'-DVECTOR="simd/{name}.h"', *SET_FLAGS[name]]


def passes_with_the_digest_of_the_others(builder: Builder, run: Run) -> None:
    arguments = (run.program.option, run.sample)
    found = digests(passes(run.toolchain, built(builder, run), *arguments))
    if not found:
        return
    # What prints a digest has one for every compiler and CPU, and for every instruction set that it is built for.
    if run.program.link == ONE_SET:
        same = passes(NATIVE, built(builder, Run(run.program, "ordinary", "scalar")), *arguments)
    else:
        same = passes(NATIVE, builder.with_library(run.program.name, NATIVE), *arguments)
    assert len(found) == 1 and found == digests(same)


def marked(run: Run) -> Any:
    marker = KINDS[run.kind][1]
    return pytest.param(run, id=str(run), marks=[getattr(pytest.mark, marker)] if marker else [])


@pytest.mark.parametrize("run", [marked(run) for run in RUNS])
def test_program_finds_no_fault(builder: Builder, ahead: Any, run: Run) -> None:
    ahead.result(
        lambda other: passes_with_the_digest_of_the_others(builder, other), run, lambda other: other.program.alone
    )


@pytest.mark.slow
def test_threads_do_not_race_under_the_sanitizer_of_threads(builder: Builder) -> None:
    passes(THREADED, builder.with_its_own_pool("threads", THREADED), "--every", 997, "--fork", 0)


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-ffinite-math-only"])
def test_flags_that_would_lose_nan_and_infinity_do_not_compile(flag: str) -> None:
    done = subprocess.run(
        [*CC, "-std=c11", flag, f"-I{CSRC}", "-fsyntax-only", str(CSRC / "plain.c")], capture_output=True, text=True
    )
    assert done.returncode != 0 and "without -ffast-math" in done.stderr

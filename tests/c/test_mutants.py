"""The programs of tests/c notice the faults they look for: each wrong variant in mutants.py makes one of them fail."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from mutants import EVERY, MORE_MUTANTS, MUTANTS, Mutant
from programs import TABLE
from test_kernels import flags_of_set
from toolchains import CC, CSRC, NATIVE, Builder, execute, included

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})"),
    pytest.mark.skipif(os.name != "posix", reason="the C tests need POSIX"),
]

# A change may leave a variable unused, or a comparison always true: that is not what it is noticed by.
QUIET = ("-w",)
# One failure is enough.
FIRST = ("-DMOST_FAILURES=1",)
LINKED_WITH = {program.name: program.link for program in TABLE}


def mutate(mutant: Mutant, csrc: Path) -> None:
    """Writes csrc/ with the change of a mutant to another folder."""
    shutil.copytree(CSRC, csrc)
    file = csrc / mutant.file
    text, count = re.subn(mutant.pattern, mutant.wrong, file.read_text())
    assert count, f"{mutant.file} no longer has what the mutant changes"
    file.write_text(text)


def build(builder: Builder, mutant: Mutant, csrc: Path) -> Path:
    """The mutant's program with the objects that the change reaches compiled anew, and the others as they are."""
    if LINKED_WITH[mutant.program] != "library":
        flags = (*flags_of_set("scalar"), "-U__SIZEOF_INT128__", *QUIET, *FIRST)
        return builder.with_kernels(mutant.program, NATIVE, *flags, csrc=csrc)
    objects = []
    for right in builder.library(NATIVE):
        source = csrc / f"{right.stem}.c"
        # Of the instruction sets only the scalar one, which every machine has: the others stay right.
        other_set = source.stem.startswith("isa_") and source.stem != "isa_scalar"
        if not other_set and CSRC / mutant.file in included(NATIVE.compiler, CSRC / source.name):
            objects.append(csrc / right.name)
            NATIVE.compile(source, objects[-1], "-O0", *QUIET, csrc=csrc)
        else:
            objects.append(right)
    return builder.program(mutant.program, NATIVE, "-O0", *FIRST, objects=objects)


def notices(builder: Builder, mutant: Mutant, csrc: Path) -> None:
    mutate(mutant, csrc)
    program = build(builder, mutant, csrc)
    done = execute(NATIVE, program, "--every", EVERY.get(mutant.program, 29), "--stride", 2049)
    assert done.returncode == 1 and "FAILED: " in done.stdout, f"not noticed: {done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "mutant",
    [*MUTANTS, *(pytest.param(mutant, marks=pytest.mark.slow) for mutant in MORE_MUTANTS)],
    ids=[mutant.name for mutant in (*MUTANTS, *MORE_MUTANTS)],
)
def test_wrong_variant_is_noticed(
    builder: Builder, ahead: Any, mutant: Mutant, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ahead.result(lambda other: notices(builder, other, tmp_path_factory.mktemp("mutant") / "csrc"), mutant)


@pytest.mark.parametrize("mutant", MORE_MUTANTS, ids=lambda mutant: mutant.name)
def test_pattern_of_each_mutant_is_there(mutant: Mutant) -> None:
    # The slow run compiles these; a pattern that a change of csrc/ has left without a match shows here.
    assert re.search(mutant.pattern, (CSRC / mutant.file).read_text())

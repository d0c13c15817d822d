"""The C kernels without Python: builds csrc/ and the programs of tests/c and runs them.

The ordinary run takes a sample of each program's cases; the runs marked slow take all of them, with the
optimisation of a release, another compiler and the sanitizers.  CC names the compiler; what a machine lacks
(a compiler, qemu-user, a cross compiler) skips the tests that need it.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from c_kernels import (
    AARCH64,
    CC,
    CLANG,
    CSRC,
    NATIVE,
    RELEASE,
    SANITIZED,
    THREADED,
    Builder,
    Toolchain,
    execute,
    passes,
)
from mutants import EVERY, MORE_MUTANTS, MUTANTS, Mutant

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})"),
    pytest.mark.skipif(os.name != "posix", reason="the C tests need POSIX"),
]

# What a program that includes an isa_*.c is compiled with.
SET_FLAGS = {
    "scalar": [],
    "neon": [],
    "avx2": ["-march=x86-64-v3"],
    "avx512": ["-march=x86-64-v4"],
}


def digests(output: str) -> dict[str, str]:
    return dict(re.findall(r"^digest (\w+) (\w+)$", output, re.MULTILINE))


@pytest.fixture(scope="module")
def available(builder: Builder) -> list[str]:
    """The instruction sets of this machine."""
    return passes(NATIVE, builder.with_library("sets", NATIVE)).split()


every_set = pytest.mark.parametrize("name", ["scalar", "avx2", "avx512", "neon"])


def flags_of(name: str) -> list[str]:
    return [f'-DSET="isa_{name}.c"', f'-DVECTOR="simd/{name}.h"', *SET_FLAGS[name]]


def of_set(
    builder: Builder, program: str, name: str, available: list[str], toolchain: Toolchain = NATIVE
) -> Path:
    if name not in available:
        pytest.skip(f"this machine has no {name}")
    return builder.with_kernels(program, toolchain, *flags_of(name))


both_bits = pytest.mark.parametrize("program", ["bits", "bits_filters"])


@both_bits
def test_same_bits_on_every_instruction_set(builder: Builder, program: str) -> None:
    passes(NATIVE, builder.with_library(program, NATIVE), "--every", 1499)


def test_a_row_in_shards_has_the_bits_of_the_row(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("bits_shards", NATIVE), "--every", 97)


def test_a_row_in_shards_has_the_bits_of_the_row_on_neon_under_qemu(builder: Builder) -> None:
    here = digests(passes(NATIVE, builder.with_library("bits_shards", NATIVE), "--every", 499, "--seed", 1))
    there = digests(passes(AARCH64, builder.with_library("bits_shards", AARCH64), "--every", 499, "--seed", 1))
    assert set(here.values()) == set(there.values())


@both_bits
def test_same_bits_on_neon_under_qemu(builder: Builder, program: str) -> None:
    here = digests(passes(NATIVE, builder.with_library(program, NATIVE), "--every", 7919, "--seed", 1))
    there = digests(passes(AARCH64, builder.with_library(program, AARCH64), "--every", 7919, "--seed", 1))
    assert set(there) == {"neon", "scalar"}
    assert set(here.values()) == set(there.values())


@pytest.mark.parametrize("program", ["guard", "guard_filters"])
def test_nothing_outside_what_is_given_is_touched(builder: Builder, program: str) -> None:
    passes(NATIVE, builder.with_library(program, NATIVE), "--every", 29)


def test_draw_at_every_bin_boundary(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("draw", NATIVE), "--every", 97)


def test_many_draws_are_those_of_a_few(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("many", NATIVE), "--every", 13)


def test_kept_sets_are_those_of_sorting(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("filters", NATIVE), "--every", 3)


def test_order_and_drafts_are_those_of_sorting_and_fractions(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("ranking", NATIVE), "--every", 5)


def test_penalties_are_those_of_comparing_every_suffix(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("penalties", NATIVE))


def test_a_row_that_changes_meanwhile_does_no_harm(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("race", NATIVE), "--calls", 100)


def test_threads_share_a_job_and_change_no_bit(builder: Builder) -> None:
    passes(NATIVE, builder.with_its_own_pool("threads", NATIVE), "--every", 499)


def test_plain_functions_are_those_of_described_rows(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("plain", NATIVE), "--every", 3)


def test_floating_point_environment_is_neither_used_nor_changed(builder: Builder) -> None:
    passes(NATIVE, builder.with_library("environment", NATIVE), "--every", 3)


@pytest.mark.parametrize("flags", [[], ["-U__SIZEOF_INT128__"]], ids=["compiler", "portable"])
def test_wide_products_and_quotients(builder: Builder, flags: list[str]) -> None:
    passes(NATIVE, builder.program("wide", NATIVE, *flags))


@every_set
def test_float32_exponential(builder: Builder, available: list[str], name: str) -> None:
    passes(NATIVE, of_set(builder, "exp_all", name, available), "--stride", 2049)


@every_set
def test_float16_and_bfloat16_conversions(builder: Builder, available: list[str], name: str) -> None:
    passes(NATIVE, of_set(builder, "half", name, available), "--stride", 257)


@every_set
def test_vector_operations_lane_by_lane(builder: Builder, available: list[str], name: str) -> None:
    passes(NATIVE, of_set(builder, "vectors", name, available))


def test_neon_vector_operations_under_qemu(builder: Builder) -> None:
    passes(AARCH64, builder.program("vectors", AARCH64, *flags_of("neon")))


@pytest.mark.parametrize(
    ("program", "every"),
    [
        ("draw", 599),
        ("many", 28),
        ("guard", 599),
        ("guard_filters", 599),
        ("environment", 149),
        ("filters", 199),
        ("ranking", 199),
        ("penalties", 199),
        ("plain", 199),
    ],
)
def test_neon_under_qemu(builder: Builder, program: str, every: int) -> None:
    passes(AARCH64, builder.with_library(program, AARCH64), "--every", every)


@pytest.mark.slow
@both_bits
@pytest.mark.parametrize("toolchain", [RELEASE, CLANG, AARCH64], ids=lambda t: t.name)
def test_same_bits_from_every_compiler(builder: Builder, toolchain: Toolchain, program: str) -> None:
    every = 997 if program == "bits" else 5003 if toolchain is AARCH64 else 1999
    expected = digests(passes(NATIVE, builder.with_library(program, NATIVE), "--every", every, "--seed", 2))
    got = digests(passes(toolchain, builder.with_library(program, toolchain), "--every", every, "--seed", 2))
    assert set(got.values()) == set(expected.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "every"),
    [
        ("bits", 101),
        ("bits_filters", 499),
        ("bits_shards", 5),
        ("guard", 1),
        ("guard_filters", 5),
        ("draw", 7),
        ("many", 1),
        ("filters", 1),
        ("ranking", 1),
        ("plain", 1),
    ],
)
def test_all_cases_of_the_release_build(builder: Builder, program: str, every: int) -> None:
    passes(RELEASE, builder.with_library(program, RELEASE), "--every", every)


@pytest.mark.slow
def test_every_row_is_the_same_for_every_number_of_threads(builder: Builder) -> None:
    passes(RELEASE, builder.with_its_own_pool("threads", RELEASE), "--every", 11)


@pytest.mark.slow
def test_no_row_takes_much_longer_than_another(builder: Builder) -> None:
    passes(RELEASE, builder.with_library("linear", RELEASE))


@pytest.mark.slow
@every_set
def test_float32_exponential_of_many_inputs(builder: Builder, available: list[str], name: str) -> None:
    # one input in 17 takes seconds with vectors; `.ci/run exponential` takes them all
    stride = 129 if name == "scalar" else 17
    passes(RELEASE, of_set(builder, "exp_all", name, available, RELEASE), "--stride", stride)


@pytest.mark.slow
def test_float32_exponential_is_one_function(builder: Builder, available: list[str]) -> None:
    programs = [of_set(builder, "exp_all", name, available, RELEASE) for name in available]
    outputs = [passes(RELEASE, program, "--stride", 257) for program in programs]
    assert len({re.search(r"^digest (\w+)$", output, re.MULTILINE)[1] for output in outputs}) == 1  # type: ignore[index]


@pytest.mark.slow
@every_set
def test_all_roundings_to_float16_and_bfloat16(builder: Builder, available: list[str], name: str) -> None:
    passes(RELEASE, of_set(builder, "half", name, available, RELEASE), "--stride", 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "every"),
    [
        ("bits", 5003),
        ("bits_filters", 5003),
        ("bits_shards", 499),
        ("guard", 149),
        ("guard_filters", 149),
        ("draw", 397),
        ("many", 9),
        ("environment", 4),
        ("filters", 29),
        ("ranking", 29),
        ("penalties", 7),
        ("plain", 29),
    ],
)
def test_sanitized_programs(builder: Builder, program: str, every: int) -> None:
    passes(SANITIZED, builder.with_library(program, SANITIZED), "--every", every)


@pytest.mark.slow
def test_sanitized_race(builder: Builder) -> None:
    passes(SANITIZED, builder.with_library("race", SANITIZED), "--calls", 150)


@pytest.mark.slow
def test_sanitized_threads(builder: Builder) -> None:
    passes(SANITIZED, builder.with_its_own_pool("threads", SANITIZED), "--every", 997)


@pytest.mark.slow
def test_sanitized_for_races_of_threads(builder: Builder) -> None:
    passes(THREADED, builder.with_its_own_pool("threads", THREADED), "--every", 997, "--fork", 0)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["-U__SIZEOF_INT128__"]], ids=["compiler", "portable"])
def test_sanitized_wide_products(builder: Builder, flags: list[str]) -> None:
    passes(SANITIZED, builder.program("wide", SANITIZED, *flags))


@pytest.mark.slow
@every_set
@pytest.mark.parametrize(
    ("program", "stride"),
    [("exp_all", 65537), ("half", 4099), ("vectors", 1)],
    ids=["exp_all", "half", "vectors"],
)
def test_sanitized_vectors(
    builder: Builder, available: list[str], name: str, program: str, stride: int
) -> None:
    passes(SANITIZED, of_set(builder, program, name, available, SANITIZED), "--stride", stride)


def notices(builder: Builder, mutant: Mutant, csrc: Path) -> None:
    shutil.copytree(CSRC, csrc)
    file = csrc / mutant.file
    text, count = re.subn(mutant.pattern, mutant.wrong, file.read_text())
    assert count, f"{mutant.file} no longer has what the mutant changes"
    file.write_text(text)
    if mutant.program in ("half", "exp_all", "vectors", "wide"):
        flags = [*flags_of("scalar"), "-U__SIZEOF_INT128__"]
        program = builder.with_kernels(mutant.program, NATIVE, *flags, csrc=csrc)
    else:
        objects = []
        for right in builder.library(NATIVE):
            objects.append(right)
            if right.stem in ("isa_scalar", "dispatch", "penalize", "plain"):
                objects[-1] = csrc / right.name
                NATIVE.compile(csrc / f"{right.stem}.c", objects[-1], "-O0", csrc=csrc)
        program = builder.program(mutant.program, NATIVE, objects=objects)
    done = execute(NATIVE, program, "--every", EVERY.get(mutant.program, 29), "--stride", 2049)
    assert done.returncode == 1 and "FAILED: " in done.stdout, f"not noticed: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_wrong_variants_are_noticed(builder: Builder, mutant: Mutant, tmp_path: Path) -> None:
    notices(builder, mutant, tmp_path / "csrc")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MORE_MUTANTS, ids=lambda m: m.name)
def test_more_wrong_variants_are_noticed(builder: Builder, mutant: Mutant, tmp_path: Path) -> None:
    notices(builder, mutant, tmp_path / "csrc")

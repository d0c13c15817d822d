"""Systems and compilers that are not here: csrc/ compiles for them.  Programs for Windows also run, where there is wine
(kind "windows" in programs.py)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from programs import SET_FLAGS
from toolchains import CC, CSRC, MACOS, MSVC, WINDOWS, Builder, passes

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})"),
    pytest.mark.skipif(os.name != "posix", reason="the C tests need POSIX"),
]

# The branches of the sources for MSVC are compiled too, with clang in its place.
MSVC_ITSELF = ("-fms-extensions", "-DFS_MSVC")


@pytest.mark.parametrize("source", sorted(CSRC.glob("*.c")), ids=lambda source: source.stem)
@pytest.mark.parametrize("compiler", ["clang-cl", "msvc"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_file_compiles_with_the_headers_of_msvc(source: Path, compiler: str, machine: str) -> None:
    MSVC.skip_unless_installed()
    flags = [f"--target={machine}-pc-windows-msvc", *(MSVC_ITSELF if compiler == "msvc" else ())]
    if machine == "x86_64":
        # Unlike MSVC, clang has the vectors of a set in its headers for Windows only if its flags have the set.
        flags += SET_FLAGS.get(source.stem.removeprefix("isa_"), ())
    done = subprocess.run([*MSVC.command(flags, CSRC), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_that_check_finds_what_windows_does_not_have(tmp_path: Path) -> None:
    MSVC.skip_unless_installed()
    for wrong in ("#include <pthread.h>", "#include <windows.h>\nBOOL f(void) { return CreateTread(); }"):
        source = tmp_path / "a.c"
        source.write_text(wrong + "\n")
        command = [*MSVC.command(["--target=x86_64-pc-windows-msvc"], CSRC), str(source)]
        assert subprocess.run(command, capture_output=True).returncode != 0


def test_a_program_links_for_macos_on_arm64(builder: Builder) -> None:
    program = builder.with_library("bits", MACOS)
    assert program.read_bytes()[:8] == bytes.fromhex("cffaedfe0c000001")  # Mach-O of 64 bits, ARM64


def test_threads_on_windows_share_jobs_with_the_atomic_accesses_of_msvc_too(builder: Builder) -> None:
    objects = [path for path in builder.library(WINDOWS) if path.stem != "thread_pool"]
    passes(WINDOWS, builder.program("threads", WINDOWS, *MSVC_ITSELF, objects=objects), "--every", 997)

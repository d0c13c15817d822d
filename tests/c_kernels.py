"""The C kernels without Python: objects of csrc/ and programs of tests/c, each built once a session."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
PROGRAMS = ROOT / "tests" / "c"
CC = os.environ.get("CC", "cc").split()

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unknown-pragmas", "-Wno-psabi"]
LANGUAGE = ["-std=c11", "-D_GNU_SOURCE", "-ffp-contract=off", *WARNINGS]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
# GCC's copies of stack frames do not keep the alignment of vectors.
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_stack_use_after_return=0"}


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags, and what runs its programs."""

    name: str
    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    link: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()

    def skip_unless_installed(self) -> None:
        for tool in (self.compiler[0], *self.runner[:1]):
            if shutil.which(tool) is None:
                pytest.skip(f"no {tool}")

    def compile(self, source: Path, to: Path, *flags: str, csrc: Path = CSRC) -> None:
        command = [*self.compiler, *LANGUAGE, *self.flags, *flags, f"-I{csrc}"]
        subprocess.run([*command, "-c", str(source), "-o", str(to)], check=True)


NATIVE = Toolchain("native", tuple(CC), ("-O2",))
RELEASE = Toolchain("release", tuple(CC), ("-O3", "-fvisibility=hidden"))
CLANG = Toolchain("clang", ("clang",), ("-O2",))
SANITIZED = Toolchain("sanitized", tuple(CC), ("-Og", *SANITIZERS), tuple(SANITIZERS))
THREADED = Toolchain("threaded", tuple(CC), ("-g", "-O1", "-fsanitize=thread"), ("-fsanitize=thread",))
AARCH64 = Toolchain("aarch64", ("aarch64-linux-gnu-gcc",), ("-Og",), ("-static",), ("qemu-aarch64",))


class Builder:
    """Objects of csrc/ and programs of tests/c, each built once a session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[str, list[Path]] = {}
        self.programs: dict[tuple[str, ...], Path] = {}

    def library(self, toolchain: Toolchain) -> list[Path]:
        toolchain.skip_unless_installed()
        if toolchain.name not in self.objects:
            folder = self.folder / toolchain.name
            folder.mkdir()
            sources = sorted(CSRC.glob("*.c"), reverse=True)  # the scalar kernels first: they take longest
            objects = [folder / f"{source.stem}.o" for source in sources]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(toolchain.compile, sources, objects))
            self.objects[toolchain.name] = objects
        return self.objects[toolchain.name]

    def program(
        self, name: str, toolchain: Toolchain, *flags: str, objects: Sequence[Path] = (), csrc: Path = CSRC
    ) -> Path:
        toolchain.skip_unless_installed()
        key = (name, toolchain.name, str(csrc), *flags, *map(str, objects))
        if key not in self.programs:
            program = self.folder / f"{name}-{len(self.programs)}"
            object_file = program.with_suffix(".o")
            toolchain.compile(PROGRAMS / f"{name}.c", object_file, *flags, csrc=csrc)
            command = [*toolchain.compiler, str(object_file), *map(str, objects), "-o", str(program)]
            subprocess.run([*command, *toolchain.link, "-lm", "-pthread"], check=True)
            self.programs[key] = program
        return self.programs[key]

    def with_library(self, name: str, toolchain: Toolchain) -> Path:
        return self.program(name, toolchain, objects=self.library(toolchain))

    def with_kernels(self, name: str, toolchain: Toolchain, *flags: str, csrc: Path = CSRC) -> Path:
        """A program that includes the kernels of one set, with what these call."""
        objects = [self.folder / f"{toolchain.name}-{stem}.o" for stem in ("thread_pool", "alloc")]
        for path in objects:
            if not path.exists():
                toolchain.compile(CSRC / f"{path.stem.removeprefix(f'{toolchain.name}-')}.c", path)
        return self.program(name, toolchain, *flags, objects=objects, csrc=csrc)

    def with_its_own_pool(self, name: str, toolchain: Toolchain) -> Path:
        """A program that includes thread_pool.c, with the rest of the library."""
        objects = [path for path in self.library(toolchain) if path.stem != "thread_pool"]
        return self.program(name, toolchain, objects=objects)


def execute(toolchain: Toolchain, program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*toolchain.runner, str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SANITIZER_OPTIONS})


def passes(toolchain: Toolchain, program: Path, *arguments: object) -> str:
    done = execute(toolchain, program, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

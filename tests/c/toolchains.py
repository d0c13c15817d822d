"""Compilers with their flags, and what they build from csrc/ and tests/c: each object and program once a session.

The objects are kept in the folder that FASTSOFTMAX_OBJECTS names, if any: the steps of one run of .ci/run share them.
"""

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
PROGRAMS = ROOT / "tests" / "c"
CC = os.environ.get("CC", "cc").split()

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unknown-pragmas", "-Wno-psabi"]
LANGUAGE = ["-std=c11", "-D_GNU_SOURCE", "-ffp-contract=off", *WARNINGS]
# Lines for the reports; where each variable lives, for a debugger, is a third of GCC's time.
SANITIZERS = [
    "-g", "-fno-var-tracking", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
]  # fmt: skip
# GCC's copies of stack frames do not keep the alignment of vectors.
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_stack_use_after_return=0"}
# A program that includes the kernels does not use their table: as a whole program GCC compiles only what is called.
ONLY_WHAT_IS_CALLED = [
    "-fwhole-program", "-Wno-unknown-warning-option", "-Wno-maybe-uninitialized", "-Wno-ignored-optimization-argument",
]  # fmt: skip


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its flags, and what runs its programs.

    needs: programs and files without which the compiler does not link.
    only_what_runs: the objects of instruction sets that this machine does not have are those of NATIVE.
    """

    name: str
    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    link: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ("-lm", "-pthread")
    needs: tuple[str, ...] = ()
    only_what_runs: bool = False

    def missing(self) -> list[str]:
        tools = (self.compiler[0], *self.runner[:1], *self.needs)
        return [tool for tool in tools if shutil.which(tool) is None and not Path(tool).is_file()]

    def skip_unless_installed(self) -> None:
        for tool in self.missing():
            import pytest  # here: objects.py runs before there is any

            pytest.skip(f"no {tool}")

    def command(self, flags: Sequence[str], csrc: Path) -> list[str]:
        return [*self.compiler, *LANGUAGE, *self.flags, *flags, f"-I{csrc}"]

    def compile(self, source: Path, to: Path, *flags: str, csrc: Path = CSRC) -> None:
        subprocess.run([*self.command(flags, csrc), "-c", str(source), "-o", str(to)], check=True)

    def digest(self, source: Path, flags: Sequence[str], csrc: Path) -> str:
        """Of all that an object depends on: the compiler, its flags and variables, every file that it may include."""
        variables = [f"{name}={os.environ.get(name)}" for name in ("CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX")]
        files = [str(source), contents(csrc), contents(PROGRAMS)]
        parts = [version(self.compiler), *variables, *self.command(flags, csrc), *files]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def version(compiler: tuple[str, ...]) -> str:
    found = subprocess.run([*compiler, "--version"], check=True, capture_output=True, text=True).stdout
    return f"{shutil.which(compiler[0])} {found}"


@functools.cache
def included(compiler: tuple[str, ...], source: Path) -> frozenset[Path]:
    """The files of csrc/ that are compiled into one of them."""
    command = [*compiler, "-MM", f"-I{CSRC}", str(source)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return frozenset(Path(name) for name in found.split() if name.startswith(str(CSRC)))


@functools.cache
def contents(folder: Path) -> str:
    """A digest of the names and contents of the C files of a folder, which no longer change."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.[ch]")):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The lock of a file among processes."""
    import fcntl  # here: POSIX has it, as the C tests need

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


NATIVE = Toolchain("native", tuple(CC), ("-O1",))
RELEASE = Toolchain("release", tuple(CC), ("-O3", "-fvisibility=hidden"))
# It traps on arithmetic on null pointers too, which GCC's sanitizers let pass.
CLANG = Toolchain("clang", ("clang",), ("-O2", "-fsanitize=pointer-overflow", "-fsanitize-trap=all"))
SANITIZED = Toolchain("sanitized", tuple(CC), ("-Og", *SANITIZERS), tuple(SANITIZERS), only_what_runs=True)
THREADED = Toolchain(
    "threaded", tuple(CC), ("-g", "-O1", "-fsanitize=thread"), ("-fsanitize=thread",), only_what_runs=True
)
AARCH64 = Toolchain("aarch64", ("aarch64-linux-gnu-gcc",), ("-Og",), ("-static",), ("qemu-aarch64",))
# Where Debian has the headers and libraries of WASI.  There are no threads, and without the option the stack has 64 kB.
WASM = Toolchain(
    "wasm",
    ("clang", "--target=wasm32-wasi", "--sysroot=/usr"),
    ("-O2",),
    ("-Wl,-z,stack-size=1048576",),
    ("node", "--experimental-wasi-unstable-preview1", "--no-warnings", str(PROGRAMS / "wasi.mjs")),
    libraries=("-lm",),
    needs=("wasm-ld", "/usr/lib/wasm32-wasi/libc.a"),
)


def zig(target: str) -> tuple[str, ...]:
    """clang with the headers and libraries of a system: in the package ziglang, or a zig that is installed."""
    package = importlib.util.find_spec("ziglang")
    found = str(Path(package.origin).with_name("zig")) if package and package.origin else "zig"
    return (found, "cc", "-target", target)


# Its clang is newer: it warns where a file that is compiled for both types compares a float with the largest double.
ZIG = ("-Wno-literal-range", "-fno-sanitize=all", "-g0")
WINDOWS = Toolchain("windows", zig("x86_64-windows-gnu"), (*ZIG, "-O1"), runner=("wine",))
# Linked, but not run.
MACOS = Toolchain("macos", zig("aarch64-macos"), (*ZIG, "-O0"))
# In place of MSVC, with as much of its headers as csrc/ includes; nothing is linked.
MSVC = Toolchain(
    "msvc",
    ("clang",),
    ("-ffreestanding", "-fms-extensions", "-Wno-bitwise-instead-of-logical", f"-I{PROGRAMS / 'msvc'}", "-fsyntax-only"),
)


class Builder:
    """Objects of csrc/ and programs of tests/c, each built once a session, whichever thread asks for it first."""

    def __init__(self, folder: Path, at_once: int | None = None) -> None:
        self.folder = folder
        self.at_once = at_once or os.cpu_count()
        self.objects = Path(os.environ.get("FASTSOFTMAX_OBJECTS") or folder / "objects")
        self.objects.mkdir(parents=True, exist_ok=True)
        self.lock = Lock()
        self.locks: dict[object, Any] = {}
        self.built: dict[object, Any] = {}

    def once(self, key: object, build: Callable[[], Any]) -> Any:
        with self.lock:
            mine = self.locks.setdefault(key, Lock())
        with mine:
            if key not in self.built:
                self.built[key] = build()
            return self.built[key]

    def compile(self, toolchain: Toolchain, source: Path, to: Path, *flags: str, csrc: Path = CSRC) -> None:
        """A copy of the object with this digest, which is compiled where there is none."""
        digest = toolchain.digest(source, flags, csrc)
        ready = self.objects / f"{digest}.o"
        with locked(self.objects / f"{digest}.lock"):
            if not ready.exists():
                part = ready.with_suffix(".part")
                toolchain.compile(source, part, *flags, csrc=csrc)
                part.replace(ready)
        shutil.copyfile(ready, to)

    def while_none_compile_ahead(self) -> AbstractContextManager[None]:
        """Waits for objects.py, which may be at work beside this session, and keeps it from beginning again."""
        return locked(self.objects / "ahead.lock")

    def library(self, toolchain: Toolchain) -> list[Path]:
        """The objects of every file of csrc/."""

        def build() -> list[Path]:
            folder = self.folder / toolchain.name
            folder.mkdir()
            sources = sorted(CSRC.glob("*.c"), reverse=True)  # the scalar kernels first: they take longest
            ready = self.of_other_machines() if toolchain.only_what_runs else []
            sources = [source for source in sources if source.stem not in {path.stem for path in ready}]
            objects = [folder / f"{source.stem}.o" for source in sources]
            with ThreadPoolExecutor(self.at_once) as pool:
                list(pool.map(lambda source, to: self.compile(toolchain, source, to), sources, objects))
            return objects + ready

        toolchain.skip_unless_installed()
        return self.once(toolchain, build)  # type: ignore[no-any-return]

    def of_other_machines(self) -> list[Path]:
        """The objects of the instruction sets that this machine does not have."""
        sets = passes(NATIVE, self.with_library("sets", NATIVE)).split()
        return [path for path in self.library(NATIVE) if path.stem.startswith("isa_") and path.stem[4:] not in sets]

    def program(
        self, name: str, toolchain: Toolchain, *flags: str, objects: Sequence[Path] = (), csrc: Path = CSRC
    ) -> Path:
        def build() -> Path:
            program = self.folder / f"{name}-{abs(hash(key)):x}"
            object_file = program.with_suffix(".o")
            self.compile(toolchain, PROGRAMS / f"{name}.c", object_file, *flags, csrc=csrc)
            command = [*toolchain.compiler, str(object_file), *map(str, objects), "-o", str(program)]
            subprocess.run([*command, *toolchain.link, *toolchain.libraries], check=True)
            return program

        toolchain.skip_unless_installed()
        key = (name, toolchain, csrc, flags, tuple(objects))
        return self.once(key, build)  # type: ignore[no-any-return]

    def with_library(self, name: str, toolchain: Toolchain) -> Path:
        return self.program(name, toolchain, objects=self.library(toolchain))

    def with_kernels(self, name: str, toolchain: Toolchain, *flags: str, csrc: Path = CSRC) -> Path:
        """A program that includes the kernels of one set, with what these call."""

        def build(stem: str) -> Path:
            to = self.folder / f"{toolchain.name}-{stem}.o"
            self.compile(toolchain, CSRC / f"{stem}.c", to)
            return to

        toolchain.skip_unless_installed()
        objects = [self.once((toolchain, stem), lambda stem=stem: build(stem)) for stem in ("thread_pool", "alloc")]
        return self.program(name, toolchain, *ONLY_WHAT_IS_CALLED, *flags, objects=objects, csrc=csrc)

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

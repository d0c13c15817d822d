"""Build of the one extension module; everything else is in pyproject.toml."""

import os
import re
import shutil
import sys
import sysconfig
import tomllib
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import PlatformError

NO_COMPILER = """
fastsoftmax needs a C compiler to be built from source, and there is none here: {missing}.
Install one and try again:
    Debian, Ubuntu   apt-get install gcc python3-dev
    Fedora           dnf install gcc python3-devel
    macOS            xcode-select --install
    Windows          the "Desktop development with C++" workload of the Visual Studio Build Tools
"""

MISSING_TOOLS = """
fastsoftmax is built with {required}, and here {missing}.
Run `python -m pip install {wanted}` and try again, or leave out --no-build-isolation: pip then brings them itself.
"""

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))


def check_build_tools(required: list[str]) -> None:
    """Say what is missing or too old; pip does not look where it is told --no-build-isolation."""
    missing, wanted = [], []
    for requirement in required:
        name, _, least = requirement.partition(">=")
        try:
            found = version(name)
        except PackageNotFoundError:
            missing.append(f"{name} is missing")
        else:
            if [int(part) for part in re.findall(r"\d+", found)] >= [int(part) for part in least.split(".")]:
                continue
            missing.append(f"{name} is {found}")
        wanted.append(f'"{requirement}"')
    if missing:
        sentence = MISSING_TOOLS.format(
            required=", ".join(required), missing=" and ".join(missing), wanted=" ".join(wanted)
        )
        raise SystemExit(sentence)


check_build_tools(PROJECT["build-system"]["requires"])

import numpy  # noqa: E402
from Cython.Build import cythonize  # noqa: E402


def description() -> str:
    """README.md for a package index, where links must be absolute.

    They lead to the address of the source in pyproject.toml; until it has one they are plain text.  Images stay out.
    """
    relative = r"\((?!https?:|#)([^)\s]+)\)"
    text = re.sub(rf"!\[[^\]]*\]{relative}\n*", "", Path("README.md").read_text(encoding="utf-8"))
    source = PROJECT["project"].get("urls", {}).get("Source")
    return re.sub(rf"\[([^\]]+)\]{relative}", rf"[\1]({source}/blob/HEAD/\2)" if source else r"\1", text)


FLAGS = ["-std=c11", "-O3", "-g0", "-pthread", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-unused-function"]

# FASTSOFTMAX_ABI3=1: one module for 3.12 and all later versions, by the stable ABI, for those that have no wheel of
# their own yet.  Short calls take half as long again with it (bench/NOTES.md), so it is nobody's first choice.
ABI3 = os.environ.get("FASTSOFTMAX_ABI3") == "1"
if ABI3 and (sys.version_info < (3, 12) or sysconfig.get_config_var("Py_GIL_DISABLED")):
    raise SystemExit("FASTSOFTMAX_ABI3=1 needs CPython 3.12 or later, with a GIL")


class BuildExt(build_ext):
    """Flags by compiler, a sentence where there is none, and a copy of the result in the source tree.

    The copy makes `python -m fastsoftmax` and `python -m pytest` work from the root of a checkout after a
    plain `pip install .`: there the source folder comes first on the path.
    """

    def build_extensions(self) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        for extension in self.extensions:
            extension.extra_compile_args = (
                ["/std:c11", "/O2", "/fp:precise"]
                if msvc
                else [*FLAGS, *os.environ.get("FASTSOFTMAX_CFLAGS", "").split()]
            )
            extension.extra_link_args = [] if msvc else ["-pthread", *os.environ.get("FASTSOFTMAX_CFLAGS", "").split()]
        if not msvc and shutil.which(self.compiler.compiler_so[0]) is None:
            raise SystemExit(NO_COMPILER.format(missing=f"{self.compiler.compiler_so[0]!r} was not found"))
        compile_in_turn = self.compiler.compile

        def compile_at_once(sources: list[str], *args: Any, **kwargs: Any) -> list[str]:
            """One compiler for each CPU: the instruction sets take about equally long."""
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_in_turn([source], *args, **kwargs), sources)
                return [one for each in objects for one in each]

        if not msvc:
            self.compiler.compile = compile_at_once
        try:
            super().build_extensions()
        except PlatformError as error:  # how setuptools says that Visual Studio is missing
            raise SystemExit(NO_COMPILER.format(missing=error)) from error
        if not self.inplace:
            self.copy_extensions_to_source()


class BuildPy(build_py):
    """Copies that are part of the package.

    fastsoftmax/include    the C header and the sources of the kernels: get_include() names it
    fastsoftmax/_bench     what `fastsoftmax bench` runs
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            bench, oracles = Path("bench"), Path("tests/oracles.py")
            scripts = (path for path in bench.rglob("*.py") if not path.name.endswith("_beside.py"))
            for folder, root, sources in (
                ("include", Path("csrc"), Path("csrc").rglob("*.[ch]")),
                ("_bench", bench, scripts),
                ("_bench", oracles.parent, [oracles]),
            ):
                for source in sorted(sources):
                    target = Path(self.build_lib, "fastsoftmax", folder, source.relative_to(root))
                    self.mkpath(str(target.parent))
                    self.copy_file(str(source), str(target))


macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")]
if ABI3:
    macros.append(("Py_LIMITED_API", "0x030C0000"))

core = Extension(
    "fastsoftmax._core",
    sources=["fastsoftmax/_core.pyx", *sorted(glob("csrc/*.c"))],
    depends=sorted(glob("csrc/**/*.h", recursive=True) + glob("fastsoftmax/_cython/*")),
    include_dirs=["csrc", numpy.get_include()],
    define_macros=macros,
    py_limited_api=ABI3,
)

setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    # Always anew: the C text depends on the NumPy it is built against.
    ext_modules=cythonize([core], language_level=3, force=True),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if ABI3 else {},
)

"""Build of the one extension module; everything else is in pyproject.toml."""

import os
import shutil
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path
from typing import Any

import numpy
from Cython.Build import cythonize
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

FLAGS = ["-std=c11", "-O3", "-g0", "-pthread", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-unused-function"]

# One limited-API wheel serves 3.12 and later; 3.11 and free-threaded interpreters get their own.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ABI3 = sys.version_info >= (3, 12) and not FREE_THREADED


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
    fastsoftmax/bench      what `fastsoftmax bench` runs
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            bench, oracles = Path("bench"), Path("tests/oracles.py")
            scripts = (path for path in bench.rglob("*.py") if not path.name.endswith("_beside.py"))
            for folder, root, sources in (
                ("include", Path("csrc"), Path("csrc").rglob("*.[ch]")),
                ("bench", bench, scripts),
                ("bench", oracles.parent, [oracles]),
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
    # Always anew: the C text depends on the NumPy it is built against.
    ext_modules=cythonize([core], language_level=3, force=True),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if ABI3 else {},
)

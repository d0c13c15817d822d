"""What ``import fastsoftmax`` says where the compiled part cannot be loaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from fastsoftmax import _core

PACKAGE = Path(_core.__file__).parent
COMPILED = Path(_core.__file__).name
MISSING = "the compiled part of fastsoftmax is missing"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, with its compiled part."""
    copy = tmp_path / "fastsoftmax"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "include", "*.pyx", "*.pxi", "*.c"))
    return copy


def import_error(package: Path) -> str:
    """The last error of a process that imports this copy; the process must fail."""
    done = subprocess.run(
        [sys.executable, "-c", "import fastsoftmax"],
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    return done.stderr.strip().rpartition("\n")[2]


def test_the_copy_itself_can_be_imported(package: Path) -> None:
    code = "import fastsoftmax; print(fastsoftmax.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent.resolve() == package.resolve()


def test_a_missing_file_is_called_missing_with_what_to_do(package: Path) -> None:
    (package / COMPILED).unlink()
    error = import_error(package)
    assert error.startswith(f"ImportError: {MISSING}") and "pip install ." in error


def test_a_file_for_another_python_is_called_missing(package: Path) -> None:
    (package / COMPILED).rename(package / "_core.cpython-27-other.so")
    assert MISSING in import_error(package)


@pytest.mark.parametrize("content", [b"", b"no library" * 100], ids=["empty", "garbage"])
def test_a_corrupt_file_keeps_the_words_of_the_loader(package: Path, content: bytes) -> None:
    (package / COMPILED).write_bytes(content)
    error = import_error(package)
    assert error.startswith("ImportError") and COMPILED.partition(".")[0] in error and MISSING not in error


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="builds a shared library with cc")
def test_an_undefined_symbol_keeps_its_name(package: Path) -> None:
    source = package.parent / "_core.c"
    source.write_text(
        "#include <Python.h>\nPyObject *a_symbol_nobody_has(void);\n"
        "PyMODINIT_FUNC PyInit__core(void) { return a_symbol_nobody_has(); }\n"
    )
    include = sysconfig.get_path("include")
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(package / COMPILED)], check=True, timeout=60
    )
    error = import_error(package)
    assert "undefined symbol" in error and "a_symbol_nobody_has" in error and MISSING not in error


@pytest.mark.parametrize(
    "words",
    [
        "numpy._core.multiarray failed to import",
        "fastsoftmax._core was built from a _core.pxd that does not match its kernels: build it again",
    ],
)
def test_an_import_error_from_within_keeps_its_own_words(package: Path, words: str) -> None:
    """What NumPy says, and the project's own check, while the compiled part is initialised: both mention _core."""
    (package / COMPILED).unlink()
    (package / "_core.py").write_text(f"raise ImportError({words!r})\n")
    assert import_error(package) == f"ImportError: {words}"


def test_a_missing_numpy_is_called_by_its_name(package: Path) -> None:
    (package.parent / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n")
    error = import_error(package)
    assert "numpy" in error and MISSING not in error


def test_an_old_numpy_is_called_too_old(package: Path) -> None:
    (package / COMPILED).unlink()
    (package / "_core.py").write_text("import numpy\nraise ImportError('numpy._core.multiarray failed to import')\n")
    (package.parent / "numpy.py").write_text("__version__ = '1.26.4'\n")
    assert import_error(package).startswith("ImportError: fastsoftmax needs NumPy 2.0 or later, this is 1.26.4: ")


def test_the_reference_is_imported_when_it_is_asked_for(package: Path) -> None:
    code = "import sys, fastsoftmax as fs; "
    code += "print('fastsoftmax.reference._softmax' in sys.modules, fs.reference.softmax([0]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "False [1.0]\n"


def test_numpy_random_is_imported_with_the_first_generator(package: Path) -> None:
    """It takes as long to import as the rest of the package, and a program with `u=` or seeds never needs it."""
    code = (
        "import sys, fastsoftmax as fs; there = lambda: 'numpy.random' in sys.modules\n"
        "print(fs.sample([0.0, 1.0], u=0.5), fs.Sampler(seed=1)([0.0, 1.0]) in (0, 1), there(), end=' ')\n"
        "print(fs.sample([0.0, 1.0], rng=1) in (0, 1), there(), fs.sample([0.0, 1.0], size=3, rng=2).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=package.parent, capture_output=True, text=True, check=True)
    assert done.stdout == "1 True False True True (3,)\n"

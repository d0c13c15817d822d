"""The command bench: the quick benchmark of bench/, from a checkout and from what setup.py installs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, command, complaint, run, text_of

from fastsoftmax.cli import bench

if not (ROOT / "bench" / "run.py").is_file():
    pytest.skip("needs the folder bench", allow_module_level=True)

SHORT = ["bench", "--filter", "softmax-f32-64", "--rivals", "numpy", "--seconds", "0.001"]


def test_prints_the_table_and_writes_what_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    before = set((ROOT / "bench").rglob("*.json"))
    for name, magic in (("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")):
        files = ["--plot", str(tmp_path / name), "--json", str(tmp_path / "a.json")]
        done = subprocess.run(command(*SHORT, *files), capture_output=True, text=True, cwd=ROOT, check=True)
        assert "fastsoftmax.softmax(x, t, out=x)" in done.stdout and f"written to {tmp_path / name}" in done.stdout
        assert (tmp_path / name).read_bytes().startswith(magic)
    rows = json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]
    assert {row["contender"] for row in rows if "ns" in row} == {"fastsoftmax", "numpy"}
    assert set((ROOT / "bench").rglob("*.json")) == before


def test_the_installed_package_has_all_it_needs(tmp_path: Path) -> None:
    pytest.importorskip("Cython")
    build = "import sys; sys.argv = ['setup.py', '-q', 'build_py', '--build-lib', sys.argv[1]]\n"
    build += "import Cython.Build; Cython.Build.cythonize = lambda *args, **kwargs: []; exec(open('setup.py').read())"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    package = tmp_path / "fastsoftmax"
    extension = Path(sys.modules["fastsoftmax._core"].__file__ or "")
    (package / extension.name).symlink_to(extension)
    assert sum(path.stat().st_size for path in (package / "_bench").rglob("*.py")) < 200_000
    code = "import fastsoftmax.cli as cli, sys; sys.exit(cli.main(sys.argv[1:]))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *SHORT], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert "softmax-f32-64" in done.stdout and "softmax(x, t)" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"fastsoftmax"}


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
def test_a_terminal_has_colours_and_the_columns_that_fit() -> None:
    pytest.importorskip("rich")
    for columns, shown in (("150", True), ("80", False)):
        ours, theirs = os.openpty()
        with subprocess.Popen(
            command(*SHORT), stdout=theirs, cwd=ROOT, env=os.environ | {"COLUMNS": columns, "TERM": "xterm"}
        ) as process:
            os.close(theirs)
            said = b""
            try:
                while part := os.read(ours, 4096):
                    said += part
            except OSError:  # how the end of a terminal is told
                pass
            assert process.wait(60) == 0
        os.close(ours)
        assert b"\x1b[" in said and b"fastsoftmax" in said and (b"quartiles" in said) == shown


def test_lists_its_cases() -> None:
    assert "softmax-f32-64 " in text_of(run("bench", "--list"))


def test_says_so_where_matplotlib_or_the_benchmark_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "plot", raising=False)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        assert "fastsoftmax[bench]" in complaint(run(*SHORT, "--plot", "a.png"), 1)
    monkeypatch.setattr(bench, "PACKAGE", tmp_path / "fastsoftmax")
    assert str(tmp_path) in complaint(run("bench"), 1)

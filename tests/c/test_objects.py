"""Objects that the steps of .ci/run share: never one that another compiler, flag or text would have made."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from toolchains import CC, NATIVE, Builder, Toolchain, contents

pytestmark = [
    pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})"),
    pytest.mark.skipif(os.name != "posix", reason="the C tests need POSIX"),
]


def test_an_object_serves_only_where_all_it_depends_on_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csrc = tmp_path / "csrc"
    csrc.mkdir()
    source, header = csrc / "a.c", csrc / "a.h"
    other = csrc / "b.c"
    for path in (source, other):
        path.write_text('#include "a.h"\n')
    header.write_text("int a;\n")
    calls = []

    def compile(self: Toolchain, source: Path, to: Path, *flags: str, csrc: Path) -> None:
        calls.append(flags)
        to.write_text(f"object {len(calls)}")

    monkeypatch.setattr(Toolchain, "compile", compile)
    monkeypatch.setenv("FASTSOFTMAX_OBJECTS", str(tmp_path / "objects"))

    def made(*flags: str, toolchain: Toolchain = NATIVE, source: Path = source) -> str:
        """What a new process gets."""
        contents.cache_clear()
        Builder(tmp_path).compile(toolchain, source, tmp_path / "a.o", *flags, csrc=csrc)
        return (tmp_path / "a.o").read_text()

    assert made() == made() == "object 1"
    assert made("-DA") == "object 2"
    assert made(toolchain=replace(NATIVE, flags=("-O2",))) == "object 3"
    header.write_text("int b;\n")
    assert made() == "object 4"
    (csrc / "more.h").write_text("")
    assert made() == "object 5"
    assert made(source=other) == "object 6"
    monkeypatch.setenv("CPATH", str(tmp_path))
    assert made() == "object 7"


def test_a_compiler_that_fails_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSOFTMAX_OBJECTS", str(tmp_path / "objects"))
    source = tmp_path / "a.c"
    source.write_text("int unused(void) { int a; return 0; }\n")  # a warning is an error
    with pytest.raises(subprocess.CalledProcessError):
        Builder(tmp_path).compile(NATIVE, source, tmp_path / "a.o")
    assert list((tmp_path / "objects").glob("*.o")) == [] and not (tmp_path / "a.o").exists()

"""Compiles csrc/ as the C tests need it, into the folder that FASTSOFTMAX_OBJECTS names: .ci/run does so on one CPU
while the Python tests keep the other busy.

    FASTSOFTMAX_OBJECTS=objects python tests/c/objects.py
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from toolchains import AARCH64, CLANG, NATIVE, RELEASE, SANITIZED, THREADED, WASM, WINDOWS, Builder


class BuilderAhead(Builder):
    """Stops between two objects while a test has the machine to itself."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        with self.while_none_compile_ahead():
            super().compile(*args, **kwargs)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        builder = BuilderAhead(Path(folder), at_once=1)
        for toolchain in (NATIVE, AARCH64, SANITIZED, THREADED, RELEASE, CLANG, WASM, WINDOWS):
            if missing := toolchain.missing():
                print(f"{toolchain.name}: no {' '.join(missing)}")
                continue
            began = time.monotonic()
            builder.library(toolchain)
            print(f"{toolchain.name}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

"""The command bench: a quick run of the benchmark in bench/, of which an installation has a copy (setup.py)."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from fastsoftmax.cli.errors import DataError

PACKAGE = Path(__file__).resolve().parents[1]


def run_bench(arguments: argparse.Namespace) -> None:
    """``fastsoftmax bench``."""
    folders = [folder for folder in (PACKAGE / "_bench", PACKAGE.parent / "bench") if (folder / "run.py").is_file()]
    if not folders:
        raise DataError(f"the benchmark is missing from {PACKAGE}: install fastsoftmax again")
    sys.path.insert(0, str(folders[0]))  # its files are scripts, which import each other by name
    asked = {name: vars(arguments)[name] for name in ("rivals", "seconds", "list", "plot", "json")}
    try:
        importlib.import_module("run").run(argparse.Namespace(**asked, filter=arguments.cases, quick=True, threads=1))
    except ImportError as error:
        raise DataError(f"{error}: pip install 'fastsoftmax[bench]'") from None
    except ValueError as error:
        arguments.usage_error(str(error))

"""What release/check.py asks of a checkout before its tag makes a release."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "release" / "check.py"
what_is_missing = runpy.run_path(str(CHECK))["what_is_missing"]

READY = {
    "fastsoftmax/_config.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-12-31\n\n- It is fast.\n",
    "pyproject.toml": '[project]\nname = "fastsoftmax"\nurls = { Source = "https://example.org" }\n',
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


def test_nothing_is_missing_from_what_is_ready(tmp_path: Path) -> None:
    assert what_is_missing("v1.2.3", write(tmp_path, READY)) == []


@pytest.mark.parametrize(
    "file, old, new, words",
    [
        ("fastsoftmax/_config.py", "1.2.3", "1.2.4", "has version 1.2.4"),
        ("CHANGELOG.md", " - 2026-12-31", "", "YEAR-MONTH-DAY"),
        ("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- It is faster.\n", "under Unreleased"),
        ("pyproject.toml", "Source", "Homepage", "Source"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, file: str, old: str, new: str, words: str) -> None:
    assert old in READY[file]
    write(tmp_path, READY | {file: READY[file].replace(old, new)})
    assert any(words in sentence for sentence in what_is_missing("v1.2.3", tmp_path))


def test_the_version_of_this_checkout_is_found() -> None:
    assert any("fastsoftmax/_config.py" in sentence for sentence in what_is_missing("v0"))

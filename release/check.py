"""Is this checkout ready to be released?  `python release/check.py v1.2.3` says what is missing, and exits with 1.

The tag names the version of the package, the changelog has it with a date and nothing unreleased above it, and
pyproject.toml says where the source is, to which the links of the description lead.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def what_is_missing(tag: str, root: Path = ROOT) -> list[str]:
    config = (root / "fastsoftmax" / "_config.py").read_text(encoding="utf-8")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (version,) = re.findall(r'^__version__ = "(.+)"$', config, re.MULTILINE)
    missing = []
    if tag != f"v{version}":
        missing.append(f"the tag is {tag}, and fastsoftmax/_config.py has version {version}")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        missing.append(f'CHANGELOG.md has no heading "## [{version}] - YEAR-MONTH-DAY"')
    if not re.search(r"^## \[Unreleased\]\n+## ", changelog, re.MULTILINE):
        missing.append("CHANGELOG.md has entries under Unreleased: move them into the version")
    if "Source" not in project.get("urls", {}):
        missing.append("pyproject.toml has no [project.urls] with Source")
    return missing


if __name__ == "__main__":
    missing = what_is_missing(*sys.argv[1:])
    sys.exit("\n".join(missing) or 0)

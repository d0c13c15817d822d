"""What the documentation's site must have: every public name, links that lead somewhere, and nothing from another host.

`.ci/run docs` builds it and says where it is; without that there is nothing to test.
"""

from __future__ import annotations

import ast
import os
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import fastsoftmax as fs

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("FASTSOFTMAX_SITE", ""))

PUBLIC_CLASSES = [kind for name in fs.__all__ if isinstance(kind := getattr(fs, name), type)]

pytestmark = pytest.mark.skipif(
    "FASTSOFTMAX_SITE" not in os.environ, reason="FASTSOFTMAX_SITE is not set: .ci/run docs"
)


class Page(HTMLParser):
    """The anchors of a page, its links, and what a browser loads to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in ("index", "search", "next", "prev", "canonical"):
            self.loaded.append(given["href"])
        self.loaded += [given[name] for name in ("src", "data", "poster") if name in given]


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in SITE.rglob("*.html")}


@pytest.fixture(scope="module")
def documented() -> set[str]:
    """The names of Python that the site's inventory has, which other projects' links go by."""
    *header, packed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)
    assert b"zlib" in header[-1]
    lines = zlib.decompress(packed).decode().splitlines()
    return {name for name, kind in (line.split()[:2] for line in lines) if kind.startswith("py:")}


def public_names(module: Path) -> list[str]:
    """What stands in `__all__` of a module whose library need not be there."""
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return ast.literal_eval(statement.value)
    return []


def test_every_public_name_is_in_the_reference(documented: set[str]) -> None:
    wanted = {f"fastsoftmax.{name}" for name in fs.__all__}
    wanted |= {f"fastsoftmax.schedules.{name}" for name in fs.schedules.__all__}
    wanted |= {f"fastsoftmax.reference.{name}" for name in fs.reference.__all__}
    for kind in PUBLIC_CLASSES:
        methods = [name for name, value in vars(kind).items() if name[0] != "_" and callable(value)]
        wanted |= {f"fastsoftmax.{kind.__name__}.{name}" for name in methods}
    modules = [path for path in (ROOT / "fastsoftmax" / "integrations").glob("*.py") if path.name[0] != "_"]
    assert len(modules) >= 8
    for module in modules:
        names = public_names(module) or ["filters"]  # of Numba's; its functions are those of C
        wanted |= {f"fastsoftmax.integrations.{module.stem}.{name}" for name in names}
    assert sorted(wanted - documented) == []


def test_every_link_leads_to_a_page_and_an_anchor_of_it(pages: dict[Path, Page]) -> None:
    assert len(pages) > 40
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append((path.name, link))
    assert dead == []


def test_nothing_is_loaded_from_another_host(pages: dict[Path, Page]) -> None:
    foreign = [(path.name, source) for path, page in pages.items() for source in page.loaded if urlsplit(source).netloc]
    for sheet in SITE.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^)'\"]*)", sheet.read_text(encoding="utf-8"))
        foreign += [(sheet.name, url) for url in urls]
    assert foreign == []
    assert re.findall(r"!\[[^]]*\]\(https?:[^)]*\)", (ROOT / "README.md").read_text(encoding="utf-8")) == []


def test_the_page_at_the_root_leads_to_the_first_page() -> None:
    (target,) = re.findall(r"http-equiv=\"refresh\" content=\"0; url=([^\"]+)\"", (SITE / "index.html").read_text())
    assert (SITE / target).exists()

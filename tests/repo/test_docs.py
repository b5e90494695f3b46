"""The pages name files that exist, and the design page every package."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
TOPS = "plumbline|pipelines|serving|workflows|configs|benchmarks|tests"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{TOPS})/[\w/.]*)`", text))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing, f"{page.name} names {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_layout_names_every_package() -> None:
    layout = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("## ")[1]
    parents: list[str] = []
    named = set()
    for indent, name in re.findall(r"^    ( *)([\w/]+)/", layout, re.MULTILINE):
        parents = [*parents[: len(indent) // 2], name]
        named.add("/".join(parents))
    packages = {
        folder.relative_to(ROOT).as_posix()
        for pattern in ("plumbline/*/", "plumbline/*/*/")
        for folder in ROOT.glob(pattern)
        if any(folder.glob("**/*.py")) or any(folder.glob("**/*.cpp"))
    }
    inside = {name for name in named if name.startswith("plumbline/")}
    assert inside == packages

"""The pages name files that exist, and the design page every package."""

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.docs.blocks import DOCS

PAGES = sorted(DOCS.glob("*.md"))
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
    layout = (DOCS / "design.md").read_text(encoding="utf-8").split("## ")[1]
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


def test_every_page_is_in_the_navigation() -> None:
    """The site is built from it; `make docs` says the same, later."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = re.findall(r"[\w/]+\.md", yaml.safe_dump(site["nav"]))
    pages = {page.relative_to(DOCS).as_posix() for page in [*PAGES, DOCS / "decisions/index.md"]}
    assert len(named) == len(set(named))
    missing = sorted(pages - set(named))
    assert not missing, f"mkdocs.yml: nav lacks {', '.join(missing)}: give each a title and a place"
    gone = sorted(set(named) - pages)
    assert not gone, f"mkdocs.yml: nav names {', '.join(gone)}, which docs/ does not have"


def test_every_decision_is_listed_by_its_title() -> None:
    files = sorted(DOCS.glob("decisions/0*.md"))
    wanted = []
    for file in files:
        number, title = file.read_text(encoding="utf-8").splitlines()[0][2:].split(": ", 1)
        assert file.name.startswith(f"{number}-"), f"{file.name} has the number {number}"
        wanted.append(f"- [{number}]({file.name}): {title}")
    index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8").splitlines()
    listed = [line for line in index if line.startswith("- ")]
    missing = [line for line in wanted if line not in listed]
    assert not missing, "docs/decisions/index.md lacks\n" + "\n".join(missing)
    assert listed == wanted

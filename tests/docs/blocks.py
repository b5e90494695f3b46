"""The blocks of code on the pages, each with what its marker says of it.

A marker is an HTML comment right before a block:

    <!-- run by tests/docs/test_demo.py -->             that test runs the block
    <!-- run by tests/docs/test_demo.py as a service --> the same, beside the blocks after it
    <!-- not run: it needs a GPU -->                     no test runs it, and why
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("decisions/*.md")),
]
LANGUAGES = {"sh", "python", "yaml", "json", "text"}
_RUN_BY = re.compile(r"<!-- run by (?P<test>tests/[\w/]+\.py)(?P<service> as a service)? -->")
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>\S.*\S) -->")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code of a page."""

    page: Path
    line: int
    """Number of the line of its first character of code, from 1 on."""
    language: str
    """"" for an indented block."""
    text: str
    run_by: str | None = None
    """The test that runs it, from the root of the repository."""
    is_service: bool = False
    not_run: str | None = None
    """Why no test runs it."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    tokens = [t for t in _MARKDOWN.parse(page.read_text(encoding="utf-8")) if t.level == 0 or t.map]
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type not in ("fence", "code_block"):
            continue
        assert token.map is not None
        marker = (
            before.content.strip() if before is not None and before.type == "html_block" else ""
        )
        run_by, not_run = _RUN_BY.fullmatch(marker), _NOT_RUN.fullmatch(marker)
        found.append(
            Block(
                page,
                token.map[0] + (2 if token.type == "fence" else 1),
                token.info.strip(),
                token.content,
                run_by["test"] if run_by else None,
                bool(run_by and run_by["service"]),
                not_run["reason"] if not_run else None,
            )
        )
    return found


ALL = [block for page in PAGES for block in blocks_of(page)]


def blocks_run_by(test: str, page: str) -> list[Block]:
    """The blocks of a page that say that this test runs them; `test` is its `__file__`.

    Raises
    ------
    AssertionError
        There is none: the page has changed, or the test is not needed any more.
    """
    name = Path(test).resolve().relative_to(ROOT).as_posix()
    found = [block for block in blocks_of(ROOT / page) if block.run_by == name]
    assert found, f"{page} has no block with the marker <!-- run by {name} -->"
    return found

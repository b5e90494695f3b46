"""The figures in the docs are those of benchmarks/results."""

import re

from benchmarks.page import DOCS, PAGE, RESULTS, filled, page


def test_the_page_is_made_from_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m benchmarks.page"


def test_figures_in_other_pages_are_those_of_the_results() -> None:
    pages = {file.name: file.read_text(encoding="utf-8") for file in DOCS.glob("*.md")}
    assert sum("<!-- figures:" in text for text in pages.values()) >= 2
    for name, text in pages.items():
        assert filled(text) == text, f"{name}: python -m benchmarks.page"


def test_figures_that_are_named_exist() -> None:
    log = (DOCS / "log.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(\S+\.json)`", log):
        assert name == "report.json" or list(RESULTS.glob(name.rpartition("/")[2])), name

"""The report in headless Chromium: on a phone and a desk, light and dark, by keyboard, by axe-core.

`PLUMBLINE_REPORT` names a report.html to look at in place of the drawn one, and
`PLUMBLINE_SCREENSHOTS` a folder that keeps the screenshots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plumbline.stages.report.page import report_page
from tests.browser import NEEDS_CHROMIUM, SIZES, WAIT_MS, serious_faults
from tests.browser import browser as browser
from tests.stages.report.sample import drawn_report

pytestmark = [NEEDS_CHROMIUM, pytest.mark.timeout(400)]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("PLUMBLINE_REPORT")
    if given is not None:
        return Path(given).absolute()
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_page(drawn_report()), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Open]:
    """Opens the report in a window of a size and a colour scheme."""
    contexts = []

    def open_page(size: str = "desk", scheme: str = "light") -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        shown = context.new_page()
        shown.goto(report.as_uri())
        return shown

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_window(
    opened: Open, tmp_path: Path, size: str, scheme: str
) -> None:
    shown = opened(size, scheme)
    folder = Path(os.environ.get("PLUMBLINE_SCREENSHOTS", tmp_path))
    shown.screenshot(path=folder / f"{size}-{scheme}.png", full_page=True)
    shown.screenshot(path=folder / f"{size}-{scheme}-top.png")
    wide, room = shown.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room
    plots = shown.locator("svg.plot")
    assert plots.count() >= 9
    for index in range(plots.count()):
        box = plots.nth(index).bounding_box()
        assert box["width"] > 250 and box["x"] >= 0 and box["x"] + box["width"] <= room


def test_text_of_a_plot_can_be_read_on_a_phone(opened: Open) -> None:
    heights = opened("phone").evaluate(
        "[...document.querySelectorAll('svg.plot text')].map(t => t.getBoundingClientRect().height)"
    )
    assert heights and min(heights) >= 9


def test_dark_is_dark(opened: Open) -> None:
    def brightness(scheme: str) -> list[int]:
        colour = opened("desk", scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return [int(part) for part in colour.strip("rgb()").split(",")]

    assert min(brightness("light")) > 200 and max(brightness("dark")) < 60


def test_the_page_asks_for_nothing_but_itself(browser: Any, report: Path) -> None:
    context = browser.new_context()
    shown = context.new_page()
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    faults: list[str] = []
    shown.on("console", lambda message: faults.append(message.text))
    shown.on("pageerror", lambda error: faults.append(str(error)))
    shown.goto(report.as_uri(), wait_until="networkidle", timeout=WAIT_MS)
    context.close()
    assert (asked, faults) == ([report.as_uri()], [])


def test_the_keyboard_reaches_sections_tables_and_figures(opened: Open) -> None:
    shown = opened()
    shown.keyboard.press("Tab")
    focused = "document.activeElement"
    assert shown.evaluate(f"{focused}.textContent") == "To the content"
    assert shown.evaluate(f"{focused}.getBoundingClientRect().x") >= 0
    shown.keyboard.press("Tab")
    assert shown.evaluate(f"{focused}.getAttribute('href')") == "#verdict"
    outline = shown.evaluate(f"getComputedStyle({focused}).outlineStyle")
    assert outline == "solid"
    summary = shown.locator("summary").first
    summary.focus()
    shown.keyboard.press("Enter")
    assert shown.locator("details[open]").count() == 1
    shown.keyboard.press("Tab")
    assert shown.evaluate(f"{focused}.className") == "scroll"


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        ("phone", "dark"),
        ("desk", "light"),
        pytest.param("phone", "light", marks=pytest.mark.slow),
        pytest.param("desk", "dark", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_no_serious_fault(opened: Open, size: str, scheme: str) -> None:
    shown = opened(size, scheme)
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert serious_faults(shown) == []

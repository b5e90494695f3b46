"""Headless Chromium for tests of pages; they are skipped where it or its packages are missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
WAIT_MS = 120_000

_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=list(_ARGUMENTS), timeout=WAIT_MS
        )
        yield browser
        browser.close()


def serious_faults(shown: Any) -> list[tuple[str, str, str]]:
    """What axe-core finds in a page: rule, impact and element of each serious fault."""
    return [
        (one["id"], one["impact"], one["nodes"][0]["html"][:200])
        for one in axe.Axe().run(shown).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]

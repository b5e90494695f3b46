"""The page's files: all there, with nothing inline and nothing from elsewhere."""

from __future__ import annotations

import asyncio
import re

import pytest
from starlette.requests import Request
from starlette.responses import Response

from plumbline.serving.gateway.page import files

SOURCES = {file.name: file.read_text(encoding="utf-8") for file in files.FOLDER.iterdir()}
SCRIPTS = {name: text for name, text in SOURCES.items() if name.endswith(".js")}


def served(name: str) -> Response:
    return asyncio.run(files.file(Request({"type": "http", "path_params": {"name": name}})))


def test_every_file_is_served_with_the_policy_of_its_own_origin() -> None:
    for name, text in SOURCES.items():
        answer = served(name)
        assert (answer.status_code, answer.body.decode()) == (200, text)
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("nothing", "../files.py", "/etc/passwd", "__init__.py", ""):
        assert served(name).status_code == 404


def test_every_file_that_is_asked_for_is_there() -> None:
    html = SOURCES["index.html"]
    asked = set(re.findall(r'(?:src|href)="page/([^"]+)"', html))
    for name, text in SCRIPTS.items():
        imported = set(re.findall(r'from "\./([^"]+)";', text))
        assert imported <= SCRIPTS.keys(), name
        asked |= imported
    assert asked == SOURCES.keys() - {"index.html"}


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    html = SOURCES["index.html"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", html)
    for name, text in SOURCES.items():
        elsewhere = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert elsewhere <= {"http://www.w3.org/2000/svg"}, name


@pytest.mark.parametrize(
    "unsafe",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
     "createContextualFragment", "DOMParser", "localStorage", "sessionStorage", "cookie"],
)  # fmt: skip
def test_no_script_reads_text_as_html_or_keeps_a_secret(unsafe: str) -> None:
    assert SCRIPTS
    for name, text in SCRIPTS.items():
        assert unsafe not in text, name

"""The page is one file, escapes what comes from the data, and can be read by a machine."""

from __future__ import annotations

import re

from plumbline.stages.report.page import report_page
from tests.stages.report.sample import HOSTILE, Page, report_of


def test_values_from_data_are_escaped() -> None:
    source = report_page(report_of(text=HOSTILE, advice=[HOSTILE]))
    assert "<script" not in source and "{{ 7*7 }}" in source
    assert source.count("&lt;script&gt;") >= 15
    shown = Page(source)
    assert not any(tag == "script" for tag, _ in shown.tags)
    assert not any(name.startswith("on") for _, attrs in shown.tags for name in attrs)


def test_the_page_needs_no_network() -> None:
    shown = Page(report_page(report_of()))
    links = [
        value
        for _, attrs in shown.tags
        for name, value in attrs.items()
        if name in ("href", "src", "srcset", "data", "action", "xlink:href")
    ]
    assert links and all(str(link).startswith("#") for link in links)
    assert not re.search(r"url\(|@import|https?://", report_page(report_of()))


def test_every_name_is_given_once_and_every_link_leads_somewhere() -> None:
    shown = Page(report_page(report_of()))
    names = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(names) == len(set(names))
    targets = [str(attrs["href"])[1:] for tag, attrs in shown.tags if tag == "a"]
    labels = [attrs["aria-labelledby"] for _, attrs in shown.tags if "aria-labelledby" in attrs]
    assert {*targets, *labels} <= {*names}


def test_every_drawing_has_a_title_and_its_figures() -> None:
    source = report_page(report_of())
    drawings = re.findall(r"<svg[^>]*>", source)
    silent = [one for one in drawings if 'role="img"' not in one and "aria-hidden" not in one]
    assert not silent
    for figure in re.findall(r"<figure>.*?</figure>", source, re.DOTALL):
        assert re.search(r"<title[^>]*>.+</title>", figure)
        assert "<details>" in figure and "<table>" in figure


def test_a_report_is_a_page_of_bounded_size() -> None:
    report = report_of()
    column = report["etl"]["columns"][0]
    report["etl"]["columns"] = [{**column, "name": f"column {i}"} for i in range(1000)]
    report["features"] = [
        {
            "name": f"column {i}",
            "dtype": "int64",
            "cardinality": 9,
            "sources": [f"column {i}"],
            "operators": ["categorify"],
        }
        for i in range(1000)
    ]
    assert len(report_page(report)) < 1_500_000

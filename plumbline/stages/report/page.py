"""report.html: one file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.stages.report.blocks import Section
from plumbline.stages.report.costs import costs
from plumbline.stages.report.data import data
from plumbline.stages.report.days import days
from plumbline.stages.report.features import features
from plumbline.stages.report.provenance import provenance
from plumbline.stages.report.quality import quality
from plumbline.stages.report.serving import serving
from plumbline.stages.report.templates import rendered, style
from plumbline.stages.report.training import training
from plumbline.stages.report.verdict import verdict

SECTIONS = (verdict, data, features, training, quality, serving, costs, provenance)
"""In the order of the page; `days` follows the verdict where days were appended."""


def report_page(report: Mapping[str, Any]) -> str:
    """The page of a report.json."""
    first, *others = SECTIONS
    sections = (first, days, *others) if report["append"] else SECTIONS
    return page(f"Plumbline: {report['config']}", [section(report) for section in sections])


def page(title: str, sections: Sequence[Section]) -> str:
    """A page of sections."""
    return str(rendered("page.html.jinja", title=title, sections=sections, style=style()))

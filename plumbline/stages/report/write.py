"""Writes report.json, report.html and the event file into a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plumbline.base.files import write_json, write_text
from plumbline.stages.report.contents import report_of
from plumbline.stages.report.events import write_events
from plumbline.stages.report.page import report_page
from plumbline.stages.run import Run


def write_report(run: Run, folder: Path, stages: Sequence[str]) -> Path:
    """Write both files and the events; returns the path of report.html.

    Raises StageError as `report_of`.
    """
    report = report_of(run, folder, stages)
    write_json(folder / "report.json", report)
    page = folder / "report.html"
    write_text(page, report_page(report))
    write_events(report, folder)
    return page

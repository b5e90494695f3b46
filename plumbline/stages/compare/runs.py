"""The reports of the runs that are compared, each under a short name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline.base.errors import PlumblineError
from plumbline.base.json_text import read_json

REPORT_FILE = "report.json"

_NEEDED = ("rows", "ingest", "train", "evaluate", "serve", "stages", "settings")


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run's name on the page, and its report.json."""

    name: str
    report: dict[str, Any]


def read_runs(folders: Sequence[Path]) -> list[ComparedRun]:
    """The runs of these folders, in order.

    Raises
    ------
    PlumblineError
        There are fewer than two, one is named twice, or one has no report that can be read.
    """
    if len(folders) < 2:
        raise PlumblineError(
            f"compare: wanted the folders of two or more runs, got {len(folders)}. For example: "
            "plumbline compare runs/first runs/second."
        )
    places = [folder.resolve() for folder in folders]
    for position, place in enumerate(places):
        if place in places[:position]:
            raise PlumblineError(
                f"compare: {folders[position]} was given twice. Name each run once."
            )
    reports = [_read(folder) for folder in folders]
    return [ComparedRun(*pair) for pair in zip(_names(places), reports, strict=True)]


def _read(folder: Path) -> dict[str, Any]:
    file = folder / REPORT_FILE
    if not file.is_file():
        raise PlumblineError(
            f"{file}: wanted the report of a finished run, found none. Give the folder of a run "
            "whose last stage, serve, is complete."
        )
    try:
        report = read_json(file)
    except (OSError, ValueError) as error:
        raise PlumblineError(f"{file}: not readable ({error}). Run plumbline run again.") from None
    lacking = [key for key in _NEEDED if not isinstance(report, dict) or key not in report]
    if lacking:
        raise PlumblineError(
            f"{file}: wanted the report of this version of Plumbline, but it has no "
            f"{', '.join(lacking)}. Run plumbline run again in that folder."
        )
    found: dict[str, Any] = report
    return found


def _names(places: Sequence[Path]) -> Iterator[str]:
    """The last parts of the paths, as many as it takes to tell the runs apart."""
    for place in places:
        others = [other for other in places if other != place]
        for length in range(1, len(place.parts) + 1):
            name = place.parts[-length:]
            if all(other.parts[-length:] != name for other in others):
                yield "/".join(name)
                break

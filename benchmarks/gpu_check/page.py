"""The page of a run of the check, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.page import cases, table, targets


def page(result: Mapping[str, Any]) -> str:
    """The text, from the result that is also written as JSON."""
    return "\n".join([*_head(result), *(line for part in result["parts"] for line in _part(part))])


def _head(result: Mapping[str, Any]) -> Iterator[str]:
    yield "# Check of a GPU\n"
    yield f"{result['date']}; commit {result['commit'] or 'unknown'}; `{result['command']}`\n"
    rows = [
        [
            part["title"],
            f"**{part['status']}**" if part["status"] in BAD else part["status"],
            f"{part['seconds']:.1f} of {part['limit']}",
            str(part["checks"]),
            part["reason"].split("\n")[0].replace("|", " "),
        ]
        for part in result["parts"]
    ]
    yield from table(["part", "", "seconds", "checks", "reason"], rows)


def _part(part: Mapping[str, Any]) -> Iterator[str]:
    if not any(part[kind] for kind in ("cases", "targets", "notes", "tables", "output")):
        return
    yield f"## {part['title']}\n"
    for shown in part["tables"]:
        yield f"{shown['title']}:\n"
        yield from table(shown["columns"], shown["rows"])
    if part["cases"]:
        yield from cases(part["cases"])
    if part["targets"]:
        yield from targets(part["targets"])
    yield from (f"- {note}" for note in part["notes"])
    if part["notes"]:
        yield ""
    if part["output"]:
        yield f"```\n{part['output']}\n```\n"


BAD = ("failed", "timed out")
"""What makes the check end with status 1."""

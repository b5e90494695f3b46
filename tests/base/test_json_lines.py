"""`--json`: what is told is lines of JSON on standard output, and nothing else is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from plumbline.base import console
from plumbline.base.errors import DataError
from plumbline.base.exit_status import exit_status
from plumbline.base.json_lines import write_json_lines


@pytest.fixture(autouse=True)
def as_json() -> Iterator[None]:
    write_json_lines()
    yield
    write_json_lines(False)


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """All lines, without their times; standard error must be empty."""
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert all(line.pop("time") > 1.7e9 for line in lines)
    return lines


def test_what_people_read_is_in_events(capsys: pytest.CaptureFixture[str]) -> None:
    console.tell_stage("etl", "begun")
    console.say("  kept: epoch 1\n of 4")
    console.say(": runs/a", label="report")
    console.warn("user is nearly unique")
    console.alarm("Worse than logistic regression")
    console.approve("Better: [bold]")
    console.tell_stage("etl", "complete", 1.5)
    assert events(capsys) == [
        {"event": "stage", "stage": "etl", "state": "begun"},
        {"event": "line", "text": "kept: epoch 1 of 4"},
        {"event": "line", "text": "report: runs/a"},
        {"event": "warning", "text": "user is nearly unique"},
        {"event": "alarm", "text": "Worse than logistic regression"},
        {"event": "good", "text": "Better: [bold]"},
        {"event": "stage", "stage": "etl", "state": "complete", "seconds": 1.5},
    ]


def test_progress_has_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 1.0, 4.0, 4.0, 5.0])
    monkeypatch.setattr("plumbline.base.console.time.monotonic", lambda: next(clock))
    with console.progress_bar("encoding", 100) as advance:
        advance(10)  # after a second: nothing is told yet
        advance(30)
    told = events(capsys)
    assert [(one["done"], one["total"]) for one in told] == [(40, 100), (40, 40)]
    assert told[0] == {
        "event": "progress", "what": "encoding", "done": 40, "total": 100, "unit": "rows",
        "seconds": 4.0, "rate": 10.0, "seconds_left": 6.0,
    }  # fmt: skip


def test_a_total_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bar("baseline", None) as advance:
        advance(3)
    (told,) = events(capsys)
    assert (told["done"], told["total"], told["seconds_left"]) == (3, 3, 0.0)


def test_what_cannot_be_foreseen_is_told_at_its_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with console.waiting("starting"):
        pass
    begun, ended = events(capsys)
    assert begun["what"] == ended["what"] == "starting" and begun["total"] is None


def test_an_error_is_an_event_with_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, exit_status():
        raise DataError("log.csv: wanted rows,\n got none.")
    assert end.value.code == 2
    assert events(capsys) == [
        {"event": "error", "text": "error: log.csv: wanted rows, got none.", "status": 2}
    ]

"""What libraries log and warn of is in the file, and nowhere else."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline.base.library_log import library_log, library_log_file

LIBRARY = logging.getLogger("a.library")


@pytest.fixture
def seen() -> Iterator[list[str]]:
    """The records that reach the handlers that were there before."""
    records: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    root = logging.getLogger()
    before = list(root.handlers)
    root.handlers[:] = [Handler()]
    LIBRARY.setLevel(logging.INFO)
    yield records
    root.handlers[:] = before
    LIBRARY.setLevel(logging.NOTSET)


def test_records_and_warnings_are_appended(
    tmp_path: Path, seen: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.log"
    for round_ in (1, 2):
        with library_log(file):
            LIBRARY.info("state %d", round_)
            warnings.warn(f"old {round_}", RuntimeWarning, stacklevel=1)
    LIBRARY.info("outside")
    text = file.read_text(encoding="utf-8")
    assert [f"INFO a.library: state {n}" in text for n in (1, 2)] == [True, True]
    assert "RuntimeWarning: old 1" in text and "RuntimeWarning: old 2" in text
    assert "outside" not in text
    assert seen == ["outside"]
    assert capsys.readouterr().err == ""


def test_without_a_record_there_is_no_file(tmp_path: Path, seen: list[str]) -> None:
    with library_log(tmp_path / "run.log"):
        pass
    assert not (tmp_path / "run.log").exists()


def test_a_file_that_cannot_be_opened_changes_nothing(tmp_path: Path, seen: list[str]) -> None:
    with library_log(tmp_path / "missing" / "run.log"):
        LIBRARY.info("one")
        LIBRARY.info("two")
    assert seen == ["one", "two"]


def test_a_full_disk_changes_nothing_from_then_on(seen: list[str]) -> None:
    with library_log(Path("/dev/full")):
        LIBRARY.info("lost")
        LIBRARY.info("kept")
    assert seen[-1] == "kept"


def test_the_file_is_known_inside_for_processes_that_are_started(tmp_path: Path) -> None:
    assert library_log_file() is None
    with library_log(tmp_path / "run.log"):
        assert library_log_file() == tmp_path / "run.log"
    assert library_log_file() is None

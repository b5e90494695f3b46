"""What is told of files that are read too often, or that nobody told of."""

from __future__ import annotations

from plumbline.nvtabular.fit_progress import FitProgress


def test_no_file_counts_more_often_than_there_are_passes() -> None:
    """A worker that dies has told of a file, and the one that reads it again tells of it too."""
    told: list[int] = []
    fit = FitProgress({"a": 40, "b": 30}, 2, told.append)
    for file in ("a", "a", "a", "b"):
        fit.read(file)
    assert told == [40, 40, 30]
    fit.end()
    assert told == [40, 40, 30, 30]
    fit.read("b")
    fit.end()
    assert sum(told) == 2 * (40 + 30)

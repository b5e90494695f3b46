"""The click rate along a log, as a few points for any number of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.rawlogs.splits.split import SPLITS

MOST_POINTS = 256
"""Above these, neighbouring points are merged in pairs."""


@dataclass(frozen=True, slots=True)
class Course:
    """Counts of consecutive rows, in the order of the splits' output: by time if it sorts by time.

    Every point has `span` rows, and the last one the rest.
    """

    span: int
    rows: list[int]
    clicks: list[int]
    splits: dict[str, list[int]]
    """Split to the rows of each point that are in it; the others are in no split."""


class CourseCounts:
    """Counts rows chunk by chunk; the result does not depend on the chunks."""

    def __init__(self) -> None:
        self._span, self._rows = 1, 0
        self._counts = np.zeros((2 + len(SPLITS), MOST_POINTS), np.int64)

    def add(self, outcomes: NDArray[np.int8], click: NDArray[np.int8]) -> None:
        """Add rows: their splits as an `Assignment` gives them, and their clicks, (B,) each."""
        last = self._rows + len(click)
        while last > self._span * MOST_POINTS:
            self._counts = np.hstack(
                [self._counts[:, ::2] + self._counts[:, 1::2], np.zeros_like(self._counts[:, ::2])]
            )
            self._span *= 2
        point_B = np.arange(self._rows, last) // self._span
        of_splits = [point_B[outcomes == split] for split in range(len(SPLITS))]
        for counts, points in zip(
            self._counts, (point_B, point_B[click != 0], *of_splits), strict=True
        ):
            counts += np.bincount(points, minlength=MOST_POINTS)
        self._rows = last

    def result(self) -> Course:
        used = -(-self._rows // self._span)
        rows, clicks, *of_splits = self._counts[:, :used].tolist()
        return Course(self._span, rows, clicks, dict(zip(SPLITS, of_splits, strict=True)))

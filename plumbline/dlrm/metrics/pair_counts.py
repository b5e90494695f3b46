"""The exact area under the ROC curve of any number of rows, in bounded memory.

It depends only on the number of rows with and without a click at each distinct score. These counts
are kept sorted and merged. What exceeds the memory limit is written to a temporary file as sorted
runs, which are merged to compute the result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.metrics.metrics import check_outcomes, paired

COUNTS = np.dtype([("score", np.float64), ("clicks", np.int64), ("others", np.int64)])
"""A score, and the number of rows with and without a click that have it."""

Counts: TypeAlias = NDArray[np.void]
"""An array of dtype COUNTS."""

MAX_COUNTS = 2**20
"""Distinct scores in memory: 25 MB, and up to ten times that while they are sorted."""

EXACT_ROWS = 2**31
"""The half pairs of fewer rows than this fit into 64 bits."""


class PairCounts:
    """Counts the (click, non-click) pairs that the scores order right, block by block.

    Parameters
    ----------
    limit
        Distinct scores in memory.
    folder
        Folder of the temporary file; None means the system's. The file is unnamed and is deleted
        with this object.
    """

    def __init__(self, limit: int = MAX_COUNTS, folder: Path | None = None) -> None:
        self._limit = limit
        self._folder = folder
        self._held: list[Counts] = []
        self._file: IO[bytes] | None = None
        self._runs: list[int] = []
        """Lengths of the runs in the file, in order."""

    def add(self, click_B: NDArray[Any], score_B: NDArray[Any]) -> None:
        """Add rows.

        Raises
        ------
        DataError
            Lengths differ, a click is not 0 or 1, or a score is NaN.
        """
        click_B, score_B = paired(click_B, score_B)
        for start in range(0, len(click_B), self._limit):
            rows = slice(start, start + self._limit)
            counts = np.empty(len(click_B[rows]), COUNTS)
            counts["score"] = score_B[rows]
            counts["clicks"] = click_B[rows]
            counts["others"] = 1 - click_B[rows]
            self.add_counts(_summed([counts]))

    def add_counts(self, counts: Counts) -> None:
        """Add what another object has counted, a block of `blocks` at a time."""
        self._held.append(counts)
        if sum(map(len, self._held)) > self._limit:
            self._make_room()

    def area(self) -> float:
        """The result of `area_under_curve` for all rows.

        Raises
        ------
        DataError
            All or no rows have a click.
        """
        clicks = others = half_pairs = 0
        for counts in self.blocks():
            half_pairs += 2 * others * int(counts["clicks"].sum()) + _half_pairs(counts)
            clicks += int(counts["clicks"].sum())
            others += int(counts["others"].sum())
        check_outcomes(clicks, clicks + others)
        return half_pairs / (2 * clicks * others)

    def blocks(self) -> Iterator[Counts]:
        """All counts by ascending score, in blocks; no score is in two blocks."""
        held = _summed(self._held)
        if self._file is None:
            yield held
            return
        sources = [_Run(iter([held]))]
        share = max(1, self._limit // len(self._runs))
        first = 0
        for length in self._runs:
            sources.append(_Run(_read(self._file, first, length, share)))
            first += length
        while True:
            for source in sources:
                source.fill(share)
            bounds = [source.head["score"][-1] for source in sources if len(source.head)]
            if not bounds:
                return
            # Unread counts of a source are above its last read score, and so above the bound.
            yield _summed([source.up_to(min(bounds)) for source in sources])

    def _make_room(self) -> None:
        """Merge the counts in memory; write them as a run if they exceed half of the limit."""
        self._held = [_summed(self._held)]
        (counts,) = self._held
        if len(counts) > self._limit // 2:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (kept open)
            self._file.seek(sum(self._runs) * COUNTS.itemsize)
            self._file.write(counts.view(np.uint8).data)
            self._runs.append(len(counts))
            self._held = []


@dataclass(slots=True)
class _Run:
    """A source of sorted counts, and those that are read but not yet consumed."""

    rest: Iterator[Counts]
    head: Counts = field(default_factory=lambda: np.empty(0, COUNTS))

    def fill(self, count: int) -> None:
        """Read on until `count` counts are waiting, or the source ends."""
        while len(self.head) < count:
            more = next(self.rest, None)
            if more is None:
                return
            self.head = np.concatenate([self.head, more])

    def up_to(self, score: float) -> Counts:
        """Consume the counts that are read and whose scores are at most `score`."""
        end = int(np.searchsorted(self.head["score"], score, side="right"))
        taken, self.head = self.head[:end], self.head[end:]
        return taken


def _read(file: IO[bytes], first: int, length: int, share: int) -> Iterator[Counts]:
    """`length` counts from index `first` on, `share` at a time."""
    for start in range(first, first + length, share):
        count = min(share, first + length - start)
        file.seek(start * COUNTS.itemsize)
        yield np.frombuffer(file.read(count * COUNTS.itemsize), COUNTS)


def _summed(parts: Sequence[Counts]) -> Counts:
    """The counts of all parts by ascending score, each score once."""
    counts = np.concatenate([np.empty(0, COUNTS), *parts])
    order = np.argsort(counts["score"], kind="stable")  # fast where the parts are sorted
    score = counts["score"][order]
    starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]][: len(score)])
    summed = np.empty(len(starts), COUNTS)
    summed["score"] = score[starts]
    for name in ("clicks", "others"):
        summed[name] = np.add.reduceat(counts[name][order], starts) if len(starts) else 0
    return summed


def _half_pairs(counts: Counts) -> int:
    """Twice the ordered pairs plus the ties, of sorted counts."""
    clicks, others = counts["clicks"], counts["others"]
    rows = int(clicks.sum()) + int(others.sum())
    if rows >= EXACT_ROWS:
        clicks, others = clicks.astype(object), others.astype(object)
    others_below = np.cumsum(others) - others
    return int((clicks * (2 * others_below + others)).sum())

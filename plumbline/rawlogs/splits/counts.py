"""Counts rows and clicks of the splits, and rows in no split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.rawlogs.splits.course import Course, CourseCounts
from plumbline.rawlogs.splits.split import GAP, LEFT_OUT, NEGATIVES, SPLITS, TRAIN
from plumbline.settings import Config, GroupSplit


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts over all rows."""

    rows: dict[str, int]
    """Split (train, valid, test) to its number of rows."""
    click_rate: dict[str, float]
    """Split to its share of clicks, for train before negatives are dropped."""
    left_out: dict[str, int]
    """Reason (see `splits.split.LEFT_OUT`) to the number of rows in no split."""
    sampled_click_rate: float
    """Share of clicks among the training rows that were kept."""
    keep_negatives: float
    """Share of the training rows without a click that were kept; 1 if none are dropped.

    Rows are dropped at random, so it differs a little from the share in the configuration.
    """
    course: Course
    """The clicks along the log."""


class SplitCounts:
    """Counts the rows of all splits, chunk by chunk."""

    def __init__(self) -> None:
        outcomes = len(SPLITS) + len(LEFT_OUT)
        self._rows = np.zeros(outcomes, np.int64)
        self._clicks = np.zeros(outcomes, np.int64)
        self._course = CourseCounts()

    def add(self, outcomes: NDArray[np.int8], click: NDArray[np.int8]) -> tuple[int, ...]:
        """Count rows by the result of an `Assignment`; returns the number in each split."""
        rows = np.bincount(outcomes, minlength=len(self._rows))
        self._rows += rows
        self._clicks += np.bincount(outcomes[click != 0], minlength=len(self._clicks))
        self._course.add(outcomes, click)
        return tuple(rows[: len(SPLITS)].tolist())

    def result(self, config: Config, label_words: Sequence[str] = ()) -> Counted:
        """The counts over all rows; `label_words` are values of the label for an error.

        Raises DataError if a split has no rows, or rows of one class only.
        """
        rows, clicks = self._rows.tolist(), self._clicks.tolist()
        for split in range(len(SPLITS)):
            if not 0 < clicks[split] < rows[split]:
                raise DataError(
                    f"Split {SPLITS[split]!r} holds {rows[split]} rows, {clicks[split]} of them "
                    f"clicks: wanted rows with clicks and rows without. "
                    f"{self._advice(config, label_words)}"
                )
        dropped = rows[NEGATIVES]
        all_rows = dict(enumerate(rows)) | {TRAIN: rows[TRAIN] + dropped}
        negatives = rows[TRAIN] - clicks[TRAIN]
        return Counted(
            rows=dict(zip(SPLITS, rows, strict=False)),
            click_rate={name: clicks[split] / all_rows[split] for split, name in enumerate(SPLITS)},
            left_out=dict(zip(LEFT_OUT, rows[len(SPLITS) :], strict=True)),
            sampled_click_rate=clicks[TRAIN] / rows[TRAIN],
            keep_negatives=negatives / (negatives + dropped),
            course=self._course.result(),
        )

    def _advice(self, config: Config, label_words: Sequence[str]) -> str:
        advice = ["Give more rows, or change split or label in the configuration."]
        if label_words and self._clicks.sum() in (0, self._rows.sum()):
            advice.append(
                f"label.click is {', '.join(map(repr, config.label.click))}, and column "
                f"{config.label_column!r} holds {', '.join(map(repr, label_words))}."
            )
        if isinstance(config.split, GroupSplit):
            advice.append(
                f"All rows of a value of {config.split.column!r} are in one split: a column with "
                "more values, larger shares, or another seed may do."
            )
        if self._rows[GAP]:
            advice.append(f"split.gap leaves out {self._rows[GAP]} rows: a shorter one may do.")
        if self._rows[NEGATIVES]:
            advice.append(
                f"split.keep_negatives drops {self._rows[NEGATIVES]} training rows without a "
                "click: a larger share may do."
            )
        return " ".join(advice)

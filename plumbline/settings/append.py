"""The settings of `append`: how a day is appended to a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from plumbline.settings.base import Settings, Share


class Append(Settings):
    """A day that is appended to a run with `--append-to`: see [append.md](append.md)."""

    keep_statistics: bool | None = None
    """Whether a run keeps what the next day's features go on from: the counts of all values, rare
    ones too, and the sums of the other statistics. They are in `etl/statistics`. None: if the
    native engine fits. NVTabular's needs passes of one machine for them, Spark's more of its
    driver."""
    statistics: Literal["merged", "frozen"] = "merged"
    """merged: the features are those of all rows so far, the day's too, with new ids behind the old
    ones. frozen: the day is encoded by the plan as it is, and no statistics are kept."""
    replay: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    """Number of older training rows that are trained on again, as a share of the day's training
    rows; 0 for none."""
    valid: Share = 0.05
    """Share of the day's rows for validation, drawn by the seed and the row's number. A split by
    group keeps its own shares, so that a value stays in its split."""
    test: Share = 0.05
    """Share of the day's rows that stage evaluate tests the new model on, drawn in the same way.
    Before any training, the old model is tested on the whole day."""

    def keeps_statistics(self, engine: str) -> bool:
        """Whether a fit by this engine keeps them."""
        return engine == "native" if self.keep_statistics is None else self.keep_statistics

    @model_validator(mode="after")
    def _leave_rows_to_train_on(self) -> Append:
        if self.valid + self.test >= 1.0:
            raise ValueError(f"valid {self.valid} and test {self.test} leave no rows to train on")
        return self

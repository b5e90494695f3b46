"""The NVTabular graph of the features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from plumbline.settings.base import PositiveInt, Settings

FREQUENCY_THRESHOLD = 2
"""Of the standard graph, where nothing is said and the training rows are not few."""

_FEW_ROWS = 5_000


class CriteoWorkflow(Settings):
    """The graph of `workflows/criteo.py`."""

    graph: Literal["criteo"]
    """Missing counts 0, negative ones 0, logarithms, rare values out of vocabulary."""
    frequency_threshold: Annotated[int, Field(ge=0)] = 15
    """Values that the training split has less often are out of vocabulary."""

    def for_rows(self, rows: int) -> CriteoWorkflow:
        """These settings, whatever the number of training rows."""
        return self


class StandardWorkflow(Settings):
    """The graph of `workflows/standard.py`.

    Without a setting it takes numbers of any scale: they become normal scores of their ranks, and
    each column's quantiles one categorical column more.
    """

    graph: Literal["standard"]
    """For any log: every column as its kind wants it."""
    frequency_threshold: Annotated[int, Field(ge=0)] | None = None
    """Values that the training split has less often are out of vocabulary. None: 2, so that the
    rows of values that it has once train the embedding of those that were never seen; with fewer
    than 5,000 training rows 0, which keeps all."""
    fill: float | None = None
    """What a missing number becomes before all else. None: the median's score, or where `log` or
    `normalize` is chosen, 0."""
    clip_min: float | None = None
    """Smaller numbers become this one."""
    clip_max: float | None = None
    """Greater numbers become this one."""
    log: bool = False
    """log(1 + x); needs a `clip_min` above -1, since below that there is no logarithm."""
    normalize: bool | None = None
    """(x - mean) / deviation. None: normal scores, or where `log` is chosen, true."""
    buckets: Annotated[int, Field(ge=0)] = 64
    """Buckets of about as many rows that each continuous column is cut into, as one categorical
    column more, `<column>_bucket`; missing numbers have one of their own. 0: no such columns."""
    bucket_rows: PositiveInt = 500
    """Fewer buckets where they would have less training rows than this, but not fewer than two."""
    bucket_columns: Annotated[int, Field(ge=0)] = 32
    """With more continuous columns than this there are no such columns: the pairs that a DLRM
    multiplies grow with the square of their number."""

    def for_rows(self, rows: int) -> StandardWorkflow:
        """The settings for so many training rows, with the frequency threshold decided."""
        if self.frequency_threshold is not None:
            return self
        threshold = 0 if rows < _FEW_ROWS else FREQUENCY_THRESHOLD
        return self.model_copy(update={"frequency_threshold": threshold})

    @property
    def scores(self) -> bool:
        """Whether numbers become normal scores."""
        return self.normalize is None and not self.log

    @model_validator(mode="after")
    def _logarithm_exists(self) -> StandardWorkflow:
        if self.log and (self.clip_min is None or self.clip_min <= -1.0):
            raise ValueError(f"log wants a clip_min above -1, got {self.clip_min}")
        return self

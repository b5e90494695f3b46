"""The NVTabular graph of the features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from features.settings.base import Settings


class CriteoWorkflow(Settings):
    """The graph of `workflows/criteo.py`."""

    graph: Literal["criteo"]
    """Missing counts 0, negative ones 0, logarithms, rare values out of vocabulary."""
    frequency_threshold: Annotated[int, Field(ge=0)] = 15
    """Values that the training split has less often are out of vocabulary."""


class StandardWorkflow(Settings):
    """The graph of `workflows/standard.py`."""

    graph: Literal["standard"]
    """For any log: every column as its kind wants it."""
    frequency_threshold: Annotated[int, Field(ge=0)] = 0
    """Values that the training split has less often are out of vocabulary."""
    fill: float = 0.0
    """What a missing number becomes."""
    clip_min: float | None = None
    """Smaller numbers become this one."""
    clip_max: float | None = None
    """Greater numbers become this one."""
    log: bool = False
    """log(1 + x); needs a `clip_min` above -1, since below that there is no logarithm."""
    normalize: bool = True
    """(x - mean) / deviation, of the training split."""

    @model_validator(mode="after")
    def _logarithm_exists(self) -> StandardWorkflow:
        if self.log and (self.clip_min is None or self.clip_min <= -1.0):
            raise ValueError(f"log wants a clip_min above -1, got {self.clip_min}")
        return self

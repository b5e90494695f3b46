"""The NVTabular graph of the features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from features.settings.base import Settings


class CriteoWorkflow(Settings):
    """The graph of `workflows/criteo.py`."""

    graph: Literal["criteo"]
    frequency_threshold: Annotated[int, Field(ge=0)] = 15


class StandardWorkflow(Settings):
    """The graph of `workflows/standard.py`."""

    graph: Literal["standard"]
    frequency_threshold: Annotated[int, Field(ge=0)] = 0
    fill: float = 0.0
    clip_min: float | None = None
    clip_max: float | None = None
    log: bool = False
    """log(1 + x); needs a `clip_min` above -1, since below that there is no logarithm."""
    normalize: bool = True

    @model_validator(mode="after")
    def _logarithm_exists(self) -> StandardWorkflow:
        if self.log and (self.clip_min is None or self.clip_min <= -1.0):
            raise ValueError(f"log wants a clip_min above -1, got {self.clip_min}")
        return self

"""A plan before the training split was seen: its steps name what is still to be found out."""

from __future__ import annotations

from dataclasses import dataclass

from features.plan import InputColumn
from features.steps import FloatStep


@dataclass(frozen=True, slots=True)
class FitCategorify:
    """To become `Categorify`: the vocabulary is the values seen at least that often."""

    frequency_threshold: int


@dataclass(frozen=True, slots=True)
class FitNormalize:
    """To become `Normalize` with mean and deviation (of n - 1 degrees of freedom)."""


UnfittedStep = FloatStep | FitCategorify | FitNormalize


@dataclass(frozen=True, slots=True)
class UnfittedColumn:
    """An output column, the raw column it comes from, and the steps in order."""

    name: str
    source: str
    steps: tuple[UnfittedStep, ...]


@dataclass(frozen=True, slots=True)
class UnfittedPlan:
    """What `workflows.compile.compile_unfitted` gives, and what an engine fits."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[UnfittedColumn, ...]

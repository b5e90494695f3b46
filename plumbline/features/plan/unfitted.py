"""A plan before the training split was seen: its steps name what is still to be learned."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.features.plan.plan import InputColumn
from plumbline.features.steps.chains import Chain


@dataclass(frozen=True, slots=True)
class UnfittedColumn:
    """An output column, and how it is made.

    It is left out of the fitted plan where its largest id is below `minimum_cardinality`.
    """

    name: str
    chain: Chain
    minimum_cardinality: int | None = None


@dataclass(frozen=True, slots=True)
class UnfittedPlan:
    """What `plumbline.nvtabular.compile.compile_unfitted` gives, and what an engine fits."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[UnfittedColumn, ...]

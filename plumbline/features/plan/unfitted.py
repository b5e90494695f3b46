"""A plan before the training split was seen: its steps name what is still to be learned."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

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


def unfitted_json(plan: UnfittedPlan) -> dict[str, Any]:
    """The plan as JSON: every input, and every output with its sources, steps and parameters."""
    form: dict[str, Any] = _json(plan)
    return form


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if not is_dataclass(value):
        return value
    form = {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    return {"type": type(value).__name__, **form}

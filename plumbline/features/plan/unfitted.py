"""A plan before it is fitted: its steps say what to learn from the training split."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from plumbline.features.plan.plan import InputColumn
from plumbline.features.steps.chains import Chain


@dataclass(frozen=True, slots=True)
class UnfittedColumn:
    """An output column, and the chain that computes it.

    It is dropped from the fitted plan if its cardinality is at most `minimum_cardinality`.
    """

    name: str
    chain: Chain
    minimum_cardinality: int | None = None


@dataclass(frozen=True, slots=True)
class UnfittedPlan:
    """The result of `plumbline.nvtabular.compile.compile_unfitted`, which an engine fits."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[UnfittedColumn, ...]
    conditions: tuple[Chain, ...] = ()
    """A training row for which one of them is not 1 is left out."""


def unfitted_json(plan: UnfittedPlan) -> dict[str, Any]:
    """The plan as JSON: every input, every output with its sources, steps and
    parameters, and the conditions of training rows if there are any.
    """
    content: dict[str, Any] = _json(plan)
    if not plan.conditions:
        del content["conditions"]
    return content


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    if not is_dataclass(value):
        return value
    content = {
        field.name: _json(getattr(value, field.name)) for field in fields(value) if field.compare
    }
    return {"type": type(value).__name__, **content}

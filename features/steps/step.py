"""What every step shares: its name in plan.json, and the way there and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_BY_NAME: dict[str, type[Step]] = {}


@dataclass(frozen=True, slots=True)
class Step:
    """One primitive operation on one column."""

    op: ClassVar[str]

    def __init_subclass__(cls) -> None:
        # A slotted dataclass is made twice; the second class, the one in use, stays registered.
        if "op" in cls.__dict__:
            _BY_NAME[cls.op] = cls


@dataclass(frozen=True, slots=True)
class FloatStep(Step, ABC):
    """A step from float64 to float64, NaN being the missing value."""

    @abstractmethod
    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a column of shape (B,); `values_B` is not changed."""


def step_to_json(step: Step) -> dict[str, Any]:
    return {"op": step.op, **asdict(step)}


def step_from_json(form: dict[str, Any]) -> Step:
    """Raises ValueError for an unknown operation or fields that do not fit it."""
    arguments = {key: value for key, value in form.items() if key != "op"}
    op = form.get("op")
    if op not in _BY_NAME:
        raise ValueError(f"unknown step {op!r}, known: {', '.join(sorted(_BY_NAME))}")
    wanted = {field.name for field in fields(_BY_NAME[op])}
    if set(arguments) != wanted:
        raise ValueError(f"step {op!r} wants {sorted(wanted)}, got {sorted(arguments)}")
    return _BY_NAME[op](**arguments)

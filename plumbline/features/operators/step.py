"""What every step shares: its name in plan.json, its way there and back, and how it is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import NULL_INT64, Values

if TYPE_CHECKING:
    from plumbline.features.lookup.tables import Tables

Apply: TypeAlias = Callable[..., Any]
"""A step with its files at hand: the values of its sources in, values out."""

_BY_NAME: dict[str, type[Step]] = {}


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One fitted operation on a column, or on several that it makes one of."""

    op: ClassVar[str]
    gives: ClassVar[Literal["number", "ids"]] = "number"

    def __init_subclass__(cls) -> None:
        # A slotted dataclass is made twice; the second class, the one in use, stays registered.
        if "op" in cls.__dict__:
            _BY_NAME[cls.op] = cls

    @abstractmethod
    def bind(self, tables: Tables) -> Apply:
        """The operation, with what it needs of the plan's files.

        Raises
        ------
        PlanError
            A file is missing or damaged.
        """


@dataclass(frozen=True, slots=True)
class NumberStep(Step):
    """A step from float64 to float64, NaN being the missing value."""

    @abstractmethod
    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a column of shape (B,); `values_B` is not changed."""

    def bind(self, tables: Tables) -> Apply:
        return lambda values: self.apply(as_numbers(values))


@dataclass(frozen=True, slots=True)
class IdStep(Step):
    """A step that gives ids: int64, none missing; for lists, one for each of their values."""

    gives = "ids"

    @property
    @abstractmethod
    def ids(self) -> int:
        """The number of ids: all are below it."""


def as_numbers(values: Values) -> NDArray[np.float64]:
    """Numbers or integers as float64, NaN where they are missing."""
    if not isinstance(values, np.ndarray):
        raise TypeError(f"wanted numbers, got {type(values).__name__}")
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    numbers = values.astype(np.float64)
    numbers[values == NULL_INT64] = np.nan
    return numbers


def step_to_json(step: Step) -> dict[str, Any]:
    return {"op": step.op} | {field.name: getattr(step, field.name) for field in fields(step)}


def step_from_json(form: dict[str, Any]) -> Step:
    """Raises ValueError for an unknown operation or fields that do not fit it."""
    arguments = {key: value for key, value in form.items() if key != "op"}
    op = form.get("op")
    if op not in _BY_NAME:
        raise ValueError(f"unknown step {op!r}, known: {', '.join(sorted(_BY_NAME))}")
    wanted = {field.name for field in fields(_BY_NAME[op])}
    if set(arguments) != wanted:
        raise ValueError(f"step {op!r} wants {sorted(wanted)}, got {sorted(arguments)}")
    listed = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return _BY_NAME[op](**listed)

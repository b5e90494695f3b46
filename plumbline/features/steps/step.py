"""A step of a chain: what it takes and gives, its form in plan.json, and how it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import NULL_INT64, Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_column import NativeColumn
from plumbline.features.steps.value_types import ValueType

# Ids of categories; 0 is for padding.
NULL_ID = 1
OUT_OF_VOCABULARY_ID = 2

Apply: TypeAlias = Callable[..., Any]
"""A step with its files at hand: the values of its sources in, values out."""

_BY_OP: dict[str, type[Step]] = {}


@dataclass(frozen=True, slots=True)
class AnyStep:
    """A step, fitted or still to be fitted. Its class says what it takes and what it gives.

    takes: numbers (numbers, integers or ids), categories (integers, text or ids), or any values.
    takes_lists: whether a row may have a list of them, which then gives a list of ids.
    is_exact: whether the numbers it gives are the same to the last bit wherever it is computed.
    """

    takes: ClassVar[Literal["numbers", "categories", "values"]] = "values"
    takes_lists: ClassVar[bool] = False
    gives: ClassVar[Literal["number", "ids"]] = "number"
    is_exact: ClassVar[bool] = False

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        """The type of the values that it gives of those that it takes.

        Raises
        ------
        PlanError
            It cannot take them; the error names the column `output`.
        """
        name = type(self).__name__
        if len(taken) > 1 and any(one.is_list for one in taken):
            raise PlanError(f"Column {output!r}: {name} of several columns cannot take lists.")
        for one in taken:
            if self.takes == "numbers" and (one.is_list or one.element == "text"):
                raise PlanError(f"Column {output!r}: {name} wants numbers, got {one}.")
            if self.takes == "categories" and one.element == "number":
                raise PlanError(f"Column {output!r}: {name} wants integers or text, got numbers.")
            if one.is_list and not self.takes_lists:
                raise PlanError(f"Column {output!r}: {name} wants single values, got {one}.")
        return ValueType(self.gives, self.gives == "ids" and taken[0].is_list)


@dataclass(frozen=True, slots=True)
class Step(AnyStep, ABC):
    """A fitted step: an operation on a column, or on several that it makes one of.

    Its fields are its form in plan.json, under the name `op`.
    """

    op: ClassVar[str]

    def __init_subclass__(cls) -> None:
        # A slotted dataclass is made twice; the second class, the one in use, stays registered.
        if "op" in cls.__dict__:
            _BY_OP[cls.op] = cls

    @abstractmethod
    def bind(self, tables: Tables) -> Apply:
        """The operation, with what it needs of the plan's files.

        Raises
        ------
        PlanError
            A file is missing or damaged.
        """

    def files(self) -> Mapping[str, str]:
        """The files inside the plan folder that belong to the step, and their SHA-256."""
        return {}

    def of_missing(self, number: float | None) -> float | None:
        """What the step makes of what the steps before it made of a missing value.

        The first step is given NaN. None is a number that cannot be known without the row.
        """
        return None

    def operands(self) -> Sequence[float] | None:
        """The numbers of the native operation `op` (`native_column`); None where there is none."""
        return None


@dataclass(frozen=True, slots=True)
class NumberStep(Step):
    """A step from float64 to float64, NaN being the missing value."""

    takes = "numbers"

    @abstractmethod
    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a column of shape (B,); `values_B` is not changed."""

    def bind(self, tables: Tables) -> Apply:
        return lambda values: self.apply(as_numbers(values))

    def of_missing(self, number: float | None) -> float | None:
        return None if number is None else float(self.apply(np.array([number]))[0])


@dataclass(frozen=True, slots=True)
class IdStep(Step):
    """A step that gives ids: int64, none missing; for lists, one for each of their values."""

    gives = "ids"

    @property
    @abstractmethod
    def ids(self) -> int:
        """The number of ids: all are below it."""

    @property
    def unseen_ids(self) -> range:
        """The ids of values that the vocabulary does not have; empty where there is none."""
        return range(0)

    @property
    def vocabulary_file(self) -> str | None:
        """The file that holds value, id and count; None where ids are computed."""
        return None

    def fewest_values(self, unseen: int) -> float | None:
        """How many distinct values the training rows have at least, `unseen` of them unseen.

        None where ids are computed.
        """
        return None

    def add_to(self, column: NativeColumn, tables: Tables) -> bool:
        """Add the step to the native encoder as the last of a column's; False: it cannot be."""
        return False


def as_numbers(values: Values) -> NDArray[np.float64]:
    """Numbers or integers as float64, NaN where they are missing."""
    if not isinstance(values, np.ndarray):
        raise TypeError(f"wanted numbers, got {type(values).__name__}")
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    numbers = values.astype(np.float64)
    numbers[values == NULL_INT64] = np.nan
    return numbers


def present_numbers(values: Values) -> NDArray[np.float64]:
    """Those numbers or integers that are not missing, as float64."""
    numbers_B = as_numbers(values)
    missing_B = np.isnan(numbers_B)
    return numbers_B[~missing_B] if missing_B.any() else numbers_B


def step_to_json(step: Step) -> dict[str, Any]:
    return {"op": step.op} | {field.name: getattr(step, field.name) for field in fields(step)}


def step_from_json(form: Mapping[str, Any]) -> Step:
    """Raises ValueError for an unknown operation or fields that do not fit it."""
    arguments = {key: value for key, value in form.items() if key != "op"}
    op = form.get("op")
    if op not in _BY_OP:
        raise ValueError(f"unknown step {op!r}, known: {', '.join(sorted(_BY_OP))}")
    wanted = {field.name for field in fields(_BY_OP[op])}
    if set(arguments) != wanted:
        raise ValueError(f"step {op!r} wants {sorted(wanted)}, got {sorted(arguments)}")
    listed = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    return _BY_OP[op](**listed)

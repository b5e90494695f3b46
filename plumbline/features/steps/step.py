"""A step of a chain: its input and output types, its JSON, and its computation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.base.json_fields import from_json, shown
from plumbline.columns.values import NULL_INT64, Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.native_nodes import NativeNode, NativeNodes
from plumbline.features.steps.value_types import Element, ValueType

# Ids of categories; 0 is for padding.
NULL_ID = 1
OUT_OF_VOCABULARY_ID = 2

Apply: TypeAlias = Callable[..., Any]
"""A step with its files loaded: maps the values of its sources to its result."""

ONE, TWO, SEVERAL = range(1, 2), range(2, 3), range(1, 1025)
"""The numbers of sources that a step may have."""

_BY_OP: dict[str, type[Step]] = {}

_TAKEN: Mapping[str, tuple[str, tuple[Element, ...]]] = {
    "numbers": ("numbers", ("number", "integer", "ids")),
    "categories": ("integers or text", ("integer", "text", "ids")),
    "integers": ("integers", ("integer",)),
    "texts": ("text", ("text",)),
    "times": ("times", ("time",)),
    "values": ("values", ("number", "integer", "text", "time", "ids")),
}
"""What a step takes, in the words of a message, and the types of these values."""


@dataclass(frozen=True, slots=True)
class AnyStep:
    """A step, fitted or not. Its class declares its input and output types.

    takes: numbers (numbers, integers or ids), categories (integers, text or ids), values of one
      type alone, or any values.
    takes_lists: whether it accepts a list per row, and then gives a list.
    gives: values of one type, or of the type of its first input.
    is_exact: whether its numbers are bitwise equal in every implementation.
    keeps_missing: whether its result is missing if and only if its only input is.
    fills_missing: whether its result is never missing.
    """

    takes: ClassVar[Literal["numbers", "categories", "integers", "texts", "times", "values"]] = (
        "values"
    )
    takes_lists: ClassVar[bool] = False
    gives: ClassVar[Element | Literal["same"]] = "number"
    is_exact: ClassVar[bool] = False
    keeps_missing: ClassVar[bool] = False
    fills_missing: ClassVar[bool] = False

    @property
    def arity(self) -> range:
        """The numbers of sources that it may have."""
        return SEVERAL

    def type_of(self, taken: Sequence[ValueType], output: str) -> ValueType:
        """The type of its result for inputs of the types `taken`.

        Raises
        ------
        PlanError
            It does not accept them, or not as many; the error names the column `output`.
        """
        name = type(self).__name__
        if len(taken) not in self.arity:
            wanted = f"{self.arity.start}{' or more' * (len(self.arity) > 1)}"
            raise PlanError(f"Column {output!r}: {name} takes {wanted} columns, got {len(taken)}.")
        if len(taken) > 1 and any(one.is_list for one in taken):
            raise PlanError(
                f"Column {output!r}: {name} of several columns wants single values, got lists."
            )
        for one in taken:
            wanted, elements = _TAKEN[self.takes]
            if one.element not in elements or (one.is_list and self.takes == "numbers"):
                got = "numbers" if one.element == "number" else one
                raise PlanError(f"Column {output!r}: {name} wants {wanted}, got {got}.")
            if one.is_list and not self.takes_lists:
                raise PlanError(f"Column {output!r}: {name} wants single values, got {one}.")
        if self.gives == "same":
            return taken[0]
        return ValueType(self.gives, self.gives == "ids" and taken[0].is_list)


@dataclass(frozen=True, slots=True)
class Step(AnyStep, ABC):
    """A fitted step: an operation on one column, or one that combines several.

    plan.json holds its fields, and its name `op`.
    """

    op: ClassVar[str]

    @property
    def arity(self) -> range:
        return ONE

    def __init_subclass__(cls) -> None:
        # slots=True creates the class twice; the second one, which is used, stays registered.
        if "op" not in cls.__dict__:
            return
        other = _BY_OP.setdefault(cls.op, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__module__}: step {cls.op!r} is one of {other.__module__}")
        _BY_OP[cls.op] = cls

    @abstractmethod
    def bind(self, tables: Tables) -> Apply:
        """The operation, with its files loaded.

        Raises
        ------
        PlanError
            A file is missing or was changed.
        """

    def files(self) -> Mapping[str, str]:
        """The step's files, relative to the plan folder, with their SHA-256."""
        return {}

    def check_keys(self, tables: Tables, taken: Sequence[ValueType]) -> None:
        """Raises PlanError if the keys in the step's files cannot be looked up by its inputs."""

    def of_missing(self, number: float | None) -> float | None:
        """The step's result in a row whose raw value is missing.

        `number` is the result of the step before, NaN for the first step. None means that the
        result depends on the row.
        """
        return None

    def operands(self) -> Sequence[float] | None:
        """The operands of the native operation `op`; None if there is no such operation."""
        return None

    def native(
        self, nodes: NativeNodes, sources: Sequence[NativeNode], tables: Tables
    ) -> NativeNode | None:
        """Add the step to the native encoder, with the nodes of its sources.

        None if it has no native form: NumPy computes it then.
        """
        operands = self.operands()
        return None if operands is None else nodes.operation(self.op, operands, *sources)


@dataclass(frozen=True, slots=True)
class NumberStep(Step):
    """A step from float64 to float64; NaN is the missing value."""

    takes = "numbers"

    @abstractmethod
    def apply(self, values_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transform a column, (B,), without changing `values_B`."""

    def bind(self, tables: Tables) -> Apply:
        return lambda values: self.apply(as_numbers(values))

    def of_missing(self, number: float | None) -> float | None:
        return None if number is None else float(self.apply(np.array([number]))[0])


@dataclass(frozen=True, slots=True)
class ValueStep(Step):
    """A step whose result is missing in the rows in which a value that it takes is missing."""

    @abstractmethod
    def apply(self, *values_B: Any) -> Any:
        """Transform the columns, (B,) each, without changing them."""

    def bind(self, tables: Tables) -> Apply:
        return self.apply

    def of_missing(self, number: float | None) -> float | None:
        return number if number is not None and math.isnan(number) else None


@dataclass(frozen=True, slots=True)
class IdStep(Step):
    """A step that gives an int64 id for each value, or for each value of a list."""

    gives = "ids"

    @property
    @abstractmethod
    def ids(self) -> int:
        """The number of ids, which start at 0."""

    @property
    def known(self) -> int:
        """The number of values in the vocabulary; 0 if ids are computed."""
        return 0

    @property
    def unseen_ids(self) -> range:
        """The ids of values outside the vocabulary; empty if ids are computed."""
        return range(0)

    @property
    def null_id(self) -> int:
        """The id of a missing value, if ids are not computed."""
        return NULL_ID

    @property
    def vocabulary_file(self) -> str | None:
        """The file of values, ids and counts; None if ids are computed."""
        return None

    def fewest_values(self, unseen: int) -> float | None:
        """A lower bound on the number of distinct training values; `unseen` rows have unseen ones.

        None if ids are computed.
        """
        return None


def as_numbers(values: Values) -> NDArray[np.float64]:
    """Numbers or integers as float64, with NaN for missing ones."""
    if not isinstance(values, np.ndarray):
        raise TypeError(f"wanted numbers, got {type(values).__name__}")
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    numbers = values.astype(np.float64)
    numbers[values == NULL_INT64] = np.nan
    return numbers


def present_numbers(values: Values) -> NDArray[np.float64]:
    """The numbers or integers that are not missing, as float64."""
    numbers_B = as_numbers(values)
    missing_B = np.isnan(numbers_B)
    return numbers_B[~missing_B] if missing_B.any() else numbers_B


def step_to_json(step: Step) -> dict[str, Any]:
    return {"op": step.op} | {field.name: getattr(step, field.name) for field in fields(step)}


def step_from_json(content: Mapping[str, Any]) -> Step:
    """Raises ValueError for an unknown operation, or for fields that are not the operation's."""
    arguments = {key: value for key, value in content.items() if key != "op"}
    op = content.get("op")
    if not isinstance(op, str) or op not in _BY_OP:
        raise ValueError(f"unknown step {shown(op)}, known: {', '.join(sorted(_BY_OP))}")
    try:
        return from_json(_BY_OP[op], arguments)
    except ValueError as error:
        raise ValueError(f"step {op!r}: {error}") from None

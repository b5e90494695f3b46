"""Unfitted steps, and the accumulators that read the training rows for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import pyarrow as pa

from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.cells import no_cells
from plumbline.features.steps.chains import Source
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Target:
    """What is fitted: its output, its columns, and the folder of its files."""

    output: str
    columns: tuple[str, ...]
    """The raw columns that the fitted step's sources read."""
    types: tuple[ValueType, ...]
    """The types of the fitted step's sources."""
    folder: Path


@dataclass(frozen=True, slots=True)
class Before:
    """A fitted step of the plan that a day is appended to, and that plan's folder and files."""

    step: Step
    folder: Path
    tables: Tables


@dataclass(frozen=True, slots=True)
class Appended:
    """The step that follows on one of an earlier plan."""

    step: Step
    left_out: int = 0
    """The number of values that are frequent enough for an id, but beyond the limit."""


class Accumulator(ABC):
    """Statistics of the rows so far; not thread-safe."""

    @abstractmethod
    def add(self, chunk: int, values: Sequence[Values]) -> None:
        """Add a chunk of rows: the values of the sources, then of `also_reads`."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add the rows of `other`, which must not be used afterwards."""

    @abstractmethod
    def cells(self) -> pa.Table:
        """The rows so far as cells: see `plumbline.features.steps.cells`."""

    @abstractmethod
    def add_cells(self, merged: pa.Table) -> None:
        """Add rows by their cells, of one accumulator or merged from several."""


class KeptAccumulator(Accumulator):
    """Statistics that a run keeps, for a later run that goes on from them."""

    @abstractmethod
    def state(self) -> pa.Table:
        """What was learned from the rows so far."""

    @abstractmethod
    def restore(self, state: pa.Table) -> None:
        """Add the rows that a `state` was learned from, which must be before all others."""


class NoRows(Accumulator):
    """Of a step that learns nothing from the rows."""

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        pass

    def merge(self, other: Self) -> None:
        pass

    def cells(self) -> pa.Table:
        return no_cells()

    def add_cells(self, merged: pa.Table) -> None:
        pass


A = TypeVar("A", bound=Accumulator)


@dataclass(frozen=True, slots=True)
class FitStep(AnyStep, ABC, Generic[A]):
    """A step to be fitted on its inputs in the training rows.

    reads_rows: whether it learns from them; if not, its accumulator is `NoRows`.
    stays: whether an appended day leaves the fitted step as it is.
    not_appended: why no day can be appended to it; None if one can.
    """

    reads_rows: ClassVar[bool] = True
    stays: ClassVar[bool] = False
    not_appended: ClassVar[str | None] = None

    @property
    def operator(self) -> str:
        """The name of the graph's operator."""
        return type(self).__name__.removeprefix("Fit")

    def fitted_on(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        """The sources it is fitted on; by default, its inputs."""
        return sources

    @property
    def also_reads(self) -> tuple[Source, ...]:
        """The sources it reads besides those it is fitted on."""
        return ()

    @property
    def shared_by(self) -> Hashable:
        """Steps that read the same sources and have equal keys here share an accumulator."""
        return self

    @property
    def least_counts(self) -> tuple[int, ...]:
        """The smallest count that `fitted` reads, by the part of the accumulator's cells.

        Cells of smaller values may be left out. () if it reads all.
        """
        return ()

    @abstractmethod
    def accumulator(self, types: Sequence[ValueType]) -> A:
        """A new accumulator for sources of the given types."""

    @abstractmethod
    def fitted(self, accumulated: A, target: Target) -> Step:
        """Write the files of the fitted step, and return it. May consume an accumulator of its own.

        Raises
        ------
        DataError
            The training split lacks what the step needs.
        """

    def appended(self, accumulated: A, target: Target, before: Before) -> Appended:
        """As `fitted`, of old and new rows, for a plan whose ids stay what they are."""
        return Appended(before.step if self.stays else self.fitted(accumulated, target))

    def for_training_rows(self, accumulated: A, fitted: Step, target: Target) -> Step | None:
        """The step that encodes training rows; None if it is the fitted step."""
        return None

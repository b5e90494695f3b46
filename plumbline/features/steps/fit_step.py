"""Unfitted steps, and the accumulators that read the training rows for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from plumbline.columns.values import Values
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


class Accumulator(ABC):
    """Statistics of the rows so far; not thread-safe."""

    @abstractmethod
    def add(self, chunk: int, values: Sequence[Values]) -> None:
        """Add a chunk of rows: the values of the sources, then of `also_reads`."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add the rows of `other`, which must not be used afterwards."""


class NoRows(Accumulator):
    """Of a step that learns nothing from the rows."""

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        pass

    def merge(self, other: Self) -> None:
        pass


A = TypeVar("A", bound=Accumulator)


@dataclass(frozen=True, slots=True)
class FitStep(AnyStep, ABC, Generic[A]):
    """A step to be fitted on its inputs in the training rows.

    reads_rows: whether it learns from them; if not, its accumulator is `NoRows`.
    """

    reads_rows: ClassVar[bool] = True

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

    def for_training_rows(self, accumulated: A, fitted: Step, target: Target) -> Step | None:
        """The step that encodes training rows; None if it is the fitted step."""
        return None

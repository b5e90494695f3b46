"""A step that is still to be fitted, and the accumulator that reads the training rows for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from plumbline.columns.values import Values
from plumbline.features.steps.chains import Source
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Target:
    """What is fitted: for which output, from which columns, and where its files go."""

    output: str
    columns: tuple[str, ...]
    """The raw columns that the fitted step's sources are made of."""
    types: tuple[ValueType, ...]
    """The types of the fitted step's sources."""
    folder: Path


class Accumulator(ABC):
    """What is known of the rows so far; used by one thread at a time."""

    @abstractmethod
    def add(self, chunk: int, values: Sequence[Values]) -> None:
        """Take a chunk of rows: the values of the sources, and of what is measured."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take the rows that `other` has taken, as if they were added here; `other` is spent."""


A = TypeVar("A", bound=Accumulator)


@dataclass(frozen=True, slots=True)
class FitStep(AnyStep, ABC, Generic[A]):
    """A step that is still to be fitted, on the values that it takes in the training rows."""

    def fitted_on(self, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        """The sources that it learns from: those it takes, unless it says otherwise."""
        return sources

    @property
    def also_reads(self) -> tuple[Source, ...]:
        """What it reads of a row besides the sources that it learns from."""
        return ()

    @property
    def shared_by(self) -> Hashable:
        """A key: steps that read the same sources and have equal keys share an accumulator."""
        return self

    @abstractmethod
    def accumulator(self, types: Sequence[ValueType]) -> A:
        """A new accumulator; `types` are those of the sources that it learns from."""

    @abstractmethod
    def fitted(self, accumulated: A, target: Target) -> Step:
        """The fitted step, its files written. An accumulator that is not shared may be used up.

        Raises
        ------
        DataError
            The training split does not have what the step needs.
        """

    def for_training_rows(self, accumulated: A, fitted: Step, target: Target) -> Step | None:
        """What training rows have in place of the fitted step; None where it is the same."""
        return None

"""What every statistic shares: it takes the training rows chunk by chunk, and gives a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plumbline.columns.values import Values
from plumbline.features.operators import Step
from plumbline.features.plan.chains import Source
from plumbline.features.plan.value_types import ValueType


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
    """Learns from the values of `sources`; called from one thread at a time."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self.sources = sources

    @property
    def reader(self) -> Accumulator:
        """Who reads the rows for it: itself, or one that several share."""
        return self

    @abstractmethod
    def add(self, chunk: int, values: Sequence[Values]) -> None:
        """Take the values of the sources in one chunk of rows, chunks in order from 0."""

    @abstractmethod
    def finish(self, target: Target) -> Step:
        """The fitted step, its files written.

        Raises
        ------
        DataError
            The training split does not have what the step needs.
        """

    def for_training_rows(self, fitted: Step, target: Target) -> Step | None:
        """What training rows have in place of the fitted step; None where it is the same."""
        return None

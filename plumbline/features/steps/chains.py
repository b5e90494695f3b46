"""How an output column is made: a tree of raw columns and steps, fitted or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType


@dataclass(frozen=True, slots=True)
class Chain:
    """The first step takes all `sources`, every further one the result of the one before.

    A source is a raw column's name or another chain. Without steps the one source is the result.
    """

    sources: tuple[Source, ...]
    steps: tuple[AnyStep, ...]

    def __post_init__(self) -> None:
        if len(self.sources) != 1 and not self.steps:
            raise ValueError(f"{len(self.sources)} sources and no step to make one column of them")

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that it is made of, each once, in order."""
        return tuple(dict.fromkeys(self._leaves()))

    def _leaves(self) -> Iterator[str]:
        for source in self.sources:
            if isinstance(source, str):
                yield source
            else:
                yield from source._leaves()

    @property
    def fitted(self) -> tuple[Step, ...]:
        """The steps, all of which are fitted; raises TypeError where one is not."""
        return tuple(_fitted(step) for step in self.steps)

    def every_step(self) -> Iterator[Step]:
        """The fitted steps of the chain and of its sources, sources first."""
        for source in self.sources:
            if not isinstance(source, str):
                yield from source.every_step()
        yield from self.fitted

    def upto(self, index: int) -> Chain:
        """The chain before its step of that index."""
        return Chain(self.sources, self.steps[:index])


Source: TypeAlias = "str | Chain"

Columns: TypeAlias = Mapping[str, Values]
"""Raw columns by name, all of one number of rows."""


class Runner:
    """A fitted chain with its files at hand: raw columns in, the column out."""

    def __init__(self, chain: Source, tables: Tables) -> None:
        made = Chain((chain,), ()) if isinstance(chain, str) else chain
        self._sources = [s if isinstance(s, str) else Runner(s, tables) for s in made.sources]
        self._applies = [step.bind(tables) for step in made.fitted]

    def __call__(self, columns: Columns) -> Any:
        values = [columns[s] if isinstance(s, str) else s(columns) for s in self._sources]
        if not self._applies:
            return values[0]
        result = self._applies[0](*values)
        for apply in self._applies[1:]:
            result = apply(result)
        return result


def type_of(source: Source, kinds: Mapping[str, FeatureKind], output: str) -> ValueType:
    """The type of the values that a chain, fitted or not, gives; errors name the column `output`.

    Raises
    ------
    PlanError
        A column that is not in `kinds`, or a step that cannot take what it is given.
    """
    if isinstance(source, str):
        if source not in kinds:
            raise PlanError(
                f"Column {output!r} is made of {source!r}: wanted a feature column, one of "
                f"{', '.join(kinds)}."
            )
        return ValueType.of_kind(kinds[source])
    types = [type_of(inner, kinds, output) for inner in source.sources]
    for step in source.steps:
        types = [step.type_of(types, output)]
    return types[0]


def _fitted(step: AnyStep) -> Step:
    if not isinstance(step, Step):
        raise TypeError(f"{type(step).__name__} is not fitted")
    return step

"""The computation of an output column: a tree of raw columns and steps, fitted or not."""

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
    """The first step takes all `sources`, each further step the result of the one before.

    A source is a raw column's name or another chain. Without steps, the only source is the result.
    """

    sources: tuple[Source, ...]
    steps: tuple[AnyStep, ...]

    def __post_init__(self) -> None:
        if len(self.sources) != 1 and not self.steps:
            raise ValueError(
                "wanted one source, or a step that combines several, got "
                f"{len(self.sources)} sources and no step"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The distinct raw columns it reads, in order."""
        return tuple(dict.fromkeys(self._leaves()))

    def _leaves(self) -> Iterator[str]:
        for source in self.sources:
            if isinstance(source, str):
                yield source
            else:
                yield from source._leaves()

    @property
    def fitted(self) -> tuple[Step, ...]:
        """The steps; raises TypeError if one is not fitted."""
        return tuple(_fitted(step) for step in self.steps)

    def every_step(self) -> Iterator[Step]:
        """The fitted steps of the chain and of its sources, sources first."""
        for source in self.sources:
            if not isinstance(source, str):
                yield from source.every_step()
        yield from self.fitted

    def upto(self, index: int) -> Chain:
        """The chain up to its step at `index`, without that step."""
        return Chain(self.sources, self.steps[:index])


Source: TypeAlias = "str | Chain"

Columns: TypeAlias = Mapping[str, Values]
"""Raw columns by name, with the same number of rows."""


class Runner:
    """A fitted chain with its files loaded: maps raw columns to its result."""

    def __init__(self, chain: Source, tables: Tables) -> None:
        whole = Chain((chain,), ()) if isinstance(chain, str) else chain
        self._sources = [s if isinstance(s, str) else Runner(s, tables) for s in whole.sources]
        self._applies = [step.bind(tables) for step in whole.fitted]

    def __call__(self, columns: Columns) -> Any:
        values = [columns[s] if isinstance(s, str) else s(columns) for s in self._sources]
        if not self._applies:
            return values[0]
        result = self._applies[0](*values)
        for apply in self._applies[1:]:
            result = apply(result)
        return result


MOST_STEPS = 100
"""The most steps from a raw column to an output: chains are followed recursively."""


def type_of(
    source: Source, kinds: Mapping[str, FeatureKind], output: str, most: int = MOST_STEPS
) -> ValueType:
    """The type of the values of a chain, fitted or not; errors name the column `output`.

    Raises
    ------
    PlanError
        A column is not in `kinds`, a step does not accept the type of its input, or there are more
        than `most` steps, one after the other.
    """
    if isinstance(source, str):
        if source not in kinds:
            raise PlanError(
                f"Column {output!r} reads {source!r}: wanted a feature column, one of "
                f"{', '.join(kinds)}."
            )
        return ValueType.of_kind(kinds[source])
    before = most - max(len(source.steps), 1)
    if before < 0:
        raise PlanError(
            f"Column {output!r}: wanted at most {MOST_STEPS} steps from a raw column to an output, "
            "got more."
        )
    types = [type_of(inner, kinds, output, before) for inner in source.sources]
    for step in source.steps:
        types = [step.type_of(types, output)]
    return types[0]


def check_keys(
    source: Source, kinds: Mapping[str, FeatureKind], output: str, tables: Tables
) -> None:
    """Check the look-up files of a fitted chain whose types fit; see `Step.check_keys`."""
    if isinstance(source, str):
        return
    for inner in source.sources:
        check_keys(inner, kinds, output, tables)
    types = [type_of(inner, kinds, output) for inner in source.sources]
    for step in source.fitted:
        step.check_keys(tables, types)
        types = [step.type_of(types, output)]


def _fitted(step: AnyStep) -> Step:
    if not isinstance(step, Step):
        raise TypeError(f"wanted a fitted step, got {type(step).__name__}")
    return step

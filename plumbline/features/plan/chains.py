"""How an output column is made: a tree of raw columns and steps, fitted or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from plumbline.columns.values import Values
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.step import Apply, Step


@dataclass(frozen=True, slots=True)
class Chain:
    """The first step takes all `sources`, every further one the result of the one before.

    A source is a raw column's name or another chain. Without steps the one source is the result.
    In a fitted plan every step is a `plumbline.features.operators.Step`; in an unfitted one some
    are those of `plumbline.features.plan.unfitted`.
    """

    sources: tuple[Source, ...]
    steps: tuple[Any, ...]

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

    def upto(self, place: int) -> Chain:
        """The chain before its step of that number."""
        return Chain(self.sources, self.steps[:place])

    def map(self, change: Callable[[Chain, int], Any]) -> Chain:
        """The chain with every step replaced by `change(chain, its place)`, sources first."""
        sources = tuple(s if isinstance(s, str) else s.map(change) for s in self.sources)
        return Chain(sources, tuple(change(self, place) for place in range(len(self.steps))))


Source: TypeAlias = "str | Chain"

Columns: TypeAlias = Mapping[str, Values]
"""Raw columns by name, all of one number of rows."""


class Runner:
    """A fitted chain with its files at hand: raw columns in, the column out."""

    def __init__(self, chain: Source, tables: Tables) -> None:
        made = Chain((chain,), ()) if isinstance(chain, str) else chain
        self._sources = [s if isinstance(s, str) else Runner(s, tables) for s in made.sources]
        self._applies = [_bind(step, tables) for step in made.steps]

    def __call__(self, columns: Columns) -> Any:
        values = [columns[s] if isinstance(s, str) else s(columns) for s in self._sources]
        if not self._applies:
            return values[0]
        result = self._applies[0](*values)
        for apply in self._applies[1:]:
            result = apply(result)
        return result


def _bind(step: Any, tables: Tables) -> Apply:
    if not isinstance(step, Step):
        raise TypeError(f"{type(step).__name__} is not fitted")
    return step.bind(tables)

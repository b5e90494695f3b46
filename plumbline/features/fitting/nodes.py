"""The steps that a plan has to fit, and the plan with what was learned of them put in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from plumbline.features.operators import Step
from plumbline.features.plan.chains import Chain, Source
from plumbline.features.plan.unfitted import (
    FitCategorify,
    FitGroupStatistic,
    FitStep,
    FitTargetEncoding,
)

CHUNK = "\x1fchunk"
"""The column that holds the number of a training row's chunk, in every row."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step to fit, and the sources that it takes, as the unfitted plan has them."""

    sources: tuple[Source, ...]
    step: FitStep

    @classmethod
    def at(cls, chain: Chain, place: int) -> Node:
        sources = chain.sources if place == 0 else (chain.upto(place),)
        step = chain.steps[place]
        # Columns that share a vocabulary are one node, whichever of them is asked for.
        shared = step.shared if isinstance(step, FitCategorify) else None
        return cls(shared or sources, step)

    @property
    def read(self) -> tuple[Source, ...]:
        """All that has to be known of a row to fit it: the sources, and what is measured."""
        if isinstance(self.step, FitGroupStatistic) and self.step.measured is not None:
            return (*self.sources, self.step.measured)
        if isinstance(self.step, FitTargetEncoding):
            return (*self.sources, self.step.target)
        return self.sources


Learned: TypeAlias = Mapping[Node, Step]


def nodes(sources: Iterable[Source]) -> Iterator[Node]:
    """Every step to fit that the sources need, those that others need first; some repeat."""
    for source in sources:
        if isinstance(source, str):
            continue
        yield from nodes(source.sources)
        for place, step in enumerate(source.steps):
            if isinstance(step, FitStep):
                node = Node.at(source, place)
                yield from nodes(node.read)
                yield node


def resolved(source: Source, learned: Learned, for_training: Learned | None = None) -> Source:
    """The source with learned steps in place of the unfitted ones.

    `for_training` are the steps that training rows have instead; they take the rows' chunk too.
    """
    if isinstance(source, str):
        return source
    sources = tuple(resolved(inner, learned, for_training) for inner in source.sources)
    steps: list[Any] = []
    for place, step in enumerate(source.steps):
        node = Node.at(source, place) if isinstance(step, FitStep) else None
        if node is not None and for_training and node in for_training:
            before = (Chain(sources, tuple(steps)),) if steps else sources
            sources, steps = (*before, CHUNK), [for_training[node]]
        else:
            steps.append(learned.get(node, step) if node is not None else step)
    return Chain(sources, tuple(steps))

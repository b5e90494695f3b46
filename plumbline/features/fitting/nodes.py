"""The steps that a plan has to fit, and the plan with what was learned of them put in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from plumbline.features.steps.chains import Chain, Source
from plumbline.features.steps.fit_step import FitStep
from plumbline.features.steps.step import AnyStep, Step

CHUNK = "\x1fchunk"
"""The column that holds the number of a training row's chunk, in every row."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step to fit, and the sources that it learns from, as the unfitted plan has them.

    Columns that share a vocabulary have one node.
    """

    sources: tuple[Source, ...]
    step: FitStep[Any]

    @classmethod
    def at(cls, chain: Chain, index: int, step: FitStep[Any]) -> Node:
        """Of the chain's step of that index."""
        sources = chain.sources if index == 0 else (chain.upto(index),)
        return cls(step.fitted_on(sources), step)

    @property
    def reads(self) -> tuple[Source, ...]:
        """All that has to be known of a row to fit it."""
        return (*self.sources, *self.step.also_reads)


Learned: TypeAlias = Mapping[Node, Step]


def nodes(sources: Iterable[Source]) -> Iterator[Node]:
    """Every step to fit that the sources need, those that others need first; some repeat."""
    for source in sources:
        if isinstance(source, str):
            continue
        yield from nodes(source.sources)
        for index, step in enumerate(source.steps):
            if isinstance(step, FitStep):
                node = Node.at(source, index, step)
                yield from nodes(node.reads)
                yield node


def resolved(source: Source, learned: Learned, for_training: Learned | None = None) -> Source:
    """The source with learned steps in place of the unfitted ones.

    `for_training` are the steps that training rows have instead; they take the rows' chunk too.
    """
    if isinstance(source, str):
        return source
    sources = tuple(resolved(inner, learned, for_training) for inner in source.sources)
    steps: list[AnyStep] = []
    for index, step in enumerate(source.steps):
        node = Node.at(source, index, step) if isinstance(step, FitStep) else None
        if node is not None and for_training and node in for_training:
            before = (Chain(sources, tuple(steps)),) if steps else sources
            sources, steps = (*before, CHUNK), [for_training[node]]
        else:
            steps.append(learned.get(node, step) if node is not None else step)
    return Chain(sources, tuple(steps))

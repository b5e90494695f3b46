"""The steps that a plan has to fit, and their replacement by fitted ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from plumbline.features.steps.chains import Chain, Source
from plumbline.features.steps.fit_step import FitStep
from plumbline.features.steps.step import AnyStep, Step

CHUNK = "\x1fchunk"
"""A column that holds the index of a training row's chunk."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step to fit, and the unfitted sources it is fitted on.

    Columns that share a vocabulary share a node.
    """

    sources: tuple[Source, ...]
    step: FitStep[Any]

    @classmethod
    def at(cls, chain: Chain, index: int, step: FitStep[Any]) -> Node:
        """The node of `step`, which is the chain's step at `index`."""
        sources = chain.sources if index == 0 else (chain.upto(index),)
        return cls(step.fitted_on(sources), step)

    @property
    def reads(self) -> tuple[Source, ...]:
        """Every source that the fit reads."""
        return (*self.sources, *self.step.also_reads)


Learned: TypeAlias = Mapping[Node, Step]


def nodes(sources: Iterable[Source]) -> Iterator[Node]:
    """Every step that the sources need fitted, dependencies first; may repeat."""
    for source in sources:
        if isinstance(source, str):
            continue
        yield from nodes(source.sources)
        for index, step in enumerate(source.steps):
            if isinstance(step, FitStep):
                node = Node.at(source, index, step)
                yield from nodes(node.reads)
                yield node


def resolved(source: Source, learned: Learned, training_steps: Learned | None = None) -> Source:
    """The source with unfitted steps replaced by fitted ones.

    `training_steps` are those that encode training rows differently; they also read `CHUNK`.
    """
    if isinstance(source, str):
        return source
    sources = tuple(resolved(inner, learned, training_steps) for inner in source.sources)
    steps: list[AnyStep] = []
    for index, step in enumerate(source.steps):
        node = Node.at(source, index, step) if isinstance(step, FitStep) else None
        if node is not None and training_steps and node in training_steps:
            before = (Chain(sources, tuple(steps)),) if steps else sources
            sources, steps = (*before, CHUNK), [training_steps[node]]
        else:
            steps.append(learned.get(node, step) if node is not None else step)
    return Chain(sources, tuple(steps))

"""An operator of a graph, asked for one of the columns that it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from plumbline.base.errors import UnsupportedOperator
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node
from plumbline.features.steps.chains import Chain, Source, type_of
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType

Reader: TypeAlias = Callable[[Target], Step]
"""Gives the fitted step from what an operator has learned."""


@dataclass(frozen=True, slots=True)
class OperatorCall:
    """What a compiled form is made from.

    `groups` are the selected input columns, those selected together in one tuple. `source` gives
    what an input column is made of, `dependency` the same for a column that the operator only
    learns from. `readers` takes the reader of every unfitted step.
    """

    operator: Any
    output: str
    groups: tuple[tuple[str, ...], ...]
    source: Callable[[str], Source]
    dependency: Callable[[str], Source]
    kinds: Mapping[str, FeatureKind]
    readers: dict[Node, Reader]

    @property
    def name(self) -> str:
        return type(self.operator).__name__

    @property
    def inputs(self) -> tuple[str, ...]:
        """The selected columns, each once."""
        return tuple(dict.fromkeys(name for group in self.groups for name in group))

    def type_of(self, source: Source) -> ValueType:
        """The click counts as a number."""
        return type_of(source, {**self.kinds, CLICK: "continuous"}, self.output)

    def step(self, step: Step, *sources: Source) -> Chain:
        """The sources with a step behind them that has nothing to learn."""
        return then(step, sources)

    def learned(self, step: FitStep[Any], reader: Reader, *sources: Source) -> Chain:
        """The sources with a step behind them that learns, and how to read what was learned."""
        chain = then(step, sources)
        self.readers[Node.at(chain, len(chain.steps) - 1, step)] = reader
        return chain

    def numbers(self, column: str) -> Source:
        """The source of an input column, which has to be numbers or integers.

        Raises
        ------
        UnsupportedOperator
            It is text, ids or lists.
        """
        return self.wanted(self.source(column), "number", "integer")

    def wanted(self, source: Source, *elements: str, lists: bool = False) -> Source:
        """The source, if its values are of those elements (see
        `plumbline.features.steps.value_types`).

        Raises
        ------
        UnsupportedOperator
            They are others, or lists where `lists` does not allow them.
        """
        found = self.type_of(source)
        if found.element not in elements or (found.is_list and not lists):
            raise self.unsupported(f"{self.name} on {found}")
        return source

    def refuse(self, parameter: str, value: Any) -> UnsupportedOperator:
        """The error for a parameter's value that has no compiled form."""
        return self.unsupported(f"{self.name}({parameter}={value!r})")

    def unsupported(self, what: str) -> UnsupportedOperator:
        return unsupported(what, self.output)

    def number(self, parameter: str, value: Any) -> float:
        """A parameter that has to be a finite number."""
        if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
            raise self.refuse(parameter, value)
        return float(value)

    def count(self, parameter: str, value: Any, least: int = 1) -> int:
        """A parameter that has to be a whole number, at least `least`."""
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < least:
            raise self.refuse(parameter, value)
        return int(value)

    def float_dtype(self, parameter: str, value: Any) -> None:
        """The plan computes in float64 and stores float32: any narrower type has no form."""
        if value is not None and np.dtype(value) not in (np.dtype("f4"), np.dtype("f8")):
            raise self.refuse(parameter, np.dtype(value).name)


def then(step: AnyStep, sources: tuple[Source, ...]) -> Chain:
    """One chain with a step behind it is a longer chain; raw or several sources begin one."""
    only = sources[0]
    if len(sources) == 1 and isinstance(only, Chain):
        return Chain(only.sources, (*only.steps, step))
    return Chain(sources, (step,))


def unsupported(what: str, column: str) -> UnsupportedOperator:
    return UnsupportedOperator.in_workflow(what, [column], SUPPORTED)


SUPPORTED = (
    "AddMetadata",
    "AddProperties",
    "AddTags",
    "Bucketize",
    "Categorify",
    "Clip",
    "DropLowCardinality",
    "FillMedian",
    "FillMissing",
    "HashBucket",
    "HashedCross",
    "JoinGroupby",
    "LogOp",
    "Normalize",
    "NormalizeMinMax",
    "QuantileBucketize",
    "QuantileTransform",
    "ReduceDtypeSize",
    "Rename",
    "TagAsItemFeatures",
    "TagAsItemID",
    "TagAsUserFeatures",
    "TagAsUserID",
    "TargetEncoding",
)
"""What a workflow may be made of, beside the selection and concatenation of columns."""

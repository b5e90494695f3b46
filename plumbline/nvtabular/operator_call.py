"""How an operator of a graph is compiled, column by column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from plumbline.base.errors import PlanError
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node
from plumbline.features.steps.chains import Chain, Source, type_of
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.patching.columns import as_group

Reader: TypeAlias = Callable[[Target], Step]
"""Gives the fitted step from what an operator has learned."""


@dataclass(frozen=True, slots=True)
class GraphColumn:
    """A column of a graph, and what it is made of.

    The plan leaves it out where it has no more than `minimum` ids.
    """

    source: Source
    minimum: int | None = None
    domain_excess: int | None = None
    """By how much the largest id in NVTabular's schema exceeds the true one; None: it has none."""


@dataclass(frozen=True, slots=True)
class OperatorCall:
    """An operator of a graph, asked for one of its output columns: what is to be compiled.

    `column` gives an input column, `dependency` the source of a column that the operator only
    learns from. `readers` takes the reader of every unfitted step. `fitted` says that the workflow
    is fitted already. `supported` names the operators that have a compiled form.
    """

    node: Any
    output: str
    column: Callable[[str], GraphColumn]
    dependency: Callable[[str], Source]
    kinds: Mapping[str, FeatureKind]
    readers: dict[Node, Reader]
    fitted: bool
    supported: tuple[str, ...]

    @property
    def operator(self) -> Any:
        return self.node.op

    @property
    def name(self) -> str:
        return type(self.operator).__name__

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The selected input columns, those selected together in one tuple."""
        names = self.node.input_columns.resolve(self.node.input_schema).grouped_names
        return tuple(as_group(group) for group in names)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The selected columns, each once."""
        return tuple(dict.fromkeys(name for group in self.groups for name in group))

    def source(self, name: str) -> Source:
        """What an input column is made of.

        Raises
        ------
        UnsupportedOperator
            The plan may leave the column out.
        """
        column = self.column(name)
        if column.minimum is not None:
            raise self.unsupported(f"DropLowCardinality before {self.name}")
        return column.source

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

    def exact(self, source: Source) -> Source:
        """The source, if its numbers are the same to the last bit wherever they are computed.

        Raises
        ------
        UnsupportedOperator
            Some of its steps round.
        """
        if not _is_exact(source):
            raise self.unsupported(f"{self.name} on computed numbers")
        return source

    def refuse(self, parameter: str, value: Any) -> UnsupportedOperator:
        """The error for a parameter's value that has no compiled form."""
        return self.unsupported(f"{self.name}({parameter}={value!r})")

    def unsupported(self, what: str) -> UnsupportedOperator:
        return UnsupportedOperator.in_workflow(what, [self.output], self.supported)

    def learned_value(self, learned: Mapping[str, Any], name: str) -> Any:
        """What the operator has learned under a name.

        Raises
        ------
        PlanError
            Nothing yet.
        """
        if name not in learned:
            raise PlanError(
                f"Column {self.output!r}: {self.name} is not fitted. Fit the workflow first."
            )
        return learned[name]

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


def _is_exact(source: Source) -> bool:
    if isinstance(source, str):
        return True
    return all(step.is_exact for step in source.steps) and all(
        _is_exact(inner) for inner in source.sources
    )


@dataclass(frozen=True, slots=True)
class CompiledOperator:
    """An operator that has a compiled form: every module of `operators` declares its own.

    An operator is known by its exact type: a subclass may compute something else.
    """

    of: type
    compiled: Callable[[OperatorCall], Source | GraphColumn]
    """What the operator's output is made of; it refuses what has no compiled form."""
    patched: type | None = None
    """The subclass of `of` that the NVTabular engine runs in its place."""
    domain_excess: int | None = None
    """See `GraphColumn.domain_excess`."""

    def column(self, at: OperatorCall) -> GraphColumn:
        made = self.compiled(at)
        return (
            made if isinstance(made, GraphColumn) else GraphColumn(made, None, self.domain_excess)
        )

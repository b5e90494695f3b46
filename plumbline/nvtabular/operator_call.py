"""Compiling one output column of an operator, and what an operator declares for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from plumbline.base.errors import PlanError
from plumbline.base.printable import one_line
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.features.fitting.nodes import Node, nodes
from plumbline.features.operators.fill_key import FillKey
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.steps.chains import Chain, Source, type_of
from plumbline.features.steps.fit_step import FitStep, Target
from plumbline.features.steps.step import AnyStep, Step
from plumbline.features.steps.value_types import ValueType
from plumbline.nvtabular import advice
from plumbline.nvtabular.constants import is_exact_integer, is_utf8
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.patching.columns import as_group

Reader: TypeAlias = Callable[[Target], Step]
"""Makes the fitted step from what the operator has learned."""


@dataclass(frozen=True, slots=True)
class GraphColumn:
    """A column of a graph, as a source of the plan.

    The plan leaves the column out if it has at most `minimum` ids.
    """

    source: Source
    minimum: int | None = None
    domain_excess: int | None = None
    """The largest id in NVTabular's schema, less the true one. None if the schema has no ids."""


@dataclass(frozen=True, slots=True)
class OperatorCall:
    """The output column of an operator that is being compiled.

    `column` compiles an input column by name, and `dependency` a column that the operator only
    learns from. `fit_step` adds to `readers`, `keep_training_rows` to `conditions`. `fitted` is
    whether the workflow is fitted already.
    """

    node: Any
    output: str
    column: Callable[[str], GraphColumn]
    dependency: Callable[[str], Source]
    kinds: Mapping[str, FeatureKind]
    readers: dict[Node, Reader]
    conditions: dict[Chain, None]
    fitted: bool

    @property
    def operator(self) -> Any:
        return self.node.op

    @property
    def name(self) -> str:
        return type(self.operator).__name__

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The selected input columns; columns that are selected together share a tuple."""
        names = self.node.input_columns.resolve(self.node.input_schema).grouped_names
        return tuple(as_group(group) for group in names)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The selected input columns, each once."""
        return tuple(dict.fromkeys(name for group in self.groups for name in group))

    def source(self, name: str) -> Source:
        """The source of an input column.

        Raises
        ------
        UnsupportedOperator
            DropLowCardinality may leave the column out of the plan.
        """
        column = self.column(name)
        if column.minimum is not None:
            raise self.unsupported(
                f"DropLowCardinality before {self.name}", "Put DropLowCardinality last."
            )
        return column.source

    def type_of(self, source: Source) -> ValueType:
        """The type of a source's values; the click is a number."""
        return type_of(source, {**self.kinds, CLICK: "continuous"}, self.output)

    def step(self, step: Step, *sources: Source) -> Chain:
        """Apply a step to the sources."""
        return then(step, sources)

    def fit_step(self, step: FitStep[Any], reader: Reader, *sources: Source) -> Chain:
        """Apply a step that learns; `reader` makes it a fitted step once the workflow is fitted."""
        chain = then(step, sources)
        self.readers[Node.at(chain, len(chain.steps) - 1, step)] = reader
        return chain

    def keep_training_rows(self, condition: Chain) -> None:
        """Leave out the training rows for which the condition is not 1.

        Raises
        ------
        UnsupportedOperator
            The condition has a step that learns.
        """
        if any(nodes([condition])):
            raise self.unsupported(
                f"{self.name} on learned values",
                f"Put {self.name} before the operators that learn: they learn from the rows that "
                "it keeps.",
            )
        self.conditions[condition] = None

    def numbers(self, column: str) -> Source:
        """The source of an input column of numbers or integers.

        Raises
        ------
        UnsupportedOperator
            The column has text, ids or lists.
        """
        return self.require(self.source(column), "number", "integer")

    def filled(self, column: str) -> Source:
        """The source of an input column; integers that are filled with integers are keys."""
        return filled_key(self.source(column), self.type_of)

    def key(self, column: str, lists: bool = False) -> Source:
        """The source of an input column of keys: integers, text or ids.

        Raises
        ------
        UnsupportedOperator
            The column has numbers, or lists and `lists` is false.
        """
        return self.require(self.filled(column), "integer", "text", "ids", lists=lists)

    def lists(self, column: str) -> Source:
        """The source of an input column of lists.

        Raises
        ------
        UnsupportedOperator
            The column has single values.
        """
        source = self.source(column)
        actual = self.type_of(source)
        if not actual.is_list:
            raise self.unsupported(f"{self.name} on {actual}", advice.NO_LISTS)
        return source

    def require(self, source: Source, *elements: str, lists: bool = False) -> Source:
        """Return the source if its values have one of these element types.

        Raises
        ------
        UnsupportedOperator
            The values have another type, or are lists and `lists` is false.
        """
        actual = self.type_of(source)
        if actual.element not in elements or (actual.is_list and not lists):
            raise self.unsupported(
                f"{self.name} on {actual}", advice.of_type(self.name, actual, elements)
            )
        return source

    def require_exact(self, source: Source) -> Source:
        """Return the source if its numbers are identical on every machine.

        Raises
        ------
        UnsupportedOperator
            A step of the source rounds.
        """
        if not _is_exact(source):
            raise self.unsupported(
                f"{self.name} on computed numbers",
                "Apply it before the logarithm or the normalization.",
            )
        return source

    def unsupported_parameter(
        self, parameter: str, value: Any, remedy: str | None = None
    ) -> UnsupportedOperator:
        """The error for a parameter value that has no compiled form."""
        if remedy is None:
            remedy = advice.PARAMETERS.get(parameter, advice.REPLACE)
        return self.unsupported(f"{self.name}({parameter}={one_line(repr(value), 60)})", remedy)

    def unsupported(self, what: str, remedy: str = advice.REPLACE) -> UnsupportedOperator:
        return UnsupportedOperator.in_workflow(what, self.output, remedy)

    def learned_value(self, learned: Mapping[str, Any], name: str) -> Any:
        """The entry `name` of what the operator has learned.

        Raises
        ------
        PlanError
            There is none: the operator is not fitted.
        """
        if name not in learned:
            raise PlanError(
                f"Column {self.output!r}: {self.name} is not fitted. Fit the workflow first."
            )
        return learned[name]

    def number(self, parameter: str, value: Any) -> float:
        """The value of a parameter that must be a finite number."""
        if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
            raise self.unsupported_parameter(parameter, value, "Give a finite number.")
        return float(value)

    def count(self, parameter: str, value: Any, least: int = 1) -> int:
        """The value of a parameter that must be a whole number of at least `least`."""
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < least:
            remedy = f"Give a whole number of at least {least}."
            raise self.unsupported_parameter(parameter, value, remedy)
        return int(value)

    def whole(self, parameter: str, value: Any) -> int:
        """The value of a parameter that must be a whole number."""
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise self.unsupported_parameter(parameter, value, "Give a whole number.")
        return int(value)

    def text(self, parameter: str, value: Any, remedy: str) -> str:
        """The value of a parameter that must be text: not empty, UTF-8, and without NUL."""
        if not isinstance(value, str) or not value or "\0" in value or not is_utf8(value):
            raise self.unsupported_parameter(parameter, value, remedy)
        return value

    def require_float_dtype(self, parameter: str, value: Any) -> None:
        """Accept float32, float64 or None: the plan computes in float64 and stores float32.

        Raises
        ------
        UnsupportedOperator
            The type is another one.
        """
        if value is not None and np.dtype(value) not in (np.dtype("f4"), np.dtype("f8")):
            name = np.dtype(value).name
            raise self.unsupported_parameter(parameter, name, "Give float32 or float64.")


def then(step: AnyStep, sources: tuple[Source, ...]) -> Chain:
    """A single chain is extended by the step; a raw column or several sources start a new chain."""
    only = sources[0]
    if len(sources) == 1 and isinstance(only, Chain):
        return Chain(only.sources, (*only.steps, step))
    return Chain(sources, (step,))


def filled_key(source: Source, type_of: Callable[[Source], ValueType]) -> Source:
    """The source, whose last FillMissing steps become FillKey if they fill integers with integers.

    A number and a key differ in what follows: a key is looked up and hashed as an integer.
    """
    if isinstance(source, str) or not isinstance(source.steps[-1], FillMissing):
        return source
    before, value = source.upto(len(source.steps) - 1), source.steps[-1].value
    inner = filled_key(before if before.steps else before.sources[0], type_of)
    if type_of(inner).element != "integer" or not is_exact_integer(value):
        return source
    return then(FillKey(int(value)), (inner,))


def _is_exact(source: Source) -> bool:
    if isinstance(source, str):
        return True
    return all(step.is_exact for step in source.steps) and all(
        _is_exact(inner) for inner in source.sources
    )


@dataclass(frozen=True, slots=True)
class CompiledOperator:
    """An operator that has a compiled form; every module of `operators` declares its own.

    An operator is matched by its exact type, because a subclass may compute something else.
    """

    operator: type
    compile: Callable[[OperatorCall], Source | GraphColumn]
    """Compiles an output column; raises `UnsupportedOperator` if that is not possible."""
    patched: type | None = None
    """The subclass of `operator` that the NVTabular engine runs instead."""
    domain_excess: int | None = None
    """See `GraphColumn.domain_excess`."""

    def column(self, at: OperatorCall) -> GraphColumn:
        compiled = self.compile(at)
        if isinstance(compiled, GraphColumn):
            return compiled
        return GraphColumn(compiled, None, self.domain_excess)

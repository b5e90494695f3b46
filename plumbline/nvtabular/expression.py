"""The base class of expressions: operators of our own in place of Python functions of a graph.

An expression runs the plan's own step on the host, so its result is the same in every engine.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plumbline.base.errors import PlanError
from plumbline.columns.values import NULL_INT64, Text, Values
from plumbline.features.lookup.tables import NO_TABLES
from plumbline.features.steps.chains import Source
from plumbline.features.steps.step import Step
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.library import Tags, dtypes, ops
from plumbline.nvtabular.operator_call import OperatorCall
from plumbline.nvtabular.patching.columns import host_numbers, is_host, key_values

_DTYPES = {
    "number": dtypes.float64,
    "integer": dtypes.int64,
    "ids": dtypes.int64,
    "text": dtypes.string,
}


class Expression(ops.Operator):
    """An operator of one step, which is applied to every selected column, unless it combines them.

    In a plain NVTabular workflow it takes columns of pandas: floats are numbers, datetimes are
    times, and so are integers (microseconds since 1970) if the operator takes times.
    """

    takes: ClassVar[tuple[Element, ...]]
    gives: ClassVar[Element] = "number"
    of_integers: Element = "integer"
    """What integers of a frame are; an engine's frames have times as integers."""

    @abstractmethod
    def step(self, output: str, inputs: Sequence[str], taken: Sequence[Element]) -> Step:
        """The step of an output column, for inputs of these names and types.

        Raises
        ------
        ValueError
            A parameter does not fit the types.
        """

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for output, inputs in self.column_mapping(col_selector).items():
            values = [_values(df[name]) for name in inputs]
            step = self.step(output, inputs, [self._element(one) for one in values])
            columns[output] = _column(step.bind(NO_TABLES)(*values))
        return type(df)(columns, index=df.index)

    def _element(self, values: Values) -> Element:
        if isinstance(values, Text):
            return "text"
        is_number = isinstance(values, np.ndarray) and values.dtype.kind == "f"
        return "number" if is_number else self.of_integers

    @property
    def output_dtype(self) -> Any:
        return _DTYPES[self.gives]

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CONTINUOUS if self.gives == "number" else Tags.CATEGORICAL]


def compiled(at: OperatorCall) -> Source:
    """The source of an output column of an expression."""
    inputs = at.node.column_mapping[at.output]
    sources = [at.require(at.source(name), *at.operator.takes) for name in inputs]
    try:
        types = [at.type_of(source).element for source in sources]
        step = at.operator.step(at.output, inputs, types)
    except ValueError as error:
        raise at.unsupported(at.name, f"{error}.") from None
    return at.step(step, *sources)


def pair(operator: str, col_selector: Any) -> tuple[str, str]:
    """The names of the two selected columns, in order.

    Raises
    ------
    PlanError
        Not two columns are selected.
    """
    names = list(col_selector.names)
    if len(names) != 2:
        raise PlanError(f"{operator}: wanted two columns, got {len(names)}: {', '.join(names)}.")
    first, second = names
    return first, second


def _values(column: Any) -> Values:
    host = column if is_host(column) else column.to_pandas(nullable=True)
    if isinstance(host.dtype, pd.DatetimeTZDtype):
        host = host.dt.tz_convert("UTC").dt.tz_localize(None)
    if host.dtype.kind == "M":
        times: NDArray[np.datetime64] = host.to_numpy("M8[us]")
        return times.view(np.int64)  # NaT is the null mark
    if host.dtype.kind in "fb":
        return host_numbers(host)
    return key_values(host)


def _column(values: Values) -> Any:
    if isinstance(values, Text):
        words = [word.decode(errors="surrogateescape") or None for word in values.to_objects()]
        return np.array([*words, None], object)[:-1]
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind == "f":
        return array
    return pd.arrays.IntegerArray(array, np.equal(array, NULL_INT64))

"""ListLength, an operator of our own: the number of elements of each list.

A graph uses it like NVTabular's operators:

    lengths = ["genres"] >> ListLength() >> ops.Rename(postfix="_length")
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from plumbline.features.operators.list_length import ListLength as ListLengthStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import Operator, Tags
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, is_host


def list_length(at: OperatorCall) -> Source:
    return at.step(ListLengthStep(), at.lists(at.output))


class ListLength(Operator):
    """The lengths of lists, as numbers; a missing list has 0 elements."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return frame_of(df, {name: _lengths(df[name]) for name in col_selector.names})

    def _compute_shape(self, col_schema: Any, input_schema: Any) -> Any:
        return col_schema.with_shape((None,))

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CONTINUOUS]

    @property
    def output_dtype(self) -> type[np.generic]:
        return np.float64


def _lengths(column: Any) -> Any:
    if not is_host(column):
        return column.list.len().fillna(0).astype(np.float64)
    lengths = [0 if row is None else len(row) for row in column]
    return pd.Series(lengths, dtype=np.float64, name=column.name)


OPERATORS = (CompiledOperator(ListLength, list_length),)

"""What FillMissing and FillMedian share: filled columns, and the flags of `add_binary_cols`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.steps.chains import Source
from plumbline.features.steps.value_types import Element
from plumbline.nvtabular.operator_call import OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, numbers

FILLED = "_filled"
"""The suffix of the 0/1 column that flags which values of a column were filled."""


_FILLED: tuple[Element, ...] = ("number", "integer", "text")


def flag_of_filled(at: OperatorCall) -> Source | None:
    """The source of the output if it is a 0/1 column of `add_binary_cols`, else None."""
    if not at.operator.add_binary_cols:
        return None
    for column in at.inputs:
        if column + FILLED in at.inputs:
            raise at.unsupported(
                f"{at.name}(add_binary_cols=True) on both {column!r} and {column + FILLED!r}",
                "Rename one of them first.",
            )
        if at.output == column + FILLED:
            return at.step(IsMissing(), at.require(at.source(column), *_FILLED))
    return None


def filled(
    operator: Any,
    df: Any,
    names: Sequence[str],
    value: Callable[[str], Any],
    read: Callable[[Any], Any] = numbers,
) -> Any:
    """The columns filled with `value(name)`, and with `add_binary_cols` their 0/1 columns.

    `read` makes a column of values of what the frame has.
    """
    columns = {}
    for name in names:
        column = read(df[name])
        columns[name] = column.fillna(value(name))
        if operator.add_binary_cols:
            columns[name + FILLED] = column.isna()
    return frame_of(df, columns)

"""Dropna: leaves out training rows in which a value is missing."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.compare import Compare
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.steps.chains import Source
from plumbline.nvtabular import advice
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, GraphColumn, OperatorCall, then


def dropna(at: OperatorCall) -> GraphColumn:
    for name in at.inputs:
        tested = _may_be_missing(at.source(name))
        if tested is None or at.type_of(tested).element == "ids":
            continue
        if at.type_of(tested).is_list:
            raise at.unsupported("Dropna on lists", advice.NO_MISSING_LISTS)
        at.keep_training_rows(then(Compare("==", 0.0), (then(IsMissing(), (tested,)),)))
    return at.column(at.output)


def _may_be_missing(source: Source) -> Source | None:
    """The source without the last steps that do not matter; None if they fill missing values."""
    while not isinstance(source, str):
        last = source.steps[-1]
        if last.fills_missing:
            return None
        if not last.keeps_missing:
            break
        before = source.upto(len(source.steps) - 1)
        source = before if before.steps else before.sources[0]
    return source


class Dropna(ops.Dropna):
    """Keeps every row; the engine leaves training rows out before."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


OPERATORS = (CompiledOperator(ops.Dropna, dropna, Dropna),)

"""NormalizeMinMax: (x - minimum) / (maximum - minimum) of the training split."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.normalize_min_max import Bounds, FitNormalizeMinMax
from plumbline.features.operators.normalize_min_max import NormalizeMinMax as NormalizeMinMaxStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed
from plumbline.nvtabular.patching.learning import learned


def normalize_min_max(at: OperatorCall) -> Source:
    at.require_float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        minimum = float(at.learned_value(at.operator.mins, column))
        return NormalizeMinMaxStep.checked(target.columns, minimum, float(at.operator.maxs[column]))

    return at.fit_step(FitNormalizeMinMax(), read, at.numbers(column))


class NormalizeMinMax(ops.NormalizeMinMax):
    """A column of one distinct number becomes 0.5; NVTabular divides by zero if it is 0.

    A column without any number stays missing; NVTabular fails.
    """

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return learned(ddf, dict.fromkeys(col_selector.names, FitNormalizeMinMax()))

    def fit_finalize(self, dask_stats: dict[str, Bounds]) -> None:
        for name, bounds in dask_stats.items():
            self.mins[name], self.maxs[name] = bounds.minimum, bounds.maximum

    def transform(self, col_selector: Any, df: Any) -> Any:
        def normalized(name: str, column: Any) -> Any:
            low, high = self.mins[name], self.maxs[name]
            return (column - low) / (high - low) if high > low else column.where(column.isna(), 0.5)

        return changed(df, col_selector.names, normalized)


OPERATORS = (CompiledOperator(ops.NormalizeMinMax, normalize_min_max, NormalizeMinMax),)

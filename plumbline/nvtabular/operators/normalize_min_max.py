"""NormalizeMinMax: (x - minimum) / (maximum - minimum) of the training split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from plumbline.base.errors import DataError
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax
from plumbline.features.operators.normalize_min_max import NormalizeMinMax as NormalizeMinMaxStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed, numbers
from plumbline.nvtabular.patching.reductions import reduced


def normalize_min_max(at: OperatorCall) -> Source:
    at.float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        minimum = float(at.learned_value(at.operator.mins, column))
        maximum = float(at.operator.maxs[column])
        if not math.isfinite(minimum) or not math.isfinite(maximum):
            raise DataError(
                f"Column {column!r}: its numbers in the training split are from {minimum} to "
                f"{maximum}, and none can be brought between 0 and 1 by them. Clip the column, "
                "fill its missing values, or leave it out."
            )
        return NormalizeMinMaxStep(minimum, maximum)

    return at.learned(FitNormalizeMinMax(), read, at.numbers(column))


class NormalizeMinMax(ops.NormalizeMinMax):
    """Of a column with one number, 0.5 for every number: NVTabular's is missing at 0.

    A column without any number is all missing: NVTabular fails.
    """

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_bounds, col_selector.names), _merged_bounds)

    def fit_finalize(self, dask_stats: dict[str, tuple[float, float]]) -> None:
        for name, bounds in dask_stats.items():
            self.mins[name], self.maxs[name] = bounds

    def transform(self, col_selector: Any, df: Any) -> Any:
        def normalized(name: str, column: Any) -> Any:
            low, high = self.mins[name], self.maxs[name]
            return (column - low) / (high - low) if high > low else column.where(column.isna(), 0.5)

        return changed(df, col_selector.names, normalized)


def _bounds(names: Sequence[str], df: Any) -> dict[str, tuple[float, float]]:
    columns = {name: numbers(df[name]) for name in names}
    return {name: (float(c.min()), float(c.max())) for name, c in columns.items()}


def _merged_bounds(
    parts: list[dict[str, tuple[float, float]]],
) -> dict[str, tuple[float, float]]:
    """Bounds that are not a number, of a partition without any, do not count."""
    return {
        name: (
            float(np.fmin.reduce([part[name][0] for part in parts])),
            float(np.fmax.reduce([part[name][1] for part in parts])),
        )
        for name in parts[0]
    }


OPERATORS = (CompiledOperator(ops.NormalizeMinMax, normalize_min_max, NormalizeMinMax),)
